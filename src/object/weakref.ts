/**
 * Weak references: objects that know another without counting for it (CPython: Objects/weakrefobject.c).
 *
 * Those to one object form a list that starts in a word of the object. An object with a list is FLAG_OBSERVED, and so is
 * every weak reference, because its death has to take it out of its list.
 */
import { InvalidArgumentError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_WEAKREFS,
  FLAG_OBSERVED,
  FLAG_POOLED,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  TYPE_FINALIZER,
  TYPE_FLAGS,
  TYPE_FOREIGN,
  TYPE_ID_MASK,
  TYPE_ID_WEAKREF,
  TYPE_WEAKREF_OFFSET,
  WEAKREF_CALLBACK,
  WEAKREF_HOST_CALLBACK,
  WEAKREF_IS_PROXY,
  WEAKREF_NEXT,
  WEAKREF_PREVIOUS,
  WEAKREF_TARGET,
  WEAKREF_WORDS,
} from "../memory/layout.js";
import type { Hooks } from "./hooks.js";
import type { Objects } from "./objects.js";
import type { ReferenceCounts } from "./refcount.js";
import type { TypeTable } from "./type.js";

export interface WeakrefOptions {
  /** A heap object to be called, borrowed. */
  readonly callback?: Address;
  /** The number of a JavaScript function to be called. */
  readonly hostCallback?: number;
  readonly isProxy?: boolean;
}

export class WeakReferences {
  private readonly i32: Int32Array;
  private readonly objects: Objects;
  private readonly counts: ReferenceCounts;
  private readonly types: TypeTable;
  private readonly hooks: Hooks;

  constructor(i32: Int32Array, objects: Objects, counts: ReferenceCounts, types: TypeTable, hooks: Hooks) {
    this.i32 = i32;
    this.objects = objects;
    this.counts = counts;
    this.types = types;
    this.hooks = hooks;
    hooks.endWeakref = (ref) => this.end(ref);
  }

  isWeakref(object: Address): boolean {
    return (this.i32[object + HEADER_TYPE] & TYPE_ID_MASK) === TYPE_ID_WEAKREF;
  }

  /** Whether objects of a type have room for a list of weak references. */
  isReferenceable(object: Address): boolean {
    return this.i32[this.types.descriptorOf(object) + TYPE_WEAKREF_OFFSET] !== 0;
  }

  /** The target, borrowed; 0 once it is dead (or deferred by the trashcan, and so as good as dead). */
  target(ref: Address): Address {
    const { i32 } = this;
    const target = i32[ref + WEAKREF_TARGET];
    return target !== 0 && i32[target + HEADER_REFCOUNT] > 0 ? target : 0;
  }

  hasCallback(ref: Address): boolean {
    return this.i32[ref + WEAKREF_CALLBACK] !== 0 || this.i32[ref + WEAKREF_HOST_CALLBACK] !== 0;
  }

  /**
   * A weak reference. Without a callback there is one reference and one proxy to an object, shared by all who ask.
   * @returns a new reference to it
   * @throws OutOfMemoryError; nothing has then changed
   */
  create(target: Address, options: WeakrefOptions = {}): Address {
    const { i32 } = this;
    const { callback = 0, hostCallback = 0, isProxy = false } = options;
    if (!this.isReferenceable(target))
      throw new InvalidArgumentError(
        `A ${this.types.name(i32[target + HEADER_TYPE] & TYPE_ID_MASK)} cannot be weakly referenced.`,
      );
    const isShared = callback === 0 && hostCallback === 0;
    const shared = isShared ? this.findShared(target, isProxy) : 0;
    if (shared !== 0) {
      i32[shared + HEADER_REFCOUNT]++;
      return shared;
    }
    const ref = this.objects.create(TYPE_ID_WEAKREF);
    i32.fill(0, ref + WEAKREF_CALLBACK, ref + WEAKREF_WORDS);
    // The allocation may have collected, and a finalizer made the shared one meanwhile.
    const rival = isShared ? this.findShared(target, isProxy) : 0;
    if (rival !== 0) {
      this.counts.decref(ref);
      i32[rival + HEADER_REFCOUNT]++;
      return rival;
    }
    i32[ref + WEAKREF_CALLBACK] = callback;
    if (callback !== 0) i32[callback + HEADER_REFCOUNT]++;
    i32[ref + WEAKREF_HOST_CALLBACK] = hostCallback;
    i32[ref + WEAKREF_IS_PROXY] = isProxy ? 1 : 0;
    this.link(ref, target, isShared && !isProxy ? 0 : this.lastShared(target));
    return ref;
  }

  /** The first weak reference to an object, borrowed, or 0. */
  first(target: Address): Address {
    const offset = this.i32[this.types.descriptorOf(target) + TYPE_WEAKREF_OFFSET];
    return offset === 0 ? 0 : this.i32[target + offset];
  }

  /** All weak references to an object, borrowed, in list order. */
  *list(target: Address): IterableIterator<Address> {
    for (let ref = this.first(target); ref !== 0; ref = this.i32[ref + WEAKREF_NEXT]) yield ref;
  }

  /** Cut a weak reference from its target: it is dead, its callback stays. */
  cut(ref: Address): void {
    const { i32 } = this;
    const target = i32[ref + WEAKREF_TARGET];
    if (target === 0) return;
    const next = i32[ref + WEAKREF_NEXT];
    const previous = i32[ref + WEAKREF_PREVIOUS];
    if (next !== 0) i32[next + WEAKREF_PREVIOUS] = previous;
    if (previous !== 0) i32[previous + WEAKREF_NEXT] = next;
    else this.setFirst(target, next);
    i32[ref + WEAKREF_TARGET] = 0;
    i32[ref + WEAKREF_NEXT] = 0;
    i32[ref + WEAKREF_PREVIOUS] = 0;
    i32[CONTROL_WEAKREFS]--;
  }

  /** Take a weak reference's callback out of it. @returns the heap object, with the reference to it, or 0 */
  takeCallback(ref: Address): Address {
    const callback = this.i32[ref + WEAKREF_CALLBACK];
    this.i32[ref + WEAKREF_CALLBACK] = 0;
    return callback;
  }

  /** A JavaScript callback will not be called any more. */
  forget(hostCallback: number): void {
    this.hooks.forgetCallback(hostCallback);
  }

  private end(ref: Address): Address {
    this.cut(ref);
    const hostCallback = this.i32[ref + WEAKREF_HOST_CALLBACK];
    if (hostCallback !== 0) this.forget(hostCallback);
    return this.takeCallback(ref);
  }

  private findShared(target: Address, isProxy: boolean): Address {
    for (const ref of this.list(target)) {
      if (this.hasCallback(ref)) return 0;
      if ((this.i32[ref + WEAKREF_IS_PROXY] !== 0) === isProxy) return ref;
    }
    return 0;
  }

  /** The last of the shared ones, behind which those with a callback begin; 0: there are none. */
  private lastShared(target: Address): Address {
    let last = 0;
    for (const ref of this.list(target)) {
      if (this.hasCallback(ref)) break;
      last = ref;
    }
    return last;
  }

  /** Put a weak reference behind another one of its target's list, or first. */
  private link(ref: Address, target: Address, previous: Address): void {
    const { i32 } = this;
    const next = previous === 0 ? this.first(target) : i32[previous + WEAKREF_NEXT];
    i32[ref + WEAKREF_TARGET] = target;
    i32[ref + WEAKREF_NEXT] = next;
    i32[ref + WEAKREF_PREVIOUS] = previous;
    if (next !== 0) i32[next + WEAKREF_PREVIOUS] = ref;
    if (previous === 0) this.setFirst(target, ref);
    else i32[previous + WEAKREF_NEXT] = ref;
    i32[CONTROL_WEAKREFS]++;
  }

  private setFirst(target: Address, ref: Address): void {
    const { i32 } = this;
    const type = this.types.descriptorOf(target);
    i32[target + i32[type + TYPE_WEAKREF_OFFSET]] = ref;
    if (ref !== 0) i32[target + HEADER_TYPE] |= FLAG_OBSERVED;
    else if ((i32[target + HEADER_TYPE] & FLAG_POOLED) !== 0) return;
    else if ((i32[type + TYPE_FLAGS] & (TYPE_FINALIZER | TYPE_FOREIGN)) === 0)
      i32[target + HEADER_TYPE] &= ~FLAG_OBSERVED;
  }
}
