/** What several tests of the host layer need beside heaps: errors as values, both kinds of makers, measures of what lives. */
import { describe, expect } from "vitest";
import { verifyMemory } from "../../../src/gc/verify.js";
import { Heap, HeapError, type HeapOptions } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import * as heaps from "../../support/heaps.js";

/** What a body throws. Fails the test if it returns. */
export function thrownBy(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("Nothing was thrown.");
}

/** The library's error that a body throws, with this code. Fails the test for anything else. */
export function heapError(code: string, body: () => unknown): HeapError {
  const error = thrownBy(body);
  if (!(error instanceof HeapError)) throw error;
  expect(error.code).toBe(code);
  return error;
}

/** The message of the library's error that a body throws. */
export function messageOf(code: string, body: () => unknown): string {
  return heapError(code, body).message;
}

export interface Makers {
  makeHeap(options?: HeapOptions): Heap;
  makeExactHeap(options?: HeapOptions): Heap;
}

/**
 * The same suite twice: over functions made from text, one a type, and over the closures that do their work where a
 * process may not make functions from text. A context is told before it meets its first type.
 */
export function describeBothMakers(name: string, suite: (makers: Makers) => void): void {
  describe(name, () => suite(heaps));
  const forbid = (heap: Heap): Heap => {
    (Heap.contextOf(heap) as { compiles: boolean }).compiles = false;
    return heap;
  };
  describe(`${name}, where functions may not be made from text`, () =>
    suite({
      makeHeap: (options) => forbid(heaps.makeHeap(options)),
      makeExactHeap: (options) => forbid(heaps.makeExactHeap(options)),
    }));
}

/** How many objects live, strings included; not counted are the names of types, which come with their first use. */
export function liveObjects(heap: Heap): number {
  const { allocator, types } = Heap.contextOf(heap).core;
  return [...allocator.objects()].length - types.count;
}

/** Run a body and check that as many objects live afterwards as before, whatever it threw, and that the heap is valid. */
export function leaksNothing<R>(heap: Heap, body: () => R): R {
  const before = liveObjects(heap);
  try {
    return body();
  } finally {
    verify(heap);
    expect(liveObjects(heap)).toBe(before);
  }
}

/** Check the heap in the middle of an operation, whose own references no handle explains. */
export function verifyInside(heap: Heap): void {
  verifyMemory(Heap.contextOf(heap).core.memory, { isInside: true });
}
