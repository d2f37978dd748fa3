/**
 * Which part of generation 2 a full collection need not look at again.
 *
 * After a full collection every object of the table has a reason to be where it is: it is held from outside, or something
 * that stands before it refers to it. CPython's next full collection would leave it there, alive, for as long as the
 * reason lasts; a reason ends only when a reference to the object is dropped and others are left. So the entries before
 * the boundary are settled; a drop that leaves a count above 0 moves the boundary to the object's entry, if it was before
 * it; and a full collection partitions what stands behind it, taking references from before it for references from outside.
 *
 *   entries:  | settled ............. | boundary: not settled ...... | generation 1 and 0, when they have joined |
 *
 * What takes a reference's place without a drop has to say so: a reference that a running operation held (a root for a
 * collection meanwhile) and then stored, and an object that enters a table anew. Raw references say nothing, and neither
 * do handles that foreign values name: with them nothing is ever settled. A boundary too low costs time and nothing else.
 */
import {
  type Address,
  CHUNK_GENERATION,
  CHUNK_MASK,
  CHUNK_SEQUENCE,
  CONTROL_SETTLED,
  CONTROL_SETTLED_END,
  CONTROL_SETTLED_FROM,
  CONTROL_SETTLED_FROM_END,
  CONTROL_SETTLINGS,
  FLAG_SETTLED,
  FLAG_TRACKED,
  HEADER_ENTRY,
  HEADER_TYPE,
} from "../memory/layout.js";

export interface Settled {
  /**
   * A reference to an object with FLAG_SETTLED was dropped, and others are left. Clears the flag, which only says that asking
   * may be worth it. O(1).
   */
  unsettle(object: Address): void;
  /** Nothing is settled any more. */
  unsettleAll(): void;
  /**
   * What an operation has owned since `settlings` was read, and stored now: a collection in between took it for held from
   * outside. Asked where CONTROL_SETTLINGS has changed.
   */
  unsettleStored(object: Address, settlings: number): void;
}

export function createSettled(i32: Int32Array): Settled {
  function unsettle(object: Address): void {
    i32[object + HEADER_TYPE] &= ~FLAG_SETTLED;
    if (i32[CONTROL_SETTLED] !== 0 && isBefore(object, i32[CONTROL_SETTLED], i32[CONTROL_SETTLED_END])) {
      const entry = i32[object + HEADER_ENTRY];
      i32[CONTROL_SETTLED] = entry & ~CHUNK_MASK;
      i32[CONTROL_SETTLED_END] = entry;
    }
  }

  function isBefore(object: Address, chunk: Address, end: Address): boolean {
    if ((i32[object + HEADER_TYPE] & FLAG_TRACKED) === 0) return false;
    const entry = i32[object + HEADER_ENTRY];
    const own = entry & ~CHUNK_MASK;
    if (i32[own + CHUNK_GENERATION] !== 2) return false;
    return own === chunk ? entry < end : i32[own + CHUNK_SEQUENCE] < i32[chunk + CHUNK_SEQUENCE];
  }

  function unsettleAll(): void {
    i32[CONTROL_SETTLED] = 0;
  }

  function unsettleStored(object: Address, settlings: number): void {
    const from = i32[CONTROL_SETTLED_FROM];
    // What the last collection did not look at was settled without the reference that is stored now.
    const wasSettled =
      i32[CONTROL_SETTLINGS] === settlings + 1 &&
      from !== 0 &&
      isBefore(object, from, i32[CONTROL_SETTLED_FROM_END]);
    if (!wasSettled) unsettle(object);
  }

  return { unsettle, unsettleAll, unsettleStored };
}
