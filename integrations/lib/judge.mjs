/** What every integration has in common: a heap, the library's own counter before and after, and one line of outcome. */
import { Heap } from "ouroheap";

/**
 * With OUROHEAP_LEAK=1 nothing is disposed: the library's counter must then differ, or the judge could not fail.
 */
export const leaks = process.env.OUROHEAP_LEAK === "1";

/** A heap for one program. Under OUROHEAP_LEAK its disposers do nothing. */
export function makeHeap(options = {}) {
  const heap = Heap.create({ maximumBytes: 256 << 20, ...options });
  if (leaks) {
    const { adopt } = heap;
    heap.adopt = (value, _dispose, more) => adopt.call(heap, value, () => {}, more);
    heap.own = (value, more) => adopt.call(heap, value, () => {}, more);
  }
  return heap;
}

/**
 * @typedef {object} Outcome
 * @property {string} library the npm package
 * @property {string} version
 * @property {number} iterations
 * @property {string} counter what the library counts, in its own words
 * @property {number} before
 * @property {number} after
 * @property {boolean} ok the counter is where it began
 */

/** @returns {Outcome} */
export function outcome({ library, version, iterations, counter, before, after }) {
  return { library, version, iterations, counter, before, after, ok: before === after };
}
