/**
 * The referents of one object, in CPython's visit order (`tp_traverse`): fields in shape order, lists and tuples last
 * to first, hash tables in insertion order (value, then key). Strings are left out: nothing hangs on them.
 */

import {
  type Address,
  HEADER_WORDS,
  LIST_ITEMS,
  LIST_LENGTH,
  SLOT_ANY,
  SLOT_REF,
  TABLE_MASK,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_OBJECT,
  TRAVERSE_EDGES,
  TRAVERSE_LIST,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_TRAVERSE,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { isDeletedEntry } from "./refcount.js";
import { entryWords } from "./slot.js";
import type { TypeTable } from "./type.js";

export class Traversal {
  private readonly i32: Int32Array;
  private readonly types: TypeTable;
  /** What the last `collect` found, from index 0 on. Valid until the next call. */
  referents = new Int32Array(256);
  private count = 0;

  constructor(memory: Memory, types: TypeTable) {
    this.i32 = memory.i32;
    this.types = types;
  }

  /** Whether it is a list whose items are all references, or null: a walk needs no copy of them. */
  isReferenceList(object: Address): boolean {
    const type = this.types.descriptorOf(object);
    return this.i32[type + TYPE_TRAVERSE] === TRAVERSE_LIST && this.i32[type + TYPE_ITEM_SLOT] === SLOT_REF;
  }

  /** Write the object's referents into `referents`, one entry a reference, and return how many. O(references). */
  collect(object: Address): number {
    const { i32 } = this;
    const type = this.types.descriptorOf(object);
    const traverse = i32[type + TYPE_TRAVERSE];
    this.count = 0;
    if (traverse >= 0) this.collectWords(object + HEADER_WORDS, traverse);
    else if (traverse === TRAVERSE_EDGES) this.collectEdges(object, type);
    else if (traverse === TRAVERSE_LIST) this.collectItems(object, i32[type + TYPE_ITEM_SLOT]);
    else this.collectEntries(object, i32[type + TYPE_KEY_SLOT], i32[type + TYPE_ITEM_SLOT]);
    return this.count;
  }

  private collectWords(first: Address, words: number): void {
    this.ensure(words);
    for (let word = first; word < first + words; word++)
      if (this.i32[word] !== 0) this.referents[this.count++] = this.i32[word];
  }

  private collectEdges(object: Address, type: Address): void {
    const { i32 } = this;
    const count = i32[type + TYPE_EDGE_COUNT];
    this.ensure(count);
    for (let index = 0; index < count; index++) {
      const edge = i32[i32[type + TYPE_EDGES] + index];
      this.visit(edge >>> TYPE_EDGE_SLOT_SHIFT, object + (edge & TYPE_EDGE_OFFSET_MASK));
    }
  }

  private collectItems(list: Address, slot: number): void {
    const { i32 } = this;
    const items = i32[list + LIST_ITEMS];
    const length = i32[list + LIST_LENGTH];
    this.ensure(length);
    if (slot === SLOT_ANY)
      for (let index = length - 1; index >= 0; index--) this.visit(slot, items + index * 2);
    else for (let index = length - 1; index >= 0; index--) this.visit(slot, items + index);
  }

  private collectEntries(table: Address, keySlot: number, itemSlot: number): void {
    const { i32 } = this;
    const used = i32[table + TABLE_USED];
    const words = entryWords(itemSlot);
    this.ensure(used * 2);
    let entry = i32[table + TABLE_STORAGE] + i32[table + TABLE_MASK] + 1;
    for (let index = 0; index < used; index++, entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      this.visit(itemSlot, entry + 2);
      this.visit(keySlot, entry);
    }
  }

  private visit(slot: number, word: Address): void {
    const reference = this.i32[word];
    if (slot === SLOT_REF ? reference !== 0 : slot === SLOT_ANY && this.i32[word + 1] === TAG_OBJECT)
      this.referents[this.count++] = reference;
  }

  private ensure(count: number): void {
    if (this.referents.length < count)
      this.referents = new Int32Array(Math.max(count, this.referents.length * 2));
  }
}
