/**
 * Damage to saved heaps: blind, and by somebody who knows the format. Shared by the unit test and by image.mjs; nothing here
 * comes from the library, so that a checksum that is wrong in both ways is noticed.
 */

/** Marsaglia's xorshift32: whole numbers below `limit`. */
export function randomFrom(seed) {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const HEADER_WORDS = 16;
const WORD = 4;
const PAGE_WORDS = 4096;
const RUN_WORDS = 3;

/** Where the parts of an image begin, in words. */
function partsOf(words) {
  const metadata = HEADER_WORDS;
  const runs = metadata + Math.ceil(words[4] / WORD);
  const pages = runs + words[5] * RUN_WORDS;
  const generations = pages + words[6] * PAGE_WORDS;
  return { metadata, runs, pages, generations, end: words.length - 1 };
}

/** XXH32 as its specification writes it, a byte at a time. */
export function xxh32(bytes) {
  const [p1, p2, p3, p4, p5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1];
  const rotate = (x, r) => ((x << r) | (x >>> (32 - r))) >>> 0;
  const at = (i) => (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)) >>> 0;
  const acc = [p1 + p2, p2, 0, -p1];
  let i = 0;
  for (; i + 16 <= bytes.length; i += 16)
    for (let lane = 0; lane < 4; lane++)
      acc[lane] = Math.imul(rotate((acc[lane] + Math.imul(at(i + lane * 4), p2)) | 0, 13), p1);
  let h =
    bytes.length < 16 ? p5 : rotate(acc[0], 1) + rotate(acc[1], 7) + rotate(acc[2], 12) + rotate(acc[3], 18);
  h = (h + bytes.length) | 0;
  for (; i + 4 <= bytes.length; i += 4) h = Math.imul(rotate((h + Math.imul(at(i), p3)) | 0, 17), p4);
  for (; i < bytes.length; i++) h = Math.imul(rotate((h + Math.imul(bytes[i], p5)) | 0, 11), p1);
  h = Math.imul(h ^ (h >>> 15), p2);
  h = Math.imul(h ^ (h >>> 13), p3);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Make the checksums right again, as far as what is left looks like an image. */
export function recompute(bytes) {
  const copy = bytes.slice(0, bytes.length & ~3);
  const words = new Int32Array(copy.buffer);
  if (words.length < HEADER_WORDS + 1) return copy;
  const { metadata, pages, end } = partsOf(words);
  if (pages > metadata && pages <= end) words[14] = xxh32(copy.subarray(metadata * WORD, pages * WORD));
  words[15] = xxh32(copy.subarray(0, 15 * WORD));
  if (pages > metadata && pages <= end) {
    const summed = new Uint8Array(HEADER_WORDS * WORD + (end - pages) * WORD);
    summed.set(copy.subarray(0, HEADER_WORDS * WORD));
    summed.set(copy.subarray(pages * WORD, end * WORD), HEADER_WORDS * WORD);
    words[end] = xxh32(summed);
  }
  return copy;
}

const INTERESTING = [
  0, 1, -1, 2, 7, 8, 0x7fffffff, -0x80000000, 0xffff, 0x10000, -0x3fffd, -0x3fffe, -0x3fffc, -0x40000,
];

const HOSTILE_LINES = [
  null,
  7,
  {},
  ["a", "list"],
  "",
  "\u001b[2J\u0000\r\n\u202e<script>alert(1)</script>",
  "at ".repeat(1300),
  "x".repeat(4097),
  "y".repeat(1 << 20),
  "\n".repeat(4000),
];

/** By name; each changes the bytes or returns others. */
const DAMAGES = {
  flipBits(bytes, random) {
    for (let count = 1 + random(8); count > 0; count--) bytes[random(bytes.length)] ^= 1 << random(8);
  },
  flipUsed(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    for (let count = 1 + random(3); count > 0; count--) words[usedWord(words, random)] ^= 1 << random(32);
  },
  truncate: (bytes, random) => bytes.slice(0, random(bytes.length)),
  extend(bytes, random) {
    const longer = new Uint8Array(bytes.length + WORD * (1 + random(8)));
    longer.set(bytes);
    return longer;
  },
  dropWords(bytes, random) {
    const from = random(bytes.length / WORD) * WORD;
    const to = Math.min(bytes.length, from + WORD * (1 + random(16)));
    const shorter = new Uint8Array(bytes.length - (to - from));
    shorter.set(bytes.subarray(0, from));
    shorter.set(bytes.subarray(to), from);
    return shorter;
  },
  zeroRange(bytes, random) {
    const from = usedWord(new Int32Array(bytes.buffer), random) * WORD;
    bytes.fill(0, from, from + 1 + random(256));
  },
  copyRange(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    const from = usedWord(words, random) * WORD;
    bytes.copyWithin(usedWord(words, random) * WORD, from, from + 1 + random(256));
  },
  header(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    const at = random(HEADER_WORDS);
    words[at] = random(2) === 0 ? INTERESTING[random(INTERESTING.length)] : words[at] + random(9) - 4;
  },
  runs(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    const { runs, pages } = partsOf(words);
    const at = runs + random(pages - runs);
    words[at] = random(2) === 0 ? INTERESTING[random(INTERESTING.length)] : words[at] + random(9) - 4;
  },
  description(bytes, random) {
    const { metadata } = partsOf(new Int32Array(bytes.buffer));
    const length = new Int32Array(bytes.buffer)[4];
    const from = metadata * WORD;
    const at = from + random(length);
    if (random(2) === 0) bytes[at] = '0123456789"[]{},:ntf-e \\'.charCodeAt(random(24));
    else bytes.copyWithin(at, from + random(length), Math.min(from + length, at + 1 + random(24)));
  },
  /** A digit for a digit: types, addresses and counts stay well formed. */
  number(bytes, random) {
    const { metadata } = partsOf(new Int32Array(bytes.buffer));
    const length = new Int32Array(bytes.buffer)[4];
    for (let tries = 0; tries < 200; tries++) {
      const at = metadata * WORD + random(length);
      if (bytes[at] < 0x31 || bytes[at] > 0x39) continue;
      bytes[at] = 0x31 + random(9);
      return;
    }
  },
  /** What a root says of the line that made it: other types, control characters, texts without end. */
  rootLine(bytes, random) {
    const { metadata, runs } = partsOf(new Int32Array(bytes.buffer));
    const length = new Int32Array(bytes.buffer)[4];
    let description;
    try {
      description = JSON.parse(
        new TextDecoder().decode(bytes.subarray(metadata * WORD, metadata * WORD + length)),
      );
      const { roots } = description;
      const root = roots[random(roots.length)];
      root[2] = HOSTILE_LINES[random(HOSTILE_LINES.length)];
    } catch {
      return bytes; // damaged before, by the same
    }
    const text = new TextEncoder().encode(JSON.stringify(description));
    const words = Math.ceil(text.length / WORD);
    const result = new Uint8Array(bytes.length + (metadata + words - runs) * WORD).fill(0x20);
    result.set(bytes.subarray(0, metadata * WORD));
    result.set(text, metadata * WORD);
    result.set(bytes.subarray(runs * WORD), (metadata + words) * WORD);
    new Int32Array(result.buffer)[4] = text.length;
    return result;
  },
  generations(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    const { generations, end } = partsOf(words);
    if (end === generations) return;
    const at = generations + random(end - generations);
    const other = words[generations + random(end - generations)];
    words[at] = [other, 0, words[at] + 2, words[at] ^ (1 << random(31))][random(4)];
  },
  word(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    words[usedWord(words, random)] = INTERESTING[random(INTERESTING.length)];
  },
  nearby(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    words[usedWord(words, random)] += random(33) - 16;
  },
  /** Another word of the pages: often an address, a length or a hash of something else. */
  otherWord(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    words[usedWord(words, random)] = words[usedWord(words, random)];
  },
  swap(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    const [one, two] = [usedWord(words, random), usedWord(words, random)];
    [words[one], words[two]] = [words[two], words[one]];
  },
  /** An address of a tracked object where anything may be: cycles, lists that end in one another, wrong types. */
  address(bytes, random) {
    const words = new Int32Array(bytes.buffer);
    const { generations, end } = partsOf(words);
    if (end > generations) words[usedWord(words, random)] = words[generations + random(end - generations)];
  },
};

/** A word of the pages that is not 0: most of them are, and nobody reads them. */
function usedWord(words, random) {
  const { pages, generations } = partsOf(words);
  for (let tries = 0; tries < 1000; tries++) {
    const at = pages + random(generations - pages);
    if (words[at] !== 0) return at;
  }
  return pages;
}

export const KINDS = Object.keys(DAMAGES);

/** @returns the damaged bytes, a copy */
export function damage(bytes, kind, random) {
  const copy = bytes.slice();
  // What changes the length of its image is done once: the others would not find their way in it.
  if (kind !== "rootLine")
    for (let count = random(4) === 0 ? 1 + random(4) : 1; count > 1; count--) DAMAGES[kind](copy, random);
  return DAMAGES[kind](copy, random) ?? copy;
}
