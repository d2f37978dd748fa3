/**
 * Trial deletion: split the heap into what is held from outside it and what is not (CPython: `update_refs`,
 * `subtract_refs`, `move_unreachable`). A full collection's, in place; that of a part is in young-partition.ts.
 *
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
  CHUNK_MASK,
  CHUNK_NEXT,
  FLAG_SETTLED,
  GENERATION_CURSOR,
  GRANULE_SHIFT,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  HEADER_WORDS,
  LIST_ITEMS,
  LIST_LENGTH,
  SIDE_REACHABLE,
  SIDE_TENTATIVE,
  TYPE_ID_MASK,
  TYPE_SHIFT,
  TYPE_TRAVERSE,
} from "../memory/layout.js";
import type { Generations } from "../object/generation.js";
import type { Traversal } from "../object/traverse.js";
import type { TypeTable } from "../object/type.js";
import type { Watched } from "./bulk-death.js";
import type { InternalCounts } from "./internal-counts.js";
import type { UnreachableObjects } from "./unreachable.js";

/** Beyond this share of the objects, garbage is listed by a walk over the pages: by address rather than by table. */
const LISTING_SHARE = 32;

/** The generation of a full collection. */
const FULL = 2;

export interface Partition {
  /**
   * Split generation 2, which every tracked object that is not frozen is in. Before: its table and every count are right.
   * After: the table holds what is reachable from outside, in CPython's order; the rest waits in the list of the
   * unreachable. Allocates nothing that it does not free again.
   * @param watched who may see the unreachable die; where nobody does they stay in the table and wait to be freed at once
   * @returns how many are reachable
   */
  run(watched: Watched): number;
}

/** Closures over constants, as in refcount.ts. */
export function createPartition(
  allocator: Allocator,
  generations: Generations,
  traversal: Traversal,
  types: TypeTable,
  internal: InternalCounts,
  unreachable: UnreachableObjects,
): Partition {
  const { i32, side } = allocator.memory;
  const typeBase = types.base;
  const tableCursor = generations.record(FULL) + GENERATION_CURSOR;

  /** Tentatively unreachable objects that a later one turned out to reach, in order of discovery. */
  let late = new Int32Array(0);
  let lateCount = 0;
  /** How many of them were taken out of their place in the table. */
  let lateMoved = 0;
  /** Chunks all of whose objects look unreachable: if all are found late, nothing is left in them. */
  let suspended: Address[] = [];
  /** From here on `late` objects stand in no table yet, because the heap had no chunk left; -1: none. */
  let unplacedFrom = -1;

  function run(watched: Watched): number {
    let objects = 0;
    let isDoomed = false;
    prepare(generations.entryCount(FULL));
    try {
      internal.countAll();
      objects = scanTable();
      scanLate();
      unreachable.sift(lateCount);
      if (unreachable.count === 0) generations.noteEmpty(suspended);
      const listing = unreachable.count * LISTING_SHARE > objects ? late : undefined;
      isDoomed = unplacedFrom < 0 && unreachable.canDieInBulk(watched, true, listing);
      if (!isDoomed) unreachable.clearSide((object) => generations.removeEntry(i32[object + HEADER_ENTRY]));
    } finally {
      // Whatever the host threw on the way (it may have no memory left): the next collection starts from zeros.
      lateCount = lateMoved;
      if (!isDoomed) internal.clearAll();
      placeUnplaced();
    }
    return objects - unreachable.count;
  }

  // -- scanning -------------------------------------------------------------------------------

  /** The table as it stands now. @returns how many objects there are */
  function scanTable(): number {
    let objects = 0;
    for (let chunk = generations.firstChunk(FULL), next = 0; chunk !== 0; chunk = next) {
      next = i32[chunk + CHUNK_NEXT];
      const before = unreachable.count;
      const found = scan(chunk + CHUNK_ENTRIES, generations.entriesEnd(chunk));
      objects += found;
      // Where the late ones go there may be something in the last.
      if (unreachable.count - before === found && next !== 0) suspended.push(chunk);
    }
    return objects;
  }

  /**
   * One stretch of the table as it stood when the collection began. An object is reachable, as far as the scan has come, if
   * it was found already or has references that no object explains; otherwise it joins the unreachable for now. The
   * commonest numbers of references are written out: a random graph misses the cache once an object and once a
   * reference, and only in straight code do these misses overlap (docs/design/0002). @returns how many there are
   */
  function scan(first: Address, end: Address): number {
    const { objects: tentative } = unreachable;
    let tentativeCount = unreachable.count;
    let objects = 0;
    for (let entry = first; entry < end; entry++) {
      const object = i32[entry];
      if (object === 0) continue;
      objects++;
      const granule = object >>> GRANULE_SHIFT;
      const seen = side[granule];
      if (seen !== SIDE_REACHABLE) {
        if (i32[object + HEADER_REFCOUNT] === internal.of(granule, seen)) {
          side[granule] = SIDE_TENTATIVE;
          tentative[tentativeCount++] = object;
          continue;
        }
        side[granule] = SIDE_REACHABLE;
      }
      const words = traverseWords(object);
      settle(object);
      if (words === 3) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        const c = i32[object + HEADER_WORDS + 2];
        visit(a);
        visit(b);
        visit(c);
      } else if (words === 2) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        visit(a);
        visit(b);
      } else visitReferents(object, words);
    }
    unreachable.count = tentativeCount;
    return objects;
  }

  /** The objects found late, which may find others; each moves to the tail of the table as it is visited. */
  function scanLate(): void {
    const found = late;
    for (let index = 0; index < lateCount; index++) {
      const object = found[index];
      i32[i32[object + HEADER_ENTRY]] = 0;
      const cursor = i32[tableCursor];
      if ((cursor & CHUNK_MASK) !== 0 && unplacedFrom < 0) {
        i32[cursor] = object;
        i32[object + HEADER_ENTRY] = cursor;
        i32[tableCursor] = cursor + 1;
      } else appendLate(object, index);
      lateMoved = index + 1;
      settle(object);
      const words = traverseWords(object);
      if (words === 3) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        const c = i32[object + HEADER_WORDS + 2];
        visit(a);
        visit(b);
        visit(c);
      } else visitReferents(object, words);
    }
  }

  /** Most have the flag since the collection before: writing to every header would cost as much again as reading it. */
  function settle(object: Address): void {
    const header = i32[object + HEADER_TYPE];
    if ((header & FLAG_SETTLED) === 0) i32[object + HEADER_TYPE] = header | FLAG_SETTLED;
  }

  /** Everything a reachable object refers to is reachable. */
  function visitReferents(object: Address, words: number): void {
    if (words >= 0) {
      for (let word = object + HEADER_WORDS, last = word + words; word < last; word++) visit(i32[word]);
    } else if (traversal.isReferenceList(object)) {
      const items = i32[object + LIST_ITEMS];
      for (let word = items + i32[object + LIST_LENGTH] - 1; word >= items; word--) visit(i32[word]);
    } else {
      const count = traversal.collect(object);
      for (let index = 0; index < count; index++) visit(traversal.referents[index]);
    }
  }

  /** The side array has nothing to keep of others: store always, branch only on the rare case. */
  function visit(reference: Address): void {
    if (reference === 0) return;
    const granule = reference >>> GRANULE_SHIFT;
    if (side[granule] === SIDE_TENTATIVE) late[lateCount++] = reference;
    side[granule] = SIDE_REACHABLE;
  }

  /** TYPE_TRAVERSE of an object's type. */
  function traverseWords(object: Address): number {
    return i32[typeBase + ((i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT) + TYPE_TRAVERSE];
  }

  // -- moving ---------------------------------------------------------------------------------

  function appendLate(object: Address, lateIndex: number): void {
    if (unplacedFrom < 0 && !generations.makeRoom(FULL)) unplacedFrom = lateIndex;
    if (unplacedFrom < 0) generations.append(FULL, object);
  }

  /** Packing frees at least the chunks that the unplaced objects came from. */
  function placeUnplaced(): void {
    if (unplacedFrom >= 0) {
      generations.pack(FULL);
      for (let index = unplacedFrom; index < lateCount; index++) generations.append(FULL, late[index]);
      generations.refillReserve();
    }
    unplacedFrom = -1;
    lateCount = 0;
    lateMoved = 0;
  }

  function prepare(entryCount: number): void {
    lateCount = 0;
    suspended = [];
    unreachable.prepare(entryCount);
    if (late.length < entryCount) late = new Int32Array(Math.max(entryCount, late.length * 2, 1024));
  }

  return { run };
}
