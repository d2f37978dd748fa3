import { describe, expect, it, vi } from "vitest";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  CONTROL_PAGES_USED,
  LIST_CAPACITY,
  LIST_ITEMS,
  PAGE_WORDS,
} from "../../../src/memory/layout.js";
import { fillMemory, makeQuietCore, makeTestCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, pick, type Random, randomFrom } from "../../support/random.js";
import { ref, type SlotName, type Value } from "../../support/slots.js";

/** A value that fits a slot; objects are some of those given. */
function valueFor(slot: SlotName, random: Random, objects: readonly Address[]): Value {
  const number = below(random, 200);
  switch (slot) {
    case "ref":
      return number < 40 ? null : ref(pick(random, objects));
    case "any":
      return pick(random, [
        null,
        true,
        false,
        number,
        -0.5,
        "",
        `text ${number}`,
        ref(pick(random, objects)),
      ]);
    case "str":
      return number < 20 ? "" : `text ${number}`;
    case "bool":
      return number < 100;
    case "i64":
      return BigInt(number) * -(2n ** 40n);
    case "f64":
    case "f32":
      return number / 8 - 10;
    default:
      return number;
  }
}

const SLOTS: SlotName[] = ["ref", "any", "str", "f64", "f32", "i32", "u32", "u8", "i64", "bool"];

function capacityOf(heap: TestCore, list: Address): number {
  return heap.i32[list + LIST_CAPACITY];
}
function storageOf(heap: TestCore, list: Address): Address {
  return heap.i32[list + LIST_ITEMS];
}

describe("a list", () => {
  it.each(SLOTS)("of %s does what an array does", (slot) => {
    const random = randomFrom(SLOTS.indexOf(slot));
    const heap = makeTestCore();
    const objects = [0, 1, 2].map(() => heap.newList(heap.list("any")));
    const list = heap.newList(heap.list(slot));
    const array: Value[] = [];
    for (let step = 0; step < Math.max(150, size(4000)); step++) {
      const choice = random();
      const index = below(random, array.length + 1);
      const value = valueFor(slot, random, objects);
      if (choice < 0.5) {
        heap.insert(list, index, value);
        array.splice(index, 0, value);
      } else if (choice < 0.6) {
        heap.append(list, value);
        array.push(value);
      } else if (choice < 0.61) {
        heap.core.lists.clear(list);
        array.length = 0;
      } else if (choice < 0.65) heap.core.lists.reserve(list, below(random, array.length + 10));
      else if (index < array.length && choice < 0.8) {
        heap.setItem(list, index, value);
        array[index] = value;
      } else if (index < array.length) {
        heap.removeItem(list, index);
        array.splice(index, 1);
      }
      expect(heap.core.lists.length(list)).toBe(array.length);
      if (step % 16 === 0) expect(heap.items(list)).toEqual(array);
    }
    expect(heap.items(list)).toEqual(array);
  });

  it("is empty and without storage when made, and owned by its maker", () => {
    const heap = makeQuietCore();
    const old = heap.newList(heap.list("f64"), 1, 2, 3);
    heap.drop(old);
    const lists = Array.from({ length: 600 }, () => heap.newList(heap.list("f64")));
    expect(lists).toContain(old); // where another has left its words
    for (const list of lists)
      expect([heap.refcount(list), heap.items(list), capacityOf(heap, list), storageOf(heap, list)]).toEqual([
        1,
        [],
        0,
        0,
      ]);
  });
});

describe("room", () => {
  it("grows by a half, rounded up to what the block really has", () => {
    const heap = makeQuietCore();
    for (const [slot, words] of [
      ["i32", 1],
      ["f64", 2],
    ] as const) {
      const list = heap.newList(heap.list(slot));
      for (let length = 0; length < 5000; length++) {
        const before = capacityOf(heap, list);
        heap.append(list, length);
        const after = capacityOf(heap, list);
        if (length < before) expect(after).toBe(before);
        else {
          const wanted = Math.max(4, before + Math.floor(before / 2));
          const blockWords = heap.core.allocator.blockWords(storageOf(heap, list));
          expect(after).toBe(blockWords / words);
          expect(after).toBeGreaterThanOrEqual(wanted);
          expect(after).toBeLessThan(wanted * 1.5 + PAGE_WORDS);
        }
      }
      expect(heap.items(list)).toEqual([...Array(5000).keys()]);
    }
  });

  it("that was reserved is not left while the items fit", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("any"), "first", 2);
    heap.core.lists.reserve(list, 500);
    expect(heap.items(list)).toEqual(["first", 2]);
    const storage = storageOf(heap, list);
    heap.core.lists.reserve(list, 100);
    for (let length = 2; length < 500; length++) heap.append(list, length);
    expect(storageOf(heap, list)).toBe(storage);
    expect(capacityOf(heap, list)).toBeGreaterThanOrEqual(500);
  });

  it("is no more than was asked for, where that is more than a half", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("f64"));
    heap.core.lists.reserve(list, 10 * PAGE_WORDS);
    expect(capacityOf(heap, list)).toBe(10 * PAGE_WORDS);
  });

  it("that a list leaves is free again", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("f64"));
    const before = heap.i32[CONTROL_PAGES_USED];
    heap.core.lists.reserve(list, 2 * PAGE_WORDS);
    heap.core.lists.reserve(list, 8 * PAGE_WORDS);
    expect(heap.i32[CONTROL_PAGES_USED]).toBe(before + 16);
    heap.core.lists.clear(list);
    expect(heap.i32[CONTROL_PAGES_USED]).toBe(before);
    expect([capacityOf(heap, list), storageOf(heap, list)]).toEqual([0, 0]);
  });
});

describe("items that are replaced", () => {
  it("die last to first, and the list shows the new ones meanwhile", () => {
    const heap = makeQuietCore();
    const { allocator, lists } = heap.core;
    const leaves = Array.from({ length: 7 }, (_, value) => heap.newStruct(heap.leaf.struct("f64"), value));
    const anyList = heap.newList(heap.list("any"), ...leaves.slice(0, 3).map(ref), 1);
    const refList = heap.newList(heap.list("ref"), null, ...leaves.slice(3, 6).map(ref));
    heap.drop(...leaves.slice(0, 6));
    const seen: [Address, number][] = [];
    const free = allocator.freeObject.bind(allocator);
    let list = anyList;
    allocator.freeObject = (object) => {
      seen.push([object, lists.length(list)]);
      free(object);
    };
    lists.clear(list);
    list = refList;
    const storage = lists.allocateItems(list, 2);
    heap.core.counts.incref(leaves[6]);
    heap.i32.set([leaves[6], 0], storage);
    lists.replaceItems(list, storage, 2);
    expect(seen).toEqual([
      ...[2, 1, 0].map((index) => [leaves[index], 0]),
      ...[5, 4, 3].map((index) => [leaves[index], 2]),
    ]);
    expect(heap.items(list)).toEqual([ref(leaves[6]), null]);
  });

  it("leave the room that the new storage really has; nothing takes none", () => {
    const heap = makeQuietCore();
    const { lists } = heap.core;
    const list = heap.newList(heap.list("f64"));
    expect(lists.allocateItems(list, 0)).toBe(0);
    const storage = lists.allocateItems(list, 33); // 66 words in a block of 72
    heap.core.memory.f64.fill(1.5, storage >> 1, (storage >> 1) + 33);
    lists.replaceItems(list, storage, 33);
    expect([lists.length(list), capacityOf(heap, list)]).toEqual([33, 36]);
    expect(heap.items(list)).toEqual(Array(33).fill(1.5));
    lists.replaceItems(list, 0, 0);
    expect([lists.length(list), capacityOf(heap, list), storageOf(heap, list)]).toEqual([0, 0, 0]);
  });
});

describe("where memory is full", () => {
  /** All that can be seen of a list. */
  function picture(heap: TestCore, list: Address): unknown {
    return [heap.items(list), capacityOf(heap, list), storageOf(heap, list), heap.refcount(list)];
  }
  /** A list with no room left, in a heap with none. */
  function fullList(heap: TestCore, slot: SlotName, make: (index: number) => Value): Address {
    const list = heap.newList(heap.list(slot));
    heap.core.lists.reserve(list, 100);
    for (let index = 0; heap.core.lists.length(list) < capacityOf(heap, list); index++)
      heap.append(list, make(index));
    return list;
  }
  /** Until no block of any size is left. */
  function fillAll(heap: TestCore): Address[] {
    const hoards = fillMemory(heap);
    for (const words of [512, 128, 32, 4])
      expect(() => {
        for (;;) heap.core.lists.reserve(heap.newList(heap.leaf.list("i32")), words);
      }).toThrow(OutOfMemoryError);
    return hoards;
  }

  it.each<[SlotName, (index: number) => Value]>([
    ["f64", (index) => index / 4],
    ["str", (index) => (index % 3 === 0 ? "" : "text")],
    ["any", (index) => (index % 2 === 0 ? "text" : index)],
  ])("a list of %s is as it was after every change that finds no room", (slot, make) => {
    const heap = makeQuietCore(1 << 20);
    const { lists } = heap.core;
    const list = fullList(heap, slot, make);
    const hoards = fillAll(heap);
    const before = picture(heap, list);
    const { length } = heap.items(list);
    for (const change of [
      () => heap.append(list, make(1)),
      () => heap.insert(list, 0, make(1)),
      () => heap.insert(list, length >> 1, make(1)),
      () => lists.openGap(list, 3),
      () => lists.reserve(list, length + 1),
      () => lists.reserve(list, 1e8),
      () => lists.allocateItems(list, 1e8),
    ]) {
      expect(change).toThrow(OutOfMemoryError);
      expect(picture(heap, list)).toEqual(before);
      heap.verify();
    }
    heap.drop(...hoards.slice(-8)); // a whole page among them
    heap.append(list, make(1));
    expect(heap.items(list).slice(0, length)).toEqual((before as Value[][])[0]);
  });

  it("no list is made, and none is left half made", () => {
    const heap = makeQuietCore(512 << 10);
    const before = heap.liveObjects().length;
    let made = 0;
    expect(() => {
      for (;;) {
        heap.newList(heap.list("ref"), null);
        made++;
      }
    }).toThrow(OutOfMemoryError);
    // The last one was made, but its item found no room.
    expect(heap.liveObjects().length - before - made).toBeLessThanOrEqual(1);
    heap.verify();
    heap.dropAll();
    expect(heap.liveObjects()).toEqual([]);
  });

  it("a list takes the little that it needs when it cannot have the half more that it wants", () => {
    const heap = makeQuietCore(2 << 20);
    const { lists } = heap.core;
    const list = heap.newList(heap.leaf.list("i32"));
    const plug = heap.newList(heap.leaf.list("i32"));
    lists.reserve(list, 10 * PAGE_WORDS);
    while (lists.length(list) < 10 * PAGE_WORDS) heap.append(list, lists.length(list));
    lists.reserve(plug, 12 * PAGE_WORDS);
    fillMemory(heap);
    heap.drop(plug);
    heap.append(list, 10 * PAGE_WORDS);
    expect(capacityOf(heap, list)).toBe(11 * PAGE_WORDS);
    expect(heap.items(list)).toEqual([...Array(10 * PAGE_WORDS + 1).keys()]);
  });

  it("only: another error is not taken for want of memory and tried again", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("f64"), 1);
    const allocate = vi.spyOn(heap.core.allocator, "allocate").mockImplementation(() => {
      throw new RangeError("no");
    });
    expect(() => heap.core.lists.reserve(list, 5)).toThrow(RangeError);
    expect(allocate).toHaveBeenCalledTimes(1);
    allocate.mockImplementation(() => {
      throw new OutOfMemoryError(1, 1);
    });
    expect(() => heap.core.lists.reserve(list, 5)).toThrow(OutOfMemoryError);
    expect(allocate).toHaveBeenCalledTimes(3);
    // What is wanted is no more than what is needed: nothing smaller is left to try.
    expect(() => heap.core.lists.reserve(list, 50)).toThrow(OutOfMemoryError);
    expect(allocate).toHaveBeenCalledTimes(4);
    allocate.mockRestore();
    expect(heap.items(list)).toEqual([1]);
  });
});
