/**
 * How many references to each candidate come from other candidates (CPython: `update_refs`,
 * `subtract_refs`).
 *
 * CPython copies each object's count into its header and works there. Here the internal references are counted in a
 * side array of one byte a 16-byte granule, so that counting touches one byte a reference and no header:
 *
 *   0          no candidate (a full collection does not ask, and counts for every granule)
 *   1 .. 252   one, with value - 1 references found so far
 *   253        one, with 252 or more: the rest is counted in `excess`
 *   254, 255   what the scan has found out since (partition.ts)
 *
 * The side array lies outside the reservation: a full heap can be collected.
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  CONTROL_FIRST_PAGE,
  FLAG_FROZEN,
  FLAG_OBSERVED,
  FLAG_TRACKED,
  GRANULE_SHIFT,
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
  SIDE_MEMBER,
  SIDE_OUTSIDE,
  SIDE_REACHABLE,
  SIDE_SATURATED,
  TYPE_ID_MASK,
  TYPE_SHIFT,
  TYPE_TRAVERSE,
} from "../memory/layout.js";
import type { Traversal } from "../object/traverse.js";
import type { TypeTable } from "../object/type.js";

export interface InternalCounts {
  /** Count all references to and from tracked objects that are not frozen. */
  countAll(): void;
  /** Make an object a member, to which no reference has been counted yet. */
  admit(object: Address): void;
  /** Count the references from these members to members. */
  countMembers(members: Int32Array, count: number): void;
  /** References from members, by what the side byte of a member that is not yet judged says. */
  of(granule: number, seen: number): number;
  /** Whether any of those counted last is observed. */
  isAnyObserved(): boolean;
  /** Set the side bytes of these objects back to 0. */
  clear(members: Int32Array, count: number): void;
  /** The same for all objects. */
  clearAll(): void;
}

/** Side bytes are filled eight at a time. */
const FILL_SHIFT = 3;
const EIGHT_ONES = 0x0101010101010101n;

/** Closures over constants, as in refcount.ts. */
export function createInternalCounts(
  allocator: Allocator,
  traversal: Traversal,
  types: TypeTable,
): InternalCounts {
  const { i32, side, sideWords } = allocator.memory;
  const typeBase = types.base;
  const firstGranule = (i32[CONTROL_FIRST_PAGE] << PAGE_SHIFT) >>> GRANULE_SHIFT;

  /** References beyond 252, by granule, of the objects that have so many. Empty between collections. */
  const excess = new Map<number, number>();
  let flagsCounted = 0;

  function countAll(): void {
    flagsCounted = 0;
    fill(SIDE_MEMBER);
    for (const { page, descriptor } of allocator.pageRuns()) {
      const state = i32[descriptor + PAGE_STATE] & 0xff;
      if (state !== PAGE_SMALL + KIND_CONTAINER && state !== PAGE_LARGE + KIND_CONTAINER) continue;
      countPage(page << PAGE_SHIFT, i32[descriptor + PAGE_BLOCK_WORDS], i32[descriptor + PAGE_CAPACITY]);
    }
    side[0] = SIDE_REACHABLE; // null
  }

  function of(granule: number, seen: number): number {
    return seen !== SIDE_SATURATED ? seen - SIDE_MEMBER : SIDE_SATURATED - SIDE_MEMBER + excessOf(granule);
  }

  function isAnyObserved(): boolean {
    return (flagsCounted & FLAG_OBSERVED) !== 0;
  }

  function clear(members: Int32Array, count: number): void {
    if (excess.size > 0) excess.clear();
    for (let index = 0; index < count; index++) side[members[index] >>> GRANULE_SHIFT] = SIDE_OUTSIDE;
    side[0] = SIDE_OUTSIDE;
  }

  function clearAll(): void {
    if (excess.size > 0) excess.clear();
    fill(SIDE_OUTSIDE);
  }

  /** The side bytes of every page in use, and of null. */
  function fill(value: number): void {
    const end = allocator.wordsTouchedMax >>> GRANULE_SHIFT;
    sideWords.fill(BigInt(value) * EIGHT_ONES, firstGranule >>> FILL_SHIFT, end >>> FILL_SHIFT);
    side[0] = value;
  }

  function admit(object: Address): void {
    side[object >>> GRANULE_SHIFT] = SIDE_MEMBER;
  }

  function countMembers(members: Int32Array, count: number): void {
    let flags = 0;
    for (let index = 0; index < count; index++) {
      const object = members[index];
      const type = i32[object + HEADER_TYPE];
      flags |= type;
      const words = traverseWords(type);
      if (words === 3) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        const c = i32[object + HEADER_WORDS + 2];
        countMember(a);
        countMember(b);
        countMember(c);
      } else if (words >= 0) {
        for (let word = object + HEADER_WORDS, last = word + words; word < last; word++)
          countMember(i32[word]);
      } else if (traversal.isReferenceList(object)) {
        const items = i32[object + LIST_ITEMS];
        for (let word = items + i32[object + LIST_LENGTH] - 1; word >= items; word--) countMember(i32[word]);
      } else {
        const found = traversal.collect(object);
        for (let each = 0; each < found; each++) countMember(traversal.referents[each]);
      }
    }
    flagsCounted = flags;
  }

  function countMember(reference: Address): void {
    if (reference === 0) return;
    const granule = reference >>> GRANULE_SHIFT;
    const seen = side[granule];
    if (seen === SIDE_OUTSIDE) return;
    if (seen !== SIDE_SATURATED) side[granule] = seen + 1;
    else countExcess(granule);
  }

  /**
   * Pages are walked instead of the table: any order of counting is right, and in address order the headers are read in
   * sequence, which the table's order is not once a collection has permuted it.
   */
  function countPage(first: Address, blockWords: number, capacity: number): void {
    const end = first + capacity * blockWords;
    let flags = 0;
    for (let object = first; object < end; object += blockWords) {
      const type = i32[object + HEADER_TYPE];
      if ((type & (FLAG_TRACKED | FLAG_FROZEN)) !== FLAG_TRACKED) continue;
      flags |= type;
      const words = traverseWords(type);
      if (words === 3) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        const c = i32[object + HEADER_WORDS + 2];
        countAny(a);
        countAny(b);
        countAny(c);
      } else if (words === 2) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        countAny(a);
        countAny(b);
      } else if (words >= 0) {
        for (let word = object + HEADER_WORDS, last = word + words; word < last; word++) countAny(i32[word]);
      } else if (traversal.isReferenceList(object)) {
        const items = i32[object + LIST_ITEMS];
        for (let word = items + i32[object + LIST_LENGTH] - 1; word >= items; word--) countAny(i32[word]);
      } else {
        const found = traversal.collect(object);
        for (let index = 0; index < found; index++) countAny(traversal.referents[index]);
      }
    }
    flagsCounted |= flags;
  }

  /** The same without a question: nobody reads what is counted for an object that is not in the generation. */
  function countAny(reference: Address): void {
    // Nulls counted in one byte would have each wait for the one before; the test goes one way in most heaps.
    if (reference === 0) return;
    const granule = reference >>> GRANULE_SHIFT;
    const seen = side[granule];
    if (seen !== SIDE_SATURATED) side[granule] = seen + 1;
    else countExcess(granule);
  }

  function countExcess(granule: number): void {
    excess.set(granule, excessOf(granule) + 1);
  }

  function excessOf(granule: number): number {
    return excess.get(granule) ?? 0;
  }

  /** TYPE_TRAVERSE of the type of a type word. */
  function traverseWords(typeWord: number): number {
    return i32[typeBase + ((typeWord & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_TRAVERSE];
  }

  return { countAll, admit, countMembers, of, isAnyObserved, clear, clearAll };
}
