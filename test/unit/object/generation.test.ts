/** The tables of the generations: their order, and how they are merged and packed. */
import { describe, expect, it } from "vitest";
import {
  type Address,
  CHUNK_CAPACITY,
  CHUNK_MASK,
  CONTROL_YOUNG_CURSOR,
  GENERATION_CHUNKS,
  PERMANENT,
} from "../../../src/memory/layout.js";
import { expectOrder, makeExactCore, makeQuietCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, randomFrom } from "../../support/random.js";
import { chunksOf, entryOf, makeObjects, thin } from "./generation-support.js";

/** From this many live entries on a chunk is linked, below it is copied: three quarters. */
const DENSE = 762;

describe("tracking", () => {
  it("appends at the tail of generation 0", () => {
    const heap = makeQuietCore();
    const objects = makeObjects(heap, size(3000));
    expectOrder(heap.table(0), objects);
    expect(heap.core.generations.size(0)).toBe(objects.length);
    expect(objects.every((object) => heap.core.generations.generationOf(object) === 0)).toBe(true);
  });

  it("leaves the order of the others alone when an object goes", () => {
    const heap = makeQuietCore();
    const objects = makeObjects(heap, size(3000));
    const left = thin(heap, objects, (index) => index % 3 !== 1);
    expectOrder(heap.table(0), left);
    const { generations } = heap.core;
    generations.untrack(left[0]);
    expectOrder(heap.table(0), left.slice(1));
    expect(heap.isTracked(left[0])).toBe(false);
    generations.openYoung();
    generations.track(left[0]);
    expectOrder(heap.table(0), [...left.slice(1), left[0]]);
    expect(generations.size(0)).toBe(left.length);
    expect(generations.entryCount(0)).toBeGreaterThan(left.length);
  });

  it("takes the newest entry back, so that what lives shortly leaves no tombstone", () => {
    const heap = makeQuietCore();
    const [kept] = makeObjects(heap, 1);
    for (let round = 0; round < 5000; round++) heap.drop(...makeObjects(heap, 1));
    expect(heap.core.generations.entryCount(0)).toBe(1);
    const [second, third] = makeObjects(heap, 2);
    heap.drop(third, second);
    expect(heap.core.generations.entryCount(0)).toBe(1);
    expectOrder(heap.table(0), [kept]);
  });

  it("takes back neither an older entry nor the last one of an older generation", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const [old] = makeObjects(heap, 1);
    generations.merge(0, 1);
    const objects = makeObjects(heap, 3);
    const cursor = heap.i32[CONTROL_YOUNG_CURSOR];
    heap.drop(old, objects[1]);
    expect(heap.i32[CONTROL_YOUNG_CURSOR]).toBe(cursor);
    expect(generations.entryCount(0)).toBe(3);
    expect(generations.entryCount(1)).toBe(1);
    expectOrder(heap.table(0), [objects[0], objects[2]]);
  });

  it("fills a chunk to its last entry before it takes another, and takes an entry back across the border", () => {
    const heap = makeQuietCore();
    const objects = makeObjects(heap, CHUNK_CAPACITY);
    expect(chunksOf(heap, 0).length).toBe(1);
    expect(heap.i32[CONTROL_YOUNG_CURSOR] & CHUNK_MASK).toBe(0);
    heap.drop(objects.pop()!);
    expect(heap.core.generations.entryCount(0)).toBe(CHUNK_CAPACITY - 1);
    objects.push(...makeObjects(heap, 1));
    expect(chunksOf(heap, 0).length).toBe(1);
    objects.push(...makeObjects(heap, 1));
    expect(chunksOf(heap, 0).length).toBe(2);
    expectOrder(heap.table(0), objects);
  });

  it("squeezes the dead out where the table would grow without a collection", () => {
    const heap = makeQuietCore();
    const kept: Address[] = [];
    for (let round = 0; round < 60; round++)
      kept.push(...thin(heap, makeObjects(heap, 1000), (index) => index % 100 === 0));
    // 60,000 entries were written, 59 chunks; 600 objects live.
    expect(chunksOf(heap, 0).length).toBeLessThan(20);
    expectOrder(heap.table(0), kept);
  });

  it("does not squeeze a table that is mostly live", () => {
    const heap = makeQuietCore();
    const objects = makeObjects(heap, 20 * CHUNK_CAPACITY);
    const [first, second] = [entryOf(heap, objects[0]), entryOf(heap, objects[3])];
    const kept = thin(heap, objects, (index) => index % 4 !== 1).concat(makeObjects(heap, CHUNK_CAPACITY));
    expect([entryOf(heap, objects[0]), entryOf(heap, objects[3])]).toEqual([first, second]);
    expectOrder(heap.table(0), kept);
  });
});

describe("merging", () => {
  it("appends the younger table to the tail of the older one, and empties the younger", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const first = makeObjects(heap, 5);
    generations.merge(0, 2);
    const second = makeObjects(heap, 7);
    generations.merge(0, 1);
    const third = makeObjects(heap, 3);
    generations.merge(0, 2);
    generations.merge(1, 2);
    expectOrder(heap.table(2), [...first, ...third, ...second]);
    expect([0, 1].flatMap((generation) => heap.table(generation))).toEqual([]);
    expect(second.every((object) => generations.generationOf(object) === 2)).toBe(true);
    expect(chunksOf(heap, 0)).toEqual([]);
    const fourth = makeObjects(heap, 2);
    expectOrder(heap.table(0), fourth);
  });

  it("does nothing with an empty table", () => {
    const heap = makeQuietCore();
    const objects = makeObjects(heap, 5);
    heap.core.generations.merge(1, 0);
    expectOrder(heap.table(0), objects);
    heap.core.generations.merge(0, 1);
    heap.core.generations.merge(0, 1);
    expectOrder(heap.table(1), objects);
  });

  it("links a dense chunk: no entry moves", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const old = makeObjects(heap, 10);
    generations.merge(0, 1);
    const objects = makeObjects(heap, 2 * CHUNK_CAPACITY);
    const dead = CHUNK_CAPACITY - DENSE;
    const kept = thin(heap, objects, (index) => index >= dead);
    const entries = kept.map((object) => entryOf(heap, object));
    const chunks = chunksOf(heap, 0);
    generations.merge(0, 1);
    expect(kept.map((object) => entryOf(heap, object))).toEqual(entries);
    expect(chunksOf(heap, 1).slice(1)).toEqual(chunks);
    expectOrder(heap.table(1), [...old, ...kept]);
  });

  it("copies a sparse chunk: its tombstones go, and its memory with them", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const old = makeObjects(heap, 10);
    generations.merge(0, 1);
    const objects = makeObjects(heap, CHUNK_CAPACITY);
    const kept = thin(heap, objects, (index) => index > CHUNK_CAPACITY - DENSE);
    generations.merge(0, 1);
    expect(chunksOf(heap, 1).length).toBe(1);
    expect(generations.entryCount(1)).toBe(10 + DENSE - 1);
    expectOrder(heap.table(1), [...old, ...kept]);
  });

  it("keeps order when dense and sparse chunks follow one another", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const objects = makeObjects(heap, 9 * CHUNK_CAPACITY + 100);
    const kept = thin(heap, objects, (index) => (index / CHUNK_CAPACITY) % 2 < 1 || index % 5 === 0);
    generations.merge(0, 1);
    expectOrder(heap.table(1), kept);
    // Chunks that were not full when something was linked behind them are packed like any others.
    generations.pack(1);
    expectOrder(heap.table(1), kept);
    expect(generations.entryCount(1)).toBe(kept.length);
    expect(chunksOf(heap, 1).length).toBe(Math.ceil(kept.length / CHUNK_CAPACITY));
  });
});

describe("packing", () => {
  it("moves every entry as far forward as it goes, and gives the chunks behind back", () => {
    const heap = makeExactCore(); // under `stress` pages stay with their class
    heap.core.trigger.setEnabled(false);
    const { generations, allocator } = heap.core;
    const objects = makeObjects(heap, 12 * CHUNK_CAPACITY);
    const kept = thin(heap, objects, (index) => index % 7 === 3);
    const used = allocator.bytesUsed;
    generations.pack(0);
    expectOrder(heap.table(0), kept);
    expect(generations.entryCount(0)).toBe(kept.length);
    expect(chunksOf(heap, 0).length).toBe(2);
    expect(allocator.bytesUsed).toBeLessThan(used);
    kept.push(...makeObjects(heap, CHUNK_CAPACITY));
    expectOrder(heap.table(0), kept);
  });

  it("leaves one chunk of a table that is all tombstones, and a packed table as it is", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    generations.pack(2);
    expect(chunksOf(heap, 2)).toEqual([]);
    const objects = makeObjects(heap, 3 * CHUNK_CAPACITY);
    const entries = objects.map((object) => entryOf(heap, object));
    generations.pack(0);
    expect(objects.map((object) => entryOf(heap, object))).toEqual(entries);
    heap.drop(...objects);
    generations.pack(0);
    expect(generations.entryCount(0)).toBe(0);
    expect(chunksOf(heap, 0).length).toBe(1);
    const [next] = makeObjects(heap, 1);
    expectOrder(heap.table(0), [next]);
  });

  it("is worth it from nine chunks on, and below two thirds of live entries", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const chunkCount = () => heap.i32[generations.record(0) + GENERATION_CHUNKS];
    const objects = makeObjects(heap, 9 * CHUNK_CAPACITY);
    generations.packIfSparse(0, 6 * CHUNK_CAPACITY);
    expect(chunkCount()).toBe(9);
    const kept = thin(heap, objects, (index) => index >= 3 * CHUNK_CAPACITY + 1);
    generations.packIfSparse(0, kept.length);
    expect(chunkCount()).toBe(6);
    expectOrder(heap.table(0), kept);
    thin(heap, kept, (index) => index === 0);
    generations.packIfSparse(0, 1);
    expect(chunkCount()).toBe(6);
  });
});

describe("the permanent generation", () => {
  it("takes generations 0, 1 and 2 in this order, and gives them to generation 2", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const two = makeObjects(heap, 3);
    generations.merge(0, 2);
    const one = makeObjects(heap, 3);
    generations.merge(0, 1);
    const zero = makeObjects(heap, 3);
    generations.freeze();
    expectOrder(heap.table(PERMANENT), [...zero, ...one, ...two]);
    expect([0, 1, 2].flatMap((generation) => heap.table(generation))).toEqual([]);
    expect(generations.generationOf(two[0])).toBe(PERMANENT);
    expect(heap.isTracked(zero[0])).toBe(true);
    heap.verify(); // the flags agree with the table
    const later = makeObjects(heap, 2);
    generations.merge(0, 2);
    generations.unfreeze();
    expectOrder(heap.table(2), [...later, ...zero, ...one, ...two]);
    expect(heap.table(PERMANENT)).toEqual([]);
    heap.verify();
  });

  it("is left by what is untracked: nothing says frozen any more", () => {
    const heap = makeQuietCore();
    const dict = heap.newDict(heap.dict("str", "ref"), ["self", null]);
    const holder = heap.newStruct(heap.struct("ref"));
    const { tracking, generations } = heap.core;
    tracking.beforeStore(dict, holder);
    generations.freeze();
    generations.untrack(dict);
    expectOrder(heap.table(PERMANENT), [holder]);
  });
});

describe("random changes", () => {
  it("leave every table with the objects of a plain array, in its order", () => {
    for (let seed = 0; seed < size(40); seed++) {
      const random = randomFrom(seed);
      const heap = makeQuietCore(4 << 20);
      const { generations } = heap.core;
      const naive: Address[][] = [[], [], [], []];
      for (let step = 0; step < 60; step++) {
        const choice = random();
        const [from, to] = [below(random, 3), below(random, 4)];
        if (choice < 0.4) naive[0].push(...makeObjects(heap, below(random, 1500)));
        else if (choice < 0.7) {
          const share = random();
          naive[to] = thin(heap, naive[to], () => random() < share);
        } else if (choice < 0.85 && from !== to && to !== PERMANENT) {
          generations.merge(from, to);
          naive[to].push(...naive[from].splice(0));
        } else if (choice < 0.9) generations.pack(to);
        else if (choice < 0.95) {
          generations.freeze();
          naive[PERMANENT].push(...naive[0].splice(0), ...naive[1].splice(0), ...naive[2].splice(0));
        } else {
          generations.unfreeze();
          naive[2].push(...naive[PERMANENT].splice(0));
        }
        for (const [generation, objects] of naive.entries()) {
          expect(generations.size(generation)).toBe(objects.length);
          expectOrder(heap.table(generation), objects);
        }
      }
    }
  });
});

describe("looking for the first entry", () => {
  it("skips tombstones from the entry given on, and frees the chunks it has passed", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const objects = makeObjects(heap, 3 * CHUNK_CAPACITY);
    generations.merge(0, 2);
    const entries = objects.map((object) => entryOf(heap, object));
    const chunks = chunksOf(heap, 2);
    expect(generations.firstEntry(2, 0)).toBe(entries[0]);
    heap.drop(objects[0], objects[1], objects[4]);
    expect(generations.firstEntry(2, 0)).toBe(entries[2]);
    expect(generations.firstEntry(2, entries[2])).toBe(entries[2]);
    expect(generations.firstEntry(2, entries[4])).toBe(entries[5]);
    heap.drop(objects[2], objects[3], ...objects.slice(5, CHUNK_CAPACITY + 1));
    expect(generations.firstEntry(2, entries[2])).toBe(entries[CHUNK_CAPACITY + 1]);
    expect(chunksOf(heap, 2)).toEqual(chunks.slice(1));
    heap.drop(...objects.slice(CHUNK_CAPACITY + 1));
    expect(generations.firstEntry(2, entries[CHUNK_CAPACITY])).toBe(0);
    expect(generations.firstEntry(1, 0)).toBe(0);
    expect(chunksOf(heap, 2)).toEqual(chunks.slice(2));
  });

  it("tells whether an object still stands where it stood", () => {
    const heap = makeQuietCore();
    const { generations } = heap.core;
    const [first, second] = makeObjects(heap, 2);
    const entry = entryOf(heap, first);
    expect(generations.isAt(entry, first, 0)).toBe(true);
    expect(generations.isAt(entry, second, 0)).toBe(false);
    expect(generations.isAt(entry, first, 1)).toBe(false);
    generations.removeEntry(entry);
    expect(generations.isAt(entry, first, 0)).toBe(false);
    generations.append(0, first);
  });
});
