import { describe, expect, it } from "vitest";
import { Clearing } from "../../../src/gc/clear.js";
import {
  type Address,
  CONTROL_PAGES_USED,
  HEADER_TYPE,
  PAGE_WORDS,
  TAG_NULL,
} from "../../../src/memory/layout.js";
import { makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { randomFrom } from "../../support/random.js";
import { type Known, randomGraph } from "../../support/random-graphs.js";
import { ref, type SlotName, type Value } from "../../support/slots.js";

function clear({ core, i32 }: TestCore, object: Address): void {
  new Clearing(i32, core.counts, core.lists, core.tables, core.types, core.weakrefs, core.hooks).clear(
    object,
  );
}

/** Leaves held by nobody but what is made of them, and their deaths from then on. */
function makeLeaves(heap: TestCore, count: number): { leaves: Address[]; giveUp: () => Address[] } {
  const leaves = Array.from({ length: count }, (_, value) => heap.newStruct(heap.leaf.struct("f64"), value));
  return {
    leaves,
    giveUp: () => {
      heap.drop(...leaves);
      return heap.recordDeaths();
    },
  };
}

describe("clearing a struct", () => {
  it("drops its references and strings in shape order and keeps what is plain", () => {
    const heap = makeQuietCore();
    const { leaves, giveUp } = makeLeaves(heap, 3);
    const [a, b, c] = leaves.map(ref);
    const slots: SlotName[] = ["f64", "ref", "str", "ref", "i32", "ref", "ref"];
    const struct = heap.newStruct(heap.struct(...slots), 1.5, c, "text", a, 7, null, b);
    const text = heap.i32[heap.fieldWord(struct, 2)];
    const deaths = giveUp();
    clear(heap, struct);
    expect(deaths).toEqual([c, a, b].map(({ object }) => object));
    expect(slots.map((_, index) => heap.field(struct, index))).toEqual([1.5, null, "", null, 7, null, null]);
    expect(heap.i32[text + HEADER_TYPE]).toBe(0);
  });

  it("goes by the edge table where it has `any` slots; numbers and booleans in them become null", () => {
    const heap = makeQuietCore();
    const { leaves, giveUp } = makeLeaves(heap, 3);
    const [a, b, c] = leaves.map(ref);
    const slots: SlotName[] = ["any", "ref", "any", "str", "any", "f64", "any", "any"];
    const struct = heap.newStruct(heap.struct(...slots), b, a, "text", "other", 2.5, 1.5, true, c);
    const deaths = giveUp();
    clear(heap, struct);
    expect(deaths).toEqual([b, a, c].map(({ object }) => object));
    expect(slots.map((_, index) => heap.field(struct, index))).toEqual([
      ...[null, null, null, "", null],
      ...[1.5, null, null],
    ]);
    const any = heap.fieldWord(struct, 0);
    expect([heap.i32[any], heap.i32[any + 1]]).toEqual([0, TAG_NULL]);
  });

  it("empties each field before its reference is dropped, and leaves the next ones for later", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const { leaves, giveUp } = makeLeaves(heap, 3);
      const struct = heap.newStruct(heap.struct(slot, slot, slot), ...leaves.map(ref));
      giveUp();
      const { allocator } = heap.core;
      const free = allocator.freeObject.bind(allocator);
      const seen: Value[][] = [];
      allocator.freeObject = (object) => {
        seen.push([0, 1, 2].map((index) => heap.field(struct, index)));
        free(object);
      };
      clear(heap, struct);
      const [, b, c] = leaves.map(ref);
      expect(seen).toEqual([
        [null, b, c],
        [null, null, c],
        [null, null, null],
      ]);
    }
  });

  it("lets what others hold live", () => {
    const heap = makeQuietCore();
    const held = heap.newList(heap.list("ref"));
    const struct = heap.newStruct(heap.struct("ref", "any"), ref(held), ref(held));
    clear(heap, struct);
    expect(heap.refcount(held)).toBe(1);
    clear(heap, heap.newStruct(heap.struct("ref", "ref"), ref(held), ref(held)));
    expect(heap.refcount(held)).toBe(1);
  });
});

describe("clearing a container", () => {
  it("empties a list, its last item first, and gives its storage back", () => {
    const heap = makeQuietCore();
    const { leaves, giveUp } = makeLeaves(heap, 3);
    const list = heap.newList(heap.list("any"), "text", ...leaves.map(ref), 1);
    const before = heap.i32[CONTROL_PAGES_USED];
    heap.core.lists.reserve(list, PAGE_WORDS);
    const deaths = giveUp();
    clear(heap, list);
    expect([heap.items(list), deaths]).toEqual([[], leaves.toReversed()]);
    expect(heap.i32[CONTROL_PAGES_USED]).toBe(before);
    heap.append(list, 1);
    expect(heap.items(list)).toEqual([1]);
  });

  it("empties a dict in insertion order, key before value, and a set", () => {
    const heap = makeQuietCore();
    const { leaves, giveUp } = makeLeaves(heap, 6);
    const [a, b, c, d, e, f] = leaves.map(ref);
    const dict = heap.newDict(heap.dict("any", "any"), [b, a], ["key", "text"], [1, d], [c, 2]);
    const set = heap.newSet(heap.set("ref"), f, e);
    const deaths = giveUp();
    clear(heap, dict);
    clear(heap, set);
    expect(deaths).toEqual([b, a, d, c, f, e].map(({ object }) => object));
    expect([heap.entries(dict), heap.entries(set)]).toEqual([[], []]);
  });

  it("leaves a tuple as it is", () => {
    const heap = makeQuietCore();
    const list = heap.newList(heap.list("ref"));
    for (const tuple of [
      heap.newTuple(heap.tuple("ref", "str"), ref(list), "text"),
      heap.newTuple(heap.tuple("any", "str"), ref(list), "text"),
    ]) {
      clear(heap, tuple);
      expect([heap.field(tuple, 0), heap.field(tuple, 1)]).toEqual([ref(list), "text"]);
    }
    expect(heap.refcount(list)).toBe(3);
  });

  it("makes nothing of one that is empty already", () => {
    const heap = makeQuietCore();
    for (const object of [
      heap.newStruct(heap.struct("ref", "any", "str")),
      heap.newStruct(heap.struct("ref")),
      heap.newStruct(heap.struct("i32"), 5),
      heap.newList(heap.list("ref")),
      heap.newDict(heap.dict("str", "ref")),
      heap.newSet(heap.set("any")),
    ]) {
      clear(heap, object);
      expect(heap.refcount(object)).toBe(1);
    }
    heap.verify();
  });
});

describe("clearing a weak reference", () => {
  it("drops its callback", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const [callback, held] = [1, 2].map(() => heap.newList(heap.list("ref")));
    const [weakref, other] = [callback, held].map((one) => heap.newWeakref(target, { callback: one }));
    heap.drop(callback);
    const deaths = heap.recordDeaths();
    for (const one of [weakref, other]) {
      heap.core.weakrefs.cut(one);
      clear(heap, one);
      expect(heap.core.weakrefs.hasCallback(one)).toBe(false);
    }
    expect([deaths, heap.refcount(held)]).toEqual([[callback], 1]);
  });

  it("takes the callback out before it is dropped", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.finalized.struct());
    const weakref = heap.newWeakref(target, { callback });
    heap.core.weakrefs.cut(weakref);
    heap.drop(callback);
    const seen: boolean[] = [];
    heap.core.hooks.runFinalizer = () => seen.push(heap.core.weakrefs.hasCallback(weakref));
    clear(heap, weakref);
    expect(seen).toEqual([false]);
  });

  it("forgets its function, once", () => {
    const heap = makeQuietCore();
    const forgotten: number[] = [];
    heap.core.hooks.forgetCallback = (number) => forgotten.push(number);
    const weakref = heap.newWeakref(heap.newStruct(heap.watched.struct()), { hostCallback: 3 });
    heap.core.weakrefs.cut(weakref);
    clear(heap, weakref);
    expect(heap.core.weakrefs.hasCallback(weakref)).toBe(false);
    clear(heap, weakref);
    heap.drop(weakref);
    expect(forgotten).toEqual([3]);
  });

  it("makes nothing of one without a callback", () => {
    const heap = makeQuietCore();
    const forgotten: number[] = [];
    heap.core.hooks.forgetCallback = (number) => forgotten.push(number);
    const weakref = heap.newWeakref(heap.newStruct(heap.watched.struct()));
    heap.core.weakrefs.cut(weakref);
    clear(heap, weakref);
    expect([forgotten, heap.refcount(weakref)]).toEqual([[], 1]);
  });
});

describe("clearing every object of a cycle or of many", () => {
  it("is enough for reference counts to free them all", () => {
    for (let seed = 0; seed < Math.max(20, size(150)); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(1 << 20);
      const graph: Known[] = randomGraph(heap, random, { count: 60, chained: 0.3 });
      for (const { address } of graph) clear(heap, address);
      heap.verify();
      heap.dropAll();
      expect(heap.liveObjects()).toEqual([]);
    }
  });
});
