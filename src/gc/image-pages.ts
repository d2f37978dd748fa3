/**
 * Reading an image, the first half: its pages. Where they go, which blocks they have, and the free lists, which are made
 * anew. Nothing that an image says is believed, and every loop ends after as many steps as there are words in it.
 */
import { CLASS_WORDS } from "../alloc/size-class.js";
import { ImageError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_AVAILABLE,
  CONTROL_FIRST_PAGE,
  CONTROL_FREE_RUNS,
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
  KIND_CONTAINER,
  KIND_COUNT,
  KIND_STORAGE,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_CONTINUATION,
  PAGE_DESCRIPTOR_SHIFT,
  PAGE_FREE_LIST,
  PAGE_FREE_RUN,
  PAGE_LARGE,
  PAGE_NEXT,
  PAGE_PREVIOUS,
  PAGE_RUN,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  PAGE_USED,
  PAGE_WORDS,
  SIZE_CLASS_COUNT_MAX,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import type { ImageType } from "./image-types.js";

/** The image is whole, and makes no sense. */
export function refuse(address: number, what: string): never {
  throw new ImageError("IMAGE_INVALID", `The saved heap makes no sense at address ${address}: ${what}.`);
}

export class ImagePages {
  readonly first: number;
  readonly top: number;
  /** Objects that can be on a cycle, as `checkObjects` has counted them. */
  collectable = 0;
  private readonly i32: Int32Array;
  private readonly side: Uint8Array;
  private readonly runs: Int32Array;
  private readonly pageTable: Address;
  /** By page: words of its blocks, and words of all of them; 0 where no block starts. Objects and storage apart. */
  private readonly objectWords: Int32Array;
  private readonly storageWords: Int32Array;
  private readonly blocksEnd: Int32Array;

  /** @param runs IMAGE_RUN_*, checked by `checkRuns` */
  constructor(memory: Memory, runs: Int32Array, top: number) {
    this.i32 = memory.i32;
    this.side = memory.side;
    this.runs = runs;
    this.first = memory.i32[CONTROL_FIRST_PAGE];
    this.top = top;
    this.pageTable = memory.i32[CONTROL_PAGE_TABLE];
    this.objectWords = new Int32Array(top);
    this.storageWords = new Int32Array(top);
    this.blocksEnd = new Int32Array(top);
  }

  // -- where blocks are -----------------------------------------------------------------------

  /** Whether an object, which `checkObjects` has seen, starts at this address. */
  isObject(address: number): boolean {
    const page = address >>> PAGE_SHIFT;
    const words = page < this.top ? this.objectWords[page] : 0;
    if (words === 0) return false;
    const offset = address & (PAGE_WORDS - 1);
    return offset % words === 0 && offset < this.blocksEnd[page] && this.i32[address + HEADER_TYPE] !== 0;
  }

  /** Note that a storage block belongs to `owner`, which needs so many words of it. */
  claim(storage: number, words: number, owner: Address): void {
    const page = storage >>> PAGE_SHIFT;
    const blockWords = page < this.top ? this.storageWords[page] : 0;
    const offset = storage & (PAGE_WORDS - 1);
    if (blockWords === 0 || offset % blockWords !== 0 || offset >= this.blocksEnd[page])
      refuse(owner, `it names ${storage} as its storage, where no block starts`);
    if (words > blockWords) refuse(owner, `it needs ${words} words of storage and has ${blockWords}`);
    if (this.side[storage >>> GRANULE_SHIFT] !== 0)
      refuse(owner, `its storage ${storage} belongs to somebody else too`);
    this.side[storage >>> GRANULE_SHIFT] = 1;
  }

  // -- pages ----------------------------------------------------------------------------------

  /** Write the descriptors of all runs, and of the free runs between them. */
  placeRuns(): void {
    const { i32, runs } = this;
    let end = this.first;
    let used = 0;
    for (let run = 0; run < runs.length; run += IMAGE_RUN_WORDS) {
      const page = runs[run + IMAGE_RUN_PAGE];
      const length = runs[run + IMAGE_RUN_LENGTH];
      if (page > end) this.placeFree(end, page - end);
      this.placeRun(page, runs[run + IMAGE_RUN_STATE], length);
      end = page + length;
      used += length;
    }
    i32[CONTROL_TOP_PAGE] = this.top;
    i32[CONTROL_PAGES_USED] = used;
  }

  private descriptor(page: number): Address {
    return this.pageTable + (page << PAGE_DESCRIPTOR_SHIFT);
  }

  private placeRun(page: number, state: number, length: number): void {
    const { i32 } = this;
    const descriptor = this.descriptor(page);
    const isLarge = (state & 0xff) >= PAGE_LARGE;
    const words = isLarge ? length * PAGE_WORDS : CLASS_WORDS[state >> 8];
    const capacity = isLarge ? 1 : Math.floor(PAGE_WORDS / words);
    i32[descriptor + PAGE_STATE] = state;
    i32[descriptor + PAGE_RUN] = length;
    i32[descriptor + PAGE_BLOCK_WORDS] = words;
    i32[descriptor + PAGE_CAPACITY] = capacity;
    for (let next = page + 1; next < page + length; next++)
      i32[this.descriptor(next) + PAGE_STATE] = PAGE_CONTINUATION;
    const isStorage = kindOf(state) === KIND_STORAGE;
    (isStorage ? this.storageWords : this.objectWords)[page] = words;
    this.blocksEnd[page] = capacity * words;
  }

  private placeFree(page: number, length: number): void {
    const { i32 } = this;
    const first = this.descriptor(page);
    const last = this.descriptor(page + length - 1);
    const bin = CONTROL_FREE_RUNS + 31 - Math.clz32(length);
    const head = i32[bin];
    i32[last + PAGE_STATE] = PAGE_FREE_RUN;
    i32[last + PAGE_RUN] = length;
    i32[first + PAGE_STATE] = PAGE_FREE_RUN;
    i32[first + PAGE_RUN] = length;
    i32[first + PAGE_NEXT] = head;
    if (head !== 0) i32[head + PAGE_PREVIOUS] = first;
    i32[bin] = first;
  }

  // -- blocks ---------------------------------------------------------------------------------

  /** Words of the block of an object. */
  blockWords(object: Address): number {
    return this.objectWords[object >>> PAGE_SHIFT];
  }

  /** Call `visit` for every block that holds an object, in address order. @param leavesOnly pass over those that can be on a cycle */
  forEachObject(visit: (object: Address) => void, leavesOnly = false): void {
    const { runs, i32 } = this;
    for (let run = 0; run < runs.length; run += IMAGE_RUN_WORDS) {
      const page = runs[run + IMAGE_RUN_PAGE];
      const words = this.objectWords[page];
      if (words === 0 || (leavesOnly && kindOf(runs[run + IMAGE_RUN_STATE]) === KIND_CONTAINER)) continue;
      const first = page << PAGE_SHIFT;
      const end = first + this.blocksEnd[page];
      for (let block = first; block < end; block += words) if (i32[block + HEADER_TYPE] !== 0) visit(block);
    }
  }

  /** Check the header of every object, and make the free lists of the pages they are in. */
  checkObjects(types: readonly (ImageType | undefined)[]): void {
    const { runs } = this;
    // Backwards, so that the lists of pages have the lowest one first.
    for (let run = runs.length - IMAGE_RUN_WORDS; run >= 0; run -= IMAGE_RUN_WORDS) {
      const page = runs[run + IMAGE_RUN_PAGE];
      if (this.objectWords[page] !== 0) this.checkPage(page, runs[run + IMAGE_RUN_STATE], types);
    }
  }

  private checkPage(page: number, state: number, types: readonly (ImageType | undefined)[]): void {
    const { i32 } = this;
    const words = this.objectWords[page];
    const first = page << PAGE_SHIFT;
    const kind = kindOf(state);
    let free = 0;
    let used = 0;
    for (let block = first + this.blocksEnd[page] - words; block >= first; block -= words) {
      const word = i32[block + HEADER_TYPE];
      if (word === 0) {
        i32[block] = free;
        i32[block + HEADER_SERIAL] = 1;
        free = block;
        continue;
      }
      const type = types[word & TYPE_ID_MASK];
      if (type === undefined) refuse(block, `an object of type ${word & TYPE_ID_MASK}, which there is not`);
      if ((word & ~(TYPE_ID_MASK | FLAG_FINALIZED)) !== 0) refuse(block, `flags ${word >>> 16} of an object`);
      if (type.blockKind !== kind || type.objectWords > words)
        refuse(block, `a ${type.text} in a page of blocks of kind ${kind} and ${words} words`);
      if (i32[block + HEADER_REFCOUNT] !== 0 || i32[block + HEADER_SERIAL] !== 0)
        refuse(block, "a count or a serial where none is saved");
      i32[block + HEADER_TYPE] = word | type.typeWord;
      i32[block + HEADER_SERIAL] = 1;
      used++;
    }
    if (kind === KIND_CONTAINER) this.collectable += used;
    this.finishPage(page, state, free, used);
  }

  /** When every owner has claimed its storage: make the free lists of the rest. */
  checkStorage(): void {
    const { i32, side, runs } = this;
    for (let run = runs.length - IMAGE_RUN_WORDS; run >= 0; run -= IMAGE_RUN_WORDS) {
      const page = runs[run + IMAGE_RUN_PAGE];
      const words = this.storageWords[page];
      if (words === 0) continue;
      const first = page << PAGE_SHIFT;
      let free = 0;
      let used = 0;
      for (let block = first + this.blocksEnd[page] - words; block >= first; block -= words) {
        if (side[block >>> GRANULE_SHIFT] !== 0) {
          side[block >>> GRANULE_SHIFT] = 0;
          used++;
          continue;
        }
        i32[block] = free;
        free = block;
      }
      this.finishPage(page, runs[run + IMAGE_RUN_STATE], free, used);
    }
  }

  private finishPage(page: number, state: number, free: Address, used: number): void {
    const { i32 } = this;
    const descriptor = this.descriptor(page);
    if (used === 0) refuse(page << PAGE_SHIFT, "a page in use without a block in use");
    i32[descriptor + PAGE_USED] = used;
    if ((state & 0xff) >= PAGE_LARGE) return;
    i32[descriptor + PAGE_FREE_LIST] = free;
    if (free === 0) return;
    const head = CONTROL_AVAILABLE + kindOf(state) * SIZE_CLASS_COUNT_MAX + (state >> 8);
    const next = i32[head];
    i32[descriptor + PAGE_NEXT] = next;
    if (next !== 0) i32[next + PAGE_PREVIOUS] = descriptor;
    i32[head] = descriptor;
  }
}

/** KIND_* of the blocks of a page. */
function kindOf(state: number): number {
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
