/** The keys of the dict_* and set_* rows; `peers/tables.py` has the same ones. */
import { xorshift32 } from "./random.mjs";

export const TABLE_OPERATIONS = ["insert", "hit", "miss", "delete"];

/**
 * - fresh: each operation has string objects of its own, of equal text, so whoever keeps a hash in the string has to make it
 * - same: the string objects that were inserted, and misses that were looked up before
 * - ints: whole numbers of 32 bits in a table for such
 * - any: the same in a table that takes any key
 */
export const TABLE_KEYS = ["fresh", "same", "ints", "any"];

const SEED = 0x51ed270b;
/** An odd number, so multiplying by it (modulo 2^32) makes different numbers of different ones. */
const SPREAD = 0x9e3779b1;

/** The order in which keys are looked up and deleted: a permutation of 0 to n - 1. */
export function positionsOf(shuffled, n) {
  const positions = Uint32Array.from({ length: n }, (_, i) => i);
  if (!shuffled) return positions;
  const random = xorshift32(SEED);
  for (let i = n - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    const position = positions[i];
    positions[i] = positions[other];
    positions[other] = position;
  }
  return positions;
}

/** Keys that every round may use again: of one plan, so that no more than one set of keys is in memory. */
let kept = { plan: "", keys: undefined };

/** By operation, its keys in order. The keys inserted are those of 0 to n - 1, the missing ones those of n to 2n - 1. */
export function keysOf(kind, shuffled, n) {
  if (kind === "fresh") {
    kept = { plan: "", keys: undefined };
    return makeKeys(makeTexts, shuffled, n);
  }
  const make = kind === "same" ? makeTexts : makeInts;
  const plan = `${make.name} ${shuffled} ${n}`;
  if (kept.plan !== plan) kept = { plan, keys: useAgain(make, shuffled, n) };
  return kept.keys;
}

function makeKeys(make, shuffled, n) {
  const positions = positionsOf(shuffled, n);
  return {
    insert: make(positionsOf(false, n)),
    hit: make(positions),
    miss: make(positions.map((position) => position + n)),
    delete: make(positions),
  };
}

/** The same objects for each operation. */
function useAgain(make, shuffled, n) {
  const { insert, miss } = makeKeys(make, shuffled, n);
  // Whoever keeps a hash in a string has it from here on, as after a round.
  if (new Set([...insert, ...miss]).size !== 2 * n) throw new Error("Two keys are equal.");
  const inOrder = Array.from(positionsOf(shuffled, n), (position) => insert[position]);
  return { insert, hit: inOrder, miss, delete: inOrder };
}

const TEXT_BYTES = 13;

/** Flat strings of 13 characters, "item-" and eight digits: read from bytes, so none is a rope or a slice. */
function makeTexts(numbers) {
  const chunk = Buffer.alloc(TEXT_BYTES * numbers.length, "item-00000000", "latin1");
  const texts = new Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const start = i * TEXT_BYTES;
    let rest = Math.imul(numbers[i], SPREAD) >>> 0;
    for (let at = start + TEXT_BYTES - 1; rest !== 0; at--) {
      const digit = rest & 15;
      chunk[at] = digit < 10 ? 48 + digit : 87 + digit;
      rest >>>= 4;
    }
    texts[i] = chunk.latin1Slice(start, start + TEXT_BYTES);
  }
  return texts;
}

const makeInts = (numbers) => Array.from(numbers, (number) => Math.imul(number, SPREAD));
