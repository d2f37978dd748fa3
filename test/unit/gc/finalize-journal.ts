/** What the tests of a collection's phases share: a journal of what happens, and rings of garbage. */
import { verifyMemory } from "../../../src/gc/verify.js";
import type { Address } from "../../../src/memory/layout.js";
import type { TestCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";

/** What happens from now on, by the names of the objects. */
export function journal(heap: TestCore, names: Record<string, Address> = {}) {
  const lines: string[] = [];
  const nameOf = (object: Address) =>
    Object.keys(names).find((name) => names[name] === object) ?? String(object);
  const { hooks, allocator, memory, trigger } = heap.core;
  const on = { finalizer: (_object: Address) => {}, callback: (_ref: Address) => {} };
  const verifyInside = () =>
    verifyMemory(memory, { isInside: true, isCollecting: trigger.isCollecting, roots: heap.roots });
  hooks.runFinalizer = (object) => {
    lines.push(`finalize ${nameOf(object)}`);
    verifyInside();
    on.finalizer(object);
  };
  hooks.runCallback = (weakref, callback, number) => {
    lines.push(`call ${callback === 0 ? number : nameOf(callback)} of ${nameOf(weakref)}`);
    verifyInside();
    on.callback(weakref);
  };
  hooks.forgetCallback = (number) => lines.push(`forget ${number}`);
  const free = allocator.freeObject.bind(allocator);
  allocator.freeObject = (object) => {
    if (Object.values(names).includes(object)) lines.push(`free ${nameOf(object)}`);
    free(object);
  };
  return { lines, on };
}

/** Objects of a type that refer to one another in a ring by their first field, each owned by the test. */
export function ring(heap: TestCore, typeId: number, count = 1): Address[] {
  const objects = Array.from({ length: count }, () => heap.newStruct(typeId));
  for (const [index, object] of objects.entries())
    heap.setField(object, 0, ref(objects[(index + 1) % count]));
  return objects;
}
