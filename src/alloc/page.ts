/**
 * Pages: one size class and one kind each, with a free list of its own. This file holds everything that happens once a
 * page rather than once a block.
 *
 * A class has a current page, whose free list the class has taken over whole: blocks are handed out from there with no
 * page touched. Every other page with a free block is in the class's list of available pages. Blocks are always freed
 * to the list of their own page, so a page that was current fills up again from behind.
 *
 *   used + own free list = capacity, where used = live + retired + (current page) what the class has still to hand out
 */
import { OutOfMemoryError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_AVAILABLE,
  CONTROL_CURRENT,
  CONTROL_PAGE_COUNT,
  CONTROL_PAGE_TABLE,
  CONTROL_SERIAL_SEED,
  HEADER_SERIAL,
  HEADER_TYPE,
  KIND_COUNT,
  KIND_STORAGE,
  PAGE_BLOCK_WORDS,
  PAGE_BYTES,
  PAGE_CAPACITY,
  PAGE_DESCRIPTOR_SHIFT,
  PAGE_FREE_LIST,
  PAGE_LARGE,
  PAGE_NEXT,
  PAGE_PREVIOUS,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  PAGE_USED,
  PAGE_WORDS,
  SERIAL_MAX,
  SIZE_CLASS_COUNT_MAX,
  WORD_BYTES,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { Arenas } from "./arena.js";
import { CLASS_WORDS } from "./size-class.js";

/** Steps the serial of a fresh page by the golden ratio, so that a stale view of an older page meets it once in 2^29. */
const SERIAL_STEP = 0x1e3779b1;

const CLASS_COUNT_ALL = KIND_COUNT * SIZE_CLASS_COUNT_MAX;

/**
 * Who is told of blocks as they come and go: `Allocator.watch`. Called in the middle of an allocation or a death: it may not
 * throw, touch the heap or run the program's code.
 */
export interface BlockWatcher {
  /** A block was taken; of an object's, the header is not written yet. */
  taken(block: Address, words: number): void;
  /** A block that is in use is about to be freed. All are told, those taken unseen or before the watch began too. */
  given(block: Address, words: number): void;
  /** How many blocks of a class may be taken unseen before the next is told. Large blocks are all told. */
  nextGap(): number;
}

/** A watcher, and by class how many blocks may still be taken unseen. */
interface Watch {
  readonly watcher: BlockWatcher;
  readonly unseen: Float64Array;
}

/** Index of a class of one kind among the classes of all kinds. */
export function classIndex(kind: number, sizeClass: number): number {
  return kind * SIZE_CLASS_COUNT_MAX + sizeClass;
}

export class Pages {
  readonly arenas: Arenas;
  private readonly i32: Int32Array;
  private readonly pageTable: number;
  /** `stress`: empty pages stay with their class, so that a serial tells every stale view. */
  private readonly keepsEmptyPages: boolean;
  private readonly watches: Watch[] = [];

  constructor(memory: Memory, keepsEmptyPages: boolean) {
    this.i32 = memory.i32;
    this.pageTable = memory.i32[CONTROL_PAGE_TABLE];
    this.arenas = new Arenas(memory);
    this.keepsEmptyPages = keepsEmptyPages;
  }

  /** Descriptor of the page that a block is in. */
  of(block: Address): number {
    return this.pageTable + ((block >>> PAGE_SHIFT) << PAGE_DESCRIPTOR_SHIFT);
  }

  /** Make the next available page of a class the current one, and return its first free block. @throws OutOfMemoryError */
  takeBlocks(kind: number, sizeClass: number): Address {
    const { i32 } = this;
    const head = CONTROL_AVAILABLE + classIndex(kind, sizeClass);
    let page = i32[head];
    if (page === 0) page = this.format(kind, sizeClass);
    else this.unlink(head, page);
    const first = i32[page + PAGE_FREE_LIST];
    if (this.watches.length > 0) {
      this.link(head, page);
      this.takeWatched(head, page, classIndex(kind, sizeClass));
      return first;
    }
    i32[page + PAGE_FREE_LIST] = 0;
    i32[page + PAGE_USED] = i32[page + PAGE_CAPACITY];
    return first;
  }

  /** Tell a watcher of every block from now on. O(free blocks that classes have still to hand out). */
  watch(watcher: BlockWatcher): void {
    for (let index = 0; index < CLASS_COUNT_ALL; index++)
      this.returnBlocks(CONTROL_CURRENT + index, CONTROL_AVAILABLE + index);
    const unseen = Float64Array.from({ length: CLASS_COUNT_ALL }, () => watcher.nextGap());
    this.watches.push({ watcher, unseen });
  }

  /** The opposite of `watch`. @returns whether anybody still watches */
  unwatch(watcher: BlockWatcher): boolean {
    const index = this.watches.findIndex((watch) => watch.watcher === watcher);
    if (index >= 0) this.watches.splice(index, 1);
    return this.watches.length > 0;
  }

  /** A block that is in use is about to be freed. */
  tellGiven(block: Address, words: number): void {
    for (const { watcher } of this.watches) watcher.given(block, words);
  }

  /**
   * While somebody watches, a class takes over one block at a time, or as many as all agree not to see: what is handed out
   * next comes through here again, and what hands blocks out needs no test.
   */
  private takeWatched(head: number, page: number, index: number): void {
    const { i32, watches } = this;
    const block = i32[page + PAGE_FREE_LIST];
    let unseen = Number.POSITIVE_INFINITY;
    for (const watch of watches) unseen = Math.min(unseen, watch.unseen[index]);
    let taken = 1;
    let last = block;
    for (; taken < unseen && i32[last] !== 0; taken++) last = i32[last];
    i32[page + PAGE_FREE_LIST] = i32[last];
    i32[page + PAGE_USED] += taken;
    i32[last] = 0;
    if (i32[page + PAGE_FREE_LIST] === 0) this.unlink(head, page);
    for (const watch of watches) {
      if (watch.unseen[index] > 0) {
        watch.unseen[index] -= taken;
        continue;
      }
      watch.watcher.taken(block, i32[page + PAGE_BLOCK_WORDS]);
      watch.unseen[index] = watch.watcher.nextGap();
    }
  }

  /** A page's own free list was empty before this block, or all its blocks are free with it. */
  blockFreed(page: number, wasFull: boolean): void {
    const { i32 } = this;
    const state = i32[page + PAGE_STATE];
    const index = classIndex((state & 0xff) - PAGE_SMALL, state >> 8);
    if (wasFull) this.link(CONTROL_AVAILABLE + index, page);
    if (i32[page + PAGE_USED] === 0 && !this.keepsEmptyPages)
      this.giveIfSpare(CONTROL_AVAILABLE + index, page);
  }

  /** A run of pages for one block of `words` words. @throws OutOfMemoryError */
  takeLarge(kind: number, words: number): Address {
    const { i32 } = this;
    const length = Math.ceil(words / PAGE_WORDS);
    const page = this.takeRun(length, words);
    const descriptor = this.arenas.descriptor(page);
    i32[descriptor + PAGE_USED] = 1;
    i32[descriptor + PAGE_CAPACITY] = 1;
    i32[descriptor + PAGE_BLOCK_WORDS] = length * PAGE_WORDS;
    const block = page << PAGE_SHIFT;
    if (kind !== KIND_STORAGE) {
      i32[block + HEADER_TYPE] = 0;
      i32[block + HEADER_SERIAL] = this.nextSerial();
    }
    i32[descriptor + PAGE_STATE] = PAGE_LARGE + kind; // last, as in `format`
    for (const { watcher } of this.watches) watcher.taken(block, length * PAGE_WORDS);
    return block;
  }

  giveLarge(block: Address): void {
    this.arenas.giveRun(block >>> PAGE_SHIFT);
  }

  /**
   * Make the list of available pages of every class anew, lowest page first, from the free lists of the pages. No class has
   * blocks to hand out then. O(pages)
   */
  relist(firstPage: number, topPage: number): void {
    const { i32 } = this;
    i32.fill(0, CONTROL_CURRENT, CONTROL_AVAILABLE + CLASS_COUNT_ALL);
    for (let page = topPage - 1; page >= firstPage; page--) {
      const descriptor = this.arenas.descriptor(page);
      const state = i32[descriptor + PAGE_STATE];
      const kind = state & 0xff;
      if (kind < PAGE_SMALL || kind >= PAGE_LARGE || i32[descriptor + PAGE_FREE_LIST] === 0) continue;
      this.link(CONTROL_AVAILABLE + classIndex(kind - PAGE_SMALL, state >> 8), descriptor);
    }
  }

  /** A fresh page of a class, with a free list of all its blocks; it is in no list. */
  private format(kind: number, sizeClass: number): number {
    const { i32 } = this;
    const words = CLASS_WORDS[sizeClass];
    const page = this.takeRun(1, words);
    const descriptor = this.arenas.descriptor(page);
    const capacity = Math.floor(PAGE_WORDS / words);
    const first = page << PAGE_SHIFT;
    i32[descriptor + PAGE_FREE_LIST] = first;
    i32[descriptor + PAGE_USED] = 0;
    i32[descriptor + PAGE_CAPACITY] = capacity;
    i32[descriptor + PAGE_BLOCK_WORDS] = words;
    const serial = kind === KIND_STORAGE ? 0 : this.nextSerial();
    const last = first + (capacity - 1) * words;
    for (let block = first; block <= last; block += words) {
      i32[block] = block === last ? 0 : block + words;
      if (kind === KIND_STORAGE) continue;
      i32[block + HEADER_TYPE] = 0;
      i32[block + HEADER_SERIAL] = serial;
    }
    // Last: a page in use is whole, wherever a thread may have ended (gc/repair.ts).
    i32[descriptor + PAGE_STATE] = (PAGE_SMALL + kind) | (sizeClass << 8);
    return descriptor;
  }

  private takeRun(length: number, words: number): number {
    let page = this.arenas.takeRun(length);
    if (page === 0 && this.giveEmptyPages() > 0) page = this.arenas.takeRun(length);
    if (page === 0) throw new OutOfMemoryError(words * WORD_BYTES, this.i32[CONTROL_PAGE_COUNT] * PAGE_BYTES);
    return page;
  }

  private nextSerial(): number {
    const { i32 } = this;
    const serial = (i32[CONTROL_SERIAL_SEED] + SERIAL_STEP) & SERIAL_MAX;
    i32[CONTROL_SERIAL_SEED] = serial;
    // Half the range stays ahead of a block before it is retired; 0 is never a serial.
    return (serial >>> 1) + 1;
  }

  /** One empty page of a class stays available, so that a single object cannot make a page come and go. */
  private giveIfSpare(head: number, page: number): void {
    const isOnlyPage = this.i32[head] === page && this.i32[page + PAGE_NEXT] === 0;
    if (!isOnlyPage) this.give(head, page);
  }

  private give(head: number, page: number): void {
    this.unlink(head, page);
    this.arenas.giveRun((page - this.pageTable) >> PAGE_DESCRIPTOR_SHIFT);
  }

  /** Before running out of memory: give up every empty page, those of which a class holds free blocks included. */
  private giveEmptyPages(): number {
    const { i32 } = this;
    let given = 0;
    for (let index = 0; index < CLASS_COUNT_ALL; index++) {
      const head = CONTROL_AVAILABLE + index;
      this.returnBlocks(CONTROL_CURRENT + index, head);
      for (let page = i32[head]; page !== 0; ) {
        const next = i32[page + PAGE_NEXT];
        if (i32[page + PAGE_USED] === 0) {
          this.give(head, page);
          given++;
        }
        page = next;
      }
    }
    return given;
  }

  /** Put what a class has still to hand out back into the list of the page. */
  private returnBlocks(current: number, head: number): void {
    const { i32 } = this;
    for (let block = i32[current]; block !== 0; ) {
      const next = i32[block];
      const page = this.of(block);
      if (i32[page + PAGE_FREE_LIST] === 0) this.link(head, page);
      i32[block] = i32[page + PAGE_FREE_LIST];
      i32[page + PAGE_FREE_LIST] = block;
      i32[page + PAGE_USED]--;
      block = next;
    }
    i32[current] = 0;
  }

  private link(head: number, page: number): void {
    const { i32 } = this;
    const first = i32[head];
    i32[head] = page;
    i32[page + PAGE_PREVIOUS] = 0;
    i32[page + PAGE_NEXT] = first;
    if (first !== 0) i32[first + PAGE_PREVIOUS] = page;
  }

  private unlink(head: number, page: number): void {
    const { i32 } = this;
    const next = i32[page + PAGE_NEXT];
    const previous = i32[page + PAGE_PREVIOUS];
    if (next !== 0) i32[next + PAGE_PREVIOUS] = previous;
    if (previous !== 0) i32[previous + PAGE_NEXT] = next;
    else i32[head] = next;
  }
}
