/** Making objects: the header, the count of allocations, and the trigger of a collection. */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  CHUNK_MASK,
  CONTROL_COUNTS,
  CONTROL_TRIGGER,
  CONTROL_YOUNG_CURSOR,
  FLAG_OBSERVED,
  FLAG_POOLED,
  FLAG_TRACKED,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  HEADER_WORDS,
  KIND_CONTAINER,
  KIND_LEAF,
  TYPE_BLOCK_KIND,
  TYPE_FLAGS,
  TYPE_GC,
  TYPE_OBJECT_WORDS,
  TYPE_SIZE_CLASS,
  TYPE_TRACKED_AT_BIRTH,
} from "../memory/layout.js";
import type { Generations } from "./generation.js";
import type { Hooks } from "./hooks.js";
import type { TypeTable } from "./type.js";

export interface Objects {
  /**
   * A new object of any type, owned by the caller. Its payload is undefined: the caller fills it before anything else
   * happens in the heap.
   * @throws OutOfMemoryError; nothing is then left behind
   */
  create(typeId: number): Address;
  /**
   * The same for an object that no cycle can pass through. It does not count towards count0.
   * @param typeWord of the type table (`typeWord`)
   */
  createLeaf(typeWord: number, sizeClass: number): Address;
  /**
   * A zeroed instance that belongs to a pool, owned by the caller. It is not tracked and counts for nothing: that begins
   * when it is acquired. @throws OutOfMemoryError
   */
  createPooled(typeId: number): Address;
  /** The same for an object that is tracked from birth, at the tail of generation 0: the hot path of `heap.new`. */
  createTracked(typeWord: number, sizeClass: number): Address;
}

/** Closures over constants, as in refcount.ts. */
export function createObjects(
  allocator: Allocator,
  generations: Generations,
  types: TypeTable,
  hooks: Hooks,
): Objects {
  const { i32 } = allocator.memory;

  function create(typeId: number): Address {
    const type = types.descriptor(typeId);
    const sizeClass = i32[type + TYPE_SIZE_CLASS];
    const flags = i32[type + TYPE_FLAGS];
    const typeWord = types.typeWord(typeId);
    if (sizeClass < 0) return createLarge(typeWord, i32[type + TYPE_OBJECT_WORDS], flags);
    if ((flags & TYPE_GC) === 0) return createLeaf(typeWord, sizeClass);
    if ((flags & TYPE_TRACKED_AT_BIRTH) !== 0) return createTracked(typeWord, sizeClass);
    return createUntracked(typeWord, sizeClass);
  }

  function createLeaf(typeWord: number, sizeClass: number): Address {
    const object = allocator.allocateClass(KIND_LEAF, sizeClass);
    i32[object + HEADER_REFCOUNT] = 1;
    i32[object + HEADER_TYPE] = typeWord;
    return object;
  }

  function createTracked(typeWord: number, sizeClass: number): Address {
    countAllocation();
    if ((i32[CONTROL_YOUNG_CURSOR] & CHUNK_MASK) === 0) generations.openYoung();
    const object = allocator.allocateClass(KIND_CONTAINER, sizeClass);
    const entry = i32[CONTROL_YOUNG_CURSOR];
    i32[object + HEADER_REFCOUNT] = 1;
    i32[object + HEADER_TYPE] = typeWord | FLAG_TRACKED;
    i32[object + HEADER_ENTRY] = entry;
    i32[entry] = object;
    i32[CONTROL_YOUNG_CURSOR] = entry + 1;
    return object;
  }

  /** An object that may be tracked later: a dict without containers. It counts all the same. */
  function createUntracked(typeWord: number, sizeClass: number): Address {
    countAllocation();
    const object = allocator.allocateClass(KIND_CONTAINER, sizeClass);
    i32[object + HEADER_REFCOUNT] = 1;
    i32[object + HEADER_TYPE] = typeWord;
    return object;
  }

  function createPooled(typeId: number): Address {
    const type = types.descriptor(typeId);
    const words = i32[type + TYPE_OBJECT_WORDS];
    const object = allocator.allocate(i32[type + TYPE_BLOCK_KIND], words);
    types.notePool();
    i32[object + HEADER_REFCOUNT] = 1;
    i32[object + HEADER_TYPE] = types.typeWord(typeId) | FLAG_POOLED | FLAG_OBSERVED;
    i32.fill(0, object + HEADER_WORDS, object + words);
    return object;
  }

  function createLarge(typeWord: number, words: number, flags: number): Address {
    const isGc = (flags & TYPE_GC) !== 0;
    if (isGc) {
      countAllocation();
      generations.openYoung();
    }
    const object = allocator.allocate(isGc ? KIND_CONTAINER : KIND_LEAF, words);
    i32[object + HEADER_REFCOUNT] = 1;
    i32[object + HEADER_TYPE] = typeWord;
    if ((flags & TYPE_TRACKED_AT_BIRTH) !== 0) generations.track(object);
    return object;
  }

  /**
   * Count one allocation, or collect when that passes the threshold; the triggering allocation is then not counted, so
   * the period is threshold0 + 1 allocations, as in CPython.
   */
  function countAllocation(): void {
    const count = i32[CONTROL_COUNTS];
    if (count >= i32[CONTROL_TRIGGER]) hooks.beforeAllocation();
    else i32[CONTROL_COUNTS] = count + 1;
  }

  return { create, createLeaf, createTracked, createPooled };
}
