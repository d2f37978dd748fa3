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

  get(key: K): V | undefined {
    return this.entries_.get(this.address(key))?.value;
  }

  set(key: K, value: V): this {
    const address = this.address(key);
    const entry = this.entries_.get(address);
    if (entry !== undefined) entry.value = value;
    else this.entries_.set(address, { handle: retain(key), value });
    return this;
  }

  has(key: K): boolean {
    return this.entries_.has(this.address(key));
  }

  delete(key: K): boolean {
    const address = this.address(key);
    const entry = this.entries_.get(address);
    if (entry === undefined) return false;
    this.entries_.delete(address);
    release(entry.handle);
    return true;
  }

  get size(): number {
    return this.entries_.size;
  }

  /** Entries in insertion order; keys are borrowed. */
  *[Symbol.iterator](): IterableIterator<[K, V]> {
    for (const { handle, value } of this.entries_.values()) yield [handle, value];
  }

  /** Release all keys. The map is empty afterwards and may be used again. */
  [Symbol.dispose](): void {
    const entries = [...this.entries_.values()];
    this.entries_.clear();
    for (const { handle } of entries) release(handle);
  }
}
