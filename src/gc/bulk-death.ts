/**
 * Deaths that nobody can watch, all at once (docs/design/0007).
 *
 * Clearing garbage in CPython's order takes a reference away at a time and frees an object when its count is 0. Where no
 * finalizer, weak reference, foreign value or pool looks at any of these deaths, their order cannot be told afterwards:
 * each object is freed where it stands, its references to other garbage are not counted down, and those that leave the
 * garbage are dropped as always.
 *
 * The garbage is known by its side bytes, SIDE_TENTATIVE, which stay as they are until all of it is freed: a reference to
 * what is freed already is thus told from one that leaves.
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  CONTROL_COUNTS,
  CONTROL_FIRST_PAGE,
  CONTROL_TOP_PAGE,
  FLAG_OBSERVED,
  GRANULE_SHIFT,
  HEADER_ENTRY,
  HEADER_TYPE,
  HEADER_WORDS,
  KIND_CONTAINER,
  LIST_ITEMS,
  LIST_LENGTH,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_LARGE,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  SIDE_REACHABLE,
  SIDE_TENTATIVE,
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
  TYPE_ID_MASK,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_SHIFT,
  TYPE_TRAVERSE,
} from "../memory/layout.js";
import type { Generations } from "../object/generation.js";
import { isDeletedEntry, type ReferenceCounts } from "../object/refcount.js";
import { entryWords, holdsReference, slotWords } from "../object/slot.js";
import type { Traversal } from "../object/traverse.js";
import type { TypeTable } from "../object/type.js";

/**
 * Who may see the garbage of a collection die. "none": nobody in this heap. "some": it has finalizers, weak references,
 * foreign values or pools, and each dead object has to be asked. "order": somebody is shown the garbage in its order.
 */
export type Watched = "none" | "some" | "order";

export interface BulkDeath {
  /** Write the garbage in pages of containers into `list`, highest address first. @returns how many. O(blocks) */
  listByAddress(list: Int32Array): number;
  /**
   * Whether neither these objects nor what dies with them is watched: a sufficient condition. What is not garbage itself
   * must be reachable, or unobserved and without references, so that nothing further hangs on it. O(references)
   */
  isUnwatched(garbage: Int32Array, count: number): boolean;
  /** Free these objects, which stand in a generation's table, and drop the references that leave them. O(references) */
  free(garbage: Int32Array, count: number): void;
}

/** Closures over constants, as in refcount.ts. */
export function createBulkDeath(
  allocator: Allocator,
  generations: Generations,
  counts: ReferenceCounts,
  traversal: Traversal,
  types: TypeTable,
): BulkDeath {
  const { i32, side } = allocator.memory;
  const typeBase = types.base;

  function listByAddress(list: Int32Array): number {
    let count = 0;
    // Blocks are freed in this order, so that the page's free list, last in first out, hands out rising addresses.
    for (let page = i32[CONTROL_TOP_PAGE] - 1; page >= i32[CONTROL_FIRST_PAGE]; page--) {
      const descriptor = allocator.descriptorOf(page);
      // A page inside a free run keeps its old state; its side bytes say that nothing in it is garbage.
      const state = i32[descriptor + PAGE_STATE] & 0xff;
      if (state !== PAGE_SMALL + KIND_CONTAINER && state !== PAGE_LARGE + KIND_CONTAINER) continue;
      const words = i32[descriptor + PAGE_BLOCK_WORDS];
      const first = page << PAGE_SHIFT;
      for (let block = first + (i32[descriptor + PAGE_CAPACITY] - 1) * words; block >= first; block -= words)
        if (side[block >>> GRANULE_SHIFT] === SIDE_TENTATIVE) list[count++] = block;
    }
    return count;
  }

  // -- who watches ----------------------------------------------------------------------------

  function isUnwatched(garbage: Int32Array, count: number): boolean {
    for (let index = 0; index < count; index++) {
      const object = garbage[index];
      const type = i32[object + HEADER_TYPE];
      if ((type & FLAG_OBSERVED) !== 0) return false;
      const words = i32[typeBase + ((type & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_TRAVERSE];
      if (words >= 0) {
        for (let word = object + HEADER_WORDS, last = word + words; word < last; word++)
          if (!goesUnwatched(i32[word])) return false;
      } else {
        const found = traversal.collect(object);
        for (let each = 0; each < found; each++) if (!goesUnwatched(traversal.referents[each])) return false;
      }
    }
    return true;
  }

  /** Whether a referent of garbage is garbage too, or lives on, or dies without anybody's knowing. */
  function goesUnwatched(reference: Address): boolean {
    const seen = side[reference >>> GRANULE_SHIFT];
    if (seen === SIDE_TENTATIVE || seen === SIDE_REACHABLE || reference === 0) return true;
    const type = i32[reference + HEADER_TYPE];
    if ((type & FLAG_OBSERVED) !== 0) return false;
    return i32[typeBase + ((type & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_TRAVERSE] === 0;
  }

  // -- freeing --------------------------------------------------------------------------------

  function free(garbage: Int32Array, count: number): void {
    side[0] = SIDE_TENTATIVE; // null leaves nothing
    let containers = 0;
    for (let index = 0; index < count; index++) {
      const object = garbage[index];
      const drop = i32[typeBase + ((i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_DROP];
      const words = drop >> 1;
      if (words === 3) {
        leave(i32[object + HEADER_WORDS]);
        leave(i32[object + HEADER_WORDS + 1]);
        leave(i32[object + HEADER_WORDS + 2]);
      } else if (words >= 0) {
        for (let word = object + HEADER_WORDS, last = word + words; word < last; word++) leave(i32[word]);
      } else leaveAll(object, words);
      containers += drop & 1;
      generations.removeEntry(i32[object + HEADER_ENTRY]);
      allocator.freeObject(object);
    }
    i32[CONTROL_COUNTS] = Math.max(0, i32[CONTROL_COUNTS] - containers);
  }

  /** Drop a reference, unless it leads to garbage. What dies of it cannot refer to garbage: that would be reachable. */
  function leave(reference: Address): void {
    if (side[reference >>> GRANULE_SHIFT] !== SIDE_TENTATIVE) counts.decref(reference);
  }

  function leaveSlot(slot: number, word: Address): void {
    if (slot === SLOT_ANY) {
      const tag = i32[word + 1];
      if (tag === TAG_OBJECT || tag === TAG_STRING) leave(i32[word]);
    } else if (slot === SLOT_REF || slot === SLOT_STR) leave(i32[word]);
  }

  /** The same for all references of an object that are not side by side; its storage is freed. */
  function leaveAll(object: Address, drop: number): void {
    const type = types.descriptorOf(object);
    if (drop === TRAVERSE_EDGES) leaveEdges(object, i32[type + TYPE_EDGES], i32[type + TYPE_EDGE_COUNT]);
    else if (drop === TRAVERSE_LIST) leaveItems(object, i32[type + TYPE_ITEM_SLOT]);
    else leaveEntries(object, i32[type + TYPE_KEY_SLOT], i32[type + TYPE_ITEM_SLOT]);
  }

  function leaveEdges(object: Address, edges: Address, count: number): void {
    for (let index = 0; index < count; index++) {
      const edge = i32[edges + index];
      leaveSlot(edge >>> TYPE_EDGE_SLOT_SHIFT, object + (edge & TYPE_EDGE_OFFSET_MASK));
    }
  }

  function leaveItems(list: Address, slot: number): void {
    const items = i32[list + LIST_ITEMS];
    if (items === 0) return;
    const words = slotWords(slot);
    const end = items + i32[list + LIST_LENGTH] * words;
    if (holdsReference(slot)) for (let word = items; word < end; word += words) leaveSlot(slot, word);
    allocator.free(items);
  }

  function leaveEntries(table: Address, keySlot: number, itemSlot: number): void {
    const storage = i32[table + TABLE_STORAGE];
    if (storage === 0) return;
    const words = entryWords(itemSlot);
    let entry = storage + i32[table + TABLE_MASK] + 1;
    for (const end = entry + i32[table + TABLE_USED] * words; entry < end; entry += words) {
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      leaveSlot(keySlot, entry);
      leaveSlot(itemSlot, entry + 2);
    }
    allocator.free(storage);
  }

  return { listByAddress, isUnwatched, free };
}
