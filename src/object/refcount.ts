/**
 * Reference counts and death.
 *
 * An object dies the moment its count reaches 0, and takes with it, depth first and in shape order, whatever it alone
 * held. The order is CPython's (`subtype_dealloc`, `list_dealloc`, `dict_dealloc`, `tupledealloc`), its trashcan rule
 * included: a container that dies while 50 deaths are already nested is deferred, and the outermost death takes the
 * deferred ones up, newest first, when its own nesting is over.
 *
 * There is no recursion: the nested deaths are frames in two fixed arrays, the deferred ones a list through their own
 * headers, so a chain of any length dies in constant stack and without allocating.
 *
 * What each header word means to a dying object:
 *
 *   refcount   0; or still 1 when the object dies with what held it, where nobody reads it any more
 *   type       still its type, until its block is free
 *   serial     raised when its block is freed, or when it is deferred: views of it are then stale
 *   entry      of no table any more; while deferred: the object deferred before it
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  CONTROL_COUNTS,
  CONTROL_DEFERRED,
  FLAG_DYING,
  FLAG_FROZEN,
  FLAG_OBSERVED,
  FLAG_SETTLED,
  FLAG_TRACKED,
  HASH_DELETED,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  HEADER_WORDS,
  LIST_ITEMS,
  LIST_LENGTH,
  SLOT_ANY,
  SLOT_REF,
  SLOT_STR,
  TABLE_MASK,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_EMPTY,
  TAG_OBJECT,
  TAG_STRING,
  TRASHCAN_LIMIT,
  TRAVERSE_EDGES,
  TRAVERSE_LIST,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_ID_MASK,
  TYPE_ID_WEAKREF,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_SHIFT,
} from "../memory/layout.js";
import type { Generations } from "./generation.js";
import type { Hooks } from "./hooks.js";
import { entryWords, holdsReference, slotWords } from "./slot.js";
import type { TypeTable } from "./type.js";

export interface ReferenceCounts {
  incref(object: Address): void;
  /** Drop one reference; at 0 the object is dead, and freed, before this returns. O(objects that die). */
  decref(object: Address): void;
  /** Drop the reference that a slot holds, if it holds one. The slot keeps its bits. */
  decrefSlot(slot: number, word: Address): void;
  /** Drop the reference in the two words of an `any` slot, if they hold one. */
  decrefAny(low: number, high: number): void;
}

/**
 * A function of closures rather than a class: what they capture is constant, so the engine folds the memory's base and
 * length into the code of `die`. The same code as methods took twice as long (docs/design/0002).
 */
export function createReferenceCounts(
  allocator: Allocator,
  generations: Generations,
  types: TypeTable,
  hooks: Hooks,
): ReferenceCounts {
  const { i32 } = allocator.memory;
  const typeBase = types.base;
  const { unsettle } = generations.settled;

  /** Deaths under way, outermost first: the object, its TYPE_DROP and how far its references have been dropped. */
  const frameObject = new Int32Array(TRASHCAN_LIMIT);
  const frameDrop = new Int32Array(TRASHCAN_LIMIT);
  const frameCursor = new Int32Array(TRASHCAN_LIMIT);
  /** How many deaths are under way; one that starts in code that a death calls nests on top of them. */
  let nesting = 0;
  /** Where `nextDying` stopped in the current object. */
  let nextCursor = 0;

  function incref(object: Address): void {
    i32[object + HEADER_REFCOUNT]++;
  }

  function decref(object: Address): void {
    const count = i32[object + HEADER_REFCOUNT] - 1;
    i32[object + HEADER_REFCOUNT] = count;
    if (count === 0) dealloc(object);
    else if ((i32[object + HEADER_TYPE] & FLAG_SETTLED) !== 0) unsettle(object);
  }

  function decrefSlot(slot: number, word: Address): void {
    const low = i32[word];
    if (slot === SLOT_ANY) decrefAny(low, i32[word + 1]);
    else if ((slot === SLOT_REF || slot === SLOT_STR) && low !== 0) decref(low);
  }

  function decrefAny(low: number, high: number): void {
    if ((high === TAG_OBJECT || high === TAG_STRING) && low !== 0) decref(low);
  }

  /** End an object whose count is 0, and all that it alone held. */
  function dealloc(object: Address): void {
    if ((i32[object + HEADER_TYPE] & FLAG_TRACKED) !== 0) generations.removeEntry(i32[object + HEADER_ENTRY]);
    const dead = endWeakrefs(object);
    if (dead === 0) return;
    if (nesting >= TRASHCAN_LIMIT) {
      defer(dead);
      return;
    }
    die(dead, nesting);
    if (nesting === 0 && i32[CONTROL_DEFERRED] !== 0) dieDeferred();
  }

  /** The outermost death takes up what was deferred, newest first; it counts as one nested death meanwhile. */
  function dieDeferred(): void {
    nesting = 1;
    for (let object = i32[CONTROL_DEFERRED]; object !== 0; object = i32[CONTROL_DEFERRED]) {
      i32[CONTROL_DEFERRED] = i32[object + HEADER_ENTRY];
      die(object, 1);
    }
    nesting = 0;
  }

  /**
   * One death and those nested in it. Invariant of the loop: frames [floor, depth) are dying ancestors whose cursors
   * say how far their references have been dropped; (object, drop, cursor) is the death being worked on.
   */
  function die(dead: Address, floor: number): void {
    let depth = floor;
    let containersFreed = 0;
    let knownType = 0;
    let knownDrop = 0;
    let object = dead;
    let drop = dropOf(dead);
    let cursor = drop >= 0 ? object + HEADER_WORDS : 0;
    let end = object + HEADER_WORDS + (drop >> 1);
    if ((i32[dead + HEADER_TYPE] & FLAG_OBSERVED) !== 0 && isResurrected(dead, floor, floor)) return;
    for (;;) {
      let child = 0;
      let childDrop = 0;
      let observed = 0;
      if (drop >= 0) {
        while (cursor < end) {
          const reference = i32[cursor++];
          if (reference === 0) continue;
          // A last reference is not written off: nobody reads the count of what is dead, unless it is deferred.
          const count = i32[reference + HEADER_REFCOUNT];
          if (count !== 1) {
            i32[reference + HEADER_REFCOUNT] = count - 1;
            if ((i32[reference + HEADER_TYPE] & FLAG_SETTLED) !== 0) unsettle(reference);
            continue;
          }
          const type = i32[reference + HEADER_TYPE];
          if (type === knownType) childDrop = knownDrop;
          else {
            if ((type & FLAG_TRACKED) !== 0) generations.removeEntry(i32[reference + HEADER_ENTRY]);
            childDrop = i32[typeBase + ((type & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_DROP];
            observed = type & FLAG_OBSERVED;
            if ((type & (FLAG_TRACKED | FLAG_OBSERVED)) === 0) {
              knownType = type;
              knownDrop = childDrop;
            }
          }
          if (observed !== 0 || mayHold(reference, childDrop)) {
            child = reference;
            break;
          }
          // No frame is needed for an object that holds nothing, and there is no order to keep.
          containersFreed += childDrop & 1;
          allocator.freeObject(reference);
        }
      } else {
        nextCursor = cursor;
        child = nextDying(object, drop >> 1);
        cursor = nextCursor;
        if (child !== 0) {
          if ((i32[child + HEADER_TYPE] & FLAG_TRACKED) !== 0)
            generations.removeEntry(i32[child + HEADER_ENTRY]);
          childDrop = dropOf(child);
          observed = i32[child + HEADER_TYPE] & FLAG_OBSERVED;
          if (observed === 0 && !mayHold(child, childDrop)) {
            containersFreed += childDrop & 1;
            allocator.freeObject(child);
            continue;
          }
        }
      }
      if (observed !== 0) {
        child = endWeakrefs(child);
        if (child === 0) continue;
        childDrop = dropOf(child);
        observed = i32[child + HEADER_TYPE] & FLAG_OBSERVED;
      }
      if (child !== 0) {
        if (depth + 1 >= TRASHCAN_LIMIT) {
          defer(child);
          continue;
        }
        frameObject[depth] = object;
        frameDrop[depth] = drop;
        frameCursor[depth] = cursor;
        depth++;
        object = child;
        drop = childDrop;
        cursor = drop >= 0 ? object + HEADER_WORDS : 0;
        if (observed !== 0) {
          // What has died so far must be counted before anybody looks.
          i32[CONTROL_COUNTS] = Math.max(0, i32[CONTROL_COUNTS] - containersFreed);
          containersFreed = 0;
          if (isResurrected(object, floor, depth)) {
            depth--;
            object = frameObject[depth];
            drop = frameDrop[depth];
            cursor = frameCursor[depth];
          }
        }
      } else {
        if (drop >> 1 < TRAVERSE_EDGES) freeStorage(object, drop >> 1);
        containersFreed += drop & 1;
        allocator.freeObject(object);
        if (depth === floor) break;
        depth--;
        object = frameObject[depth];
        drop = frameDrop[depth];
        cursor = frameCursor[depth];
      }
      end = object + HEADER_WORDS + (drop >> 1);
    }
    i32[CONTROL_COUNTS] = Math.max(0, i32[CONTROL_COUNTS] - containersFreed);
  }

  /**
   * Have what observes a death see it: finalizer, weak references, their callbacks. User code runs, so that first the
   * dying around it are put out of its sight: out of the collector's by their flags, out of JavaScript's by their serials.
   * @returns whether the object lives on
   */
  function isResurrected(object: Address, floor: number, depth: number): boolean {
    for (let level = floor; level < depth; level++) hide(frameObject[level]);
    hide(object);
    const outer = nesting;
    nesting = depth + 1;
    const lives = hooks.beforeDeath(object);
    nesting = outer;
    return lives;
  }

  function hide(dying: Address): void {
    const type = i32[dying + HEADER_TYPE];
    if ((type & FLAG_DYING) !== 0) return;
    i32[dying + HEADER_TYPE] = (type & ~(FLAG_TRACKED | FLAG_FROZEN)) | FLAG_DYING;
    i32[dying + HEADER_SERIAL]++;
  }

  /**
   * Free a dead weak reference, if it is one. What it alone held, its callback, dies in its place and at the same nesting,
   * because CPython's `weakref_dealloc` does not count for the trashcan.
   * @returns what is left to die, in no table any more; 0: nothing
   */
  function endWeakrefs(object: Address): Address {
    let dead = object;
    while ((i32[dead + HEADER_TYPE] & TYPE_ID_MASK) === TYPE_ID_WEAKREF) {
      const callback = hooks.endWeakref(dead);
      allocator.freeObject(dead);
      i32[CONTROL_COUNTS] = Math.max(0, i32[CONTROL_COUNTS] - 1);
      if (callback === 0) return 0;
      if (i32[callback + HEADER_REFCOUNT] !== 1) {
        i32[callback + HEADER_REFCOUNT]--;
        unsettle(callback);
        return 0;
      }
      if ((i32[callback + HEADER_TYPE] & FLAG_TRACKED) !== 0)
        generations.removeEntry(i32[callback + HEADER_ENTRY]);
      dead = callback;
    }
    return dead;
  }

  /** TYPE_DROP of an object's type. */
  function dropOf(object: Address): number {
    return i32[typeBase + ((i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_DROP];
  }

  /** False for an object that holds no reference: strings, and the leaves of every tree. A cheap test, not a search. */
  function mayHold(object: Address, drop: number): boolean {
    const count = drop >> 1;
    if (count === 3)
      return (
        (i32[object + HEADER_WORDS] | i32[object + HEADER_WORDS + 1] | i32[object + HEADER_WORDS + 2]) !== 0
      );
    if (count === 2) return (i32[object + HEADER_WORDS] | i32[object + HEADER_WORDS + 1]) !== 0;
    return count !== 0;
  }

  /** Drop references from `nextCursor` on until one dies, and return that object; 0 when none is left. */
  function nextDying(object: Address, drop: number): Address {
    const type = types.descriptorOf(object);
    if (drop === TRAVERSE_EDGES) return nextEdge(object, type);
    if (drop === TRAVERSE_LIST) return nextItem(object, i32[type + TYPE_ITEM_SLOT]);
    return nextEntry(object, i32[type + TYPE_KEY_SLOT], i32[type + TYPE_ITEM_SLOT]);
  }

  /** Cursor: index into the type's edge table. */
  function nextEdge(object: Address, type: Address): Address {
    const edges = i32[type + TYPE_EDGES];
    const count = i32[type + TYPE_EDGE_COUNT];
    while (nextCursor < count) {
      const edge = i32[edges + nextCursor++];
      const dying = dropSlot(edge >>> TYPE_EDGE_SLOT_SHIFT, object + (edge & TYPE_EDGE_OFFSET_MASK));
      if (dying !== 0) return dying;
    }
    return 0;
  }

  /** Cursor: items already dropped; they go last to first. */
  function nextItem(list: Address, slot: number): Address {
    if (!holdsReference(slot)) return 0;
    const items = i32[list + LIST_ITEMS];
    const length = i32[list + LIST_LENGTH];
    const words = slotWords(slot);
    while (nextCursor < length) {
      nextCursor++;
      const dying = dropSlot(slot, items + (length - nextCursor) * words);
      if (dying !== 0) return dying;
    }
    return 0;
  }

  /** Cursor: twice the entry, plus 1 once its key is dropped. Insertion order, key before value. */
  function nextEntry(table: Address, keySlot: number, itemSlot: number): Address {
    if (!holdsReference(keySlot) && !holdsReference(itemSlot)) return 0;
    const used = i32[table + TABLE_USED];
    const words = entryWords(itemSlot);
    const entries = i32[table + TABLE_STORAGE] + i32[table + TABLE_MASK] + 1;
    while (nextCursor < used * 2) {
      const entry = entries + (nextCursor >> 1) * words;
      const isKey = (nextCursor & 1) === 0;
      nextCursor++;
      if (isDeletedEntry(i32, entry, keySlot)) continue;
      const dying = isKey ? dropSlot(keySlot, entry) : dropSlot(itemSlot, entry + 2);
      if (dying !== 0) return dying;
    }
    return 0;
  }

  /** Take one from the count of what a slot holds; the object if that was its last reference, else 0. */
  function dropSlot(slot: number, word: Address): Address {
    const reference = i32[word];
    if (reference === 0) return 0;
    if (slot === SLOT_ANY) {
      const tag = i32[word + 1];
      if (tag !== TAG_OBJECT && tag !== TAG_STRING) return 0;
    } else if (slot !== SLOT_REF && slot !== SLOT_STR) return 0;
    const count = i32[reference + HEADER_REFCOUNT] - 1;
    i32[reference + HEADER_REFCOUNT] = count;
    if (count === 0) return reference;
    if ((i32[reference + HEADER_TYPE] & FLAG_SETTLED) !== 0) unsettle(reference);
    return 0;
  }

  function freeStorage(object: Address, drop: number): void {
    const storage = i32[object + (drop === TRAVERSE_LIST ? LIST_ITEMS : TABLE_STORAGE)];
    if (storage !== 0) allocator.free(storage);
  }

  /**
   * Nested too deep: put the dead object aside. Its references stay counted until it is taken up. Its own count is 0 even
   * where nobody has written that yet: a weak reference to it must find it dead.
   */
  function defer(object: Address): void {
    i32[object + HEADER_REFCOUNT] = 0;
    i32[object + HEADER_TYPE] &= ~(FLAG_TRACKED | FLAG_FROZEN);
    i32[object + HEADER_SERIAL]++;
    i32[object + HEADER_ENTRY] = i32[CONTROL_DEFERRED];
    i32[CONTROL_DEFERRED] = object;
  }

  return { incref, decref, decrefSlot, decrefAny };
}

/** Whether an entry of a hash table was deleted. */
export function isDeletedEntry(i32: Int32Array, entry: Address, keySlot: number): boolean {
  return slotWords(keySlot) === 2 ? i32[entry + 1] === TAG_EMPTY : i32[entry + 1] === HASH_DELETED;
}
