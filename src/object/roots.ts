/**
 * The roots of one thread of a shared heap: how many references its handles hold to which object. In the memory, because when
 * a thread has ended the others have to know what it held, and after a repair what they hold themselves.
 *
 * A table of pairs (address, count) with linear probing, behind a mask and the number of entries in use. Counts are signed: a handle that
 * was made before `share()` may be released before it was found. An entry whose count is 0 stays until the table is made anew. One word
 * of the thread's record leads to it, so that there is always a whole table, wherever a thread may end.
 *
 * Nothing is ever outside the table. Who is about to make a handle asks `hasRoom`, and has a quarter of the table beyond that for what
 * was not asked for; what was made before `share()`, in one thread only, has entries kept for it until it is entered.
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  GRANULE_SHIFT,
  KIND_STORAGE,
  ROOTS_ENTRIES,
  ROOTS_ENTRY_WORDS,
  ROOTS_MASK,
  ROOTS_USED,
  THREAD_IS_BASED,
  THREAD_ROOTS,
} from "../memory/layout.js";

const ENTRIES_MIN = 4096;
const HASH_FACTOR = 0x9e3779b1;

export class ThreadRoots {
  private readonly allocator: Allocator;
  private readonly i32: Int32Array;
  /** Address of the thread's record. */
  private readonly record: Address;
  private readonly base: number;

  /** @param base how many handles its thread made before `share()`; they count as long as THREAD_IS_BASED is 0 */
  constructor(allocator: Allocator, record: Address, base = 0) {
    this.allocator = allocator;
    this.i32 = allocator.memory.i32;
    this.record = record;
    this.base = base;
  }

  /** References that the thread's handles hold to an object. */
  get(object: Address): number {
    if (this.i32[this.record + THREAD_ROOTS] === 0) return 0;
    const entry = this.entryOf(object);
    return this.i32[entry] === object ? this.i32[entry + 1] : 0;
  }

  /**
   * Enter a change. Takes no memory of the heap.
   * @param isBase of handles made before `share()`, or a release: there is room for those
   * @returns false: the table is full, and nothing was entered
   */
  add(object: Address, change: number, isBase = change < 0): boolean {
    const { i32, record } = this;
    const table = i32[record + THREAD_ROOTS];
    if (table === 0) return false;
    const entry = this.entryOf(object);
    if (i32[entry] === object) {
      i32[entry + 1] += change;
      return true;
    }
    const used = i32[table + ROOTS_USED];
    // One entry stays free: it ends every search.
    if (used >= i32[table + ROOTS_MASK] - (isBase ? 0 : this.reserve)) return false;
    // The count first: whoever reads the table after this thread has ended finds no entry without one.
    i32[entry + 1] = change;
    i32[entry] = object;
    i32[table + ROOTS_USED] = used + 1;
    return true;
  }

  /** Entries kept for what was made before `share()`. */
  private get reserve(): number {
    return this.i32[this.record + THREAD_IS_BASED] === 0 ? this.base : 0;
  }

  /** Whether `makeRoom` should be called at the next occasion. */
  get needsRoom(): boolean {
    return !this.hasRoom(ENTRIES_MIN >> 2);
  }

  /**
   * Make the table anew, without what is 0 and with room for as much again, under the exclusive lock. @returns false where there is no
   * memory for that; it is then as it was
   */
  makeRoom(): boolean {
    const { i32, record, allocator, reserve } = this;
    let size = 0;
    this.forEach(() => size++);
    let entries = ENTRIES_MIN;
    while (entries < Math.max(size * 4, (size + reserve + 1) * 2)) entries *= 2;
    const words = ROOTS_ENTRIES + entries * ROOTS_ENTRY_WORDS;
    if (!allocator.canAllocate(KIND_STORAGE, words)) return false;
    const table = allocator.allocate(KIND_STORAGE, words);
    i32.fill(0, table, table + words);
    const mask = entries - 1;
    this.forEach((object, count) => {
      const entry = findEntry(i32, table, mask, object);
      i32[entry] = object;
      i32[entry + 1] = count;
    });
    const old = i32[record + THREAD_ROOTS];
    i32[table + ROOTS_MASK] = mask;
    i32[table + ROOTS_USED] = size;
    i32[record + THREAD_ROOTS] = table;
    if (old !== 0) allocator.free(old);
    return true;
  }

  /** The entries of the table whose count is not 0. */
  forEach(visit: (object: Address, count: number) => void): void {
    forEachRoot(this.i32, this.record, visit);
  }

  /** The entry of an object, or the free one where it would be. */
  private entryOf(object: Address): Address {
    const { i32 } = this;
    const table = i32[this.record + THREAD_ROOTS];
    return findEntry(i32, table, i32[table + ROOTS_MASK], object);
  }

  /** Whether an entry, or so many, may be added: a quarter of the table stays free. */
  hasRoom(entries = 1): boolean {
    const { i32 } = this;
    const table = i32[this.record + THREAD_ROOTS];
    if (table === 0) return false;
    const mask = i32[table + ROOTS_MASK];
    return i32[table + ROOTS_USED] + entries <= Math.min(((mask + 1) * 3) >> 2, mask - this.reserve);
  }
}

function findEntry(i32: Int32Array, table: Address, mask: number, object: Address): Address {
  for (let index = startOf(object, mask); ; index = (index + 1) & mask) {
    const entry = table + ROOTS_ENTRIES + index * ROOTS_ENTRY_WORDS;
    if (i32[entry] === object || i32[entry] === 0) return entry;
  }
}

/** The roots of any thread, by the address of its record. */
export function forEachRoot(
  i32: Int32Array,
  record: Address,
  visit: (object: Address, count: number) => void,
): void {
  const table = i32[record + THREAD_ROOTS];
  if (table === 0) return;
  const first = table + ROOTS_ENTRIES;
  const end = first + (i32[table + ROOTS_MASK] + 1) * ROOTS_ENTRY_WORDS;
  for (let entry = first; entry < end; entry += ROOTS_ENTRY_WORDS)
    if (i32[entry] !== 0 && i32[entry + 1] !== 0) visit(i32[entry], i32[entry + 1]);
}

function startOf(object: Address, mask: number): number {
  return (Math.imul(object >>> GRANULE_SHIFT, HASH_FACTOR) >>> 8) & mask;
}
