/**
 * The first half of the naive second implementation: pages and blocks, recomputed from the memory alone. It shares the
 * layout with the real allocator and nothing else.
 */
import { CLASS_WORDS } from "../alloc/size-class.js";
import { HeapCorruptionError } from "../memory/errors.js";
import * as L from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";

export type Address = L.Address;

/** Throw if an invariant does not hold. */
export function check(
  holds: boolean,
  invariant: string,
  address: Address,
  detail: () => string,
): asserts holds {
  if (!holds) throw new HeapCorruptionError(invariant, address, detail());
}

export const I1 = "I1 control words";
export const I2 = "I2 page runs";
export const I3 = "I3 blocks of a page";

interface Block {
  readonly address: Address;
  readonly words: number;
  /** KIND_*. */
  readonly kind: number;
}

export interface Blocks {
  /** Live objects by address. */
  readonly objects: ReadonlyMap<Address, Block>;
  /** Storage blocks in use by address. */
  readonly storage: ReadonlyMap<Address, Block>;
}

/** I1 to I3; the blocks in use. */
export function verifyBlocks(memory: Memory): Blocks {
  const { i32 } = memory;
  verifyControl(memory);
  const objects = new Map<Address, Block>();
  const storage = new Map<Address, Block>();
  const freeRuns = new Set<Address>();
  let pagesUsed = 0;
  let retired = 0;
  let previousWasFree = false;
  const first = i32[L.CONTROL_FIRST_PAGE];
  const top = i32[L.CONTROL_TOP_PAGE];
  for (let page = first; page < top; ) {
    const descriptor = i32[L.CONTROL_PAGE_TABLE] + page * L.PAGE_DESCRIPTOR_WORDS;
    const state = i32[descriptor + L.PAGE_STATE];
    const kind = state & 0xff;
    const run = i32[descriptor + L.PAGE_RUN];
    check(run >= 1 && page + run <= top, I2, descriptor, () => `page ${page} has a run of ${run} pages`);
    const isFree = kind === L.PAGE_FREE_RUN;
    if (isFree) {
      const last = descriptor + (run - 1) * L.PAGE_DESCRIPTOR_WORDS;
      check(
        i32[last + L.PAGE_RUN] === run,
        I2,
        last,
        () => `boundary tag ${i32[last + L.PAGE_RUN]}, run ${run}`,
      );
      check(!previousWasFree, I2, descriptor, () => "two free runs side by side");
      freeRuns.add(descriptor);
    } else {
      pagesUsed += run;
      for (let next = 1; next < run; next++) {
        const rest = descriptor + next * L.PAGE_DESCRIPTOR_WORDS;
        check(
          i32[rest + L.PAGE_STATE] === L.PAGE_CONTINUATION,
          I2,
          rest,
          () => "a run's page is no continuation",
        );
      }
      const isLarge = kind >= L.PAGE_LARGE && kind < L.PAGE_LARGE + L.KIND_COUNT;
      const isSmall = kind >= L.PAGE_SMALL && kind < L.PAGE_SMALL + L.KIND_COUNT && run === 1;
      check(isLarge || isSmall, I2, descriptor, () => `page ${page} has state ${state} and a run of ${run}`);
      if (isLarge) addLarge(i32, page, run, kind - L.PAGE_LARGE, objects, storage);
      else retired += addSmall(i32, page, descriptor, objects, storage);
    }
    previousWasFree = isFree;
    page += run;
  }
  const used = i32[L.CONTROL_PAGES_USED];
  check(
    used === pagesUsed,
    I2,
    L.CONTROL_PAGES_USED,
    () => `counts ${used} pages in use, found ${pagesUsed}`,
  );
  const retiredCount = i32[L.CONTROL_RETIRED_BLOCKS];
  check(
    retiredCount === retired,
    I3,
    L.CONTROL_RETIRED_BLOCKS,
    () => `counts ${retiredCount}, found ${retired}`,
  );
  verifyFreeRunBins(i32, freeRuns);
  return { objects, storage };
}

function verifyControl({ i32 }: Memory): void {
  check(
    i32[L.CONTROL_MAGIC] === L.MAGIC,
    I1,
    L.CONTROL_MAGIC,
    () => "this memory is not a heap (wrong magic number)",
  );
  const version = i32[L.CONTROL_VERSION];
  check(version === L.LAYOUT_VERSION, I1, L.CONTROL_VERSION, () => `layout version ${version}`);
  // The tables stand before the first page or behind the last one.
  const pageTable = i32[L.CONTROL_PAGE_TABLE];
  const isBehind = pageTable >= i32[L.CONTROL_FIRST_PAGE] * L.PAGE_WORDS;
  const pages = Math.floor((isBehind ? pageTable : i32.length) / L.PAGE_WORDS);
  const top = i32[L.CONTROL_TOP_PAGE];
  check(i32[L.CONTROL_PAGE_COUNT] === pages, I1, L.CONTROL_PAGE_COUNT, () => `${pages} pages are reserved`);
  check(
    top >= i32[L.CONTROL_FIRST_PAGE] && top <= pages,
    I1,
    L.CONTROL_TOP_PAGE,
    () => `top page ${top} of ${pages}`,
  );
  for (let generation = 0; generation < 3; generation++) {
    const count = i32[L.CONTROL_COUNTS + generation];
    check(count >= 0, I1, L.CONTROL_COUNTS + generation, () => `count${generation} is ${count}`);
  }
}

/** Every free run is in the bin of its length, once; every run of a bin is a free run. */
function verifyFreeRunBins(i32: Int32Array, freeRuns: Set<Address>): void {
  for (let bin = 0; bin < L.FREE_RUN_BINS; bin++) {
    let previous = 0;
    for (let run = i32[L.CONTROL_FREE_RUNS + bin]; run !== 0; run = i32[run + L.PAGE_NEXT]) {
      const length = i32[run + L.PAGE_RUN];
      check(freeRuns.delete(run), I2, run, () => "a bin holds a run that is not free, or holds it twice");
      check(Math.floor(Math.log2(length)) === bin, I2, run, () => `a run of ${length} pages in bin ${bin}`);
      check(i32[run + L.PAGE_PREVIOUS] === previous, I2, run, () => "a bin's back link is wrong");
      previous = run;
    }
  }
  for (const run of freeRuns) check(false, I2, run, () => "a free run is in no bin");
}

function addLarge(
  i32: Int32Array,
  page: number,
  run: number,
  kind: number,
  objects: Map<Address, Block>,
  storage: Map<Address, Block>,
): void {
  const address = page * L.PAGE_WORDS;
  const block = { address, words: run * L.PAGE_WORDS, kind };
  if (kind === L.KIND_STORAGE) storage.set(address, block);
  else {
    check(
      (i32[address + L.HEADER_TYPE] & L.TYPE_ID_MASK) !== 0,
      I3,
      address,
      () => "a large object has no type",
    );
    objects.set(address, block);
  }
}

/** @returns how many of the page's blocks are retired */
function addSmall(
  i32: Int32Array,
  page: number,
  descriptor: Address,
  objects: Map<Address, Block>,
  storage: Map<Address, Block>,
): number {
  const kind = (i32[descriptor + L.PAGE_STATE] & 0xff) - L.PAGE_SMALL;
  const sizeClass = i32[descriptor + L.PAGE_STATE] >> 8;
  const words = i32[descriptor + L.PAGE_BLOCK_WORDS];
  const capacity = i32[descriptor + L.PAGE_CAPACITY];
  const first = page * L.PAGE_WORDS;
  check(
    words === CLASS_WORDS[sizeClass],
    I3,
    descriptor,
    () => `blocks of ${words} words in class ${sizeClass}`,
  );
  check(
    capacity === Math.floor(L.PAGE_WORDS / words),
    I3,
    descriptor,
    () => `capacity ${capacity} of ${words} words`,
  );
  const isBlock = (block: Address) => {
    const index = (block - first) / words;
    return Number.isInteger(index) && index >= 0 && index < capacity;
  };
  const free = new Set<Address>();
  for (let block = i32[descriptor + L.PAGE_FREE_LIST]; block !== 0; block = i32[block]) {
    check(isBlock(block) && !free.has(block), I3, block, () => `the free list of page ${page} leads here`);
    free.add(block);
  }
  verifyAvailable(i32, descriptor, free.size > 0, kind, sizeClass);
  const used = capacity - free.size;
  const counted = i32[descriptor + L.PAGE_USED];
  check(
    counted === used,
    I3,
    descriptor,
    () => `page ${page} counts ${counted} blocks in use, found ${used}`,
  );
  const current = L.CONTROL_CURRENT + kind * L.SIZE_CLASS_COUNT_MAX + sizeClass;
  for (let block = i32[current]; block !== 0 && isBlock(i32[current]); block = i32[block]) {
    check(
      isBlock(block) && !free.has(block),
      I3,
      block,
      () => `what class ${sizeClass} hands out leads here`,
    );
    free.add(block);
  }
  let retired = 0;
  for (let index = 0; index < capacity; index++) {
    const address = first + index * words;
    const isFree = free.has(address);
    if (kind === L.KIND_STORAGE) {
      if (!isFree) storage.set(address, { address, words, kind });
      continue;
    }
    const typeId = i32[address + L.HEADER_TYPE] & L.TYPE_ID_MASK;
    const serial = i32[address + L.HEADER_SERIAL];
    check(serial > 0 && serial <= L.SERIAL_MAX, I3, address, () => `serial ${serial}`);
    if (isFree) check(i32[address + L.HEADER_TYPE] === 0, I3, address, () => "a free block has a type");
    else if (typeId !== 0) objects.set(address, { address, words, kind });
    else {
      check(serial >= L.SERIAL_RETIRED, I3, address, () => "a block in use has no type");
      retired++;
    }
  }
  return retired;
}

/** A page is in the list of its class exactly when it has a free block. */
function verifyAvailable(
  i32: Int32Array,
  page: Address,
  hasFree: boolean,
  kind: number,
  sizeClass: number,
): void {
  let isListed = false;
  const head = L.CONTROL_AVAILABLE + kind * L.SIZE_CLASS_COUNT_MAX + sizeClass;
  let previous = 0;
  for (let next = i32[head]; next !== 0; next = i32[next + L.PAGE_NEXT]) {
    check(
      i32[next + L.PAGE_PREVIOUS] === previous,
      I3,
      next,
      () => "the back link in the list of its class is wrong",
    );
    if (next === page) isListed = true;
    previous = next;
  }
  check(
    isListed === hasFree,
    I3,
    page,
    () => `listed as having free blocks: ${isListed}, has some: ${hasFree}`,
  );
}
