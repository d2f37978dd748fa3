/**
 * Which objects the collector has to look at: CPython's rules for dicts and tuples, which are tracked only while they
 * hold something that could be on a cycle (`MAINTAIN_TRACKING`, `_PyDict_MaybeUntrack`, `_PyTuple_MaybeUntrack`).
 *
 * An object that cannot be collected (a string, a struct whose schema is acyclic) never counts; a tuple counts while
 * it is tracked; everything else that can be collected counts, an untracked dict included.
 */
import {
  type Address,
  FLAG_TRACKED,
  HEADER_TYPE,
  KIND_TUPLE,
  TYPE_FLAGS,
  TYPE_GC,
  TYPE_KIND,
} from "../memory/layout.js";
import type { Generations } from "./generation.js";
import type { Traversal } from "./traverse.js";
import type { TypeTable } from "./type.js";

export class Tracking {
  private readonly i32: Int32Array;
  private readonly generations: Generations;
  private readonly types: TypeTable;
  private readonly traversal: Traversal;

  constructor(i32: Int32Array, generations: Generations, types: TypeTable, traversal: Traversal) {
    this.i32 = i32;
    this.generations = generations;
    this.types = types;
    this.traversal = traversal;
  }

  isTracked(object: Address): boolean {
    return (this.i32[object + HEADER_TYPE] & FLAG_TRACKED) !== 0;
  }

  /** Whether holding this object is a reason to be tracked. */
  isContainer(object: Address): boolean {
    const { i32 } = this;
    const type = this.types.descriptorOf(object);
    if ((i32[type + TYPE_FLAGS] & TYPE_GC) === 0) return false;
    return i32[type + TYPE_KIND] !== KIND_TUPLE || this.isTracked(object);
  }

  /** Before a reference is stored in a dict: track the dict if that makes it a candidate. @throws OutOfMemoryError */
  beforeStore(dict: Address, object: Address): void {
    if (object === 0 || this.isTracked(dict) || !this.isContainer(object)) return;
    if ((this.i32[this.types.descriptorOf(dict) + TYPE_FLAGS] & TYPE_GC) === 0) return;
    this.generations.openYoung();
    this.generations.track(dict);
  }

  /** Untrack those objects of one kind in a generation that hold no container, in list order. */
  untrackAll(generation: number, kind: number): void {
    // Listed first: untracking may free the chunk that a walk stands in. Checked one by one: an inner tuple that has
    // just been untracked no longer counts for an outer one.
    const candidates: Address[] = [];
    for (const object of this.generations.objects(generation))
      if (this.types.kindOf(object) === kind) candidates.push(object);
    for (const object of candidates) if (!this.holdsContainer(object)) this.generations.untrack(object);
  }

  /** Whether an object holds a reason to be tracked. */
  holdsContainer(object: Address): boolean {
    const count = this.traversal.collect(object);
    for (let index = 0; index < count; index++)
      if (this.isContainer(this.traversal.referents[index])) return true;
    return false;
  }
}
