import { describe, expect, it } from "vitest";
import { Core } from "../../../src/gc/core.js";
import {
  KIND_STORAGE,
  ROOTS_MASK,
  ROOTS_USED,
  THREAD_IS_BASED,
  THREAD_ROOTS,
  THREAD_WORDS,
} from "../../../src/memory/layout.js";
import { reserveMemory } from "../../../src/memory/memory.js";
import { forEachRoot, ThreadRoots } from "../../../src/object/roots.js";

const ENTRIES = 4096;
/** Three quarters. */
const ROOM = 3072;

function makeRoots(base = 0) {
  const { allocator } = new Core(reserveMemory(1 << 20));
  const { i32 } = allocator.memory;
  const record = allocator.allocate(KIND_STORAGE, THREAD_WORDS);
  i32.fill(0, record, record + THREAD_WORDS);
  const roots = new ThreadRoots(allocator, record, base);
  expect(roots.makeRoom()).toBe(true);
  const entries = () => {
    const found = new Map<number, number>();
    forEachRoot(i32, record, (object, count) => found.set(object, count));
    return found;
  };
  const fillMemory = () => {
    for (let words = 1 << 16; words >= 16; words >>= 1)
      while (allocator.canAllocate(KIND_STORAGE, words)) allocator.allocate(KIND_STORAGE, words);
  };
  return { allocator, i32, record, roots, entries, fillMemory };
}
/** Addresses of objects: multiples of a granule, above the control words. */
const objectAt = (index: number) => 4096 + index * 8;

describe("a thread's table of roots", () => {
  it("counts by object, up and down, and forgets what is 0 when it is made anew", () => {
    const { roots, entries, i32, record } = makeRoots();
    for (const change of [1, 1, -1]) expect(roots.add(objectAt(1), change)).toBe(true);
    roots.add(objectAt(2), 1);
    roots.add(objectAt(2), -1);
    expect([roots.get(objectAt(1)), roots.get(objectAt(2)), roots.get(objectAt(3))]).toEqual([1, 0, 0]);
    expect(i32[i32[record + THREAD_ROOTS] + ROOTS_USED]).toBe(2);
    roots.makeRoom();
    expect(i32[i32[record + THREAD_ROOTS] + ROOTS_USED]).toBe(1);
    expect([...entries()]).toEqual([[objectAt(1), 1]]);
  });

  it("has room for three quarters of its entries, and grows to four times what it has", () => {
    const { roots, entries, i32, record } = makeRoots();
    for (let index = 0; index < ROOM; index++) {
      expect(roots.hasRoom()).toBe(true);
      roots.add(objectAt(index), 1);
    }
    expect(roots.hasRoom()).toBe(false);
    expect(roots.makeRoom()).toBe(true);
    expect(i32[i32[record + THREAD_ROOTS] + ROOTS_MASK] + 1).toBe(ENTRIES * 4);
    expect(roots.hasRoom()).toBe(true);
    expect(entries().size).toBe(ROOM);
  });

  it("takes what was not asked for beyond that, and says so when it is full: one entry ends every search", () => {
    const { roots, entries, fillMemory } = makeRoots();
    fillMemory();
    for (let index = 0; index < ENTRIES - 1; index++) expect(roots.add(objectAt(index), 1)).toBe(true);
    expect(roots.makeRoom()).toBe(false);
    expect(roots.add(objectAt(ENTRIES), 1)).toBe(false);
    expect(roots.get(objectAt(ENTRIES))).toBe(0);
    expect(roots.add(objectAt(7), 1)).toBe(true);
    expect([entries().size, entries().get(objectAt(7))]).toEqual([ENTRIES - 1, 2]);
  });

  it("keeps entries for handles from before share(), until those are entered", () => {
    const base = 3000;
    const { roots, i32, record, fillMemory } = makeRoots(base);
    const entriesNow = i32[i32[record + THREAD_ROOTS] + ROOTS_MASK] + 1;
    expect(entriesNow).toBe(8192);
    fillMemory();
    let made = 0;
    while (roots.add(objectAt(made), 1)) made++;
    expect(made).toBe(entriesNow - 1 - base);
    expect(roots.hasRoom()).toBe(false);
    // Some are released before, and all are found.
    for (let index = 0; index < base; index++) {
      const object = objectAt(made + index);
      if (index % 2 === 0) expect(roots.add(object, -1)).toBe(true);
      expect(roots.add(object, 1, true)).toBe(true);
    }
    expect(roots.add(objectAt(made + base), 1, true)).toBe(false);
    i32[record + THREAD_IS_BASED] = 1;
    expect(roots.get(objectAt(made))).toBe(0);
  });
});

it("a thread without a table has no roots, and no room for any", () => {
  const { roots, i32, record, entries } = makeRoots();
  i32[record + THREAD_ROOTS] = 0;
  expect([roots.get(objectAt(1)), roots.hasRoom(), roots.add(objectAt(1), 1)]).toEqual([0, false, false]);
  expect(entries().size).toBe(0);
});
