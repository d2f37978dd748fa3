/**
 * Values of the host that the heap owns: WASM objects, textures, tensors, files. Each is behind a foreign object of the
 * heap and is disposed once, when that dies, in CPython's death order, before the statement that dropped the last
 * reference is over (CPython's counterpart: an extension type whose `tp_dealloc` frees what it wraps).
 */
import { AlreadyAdoptedError, InvalidArgumentError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_ADOPTED_BYTES,
  CONTROL_ADOPTED_SINCE,
  CONTROL_BYTE_THRESHOLD,
  CONTROL_FOREIGN,
  CONTROL_USER_CODE,
  FOREIGN_NUMBER,
  HOST_NUMBER_MAX,
  HOST_NUMBER_SHIFT,
  KIND_FOREIGN,
  MAIL_DISPOSE,
} from "../memory/layout.js";
import type { Context } from "./context.js";
import type { Disposer } from "./disposer.js";
import { isOwned } from "./handle.js";
import { HeldHandles } from "./held-handles.js";
import { threadOf } from "./mailbox.js";
import { release } from "./ownership.js";
import { show } from "./schema.js";
import { isThenable } from "./thenable.js";
import type { Borrowed, Owned } from "./types.js";
import { addressOf, asView, isHeapObject, sitesOf, type View } from "./view.js";

/** What `heap.adopt` may be told about a value. */
export interface AdoptOptions<V> {
  /**
   * Bytes that the value holds outside the heap. They count towards `gc.setByteThreshold`; change them by the foreign
   * object's `bytes`. Default 0.
   */
  readonly bytes?: number;
  /** Heap objects that the value uses: the foreign object takes references to them, and drops them when it dies. */
  readonly holds?: readonly Borrowed[];
  /**
   * For a value that holds handles of its own, in a closure or a table: names those it holds now. A collection takes them
   * for references from the foreign object, and so finds cycles that lead through JavaScript. Called at the start of a
   * collection and before the value is disposed; a handle that it names belongs to the value alone, and is released after
   * its disposal if the disposer has not done it. null and undefined are passed over, so that a closure can be adopted
   * before it has its handle:
   *
   *     let self: Handle<Node> | undefined;
   *     node.listener = scope.adopt(() => self!.clicked(), () => {}, { traverse: () => [self] });
   *     self = retain(node);
   */
  readonly traverse?: (value: V) => Iterable<Owned | null | undefined>;
}

/** A value that the heap owns. */
export interface ForeignRecord {
  readonly value: unknown;
  readonly dispose: Disposer<unknown>;
  /** How it is disposed: "delete", or "a function" for what `adopt` was given. */
  readonly disposer: string;
  readonly traverse: ((value: unknown) => Iterable<unknown>) | undefined;
  /** Of all values of this heap: a larger one is newer. */
  readonly sequence: number;
  readonly object: Address;
  bytes: number;
  /** Where its first handle was made, if that was recorded. */
  madeAt: string | undefined;
}

/** What a saved heap says of a value. */
export interface Tombstone {
  /** Name of its constructor, or its type. */
  readonly value: string;
  readonly disposer: string;
}

/** Which objects and functions are adopted, by any heap: two owners would dispose of one value twice. */
const adopted = new WeakMap<object, ForeignRecord>();

export class ForeignTable {
  /** What the values hold through handles, for the collector. */
  readonly held: HeldHandles;
  private readonly context: Context;
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;
  /** By number; a free number is taken again. */
  private readonly records: (ForeignRecord | undefined)[] = [undefined];
  private readonly freeNumbers: number[] = [];
  /** What is left of values that stayed in the heap from which this one was loaded. */
  private readonly tombstones = new Map<Address, Tombstone>();
  private sequence = 0;
  /** Disposals under way that gave a promise. */
  private readonly pending = new Set<Promise<void>>();
  /** What those will release when they are over. */
  private readonly pendingHandles = new Set<View>();
  /** While the heap ends: what died, to be disposed newest first; and what was adopted meanwhile. */
  private waiting: ForeignRecord[] | undefined;
  private late: ForeignRecord[] = [];

  constructor(context: Context) {
    this.context = context;
    this.i32 = context.core.memory.i32;
    this.f64 = context.core.memory.f64;
    this.held = new HeldHandles(context, this);
    context.core.hooks.disposeForeign = (object) => this.end(object);
  }

  /** @returns a handle to the foreign object @throws InvalidArgumentError, AlreadyAdoptedError, OutOfMemoryError; the value is then still the caller's */
  adopt(value: unknown, dispose: Disposer<never>, options: AdoptOptions<never>, disposer: string): View {
    const { core, handles } = this.context;
    handles.releaseLeaked();
    const { bytes, holds, traverse } = this.readOptions(value, dispose, options);
    refuseSecond(value);
    const object = this.createObject(holds, traverse !== undefined);
    this.context.requireOpen();
    try {
      refuseSecond(value); // by a finalizer that the allocation ran
    } catch (error) {
      core.counts.decref(object);
      throw error;
    }
    const record: ForeignRecord = {
      value,
      dispose: dispose as Disposer<unknown>,
      disposer,
      traverse: traverse as ForeignRecord["traverse"],
      sequence: ++this.sequence,
      object,
      bytes: 0,
      madeAt: undefined,
    };
    this.enter(record);
    const handle = this.context.binder.typeOf(object).handle(object);
    record.madeAt = sitesOf(handle).madeAt;
    this.resize(record, bytes);
    return handle;
  }

  private createObject(holds: readonly unknown[], isTraversed: boolean): Address {
    const { context } = this;
    context.inside++;
    try {
      return context.core.foreign.create(this.retainAll(holds), holds.length > 0 || isTraversed);
    } finally {
      context.inside--;
    }
  }

  private enter(record: ForeignRecord): void {
    const number = this.freeNumbers.pop() ?? this.records.length;
    this.records[number] = record;
    this.i32[record.object + FOREIGN_NUMBER] = number | (this.thread << HOST_NUMBER_SHIFT);
    this.i32[CONTROL_FOREIGN]++;
    if (this.waiting !== undefined) this.late.push(record);
    if (isComparable(record.value)) adopted.set(record.value, record);
    if (record.traverse !== undefined) this.held.add(record);
  }

  /** What stands behind a foreign object; undefined once that is disposed, and where it is another thread's. */
  recordOf(object: Address): ForeignRecord | undefined {
    const number = this.i32[object + FOREIGN_NUMBER];
    return threadOf(number) === this.thread ? this.records[number & HOST_NUMBER_MAX] : undefined;
  }

  /** The thread whose value stands behind a foreign object, if that is another one. */
  otherThreadOf(object: Address): number | undefined {
    const thread = threadOf(this.i32[object + FOREIGN_NUMBER]);
    return this.i32[object + FOREIGN_NUMBER] === 0 || thread === this.thread ? undefined : thread;
  }

  private get thread(): number {
    return this.context.sharing?.thread ?? 0;
  }

  /** What stands where a value of a saved heap stood. */
  tombstoneOf(object: Address): Tombstone | undefined {
    return this.tombstones.get(object);
  }

  /** A heap was loaded: this object's value did not come with it. */
  bury(object: Address, tombstone: Tombstone): void {
    this.tombstones.set(object, tombstone);
  }

  /** What a saved heap says of the value behind an object; null: it is disposed. */
  nameOf(object: Address, number: number): Tombstone | null {
    const record = this.recordOf(object);
    if (this.otherThreadOf(object) !== undefined)
      return { value: "a value of another thread", disposer: "unknown" };
    if (record === undefined || number === 0) return this.tombstones.get(object) ?? null;
    return { value: kindName(record.value), disposer: record.disposer };
  }

  /** How many values are adopted now. */
  get size(): number {
    return this.i32[CONTROL_FOREIGN];
  }

  /** All adopted values, oldest first. */
  list(): ForeignRecord[] {
    return this.records
      .filter((record) => record !== undefined)
      .sort((first, second) => first.sequence - second.sequence);
  }

  // -- bytes ----------------------------------------------------------------------------------

  /** Bytes that all adopted values hold. */
  get bytes(): number {
    return this.f64[CONTROL_ADOPTED_BYTES >> 1];
  }

  /** A value has come to hold so many bytes. May collect, and then runs user code. */
  resize(record: ForeignRecord, bytes: number): void {
    this.count(bytes - record.bytes);
    record.bytes = bytes;
    if (bytes > 0) this.collectIfDue();
  }

  private count(change: number): void {
    if (change === 0) return; // most values
    const { f64 } = this;
    f64[CONTROL_ADOPTED_BYTES >> 1] += change;
    this.context.sharing?.countAdopted(change);
    f64[CONTROL_ADOPTED_SINCE >> 1] = Math.max(0, f64[CONTROL_ADOPTED_SINCE >> 1] + change);
  }

  /**
   * The byte trigger: a full collection once the bytes adopted since the last one, less those given back, pass the
   * threshold and a quarter of what was there before. (The quarter is CPython's for objects, and for the same reason:
   * the total cost stays linear while the heap grows.)
   */
  private collectIfDue(): void {
    const { f64 } = this;
    const { trigger, collector } = this.context.core;
    const threshold = f64[CONTROL_BYTE_THRESHOLD >> 1];
    const since = f64[CONTROL_ADOPTED_SINCE >> 1];
    if (threshold === 0 || since <= threshold || since <= (this.bytes - since) / 4) return;
    if (!trigger.isEnabled || trigger.isCollecting) return;
    this.context.handles.releaseLeaked();
    collector.collect(2);
  }

  // -- disposal -------------------------------------------------------------------------------

  /** A foreign object dies or is cleared: its value is disposed, unless it was. @param expected only this one */
  private end(object: Address, expected?: ForeignRecord): void {
    const { i32 } = this;
    const { sharing } = this.context;
    const number = i32[object + FOREIGN_NUMBER];
    this.tombstones.delete(object);
    if (sharing !== undefined && number !== 0 && threadOf(number) !== sharing.thread) {
      i32[object + FOREIGN_NUMBER] = 0;
      i32[CONTROL_FOREIGN]--;
      sharing.mail.tell(threadOf(number), MAIL_DISPOSE, number);
      return;
    }
    const record = this.records[number & HOST_NUMBER_MAX];
    if (record === undefined || (expected !== undefined && record !== expected)) return;
    i32[object + FOREIGN_NUMBER] = 0;
    i32[CONTROL_FOREIGN]--;
    this.endRecord(number & HOST_NUMBER_MAX, record);
  }

  /** Another thread has ended a foreign object of this one's. */
  endPosted(number: number): void {
    const record = this.records[number & HOST_NUMBER_MAX];
    if (record !== undefined) this.endRecord(number & HOST_NUMBER_MAX, record);
  }

  /** After a repair: values whose foreign object is gone, or does not know them any more, are disposed. O(heap) */
  disposeLost(): void {
    const { core } = this.context;
    const alive = new Set<number>();
    for (const object of core.allocator.objects())
      if (core.types.kindOf(object) === KIND_FOREIGN) alive.add(this.i32[object + FOREIGN_NUMBER]);
    for (const [number, record] of [...this.records.entries()])
      if (record !== undefined && !alive.has(number | (this.thread << HOST_NUMBER_SHIFT)))
        this.endRecord(number, record);
  }

  private endRecord(number: number, record: ForeignRecord): void {
    this.records[number] = undefined;
    this.freeNumbers.push(number);
    this.count(-record.bytes);
    if (record.traverse !== undefined) this.held.delete(record);
    if (this.waiting !== undefined) this.waiting.push(record);
    else this.dispose(record);
  }

  private dispose(record: ForeignRecord): void {
    const { i32 } = this;
    i32[CONTROL_USER_CODE]++;
    try {
      const handles = record.traverse === undefined ? [] : this.held.handlesOf(record);
      if (isComparable(record.value)) adopted.delete(record.value);
      const result = this.run(record);
      if (isThenable(result))
        this.settle(result, handles); // never throws
      else this.releaseAll(handles);
    } finally {
      i32[CONTROL_USER_CODE]--;
    }
  }

  private run({ dispose, value }: ForeignRecord): unknown {
    try {
      return dispose(value);
    } catch (error) {
      this.context.unraisable(error, "a disposer");
      return undefined;
    }
  }

  /** Over when the promise is, and so are the disposals that begin when its handles are released. */
  private settle(result: unknown, handles: readonly View[]): void {
    for (const handle of handles) this.pendingHandles.add(handle);
    // Not Promise.resolve: that asks a promise for its constructor, which may throw.
    const settled = new Promise((resolve) => resolve(result))
      .catch((error: unknown) => this.context.unraisable(error, "an asynchronous disposer"))
      .then(async () => {
        const before = new Set(this.pending);
        for (const handle of handles) this.pendingHandles.delete(handle);
        if (!this.context.isDisposed) this.releaseAll(handles);
        await Promise.all([...this.pending].filter((disposal) => !before.has(disposal)));
        this.pending.delete(settled);
      });
    this.pending.add(settled);
  }

  /** Nothing may come out of a death: a handle that was frozen cannot be released. */
  private releaseAll(handles: readonly View[]): void {
    for (const handle of handles)
      try {
        if (isOwned(handle)) release(handle as unknown as Owned);
      } catch (error) {
        this.context.unraisable(error, "the release of a handle that an adopted value held");
      }
  }

  /** The promises of the disposals under way. */
  get underWay(): ReadonlySet<Promise<void>> {
    return this.pending;
  }

  /** The handles that values own, those whose disposal is under way included. Runs user code. */
  ownedHandles(): Set<View> {
    return new Set([...this.held.all(), ...this.pendingHandles]);
  }

  /** Resolves when no disposal is under way, those included that begin meanwhile. */
  async settled(): Promise<void> {
    while (this.pending.size > 0) await Promise.all(this.pending);
  }

  // -- the end of the heap --------------------------------------------------------------------

  /** From now on nothing is disposed before `disposeAll`: finalizers and callbacks still find every value whole. */
  postpone(): void {
    this.waiting ??= [];
  }

  /** Dispose of every value, alive or waiting, newest first; those adopted meanwhile too. */
  disposeAll(): void {
    const queue: ForeignRecord[] = [];
    this.late = this.list();
    do {
      // Those adopted since the last round are newer than all in the queue.
      for (const record of this.late.splice(0)) this.end(record.object, record);
      const added = this.waiting ?? [];
      this.waiting = [];
      for (const record of added.sort((first, second) => first.sequence - second.sequence))
        queue.push(record);
      const newest = queue.pop();
      if (newest !== undefined) this.dispose(newest);
    } while (queue.length > 0 || this.late.length > 0);
    this.waiting = undefined;
  }

  // -- arguments ------------------------------------------------------------------------------

  private readOptions(value: unknown, dispose: unknown, options: AdoptOptions<never>) {
    if (isHeapObject(value))
      throw new InvalidArgumentError(
        "A heap object cannot be adopted: it is the heap's already. Keep it with retain(), or name it in `holds`.",
      );
    if (typeof dispose !== "function")
      throw new InvalidArgumentError(
        `heap.adopt takes a function that disposes of the value, got ${show(dispose)}. heap.own(value) finds the value's own.`,
      );
    if (typeof options !== "object" || options === null)
      throw new InvalidArgumentError(`The options of an adoption must be an object, got ${show(options)}.`);
    const { bytes = 0, holds = [], traverse } = options;
    checkBytes(bytes);
    if (!Array.isArray(holds))
      throw new InvalidArgumentError(`\`holds\` must be an array of heap objects, got ${show(holds)}.`);
    if (traverse !== undefined && typeof traverse !== "function")
      throw new InvalidArgumentError(`\`traverse\` must be a function, got ${show(traverse)}.`);
    return { bytes, holds: [...(holds as readonly unknown[])], traverse };
  }

  /** New references, each taken before the next is asked for: asking a Proxy runs user code. */
  private retainAll(holds: readonly unknown[]): Address[] {
    const { counts } = this.context.core;
    const retained: Address[] = [];
    try {
      for (const held of holds) {
        const address = this.addressOf(held);
        counts.incref(address);
        retained.push(address);
      }
    } catch (error) {
      for (const address of retained) counts.decref(address);
      throw error;
    }
    return retained;
  }

  private addressOf(held: unknown): Address {
    const view = asView(held);
    if (view === undefined || view["@type"].context !== this.context)
      throw new InvalidArgumentError(`\`holds\` names objects of this heap, got ${show(held)}.`);
    return addressOf(view);
  }
}

/** @throws InvalidArgumentError */
export function checkBytes(bytes: unknown): asserts bytes is number {
  if (typeof bytes !== "number" || !(bytes >= 0) || !Number.isFinite(bytes))
    throw new InvalidArgumentError(`Bytes must be a number of at least 0, got ${show(bytes)}.`);
}

function isComparable(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function refuseSecond(value: unknown): void {
  const record = isComparable(value) ? adopted.get(value) : undefined;
  if (record !== undefined) throw new AlreadyAdoptedError(show(value), record.madeAt);
}

/** The name of a value's constructor, or its type. A value that cannot be read has a name all the same. */
function kindName(value: unknown): string {
  if (value === null || (typeof value !== "object" && typeof value !== "function"))
    return value === null ? "null" : typeof value;
  try {
    const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
    return typeof name === "string" && name !== "" ? name : typeof value;
  } catch {
    return typeof value;
  }
}
