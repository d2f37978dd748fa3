/**
 * Trial deletion: split one generation into what is held from outside it and what is not (CPython: `update_refs`,
 * `subtract_refs`, `move_unreachable`).
 *
 * CPython copies each object's count into its header and works there. Here the internal references are counted in a
 * side array of one byte a 16-byte granule, so that counting touches one byte a reference and no header:
 *
 *   0          not in this generation (a full collection does not ask, and counts for every granule)
 *   1 .. 252   in it, with value - 1 references found so far
 *   253        in it, with 252 or more: the rest is counted in `excess`
 *   254        looked unreachable when the scan came to it
 *   255        reachable
 *
 * Order is CPython's: survivors keep their order, those that only a later object reaches go to the tail as they are
 * found, and the unreachable keep the order of the table. So the scan needs no mark stack: it is one pass over a table
 * that grows at its end. The side arrays lie outside the reservation: a full heap can be collected.
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  CHUNK_ENTRIES,
  CHUNK_NEXT,
  CONTROL_FIRST_PAGE,
  FLAG_FROZEN,
  FLAG_OBSERVED,
  FLAG_TRACKED,
  GRANULE_SHIFT,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  HEADER_WORDS,
  KIND_CONTAINER,
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
  SIDE_TENTATIVE,
  TYPE_ID_MASK,
  TYPE_SHIFT,
  TYPE_TRAVERSE,
  UNREACHABLE,
} from "../memory/layout.js";
import type { Generations } from "../object/generation.js";
import type { ReferenceCounts } from "../object/refcount.js";
import type { Traversal } from "../object/traverse.js";
import type { TypeTable } from "../object/type.js";
import { createBulkDeath, type Watched } from "./bulk-death.js";

export interface Partition {
  /**
   * Split a generation. Before: its table and every count are right. After: the table holds what is reachable from
   * outside it, in CPython's order; the rest stands in no table, waiting for `placeUnreachable`. Allocates nothing that
   * it does not free again.
   *
   * @param isFull whether every tracked object that is not frozen is in this generation
   * @param watched who may see the unreachable die; where nobody does they stay where they are, for `freeUnwatched`
   * @returns how many wait for `freeUnwatched`
   */
  run(generation: number, isFull: boolean, watched?: Watched): number;
  /** Free what `run` has left. */
  freeUnwatched(): void;
  /** The same with nothing freed, if something is still left: a collection was broken off. */
  forget(): void;
  /**
   * Append what `run` found unreachable to the table of the unreachable, in order.
   * @param packable the generation they came from: its tombstones make room when the heap has none
   * @returns how many
   */
  placeUnreachable(packable: number): number;
}

/** Beyond this share of the entries, garbage is listed by a walk over the pages: by address rather than by table. */
const LISTING_SHARE = 32;

/** Closures over constants, as in refcount.ts. */
export function createPartition(
  allocator: Allocator,
  generations: Generations,
  counts: ReferenceCounts,
  traversal: Traversal,
  types: TypeTable,
): Partition {
  const { i32, side } = allocator.memory;
  const bulk = createBulkDeath(allocator, generations, counts, traversal, types);
  const typeBase = types.base;
  const firstGranule = (i32[CONTROL_FIRST_PAGE] << PAGE_SHIFT) >>> GRANULE_SHIFT;

  /** References beyond 252, by granule, of the objects that have so many. Empty between collections. */
  const excess = new Map<number, number>();
  /** Objects that were unreachable when the scan came to them, in table order; at the end, the unreachable. */
  let unreachable = new Int32Array(0);
  let unreachableCount = 0;
  /** Tentatively unreachable objects that a later one turned out to reach, in order of discovery. */
  let late = new Int32Array(0);
  let lateCount = 0;
  /** How many of them were taken out of their place in the table. */
  let lateMoved = 0;
  /** The run under way, or the last one: what it splits, and how many entries that had when it began. */
  let runGeneration = 0;
  let runIsFull = false;
  let runEntries = 0;
  /** Whether an object that was counted is observed. */
  let isAnyObserved = false;
  /** So many objects in `late` are unreachable, still in their table and marked, and wait for `freeUnwatched`. */
  let doomedCount = 0;
  /** From here on `late` objects stand in no table yet, because the heap had no chunk left; -1: none. */
  let unplacedFrom = -1;

  function run(generation: number, isFull: boolean, watched: Watched = "order"): number {
    prepare(generation, isFull);
    try {
      countReferences(generation, isFull);
      for (let chunk = generations.firstChunk(generation); chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
        if (isFull) scanFull(chunk + CHUNK_ENTRIES, generations.entriesEnd(chunk));
        else scan(chunk + CHUNK_ENTRIES, generations.entriesEnd(chunk));
      }
      scanLate(generation);
      if (!canDieInBulk(watched)) takeOutUnreachable();
    } finally {
      // Whatever the host threw on the way (it may have no memory left): the next collection starts from zeros.
      lateCount = lateMoved;
      if (doomedCount === 0) clearSide();
      excess.clear();
      placeUnplaced(generation);
    }
    return doomedCount;
  }

  function placeUnreachable(packable: number): number {
    for (let index = 0; index < unreachableCount; index++) {
      if (!generations.hasRoom(UNREACHABLE)) generations.pack(packable);
      generations.append(UNREACHABLE, unreachable[index]);
    }
    const placed = unreachableCount;
    unreachableCount = 0;
    return placed;
  }

  // -- bulk death -----------------------------------------------------------------------------

  /** Whether the unreachable may be freed in any order; if so, list them in `late`, which is free by now. */
  function canDieInBulk(watched: Watched): boolean {
    const garbage = unreachableCount - lateCount;
    if (watched === "order" || garbage === 0 || unplacedFrom >= 0) return false;
    if (runIsFull && garbage * LISTING_SHARE > runEntries) bulk.listByAddress(late);
    else listInOrder();
    if ((watched === "some" || isAnyObserved) && !bulk.isUnwatched(late, garbage)) return false;
    doomedCount = garbage;
    return true;
  }

  function listInOrder(): void {
    let count = 0;
    for (let index = 0; index < unreachableCount; index++)
      if (side[unreachable[index] >>> GRANULE_SHIFT] === SIDE_TENTATIVE) late[count++] = unreachable[index];
  }

  function freeUnwatched(): void {
    try {
      bulk.free(late, doomedCount);
    } finally {
      forget();
    }
  }

  function forget(): void {
    if (doomedCount === 0) return;
    for (let index = 0; index < doomedCount; index++) side[late[index] >>> GRANULE_SHIFT] = SIDE_OUTSIDE;
    doomedCount = 0;
    clearSide();
  }

  function clearSide(): void {
    if (runIsFull) fillSide(SIDE_OUTSIDE);
    else mark(runGeneration, SIDE_OUTSIDE);
  }

  // -- counting -------------------------------------------------------------------------------

  function countReferences(generation: number, isFull: boolean): void {
    if (isFull) {
      fillSide(SIDE_MEMBER);
      countAll();
      side[0] = SIDE_REACHABLE; // null
    } else {
      mark(generation, SIDE_MEMBER);
      countMembers(generation);
    }
  }

  /** The side bytes of every page in use, and of null. */
  function fillSide(value: number): void {
    side.fill(value, firstGranule, allocator.wordsTouchedMax >>> GRANULE_SHIFT);
    side[0] = value;
  }

  function mark(generation: number, value: number): void {
    for (let chunk = generations.firstChunk(generation); chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
      const end = generations.entriesEnd(chunk);
      for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++)
        side[i32[entry] >>> GRANULE_SHIFT] = value;
    }
    side[0] = SIDE_OUTSIDE; // tombstones
    for (let index = unplacedFrom; index >= 0 && index < lateCount; index++)
      side[late[index] >>> GRANULE_SHIFT] = value;
  }

  /** Count the references from members to members. */
  function countMembers(generation: number): void {
    let flags = 0;
    for (let chunk = generations.firstChunk(generation); chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
      const end = generations.entriesEnd(chunk);
      for (let entry = chunk + CHUNK_ENTRIES; entry < end; entry++) {
        const object = i32[entry];
        if (object === 0) continue;
        flags |= i32[object + HEADER_TYPE];
        const words = traverseWords(object);
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
        } else {
          const count = traversal.collect(object);
          for (let index = 0; index < count; index++) countMember(traversal.referents[index]);
        }
      }
    }
    if ((flags & FLAG_OBSERVED) !== 0) isAnyObserved = true;
  }

  function countMember(reference: Address): void {
    const granule = reference >>> GRANULE_SHIFT;
    const seen = side[granule];
    if (seen === SIDE_OUTSIDE) return;
    if (seen !== SIDE_SATURATED) side[granule] = seen + 1;
    else countExcess(granule);
  }

  /**
   * Count all references by walking the pages. Any order of counting is right, and in address order the headers are
   * read in sequence, which the table's order is not once a collection has permuted it.
   */
  function countAll(): void {
    for (const { page, descriptor } of allocator.pageRuns()) {
      const state = i32[descriptor + PAGE_STATE] & 0xff;
      if (state !== PAGE_SMALL + KIND_CONTAINER && state !== PAGE_LARGE + KIND_CONTAINER) continue;
      countPage(page << PAGE_SHIFT, i32[descriptor + PAGE_BLOCK_WORDS], i32[descriptor + PAGE_CAPACITY]);
    }
  }

  function countPage(first: Address, blockWords: number, capacity: number): void {
    const end = first + capacity * blockWords;
    let flags = 0;
    for (let object = first; object < end; object += blockWords) {
      const type = i32[object + HEADER_TYPE];
      if ((type & (FLAG_TRACKED | FLAG_FROZEN)) !== FLAG_TRACKED) continue;
      flags |= type;
      const words = traverseWords(object);
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
      } else {
        const count = traversal.collect(object);
        for (let index = 0; index < count; index++) countAny(traversal.referents[index]);
      }
    }
    if ((flags & FLAG_OBSERVED) !== 0) isAnyObserved = true;
  }

  /** The same without a question: nobody reads what is counted for an object that is not in the generation. */
  function countAny(reference: Address): void {
    const granule = reference >>> GRANULE_SHIFT;
    const seen = side[granule];
    if (seen !== SIDE_SATURATED) side[granule] = seen + 1;
    else countExcess(granule);
  }

  function countExcess(granule: number): void {
    if (granule === 0) {
      side[0] = SIDE_OUTSIDE; // null references: start over
      return;
    }
    excess.set(granule, excessOf(granule) + 1);
  }

  // -- scanning -------------------------------------------------------------------------------

  /**
   * One stretch of the table as it stood when the collection began. A member is reachable, as far as the scan has come,
   * if it was found already or has references that no member explains; otherwise it joins the unreachable for now.
   */
  function scan(first: Address, end: Address): void {
    for (let entry = first; entry < end; entry++) {
      const object = i32[entry];
      if (object === 0) continue;
      const granule = object >>> GRANULE_SHIFT;
      const seen = side[granule];
      if (seen !== SIDE_REACHABLE) {
        if (i32[object + HEADER_REFCOUNT] === internalCount(granule, seen)) {
          side[granule] = SIDE_TENTATIVE;
          unreachable[unreachableCount++] = object;
          continue;
        }
        side[granule] = SIDE_REACHABLE;
      }
      reach(object);
    }
  }

  /**
   * The same for a full collection. The commonest numbers of references are written out: a random graph misses the cache
   * once an object and once a reference, and only in straight code do these misses overlap (docs/design/0002).
   */
  function scanFull(first: Address, end: Address): void {
    for (let entry = first; entry < end; entry++) {
      const object = i32[entry];
      if (object === 0) continue;
      const granule = object >>> GRANULE_SHIFT;
      const seen = side[granule];
      if (seen !== SIDE_REACHABLE) {
        if (i32[object + HEADER_REFCOUNT] === internalCount(granule, seen)) {
          side[granule] = SIDE_TENTATIVE;
          unreachable[unreachableCount++] = object;
          continue;
        }
        side[granule] = SIDE_REACHABLE;
      }
      const words = traverseWords(object);
      if (words === 3) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        const c = i32[object + HEADER_WORDS + 2];
        visitAny(a);
        visitAny(b);
        visitAny(c);
      } else if (words === 2) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        visitAny(a);
        visitAny(b);
      } else if (words >= 0) {
        for (let word = object + HEADER_WORDS, last = word + words; word < last; word++) visitAny(i32[word]);
      } else {
        const count = traversal.collect(object);
        for (let index = 0; index < count; index++) visitAny(traversal.referents[index]);
      }
    }
  }

  /** A full collection keeps nothing in the side array of others: store always, branch only on the rare case. */
  function visitAny(reference: Address): void {
    const granule = reference >>> GRANULE_SHIFT;
    if (side[granule] === SIDE_TENTATIVE) late[lateCount++] = reference;
    side[granule] = SIDE_REACHABLE;
  }

  /** References from members, by what the side byte of a member that is not yet judged says. */
  function internalCount(granule: number, seen: number): number {
    return seen !== SIDE_SATURATED ? seen - SIDE_MEMBER : SIDE_SATURATED - SIDE_MEMBER + excessOf(granule);
  }

  function excessOf(granule: number): number {
    return excess.get(granule) ?? 0;
  }

  /** The objects found late, which may find others; each moves to the tail of the table as it is visited. */
  function scanLate(generation: number): void {
    for (let index = 0; index < lateCount; index++) {
      const object = late[index];
      moveToTail(generation, object, index);
      lateMoved = index + 1;
      reach(object);
    }
  }

  /** Everything a reachable member refers to is reachable. */
  function reach(object: Address): void {
    const words = traverseWords(object);
    if (words >= 0) {
      for (let word = object + HEADER_WORDS, last = word + words; word < last; word++) visitMember(i32[word]);
    } else {
      const count = traversal.collect(object);
      for (let index = 0; index < count; index++) visitMember(traversal.referents[index]);
    }
  }

  /** Non-members stay untouched: their side bytes must be 0 when the collection ends. */
  function visitMember(reference: Address): void {
    const granule = reference >>> GRANULE_SHIFT;
    const seen = side[granule];
    if (seen === SIDE_OUTSIDE || seen === SIDE_REACHABLE) return;
    side[granule] = SIDE_REACHABLE;
    if (seen === SIDE_TENTATIVE) late[lateCount++] = reference;
  }

  /** TYPE_TRAVERSE of an object's type. */
  function traverseWords(object: Address): number {
    return i32[typeBase + ((i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_TRAVERSE];
  }

  // -- moving ---------------------------------------------------------------------------------

  function moveToTail(generation: number, object: Address, lateIndex: number): void {
    generations.removeEntry(i32[object + HEADER_ENTRY]);
    if (unplacedFrom < 0 && !generations.makeRoom(generation)) unplacedFrom = lateIndex;
    if (unplacedFrom < 0) generations.append(generation, object);
  }

  /** Packing frees at least the chunks that the unplaced objects came from. */
  function placeUnplaced(generation: number): void {
    if (unplacedFrom >= 0) {
      generations.pack(generation);
      for (let index = unplacedFrom; index < lateCount; index++) generations.append(generation, late[index]);
      generations.refillReserve();
    }
    unplacedFrom = -1;
    lateCount = 0;
    lateMoved = 0;
  }

  /** Keep only what nothing reached after all, and take it out of the table. */
  function takeOutUnreachable(): void {
    let kept = 0;
    for (let index = 0; index < unreachableCount; index++) {
      const object = unreachable[index];
      if (side[object >>> GRANULE_SHIFT] !== SIDE_TENTATIVE) continue;
      side[object >>> GRANULE_SHIFT] = SIDE_OUTSIDE;
      generations.removeEntry(i32[object + HEADER_ENTRY]);
      unreachable[kept++] = object;
    }
    unreachableCount = kept;
  }

  function prepare(generation: number, isFull: boolean): void {
    const entryCount = generations.entryCount(generation);
    runGeneration = generation;
    runIsFull = isFull;
    runEntries = entryCount;
    isAnyObserved = false;
    unreachableCount = 0;
    lateCount = 0;
    if (unreachable.length >= entryCount) return;
    const capacity = Math.max(entryCount, unreachable.length * 2, 1024);
    // Both or neither: one that stayed short would lose objects without a word.
    const [first, second] = [new Int32Array(capacity), new Int32Array(capacity)];
    unreachable = first;
    late = second;
  }

  return { run, placeUnreachable, freeUnwatched, forget };
}
