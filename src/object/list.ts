/**
 * Lists: a header object and a storage block of items. Items are words or word pairs by slot kind; what they mean is
 * the caller's business, but references in them are counted here when they leave.
 */
import type { Allocator } from "../alloc/allocator.js";
import { OutOfMemoryError } from "../memory/errors.js";
import {
  type Address,
  KIND_STORAGE,
  LIST_CAPACITY,
  LIST_ITEMS,
  LIST_LENGTH,
  TAG_NULL,
  TYPE_ITEM_SLOT,
} from "../memory/layout.js";
import type { Objects } from "./objects.js";
import type { ReferenceCounts } from "./refcount.js";
import { holdsReference, slotWords } from "./slot.js";
import type { TypeTable } from "./type.js";

export class Lists {
  private readonly i32: Int32Array;
  private readonly allocator: Allocator;
  private readonly objects: Objects;
  private readonly counts: ReferenceCounts;
  private readonly types: TypeTable;

  constructor(allocator: Allocator, objects: Objects, counts: ReferenceCounts, types: TypeTable) {
    this.i32 = allocator.memory.i32;
    this.allocator = allocator;
    this.objects = objects;
    this.counts = counts;
    this.types = types;
  }

  /** A new, empty list, owned by the caller. @throws OutOfMemoryError */
  create(typeId: number): Address {
    const list = this.objects.create(typeId);
    this.i32[list + LIST_ITEMS] = 0;
    this.i32[list + LIST_LENGTH] = 0;
    this.i32[list + LIST_CAPACITY] = 0;
    return list;
  }

  /**
   * Make room for `length` items in all. The length does not change.
   * @throws OutOfMemoryError; the list is then as it was
   */
  reserve(list: Address, length: number): void {
    const { i32 } = this;
    const capacity = i32[list + LIST_CAPACITY];
    if (length <= capacity) return;
    // CPython's rule (list_resize) grows by an eighth; a half costs fewer moves and size classes take up the slack.
    const wanted = Math.max(length, 4, capacity + (capacity >> 1));
    this.move(list, this.grow(length, wanted, this.itemWords(list)));
  }

  /** Make room for one more item. @returns where it is to be put, before the length is raised @throws OutOfMemoryError */
  reserveOne(list: Address): Address {
    const { i32 } = this;
    const length = i32[list + LIST_LENGTH];
    if (length >= i32[list + LIST_CAPACITY]) this.reserve(list, length + 1);
    return i32[list + LIST_ITEMS] + length * this.itemWords(list);
  }

  /** Open a gap of one undefined item at `index` (at most the length), which the caller fills at once. @throws OutOfMemoryError */
  openGap(list: Address, index: number): Address {
    const { i32 } = this;
    const length = i32[list + LIST_LENGTH];
    this.reserve(list, length + 1);
    const slot = i32[this.types.descriptorOf(list) + TYPE_ITEM_SLOT];
    const words = slotWords(slot);
    const items = i32[list + LIST_ITEMS];
    const gap = items + index * words;
    if (index < length) this.shift(list, gap, items + length * words, words);
    else {
      if (holdsReference(slot)) setNull(i32, gap, words);
      i32[list + LIST_LENGTH] = length + 1;
    }
    return gap;
  }

  /** Move the items from `gap` on. First there is one more, which is null: so none is missing, wherever a thread ends. */
  private shift(list: Address, gap: Address, end: Address, words: number): void {
    const { i32 } = this;
    setNull(i32, end, words);
    i32[list + LIST_LENGTH]++;
    i32.copyWithin(gap + words, gap, end);
  }

  /** Close the gap of an item whose reference, if any, the caller has taken over. */
  closeGap(list: Address, index: number): void {
    const { i32 } = this;
    const length = i32[list + LIST_LENGTH];
    const words = this.itemWords(list);
    const items = i32[list + LIST_ITEMS];
    i32.copyWithin(items + index * words, items + (index + 1) * words, items + length * words);
    i32[list + LIST_LENGTH] = length - 1;
  }

  length(list: Address): number {
    return this.i32[list + LIST_LENGTH];
  }

  /** Address of an item's slot; the index is within the length. */
  itemAddress(list: Address, index: number): Address {
    return this.i32[list + LIST_ITEMS] + index * this.itemWords(list);
  }

  /** Storage for `length` items of this list's kind, which the caller fills and `replaceItems` takes. @throws OutOfMemoryError */
  allocateItems(list: Address, length: number): Address {
    return length === 0 ? 0 : this.allocator.allocate(KIND_STORAGE, length * this.itemWords(list));
  }

  /** Put `length` items in place of the present ones, then drop those last to first (CPython: `list_clear`). */
  replaceItems(list: Address, items: Address, length: number): void {
    const { i32 } = this;
    const slot = i32[this.types.descriptorOf(list) + TYPE_ITEM_SLOT];
    const words = slotWords(slot);
    const old = i32[list + LIST_ITEMS];
    const oldLength = i32[list + LIST_LENGTH];
    // At no time longer than the items that it has, wherever a thread may end.
    if (length < oldLength) i32[list + LIST_LENGTH] = length;
    i32[list + LIST_ITEMS] = items;
    i32[list + LIST_CAPACITY] = items === 0 ? 0 : Math.floor(this.allocator.blockWords(items) / words);
    i32[list + LIST_LENGTH] = length;
    if (old === 0) return;
    if (holdsReference(slot))
      for (let index = oldLength - 1; index >= 0; index--) this.counts.decrefSlot(slot, old + index * words);
    this.allocator.free(old);
  }

  /**
   * The opposite of `reserve`: give back room beyond `capacity`, which holds the items. Where there is no memory for a
   * smaller block the list keeps the one that it has.
   */
  shrink(list: Address, capacity: number): void {
    const { i32 } = this;
    if (i32[list + LIST_CAPACITY] <= capacity) return;
    if (capacity > 0) {
      try {
        this.move(list, this.allocateItems(list, capacity));
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
      }
      return;
    }
    const old = i32[list + LIST_ITEMS];
    i32[list + LIST_ITEMS] = 0;
    i32[list + LIST_CAPACITY] = 0;
    this.allocator.free(old);
  }

  /** Drop all items; the list looks empty while they die. */
  clear(list: Address): void {
    this.replaceItems(list, 0, 0);
  }

  private itemWords(list: Address): number {
    return slotWords(this.i32[this.types.descriptorOf(list) + TYPE_ITEM_SLOT]);
  }

  /** Storage for at least `length` items, for `wanted` if it can be had. */
  private grow(length: number, wanted: number, words: number): Address {
    try {
      return this.allocator.allocate(KIND_STORAGE, wanted * words);
    } catch (error) {
      if (wanted === length || !(error instanceof OutOfMemoryError)) throw error;
      return this.allocator.allocate(KIND_STORAGE, length * words);
    }
  }

  private move(list: Address, storage: Address): void {
    const { i32 } = this;
    const words = this.itemWords(list);
    const old = i32[list + LIST_ITEMS];
    if (old !== 0) i32.copyWithin(storage, old, old + i32[list + LIST_LENGTH] * words);
    i32[list + LIST_ITEMS] = storage;
    i32[list + LIST_CAPACITY] = Math.floor(this.allocator.blockWords(storage) / words);
    if (old !== 0) this.allocator.free(old);
  }
}

/** What the block held before is no item, wherever a thread ends. */
function setNull(i32: Int32Array, item: Address, words: number): void {
  i32[item + words - 1] = words === 2 ? TAG_NULL : 0;
}
