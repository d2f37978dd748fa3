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
  SIDE_MEMBER,
  SIDE_OUTSIDE,
  SIDE_REACHABLE,
  SIDE_SATURATED,
  SIDE_TENTATIVE,
  TYPE_ID_MASK,
  TYPE_SHIFT,
  TYPE_TRAVERSE,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import type { Generations } from "../object/generation.js";
import type { Traversal } from "../object/traverse.js";
import type { TypeTable } from "../object/type.js";
import { Excess } from "./excess.js";
import type { UnreachableObjects } from "./unreachable.js";

export interface YoungPartition {
  /**
   * Split the objects of one table. Before: it and all counts are right. After: `target`, which may be the same, has at its
   * tail what is reachable from outside, in CPython's order, and the rest waits in the list of the unreachable. If the
   * host throws on the way, nothing has changed.
   * @returns how many are reachable
   */
  run(table: number, target: number): number;
  /**
   * The same in place for the part of generation 2 that is not settled; what is reachable is settled then.
   * @param chunk and entry: where that part begins
   */
  runFrom(chunk: Address, entry: Address): number;
}

/** Closures over constants, as in refcount.ts. */
export function createYoungPartition(
  { i32, side }: Memory,
  generations: Generations,
  traversal: Traversal,
  types: TypeTable,
  unreachable: UnreachableObjects,
): YoungPartition {
  const typeBase = types.base;
  const excess = new Excess();
  /** All objects, in list order; from the front on overwritten with the reachable, in the order they will have. */
  let members = new Int32Array(0);
  /** Tentatively unreachable objects that a later one turned out to reach, in order of discovery. */
  let late = new Int32Array(0);
  let lateCount = 0;

  function run(table: number, target: number): number {
    const first = generations.firstChunk(table);
    const reachable = split(first, first + CHUNK_ENTRIES);
    generations.empty(table);
    generations.appendAll(target, members, reachable, 0);
    return reachable;
  }

  function runFrom(chunk: Address, entry: Address): number {
    const reachable = split(chunk, entry);
    generations.cut(2, chunk, entry);
    generations.appendAll(2, members, reachable, FLAG_SETTLED);
    return reachable;
  }

  /** Everything but to change the table. @returns how many are reachable: these stand in `members` */
  function split(chunk: Address, entry: Address): number {
    prepare(generations.entriesFrom(chunk, entry));
    const count = gather(chunk, entry);
    let reachable = 0;
    let isSplit = false;
    try {
      countReferences(count);
      reachable = scanLate(scan(count));
      isSplit = true;
    } finally {
      lateCount = 0;
      excess.clear();
      if (isSplit) unreachable.keepTentative(side);
      else forget(chunk, entry);
    }
    // What moved to the front and what was tentative are all the members.
    for (let index = 0; index < reachable; index++) side[members[index] >>> GRANULE_SHIFT] = SIDE_OUTSIDE;
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

  function gather(first: Address, from: Address): number {
    const all = members;
    let count = 0;
    for (let chunk = first; chunk !== 0; chunk = i32[chunk + CHUNK_NEXT]) {
      const end = generations.entriesEnd(chunk);
      for (let entry = chunk === first ? from : chunk + CHUNK_ENTRIES; entry < end; entry++) {
        const object = i32[entry];
        if (object === 0) continue;
        side[object >>> GRANULE_SHIFT] = SIDE_MEMBER;
        all[count++] = object;
      }
    }
    return count;
  }

  /** Broken off: what was counted is forgotten. The array has lost objects, the table has not. */
  function forget(chunk: Address, entry: Address): void {
    unreachable.count = 0;
    const count = gather(chunk, entry);
    for (let index = 0; index < count; index++) side[members[index] >>> GRANULE_SHIFT] = SIDE_OUTSIDE;
  }

  // -- counting -------------------------------------------------------------------------------

  /** Count the references from members to members. */
  function countReferences(count: number): void {
    const all = members;
    for (let index = 0; index < count; index++) {
      const object = all[index];
      const words = traverseWords(object);
      if (words === 3) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        const c = i32[object + HEADER_WORDS + 2];
        countReference(a);
        countReference(b);
        countReference(c);
      } else if (words === 2) {
        const a = i32[object + HEADER_WORDS];
        const b = i32[object + HEADER_WORDS + 1];
        countReference(a);
        countReference(b);
      } else if (words >= 0) {
        for (let word = object + HEADER_WORDS, last = word + words; word < last; word++)
          countReference(i32[word]);
      } else {
        const referents = traversal.collect(object);
        for (let referent = 0; referent < referents; referent++)
          countReference(traversal.referents[referent]);
      }
    }
  }

  /** The side byte of null is SIDE_OUTSIDE, too. */
  function countReference(reference: Address): void {
    const granule = reference >>> GRANULE_SHIFT;
    const seen = side[granule];
    if (seen === SIDE_OUTSIDE) return;
    if (seen !== SIDE_SATURATED) side[granule] = seen + 1;
    else excess.add(granule);
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
        const internal = seen !== SIDE_SATURATED ? seen - SIDE_MEMBER : saturatedCount(granule);
        if (i32[object + HEADER_REFCOUNT] === internal) {
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
    let reachable = inPlace;
    for (let index = 0; index < lateCount; index++) {
      const object = late[index];
      members[reachable++] = object;
      visitReferents(object);
    }
    return reachable;
  }

  function saturatedCount(granule: number): number {
    return SIDE_SATURATED - SIDE_MEMBER + excess.of(granule);
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
    } else {
      const referents = traversal.collect(object);
      for (let referent = 0; referent < referents; referent++) visit(traversal.referents[referent]);
    }
  }

  function visit(reference: Address): void {
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
