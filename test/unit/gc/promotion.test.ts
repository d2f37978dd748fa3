/** What survives and holds no container is untracked. */
import { describe, expect, it } from "vitest";
import type { Address } from "../../../src/memory/layout.js";
import { makeQuietCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";

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
