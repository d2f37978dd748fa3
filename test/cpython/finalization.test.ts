/** CPython 3.11's test_finalization (PEP 442), told of this heap. Names are CPython's. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  finalizer,
  type Handle,
  type Heap,
  id,
  is,
  release,
  retain,
  struct,
} from "../../src/index.js";
import { makeHeap } from "../support/heaps.js";

let calls: number[] = [];
let survivors: Handle<Borrowed>[] = [];
beforeEach(() => {
  calls = [];
  survivors = [];
});

function clearSurvivors(): void {
  for (const survivor of survivors.splice(0)) release(survivor);
}
const ids = () => survivors.map((survivor) => id(survivor));

class Simple extends struct("Simple", { ref: any }) {
  [finalizer]() {
    calls.push(id(this));
  }
}
class SimpleResurrector extends struct("SimpleResurrector", { ref: any }) {
  [finalizer]() {
    calls.push(id(this));
    survivors.push(retain<Borrowed>(this));
  }
}
class Suicidal extends struct("Suicidal", { ref: any }) {
  [finalizer]() {
    calls.push(id(this));
    this.ref = null;
  }
}

describe("SimpleFinalizationTest", () => {
  it("test_simple", () => {
    const heap = makeHeap();
    const object = heap.new(Simple, {});
    using ref = heap.weakref.ref(object);
    const address = id(object);
    release(object);
    expect([calls, ref.alive]).toEqual([[address], false]);
    heap.gc.collect();
    expect([calls, survivors]).toEqual([[address], []]);
  });

  it("test_simple_resurrect", () => {
    const heap = makeHeap();
    const object = heap.new(SimpleResurrector, {});
    using ref = heap.weakref.ref(object);
    const address = id(object);
    release(object);
    expect([calls, ids(), ref.alive]).toEqual([[address], [address], true]);
    clearSurvivors();
    expect([calls, ids(), ref.alive]).toEqual([[address], [], false]);
    heap.gc.collect();
    expect([calls, ids()]).toEqual([[address], []]);
  });

  it("test_non_gc", () => {
    const heap = makeHeap();
    let deaths = 0;
    class NonGC extends struct("NonGC", {}) {
      [finalizer]() {
        deaths++;
      }
    }
    const object = heap.new(NonGC, {});
    expect(heap.gc.isTracked(object)).toBe(false);
    release(object);
    expect(deaths).toBe(1);
    heap.gc.collect();
    expect(deaths).toBe(1);
  });
});

describe("SelfCycleFinalizationTest", () => {
  function loop(heap: Heap, type: typeof Simple | typeof SimpleResurrector | typeof Suicidal) {
    const object = heap.new(type, {}) as Handle<Simple>;
    object.ref = object;
    return object;
  }

  it("test_simple", () => {
    const heap = makeHeap();
    const object = loop(heap, Simple);
    using ref = heap.weakref.ref(object);
    const address = id(object);
    release(object);
    for (let round = 0; round < 2; round++) {
      heap.gc.collect();
      expect([calls, survivors, ref.alive]).toEqual([[address], [], false]);
    }
  });

  it("test_simple_resurrect", () => {
    const heap = makeHeap();
    const object = loop(heap, SimpleResurrector);
    using ref = heap.weakref.ref(object);
    const address = id(object);
    release(object);
    heap.gc.collect();
    expect([calls, ids(), ref.alive]).toEqual([[address], [address], false]);
    clearSurvivors();
    heap.gc.collect();
    expect([calls, ids(), heap.gc.getObjects().length]).toEqual([[address], [], 1]);
  });

  it("test_simple_suicide", () => {
    const heap = makeHeap();
    const object = loop(heap, Suicidal);
    using ref = heap.weakref.ref(object);
    const address = id(object);
    release(object);
    for (let round = 0; round < 2; round++) {
      heap.gc.collect();
      expect([calls, survivors, ref.alive]).toEqual([[address], [], false]);
    }
  });
});

interface Chained {
  left: Borrowed | null;
  right: Borrowed | null;
}
const suicided = new Set<number>();
const insane: string[] = [];

function finalizeChained(object: Chained & Borrowed): void {
  calls.push(id(object));
  const { left, right } = object as unknown as { left: Borrowed & Chained; right: Borrowed & Chained };
  if (left === null || right === null) insane.push("a neighbour is gone");
  else {
    if (!(suicided.has(id(left)) ? left.right === null : is(left.right, object))) insane.push("left");
    if (!(suicided.has(id(right)) ? right.left === null : is(right.left, object))) insane.push("right");
  }
}
class SimpleChained extends struct("SimpleChained", { left: any, right: any }) {
  [finalizer]() {
    finalizeChained(this as never);
  }
}
class ResurrectedChained extends struct("ResurrectedChained", { left: any, right: any }) {
  [finalizer]() {
    finalizeChained(this as never);
    survivors.push(retain<Borrowed>(this));
  }
}
class SuicidalChained extends struct("SuicidalChained", { left: any, right: any }) {
  [finalizer]() {
    finalizeChained(this as never);
    suicided.add(id(this));
    this.left = null;
    this.right = null;
  }
}
type ChainedType = typeof SimpleChained | typeof ResurrectedChained | typeof SuicidalChained;

/** Rings of two and three of these: each is finalized once, in sane surroundings, and the right ones survive. */
function checkRing(types: ChainedType[]): void {
  const heap = makeHeap();
  calls = [];
  suicided.clear();
  const ring = types.map((type) => heap.new(type, {}) as Handle<SimpleChained>);
  ring.forEach((object, index) => {
    const left = ring.at(index - 1)!;
    object.left = left;
    left.right = object;
  });
  const addresses = ring.map((object) => id(object)).sort();
  const lasting = ring.filter((object) => object instanceof ResurrectedChained).map((object) => id(object));
  const refs = ring.map((object) => heap.weakref.ref(object));
  ring.forEach(release);
  heap.gc.collect();
  expect([...calls].sort()).toEqual(addresses);
  expect(ids().sort()).toEqual(lasting.sort());
  expect([insane, refs.filter((ref) => ref.alive)]).toEqual([[], []]);
  clearSurvivors();
  heap.gc.collect();
  expect([...calls].sort()).toEqual(addresses);
  refs.forEach(release);
  expect([survivors, heap.gc.getObjects()]).toEqual([[], []]);
}

describe("CycleChainFinalizationTest", () => {
  const [simple, resurrected, suicidal] = [SimpleChained, ResurrectedChained, SuicidalChained];

  it("test_homogenous", () => checkRing([simple, simple, simple]));
  it("test_homogenous_resurrect", () => checkRing([resurrected, resurrected, resurrected]));
  it("test_homogenous_suicidal", () => checkRing([suicidal, suicidal, suicidal]));
  it("test_heterogenous_suicidal_one", () => checkRing([suicidal, simple, suicidal, simple]));
  it("test_heterogenous_suicidal_two", () => checkRing([suicidal, suicidal, simple, simple]));
  it("test_heterogenous_resurrect_one", () => checkRing([resurrected, simple, resurrected, simple]));
  it("test_heterogenous_resurrect_two", () =>
    checkRing([resurrected, simple, suicidal, resurrected, simple, suicidal]));
  it("test_heterogenous_resurrect_three", () =>
    checkRing([resurrected, resurrected, simple, simple, suicidal, suicidal]));
});
