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
  CHUNK_USED,
  CHUNK_WORDS,
  CONTROL_SETTLED,
  CONTROL_SETTLED_END,
  CONTROL_SETTLED_FROM,
  CONTROL_SETTLED_FROM_END,
  CONTROL_SETTLINGS,
  CONTROL_YOUNG_CURSOR,
  FLAG_FROZEN,
  FLAG_SETTLED,
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
import { ChunkTables } from "./chunk-tables.js";
import { createSettled, type Settled } from "./settled.js";

/** A chunk with at least this many live entries is linked as it is when generations merge; a sparser one is copied. */
const DENSE_ENTRIES = (CHUNK_CAPACITY * 3) >> 2;
/** Below this many chunks a sparse table is not worth packing. */
const PACK_CHUNKS_MIN = 8;

export class Generations extends ChunkTables {
  readonly settled: Settled;
  /** Chunks in generation 0 when it is next searched for tombstones. */
  private packYoungAt = PACK_CHUNKS_MIN;

  /** @param isAttached whether the memory is a heap already, with its tables */
  constructor(allocator: Allocator, isAttached = false) {
    super(allocator);
    this.settled = createSettled(this.i32);
    if (!isAttached) this.refillReserve();
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
    this.settled.unsettleAll(); // what it refers to may have stayed where it is on its account
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
    i32[object + HEADER_TYPE] &= ~(FLAG_TRACKED | FLAG_FROZEN | FLAG_SETTLED);
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

  /**
   * Append all of `from` to the tail of `to` and leave `from` empty. Dense chunks are linked, sparse ones copied, so
   * that tables do not fill with tombstones; both keep the order. Takes no memory and cannot fail: copying needs no
   * more chunks than it frees, and where there is none for the first of them, sparse chunks are linked too.
   */
  merge(from: number, to: number): void {
    const { i32 } = this;
    if (from === 2) this.settled.unsettleAll();
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
    this.clearRecord(source);
    if (from === 0) this.packYoungAt = PACK_CHUNKS_MIN;
    this.refillReserve();
  }

  /**
   * Append objects that stand in no table, in this order. There is room: they have just left a table that is empty now.
   * @param flags what to add to their flags
   */
  appendAll(generation: number, objects: Int32Array, count: number, flags: number): void {
    const { i32 } = this;
    const cursorWord = this.record(generation) + GENERATION_CURSOR;
    for (let index = 0; index < count; ) {
      if ((i32[cursorWord] & CHUNK_MASK) === 0) this.addChunk(generation, this.takeReserveOrChunk());
      let cursor = i32[cursorWord];
      const end = Math.min(count, index + CHUNK_WORDS - (cursor & CHUNK_MASK));
      while (index < end) {
        const object = objects[index++];
        i32[cursor] = object;
        i32[object + HEADER_ENTRY] = cursor++;
        if (flags !== 0) i32[object + HEADER_TYPE] |= flags;
      }
      i32[cursorWord] = cursor;
    }
  }

  /** Give back all chunks of a generation. Whoever stood in it stands in no table. */
  empty(generation: number): void {
    const { i32 } = this;
    const record = this.record(generation);
    for (let chunk = i32[record + GENERATION_FIRST]; chunk !== 0; ) {
      const next = i32[chunk + CHUNK_NEXT];
      this.freeChunk(chunk);
      chunk = next;
    }
    this.clearRecord(record);
    if (generation === 0) this.packYoungAt = PACK_CHUNKS_MIN;
  }

  /** Forget the entries from here on, and give back the chunks behind. Whoever stood there stands in no table. */
  cut(generation: number, chunk: Address, entry: Address): void {
    this.truncate(this.record(generation), chunk, entry);
  }

  /** Everything in generation 2 is settled: what is behind this place was partitioned just now. Chunk 0: all of it. */
  settle(from: Address, fromEnd: Address): void {
    const { i32 } = this;
    const record = this.record(2);
    i32[CONTROL_SETTLED_FROM] = from;
    i32[CONTROL_SETTLED_FROM_END] = fromEnd;
    i32[CONTROL_SETTLED] = i32[record + GENERATION_LAST];
    i32[CONTROL_SETTLED_END] = i32[record + GENERATION_CURSOR];
    i32[CONTROL_SETTLINGS]++;
  }

  isAllSettled(): boolean {
    const { i32 } = this;
    return i32[CONTROL_SETTLED] !== 0 && i32[CONTROL_SETTLED_END] === i32[this.record(2) + GENERATION_CURSOR];
  }

  /** All of generation 2 was settled, and its entries have moved: they are settled where they stand now. */
  resettle(): void {
    const { i32 } = this;
    if (i32[CONTROL_SETTLED] === 0) i32[CONTROL_SETTLED_FROM] = 0;
    i32[CONTROL_SETTLED] = i32[this.record(2) + GENERATION_LAST];
    i32[CONTROL_SETTLED_END] = i32[this.record(2) + GENERATION_CURSOR];
  }

  /** Give back the chunks that hold tombstones only. O(chunks + their entries) */
  dropEmptyChunks(generation: number): void {
    const { i32 } = this;
    if (generation === 2) this.settled.unsettleAll();
    const record = this.record(generation);
    let kept = 0;
    for (let chunk = i32[record + GENERATION_FIRST]; chunk !== 0; ) {
      const next = i32[chunk + CHUNK_NEXT];
      // The last chunk is the open one.
      if (next === 0 || !this.isEmptyChunk(chunk)) kept = chunk;
      else {
        if (kept === 0) i32[record + GENERATION_FIRST] = next;
        else i32[kept + CHUNK_NEXT] = next;
        i32[record + GENERATION_CHUNKS]--;
        this.freeChunk(chunk);
      }
      chunk = next;
    }
  }

  /** These chunks, none of them the open one, hold tombstones only: whoever looks for entries need not read them. */
  noteEmpty(chunks: readonly Address[]): void {
    for (const chunk of chunks) this.i32[chunk + CHUNK_USED] = 0;
  }

  /** Pack a generation of `size` objects if fewer than two thirds of its entries are live. @returns whether it was */
  packIfSparse(generation: number, size: number): boolean {
    const capacity = this.i32[this.record(generation) + GENERATION_CHUNKS] * CHUNK_CAPACITY;
    const isSparse = capacity > PACK_CHUNKS_MIN * CHUNK_CAPACITY && size * 3 < capacity * 2;
    if (isSparse) this.pack(generation);
    return isSparse;
  }

  /** Move every entry as far forward as it goes. Entries keep their order. O(entries). */
  pack(generation: number): void {
    const { i32 } = this;
    if (generation === 2) this.settled.unsettleAll();
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
    this.settled.unsettleAll(); // what only they refer to stands before them now
    for (const object of this.objects(PERMANENT)) this.i32[object + HEADER_TYPE] &= ~FLAG_FROZEN;
    this.merge(PERMANENT, 2);
  }

  /** Not by `fill`: of a shared array that is a call which costs more than a young collection has to spare. */
  private clearRecord(record: number): void {
    for (let word = record; word < record + GENERATION_WORDS; word++) this.i32[word] = 0;
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
}
