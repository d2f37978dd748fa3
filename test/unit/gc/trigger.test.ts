import { describe, expect, it } from "vitest";
import { Core } from "../../../src/gc/core.js";
import { DEFAULT_THRESHOLDS } from "../../../src/gc/trigger.js";
import { InvalidArgumentError } from "../../../src/memory/errors.js";
import {
  type Address,
  CONTROL_LONG_LIVED_PENDING,
  CONTROL_LONG_LIVED_TOTAL,
  INT32_MAX,
} from "../../../src/memory/layout.js";
import { reserveMemory } from "../../../src/memory/memory.js";
import { makeExactCore, TestCore } from "../../support/core.js";
import { below, pick, randomFrom } from "../../support/random.js";
import { ref } from "../../support/slots.js";

/** An object as the simulation sees it: held by the test, or garbage that only a collection can free. */
interface Simulated {
  isGarbage: boolean;
}

/** CPython 3.11's counters and thresholds (Modules/gcmodule.c), on plain arrays. */
class NaiveTrigger {
  readonly counts = [0, 0, 0];
  readonly thresholds: number[] = [...DEFAULT_THRESHOLDS];
  readonly generations: Simulated[][] = [[], [], []];
  /** Generations of the collections so far, and at which allocation each came. */
  readonly collections: [number, number][] = [];
  isEnabled = true;
  pending = 0;
  total = 0;
  allocations = 0;

  /** @param object undefined for what is not tracked when made */
  allocate(object: Simulated | undefined): void {
    this.allocations++;
    this.counts[0]++;
    const isOver = this.counts[0] > this.thresholds[0];
    if (this.isEnabled && this.thresholds[0] !== 0 && isOver) this.collectOldestDue();
    if (object !== undefined) this.generations[0].push(object);
  }

  free(object: Simulated | undefined): void {
    this.counts[0] = Math.max(0, this.counts[0] - 1);
    for (const [generation, objects] of this.generations.entries())
      this.generations[generation] = objects.filter((other) => other !== object);
  }

  collect(generation: number): void {
    this.collections.push([generation, this.allocations]);
    if (generation < 2) this.counts[generation + 1]++;
    this.counts.fill(0, 0, generation + 1);
    const younger = this.generations.slice(0, generation);
    const candidates = [this.generations[generation], ...younger].flat();
    const survivors = candidates.filter(({ isGarbage }) => !isGarbage);
    for (let emptied = 0; emptied <= generation; emptied++) this.generations[emptied] = [];
    if (generation === 1) this.pending += survivors.length;
    if (generation === 2) {
      this.pending = 0;
      this.total = survivors.length;
    }
    this.generations[Math.min(2, generation + 1)].push(...survivors);
  }

  private collectOldestDue(): void {
    for (const generation of [2, 1, 0]) {
      if (this.counts[generation] <= this.thresholds[generation]) continue;
      if (generation === 2 && this.pending < Math.floor(this.total / 4)) continue;
      this.collect(generation);
      return;
    }
  }
}

/** The generations that are collected from now on, and after how many calls of `allocate` each. */
function recordCollections(heap: TestCore): { list: [number, number][]; tick: () => void } {
  const list: [number, number][] = [];
  let allocations = 0;
  heap.core.events.listeners.push({ onStart: (generation) => list.push([generation, allocations]) });
  return {
    list,
    tick: () => {
      allocations++;
    },
  };
}

function setThresholds(heap: TestCore, ...thresholds: number[]): void {
  for (const [generation, value] of thresholds.entries()) heap.core.trigger.setThreshold(generation, value);
}

/** How often each generation is collected while the test makes and keeps this many objects. */
function collectionsOf(heap: TestCore, count: number): number[] {
  const generations: number[] = [];
  const listener = { onStart: (generation: number) => void generations.push(generation) };
  heap.core.events.listeners.push(listener);
  for (let index = 0; index < count; index++) heap.newStruct(heap.struct("ref"));
  heap.core.events.listeners.splice(heap.core.events.listeners.indexOf(listener), 1);
  return generations;
}

describe("which generation is collected at which allocation", () => {
  it("is what CPython's counters say, for random thresholds and programs", () => {
    let collections = 0;
    for (let seed = 0; seed < 200; seed++) {
      const random = randomFrom(seed);
      const heap = makeExactCore(1 << 20);
      const naive = new NaiveTrigger();
      const { list, tick } = recordCollections(heap);
      const types = {
        node: heap.struct("ref"),
        dict: heap.dict("str", "ref"),
        leaf: heap.leaf.struct("f64"),
      };
      const held: [Address, Simulated | undefined][] = [];
      const setRandomThresholds = () => {
        const some = (largest: number) =>
          pick(random, [0, -1, -5, ...Array(5).fill(0)]) || below(random, largest);
        const values = [below(random, 8) === 0 ? some(3) : 1 + below(random, 30), some(5), some(4)];
        values.forEach((value, generation) => {
          heap.core.trigger.setThreshold(generation, value);
          naive.thresholds[generation] = value;
        });
      };
      setRandomThresholds();
      for (let step = 0; step < 400; step++) {
        const choice = random();
        if (choice < 0.55) {
          const object: Simulated = { isGarbage: choice < 0.15 };
          tick();
          naive.allocate(object);
          const node = heap.newStruct(types.node);
          if (object.isGarbage) {
            heap.setField(node, 0, ref(node));
            heap.drop(node);
          } else held.push([node, object]);
        } else if (choice < 0.65) {
          tick();
          naive.allocate(undefined);
          held.push([heap.newDict(types.dict, ["key", null]), undefined]);
        } else if (choice < 0.7) heap.newStruct(types.leaf, 1);
        else if (choice < 0.95 && held.length > 0) {
          const [[address, object]] = held.splice(below(random, held.length), 1);
          naive.free(object);
          heap.drop(address);
        } else if (choice < 0.96) {
          const generation = below(random, 3);
          naive.collect(generation);
          heap.collect(generation);
        } else if (choice < 0.97) {
          naive.isEnabled = random() < 0.7;
          heap.core.trigger.setEnabled(naive.isEnabled);
        } else if (choice < 0.975) setRandomThresholds();
        expect(heap.counts()).toEqual(naive.counts);
        expect(list.length).toBe(naive.collections.length);
      }
      expect(list).toEqual(naive.collections);
      expect(heap.i32[CONTROL_LONG_LIVED_PENDING]).toBe(naive.pending);
      expect(heap.i32[CONTROL_LONG_LIVED_TOTAL]).toBe(naive.total);
      expect([0, 1, 2].map((generation) => heap.core.generations.size(generation))).toEqual(
        naive.generations.map(({ length }) => length),
      );
      collections += list.length;
    }
    expect(collections).toBeGreaterThan(2000);
  });

  it("is generation 0 at every 701st with CPython's thresholds, and generation 1 at the twelfth time", () => {
    const heap = makeExactCore();
    expect([0, 1, 2].map((generation) => heap.core.trigger.threshold(generation))).toEqual([700, 10, 10]);
    expect(collectionsOf(heap, 700)).toEqual([]);
    expect(collectionsOf(heap, 1)).toEqual([0]);
    expect(heap.counts()).toEqual([0, 1, 0]);
    expect(collectionsOf(heap, 701 * 11)).toEqual([...Array(10).fill(0), 1]);
    expect(heap.counts()).toEqual([0, 0, 1]);
  });

  it("does not depend on objects that no cycle can pass through", () => {
    const heap = makeExactCore();
    setThresholds(heap, 5);
    const { list } = recordCollections(heap);
    for (let index = 0; index < 100; index++) heap.newStruct(heap.leaf.struct("f64", "str"), index, "text");
    expect(heap.counts()).toEqual([0, 0, 0]);
    expect(list).toEqual([]);
  });

  it("comes before the object is made: the new one takes no part", () => {
    const heap = makeExactCore();
    setThresholds(heap, 3);
    for (let index = 0; index < 3; index++) heap.newStruct(heap.struct("ref"));
    const last = heap.newStruct(heap.struct("ref"));
    expect(heap.table(0)).toEqual([last]);
    expect(heap.core.generations.size(1)).toBe(3);
    expect(heap.counts()).toEqual([0, 1, 0]); // and its own count is lost
  });

  it("is every allocation with a negative threshold, and none with 0", () => {
    const heap = makeExactCore();
    setThresholds(heap, -1);
    expect(collectionsOf(heap, 5)).toEqual([0, 0, 0, 0, 0]);
    setThresholds(heap, 0);
    expect(collectionsOf(heap, 2000)).toEqual([]);
    expect(heap.counts()[0]).toBe(2000);
  });

  it("is oldest first: one collection stands for those of all younger generations", () => {
    const heap = makeExactCore();
    setThresholds(heap, 1, 1, 1);
    expect(collectionsOf(heap, 40)).toEqual([0, 0, 1, 0, 0, 1, 2, 0, 0, 1, 0, 0, 1, 2, 0, 0, 1, 0, 0, 1]);
  });
});

describe("the quarter rule", () => {
  it("puts a full collection off until generation 2 has grown by a quarter of what the last one left", () => {
    const collectionsAfter = (total: number) => {
      const heap = makeExactCore();
      heap.core.trigger.setEnabled(false);
      for (let index = 0; index < total; index++) heap.newStruct(heap.struct("ref"));
      heap.collect();
      expect(heap.i32[CONTROL_LONG_LIVED_TOTAL]).toBe(total);
      setThresholds(heap, 5, 0, 0);
      heap.core.trigger.setEnabled(true);
      const generations = collectionsOf(heap, 7 * 6);
      return generations.slice(0, generations.indexOf(2) + 1);
    };
    // Six allocations come to each collection. Every second is of generation 1 and hands on 12 objects, the first time
    // 11, as the object that is being made takes no part: 23 after two of them, 35 after three.
    expect(collectionsAfter(95)).toEqual([0, 1, 0, 1, 2]);
    expect(collectionsAfter(96)).toEqual([0, 1, 0, 1, 0, 1, 2]);
  });

  it("does not count what freezing takes away, and explicit collections do not ask it", () => {
    const heap = makeExactCore();
    for (let index = 0; index < 100; index++) heap.newStruct(heap.struct("ref"));
    heap.collect();
    heap.core.generations.freeze();
    heap.core.trigger.resetCounts();
    expect(heap.counts()).toEqual([0, 0, 0]);
    expect(heap.i32[CONTROL_LONG_LIVED_TOTAL]).toBe(100);
    heap.newStruct(heap.struct("ref"));
    heap.collect(1);
    expect(heap.i32[CONTROL_LONG_LIVED_PENDING]).toBe(1);
    heap.collect(2);
    expect(heap.i32[CONTROL_LONG_LIVED_PENDING]).toBe(0);
    expect(heap.i32[CONTROL_LONG_LIVED_TOTAL]).toBe(1);
  });

  it("counts what generation 1 hands on after tuples, and what a full collection leaves after dicts, were untracked", () => {
    const heap = makeExactCore();
    heap.newTuple(heap.tuple("any"), 1);
    const dict = heap.newDict(heap.dict("str", "any"));
    heap.newStruct(heap.struct("ref"));
    heap.collect(1);
    expect(heap.i32[CONTROL_LONG_LIVED_PENDING]).toBe(1);
    heap.setEntry(dict, "key", ref(dict));
    heap.setEntry(dict, "key", null);
    heap.collect(2);
    expect(heap.i32[CONTROL_LONG_LIVED_TOTAL]).toBe(1);
  });
});

describe("switching the trigger", () => {
  it("off keeps counting, and on collects at the next allocation if that is due", () => {
    const heap = makeExactCore();
    const { trigger } = heap.core;
    setThresholds(heap, 10);
    trigger.setEnabled(false);
    expect(trigger.isEnabled).toBe(false);
    expect(collectionsOf(heap, 50)).toEqual([]);
    expect(heap.counts()).toEqual([50, 0, 0]);
    trigger.setEnabled(true);
    expect(trigger.isEnabled).toBe(true);
    expect(collectionsOf(heap, 1)).toEqual([0]);
    expect(heap.counts()).toEqual([0, 1, 0]);
  });

  it("off leaves explicit collections alone", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const cycle = heap.newList(heap.list("ref"));
    heap.append(cycle, ref(cycle));
    heap.drop(cycle);
    expect(heap.collect(0)).toBe(1);
  });

  it("is out of the question while a collection runs: what listeners allocate is counted all the same", () => {
    const heap = makeExactCore();
    setThresholds(heap, 5);
    const starts: [number, number][] = [];
    heap.core.events.listeners.push({
      onStart: (generation) => {
        starts.push([generation, heap.counts()[0]]);
        for (let index = 0; index < 20; index++) heap.newStruct(heap.struct("ref"));
      },
      onStop: () => {
        expect(heap.core.trigger.isCollecting).toBe(true);
        for (let index = 0; index < 20; index++) heap.newStruct(heap.struct("ref"));
      },
    });
    for (let index = 0; index < 6; index++) heap.newStruct(heap.struct("ref"));
    // The counts at the start are those that led there; the 20 before the collection proper are reset by it.
    expect(starts).toEqual([[0, 6]]);
    expect(heap.core.trigger.isCollecting).toBe(false);
    expect(heap.counts()).toEqual([20, 1, 0]);
    heap.newStruct(heap.struct("ref"));
    expect(starts).toEqual([
      [0, 6],
      [0, 21],
    ]);
  });
});

describe("explicit collections", () => {
  it("count for the next older generation and reset the younger ones, as CPython's test_collect_generations", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const countsAfter = (generation: number) => {
      heap.newStruct(heap.struct("ref"));
      heap.collect(generation);
      return heap.counts();
    };
    expect(countsAfter(0)).toEqual([0, 1, 0]);
    expect(countsAfter(0)).toEqual([0, 2, 0]);
    expect(countsAfter(1)).toEqual([0, 0, 1]);
    expect(countsAfter(0)).toEqual([0, 1, 1]);
    expect(countsAfter(1)).toEqual([0, 0, 2]);
    expect(countsAfter(2)).toEqual([0, 0, 0]);
  });
});

describe("thresholds", () => {
  it("are whole numbers of 32 bits, and refused otherwise", () => {
    const { trigger } = makeExactCore().core;
    for (const value of [1.5, Number.NaN, 2 ** 31, -(2 ** 31) - 1, Number.POSITIVE_INFINITY]) {
      expect(() => trigger.setThreshold(0, value)).toThrow(InvalidArgumentError);
      expect(trigger.threshold(0)).toBe(700);
    }
    for (const value of [0, INT32_MAX, -INT32_MAX - 1, 123]) {
      trigger.setThreshold(1, value);
      expect(trigger.threshold(1)).toBe(value);
    }
  });

  it("take effect at the next allocation", () => {
    const heap = makeExactCore();
    expect(collectionsOf(heap, 100)).toEqual([]);
    setThresholds(heap, 50);
    expect(collectionsOf(heap, 1)).toEqual([0]);
    setThresholds(heap, INT32_MAX);
    expect(collectionsOf(heap, 1000)).toEqual([]);
  });
});

describe("stress", () => {
  function makeStressed(): TestCore {
    return new TestCore(new Core(reserveMemory(1 << 20), { isStress: true }), false);
  }

  it("collects before every allocation of a collectable object, and everything before each 1,000th", () => {
    const heap = makeStressed();
    setThresholds(heap, 700, 1_000_000, 1_000_000);
    const generations = collectionsOf(heap, 2000);
    expect(generations.length).toBe(2000);
    expect(generations.flatMap((generation, index) => (generation === 2 ? [index + 1] : []))).toEqual([
      1000, 2000,
    ]);
    expect(new Set(generations)).toEqual(new Set([0, 2]));
  });

  it("takes the older generation whose turn it is", () => {
    const heap = makeStressed();
    setThresholds(heap, 700, 1, 1);
    expect(collectionsOf(heap, 9)).toEqual([0, 0, 1, 0, 0, 1, 2, 0, 0]);
  });

  it("leaves allocations alone while it is disabled, or threshold 0 is 0", () => {
    const heap = makeStressed();
    heap.core.trigger.setEnabled(false);
    expect(collectionsOf(heap, 20)).toEqual([]);
    heap.core.trigger.setEnabled(true);
    setThresholds(heap, 0);
    expect(collectionsOf(heap, 20)).toEqual([]);
    setThresholds(heap, 700);
    expect(collectionsOf(heap, 2)).toEqual([0, 0]);
  });
});
