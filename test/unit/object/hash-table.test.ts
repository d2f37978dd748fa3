import { describe, expect, it } from "vitest";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  HASH_MASK,
  SLOT_ANY,
  SLOT_F64,
  SLOT_I32,
  TABLE_EPOCH,
  TABLE_INDEX_MIN,
  TABLE_MASK,
  TABLE_SIZE,
  TABLE_STORAGE,
  TABLE_USED,
} from "../../../src/memory/layout.js";
import { capacityOf, hashPair, hashWord } from "../../../src/object/hash-table.js";
import { hashText } from "../../../src/object/string.js";
import { fillMemory, makeQuietCore, makeTestCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, pick, type Random, randomFrom } from "../../support/random.js";
import { ref, type SlotName, type Value } from "../../support/slots.js";

/** What a Map calls a value: an object is its address, and is told from a number. */
function nameOf(value: Value): unknown {
  return value !== null && typeof value === "object" ? `object ${value.object}` : value;
}

/** Values that are easily taken for one another, and enough others that tables grow. */
function keyFor(slot: SlotName, random: Random, objects: readonly Address[]): Value {
  const number = below(random, 60);
  const text = pick(random, ["", "\0", "\ud83d", "\ude00", "ÿ", "Ā", `key ${number}`, `key ${number}`]);
  const double = pick(random, [Number.NaN, 0, -0, Number.POSITIVE_INFINITY, number, number / 16, -number]);
  switch (slot) {
    case "str":
      return text;
    case "f64":
      return double;
    case "any":
      return pick(random, [null, true, false, 1, double, text, ref(pick(random, objects))]);
    case "ref":
      return random() < 0.05 ? null : ref(pick(random, objects));
    case "bool":
      return random() < 0.5;
    case "i32":
      return number - 30;
    case "f32":
      return number / 4;
    default:
      return number;
  }
}

const words = (heap: TestCore, table: Address) => ({
  mask: heap.i32[table + TABLE_MASK],
  size: heap.i32[table + TABLE_SIZE],
  used: heap.i32[table + TABLE_USED],
  epoch: heap.i32[table + TABLE_EPOCH],
  storage: heap.i32[table + TABLE_STORAGE],
});

/** Numbers whose hash ends in the same bits of an index of 16 words. */
function colliding(count: number): number[] {
  const found: number[] = [];
  for (let number = 1; found.length < count; number++) if ((hashWord(number) & 15) === 6) found.push(number);
  return found;
}

describe("a table", () => {
  it.each<[SlotName, SlotName | undefined]>([
    ["str", "any"],
    ["str", undefined],
    ["any", "any"],
    ["any", undefined],
    ["f64", "ref"],
    ["f64", undefined],
    ["ref", "f64"],
    ["ref", undefined],
    ["i32", "i64"],
    ["u8", "str"],
    ["f32", "f32"],
    ["bool", "u8"],
  ])("of %s and %s does what a Map does, in its order", (keySlot, itemSlot) => {
    for (let seed = 0; seed < 3; seed++) {
      const random = randomFrom(seed);
      const heap = makeTestCore();
      const objects = Array.from({ length: 30 }, () => heap.newStruct(heap.struct("ref")));
      const table =
        itemSlot === undefined ? heap.newSet(heap.set(keySlot)) : heap.newDict(heap.dict(keySlot, itemSlot));
      const map = new Map<unknown, [Value, unknown]>();
      const bias = pick(random, [0.45, 0.6]); // shrinks and grows by turns, or grows
      for (let step = 0; step < Math.max(150, size(2000)); step++) {
        const key = keyFor(keySlot, random, objects);
        const name = nameOf(key);
        expect(heap.find(table, key) !== 0).toBe(map.has(name));
        if (random() < 0.004) {
          heap.core.tables.clear(table);
          map.clear();
        } else if (random() >= bias) expect(heap.deleteEntry(table, key)).toBe(map.delete(name));
        else if (itemSlot === undefined) {
          heap.addMember(table, key);
          if (!map.has(name)) map.set(name, [key, null]);
        } else {
          const item = itemSlot === "i64" ? BigInt(step) : keyFor(itemSlot, random, objects);
          heap.setEntry(table, key, item);
          map.set(name, [map.get(name)?.[0] ?? key, nameOf(item)]);
        }
        expect(heap.i32[table + TABLE_SIZE]).toBe(map.size);
        if (step % 32 === 0) expectSame(heap, table, map);
      }
      expectSame(heap, table, map);
      heap.verify();
    }
  });

  /** Entries in the Map's order; a Map makes -0 of a key 0, so keys are compared as a Map would. */
  function expectSame(heap: TestCore, table: Address, map: ReadonlyMap<unknown, [Value, unknown]>): void {
    expect(heap.entries(table).map(([key, item]) => [nameOf(key), nameOf(item)])).toEqual(
      [...map].map(([name, [, item]]) => [name, item]),
    );
  }

  it("has no storage before its first entry, and is searched in vain", () => {
    const heap = makeQuietCore();
    const old = heap.newDict(heap.dict("str", "f64"), ["key", 1]);
    heap.drop(old);
    const tables = Array.from({ length: 500 }, () => heap.newDict(heap.dict("str", "f64")));
    expect(tables).toContain(old); // where another has left its words
    for (const table of tables) {
      expect(words(heap, table)).toEqual({ mask: 0, size: 0, used: 0, epoch: 0, storage: 0 });
      expect(heap.find(table, "key")).toBe(0);
      expect(heap.entries(table)).toEqual([]);
    }
    expect(heap.find(heap.newSet(heap.set("f64")), 1)).toBe(0);
  });
});

describe("keys that meet in one place", () => {
  it("are found, also behind one that was deleted", () => {
    const heap = makeQuietCore();
    const keys = colliding(8);
    const dict = heap.newDict(heap.dict("i32", "f64"), ...keys.map((key) => [key, key / 2] as const));
    for (const deleted of [keys[0], keys[3], keys[7]]) {
      heap.deleteEntry(dict, deleted);
      expect(heap.find(dict, deleted)).toBe(0);
    }
    const left = [1, 2, 4, 5, 6].map((index) => keys[index]);
    expect(heap.entries(dict)).toEqual(left.map((key) => [key, key / 2]));
    for (const key of left) expect(heap.i32[heap.find(dict, key)]).toBe(key);
    expect(heap.find(dict, colliding(9)[8])).toBe(0);
  });

  it("take the place of a deleted one again", () => {
    const heap = makeQuietCore();
    const [first, second, third] = colliding(3);
    const set = heap.newSet(heap.set("i32"), first, second);
    const index = heap.i32[set + TABLE_STORAGE];
    const { mask } = words(heap, set);
    heap.deleteEntry(set, first);
    heap.addMember(set, third);
    expect(heap.i32[index + (hashWord(third) & mask)] & mask).toBe(3); // where the first was
    expect([first, second, third].map((key) => heap.find(set, key) !== 0)).toEqual([false, true, true]);
  });

  it("are told apart by their text where all 31 bits of the hash are equal", () => {
    const texts = new Map<number, string>();
    let pair: [string, string] | undefined;
    for (let number = 0; pair === undefined; number++) {
      const other = texts.get(hashText(`text ${number}`));
      if (other !== undefined) pair = [other, `text ${number}`];
      texts.set(hashText(`text ${number}`), `text ${number}`);
    }
    const heap = makeQuietCore();
    for (const key of ["str", "any"] as const) {
      const dict = heap.newDict(heap.dict(key, "f64"), [pair[0], 1], [pair[1], 2]);
      expect(heap.entries(dict)).toEqual([
        [pair[0], 1],
        [pair[1], 2],
      ]);
      heap.deleteEntry(dict, pair[0]);
      expect(heap.find(dict, pair[0])).toBe(0);
      expect(heap.find(dict, pair[1])).not.toBe(0);
    }
  });

  it("are few: whatever grows in equal steps is spread", () => {
    const count = 1000;
    const doubles = new Float64Array(1);
    const halves = new Int32Array(doubles.buffer);
    const pairOf = (number: number) => {
      doubles[0] = number;
      return hashPair(halves[0], halves[1]);
    };
    const hashes: Record<string, (index: number) => number> = {
      "small numbers": (index) => hashWord(index),
      "negative numbers": (index) => hashWord(-index),
      addresses: (index) => hashWord(28_672 + index * 10),
      "powers of two apart": (index) => hashWord(index << 16),
      doubles: (index) => pairOf(index),
      fractions: (index) => pairOf(index / 1024),
      "large doubles": (index) => pairOf(index * 2 ** 40),
      "references of any": (index) => hashPair(28_672 + index * 10, -0x3fffd),
    };
    for (const [name, hash] of Object.entries(hashes)) {
      const mask = 2047;
      const taken = new Set<number>();
      let probes = 0;
      for (let index = 0; index < count; index++) {
        expect(hash(index) & ~HASH_MASK).toBe(0);
        let probe = hash(index) & mask;
        for (; taken.has(probe); probe = (probe + 1) & mask) probes++;
        taken.add(probe);
      }
      expect(probes / count, name).toBeLessThan(2); // chance: about 0.5
    }
  });
});

describe("room", () => {
  it("is two thirds of the index, which then becomes three times the entries or more", () => {
    const heap = makeQuietCore();
    const set = heap.newSet(heap.set("f64"));
    const growth: [number, number][] = [];
    for (let number = 0; number < 100; number++) {
      const before = words(heap, set).mask;
      heap.addMember(set, number);
      const { mask } = words(heap, set);
      if (mask !== before) growth.push([number, mask + 1]);
    }
    expect(growth).toEqual([
      [0, TABLE_INDEX_MIN],
      [5, 16],
      [10, 32],
      [21, 64],
      [42, 128],
      [85, 256],
    ]);
    expect([7, 15, 31, 63].map(capacityOf)).toEqual([5, 10, 21, 42]);
    expect(words(heap, set).epoch).toBe(0); // no entry has changed its number
  });

  it("is regained from the holes, and the index shrinks to what is live", () => {
    const heap = makeQuietCore();
    const dict = heap.newDict(heap.dict("str", "f64"));
    for (let number = 0; number < 85; number++) heap.setEntry(dict, `key ${number}`, number);
    expect(words(heap, dict)).toMatchObject({ mask: 127, size: 85, used: 85, epoch: 0 });
    for (let number = 0; number < 83; number++) heap.deleteEntry(dict, `key ${number}`);
    expect(words(heap, dict)).toMatchObject({ mask: 127, size: 2, used: 85, epoch: 0 });
    heap.setEntry(dict, "new", -1);
    expect(words(heap, dict)).toMatchObject({ mask: 7, size: 3, used: 3, epoch: 1 });
    expect(heap.entries(dict)).toEqual([
      ["key 83", 83],
      ["key 84", 84],
      ["new", -1],
    ]);
  });

  it("that was reserved lasts: no entry moves", () => {
    const heap = makeQuietCore();
    const { tables } = heap.core;
    const set = heap.newSet(heap.set("i32"));
    tables.reserve(set, 0);
    expect(words(heap, set).storage).toBe(0);
    for (const count of [1, 5, 6, 42, 43, 500]) {
      tables.reserve(set, count);
      const { storage } = words(heap, set);
      tables.reserve(set, count - 1);
      for (let number = words(heap, set).size; number < count; number++) heap.addMember(set, number);
      expect([words(heap, set).storage, words(heap, set).size]).toEqual([storage, count]);
      expect(heap.entries(set).map(([key]) => key)).toEqual([...Array(count).keys()]);
    }
  });
});

describe("an entry", () => {
  it("that is taken out keeps its first word and its value until they are dropped", () => {
    const heap = makeQuietCore();
    const leaf = heap.newStruct(heap.leaf.struct("f64"));
    const dict = heap.newDict(heap.dict("any", "any"), [ref(leaf), ref(leaf)]);
    const entry = heap.find(dict, ref(leaf));
    heap.core.tables.remove(dict, entry, SLOT_ANY, 4);
    expect([heap.i32[entry], heap.i32[entry + 2], heap.refcount(leaf)]).toEqual([leaf, leaf, 3]);
    expect(heap.find(dict, ref(leaf))).toBe(0);
    heap.core.counts.decref(leaf);
    heap.core.counts.decref(leaf);
  });

  it("has a number that stays while others come and go, holes passed over", () => {
    const heap = makeQuietCore();
    const { tables } = heap.core;
    for (const [table, keySlot, entryWords] of [
      [heap.newSet(heap.set("f64"), 0, 1, 2, 3, 4), SLOT_F64, 2],
      [heap.newDict(heap.dict("i32", "f64"), [0, 0], [1, 1], [2, 2], [3, 3], [4, 4]), SLOT_I32, 4],
    ]) {
      const numberAt = (from: number) => {
        const entry = tables.nextEntry(table, from, keySlot, entryWords);
        return entry === 0 ? undefined : tables.entryNumber(table, entry, entryWords);
      };
      for (const deleted of [0, 2, 3]) heap.deleteEntry(table, deleted);
      expect([0, 1, 2, 3, 4, 5].map(numberAt)).toEqual([1, 1, 4, 4, 4, undefined]);
    }
  });
});

describe("clear", () => {
  it("drops entries in insertion order, key before value; the table looks empty and is of a new epoch", () => {
    const heap = makeQuietCore();
    const { allocator, tables } = heap.core;
    const leaves = Array.from({ length: 8 }, (_, value) => heap.newStruct(heap.leaf.struct("f64"), value));
    const [a, b, c, d, e, f, g, h] = leaves.map(ref);
    const dict = heap.newDict(heap.dict("any", "ref"), [c, a], ["text", h], [e, null], [d, b]);
    heap.deleteEntry(dict, "text");
    const set = heap.newSet(heap.set("ref"), g, null, f);
    heap.drop(...leaves);
    const seen: [Address, number, number][] = [];
    const free = allocator.freeObject.bind(allocator);
    let table = dict;
    allocator.freeObject = (object) => {
      seen.push([object, words(heap, table).size, heap.entries(table).length]);
      free(object);
    };
    tables.clear(dict);
    table = set;
    tables.clear(set);
    expect(seen).toEqual([c, a, e, d, b, g, f].map(({ object }) => [object, 0, 0]));
    for (const cleared of [dict, set])
      expect(words(heap, cleared)).toEqual({ mask: 0, size: 0, used: 0, epoch: 1, storage: 0 });
    tables.clear(dict);
    expect(words(heap, dict).epoch).toBe(1);
    heap.setEntry(dict, 1, null);
    expect(heap.entries(dict)).toEqual([[1, null]]);
  });
});

describe("where memory is full", () => {
  it.each<[SlotName, SlotName | undefined, (index: number) => Value]>([
    ["str", "str", (index) => `key ${index}`],
    ["any", "any", (index) => (index % 2 === 0 ? `key ${index}` : index)],
    ["f64", undefined, (index) => index / 2],
    ["str", undefined, (index) => `key ${index}`],
  ])("a table of %s and %s is as it was after an entry that finds no room", (keySlot, itemSlot, make) => {
    const heap = makeQuietCore(1 << 20);
    const isSet = itemSlot === undefined;
    const table = isSet ? heap.newSet(heap.set(keySlot)) : heap.newDict(heap.dict(keySlot, itemSlot));
    const add = (index: number) =>
      isSet ? heap.addMember(table, make(index)) : heap.setEntry(table, make(index), "value");
    let count = 0;
    while (count < 170 || words(heap, table).used < capacityOf(words(heap, table).mask)) add(count++);
    heap.deleteEntry(table, make(7)); // a hole that only a new storage block would squeeze out
    const hoards = fillMemory(heap);
    const before = [heap.entries(table), words(heap, table)];
    for (let round = 0; round < 2; round++) {
      expect(() => add(count)).toThrow(OutOfMemoryError);
      expect(() => heap.core.tables.reserve(table, 100_000)).toThrow(OutOfMemoryError);
      expect([heap.entries(table), words(heap, table)]).toEqual(before);
      heap.verify();
    }
    expect(heap.find(table, make(count))).toBe(0);
    for (let index = 0; index < count; index++) expect(heap.find(table, make(index)) !== 0).toBe(index !== 7);
    if (!isSet) heap.setEntry(table, make(3), "other"); // no entry more: room enough
    heap.drop(...hoards.slice(-8));
    add(count);
    expect(words(heap, table)).toMatchObject({ size: count, used: count, epoch: 1 });
  });

  it("no table is made, and none is left half made", () => {
    const heap = makeQuietCore(512 << 10);
    let made = 0;
    expect(() => {
      for (;;) {
        heap.newDict(heap.dict("str", "str"), ["key", "value"]);
        made++;
      }
    }).toThrow(OutOfMemoryError);
    expect(made).toBeGreaterThan(300);
    heap.verify();
    heap.dropAll();
    expect(heap.liveObjects()).toEqual([]);
  });
});
