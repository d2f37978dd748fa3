import { dropOrder, type Known } from "../../support/random-graphs.js";

/**
 * CPython's deaths, recursive as there: `_Py_Dealloc` and the trashcan (Py_TRASHCAN_BEGIN: 50 may nest; the rest is
 * taken up newest first by the outermost death, which then counts as one).
 *
 * One departure is modelled too: what holds nothing at all, and is too small to need a search to see that, dies at once
 * instead of being deferred. Nothing hangs on it, so no other death changes its place.
 */
export class NaiveDeaths {
  /** The dead, in the order in which they are freed. */
  readonly order: Known[] = [];
  deferredCount = 0;
  private readonly counts = new Map<Known, number>();
  private readonly later: Known[] = [];
  private nesting = 0;
  private readonly onDying: (object: Known) => void;

  /** @param onDying called for each object whose count has come to 0, before anything else happens to it */
  constructor(graph: readonly Known[] = [], onDying: (object: Known) => void = () => {}) {
    this.onDying = onDying;
    this.add(graph);
  }

  /** New objects, each owned once. */
  add(graph: readonly Known[]): void {
    for (const object of graph) this.counts.set(object, 1);
    for (const object of graph) for (const target of dropOrder(object)) this.incref(target);
  }

  count(object: Known): number {
    return this.counts.get(object)!;
  }

  incref(object: Known): void {
    this.counts.set(object, this.count(object) + 1);
  }

  decref(object: Known): void {
    const count = this.count(object) - 1;
    this.counts.set(object, count);
    if (count === 0) this.dealloc(object);
  }

  /** `tp_clear`: detach what a container holds and drop it; a struct field by field; a tuple has none. */
  clear(object: Known): void {
    if (object.kind === "tuple") return;
    if (object.kind === "struct")
      for (let index = 0; index < object.parts.length; index++) {
        const part = object.parts[index];
        object.parts[index] = null;
        if (part !== null) this.decref(part);
      }
    else {
      const detached = dropOrder(object);
      object.parts = [];
      for (const part of detached) this.decref(part);
    }
  }

  private dealloc(object: Known): void {
    this.onDying(object);
    const holdsNothing = object.isSmallRecord && dropOrder(object).length === 0;
    if (this.nesting >= 50 && !holdsNothing) {
      this.later.push(object);
      this.deferredCount++;
      return;
    }
    this.die(object);
    if (this.nesting > 0 || this.later.length === 0) return;
    this.nesting++;
    for (let next = this.later.pop(); next !== undefined; next = this.later.pop()) this.die(next);
    this.nesting--;
  }

  private die(object: Known): void {
    this.nesting++;
    for (const target of dropOrder(object)) this.decref(target);
    this.nesting--;
    this.order.push(object);
  }
}
