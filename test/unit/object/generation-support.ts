/** What the tests of generations share: objects by the hundred, and where their entries stand. */
import { type Address, CHUNK_NEXT, HEADER_ENTRY } from "../../../src/memory/layout.js";
import type { TestCore } from "../../support/core.js";

/** Objects of the smallest tracked type, owned by the test. */
export function makeObjects(heap: TestCore, count: number): Address[] {
  const type = heap.struct();
  return Array.from({ length: count }, () => heap.newStruct(type));
}

export function chunksOf(heap: TestCore, generation: number): Address[] {
  const chunks: Address[] = [];
  for (let chunk = heap.core.generations.firstChunk(generation); chunk !== 0; )
    chunk = heap.i32[chunks[chunks.push(chunk) - 1] + CHUNK_NEXT];
  return chunks;
}

export function entryOf(heap: TestCore, object: Address): Address {
  return heap.i32[object + HEADER_ENTRY];
}

/** Drop what is not to be kept. @returns what is left */
export function thin(
  heap: TestCore,
  objects: readonly Address[],
  keep: (index: number) => boolean,
): Address[] {
  const kept: Address[] = [];
  for (const [index, object] of objects.entries())
    if (keep(index)) kept.push(object);
    else heap.drop(object);
  return kept;
}
