import { describe, expect, it } from "vitest";
import { Pages } from "../../../src/alloc/page.js";
import { CLASS_WORDS, sizeClassOf } from "../../../src/alloc/size-class.js";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { type Memory, reserveMemory } from "../../../src/memory/memory.js";
import { BlockHeap, pageOf } from "./block-heap.js";

const KINDS = [
  ["container", L.KIND_CONTAINER],
  ["leaf", L.KIND_LEAF],
  ["storage", L.KIND_STORAGE],
] as const;

function capacityOf(words: number): number {
  return Math.floor(L.PAGE_WORDS / CLASS_WORDS[sizeClassOf(words)]);
}

/** A free list from its first block on. */
function chain(memory: Memory, first: number): number[] {
  const blocks: number[] = [];
  for (let block = first; block !== 0; block = memory.i32[block]) blocks.push(block);
  return blocks;
}

/** As many blocks as a page holds: all of one page, if no other of their class has room. */
function fillPage(heap: BlockHeap, kind: number, words: number): number[] {
  return heap.takeMany(capacityOf(words), kind, words);
}

describe("a fresh page", () => {
  it.each(KINDS)("of a %s class holds as many blocks as fit, in address order", (_, kind) => {
    const memory = reserveMemory(2 ** 24);
    const pages = new Pages(memory, false);
    for (const [sizeClass, words] of CLASS_WORDS.entries()) {
      const first = pages.takeBlocks(kind, sizeClass);
      expect(first % L.PAGE_WORDS).toBe(0);
      const capacity = Math.floor(L.PAGE_WORDS / words);
      expect(chain(memory, first)).toEqual(
        Array.from({ length: capacity }, (_, index) => first + index * words),
      );
    }
  });

  it.each(KINDS)("of a %s class is described in the page table", (_, kind) => {
    const memory = reserveMemory(2 ** 20);
    const pages = new Pages(memory, false);
    const sizeClass = sizeClassOf(100);
    const page = pages.of(pages.takeBlocks(kind, sizeClass));
    const { i32 } = memory;
    expect(i32[page + L.PAGE_STATE]).toBe((L.PAGE_SMALL + kind) | (sizeClass << 8));
    expect(i32[page + L.PAGE_BLOCK_WORDS]).toBe(CLASS_WORDS[sizeClass]);
    expect(i32[page + L.PAGE_CAPACITY]).toBe(capacityOf(100));
    // The class has taken the whole list over.
    expect(i32[page + L.PAGE_USED]).toBe(capacityOf(100));
    expect(i32[page + L.PAGE_FREE_LIST]).toBe(0);
  });

  it.each(KINDS.slice(0, 2))("of a %s class has blocks without a type, all of one serial", (_, kind) => {
    const memory = reserveMemory(2 ** 20);
    const firstPage = memory.i32[L.CONTROL_FIRST_PAGE];
    memory.i32.fill(-1, firstPage * L.PAGE_WORDS);
    const blocks = chain(memory, new Pages(memory, false).takeBlocks(kind, sizeClassOf(32)));
    expect(new Set(blocks.map((block) => memory.i32[block + L.HEADER_TYPE]))).toEqual(new Set([0]));
    const serials = new Set(blocks.map((block) => memory.i32[block + L.HEADER_SERIAL]));
    expect(serials.size).toBe(1);
    expect([...serials][0]).toBeGreaterThan(0);
  });

  it("is one for each kind: blocks of two kinds never share one", () => {
    const heap = new BlockHeap();
    const pages = KINDS.map(([, kind]) => pageOf(heap.take(kind, 16)));
    expect(new Set(pages).size).toBe(3);
  });
});

describe("serials of fresh pages", () => {
  it("differ, are not 0, and leave half the range to come", () => {
    const memory = reserveMemory(2 ** 20);
    const pages = new Pages(memory, false);
    const serials = new Set<number>();
    for (let count = 0; count < 5000; count++) {
      const block = pages.takeLarge(L.KIND_LEAF, L.PAGE_WORDS);
      serials.add(memory.i32[block + L.HEADER_SERIAL]);
      pages.giveLarge(block);
    }
    expect(serials.size).toBe(5000);
    expect(Math.min(...serials)).toBeGreaterThan(0);
    expect(Math.max(...serials)).toBeLessThanOrEqual(L.SERIAL_MAX / 2 + 1);
  });

  it("are not 0 where the generator is", () => {
    const memory = reserveMemory(2 ** 20);
    const { i32 } = memory;
    const pages = new Pages(memory, false);
    pages.takeLarge(L.KIND_LEAF, 1);
    const step = i32[L.CONTROL_SERIAL_SEED];
    i32[L.CONTROL_SERIAL_SEED] = L.SERIAL_MAX + 1 - step;
    const block = pages.takeLarge(L.KIND_LEAF, 1);
    expect(i32[L.CONTROL_SERIAL_SEED]).toBe(0);
    expect(i32[block + L.HEADER_SERIAL]).toBe(1);
  });

  it("go on from the generator in the memory", () => {
    const memory = reserveMemory(2 ** 20);
    const blocks = [1, 2].map(() => new Pages(memory, false).takeLarge(L.KIND_LEAF, 1));
    const [one, other] = blocks.map((block) => memory.i32[block + L.HEADER_SERIAL]);
    expect(one).not.toBe(other);
  });
});

describe("a page with a free block", () => {
  it.each(KINDS)("of a %s class is used before a fresh one", (_, kind) => {
    const heap = new BlockHeap();
    const blocks = [...fillPage(heap, kind, 64), ...fillPage(heap, kind, 64)];
    const freed = [blocks[3], blocks[70]];
    heap.give(kind, ...freed);
    heap.verify();
    expect([heap.take(kind, 64), heap.take(kind, 64)].sort((a, b) => a - b)).toEqual(freed);
    expect(heap.pagesUsed).toBe(2);
    heap.take(kind, 64);
    expect(heap.pagesUsed).toBe(3);
    heap.verify();
  });

  it("keeps what is freed apart from what its class still hands out", () => {
    const heap = new BlockHeap();
    const [first, second] = [heap.take(L.KIND_LEAF, 64), heap.take(L.KIND_LEAF, 64)];
    heap.give(L.KIND_LEAF, first, second);
    heap.verify();
    const rest = Array.from({ length: capacityOf(64) - 2 }, () => heap.take(L.KIND_LEAF, 64));
    expect(rest).not.toContain(first);
    expect(rest).not.toContain(second);
    expect(heap.take(L.KIND_LEAF, 64)).toBe(second);
    expect(heap.pagesUsed).toBe(1);
    heap.verify();
  });
});

describe("an empty page", () => {
  it.each([
    ["class", L.KIND_CONTAINER, 200],
    ["kind", L.KIND_STORAGE, 64],
    ["class of another kind", L.KIND_LEAF, 6],
  ])("is given to another %s", (_, kind, words) => {
    const heap = new BlockHeap();
    const spare = fillPage(heap, L.KIND_CONTAINER, 64);
    const blocks = fillPage(heap, L.KIND_CONTAINER, 64);
    heap.give(L.KIND_CONTAINER, ...spare);
    heap.give(L.KIND_CONTAINER, ...blocks);
    expect(heap.pagesUsed).toBe(1);
    expect(pageOf(heap.take(kind, words))).toBe(pageOf(blocks[0]));
    heap.verify();
  });

  it("becomes part of a large block", () => {
    const heap = new BlockHeap();
    const blocks = [1, 2, 3, 4, 5].flatMap(() => fillPage(heap, L.KIND_STORAGE, 1024));
    heap.give(L.KIND_STORAGE, ...blocks);
    expect(heap.pagesUsed).toBe(1);
    const large = heap.take(L.KIND_LEAF, 4 * L.PAGE_WORDS);
    expect(blocks.map(pageOf)).toContain(pageOf(large));
    heap.verify();
  });

  it("stays with its class when it is the only one with room, so that one object cannot make it come and go", () => {
    const heap = new BlockHeap();
    const blocks = fillPage(heap, L.KIND_LEAF, 64);
    heap.give(L.KIND_LEAF, ...blocks);
    expect(heap.pagesUsed).toBe(1);
    const serial = heap.serial(blocks[0]);
    expect(pageOf(heap.take(L.KIND_LEAF, 64))).toBe(pageOf(blocks[0]));
    expect(heap.serial(blocks[0])).toBe(serial);
    heap.verify();
  });

  it("stays with its class under stress, so that its serials tell every stale view", () => {
    const heap = new BlockHeap(2 ** 20, true);
    const blocks = [...fillPage(heap, L.KIND_LEAF, 64), ...fillPage(heap, L.KIND_LEAF, 64)];
    heap.give(L.KIND_LEAF, ...blocks);
    expect(heap.pagesUsed).toBe(2);
    const pages = new Set(blocks.map(pageOf));
    expect(pages).not.toContain(pageOf(heap.take(L.KIND_LEAF, 32)));
    expect(pages).toContain(pageOf(heap.take(L.KIND_LEAF, 64)));
    heap.verify();
  });
});

describe.each([
  ["as usual", false],
  ["under stress", true],
])("before memory runs out, %s,", (_, isStress) => {
  it("every empty page is given up, those that classes keep for themselves included", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN, isStress);
    for (const words of [8, 64, 1024])
      heap.give(L.KIND_CONTAINER, ...fillPage(heap, L.KIND_CONTAINER, words));
    expect(heap.pagesUsed).toBe(3);
    const all = heap.take(L.KIND_STORAGE, heap.pageCount * L.PAGE_WORDS);
    expect(pageOf(all)).toBe(heap.firstPage);
    heap.verify();
  });

  it("blocks that classes have not handed out yet go back to their pages, and the classes go on", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN, isStress);
    const kept = [heap.take(L.KIND_LEAF, 64), heap.take(L.KIND_STORAGE, 8)];
    const gone = heap.take(L.KIND_CONTAINER, 64);
    heap.give(L.KIND_CONTAINER, gone);
    // All pages that nobody has: from here on a class finds a page only if another gives one up.
    const run = heap.take(L.KIND_STORAGE, (heap.pageCount - 3) * L.PAGE_WORDS);
    heap.verify();
    expect(pageOf(heap.take(L.KIND_CONTAINER, 500))).toBe(pageOf(gone));
    heap.verify();
    const more = [heap.take(L.KIND_LEAF, 64), heap.take(L.KIND_STORAGE, 8)];
    expect(more.map(pageOf)).toEqual(kept.map(pageOf));
    expect(more).not.toContain(kept[0]);
    expect(more).not.toContain(kept[1]);
    heap.give(L.KIND_STORAGE, run);
    heap.verify();
  });

  it("a page with one live block is not given up", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN, isStress);
    const blocks = fillPage(heap, L.KIND_CONTAINER, 64);
    heap.give(L.KIND_CONTAINER, ...blocks.slice(1));
    expect(() => heap.take(L.KIND_STORAGE, heap.pageCount * L.PAGE_WORDS)).toThrow(OutOfMemoryError);
    const { objects } = heap.verify();
    expect([...objects.keys()]).toEqual([blocks[0]]);
    expect(heap.take(L.KIND_STORAGE, (heap.pageCount - 1) * L.PAGE_WORDS)).toBeGreaterThan(blocks[0]);
  });
});

describe("a large block", () => {
  it.each(KINDS)("of the %s kind is a run of whole pages of its own", (_, kind) => {
    const memory = reserveMemory(2 ** 20);
    const pages = new Pages(memory, false);
    const block = pages.takeLarge(kind, 2 * L.PAGE_WORDS + 1);
    const { i32 } = memory;
    const page = pages.of(block);
    expect(block % L.PAGE_WORDS).toBe(0);
    expect(i32[L.CONTROL_PAGES_USED]).toBe(3);
    expect(i32[page + L.PAGE_STATE]).toBe(L.PAGE_LARGE + kind);
    expect(i32[page + L.PAGE_RUN]).toBe(3);
    expect(i32[page + L.PAGE_BLOCK_WORDS]).toBe(3 * L.PAGE_WORDS);
    expect([i32[page + L.PAGE_USED], i32[page + L.PAGE_CAPACITY]]).toEqual([1, 1]);
    pages.giveLarge(block);
    expect(i32[L.CONTROL_PAGES_USED]).toBe(0);
  });

  it("has no type and a serial of its own, whatever its pages held before", () => {
    const heap = new BlockHeap();
    const storage = heap.take(L.KIND_STORAGE, L.PAGE_WORDS);
    heap.i32.fill(0x1234, storage, storage + L.PAGE_WORDS);
    heap.give(L.KIND_STORAGE, storage);
    const block = heap.allocator.allocate(L.KIND_LEAF, L.PAGE_WORDS);
    expect(block).toBe(storage);
    expect(heap.i32[block + L.HEADER_TYPE]).toBe(0);
    expect(heap.i32[block + L.HEADER_SERIAL]).not.toBe(0x1234);
  });

  it("leaves its pages to small ones", () => {
    const heap = new BlockHeap();
    const large = heap.take(L.KIND_LEAF, 2 * L.PAGE_WORDS);
    heap.take(L.KIND_LEAF, L.PAGE_WORDS * 2);
    heap.give(L.KIND_LEAF, large);
    const blocks = [...fillPage(heap, L.KIND_STORAGE, 2048), ...fillPage(heap, L.KIND_STORAGE, 2048)];
    expect(blocks[0]).toBe(large);
    expect(blocks[2]).toBe(large + L.PAGE_WORDS);
    heap.verify();
  });
});
