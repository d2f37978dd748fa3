/**
 * The partition of a part of the heap: generation 0, 0 and 1, or what a collection has found unreachable and user code
 * has seen. The objects are copied out of their tables first and written to their next table last, so that the passes
 * between run over one dense array, and what breaks off has changed no table.
 *
 * The side bytes are those of partition.ts. Here only members have one, and the others' stay 0 (SIDE_OUTSIDE): an
 * old object's header is never touched.
 */

import {
  type Address,
  CHUNK_ENTRIES,
  CHUNK_NEXT,
  FLAG_SETTLED,
  GRANULE_SHIFT,
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
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import type { Generations } from "../object/generation.js";
import type { Traversal } from "../object/traverse.js";
import type { TypeTable } from "../object/type.js";
import type { Watched } from "./bulk-death.js";
import type { InternalCounts } from "./internal-counts.js";
import type { UnreachableObjects } from "./unreachable.js";

export interface YoungPartition {
  /**
   * Split the objects of one table. Before: it and all counts are right. After: `target`, which may be the same, has at its
   * tail what is reachable from outside, in CPython's order, and the rest waits in the list of the unreachable. If the
   * host throws on the way, nothing has changed.
   * @param watched who may see the unreachable die
   * @returns how many are reachable
   */
  run(table: number, target: number, watched: Watched): number;
  /**
   * The same in place for the part of generation 2 that is not settled; what is reachable is settled then.
   * @param chunk and entry: where that part begins
   */
  runFrom(chunk: Address, entry: Address, watched: Watched): number;
}

/** Closures over constants, as in refcount.ts. */
export function createYoungPartition(
  { i32, side }: Memory,
  generations: Generations,
  traversal: Traversal,
  types: TypeTable,
  internal: InternalCounts,
  unreachable: UnreachableObjects,
): YoungPartition {
  const typeBase = types.base;
  /** All objects, in list order; from the front on overwritten with the reachable, in the order they will have. */
  let members = new Int32Array(0);
  /** Tentatively unreachable objects that a later one turned out to reach, in order of discovery. */
  let late = new Int32Array(0);
  let lateCount = 0;

  function run(table: number, target: number, watched: Watched): number {
    const first = generations.firstChunk(table);
    const reachable = split(first, first + CHUNK_ENTRIES, watched);
    generations.empty(table);
    generations.appendAll(target, members, reachable, 0);
    return reachable;
  }

  function runFrom(chunk: Address, entry: Address, watched: Watched): number {
    const reachable = split(chunk, entry, watched);
    generations.cut(2, chunk, entry);
    generations.appendAll(2, members, reachable, FLAG_SETTLED);
    return reachable;
  }

  /** Everything but to change the table. @returns how many are reachable: these stand in `members` */
  function split(chunk: Address, entry: Address, watched: Watched): number {
    prepare(generations.entriesFrom(chunk, entry));
    const count = gather(chunk, entry);
    let reachable = 0;
    let isSplit = false;
    try {
      internal.countMembers(members, count);
      reachable = scanLate(scan(count));
      unreachable.sift(lateCount);
      if (!unreachable.canDieInBulk(watched, false)) unreachable.clearSide();
      isSplit = true;
    } finally {
      lateCount = 0;
      if (!isSplit) reachable = takeBack(chunk, entry);
      // What moved to the front and what was tentative are all the members.
      internal.clear(members, reachable);
    }
    return reachable;
  }

  function prepare(entries: number): void {
    unreachable.prepare(entries);
    if (late.length >= entries) return;
    const capacity = Math.max(entries, members.length * 2, 1024);
    // Both or neither: one that stayed short would lose objects without a word.
    const [first, second] = [new Int32Array(capacity), new Int32Array(capacity)];
    members = first;
    late = second;
  }

  /** Copy the members out, and mark them as such: nothing throws before all are. @returns how many there are */
  function gather(first: Address, from: Address): number {
    const all = members;
    let count = 0;
    for (let chunk = first; chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
      const end = generations.entriesEnd(chunk);
      for (let entry = chunk === first ? from : chunk + CHUNK_ENTRIES; entry < end; entry++) {
        const object = i32[entry];
        if (object === 0) continue;
        all[count++] = object;
        internal.admit(object);
      }
    }
    return count;
  }

  /** Broken off: the array has lost objects, the table has not. @returns how many there are */
  function takeBack(chunk: Address, entry: Address): number {
    unreachable.count = 0;
    return gather(chunk, entry);
  }

  // -- scanning -------------------------------------------------------------------------------

  /**
   * All members in list order. One is reachable, as far as the scan has come, if it was found already or has references
   * that no member explains; otherwise it joins the unreachable for now. @returns how many are reachable
   */
  function scan(count: number): number {
    const { objects: tentative } = unreachable;
    const all = members;
    let tentativeCount = 0;
    let reachable = 0;
    for (let index = 0; index < count; index++) {
      const object = all[index];
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
      all[reachable++] = object;
      visitReferents(object);
    }
    unreachable.count = tentativeCount;
    return reachable;
  }

  /** Those found late, which may find others, are the tail. */
  function scanLate(inPlace: number): number {
    const all = members;
    const found = late;
    let reachable = inPlace;
    for (let index = 0; index < lateCount; index++) {
      const object = found[index];
      all[reachable++] = object;
      visitReferents(object);
    }
    return reachable;
  }

  /** Everything a reachable member refers to is reachable. */
  function visitReferents(object: Address): void {
    const words = traverseWords(object);
    if (words === 3) {
      const a = i32[object + HEADER_WORDS];
      const b = i32[object + HEADER_WORDS + 1];
      const c = i32[object + HEADER_WORDS + 2];
      visit(a);
      visit(b);
      visit(c);
    } else if (words >= 0) {
      for (let word = object + HEADER_WORDS, last = word + words; word < last; word++) visit(i32[word]);
    } else if (traversal.isReferenceList(object)) {
      const items = i32[object + LIST_ITEMS];
      for (let word = items + i32[object + LIST_LENGTH] - 1; word >= items; word--) visit(i32[word]);
    } else {
      const referents = traversal.collect(object);
      for (let referent = 0; referent < referents; referent++) visit(traversal.referents[referent]);
    }
  }

  function visit(reference: Address): void {
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

  return { run, runFrom };
}
