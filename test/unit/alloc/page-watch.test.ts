/** Watchers of blocks: what they are told, whatever the allocator does meanwhile. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BlockWatcher } from "../../../src/alloc/page.js";
import { CLASS_WORDS, SMALL_WORDS_MAX, sizeClassOf } from "../../../src/alloc/size-class.js";
import * as L from "../../../src/memory/layout.js";
import { size } from "../../support/heaps.js";
import { BlockHeap } from "./block-heap.js";

const { KIND_LEAF, KIND_STORAGE } = L;
const WORDS = 64;
const BLOCKS_A_PAGE = L.PAGE_WORDS / WORDS;

/** Keeps what it was told of and is not freed. */
class Recorder implements BlockWatcher {
  readonly alive = new Map<number, number>();
  readonly given_: number[] = [];
  private readonly gap: number;
  constructor(gap = 0) {
    this.gap = gap;
  }
  taken(block: number, words: number): void {
    expect(this.alive.has(block)).toBe(false);
    this.alive.set(block, words);
  }
  given(block: number): void {
    this.given_.push(block);
    this.alive.delete(block);
  }
  nextGap(): number {
    return this.gap;
  }
}

describe("a watcher", () => {
  it("is told of every block that is taken and freed, and its words", () => {
    const heap = new BlockHeap();
    const before = heap.take(KIND_LEAF, WORDS);
    const recorder = new Recorder();
    heap.allocator.watch(recorder);
    const blocks = [
      ...heap.takeMany(BLOCKS_A_PAGE + 3, KIND_LEAF, WORDS),
      heap.take(KIND_STORAGE, 7),
      heap.take(KIND_LEAF, SMALL_WORDS_MAX + 1),
    ];
    expect([...recorder.alive.keys()]).toEqual(blocks);
    expect([...recorder.alive.values()].slice(-3)).toEqual([
      WORDS,
      CLASS_WORDS[sizeClassOf(7)],
      L.PAGE_WORDS,
    ]);
    heap.verify();
    heap.give(KIND_STORAGE, ...blocks.splice(-2, 1));
    heap.give(KIND_LEAF, before, ...blocks);
    expect(recorder.alive.size).toBe(0);
    expect(recorder.given_).toContain(before);
    heap.verify();
  });

  it("hears nothing any more once it is taken away, and others do", () => {
    const heap = new BlockHeap();
    const [first, second] = [new Recorder(), new Recorder()];
    heap.allocator.watch(first);
    heap.allocator.watch(second);
    const block = heap.take(KIND_LEAF, WORDS);
    heap.allocator.unwatch(first);
    heap.give(KIND_LEAF, block, heap.take(KIND_LEAF, WORDS));
    expect([first.alive.size, second.given_.length]).toEqual([1, 2]);
    heap.allocator.unwatch(second);
    heap.give(KIND_LEAF, heap.take(KIND_LEAF, WORDS));
    expect(second.given_).toHaveLength(2);
    heap.verify();
  });

  it("leaves memory poisoned where it was", () => {
    const heap = new BlockHeap(2 ** 20, true);
    const recorder = new Recorder();
    heap.allocator.watch(recorder);
    const block = heap.take(KIND_STORAGE, 8);
    heap.allocator.unwatch(recorder);
    heap.i32[block + 3] = 7;
    heap.give(KIND_STORAGE, block);
    expect(heap.i32[block + 3]).toBe(L.POISON_STORAGE);
  });

  it("may let so many blocks of each class pass unseen, and is told of large ones all the same", () => {
    const heap = new BlockHeap();
    const recorder = new Recorder(9);
    heap.allocator.watch(recorder);
    const blocks = heap.takeMany(BLOCKS_A_PAGE * 3, KIND_LEAF, WORDS);
    expect([...recorder.alive.keys()]).toEqual(blocks.filter((_, index) => index % 10 === 9));
    const large = heap.take(KIND_LEAF, SMALL_WORDS_MAX + 1);
    expect(recorder.alive.has(large)).toBe(true);
    heap.verify();
  });
});

it("watchers see what a model sees, in a heap that stays valid", () => {
  const command = fc.oneof(
    fc.record({
      verb: fc.constant("take" as const),
      words: fc.constantFrom(4, 30, 700, 3000),
      storage: fc.boolean(),
    }),
    fc.record({ verb: fc.constant("give" as const), which: fc.nat() }),
    fc.record({ verb: fc.constant("watch" as const), gap: fc.constantFrom(0, 0, 1, 5) }),
    fc.record({ verb: fc.constant("unwatch" as const), which: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 80, size: "max" }), (commands) => {
      const heap = new BlockHeap(2 ** 22);
      const alive: [kind: number, block: number, since: number][] = [];
      const watchers: { recorder: Recorder; gap: number; since: number }[] = [];
      commands.forEach((one, step) => {
        if (one.verb === "take") {
          const kind = one.storage ? KIND_STORAGE : KIND_LEAF;
          alive.push([kind, heap.take(kind, one.words), step]);
        } else if (one.verb === "watch") {
          const recorder = new Recorder(one.gap);
          heap.allocator.watch(recorder);
          watchers.push({ recorder, gap: one.gap, since: step });
        } else if (one.verb === "give" && alive.length > 0) {
          const [[kind, block]] = alive.splice(one.which % alive.length, 1);
          heap.give(kind, block);
        } else if (one.verb === "unwatch" && watchers.length > 0) {
          const [{ recorder }] = watchers.splice(one.which % watchers.length, 1);
          heap.allocator.unwatch(recorder);
        }
        heap.verify();
      });
      for (const { recorder, gap, since } of watchers) {
        const seen = alive.filter(([, , taken]) => taken > since).map(([, block]) => block);
        if (gap === 0) expect([...recorder.alive.keys()].sort()).toEqual(seen.sort());
        else expect(seen).toEqual(expect.arrayContaining([...recorder.alive.keys()]));
      }
    }),
    { numRuns: size(200) },
  );
});
