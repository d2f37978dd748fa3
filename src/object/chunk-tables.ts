/**
 * Ordered tables of objects in chunks: the part of a generation that knows how entries lie (memory/layout.ts has the drawing).
 * A table grows at its end by a chunk; a chunk given back becomes the reserve, so that the collector finds one when there is no
 * memory for another.
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  CHUNK_ENTRIES,
  CHUNK_GENERATION,
  CHUNK_MASK,
  CHUNK_NEXT,
  CHUNK_OPEN,
  CHUNK_SEQUENCE,
  CHUNK_USED,
  CHUNK_WORDS,
  CONTROL_GENERATIONS,
  CONTROL_RESERVE_CHUNK,
  GENERATION_CHUNKS,
  GENERATION_CURSOR,
  GENERATION_FIRST,
  GENERATION_LAST,
  GENERATION_WORDS,
  KIND_STORAGE,
} from "../memory/layout.js";

export class ChunkTables {
  protected readonly i32: Int32Array;
  protected readonly allocator: Allocator;

  constructor(allocator: Allocator) {
    this.allocator = allocator;
    this.i32 = allocator.memory.i32;
  }

  /** Address of a generation's record in the control words. */
  record(generation: number): number {
    return CONTROL_GENERATIONS + generation * GENERATION_WORDS;
  }

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

  /** The same from one of its entries on. */
  entriesFrom(first: Address, from: Address): number {
    let entries = 0;
    for (let chunk = first; chunk !== 0; chunk = this.i32[chunk + CHUNK_NEXT])
      entries += this.entriesEnd(chunk) - (chunk === first ? from : chunk + CHUNK_ENTRIES);
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

  /** Whether `append` can go on without a chunk that may not be there. */
  hasRoom(generation: number): boolean {
    const { i32 } = this;
    return (i32[this.record(generation) + GENERATION_CURSOR] & CHUNK_MASK) !== 0 || this.hasChunk();
  }

  /** Whether up to a chunk of entries can be appended one by one. */
  protected canTake(generation: number, entries: number): boolean {
    const cursor = this.i32[this.record(generation) + GENERATION_CURSOR];
    return entries <= (-cursor & CHUNK_MASK) || this.hasChunk();
  }

  /** Whether one chunk more can be had. */
  hasChunk(): boolean {
    return this.i32[CONTROL_RESERVE_CHUNK] !== 0 || this.allocator.canAllocate(KIND_STORAGE, CHUNK_WORDS);
  }

  /** Called where memory may be had, so that the collector finds a chunk where it may not. */
  refillReserve(): void {
    if (this.i32[CONTROL_RESERVE_CHUNK] !== 0 || !this.allocator.canAllocate(KIND_STORAGE, CHUNK_WORDS))
      return;
    this.i32[CONTROL_RESERVE_CHUNK] = this.allocator.allocate(KIND_STORAGE, CHUNK_WORDS);
  }

  protected liveEntries(chunk: Address): number {
    const { i32 } = this;
    const end = this.entriesEnd(chunk);
    let live = 0;
    for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++) if (i32[entry] !== 0) live++;
    return live;
  }

  protected isEmptyChunk(chunk: Address): boolean {
    const end = this.entriesEnd(chunk);
    for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++) if (this.i32[entry] !== 0) return false;
    return true;
  }

  protected addChunk(generation: number, chunk: Address): void {
    this.linkChunk(generation, chunk, chunk + CHUNK_ENTRIES);
  }

  /** Put a chunk whose entries end at `end` behind the last one; it becomes the open chunk. */
  protected linkChunk(generation: number, chunk: Address, end: Address): void {
    const { i32 } = this;
    const record = this.record(generation);
    const last = i32[record + GENERATION_LAST];
    if (last === 0) i32[record + GENERATION_FIRST] = chunk;
    else {
      i32[last + CHUNK_USED] = i32[record + GENERATION_CURSOR] - last - CHUNK_ENTRIES;
      i32[last + CHUNK_NEXT] = chunk;
    }
    i32[chunk + CHUNK_SEQUENCE] = last === 0 ? 0 : i32[last + CHUNK_SEQUENCE] + 1;
    i32[chunk + CHUNK_NEXT] = 0;
    i32[chunk + CHUNK_GENERATION] = generation;
    i32[chunk + CHUNK_USED] = CHUNK_OPEN;
    i32[record + GENERATION_LAST] = chunk;
    i32[record + GENERATION_CURSOR] = end;
    i32[record + GENERATION_CHUNKS]++;
  }

  /** After packing: `last` is the last chunk in use and `end` one past its last entry; free the chunks behind it. */
  protected truncate(record: number, last: Address, end: Address): void {
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

  protected takeReserveOrChunk(): Address {
    const { i32 } = this;
    const reserve = i32[CONTROL_RESERVE_CHUNK];
    if (reserve === 0) return this.allocator.allocate(KIND_STORAGE, CHUNK_WORDS);
    i32[CONTROL_RESERVE_CHUNK] = 0;
    return reserve;
  }

  /** A freed chunk becomes the reserve when there is none. */
  protected freeChunk(chunk: Address): void {
    if (this.i32[CONTROL_RESERVE_CHUNK] === 0) this.i32[CONTROL_RESERVE_CHUNK] = chunk;
    else this.allocator.free(chunk);
  }
}
