/**
 * `import "ouroheap/vitest"` in a set-up file: `expect(body).toLeakNothing(heap)`.
 *
 * @packageDocumentation
 */
import { expect } from "vitest";
import type { Heap } from "../host/heap.js";
import { type LeakOptions, leakMatchers } from "./leaks.js";

expect.extend(leakMatchers);

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: as Vitest declares it
  interface Matchers<T = any> {
    /** The body leaves nothing behind in the heap; a promise for an asynchronous one. */
    toLeakNothing(heap: Heap, options?: LeakOptions): T;
  }
}
