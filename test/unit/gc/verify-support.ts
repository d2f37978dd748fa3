/** A heap with something of everything, and rows of what breaks it: one word each. */
import { describe, expect, it } from "vitest";
import { type VerifyOptions, verifyMemory } from "../../../src/gc/verify.js";
import { HeapCorruptionError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { makeBreakableCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";

type Address = L.Address;

/** A small heap with something of everything, and where it stands. */
export function makeSpecimen() {
  const heap = makeBreakableCore(1 << 20);
  heap.core.trigger.setEnabled(false);
  const { i32 } = heap;
  const list = heap.newList(heap.list("any"), 1, "an item", null);
  const node = heap.newStruct(heap.struct("ref", "any", "str"), ref(list), ref(list), "a field");
  const plain = heap.newStruct(heap.struct("ref", "ref"), ref(node));
  const roomy = heap.newList(heap.list("any"));
  heap.core.lists.reserve(roomy, 3);
  const bare = heap.newList(heap.list("f64"));
  const words = heap.newDict(heap.dict("str", "f64"), ["", 0], ["one", 1], ["two", 2], ["gone", 3]);
  heap.deleteEntry(words, "gone");
  const numbers = heap.newDict(heap.dict("i32", "f64"), [1, 1], [2, 2], [3, 3], [4, 4]);
  const number = heap.newDict(heap.dict("i32", "f64"), [7, 7]);
  const double = heap.newDict(heap.dict("f64", "f64"), [0.5, 0]);
  const mixed = heap.newSet(heap.set("any"), "", "text", 2.5, true, ref(list));
  const members = heap.newSet(heap.set("ref"), ref(node));
  const empty = heap.newSet(heap.set("any"));
  const inner = heap.newDict(heap.leaf.dict("i32", "f64"));
  const outer = heap.newDict(heap.dict("str", "ref"), ["inner", ref(inner)]);
  const tuple = heap.newTuple(heap.tuple("ref", "i32"), ref(node), 1);
  const target = heap.newStruct(heap.watched.struct("ref"));
  const hunted = heap.newStruct(heap.finalized.struct("ref"));
  const [weakref, called, orphan, other] = [
    heap.newWeakref(target),
    heap.newWeakref(target, { callback: roomy }),
    heap.newWeakref(heap.newSet(heap.set("any")), { hostCallback: 1 }),
    heap.newWeakref(hunted),
  ];
  heap.core.weakrefs.cut(orphan);
  const [narrow, wide] = [heap.newString("narrow"), heap.newString("wide Ā")];
  const leaf = heap.newStruct(heap.leaf.struct("f64", "f64", "f64"), 1);
  const dead = heap.newStruct(heap.leaf.struct("f64", "f64", "f64"), 2);
  heap.drop(dead);
  // Runs of whole pages, and behind two of them free runs of one and two pages.
  const largeString = (pages: number) => heap.newString("x".repeat((pages * L.PAGE_WORDS - 5) * 4));
  const [large, one, largeTwo, two] = [1, 1, 2, 2].map(largeString);
  largeString(1);
  heap.drop(one, two);
  heap.verify();

  const page = (address: Address, next = 0) =>
    i32[L.CONTROL_PAGE_TABLE] + ((address >>> L.PAGE_SHIFT) + next) * L.PAGE_DESCRIPTOR_WORDS;
  const typeOf = (object: Address) => heap.core.types.descriptorOf(object);
  const ofClass = (first: number, object: Address) =>
    first +
    ((i32[page(object) + L.PAGE_STATE] & 0xff) - L.PAGE_SMALL) * L.SIZE_CLASS_COUNT_MAX +
    (i32[page(object) + L.PAGE_STATE] >> 8);
  return {
    heap,
    i32,
    page,
    typeOf,
    /** The index and the first entry of a hash table's storage, and the index word of an entry. */
    index: (table: Address) => i32[table + L.TABLE_STORAGE],
    entry: (table: Address) => i32[table + L.TABLE_STORAGE] + i32[table + L.TABLE_MASK] + 1,
    indexWord: (table: Address, number: number) => {
      const mask = i32[table + L.TABLE_MASK];
      return i32.findIndex(
        (word, at) => at >= i32[table + L.TABLE_STORAGE] && word > 0 && (word & mask) === number,
      );
    },
    /** The next block that an object's class hands out; the list of its class. */
    current: i32[ofClass(L.CONTROL_CURRENT, leaf)],
    available: ofClass(L.CONTROL_AVAILABLE, leaf),
    record: (generation: number) => heap.core.generations.record(generation),
    chunk: heap.core.generations.firstChunk(0),
    ...{
      list,
      node,
      plain,
      roomy,
      bare,
      words,
      numbers,
      number,
      double,
      mixed,
      members,
      empty,
      inner,
      outer,
      tuple,
    },
    ...{ target, hunted, weakref, called, orphan, other },
    /** The word of an object that names its first weak reference. */
    weakrefHead: (object: Address) => object + i32[typeOf(object) + L.TYPE_WEAKREF_OFFSET],
    ...{ narrow, wide, leaf, dead, large, one, largeTwo, two },
  };
}

type Specimen = ReturnType<typeof makeSpecimen>;

/** A word that is broken, and what is written into it. */
type Corruption = readonly [word: Address, value: number];

/** What is broken, what the message has to tell, and how to break it. */
type Row = readonly [name: string, message: RegExp, break_: (specimen: Specimen) => Corruption];

export function errorOf(action: () => void): HeapCorruptionError | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof HeapCorruptionError) return error;
    throw error;
  }
  return undefined;
}

/** Break one word of a valid heap: the witness names the invariant. Mend it: the heap is valid again. */
function expectWitness(invariant: string, [, message, break_]: Row, options?: VerifyOptions): void {
  const specimen = makeSpecimen();
  const { heap, i32 } = specimen;
  const verify = () => verifyMemory(heap.core.memory, options ?? { roots: heap.roots });
  const [word, value] = break_(specimen);
  const before = i32[word];
  expect(before).not.toBe(value);
  i32[word] = value;
  const error = errorOf(verify);
  expect(error?.invariant).toBe(invariant);
  expect(error?.message).toMatch(message);
  i32[word] = before;
  verify();
}

/** By invariant, one row for each of its checks, more where a check has two sides. */
export function describeWitness(rowsOf: Record<string, readonly Row[]>): void {
  for (const [invariant, rows] of Object.entries(rowsOf))
    describe(`${invariant}: the witness notices`, () => {
      it.each(rows)("%s", (...row) => expectWitness(invariant, row));
    });
}
