/**
 * The roots of one thread of a shared heap: how many references its handles hold to which object. In the memory, because when
 * a thread has ended the others have to know what it held, and after a repair what they hold themselves.
 *
 * A table of pairs (address, count) with linear probing, behind a mask and the number of entries in use. Counts are signed: a handle that
 * was made before `share()` may be released before it was found. An entry whose count is 0 stays until the table is made anew. One word
 * of the thread's record leads to it, so that there is always a whole table, wherever a thread may end.
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
  THREAD_ROOTS,
} from "../memory/layout.js";

const ENTRIES_MIN = 4096;
const HASH_FACTOR = 0x9e3779b1;

export class ThreadRoots {
  private readonly allocator: Allocator;
  private readonly i32: Int32Array;
  /** Address of the thread's record. */
  private readonly record: Address;
  /** What a table without room could not take: entered when it has grown. */
  private readonly overflow = new Map<Address, number>();

  constructor(allocator: Allocator, record: Address) {
    this.allocator = allocator;
    this.i32 = allocator.memory.i32;
    this.record = record;
  }

  /** References that the thread's handles hold to an object. */
  get(object: Address): number {
    return (this.find(object)?.count ?? 0) + (this.overflow.get(object) ?? 0);
  }

  /** Enter a change. Never fails, and takes no memory of the heap. */
  add(object: Address, change: number): void {
    const { i32, record } = this;
    const table = i32[record + THREAD_ROOTS];
    if (table !== 0) {
      const mask = i32[table + ROOTS_MASK];
      for (let index = startOf(object, mask); ; index = (index + 1) & mask) {
        const entry = table + ROOTS_ENTRIES + index * ROOTS_ENTRY_WORDS;
        if (i32[entry] === object) {
          i32[entry + 1] += change;
          return;
        }
        if (i32[entry] !== 0) continue;
        if (!this.hasRoom()) break;
        // The count first: whoever reads the table after this thread has ended finds no entry without one.
        i32[entry + 1] = change;
        i32[entry] = object;
        i32[table + ROOTS_USED]++;
        return;
      }
    }
    this.overflow.set(object, (this.overflow.get(object) ?? 0) + change);
  }

  /** Whether there are roots that are not in the table, where other threads would see them. */
  get isOverflowing(): boolean {
    return this.overflow.size > 0;
  }

  /** Whether `makeRoom` has something to do. */
  get needsRoom(): boolean {
    return this.overflow.size > 0 || !this.hasRoom(ENTRIES_MIN >> 2);
  }

  /**
   * Make the table anew, without what is 0 and with room for as much again, under the exclusive lock. Where there is no memory for
   * that it stays as it is.
   */
  makeRoom(): void {
    const { i32, record, allocator, overflow } = this;
    let size = overflow.size;
    this.forEach(() => size++);
    let entries = ENTRIES_MIN;
    while (entries < size * 4) entries *= 2;
    const words = ROOTS_ENTRIES + entries * ROOTS_ENTRY_WORDS;
    if (!allocator.canAllocate(KIND_STORAGE, words)) return;
    const table = allocator.allocate(KIND_STORAGE, words);
    i32.fill(0, table, table + words);
    let used = 0;
    const mask = entries - 1;
    this.forEach((object, count) => {
      let index = startOf(object, mask);
      while (i32[table + ROOTS_ENTRIES + index * ROOTS_ENTRY_WORDS] !== 0) index = (index + 1) & mask;
      i32[table + ROOTS_ENTRIES + index * ROOTS_ENTRY_WORDS] = object;
      i32[table + ROOTS_ENTRIES + index * ROOTS_ENTRY_WORDS + 1] = count;
      used++;
    });
    const old = i32[record + THREAD_ROOTS];
    i32[table + ROOTS_MASK] = mask;
    i32[table + ROOTS_USED] = used;
    i32[record + THREAD_ROOTS] = table;
    if (old !== 0) allocator.free(old);
    const waiting = [...overflow];
    overflow.clear();
    for (const [object, count] of waiting) this.add(object, count);
  }

  /** The entries of the table whose count is not 0. */
  forEach(visit: (object: Address, count: number) => void): void {
    forEachRoot(this.i32, this.record, visit);
  }

  private find(object: Address): { count: number } | undefined {
    const { i32, record } = this;
    const table = i32[record + THREAD_ROOTS];
    if (table === 0) return undefined;
    const mask = i32[table + ROOTS_MASK];
    for (let index = startOf(object, mask); ; index = (index + 1) & mask) {
      const entry = table + ROOTS_ENTRIES + index * ROOTS_ENTRY_WORDS;
      if (i32[entry] === object) return { count: i32[entry + 1] };
      if (i32[entry] === 0) return undefined;
    }
  }

  /** Whether an entry, or so many, may be added: a quarter of the table stays free. */
  hasRoom(entries = 1): boolean {
    const { i32, record } = this;
    const table = i32[record + THREAD_ROOTS];
    if (table === 0) return false;
    const capacity = ((i32[table + ROOTS_MASK] + 1) * 3) >> 2;
    return i32[table + ROOTS_USED] + entries <= capacity;
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
