/**
 * Reading an image: where its blocks start. It is asked for every reference of the image, so what it has to know of a page
 * stands side by side outside the heap, and is asked without a division.
 */
import { type Address, PAGE_SHIFT, PAGE_WORDS } from "../memory/layout.js";

/** By page, PLACE_WORDS each. All 0 where no block starts. */
const PLACE_SHIFT = 2;
/** What to multiply half an offset with: 2^21 / half the words of a block, rounded up. 0: one block, at the page's start. */
const PLACE_RECIPROCAL = 0;
/** Words of a block. */
const PLACE_BLOCK = 1;
/** One past the last word at which a block with an object, or one of storage, may start; 0 where none is. */
const PLACE_OBJECTS_END = 2;
const PLACE_STORAGE_END = 3;

const RECIPROCAL_SHIFT = 21;

export class ImagePlaces {
  private readonly places: Int32Array;
  private readonly top: number;

  /** @param top one past the last page */
  constructor(top: number) {
    this.top = top;
    this.places = new Int32Array(top << PLACE_SHIFT);
  }

  /** Note which blocks start in a page. @param blockWords even; `isLarge`: one block from this page on */
  add(page: number, blockWords: number, isLarge: boolean, isStorage: boolean): void {
    const { places } = this;
    const place = page << PLACE_SHIFT;
    places[place + PLACE_RECIPROCAL] = isLarge ? 0 : Math.ceil(2 ** RECIPROCAL_SHIFT / (blockWords / 2));
    places[place + PLACE_BLOCK] = blockWords;
    places[place + (isStorage ? PLACE_STORAGE_END : PLACE_OBJECTS_END)] = isLarge
      ? 1
      : Math.floor(PAGE_WORDS / blockWords) * blockWords;
  }

  /** Words of the block if one that may hold an object starts here, or 0. */
  objectWords(address: Address): number {
    return this.wordsAt(address, PLACE_OBJECTS_END);
  }

  /** Words of the block if one of storage starts here, or 0. */
  storageWords(address: Address): number {
    return this.wordsAt(address, PLACE_STORAGE_END);
  }

  /**
   * Offsets and blocks are even: halved, their product with the reciprocal has 32 bits, and its quotient is right for every
   * multiple of the block. For what is no multiple no quotient is.
   */
  private wordsAt(address: Address, end: number): number {
    const { places } = this;
    const page = address >>> PAGE_SHIFT;
    if (page >= this.top) return 0;
    const place = page << PLACE_SHIFT;
    const offset = address & (PAGE_WORDS - 1);
    if (offset >= places[place + end]) return 0;
    const words = places[place + PLACE_BLOCK];
    const block = Math.imul(offset >>> 1, places[place + PLACE_RECIPROCAL]) >>> RECIPROCAL_SHIFT;
    return block * words === offset ? words : 0;
  }
}
