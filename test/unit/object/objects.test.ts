import { describe, expect, it } from "vitest";
import { Allocator } from "../../../src/alloc/allocator.js";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  CHUNK_CAPACITY,
  CONTROL_COUNTS,
  CONTROL_TRIGGER,
  FLAG_TRACKED,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  HEADER_WORDS,
  INT32_MAX,
  KIND_CONTAINER,
  KIND_LEAF,
  PAGE_SHIFT,
  PAGE_STATE,
  TYPE_ID_MASK,
  TYPE_SIZE_CLASS,
} from "../../../src/memory/layout.js";
import { fillMemory, makeExactCore, makeQuietCore, type TestCore } from "../../support/core.js";
import type { SlotName } from "../../support/slots.js";

/** Slots of an object of more than half a page. */
const LARGE: SlotName[] = Array(2100).fill("f64");

/** What an object of each kind is made of, and what becomes of it: tracked when made, counted. */
const KINDS: [string, (heap: TestCore) => number, boolean, boolean][] = [
  ["a struct", (heap) => heap.struct("ref"), true, true],
  ["a tuple", (heap) => heap.tuple("any"), true, true],
  ["a list", (heap) => heap.list("f64"), true, true],
  ["a set", (heap) => heap.set("any"), true, true],
  ["a dict", (heap) => heap.dict("str", "any"), false, true],
  ["a large struct", (heap) => heap.struct("ref", ...LARGE), true, true],
  ["a struct on no cycle", (heap) => heap.leaf.struct("f64"), false, false],
  ["a list on no cycle", (heap) => heap.leaf.list("f64"), false, false],
  ["a large struct on no cycle", (heap) => heap.leaf.struct(...LARGE), false, false],
];

/** What the maker of an object does at once: here every payload is zeros. */
function fill(heap: TestCore, object: Address): void {
  heap.i32.fill(0, object + HEADER_WORDS, object + heap.core.allocator.blockWords(object));
}

/** An object that the test owns. */
function create(heap: TestCore, typeId: number): Address {
  const { objects, counts } = heap.core;
  const object = objects.create(typeId);
  fill(heap, object);
  heap.hold(object);
  counts.decref(object);
  return object;
}

describe("a new object", () => {
  it.each(KINDS)(
    "%s has one reference, its type and a serial, and is tracked as its kind is",
    (_, type, isTracked, isCounted) => {
      const heap = makeQuietCore();
      const first = heap.newStruct(heap.struct("ref"));
      const before = heap.i32[CONTROL_COUNTS];
      const typeId = type(heap);
      const object = heap.core.objects.create(typeId);
      fill(heap, object);
      expect(heap.i32[object + HEADER_REFCOUNT]).toBe(1);
      expect(heap.i32[object + HEADER_TYPE]).toBe(typeId | (isTracked ? FLAG_TRACKED : 0));
      expect(heap.i32[object + HEADER_SERIAL]).toBeGreaterThan(0);
      expect(heap.table(0)).toEqual(isTracked ? [first, object] : [first]);
      expect(heap.i32[CONTROL_COUNTS] - before).toBe(isCounted ? 1 : 0);
      heap.core.counts.decref(object);
      expect(heap.table(0)).toEqual([first]);
      expect(heap.i32[CONTROL_COUNTS]).toBe(before);
    },
  );

  it.each(KINDS)("%s is in a block as large as it is, of its kind", (_, type, __, isCounted) => {
    const heap = makeQuietCore();
    const object = create(heap, type(heap));
    const kinds = [...heap.core.allocator.pageRuns()]
      .filter(({ page }) => page === object >>> PAGE_SHIFT)
      .map(({ descriptor }) => heap.i32[descriptor + PAGE_STATE] & 3); // whether small or large
    expect(kinds).toEqual([isCounted ? KIND_CONTAINER : KIND_LEAF]);
    heap.verify();
  });

  it("takes the place of a dead one without anything of it but the serial", () => {
    const heap = makeQuietCore();
    const type = heap.struct("ref");
    const dead = heap.newStruct(type);
    const serial = heap.i32[dead + HEADER_SERIAL];
    heap.drop(dead);
    let object = 0;
    while (object !== dead) object = heap.newStruct(type);
    expect(heap.i32[object + HEADER_TYPE]).toBe(type | FLAG_TRACKED);
    expect(heap.i32[object + HEADER_SERIAL]).toBe(serial + 1);
  });

  it("is appended to generation 0 across the end of a chunk, at the entry that its header names", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const type = heap.struct();
    const objects = Array.from({ length: CHUNK_CAPACITY + 2 }, () => create(heap, type));
    expect(heap.table(0)).toEqual(objects);
    expect(objects.map((object) => heap.i32[heap.i32[object + HEADER_ENTRY]])).toEqual(objects);
  });

  it("may be made by whoever knows its size class", () => {
    const heap = makeQuietCore();
    const { objects, types, counts } = heap.core;
    const [tracked, leaf] = [heap.struct("ref"), heap.leaf.struct("f64")];
    const classOf = (typeId: number) => heap.i32[types.descriptor(typeId) + TYPE_SIZE_CLASS];
    const before = heap.i32[CONTROL_COUNTS];
    const made = [objects.createTracked(tracked, classOf(tracked)), objects.createLeaf(leaf, classOf(leaf))];
    expect(made.map((object) => heap.i32[object + HEADER_TYPE])).toEqual([tracked | FLAG_TRACKED, leaf]);
    expect(heap.i32[CONTROL_COUNTS]).toBe(before + 1);
    for (const object of made) {
      fill(heap, object);
      counts.decref(object);
    }
  });
});

describe("count0", () => {
  /** How often the hook was called, and what count0 was each time. */
  function recordHook(heap: TestCore): number[] {
    const seen: number[] = [];
    heap.core.hooks.beforeAllocation = () => {
      seen.push(heap.i32[CONTROL_COUNTS]);
    };
    return seen;
  }

  it.each(KINDS)(
    "at its threshold, %s calls for a collection first, if it counts at all",
    (_, type, __, isCounted) => {
      const heap = makeExactCore();
      const typeId = type(heap);
      const seen = recordHook(heap);
      heap.i32[CONTROL_TRIGGER] = 3;
      heap.i32[CONTROL_COUNTS] = 1;
      const liveBefore = heap.liveObjects().length;
      for (let made = 0; made < 4; made++) create(heap, typeId);
      // Two are counted; the others find the threshold reached, and are not counted themselves.
      expect(seen).toEqual(isCounted ? [3, 3] : []);
      expect(heap.i32[CONTROL_COUNTS]).toBe(isCounted ? 3 : 1);
      expect(heap.liveObjects().length).toBe(liveBefore + 4);
    },
  );

  it("calls for the collection before the object is there, so that it cannot be a candidate", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const type = heap.struct();
    while (heap.table(0).length < CHUNK_CAPACITY) create(heap, type);
    const tables: number[] = [];
    heap.core.hooks.beforeAllocation = () => {
      tables.push(heap.table(0).length, heap.core.generations.entryCount(0));
      heap.i32[CONTROL_TRIGGER] = INT32_MAX;
      heap.collect(0); // generation 0 has no chunk then
    };
    heap.i32[CONTROL_TRIGGER] = 0;
    const object = create(heap, type);
    expect(tables).toEqual([CHUNK_CAPACITY, CHUNK_CAPACITY]);
    expect(heap.table(0)).toEqual([object]);
  });
});

describe("where memory is full", () => {
  it.each(KINDS)("%s leaves nothing behind", (_, type) => {
    const heap = makeQuietCore(1 << 20);
    const typeId = type(heap);
    fillMemory(heap);
    const made: Address[] = [];
    expect(() => {
      for (;;) made.push(create(heap, typeId));
    }).toThrow(OutOfMemoryError);
    heap.verify();
    const [live, young] = [heap.liveObjects(), heap.table(0)];
    for (let tries = 0; tries < 3; tries++)
      expect(() => heap.core.objects.create(typeId)).toThrow(OutOfMemoryError);
    expect([heap.liveObjects(), heap.table(0)]).toEqual([live, young]);
    heap.verify();
  });

  it("a tracked object whose entry finds no room is not made", () => {
    const heap = makeExactCore(1 << 20);
    heap.core.trigger.setEnabled(false);
    const type = heap.struct("ref");
    while (heap.table(0).length < CHUNK_CAPACITY) create(heap, type);
    fillMemory(heap);
    const spy: number[] = [];
    const { allocateClass } = Allocator.prototype;
    heap.core.allocator.allocateClass = (kind, sizeClass) => {
      if (kind === KIND_CONTAINER) spy.push(sizeClass);
      return allocateClass.call(heap.core.allocator, kind, sizeClass);
    };
    expect(() => heap.core.objects.create(type)).toThrow(OutOfMemoryError);
    expect(spy).toEqual([]);
    expect(heap.i32[heap.table(0)[0] + HEADER_TYPE] & TYPE_ID_MASK).toBe(type);
  });
});
