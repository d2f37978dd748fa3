/**
 * The first half of a collection: the candidates are partitioned, and what is reachable becomes one generation older. Which
 * of the two partitions does it depends on how much there is to look at: a young generation, what a full collection has not
 * settled yet (object/settled.ts), or everything.
 */
import {
  CONTROL_RAW_WRITES,
  CONTROL_SETTLED,
  CONTROL_SETTLED_END,
  CONTROL_USER_CODE,
  KIND_DICT,
  KIND_TUPLE,
} from "../memory/layout.js";
import type { Generations } from "../object/generation.js";
import type { Hooks } from "../object/hooks.js";
import type { Tracking } from "../object/tracking.js";
import type { TypeTable } from "../object/type.js";
import type { Watched } from "./bulk-death.js";
import type { Partition } from "./partition.js";
import type { Trigger } from "./trigger.js";
import type { UnreachableObjects } from "./unreachable.js";
import type { YoungPartition } from "./young-partition.js";

/** An entry of generation 2's table. */
interface Place {
  readonly chunk: number;
  readonly entry: number;
}

/** The table itself. */
const NOWHERE: Place = { chunk: 0, entry: 0 };

export interface PromotionParts {
  readonly memory: { readonly i32: Int32Array };
  readonly generations: Generations;
  readonly types: TypeTable;
  readonly tracking: Tracking;
  readonly trigger: Trigger;
  readonly hooks: Hooks;
  readonly partition: Partition;
  readonly youngPartition: YoungPartition;
  readonly unreachable: UnreachableObjects;
}

export class Promotion {
  private readonly i32: Int32Array;
  private readonly parts: PromotionParts;
  /** Of the collection under way: where its part of generation 2 begins, and how many it found reachable. */
  private from = NOWHERE;
  private reachable = 0;

  constructor(parts: PromotionParts) {
    this.i32 = parts.memory.i32;
    this.parts = parts;
  }

  /** How many the last split looked at and found reachable. */
  get reachableCount(): number {
    return this.reachable;
  }

  /**
   * Partition a generation that the younger ones have joined. After: what is reachable from outside is in CPython's order, in
   * this table or the next; what is not waits in the list for it, or to be freed at once. Runs user code (`traverse`) first.
   * @param watched who may see the unreachable die
   */
  split(generation: number, watched: Watched): void {
    const { hooks, unreachable } = this.parts;
    hooks.held.show(generation);
    this.from = generation === 2 ? this.settledEnd() : NOWHERE;
    try {
      this.reachable =
        generation === 2 ? this.partitionOld(watched) : this.partitionYoung(generation, watched);
    } finally {
      hooks.held.hide();
    }
    // A full partition leaves those that will be freed at once in its table.
    if (unreachable.doomedCount > 0 && (generation < 2 || this.from.chunk !== 0))
      unreachable.place(Math.min(generation + 1, 2));
  }

  /**
   * After a full partition, and before any reference that it has seen is dropped: all that it left is settled, if every
   * reference that it took for one from outside is one, or will be told of.
   */
  settle(generation: number): void {
    const { i32 } = this;
    const { generations, hooks } = this.parts;
    const isUnseen = i32[CONTROL_RAW_WRITES] !== 0 || i32[CONTROL_USER_CODE] !== 0;
    if (generation < 2 || isUnseen || !hooks.held.isEmpty() || hooks.isHolding()) return;
    generations.settle(this.from.chunk, this.from.entry);
  }

  /**
   * The survivors of generation 0 and 1 are one generation older; those of 2 stay.
   * @returns the generation that they are in now
   */
  promote(generation: number): number {
    if (generation === 2) this.tidyOld();
    else this.promoteYoung(generation);
    return Math.min(generation + 1, 2);
  }

  // -- generation 0 and 1 ---------------------------------------------------------------------

  private partitionYoung(generation: number, watched: Watched): number {
    const { youngPartition, types } = this.parts;
    // Tuples are looked at before their table joins the next one.
    return youngPartition.run(generation, types.hasTuples ? generation : generation + 1, watched);
  }

  /** Tuples that hold no container are untracked on the way (CPython: `untrack_tuples`). */
  private promoteYoung(generation: number): void {
    const { generations, tracking, types, trigger } = this.parts;
    let promoted = this.reachable;
    if (types.hasTuples) {
      tracking.untrackAll(generation, KIND_TUPLE);
      promoted = generations.size(generation);
      generations.merge(generation, generation + 1);
    }
    if (generation === 1) trigger.addLongLivedPending(promoted);
    generations.refillReserve();
  }

  // -- a full collection ----------------------------------------------------------------------

  /**
   * Where the part begins that has to be partitioned; chunk 0: with the table. From half of it on, all of it in place is
   * cheaper. Nothing is settled while references go unseen: raw ones, and handles that foreign values name.
   */
  private settledEnd(): Place {
    const { generations, hooks } = this.parts;
    if (this.i32[CONTROL_RAW_WRITES] !== 0 || !hooks.held.isEmpty()) generations.settled.unsettleAll();
    const chunk = this.i32[CONTROL_SETTLED];
    const entry = this.i32[CONTROL_SETTLED_END];
    const isPart = chunk !== 0 && generations.entriesFrom(chunk, entry) * 2 < generations.entryCount(2);
    return isPart ? { chunk, entry } : NOWHERE;
  }

  private partitionOld(watched: Watched): number {
    const { partition, youngPartition } = this.parts;
    const { chunk, entry } = this.from;
    return chunk === 0 ? partition.run(watched) : youngPartition.runFrom(chunk, entry, watched);
  }

  /** Tuples and dicts that hold no container are untracked (`untrack_tuples`, `untrack_dicts`); tombstones give way. */
  private tidyOld(): void {
    const { generations, tracking, types, trigger } = this.parts;
    if (types.hasTuples) tracking.untrackAll(2, KIND_TUPLE);
    if (types.hasDicts) tracking.untrackAll(2, KIND_DICT);
    const isAll = this.from.chunk === 0;
    const size = isAll && !types.hasTuples && !types.hasDicts ? this.reachable : generations.size(2);
    trigger.setLongLivedTotal(size);
    const isSettled = generations.isAllSettled();
    if (isAll) generations.dropEmptyChunks(2);
    generations.packIfSparse(2, size);
    if (isSettled) generations.resettle();
    generations.refillReserve();
  }
}
