import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arenas } from "../../../src/alloc/arena.js";
import { verifyBlocks } from "../../../src/gc/verify-blocks.js";
import * as L from "../../../src/memory/layout.js";
import { type Memory, reserveMemory } from "../../../src/memory/memory.js";
import { size } from "../../support/heaps.js";

/** Runs of pages with the states that the pages' owner would set, and the pages that are in use. */
class Runs {
  readonly memory: Memory;
  readonly arenas: Arenas;
  readonly first: number;
  readonly limit: number;
  /** Length by first page. */
  readonly taken = new Map<number, number>();

  constructor(bytes: number) {
    this.memory = reserveMemory(bytes);
    this.arenas = new Arenas(this.memory);
    this.first = this.memory.i32[L.CONTROL_FIRST_PAGE];
    this.limit = this.memory.i32[L.CONTROL_PAGE_COUNT];
  }

  /** Pages of the reservation that can be taken at all. */
  get capacity(): number {
    return this.limit - this.first;
  }

  get pagesUsed(): number {
    return this.memory.i32[L.CONTROL_PAGES_USED];
  }

  get top(): number {
    return this.memory.i32[L.CONTROL_TOP_PAGE];
  }

  take(length: number): number {
    const page = this.arenas.takeRun(length);
    if (page === 0) return 0;
    expect(this.overlaps(page, length)).toBe(false);
    this.memory.i32[this.arenas.descriptor(page) + L.PAGE_STATE] = L.PAGE_LARGE + L.KIND_STORAGE;
    this.taken.set(page, length);
    return page;
  }

  give(page: number): void {
    expect(this.taken.delete(page)).toBe(true);
    this.arenas.giveRun(page);
  }

  giveAll(): void {
    for (const page of [...this.taken.keys()]) this.give(page);
  }

  /** Take runs of one page until there is none. */
  fill(): number[] {
    const pages: number[] = [];
    for (let page = this.take(1); page !== 0; page = this.take(1)) pages.push(page);
    return pages;
  }

  isFree(page: number): boolean {
    return !this.overlaps(page, 1);
  }

  /** The longest stretch of free pages, by looking at every page. */
  longestFree(): number {
    let longest = 0;
    let length = 0;
    for (let page = this.first; page < this.limit; page++) {
      length = this.isFree(page) ? length + 1 : 0;
      longest = Math.max(longest, length);
    }
    return longest;
  }

  /** The heap's own check, and the same runs as here. */
  verify(): void {
    const { storage } = verifyBlocks(this.memory);
    // Where a run of no pages would hang.
    expect(this.memory.i32[L.CONTROL_FREE_RUNS - 1]).toBe(0);
    const runs = [...storage.values()].map(({ address, words }) => [
      address / L.PAGE_WORDS,
      words / L.PAGE_WORDS,
    ]);
    expect(new Map(runs as [number, number][])).toEqual(
      new Map([...this.taken].sort(([one], [other]) => one - other)),
    );
    expect(this.pagesUsed).toBe([...this.taken.values()].reduce((sum, length) => sum + length, 0));
  }

  private overlaps(page: number, length: number): boolean {
    if (page < this.first || page + length > this.limit) return true;
    for (const [other, otherLength] of this.taken)
      if (page < other + otherLength && other < page + length) return true;
    return false;
  }
}

describe("taking a run of pages", () => {
  it("starts at the first page behind the tables, and moves the top by whole arenas", () => {
    const runs = new Runs(2 ** 20);
    expect(runs.take(1)).toBe(runs.first);
    expect(runs.top).toBe(runs.first + L.ARENA_PAGES);
    expect(runs.take(2)).toBe(runs.first + 1);
    expect(runs.top).toBe(runs.first + L.ARENA_PAGES);
    runs.take(L.ARENA_PAGES + 1);
    expect((runs.top - runs.first) % L.ARENA_PAGES).toBe(0);
    runs.verify();
  });

  it("marks the later pages as continuations, and their number at the first", () => {
    const runs = new Runs(2 ** 20);
    const page = runs.take(3);
    const { i32 } = runs.memory;
    expect(i32[runs.arenas.descriptor(page) + L.PAGE_RUN]).toBe(3);
    for (const next of [page + 1, page + 2])
      expect(i32[runs.arenas.descriptor(next) + L.PAGE_STATE]).toBe(L.PAGE_CONTINUATION);
  });

  it("counts the pages in use", () => {
    const runs = new Runs(2 ** 20);
    const page = runs.take(5);
    expect(runs.pagesUsed).toBe(5);
    runs.take(2);
    expect(runs.pagesUsed).toBe(7);
    runs.give(page);
    expect(runs.pagesUsed).toBe(2);
  });

  it("takes every page of the reservation, the last arena's part too, and then gives 0", () => {
    const runs = new Runs(L.RESERVATION_BYTES_MIN);
    expect(runs.capacity % L.ARENA_PAGES).not.toBe(0);
    expect(runs.fill()).toHaveLength(runs.capacity);
    expect(runs.take(1)).toBe(0);
    expect(runs.pagesUsed).toBe(runs.capacity);
    runs.verify();
  });

  it("gives 0 for more pages than there are, and stays as it was", () => {
    const runs = new Runs(2 ** 20);
    for (const length of [runs.capacity + 1, 2 ** 19, 2 ** 25, 2 ** 30]) expect(runs.take(length)).toBe(0);
    expect(runs.take(runs.capacity)).toBe(runs.first);
    runs.verify();
  });

  it("prefers a run given back to fresh pages", () => {
    const runs = new Runs(2 ** 20);
    const page = runs.take(L.ARENA_PAGES);
    runs.take(1);
    const { top } = runs;
    runs.give(page);
    expect(runs.take(L.ARENA_PAGES)).toBe(page);
    expect(runs.top).toBe(top);
  });

  it("splits a longer run and keeps its rest", () => {
    const runs = new Runs(2 ** 20);
    const page = runs.take(10);
    runs.fill();
    runs.give(page);
    expect(runs.take(3)).toBe(page);
    expect(runs.take(7)).toBe(page + 3);
    expect(runs.take(1)).toBe(0);
    runs.verify();
  });

  it("begins a long run in the free pages below the top", () => {
    const runs = new Runs(2 ** 20);
    const half = Math.ceil(runs.capacity / 2);
    runs.give(runs.take(half));
    expect(runs.arenas.canTake(half + 5)).toBe(true);
    expect(runs.take(half + 5)).toBe(runs.first);
    runs.verify();
  });

  it("grants all pages as one run after they were used in pieces", () => {
    const runs = new Runs(2 ** 20);
    for (const length of [3, 8, 1]) runs.take(length);
    runs.giveAll();
    expect(runs.take(runs.capacity)).toBe(runs.first);
  });

  it("finds the one run that is long enough, however many shorter ones of its bin come first", () => {
    const runs = new Runs(2 ** 22);
    const [wanted, ...pages] = runs.fill();
    // Runs of 2 and 3 pages share a bin, and the last one given is the first one found.
    for (const page of [wanted, wanted + 1, wanted + 2]) runs.give(page);
    for (const page of pages.slice(3, 183)) if (page % 3 !== wanted % 3) runs.give(page);
    expect(runs.arenas.canTake(3)).toBe(true);
    expect(runs.take(3)).toBe(wanted);
    runs.verify();
  });
});

describe("giving a run back", () => {
  /** Three runs side by side, of 2, 3 and 4 pages, and nothing else free. */
  function neighbours() {
    const runs = new Runs(2 ** 20);
    for (const page of runs.fill()) if (page < runs.first + 9) runs.give(page);
    const pages = [runs.take(2), runs.take(3), runs.take(4)];
    expect(pages).toEqual([runs.first, runs.first + 2, runs.first + 5]);
    return { runs, pages };
  }

  it.each([
    ["first, middle, last", [0, 1, 2]],
    ["first, last, middle", [0, 2, 1]],
    ["middle, first, last", [1, 0, 2]],
    ["middle, last, first", [1, 2, 0]],
    ["last, first, middle", [2, 0, 1]],
    ["last, middle, first", [2, 1, 0]],
  ])("merges it with free neighbours: %s", (_, order) => {
    const { runs, pages } = neighbours();
    for (const index of order) {
      runs.give(pages[index]);
      runs.verify();
    }
    expect(runs.arenas.canTake(10)).toBe(false);
    expect(runs.take(9)).toBe(pages[0]);
  });

  it("does not merge across a run in use", () => {
    const { runs, pages } = neighbours();
    runs.give(pages[0]);
    runs.give(pages[2]);
    expect(runs.take(5)).toBe(0);
    expect(runs.take(4)).toBe(pages[2]);
    expect(runs.take(2)).toBe(pages[0]);
  });

  it("does not merge with what lies below the first page or above the top", () => {
    const runs = new Runs(2 ** 20);
    // What a broken image could hold there must not be taken for a run's end or start.
    const pretendFree = (page: number) => {
      const { i32 } = runs.memory;
      i32[runs.arenas.descriptor(page) + L.PAGE_STATE] = L.PAGE_FREE_RUN;
      i32[runs.arenas.descriptor(page) + L.PAGE_RUN] = 1;
    };
    pretendFree(runs.first - 1);
    const page = runs.take(L.ARENA_PAGES);
    expect(page).toBe(runs.first);
    pretendFree(runs.top);
    runs.give(page);
    runs.verify();
    expect(runs.take(L.ARENA_PAGES)).toBe(page);
  });
});

describe("any order of taking and giving", () => {
  const operations = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 6 }) }) },
      { weight: 1, arbitrary: fc.record({ take: fc.integer({ min: 7, max: 60 }) }) },
      { weight: 4, arbitrary: fc.record({ give: fc.nat() }) },
    ),
    { minLength: 1, maxLength: 120, size: "max" },
  );

  it("never overlaps, finds a run whenever one is long enough, and knows so before", () => {
    fc.assert(
      fc.property(operations, (steps) => {
        const runs = new Runs(2 ** 20);
        for (const step of steps) {
          if ("give" in step) {
            const pages = [...runs.taken.keys()];
            if (pages.length > 0) runs.give(pages[step.give % pages.length]);
            continue;
          }
          const isThere = runs.longestFree() >= step.take;
          expect(runs.arenas.canTake(step.take)).toBe(isThere);
          expect(runs.take(step.take) !== 0).toBe(isThere);
        }
        runs.verify();
        runs.giveAll();
        runs.verify();
        expect(runs.take(runs.capacity)).toBe(runs.first);
      }),
      { numRuns: size(200) },
    );
  });

  it("needs nothing but the memory: another instance over it goes on", () => {
    const runs = new Runs(2 ** 20);
    const page = runs.take(6);
    runs.take(2);
    runs.give(page);
    const other = new Arenas(runs.memory);
    expect(other.takeRun(6)).toBe(page);
  });
});
