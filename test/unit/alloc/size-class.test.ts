import { describe, expect, it } from "vitest";
import {
  CLASS_WORDS,
  SIZE_CLASS_COUNT,
  SMALL_WORDS_MAX,
  sizeClassOf,
} from "../../../src/alloc/size-class.js";
import {
  CHUNK_WORDS,
  GRANULE_SHIFT,
  HEADER_WORDS,
  PAGE_WORDS,
  SIZE_CLASS_COUNT_MAX,
} from "../../../src/memory/layout.js";

const BLOCK_WORDS_MIN = 4;
const everySize = Array.from({ length: SMALL_WORDS_MAX }, (_, index) => index + 1);

function blockWords(words: number): number {
  return CLASS_WORDS[sizeClassOf(words)];
}

/** The sizes of which a statement does not hold: none, and seen by their numbers when there are some. */
function exceptions(sizes: number[], holds: (words: number) => boolean): number[] {
  return sizes.filter((words) => !holds(words));
}

describe("the size class of a word count", () => {
  it("holds that many words", () => {
    expect(exceptions(everySize, (words) => blockWords(words) >= words)).toEqual([]);
  });

  it("is the smallest that does", () => {
    expect(
      exceptions(everySize, (words) => {
        const sizeClass = sizeClassOf(words);
        return sizeClass === 0 || CLASS_WORDS[sizeClass - 1] < words;
      }),
    ).toEqual([]);
  });

  it("is its own for the words of a whole block", () => {
    for (const [sizeClass, words] of CLASS_WORDS.entries()) expect(sizeClassOf(words)).toBe(sizeClass);
  });

  it("wastes at most a word from 4 to 32 words", () => {
    const sizes = everySize.filter((words) => words >= BLOCK_WORDS_MIN && words <= 32);
    expect(exceptions(sizes, (words) => blockWords(words) - words <= 1)).toEqual([]);
  });

  it("wastes less than an eighth of the block up to 512 words", () => {
    const sizes = everySize.filter((words) => words > 32 && words <= 512);
    expect(exceptions(sizes, (words) => blockWords(words) - words < blockWords(words) / 8)).toEqual([]);
  });

  it("wastes nothing that a page could use for another block above 512 words", () => {
    const sizes = everySize.filter((words) => words > 512);
    const even = (words: number) => words + (words % 2);
    const perPage = (words: number) => Math.floor(PAGE_WORDS / words);
    expect(exceptions(sizes, (words) => perPage(blockWords(words)) === perPage(even(words)))).toEqual([]);
    expect(exceptions(sizes, (words) => blockWords(words) - words <= blockWords(words) / 3 + 1)).toEqual([]);
  });
});

describe("the classes", () => {
  it("rise, are even, and end at half a page", () => {
    expect(CLASS_WORDS).toEqual([...new Set(CLASS_WORDS)].sort((a, b) => a - b));
    expect(CLASS_WORDS.filter((words) => words % 2 !== 0)).toEqual([]);
    expect(CLASS_WORDS.at(-1)).toBe(SMALL_WORDS_MAX);
    expect(SMALL_WORDS_MAX * 2).toBe(PAGE_WORDS);
  });

  it("start with a block that holds a header and no other block's start in its granule", () => {
    expect(CLASS_WORDS[0]).toBe(BLOCK_WORDS_MIN);
    expect(BLOCK_WORDS_MIN).toBeGreaterThanOrEqual(HEADER_WORDS);
    expect(BLOCK_WORDS_MIN).toBeGreaterThanOrEqual(1 << GRANULE_SHIFT);
  });

  it("fit where the layout counts them by kind", () => {
    expect(SIZE_CLASS_COUNT).toBe(CLASS_WORDS.length);
    expect(SIZE_CLASS_COUNT).toBeLessThanOrEqual(SIZE_CLASS_COUNT_MAX);
  });

  it("have one for a generation's chunk", () => {
    expect(blockWords(CHUNK_WORDS)).toBe(CHUNK_WORDS);
  });

  it("leave less than 1/64 of a page behind its last block up to 32 words, and at most an eighth after that", () => {
    for (const words of CLASS_WORDS)
      expect(PAGE_WORDS % words).toBeLessThanOrEqual(words <= 32 ? PAGE_WORDS / 64 : PAGE_WORDS / 8);
  });
});
