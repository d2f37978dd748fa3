/**
 * What a saved heap is made of, below JavaScript: the blocks that some roots reach, page by page, as they will stand when
 * the heap is loaded. The heap itself is not touched.
 *
 * What can be recomputed is not saved: reference counts, serials, free lists, generation tables. A block that nothing
 * reaches, and the part of one that its owner does not use, are written as zeros: nothing that was deleted gets into a
 * file, and two heaps of the same content are the same bytes.
 */
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
  HEADER_WORDS,
  IMAGE_GENERATIONS,
  IMAGE_RUN_LENGTH,
  IMAGE_RUN_PAGE,
  IMAGE_RUN_WORDS,
  KIND_FOREIGN,
  KIND_STRING,
  KIND_WEAKREF,
  LIST_ITEMS,
  LIST_LENGTH,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_LARGE,
  PAGE_RUN,
  PAGE_SHIFT,
  PAGE_STATE,
  PAGE_WORDS,
  SLOT_ANY,
  SLOT_REF,
  SLOT_STR,
  STRING_DATA,
  STRING_LENGTH,
  TABLE_MASK,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_OBJECT,
  TAG_STRING,
  TRAVERSE_EDGES,
  TRAVERSE_LIST,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_ID_MASK,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_KIND,
  TYPE_OBJECT_WORDS,
  TYPE_WEAKREF_OFFSET,
  WEAKREF_HOST_CALLBACK,
  WEAKREF_NEXT,
  WEAKREF_PREVIOUS,
  WEAKREF_TARGET,
} from "../memory/layout.js";
import { isDeletedEntry } from "../object/refcount.js";
import { entryWords, holdsReference, slotWords } from "../object/slot.js";
import type { Core } from "./core.js";

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
  private readonly i32: Int32Array;
  /** By granule: 1 where a block that is saved starts. */
  private readonly saved: Uint8Array;
  /** By granule: words of a storage block that are saved. Only where there is one: the rest is never touched. */
  private readonly storageWords: Int32Array;
  /** The saved objects of all generations, one after the other. */
  private readonly tracked: Int32Array;
  /** Of the type that `plainWords` was asked for last. */
  private weakrefOffset = 0;
  private stack = new Int32Array(1024);
  private depth = 0;

  /** Find what the roots reach. O(what they reach), with a byte for every 16 of the heap, and a word for every tracked object. */
  constructor(core: Core, roots: Iterable<Address>) {
    this.core = core;
    this.i32 = core.memory.i32;
    const granules = (core.allocator.wordsTouchedMax >>> GRANULE_SHIFT) + 1;
    this.saved = new Uint8Array(granules);
    this.storageWords = new Int32Array(granules);
    const foreign: Address[] = [];
    for (const root of roots) this.reach(root);
    while (this.depth > 0) {
      const object = this.stack[--this.depth];
      const type = core.types.descriptorOf(object);
      if (this.i32[type + TYPE_KIND] === KIND_FOREIGN) foreign.push(object);
      this.reachReferents(object, type);
    }
    this.foreign = foreign.sort((first, second) => first - second);
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

  // -- what is reached ------------------------------------------------------------------------

  private reach(object: Address): void {
    const { i32, saved } = this;
    const granule = object >>> GRANULE_SHIFT;
    if (object === 0 || saved[granule] !== 0) return;
    saved[granule] = 1;
    const type = this.core.types.descriptorOf(object);
    if (i32[type + TYPE_DROP] >> 1 === 0 && i32[type + TYPE_KIND] !== KIND_FOREIGN) return;
    if (this.depth === this.stack.length) this.growStack();
    this.stack[this.depth++] = object;
  }

  private growStack(): void {
    const longer = new Int32Array(this.depth * 2);
    longer.set(this.stack);
    this.stack = longer;
  }

  private reachStorage(storage: Address, words: number): void {
    if (storage === 0) return;
    this.saved[storage >>> GRANULE_SHIFT] = 1;
    this.storageWords[storage >>> GRANULE_SHIFT] = words;
  }

  /** Everything that an object counts for, strings included: what its death would drop. */
  private reachReferents(object: Address, type: Address): void {
    const { i32 } = this;
    const drop = i32[type + TYPE_DROP] >> 1;
    if (drop >= 0)
      for (let word = object + HEADER_WORDS, end = word + drop; word < end; word++) this.reach(i32[word]);
    else if (drop === TRAVERSE_EDGES) {
      for (let index = 0; index < i32[type + TYPE_EDGE_COUNT]; index++) {
        const edge = i32[i32[type + TYPE_EDGES] + index];
        this.reachSlot(edge >>> TYPE_EDGE_SLOT_SHIFT, object + (edge & TYPE_EDGE_OFFSET_MASK));
      }
    } else if (drop === TRAVERSE_LIST) this.reachItems(object, i32[type + TYPE_ITEM_SLOT]);
    else this.reachEntries(object, i32[type + TYPE_KEY_SLOT], i32[type + TYPE_ITEM_SLOT]);
  }

  private reachItems(list: Address, slot: number): void {
    const { i32 } = this;
    const words = slotWords(slot);
    const items = i32[list + LIST_ITEMS];
    const end = items + i32[list + LIST_LENGTH] * words;
    this.reachStorage(items, end - items);
    if (holdsReference(slot)) for (let item = items; item < end; item += words) this.reachSlot(slot, item);
  }

  private reachEntries(table: Address, keySlot: number, itemSlot: number): void {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    if (storage === 0) return;
    const words = entryWords(itemSlot);
    const first = storage + i32[table + TABLE_MASK] + 1;
    const end = first + i32[table + TABLE_USED] * words;
    this.reachStorage(storage, end - storage);
    for (let entry = first; entry < end; entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      this.reachSlot(keySlot, entry);
      this.reachSlot(itemSlot, entry + 2);
    }
  }

  private reachSlot(slot: number, word: Address): void {
    const high = this.i32[word + 1];
    const isReference =
      slot === SLOT_REF ||
      slot === SLOT_STR ||
      (slot === SLOT_ANY && (high === TAG_OBJECT || high === TAG_STRING));
    if (isReference) this.reach(this.i32[word]);
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
      // Its list of weak references is rarely there.
      const offset = this.weakrefOffset;
      if (offset !== 0 && out[to + offset] !== 0)
        out[to + offset] = this.firstSaved(out[to + offset], WEAKREF_NEXT);
    }
  }

  /** Words of an object where only its header and its list of weak references need care; else -1. Sets `weakrefOffset`. */
  private plainWords(object: Address): number {
    const { i32 } = this;
    const type = this.core.types.descriptorOf(object);
    const kind = i32[type + TYPE_KIND];
    this.weakrefOffset = i32[type + TYPE_WEAKREF_OFFSET];
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
