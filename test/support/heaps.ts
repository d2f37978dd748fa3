/** Heaps and sizes for tests. The checks of a heap that a test does not care about come from OUROHEAP_CHECKS. */
import { afterEach } from "vitest";
import { Core } from "../../src/gc/core.js";
import { Heap, type HeapOptions } from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import { reserveMemory } from "../../src/memory/memory.js";

const level = process.env.OUROHEAP_CHECKS ?? "handles";

/** Whether every allocation collects, or every collection verifies: sizes shrink, and exact counts are not what they were. */
export const isStress = level === "stress";
export const isVerify = level === "verify";

/** The level for tests that make heaps of their own: off, or what the run is about. */
export function runLevel(): "off" | "verify" | "stress" {
  return isStress ? "stress" : isVerify ? "verify" : "off";
}

/** A number of objects, rounds or operations; smaller where the heap checks itself all the time. */
export function size(usual: number): number {
  if (isStress) return Math.max(4, Math.ceil(usual / 200));
  return isVerify ? Math.max(8, Math.ceil(usual / 20)) : usual;
}

const opened: Heap[] = [];

/** A small heap that is verified when the test ends. */
export function makeHeap(options: HeapOptions = {}): Heap {
  const heap = Heap.create({ maximumBytes: 64 << 20, ...options });
  opened.push(heap);
  return heap;
}

/**
 * A heap that counts and collects exactly as a program in production sees it, whatever the level of the test run: for
 * tests about when something happens rather than whether it is right.
 */
export function makeExactHeap(options: HeapOptions = {}): Heap {
  return makeHeap({ checks: "off", ...options });
}

afterEach(() => {
  for (const heap of opened.splice(0)) {
    try {
      verify(heap);
    } finally {
      heap.onLeakedHandle = () => {}; // tests end with handles alive; that heaps tell of it is tested by name
      heap[Symbol.dispose]();
    }
  }
});

/** The layers below the host, for tests that work on addresses. */
export function makeCore(maximumBytes = 16 << 20): Core {
  return new Core(reserveMemory(maximumBytes), { isStress });
}
