/** The order of deaths, and that they nest to any depth in a stack that does not. */
import { describe, expect, it } from "vitest";
import { type Address, HEADER_WORDS, TYPE_SIZE_CLASS } from "../../../src/memory/layout.js";
import { makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, randomFrom, shuffle } from "../../support/random.js";
import { type Known, randomGraph } from "../../support/random-graphs.js";
import { ref, type Value } from "../../support/slots.js";
import { chain, downFrom } from "./chains.js";
import { NaiveDeaths } from "./naive-deaths.js";

/** Give up every reference of the test in random order and compare with the model step by step. */
function expectNaiveDeaths(heap: TestCore, graph: readonly Known[], order: readonly Known[]): NaiveDeaths {
  const naive = new NaiveDeaths(graph);
  const deaths = heap.recordDeaths();
  for (const object of order) {
    heap.drop(object.address);
    naive.decref(object);
    expect(deaths.length).toBe(naive.order.length);
  }
  expect(deaths).toEqual(naive.order.map(({ address }) => address));
  return naive;
}

describe("the order of deaths", () => {
  it("is that of CPython's recursive deaths in shallow random graphs of all kinds", () => {
    for (let seed = 0; seed < Math.max(50, size(300)); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(1 << 20);
      const graph = randomGraph(heap, random, { count: 10 + below(random, 60), chained: 0.3 });
      expectNaiveDeaths(heap, graph, shuffle(random, graph));
    }
  });

  it("is that of CPython's trashcan in random graphs deeper than it lets deaths nest", () => {
    const rounds = Math.max(50, size(300));
    let deferredCount = 0;
    for (let seed = 0; seed < rounds; seed++) {
      const random = randomFrom(seed + 1000);
      const heap = makeQuietCore(1 << 20);
      const graph = randomGraph(heap, random, {
        count: 100 + below(random, 300),
        chained: 0.99,
        isAcyclic: random() < 0.9,
      });
      // The newest last: it holds the chain that leads to most of the others.
      deferredCount += expectNaiveDeaths(heap, graph, graph).deferredCount;
    }
    expect(deferredCount).toBeGreaterThan(rounds);
  });

  it("defers what dies below 50 nested deaths, and starts what is taken up as the second", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const objects = chain(heap, 120, (next) => heap.newStruct(node, next));
    const deaths = heap.recordDeaths();
    heap.drop(objects[0]);
    // 50 nest below the first, 49 below each that was deferred.
    expect(deaths.map((object) => objects.indexOf(object))).toEqual([
      ...downFrom(49, 0),
      ...downFrom(98, 50),
      ...downFrom(119, 99),
    ]);
  });

  it("takes up the deferred newest first", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const list = heap.list("ref");
    const children = [0, 1, 2].map(() => heap.newList(list, ref(heap.newStruct(node))));
    const grandchildren = children.map((child) => (heap.items(child)[0] as { object: Address }).object);
    heap.drop(...grandchildren);
    const parent = heap.newList(list, ...children.map(ref));
    heap.drop(...children);
    const [top] = chain(heap, 50, (next, index) =>
      index === 49 ? parent : heap.newStruct(node, next as Value),
    );
    const deaths = heap.recordDeaths();
    heap.drop(top);
    const inside = deaths.filter((object) => [...children, ...grandchildren].includes(object));
    // A list drops its last item first, so its first item is the newest deferred.
    expect(inside).toEqual([0, 1, 2].flatMap((index) => [grandchildren[index], children[index]]));
  });

  it("takes up what was deferred before the statement that dropped the reference is over", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const before = heap.liveObjects();
    for (let round = 0; round < 3; round++) {
      heap.drop(chain(heap, 500, (next) => heap.newStruct(node, next))[0]);
      expect(heap.liveObjects()).toEqual(before);
    }
  });

  it("follows the shape of a struct, references of all kinds mixed", () => {
    const heap = makeQuietCore();
    const leaves = [0, 1, 2, 3, 4].map((value) => heap.newStruct(heap.leaf.struct("f64"), value));
    const plain = heap.newStruct(heap.struct("ref", "f64", "ref", "ref", "ref", "ref"));
    const mixed = heap.newStruct(heap.struct("any", "ref", "i32", "any", "ref", "str", "any"));
    for (const [index, place] of [0, 2, 3, 4, 5].entries()) heap.setField(plain, place, ref(leaves[index]));
    for (const [index, place] of [0, 1, 3, 4, 6].entries())
      heap.setField(mixed, place, ref(leaves[4 - index]));
    heap.setField(mixed, 5, "text");
    const deaths = heap.recordDeaths();
    for (const leaf of leaves) heap.hold(leaf);
    heap.drop(...leaves, ...leaves);
    heap.drop(mixed);
    expect(deaths).toEqual([mixed]);
    heap.drop(plain);
    expect(deaths).toEqual([mixed, ...leaves, plain]);
  });

  it("follows the shape of a struct that has `any` slots", () => {
    const heap = makeQuietCore();
    const leaves = [0, 1, 2, 3].map((value) => heap.newStruct(heap.leaf.struct("f64"), value));
    const mixed = heap.newStruct(
      heap.struct("any", "ref", "str", "any", "f64", "ref"),
      ref(leaves[0]),
      ref(leaves[1]),
      "text",
      ref(leaves[2]),
      0,
      ref(leaves[3]),
    );
    heap.drop(...leaves);
    const deaths = heap.recordDeaths();
    heap.drop(mixed);
    expect(deaths).toEqual([...leaves, mixed]);
  });

  it("goes from the last item of a list or tuple to the first", () => {
    const heap = makeQuietCore();
    for (const make of [
      (items: Value[]) => heap.newList(heap.list("ref"), ...items),
      (items: Value[]) => heap.newList(heap.list("any"), ...items),
      (items: Value[]) => heap.newTuple(heap.tuple("ref", "ref", "ref"), ...items),
      (items: Value[]) => heap.newTuple(heap.tuple("any", "ref", "any"), ...items),
    ]) {
      const leaves = [0, 1, 2].map((value) => heap.newStruct(heap.leaf.struct("f64"), value));
      const container = make(leaves.map(ref));
      heap.drop(...leaves);
      const deaths = heap.recordDeaths();
      heap.drop(container);
      expect(deaths).toEqual([...leaves.reverse(), container]);
    }
  });

  it("goes through a dict in insertion order, key before value, and through a set in insertion order", () => {
    const heap = makeQuietCore();
    const leaves = Array.from({ length: 8 }, (_, value) =>
      heap.newStruct(heap.leaf.struct("f64"), value),
    ).reverse(); // not in address order
    const [a, b, c, d, e, f, gone, last] = leaves.map(ref);
    const dict = heap.newDict(heap.dict("ref", "ref"), [a, b], [gone, null], [c, d]);
    heap.deleteEntry(dict, gone);
    const anyDict = heap.newDict(heap.dict("any", "any"), ["text", 1], [e, f], [2, "text"]);
    const set = heap.newSet(heap.set("any"), 1, gone, "text", last);
    heap.drop(...leaves);
    const deaths = heap.recordDeaths();
    heap.drop(dict, anyDict, set);
    const addresses = leaves.slice();
    expect(deaths).toEqual([
      ...addresses.slice(0, 4),
      dict,
      ...addresses.slice(4, 6),
      anyDict,
      ...addresses.slice(6),
      set,
    ]);
  });

  it("keeps an overwritten value until the new one is stored", () => {
    const heap = makeQuietCore();
    const holder = heap.newStruct(heap.struct("ref"));
    const [old, young] = [heap.newStruct(heap.struct()), heap.newStruct(heap.struct())];
    heap.setField(holder, 0, ref(old));
    heap.drop(old);
    const deaths = heap.recordDeaths();
    const { allocator } = heap.core;
    const free = allocator.freeObject.bind(allocator);
    let seen: Value = null;
    allocator.freeObject = (object) => {
      seen = heap.field(holder, 0);
      free(object);
    };
    heap.setField(holder, 0, ref(young));
    expect(deaths).toEqual([old]);
    expect(seen).toEqual(ref(young));
    heap.dropAll();
  });
});

describe("a chain of any length", () => {
  it("dies without a deep stack: ten million structs", () => {
    const heap = makeQuietCore(512 << 20);
    const { objects, types, counts, generations } = heap.core;
    const node = heap.struct("ref");
    const sizeClass = heap.i32[types.descriptor(node) + TYPE_SIZE_CLASS];
    const length = size(10_000_000);
    let newest: Address = 0;
    for (let index = 0; index < length; index++) {
      const object = objects.createTracked(node, sizeClass);
      heap.i32[object + HEADER_WORDS] = newest; // the new object takes over the reference
      newest = object;
    }
    expect(generations.size(0)).toBe(length);
    counts.decref(newest);
    expect(generations.size(0)).toBe(0);
    expect(heap.liveObjects()).toEqual([]);
  });

  it.each<[string, (heap: TestCore, next: Value) => Address]>([
    ["lists", (heap, next) => heap.newList(heap.list("ref"), next)],
    ["lists of any", (heap, next) => heap.newList(heap.list("any"), next)],
    ["tuples", (heap, next) => heap.newTuple(heap.tuple("any", "ref"), 1, next)],
    ["structs with any", (heap, next) => heap.newStruct(heap.struct("any", "str"), next, "text")],
    ["dict values", (heap, next) => heap.newDict(heap.dict("str", "ref"), ["key", next])],
    ["dict keys", (heap, next) => heap.newDict(heap.dict("any", "f64"), [next, 1])],
    ["sets", (heap, next) => heap.newSet(heap.set("any"), next)],
    ["acyclic lists", (heap, next) => heap.newList(heap.leaf.list("ref"), next)],
    ["acyclic dicts", (heap, next) => heap.newDict(heap.leaf.dict("i32", "ref"), [1, next])],
  ])("dies without a deep stack: %s", (_, make) => {
    const heap = makeQuietCore(64 << 20);
    const [top] = chain(heap, size(50_000), (next) => make(heap, next));
    heap.drop(top);
    expect(heap.liveObjects()).toEqual([]);
  });
});
