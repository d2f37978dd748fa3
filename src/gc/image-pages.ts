/**
 * Reading an image, the first half: its pages. Where they go, which blocks they have, and the free lists, which are made
 * anew. Nothing that an image says is believed, and every loop ends after as many steps as there are words in it.
 */
import { Pages } from "../alloc/page.js";
import { CLASS_WORDS, sizeClassOf } from "../alloc/size-class.js";
import {
  type Address,
  CHUNK_WORDS,
  CONTROL_FIRST_PAGE,
  CONTROL_PAGE_TABLE,
  CONTROL_PAGES_USED,
  CONTROL_TOP_PAGE,
  FLAG_FINALIZED,
  GRANULE_SHIFT,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  IMAGE_RUN_LENGTH,
  IMAGE_RUN_PAGE,
  IMAGE_RUN_STATE,
  IMAGE_RUN_WORDS,
  IMAGE_SIDE_CLAIMED,
  IMAGE_TYPE_BLOCKS,
  IMAGE_TYPE_OBJECT_WORDS,
  IMAGE_TYPE_SHIFT,
  IMAGE_TYPE_WORD,
  KIND_CONTAINER,
  KIND_COUNT,
  KIND_STORAGE,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_CONTINUATION,
  PAGE_DESCRIPTOR_SHIFT,
  PAGE_FREE_LIST,
  PAGE_LARGE,
  PAGE_RUN,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  PAGE_USED,
  PAGE_WORDS,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { codeOf, isStart, startCode } from "./image-codes.js";
import { refuse } from "./image-plain.js";
import type { ImageColumns } from "./image-types.js";

export const CHUNKS_A_PAGE = PAGE_WORDS / CHUNK_WORDS;
export const CHUNK_PAGE_STATE = (PAGE_SMALL + KIND_STORAGE) | (sizeClassOf(CHUNK_WORDS) << 8);

export class ImagePages {
  readonly first: number;
  readonly top: number;
  /** What `arrive` has counted: objects, and those that can be on a cycle. */
  objects = 0;
  collectable = 0;
  /** Addresses of the chunks for the generation tables: pages of their own, in the holes of the image or behind it. */
  readonly chunks: Int32Array;
  private readonly i32: Int32Array;
  private readonly side: Uint8Array;
  private readonly runs: Int32Array;
  private readonly pageTable: Address;
  private readonly allocation: Pages;
  /** By page: words of its blocks, and of all of them, where they are storage; else 0. */
  private readonly storageWords: Int32Array;
  private readonly storageEnd: Int32Array;
  /** The first run that has not arrived. */
  private nextRun = 0;

  /** @param runs IMAGE_RUN_*, checked by `checkRuns` */
  constructor(memory: Memory, runs: Int32Array, top: number, chunkCount: number) {
    this.i32 = memory.i32;
    this.side = memory.side;
    this.runs = runs;
    this.first = memory.i32[CONTROL_FIRST_PAGE];
    this.top = top;
    this.pageTable = memory.i32[CONTROL_PAGE_TABLE];
    this.allocation = new Pages(memory, false);
    this.storageWords = new Int32Array(top);
    this.storageEnd = new Int32Array(top);
    this.chunks = new Int32Array(chunkCount);
    this.placeRuns();
  }

  // -- where blocks are -----------------------------------------------------------------------

  /** Whether an object, which `arrive` has seen, starts at this address. */
  isObject(address: number): boolean {
    return address >>> PAGE_SHIFT < this.top && isStart(this.side[address >>> GRANULE_SHIFT], address);
  }

  /** Words of the block of an object. */
  blockWords(object: Address): number {
    return this.i32[this.descriptor(object >>> PAGE_SHIFT) + PAGE_BLOCK_WORDS];
  }

  /** Note that a storage block belongs to `owner`, which needs so many words of it. */
  claim(storage: number, words: number, owner: Address): void {
    const page = storage >>> PAGE_SHIFT;
    const blockWords = page < this.top ? this.storageWords[page] : 0;
    const offset = storage & (PAGE_WORDS - 1);
    if (blockWords === 0 || offset % blockWords !== 0 || offset >= this.storageEnd[page])
      refuse(owner, `it names ${storage} as its storage, where no block starts`);
    if (words > blockWords) refuse(owner, `it needs ${words} words of storage and has ${blockWords}`);
    if (this.side[storage >>> GRANULE_SHIFT] !== 0)
      refuse(owner, `its storage ${storage} belongs to somebody else too`);
    this.side[storage >>> GRANULE_SHIFT] = IMAGE_SIDE_CLAIMED;
  }

  // -- pages ----------------------------------------------------------------------------------

  /** Write the descriptors of all runs, of the pages of chunks, and of the free runs between them. */
  private placeRuns(): void {
    const { i32, runs } = this;
    let end = this.first;
    let used = 0;
    let placed = 0;
    for (let run = 0; run < runs.length; run += IMAGE_RUN_WORDS) {
      const page = runs[run + IMAGE_RUN_PAGE];
      const length = runs[run + IMAGE_RUN_LENGTH];
      for (; end < page && placed < this.chunks.length; placed += CHUNKS_A_PAGE)
        this.placeChunks(end++, placed);
      if (page > end) this.allocation.arenas.linkFreeRun(end, page - end);
      this.placeRun(page, runs[run + IMAGE_RUN_STATE], length);
      end = page + length;
      used += length;
    }
    for (; placed < this.chunks.length; placed += CHUNKS_A_PAGE) this.placeChunks(end++, placed);
    i32[CONTROL_TOP_PAGE] = end;
    i32[CONTROL_PAGES_USED] = used + placed / CHUNKS_A_PAGE;
  }

  private descriptor(page: number): Address {
    return this.pageTable + (page << PAGE_DESCRIPTOR_SHIFT);
  }

  private placeRun(page: number, state: number, length: number): void {
    const { i32 } = this;
    const isLarge = (state & 0xff) >= PAGE_LARGE;
    const words = isLarge ? length * PAGE_WORDS : CLASS_WORDS[state >> 8];
    this.describe(page, state, length, words);
    for (let next = page + 1; next < page + length; next++)
      i32[this.descriptor(next) + PAGE_STATE] = PAGE_CONTINUATION;
    if (kindOf(state) !== KIND_STORAGE) return;
    this.storageWords[page] = words;
    this.storageEnd[page] = i32[this.descriptor(page) + PAGE_CAPACITY] * words;
  }

  private describe(page: number, state: number, length: number, words: number): Address {
    const { i32 } = this;
    const descriptor = this.descriptor(page);
    i32[descriptor + PAGE_STATE] = state;
    i32[descriptor + PAGE_RUN] = length;
    i32[descriptor + PAGE_BLOCK_WORDS] = words;
    i32[descriptor + PAGE_CAPACITY] = Math.floor((length * PAGE_WORDS) / words);
    return descriptor;
  }

  /** A page of chunks, from the `placed`-th on. */
  private placeChunks(page: number, placed: number): void {
    const descriptor = this.describe(page, CHUNK_PAGE_STATE, 1, CHUNK_WORDS);
    const used = Math.min(CHUNKS_A_PAGE, this.chunks.length - placed);
    let free = 0;
    for (let index = CHUNKS_A_PAGE - 1; index >= 0; index--) {
      const chunk = (page << PAGE_SHIFT) + index * CHUNK_WORDS;
      if (index < used) this.chunks[placed + index] = chunk;
      else {
        this.i32[chunk] = free;
        free = chunk;
      }
    }
    this.finishPage(descriptor, CHUNK_PAGE_STATE, free, used);
  }

  // -- blocks ---------------------------------------------------------------------------------

  /** Call `visit` for every page with objects, in address order: its first block, the end of its blocks, and their words. */
  forEachPage(visit: (first: Address, end: Address, words: number, isContainers: boolean) => void): void {
    const { runs, i32 } = this;
    for (let run = 0; run < runs.length; run += IMAGE_RUN_WORDS) {
      const kind = kindOf(runs[run + IMAGE_RUN_STATE]);
      if (kind === KIND_STORAGE) continue;
      const page = runs[run + IMAGE_RUN_PAGE];
      const descriptor = this.descriptor(page);
      const first = page << PAGE_SHIFT;
      const words = i32[descriptor + PAGE_BLOCK_WORDS];
      visit(first, first + i32[descriptor + PAGE_CAPACITY] * words, words, kind === KIND_CONTAINER);
    }
  }

  /**
   * The pages below this one have been read: check the header of every object in them, and make their free lists. Called
   * piece by piece, while a piece is still in the processor's cache.
   */
  arrive(endPage: number, types: ImageColumns): void {
    const { runs } = this;
    for (; this.nextRun < runs.length; this.nextRun += IMAGE_RUN_WORDS) {
      const page = runs[this.nextRun + IMAGE_RUN_PAGE];
      if (page >= endPage) return;
      const state = runs[this.nextRun + IMAGE_RUN_STATE];
      if (kindOf(state) !== KIND_STORAGE) this.checkPage(page, state, types.table);
    }
  }

  private checkPage(page: number, state: number, columns: Int32Array): void {
    const { i32, side } = this;
    const descriptor = this.descriptor(page);
    const words = i32[descriptor + PAGE_BLOCK_WORDS];
    const capacity = i32[descriptor + PAGE_CAPACITY];
    const first = page << PAGE_SHIFT;
    const kind = kindOf(state);
    let free = 0;
    let freeCount = 0;
    // Most pages have objects of one type: the type word that was right last time is right again.
    let known = 0;
    let typeWord = 0;
    let code = 0;
    for (let block = first + (capacity - 1) * words; block >= first; block -= words) {
      const word = i32[block + HEADER_TYPE];
      if (word === 0) {
        i32[block] = free;
        i32[block + HEADER_SERIAL] = 1;
        free = block;
        freeCount++;
        continue;
      }
      if (word !== known) {
        typeWord = checkTypeWord(columns, word, block, kind, words);
        code = codeOf(word & TYPE_ID_MASK);
        known = word;
      }
      if ((i32[block + HEADER_REFCOUNT] | i32[block + HEADER_SERIAL]) !== 0)
        refuse(block, "a count or a serial where none is saved");
      i32[block + HEADER_TYPE] = typeWord;
      i32[block + HEADER_SERIAL] = 1;
      side[block >>> GRANULE_SHIFT] = startCode(code, block);
    }
    const used = capacity - freeCount;
    this.objects += used;
    if (kind === KIND_CONTAINER) this.collectable += used;
    this.finishPage(descriptor, state, free, used);
  }

  /** When every owner has claimed its storage: make the free lists of the rest. */
  checkStorage(): void {
    const { i32, side, runs } = this;
    for (let run = 0; run < runs.length; run += IMAGE_RUN_WORDS) {
      const state = runs[run + IMAGE_RUN_STATE];
      if (kindOf(state) !== KIND_STORAGE) continue;
      const first = runs[run + IMAGE_RUN_PAGE] << PAGE_SHIFT;
      const descriptor = this.descriptor(runs[run + IMAGE_RUN_PAGE]);
      const words = i32[descriptor + PAGE_BLOCK_WORDS];
      let free = 0;
      let used = 0;
      for (
        let block = first + (i32[descriptor + PAGE_CAPACITY] - 1) * words;
        block >= first;
        block -= words
      ) {
        if (side[block >>> GRANULE_SHIFT] !== 0) {
          used++;
          continue;
        }
        i32[block] = free;
        free = block;
      }
      this.finishPage(descriptor, state, free, used);
    }
  }

  private finishPage(descriptor: Address, state: number, free: Address, used: number): void {
    const { i32 } = this;
    if (used === 0)
      refuse(
        ((descriptor - this.pageTable) >> PAGE_DESCRIPTOR_SHIFT) << PAGE_SHIFT,
        "a page in use without a block in use",
      );
    i32[descriptor + PAGE_USED] = used;
    if ((state & 0xff) < PAGE_LARGE) i32[descriptor + PAGE_FREE_LIST] = free;
  }

  /** When all has been checked and all lists of blocks are made: those of the pages that have free ones, lowest first. */
  finish(): void {
    const { i32 } = this;
    this.side.fill(
      0,
      (this.first << PAGE_SHIFT) >>> GRANULE_SHIFT,
      (this.top << PAGE_SHIFT) >>> GRANULE_SHIFT,
    );
    this.allocation.relist(this.first, i32[CONTROL_TOP_PAGE]);
  }
}

/** @returns the type word that such an object has from now on */
function checkTypeWord(
  columns: Int32Array,
  word: number,
  block: Address,
  kind: number,
  blockWords: number,
): number {
  const id = word & TYPE_ID_MASK;
  const column = id << IMAGE_TYPE_SHIFT;
  if (column >= columns.length || columns[column + IMAGE_TYPE_BLOCKS] === 0)
    refuse(block, `an object of type ${id}, which there is not`);
  if ((word & ~(TYPE_ID_MASK | FLAG_FINALIZED)) !== 0) refuse(block, `flags ${word >>> 16} of an object`);
  if (
    columns[column + IMAGE_TYPE_BLOCKS] !== kind + 1 ||
    columns[column + IMAGE_TYPE_OBJECT_WORDS] > blockWords
  )
    refuse(block, `an object of type ${id} in a page of blocks of kind ${kind} and ${blockWords} words`);
  return word | columns[column + IMAGE_TYPE_WORD];
}

/** KIND_* of the blocks of a page. */
export function kindOf(state: number): number {
  return (state & 0xff) - ((state & 0xff) >= PAGE_LARGE ? PAGE_LARGE : PAGE_SMALL);
}

/**
 * Check where the pages of an image are said to go: in order, apart, between the first page and the top.
 * @returns what is wrong with them, or undefined
 */
export function checkRuns(
  runs: Int32Array,
  place: { readonly firstPage: number; readonly topPage: number; readonly pages: number },
): string | undefined {
  let end = place.firstPage;
  let pages = 0;
  for (let run = 0; run < runs.length; run += IMAGE_RUN_WORDS) {
    const page = runs[run + IMAGE_RUN_PAGE];
    const state = runs[run + IMAGE_RUN_STATE];
    const length = runs[run + IMAGE_RUN_LENGTH];
    const kind = state & 0xff;
    const sizeClass = state >> 8;
    const isSmall = kind >= PAGE_SMALL && kind < PAGE_SMALL + KIND_COUNT && length === 1;
    const isLarge = kind >= PAGE_LARGE && kind < PAGE_LARGE + KIND_COUNT && length >= 1;
    const hasClass = isSmall ? sizeClass >= 0 && sizeClass < CLASS_WORDS.length : sizeClass === 0;
    if (!(isSmall || isLarge) || !hasClass)
      return `page ${page} has the state ${state} and a run of ${length}`;
    if (page < end || page >= place.topPage || length > place.topPage - page)
      return `a run of ${length} pages at ${page}, which overlaps or lies outside`;
    end = page + length;
    pages += length;
  }
  if (pages !== place.pages) return `${place.pages} pages are announced and ${pages} are listed`;
  if (end !== Math.max(place.topPage, place.firstPage))
    return `the last page is ${end}, not ${place.topPage}`;
  return undefined;
}

/** One past the last page that an image takes with the chunks of its tables. */
export function endPageOf(
  place: { readonly firstPage: number; readonly topPage: number; readonly pages: number },
  chunkCount: number,
): number {
  const free = place.topPage - place.firstPage - place.pages;
  return place.topPage + Math.max(0, Math.ceil(chunkCount / CHUNKS_A_PAGE) - free);
}
