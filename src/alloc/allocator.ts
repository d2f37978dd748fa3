/**
 * The door of this layer: blocks of memory by word count and kind, and their statistics.
 *
 * Blocks up to half a page come from pages of one size class and kind; larger ones are page runs. Nothing here knows
 * what a block holds, but that an object's block starts with a header whose type word is 0 while the block is free and
 * whose serial outlives its objects.
 */
import {
  type Address,
  CHUNK_WORDS,
  CONTROL_AVAILABLE,
  CONTROL_CURRENT,
  CONTROL_FIRST_PAGE,
  CONTROL_PAGES_USED,
  CONTROL_RETIRED_BLOCKS,
  CONTROL_TOP_PAGE,
  CONTROL_TYPE_COUNT,
  CONTROL_WORDS,
  HEADER_SERIAL,
  HEADER_TYPE,
  HEADER_WORDS,
  KIND_STORAGE,
  PAGE_BLOCK_WORDS,
  PAGE_BYTES,
  PAGE_CAPACITY,
  PAGE_DESCRIPTOR_WORDS,
  PAGE_FREE_LIST,
  PAGE_LARGE,
  PAGE_RUN,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  PAGE_USED,
  PAGE_WORDS,
  POISON_OBJECT,
  POISON_STORAGE,
  SERIAL_RETIRED,
  SIZE_CLASS_COUNT_MAX,
  TYPE_WORDS,
  WORD_BYTES,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { type BlockWatcher, classIndex, Pages } from "./page.js";
import { CLASS_WORDS, SMALL_WORDS_MAX, sizeClassOf } from "./size-class.js";

if (CHUNK_WORDS !== CLASS_WORDS[sizeClassOf(CHUNK_WORDS)] || PAGE_WORDS % CHUNK_WORDS !== 0)
  throw new Error("a generation chunk must be a block aligned to its own size");

export class Allocator {
  readonly memory: Memory;
  private readonly pages: Pages;
  private readonly i32: Int32Array;
  /** `stress`: fill freed memory. */
  private readonly poisons: boolean;
  /** Whether a death is more than linking the block: memory is poisoned, or somebody watches. */
  private isFreeRare: boolean;

  constructor(memory: Memory, poisons = false) {
    this.memory = memory;
    this.i32 = memory.i32;
    this.pages = new Pages(memory, poisons);
    this.poisons = poisons;
    this.isFreeRare = poisons;
  }

  /**
   * Tell a watcher of every block that is taken or freed, until `unwatch`. What it costs when nobody watches is nothing: the
   * places that it is told from are those that handle full and empty pages. O(pages).
   */
  watch(watcher: BlockWatcher): void {
    this.pages.watch(watcher);
    this.isFreeRare = true;
  }

  /** The opposite of `watch`. */
  unwatch(watcher: BlockWatcher): void {
    this.isFreeRare = this.pages.unwatch(watcher) || this.poisons;
  }

  /**
   * A block of at least `words` words. The header words of an object block hold 0 in the type word and a valid
   * serial; everything else is undefined. O(1) but when a page has to be formatted.
   * @throws OutOfMemoryError
   */
  allocate(kind: number, words: number): Address {
    return words <= SMALL_WORDS_MAX
      ? this.allocateClass(kind, sizeClassOf(words))
      : this.pages.takeLarge(kind, words);
  }

  /** `allocate` for a caller that knows the size class: the fast path of object creation. */
  allocateClass(kind: number, sizeClass: number): Address {
    const { i32 } = this;
    const current = CONTROL_CURRENT + kind * SIZE_CLASS_COUNT_MAX + sizeClass;
    let block = i32[current];
    if (block === 0) block = this.pages.takeBlocks(kind, sizeClass);
    i32[current] = i32[block];
    return block;
  }

  /** Return a storage block. O(1). */
  free(block: Address): void {
    const { i32 } = this;
    const page = this.pages.of(block);
    if (this.isFreeRare) this.beforeFree(block, block, i32[page + PAGE_BLOCK_WORDS], POISON_STORAGE);
    if ((i32[page + PAGE_STATE] & 0xff) >= PAGE_LARGE) this.pages.giveLarge(block);
    else this.link(block, page);
  }

  /**
   * Return an object's block: its type becomes 0 and its serial rises, so that every view of it is stale. O(1).
   */
  freeObject(block: Address): void {
    const { i32 } = this;
    const page = this.pages.of(block);
    const serial = i32[block + HEADER_SERIAL] + 1;
    const first = i32[page + PAGE_FREE_LIST];
    const used = i32[page + PAGE_USED] - 1;
    i32[block + HEADER_TYPE] = 0;
    i32[block + HEADER_SERIAL] = serial;
    // One test for everything rare; a large block is always its page's only one.
    if (first === 0 || used === 0 || serial >= SERIAL_RETIRED || this.isFreeRare) {
      this.freeRare(block, page, serial);
      return;
    }
    i32[block] = first;
    i32[page + PAGE_FREE_LIST] = block;
    i32[page + PAGE_USED] = used;
  }

  /** Whether `allocate` would succeed now without giving up empty pages. */
  canAllocate(kind: number, words: number): boolean {
    if (words > SMALL_WORDS_MAX) return this.pages.arenas.canTake(Math.ceil(words / PAGE_WORDS));
    const index = classIndex(kind, sizeClassOf(words));
    const hasBlock = this.i32[CONTROL_CURRENT + index] !== 0 || this.i32[CONTROL_AVAILABLE + index] !== 0;
    return hasBlock || this.pages.arenas.canTake(1);
  }

  /** Words that a block really has: what a container may grow into without moving. */
  blockWords(block: Address): number {
    return this.i32[this.pages.of(block) + PAGE_BLOCK_WORDS];
  }

  /** Bytes taken from the reservation: control words, tables, and whole pages, slack included. O(1). */
  get bytesUsed(): number {
    const { i32 } = this;
    const descriptors = (i32[CONTROL_TOP_PAGE] - i32[CONTROL_FIRST_PAGE]) * PAGE_DESCRIPTOR_WORDS;
    const tableWords = CONTROL_WORDS + descriptors + i32[CONTROL_TYPE_COUNT] * TYPE_WORDS;
    return i32[CONTROL_PAGES_USED] * PAGE_BYTES + tableWords * WORD_BYTES;
  }

  /** Words from the start of the reservation to the end of the highest page ever used: no address lies beyond. */
  get wordsTouchedMax(): number {
    return this.i32[CONTROL_TOP_PAGE] * PAGE_WORDS;
  }

  /** Descriptor of a page by its number. */
  descriptorOf(page: number): Address {
    return this.pages.arenas.descriptor(page);
  }

  /** Whether the blocks of a page, by its descriptor, are storage. */
  isStorage(descriptor: Address): boolean {
    const kind = this.i32[descriptor + PAGE_STATE] & 0xff;
    return kind === PAGE_SMALL + KIND_STORAGE || kind === PAGE_LARGE + KIND_STORAGE;
  }

  /** Every page, or run of one large block, in address order. */
  *pageRuns(): IterableIterator<{ page: number; descriptor: number }> {
    const { i32 } = this;
    for (let page = i32[CONTROL_FIRST_PAGE]; page < i32[CONTROL_TOP_PAGE]; ) {
      const descriptor = this.pages.arenas.descriptor(page);
      const state = i32[descriptor + PAGE_STATE] & 0xff;
      if (state >= PAGE_SMALL) yield { page, descriptor };
      page += i32[descriptor + PAGE_RUN];
    }
  }

  /** Every live object, in address order. Objects may be freed meanwhile. */
  *objects(): IterableIterator<Address> {
    const { i32 } = this;
    // All runs first: one that is given back merges with its neighbours, and its length would lead past live ones.
    for (const { page, descriptor } of [...this.pageRuns()]) {
      if (this.isStorage(descriptor)) continue;
      const words = i32[descriptor + PAGE_BLOCK_WORDS];
      const first = page << PAGE_SHIFT;
      const end = first + i32[descriptor + PAGE_CAPACITY] * words;
      for (let block = first; block < end; block += words) if (i32[block + HEADER_TYPE] !== 0) yield block;
    }
  }

  /** The heap ends: make every view of every object stale. */
  endAllObjects(): void {
    for (const object of this.objects()) this.i32[object + HEADER_SERIAL] = 0;
  }

  private freeRare(block: Address, page: number, serial: number): void {
    const { i32 } = this;
    if (this.isFreeRare)
      this.beforeFree(block, block + HEADER_WORDS, i32[page + PAGE_BLOCK_WORDS], POISON_OBJECT);
    if ((i32[page + PAGE_STATE] & 0xff) >= PAGE_LARGE) this.pages.giveLarge(block);
    else if (serial >= SERIAL_RETIRED) i32[CONTROL_RETIRED_BLOCKS]++;
    else this.link(block, page);
  }

  private beforeFree(block: Address, from: Address, words: number, poison: number): void {
    this.pages.tellGiven(block, words);
    if (this.poisons) this.i32.fill(poison, from, block + words);
  }

  /** Put a block at the head of its page's own free list. */
  private link(block: Address, page: number): void {
    const { i32 } = this;
    const first = i32[page + PAGE_FREE_LIST];
    i32[block] = first;
    i32[page + PAGE_FREE_LIST] = block;
    i32[page + PAGE_USED]--;
    if (first === 0 || i32[page + PAGE_USED] === 0) this.pages.blockFreed(page, first === 0);
  }
}
