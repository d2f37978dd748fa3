/**
 * Trial deletion: split one generation into what is held from outside it and what is not (CPython: `move_unreachable`).
 * The references from inside are counted first, in the side bytes (internal-counts.ts); the scan goes on in them:
 *
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
  GRANULE_SHIFT,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  HEADER_WORDS,
  LIST_ITEMS,
  LIST_LENGTH,
  SIDE_OUTSIDE,
  SIDE_REACHABLE,
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
import { createInternalCounts } from "./internal-counts.js";

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
  const internal = createInternalCounts(allocator, generations, traversal, types);
  const typeBase = types.base;

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
  /** So many objects in `late` are unreachable, still in their table and marked, and wait for `freeUnwatched`. */
  let doomedCount = 0;
  /** From here on `late` objects stand in no table yet, because the heap had no chunk left; -1: none. */
  let unplacedFrom = -1;

  function run(generation: number, isFull: boolean, watched: Watched = "order"): number {
    prepare(generation, isFull);
    try {
      internal.count(generation, isFull);
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
    const isShare = runIsFull && garbage * LISTING_SHARE > runEntries;
    const listed = isShare ? bulk.listByAddress(late) : listInOrder();
    if ((watched === "some" || internal.isAnyObserved()) && !bulk.isUnwatched(late, listed)) return false;
    doomedCount = listed;
    return true;
  }

  function listInOrder(): number {
    let count = 0;
    for (let index = 0; index < unreachableCount; index++)
      if (side[unreachable[index] >>> GRANULE_SHIFT] === SIDE_TENTATIVE) late[count++] = unreachable[index];
    return count;
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

  /** Those found late that stand in no table for now are to be 0 again too. */
  function clearSide(): void {
    for (let index = unplacedFrom; index >= 0 && index < lateCount; index++)
      side[late[index] >>> GRANULE_SHIFT] = SIDE_OUTSIDE;
    internal.clear(runGeneration, runIsFull);
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
        if (i32[object + HEADER_REFCOUNT] === internal.of(granule, seen)) {
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
        visitMember(a);
        visitMember(b);
        visitMember(c);
      } else if (words >= 0) {
        for (let word = object + HEADER_WORDS, last = word + words; word < last; word++)
          visitMember(i32[word]);
      } else {
        visitContainer(object);
      }
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
        if (i32[object + HEADER_REFCOUNT] === internal.of(granule, seen)) {
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
      } else if (traversal.isReferenceList(object)) {
        const items = i32[object + LIST_ITEMS];
        for (let word = items + i32[object + LIST_LENGTH] - 1; word >= items; word--) visitAny(i32[word]);
      } else {
        const found = traversal.collect(object);
        for (let index = 0; index < found; index++) visitAny(traversal.referents[index]);
      }
    }
  }

  /** A full collection keeps nothing in the side array of others: store always, branch only on the rare case. */
  function visitAny(reference: Address): void {
    if (reference === 0) return;
    const granule = reference >>> GRANULE_SHIFT;
    if (side[granule] === SIDE_TENTATIVE) late[lateCount++] = reference;
    side[granule] = SIDE_REACHABLE;
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
      visitContainer(object);
    }
  }

  function visitContainer(object: Address): void {
    if (traversal.isReferenceList(object)) {
      const items = i32[object + LIST_ITEMS];
      for (let word = items + i32[object + LIST_LENGTH] - 1; word >= items; word--) visitMember(i32[word]);
      return;
    }
    const count = traversal.collect(object);
    for (let index = 0; index < count; index++) visitMember(traversal.referents[index]);
  }

  /** Non-members stay untouched: their side bytes must be 0 when the collection ends. */
  function visitMember(reference: Address): void {
    if (reference === 0) return;
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
