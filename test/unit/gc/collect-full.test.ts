/** Collecting where memory is full, and the memory that a collection leaves. */
import { describe, expect, it } from "vitest";
import { DEBUG_SAVEALL } from "../../../src/gc/collect.js";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  ARENA_PAGES,
  CHUNK_CAPACITY,
  CONTROL_DEBUG,
  CONTROL_GARBAGE,
  CONTROL_RESERVE_CHUNK,
  PAGE_BYTES,
  PAGE_DESCRIPTOR_WORDS,
  WORD_BYTES,
} from "../../../src/memory/layout.js";
import {
  expectOrder,
  fillMemory,
  makeExactCore,
  makeQuietCore,
  makeTestCore,
  type TestCore,
} from "../../support/core.js";
import { isStress, size } from "../../support/heaps.js";
import { below, pick, randomFrom, shuffle } from "../../support/random.js";
import { ref } from "../../support/slots.js";

describe("a full heap", () => {
  it.each<[string, (heap: TestCore) => Address]>([
    ["structs", (heap) => heap.newStruct(heap.struct("ref", "any"))],
    ["lists", (heap) => heap.newList(heap.list("ref"), null, null)],
    ["dicts", (heap) => heap.newDict(heap.dict("str", "ref"), ["some key", null])],
    ["sets", (heap) => heap.newSet(heap.set("any"), 1)],
    [
      "tuples",
      (heap) => {
        const list = heap.newList(heap.list("ref"));
        try {
          return heap.newTuple(heap.tuple("ref", "ref"), ref(list));
        } finally {
          heap.drop(list);
        }
      },
    ],
  ])("filled with cycles of %s can be collected, and used on", (kind, make) => {
    const heap = isStress ? makeQuietCore(512 << 10) : makeTestCore(512 << 10);
    const close = (object: Address) => {
      if (kind === "structs") heap.setField(object, 0, ref(object));
      else if (kind === "lists") heap.setItem(object, 1, ref(object));
      else if (kind === "dicts") heap.setEntry(object, "some key", ref(object));
      else if (kind === "sets") heap.addMember(object, ref(object));
      else heap.append((heap.field(object, 0) as { object: Address }).object, ref(object));
    };
    const fill = (): number => {
      let made = 0;
      expect(() => {
        for (;;) {
          const object = make(heap);
          made++;
          close(object);
        }
      }).toThrow(OutOfMemoryError);
      return made;
    };
    const first = fill();
    expect(first).toBeGreaterThan(500);
    heap.verify();
    for (let round = 0; round < 3; round++) {
      heap.dropAll();
      heap.collect();
      expect(heap.liveObjects()).toEqual([]);
      expect(fill()).toBeGreaterThan(first * 0.9);
    }
  });

  /** Generation 2 with as many entries as its chunks have; memory full but for the reserve. */
  function makeFullTable(heap: TestCore, objects: readonly Address[]): void {
    expect(objects.length % CHUNK_CAPACITY).toBe(0);
    heap.core.generations.merge(0, 2);
    heap.core.generations.pack(2);
    expect(heap.core.generations.entryCount(2)).toBe(objects.length);
    fillMemory(heap);
    expect(heap.core.generations.makeRoom(2)).toBe(false);
  }

  function makeCycles(heap: TestCore, count: number): Address[] {
    const node = heap.struct("ref");
    const cycles = Array.from({ length: count }, () => heap.newStruct(node));
    for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
    return cycles;
  }

  it("is collected when a survivor found late finds no room, and the survivors no room in the next generation", () => {
    const heap = makeQuietCore(1 << 20);
    const old = makeCycles(heap, CHUNK_CAPACITY);
    heap.core.generations.merge(0, 1);
    const garbage = makeCycles(heap, CHUNK_CAPACITY - 10);
    const [first, ...chain] = Array.from({ length: 10 }, () => heap.newStruct(heap.struct("ref")));
    for (const [index, object] of chain.entries()) {
      heap.setField(object, 0, ref(index === 0 ? first : chain[index - 1]));
      heap.drop(index === 0 ? first : chain[index - 1]);
    }
    fillMemory(heap);
    heap.drop(...garbage);
    expect(heap.collect(0)).toBe(garbage.length);
    expectOrder(heap.table(1), [...old, ...chain.reverse(), first]);
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).not.toBe(0);
  });

  it("is collected when tuples, which have nothing to clear, must wait in a full table for what holds them to die", () => {
    const heap = makeQuietCore(1 << 20);
    const survivors = makeCycles(heap, 100);
    const hub = heap.newList(heap.list("ref"));
    const tuples = Array.from({ length: 4 * CHUNK_CAPACITY - 101 }, () =>
      heap.newTuple(heap.tuple("ref"), ref(hub)),
    );
    for (const tuple of tuples) heap.append(hub, ref(tuple));
    heap.drop(...tuples);
    heap.core.generations.untrack(hub);
    heap.core.generations.openYoung();
    heap.core.generations.track(hub); // behind the tuples
    makeFullTable(heap, [...survivors, ...tuples, hub]);
    heap.drop(hub);
    expect(heap.collect(2)).toBe(tuples.length + 1);
    expect(heap.table(2)).toEqual(survivors);
  });

  it("is collected with DEBUG_SAVEALL while the list of the saved grows", () => {
    const heap = makeQuietCore(1 << 20);
    const garbageList = heap.i32[CONTROL_GARBAGE];
    const saved = heap.newStruct(heap.leaf.struct("f64"));
    const cycles = makeCycles(heap, 4 * CHUNK_CAPACITY);
    heap.core.lists.reserve(garbageList, 682); // it grows to a chunk's size next
    while (heap.core.lists.length(garbageList) < 682) heap.append(garbageList, ref(saved));
    makeFullTable(heap, cycles);
    heap.drop(...cycles.filter((_, index) => index % 2 === 0));
    heap.i32[CONTROL_DEBUG] = DEBUG_SAVEALL;
    expect(heap.collect(2)).toBe(cycles.length / 2);
    expectOrder(
      heap.table(2),
      [1, 0].flatMap((parity) => cycles.filter((_, index) => index % 2 === parity)),
    );
  });

  it("is collected whatever is garbage in tables that are full, time and again", () => {
    for (let seed = 0; seed < Math.max(4, size(40)); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(1 << 20);
      let live = 0;
      for (const generation of [2, 1, 0]) {
        const chunks = below(random, 4);
        live += makeCycles(heap, chunks * CHUNK_CAPACITY).length;
        if (generation > 0) heap.core.generations.merge(0, generation);
      }
      fillMemory(heap);
      for (let round = 0; round < 6; round++) {
        const generation = below(random, 3);
        const share = pick(random, [0, 0.01, 0.2, 0.5, 0.9]);
        const inside = new Set([0, 1, 2].slice(0, generation + 1).flatMap((one) => heap.table(one)));
        const dropped = [...heap.roots.keys()].filter((object) => inside.has(object) && random() < share);
        heap.drop(...dropped);
        heap.i32[CONTROL_DEBUG] = random() < 0.3 ? DEBUG_SAVEALL : 0;
        expect(heap.collect(generation)).toBe(dropped.length);
        if (heap.i32[CONTROL_DEBUG] === 0) live -= dropped.length;
        else {
          // What is garbage no longer counts among what the test may drop, saved or not.
          heap.i32[CONTROL_DEBUG] = 0;
          heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
          expect(heap.collect(2)).toBe(dropped.length);
          live -= dropped.length;
        }
        const hoard = heap.leaf.list("f64");
        expect(heap.liveObjects().filter((object) => heap.typeIdOf(object) !== hoard).length).toBe(live);
        expect(heap.i32[CONTROL_RESERVE_CHUNK]).not.toBe(0);
        fillMemory(heap);
        heap.verify();
      }
    }
  });
});

describe("the memory that a collection leaves", () => {
  it("is no more than before, when what it finds fits the chunk in reserve", () => {
    for (let seed = 0; seed < size(60); seed++) {
      const random = randomFrom(seed);
      const heap = makeExactCore(4 << 20);
      heap.core.trigger.setEnabled(false);
      const node = heap.struct("ref");
      const cycles = Array.from({ length: below(random, 6000) }, () => heap.newStruct(node));
      for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
      heap.drop(...shuffle(random, cycles).slice(0, below(random, CHUNK_CAPACITY + 1)));
      const { bytesUsed } = heap.core.allocator;
      heap.collect(below(random, 3));
      expect(heap.core.allocator.bytesUsed).toBeLessThanOrEqual(bytesUsed);
    }
  });

  it("is at most the one empty page more that a size class keeps, when it finds more", () => {
    const page = PAGE_BYTES + ARENA_PAGES * PAGE_DESCRIPTOR_WORDS * WORD_BYTES;
    for (let seed = 0; seed < size(60); seed++) {
      const random = randomFrom(seed);
      const heap = makeExactCore(4 << 20);
      heap.core.trigger.setEnabled(false);
      const node = heap.struct("ref");
      const cycles = Array.from({ length: below(random, 9000) }, () => heap.newStruct(node));
      for (const cycle of cycles) heap.setField(cycle, 0, ref(cycle));
      const share = random();
      heap.drop(...cycles.filter(() => random() < share));
      const { bytesUsed } = heap.core.allocator;
      heap.collect(below(random, 3));
      expect(heap.core.allocator.bytesUsed).toBeLessThanOrEqual(bytesUsed + page);
    }
  });
});
