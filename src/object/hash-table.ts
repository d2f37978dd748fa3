/**
 * The hash table behind dict and set: CPython's compact dict (Objects/dictobject.c). One storage block holds an index
 * of entry numbers, open addressing with linear probing and a load of two thirds, and behind it the entries in
 * insertion order. Deleting leaves a hole; growing squeezes the holes out and raises the epoch.
 *
 * The bits of an index word above those that an entry number needs are the key's hash's: an entry is a cache miss, and
 * is looked at only where they agree. So what is not there costs one miss, what is there two.
 *
 * One-word keys (strings, references, 32-bit numbers, booleans) carry their hash, which is compared before the key;
 * two-word keys (doubles, `any`) are compared as they are. Equality is Map's: NaN equals NaN, 0 equals -0, and values
 * of different types are never equal (in Python 1 == True).
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  ENTRY_VALUE,
  HASH_DELETED,
  HASH_FACTOR,
  HASH_HIGH_FACTOR,
  HASH_MASK,
  INDEX_DELETED,
  INDEX_FREE,
  KIND_STORAGE,
  TABLE_EPOCH,
  TABLE_INDEX_MIN,
  TABLE_MASK,
  TABLE_SIZE,
  TABLE_STORAGE,
  TABLE_USED,
  TABLE_WEAKREFS,
  TAG_EMPTY,
  TAG_NULL,
  TAG_STRING,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
} from "../memory/layout.js";
import type { Objects } from "./objects.js";
import { isDeletedEntry, type ReferenceCounts } from "./refcount.js";
import { entryWords, slotWords } from "./slot.js";
import type { Strings } from "./string.js";
import type { TypeTable } from "./type.js";

export class HashTables {
  private readonly i32: Int32Array;
  private readonly allocator: Allocator;
  private readonly objects: Objects;
  private readonly counts: ReferenceCounts;
  private readonly strings: Strings;
  private readonly types: TypeTable;

  constructor(
    allocator: Allocator,
    objects: Objects,
    counts: ReferenceCounts,
    strings: Strings,
    types: TypeTable,
  ) {
    this.i32 = allocator.memory.i32;
    this.allocator = allocator;
    this.objects = objects;
    this.counts = counts;
    this.strings = strings;
    this.types = types;
  }

  /** A new, empty dict or set, owned by the caller. @throws OutOfMemoryError */
  create(typeId: number): Address {
    const { i32 } = this;
    const table = this.objects.create(typeId);
    i32.fill(0, table + TABLE_STORAGE, table + TABLE_WEAKREFS + 1);
    return table;
  }

  // -- finding: the entry's address, or 0 -----------------------------------------------------

  /** By text. `second` is the entry's second word: the hash among string keys, TAG_STRING among `any` keys. */
  findText(table: Address, text: string, hash: number, second: number, words: number): Address {
    const { i32, strings } = this;
    const mask = i32[table + TABLE_MASK];
    if (mask === 0) return 0;
    const index = i32[table + TABLE_STORAGE];
    const entries = index + mask + 1 - words;
    for (let probe = hash & mask; ; probe = (probe + 1) & mask) {
      const word = i32[index + probe];
      if (word === INDEX_FREE) return 0;
      if (((word ^ hash) & ~mask) !== 0) continue;
      const entry = entries + (word & mask) * words;
      if (i32[entry + 1] === second && strings.hash(i32[entry]) === hash && strings.equals(i32[entry], text))
        return entry;
    }
  }

  /** By both words: (key, hash) of a one-word key, (low, high) of a two-word key that is no text. */
  findWords(table: Address, first: number, second: number, hash: number, words: number): Address {
    const { i32 } = this;
    const mask = i32[table + TABLE_MASK];
    if (mask === 0) return 0;
    const index = i32[table + TABLE_STORAGE];
    const entries = index + mask + 1 - words;
    for (let probe = hash & mask; ; probe = (probe + 1) & mask) {
      const word = i32[index + probe];
      if (word === INDEX_FREE) return 0;
      if (((word ^ hash) & ~mask) !== 0) continue;
      const entry = entries + (word & mask) * words;
      if (i32[entry] === first && i32[entry + 1] === second) return entry;
    }
  }

  // -- changing -------------------------------------------------------------------------------

  /** Make room for one entry more. @throws OutOfMemoryError; the table is then as it was */
  reserveOne(table: Address): void {
    const { i32 } = this;
    const mask = i32[table + TABLE_MASK];
    if (mask !== 0 && i32[table + TABLE_USED] < capacityOf(mask)) return;
    // Three times the live entries, as CPython (GROWTH_RATE): holes go, and the load falls to a third.
    this.rebuild(table, i32[table + TABLE_SIZE] * 3);
  }

  /** Make room for `count` entries in all. @throws OutOfMemoryError; the table is then as it was */
  reserve(table: Address, count: number): void {
    const mask = this.i32[table + TABLE_MASK];
    if (mask === 0 ? count > 0 : count > capacityOf(mask)) this.rebuild(table, Math.ceil(count * 1.5) + 1);
  }

  /**
   * Append an entry for a key that is not there, and return its address. The caller writes its first word, its second
   * where that is not the hash, and its value. Room was made by `reserveOne`.
   */
  append(table: Address, hash: number, words: number): Address {
    const { i32 } = this;
    const mask = i32[table + TABLE_MASK];
    const index = i32[table + TABLE_STORAGE];
    const used = i32[table + TABLE_USED];
    const entry = index + mask + 1 + used * words;
    let probe = hash & mask;
    while (i32[index + probe] > INDEX_FREE) probe = (probe + 1) & mask;
    // What the block held before is no value, wherever a thread may end.
    if (words > ENTRY_VALUE) {
      i32[entry + ENTRY_VALUE] = 0;
      i32[entry + ENTRY_VALUE + 1] = TAG_NULL;
    }
    i32[index + probe] = indexWord(hash, mask, used + 1);
    i32[table + TABLE_USED] = used + 1;
    i32[table + TABLE_SIZE]++;
    i32[entry + 1] = hash;
    return entry;
  }

  /** Take an entry out. Its first key word and its value keep their bits; the references are the caller's to drop. */
  remove(table: Address, entry: Address, keySlot: number, words: number): void {
    const { i32 } = this;
    const mask = i32[table + TABLE_MASK];
    const index = i32[table + TABLE_STORAGE];
    const hash = this.hashOfEntry(entry, keySlot);
    const sought = indexWord(hash, mask, (entry - index - mask - 1) / words + 1);
    let probe = hash & mask;
    while (i32[index + probe] !== sought) probe = (probe + 1) & mask;
    i32[index + probe] = INDEX_DELETED;
    i32[entry + 1] = slotWords(keySlot) === 2 ? TAG_EMPTY : HASH_DELETED;
    i32[table + TABLE_SIZE]--;
  }

  /** Detach the entries, so that the table looks empty, then drop them: insertion order, key before value. */
  clear(table: Address): void {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    if (storage === 0) return;
    const type = this.types.descriptorOf(table);
    const keySlot = i32[type + TYPE_KEY_SLOT];
    const itemSlot = i32[type + TYPE_ITEM_SLOT];
    const used = i32[table + TABLE_USED];
    let entry = storage + i32[table + TABLE_MASK] + 1;
    i32.fill(0, table + TABLE_STORAGE, table + TABLE_EPOCH);
    i32[table + TABLE_EPOCH]++;
    for (let number = 0; number < used; number++, entry += entryWords(itemSlot)) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      this.counts.decrefSlot(keySlot, entry);
      this.counts.decrefSlot(itemSlot, entry + 2);
    }
    this.allocator.free(storage);
  }

  // -- iterating ------------------------------------------------------------------------------

  /** Address of the first live entry whose number is at least `number`, or 0. Numbers are stable within an epoch. */
  nextEntry(table: Address, number: number, keySlot: number, words: number): Address {
    const { i32 } = this;
    const used = i32[table + TABLE_USED];
    let entry = i32[table + TABLE_STORAGE] + i32[table + TABLE_MASK] + 1 + number * words;
    for (let next = number; next < used; next++, entry += words)
      if (!isDeletedEntry(i32, entry, keySlot)) return entry;
    return 0;
  }

  /** The number of an entry that `nextEntry` returned. */
  entryNumber(table: Address, entry: Address, words: number): number {
    const { i32 } = this;
    return (entry - i32[table + TABLE_STORAGE] - i32[table + TABLE_MASK] - 1) / words;
  }

  /** Move the live entries into a storage block with an index of at least `indexWords` words. */
  private rebuild(table: Address, indexWords: number): void {
    const { i32, strings } = this;
    const type = this.types.descriptorOf(table);
    const keySlot = i32[type + TYPE_KEY_SLOT];
    const isPair = slotWords(keySlot) === 2;
    const deleted = isPair ? TAG_EMPTY : HASH_DELETED;
    const words = entryWords(i32[type + TYPE_ITEM_SLOT]);
    const hasValue = words > ENTRY_VALUE;
    let length = TABLE_INDEX_MIN;
    while (length < indexWords) length *= 2;
    const mask = length - 1;
    const storage = this.allocator.allocate(KIND_STORAGE, length + capacityOf(mask) * words);
    i32.fill(INDEX_FREE, storage, storage + length);
    const old = i32[table + TABLE_STORAGE];
    const used = i32[table + TABLE_USED];
    let from = old + i32[table + TABLE_MASK] + 1;
    let to = storage + length;
    let number = 0;
    for (let index = 0; index < used; index++, from += words) {
      const first = i32[from];
      const second = i32[from + 1];
      if (second === deleted) continue;
      i32[to] = first;
      i32[to + 1] = second;
      if (hasValue) {
        i32[to + ENTRY_VALUE] = i32[from + ENTRY_VALUE];
        i32[to + ENTRY_VALUE + 1] = i32[from + ENTRY_VALUE + 1];
      }
      const hash = !isPair ? second : second === TAG_STRING ? strings.hash(first) : hashPair(first, second);
      let probe = hash & mask;
      while (i32[storage + probe] !== INDEX_FREE) probe = (probe + 1) & mask;
      i32[storage + probe] = indexWord(hash, mask, ++number);
      to += words;
    }
    if (number !== used) i32[table + TABLE_EPOCH]++; // holes went: entry numbers changed
    i32[table + TABLE_STORAGE] = storage;
    i32[table + TABLE_MASK] = mask;
    i32[table + TABLE_USED] = number;
    if (old !== 0) this.allocator.free(old);
  }

  /** The hash that an entry's key was stored under. */
  hashOfEntry(entry: Address, keySlot: number): number {
    const { i32 } = this;
    if (slotWords(keySlot) === 1) return i32[entry + 1];
    if (i32[entry + 1] === TAG_STRING) return this.strings.hash(i32[entry]);
    return hashPair(i32[entry], i32[entry + 1]);
  }
}

/** Entries that fit beside an index of `mask + 1` words: two thirds. */
export function capacityOf(mask: number): number {
  return Math.floor(((mask + 1) * 2) / 3);
}

/** The index word of an entry: its number + 1, which is at most `mask`, and above it the hash's bits. Never negative. */
export function indexWord(hash: number, mask: number, number: number): number {
  return (hash & ~mask) | number;
}

/** 31-bit hash of a one-word key's bits. `host/table-code.ts` has it as text. */
export function hashWord(word: number): number {
  const mixed = Math.imul(word ^ (word >>> 16), HASH_FACTOR);
  return (mixed ^ (mixed >>> 15)) & HASH_MASK;
}

/** 31-bit hash of a two-word key's bits. */
export function hashPair(low: number, high: number): number {
  return hashWord(low ^ Math.imul(high, HASH_HIGH_FACTOR));
}
