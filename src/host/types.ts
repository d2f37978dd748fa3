/**
 * What a heap type means to the compiler. Types only: the descriptors themselves are made in schema.ts.
 *
 * Combinators take an unconstrained `T` and return an interface, never an alias or a constrained parameter: both would
 * make the checker resolve a struct's getters while it is still inferring the class that they mention (TS7022). For the
 * same reason every helper here is exported: users who emit declarations name them (TS4023).
 */

declare const READ: unique symbol;
declare const INIT: unique symbol;
declare const BORROWED: unique symbol;
declare const OWNED: unique symbol;

export type { BORROWED, INIT, OWNED, READ };

/** A reference to a heap object that owns nothing: valid while something else keeps the object alive. */
export interface Borrowed {
  /** The struct's name, so that two structs with the same fields are still two types. */
  readonly [BORROWED]: string;
}

/** Mark of a reference that its holder owns, and must give up once: `release(handle)`, or `using`. */
export interface Owned extends Disposable {
  readonly [OWNED]: true;
}

/** A strong reference. It may be lent wherever a borrowed one is expected. */
export type Handle<R extends Borrowed> = R & Owned;

/** Anything that can describe a field, item, key or value. */
export interface HeapType {
  readonly [READ]: unknown;
  readonly [INIT]: unknown;
}

/** Stored in place, by value. A string is an immutable object hidden behind a JavaScript string. */
export interface ValueType<V> extends HeapType {
  readonly hasDefault: true;
  readonly [READ]: V;
  readonly [INIT]: V;
}

/** A type with identity: `heap.new` makes instances and references point at them. */
export type ObjectType = (HeapType & { readonly [READ]: Borrowed }) | AnyStruct;

/** What reading a field, item or value of this type gives. */
export type ReadOf<T> = T extends { readonly [READ]: infer R }
  ? R
  : T extends { new (internal: never): infer R }
    ? R
    : never;

/** What may be written to a field, item or value of this type: for an object a reference, or a literal to build one. */
export type InitOf<T> = T extends { readonly [INIT]: infer I } ? I : never;

/** What `pop`, `take` and the like return: the reference leaves its container, so the caller owns it. */
export type OwnedOf<R> = R extends Borrowed ? Handle<R> : R;

/** null, boolean, number, string or any heap object: what a Python container holds. 8 bytes a slot. */
export type Any = null | boolean | number | string | Borrowed;

export interface AnyType extends HeapType {
  readonly hasDefault: true;
  readonly [READ]: Any;
  readonly [INIT]: Any;
}

/** Loose on purpose: a constraint would be checked before the struct's own class is known. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Shape = Record<string, any>;

/** Fields as properties. `-readonly`, because a field declared by a getter infers as readonly. */
export type Fields<S extends Shape> = { -readonly [K in keyof S]: ReadOf<S[K]> };

/**
 * A literal to make an instance from. Every type but a struct, a `oneOf`, a tuple and a foreign reference has a zero
 * value: 0, false, "", null or an empty container.
 *
 * One mapped type with every key optional; `RequiredOf` adds the required ones where `heap.new` is called. An exact
 * intersection does not survive recursion (TS2615), so required keys of nested literals are checked at run time.
 */
export type StructInit<S extends Shape> = { -readonly [K in keyof S]?: InitOf<S[K]> };

/** The keys of a struct that have no zero value. */
export type RequiredOf<T> = T extends { readonly shape: infer S }
  ? { readonly [K in keyof S as S[K] extends { readonly hasDefault: true } ? never : K]: unknown }
  : unknown;

/** Any struct: the constraint of what takes one. */
export interface AnyStruct {
  /** Its fields, as given to `struct`. */
  readonly shape: object;
  readonly [INIT]: unknown;
  new (internal: never): Borrowed;
}

/** A class, so that it can be extended; its `never` parameter keeps everyone but the heap from constructing it. */
export interface StructClass<S extends Shape, N extends string = string> {
  /** The name given to `struct`: it appears in errors, reports and `console.log`. */
  readonly typeName: N;
  /** The fields as given to `struct`, in the order in which they are visited and dropped. */
  readonly shape: S;
  /** Bytes of an instance, header included. */
  readonly byteSize: number;
  readonly [INIT]: StructInit<S>;
  new (internal: never): Fields<S> & { readonly [BORROWED]: N };
}

/** What a struct promises beyond its fields. */
export interface StructOptions {
  /**
   * `false` promises that no cycle passes through instances: the collector then never looks at them. Where the schema
   * alone proves it, nothing needs to be said. A cycle made in spite of the promise is never freed.
   */
  readonly cyclic?: boolean;
  /** Whether instances may be weakly referenced, at one word each. Default true. */
  readonly weakrefs?: boolean;
}

export interface OptionalType<T> extends HeapType {
  readonly hasDefault: true;
  readonly [READ]: ReadOf<T> | null;
  readonly [INIT]: InitOf<T> | null;
}

/** A reference that does not count. Reads the live target as a borrowed reference, or null once it is gone. */
export interface WeakType<T> extends HeapType {
  readonly hasDefault: true;
  readonly [READ]: ReadOf<T> | null;
  readonly [INIT]: ReadOf<T> | null;
}

/** A reference to an instance of any of the types. Narrow what it reads with `instanceof` or `isA`. */
export interface OneOfType<T extends readonly unknown[]> extends HeapType {
  readonly [READ]: ReadOf<T[number]>;
  readonly [INIT]: ReadOf<T[number]>;
}

/** `R` is what reading gives, `I` what writing takes: a literal is built in place, so that no handle is left over. */
export interface List<R, I = R> extends Borrowed {
  /** How many items there are. O(1). */
  readonly length: number;
  /** The item, borrowed. Counts from the end if negative, as Array's. */
  at(index: number): R | undefined;
  /** Replace an item; the old one is dropped after the new one is in place. @throws InvalidArgumentError out of range */
  set(index: number, item: I): void;
  /** Append all items or, if one of them cannot be taken, none. @returns the new length. */
  push(...items: I[]): number;
  /** Take the last item out. An object comes as a handle: the caller owns it. */
  pop(): OwnedOf<R> | undefined;
  /** Insert before an index (at most the length). O(items behind it). @throws InvalidArgumentError out of range */
  insert(index: number, item: I): void;
  /** Remove an item and drop it. O(items behind it). @returns whether there was one */
  delete(index: number): boolean;
  /** Remove an item and hand it over: an object comes as a handle. O(items behind it). */
  take(index: number): OwnedOf<R> | undefined;
  /** First index of a value, text or object, or -1. Objects are compared by identity. O(items). */
  indexOf(item: R): number;
  /** Drop all items, last to first. */
  clear(): void;
  /** Replace all items: the new ones are built first, then the old ones dropped, last to first. */
  assign(items: Iterable<I>): void;
  /** Call `visit` for each item: the fast way to walk a list. Items appended meanwhile are visited, as by Array's iterator. */
  forEach(visit: (item: R, index: number) => void): void;
  [Symbol.iterator](): IterableIterator<R>;
}

/** Keys are compared as Map's are; objects by identity. */
export interface Dict<K, V, I = V> extends Borrowed {
  /** How many entries there are. O(1). */
  readonly size: number;
  /** Whether there is an entry of this key. O(1). */
  has(key: K): boolean;
  /** The value, borrowed; `undefined` without an entry. O(1). */
  get(key: K): V | undefined;
  /**
   * Add an entry, or replace the value of one, which keeps its place; the old value is dropped last. O(1).
   * @throws TypeMismatchError, OutOfMemoryError; the dict is then as before
   */
  set(key: K, value: I): this;
  /** Remove an entry; its key is dropped, then its value. @returns whether there was one */
  delete(key: K): boolean;
  /** Remove an entry and hand its value over: an object comes as a handle. */
  take(key: K): OwnedOf<V> | undefined;
  /** Remove all entries and drop them, in insertion order, key before value. */
  clear(): void;
  /** In insertion order. @throws ConcurrentModificationError once the table was rebuilt without deleted entries */
  keys(): IterableIterator<K>;
  /** The values, borrowed, as `keys` gives the keys. */
  values(): IterableIterator<V>;
  /** Keys and values, as `keys` gives the keys. */
  entries(): IterableIterator<[K, V]>;
  /** Call `visit` for each entry in insertion order; entries added meanwhile are visited too. */
  forEach(visit: (value: V, key: K) => void): void;
  [Symbol.iterator](): IterableIterator<[K, V]>;
}

/** Python's set, by the name that the host has left free. Members are compared as Set's are; objects by identity. */
export interface HashSet<R> extends Borrowed {
  /** How many members there are. O(1). */
  readonly size: number;
  /** Whether this is a member. O(1). */
  has(item: R): boolean;
  /** Add a member, unless it is one. O(1). @throws TypeMismatchError, OutOfMemoryError; the set is then as before */
  add(item: R): this;
  /** Remove a member and drop it. @returns whether it was one */
  delete(item: R): boolean;
  /** Remove all members and drop them, in insertion order. */
  clear(): void;
  /** In insertion order. @throws ConcurrentModificationError once the table was rebuilt without deleted entries */
  values(): IterableIterator<R>;
  /** Call `visit` for each member in insertion order; members added meanwhile are visited too. */
  forEach(visit: (item: R) => void): void;
  [Symbol.iterator](): IterableIterator<R>;
}

/** A value of the host (a WASM object, a texture, a file) that the heap owns: disposed when the last reference goes. */
export interface Foreign<V> extends Borrowed {
  /**
   * The value itself, to be used while the reference is valid, on the thread that adopted it.
   * @throws UseAfterReleaseError once it is disposed, WrongThreadError on another thread, TombstoneError in a heap that was loaded
   */
  readonly value: V;
  /** Bytes that the value holds outside the heap: set it when they change. Setting it may collect. */
  bytes: number;
  /** How the value is disposed: "[Symbol.dispose]", "delete", ...; "a function" for what `heap.adopt` was given. */
  readonly disposer: string;
}

/**
 * Literals to make items from, or a heap list of the same type, which is referred to and not copied (the heap checks which
 * it is). An interface and not `Iterable<InitOf<T>>`, because its members are lazy; and not in a union with `List`,
 * which would make a recursive struct without methods fail on its first nested literal (TS2615).
 */
export interface ItemsInit<T> {
  [Symbol.iterator](): Iterator<InitOf<T>>;
}
/** Entries to make a dict from: an array of pairs, a Map, or a heap dict of the same type, which is referred to. */
export interface EntriesInit<K, V> {
  [Symbol.iterator](): Iterator<readonly [ReadOf<K>, InitOf<V>]>;
}
/** Members to make a set from: an array, a Set, or a heap set of the same type, which is referred to. */
export interface MembersInit<T> {
  [Symbol.iterator](): Iterator<ReadOf<T>>;
}
export interface ListType<T> extends HeapType {
  readonly hasDefault: true;
  readonly [READ]: List<ReadOf<T>, InitOf<T>>;
  readonly [INIT]: ItemsInit<T>;
}
export interface DictType<K, V> extends HeapType {
  readonly hasDefault: true;
  readonly [READ]: Dict<ReadOf<K>, ReadOf<V>, InitOf<V>>;
  readonly [INIT]: EntriesInit<K, V>;
}
export interface SetType<T> extends HeapType {
  readonly hasDefault: true;
  readonly [READ]: HashSet<ReadOf<T>>;
  readonly [INIT]: MembersInit<T>;
}
/** Immutable, of fixed length; reads as a readonly tuple, with the reading methods of Array. */
export interface TupleType<T extends readonly unknown[]> extends HeapType {
  readonly [READ]: { readonly [I in keyof T]: ReadOf<T[I]> } & Borrowed;
  readonly [INIT]: { readonly [I in keyof T]: InitOf<T[I]> };
}

/** A reference to a value that the heap owns. There is no literal for one: `heap.adopt` and `heap.own` make it. */
export interface ForeignType<V> extends HeapType {
  readonly [READ]: Foreign<V>;
  readonly [INIT]: Foreign<V>;
}

/** What the type of a scope's result becomes when it would leave the scope unowned. */
export interface BorrowEscapesScope {
  /** What the compiler then shows. */
  readonly error: "a borrowed reference cannot leave its scope: retain() it";
}
/** What the body of a scope may return: anything but borrowed references, alone or in an array. */
export type Escaped<R> = R extends Borrowed
  ? R extends Owned
    ? R
    : BorrowEscapesScope
  : R extends readonly (infer E)[]
    ? E extends Borrowed
      ? E extends Owned
        ? R
        : BorrowEscapesScope
      : R
    : R;
