/**
 * The cycle collector: CPython 3.11's (Modules/gcmodule.c, `gc_collect_main`), in its order of events.
 *
 * Reference counts free everything but cycles. To find a dead cycle no roots are needed: subtract from each object's
 * count the references that come from inside the candidates; what is left over is held from outside. Whatever nothing
 * outside reaches is garbage. The steps, each a method below or in the file named:
 *
 *   merge       the younger generations join the tail of the one collected
 *   partition   the candidates are split into reachable and unreachable,          promotion.ts
 *               and the reachable become one generation older
 *   finalize    weak references to them are cut, callbacks and finalizers run,    finalize.ts
 *               and what a finalizer has brought back is promoted after all
 *   clear       the unreachable drop their references and die by their counts     clear.ts
 *
 * A collection allocates nothing that it does not give back: a heap that is full can be collected.
 */
import { OutOfMemoryError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_ADOPTED_SINCE,
  CONTROL_DEBUG,
  CONTROL_GARBAGE,
  CONTROL_STATS,
  HEADER_ENTRY,
  STATS_WORDS,
  UNREACHABLE,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import type { Generations } from "../object/generation.js";
import type { Hooks } from "../object/hooks.js";
import type { Lists } from "../object/list.js";
import type { ReferenceCounts } from "../object/refcount.js";
import type { TypeTable } from "../object/type.js";
import type { Watched } from "./bulk-death.js";
import type { Clearing } from "./clear.js";
import type { CollectorEvents } from "./events.js";
import type { Finalization } from "./finalize.js";
import type { LocalPartition } from "./local-partition.js";
import type { Promotion } from "./promotion.js";
import type { Trigger } from "./trigger.js";
import type { UnreachableObjects } from "./unreachable.js";

/** Bits of `gc.setDebug`, as in CPython. */
export const DEBUG_STATS = 1;
export const DEBUG_COLLECTABLE = 2;
export const DEBUG_UNCOLLECTABLE = 4;
export const DEBUG_SAVEALL = 32;

export interface CollectorParts {
  readonly memory: Memory;
  readonly generations: Generations;
  readonly counts: ReferenceCounts;
  readonly lists: Lists;
  readonly clearing: Clearing;
  readonly promotion: Promotion;
  readonly unreachable: UnreachableObjects;
  readonly types: TypeTable;
  readonly localPartition: LocalPartition;
  readonly finalization: Finalization;
  readonly trigger: Trigger;
  readonly events: CollectorEvents;
  readonly hooks: Hooks;
}

export class Collector {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;
  private readonly parts: CollectorParts;

  constructor(parts: CollectorParts) {
    this.i32 = parts.memory.i32;
    this.f64 = parts.memory.f64;
    this.parts = parts;
  }

  /** What an allocation calls when count0 has passed its threshold. */
  collectIfDue(): void {
    const { trigger } = this.parts;
    trigger.countAllocation();
    const generation = trigger.pick();
    if (generation >= 0) this.collect(generation);
  }

  /**
   * Collect a generation and all younger ones.
   * @returns the number of unreachable objects; 0 at once while another collection is under way
   */
  collect(generation: number): number {
    const { generations, promotion, unreachable, trigger, events, hooks } = this.parts;
    if (trigger.isCollecting) return 0;
    trigger.setCollecting(true);
    try {
      events.start(generation);
      events.begin(generation);
      trigger.collectionStarts(generation);
      if (generation === 2) this.f64[CONTROL_ADOPTED_SINCE >> 1] = 0;
      for (let younger = 0; younger < generation; younger++) generations.merge(younger, generation);
      generations.refillReserve();
      events.phase("merge");

      promotion.split(generation, this.watched());
      const collected =
        unreachable.doomedCount > 0 ? this.freeUnwatched(generation) : this.freeInOrder(generation);
      generations.refillReserve();
      events.phase("clear");

      this.addStats(generation, collected);
      trigger.collectionEnds(generation, collected, promotion.reachableCount);
      const result = { generation, collected, uncollectable: 0 };
      events.end(result);
      events.stop(result);
      return collected;
    } finally {
      // Both are empty, unless something threw on the way.
      unreachable.forget();
      generations.merge(UNREACHABLE, generation);
      trigger.setCollecting(false);
      hooks.held.forget();
    }
  }

  /** @returns how many of the unreachable were garbage after all */
  private freeInOrder(generation: number): number {
    const { generations, promotion, unreachable, finalization, events } = this.parts;
    promotion.settle(generation);
    const old = promotion.promote(generation);
    const found = unreachable.place(old);
    events.phase("partition");
    events.unreachable({ [Symbol.iterator]: () => generations.objects(UNREACHABLE) });

    const collected = finalization.run(old, found);
    events.phase("finalize");

    this.clearUnreachable(old);
    return collected;
  }

  /** Until they are freed, all at once, the unreachable stand in a table: then only survivors are left in it. */
  private freeUnwatched(generation: number): number {
    const { generations, promotion, unreachable, events } = this.parts;
    events.phase("partition");
    events.phase("finalize");
    promotion.settle(generation);
    const freed = unreachable.freeDoomed();
    generations.empty(UNREACHABLE);
    promotion.promote(generation);
    return freed;
  }

  /** Who may see garbage die. */
  private watched(): Watched {
    const { events, finalization, types } = this.parts;
    if ((this.i32[CONTROL_DEBUG] & DEBUG_SAVEALL) !== 0 || events.hearsUnreachable) return "order";
    return finalization.isSeen || types.hasPools ? "some" : "none";
  }

  /**
   * Free the cycles among what some objects reach, and leave everything else alone: no generation is merged, no count or
   * statistic moves, no callback of `gc.callbacks` is called. What a finalizer brings back is young again.
   * @returns the number of unreachable objects; 0 at once while another collection is under way
   */
  collectReachable(seeds: Iterable<Address>): number {
    const { trigger, events, hooks } = this.parts;
    if (trigger.isCollecting) return 0;
    trigger.setCollecting(true);
    let isPlaced: boolean;
    try {
      const garbage = this.findGarbage(seeds);
      isPlaced = this.placeGarbage(garbage);
      // What is brought back enters a table anew.
      if (garbage.length > 0) this.parts.generations.settled.unsettleAll();
      if (isPlaced && garbage.length > 0) {
        events.phase("partition");
        const collected = this.parts.finalization.run(0, garbage.length);
        events.phase("finalize");
        this.clearUnreachable(0);
        events.phase("clear");
        return collected;
      }
    } finally {
      trigger.setCollecting(false);
      hooks.held.forget();
    }
    return isPlaced ? 0 : this.collect(2);
  }

  /** What a full collection would find unreachable, in list order. Nothing changes. O(heap). */
  findPending(): Address[] {
    const { trigger, generations, hooks } = this.parts;
    if (trigger.isCollecting) return [];
    trigger.setCollecting(true);
    try {
      return this.findGarbage(allObjects(generations));
    } finally {
      trigger.setCollecting(false);
      hooks.held.forget();
    }
  }

  /** What one reference to an object keeps alive; undefined where that cannot be told within so many objects. */
  findKeptBy(object: Address, objectsMax: number): Address[] | undefined {
    return this.parts.localPartition.findKeptBy(object, objectsMax);
  }

  /** @param seeds read once no user code runs any more */
  private findGarbage(seeds: Iterable<Address>): Address[] {
    const { hooks, generations, localPartition } = this.parts;
    hooks.held.showAll();
    try {
      return localPartition.find(seeds);
    } finally {
      hooks.held.hide();
      generations.refillReserve();
    }
  }

  /** Move garbage to the table of the unreachable. @returns false where the heap has no memory for that: it is then back */
  private placeGarbage(garbage: readonly Address[]): boolean {
    const { generations } = this.parts;
    generations.refillReserve();
    for (const object of garbage) {
      if (!generations.hasRoom(UNREACHABLE)) {
        generations.merge(UNREACHABLE, 2);
        return false;
      }
      generations.removeEntry(this.i32[object + HEADER_ENTRY]);
      generations.append(UNREACHABLE, object);
    }
    return true;
  }

  /**
   * Break the cycles (CPython: `delete_garbage`): each object in turn, as long as it is alive, drops its references;
   * the counts do the rest. What survives its own clearing, because something outside took hold of it, goes to `old`.
   */
  private clearUnreachable(old: number): void {
    const { i32 } = this;
    const { generations, counts, clearing } = this.parts;
    for (let entry = generations.firstEntry(UNREACHABLE, 0); entry !== 0; ) {
      const object = i32[entry];
      if ((i32[CONTROL_DEBUG] & DEBUG_SAVEALL) !== 0) this.saveGarbage(object);
      else {
        counts.incref(object);
        clearing.clear(object);
        counts.decref(object);
      }
      let from = entry;
      if (generations.isAt(entry, object, UNREACHABLE)) {
        generations.removeEntry(entry);
        if (!generations.hasRoom(old)) {
          // Both packed, they need one chunk less than they have, and the entries of the unreachable have moved.
          generations.pack(old);
          generations.pack(UNREACHABLE);
          from = 0;
        }
        generations.appendAnywhere(old, object);
      }
      entry = generations.firstEntry(UNREACHABLE, from);
    }
    generations.merge(UNREACHABLE, old);
  }

  /** DEBUG_SAVEALL: keep it in `gc.garbage`. When there is no memory for that it only stays alive, as in CPython. */
  private saveGarbage(object: Address): void {
    const { i32 } = this;
    const { generations, lists, counts } = this.parts;
    const garbage = i32[CONTROL_GARBAGE];
    generations.refillReserve(); // before the list grows into the last chunk that there is
    try {
      const item = lists.openGap(garbage, lists.length(garbage));
      i32[item] = object;
      counts.incref(object);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
  }

  private addStats(generation: number, collected: number): void {
    const stats = (CONTROL_STATS + generation * STATS_WORDS) >> 1;
    this.f64[stats] += 1;
    this.f64[stats + 1] += collected;
  }

  /** Collections, collected and uncollectable objects of a generation since the heap was made. */
  stats(generation: number): { collections: number; collected: number; uncollectable: number } {
    const stats = (CONTROL_STATS + generation * STATS_WORDS) >> 1;
    return {
      collections: this.f64[stats],
      collected: this.f64[stats + 1],
      uncollectable: this.f64[stats + 2],
    };
  }
}

function* allObjects(generations: Generations): IterableIterator<Address> {
  for (const generation of [0, 1, 2]) yield* generations.objects(generation);
}
