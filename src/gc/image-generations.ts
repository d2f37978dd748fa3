/** Reading an image: the generation tables, made anew from lists of objects, each checked as it is put into its place. */
import { IMAGE_GENERATIONS } from "../memory/image-layout.js";
import {
  type Address,
  CHUNK_CAPACITY,
  CHUNK_ENTRIES,
  CHUNK_GENERATION,
  CHUNK_NEXT,
  CHUNK_OPEN,
  CHUNK_USED,
  CONTROL_GENERATIONS,
  FLAG_FROZEN,
  FLAG_TRACKED,
  GENERATION_CHUNKS,
  GENERATION_CURSOR,
  GENERATION_FIRST,
  GENERATION_LAST,
  GENERATION_WORDS,
  HEADER_TYPE,
  KIND_DICT,
  KIND_TUPLE,
  PERMANENT,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import type { Core } from "./core.js";
import type { ImageContents } from "./image-contents.js";
import type { ImagePages } from "./image-pages.js";
import { refuse } from "./image-plain.js";
import type { ImageType } from "./image-types.js";

/** Chunks that tables of these sizes take: none has a hole. */
export function chunkCountOf(sizes: readonly number[]): number {
  return sizes.reduce((chunks, size) => chunks + Math.ceil(size / CHUNK_CAPACITY), 0);
}

/**
 * Track the objects of an image as they were, and check what they hold; then what is not tracked. Tracked objects are visited
 * in the order of their tables, so that each is touched once.
 * @param entries the objects of each generation, one after the other
 * @param sizes how many each has
 * @returns how many objects that can be on a cycle are not tracked: `checkUntracked` has to judge them
 * @throws ImageError
 */
export function restoreObjects(
  memory: Memory,
  pages: ImagePages,
  contents: ImageContents,
  entries: Int32Array,
  sizes: readonly number[],
): number {
  const { i32 } = memory;
  let next = 0;
  let nextChunk = 0;
  for (let generation = 0; generation < IMAGE_GENERATIONS; generation++) {
    const flags = generation === PERMANENT ? FLAG_TRACKED | FLAG_FROZEN : FLAG_TRACKED;
    const chunkCount = Math.ceil(sizes[generation] / CHUNK_CAPACITY);
    layTable(i32, generation, pages.chunks.subarray(nextChunk, nextChunk + chunkCount), sizes[generation]);
    for (const end = next + sizes[generation]; next < end; nextChunk++) {
      const chunkEnd = Math.min(end, next + CHUNK_CAPACITY);
      contents.trackAll(entries, next, chunkEnd, pages.chunks[nextChunk] + CHUNK_ENTRIES, flags);
      next = chunkEnd;
    }
  }
  const untracked = pages.collectable - next;
  pages.forEachPage((first, end, words, isContainers) => {
    if (isContainers && untracked === 0) return;
    for (let object = first; object < end; object += words) {
      const header = i32[object + HEADER_TYPE];
      if (header !== 0 && (header & FLAG_TRACKED) === 0) contents.checkObject(object);
    }
  });
  return untracked;
}

/** Write a generation's record, and the heads of its chunks: all are full but the last. */
function layTable(i32: Int32Array, generation: number, chunks: Int32Array, size: number): void {
  if (size === 0) return;
  const record = CONTROL_GENERATIONS + generation * GENERATION_WORDS;
  const last = chunks[chunks.length - 1];
  for (const [index, chunk] of chunks.entries()) {
    i32[chunk + CHUNK_NEXT] = chunk === last ? 0 : chunks[index + 1];
    i32[chunk + CHUNK_GENERATION] = generation;
    i32[chunk + CHUNK_USED] = chunk === last ? CHUNK_OPEN : CHUNK_CAPACITY;
  }
  i32[record + GENERATION_FIRST] = chunks[0];
  i32[record + GENERATION_LAST] = last;
  i32[record + GENERATION_CURSOR] = last + CHUNK_ENTRIES + size - (chunks.length - 1) * CHUNK_CAPACITY;
  i32[record + GENERATION_CHUNKS] = chunks.length;
}

/** What can be on a cycle and is not tracked: dicts and tuples that hold no container, and nothing else. @throws ImageError */
export function checkUntracked(
  core: Core,
  pages: ImagePages,
  types: readonly (ImageType | undefined)[],
): void {
  const { i32 } = core.memory;
  const check = (object: Address, header: number) => {
    const { kind, isGc, text } = types[header & TYPE_ID_MASK]!;
    const mayBe = kind === KIND_DICT || kind === KIND_TUPLE;
    if (isGc && (!mayBe || core.tracking.holdsContainer(object)))
      refuse(object, `a ${text} that is not tracked`);
  };
  pages.forEachPage((first, end, words, isContainers) => {
    if (!isContainers) return;
    for (let object = first; object < end; object += words) {
      const header = i32[object + HEADER_TYPE];
      if (header !== 0 && (header & FLAG_TRACKED) === 0) check(object, header);
    }
  });
}
