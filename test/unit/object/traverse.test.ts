import { describe, expect, it } from "vitest";
import { type Address, CHUNK_CAPACITY } from "../../../src/memory/layout.js";
import { expectOrder, makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { randomFrom } from "../../support/random.js";
import { randomGraph, visitOrder } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";

/** What one object refers to, in visit order. */
function referentsOf({ core }: TestCore, object: Address): Address[] {
  const count = core.traversal.collect(object);
  return [...core.traversal.referents.subarray(0, count)];
}

function makeLeaves(heap: TestCore, count: number): Address[] {
  return Array.from({ length: count }, (_, value) => heap.newStruct(heap.leaf.struct("f64"), value));
}

it("tells lists of nothing but references from all else", () => {
  const heap = makeQuietCore();
  const { traversal } = heap.core;
  const others = [
    heap.newList(heap.list("any")),
    heap.newList(heap.leaf.list("f64")),
    heap.newSet(heap.set("ref")),
  ];
  others.push(heap.newStruct(heap.struct("ref")), heap.newDict(heap.dict("str", "ref")));
  expect(traversal.isReferenceList(heap.newList(heap.list("ref")))).toBe(true);
  expect(others.map((object) => traversal.isReferenceList(object))).toEqual(others.map(() => false));
});

describe("the referents of an object", () => {
  it("are those of the model in random graphs of all kinds", () => {
    for (let seed = 0; seed < Math.max(20, size(300)); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(1 << 20);
      for (const known of randomGraph(heap, random, { count: 80 }))
        expect(referentsOf(heap, known.address)).toEqual(visitOrder(known).map(({ address }) => address));
    }
  });

  it("come in shape order, the same one as often as it is held, nulls and strings left out", () => {
    const heap = makeQuietCore();
    const [a, b, c] = makeLeaves(heap, 3);
    const plain = heap.newStruct(
      heap.struct("ref", "str", "f64", "ref", "ref", "ref"),
      ref(b),
      "text",
      1,
      null,
      ref(a),
      ref(b),
    );
    expect(referentsOf(heap, plain)).toEqual([b, a, b]);
    const mixed = heap.newStruct(
      heap.struct("any", "ref", "str", "any", "any", "ref", "any"),
      ref(c),
      null,
      "text",
      "text",
      7,
      ref(a),
      ref(b),
    );
    expect(referentsOf(heap, mixed)).toEqual([c, a, b]);
  });

  it("come last to first in lists and tuples", () => {
    const heap = makeQuietCore();
    const leaves = makeLeaves(heap, 3);
    const [a, b, c] = leaves.map(ref);
    const backwards = leaves.toReversed();
    expect(referentsOf(heap, heap.newList(heap.list("ref"), a, null, b, c))).toEqual(backwards);
    expect(referentsOf(heap, heap.newList(heap.list("any"), a, "text", b, 1, c))).toEqual(backwards);
    expect(referentsOf(heap, heap.newTuple(heap.tuple("ref", "str", "ref", "ref"), a, "text", b, c))).toEqual(
      backwards,
    );
    expect(referentsOf(heap, heap.newTuple(heap.tuple("any", "any", "ref"), a, b, c))).toEqual(backwards);
  });

  it("come value before key, in insertion order, in hash tables; what was deleted does not", () => {
    const heap = makeQuietCore();
    const leaves = makeLeaves(heap, 6);
    const [a, b, c, d, e, f] = leaves.map(ref);
    const dict = heap.newDict(heap.dict("any", "ref"), [c, a], ["text", b], [e, e], [1, null], [d, f]);
    heap.deleteEntry(dict, e);
    expect(referentsOf(heap, dict)).toEqual([a, c, b, f, d].map(({ object }) => object));
    const byWord = heap.newDict(heap.dict("ref", "f64"), [b, 1], [a, 2], [c, 3]);
    heap.deleteEntry(byWord, a);
    expect(referentsOf(heap, byWord)).toEqual([b.object, c.object]);
    const set = heap.newSet(heap.set("any"), f, "text", 2.5, a);
    expect(referentsOf(heap, set)).toEqual([f.object, a.object]);
  });

  it("are none where only plain values are held, even such as look like an address", () => {
    const heap = makeQuietCore();
    const [leaf] = makeLeaves(heap, 1);
    for (const object of [
      heap.newStruct(heap.struct("i32", "u32", "str", "f64"), leaf, leaf, "text", 1),
      heap.newStruct(heap.struct("any", "any", "any"), leaf, true, null),
      heap.newList(heap.list("i32"), leaf, leaf),
      heap.newList(heap.list("str"), "text", ""),
      heap.newList(heap.list("f64"), leaf),
      heap.newDict(heap.dict("i32", "u32"), [leaf, leaf]),
      heap.newSet(heap.set("str"), "text"),
      heap.newList(heap.list("ref")),
      heap.newDict(heap.dict("ref", "ref")),
      heap.newTuple(heap.tuple()),
    ])
      expect(referentsOf(heap, object)).toEqual([]);
  });

  it("may be more than ever before, of every kind", () => {
    for (const count of [257, CHUNK_CAPACITY, 5000]) {
      const heap = makeQuietCore();
      const [a, b] = makeLeaves(heap, 2);
      const held = Array.from({ length: count }, (_, index) => (index % 3 === 0 ? b : a));
      const list = heap.newList(heap.list("any"), ...held.map(ref));
      expectOrder(referentsOf(heap, list), held.toReversed());
    }
    const names = Array.from({ length: 300 }, () => "ref" as const);
    for (const extra of [[], ["any" as const]]) {
      const heap = makeQuietCore();
      const leaves = makeLeaves(heap, 300);
      const struct = heap.newStruct(heap.struct(...names, ...extra), ...leaves.map(ref));
      expectOrder(referentsOf(heap, struct), leaves);
    }
    const heap = makeQuietCore();
    const leaves = makeLeaves(heap, 300);
    const dict = heap.newDict(
      heap.dict("ref", "ref"),
      ...leaves.map((leaf) => [ref(leaf), ref(leaf)] as const),
    );
    expectOrder(
      referentsOf(heap, dict),
      leaves.flatMap((leaf) => [leaf, leaf]),
    );
  });

  it("are those of the last object asked for: what was found before is gone", () => {
    const heap = makeQuietCore();
    const [a, b] = makeLeaves(heap, 2);
    const two = heap.newList(heap.list("ref"), ref(a), ref(b));
    const one = heap.newList(heap.list("ref"), ref(a));
    expect([heap.core.traversal.collect(two), heap.core.traversal.collect(one)]).toEqual([2, 1]);
    expect(heap.core.traversal.referents[0]).toBe(a);
  });
});
