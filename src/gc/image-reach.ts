/** Saving: what some roots reach, as marks beside the heap. */
import {
  type Address,
  GRANULE_SHIFT,
  HEADER_WORDS,
  KIND_FOREIGN,
  LIST_ITEMS,
  LIST_LENGTH,
  SLOT_ANY,
  SLOT_REF,
  SLOT_STR,
  TABLE_MASK,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_OBJECT,
  TAG_STRING,
  TRAVERSE_EDGES,
  TRAVERSE_LIST,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_KIND,
} from "../memory/layout.js";
import { isDeletedEntry } from "../object/refcount.js";
import { entryWords, holdsReference, slotWords } from "../object/slot.js";
import type { Core } from "./core.js";

export class ImageReach {
  /** By granule: 1 where a block that is reached starts. */
  readonly saved: Uint8Array;
  /** By granule: words of a storage block that are in use. Only where there is one: the rest is never touched. */
  readonly storageWords: Int32Array;
  /** Foreign objects, in no order. */
  readonly foreign: Address[] = [];
  private readonly core: Core;
  private readonly i32: Int32Array;
  private stack = new Int32Array(1024);
  private depth = 0;

  /** O(what they reach), with a byte for every 16 of the heap. */
  constructor(core: Core, roots: Iterable<Address>) {
    this.core = core;
    this.i32 = core.memory.i32;
    const granules = (core.allocator.wordsTouchedMax >>> GRANULE_SHIFT) + 1;
    this.saved = new Uint8Array(granules);
    this.storageWords = new Int32Array(granules);
    for (const root of roots) this.reach(root);
    while (this.depth > 0) {
      const object = this.stack[--this.depth];
      const type = core.types.descriptorOf(object);
      if (this.i32[type + TYPE_KIND] === KIND_FOREIGN) this.foreign.push(object);
      this.reachReferents(object, type);
    }
  }

  private reach(object: Address): void {
    const { i32, saved } = this;
    const granule = object >>> GRANULE_SHIFT;
    if (object === 0 || saved[granule] !== 0) return;
    saved[granule] = 1;
    const type = this.core.types.descriptorOf(object);
    if (i32[type + TYPE_DROP] >> 1 === 0 && i32[type + TYPE_KIND] !== KIND_FOREIGN) return;
    if (this.depth === this.stack.length) this.growStack();
    this.stack[this.depth++] = object;
  }

  private growStack(): void {
    const longer = new Int32Array(this.depth * 2);
    longer.set(this.stack);
    this.stack = longer;
  }

  private reachStorage(storage: Address, words: number): void {
    if (storage === 0) return;
    this.saved[storage >>> GRANULE_SHIFT] = 1;
    this.storageWords[storage >>> GRANULE_SHIFT] = words;
  }

  /** Everything that an object counts for, strings included: what its death would drop. */
  private reachReferents(object: Address, type: Address): void {
    const { i32 } = this;
    const drop = i32[type + TYPE_DROP] >> 1;
    if (drop >= 0)
      for (let word = object + HEADER_WORDS, end = word + drop; word < end; word++) this.reach(i32[word]);
    else if (drop === TRAVERSE_EDGES) {
      for (let index = 0; index < i32[type + TYPE_EDGE_COUNT]; index++) {
        const edge = i32[i32[type + TYPE_EDGES] + index];
        this.reachSlot(edge >>> TYPE_EDGE_SLOT_SHIFT, object + (edge & TYPE_EDGE_OFFSET_MASK));
      }
    } else if (drop === TRAVERSE_LIST) this.reachItems(object, i32[type + TYPE_ITEM_SLOT]);
    else this.reachEntries(object, i32[type + TYPE_KEY_SLOT], i32[type + TYPE_ITEM_SLOT]);
  }

  private reachItems(list: Address, slot: number): void {
    const { i32 } = this;
    const words = slotWords(slot);
    const items = i32[list + LIST_ITEMS];
    const end = items + i32[list + LIST_LENGTH] * words;
    this.reachStorage(items, end - items);
    if (holdsReference(slot)) for (let item = items; item < end; item += words) this.reachSlot(slot, item);
  }

  private reachEntries(table: Address, keySlot: number, itemSlot: number): void {
    const { i32 } = this;
    const storage = i32[table + TABLE_STORAGE];
    if (storage === 0) return;
    const words = entryWords(itemSlot);
    const first = storage + i32[table + TABLE_MASK] + 1;
    const end = first + i32[table + TABLE_USED] * words;
    this.reachStorage(storage, end - storage);
    for (let entry = first; entry < end; entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      this.reachSlot(keySlot, entry);
      this.reachSlot(itemSlot, entry + 2);
    }
  }

  private reachSlot(slot: number, word: Address): void {
    const high = this.i32[word + 1];
    const isReference =
      slot === SLOT_REF ||
      slot === SLOT_STR ||
      (slot === SLOT_ANY && (high === TAG_OBJECT || high === TAG_STRING));
    if (isReference) this.reach(this.i32[word]);
  }
}
