/** The hashes of the naive second implementation: they share nothing with those that tables are built by. */
import { HASH_MASK } from "../memory/layout.js";

/** MurmurHash3 of units, packed four or two a word, seed 0; in place of its length in bytes, a string's length word. */
export function naiveTextHash(units: readonly number[], isWide: boolean): number {
  const rotate = (bits: number, by: number) => (bits << by) | (bits >>> (32 - by));
  const perWord = isWide ? 2 : 4;
  let hash = 0;
  for (let at = 0; at < units.length; at += perWord) {
    const word = units
      .slice(at, at + perWord)
      .reduce((bits, unit, index) => bits | (unit << ((index * 32) / perWord)), 0);
    hash ^= Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
    hash = (Math.imul(rotate(hash, 13), 5) + 0xe6546b64) | 0;
  }
  hash ^= units.length * 2 + (isWide ? 1 : 0);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & HASH_MASK;
}

/** Of the two words of a double or an `any`. */
export function naivePairHash(low: number, high: number): number {
  const word = low ^ Math.imul(high, 0x9e3779b1);
  const mixed = Math.imul(word ^ (word >>> 16), 0x45d9f3b);
  return (mixed ^ (mixed >>> 15)) & HASH_MASK;
}
