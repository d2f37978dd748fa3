/** What a death does to the counts and leaves behind. The order of deaths: refcount-order.test.ts. */
import { describe, expect, it } from "vitest";
import {
  type Address,
  CONTROL_RETIRED_BLOCKS,
  CONTROL_ROOT_COUNT,
  HEADER_SERIAL,
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
} from "../../../src/memory/layout.js";
import { makeExactCore, makeQuietCore, makeTestCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { randomFrom } from "../../support/random.js";
import { randomGraph } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";
import { chain } from "./chains.js";

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
