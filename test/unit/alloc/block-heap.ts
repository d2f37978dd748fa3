/** An allocator to test, used as the object layer uses it. */
import { expect } from "vitest";
import { Allocator } from "../../../src/alloc/allocator.js";
import { type Blocks, verifyBlocks } from "../../../src/gc/verify-blocks.js";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { type Memory, reserveMemory } from "../../../src/memory/memory.js";

/** An allocator whose object blocks get a type, as every object does before anything else can happen. */
export class BlockHeap {
  readonly memory: Memory;
  readonly i32: Int32Array;
  readonly allocator: Allocator;

  constructor(bytes = 2 ** 20, isStress = false) {
    this.memory = reserveMemory(bytes);
    this.i32 = this.memory.i32;
    this.allocator = new Allocator(this.memory, isStress);
  }

  take(kind: number, words: number): number {
    const block = this.allocator.allocate(kind, words);
    if (kind !== L.KIND_STORAGE) this.i32[block + L.HEADER_TYPE] = L.TYPE_ID_STRING;
    return block;
  }

  takeMany(count: number, kind: number, words: number): number[] {
    return Array.from({ length: count }, () => this.take(kind, words));
  }

  give(kind: number, ...blocks: number[]): void {
    for (const block of blocks) {
      if (kind === L.KIND_STORAGE) this.allocator.free(block);
      else this.allocator.freeObject(block);
    }
  }

  /** Take blocks until there is no memory for another. */
  fill(kind: number, words: number): number[] {
    const blocks: number[] = [];
    while (this.allocator.canAllocate(kind, words)) blocks.push(this.take(kind, words));
    expect(() => this.take(kind, words)).toThrow(OutOfMemoryError);
    return blocks;
  }

  serial(block: number): number {
    return this.i32[block + L.HEADER_SERIAL];
  }

  get pagesUsed(): number {
    return this.i32[L.CONTROL_PAGES_USED];
  }

  /** First page that blocks can use. */
  get firstPage(): number {
    return this.i32[L.CONTROL_FIRST_PAGE];
  }

  /** Pages that blocks can use. */
  get pageCount(): number {
    return this.i32[L.CONTROL_PAGE_COUNT] - this.firstPage;
  }

  verify(): Blocks {
    return verifyBlocks(this.memory);
  }
}

export function pageOf(block: number): number {
  return Math.floor(block / L.PAGE_WORDS);
}
