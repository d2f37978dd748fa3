/**
 * The raw verbs: addresses, offsets and counts, with no check between a program and a broken heap. For hot loops and
 * authors of language runtimes; everybody else wants `ouroheap`.
 *
 * @packageDocumentation
 */
export type { Address, RawHeap, RawType } from "./host/raw.js";
export { unsafe } from "./host/raw.js";
