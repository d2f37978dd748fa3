/**
 * Words to size class and back. Waste inside a block is at most one word from 4 to 32 words, and less than an eighth of
 * the block up to 512. Above that, classes divide a page by 7, 6, .. 2: up to a third of a block can be wasted, but no
 * other size would put one more block into the page.
 */
import { PAGE_WORDS, SIZE_CLASS_COUNT_MAX } from "../memory/layout.js";

/** The largest block of a page; larger ones get page runs of their own. */
export const SMALL_WORDS_MAX = PAGE_WORDS / 2;

const BLOCK_WORDS_MIN = 4;
const LINEAR_WORDS_MAX = 32;
const STEPS_PER_DOUBLING = 8;

function makeClassWords(): number[] {
  const words: number[] = [];
  for (let size = BLOCK_WORDS_MIN; size <= LINEAR_WORDS_MAX; size += 2) words.push(size);
  for (let base = LINEAR_WORDS_MAX; base < 512; base *= 2)
    for (let step = 1; step <= STEPS_PER_DOUBLING; step++)
      words.push(base + (base / STEPS_PER_DOUBLING) * step);
  // Above 512 words only sizes that divide a page with little left: 7, 6, 5, 4, 3, 2 blocks a page.
  for (let blocks = 7; blocks >= 2; blocks--) words.push(Math.floor(PAGE_WORDS / blocks / 2) * 2);
  return words;
}

/** Words of a block, by size class. */
export const CLASS_WORDS: readonly number[] = makeClassWords();

export const SIZE_CLASS_COUNT = CLASS_WORDS.length;
if (SIZE_CLASS_COUNT > SIZE_CLASS_COUNT_MAX)
  throw new Error("more size classes than the layout has room for");

/** Indexed by half the word count, rounded up: every class size is even. */
const classOfPair = new Uint8Array(SMALL_WORDS_MAX / 2 + 1);
for (let pairs = 0, index = 0; pairs < classOfPair.length; pairs++) {
  while (CLASS_WORDS[index] < pairs * 2) index++;
  classOfPair[pairs] = index;
}

/** The smallest class that holds `words` words (1 to SMALL_WORDS_MAX). O(1). */
export function sizeClassOf(words: number): number {
  return classOfPair[(words + 1) >> 1];
}
