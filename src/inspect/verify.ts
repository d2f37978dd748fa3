import { verifyMemory } from "../gc/verify.js";
import { Heap } from "../host/heap.js";

/**
 * Check every invariant of a heap, by a second and naive implementation that recomputes counts, lists, tables and
 * statistics from the memory alone. O(heap), with a Map entry for each object. Called from a getter or iterator of a
 * literal, or from a callback of the collector, it checks counts from below only: what is being built holds references.
 *
 * @throws HeapCorruptionError naming the first broken invariant, as numbered in ARCHITECTURE.md, and the address
 * @throws LockError without an exclusive guard of a shared heap
 */
export function verify(heap: Heap): void {
  const context = Heap.contextOf(heap);
  context.requireOpen(); // other readers may be retaining
  const roots = context.knownRoots();
  const state = { isInside: context.isInside, isCollecting: context.core.trigger.isCollecting };
  verifyMemory(context.core.memory, roots === undefined ? state : { roots, ...state });
}
