/**
 * Generations: ordered tables of tracked objects, in chunks.
 *
 * A tracked object's header holds the address of its table entry, so leaving a table is one store (a tombstone) and
 * touches no neighbour, and dense chunks change generation without moving an entry. Order is CPython's list order:
 * tracking appends at the tail of generation 0, merging appends the younger table to the older one's tail.
 *
 * Tombstones are not counted when they are made, because every death makes one. They are squeezed out when tables
 * merge, and where a table grows or shrinks without a collection (`growYoung`, `packIfSparse`).
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  CHUNK_CAPACITY,
  CHUNK_ENTRIES,
  CHUNK_GENERATION,
  CHUNK_MASK,
  CHUNK_NEXT,
  CHUNK_OPEN,
  CHUNK_USED,
  CHUNK_WORDS,
  CONTROL_GENERATIONS,
  CONTROL_RESERVE_CHUNK,
  CONTROL_YOUNG_CURSOR,
  FLAG_FROZEN,
  FLAG_TRACKED,
  GENERATION_CHUNKS,
  GENERATION_CURSOR,
  GENERATION_FIRST,
  GENERATION_LAST,
  GENERATION_WORDS,
  HEADER_ENTRY,
  HEADER_TYPE,
  KIND_STORAGE,
  PERMANENT,
} from "../memory/layout.js";

/** A chunk with at least this many live entries is linked as it is when generations merge; a sparser one is copied. */
const DENSE_ENTRIES = (CHUNK_CAPACITY * 3) >> 2;
/** Below this many chunks a sparse table is not worth packing. */
const PACK_CHUNKS_MIN = 8;

export class Generations {
  private readonly i32: Int32Array;
  private readonly allocator: Allocator;
  /** Chunks in generation 0 when it is next searched for tombstones. */
  private packYoungAt = PACK_CHUNKS_MIN;

  constructor(allocator: Allocator) {
    this.allocator = allocator;
    this.i32 = allocator.memory.i32;
    this.refillReserve();
  }

  /** Address of a generation's record in the control words. */
  record(generation: number): number {
    return CONTROL_GENERATIONS + generation * GENERATION_WORDS;
  }

  // -- one object -----------------------------------------------------------------------------

  /**
   * Make sure that the next `track` has an entry to go to: the only step of tracking that can fail.
   * @throws OutOfMemoryError
   */
  openYoung(): void {
    if ((this.i32[CONTROL_YOUNG_CURSOR] & CHUNK_MASK) === 0) this.growYoung();
  }

  /** Append an untracked object to generation 0. `openYoung` was called since the last `track`. */
  track(object: Address): void {
    const { i32 } = this;
    const entry = i32[CONTROL_YOUNG_CURSOR];
    i32[entry] = object;
    i32[object + HEADER_ENTRY] = entry;
    i32[object + HEADER_TYPE] |= FLAG_TRACKED;
    i32[CONTROL_YOUNG_CURSOR] = entry + 1;
  }

  /**
   * Append an untracked object to generation 0 where nothing may fail: if there is no memory, with the room of
   * tombstones, of an older generation's if need be. The object left one of its own; the reserve is the collector's.
   * @returns false, and the object untracked, when there is no room at all
   */
  trackAgain(object: Address): boolean {
    for (let generation = 0; generation <= 2; generation++) {
      if (!this.makeRoom(generation)) this.pack(generation);
      if (!this.makeRoom(generation)) continue;
      this.append(generation, object);
      this.i32[object + HEADER_TYPE] |= FLAG_TRACKED;
      return true;
    }
    return false;
  }

  /** Take a tracked object out of whichever table it is in. O(1). */
  untrack(object: Address): void {
    const { i32 } = this;
    i32[object + HEADER_TYPE] &= ~(FLAG_TRACKED | FLAG_FROZEN);
    this.removeEntry(i32[object + HEADER_ENTRY]);
  }

  /** Leave a tombstone. The newest entry of all is taken back, so that short-lived objects do not eat the table. */
  removeEntry(entry: Address): void {
    const { i32 } = this;
    i32[entry] = 0;
    if (i32[CONTROL_YOUNG_CURSOR] === entry + 1) i32[CONTROL_YOUNG_CURSOR] = entry;
  }

  /** The generation (0 to 4) that a tracked object's table belongs to. */
  generationOf(object: Address): number {
    return this.i32[(this.i32[object + HEADER_ENTRY] & ~CHUNK_MASK) + CHUNK_GENERATION];
  }

  // -- whole tables ---------------------------------------------------------------------------

  /** Objects in a generation. O(entries). */
  size(generation: number): number {
    let live = 0;
    for (let chunk = this.firstChunk(generation); chunk !== 0; chunk = this.i32[chunk + CHUNK_NEXT])
      live += this.liveEntries(chunk);
    return live;
  }

  /** Entries written to a generation, tombstones included: at least its size. O(chunks). */
  entryCount(generation: number): number {
    let entries = 0;
    for (let chunk = this.firstChunk(generation); chunk !== 0; chunk = this.i32[chunk + CHUNK_NEXT])
      entries += this.entriesEnd(chunk) - chunk - CHUNK_ENTRIES;
    return entries;
  }

  firstChunk(generation: number): Address {
    return this.i32[this.record(generation) + GENERATION_FIRST];
  }

  /** One past the last entry written in a chunk. */
  entriesEnd(chunk: Address): Address {
    const { i32 } = this;
    const used = i32[chunk + CHUNK_USED];
    if (used !== CHUNK_OPEN) return chunk + CHUNK_ENTRIES + used;
    return i32[this.record(i32[chunk + CHUNK_GENERATION]) + GENERATION_CURSOR];
  }

  /** The objects of a generation, in list order. Objects may leave the table meanwhile, but not join it. */
  *objects(generation: number): IterableIterator<Address> {
    const { i32 } = this;
    for (let chunk = this.firstChunk(generation); chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
      const end = this.entriesEnd(chunk);
      for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++) if (i32[entry] !== 0) yield i32[entry];
    }
  }

  /**
   * Append all of `from` to the tail of `to` and leave `from` empty. Dense chunks are linked, sparse ones copied, so
   * that tables do not fill with tombstones; both keep the order. Takes no memory and cannot fail: copying needs no
   * more chunks than it frees, and where there is none for the first of them, sparse chunks are linked too.
   */
  merge(from: number, to: number): void {
    const { i32 } = this;
    const source = this.record(from);
    for (let chunk = i32[source + GENERATION_FIRST]; chunk !== 0; ) {
      const next = i32[chunk + CHUNK_NEXT];
      const end = this.entriesEnd(chunk);
      let live = end - chunk - CHUNK_ENTRIES; // at most: counted only where that is too many
      if (live >= DENSE_ENTRIES || !this.canTake(to, live)) live = this.liveEntries(chunk);
      if (live >= DENSE_ENTRIES || !this.canTake(to, live)) this.linkChunk(to, chunk, end);
      else {
        this.appendEntries(to, chunk + CHUNK_ENTRIES, end);
        this.freeChunk(chunk);
      }
      chunk = next;
    }
    i32.fill(0, source, source + GENERATION_WORDS);
    if (from === 0) this.packYoungAt = PACK_CHUNKS_MIN;
    this.refillReserve();
  }

  /** Pack a generation of `size` objects if fewer than two thirds of its entries are live. */
  packIfSparse(generation: number, size: number): void {
    const capacity = this.i32[this.record(generation) + GENERATION_CHUNKS] * CHUNK_CAPACITY;
    if (capacity > PACK_CHUNKS_MIN * CHUNK_CAPACITY && size * 3 < capacity * 2) this.pack(generation);
  }

  /** Move every entry as far forward as it goes. Entries keep their order. O(entries). */
  pack(generation: number): void {
    const { i32 } = this;
    const record = this.record(generation);
    let target = i32[record + GENERATION_FIRST];
    if (target === 0) return;
    let free = target + CHUNK_ENTRIES;
    for (let chunk = target; chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
      const end = this.entriesEnd(chunk);
      for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++) {
        const object = i32[entry];
        if (object === 0) continue;
        if (free === target + CHUNK_WORDS) {
          i32[target + CHUNK_USED] = CHUNK_CAPACITY;
          target = i32[target + CHUNK_NEXT];
          free = target + CHUNK_ENTRIES;
        }
        if (free !== entry) {
          i32[entry] = 0;
          i32[free] = object;
          i32[object + HEADER_ENTRY] = free;
        }
        free++;
      }
    }
    this.truncate(record, target, free);
  }

  /**
   * Append one object that stands in no table; its flags say tracked. `hasRoom` or `makeRoom` was asked before. The
   * reserve chunk goes first: what a collection appends here leaves another table, which gives a chunk back.
   */
  append(generation: number, object: Address): void {
    const { i32 } = this;
    const cursor = this.record(generation) + GENERATION_CURSOR;
    if ((i32[cursor] & CHUNK_MASK) === 0) this.addChunk(generation, this.takeReserveOrChunk());
    const entry = i32[cursor];
    i32[entry] = object;
    i32[object + HEADER_ENTRY] = entry;
    i32[cursor] = entry + 1;
  }

  /**
   * `append` where user code has run and may have taken all memory: to the tail of this generation, or of any in which
   * tombstones make room. Without any the object is untracked: it lives, and is never collected.
   */
  appendAnywhere(preferred: number, object: Address): void {
    for (const generation of [preferred, 2, 1, 0]) {
      if (!this.hasRoom(generation)) this.pack(generation);
      if (!this.hasRoom(generation)) continue;
      this.append(generation, object);
      return;
    }
    this.i32[object + HEADER_TYPE] &= ~FLAG_TRACKED;
  }

  /** Whether `append` can go on without a chunk that may not be there. */
  hasRoom(generation: number): boolean {
    const { i32 } = this;
    return (i32[this.record(generation) + GENERATION_CURSOR] & CHUNK_MASK) !== 0 || this.hasChunk();
  }

  /** Whether up to a chunk of entries can be appended one by one. */
  private canTake(generation: number, entries: number): boolean {
    const cursor = this.i32[this.record(generation) + GENERATION_CURSOR];
    return entries <= (-cursor & CHUNK_MASK) || this.hasChunk();
  }

  /** Whether one chunk more can be had. */
  hasChunk(): boolean {
    return this.i32[CONTROL_RESERVE_CHUNK] !== 0 || this.allocator.canAllocate(KIND_STORAGE, CHUNK_WORDS);
  }

  /** Make room for one entry more and leave the reserve chunk to `merge`. @returns whether there is room */
  makeRoom(generation: number): boolean {
    if ((this.i32[this.record(generation) + GENERATION_CURSOR] & CHUNK_MASK) !== 0) return true;
    if (!this.allocator.canAllocate(KIND_STORAGE, CHUNK_WORDS)) return false;
    this.addChunk(generation, this.allocator.allocate(KIND_STORAGE, CHUNK_WORDS));
    return true;
  }

  /** The first live entry of a generation at or behind `from`, or 0; chunks passed on the way are freed. */
  firstEntry(generation: number, from: Address): Address {
    const { i32 } = this;
    const record = this.record(generation);
    for (;;) {
      const chunk = i32[record + GENERATION_FIRST];
      if (chunk === 0) return 0;
      const end = this.entriesEnd(chunk);
      const start = (from & ~CHUNK_MASK) === chunk ? from : chunk + CHUNK_ENTRIES;
      for (let entry = start; entry < end; entry++) if (i32[entry] !== 0) return entry;
      if (i32[chunk + CHUNK_NEXT] === 0) return 0;
      i32[record + GENERATION_FIRST] = i32[chunk + CHUNK_NEXT];
      i32[record + GENERATION_CHUNKS]--;
      this.freeChunk(chunk);
    }
  }

  /** Whether an object that stood at `entry` of a generation still stands there. */
  isAt(entry: Address, object: Address, generation: number): boolean {
    const { i32 } = this;
    return i32[entry] === object && i32[(entry & ~CHUNK_MASK) + CHUNK_GENERATION] === generation;
  }

  /** Move generations 0, 1 and 2, in this order, to the permanent one (CPython: `gc.freeze`). O(objects). */
  freeze(): void {
    for (let generation = 0; generation <= 2; generation++) {
      for (const object of this.objects(generation)) this.i32[object + HEADER_TYPE] |= FLAG_FROZEN;
      this.merge(generation, PERMANENT);
    }
  }

  /** Append the permanent generation to generation 2 (CPython: `gc.unfreeze`). O(objects). */
  unfreeze(): void {
    for (const object of this.objects(PERMANENT)) this.i32[object + HEADER_TYPE] &= ~FLAG_FROZEN;
    this.merge(PERMANENT, 2);
  }

  /** Called where memory may be had, so that the collector finds a chunk where it may not. */
  refillReserve(): void {
    if (this.i32[CONTROL_RESERVE_CHUNK] !== 0 || !this.allocator.canAllocate(KIND_STORAGE, CHUNK_WORDS))
      return;
    this.i32[CONTROL_RESERVE_CHUNK] = this.allocator.allocate(KIND_STORAGE, CHUNK_WORDS);
  }

  // -- chunks ---------------------------------------------------------------------------------

  private liveEntries(chunk: Address): number {
    const { i32 } = this;
    const end = this.entriesEnd(chunk);
    let live = 0;
    for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++) if (i32[entry] !== 0) live++;
    return live;
  }

  /** Copy the live entries in [first, end) to the tail of a generation. */
  private appendEntries(generation: number, first: Address, end: Address): void {
    const { i32 } = this;
    const cursorWord = this.record(generation) + GENERATION_CURSOR;
    let cursor = i32[cursorWord];
    for (let entry = first; entry < end; entry++) {
      const object = i32[entry];
      if (object === 0) continue;
      if ((cursor & CHUNK_MASK) === 0) {
        i32[cursorWord] = cursor;
        this.addChunk(generation, this.takeReserveOrChunk());
        cursor = i32[cursorWord];
      }
      i32[cursor] = object;
      i32[object + HEADER_ENTRY] = cursor;
      cursor++;
    }
    i32[cursorWord] = cursor;
  }

  /** Generation 0 needs a chunk: a new one, or the room of its tombstones. @throws OutOfMemoryError */
  private growYoung(): void {
    const { i32 } = this;
    const record = this.record(0);
    if (i32[record + GENERATION_CHUNKS] >= this.packYoungAt) {
      // Searched each time the table has doubled, so the cost is amortised; without a collection nothing else packs it.
      this.packIfSparse(0, this.size(0));
      this.packYoungAt = Math.max(PACK_CHUNKS_MIN, i32[record + GENERATION_CHUNKS] * 2);
      if ((i32[record + GENERATION_CURSOR] & CHUNK_MASK) !== 0) return;
    }
    this.addChunk(0, this.allocator.allocate(KIND_STORAGE, CHUNK_WORDS));
  }

  private addChunk(generation: number, chunk: Address): void {
    this.linkChunk(generation, chunk, chunk + CHUNK_ENTRIES);
  }

  /** Put a chunk whose entries end at `end` behind the last one; it becomes the open chunk. */
  private linkChunk(generation: number, chunk: Address, end: Address): void {
    const { i32 } = this;
    const record = this.record(generation);
    const last = i32[record + GENERATION_LAST];
    if (last === 0) i32[record + GENERATION_FIRST] = chunk;
    else {
      i32[last + CHUNK_USED] = i32[record + GENERATION_CURSOR] - last - CHUNK_ENTRIES;
      i32[last + CHUNK_NEXT] = chunk;
    }
    i32[chunk + CHUNK_NEXT] = 0;
    i32[chunk + CHUNK_GENERATION] = generation;
    i32[chunk + CHUNK_USED] = CHUNK_OPEN;
    i32[record + GENERATION_LAST] = chunk;
    i32[record + GENERATION_CURSOR] = end;
    i32[record + GENERATION_CHUNKS]++;
  }

  /** After packing: `last` is the last chunk in use and `end` one past its last entry; free the chunks behind it. */
  private truncate(record: number, last: Address, end: Address): void {
    const { i32 } = this;
    let surplus = i32[last + CHUNK_NEXT];
    i32[last + CHUNK_USED] = CHUNK_OPEN;
    i32[last + CHUNK_NEXT] = 0;
    i32[record + GENERATION_LAST] = last;
    i32[record + GENERATION_CURSOR] = end;
    while (surplus !== 0) {
      const next = i32[surplus + CHUNK_NEXT];
      i32[record + GENERATION_CHUNKS]--;
      this.freeChunk(surplus);
      surplus = next;
    }
  }

  private takeReserveOrChunk(): Address {
    const { i32 } = this;
    const reserve = i32[CONTROL_RESERVE_CHUNK];
    if (reserve === 0) return this.allocator.allocate(KIND_STORAGE, CHUNK_WORDS);
    i32[CONTROL_RESERVE_CHUNK] = 0;
    return reserve;
  }

  /** A freed chunk becomes the reserve when there is none. */
  private freeChunk(chunk: Address): void {
    if (this.i32[CONTROL_RESERVE_CHUNK] === 0) this.i32[CONTROL_RESERVE_CHUNK] = chunk;
    else this.allocator.free(chunk);
  }
}
