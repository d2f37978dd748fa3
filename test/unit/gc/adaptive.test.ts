import { describe, expect, it } from "vitest";
import {
  type Address,
  CONTROL_COUNTS,
  CONTROL_LONG_LIVED_PENDING,
  CONTROL_LONG_LIVED_TOTAL,
  CONTROL_TRIGGER,
  INT32_MAX,
} from "../../../src/memory/layout.js";
import { makeExactCore, type TestCore } from "../../support/core.js";
import { below, randomFrom } from "../../support/random.js";
import { ref } from "../../support/slots.js";

const OLD = 1_000_000;
/** The most that generation 0 may grow to beside so many. */
const YOUNG_MAX = OLD >> 6;

/** A heap whose last full collection is said to have left a million objects. */
function makeAdaptive(old = OLD): TestCore {
  const heap = makeExactCore();
  heap.core.trigger.setAdaptive(true);
  heap.i32[CONTROL_LONG_LIVED_TOTAL] = old;
  return heap;
}

const thresholdOf = (heap: TestCore) => heap.i32[CONTROL_TRIGGER];

/** Say of a collection what it found. @returns threshold0 from then on */
function learn(heap: TestCore, generation: number, collected: number, reachable: number): number {
  const { trigger } = heap.core;
  trigger.setCollecting(true);
  trigger.collectionEnds(generation, collected, reachable);
  trigger.setCollecting(false);
  return thresholdOf(heap);
}

/** With how many new objects in generation 2 a full collection is due, once threshold2 is passed. */
function growthOf(heap: TestCore): number {
  heap.i32[CONTROL_COUNTS + 2] = 11;
  const isDue = (pending: number) => {
    heap.i32[CONTROL_LONG_LIVED_PENDING] = pending;
    return heap.core.trigger.pick() === 2;
  };
  let [low, high] = [0, OLD];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isDue(middle)) high = middle;
    else low = middle + 1;
  }
  heap.i32[CONTROL_LONG_LIVED_PENDING] = 0;
  heap.i32[CONTROL_COUNTS + 2] = 0;
  return low;
}

/** After how many collections of generation 0 one of generation 1 is picked. */
function youngerThan1(heap: TestCore): number {
  let count = 0;
  for (; count < 1000; count++) {
    heap.i32[CONTROL_COUNTS + 1] = count;
    if (heap.core.trigger.pick() === 1) break;
  }
  heap.i32[CONTROL_COUNTS + 1] = 0;
  return count;
}

describe("threshold0", () => {
  it("doubles while less than half is garbage, up to a 64th of generation 2", () => {
    const heap = makeAdaptive();
    expect(thresholdOf(heap)).toBe(700);
    expect(learn(heap, 0, 0, 700)).toBe(1400);
    expect(learn(heap, 0, 699, 701)).toBe(2800);
    expect(learn(heap, 1, 0, 2800)).toBe(5600);
    expect(learn(heap, 0, 0, 1)).toBe(11_200);
    expect(learn(heap, 0, 0, 1)).toBe(YOUNG_MAX);
    expect(learn(heap, 0, 0, 1)).toBe(YOUNG_MAX);
  });

  it("stays while half or more is, and falls to a quarter, down to the program's, from three quarters on", () => {
    const heap = makeAdaptive();
    for (let round = 0; round < 5; round++) learn(heap, 0, 0, 1);
    expect(learn(heap, 0, 50, 50)).toBe(YOUNG_MAX);
    expect(learn(heap, 0, 74, 26)).toBe(YOUNG_MAX);
    expect(learn(heap, 0, 75, 25)).toBe(YOUNG_MAX >> 2);
    expect(learn(heap, 1, 1, 0)).toBe(YOUNG_MAX >> 4);
    expect(learn(heap, 0, 1, 0)).toBe(700);
  });

  it("follows generation 2 down, whatever a full collection found", () => {
    const heap = makeAdaptive();
    for (let round = 0; round < 5; round++) learn(heap, 0, 0, 1);
    heap.i32[CONTROL_LONG_LIVED_TOTAL] = 100_000;
    heap.i32[CONTROL_LONG_LIVED_PENDING] = 28_000;
    expect(learn(heap, 2, 0, 100_000)).toBe(2000);
  });

  it("is CPython's in a heap of less than 64 times that", () => {
    const heap = makeAdaptive(64 * 701 - 1);
    expect(learn(heap, 0, 0, 700)).toBe(700);
    expect(youngerThan1(heap)).toBe(11);
  });

  it("stays where it is when there was nothing to look at", () => {
    const heap = makeAdaptive();
    learn(heap, 0, 0, 700);
    expect(learn(heap, 0, 0, 0)).toBe(1400);
    learn(heap, 2, 0, OLD);
    learn(heap, 2, 0, 0);
    expect(growthOf(heap)).toBe(OLD / 2);
  });

  it("of 0 is off, and negative at every allocation, whatever is found", () => {
    const heap = makeAdaptive();
    heap.core.trigger.setThreshold(0, 0);
    expect(learn(heap, 0, 0, 700)).toBe(INT32_MAX);
    heap.core.trigger.setThreshold(0, -5);
    expect(learn(heap, 0, 0, 700)).toBe(-5);
  });

  it("starts again from what the program sets, and says that", () => {
    const heap = makeAdaptive();
    learn(heap, 0, 0, 700);
    heap.core.trigger.setThreshold(0, 1000);
    expect(thresholdOf(heap)).toBe(1000);
    expect(learn(heap, 0, 0, 700)).toBe(2000);
    expect(heap.core.trigger.threshold(0)).toBe(1000);
  });
});

describe("generation 1", () => {
  it("is collected at the same age, and with every young collection when that is younger", () => {
    const heap = makeAdaptive();
    const rows = [[thresholdOf(heap), youngerThan1(heap)]];
    for (let round = 0; round < 5; round++) rows.push([learn(heap, 0, 0, 1), youngerThan1(heap)]);
    expect(rows).toEqual([
      [700, 11],
      [1400, 5],
      [2800, 2],
      [5600, 1],
      [11_200, 0],
      [YOUNG_MAX, 0],
    ]);
  });

  it("waits as long as the program's threshold1 says", () => {
    const heap = makeAdaptive();
    heap.core.trigger.setThreshold(1, 1_000_000);
    for (let round = 0; round < 5; round++) learn(heap, 0, 0, 1);
    expect(youngerThan1(heap)).toBe(1000); // which is not in sight
  });
});

describe("a full collection", () => {
  it("waits for growth by a half after one that looked at most of the heap and freed next to nothing", () => {
    const heap = makeAdaptive();
    expect(growthOf(heap)).toBe(OLD / 4);
    learn(heap, 2, 0, OLD);
    expect(growthOf(heap)).toBe(OLD / 2);
    learn(heap, 2, OLD / 16 + 1, OLD - OLD / 16 - 1);
    expect(growthOf(heap)).toBe(OLD / 4);
    learn(heap, 2, OLD / 16 - 1, OLD - OLD / 16 + 1);
    expect(growthOf(heap)).toBe(OLD / 2);
    learn(heap, 2, 0, OLD / 2 + 1);
    expect(growthOf(heap)).toBe(OLD / 2);
    learn(heap, 2, 0, OLD / 2); // the rest of it was settled
    expect(growthOf(heap)).toBe(OLD / 4);
  });

  it("does not learn from young ones", () => {
    const heap = makeAdaptive();
    learn(heap, 0, 0, OLD);
    learn(heap, 1, 0, OLD);
    expect(growthOf(heap)).toBe(OLD / 4);
  });

  it("waits for threshold2 as before", () => {
    const heap = makeAdaptive();
    heap.i32[CONTROL_LONG_LIVED_PENDING] = OLD;
    heap.i32[CONTROL_COUNTS + 2] = 10;
    expect(heap.core.trigger.pick()).toBe(-1);
  });
});

describe("CPython's policy", () => {
  it("learns nothing, and forgets what was learned", () => {
    const heap = makeAdaptive();
    heap.core.trigger.setAdaptive(false);
    learn(heap, 0, 0, 700);
    learn(heap, 2, 0, OLD);
    expect([thresholdOf(heap), youngerThan1(heap), growthOf(heap)]).toEqual([700, 11, OLD / 4]);
    heap.core.trigger.setAdaptive(true);
    learn(heap, 0, 0, 700);
    learn(heap, 2, 0, OLD);
    expect([thresholdOf(heap), youngerThan1(heap), growthOf(heap)]).toEqual([1400, 5, OLD / 2]);
    heap.core.trigger.setAdaptive(false);
    expect([thresholdOf(heap), youngerThan1(heap), growthOf(heap)]).toEqual([700, 11, OLD / 4]);
  });
});

// -- programs -------------------------------------------------------------------------------------

const THRESHOLDS = [20, 3, 2] as const;
/** Allocations between two collections of generation 1, and between two full ones, as CPython's rule has them. */
const MIDDLE = (20 + 1) * (3 + 2);
const FULL = MIDDLE * (2 + 2);

/** How many objects there may be before the next full collection, when the last one left so many (docs/worst-case.md). */
const bound = (left: number) => left + Math.max(left / 2, FULL) + Math.max(left / 20, 2 * MIDDLE);

/** What a program does with what it makes: the chance that it is garbage, at once or when it is dropped from a full cache. */
interface Program {
  readonly garbage: number;
  readonly capacity: number;
  /** Whether a reference to the oldest object is taken and dropped at each step: then nothing is settled. */
  readonly touches?: boolean;
}

/** Make this many objects, each on a cycle of its own. */
function run(
  heap: TestCore,
  { garbage, capacity, touches }: Program,
  count: number,
  seed: number,
  each: () => void,
): void {
  const random = randomFrom(seed);
  const node = heap.struct("ref");
  const held: Address[] = [];
  for (let index = 0; index < count; index++) {
    const object = heap.newStruct(node);
    heap.setField(object, 0, ref(object));
    if (random() < garbage) heap.drop(object);
    else if (held.length < capacity) held.push(object);
    else {
      const place = below(random, capacity);
      heap.drop(held[place]);
      held[place] = object;
    }
    if (touches && held.length > 0) heap.drop(heap.hold(held[0]));
    each();
  }
}

const PROGRAMS: Record<string, Program> = {
  "builds a heap": { garbage: 0, capacity: 40_000 },
  "builds a heap and touches the old part of it": { garbage: 0, capacity: 40_000, touches: true },
  "makes garbage beside a growing heap": { garbage: 0.7, capacity: 40_000 },
  "keeps a cache of which all that leaves it is garbage": { garbage: 0, capacity: 8000 },
};

describe.each(Object.entries(PROGRAMS))("a program that %s", (_, program) => {
  const count = 40_000;
  /** Of generation 0, 1 and 2, and the most objects less what the bound allows. */
  function measure(isAdaptive: boolean): { collections: number[]; above: number; looks: number } {
    const heap = makeExactCore(8 << 20);
    const { trigger, generations } = heap.core;
    for (const [generation, value] of THRESHOLDS.entries()) trigger.setThreshold(generation, value);
    trigger.setAdaptive(isAdaptive);
    const collections = [0, 0, 0];
    let [left, tracked, above, looks] = [0, 0, Number.NEGATIVE_INFINITY, 0];
    const sizes = () => [0, 1, 2].map((generation) => generations.size(generation));
    heap.core.events.listeners.push({
      onStart: (generation) => {
        collections[generation]++;
        looks += sizes()
          .slice(0, generation + 1)
          .reduce((sum, size) => sum + size);
      },
      onStop: ({ generation }) => {
        tracked = sizes().reduce((sum, size) => sum + size);
        if (generation === 2) left = tracked;
      },
    });
    run(heap, program, count, 7, () => {
      const [old, young] = [tracked, heap.counts()[0]];
      above = Math.max(above, old + young - bound(left));
    });
    heap.dropAll();
    heap.collect();
    expect(sizes()).toEqual([0, 0, 0]);
    return { collections, above, looks };
  }

  it("has no more objects than the bound allows, and its garbage is found", () => {
    expect(measure(true).above).toBeLessThanOrEqual(0);
  });

  it("has fewer collections, and fewer objects looked at", () => {
    const [python, adaptive] = [measure(false), measure(true)];
    const sum = ({ collections }: { collections: number[] }) => collections.reduce((all, one) => all + one);
    expect(sum(adaptive)).toBeLessThan(sum(python));
    expect(adaptive.looks).toBeLessThan(python.looks);
  });
});
