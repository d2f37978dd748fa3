/** Iterating a container while it changes. */
import { expect } from "vitest";
import { ConcurrentModificationError } from "../../src/index.js";
import { isObj, type Obj } from "./graph.js";
import { asDict, asList, asSet, type Session } from "./session.js";
import { keyFor, Planner, type Spec } from "./specs.js";

/**
 * Iterate a container and change it meanwhile. The model's container is an Array or a Map of the host, so its own
 * iterator says what must come next; a dict or set may instead refuse to go on if its entries have moved.
 */
export function iterate(session: Session, n: number, specs: readonly Spec[], target: Obj): void {
  const { kind } = target.type;
  if (kind === "struct" || kind === "tuple") return;
  if (kind === "list") iterateList(session, n, specs, target);
  else iterateTable(session, n, specs, target);
}

function iterateList(session: Session, n: number, specs: readonly Spec[], target: Obj): void {
  const list = asList(target.view!);
  const items = list[Symbol.iterator]();
  // By index: the model's array is replaced by `clear`, and Array's iterator is the index and the length read anew.
  for (let index = 0, step = 0; ; index++, step++) {
    const next = items.next();
    if (index >= target.values.length) {
      expect(next).toEqual({ done: true, value: undefined });
      break;
    }
    expect(next.done).toBe(false);
    session.checkValue(target.values[index], next.value);
    const part = specs[step];
    if (part === undefined) continue;
    if (part.choice % 3 === 0) session.both(...changeList(session, part, target));
    else if (part.choice % 3 === 1 && target.values.length > 0) {
      session.both(
        () => session.graph.delete(target, n % target.values.length),
        () => list.delete(n % list.length),
      );
    } else if (part.choice < 10) {
      session.both(
        () => session.graph.clear(target),
        () => list.clear(),
      );
    }
    if (!target.isAlive) return;
  }
  expect(items.next().done, "an iterator that has ended stays ended").toBe(true);
}

function changeList(session: Session, part: Spec, target: Obj): [() => void, () => void] {
  const plan = new Planner(session.graph).value(target.type.slots[0], part);
  return [
    () => session.graph.push(target, [plan]),
    () => {
      asList(target.view!).push(session.real(plan));
    },
  ];
}

function iterateTable(session: Session, n: number, specs: readonly Spec[], target: Obj): void {
  const table = asDict(target.view!);
  const expected = target.entries.keys();
  const found =
    target.type.kind === "set" || n % 2 === 0
      ? (table as unknown as Iterable<unknown>)[Symbol.iterator]()
      : table.keys();
  const keyOf = (value: unknown) =>
    target.type.kind === "dict" && n % 2 === 0 ? (value as [unknown, unknown])[0] : value;
  const movesBefore = target.moves;
  for (let step = 0; ; step++) {
    let next: IteratorResult<unknown>;
    try {
      next = found.next();
    } catch (error) {
      expect(error).toBeInstanceOf(ConcurrentModificationError);
      expect(target.moves, "moves of entries that excuse an iterator").toBeGreaterThan(movesBefore);
      return;
    }
    const wanted = expected.next();
    expect(next.done === true).toBe(wanted.done === true);
    if (wanted.done === true) break;
    session.checkValue(wanted.value, keyOf(next.value));
    const part = specs[step];
    if (part !== undefined) changeTable(session, n, part, target);
    if (!target.isAlive) return;
  }
  expect(found.next().done, "an iterator that has ended stays ended").toBe(true);
}

function changeTable(session: Session, n: number, part: Spec, target: Obj): void {
  const planner = new Planner(session.graph);
  const table = asDict(target.view!);
  if (part.choice % 2 === 0) {
    const plan = planner.part(target.type, part);
    session.both(
      () => (plan.kind === "entry" ? session.graph.setEntry(target, plan) : session.graph.add(target, plan)),
      () => {
        const real = session.real(plan);
        if (plan.kind === "entry") table.set(...(real as [unknown, unknown]));
        else asSet(table).add(real);
      },
    );
    return;
  }
  const key = keyFor(session, target, n, part);
  if (key === undefined) return;
  session.both(
    () => session.graph.deleteEntry(target, key),
    () => table.delete(isObj(key) ? key.view : key),
  );
}
