/**
 * What a partition has found unreachable, in list order, on its way to one of two deaths: in CPython's order, from the table
 * of the unreachable; or, where nobody can tell, all at once (bulk-death.ts).
 */
import { type Address, GRANULE_SHIFT, SIDE_OUTSIDE, SIDE_TENTATIVE, UNREACHABLE } from "../memory/layout.js";
import type { Generations } from "../object/generation.js";
import type { BulkDeath, Watched } from "./bulk-death.js";
import type { InternalCounts } from "./internal-counts.js";

export class UnreachableObjects {
  private readonly side: Uint8Array;
  private readonly generations: Generations;
  private readonly bulk: BulkDeath;
  private readonly internal: InternalCounts;
  /** While a partition scans: what looked unreachable when the scan came to it. */
  objects = new Int32Array(0);
  count = 0;
  /** Those to be freed all at once: their side bytes are SIDE_TENTATIVE until then. */
  private doomed: Int32Array = this.objects;
  doomedCount = 0;
  /** Whether all side bytes still say what a full collection has found. */
  private isAll = false;

  constructor(side: Uint8Array, generations: Generations, bulk: BulkDeath, internal: InternalCounts) {
    this.side = side;
    this.generations = generations;
    this.bulk = bulk;
    this.internal = internal;
  }

  /** Room for so many, and none of them there. */
  prepare(capacity: number): void {
    this.count = 0;
    this.doomedCount = 0;
    if (this.objects.length < capacity)
      this.objects = new Int32Array(Math.max(capacity, this.objects.length * 2, 1024));
  }

  /** The scan is over: keep only what nothing reached after all. @param found how many of them something did reach */
  sift(found: number): void {
    const { objects, side } = this;
    if (found === this.count) {
      this.count = 0;
      return;
    }
    let kept = 0;
    for (let index = 0; index < this.count; index++) {
      const object = objects[index];
      if (side[object >>> GRANULE_SHIFT] === SIDE_TENTATIVE) objects[kept++] = object;
    }
    this.count = kept;
  }

  /**
   * Whether they may be freed in any order; if so, they wait for `freeDoomed`.
   * @param isAll whether this is a full collection, whose side bytes stay until then too
   * @param listing room to list them by address, where there are so many that this pays
   */
  canDieInBulk(watched: Watched, isAll: boolean, listing?: Int32Array): boolean {
    const { bulk, internal, count } = this;
    if (watched === "order" || count === 0) return false;
    const list = listing ?? this.objects;
    if (listing !== undefined) bulk.listByAddress(listing);
    if ((watched === "some" || internal.isAnyObserved()) && !bulk.isUnwatched(list, count)) return false;
    this.doomed = list;
    this.doomedCount = count;
    this.isAll = isAll;
    return true;
  }

  /** Clear their side bytes: they die in order. @param takeOut called with each */
  clearSide(takeOut?: (object: Address) => void): void {
    const { objects, side, count } = this;
    for (let index = 0; index < count; index++) {
      side[objects[index] >>> GRANULE_SHIFT] = SIDE_OUTSIDE;
      takeOut?.(objects[index]);
    }
  }

  /** Free what waits for it. @returns how many */
  freeDoomed(): number {
    const count = this.doomedCount;
    try {
      this.bulk.free(this.doomed, count);
    } finally {
      this.forget();
    }
    return count;
  }

  /** Nothing waits any more: they are freed, or a collection was broken off. */
  forget(): void {
    if (this.doomedCount === 0) return;
    if (this.isAll) this.internal.clearAll();
    else this.internal.clear(this.doomed, this.doomedCount);
    this.doomedCount = 0;
  }

  /**
   * Append them to the table of the unreachable.
   * @param packable the generation they came from: its tombstones make room when the heap has none
   * @returns how many
   */
  place(packable: number): number {
    const { generations, objects, count } = this;
    for (let index = 0; index < count; index++) {
      if (!generations.hasRoom(UNREACHABLE)) generations.pack(packable);
      generations.append(UNREACHABLE, objects[index]);
    }
    this.count = 0;
    return count;
  }
}
