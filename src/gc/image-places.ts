/**
 * Reading an image: where its blocks start. It is asked for every reference of the image, so what it has to know of a page
 * stands side by side outside the heap, and is asked without a division.
 */
import { type Address, PAGE_SHIFT, PAGE_WORDS } from "../memory/layout.js";

/** By page, in words of `places`; all 0 where no block starts. */
const PLACE_SHIFT = 2;
/** What to multiply half an offset with: 2^21 / half the words of a block, rounded up. 0: one block, at the page's start. */
const PLACE_RECIPROCAL = 0;
/** Words of a block. */
const PLACE_BLOCK = 1;
/** One past the last word at which a block with an object, or one of storage, may start; 0 where none is. */
const PLACE_OBJECTS_END = 2;
const PLACE_STORAGE_END = 3;

const RECIPROCAL_SHIFT = 21;

export type ImagePlaces = Int32Array;

/** @param top one past the last page */
export function makePlaces(top: number): ImagePlaces {
  return new Int32Array(top << PLACE_SHIFT);
}

/** Note which blocks start in a page. @param blockWords even; `isLarge`: of one block that starts with this page */
export function addPlace(
  places: ImagePlaces,
  page: number,
  blockWords: number,
  isLarge: boolean,
  isStorage: boolean,
): void {
  const place = page << PLACE_SHIFT;
  places[place + PLACE_RECIPROCAL] = isLarge ? 0 : Math.ceil(2 ** RECIPROCAL_SHIFT / (blockWords / 2));
  places[place + PLACE_BLOCK] = blockWords;
  places[place + (isStorage ? PLACE_STORAGE_END : PLACE_OBJECTS_END)] = isLarge
    ? 1
    : Math.floor(PAGE_WORDS / blockWords) * blockWords;
}

/** Words of the block if one that may hold an object starts here, or 0. */
export function objectWordsAt(places: ImagePlaces, address: Address): number {
  return wordsAt(places, address, PLACE_OBJECTS_END);
}

/** Words of the block if one of storage starts here, or 0. */
export function storageWordsAt(places: ImagePlaces, address: Address): number {
  return wordsAt(places, address, PLACE_STORAGE_END);
}

/**
 * Offsets and blocks are even: halved, their product with the reciprocal has 32 bits, and its quotient is right for every
 * multiple of the block. For what is no multiple no quotient is.
 */
function wordsAt(places: ImagePlaces, address: Address, end: number): number {
  const place = (address >>> PAGE_SHIFT) << PLACE_SHIFT;
  if (place >= places.length) return 0;
  const offset = address & (PAGE_WORDS - 1);
  if (offset >= places[place + end]) return 0;
  const words = places[place + PLACE_BLOCK];
  const block = Math.imul(offset >>> 1, places[place + PLACE_RECIPROCAL]) >>> RECIPROCAL_SHIFT;
  return Math.imul(block, words) === offset ? words : 0;
}
