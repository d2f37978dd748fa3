/** A Map whose keys are heap objects. */
import { InvalidArgumentError } from "../memory/errors.js";
import type { Address } from "../memory/layout.js";
import type { Heap } from "./heap.js";
import { release, retain } from "./ownership.js";
import { show } from "./schema.js";
import type { Borrowed, Handle } from "./types.js";
import { addressOf, asView } from "./view.js";

/**
 * A Map keyed by the object, not by the view: two references to one object find the same entry. It keeps its keys alive
 * until they are deleted or it is disposed; its values are ordinary JavaScript values.
 */
export class IdentityMap<K extends Borrowed, V> implements Disposable {
  private readonly heap: Heap;
  private readonly entries_ = new Map<Address, { readonly handle: Handle<K>; value: V }>();

  constructor(heap: Heap) {
    this.heap = heap;
  }

  private address(key: K): Address {
    const view = asView(key);
    if (view === undefined || view["@type"].context.heap !== this.heap)
      throw new InvalidArgumentError(`A key of this IdentityMap is an object of its heap, got ${show(key)}.`);
    return addressOf(view);
  }

  /** The value of an object; `undefined` without an entry. O(1). */
  get(key: K): V | undefined {
    return this.entries_.get(this.address(key))?.value;
  }

  /**
   * Add an entry, which keeps its object alive, or replace the value of one. O(1).
   * @throws InvalidArgumentError for a key that is no object of the map's heap, UseAfterReleaseError for one that is gone
   */
  set(key: K, value: V): this {
    const address = this.address(key);
    const entry = this.entries_.get(address);
    if (entry !== undefined) entry.value = value;
    else this.entries_.set(address, { handle: retain(key), value });
    return this;
  }

  /** Whether there is an entry of this object. O(1). */
  has(key: K): boolean {
    return this.entries_.has(this.address(key));
  }

  /** Remove an entry and let go of its object. O(1). @returns whether there was one */
  delete(key: K): boolean {
    const address = this.address(key);
    const entry = this.entries_.get(address);
    if (entry === undefined) return false;
    this.entries_.delete(address);
    release(entry.handle);
    return true;
  }

  /** How many entries there are. O(1). */
  get size(): number {
    return this.entries_.size;
  }

  /** Entries in insertion order; keys are borrowed. */
  *[Symbol.iterator](): IterableIterator<[K, V]> {
    for (const { handle, value } of this.entries_.values()) yield [borrow(handle), value];
  }

  /**
   * Release all keys, as a scope does: every one even if the release of another throws. The map is empty afterwards and
   * may be used again.
   */
  [Symbol.dispose](): void {
    const entries = [...this.entries_.values()];
    this.entries_.clear();
    const scope = this.heap.scope();
    for (const { handle } of entries.reverse()) scope.defer(() => release(handle));
    scope[Symbol.dispose]();
  }
}

/** The owning handles stay in the map: whoever released one would take the map's reference. */
function borrow<R extends Borrowed>(handle: Handle<R>): R {
  const view = asView(handle)!;
  return view["@type"].view(addressOf(view)) as unknown as R;
}
