/**
 * Python's WeakValueDictionary, WeakKeyDictionary and WeakSet, as a Map and a Set of JavaScript that hold weak references.
 * An entry is removed by its weak reference's callback; while an iterator is open that waits until the last one closes.
 */
import type { Address } from "../memory/layout.js";
import { release, retain } from "./ownership.js";
import type { Borrowed, Handle } from "./types.js";
import type { WeakrefModule } from "./weakref-module.js";
import type { WeakReference } from "./weakref-view.js";

interface Entry<T extends Borrowed, V> {
  readonly ref: Handle<WeakReference<T>>;
  value: V;
}

/** A Map of weak references, by any key. */
class WeakTable<K, T extends Borrowed, V> {
  readonly module: WeakrefModule;
  private readonly entries = new Map<K, Entry<T, V>>();
  /** Entries whose object is dead, waiting for the last iterator. */
  private readonly pending = new Map<Entry<T, V>, K>();
  private openIterators = 0;

  constructor(module: WeakrefModule) {
    this.module = module;
  }

  get size(): number {
    return this.entries.size - this.pending.size;
  }

  /** Objects as keys: one that dies leaves its entry before another can take its place, or `get` finds the entry dead. */
  addressKey(key: Borrowed): Address {
    return this.module.address(key);
  }

  get(key: K): Entry<T, V> | undefined {
    const entry = this.entries.get(key);
    return entry?.ref.alive ? entry : undefined;
  }

  /** Making the weak reference may collect: the object must not die, nor the old entry be looked up, before it is over. */
  set(key: K, object: T, value: V): void {
    const held = retain(object);
    try {
      const entry: Entry<T, V> = {
        ref: this.module.ref(object, () => this.remove(key, entry)),
        value,
      };
      const old = this.entries.get(key);
      this.entries.set(key, entry);
      if (old !== undefined) this.end(old);
    } finally {
      release(held);
    }
  }

  delete(key: K): boolean {
    const entry = this.entries.get(key);
    if (entry === undefined || this.pending.has(entry)) return false;
    this.entries.delete(key);
    this.end(entry);
    return true;
  }

  clear(): void {
    const entries = [...this.entries.values()];
    this.entries.clear();
    for (const entry of entries) this.end(entry);
  }

  /**
   * Live entries. The object of the current one is held until the iterator has come to the next, and goes when all is
   * done: the local variable of Python's generator.
   */
  *live(): IterableIterator<[K, Handle<T>, V]> {
    let held: Handle<T> | undefined;
    this.openIterators++;
    try {
      for (const [key, { ref, value }] of this.entries) {
        const previous = held;
        held = ref.deref();
        if (previous !== undefined) release(previous);
        if (held !== undefined) yield [key, held, value];
      }
    } finally {
      if (--this.openIterators === 0) this.commit();
      if (held !== undefined) release(held);
    }
  }

  /** Only the entry that died: its key may have a newer one. */
  private remove(key: K, entry: Entry<T, V>): void {
    if (this.entries.get(key) !== entry) return;
    if (this.openIterators > 0) this.pending.set(entry, key);
    else {
      this.entries.delete(key);
      this.end(entry);
    }
  }

  private commit(): void {
    for (const [entry, key] of [...this.pending]) {
      if (this.entries.get(key) === entry) this.entries.delete(key);
      this.end(entry);
    }
  }

  private end(entry: Entry<T, V>): void {
    this.pending.delete(entry);
    release(entry.ref);
  }
}

/** Python's `weakref.WeakValueDictionary`. */
export class WeakValueDictionary<K extends string | number, V extends Borrowed> implements Disposable {
  private readonly table: WeakTable<K, V, undefined>;

  /** @internal `heap.weakref.valueDictionary()` makes one. */
  constructor(module: WeakrefModule) {
    this.table = new WeakTable(module);
  }

  /** How many values live. O(1). */
  get size(): number {
    return this.table.size;
  }
  /** A NEW strong reference to the value, or undefined: nothing can free it in between. */
  get(key: K): Handle<V> | undefined {
    return this.table.get(key)?.ref.deref();
  }
  /** Whether there is a live value. */
  has(key: K): boolean {
    return this.table.get(key) !== undefined;
  }
  /** Add an entry, or replace the value of one. @throws InvalidArgumentError for what cannot be weakly referenced */
  set(key: K, value: V): this {
    this.table.set(key, value, undefined);
    return this;
  }
  /** Remove an entry. @returns whether its value was alive */
  delete(key: K): boolean {
    return this.table.delete(key);
  }
  /** Live entries in insertion order; each value is borrowed, and held until the iterator moves on. */
  *[Symbol.iterator](): IterableIterator<[K, V]> {
    for (const [key, value] of this.table.live()) yield [key, value];
  }
  /** Drop all weak references. It may be used again. */
  [Symbol.dispose](): void {
    this.table.clear();
  }
}

/** Python's `weakref.WeakKeyDictionary`, by identity. */
export class WeakKeyDictionary<K extends Borrowed, V> implements Disposable {
  private readonly table: WeakTable<Address, K, V>;

  /** @internal `heap.weakref.keyDictionary()` makes one. */
  constructor(module: WeakrefModule) {
    this.table = new WeakTable(module);
  }

  /** How many keys live. O(1). */
  get size(): number {
    return this.table.size;
  }
  /** The value of an object; undefined without an entry. */
  get(key: K): V | undefined {
    return this.table.get(this.table.addressKey(key))?.value;
  }
  /** Whether there is an entry of this object. */
  has(key: K): boolean {
    return this.table.get(this.table.addressKey(key)) !== undefined;
  }
  /** Add an entry, or replace the value of one. @throws InvalidArgumentError for what cannot be weakly referenced */
  set(key: K, value: V): this {
    const entry = this.table.get(this.table.addressKey(key));
    if (entry !== undefined) entry.value = value;
    else this.table.set(this.table.addressKey(key), key, value);
    return this;
  }
  /** Remove an entry. @returns whether there was one */
  delete(key: K): boolean {
    return this.table.delete(this.table.addressKey(key));
  }
  /** Live entries in insertion order; each key is borrowed, and held until the iterator moves on. */
  *[Symbol.iterator](): IterableIterator<[K, V]> {
    for (const [, key, value] of this.table.live()) yield [key, value];
  }
  /** Drop all weak references. It may be used again. */
  [Symbol.dispose](): void {
    this.table.clear();
  }
}

/** Python's `weakref.WeakSet`, by identity. */
export class WeakObjectSet<T extends Borrowed> implements Disposable {
  private readonly table: WeakTable<Address, T, undefined>;

  /** @internal `heap.weakref.set()` makes one. */
  constructor(module: WeakrefModule) {
    this.table = new WeakTable(module);
  }

  /** How many members live. O(1). */
  get size(): number {
    return this.table.size;
  }
  /** Whether an object is a member. */
  has(member: T): boolean {
    return this.table.get(this.table.addressKey(member)) !== undefined;
  }
  /** Add a member. @throws InvalidArgumentError for what cannot be weakly referenced */
  add(member: T): this {
    if (!this.has(member)) this.table.set(this.table.addressKey(member), member, undefined);
    return this;
  }
  /** Remove a member. @returns whether it was one */
  delete(member: T): boolean {
    return this.table.delete(this.table.addressKey(member));
  }
  /** Live members in insertion order; each is borrowed, and held until the iterator moves on. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const [, member] of this.table.live()) yield member;
  }
  /** Drop all weak references. It may be used again. */
  [Symbol.dispose](): void {
    this.table.clear();
  }
}
