/**
 * Repair: pages. Which of them hold blocks is believed, because a page says so last of all when it is made and takes it
 * back first of all when it is given up (alloc/page.ts, alloc/arena.ts). Everything else about them is made anew: free
 * lists, counts, free runs.
 *
 * The side bytes say what starts in a granule, as they do while an image is read (IMAGE_SIDE_*). References are counted
 * beside them, a byte a granule too: so a reference costs no look at the header of its target, and headers get their counts
 * in the order of addresses. An object without a count is not kept.
 */
import { Pages } from "../alloc/page.js";
import { CLASS_WORDS } from "../alloc/size-class.js";
import { HeapCorruptionError } from "../memory/errors.js";
import { IMAGE_SIDE_CLAIMED, REPAIR_SIDE_LISTED } from "../memory/image-layout.js";
import {
  type Address,
  CONTROL_FIRST_PAGE,
  CONTROL_FREE_RUNS,
  CONTROL_MAGIC,
  CONTROL_PAGE_COUNT,
  CONTROL_PAGE_TABLE,
  CONTROL_PAGES_USED,
  CONTROL_RETIRED_BLOCKS,
  CONTROL_TOP_PAGE,
  CONTROL_TYPE_COUNT,
  CONTROL_TYPE_TABLE,
  CONTROL_VERSION,
  FREE_RUN_BINS,
  GRANULE_SHIFT,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  KIND_FOREIGN,
  KIND_FREE,
  KIND_STORAGE,
  KIND_STRING,
  LAYOUT_VERSION,
  MAGIC,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_CONTINUATION,
  PAGE_DESCRIPTOR_SHIFT,
  PAGE_DESCRIPTOR_WORDS,
  PAGE_FREE_LIST,
  PAGE_FREE_RUN,
  PAGE_LARGE,
  PAGE_RUN,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  PAGE_USED,
  PAGE_WORDS,
  SERIAL_MAX,
  SERIAL_RETIRED,
  STRING_DATA,
  STRING_HASH,
  STRING_LENGTH,
  TYPE_BLOCK_KIND,
  TYPE_ID_MASK,
  TYPE_ID_STRING,
  TYPE_KIND,
  TYPE_OBJECT_WORDS,
  TYPE_SHIFT,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { hashUnits } from "../object/string.js";
import { codeOf, isStart, startCode } from "./image-codes.js";
import { kindOf } from "./image-pages.js";
import { stringDataWords } from "./image-write.js";

/** What a byte counts to; the rest is in a map. */
const COUNT_SATURATED = 255;
/** Side bytes are cleared eight at a time. */
const SIDE_WORD_SHIFT = 3;

/** Of each object, once everything is marked. */
export interface Sweeper {
  /** It stays: make its flags right. */
  keep(object: Address): void;
  /** It goes. */
  drop(): void;
}

export class RepairPages {
  private readonly i32: Int32Array;
  private readonly side: Uint8Array;
  private readonly sideWords: BigInt64Array;
  private readonly allocation: Pages;
  private readonly pageTable: Address;
  private readonly typeTable: Address;
  private readonly first: number;
  private readonly top: number;
  /** References found, by granule. */
  private readonly counts: Uint8Array;
  private readonly excess = new Map<number, number>();
  private pagesUsed = 0;
  private retired = 0;

  /** @throws HeapCorruptionError for a memory that is no heap */
  constructor(memory: Memory) {
    const { i32 } = memory;
    this.i32 = i32;
    this.side = memory.side;
    this.sideWords = memory.sideWords;
    this.first = i32[CONTROL_FIRST_PAGE];
    this.top = i32[CONTROL_TOP_PAGE];
    const isHeap = i32[CONTROL_MAGIC] === MAGIC && i32[CONTROL_VERSION] === LAYOUT_VERSION;
    if (!isHeap || this.top < this.first || this.top > i32[CONTROL_PAGE_COUNT])
      throw new HeapCorruptionError(
        "I1 control words",
        CONTROL_MAGIC,
        "this memory is no heap that can be repaired",
      );
    this.pageTable = i32[CONTROL_PAGE_TABLE];
    this.typeTable = i32[CONTROL_TYPE_TABLE];
    this.allocation = new Pages(memory, false);
    this.counts = new Uint8Array((this.top << PAGE_SHIFT) >>> GRANULE_SHIFT);
  }

  // -- asking -----------------------------------------------------------------------------------

  /** Whether an object, or a string, starts at this address. Side bytes beyond the pages are 0, or there are none. */
  isObject(address: number): boolean {
    return isStart(this.side[address >>> GRANULE_SHIFT] & ~REPAIR_SIDE_LISTED, address);
  }

  /** The same of a string alone. */
  isString(address: number): boolean {
    return this.isObject(address) && (this.i32[address + HEADER_TYPE] & TYPE_ID_MASK) === TYPE_ID_STRING;
  }

  /** Whether an object has been reached. @param object where one starts */
  isKept(object: Address): boolean {
    return this.counts[object >>> GRANULE_SHIFT] > 0;
  }

  /** Count references to an object. @returns whether they are the first */
  count(object: Address, references: number): boolean {
    const { counts, excess } = this;
    const granule = object >>> GRANULE_SHIFT;
    const seen = counts[granule];
    const sum = seen + references;
    counts[granule] = Math.min(sum, COUNT_SATURATED);
    if (sum > COUNT_SATURATED) excess.set(granule, (excess.get(granule) ?? 0) + sum - COUNT_SATURATED);
    return seen === 0;
  }

  private countOf(object: Address): number {
    const granule = object >>> GRANULE_SHIFT;
    const seen = this.counts[granule];
    return seen < COUNT_SATURATED ? seen : seen + (this.excess.get(granule) ?? 0);
  }

  /** Take a storage block for its owner. @returns its words; 0 where none starts, or another owner has it */
  claim(storage: number): number {
    const page = storage >>> PAGE_SHIFT;
    if (page < this.first || page >= this.top || this.lengthOf(page) === 0) return 0;
    const { i32, side } = this;
    const descriptor = this.descriptor(page);
    const words = i32[descriptor + PAGE_BLOCK_WORDS];
    const offset = storage & (PAGE_WORDS - 1);
    const isBlock = offset % words === 0 && offset < i32[descriptor + PAGE_CAPACITY] * words;
    if (!isBlock || kindOf(i32[descriptor + PAGE_STATE]) !== KIND_STORAGE) return 0;
    if (side[storage >>> GRANULE_SHIFT] !== 0) return 0;
    side[storage >>> GRANULE_SHIFT] = IMAGE_SIDE_CLAIMED;
    return words;
  }

  /** Call `visit` for every page, or run of one large block, that is in use, in address order. */
  forEachRun(visit: (page: number, descriptor: Address, state: number) => void): void {
    for (let page = this.first; page < this.top; ) {
      const length = this.lengthOf(page);
      const descriptor = this.descriptor(page);
      if (length > 0) visit(page, descriptor, this.i32[descriptor + PAGE_STATE]);
      page += Math.max(1, length);
    }
  }

  private descriptor(page: number): Address {
    return this.pageTable + (page << PAGE_DESCRIPTOR_SHIFT);
  }

  /** Pages of the run in use that begins here, or 0. */
  private lengthOf(page: number): number {
    const { i32 } = this;
    const descriptor = this.descriptor(page);
    const state = i32[descriptor + PAGE_STATE];
    const kind = state & 0xff;
    const words = i32[descriptor + PAGE_BLOCK_WORDS];
    if (kind >= PAGE_SMALL && kind <= PAGE_SMALL + KIND_STORAGE) {
      const isWhole = words === CLASS_WORDS[state >> 8];
      return isWhole && i32[descriptor + PAGE_CAPACITY] === Math.floor(PAGE_WORDS / words) ? 1 : 0;
    }
    const isLarge = kind >= PAGE_LARGE && kind <= PAGE_LARGE + KIND_STORAGE;
    const length = words >> PAGE_SHIFT;
    return isLarge && length >= 1 && length <= this.top - page ? length : 0;
  }

  // -- before anything is marked ----------------------------------------------------------------

  /** Find every block in which an object may live: its header makes sense. */
  admit(): void {
    this.clearMarks();
    this.forEachRun((page, descriptor, state) => {
      const kind = kindOf(state);
      if (kind === KIND_STORAGE) return;
      const words = this.i32[descriptor + PAGE_BLOCK_WORDS];
      this.admitPage(page << PAGE_SHIFT, words, this.i32[descriptor + PAGE_CAPACITY], kind);
    });
  }

  /** What was admitted, in address order. */
  objects(): Address[] {
    const { i32 } = this;
    const found: Address[] = [];
    this.forEachRun((page, descriptor) => {
      const words = i32[descriptor + PAGE_BLOCK_WORDS];
      const first = page << PAGE_SHIFT;
      const end = first + i32[descriptor + PAGE_CAPACITY] * words;
      for (let block = first; block < end; block += words) if (this.isObject(block)) found.push(block);
    });
    return found;
  }

  private admitPage(first: Address, words: number, capacity: number, kind: number): void {
    const { i32, side } = this;
    // Most pages have objects of one type.
    let known = 0;
    let code = 0;
    for (let block = first, end = first + capacity * words; block < end; block += words) {
      const id = i32[block + HEADER_TYPE] & TYPE_ID_MASK;
      if (id === 0) continue;
      if (id !== known) {
        if (!this.fits(id, kind, words)) continue;
        known = id;
        code = codeOf(id);
      }
      const serial = i32[block + HEADER_SERIAL];
      if (serial < 1 || serial > SERIAL_MAX) continue;
      if (id === TYPE_ID_STRING && !this.hasText(block, words)) continue;
      side[block >>> GRANULE_SHIFT] = startCode(code, block);
    }
  }

  /** Whether an object of a type can be in a block of this kind and size. */
  private fits(id: number, blockKind: number, words: number): boolean {
    const { i32 } = this;
    const type = this.typeTable + (id << TYPE_SHIFT);
    const kind = i32[type + TYPE_KIND];
    return (
      id < i32[CONTROL_TYPE_COUNT] &&
      kind > KIND_FREE &&
      kind <= KIND_FOREIGN &&
      i32[type + TYPE_BLOCK_KIND] === blockKind &&
      (kind === KIND_STRING ? STRING_DATA : i32[type + TYPE_OBJECT_WORDS]) <= words
    );
  }

  /** Whether a string's text is inside its block; its hash is made right. */
  private hasText(string: Address, words: number): boolean {
    const { i32 } = this;
    const length = i32[string + STRING_LENGTH];
    if (length < 2 || STRING_DATA + stringDataWords(length) > words) return false;
    i32[string + STRING_HASH] = hashUnits(i32, string + STRING_DATA, length);
    return true;
  }

  // -- when everything is marked ----------------------------------------------------------------

  /** Free every block that was not reached, with a serial that no view has, and give up the pages without any. */
  sweep(sweeper: Sweeper): void {
    this.forEachRun((page, descriptor, state) => {
      const kind = kindOf(state);
      const first = page << PAGE_SHIFT;
      const words = this.i32[descriptor + PAGE_BLOCK_WORDS];
      const last = first + (this.i32[descriptor + PAGE_CAPACITY] - 1) * words;
      const retiredBefore = this.retired;
      let free = 0;
      let used = 0;
      for (let block = last; block >= first; block -= words) {
        if (
          kind === KIND_STORAGE
            ? this.side[block >>> GRANULE_SHIFT] === IMAGE_SIDE_CLAIMED
            : this.sweepObject(block, sweeper)
        )
          used++;
        else {
          this.i32[block] = free;
          free = block;
        }
      }
      const isLarge = (state & 0xff) >= PAGE_LARGE;
      this.settlePage(page, descriptor, used, isLarge ? 0 : free, isLarge && this.retired > retiredBefore);
    });
  }

  /** @returns whether the block is in use */
  private sweepObject(block: Address, sweeper: Sweeper): boolean {
    const { i32 } = this;
    const count = this.countOf(block);
    if (count > 0) {
      i32[block + HEADER_REFCOUNT] = count;
      sweeper.keep(block);
      return true;
    }
    if (i32[block + HEADER_TYPE] !== 0) sweeper.drop();
    const serial = i32[block + HEADER_SERIAL];
    // A free block's too: its death may have ended before its serial was raised.
    const raised = serial >= 1 && serial < SERIAL_MAX ? serial + 1 : serial === SERIAL_MAX ? serial : 1;
    i32[block + HEADER_TYPE] = 0;
    i32[block + HEADER_SERIAL] = raised;
    if (raised < SERIAL_RETIRED) return false;
    this.retired++;
    return true;
  }

  private settlePage(
    page: number,
    descriptor: Address,
    used: number,
    free: Address,
    isRetired: boolean,
  ): void {
    const { i32 } = this;
    if (isRetired) this.retired--; // a large block is not kept for its serial
    if (used === 0 || isRetired) {
      i32[descriptor + PAGE_STATE] = PAGE_FREE_RUN;
      return;
    }
    i32[descriptor + PAGE_FREE_LIST] = free;
    i32[descriptor + PAGE_USED] = used;
    const length = this.lengthOf(page);
    i32[descriptor + PAGE_RUN] = length;
    for (let next = page + 1; next < page + length; next++)
      i32[this.descriptor(next) + PAGE_STATE] = PAGE_CONTINUATION;
    this.pagesUsed += length;
  }

  /** Make the free runs between the pages in use, the lists of pages with free blocks, and the counts of both. */
  finish(): void {
    const { i32 } = this;
    i32.fill(0, CONTROL_FREE_RUNS, CONTROL_FREE_RUNS + FREE_RUN_BINS);
    let end = this.first;
    const addFree = (page: number) => {
      for (let free = end; free < page; free++) this.forget(free);
      if (page > end) this.allocation.arenas.linkFreeRun(end, page - end);
    };
    this.forEachRun((page, descriptor) => {
      addFree(page);
      end = page + i32[descriptor + PAGE_RUN];
    });
    addFree(this.top);
    this.allocation.relist(this.first, this.top);
    i32[CONTROL_PAGES_USED] = this.pagesUsed;
    i32[CONTROL_RETIRED_BLOCKS] = this.retired;
  }

  /** What a free page says of itself: nothing that another repair would believe. */
  private forget(page: number): void {
    const descriptor = this.descriptor(page);
    this.i32.fill(0, descriptor, descriptor + PAGE_DESCRIPTOR_WORDS);
  }

  /** The side bytes are 0 between collections. */
  clearMarks(): void {
    const shift = PAGE_SHIFT - GRANULE_SHIFT - SIDE_WORD_SHIFT;
    this.sideWords.fill(0n, this.first << shift, this.top << shift);
    this.side[0] = 0;
  }
}
