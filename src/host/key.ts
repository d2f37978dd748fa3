/**
 * Keys: how a hash table finds, takes and reads what its entries are called by. A key becomes the two words that an
 * entry would hold and a hash; a string stays text until an entry is made, so that a lookup makes no object.
 */
import { TypeMismatchError } from "../memory/errors.js";
import {
  type Address,
  NAN_HIGH,
  SLOT_ANY,
  SLOT_F32,
  SLOT_F64,
  SLOT_NONE,
  SLOT_REF,
  SLOT_STR,
  TAG_OBJECT,
  TAG_STRING,
} from "../memory/layout.js";
import { hashPair, hashWord } from "../object/hash-table.js";
import { entryWords } from "../object/slot.js";
import { hashText } from "../object/string.js";
import type { BoundType } from "./bound-type.js";
import { createCodec } from "./codec.js";
import { show } from "./schema.js";
import { asView } from "./view.js";

export interface KeyCodec {
  /** The entry of a key, or 0. @throws TypeMismatchError for what can be no key of this table. Replaced by text. */
  find(table: Address, key: unknown): Address;
  /**
   * Make an entry for the key that `find` has just not found; the caller puts the value.
   * @throws OutOfMemoryError; the table is then as it was
   */
  insert(table: Address): Address;
  /** The key of an entry; an object as a borrowed view. */
  read(entry: Address): unknown;
  /** Take an entry out of the table; `dropKey` then gives up its key. */
  remove(table: Address, entry: Address): void;
  dropKey(): void;
  /** What `find` leaves for `insert`. */
  readonly prepared: Prepared;
}

/** What a key is made of, on its way to a table. One at a time: nothing that runs in between uses another. */
export interface Prepared {
  first: number;
  second: number;
  hash: number;
  text: string | undefined;
}

export const scratchF64 = new Float64Array(1);
const scratchF32 = new Float32Array(scratchF64.buffer);
export const scratchI32 = new Int32Array(scratchF64.buffer);

export function createKeyCodec(type: BoundType, where: string): KeyCodec {
  const { context } = type;
  const { tables, strings, counts, tracking } = context.core;
  const { i32 } = context.core.memory;
  const { spec } = type.slots[0];
  const { slot } = spec;
  const words = entryWords(type.slots.length > 1 ? type.slots[1].spec.slot : SLOT_NONE);
  const codec = createCodec(context, spec, where);
  const prepared: Prepared = { first: 0, second: 0, hash: 0, text: undefined };
  let removedFirst = 0;
  let removedSecond = 0;

  function find(table: Address, key: unknown): Address {
    prepare(key);
    const { first, second, hash, text } = prepared;
    return text === undefined
      ? tables.findWords(table, first, second, hash, words)
      : tables.findText(table, text, hash, second, words);
  }

  function prepare(key: unknown): void {
    prepared.text = undefined;
    if (typeof key === "string" && (slot === SLOT_STR || slot === SLOT_ANY)) {
      checkScalar(key);
      prepared.text = key;
      prepared.hash = hashText(key);
      prepared.second = slot === SLOT_STR ? prepared.hash : TAG_STRING;
    } else if (slot === SLOT_ANY || slot === SLOT_F64) preparePair(key);
    else prepareWord(key);
  }

  /** `optional(f64)` and the like hold less than `any` does. */
  function checkScalar(key: unknown): void {
    // Looking up writes nothing: others may be reading.
    if (spec.scalar === undefined || (spec.scalar.slot === SLOT_STR && typeof key === "string")) return;
    codec.disown(codec.own(key));
  }

  function preparePair(key: unknown): void {
    if (typeof key === "number") {
      checkScalar(key);
      const number = spec.scalar?.slot === SLOT_F32 ? Math.fround(key) : key;
      scratchF64[0] = number === 0 ? 0 : number; // -0 is 0, as in a Map
      prepared.first = Number.isNaN(key) ? 0 : scratchI32[0];
      prepared.second = Number.isNaN(key) ? NAN_HIGH : scratchI32[1];
    } else {
      prepared.first = codec.peek === undefined ? (codec.own(key) as number) : codec.peek(key);
      prepared.second = context.ownedHigh;
    }
    prepared.hash = hashPair(prepared.first, prepared.second);
  }

  function prepareWord(key: unknown): void {
    // The codec would build an object from a literal: one that nobody could look up, and that a lookup would leak.
    if (slot === SLOT_REF && typeof key === "object" && key !== null && asView(key) === undefined)
      throw new TypeMismatchError(`${where} must be an object that exists already, got ${show(key)}.`);
    const owned = slot === SLOT_REF ? codec.peek!(key) : (codec.own(key) as number);
    if (slot === SLOT_F32) {
      scratchF32[0] = owned;
      if (scratchF32[0] === 0) scratchF32[0] = 0; // -0 is 0, as in a Map, and so is what rounds to it
      prepared.first = Number.isNaN(owned) ? NAN_HIGH : scratchI32[0];
    } else prepared.first = owned | 0;
    prepared.second = hashWord(prepared.first);
    prepared.hash = prepared.second;
  }

  function insert(table: Address): Address {
    const { second, hash, text } = prepared;
    const first = text === undefined ? prepared.first : strings.createHashed(text, hash);
    try {
      tables.reserveOne(table);
      if (isObject()) tracking.beforeStore(table, first);
    } catch (error) {
      if (text !== undefined && first !== 0) counts.decref(first);
      throw error;
    }
    const entry = tables.append(table, hash, words);
    i32[entry] = first;
    i32[entry + 1] = second;
    if (isObject() && first !== 0) counts.incref(first);
    return entry;
  }

  function isObject(): boolean {
    return slot === SLOT_REF || (slot === SLOT_ANY && prepared.second === TAG_OBJECT);
  }

  function remove(table: Address, entry: Address): void {
    removedFirst = i32[entry];
    removedSecond = i32[entry + 1];
    tables.remove(table, entry, slot, words);
  }

  function dropKey(): void {
    if (slot === SLOT_ANY) counts.decrefAny(removedFirst, removedSecond);
    else if ((slot === SLOT_REF || slot === SLOT_STR) && removedFirst !== 0) counts.decref(removedFirst);
  }

  return { find, insert, read: codec.read, remove, dropKey, prepared };
}
