/** Python's `weakref` module over one heap, as `heap.weakref`. */
import { InvalidArgumentError } from "../memory/errors.js";
import { type Address, HEADER_REFCOUNT } from "../memory/layout.js";
import type { Context } from "./context.js";
import { createFinalizer, type Finalizer } from "./finalize.js";
import { show } from "./schema.js";
import type { Borrowed, Handle } from "./types.js";
import { addressOf, asView, type View } from "./view.js";
import { WeakKeyDictionary, WeakObjectSet, WeakValueDictionary } from "./weak-containers.js";
import { weakProxy } from "./weak-proxy.js";
import type { WeakReference } from "./weakref-view.js";

/** Called with a weak reference, borrowed, when its target has died. */
export type WeakrefCallback<R extends Borrowed> = (ref: WeakReference<R>) => void;

/** The weak references of one heap, as `heap.weakref`. */
export class WeakrefModule {
  private readonly context: Context;

  /** @internal Made with its heap. */
  constructor(context: Context) {
    this.context = context;
  }

  /**
   * A weak reference to an object. Without a callback an object has one, which all who ask share; with one it is new.
   * The callback is called once, when the target has died, if the weak reference lives then; what it throws goes to
   * `heap.onUnraisable`. The caller owns the result.
   * @throws InvalidArgumentError for what cannot be weakly referenced: only structs (without `{ weakrefs: false }`), sets and foreign values can
   */
  ref<R extends Borrowed>(target: R, callback?: WeakrefCallback<R> | null): Handle<WeakReference<R>> {
    const ref = this.create(target, callback ?? undefined, false);
    return this.context.binder.typeOf(ref).handle(ref) as unknown as Handle<WeakReference<R>>;
  }

  /**
   * A stand-in for an object that does not keep it alive (Python's `weakref.proxy`). Use after the object's death throws
   * DeadReferenceError. Where a heap takes a reference, the proxy passes for its target. Release it as a handle.
   * @throws InvalidArgumentError as `ref`
   */
  proxy<R extends Borrowed>(target: R, callback?: WeakrefCallback<R> | null): R & Disposable {
    const ref = this.create(target, callback ?? undefined, true);
    return weakProxy(this.context, this.context.binder.typeOf(ref).handle(ref)) as R & Disposable;
  }

  /**
   * Call a function when an object has died, or when the heap is shut down; at most once (Python's `weakref.finalize`).
   * It needs no keeping: the heap holds it until it was called or detached. The function must not hold the object.
   * @throws InvalidArgumentError without a function, and as `ref`
   */
  finalize<A extends readonly unknown[], Result>(
    target: Borrowed,
    run: (...args: A) => Result,
    ...args: A
  ): Finalizer<Result> {
    this.address(target);
    if (typeof run !== "function")
      throw new InvalidArgumentError(`weakref.finalize calls a function, got ${show(run)}.`);
    return createFinalizer(this.context, this, target, run, args);
  }

  /** A Map whose values do not live because of it: an entry goes when its value dies. */
  valueDictionary<K extends string | number, V extends Borrowed>(): WeakValueDictionary<K, V> {
    return new WeakValueDictionary<K, V>(this);
  }

  /** A Map from heap objects, by identity, that do not live because of it: an entry goes when its key dies. */
  keyDictionary<K extends Borrowed, V>(): WeakKeyDictionary<K, V> {
    return new WeakKeyDictionary<K, V>(this);
  }

  /** A Set of heap objects, by identity, that do not live because of it. */
  set<T extends Borrowed>(): WeakObjectSet<T> {
    return new WeakObjectSet<T>(this);
  }

  /** How many weak references and proxies there are to an object; 0 for what cannot have any. */
  getWeakrefCount(target: Borrowed): number {
    return [...this.context.core.weakrefs.list(this.address(target))].length;
  }

  /** The weak references to an object, borrowed: the shared one, the shared proxy, then those with a callback, newest first. */
  getWeakrefs<R extends Borrowed>(target: R): WeakReference<R>[] {
    const refs = [...this.context.core.weakrefs.list(this.address(target))];
    return refs.map((ref) => this.context.binder.view(ref) as unknown as WeakReference<R>);
  }

  /** @internal The address of an object of this heap. @throws InvalidArgumentError */
  address(ref: unknown): Address {
    const view = asView(ref);
    if (view === undefined || view["@type"].context !== this.context)
      throw new InvalidArgumentError(`Expected an object of this heap, got ${show(ref)}.`);
    return addressOf(view);
  }

  private create(target: unknown, callback: unknown, isProxy: boolean): Address {
    this.context.requireOpenForHandle();
    const address = this.address(target);
    if (callback !== undefined && typeof callback !== "function")
      throw new InvalidArgumentError(`A weak reference's callback is a function, got ${show(callback)}.`);
    const { core, callbacks } = this.context;
    if (!core.weakrefs.isReferenceable(address))
      throw new InvalidArgumentError(
        `A ${(target as View)["@type"].text} cannot be weakly referenced, only structs (without { weakrefs: false }), sets and foreign values.`,
      );
    const hostCallback = callback === undefined ? 0 : callbacks.add(callback as (ref: unknown) => void);
    // Making the weak reference may collect, and the last other reference may go meanwhile.
    core.memory.i32[address + HEADER_REFCOUNT]++;
    let ref: Address;
    try {
      ref = core.weakrefs.create(address, { hostCallback, isProxy });
    } catch (error) {
      callbacks.forget(hostCallback);
      throw error;
    } finally {
      core.counts.decref(address);
    }
    this.context.requireOpen();
    return ref;
  }
}
