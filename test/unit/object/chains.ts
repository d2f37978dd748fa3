/** Chains of objects, for deaths that nest. */
import type { Address } from "../../../src/memory/layout.js";
import type { TestCore } from "../../support/core.js";
import { ref, type Value } from "../../support/slots.js";

/** A chain of objects, the deepest first made; `hold` makes an object that holds the one made before. */
export function chain(
  heap: TestCore,
  length: number,
  hold: (next: Value, index: number) => Address,
): Address[] {
  const objects: Address[] = [];
  for (let index = length - 1; index >= 0; index--) {
    const next = objects[0];
    objects.unshift(hold(next === undefined ? null : ref(next), index));
    if (next !== undefined) heap.drop(next);
  }
  return objects;
}

/** Numbers from `from` down to `to`. */
export function downFrom(from: number, to: number): number[] {
  return Array.from({ length: from - to + 1 }, (_, index) => from - index);
}
