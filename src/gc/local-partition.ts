/**
 * The partition of a few: which of the objects that some seeds reach are garbage. CPython's algorithm (subtract the
 * references from inside; what is left over is held from outside), over a set that is found by walking instead of a
 * generation: its cost is what the seeds reach, whatever else the heap holds. (The set is PHP's and Bacon and Rajan's:
 * "Concurrent Cycle Collection in Reference Counted Systems", 2001, section 3, where suspects are their seeds.)
 */
import { type Address, FLAG_FROZEN, FLAG_TRACKED, HEADER_REFCOUNT, HEADER_TYPE } from "../memory/layout.js";
import type { Traversal } from "../object/traverse.js";

export class LocalPartition {
  private readonly i32: Int32Array;
  private readonly traversal: Traversal;

  constructor(i32: Int32Array, traversal: Traversal) {
    this.i32 = i32;
    this.traversal = traversal;
  }

  /**
   * What would die or become garbage if one reference to an object went: the object and all that it alone keeps alive,
   * whether the collector looks at it or not. Strings are not counted. Changes nothing.
   * @param objectsMax give up, and return undefined, beyond so many objects to look at
   */
  findKeptBy(object: Address, objectsMax: number): Address[] | undefined {
    const internal = new Map<Address, number>([[object, 1]]);
    const queue = [object];
    for (let index = 0; index < queue.length; index++) {
      if (queue.length > objectsMax) return undefined;
      for (const referent of this.referents(queue[index])) {
        const known = internal.get(referent);
        internal.set(referent, (known ?? 0) + 1);
        if (known === undefined) queue.push(referent);
      }
    }
    return this.unreached(internal);
  }

  /**
   * The unreachable among what the seeds reach, seeds included, in the order in which they were found. Changes nothing.
   * O(references of what they reach).
   */
  find(seeds: Iterable<Address>): Address[] {
    return this.unreached(this.countReferences(seeds));
  }

  /** Those that nothing outside reaches, given the references to each that are explained. */
  private unreached(internal: ReadonlyMap<Address, number>): Address[] {
    const reachable = new Set<Address>();
    const queue: Address[] = [];
    const reach = (object: Address) => {
      if (!internal.has(object) || reachable.has(object)) return;
      reachable.add(object);
      queue.push(object);
    };
    for (const [object, count] of internal) if (this.i32[object + HEADER_REFCOUNT] > count) reach(object);
    for (let next = queue.pop(); next !== undefined; next = queue.pop())
      for (const referent of this.referents(next)) reach(referent);
    return [...internal.keys()].filter((object) => !reachable.has(object));
  }

  /** The candidates, with the references to each that come from candidates. */
  private countReferences(seeds: Iterable<Address>): Map<Address, number> {
    const internal = new Map<Address, number>();
    const queue: Address[] = [];
    const meet = (object: Address, references: number) => {
      const known = internal.get(object);
      if (known === undefined && !this.isCandidate(object)) return;
      internal.set(object, (known ?? 0) + references);
      if (known === undefined) queue.push(object);
    };
    for (const seed of seeds) meet(seed, 0);
    for (let index = 0; index < queue.length; index++)
      for (const referent of this.referents(queue[index])) meet(referent, 1);
    return internal;
  }

  private isCandidate(object: Address): boolean {
    return (this.i32[object + HEADER_TYPE] & (FLAG_TRACKED | FLAG_FROZEN)) === FLAG_TRACKED;
  }

  /** Valid until the next call. */
  private referents(object: Address): Int32Array {
    const count = this.traversal.collect(object);
    return this.traversal.referents.subarray(0, count);
  }
}
