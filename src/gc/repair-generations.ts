/**
 * Repair: the generation tables. An object stays in the generation whose chunk says so at the place where the object's
 * header says it stands; chunks that were just given back say so still. What stands nowhere was made a moment ago, or was
 * about to be moved, and goes to the tail of generation 0: the next collection looks at it, and nothing is lost by that.
 */

import { sizeClassOf } from "../alloc/size-class.js";
import {
  type Address,
  CHUNK_CAPACITY,
  CHUNK_ENTRIES,
  CHUNK_GENERATION,
  CHUNK_SEQUENCE,
  CHUNK_WORDS,
  CONTROL_AVAILABLE,
  CONTROL_FREE_RUNS,
  CONTROL_GENERATIONS,
  CONTROL_PAGE_COUNT,
  CONTROL_RESERVE_CHUNK,
  CONTROL_SETTLED,
  CONTROL_SETTLED_FROM,
  CONTROL_TOP_PAGE,
  CONTROL_TYPE_TABLE,
  FLAG_FROZEN,
  FLAG_POOLED,
  FLAG_TRACKED,
  FREE_RUN_BINS,
  GENERATION_COUNT,
  GENERATION_WORDS,
  GRANULE_SHIFT,
  HEADER_ENTRY,
  HEADER_TYPE,
  KIND_DICT,
  KIND_STORAGE,
  KIND_TUPLE,
  PAGE_CAPACITY,
  PAGE_NEXT,
  PAGE_RUN,
  PAGE_SHIFT,
  PAGE_USED,
  PERMANENT,
  REPAIR_SIDE_LISTED,
  SIZE_CLASS_COUNT_MAX,
  TYPE_FLAGS,
  TYPE_GC,
  TYPE_ID_MASK,
  TYPE_KIND,
  TYPE_SHIFT,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { AddressList } from "./address-list.js";
import type { Core } from "./core.js";
import { CHUNK_PAGE_STATE, CHUNKS_A_PAGE } from "./image-pages.js";
import type { RepairPages } from "./repair-pages.js";
import type { RepairLog } from "./repair-report.js";

interface Chunk {
  readonly address: Address;
  readonly generation: number;
  readonly sequence: number;
}

export class RepairGenerations {
  private readonly i32: Int32Array;
  private readonly side: Uint8Array;
  private readonly pages: RepairPages;
  /** The objects of generations 0, 1, 2 and the permanent one, in list order. */
  private readonly lists = [0, 1, 2, PERMANENT].map(() => new AddressList());
  /** Those that have to be tracked and stand nowhere; untracked dicts and tuples, which may have to be. */
  private readonly homeless = new AddressList();
  private readonly untracked = new AddressList();

  constructor({ i32, side }: Memory, pages: RepairPages) {
    this.i32 = i32;
    this.side = side;
    this.pages = pages;
  }

  // -- before the pages are swept ---------------------------------------------------------------

  /** Read the old tables, in the order in which they were linked. Afterwards there are none. O(entries) */
  gather(): void {
    const { i32, lists } = this;
    const thawed = new AddressList();
    for (const { address, generation } of this.findChunks()) {
      for (let entry = address + CHUNK_ENTRIES; entry < address + CHUNK_WORDS; entry++) {
        const object = i32[entry];
        if (object === 0 || !this.standsAt(object, entry)) continue;
        this.side[object >>> GRANULE_SHIFT] |= REPAIR_SIDE_LISTED;
        if ((i32[object + HEADER_TYPE] & FLAG_FROZEN) !== 0) lists[PERMANENT].push(object);
        else (generation === PERMANENT ? thawed : lists[generation]).push(object);
      }
    }
    lists[2].append(thawed); // `unfreeze` was under way
    i32.fill(0, CONTROL_GENERATIONS, CONTROL_GENERATIONS + GENERATION_COUNT * GENERATION_WORDS);
    i32[CONTROL_RESERVE_CHUNK] = 0;
    i32[CONTROL_SETTLED] = 0;
    i32[CONTROL_SETTLED_FROM] = 0;
  }

  /** Every block that is a chunk or was one: the permanent generation's first, because what froze last joined its tail. */
  private findChunks(): Chunk[] {
    const { i32 } = this;
    const chunks: Chunk[] = [];
    this.pages.forEachRun((page, _, state) => {
      if (state !== CHUNK_PAGE_STATE) return;
      for (let index = 0; index < CHUNKS_A_PAGE; index++) {
        const address = (page << PAGE_SHIFT) + index * CHUNK_WORDS;
        const generation = i32[address + CHUNK_GENERATION];
        if (this.side[address >>> GRANULE_SHIFT] === 0 && generation >= 0 && generation <= PERMANENT)
          chunks.push({ address, generation, sequence: i32[address + CHUNK_SEQUENCE] });
      }
    });
    const rank = ({ generation }: Chunk) => (generation === PERMANENT ? -1 : generation);
    return chunks.sort((a, b) => rank(a) - rank(b) || a.sequence - b.sequence || a.address - b.address);
  }

  private standsAt(object: number, entry: Address): boolean {
    const { i32, pages } = this;
    return (
      pages.isObject(object) &&
      pages.isKept(object) &&
      !this.isListed(object) &&
      i32[object + HEADER_ENTRY] === entry &&
      (i32[object + HEADER_TYPE] & FLAG_TRACKED) !== 0 &&
      this.isGc(object)
    );
  }

  private isListed(object: Address): boolean {
    return (this.side[object >>> GRANULE_SHIFT] & REPAIR_SIDE_LISTED) !== 0;
  }

  // -- while the pages are swept ----------------------------------------------------------------

  /** Judge a kept object. @returns FLAG_TRACKED and FLAG_FROZEN as it is to have them */
  place(object: Address): number {
    const { i32 } = this;
    const flags = i32[object + HEADER_TYPE] & (FLAG_TRACKED | FLAG_FROZEN);
    if (this.isListed(object)) return flags;
    if (!this.isGc(object)) return 0;
    if ((flags & FLAG_TRACKED) !== 0) {
      (flags === FLAG_TRACKED ? this.homeless : this.lists[PERMANENT]).push(object);
      return flags;
    }
    // What is in a pool is untracked.
    if ((i32[object + HEADER_TYPE] & FLAG_POOLED) !== 0) return 0;
    const kind = i32[this.typeOf(object) + TYPE_KIND];
    if (kind === KIND_DICT || kind === KIND_TUPLE) {
      this.untracked.push(object);
      return 0;
    }
    this.homeless.push(object);
    return FLAG_TRACKED;
  }

  private typeOf(object: Address): Address {
    return this.i32[CONTROL_TYPE_TABLE] + ((this.i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT);
  }

  private isGc(object: Address): boolean {
    return (this.i32[this.typeOf(object) + TYPE_FLAGS] & TYPE_GC) !== 0;
  }

  // -- once the heap has free pages again -------------------------------------------------------

  /** Write the tables anew, without a hole. */
  rebuild(core: Core, log: RepairLog): void {
    const { lists, homeless } = this;
    this.trackHolders(core);
    log.tracked = homeless.count;
    lists[0].append(homeless);
    log.untracked = this.makeFit(chunkRoom(this.i32));
    for (const [generation, { items, count }] of lists.entries())
      core.generations.appendAll(
        generation,
        items,
        count,
        generation === PERMANENT ? FLAG_TRACKED | FLAG_FROZEN : FLAG_TRACKED,
      );
    core.generations.refillReserve();
  }

  /** Dicts and tuples that hold a container; a tuple is one as long as it is tracked, so that one may make another one. */
  private trackHolders(core: Core): void {
    const { i32, homeless, untracked } = this;
    for (let isChanged = true; isChanged; ) {
      isChanged = false;
      for (let index = 0; index < untracked.count; index++) {
        const object = untracked.items[index];
        if (core.tracking.isTracked(object) || !core.tracking.holdsContainer(object)) continue;
        i32[object + HEADER_TYPE] |= FLAG_TRACKED;
        homeless.push(object);
        isChanged = true;
      }
    }
  }

  /**
   * In a heap without memory for as many tables the younger generations join the older ones; what is then too much is
   * not tracked. @returns how many objects that is
   */
  private makeFit(room: number): number {
    const { i32, lists } = this;
    const needed = () => lists.reduce((chunks, { count }) => chunks + Math.ceil(count / CHUNK_CAPACITY), 0);
    for (let younger = 0; younger < 2 && needed() > room; younger++) {
      lists[younger + 1].append(lists[younger]);
      lists[younger].count = 0;
    }
    let untracked = 0;
    for (const list of [lists[2], lists[PERMANENT]])
      for (; list.count > 0 && needed() > room; untracked++)
        i32[list.pop() + HEADER_TYPE] &= ~(FLAG_TRACKED | FLAG_FROZEN);
    return untracked;
  }
}

/** Chunks that can be had. O(pages of chunks + free runs) */
function chunkRoom(i32: Int32Array): number {
  let blocks = 0;
  const head = CONTROL_AVAILABLE + KIND_STORAGE * SIZE_CLASS_COUNT_MAX + sizeClassOf(CHUNK_WORDS);
  for (let page = i32[head]; page !== 0; page = i32[page + PAGE_NEXT])
    blocks += i32[page + PAGE_CAPACITY] - i32[page + PAGE_USED];
  let pages = i32[CONTROL_PAGE_COUNT] - i32[CONTROL_TOP_PAGE];
  for (let bin = 0; bin < FREE_RUN_BINS; bin++)
    for (let run = i32[CONTROL_FREE_RUNS + bin]; run !== 0; run = i32[run + PAGE_NEXT])
      pages += i32[run + PAGE_RUN];
  return blocks + pages * CHUNKS_A_PAGE;
}
