/** Damage that is written by hand: what a repair makes of it, and what it says. */
import { describe, expect, it } from "vitest";
import { Core } from "../../../src/gc/core.js";
import { repair } from "../../../src/gc/repair.js";
import type { RepairReport } from "../../../src/gc/repair-report.js";
import { HeapCorruptionError } from "../../../src/memory/errors.js";
import {
  type Address,
  CHUNK_NEXT,
  CHUNK_WORDS,
  CONTROL_COLLECTING,
  CONTROL_FOREIGN,
  CONTROL_MAGIC,
  CONTROL_RESERVE_CHUNK,
  CONTROL_ROOT_COUNT,
  CONTROL_USER_CODE,
  FLAG_DYING,
  FLAG_FROZEN,
  FLAG_SETTLED,
  FLAG_TRACKED,
  FOREIGN_NUMBER,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  INDEX_FREE,
  KIND_STORAGE,
  LIST_CAPACITY,
  LIST_ITEMS,
  LIST_LENGTH,
  PERMANENT,
  SERIAL_RETIRED,
  STRING_HASH,
  TABLE_MASK,
  TABLE_STORAGE,
  TAG_BOOLEAN,
  TAG_EMPTY,
  TAG_OBJECT,
  TAG_STRING,
  TYPE_NAME,
  WEAKREF_NEXT,
} from "../../../src/memory/layout.js";
import { hashText } from "../../../src/object/string.js";
import { expectOrder, fillMemory, type TestCore } from "../../support/core.js";
import { expectWhole, makeSmallCore } from "../../support/kills.js";
import { ref } from "../../support/slots.js";
import { copyMemory } from "../../support/stores.js";
import { furnish } from "./repair-operations.js";

/** Repair a heap of which all that the test owns is held by living threads. */
function repaired(heap: TestCore, keep: readonly Address[] = []): RepairReport {
  const report = repair(heap.core.memory, heap.roots, keep);
  expectWhole(heap.core.memory, heap.roots);
  return report;
}

const NOTHING_WRONG = {
  nulled: [],
  containers: [],
  cutWeakrefs: [],
  missing: [],
  tracked: 0,
  untracked: 0,
};

describe("a heap in which nothing is wrong", () => {
  function furnished(): TestCore {
    const heap = makeSmallCore();
    furnish(heap);
    for (const generation of [2, 1]) {
      heap.collect(generation - 1);
      furnish(heap);
    }
    heap.core.generations.freeze();
    furnish(heap);
    heap.collect(0);
    furnish(heap);
    return heap;
  }

  it("keeps every object, its serial, and its place in its generation", () => {
    const heap = furnished();
    const tables = () => [0, 1, 2, PERMANENT].map((generation) => heap.table(generation));
    const serials = () => heap.liveObjects().map((object) => heap.i32[object + HEADER_SERIAL]);
    const before = { tables: tables(), serials: serials(), live: heap.liveObjects() };
    const objects = [...heap.core.allocator.objects()].length;
    expect(repaired(heap)).toEqual({ ...NOTHING_WRONG, objectsKept: objects, objectsDropped: 0 });
    expect({ tables: tables(), serials: serials(), live: heap.liveObjects() }).toEqual(before);
  });

  it("keeps the order of a table of several chunks, wherever they lie", () => {
    const heap = makeSmallCore();
    const { allocator, generations } = heap.core;
    heap.newStruct(heap.struct("ref"));
    // Chunks that are given back are taken again last first.
    const blocks = Array.from({ length: 12 }, () => allocator.allocate(KIND_STORAGE, CHUNK_WORDS));
    for (const block of blocks) allocator.free(block);
    for (let index = 0; index < 5000; index++) heap.newStruct(heap.struct("ref"));
    const chunks: Address[] = [];
    for (let chunk = generations.firstChunk(0); chunk !== 0; chunk = heap.i32[chunk + CHUNK_NEXT])
      chunks.push(chunk);
    expect(chunks).not.toEqual([...chunks].sort((a, b) => a - b));
    const before = heap.table(0);
    repaired(heap);
    expectOrder(heap.table(0), before);
  });

  it("is the same after a second repair, but for the serials of free blocks", () => {
    const heap = furnished();
    repaired(heap);
    const { i32 } = copyMemory(heap.core.memory);
    repaired(heap);
    const changed = [...i32.keys()].filter((word) => i32[word] !== heap.i32[word]);
    expect(changed.filter((word) => heap.i32[word] !== i32[word] + 1)).toEqual([]);
  });

  it("goes on as before: collections, deaths, new objects", () => {
    const heap = furnished();
    repaired(heap);
    const other = heap.over(new Core(heap.core.memory, { isAttached: true }));
    furnish(other);
    expect(other.collect(2)).toBe(0);
    other.verify();
    other.dropAll();
    other.core.generations.unfreeze();
    other.collect(2);
    expect(other.liveObjects()).toEqual([]);
    other.verify();
  });
});

describe("what nobody living holds", () => {
  it("goes, with a serial that no view has; what it held alone goes too", () => {
    const heap = makeSmallCore();
    const node = heap.struct("ref", "str");
    const inner = heap.newStruct(node, null, "a text");
    const outer = heap.newStruct(node, ref(inner));
    const kept = heap.newStruct(node, ref(inner));
    heap.drop(inner);
    const serial = heap.i32[outer + HEADER_SERIAL];
    heap.roots.delete(outer);
    expect(repaired(heap)).toMatchObject({ objectsDropped: 1, nulled: [] });
    expect(heap.liveObjects()).toEqual([inner, kept].sort((a, b) => a - b));
    expect(heap.i32[outer + HEADER_SERIAL]).toBeGreaterThan(serial);
    expect(heap.refcount(inner)).toBe(1);
    expect(heap.i32[CONTROL_ROOT_COUNT]).toBe(1);
  });

  it("raises the serials of free blocks too, and retires those that are used up", () => {
    const heap = makeSmallCore();
    const node = heap.struct("ref", "str");
    const [a, b] = [heap.newStruct(node), heap.newStruct(node)];
    heap.newStruct(node);
    heap.i32[a + HEADER_SERIAL] = SERIAL_RETIRED - 1;
    heap.roots.delete(a);
    heap.drop(b);
    const serial = heap.i32[b + HEADER_SERIAL];
    repaired(heap);
    expect(heap.i32[b + HEADER_SERIAL]).toBe(serial + 1);
    for (let index = 0; index < 400; index++) expect(heap.newStruct(node)).not.toBe(a);
  });

  it("counts no more among the values of the host, and is in no list of weak references", () => {
    const heap = makeSmallCore();
    const target = heap.newStruct(heap.watched.struct("ref"));
    const refs = [5, 6, 7].map((hostCallback) => heap.newWeakref(target, { hostCallback }));
    const foreign = [1, 2, 2].map((number) => {
      const object = heap.owned(heap.core.foreign.create([], false));
      heap.i32[object + FOREIGN_NUMBER] = number;
      heap.i32[CONTROL_FOREIGN]++;
      return object;
    });
    heap.i32[CONTROL_FOREIGN]--; // the last has not got its number yet, and a stranger's stands there
    for (const gone of [refs[1], foreign[0], foreign[2]]) heap.roots.delete(gone);
    repaired(heap);
    expect(heap.i32[CONTROL_FOREIGN]).toBe(1);
    expect([...heap.core.weakrefs.list(target)]).toEqual([refs[2], refs[0]]);
  });

  it("leaves its weak references cut, and tells of them", () => {
    const heap = makeSmallCore();
    const target = heap.newStruct(heap.watched.struct("ref"));
    const weakref = heap.newWeakref(target);
    heap.roots.delete(target);
    expect(repaired(heap).cutWeakrefs).toEqual([weakref]);
    expect(heap.core.weakrefs.target(weakref)).toBe(0);
  });
});

it("weak references that their target's list does not lead to come back into it, in CPython's order", () => {
  const heap = makeSmallCore();
  const target = heap.newStruct(heap.watched.struct("ref"));
  const options = [{ hostCallback: 1 }, { hostCallback: 2 }, { isProxy: true }, {}];
  const [first, second, proxy, shared] = options.map((option) => heap.newWeakref(target, option));
  const { weakrefs } = heap.core;
  expect([...weakrefs.list(target)]).toEqual([shared, proxy, second, first]);
  heap.i32[weakrefs.first(target) + WEAKREF_NEXT] = 0;
  repaired(heap);
  const list = [...weakrefs.list(target)];
  expect(list.slice(0, 2)).toEqual([shared, proxy]);
  expect(new Set(list.slice(2))).toEqual(new Set([first, second]));
});

describe("what is kept besides", () => {
  it("is storage that no object owns, and objects for each time that they come", () => {
    const heap = makeSmallCore();
    const storage = heap.core.allocator.allocate(KIND_STORAGE, 100);
    heap.i32.fill(77, storage, storage + 100);
    const object = heap.newStruct(heap.struct("ref"));
    const report = repair(heap.core.memory, new Map(), [storage, object, object]);
    expect(report).toMatchObject({ missing: [], objectsDropped: 0 });
    expect(heap.refcount(object)).toBe(2);
    expect(heap.i32[CONTROL_ROOT_COUNT]).toBe(0);
    expect(heap.i32.subarray(storage, storage + 100)).toEqual(new Int32Array(100).fill(77));
    const other = heap.core.allocator.allocate(KIND_STORAGE, 100);
    expect(other).not.toBe(storage);
  });

  it("is missing where there is nothing, and then told of", () => {
    const heap = makeSmallCore();
    const object = heap.newStruct(heap.struct("ref"));
    const nowhere = [object + 2, -4, 0x7fffffff, heap.i32.length];
    const report = repair(
      heap.core.memory,
      new Map([[object, 1], ...nowhere.map((a): [number, number] => [a, 3])]),
    );
    expect(report.missing).toEqual(nowhere);
    expect(heap.i32[CONTROL_ROOT_COUNT]).toBe(1);
  });
});

describe("a reference that leads nowhere becomes null, and is told of", () => {
  function damage(word: (heap: TestCore, object: Address) => Address, ...values: number[]) {
    const heap = makeSmallCore();
    const text = heap.newString("a text of its own");
    const object = heap.newStruct(heap.struct("ref", "str", "any"), null, "a text", 1);
    const at = word(heap, object);
    heap.i32.set(
      values.map((value) => (value === -1 ? text : value === -2 ? object : value)),
      at,
    );
    const was = heap.i32[at];
    expect(repaired(heap).nulled).toEqual([{ object, word: at, was }]);
    return heap.field(object, [0, 1, 2].find((index) => heap.fieldWord(object, index) === at)!);
  }
  const reference = (heap: TestCore, object: Address) => heap.fieldWord(object, 0);
  const text = (heap: TestCore, object: Address) => heap.fieldWord(object, 1);
  const any = (heap: TestCore, object: Address) => heap.fieldWord(object, 2);

  it.each([12, -400, 0x7ffffff0, 3 * 4096])("to %d", (value) => {
    expect(damage(reference, value)).toBeNull();
  });
  it("to a text where objects are", () => expect(damage(reference, -1)).toBeNull());
  it("to an object where texts are", () => expect(damage(text, -2)).toBe(""));
  it("by an any that calls an object a text", () => expect(damage(any, -2, TAG_STRING)).toBeNull());
  it("by an any that calls a text an object", () => expect(damage(any, -1, TAG_OBJECT)).toBeNull());
  it("by an any with a tag of hash tables", () => expect(damage(any, 0, TAG_EMPTY)).toBeNull());
  it("by a boolean that is none", () => expect(damage(any, 2, TAG_BOOLEAN)).toBeNull());
});

describe("a list", () => {
  it("is as long as its block at most", () => {
    const heap = makeSmallCore();
    const list = heap.newList(heap.list("ref"), null, null);
    const words = heap.core.allocator.blockWords(heap.i32[list + LIST_ITEMS]);
    heap.i32[list + LIST_LENGTH] = heap.i32[list + LIST_CAPACITY] = words + 7;
    heap.i32.fill(0, heap.i32[list + LIST_ITEMS], heap.i32[list + LIST_ITEMS] + words);
    expect(repaired(heap).containers).toEqual([{ object: list, change: "shortened", lost: 7 }]);
    expect(heap.items(list)).toHaveLength(words);
  });

  it("loses storage that another has already, and is empty then", () => {
    const heap = makeSmallCore();
    const lists = [1, 2].map((item) => heap.newList(heap.list("i32"), item, item));
    const [first, second] = lists;
    heap.i32[second + LIST_ITEMS] = heap.i32[first + LIST_ITEMS];
    const [{ object, change, lost }] = repaired(heap).containers;
    expect({ change, lost }).toEqual({ change: "emptied", lost: 2 });
    expect(lists.map((list) => heap.items(list)).sort()).toEqual([[], [1, 1]]);
    expect(heap.items(object)).toEqual([]);
  });
});

describe("a hash table", () => {
  function table() {
    const heap = makeSmallCore();
    const dict = heap.newDict(heap.dict("any", "any"));
    for (let key = 0; key < 20; key++) heap.setEntry(dict, key % 2 === 0 ? `key ${key}` : key, key);
    heap.deleteEntry(dict, 3);
    return { heap, dict, entries: heap.entries(dict) };
  }

  it.each([0, 7, 15, 255, -1])("of which the mask is %d finds all its entries again", (mask) => {
    const { heap, dict, entries } = table();
    heap.i32[dict + TABLE_MASK] = mask;
    expect(repaired(heap).containers).toEqual([{ object: dict, change: "rebuilt", lost: 0 }]);
    expect(heap.entries(dict)).toEqual(entries);
    expect(heap.find(dict, "key 4")).not.toBe(0);
  });

  it("loses what its index has not", () => {
    const { heap, dict, entries } = table();
    const entry = heap.find(dict, "key 8");
    const storage = heap.i32[dict + TABLE_STORAGE];
    const number = (entry - storage - heap.i32[dict + TABLE_MASK] - 1) / 4 + 1;
    const mask = heap.i32[dict + TABLE_MASK];
    for (let probe = 0; probe <= mask; probe++)
      if ((heap.i32[storage + probe] & mask) === number) heap.i32[storage + probe] = INDEX_FREE;
    expect(repaired(heap).containers).toEqual([{ object: dict, change: "rebuilt", lost: 1 }]);
    expect(heap.entries(dict)).toEqual(entries.filter(([key]) => key !== "key 8"));
  });

  it("loses an entry of which the key is another one than was put in", () => {
    const { heap, dict, entries } = table();
    heap.i32[heap.find(dict, 5)] ^= 1;
    expect(repaired(heap).containers).toEqual([{ object: dict, change: "rebuilt", lost: 1 }]);
    expect(heap.entries(dict)).toEqual(entries.filter(([key]) => key !== 5));
  });

  it("without storage is empty", () => {
    const { heap, dict } = table();
    heap.i32[dict + TABLE_STORAGE] = 12;
    expect(repaired(heap).containers).toEqual([{ object: dict, change: "emptied", lost: 19 }]);
    expect(heap.entries(dict)).toEqual([]);
  });
});

describe("an object", () => {
  it("has the hash of its text, where it is one", () => {
    const heap = makeSmallCore();
    const text = heap.newString("some text");
    heap.i32[text + STRING_HASH] = 1;
    repaired(heap);
    expect(heap.i32[text + STRING_HASH]).toBe(hashText("some text"));
  });

  it("is not dying, nor settled, and no collection is under way", () => {
    const heap = makeSmallCore();
    const object = heap.newStruct(heap.struct("ref"));
    heap.i32[object + HEADER_TYPE] |= FLAG_DYING | FLAG_SETTLED;
    heap.i32[object + HEADER_REFCOUNT] = 99;
    heap.core.trigger.setEnabled(true);
    heap.core.trigger.setThreshold(0, 50);
    heap.core.trigger.setCollecting(true);
    repaired(heap);
    expect(heap.i32[object + HEADER_TYPE] & (FLAG_DYING | FLAG_SETTLED)).toBe(0);
    expect(heap.i32[CONTROL_COLLECTING]).toBe(0);
    expect(heap.core.trigger.threshold(0)).toBe(50);
    const count = heap.counts()[0];
    for (let more = 0; more <= 50 - count; more++) heap.drop(heap.newStruct(heap.struct("ref")));
    for (let more = 0; more < 60; more++) heap.newStruct(heap.struct("ref"));
    expect(heap.counts()[1]).toBe(1);
  });

  it("of a pool stays untracked while it is at hand", () => {
    const heap = makeSmallCore();
    const instance = heap.owned(heap.core.objects.createPooled(heap.struct("ref")));
    heap.i32[CONTROL_USER_CODE] = 2;
    expect(repaired(heap).tracked).toBe(0);
    expect(heap.isTracked(instance)).toBe(false);
    expect(heap.i32[CONTROL_USER_CODE]).toBe(0);
  });

  it("is frozen behind those that were, where that was under way", () => {
    const heap = makeSmallCore();
    const node = heap.struct("ref");
    const young = heap.newStruct(node);
    const old = heap.newStruct(node);
    heap.core.generations.freeze();
    const later = [heap.newStruct(node), heap.newStruct(node)];
    heap.i32[later[0] + HEADER_TYPE] |= FLAG_FROZEN;
    repaired(heap);
    expect(heap.table(PERMANENT)).toEqual([young, old, later[0]]);
    expect(heap.table(0)).toEqual([later[1]]);
  });

  it("is tracked if it has to be, in generation 0 where it stands nowhere", () => {
    const heap = makeSmallCore();
    const [old, young] = [heap.newStruct(heap.struct("ref")), heap.newList(heap.list("ref"))];
    const dict = heap.newDict(heap.dict("str", "ref"), ["held", ref(young)]);
    const outer = heap.newTuple(heap.tuple("ref"), ref(heap.newTuple(heap.tuple("ref"), ref(old))));
    const plain = heap.newTuple(heap.tuple("any"), 1);
    heap.collect(1);
    for (const object of [dict, outer, heap.i32[outer + 4]]) heap.core.generations.untrack(object);
    heap.i32[young + HEADER_ENTRY] = 0;
    expect(repaired(heap).tracked).toBe(4);
    expect(heap.table(0)).toHaveLength(4);
    expect(heap.table(2)).toEqual([old]);
    expect(heap.isTracked(plain)).toBe(false);
  });

  it("is not tracked where a full heap has no memory for a table", () => {
    const heap = makeSmallCore();
    const object = heap.newStruct(heap.struct("ref"));
    heap.core.generations.untrack(object);
    heap.core.generations.empty(0);
    heap.i32[object + HEADER_TYPE] |= FLAG_TRACKED;
    fillMemory(heap);
    const report = repair(heap.core.memory, heap.roots, fillRest(heap));
    expect(report).toMatchObject({ tracked: 1, untracked: 1 });
    expect(heap.isTracked(object)).toBe(false);
  });
});

/** Take the last blocks of a chunk's size. */
function fillRest(heap: TestCore): Address[] {
  const blocks: Address[] = [];
  try {
    for (;;) blocks.push(heap.core.allocator.allocate(KIND_STORAGE, CHUNK_WORDS));
  } catch {
    blocks.push(heap.i32[CONTROL_RESERVE_CHUNK]);
    return blocks;
  }
}

describe("what cannot be repaired is refused", () => {
  it("a memory that is no heap", () => {
    const heap = makeSmallCore();
    heap.i32[CONTROL_MAGIC] = 0;
    expect(() => repair(heap.core.memory, heap.roots)).toThrow(HeapCorruptionError);
  });

  it("a heap of which a type has no name", () => {
    const heap = makeSmallCore();
    heap.i32[heap.core.types.descriptor(heap.struct("ref")) + TYPE_NAME] = 0;
    expect(() => repair(heap.core.memory, heap.roots)).toThrow(/type \d+ is damaged/);
  });
});
