import { type Known, visitOrder } from "../../support/random-graphs.js";
import { NaiveDeaths } from "../object/naive-deaths.js";

/**
 * CPython's `deduce_unreachable` on plain lists (Modules/gcmodule.c of 3.11).
 * @param base the objects of the generation, in list order
 * @param count the reference count of each
 */
export function naivePartition(
  base: readonly Known[],
  count: (object: Known) => number,
): { reachable: Known[]; unreachable: Known[] } {
  const left = new Map(base.map((object) => [object, count(object)]));
  for (const object of base)
    for (const target of visitOrder(object)) if (left.has(target)) left.set(target, left.get(target)! - 1);
  const reachable: Known[] = [];
  const unreachable = new Set<Known>();
  const queue = [...base];
  for (const object of queue) {
    if (left.get(object) === 0) {
      unreachable.add(object);
      continue;
    }
    reachable.push(object);
    for (const target of visitOrder(object)) {
      if (unreachable.delete(target)) queue.push(target);
      if (left.get(target) === 0) left.set(target, 1);
    }
  }
  return { reachable, unreachable: [...unreachable] };
}

/** CPython 3.11's `gc_collect_main` on plain lists, without finalizers and weak references (§2.5, §2.6, §4). */
export class NaiveCollector {
  /** Generations 0, 1, 2 and the permanent one. */
  readonly tables: Known[][] = [[], [], [], []];
  readonly garbage: Known[] = [];
  isSavingAll = false;
  readonly deaths = new NaiveDeaths([], (object) => this.untrack(object));
  private unreachable: Known[] = [];

  isTracked(object: Known): boolean {
    return this.tables.some((table) => table.includes(object));
  }

  /** Whether holding this object is a reason to be tracked (§2.4). */
  private isContainer(object: Known): boolean {
    return object.isGc && (object.kind !== "tuple" || this.isTracked(object));
  }

  private untrack(object: Known): void {
    const isOther = (other: Known) => other !== object;
    for (const [index, table] of this.tables.entries())
      if (table.includes(object)) this.tables[index] = table.filter(isOther);
    if (this.unreachable.includes(object)) this.unreachable = this.unreachable.filter(isOther);
  }

  private untrackAll(generation: number, kind: Known["kind"]): void {
    for (const object of [...this.tables[generation]])
      if (object.kind === kind && !visitOrder(object).some((part) => this.isContainer(part)))
        this.untrack(object);
  }

  collect(generation: number): number {
    const merged = [generation, ...[0, 1].filter((younger) => younger < generation)];
    const base = merged.flatMap((one) => this.tables[one]);
    for (const one of merged) this.tables[one] = [];
    const { reachable, unreachable } = naivePartition(base, (object) => this.deaths.count(object));
    this.tables[generation] = reachable;
    this.untrackAll(generation, "tuple");
    const old = Math.min(2, generation + 1);
    if (old > generation) this.tables[old].push(...this.tables[generation].splice(0));
    else this.untrackAll(2, "dict");
    const found = unreachable.length;
    this.unreachable = unreachable;
    this.deleteGarbage(old);
    return found;
  }

  private deleteGarbage(old: number): void {
    while (this.unreachable.length > 0) {
      const [object] = this.unreachable;
      this.deaths.incref(object);
      if (this.isSavingAll) this.garbage.push(object);
      else {
        this.deaths.clear(object);
        this.deaths.decref(object);
      }
      if (this.unreachable[0] === object) {
        this.unreachable.shift();
        this.tables[old].push(object);
      }
    }
  }

  /** CPython's `gc.freeze` and `gc.unfreeze`. */
  freeze(): void {
    for (const generation of [0, 1, 2]) this.tables[3].push(...this.tables[generation].splice(0));
  }
  unfreeze(): void {
    this.tables[2].push(...this.tables[3].splice(0));
  }
}
