/** The tables of the generations where memory is full. */
import { describe, expect, it } from "vitest";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import { CHUNK_CAPACITY, CONTROL_RESERVE_CHUNK } from "../../../src/memory/layout.js";
import { expectOrder, fillMemory, makeQuietCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, randomFrom } from "../../support/random.js";
import { chunksOf, entryOf, makeObjects, thin } from "./generation-support.js";

describe("when memory is full", () => {
  it("tracks nothing and leaves nothing behind", () => {
    const heap = makeQuietCore(1 << 20);
    const objects = makeObjects(heap, CHUNK_CAPACITY);
    const hoards = fillMemory(heap);
    const live = heap.liveObjects();
    expect(() => makeObjects(heap, 1)).toThrow(OutOfMemoryError);
    expect(heap.liveObjects()).toEqual(live);
    expectOrder(heap.table(0), objects);
    heap.verify();
    heap.drop(hoards[0]);
    objects.push(...makeObjects(heap, 1));
    expectOrder(heap.table(0), objects);
  });

  it("has one chunk in reserve for what a collection appends", () => {
    const heap = makeQuietCore(1 << 20);
    const { generations } = heap.core;
    const reserve = heap.i32[CONTROL_RESERVE_CHUNK];
    expect(reserve).not.toBe(0);
    const [object] = makeObjects(heap, 1);
    const hoards = fillMemory(heap);
    const move = (generation: number) => {
      generations.removeEntry(entryOf(heap, object));
      generations.append(generation, object);
    };
    expect(generations.hasRoom(2)).toBe(true);
    move(2);
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).toBe(0);
    expect(chunksOf(heap, 2)).toEqual([reserve]);
    expect(generations.hasRoom(2)).toBe(true); // in the chunk that is there
    expect(generations.hasRoom(1)).toBe(false);
    generations.removeEntry(entryOf(heap, object));
    expect(() => generations.append(1, object)).toThrow(OutOfMemoryError);
    generations.append(2, object);
    heap.drop(hoards[0]);
    expect(generations.hasRoom(1)).toBe(true);
    generations.refillReserve();
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).not.toBe(0);
    expect(generations.hasRoom(1)).toBe(true);
    move(1);
    expect(heap.table(1)).toEqual([object]);
  });

  it("makes room for a survivor only where the reserve is not needed", () => {
    const heap = makeQuietCore(1 << 20);
    const { generations } = heap.core;
    const reserve = heap.i32[CONTROL_RESERVE_CHUNK];
    const objects = makeObjects(heap, CHUNK_CAPACITY + 1);
    expect(generations.makeRoom(0)).toBe(true);
    expect(chunksOf(heap, 0).length).toBe(2); // there was room
    const hoards = fillMemory(heap);
    expect(generations.makeRoom(2)).toBe(false);
    expect(chunksOf(heap, 2)).toEqual([]);
    heap.drop(hoards[0]);
    expect(generations.makeRoom(2)).toBe(true);
    expect(chunksOf(heap, 2).length).toBe(1);
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).toBe(reserve);
    generations.removeEntry(entryOf(heap, objects[0]));
    generations.append(2, objects[0]);
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).toBe(reserve);
    heap.drop(objects.pop()!);
    expect(generations.makeRoom(0)).toBe(true);
    expect(chunksOf(heap, 0).length).toBe(2); // the last chunk is empty, but open
  });

  it("merges without taking memory, even when there is some", () => {
    const heap = makeQuietCore();
    const { generations, allocator } = heap.core;
    const tables = [3 * CHUNK_CAPACITY + 50, 10, CHUNK_CAPACITY].map((count) => {
      const objects = makeObjects(heap, count);
      const used = allocator.bytesUsed;
      generations.merge(0, 1);
      expect(allocator.bytesUsed).toBe(used);
      return objects;
    });
    expectOrder(heap.table(1), tables.flat());
  });

  it("does not take memory for a reserve that is there, or that cannot be had", () => {
    const heap = makeQuietCore(1 << 20);
    const { generations } = heap.core;
    const reserve = heap.i32[CONTROL_RESERVE_CHUNK];
    generations.refillReserve();
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).toBe(reserve);
    const objects = makeObjects(heap, 1);
    fillMemory(heap);
    generations.merge(0, 1); // its one sparse chunk is copied to the reserve, and becomes it
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).not.toBe(0);
    generations.removeEntry(entryOf(heap, heap.table(1)[0]));
    generations.append(2, objects[0]);
    generations.refillReserve();
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).toBe(0);
  });

  it("keeps a chunk that is given back as the reserve, when there is none", () => {
    const heap = makeQuietCore(1 << 20);
    const { generations } = heap.core;
    makeObjects(heap, 1);
    generations.merge(0, 1);
    const objects = makeObjects(heap, 1);
    fillMemory(heap);
    generations.removeEntry(entryOf(heap, objects[0]));
    generations.append(2, objects[0]); // takes the reserve
    const [chunk] = chunksOf(heap, 2);
    generations.merge(2, 1);
    expect(heap.i32[CONTROL_RESERVE_CHUNK]).toBe(chunk);
  });

  it("merges whatever is in the tables, dense and sparse", () => {
    for (let seed = 0; seed < size(60); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(1 << 20);
      const { generations } = heap.core;
      const tables = [1, 2, 0].map((generation) => {
        const objects = makeObjects(heap, below(random, 2500));
        const share = random();
        const kept = thin(heap, objects, () => random() < share);
        if (generation > 0) generations.merge(0, generation);
        return kept;
      });
      // Every chunk that a sparse table would give up is gone again before the next is needed.
      fillMemory(heap);
      const [one, two, zero] = tables;
      generations.merge(0, 1);
      expectOrder(heap.table(1), [...one, ...zero]);
      generations.merge(1, 2);
      expectOrder(heap.table(2), [...two, ...one, ...zero]);
      generations.freeze();
      generations.unfreeze();
      expectOrder(heap.table(2), [...two, ...one, ...zero]);
    }
  });

  it("packs a sparse young table in place rather than fail", () => {
    const heap = makeQuietCore(1 << 20);
    const objects = makeObjects(heap, 16 * CHUNK_CAPACITY);
    const kept = thin(heap, objects, (index) => index % 5 === 0);
    fillMemory(heap);
    kept.push(...makeObjects(heap, 3 * CHUNK_CAPACITY));
    expectOrder(heap.table(0), kept);
  });
});
