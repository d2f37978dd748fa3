import { describe, expect, it } from "vitest";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import { type Address, CHUNK_CAPACITY, KIND_DICT, KIND_TUPLE } from "../../../src/memory/layout.js";
import { fillMemory, makeExactCore, makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { randomFrom } from "../../support/random.js";
import { randomGraph, visitOrder } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";

/** A dict that can hold anything, untracked as it is made. */
function makeDict(heap: TestCore): Address {
  return heap.newDict(heap.dict("any", "any"));
}

describe("a reason to be tracked", () => {
  it("is every object that could be on a cycle, tracked or not, and a tuple while it is tracked", () => {
    const heap = makeQuietCore();
    const { tracking } = heap.core;
    const untracked = heap.newTuple(heap.tuple("any"), 1);
    heap.collect(0);
    const tracked = heap.newTuple(heap.tuple("any"), 1);
    const objects: [Address, boolean, boolean][] = [
      [heap.newStruct(heap.struct("ref")), true, true],
      [heap.newList(heap.list("any")), true, true],
      [heap.newSet(heap.set("str")), true, true],
      [tracked, true, true],
      [untracked, false, false],
      [makeDict(heap), false, true],
      [heap.newStruct(heap.leaf.struct("f64")), false, false],
      [heap.newList(heap.leaf.list("ref")), false, false],
      [heap.newDict(heap.leaf.dict("str", "f64")), false, false],
      [heap.newSet(heap.leaf.set("str")), false, false],
      [heap.newString("text"), false, false],
    ];
    expect(
      objects.map(([object]) => [object, tracking.isTracked(object), tracking.isContainer(object)]),
    ).toEqual(objects);
  });
});

describe("a dict", () => {
  it("is tracked by the first container that it is to hold, as the newest of generation 0", () => {
    const heap = makeQuietCore();
    const { tracking } = heap.core;
    const list = heap.newList(heap.list("any"));
    const leaf = heap.newStruct(heap.leaf.struct("f64"));
    const dict = makeDict(heap);
    for (const plain of [0, leaf, heap.newString("text")]) tracking.beforeStore(dict, plain);
    expect(heap.table(0)).toEqual([list]);
    tracking.beforeStore(dict, list);
    expect(heap.table(0)).toEqual([list, dict]);
    tracking.beforeStore(dict, list);
    expect(heap.table(0)).toEqual([list, dict]);
  });

  it("of a type that can be on no cycle is never tracked", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("any"));
    const dict = heap.newDict(heap.leaf.dict("str", "ref"), ["list", ref(list)]);
    expect([heap.isTracked(dict), heap.table(0)]).toEqual([false, [list]]);
  });

  it("is not tracked, and nothing is stored, where its entry in the table finds no room", () => {
    const heap = makeExactCore(1 << 20);
    heap.core.trigger.setEnabled(false);
    const dict = heap.newDict(heap.dict("str", "ref"), ["key", null]);
    const type = heap.struct();
    const objects = Array.from({ length: CHUNK_CAPACITY }, () => heap.newStruct(type));
    const hoards = fillMemory(heap);
    expect(() => heap.setEntry(dict, "key", ref(objects[0]))).toThrow(OutOfMemoryError);
    expect([heap.isTracked(dict), heap.entries(dict)]).toEqual([false, [["key", null]]]);
    heap.verify();
    heap.drop(...hoards.slice(-8));
    heap.setEntry(dict, "key", ref(objects[0]));
    expect(heap.isTracked(dict)).toBe(true);
  });
});

describe("untracking all of a kind in a generation", () => {
  it("takes out those that hold no container, and leaves the order of the others", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("any"));
    const dicts = Array.from({ length: 6 }, (_, index) => {
      const dict = makeDict(heap);
      heap.setEntry(dict, "self", ref(dict));
      if (index % 2 === 0) heap.setEntry(dict, "self", index);
      return dict;
    });
    for (const [generation, kind] of [
      [1, KIND_DICT],
      [0, KIND_TUPLE],
    ])
      heap.core.tracking.untrackAll(generation, kind);
    expect(heap.table(0)).toEqual([list, ...dicts]);
    heap.core.tracking.untrackAll(0, KIND_DICT);
    expect(heap.table(0)).toEqual([list, ...dicts.filter((_, index) => index % 2 === 1)]);
  });

  it("judges each as it finds it: an inner tuple that has gone before is no reason any more", () => {
    const heap = makeQuietCore();
    const type = heap.tuple("any");
    const inner = heap.newTuple(type, 1);
    const outer = heap.newTuple(type, ref(inner));
    const { generations, tracking } = heap.core;
    tracking.untrackAll(0, KIND_TUPLE);
    expect(heap.table(0)).toEqual([]);
    for (const tuple of [outer, inner]) {
      generations.openYoung();
      generations.track(tuple);
    }
    tracking.untrackAll(0, KIND_TUPLE);
    expect(heap.table(0)).toEqual([outer]);
    tracking.untrackAll(0, KIND_TUPLE);
    expect(heap.table(0)).toEqual([]);
  });

  it("is that of the model in random graphs", () => {
    for (let seed = 0; seed < Math.max(20, size(200)); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(1 << 20);
      const graph = randomGraph(heap, random, { count: 100 });
      const byAddress = new Map(graph.map((known) => [known.address, known]));
      for (const [kind, name] of [
        [KIND_TUPLE, "tuple"],
        [KIND_DICT, "dict"],
      ] as const) {
        const tracked = new Set(heap.table(0));
        const isReason = (known: (typeof graph)[number]) =>
          known.isGc && (known.kind !== "tuple" || tracked.has(known.address));
        for (const address of [...tracked]) {
          const known = byAddress.get(address)!;
          if (known.kind === name && !visitOrder(known).some(isReason)) tracked.delete(address);
        }
        heap.core.tracking.untrackAll(0, kind);
        expect(heap.table(0)).toEqual([...tracked]);
      }
    }
  });

  it("loses none of many, whose chunks go meanwhile", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const type = heap.tuple("i32");
    const kept = heap.newList(heap.list("ref"));
    for (let index = 0; index < 5 * CHUNK_CAPACITY; index++) heap.newTuple(type, index);
    const last = heap.newTuple(heap.tuple("ref"), ref(kept));
    heap.core.tracking.untrackAll(0, KIND_TUPLE);
    expect(heap.table(0)).toEqual([kept, last]);
  });
});
