import { describe, expect, it, vi } from "vitest";
import { SMALL_WORDS_MAX, sizeClassOf } from "../../../src/alloc/size-class.js";
import { HeapError, OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  CONTROL_TYPE_CAPACITY,
  KIND_CONTAINER,
  KIND_DICT,
  KIND_FREE,
  KIND_LEAF,
  KIND_STORAGE,
  KIND_STRING,
  KIND_STRUCT,
  KIND_TUPLE,
  SLOT_F64,
  SLOT_STR,
  TABLE_WORDS,
  TRAVERSE_EDGES,
  TRAVERSE_TABLE,
  TYPE_BLOCK_KIND,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGES,
  TYPE_FLAGS,
  TYPE_GC,
  TYPE_ID_STRING,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_KIND,
  TYPE_LAYOUT_HASH,
  TYPE_NAME,
  TYPE_OBJECT_WORDS,
  TYPE_SIZE_CLASS,
  TYPE_TRACKED_AT_BIRTH,
  TYPE_TRAVERSE,
  TYPE_WEAKREF_OFFSET,
  TYPE_WORDS,
} from "../../../src/memory/layout.js";
import { hashText } from "../../../src/object/string.js";
import type { TypeLayout } from "../../../src/object/type.js";
import { makeQuietCore, type TestCore } from "../../support/core.js";

function layout(changes: Partial<TypeLayout> = {}): TypeLayout {
  return {
    name: "Point",
    kind: KIND_STRUCT,
    objectWords: 10,
    flags: TYPE_GC | TYPE_TRACKED_AT_BIRTH,
    traverse: 3,
    drop: 4,
    edges: [],
    weakrefOffset: 8,
    keySlot: 0,
    itemSlot: 0,
    description: "Point{x,y}",
    ...changes,
  };
}

/** Register one type. @returns where its descriptor is */
function registered(heap: TestCore, changes: Partial<TypeLayout> = {}): number {
  const { types } = heap.core;
  types.register([layout(changes)]);
  return types.descriptor(types.count - 1);
}

describe("a type", () => {
  it("is told by its descriptor", () => {
    const heap = makeQuietCore();
    const type = registered(heap);
    const told = {
      [TYPE_KIND]: KIND_STRUCT,
      [TYPE_OBJECT_WORDS]: 10,
      [TYPE_FLAGS]: TYPE_GC | TYPE_TRACKED_AT_BIRTH,
      [TYPE_TRAVERSE]: 3,
      [TYPE_DROP]: 4 * 2 + 1,
      [TYPE_EDGES]: 0,
      [TYPE_EDGE_COUNT]: 0,
      [TYPE_LAYOUT_HASH]: hashText("Point{x,y}"),
      [TYPE_WEAKREF_OFFSET]: 8,
      [TYPE_BLOCK_KIND]: KIND_CONTAINER,
      [TYPE_SIZE_CLASS]: sizeClassOf(10),
    };
    expect(
      Object.fromEntries(Object.keys(told).map((word) => [word, heap.i32[type + Number(word)]])),
    ).toEqual(told);
    expect(heap.core.strings.read(heap.i32[type + TYPE_NAME])).toBe("Point");
    expect(heap.core.types.name(heap.core.types.count - 1)).toBe("Point");
    expect(heap.core.types.isGc(heap.core.types.count - 1)).toBe(true);
  });

  it("that can be on no cycle goes among the leaves, and its deaths do not lower count0", () => {
    const heap = makeQuietCore();
    const type = registered(heap, { flags: 0 });
    expect([heap.i32[type + TYPE_BLOCK_KIND], heap.i32[type + TYPE_DROP]]).toEqual([KIND_LEAF, 4 * 2]);
    expect(heap.core.types.isGc(heap.core.types.count - 1)).toBe(false);
  });

  it("keeps its edges in visit order, and a negative drop through the shift", () => {
    const heap = makeQuietCore();
    const edges = [0x0a000006, 0x09000004, 0x08000005];
    const type = registered(heap, { traverse: TRAVERSE_EDGES, drop: TRAVERSE_EDGES, edges });
    const first = heap.i32[type + TYPE_EDGES];
    expect([...heap.i32.subarray(first, first + heap.i32[type + TYPE_EDGE_COUNT])]).toEqual(edges);
    expect(heap.i32[type + TYPE_DROP] >> 1).toBe(TRAVERSE_EDGES);
  });

  it("keeps the slots of keys and items", () => {
    const heap = makeQuietCore();
    const type = registered(heap, {
      kind: KIND_DICT,
      objectWords: TABLE_WORDS,
      traverse: TRAVERSE_TABLE,
      drop: TRAVERSE_TABLE,
      keySlot: SLOT_STR,
      itemSlot: SLOT_F64,
    });
    expect([heap.i32[type + TYPE_KEY_SLOT], heap.i32[type + TYPE_ITEM_SLOT]]).toEqual([SLOT_STR, SLOT_F64]);
    expect(heap.i32[type + TYPE_DROP] >> 1).toBe(TRAVERSE_TABLE);
  });

  it("has no size class where an instance is larger than half a page", () => {
    const heap = makeQuietCore();
    const classOf = (objectWords: number) => heap.i32[registered(heap, { objectWords }) + TYPE_SIZE_CLASS];
    expect(classOf(SMALL_WORDS_MAX)).toBe(sizeClassOf(SMALL_WORDS_MAX));
    expect(classOf(SMALL_WORDS_MAX + 2)).toBe(-1);
  });

  it("is found by its objects", () => {
    const heap = makeQuietCore();
    const { types } = heap.core;
    const tuple = heap.newTuple(heap.tuple("f64"), 1);
    const leaf = heap.newStruct(heap.leaf.struct("f64"));
    expect(types.descriptorOf(tuple)).toBe(types.descriptor(heap.typeIdOf(tuple)));
    expect(types.descriptor(heap.typeIdOf(tuple) + 1) - types.descriptorOf(tuple)).toBe(TYPE_WORDS);
    expect([types.kindOf(tuple), types.kindOf(leaf)]).toEqual([KIND_TUPLE, KIND_STRUCT]);
    expect(types.kindOf(heap.newString("text"))).toBe(KIND_STRING);
  });

  it("of strings is there from the start", () => {
    const heap = makeQuietCore();
    const { types } = heap.core;
    expect([types.name(TYPE_ID_STRING), types.isGc(TYPE_ID_STRING)]).toEqual(["str", false]);
    const type = types.descriptor(TYPE_ID_STRING);
    expect([heap.i32[type + TYPE_DROP], heap.i32[type + TYPE_SIZE_CLASS]]).toEqual([0, -1]);
  });
});

describe("the table", () => {
  it("gives ids in order", () => {
    const { types } = makeQuietCore().core;
    const first = types.count;
    types.register(["A", "B", "C"].map((name) => layout({ name })));
    types.register([layout({ name: "D" })]);
    types.register([]);
    expect([0, 1, 2, 3].map((index) => types.name(first + index))).toEqual(["A", "B", "C", "D"]);
    expect(types.count).toBe(first + 4);
  });

  it("knows whether there can be tuples, or dicts, to untrack", () => {
    const { types } = makeQuietCore().core;
    const known = () => [types.hasTuples, types.hasDicts];
    types.register([layout(), layout({ kind: KIND_TUPLE, flags: 0 }), layout({ kind: KIND_DICT, flags: 0 })]);
    expect(known()).toEqual([false, false]);
    types.register([layout({ kind: KIND_TUPLE })]);
    expect(known()).toEqual([true, false]);
    types.register([layout({ kind: KIND_DICT, flags: TYPE_GC })]);
    expect(known()).toEqual([true, true]);
  });

  it("takes as many types as it has room for, and all of a call or none", () => {
    const heap = makeQuietCore(1 << 20);
    const { types } = heap.core;
    const free = heap.i32[CONTROL_TYPE_CAPACITY] + 1 - types.count;
    types.register(Array.from({ length: free - 1 }, (_, index) => layout({ name: `T${index}` })));
    const { count } = types;
    let error: unknown;
    try {
      types.register([layout({ kind: KIND_TUPLE }), layout()]);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(HeapError);
    expect((error as HeapError).code).toBe("TOO_MANY_TYPES");
    expect((error as HeapError).message).toContain(`room for 512 types and ${count - 1} are in use`);
    expect([types.count, types.hasTuples]).toEqual([count, false]);
    types.register([layout({ name: "Last" })]);
    expect(types.name(512)).toBe("Last");
  });

  it.each([
    ["a name", KIND_LEAF, 0],
    ["an edge table", KIND_STORAGE, 0],
    ["the second name", KIND_LEAF, 1],
    ["the second edge table", KIND_STORAGE, 1],
  ])("is as it was where memory fails at %s", (_, failingKind, passed) => {
    const heap = makeQuietCore();
    const { types, allocator } = heap.core;
    const { count } = types;
    const before = [...allocator.objects()];
    const allocate = allocator.allocate.bind(allocator);
    let left = passed;
    vi.spyOn(allocator, "allocate").mockImplementation((kind, words) => {
      if (kind === failingKind && left-- === 0) throw new OutOfMemoryError(words, 0);
      return allocate(kind, words);
    });
    const edges = { traverse: TRAVERSE_EDGES, drop: TRAVERSE_EDGES, edges: [0x0a000004] };
    expect(() => types.register([layout(edges), layout({ ...edges, kind: KIND_TUPLE })])).toThrow(
      OutOfMemoryError,
    );
    expect([types.count, types.hasTuples, [...allocator.objects()]]).toEqual([count, false, before]);
    for (const id of [count, count + 1]) {
      const type = types.descriptor(id);
      expect([...heap.i32.subarray(type, type + TYPE_WORDS)]).toEqual(Array(TYPE_WORDS).fill(KIND_FREE));
    }
    heap.verify();
    vi.restoreAllMocks();
    types.register([layout(edges)]);
    expect(types.count).toBe(count + 1);
  });
});
