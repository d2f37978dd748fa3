/** What a partition has found unreachable, in list order: in no table, until it is placed in the one for the unreachable. */
import { type Address, GRANULE_SHIFT, SIDE_OUTSIDE, SIDE_TENTATIVE, UNREACHABLE } from "../memory/layout.js";
import type { Generations } from "../object/generation.js";

export class UnreachableObjects {
  private readonly generations: Generations;
  /** While a partition scans: what looked unreachable when the scan came to it. */
  objects = new Int32Array(0);
  count = 0;

  constructor(generations: Generations) {
    this.generations = generations;
  }

  /** Room for so many, and none of them there. */
  prepare(capacity: number): void {
    this.count = 0;
    if (this.objects.length < capacity)
      this.objects = new Int32Array(Math.max(capacity, this.objects.length * 2, 1024));
  }

  /** The scan is over: keep only what nothing reached after all, and clear its side bytes. */
  keepTentative(side: Uint8Array, takeOut?: (object: Address) => void): void {
    const { objects } = this;
    let kept = 0;
    for (let index = 0; index < this.count; index++) {
      const object = objects[index];
      const granule = object >>> GRANULE_SHIFT;
      if (side[granule] !== SIDE_TENTATIVE) continue;
      side[granule] = SIDE_OUTSIDE;
      takeOut?.(object);
      objects[kept++] = object;
    }
    this.count = kept;
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
