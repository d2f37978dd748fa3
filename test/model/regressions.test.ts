/** Programs that once failed, shrunk. */
import { expect, it } from "vitest";
import { any, bool, dict, f32, i32, optional, set, struct, TypeMismatchError } from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import { makeHeap } from "../support/heaps.js";
import { asDict, asSet } from "./session.js";

class Point extends struct("Point", {
  x: i32,
  get next() {
    return optional(Point);
  },
}) {}

it("a number that rounds to -0 is the key 0 of a table of floats", () => {
  const heap = makeHeap();
  using table = heap.new(dict(f32, bool), [[-1e-50, true]]);
  expect([...table.keys()]).toEqual([0]);
  expect(table.has(0) && table.has(-0) && table.has(1e-50)).toBe(true);
  table.set(0, false);
  expect([...table]).toEqual([[0, false]]);
});

it("a literal is no key: looking one up makes no object that nobody owns", () => {
  const heap = makeHeap();
  using members = heap.new(set(Point), []);
  using table = heap.new(dict(Point, any), []);
  const uses = [
    () => asSet(members).has({}),
    () => asSet(members).delete({ x: 1 }),
    () => asSet(members).add({}),
    () => asDict(table).get({}),
    () => asDict(table).has({}),
    () => asDict(table).delete({}),
    () => asDict(table).take({}),
    () => asDict(table).set({}, 1),
    () => heap.new(set(Point), [{ x: 1 }] as never),
  ];
  for (const use of uses) expect(use).toThrow(TypeMismatchError);
  verify(heap);
  expect(heap.gc.getObjects()).toHaveLength(1); // the set; the dict holds nothing yet
});
