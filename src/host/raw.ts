/** Raw access to a heap by address (the entry point `ouroheap/unsafe`). */

import { classIndex } from "../alloc/page.js";
import { InvalidArgumentError } from "../memory/errors.js";
import {
  CONTROL_COUNTS,
  CONTROL_CURRENT,
  CONTROL_RAW_USED,
  CONTROL_RAW_WRITES,
  HEADER_REFCOUNT,
  HEADER_WORDS,
  KIND_LEAF,
  REFCOUNT_MAX,
  TYPE_BLOCK_KIND,
  TYPE_OBJECT_WORDS,
  TYPE_SIZE_CLASS,
} from "../memory/layout.js";
import { compile, headerStart } from "./compile.js";
import { Heap } from "./heap.js";
import { describe, show } from "./schema.js";
import type { AnyStruct, Borrowed, Handle, ReadOf } from "./types.js";
import { addressOf, asView, type View } from "./view.js";
import type { WeakReference } from "./weakref-view.js";

/** Fields up to here are cleared one by one. */
const UNROLLED_WORDS_MAX = 32;

declare const ADDRESS: unique symbol;
/** A word index into the heap's memory. 0 is null. */
export type Address = number & { readonly [ADDRESS]: true };

/** A struct as the raw verbs see it. */
export interface RawType<T extends AnyStruct = AnyStruct> {
  /** The struct. */
  readonly struct: T;
  /** Its number in this heap, as the low bits of its instances' type word. */
  readonly typeId: number;
  /** Words of an instance, header included. */
  readonly words: number;
  /** Word offset of a field from the object's address: `i32[address + offset]`, `f64[(address + offset) >> 1]`. */
  offsetOf(field: keyof T["shape"] & string): number;
  /**
   * A new instance with all fields zero, owned by the caller. References that are not optional are null until they are
   * stored. Counts towards a collection like any other allocation. @throws OutOfMemoryError
   */
  allocate(): Address;
}

/**
 * The heap by address. Rules that nothing checks: an address is used only while its object lives; a reference is
 * dropped once for each time it was taken; a field is read and written as what it is.
 */
export interface RawHeap {
  /** The memory as 32-bit words: addresses and offsets index it. */
  readonly i32: Int32Array;
  /** The same memory; indexed as `i32` is. */
  readonly f32: Float32Array;
  /** The same memory; index it by half of address plus offset. */
  readonly f64: Float64Array;
  /** The same memory; indexed as `f64` is. */
  readonly i64: BigInt64Array;
  /** The raw view of a struct. O(fields) once; keep it. */
  type<T extends AnyStruct>(struct: T): RawType<T>;
  /** Take a reference. @throws InvalidArgumentError beyond 2^30 references to one object */
  incref(address: Address): void;
  /** Drop a reference; at 0 the object is freed, with all that it alone held. */
  decref(address: Address): void;
  /** Store a reference (or 0) in a field: the new one is counted, then the old one dropped. */
  store(address: Address, offset: number, reference: Address | 0): void;
  /** Store a reference that the caller owns and gives up (CPython: a stolen reference); the old one is dropped. */
  storeOwned(address: Address, offset: number, reference: Address | 0): void;
  /**
   * A weak reference whose callback is a heap object, which it owns and the collector sees. When the target dies
   * `onObjectCallback` is called with both. The caller owns the result. @throws InvalidArgumentError, OutOfMemoryError
   */
  weakref(target: Borrowed, callback: Borrowed): Handle<WeakReference<Borrowed>>;
  /** What the callbacks of `weakref` do; both arguments are borrowed. */
  onObjectCallback(call: (callback: Borrowed, ref: WeakReference<Borrowed>) => void): void;
  /** Set the first number of `gc.getCount()`, to start a program where another one was. */
  setCount0(count: number): void;
  /** The address behind a reference. @throws UseAfterReleaseError */
  addressOf(ref: Borrowed): Address;
  /** A borrowed view of an instance. */
  view<T extends AnyStruct>(struct: T, address: Address): ReadOf<T> & Borrowed;
  /** A handle that takes over a reference the caller owns. */
  handle<T extends AnyStruct>(struct: T, address: Address): Handle<ReadOf<T> & Borrowed>;
}

/**
 * Open a heap by address. From then on `verify` can no longer tell a leaked raw reference from a held one: it checks that
 * every count is at least what the heap explains.
 */
export function unsafe(heap: Heap): RawHeap {
  const context = Heap.contextOf(heap);
  context.requireOpen();
  const { memory, counts, objects, types } = context.core;
  const { i32, f32, f64, i64 } = memory;
  i32[CONTROL_RAW_USED] = 1;
  const { settled } = context.core.generations;

  function bind(struct: AnyStruct) {
    const descriptor = describe(struct, "The type");
    if (descriptor["@kind"] !== "struct")
      throw new InvalidArgumentError(`The raw verbs take structs, got ${show(struct)}.`);
    return context.binder.bind(descriptor);
  }

  function type<T extends AnyStruct>(struct: T): RawType<T> {
    const bound = bind(struct);
    const descriptor = types.descriptor(bound.id);
    const words = i32[descriptor + TYPE_OBJECT_WORDS];
    const sizeClass = i32[descriptor + TYPE_SIZE_CLASS];
    const typeId = bound.id;
    const typeWord = types.typeWord(typeId);
    if (sizeClass < 0)
      throw new InvalidArgumentError(`A ${bound.name} of ${words} words is too large for the raw verbs.`);
    const isLeaf = i32[descriptor + TYPE_BLOCK_KIND] === KIND_LEAF;
    const create = isLeaf ? objects.createLeaf : objects.createTracked;
    return {
      struct,
      typeId,
      words,
      offsetOf(field) {
        const index = bound.slots.findIndex(({ name }) => name === field);
        if (index < 0) throw new InvalidArgumentError(`Struct "${bound.name}" has no field ${show(field)}.`);
        return bound.layout!.places[index].offset;
      },
      allocate: compileAllocate(create, isLeaf, typeWord, sizeClass, words),
    };
  }

  /**
   * With constants in its text, a line for each pair of words, and a leaf's block taken from its class right here: what a
   * tree is built of is made in half the instructions. Where the class has run dry `create` does the same.
   */
  function compileAllocate(
    create: (typeWord: number, sizeClass: number) => number,
    isLeaf: boolean,
    typeWord: number,
    sizeClass: number,
    words: number,
  ): () => Address {
    const clear = (object: number) => {
      for (let word = object + HEADER_WORDS; word < object + words; word++) i32[word] = 0;
    };
    const createCleared = () => {
      const object = create(typeWord, sizeClass);
      clear(object);
      return object as Address;
    };
    if (words - HEADER_WORDS > UNROLLED_WORDS_MAX) return createCleared;
    const zeros: string[] = [];
    // Blocks are whole granules: a last odd word has a word behind it that is nobody's.
    for (let word = HEADER_WORDS; word < words; word += 2) zeros.push(`f64[(object + ${word}) >> 1] = 0;`);
    const current = CONTROL_CURRENT + classIndex(KIND_LEAF, sizeClass);
    const text = isLeaf
      ? `return function allocate() {
          const object = i32[${current}];
          if (object === 0) return createCleared();
          i32[${current}] = i32[object];
          f64[object >> 1] = ${headerStart(typeWord)};
          ${zeros.join(" ")}
          return object;
        };`
      : `return function allocate() {
          const object = create(${typeWord}, ${sizeClass});
          ${zeros.join(" ")}
          return object;
        };`;
    return compile({ create, createCleared, i32, f64 }, text, () => createCleared, context.compiles);
  }

  function incref(address: Address): void {
    if (i32[address + HEADER_REFCOUNT] >= REFCOUNT_MAX)
      throw new InvalidArgumentError(
        `Object ${address} has ${REFCOUNT_MAX} references: it can take no more.`,
      );
    i32[address + HEADER_REFCOUNT]++;
  }

  function store(address: Address, offset: number, reference: Address | 0): void {
    if (reference !== 0) i32[reference + HEADER_REFCOUNT]++;
    storeOwned(address, offset, reference);
  }

  /** Whoever has the words may store references that nobody hears of. */
  function noteWrites(): void {
    i32[CONTROL_RAW_WRITES] = 1;
  }

  function storeOwned(address: Address, offset: number, reference: Address | 0): void {
    if (reference !== 0) settled.unsettle(reference);
    const old = i32[address + offset];
    i32[address + offset] = reference;
    if (old !== 0) counts.decref(old);
  }

  /** Making it may collect, and what user code then drops must not be the last reference to either. */
  function weakref(target: Address, callback: Address): View {
    i32[target + HEADER_REFCOUNT]++;
    i32[callback + HEADER_REFCOUNT]++;
    let ref: number;
    try {
      ref = context.core.weakrefs.create(target, { callback });
    } finally {
      counts.decref(callback);
      counts.decref(target);
    }
    context.requireOpen();
    return context.binder.typeOf(ref).handle(ref);
  }

  function address(ref: unknown): Address {
    const view = asView(ref);
    if (view === undefined || view["@type"].context !== context)
      throw new InvalidArgumentError(`Expected an object of this heap, got ${show(ref)}.`);
    return addressOf(view) as Address;
  }

  return {
    get i32() {
      noteWrites();
      return i32;
    },
    get f32() {
      noteWrites();
      return f32;
    },
    get f64() {
      noteWrites();
      return f64;
    },
    get i64() {
      noteWrites();
      return i64;
    },
    type,
    incref,
    decref: counts.decref,
    store,
    storeOwned,
    addressOf: address,
    weakref: (target, callback) => weakref(address(target), address(callback)) as never,
    onObjectCallback: (call) => {
      context.callbacks.callObject = call as (callback: unknown, ref: unknown) => void;
    },
    setCount0: (count) => {
      i32[CONTROL_COUNTS] = count;
    },
    view: (struct, address) => bind(struct).view(address) as never,
    handle: (struct, address) => bind(struct).handle(address) as never,
  };
}
