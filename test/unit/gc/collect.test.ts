/** What a collection counts, keeps and returns. */
import { describe, expect, it } from "vitest";
import {
  DEBUG_COLLECTABLE,
  DEBUG_SAVEALL,
  DEBUG_STATS,
  DEBUG_UNCOLLECTABLE,
} from "../../../src/gc/collect.js";
import { type Address, CONTROL_DEBUG, CONTROL_GARBAGE } from "../../../src/memory/layout.js";
import { expectOrder, fillMemory, makeQuietCore, type TestCore } from "../../support/core.js";
import { randomFrom } from "../../support/random.js";
import { randomGraph } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";

it("takes CPython's numbers for its debug flags", () => {
  expect([DEBUG_STATS, DEBUG_COLLECTABLE, DEBUG_UNCOLLECTABLE, DEBUG_SAVEALL]).toEqual([1, 2, 4, 32]);
});

describe("the number collected", () => {
  // As CPython's test_gc.py: each kind of container closes a cycle of its own.
  it.each<[string, number, (heap: TestCore) => Address]>([
    [
      "a list that holds itself",
      1,
      (heap) => {
        const list = heap.newList(heap.list("ref"));
        heap.append(list, ref(list));
        return list;
      },
    ],
    [
      "a list of any that holds itself among plain values",
      1,
      (heap) => {
        const list = heap.newList(heap.list("any"), 1, "text", null, true);
        heap.insert(list, 2, ref(list));
        return list;
      },
    ],
    [
      "a dict that is its own value",
      1,
      (heap) => {
        const dict = heap.newDict(heap.dict("str", "ref"), ["other", null]);
        heap.setEntry(dict, "self", ref(dict));
        return dict;
      },
    ],
    [
      "a dict of any that is its own value",
      1,
      (heap) => {
        const dict = heap.newDict(heap.dict("any", "any"), [1, "text"]);
        heap.setEntry(dict, 2, ref(dict));
        return dict;
      },
    ],
    [
      "a dict that is its own key",
      1,
      (heap) => {
        const dict = heap.newDict(heap.dict("ref", "f64"));
        heap.setEntry(dict, ref(dict), 1);
        return dict;
      },
    ],
    [
      "a set that holds itself",
      1,
      (heap) => {
        const set = heap.newSet(heap.set("any"), "text", 1);
        heap.addMember(set, ref(set));
        return set;
      },
    ],
    [
      "a tuple and the list that it holds",
      2,
      (heap) => {
        const list = heap.newList(heap.list("ref"));
        const tuple = heap.newTuple(heap.tuple("ref", "ref"), ref(list));
        heap.append(list, ref(tuple));
        heap.drop(list);
        return tuple;
      },
    ],
    [
      "a tuple of any and the dict that it holds",
      2,
      (heap) => {
        const dict = heap.newDict(heap.dict("str", "any"));
        const tuple = heap.newTuple(heap.tuple("any", "str"), ref(dict), "text");
        heap.setEntry(dict, "tuple", ref(tuple));
        heap.drop(dict);
        return tuple;
      },
    ],
    [
      "a struct that holds itself",
      1,
      (heap) => {
        const struct = heap.newStruct(heap.struct("f64", "ref", "str"), 1, null, "text");
        heap.setField(struct, 1, ref(struct));
        return struct;
      },
    ],
    [
      "a struct that holds itself in an `any` slot",
      1,
      (heap) => {
        const struct = heap.newStruct(heap.struct("str", "any", "any"), "text", 1);
        heap.setField(struct, 2, ref(struct));
        return struct;
      },
    ],
    [
      "a struct of more references than fit half a page",
      1,
      (heap) => {
        const struct = heap.newStruct(heap.struct(...Array.from({ length: 5000 }, () => "ref" as const)));
        heap.setField(struct, 4999, ref(struct));
        return struct;
      },
    ],
    [
      "one of each kind in a ring",
      6,
      (heap) => {
        const list = heap.newList(heap.list("ref"));
        const struct = heap.newStruct(heap.struct("ref"), ref(list));
        const tuple = heap.newTuple(heap.tuple("any", "ref"), "text", ref(struct));
        const dict = heap.newDict(heap.dict("str", "ref"), ["tuple", ref(tuple)]);
        const set = heap.newSet(heap.set("ref"), ref(dict));
        const any = heap.newStruct(heap.struct("any"), ref(set));
        heap.append(list, ref(any));
        heap.drop(list, struct, tuple, dict, set);
        return any;
      },
    ],
  ])("is, for %s, %i", (_, collected, close) => {
    const heap = makeQuietCore();
    for (const generation of [0, 1, 2]) {
      const cycle = close(heap);
      expect(heap.collect(generation)).toBe(0);
      // What has survived stands in the next generation.
      heap.drop(cycle);
      expect(heap.collect(Math.min(2, generation + 1))).toBe(collected);
      expect(heap.liveObjects()).toEqual([]);
    }
  });

  it("leaves out what dies with a cycle without being a candidate", () => {
    const heap = makeQuietCore();
    const leaf = heap.newStruct(heap.leaf.struct("str"), "text");
    const leaves = heap.newList(heap.leaf.list("str"), "a", "b");
    const dict = heap.newDict(heap.dict("str", "any"), ["key", "untracked"]);
    const cycle = heap.newList(heap.list("any"), ref(leaf), ref(leaves), ref(dict), "text");
    heap.append(cycle, ref(cycle));
    heap.dropAll();
    expect(heap.collect()).toBe(1);
    expect(heap.liveObjects()).toEqual([]);
  });

  it("is 0 when there is no garbage, and nothing changes", () => {
    const heap = makeQuietCore();
    const graph = randomGraph(heap, randomFrom(1), { count: 100 });
    heap.collect();
    const before = [heap.liveObjects(), heap.table(2)];
    expect(heap.collect()).toBe(0);
    expect([heap.liveObjects(), heap.table(2)]).toEqual(before);
    expect(graph.every(({ address }) => heap.refcount(address) > 0)).toBe(true);
  });

  it("counts only what the collected generations hold", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const cycles = [0, 1, 2].map(() => heap.newStruct(node));
    for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
    const [two, one, zero] = cycles;
    heap.core.generations.removeEntry(heap.i32[two + 3]);
    heap.core.generations.append(2, two);
    heap.core.generations.removeEntry(heap.i32[one + 3]);
    heap.core.generations.append(1, one);
    heap.drop(two, one, zero);
    expect([heap.collect(0), heap.collect(1), heap.collect(2)]).toEqual([1, 1, 1]);
  });
});

describe("DEBUG_SAVEALL", () => {
  it("keeps what is garbage, whole and in order, and counts it", () => {
    const heap = makeQuietCore();
    heap.i32[CONTROL_DEBUG] = DEBUG_SAVEALL;
    const list = heap.newList(heap.list("ref"));
    const struct = heap.newStruct(heap.struct("ref", "str"), ref(list), "text");
    heap.append(list, ref(struct));
    heap.drop(list, struct);
    expect(heap.collect(0)).toBe(2);
    expect(heap.garbage()).toEqual([list, struct]);
    expect([heap.items(list), heap.field(struct, 0), heap.field(struct, 1)]).toEqual([
      [ref(struct)],
      ref(list),
      "text",
    ]);
    expect(heap.table(1)).toEqual([list, struct]);
    expect(heap.collect(2)).toBe(0); // the list behind gc.garbage holds them from outside
    heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
    expect(heap.collect(2)).toBe(2);
    expect(heap.garbage()).toEqual([list, struct]);
    heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
    heap.i32[CONTROL_DEBUG] = 0;
    expect(heap.collect(2)).toBe(2);
    expect(heap.liveObjects()).toEqual([]);
  });

  it("only keeps it alive where memory is full", () => {
    const heap = makeQuietCore(1 << 20);
    const node = heap.struct("ref");
    const cycles = Array.from({ length: 300 }, () => heap.newStruct(node));
    for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
    const hoards = fillMemory(heap);
    heap.drop(...cycles);
    heap.i32[CONTROL_DEBUG] = DEBUG_SAVEALL;
    expect(heap.collect()).toBe(300);
    const kept = heap.garbage();
    expect(kept).toEqual(cycles.slice(0, kept.length));
    expect(kept.length).toBeLessThan(300);
    expectOrder(heap.table(2), cycles);
    heap.drop(...hoards);
    heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
    expect(heap.collect()).toBe(300);
    expectOrder(heap.garbage(), cycles);
  });
});

describe("statistics", () => {
  it("count collections and what they found, by generation", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const makeGarbage = (count: number) => {
      for (let index = 0; index < count; index++) {
        const cycle = heap.newStruct(node);
        heap.setField(cycle, 0, ref(cycle));
        heap.drop(cycle);
      }
    };
    for (const [generation, count] of [
      [0, 3],
      [0, 4],
      [1, 5],
      [2, 6],
      [2, 0],
    ]) {
      makeGarbage(count);
      heap.collect(generation);
    }
    expect([0, 1, 2].map((generation) => heap.core.collector.stats(generation))).toEqual([
      { collections: 2, collected: 7, uncollectable: 0 },
      { collections: 1, collected: 5, uncollectable: 0 },
      { collections: 2, collected: 6, uncollectable: 0 },
    ]);
  });

  it("start at 0", () => {
    const heap = makeQuietCore();
    for (const generation of [0, 1, 2])
      expect(heap.core.collector.stats(generation)).toEqual({
        collections: 0,
        collected: 0,
        uncollectable: 0,
      });
  });
});

describe("a collection inside a collection", () => {
  it("returns 0 at once and leaves no trace", () => {
    const heap = makeQuietCore();
    const cycle = heap.newStruct(heap.struct("ref"));
    heap.setField(cycle, 0, ref(cycle));
    heap.drop(cycle);
    const seen: number[] = [];
    const nested = () => {
      const before = heap.core.collector.stats(2).collections;
      seen.push(heap.collect(2), heap.core.collector.stats(2).collections - before);
    };
    heap.core.events.listeners.push({ onStart: nested, onPhase: nested, onStop: nested });
    expect(heap.collect(2)).toBe(1);
    expect(seen).toEqual(Array(12).fill(0)); // six times: at the start, four phases, at the end
    expect(heap.core.collector.stats(2).collections).toBe(1);
  });

  it("is possible again after a listener has thrown", () => {
    const heap = makeQuietCore();
    const cycle = heap.newStruct(heap.struct("ref"));
    heap.setField(cycle, 0, ref(cycle));
    heap.drop(cycle);
    let isFirst = true;
    heap.core.events.listeners.push({
      onStart: () => {
        if (!isFirst) return;
        isFirst = false;
        throw new Error("from the listener");
      },
    });
    expect(() => heap.collect()).toThrow("from the listener");
    expect(heap.core.trigger.isCollecting).toBe(false);
    expect(heap.collect()).toBe(1);
  });
});
