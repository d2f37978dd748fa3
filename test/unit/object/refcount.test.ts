import { describe, expect, it } from "vitest";
import {
  type Address,
  CONTROL_RETIRED_BLOCKS,
  CONTROL_ROOT_COUNT,
  HEADER_SERIAL,
  HEADER_WORDS,
  SERIAL_RETIRED,
  SLOT_ANY,
  SLOT_F64,
  SLOT_I32,
  SLOT_NONE,
  SLOT_REF,
  SLOT_STR,
  TAG_BOOLEAN,
  TAG_EMPTY,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
  TYPE_SIZE_CLASS,
} from "../../../src/memory/layout.js";
import { makeExactCore, makeQuietCore, makeTestCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, randomFrom, shuffle } from "../../support/random.js";
import { type Known, randomGraph } from "../../support/random-graphs.js";
import { ref, type Value } from "../../support/slots.js";
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

/** A chain of objects, the deepest first made; `hold` makes an object that holds the one made before. */
function chain(heap: TestCore, length: number, hold: (next: Value, index: number) => Address): Address[] {
  const objects: Address[] = [];
  for (let index = length - 1; index >= 0; index--) {
    const next = objects[0];
    objects.unshift(hold(next === undefined ? null : ref(next), index));
    if (next !== undefined) heap.drop(next);
  }
  return objects;
}

/** Numbers from `from` down to `to`. */
function downFrom(from: number, to: number): number[] {
  return Array.from({ length: from - to + 1 }, (_, index) => from - index);
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

describe("what a death does to count0", () => {
  function makeCountingCore(): TestCore {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    return heap;
  }

  it("lowers it by one for each object of a type that can be on a cycle, tracked or not", () => {
    const heap = makeCountingCore();
    const makers: (() => Address)[] = [
      () => heap.newStruct(heap.struct("ref")),
      () => heap.newStruct(heap.struct("any")),
      () => heap.newTuple(heap.tuple("ref", "ref")),
      () => heap.newList(heap.list("any")),
      () => heap.newDict(heap.dict("str", "any"), ["key", 1]),
      () => heap.newSet(heap.set("f64"), 1),
    ];
    for (const make of makers) make(); // so that the count stays above 0
    for (const make of makers) {
      const before = heap.counts()[0];
      const object = make();
      expect(heap.counts()[0]).toBe(before + 1);
      heap.drop(object);
      expect(heap.counts()[0]).toBe(before);
    }
    heap.dropAll();
  });

  it("leaves it alone for strings and for types that cannot be on a cycle", () => {
    const heap = makeCountingCore();
    heap.newStruct(heap.struct("ref"));
    const makers: (() => Address)[] = [
      () => heap.newStruct(heap.leaf.struct("f64", "str"), 1, "text"),
      () => heap.newList(heap.leaf.list("str"), "a", "b"),
      () => heap.newDict(heap.leaf.dict("str", "f64"), ["key", 1]),
      () => heap.newSet(heap.leaf.set("str"), "key"),
    ];
    for (const make of makers) {
      const object = make();
      expect(heap.counts()[0]).toBe(1);
      heap.drop(object);
      expect(heap.counts()[0]).toBe(1);
    }
    heap.dropAll();
  });

  it("never lowers it below 0", () => {
    const heap = makeCountingCore();
    const objects = [1, 2, 3].map(() => heap.newStruct(heap.struct("ref")));
    heap.collect();
    expect(heap.counts()).toEqual([0, 0, 0]);
    heap.drop(objects[0]);
    expect(heap.counts()).toEqual([0, 0, 0]);
    heap.newList(heap.list("ref"));
    heap.drop(objects[1], objects[2]);
    expect(heap.counts()).toEqual([0, 0, 0]);
    heap.dropAll();
  });

  it("counts nested and deferred deaths, and nothing else that dies with them", () => {
    const heap = makeCountingCore();
    const list = heap.list("any");
    for (let index = 0; index < 7; index++) heap.newStruct(heap.struct("ref"));
    const [top] = chain(heap, 300, (next) => {
      const leaf = heap.newStruct(heap.leaf.struct("f64"), 1);
      const object = heap.newList(list, next, ref(leaf), "text");
      heap.drop(leaf);
      return object;
    });
    expect(heap.counts()[0]).toBe(307);
    heap.drop(top);
    expect(heap.counts()[0]).toBe(7);
    heap.dropAll();
  });
});

describe("what a death leaves behind", () => {
  it("raises the serial of every object, so that no view of it passes for a view of the next one there", () => {
    const heap = makeQuietCore(1 << 20);
    const graph = randomGraph(heap, randomFrom(7), { count: size(200), chained: 0.9 });
    const serials = graph.map(({ address }) => heap.i32[address + HEADER_SERIAL]);
    heap.dropAll();
    heap.collect();
    expect(heap.liveObjects()).toEqual([]);
    for (const [index, { address }] of graph.entries())
      expect(heap.i32[address + HEADER_SERIAL]).toBeGreaterThan(serials[index]);
  });

  it("raises the serial of a deferred object at once, although its block is still in use", () => {
    const heap = makeQuietCore();
    const objects = chain(heap, 60, (next) => heap.newStruct(heap.struct("ref"), next));
    const serial = heap.i32[objects[50] + HEADER_SERIAL];
    const { allocator } = heap.core;
    const free = allocator.freeObject.bind(allocator);
    const seen: number[] = [];
    allocator.freeObject = (object) => {
      seen.push(heap.i32[objects[50] + HEADER_SERIAL]);
      free(object);
    };
    heap.drop(objects[0]);
    expect(seen[0]).toBe(serial + 1);
    expect(heap.i32[objects[50] + HEADER_SERIAL]).toBe(serial + 2);
  });

  it("retires a block whose serial is used up, be it by a death that raises it twice", () => {
    const heap = makeQuietCore();
    const objects = chain(heap, 60, (next) => heap.newStruct(heap.struct("ref"), next));
    heap.i32[objects[50] + HEADER_SERIAL] = SERIAL_RETIRED - 1;
    heap.i32[objects[10] + HEADER_SERIAL] = SERIAL_RETIRED - 1;
    heap.drop(objects[0]);
    expect(heap.i32[CONTROL_RETIRED_BLOCKS]).toBe(2);
  });

  it("takes the dead out of whichever table they stand in, frozen ones too", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const node = heap.struct("ref");
    const [inPermanent] = chain(heap, 100, (next) => heap.newStruct(node, next));
    generations.freeze();
    const [inOld] = chain(heap, 100, (next) => heap.newStruct(node, next));
    generations.merge(0, 2);
    const [inYoung] = chain(heap, 100, (next) => heap.newStruct(node, next));
    const sizes = () => [0, 1, 2, 3].map((generation) => generations.size(generation));
    expect(sizes()).toEqual([100, 0, 100, 100]);
    heap.drop(inOld);
    expect(sizes()).toEqual([100, 0, 0, 100]);
    heap.drop(inPermanent);
    expect(sizes()).toEqual([100, 0, 0, 0]);
    heap.drop(inYoung);
    expect(sizes()).toEqual([0, 0, 0, 0]);
  });

  it("gives the storage of lists and tables back", () => {
    const heap = makeTestCore();
    const used = () => heap.core.allocator.bytesUsed;
    const make = () => {
      const list = heap.newList(heap.list("f64"));
      const dict = heap.newDict(heap.dict("i32", "f64"));
      for (let index = 0; index < 20_000; index++) {
        heap.append(list, index);
        if (index < 5000) heap.setEntry(dict, index, index);
      }
      heap.drop(list, dict);
    };
    make();
    const before = used();
    for (let round = 0; round < 3; round++) make();
    expect(used()).toBe(before);
  });
});

describe("dropping what a slot holds", () => {
  it("counts references and strings down, by the kind of the slot, and leaves its bits", () => {
    const heap = makeQuietCore();
    const { counts, strings } = heap.core;
    const object = heap.newStruct(heap.struct("ref"));
    const string = strings.create("text");
    const word = heap.fieldWord(heap.newStruct(heap.struct("any")), 0);
    const dropSlot = (slot: number, low: number, high: number) => {
      heap.i32[word] = low;
      heap.i32[word + 1] = high;
      counts.incref(object);
      counts.incref(string);
      counts.decrefSlot(slot, word);
      const dropped = [2 - heap.refcount(object), 2 - heap.refcount(string)];
      expect([heap.i32[word], heap.i32[word + 1]]).toEqual([low, high]);
      for (const [index, other] of [object, string].entries()) if (dropped[index] === 0) counts.decref(other);
      heap.i32[word] = 0;
      heap.i32[word + 1] = TAG_NULL;
      return dropped;
    };
    expect(dropSlot(SLOT_REF, object, 0)).toEqual([1, 0]);
    expect(dropSlot(SLOT_REF, 0, 0)).toEqual([0, 0]);
    expect(dropSlot(SLOT_STR, string, 0)).toEqual([0, 1]);
    expect(dropSlot(SLOT_STR, 0, 0)).toEqual([0, 0]);
    expect(dropSlot(SLOT_ANY, object, TAG_OBJECT)).toEqual([1, 0]);
    expect(dropSlot(SLOT_ANY, string, TAG_STRING)).toEqual([0, 1]);
    expect(dropSlot(SLOT_ANY, 0, TAG_STRING)).toEqual([0, 0]);
    for (const high of [TAG_NULL, TAG_BOOLEAN, TAG_EMPTY, 0x3ff00000])
      expect(dropSlot(SLOT_ANY, object, high)).toEqual([0, 0]);
    for (const slot of [SLOT_NONE, SLOT_F64, SLOT_I32])
      expect(dropSlot(slot, object, TAG_OBJECT)).toEqual([0, 0]);
    counts.decref(string);
    heap.dropAll();
  });

  it("ends an object with its last reference and not before", () => {
    const heap = makeQuietCore();
    const deaths = heap.recordDeaths();
    const object = heap.newStruct(heap.struct("ref"));
    for (let index = 0; index < 3; index++) heap.hold(object);
    for (let index = 0; index < 3; index++) {
      heap.drop(object);
      expect(deaths).toEqual([]);
    }
    heap.drop(object);
    expect(deaths).toEqual([object]);
    expect(heap.i32[CONTROL_ROOT_COUNT]).toBe(0);
  });
});

describe("deaths that are seen", () => {
  /** What is called and freed from now on. */
  function watch(heap: TestCore): { calls: Address[]; deaths: Address[] } {
    const calls: Address[] = [];
    heap.core.hooks.runFinalizer = (object) => calls.push(object);
    heap.core.hooks.runCallback = (_ref, callback, number) => calls.push(callback === 0 ? number : callback);
    return { calls, deaths: heap.recordDeaths() };
  }

  it("nest as others do: what is deferred below 50 is finalized when it is taken up", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const objects = chain(heap, 120, (next) => heap.newStruct(heap.finalized.struct(slot), next));
      const order: number[] = [];
      const { allocator, hooks } = heap.core;
      const free = allocator.freeObject.bind(allocator);
      hooks.runFinalizer = (object) => order.push(objects.indexOf(object));
      allocator.freeObject = (object) => {
        order.push(-1 - objects.indexOf(object));
        free(object);
      };
      heap.drop(objects[0]);
      // A finalizer on the way down, a block freed on the way back.
      const batch = (from: number, to: number) => [
        ...downFrom(to, from).reverse(),
        ...downFrom(to, from).map((index) => -1 - index),
      ];
      expect(order).toEqual([...batch(0, 49), ...batch(50, 98), ...batch(99, 119)]);
    }
  });

  it("that begin in a finalizer nest on top of it", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const inner = chain(heap, 40, (next) => heap.newStruct(node, next));
    const bottom = heap.newStruct(heap.finalized.struct());
    const outer = chain(heap, 30, (next, index) =>
      heap.newStruct(node, index === 29 ? ref(bottom) : (next as Value)),
    );
    heap.drop(bottom);
    const { deaths } = watch(heap);
    const inside: Address[] = [];
    heap.core.hooks.runFinalizer = () => {
      heap.drop(inner[0]);
      inside.push(...deaths);
    };
    heap.drop(outer[0]);
    // 31 nest around it; 19 more may, and the rest waits for the outermost.
    expect(inside).toEqual(inner.slice(0, 19).reverse());
    expect(deaths).toEqual([...inside, bottom, ...outer.toReversed(), ...inner.slice(19).toReversed()]);
  });

  it("that are deferred cannot be brought back by others: they are taken up and freed once", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const deferred = heap.newStruct(heap.finalized.struct("ref"));
      const weakref = heap.newWeakref(deferred);
      // The 50th in the chain drops the deferred one, and then one whose finalizer asks for it.
      const asking = heap.newStruct(heap.finalized.leaf("f64"));
      const deep = chain(heap, 2, (next, index) =>
        heap.newStruct(heap.struct(slot, slot), index === 1 ? ref(deferred) : (next as Value)),
      );
      const last = heap.newStruct(heap.struct(slot, slot), ref(deep[0]), ref(asking));
      heap.drop(deferred, deep[0], asking);
      const [top] = chain(heap, 48, (next, index) =>
        index === 47 ? last : heap.newStruct(heap.struct("ref"), next as Value),
      );
      const seen: [Address, Address][] = [];
      const { deaths } = watch(heap);
      heap.core.hooks.runFinalizer = (object) => seen.push([object, heap.core.weakrefs.target(weakref)]);
      heap.drop(top);
      expect(seen).toEqual([
        [asking, 0],
        [deferred, deferred],
      ]);
      expect(deaths.filter((object) => object === deferred)).toHaveLength(1);
    }
  });

  it("show count0 as it is at that moment: all that died before is counted", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const list = heap.list("ref");
    for (let index = 0; index < 5; index++) heap.newStruct(heap.struct("ref"));
    const finalized = heap.newStruct(heap.finalized.struct());
    const leaves = [1, 2, 3].map(() => heap.newStruct(heap.struct("ref", "ref")));
    // Last to first: two leaves, the finalized one, a leaf.
    const holder = heap.newList(list, ref(leaves[0]), ref(finalized), ref(leaves[1]), ref(leaves[2]));
    heap.drop(finalized, ...leaves);
    const outer = heap.newStruct(heap.struct("ref"), ref(holder));
    heap.drop(holder);
    const seen: number[] = [];
    heap.core.hooks.runFinalizer = () => {
      seen.push(heap.counts()[0]);
      heap.newStruct(heap.struct("ref"));
      seen.push(heap.counts()[0]);
    };
    expect(heap.counts()[0]).toBe(11);
    heap.drop(outer);
    expect([...seen, heap.counts()[0]]).toEqual([9, 10, 6]);
  });

  it("lower count0 for a weak reference, which counts as an object", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const target = heap.newStruct(heap.watched.struct());
    const weakref = heap.newWeakref(target);
    const holder = heap.newStruct(heap.struct("ref"), ref(weakref));
    expect(heap.counts()[0]).toBe(3);
    heap.drop(weakref, holder);
    expect([heap.counts()[0], heap.core.weakrefs.first(target)]).toEqual([1, 0]);
  });

  it("end a weak reference that a container held, and its callback in its place", () => {
    for (const kind of ["struct", "any struct", "list", "dict", "tuple"] as const) {
      const heap = makeQuietCore();
      const target = heap.newStruct(heap.watched.struct());
      const inner = heap.newStruct(heap.struct("ref"));
      const callback = heap.newStruct(heap.finalized.struct("ref"), ref(inner));
      const weakref = heap.newWeakref(target, { callback });
      const [before, after] = [1, 2].map(() => heap.newStruct(heap.struct("ref")));
      const parts = [before, weakref, after].map(ref);
      const holder = {
        struct: () => heap.newStruct(heap.struct("ref", "ref", "ref"), ...parts),
        "any struct": () => heap.newStruct(heap.struct("any", "ref", "any"), ...parts),
        list: () => heap.newList(heap.list("ref"), ...parts.toReversed()),
        dict: () => heap.newDict(heap.dict("ref", "ref"), [parts[0], parts[1]], [parts[2], null]),
        tuple: () => heap.newTuple(heap.tuple("ref", "any", "ref"), ...parts.toReversed()),
      }[kind]();
      heap.drop(inner, callback, weakref, before, after);
      const { calls, deaths } = watch(heap);
      heap.drop(holder);
      expect(deaths).toEqual([before, weakref, inner, callback, after, holder]);
      expect([calls, heap.core.weakrefs.first(target)]).toEqual([[callback], 0]);
    }
  });

  it("go through weak references and callbacks by turns without nesting: they do not count for the trashcan", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    // A callback that is a weak reference, whose callback is one, and so on to a struct.
    const bottom = heap.newStruct(heap.struct("ref"));
    const refs = [heap.newWeakref(target, { callback: bottom })];
    for (let depth = 1; depth < size(2000); depth++) {
      refs.unshift(heap.newWeakref(target, { callback: refs[0] }));
      heap.drop(refs[1]);
    }
    heap.drop(bottom);
    const node = heap.struct("ref");
    const objects = chain(heap, 49, (next, index) =>
      heap.newStruct(node, index === 48 ? ref(refs[0]) : (next as Value)),
    );
    heap.drop(refs[0]);
    const { deaths } = watch(heap);
    heap.drop(objects[0]);
    expect(deaths).toEqual([...refs, bottom, ...objects.toReversed()]);
  });

  it("defer the callback of a weak reference that dies below 50 nested deaths, not the weak reference", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.struct("ref"));
    const weakref = heap.newWeakref(target, { callback });
    const objects = chain(heap, 50, (next, index) =>
      heap.newStruct(heap.struct("ref"), index === 49 ? ref(weakref) : (next as Value)),
    );
    heap.drop(weakref);
    heap.hold(callback);
    heap.drop(callback, callback);
    const { deaths } = watch(heap);
    heap.drop(objects[0]);
    expect(deaths).toEqual([weakref, ...objects.toReversed(), callback]);
  });

  it("leave a callback that others hold, and drop a weak reference's last reference by itself", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.struct("ref"));
    const weakref = heap.newWeakref(target, { callback });
    const { deaths } = watch(heap);
    heap.drop(weakref);
    expect([deaths, heap.refcount(callback)]).toEqual([[weakref], 1]);
  });

  it("that bring an object back stop there: what holds it dies all the same, in order", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const child = heap.newStruct(heap.struct("ref"));
      const kept = heap.newStruct(heap.finalized.struct(slot), ref(child));
      const [before, after] = [1, 2].map(() => heap.newStruct(heap.struct("ref")));
      const holder = heap.newStruct(heap.struct(slot, slot, slot), ref(before), ref(kept), ref(after));
      const outer = heap.newStruct(heap.struct("ref"), ref(holder));
      heap.drop(child, kept, before, after, holder);
      const { deaths } = watch(heap);
      heap.core.hooks.runFinalizer = (object) => heap.hold(object);
      heap.drop(outer);
      expect(deaths).toEqual([before, after, holder, outer]);
      expect([heap.refcount(kept), heap.refcount(child), heap.table(0)]).toEqual([1, 1, [child, kept]]);
    }
  });
});
