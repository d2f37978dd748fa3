/** Pages after each store of an allocation or a death: what a repair believes of them (gc/repair-pages.ts). */
import { expect, it } from "vitest";
import { Allocator } from "../../../src/alloc/allocator.js";
import { CLASS_WORDS } from "../../../src/alloc/size-class.js";
import * as L from "../../../src/memory/layout.js";
import { type Memory, reserveMemory } from "../../../src/memory/memory.js";
import { below, randomFrom } from "../../support/random.js";
import { copyMemory, recordMemory, replay } from "../../support/stores.js";

/** Whether every page that says that it is in use has a run, a size and blocks with headers, and no two runs overlap. */
function isDecidable({ i32 }: Memory, live: ReadonlySet<number>): boolean {
  let end = 0;
  for (let page = i32[L.CONTROL_FIRST_PAGE]; page < i32[L.CONTROL_TOP_PAGE]; page++) {
    const descriptor = i32[L.CONTROL_PAGE_TABLE] + page * L.PAGE_DESCRIPTOR_WORDS;
    const state = i32[descriptor + L.PAGE_STATE];
    const kind = state & 0xff;
    if (kind < L.PAGE_SMALL) continue;
    const isLarge = kind >= L.PAGE_LARGE;
    const words = i32[descriptor + L.PAGE_BLOCK_WORDS];
    const length = isLarge ? words / L.PAGE_WORDS : 1;
    if (page < end || !Number.isInteger(length) || i32[descriptor + L.PAGE_RUN] !== length) return false;
    if (!isLarge && words !== CLASS_WORDS[state >> 8]) return false;
    end = page + length;
    for (let next = 1; next < length; next++)
      if (i32[descriptor + next * L.PAGE_DESCRIPTOR_WORDS + L.PAGE_STATE] !== L.PAGE_CONTINUATION)
        return false;
    if (kind === L.PAGE_SMALL + L.KIND_STORAGE || kind === L.PAGE_LARGE + L.KIND_STORAGE) continue;
    for (let index = 0; index < i32[descriptor + L.PAGE_CAPACITY]; index++) {
      const block = page * L.PAGE_WORDS + index * words;
      const serial = i32[block + L.HEADER_SERIAL];
      if (serial < 1 || serial > L.SERIAL_MAX) return false;
      if (i32[block + L.HEADER_TYPE] !== 0 && !live.has(block)) return false;
    }
  }
  return true;
}

it.each([1, 2, 3, 4])("are whole, or do not say that they are in use, after each store (%d)", (seed) => {
  const random = randomFrom(seed);
  const real = reserveMemory(512 << 10);
  real.i32.fill(-1, real.i32[L.CONTROL_FIRST_PAGE] * L.PAGE_WORDS); // what was there before
  const state = copyMemory(real);
  const { memory, stores } = recordMemory(real);
  const allocator = new Allocator(memory);
  const objects: number[] = [];
  const storage: number[] = [];
  const ever = new Set<number>();
  for (let step = 0; step < 160; step++) {
    const choice = random();
    const words = random() < 0.5 ? 600 + below(random, 1400) : 2049 + below(random, 12000);
    if (choice < 0.3 && allocator.canAllocate(L.KIND_CONTAINER, words)) {
      const object = allocator.allocate(L.KIND_CONTAINER, words);
      ever.add(object);
      memory.i32[object + L.HEADER_TYPE] = 5;
      objects.push(object);
    } else if (choice < 0.55 && allocator.canAllocate(L.KIND_STORAGE, words)) {
      const block = allocator.allocate(L.KIND_STORAGE, words);
      for (let word = 0; word < 8; word++) memory.i32[block + word] = -1;
      storage.push(block);
    } else if (choice < 0.8 && objects.length > 0)
      allocator.freeObject(objects.splice(below(random, objects.length), 1)[0]);
    else if (storage.length > 0) allocator.free(storage.splice(below(random, storage.length), 1)[0]);
  }
  expect(stores.length).toBeGreaterThan(1000);
  const wrong = stores.findIndex((store) => {
    replay(state, store);
    return !isDecidable(state, ever);
  });
  expect(wrong).toBe(-1);
});
