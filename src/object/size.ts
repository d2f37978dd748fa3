/** What an object takes of the heap. */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  LIST_ITEMS,
  TABLE_STORAGE,
  WORD_BYTES,
} from "../memory/layout.js";
import type { TypeTable } from "./type.js";

/** Bytes of an object's block and of its storage, slack included (CPython: `sys.getsizeof`). O(1). */
export function objectBytes(allocator: Allocator, types: TypeTable, object: Address): number {
  const storage = storageOf(allocator.memory.i32, types, object);
  const words = allocator.blockWords(object) + (storage === 0 ? 0 : allocator.blockWords(storage));
  return words * WORD_BYTES;
}

/** The storage block of a container, or 0. */
export function storageOf(i32: Int32Array, types: TypeTable, object: Address): Address {
  const kind = types.kindOf(object);
  if (kind === KIND_LIST || (kind === KIND_FOREIGN && types.isHolder(object)))
    return i32[object + LIST_ITEMS];
  return kind === KIND_DICT || kind === KIND_SET ? i32[object + TABLE_STORAGE] : 0;
}
