/**
 * What a saved heap is made of, below JavaScript: the blocks that some roots reach, page by page, as they will stand when
 * the heap is loaded. The heap itself is not touched.
 *
 * What can be recomputed is not saved: reference counts, serials, free lists, generation tables. A block that nothing
 * reaches, and the part of one that its owner does not use, are written as zeros: nothing that was deleted gets into a
 * file, and two heaps of the same content are the same bytes.
 */
import {
  IMAGE_GENERATIONS,
  IMAGE_RUN_LENGTH,
  IMAGE_RUN_PAGE,
  IMAGE_RUN_WORDS,
} from "../memory/image-layout.js";
import {
  type Address,
  CHUNK_ENTRIES,
  CHUNK_NEXT,
  CONTROL_FIRST_PAGE,
  FLAG_FINALIZED,
  FOREIGN_NUMBER,
  GRANULE_SHIFT,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  KIND_FOREIGN,
  KIND_STRING,
  KIND_WEAKREF,
  LIST_ITEMS,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_LARGE,
  PAGE_RUN,
  PAGE_SHIFT,
  PAGE_STATE,
  PAGE_WORDS,
  STRING_DATA,
  STRING_LENGTH,
  TYPE_ID_MASK,
  TYPE_KIND,
  TYPE_OBJECT_WORDS,
  TYPE_WEAKREF_OFFSET,
  WEAKREF_HOST_CALLBACK,
  WEAKREF_NEXT,
  WEAKREF_PREVIOUS,
  WEAKREF_TARGET,
} from "../memory/layout.js";
import type { Core } from "./core.js";
import { ImageReach } from "./image-reach.js";

/** Pages that are put together before they are handed on. */
const BATCH_PAGES = 64;

export class ImageWriter {
  /** IMAGE_RUN_* of each run of pages that is saved. */
  readonly runs: Int32Array;
  readonly pageCount: number;
  /** One past the last page that is saved. */
  readonly topPage: number;
  /** Entries by generation. */
  readonly generationSizes: readonly number[];
  /** Foreign objects that are saved, in address order; a tombstone's number is its place here, from 1 on. */
  readonly foreign: readonly Address[];
  private readonly core: Core;
  private readonly unusedWords: (typeId: number) => readonly number[];
  private readonly i32: Int32Array;
  /** By granule: 1 where a block that is saved starts. */
  private readonly saved: Uint8Array;
  /** By granule: words of a storage block that are saved. Only where there is one: the rest is never touched. */
  private readonly storageWords: Int32Array;
  /** The saved objects of all generations, one after the other. */
  private readonly tracked: Int32Array;
  /** Of the type that `plainWords` was asked for last. */
  private weakrefOffset = 0;
  private unused: readonly number[] = [];

  /**
   * Find what the roots reach. O(what they reach), with a byte for every 16 of the heap, and a word for every tracked object.
   * @param unusedWords by type id: the words of an instance that nothing is written to
   */
  constructor(core: Core, roots: Iterable<Address>, unusedWords: (typeId: number) => readonly number[]) {
    this.core = core;
    this.unusedWords = unusedWords;
    this.i32 = core.memory.i32;
    const reached = new ImageReach(core, roots);
    this.saved = reached.saved;
    this.storageWords = reached.storageWords;
    this.foreign = reached.foreign.sort((first, second) => first - second);
    this.runs = this.findRuns();
    this.pageCount = 0;
    for (let run = 0; run < this.runs.length; run += IMAGE_RUN_WORDS)
      this.pageCount += this.runs[run + IMAGE_RUN_LENGTH];
    const last = this.runs.length - IMAGE_RUN_WORDS;
    this.topPage =
      last < 0
        ? this.i32[CONTROL_FIRST_PAGE]
        : this.runs[last + IMAGE_RUN_PAGE] + this.runs[last + IMAGE_RUN_LENGTH];
    let entryCount = 0;
    for (let one = 0; one < IMAGE_GENERATIONS; one++) entryCount += core.generations.entryCount(one);
    this.tracked = new Int32Array(entryCount);
    this.generationSizes = this.findTracked();
  }

  /** Whether a block is saved. */
  isSaved(block: Address): boolean {
    return this.saved[block >>> GRANULE_SHIFT] !== 0;
  }

  // -- pages ----------------------------------------------------------------------------------

  private findRuns(): Int32Array {
    const { i32 } = this;
    const found: number[] = [];
    for (const { page, descriptor } of this.core.allocator.pageRuns())
      if (this.holdsSaved(page, descriptor))
        found.push(page, i32[descriptor + PAGE_STATE], i32[descriptor + PAGE_RUN]);
    return Int32Array.from(found);
  }

  private holdsSaved(page: number, descriptor: Address): boolean {
    const first = page << PAGE_SHIFT;
    const words = this.i32[descriptor + PAGE_BLOCK_WORDS];
    const end = first + this.i32[descriptor + PAGE_CAPACITY] * words;
    for (let block = first; block < end; block += words) if (this.isSaved(block)) return true;
    return false;
  }

  /** The contents of the runs, some pages at a time: each piece is valid until the next is asked for. */
  *body(): IterableIterator<Int32Array> {
    const batch = new Int32Array(BATCH_PAGES * PAGE_WORDS);
    let filled = 0;
    for (let run = 0; run < this.runs.length; run += IMAGE_RUN_WORDS) {
      const first = this.runs[run + IMAGE_RUN_PAGE];
      for (let page = first; page < first + this.runs[run + IMAGE_RUN_LENGTH]; page++) {
        this.writePage(page, first, batch, filled);
        filled += PAGE_WORDS;
        if (filled < batch.length) continue;
        yield batch;
        filled = 0;
      }
    }
    if (filled > 0) yield batch.subarray(0, filled);
  }

  /** Write what is saved of a page, which belongs to the run that begins at `first`, and zeros for the rest. */
  private writePage(page: number, first: number, out: Int32Array, at: number): void {
    const { i32 } = this;
    const descriptor = this.core.allocator.descriptorOf(first);
    const start = page << PAGE_SHIFT;
    if ((i32[descriptor + PAGE_STATE] & 0xff) >= PAGE_LARGE) {
      const block = first << PAGE_SHIFT;
      const words = this.isObject(descriptor)
        ? this.objectWords(block)
        : this.storageWords[block >>> GRANULE_SHIFT];
      const end = Math.max(start, Math.min(block + words, start + PAGE_WORDS));
      out.set(i32.subarray(start, end), at);
      out.fill(0, at + end - start, at + PAGE_WORDS);
      if (page === first && this.isObject(descriptor)) this.writeHeader(block, out, at);
      return;
    }
    out.set(i32.subarray(start, start + PAGE_WORDS), at);
    const words = i32[descriptor + PAGE_BLOCK_WORDS];
    const end = start + i32[descriptor + PAGE_CAPACITY] * words;
    out.fill(0, at + end - start, at + PAGE_WORDS);
    if (this.isObject(descriptor)) this.writeObjects(start, end, words, out, at);
    else this.writeStorage(start, end, words, out, at);
  }

  private isObject(descriptor: Address): boolean {
    return !this.core.allocator.isStorage(descriptor);
  }

  private writeStorage(start: Address, end: Address, words: number, out: Int32Array, at: number): void {
    for (let block = start, to = at; block < end; block += words, to += words) {
      const used = this.isSaved(block) ? this.storageWords[block >>> GRANULE_SHIFT] : 0;
      out.fill(0, to + used, to + words);
    }
  }

  /** The blocks of [start, end) stand in `out` from `at` on. */
  private writeObjects(start: Address, end: Address, words: number, out: Int32Array, at: number): void {
    const { saved } = this;
    // Most pages have objects of one type: how the last was written the next is too.
    let known = 0;
    let rest = -1;
    for (let block = start, to = at; block < end; block += words, to += words) {
      if (saved[block >>> GRANULE_SHIFT] === 0) {
        for (let word = to; word < to + words; word++) out[word] = 0;
        continue;
      }
      const typeId = out[to + HEADER_TYPE] & TYPE_ID_MASK;
      if (typeId !== known) {
        known = typeId;
        rest = this.plainWords(block);
      }
      if (rest < 0) {
        const used = this.objectWords(block);
        for (let word = to + used; word < to + words; word++) out[word] = 0;
        this.writeHeader(block, out, to);
        continue;
      }
      for (let word = to + rest; word < to + words; word++) out[word] = 0;
      out[to + HEADER_REFCOUNT] = 0;
      out[to + HEADER_TYPE] &= TYPE_ID_MASK | FLAG_FINALIZED;
      out[to + HEADER_SERIAL] = 0;
      out[to + HEADER_ENTRY] = 0;
      for (let index = 0; index < this.unused.length; index++) out[to + this.unused[index]] = 0;
      // Its list of weak references is rarely there.
      const offset = this.weakrefOffset;
      if (offset !== 0 && out[to + offset] !== 0)
        out[to + offset] = this.firstSaved(out[to + offset], WEAKREF_NEXT);
    }
  }

  /** Words of an object where only its header and its list of weak references need care; else -1. Sets `weakrefOffset` and `unused`. */
  private plainWords(object: Address): number {
    const { i32 } = this;
    const type = this.core.types.descriptorOf(object);
    const kind = i32[type + TYPE_KIND];
    this.weakrefOffset = i32[type + TYPE_WEAKREF_OFFSET];
    this.unused = this.unusedWords(i32[object + HEADER_TYPE] & TYPE_ID_MASK);
    return kind === KIND_STRING || kind === KIND_WEAKREF || kind === KIND_FOREIGN
      ? -1
      : i32[type + TYPE_OBJECT_WORDS];
  }

  /** Words of an object that it uses. */
  private objectWords(object: Address): number {
    const { i32 } = this;
    const type = this.core.types.descriptorOf(object);
    return i32[type + TYPE_KIND] === KIND_STRING
      ? STRING_DATA + stringDataWords(i32[object + STRING_LENGTH])
      : i32[type + TYPE_OBJECT_WORDS];
  }

  /** What an object leaves behind: its count, its serial, its tables, and whatever of it is JavaScript's. */
  private writeHeader(object: Address, out: Int32Array, at: number): void {
    const { i32 } = this;
    const type = this.core.types.descriptorOf(object);
    const kind = i32[type + TYPE_KIND];
    out[at + HEADER_REFCOUNT] = 0;
    out[at + HEADER_TYPE] &= TYPE_ID_MASK | FLAG_FINALIZED;
    out[at + HEADER_SERIAL] = 0;
    if (kind !== KIND_STRING) out[at + HEADER_ENTRY] = 0;
    for (const word of this.unusedWords(i32[object + HEADER_TYPE] & TYPE_ID_MASK)) out[at + word] = 0;
    const offset = i32[type + TYPE_WEAKREF_OFFSET];
    if (offset !== 0) out[at + offset] = this.firstSaved(i32[object + offset], WEAKREF_NEXT);
    if (kind === KIND_WEAKREF) this.writeWeakref(object, out, at);
    if (kind !== KIND_FOREIGN) return;
    out[at + FOREIGN_NUMBER] = this.numberOf(object);
    // What can hold nothing has no items either, and leaves those words alone.
    if (this.core.types.isHolder(object)) return;
    out.fill(0, at + LIST_ITEMS, at + FOREIGN_NUMBER);
  }

  private writeWeakref(ref: Address, out: Int32Array, at: number): void {
    const { i32 } = this;
    out[at + WEAKREF_HOST_CALLBACK] = 0;
    if (this.isSaved(i32[ref + WEAKREF_TARGET])) {
      out[at + WEAKREF_NEXT] = this.firstSaved(i32[ref + WEAKREF_NEXT], WEAKREF_NEXT);
      out[at + WEAKREF_PREVIOUS] = this.firstSaved(i32[ref + WEAKREF_PREVIOUS], WEAKREF_PREVIOUS);
    } else out.fill(0, at + WEAKREF_TARGET, at + WEAKREF_HOST_CALLBACK);
  }

  /** The next weak reference of a list that is saved, this way or that. */
  private firstSaved(first: Address, link: number): Address {
    let ref = first;
    while (ref !== 0 && !this.isSaved(ref)) ref = this.i32[ref + link];
    return ref;
  }

  private numberOf(object: Address): number {
    const { foreign } = this;
    let low = 0;
    for (let high = foreign.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (foreign[middle] < object) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  }

  /** Fill `tracked`. @returns how many objects of each generation are saved */
  private findTracked(): number[] {
    const { i32, saved, tracked } = this;
    const { generations } = this.core;
    const sizes: number[] = [];
    let filled = 0;
    for (let generation = 0; generation < IMAGE_GENERATIONS; generation++) {
      const before = filled;
      for (let chunk = generations.firstChunk(generation); chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
        const end = generations.entriesEnd(chunk);
        for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++) {
          const object = i32[entry];
          if (object !== 0 && saved[object >>> GRANULE_SHIFT] !== 0) tracked[filled++] = object;
        }
      }
      sizes.push(filled - before);
    }
    return sizes;
  }

  /** The tracked objects of each generation in list order. */
  generations(): Int32Array {
    return this.tracked.subarray(
      0,
      this.generationSizes.reduce((total, size) => total + size, 0),
    );
  }
}

/** Words of a string's units. @param length its length word */
export function stringDataWords(length: number): number {
  const units = length >>> 1;
  return (length & 1) !== 0 ? (units + 1) >>> 1 : (units + 3) >>> 2;
}
