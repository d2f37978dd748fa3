/**
 * Between the partition and the clearing of a collection: what is about to go is seen once more (CPython:
 * `handle_weakrefs`, `finalize_garbage`, `handle_resurrected_objects`).
 *
 * Contract of each step: the unreachable stand in a table of their own, in order. User code may drop any of them but
 * cannot collect. Whoever borrowed one of them before can no longer use it, so that only a finalizer resurrects.
 */
import {
  type Address,
  CONTROL_FOREIGN,
  CONTROL_USER_CODE,
  CONTROL_WEAKREFS,
  FLAG_FINALIZED,
  FLAG_OBSERVED,
  FLAG_TRACKED,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  UNREACHABLE,
  WEAKREF_CALLBACK,
  WEAKREF_HOST_CALLBACK,
} from "../memory/layout.js";
import type { Generations } from "../object/generation.js";
import type { Hooks } from "../object/hooks.js";
import type { Lifetime } from "../object/lifetime.js";
import type { ReferenceCounts } from "../object/refcount.js";
import type { TypeTable } from "../object/type.js";
import type { WeakReferences } from "../object/weakref.js";
import type { UnreachableObjects } from "./unreachable.js";
import type { YoungPartition } from "./young-partition.js";

export interface FinalizationParts {
  readonly memory: { readonly i32: Int32Array };
  readonly generations: Generations;
  readonly types: TypeTable;
  readonly counts: ReferenceCounts;
  readonly weakrefs: WeakReferences;
  readonly lifetime: Lifetime;
  readonly hooks: Hooks;
  readonly youngPartition: YoungPartition;
  readonly unreachable: UnreachableObjects;
}

export class Finalization {
  private readonly i32: Int32Array;
  private readonly parts: FinalizationParts;

  constructor(parts: FinalizationParts) {
    this.i32 = parts.memory.i32;
    this.parts = parts;
  }

  /** Whether any object of this heap can be seen to die. */
  get isSeen(): boolean {
    const { i32 } = this;
    return i32[CONTROL_WEAKREFS] > 0 || i32[CONTROL_FOREIGN] > 0 || this.parts.types.hasFinalizers;
  }

  /**
   * All steps. Nothing is done, and no object touched, in a heap without weak references, finalizers and foreign values.
   * @param old where survivors of this collection go
   * @param unreachable how many objects were found unreachable
   * @returns how many are garbage after all
   */
  run(old: number, unreachable: number): number {
    const { i32 } = this;
    if (unreachable === 0 || !this.isSeen) return unreachable;
    this.endBorrows();
    this.parts.hooks.held.keepValid();
    i32[CONTROL_USER_CODE]++;
    try {
      const pending = this.cutWeakrefs();
      const freed = this.runCallbacks(pending, old);
      const ran = this.runFinalizers();
      const isChanged = pending.length > 0 || ran;
      return freed + (isChanged ? this.keepResurrected(old) : unreachable);
    } finally {
      i32[CONTROL_USER_CODE]--;
    }
  }

  private endBorrows(): void {
    for (const object of this.parts.generations.objects(UNREACHABLE)) this.i32[object + HEADER_SERIAL]++;
  }

  /**
   * Cut every weak reference that is garbage or leads to garbage. One with a callback that is not garbage itself will be
   * called: it leaves its generation, and gets a reference that `runCallbacks` drops.
   */
  private cutWeakrefs(): Address[] {
    const { i32 } = this;
    const { generations, weakrefs } = this.parts;
    const pending: Address[] = [];
    for (const object of generations.objects(UNREACHABLE)) {
      if ((i32[object + HEADER_TYPE] & FLAG_OBSERVED) === 0) continue;
      if (weakrefs.isWeakref(object)) weakrefs.cut(object);
      for (const ref of [...weakrefs.list(object)]) {
        weakrefs.cut(ref);
        if (!weakrefs.hasCallback(ref) || generations.generationOf(ref) === UNREACHABLE) continue;
        generations.untrack(ref);
        i32[ref + HEADER_REFCOUNT]++;
        pending.push(ref);
      }
    }
    return pending;
  }

  /** @returns how many of the weak references died with their call */
  private runCallbacks(pending: readonly Address[], old: number): number {
    const { i32 } = this;
    const { generations, counts, hooks } = this.parts;
    let freed = 0;
    for (const ref of pending) {
      hooks.runCallback(ref, i32[ref + WEAKREF_CALLBACK], i32[ref + WEAKREF_HOST_CALLBACK]);
      if (i32[ref + HEADER_REFCOUNT] === 1) freed++;
      else {
        i32[ref + HEADER_TYPE] |= FLAG_TRACKED;
        generations.appendAnywhere(old, ref);
        // It stands behind its callback now.
        if (i32[ref + WEAKREF_CALLBACK] !== 0) generations.settled.unsettle(i32[ref + WEAKREF_CALLBACK]);
      }
      counts.decref(ref);
    }
    return freed;
  }

  /** @returns whether there were any */
  private runFinalizers(): boolean {
    const { i32 } = this;
    const { generations, types, counts, lifetime, hooks } = this.parts;
    if (!types.hasFinalizers) return false;
    let ran = false;
    for (const object of generations.objects(UNREACHABLE)) {
      if (!lifetime.hasFinalizer(object) || lifetime.isFinalized(object)) continue;
      ran = true;
      i32[object + HEADER_TYPE] |= FLAG_FINALIZED;
      counts.incref(object);
      hooks.runFinalizer(object);
      counts.decref(object);
    }
    return ran;
  }

  /**
   * Those that something outside holds now, and all that they reach, live on. Where user code has left no memory to tell
   * them from the others by, all do, until a collection that finds some. @returns how many do not
   */
  private keepResurrected(old: number): number {
    const { generations, youngPartition, unreachable, hooks } = this.parts;
    generations.refillReserve();
    if (!generations.hasChunk()) {
      generations.merge(UNREACHABLE, old);
      return 0;
    }
    hooks.held.showAgain();
    try {
      youngPartition.run(UNREACHABLE, old, "order");
    } finally {
      hooks.held.hide();
    }
    return unreachable.place(old);
  }
}
