import { describe, expect, it } from "vitest";
import { Allocator } from "../../../src/alloc/allocator.js";
import { CLASS_WORDS, SMALL_WORDS_MAX, sizeClassOf } from "../../../src/alloc/size-class.js";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { size } from "../../support/heaps.js";
import { BlockHeap, pageOf } from "./block-heap.js";

const { KIND_CONTAINER, KIND_LEAF, KIND_STORAGE, PAGE_WORDS } = L;
/** 64 blocks a page: room for a header and a payload, which most tests do not care about. */
const WORDS = 64;
const LARGE = SMALL_WORDS_MAX + 1;

describe("freeing an object", () => {
  it.each([
    ["of a page", WORDS],
    ["of pages of its own", LARGE],
  ])("%s takes its type away and makes every view of it stale", (_, words) => {
    const heap = new BlockHeap();
    const [block] = heap.takeMany(2, KIND_LEAF, words);
    const serial = heap.serial(block);
    heap.give(KIND_LEAF, block);
    expect(heap.i32[block + L.HEADER_TYPE]).toBe(0);
    expect(heap.serial(block)).toBe(serial + 1);
    heap.verify();
  });

  it("gives the next object there a serial that no earlier one had", () => {
    const heap = new BlockHeap();
    const page = heap.takeMany(PAGE_WORDS / WORDS, KIND_LEAF, WORDS);
    const serials = new Set<number>();
    for (let life = 0; life < 100; life++) {
      serials.add(heap.serial(page[5]));
      heap.give(KIND_LEAF, page[5]);
      expect(heap.take(KIND_LEAF, WORDS)).toBe(page[5]);
    }
    expect(serials.size).toBe(100);
    heap.verify();
  });

  it("gives blocks of a page that changed its class serials that none of its blocks had", () => {
    const heap = new BlockHeap();
    const spare = heap.takeMany(PAGE_WORDS / WORDS, KIND_LEAF, WORDS);
    const page = heap.takeMany(PAGE_WORDS / WORDS, KIND_LEAF, WORDS);
    const old = new Set(page.flatMap((block) => [heap.serial(block), heap.serial(block) + 1]));
    heap.give(KIND_LEAF, ...spare, ...page);
    const blocks = heap.takeMany(PAGE_WORDS / WORDS, KIND_CONTAINER, WORDS);
    expect(blocks).toEqual(page);
    expect(blocks.filter((block) => old.has(heap.serial(block)))).toEqual([]);
    heap.verify();
  });
});

describe("a block whose serials are used up", () => {
  /** A page of which one block dies for the last time. */
  function retireOne() {
    const heap = new BlockHeap();
    const page = heap.takeMany(PAGE_WORDS / WORDS, KIND_LEAF, WORDS);
    const block = page[7];
    heap.i32[block + L.HEADER_SERIAL] = L.SERIAL_RETIRED - 1;
    heap.give(KIND_LEAF, block);
    return { heap, page, block };
  }

  it("lives until its serial is SERIAL_RETIRED, and never again", () => {
    const heap = new BlockHeap();
    const page = heap.takeMany(PAGE_WORDS / WORDS, KIND_LEAF, WORDS);
    heap.i32[page[7] + L.HEADER_SERIAL] = L.SERIAL_RETIRED - 2;
    heap.give(KIND_LEAF, page[7]);
    expect(heap.i32[L.CONTROL_RETIRED_BLOCKS]).toBe(0);
    expect(heap.take(KIND_LEAF, WORDS)).toBe(page[7]);
    heap.give(KIND_LEAF, page[7]);
    expect(heap.i32[L.CONTROL_RETIRED_BLOCKS]).toBe(1);
    heap.verify();
    expect(heap.fill(KIND_LEAF, WORDS)).not.toContain(page[7]);
  });

  it("is retired even when a death skips that number", () => {
    const heap = new BlockHeap();
    const [block] = heap.takeMany(2, KIND_LEAF, WORDS);
    heap.i32[block + L.HEADER_SERIAL] = L.SERIAL_RETIRED;
    heap.give(KIND_LEAF, block);
    expect(heap.i32[L.CONTROL_RETIRED_BLOCKS]).toBe(1);
    heap.verify();
  });

  it("is no live object", () => {
    const { heap, page, block } = retireOne();
    expect([...heap.allocator.objects()]).toEqual(page.filter((other) => other !== block));
    heap.verify();
  });

  it("keeps its page from serving another class, where its serial would start again", () => {
    const { heap, page, block } = retireOne();
    const other = heap.takeMany(PAGE_WORDS / WORDS, KIND_LEAF, WORDS);
    heap.give(KIND_LEAF, ...page.filter((live) => live !== block), ...other);
    expect(heap.fill(KIND_STORAGE, PAGE_WORDS).map(pageOf)).not.toContain(pageOf(block));
    heap.verify();
  });

  it("is retired under stress too", () => {
    const heap = new BlockHeap(2 ** 20, true);
    const [block] = heap.takeMany(2, KIND_LEAF, WORDS);
    heap.i32[block + L.HEADER_SERIAL] = L.SERIAL_RETIRED - 1;
    heap.give(KIND_LEAF, block);
    expect(heap.i32[L.CONTROL_RETIRED_BLOCKS]).toBe(1);
    heap.verify();
  });
});

describe("under stress, freed memory", () => {
  it.each([
    ["a page", WORDS],
    ["pages of its own", LARGE],
  ])("of an object in %s is filled behind the header", (_, words) => {
    const heap = new BlockHeap(2 ** 20, true);
    const [before, block, after] = heap.takeMany(3, KIND_LEAF, words);
    for (const other of [before, block, after])
      heap.i32.fill(1, other + L.HEADER_WORDS, other + heap.allocator.blockWords(other));
    const end = block + heap.allocator.blockWords(block);
    heap.give(KIND_LEAF, block);
    expect(new Set(heap.i32.subarray(block + L.HEADER_WORDS, end))).toEqual(new Set([L.POISON_OBJECT]));
    expect(heap.i32[block + L.HEADER_TYPE]).toBe(0);
    expect(heap.i32[before + heap.allocator.blockWords(before) - 1]).toBe(1);
    expect(heap.i32[after + L.HEADER_WORDS]).toBe(1);
    heap.verify();
  });

  it.each([
    ["a page", WORDS],
    ["pages of its own", LARGE],
  ])("of storage in %s is filled", (_, words) => {
    const heap = new BlockHeap(2 ** 20, true);
    const [before, block, after] = heap.takeMany(3, KIND_STORAGE, words);
    for (const other of [before, block, after])
      heap.i32.fill(1, other, other + heap.allocator.blockWords(other));
    const end = block + heap.allocator.blockWords(block);
    heap.give(KIND_STORAGE, block);
    // The first word of a free block is its link.
    expect(new Set(heap.i32.subarray(block + 1, end))).toEqual(new Set([L.POISON_STORAGE]));
    expect([heap.i32[block - 1], heap.i32[after]]).toEqual([1, 1]);
    heap.verify();
  });

  it("is left alone at other levels", () => {
    const heap = new BlockHeap();
    for (const words of [WORDS, LARGE]) {
      const [block, other] = heap.takeMany(2, KIND_LEAF, words);
      const storage = heap.takeMany(2, KIND_STORAGE, words)[0];
      heap.i32[block + words - 1] = 42;
      heap.i32[storage + words - 1] = 43;
      heap.give(KIND_LEAF, block, other);
      heap.give(KIND_STORAGE, storage);
      expect([heap.i32[block + words - 1], heap.i32[storage + words - 1]]).toEqual([42, 43]);
    }
  });
});

describe("running out of memory", () => {
  it.each([
    ["a small block", 100, CLASS_WORDS[sizeClassOf(100)]],
    ["a large block", PAGE_WORDS + 1, PAGE_WORDS + 1],
    ["more than the reservation", 2 ** 29, 2 ** 29],
  ])("is an error with the bytes of %s and of the reservation", (_, words, requested) => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    heap.fill(KIND_STORAGE, PAGE_WORDS);
    let error: unknown;
    try {
      heap.take(KIND_LEAF, words);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({
      requestedBytes: requested * L.WORD_BYTES,
      maximumBytes: L.RESERVATION_BYTES_MIN,
    });
  });

  it("leaves every block as it is, and the heap as full", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    const blocks = heap.fill(KIND_CONTAINER, WORDS);
    const pages = heap.pageCount;
    expect(blocks).toHaveLength(pages * (PAGE_WORDS / WORDS));
    expect(heap.pagesUsed).toBe(pages);
    for (const words of [4, 2048, 5000, 2 ** 20])
      expect(() => heap.take(KIND_STORAGE, words)).toThrow(OutOfMemoryError);
    expect([...heap.verify().objects.keys()]).toEqual(blocks.sort((a, b) => a - b));
  });

  it("is over as soon as one block is free, for one block", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    const blocks = heap.fill(KIND_CONTAINER, WORDS);
    heap.give(KIND_CONTAINER, blocks[100]);
    expect(heap.take(KIND_CONTAINER, WORDS)).toBe(blocks[100]);
    expect(() => heap.take(KIND_CONTAINER, WORDS)).toThrow(OutOfMemoryError);
    heap.verify();
  });

  it.each([
    ["another size", KIND_CONTAINER, 6],
    ["another kind", KIND_STORAGE, WORDS],
    ["large blocks", KIND_LEAF, 3 * PAGE_WORDS],
  ])("is over for %s once all is free", (_, kind, words) => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    const capacity = heap.fill(kind, words).length;
    const other = new BlockHeap(L.RESERVATION_BYTES_MIN);
    other.give(KIND_CONTAINER, ...other.fill(KIND_CONTAINER, WORDS));
    // The last pages are only given up by an allocation: canAllocate does not count them.
    const blocks = other.takeMany(capacity, kind, words);
    expect(new Set(blocks).size).toBe(capacity);
    other.verify();
  });
});

describe("bytesUsed", () => {
  it("is the tables alone before anything is allocated", () => {
    const heap = new BlockHeap();
    const tableWords = L.CONTROL_WORDS + heap.i32[L.CONTROL_TYPE_COUNT] * L.TYPE_WORDS;
    expect(heap.allocator.bytesUsed).toBe(tableWords * L.WORD_BYTES);
  });

  it("counts whole pages, and the descriptors of the arenas they came from", () => {
    const heap = new BlockHeap();
    const start = heap.allocator.bytesUsed;
    const descriptorBytes = L.PAGE_DESCRIPTOR_WORDS * L.WORD_BYTES;
    heap.take(KIND_LEAF, 4);
    expect(heap.allocator.bytesUsed).toBe(start + L.PAGE_BYTES + L.ARENA_PAGES * descriptorBytes);
    const large = heap.take(KIND_STORAGE, 3 * PAGE_WORDS);
    expect(heap.allocator.bytesUsed).toBe(start + 4 * L.PAGE_BYTES + L.ARENA_PAGES * descriptorBytes);
    heap.give(KIND_STORAGE, large);
    expect(heap.allocator.bytesUsed).toBe(start + L.PAGE_BYTES + L.ARENA_PAGES * descriptorBytes);
  });

  it("counts the type table as it fills", () => {
    const heap = new BlockHeap();
    const start = heap.allocator.bytesUsed;
    heap.i32[L.CONTROL_TYPE_COUNT] += 2;
    expect(heap.allocator.bytesUsed).toBe(start + 2 * L.TYPE_WORDS * L.WORD_BYTES);
  });

  it("comes back to at most two pages a class, the one it hands out from and a spare, however much was used", () => {
    const heap = new BlockHeap(2 ** 24);
    const use = () => {
      for (const kind of [KIND_CONTAINER, KIND_LEAF, KIND_STORAGE]) {
        const blocks = [4, 30, 500].flatMap((words) => heap.takeMany(size(2000), kind, words));
        heap.give(kind, ...blocks);
      }
    };
    use();
    expect(heap.pagesUsed).toBeLessThanOrEqual(2 * 9);
    const settled = heap.allocator.bytesUsed;
    for (let round = 0; round < 3; round++) use();
    expect(heap.allocator.bytesUsed).toBe(settled);
    heap.verify();
  });

  it("stays within the reservation when that is full", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    heap.fill(KIND_LEAF, WORDS);
    expect(heap.allocator.bytesUsed).toBeLessThanOrEqual(L.RESERVATION_BYTES_MIN);
    expect(heap.allocator.bytesUsed).toBeGreaterThan(L.RESERVATION_BYTES_MIN * 0.75);
  });
});

describe("canAllocate", () => {
  it("is true for a block that a class has still to hand out, and for one freed to a page", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    const page = heap.takeMany(PAGE_WORDS / WORDS - 1, KIND_LEAF, WORDS);
    heap.fill(KIND_STORAGE, PAGE_WORDS);
    expect(heap.allocator.canAllocate(KIND_LEAF, WORDS)).toBe(true);
    heap.take(KIND_LEAF, WORDS);
    expect(heap.allocator.canAllocate(KIND_LEAF, WORDS)).toBe(false);
    heap.give(KIND_LEAF, page[3]);
    expect(heap.allocator.canAllocate(KIND_LEAF, WORDS)).toBe(true);
    expect(heap.allocator.canAllocate(KIND_CONTAINER, WORDS)).toBe(false);
    expect(heap.allocator.canAllocate(KIND_LEAF, WORDS + 2)).toBe(false);
  });

  it("is false when only an empty page of another class is left, which allocate gives up", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    const page = heap.takeMany(PAGE_WORDS / WORDS, KIND_LEAF, WORDS);
    heap.fill(KIND_STORAGE, PAGE_WORDS);
    heap.give(KIND_LEAF, ...page);
    expect(heap.allocator.canAllocate(KIND_CONTAINER, WORDS)).toBe(false);
    expect(pageOf(heap.take(KIND_CONTAINER, WORDS))).toBe(pageOf(page[0]));
    heap.verify();
  });

  it("knows a large block's pages exactly", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MIN);
    const pages = heap.pageCount;
    expect(heap.allocator.canAllocate(KIND_LEAF, pages * PAGE_WORDS)).toBe(true);
    expect(heap.allocator.canAllocate(KIND_LEAF, pages * PAGE_WORDS + 1)).toBe(false);
    heap.take(KIND_LEAF, pages * PAGE_WORDS);
  });
});

describe("a block", () => {
  it("says how many words it really has", () => {
    const { allocator } = new BlockHeap();
    for (const [words, real] of [
      [1, 4],
      [33, 36],
      [SMALL_WORDS_MAX, SMALL_WORDS_MAX],
      [LARGE, PAGE_WORDS],
      [PAGE_WORDS + 1, 2 * PAGE_WORDS],
    ])
      expect(allocator.blockWords(allocator.allocate(KIND_STORAGE, words))).toBe(real);
  });

  it("of a generation's chunk is aligned to its size", () => {
    const heap = new BlockHeap();
    for (const block of heap.takeMany(10, KIND_STORAGE, L.CHUNK_WORDS)) expect(block % L.CHUNK_WORDS).toBe(0);
  });

  it("by its size class is the same as by its words", () => {
    const heap = new BlockHeap();
    const block = heap.allocator.allocateClass(KIND_STORAGE, sizeClassOf(WORDS));
    expect(heap.allocator.blockWords(block)).toBe(WORDS);
    expect(heap.take(KIND_STORAGE, WORDS)).toBe(block + WORDS);
  });
});

describe("walking the heap", () => {
  it("visits live objects in address order, and neither storage nor free blocks nor blocks without a type", () => {
    const heap = new BlockHeap(2 ** 22);
    const live: number[] = [];
    for (const words of [4, WORDS, LARGE, 600, 3 * PAGE_WORDS]) {
      heap.takeMany(3, KIND_STORAGE, words);
      const [first, second, third, unborn] = heap.takeMany(4, KIND_LEAF, words);
      heap.i32[unborn + L.HEADER_TYPE] = 0;
      live.push(first, third, ...heap.takeMany(2, KIND_CONTAINER, words));
      heap.give(KIND_LEAF, second);
    }
    expect([...heap.allocator.objects()]).toEqual(live.sort((a, b) => a - b));
  });

  it("visits each page with blocks and each large run once, and no free run", () => {
    const heap = new BlockHeap();
    const small = heap.take(KIND_LEAF, WORDS);
    const gap = heap.take(KIND_LEAF, 2 * PAGE_WORDS);
    const large = heap.take(KIND_CONTAINER, 3 * PAGE_WORDS);
    const storage = heap.take(KIND_STORAGE, WORDS);
    heap.give(KIND_LEAF, gap);
    const runs = [...heap.allocator.pageRuns()];
    expect(runs.map(({ page }) => page)).toEqual(
      [small, large, storage].map(pageOf).sort((one, other) => one - other),
    );
    const table = heap.i32[L.CONTROL_PAGE_TABLE];
    for (const { page, descriptor } of runs) expect(descriptor).toBe(table + page * L.PAGE_DESCRIPTOR_WORDS);
  });

  it("finds nothing in an empty heap", () => {
    const { allocator } = new BlockHeap();
    expect([...allocator.objects()]).toEqual([]);
    expect([...allocator.pageRuns()]).toEqual([]);
  });

  it.each([
    ["the visited object", (index: number) => [index]],
    ["the visited object and the next", (index: number) => [index, index + 1]],
    ["the one before and the visited object", (index: number) => [index - 1, index]],
    ["the one before, the next and the visited object", (index: number) => [index - 1, index + 1, index]],
    ["the one before and the next two", (index: number) => [index - 1, index + 1, index + 2]],
    [
      "the visited object, backwards from the third after it",
      (index: number) => [index + 3, index + 2, index],
    ],
  ])("visits every object that stays alive while %s are freed", (_, freedAt) => {
    for (const words of [LARGE, 3 * PAGE_WORDS, SMALL_WORDS_MAX]) {
      const heap = new BlockHeap(2 ** 22);
      const blocks = heap.takeMany(40, KIND_LEAF, words).sort((a, b) => a - b);
      const alive = new Set(blocks);
      const missed = new Set(blocks);
      for (const object of heap.allocator.objects()) {
        expect(alive).toContain(object);
        missed.delete(object);
        const index = blocks.indexOf(object);
        if (index % 5 !== 1) continue;
        for (const victim of freedAt(index).map((at) => blocks[at])) {
          if (!alive.delete(victim)) continue;
          heap.give(KIND_LEAF, victim);
          missed.delete(victim);
        }
      }
      expect(missed).toEqual(new Set());
      expect([...heap.verify().objects.keys()]).toEqual([...alive]);
    }
  });

  it("ends all objects: no view of one is valid any more", () => {
    const heap = new BlockHeap();
    const objects = [...heap.takeMany(3, KIND_LEAF, WORDS), heap.take(KIND_CONTAINER, LARGE)];
    const storage = heap.take(KIND_STORAGE, WORDS);
    heap.i32[storage + L.HEADER_SERIAL] = 77;
    heap.allocator.endAllObjects();
    expect(objects.map((object) => heap.serial(object))).toEqual([0, 0, 0, 0]);
    expect(heap.i32[storage + L.HEADER_SERIAL]).toBe(77);
  });
});

describe("an allocator", () => {
  it("needs nothing but the memory: another one over it goes on", () => {
    const heap = new BlockHeap();
    const blocks = heap.takeMany(3, KIND_LEAF, WORDS);
    const other = new Allocator(heap.memory);
    other.freeObject(blocks[1]);
    expect(heap.take(KIND_LEAF, WORDS)).toBe(blocks[2] + WORDS);
    expect(other.bytesUsed).toBe(heap.allocator.bytesUsed);
    expect([...other.objects()]).toEqual([blocks[0], blocks[2], blocks[2] + WORDS]);
  });

  it("reaches the last word of the largest reservation", () => {
    const heap = new BlockHeap(L.RESERVATION_BYTES_MAX);
    // As if all pages but the last eight were never handed out to anybody.
    const lastPages = heap.i32[L.CONTROL_PAGE_COUNT] - 8;
    heap.i32[L.CONTROL_FIRST_PAGE] = lastPages;
    heap.i32[L.CONTROL_TOP_PAGE] = lastPages;
    const large = heap.take(KIND_LEAF, 6 * PAGE_WORDS);
    const objects = heap.takeMany(PAGE_WORDS / 4, KIND_CONTAINER, 4);
    const storage = heap.takeMany(2, KIND_STORAGE, SMALL_WORDS_MAX);
    expect(storage[1] + SMALL_WORDS_MAX).toBe(2 ** 31);
    expect(heap.allocator.wordsTouchedMax).toBe(2 ** 31);
    expect(() => heap.take(KIND_LEAF, 4)).toThrow(OutOfMemoryError);
    expect([...heap.allocator.objects()]).toEqual([large, ...objects]);
    const { objects: seen, storage: seenStorage } = heap.verify();
    expect([...seen.keys()]).toEqual([large, ...objects]);
    expect([...seenStorage.keys()]).toEqual(storage);
    heap.give(KIND_STORAGE, ...storage);
    heap.give(KIND_CONTAINER, ...objects);
    heap.give(KIND_LEAF, large);
    expect(heap.take(KIND_LEAF, 8 * PAGE_WORDS)).toBe(large);
    heap.verify();
  });
});
