import { describe, expect, it } from "vitest";
import { createInternalCounts, type InternalCounts } from "../../../src/gc/internal-counts.js";
import { type Address, GRANULE_SHIFT, SIDE_OUTSIDE, SIDE_SATURATED } from "../../../src/memory/layout.js";
import { makeQuietCore, type TestCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";

function countsOf({ core }: TestCore): InternalCounts {
  return createInternalCounts(core.allocator, core.traversal, core.types);
}

/** The references to an object that were counted; undefined: it is no member. */
function countOf(heap: TestCore, internal: InternalCounts, object: Address): number | undefined {
  const granule = object >>> GRANULE_SHIFT;
  const seen = heap.core.memory.side[granule];
  return seen === SIDE_OUTSIDE ? undefined : internal.of(granule, seen);
}

const isClear = (heap: TestCore) => heap.core.memory.side.every((byte) => byte === 0);

/** Count as a collection of this generation does. @returns how to clear what was counted */
function countIn({ core }: TestCore, internal: InternalCounts, generation: number): () => void {
  if (generation === 2) {
    internal.countAll();
    return internal.clearAll;
  }
  const members = Int32Array.from(core.generations.objects(generation));
  members.forEach(internal.admit);
  internal.countMembers(members, members.length);
  return () => internal.clear(members, members.length);
}

describe.each([
  ["young", 0],
  ["full", 2],
])("the references that members of a %s collection are counted to have from inside", (_, generation) => {
  function makeScene() {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.struct("ref"));
    return { heap, target, internal: countsOf(heap) };
  }

  function count(heap: TestCore, internal: InternalCounts): () => void {
    for (let younger = 0; younger < generation; younger++) heap.core.generations.merge(younger, generation);
    return countIn(heap, internal, generation);
  }

  it("come from structs of any size, from lists, and from every other container", () => {
    const { heap, target, internal } = makeScene();
    const to = ref(target);
    for (const size of [1, 2, 3, 5])
      heap.newStruct(heap.struct(...Array.from({ length: size }, () => "ref" as const)), to, null, to);
    heap.newStruct(heap.struct("any", "ref"), to, to);
    heap.newList(heap.list("ref"), to, null, to);
    heap.newList(heap.list("any"), to, 1, "text");
    heap.newDict(heap.dict("str", "ref"), ["key", to], ["other", null]);
    heap.newTuple(heap.tuple("ref", "ref"), to, to);
    const clear = count(heap, internal);
    expect(countOf(heap, internal, target)).toBe(1 + 1 + 2 + 2 + 2 + 2 + 1 + 1 + 2);
    clear();
    expect(isClear(heap)).toBe(true);
  });

  it("may be more than a byte can tell, and are forgotten with the rest", () => {
    const { heap, target, internal } = makeScene();
    const list = heap.newList(heap.list("ref"));
    for (let item = 0; item < 1000; item++) heap.append(list, ref(target));
    let clear = count(heap, internal);
    expect(heap.core.memory.side[target >>> GRANULE_SHIFT]).toBe(SIDE_SATURATED);
    expect(countOf(heap, internal, target)).toBe(1000);
    clear();
    heap.core.lists.clear(list);
    for (let item = 0; item < 300; item++) heap.append(list, ref(target));
    clear = count(heap, internal);
    expect(countOf(heap, internal, target)).toBe(300);
    clear();
    expect(isClear(heap)).toBe(true);
  });

  it("come with the news whether any of the members is observed", () => {
    const { heap, internal } = makeScene();
    let clear = count(heap, internal);
    expect(internal.isAnyObserved()).toBe(false);
    clear();
    const last = heap.newStruct(heap.finalized.struct("ref"));
    clear = count(heap, internal);
    expect(internal.isAnyObserved()).toBe(true);
    clear();
    heap.drop(last);
    clear = count(heap, internal);
    expect(internal.isAnyObserved()).toBe(false);
    clear();
  });
});

it("a young collection counts neither for older objects nor by them, a full one not by frozen ones", () => {
  const heap = makeQuietCore();
  const internal = countsOf(heap);
  const old = heap.newStruct(heap.struct("ref"));
  heap.core.generations.merge(0, 1);
  const young = heap.newStruct(heap.struct("ref"), ref(old));
  heap.setField(old, 0, ref(young));
  const clear = countIn(heap, internal, 0);
  expect([old, young].map((object) => countOf(heap, internal, object))).toEqual([undefined, 0]);
  clear();
  expect(isClear(heap)).toBe(true);
  heap.core.generations.freeze();
  const last = heap.newStruct(heap.struct("ref"));
  heap.setField(young, 0, ref(last));
  for (const younger of [0, 1]) heap.core.generations.merge(younger, 2);
  internal.countAll();
  expect(countOf(heap, internal, last)).toBe(0);
  internal.clearAll();
});
