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
import type { Partition } from "./partition.js";
import type { Trigger } from "./trigger.js";
import type { YoungPartition } from "./young-partition.js";

export interface PromotionParts {
  readonly memory: { readonly i32: Int32Array };
  readonly generations: Generations;
  readonly types: TypeTable;
  readonly tracking: Tracking;
  readonly trigger: Trigger;
  readonly hooks: Hooks;
  readonly partition: Partition;
  readonly youngPartition: YoungPartition;
}

export class Promotion {
  private readonly i32: Int32Array;
  private readonly parts: PromotionParts;

  constructor(parts: PromotionParts) {
    this.i32 = parts.memory.i32;
    this.parts = parts;
  }

  /**
   * Partition a generation that the younger ones have joined. After: what is unreachable waits in the list for it; the
   * survivors of generation 0 and 1 are in the next one, those of 2 stay. Runs user code (`traverse`) first.
   * @returns the generation that they are in now
   */
  run(generation: number): number {
    const { hooks } = this.parts;
    let reachable = 0;
    hooks.held.show(generation);
    const from = generation === 2 ? this.settledEnd() : { chunk: 0, entry: 0 };
    try {
      reachable = generation === 2 ? this.partitionOld(from) : this.partitionYoung(generation);
    } finally {
      hooks.held.hide();
    }
    if (generation === 2) this.tidyOld(reachable, from);
    else this.promoteYoung(generation, reachable);
    return Math.min(generation + 1, 2);
  }

  // -- generation 0 and 1 ---------------------------------------------------------------------

  private partitionYoung(generation: number): number {
    const { youngPartition, types } = this.parts;
    // Tuples are looked at before their table joins the next one.
    return youngPartition.run(generation, types.hasTuples ? generation : generation + 1);
  }

  /** Tuples that hold no container are untracked on the way (CPython: `untrack_tuples`). */
  private promoteYoung(generation: number, reachable: number): void {
    const { generations, tracking, types, trigger } = this.parts;
    let promoted = reachable;
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
    return isPart ? { chunk, entry } : { chunk: 0, entry: 0 };
  }

  private partitionOld({ chunk, entry }: Place): number {
    const { partition, youngPartition } = this.parts;
    return chunk === 0 ? partition.run() : youngPartition.runFrom(chunk, entry);
  }

  /** Tuples and dicts that hold no container are untracked (`untrack_tuples`, `untrack_dicts`); tombstones give way. */
  private tidyOld(reachable: number, from: Place): void {
    const { generations, tracking, types, trigger } = this.parts;
    if (types.hasTuples) tracking.untrackAll(2, KIND_TUPLE);
    if (types.hasDicts) tracking.untrackAll(2, KIND_DICT);
    const isAll = from.chunk === 0;
    const size = isAll && !types.hasTuples && !types.hasDicts ? reachable : generations.size(2);
    trigger.setLongLivedTotal(size);
    if (isAll) generations.dropEmptyChunks(2);
    const hasMoved = generations.packIfSparse(2, size);
    generations.refillReserve();
    if (this.canSettle()) generations.settle(hasMoved ? 0 : from.chunk, from.entry);
  }

  /** Whether every reference that this collection took for one from outside is one, or will be told of. */
  private canSettle(): boolean {
    const { hooks } = this.parts;
    const { i32 } = this;
    const isUnseen = i32[CONTROL_RAW_WRITES] !== 0 || i32[CONTROL_USER_CODE] !== 0;
    return !isUnseen && hooks.held.isEmpty() && !hooks.isHolding();
  }
}

/** An entry of generation 2's table. */
interface Place {
  readonly chunk: number;
  readonly entry: number;
}
