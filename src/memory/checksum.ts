/**
 * XXH32, the 32-bit hash of the xxHash family, over words: Yann Collet, "xxHash fast digest algorithm" (specification),
 * section "XXH32 Algorithm description"; the names are its own. The seed is 0. Input comes in any number of pieces, each a
 * number of words, because everything in an image is.
 *
 * Each step of a lane is a bijection of the word that it takes in: a change within one word always changes the result.
 */
const PRIME32_1 = 0x9e3779b1 | 0;
const PRIME32_2 = 0x85ebca77 | 0;
const PRIME32_3 = 0xc2b2ae3d | 0;
const PRIME32_4 = 0x27d4eb2f;
const PRIME32_5 = 0x165667b1;

const STRIPE_WORDS = 4;

export class Checksum {
  private acc1 = (PRIME32_1 + PRIME32_2) | 0;
  private acc2 = PRIME32_2;
  private acc3 = 0;
  private acc4 = -PRIME32_1 | 0;
  /** Words of a stripe that is not complete. */
  private readonly rest = new Int32Array(STRIPE_WORDS);
  private restWords = 0;
  private totalWords = 0;

  /** Take in words [from, to) of an array. O(words). */
  update(words: Int32Array, from = 0, to = words.length): this {
    this.totalWords += to - from;
    let next = from;
    while (this.restWords > 0 && next < to) {
      this.rest[this.restWords++] = words[next++];
      if (this.restWords < STRIPE_WORDS) continue;
      this.stripes(this.rest, 0, STRIPE_WORDS);
      this.restWords = 0;
    }
    const end = next + Math.floor((to - next) / STRIPE_WORDS) * STRIPE_WORDS;
    this.stripes(words, next, end);
    for (next = Math.max(next, end); next < to; next++) this.rest[this.restWords++] = words[next];
    return this;
  }

  /** The checksum of all that was taken in, as a signed word. */
  get value(): number {
    let acc =
      this.totalWords >= STRIPE_WORDS
        ? rotateLeft(this.acc1, 1) +
          rotateLeft(this.acc2, 7) +
          rotateLeft(this.acc3, 12) +
          rotateLeft(this.acc4, 18)
        : PRIME32_5;
    acc = (acc + this.totalWords * 4) | 0;
    for (const lane of this.rest.subarray(0, this.restWords))
      acc = Math.imul(rotateLeft((acc + Math.imul(lane, PRIME32_3)) | 0, 17), PRIME32_4);
    acc = Math.imul(acc ^ (acc >>> 15), PRIME32_2);
    acc = Math.imul(acc ^ (acc >>> 13), PRIME32_3);
    return acc ^ (acc >>> 16);
  }

  private stripes(words: Int32Array, from: number, to: number): void {
    let { acc1, acc2, acc3, acc4 } = this;
    let next = from;
    // Two at a time: the test of the loop is a tenth of the work.
    for (; next + STRIPE_WORDS < to; next += 2 * STRIPE_WORDS) {
      acc1 = round(acc1, words[next]);
      acc2 = round(acc2, words[next + 1]);
      acc3 = round(acc3, words[next + 2]);
      acc4 = round(acc4, words[next + 3]);
      acc1 = round(acc1, words[next + 4]);
      acc2 = round(acc2, words[next + 5]);
      acc3 = round(acc3, words[next + 6]);
      acc4 = round(acc4, words[next + 7]);
    }
    for (; next < to; next += STRIPE_WORDS) {
      acc1 = round(acc1, words[next]);
      acc2 = round(acc2, words[next + 1]);
      acc3 = round(acc3, words[next + 2]);
      acc4 = round(acc4, words[next + 3]);
    }
    this.acc1 = acc1;
    this.acc2 = acc2;
    this.acc3 = acc3;
    this.acc4 = acc4;
  }
}

function round(acc: number, lane: number): number {
  return Math.imul(rotateLeft((acc + Math.imul(lane, PRIME32_2)) | 0, 13), PRIME32_1);
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** The bytes of some words, not copied. */
export function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
