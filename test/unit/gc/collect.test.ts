import { describe, expect, it } from "vitest";
import {
  DEBUG_COLLECTABLE,
  DEBUG_SAVEALL,
  DEBUG_STATS,
  DEBUG_UNCOLLECTABLE,
} from "../../../src/gc/collect.js";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  ARENA_PAGES,
  CHUNK_CAPACITY,
  CONTROL_DEBUG,
  CONTROL_GARBAGE,
  CONTROL_RESERVE_CHUNK,
  PAGE_BYTES,
  PAGE_DESCRIPTOR_WORDS,
  WORD_BYTES,
} from "../../../src/memory/layout.js";
import {
  expectOrder,
  fillMemory,
  makeExactCore,
  makeQuietCore,
  makeTestCore,
  type TestCore,
} from "../../support/core.js";
import { isStress, size } from "../../support/heaps.js";
import { below, pick, type Random, randomFrom, shuffle } from "../../support/random.js";
import { type GraphOptions, type Known, randomGraph } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";
import { NaiveCollector } from "./naive-collector.js";

const byNumber = (a: number, b: number) => a - b;

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

describe("a heap collected again and again", () => {
  /** Drop edges and owners at random, in the heap and in the picture of it. */
  function change(heap: TestCore, naive: NaiveCollector, random: Random, graph: readonly Known[]): void {
    for (const object of shuffle(random, graph)) {
      if (!heap.roots.has(object.address)) continue;
      const choice = random();
      const holders = object.parts.flatMap((part, index) => (part === null ? [] : [index]));
      if (choice < 0.1 && object.kind === "list" && holders.length > 0) {
        const [index] = holders;
        const [part] = object.parts.splice(index, 1);
        heap.removeItem(object.address, index);
        naive.deaths.decref(part!);
      } else if (choice < 0.4) {
        heap.drop(object.address);
        naive.deaths.decref(object);
      }
    }
  }

  function makeRound(
    heap: TestCore,
    naive: NaiveCollector,
    random: Random,
    known: Map<Address, Known>,
    options: GraphOptions,
  ): void {
    const graph = randomGraph(heap, random, options);
    for (const object of graph) known.set(object.address, object);
    naive.deaths.add(graph);
    naive.tables[0] = heap.table(0).map((address) => known.get(address)!);
  }

  function expectSameTables(heap: TestCore, naive: NaiveCollector): void {
    for (const [generation, table] of naive.tables.entries())
      expectOrder(
        heap.table(generation),
        table.map(({ address }) => address),
      );
  }

  /** Who is shown the garbage has it die in order; otherwise garbage without an audience dies at once, in no order. */
  const audiences = [
    [
      "frees in CPython's order, returns CPython's numbers and leaves CPython's lists, untracking included",
      true,
    ],
    ["does the same but for the order where nobody is shown the garbage", false],
  ] as const;

  function watchedCore(isShown: boolean): TestCore {
    const heap = makeQuietCore(1 << 20);
    if (isShown) heap.core.events.listeners.push({ onUnreachable: () => {} });
    return heap;
  }

  function expectDeaths(deaths: readonly Address[], naive: NaiveCollector, isOrdered: boolean): void {
    const expected = naive.deaths.order.map(({ address }) => address);
    if (isOrdered) expectOrder(deaths, expected);
    else expectOrder(deaths.toSorted(byNumber), expected.toSorted(byNumber));
  }

  it.each(audiences)("%s", (_, isShown) => {
    const rounds = Math.max(40, size(150));
    let collected = 0;
    for (let seed = 0; seed < rounds; seed++) {
      const random = randomFrom(seed);
      const heap = watchedCore(isShown);
      const naive = new NaiveCollector();
      const known = new Map<Address, Known>();
      const deaths = heap.recordDeaths();
      for (let round = 0; round < 6; round++) {
        makeRound(heap, naive, random, known, { count: 5 + below(random, 40), chained: random() });
        change(heap, naive, random, [...known.values()]);
        if (random() < 0.3) {
          heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
          while (naive.garbage.length > 0) naive.deaths.decref(naive.garbage.pop()!);
        }
        if (random() < 0.1) {
          heap.core.generations.freeze();
          naive.freeze();
        } else if (random() < 0.2) {
          heap.core.generations.unfreeze();
          naive.unfreeze();
        }
        naive.isSavingAll = random() < 0.2;
        heap.i32[CONTROL_DEBUG] = naive.isSavingAll ? DEBUG_SAVEALL : 0;
        const generation = below(random, 3);
        const found = heap.collect(generation);
        collected += found;
        expect(found).toBe(naive.collect(generation));
        expectOrder(
          heap.garbage(),
          naive.garbage.map(({ address }) => address),
        );
        expectDeaths(deaths, naive, isShown);
        expectSameTables(heap, naive);
        for (const object of naive.deaths.order) known.delete(object.address);
        naive.deaths.order.length = deaths.length = 0;
      }
    }
    expect(collected).toBeGreaterThan(rounds);
  });

  it.each([true, false])(
    "does the same when memory is full and tables are many chunks long; garbage is shown: %s",
    (isShown) => {
      for (let seed = 0; seed < Math.max(2, size(10)); seed++) {
        const random = randomFrom(seed + 500);
        const heap = watchedCore(isShown);
        const naive = new NaiveCollector();
        const known = new Map<Address, Known>();
        const deaths = heap.recordDeaths();
        for (let round = 0; round < 3; round++) {
          makeRound(heap, naive, random, known, { count: 500 + below(random, 1200), chained: random() });
          const hoards = fillMemory(heap);
          change(heap, naive, random, [...known.values()]);
          hoards.push(...fillMemory(heap));
          const generation = below(random, 3);
          expect(heap.collect(generation)).toBe(naive.collect(generation));
          expectSameTables(heap, naive);
          heap.drop(...hoards);
          const isKnown = (address: Address) => known.has(address);
          expectDeaths(deaths.filter(isKnown), naive, isShown);
          for (const object of naive.deaths.order) known.delete(object.address);
          naive.deaths.order.length = deaths.length = 0;
        }
      }
    },
  );

  it("takes no more memory the more often it is collected", () => {
    const heap = makeQuietCore();
    const used: number[] = [];
    for (let round = 0; round < 30; round++) {
      const random = randomFrom(3);
      randomGraph(heap, random, { count: size(2000), chained: 0.5 });
      heap.dropAll();
      for (const generation of [0, 1, 2]) heap.collect(generation);
      used.push(heap.core.allocator.bytesUsed);
    }
    expect(used.slice(2)).toEqual(used.slice(2).fill(used[2]));
  });
});

describe("tuples that hold no container", () => {
  it("are untracked by every collection, if all they hold cannot be collected", () => {
    const heap = makeQuietCore();
    const leaf = heap.newStruct(heap.leaf.struct("f64"), 1);
    const dict = heap.newDict(heap.dict("str", "any"));
    for (const generation of [0, 1, 2]) {
      const plain = heap.newTuple(heap.tuple("any", "f64", "str", "any"), null, 1, "text", "text");
      const withLeaf = heap.newTuple(heap.tuple("any", "ref"), ref(leaf), ref(leaf));
      const withDict = heap.newTuple(heap.tuple("ref"), ref(dict)); // an untracked dict counts all the same
      const withNull = heap.newTuple(heap.tuple("ref", "ref"));
      expect(heap.collect(generation)).toBe(0);
      expect([plain, withLeaf, withDict, withNull].map((tuple) => heap.isTracked(tuple))).toEqual([
        false,
        false,
        true,
        false,
      ]);
    }
  });

  it("are not untracked in older generations, nor when they are garbage", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("ref"));
    const old = heap.newTuple(heap.tuple("any"), ref(list));
    heap.collect(0);
    const young = heap.newTuple(heap.tuple("any"), 1);
    heap.collect(0);
    expect([heap.isTracked(old), heap.isTracked(young)]).toEqual([true, false]);
    const deaths = heap.recordDeaths();
    heap.append(list, ref(old));
    heap.drop(list, old);
    expect(heap.collect(2)).toBe(2);
    expect(deaths).toEqual([old, list]);
  });

  it("peel level by level when the outer stands before the inner, at once the other way round", () => {
    const heap = makeQuietCore();
    const type = heap.tuple("any");
    const nest = (depth: number): Address[] => {
      const tuples = [heap.newTuple(type, 1)];
      for (let level = 1; level < depth; level++) {
        tuples.unshift(heap.newTuple(type, ref(tuples[0])));
        heap.drop(tuples[1]);
      }
      return tuples; // outermost first
    };
    // Each was made after what it holds, so the innermost comes first; but only the outermost is found at once, and the
    // others go to the tail as they are found.
    const tuples = nest(4);
    const tracked = () => tuples.map((tuple) => heap.isTracked(tuple));
    heap.collect();
    expect(tracked()).toEqual([true, true, true, false]);
    heap.collect();
    expect(tracked()).toEqual([true, true, false, false]);
    heap.collect();
    heap.collect();
    expect(tracked()).toEqual([false, false, false, false]);
    const others = nest(4);
    for (const tuple of others.slice(1)) heap.hold(tuple);
    heap.collect();
    expect(others.map((tuple) => heap.isTracked(tuple))).toEqual([false, false, false, false]);
  });
});

describe("dicts that hold no container any more", () => {
  it("are untracked by a full collection only, and tracked again when they hold one", () => {
    const heap = makeQuietCore();
    const dict = heap.newDict(heap.dict("str", "any"), ["key", 1]);
    expect(heap.isTracked(dict)).toBe(false);
    heap.setEntry(dict, "key", ref(dict));
    heap.setEntry(dict, "key", "text");
    expect(heap.isTracked(dict)).toBe(true);
    heap.collect(0);
    heap.collect(1);
    expect(heap.isTracked(dict)).toBe(true);
    heap.collect(2);
    expect(heap.isTracked(dict)).toBe(false);
    heap.setEntry(dict, "key", ref(dict));
    expect(heap.table(0)).toEqual([dict]);
    heap.collect(2);
    expect(heap.isTracked(dict)).toBe(true);
    heap.drop(dict);
    expect(heap.collect(2)).toBe(1);
  });

  it("stay tracked as long as a key is a container, or an untracked dict is a value", () => {
    const heap = makeQuietCore();
    const inner = heap.newDict(heap.dict("str", "f64"));
    const byKey = heap.newDict(heap.dict("any", "any"), [ref(inner), 1]);
    const byValue = heap.newDict(heap.dict("any", "any"), [1, ref(inner)]);
    heap.collect();
    expect([inner, byKey, byValue].map((dict) => heap.isTracked(dict))).toEqual([false, true, true]);
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

describe("a full heap", () => {
  it.each<[string, (heap: TestCore) => Address]>([
    ["structs", (heap) => heap.newStruct(heap.struct("ref", "any"))],
    ["lists", (heap) => heap.newList(heap.list("ref"), null, null)],
    ["dicts", (heap) => heap.newDict(heap.dict("str", "ref"), ["some key", null])],
    ["sets", (heap) => heap.newSet(heap.set("any"), 1)],
    [
      "tuples",
      (heap) => {
        const list = heap.newList(heap.list("ref"));
        try {
          return heap.newTuple(heap.tuple("ref", "ref"), ref(list));
        } finally {
          heap.drop(list);
        }
      },
    ],
  ])("filled with cycles of %s can be collected, and used on", (kind, make) => {
    const heap = isStress ? makeQuietCore(512 << 10) : makeTestCore(512 << 10);
    const close = (object: Address) => {
      if (kind === "structs") heap.setField(object, 0, ref(object));
      else if (kind === "lists") heap.setItem(object, 1, ref(object));
      else if (kind === "dicts") heap.setEntry(object, "some key", ref(object));
      else if (kind === "sets") heap.addMember(object, ref(object));
      else heap.append((heap.field(object, 0) as { object: Address }).object, ref(object));
    };
    const fill = (): number => {
      let made = 0;
      expect(() => {
        for (;;) {
          const object = make(heap);
          made++;
          close(object);
        }
      }).toThrow(OutOfMemoryError);
      return made;
    };
    const first = fill();
    expect(first).toBeGreaterThan(500);
    heap.verify();
    for (let round = 0; round < 3; round++) {
      heap.dropAll();
      heap.collect();
      expect(heap.liveObjects()).toEqual([]);
      expect(fill()).toBeGreaterThan(first * 0.9);
    }
  });

  /** Generation 2 with as many entries as its chunks have; memory full but for the reserve. */
  function makeFullTable(heap: TestCore, objects: readonly Address[]): void {
    expect(objects.length % CHUNK_CAPACITY).toBe(0);
    heap.core.generations.merge(0, 2);
    heap.core.generations.pack(2);
    expect(heap.core.generations.entryCount(2)).toBe(objects.length);
    fillMemory(heap);
    expect(heap.core.generations.makeRoom(2)).toBe(false);
  }

  function makeCycles(heap: TestCore, count: number): Address[] {
    const node = heap.struct("ref");
    const cycles = Array.from({ length: count }, () => heap.newStruct(node));
    for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
    return cycles;
  }

  it("is collected when a survivor found late finds no room, and the survivors no room in the next generation", () => {
    const heap = makeQuietCore(1 << 20);
    const old = makeCycles(heap, CHUNK_CAPACITY);
    heap.core.generations.merge(0, 1);
    const garbage = makeCycles(heap, CHUNK_CAPACITY - 10);
    const [first, ...chain] = Array.from({ length: 10 }, () => heap.newStruct(heap.struct("ref")));
    for (const [index, object] of chain.entries()) {
      heap.setField(object, 0, ref(index === 0 ? first : chain[index - 1]));
      heap.drop(index === 0 ? first : chain[index - 1]);
    }
    fillMemory(heap);
    heap.drop(...garbage);
    expect(heap.collect(0)).toBe(garbage.length);
    expectOrder(heap.table(1), [...old, ...chain.reverse(), first]);
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).not.toBe(0);
  });

  it("is collected when tuples, which have nothing to clear, must wait in a full table for what holds them to die", () => {
    const heap = makeQuietCore(1 << 20);
    const survivors = makeCycles(heap, 100);
    const hub = heap.newList(heap.list("ref"));
    const tuples = Array.from({ length: 4 * CHUNK_CAPACITY - 101 }, () =>
      heap.newTuple(heap.tuple("ref"), ref(hub)),
    );
    for (const tuple of tuples) heap.append(hub, ref(tuple));
    heap.drop(...tuples);
    heap.core.generations.untrack(hub);
    heap.core.generations.openYoung();
    heap.core.generations.track(hub); // behind the tuples
    makeFullTable(heap, [...survivors, ...tuples, hub]);
    heap.drop(hub);
    expect(heap.collect(2)).toBe(tuples.length + 1);
    expect(heap.table(2)).toEqual(survivors);
  });

  it("is collected with DEBUG_SAVEALL while the list of the saved grows", () => {
    const heap = makeQuietCore(1 << 20);
    const garbageList = heap.i32[CONTROL_GARBAGE];
    const saved = heap.newStruct(heap.leaf.struct("f64"));
    const cycles = makeCycles(heap, 4 * CHUNK_CAPACITY);
    heap.core.lists.reserve(garbageList, 682); // it grows to a chunk's size next
    while (heap.core.lists.length(garbageList) < 682) heap.append(garbageList, ref(saved));
    makeFullTable(heap, cycles);
    heap.drop(...cycles.filter((_, index) => index % 2 === 0));
    heap.i32[CONTROL_DEBUG] = DEBUG_SAVEALL;
    expect(heap.collect(2)).toBe(cycles.length / 2);
    expectOrder(
      heap.table(2),
      [1, 0].flatMap((parity) => cycles.filter((_, index) => index % 2 === parity)),
    );
  });

  it("is collected whatever is garbage in tables that are full, time and again", () => {
    for (let seed = 0; seed < Math.max(4, size(40)); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(1 << 20);
      let live = 0;
      for (const generation of [2, 1, 0]) {
        const chunks = below(random, 4);
        live += makeCycles(heap, chunks * CHUNK_CAPACITY).length;
        if (generation > 0) heap.core.generations.merge(0, generation);
      }
      fillMemory(heap);
      for (let round = 0; round < 6; round++) {
        const generation = below(random, 3);
        const share = pick(random, [0, 0.01, 0.2, 0.5, 0.9]);
        const inside = new Set([0, 1, 2].slice(0, generation + 1).flatMap((one) => heap.table(one)));
        const dropped = [...heap.roots.keys()].filter((object) => inside.has(object) && random() < share);
        heap.drop(...dropped);
        heap.i32[CONTROL_DEBUG] = random() < 0.3 ? DEBUG_SAVEALL : 0;
        expect(heap.collect(generation)).toBe(dropped.length);
        if (heap.i32[CONTROL_DEBUG] === 0) live -= dropped.length;
        else {
          // What is garbage no longer counts among what the test may drop, saved or not.
          heap.i32[CONTROL_DEBUG] = 0;
          heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
          expect(heap.collect(2)).toBe(dropped.length);
          live -= dropped.length;
        }
        const hoard = heap.leaf.list("f64");
        expect(heap.liveObjects().filter((object) => heap.typeIdOf(object) !== hoard).length).toBe(live);
        expect(heap.i32[CONTROL_RESERVE_CHUNK]).not.toBe(0);
        fillMemory(heap);
        heap.verify();
      }
    }
  });
});

describe("the memory that a collection leaves", () => {
  it("is no more than before, when what it finds fits the chunk in reserve", () => {
    for (let seed = 0; seed < size(60); seed++) {
      const random = randomFrom(seed);
      const heap = makeExactCore(4 << 20);
      heap.core.trigger.setEnabled(false);
      const node = heap.struct("ref");
      const cycles = Array.from({ length: below(random, 6000) }, () => heap.newStruct(node));
      for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
      heap.drop(...shuffle(random, cycles).slice(0, below(random, CHUNK_CAPACITY + 1)));
      const { bytesUsed } = heap.core.allocator;
      heap.collect(below(random, 3));
      expect(heap.core.allocator.bytesUsed).toBeLessThanOrEqual(bytesUsed);
    }
  });

  it("is at most the one empty page more that a size class keeps, when it finds more", () => {
    const page = PAGE_BYTES + ARENA_PAGES * PAGE_DESCRIPTOR_WORDS * WORD_BYTES;
    for (let seed = 0; seed < size(60); seed++) {
      const random = randomFrom(seed);
      const heap = makeExactCore(4 << 20);
      heap.core.trigger.setEnabled(false);
      const node = heap.struct("ref");
      const cycles = Array.from({ length: below(random, 9000) }, () => heap.newStruct(node));
      for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
      const share = random();
      heap.drop(...cycles.filter(() => random() < share));
      const { bytesUsed } = heap.core.allocator;
      heap.collect(below(random, 3));
      expect(heap.core.allocator.bytesUsed).toBeLessThanOrEqual(bytesUsed + page);
    }
  });
});
