import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLASS_WORDS, SMALL_WORDS_MAX, sizeClassOf } from "../../../src/alloc/size-class.js";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { size } from "../../support/heaps.js";
import { BlockHeap, pageOf } from "./block-heap.js";

const { KIND_CONTAINER, KIND_LEAF, KIND_STORAGE, PAGE_WORDS } = L;

interface LiveBlock {
  readonly address: number;
  readonly words: number;
  readonly kind: number;
  /** What every word of the payload holds. */
  readonly mark: number;
  readonly serial: number;
}

/** As text: long arrays take too long to compare. */
function ascending(addresses: Iterable<number>): string {
  return [...addresses].sort((one, other) => one - other).join();
}

/** What is in use, kept by the simplest means; every word of it holds a mark that nothing else may touch. */
class Model {
  readonly heap: BlockHeap;
  readonly live: LiveBlock[] = [];
  private nextMark = 1000;

  constructor(heap: BlockHeap) {
    this.heap = heap;
  }

  take(kind: number, words: number): void {
    const { allocator, i32 } = this.heap;
    const couldFit = this.couldFit(kind, words);
    const { pagesUsed } = this.heap;
    const canAllocate = allocator.canAllocate(kind, words);
    let address: number;
    try {
      address = allocator.allocate(kind, words);
    } catch (error) {
      expect(error).toBeInstanceOf(OutOfMemoryError);
      expect({ couldFit, canAllocate }).toEqual({ couldFit: false, canAllocate: false });
      return;
    }
    expect(couldFit).toBe(true);
    // Pages are given up for nothing but an allocation that would fail.
    if (canAllocate) expect(this.heap.pagesUsed).toBeGreaterThanOrEqual(pagesUsed);
    const blockWords = allocator.blockWords(address);
    expect(blockWords).toBeGreaterThanOrEqual(words);
    expect(address % 2).toBe(0);
    expect(address).toBeGreaterThanOrEqual(this.heap.firstPage * PAGE_WORDS);
    expect(address + blockWords).toBeLessThanOrEqual(allocator.wordsTouchedMax);
    for (const other of this.live)
      if (address < other.address + other.words && other.address < address + blockWords)
        expect.fail(`blocks at ${address} and ${other.address} overlap`);
    const mark = this.nextMark++;
    const serial = i32[address + L.HEADER_SERIAL];
    if (kind !== KIND_STORAGE) {
      expect(i32[address + L.HEADER_TYPE]).toBe(0);
      expect(serial).toBeGreaterThan(0);
      i32[address + L.HEADER_TYPE] = L.TYPE_ID_STRING;
    }
    const block = { address, words: blockWords, kind, mark, serial };
    i32.fill(mark, this.payload(block), address + blockWords);
    this.live.push(block);
  }

  /** Free the blocks whose numbers are chosen, the newest first. */
  free(isChosen: (index: number) => boolean): void {
    const chosen = [...this.live.keys()].filter(isChosen).reverse();
    for (const index of chosen) {
      const [block] = this.live.splice(index, 1);
      this.expectUntouched(block);
      this.heap.give(block.kind, block.address);
    }
  }

  freeOne(number: number): void {
    const wanted = number % this.live.length;
    this.free((index) => index === wanted);
  }

  verify(): void {
    for (const block of this.live) this.expectUntouched(block);
    const { objects, storage } = this.heap.verify();
    const objectsHere = this.addresses(KIND_CONTAINER, KIND_LEAF);
    expect(ascending(objects.keys())).toBe(objectsHere);
    expect([...this.heap.allocator.objects()].join()).toBe(objectsHere);
    expect(ascending(storage.keys())).toBe(this.addresses(KIND_STORAGE));
  }

  private addresses(...kinds: number[]): string {
    const blocks = this.live.filter((block) => kinds.includes(block.kind));
    return ascending(blocks.map(({ address }) => address));
  }

  /** First word that belongs to the block's owner alone. */
  private payload({ address, kind }: LiveBlock): number {
    return kind === KIND_STORAGE ? address : address + L.HEADER_WORDS;
  }

  private expectUntouched(block: LiveBlock): void {
    const { i32 } = this.heap;
    const end = block.address + block.words;
    for (let word = this.payload(block); word < end; word++)
      if (i32[word] !== block.mark)
        expect.fail(`word ${word} of the block at ${block.address} holds ${i32[word]}`);
    if (block.kind === KIND_STORAGE) return;
    expect(i32[block.address + L.HEADER_TYPE]).toBe(L.TYPE_ID_STRING);
    expect(i32[block.address + L.HEADER_SERIAL]).toBe(block.serial);
  }

  /** Whether there is room, seen from the live blocks alone: every page without one can serve anybody. */
  private couldFit(kind: number, words: number): boolean {
    const { firstPage, pageCount } = this.heap;
    const inUse = new Set<number>();
    const sameClass = new Map<number, number>();
    for (const block of this.live) {
      const first = pageOf(block.address);
      for (let page = first; page <= pageOf(block.address + block.words - 1); page++) inUse.add(page);
      const isSameClass =
        words <= SMALL_WORDS_MAX && block.kind === kind && block.words === CLASS_WORDS[sizeClassOf(words)];
      if (isSameClass) sameClass.set(first, (sameClass.get(first) ?? 0) + 1);
    }
    const capacity = Math.floor(PAGE_WORDS / CLASS_WORDS[sizeClassOf(words)]);
    if ([...sameClass.values()].some((count) => count < capacity)) return true;
    const wanted = words <= SMALL_WORDS_MAX ? 1 : Math.ceil(words / PAGE_WORDS);
    let length = 0;
    for (let page = firstPage; page < firstPage + pageCount; page++) {
      length = inUse.has(page) ? 0 : length + 1;
      if (length === wanted) return true;
    }
    return false;
  }
}

const words = fc.oneof(
  fc.integer({ min: 4, max: 40 }),
  fc.integer({ min: 1, max: SMALL_WORDS_MAX }),
  fc.constantFrom(64, 512, 1024, SMALL_WORDS_MAX, SMALL_WORDS_MAX + 1, PAGE_WORDS, PAGE_WORDS + 1),
  fc.integer({ min: SMALL_WORDS_MAX + 1, max: 12 * PAGE_WORDS }),
);
const kind = fc.constantFrom(KIND_CONTAINER, KIND_LEAF, KIND_STORAGE);
const takeOne = fc.record({ take: fc.constant(1), kind, words });
/** Enough of one class to fill pages. */
const takeMany = fc.record({ take: fc.nat(60), kind, words: fc.constantFrom(16, 100, 900) });
const freeOne = fc.record({ free: fc.nat() });
/** Every so many blocks, from one of them on: empties pages. */
const freeMany = fc.record({ every: fc.integer({ min: 1, max: 4 }), from: fc.nat(3) });
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: takeOne },
    { weight: 1, arbitrary: takeMany },
    { weight: 5, arbitrary: freeOne },
    { weight: 1, arbitrary: freeMany },
  ),
  { minLength: 1, maxLength: 150, size: "max" },
);

describe.each([
  ["as usual", false],
  ["under stress", true],
])("any order of allocating and freeing, %s,", (_, isStress) => {
  it("hands out distinct blocks, fails only when there is no room, and gets everything back", () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const model = new Model(new BlockHeap(2 ** 19, isStress));
        for (const [number, step] of sequence.entries()) {
          if ("take" in step)
            for (let count = step.take; count > 0; count--) model.take(step.kind, step.words);
          else if ("free" in step) model.freeOne(step.free);
          else model.free((live) => live % step.every === step.from);
          if (number % 16 === 0) model.verify();
        }
        model.verify();
        model.free(() => true);
        model.verify();
        model.take(KIND_LEAF, model.heap.pageCount * PAGE_WORDS);
        expect(model.live).toHaveLength(1);
      }),
      { numRuns: size(25) },
    );
  });
});
