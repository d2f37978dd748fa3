/**
 * The part of a death that others see, between the last reference and the dropping of what the object holds: CPython's
 * `subtype_dealloc` from PyObject_CallFinalizerFromDealloc to _PyWeakref_ClearRef, and `PyObject_ClearWeakRefs`.
 *
 * User code runs here. It may allocate, collect, resurrect this object and drop any other; refcount.ts has put the
 * half-dropped ancestors out of its sight.
 */
import { OutOfMemoryError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_USER_CODE,
  FLAG_DYING,
  FLAG_FINALIZED,
  FLAG_POOLED,
  FLAG_TRACKED,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  KIND_FOREIGN,
  TYPE_FINALIZER,
  TYPE_FLAGS,
  TYPE_GC,
  WEAKREF_HOST_CALLBACK,
} from "../memory/layout.js";
import type { Generations } from "./generation.js";
import type { Hooks } from "./hooks.js";
import type { Lists } from "./list.js";
import type { ReferenceCounts } from "./refcount.js";
import type { TypeTable } from "./type.js";
import type { WeakReferences } from "./weakref.js";

/** A callback that waits to be called: the reference to the weak reference is ours, that to its callback too. */
interface PendingCallback {
  readonly ref: Address;
  readonly callback: Address;
  readonly hostCallback: number;
}

export class Lifetime {
  private readonly i32: Int32Array;
  private readonly generations: Generations;
  private readonly types: TypeTable;
  private readonly counts: ReferenceCounts;
  private readonly lists: Lists;
  private readonly weakrefs: WeakReferences;
  private readonly hooks: Hooks;
  /** Type of the list that keeps several pending callbacks, as a tuple does in CPython. */
  private readonly pendingTypeId: number;

  constructor(parts: {
    readonly memory: { readonly i32: Int32Array };
    readonly generations: Generations;
    readonly types: TypeTable;
    readonly counts: ReferenceCounts;
    readonly lists: Lists;
    readonly weakrefs: WeakReferences;
    readonly hooks: Hooks;
    readonly pendingTypeId: number;
  }) {
    this.i32 = parts.memory.i32;
    this.generations = parts.generations;
    this.types = parts.types;
    this.counts = parts.counts;
    this.lists = parts.lists;
    this.weakrefs = parts.weakrefs;
    this.hooks = parts.hooks;
    this.pendingTypeId = parts.pendingTypeId;
    parts.hooks.beforeDeath = (object) => this.beforeDeath(object);
  }

  isFinalized(object: Address): boolean {
    return (this.i32[object + HEADER_TYPE] & FLAG_FINALIZED) !== 0;
  }

  hasFinalizer(object: Address): boolean {
    return (this.i32[this.types.descriptorOf(object) + TYPE_FLAGS] & TYPE_FINALIZER) !== 0;
  }

  /** The whole of it for one object, whose count is 0. @returns whether it lives on: resurrected, or back in its pool */
  private beforeDeath(object: Address): boolean {
    const { i32 } = this;
    const hasFinalizer = this.hasFinalizer(object);
    i32[CONTROL_USER_CODE]++;
    try {
      if (hasFinalizer && !this.isFinalized(object) && this.finalize(object)) return true;
      if (this.weakrefs.first(object) !== 0) this.clearWeakrefs(object);
      // Those that the callbacks have made go without a word.
      if (hasFinalizer && this.weakrefs.first(object) !== 0)
        for (const ref of [...this.weakrefs.list(object)]) this.weakrefs.cut(ref);
      if (this.types.kindOf(object) === KIND_FOREIGN) this.hooks.disposeForeign(object);
      return (i32[object + HEADER_TYPE] & FLAG_POOLED) !== 0 && this.hooks.returnToPool(object);
    } finally {
      i32[CONTROL_USER_CODE]--;
    }
  }

  /**
   * The finalizer sees the object alive, with its weak references, in generation 0; the flag is set when it is over.
   * @returns whether somebody holds the object now
   */
  private finalize(object: Address): boolean {
    const { i32 } = this;
    const isGc = (i32[this.types.descriptorOf(object) + TYPE_FLAGS] & TYPE_GC) !== 0;
    i32[object + HEADER_REFCOUNT] = 1;
    i32[object + HEADER_TYPE] &= ~FLAG_DYING;
    // In a heap without room for one more entry it stays out of the tables.
    if (isGc) this.generations.trackAgain(object);
    this.hooks.runFinalizer(object);
    i32[object + HEADER_TYPE] |= FLAG_FINALIZED;
    if (--i32[object + HEADER_REFCOUNT] > 0) return true;
    if ((i32[object + HEADER_TYPE] & FLAG_TRACKED) !== 0) this.generations.untrack(object);
    i32[object + HEADER_TYPE] |= FLAG_DYING;
    i32[object + HEADER_SERIAL]++; // what the finalizer borrowed
    return false;
  }

  /**
   * Cut all weak references to an object, then call their callbacks in list order: all are dead before the first call.
   * One that an earlier callback drops is called all the same.
   */
  private clearWeakrefs(object: Address): void {
    const pending: PendingCallback[] = [];
    for (const ref of [...this.weakrefs.list(object)]) {
      const isCalled = this.weakrefs.hasCallback(ref);
      this.weakrefs.cut(ref);
      if (isCalled) pending.push(this.take(ref));
    }
    if (pending.length === 0) return;
    // CPython keeps a single one on its stack, and several in a tuple that the collector sees through.
    const tuple = pending.length > 1 ? this.keep(pending) : 0;
    for (const call of pending) this.call(call);
    if (tuple !== 0) this.counts.decref(tuple);
    else
      for (const { ref, callback } of pending.toReversed()) {
        this.counts.decref(ref);
        if (callback !== 0) this.counts.decref(callback);
      }
    for (const { hostCallback } of pending) if (hostCallback !== 0) this.hooks.forgetCallback(hostCallback);
  }

  /** The running call holds its arguments, whatever else does: a collection in it takes them for reachable. */
  private call({ ref, callback, hostCallback }: PendingCallback): void {
    const { i32, counts } = this;
    i32[ref + HEADER_REFCOUNT]++;
    if (callback !== 0) i32[callback + HEADER_REFCOUNT]++;
    this.hooks.runCallback(ref, callback, hostCallback);
    counts.decref(ref);
    if (callback !== 0) counts.decref(callback);
  }

  private take(ref: Address): PendingCallback {
    const { i32 } = this;
    i32[ref + HEADER_REFCOUNT]++;
    const hostCallback = i32[ref + WEAKREF_HOST_CALLBACK];
    i32[ref + WEAKREF_HOST_CALLBACK] = 0;
    return { ref, callback: this.weakrefs.takeCallback(ref), hostCallback };
  }

  /** A tracked list that takes the references over, first to last; 0 where there is no memory for it. */
  private keep(pending: readonly PendingCallback[]): Address {
    const { i32, lists } = this;
    const held = pending.flatMap(({ ref, callback }) => (callback === 0 ? [ref] : [ref, callback]));
    let list = 0;
    try {
      list = lists.create(this.pendingTypeId);
      lists.reserve(list, held.length);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      if (list !== 0) this.counts.decref(list);
      return 0;
    }
    for (const object of held) i32[lists.openGap(list, lists.length(list))] = object;
    return list;
  }
}
