/** Python's `gc` module over one heap: the same names in camelCase, the same numbers, the same debug text. */
import { DEBUG_COLLECTABLE, DEBUG_SAVEALL, DEBUG_STATS, DEBUG_UNCOLLECTABLE } from "../gc/collect.js";
import type { Core } from "../gc/core.js";
import type { CollectionResult, CollectorListener } from "../gc/events.js";
import { InvalidArgumentError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_BYTE_THRESHOLD,
  CONTROL_DEBUG,
  FLAG_DYING,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  KIND_FOREIGN,
  PERMANENT,
  WORD_BYTES,
} from "../memory/layout.js";
import { plainText } from "../memory/plain-text.js";
import { objectBytes } from "../object/size.js";
import type { Context } from "./context.js";
import { checkBytes } from "./foreign.js";
import { show } from "./schema.js";
import type { Any, Borrowed, List } from "./types.js";
import { addressOf, asView } from "./view.js";

/** 0 is the youngest, 2 the oldest. */
export type Generation = 0 | 1 | 2;

/** What `gc.callbacks` are told about a collection. */
export interface CollectionInfo {
  /** The oldest generation that takes part. */
  readonly generation: Generation;
  /** Objects found unreachable and freed; 0 in the "start" call. */
  readonly collected: number;
  /** Always 0, as in CPython since PEP 442. */
  readonly uncollectable: number;
  /** Milliseconds that the collection took, callbacks left out; 0 in the "start" call. (CPython has it since 3.15.) */
  readonly duration: number;
}
/** When `gc.callbacks` are called. */
export type CollectionPhase = "start" | "stop";

/** Who decides when to collect: CPython's rule, or that rule with numbers that follow what collections find. */
export type CollectionPolicy = "python" | "adaptive";

/** What `gc.getStats` says of one generation. */
export interface GenerationStats {
  /** Collections of this generation. */
  readonly collections: number;
  /** Objects that they found unreachable and freed. */
  readonly collected: number;
  /** Always 0, as in CPython since PEP 442. */
  readonly uncollectable: number;
}

/** What `gc.pending` found. */
export interface PendingGarbage {
  /** Unreachable objects: what `gc.collect()` would return now. */
  readonly objects: number;
  /** Bytes of their blocks and storage. */
  readonly bytes: number;
  /** Bytes that adopted values among them hold outside the heap; in a shared heap those of this thread. */
  readonly adoptedBytes: number;
  /** How many of each type, by name. */
  readonly byType: ReadonlyMap<string, number>;
}

/** Bit flags for `gc.setDebug`, named and meant as in CPython. */
export const DEBUG = {
  /** Text about each collection. */
  STATS: DEBUG_STATS,
  /** A line for each unreachable object. */
  COLLECTABLE: DEBUG_COLLECTABLE,
  /** A line for each object that could not be freed (there are none: kept for its number). */
  UNCOLLECTABLE: DEBUG_UNCOLLECTABLE,
  /** Unreachable objects go to `gc.garbage` instead of being freed. */
  SAVEALL: DEBUG_SAVEALL,
  /** COLLECTABLE, UNCOLLECTABLE and SAVEALL: what a leak hunt wants. */
  LEAK: DEBUG_COLLECTABLE | DEBUG_UNCOLLECTABLE | DEBUG_SAVEALL,
} as const;

/** The collector of one heap, as `heap.gc`. */
export class GarbageCollector {
  private readonly context: Context;
  /**
   * Called with "start" before and "stop" after each collection of this thread, in order; what they throw goes to
   * `heap.onUnraisable`. Functions appended during a round are called in it, as in CPython.
   */
  readonly callbacks: ((phase: CollectionPhase, info: CollectionInfo) => void)[] = [];
  /**
   * Where debug text goes, whole lines at a time, when the collection is over. Default: the process's standard error, or
   * console.error.
   */
  debugSink: (text: string) => void = defaultSink;

  /** @internal Made with its heap. */
  constructor(context: Context) {
    this.context = context;
    context.core.events.listeners.push(new CallbackListener(this, context), new DebugListener(this, context));
  }

  /**
   * Collect a generation and all younger ones; without an argument, everything. Works while `disable`d.
   * @returns how many unreachable objects were found; 0 at once inside a collection
   * @throws InvalidArgumentError for a generation other than 0, 1 or 2
   */
  collect(generation: Generation = 2): number {
    checkGeneration(generation);
    this.context.requireOpen();
    this.context.handles.releaseLeaked();
    return this.core.collector.collect(generation);
  }

  /** Let allocations start collections (the default). */
  enable(): void {
    this.writable.trigger.setEnabled(true);
  }
  /** Let only `collect` collect. Reference counts go on freeing. */
  disable(): void {
    this.writable.trigger.setEnabled(false);
  }
  /** Whether allocations may start collections. */
  isEnabled(): boolean {
    return this.core.trigger.isEnabled;
  }

  /**
   * When to collect on its own: generation 0 once allocations exceed frees by more than threshold0 since its last
   * collection, 1 after more than threshold1 collections of 0, 2 after more than threshold2 of 1 and when a quarter as
   * many objects as it last left have come to it. What is left out stays as it is. 0 as threshold0 turns it off.
   */
  setThreshold(threshold0: number, threshold1?: number, threshold2?: number): void {
    const given = [threshold0, threshold1, threshold2];
    for (const [generation, value] of given.entries())
      if (generation === 0 || value !== undefined) checkInt32(value, "A threshold");
    for (const [generation, value] of given.entries())
      if (value !== undefined) this.writable.trigger.setThreshold(generation, value);
  }
  /** The three thresholds, as they were set; also under the adaptive policy. */
  getThreshold(): readonly [number, number, number] {
    const { trigger } = this.core;
    return [trigger.threshold(0), trigger.threshold(1), trigger.threshold(2)];
  }

  /**
   * Whether collections start exactly when CPython's do ("python", the default), or less often while they find nothing
   * ("adaptive"). The thresholds are then where it starts from: generation 0 may grow to 1/64 of generation 2, its survivors
   * may go there at once, and generation 2 may grow by a half, not a quarter, before it is collected. What is garbage is
   * found all the same, later: see docs/worst-case.md for the bound. What was learned starts anew with each call, with
   * `setThreshold`, and in a loaded heap.
   * @throws InvalidArgumentError for another policy
   */
  setPolicy(policy: CollectionPolicy): void {
    if (policy !== "python" && policy !== "adaptive")
      throw new InvalidArgumentError(`A policy is "python" or "adaptive", got ${show(policy)}.`);
    this.writable.trigger.setAdaptive(policy === "adaptive");
  }
  /** The policy. */
  getPolicy(): CollectionPolicy {
    return this.core.trigger.isAdaptive ? "adaptive" : "python";
  }

  /**
   * What waits for a collection: the garbage that counts could not free. Found as a full collection would, but nothing is
   * freed or moved; only the `traverse` of adopted values is called. O(heap).
   */
  pending(): PendingGarbage {
    const { collector, allocator, types } = this.writable;
    const garbage = collector.findPending();
    const byType = new Map<string, number>();
    let bytes = 0;
    for (const object of garbage) {
      const { name } = this.context.binder.typeOf(object);
      byType.set(name, (byType.get(name) ?? 0) + 1);
      bytes += objectBytes(allocator, types, object);
    }
    return { objects: garbage.length, bytes, adoptedBytes: this.adoptedBytesOf(garbage), byType };
  }

  /** Of the values that are garbage, and of those that only garbage refers to. */
  private adoptedBytesOf(garbage: readonly Address[]): number {
    const { memory, traversal, types } = this.core;
    const references = new Map<Address, number>();
    for (const object of garbage) {
      if (types.kindOf(object) === KIND_FOREIGN) references.set(object, Number.POSITIVE_INFINITY);
      const count = traversal.collect(object);
      for (const referent of traversal.referents.subarray(0, count))
        if (types.kindOf(referent) === KIND_FOREIGN)
          references.set(referent, (references.get(referent) ?? 0) + 1);
    }
    let bytes = 0;
    for (const [object, count] of references)
      if (count >= memory.i32[object + HEADER_REFCOUNT])
        bytes += this.context.foreign.recordOf(object)?.bytes ?? 0;
    return bytes;
  }

  /**
   * Start a full collection when adopted values have taken this many bytes since the last one, less those given back, and
   * a quarter of what was adopted before. Default 64 MiB; 0 turns it off. A heap that adopts nothing is not affected.
   * @throws InvalidArgumentError
   */
  setByteThreshold(bytes: number): void {
    checkBytes(bytes);
    this.writable.memory.f64[CONTROL_BYTE_THRESHOLD >> 1] = bytes;
  }
  /** The byte threshold. */
  getByteThreshold(): number {
    return this.core.memory.f64[CONTROL_BYTE_THRESHOLD >> 1];
  }

  /** Allocations minus frees since generation 0 was collected, collections of 0 since 1 was, and of 1 since 2 was. */
  getCount(): readonly [number, number, number] {
    const { trigger } = this.core;
    return [trigger.count(0), trigger.count(1), trigger.count(2)];
  }

  /** Totals for each generation since the heap was made. */
  getStats(): readonly [GenerationStats, GenerationStats, GenerationStats] {
    const { collector } = this.core;
    return [collector.stats(0), collector.stats(1), collector.stats(2)];
  }

  /** Set the DEBUG flags; 0 for none. Unknown bits are kept. */
  setDebug(flags: number): void {
    this.writable.memory.i32[CONTROL_DEBUG] = checkInt32(flags, "Debug flags");
  }
  /** The DEBUG flags that are set. */
  getDebug(): number {
    return this.core.memory.i32[CONTROL_DEBUG];
  }

  /**
   * What DEBUG.SAVEALL kept, as a list that the heap owns; `clear()` drops it, last to first. Its items look like a
   * list's and the collector takes it for a root.
   */
  get garbage(): List<Borrowed> {
    this.context.requireOpen();
    return this.context.garbage as unknown as List<Borrowed>;
  }

  /** Tracked objects, oldest list position first; of one generation, or of all. Borrowed: valid until the next change. */
  getObjects(generation?: Generation): Borrowed[] {
    const { generations } = this.core;
    const wanted = generation === undefined ? [0, 1, 2] : [checkGeneration(generation)];
    return wanted.flatMap((one) => [...generations.objects(one)].map((object) => this.borrow(object)));
  }

  /**
   * The objects that refer to any of the targets: tracked ones in list order, then those the collector never tracks.
   * O(objects in the heap). Borrowed. Frozen objects are left out, as in CPython.
   */
  getReferrers(...targets: Borrowed[]): Borrowed[] {
    const wanted = new Set(targets.map((target) => this.address(target)));
    // A dict or tuple is untracked while it holds nothing that could be on a cycle, and CPython does not list it then.
    const leaves = new Set([...wanted].filter((target) => !this.isGc(target)));
    return [...this.candidates()]
      .filter((object) => this.refersTo(object, this.isHidden(object) ? leaves : wanted))
      .map((object) => this.borrow(object));
  }

  /** What the sources refer to, in visit order, one entry a reference. Borrowed. */
  getReferents(...sources: Borrowed[]): Borrowed[] {
    const { traversal } = this.core;
    return sources.flatMap((source) => {
      const count = traversal.collect(this.address(source));
      return Array.from(traversal.referents.subarray(0, count), (object) => this.borrow(object));
    });
  }

  /** Whether the collector looks at this object. Plain values are never tracked. */
  isTracked(ref: Any): boolean {
    return asView(ref) !== undefined && this.core.tracking.isTracked(this.address(ref));
  }

  /** Whether the object's finalizer has run. */
  isFinalized(ref: Any): boolean {
    return asView(ref) !== undefined && this.core.lifetime.isFinalized(this.address(ref));
  }

  /** Move every tracked object out of the collector's sight, until `unfreeze`; reference counts go on freeing them. */
  freeze(): void {
    this.writable.generations.freeze();
    this.writable.trigger.resetCounts();
  }
  /** Move what was frozen to generation 2. */
  unfreeze(): void {
    this.writable.generations.unfreeze();
  }
  /** How many objects are frozen. */
  getFreezeCount(): number {
    return this.core.generations.size(PERMANENT);
  }

  /** For what only looks. */
  private get core(): Core {
    this.context.requireReadable();
    return this.context.core;
  }

  /** For what changes something. */
  private get writable(): Core {
    this.context.requireOpen();
    return this.context.core;
  }

  private address(ref: unknown): Address {
    const view = asView(ref);
    if (view === undefined || view["@type"].context !== this.context)
      throw new InvalidArgumentError(`Expected an object of this heap, got ${show(ref)}.`);
    return addressOf(view);
  }

  private borrow(object: Address): Borrowed {
    return this.context.binder.view(object) as unknown as Borrowed;
  }

  private *candidates(): IterableIterator<Address> {
    const { generations, allocator, tracking } = this.core;
    for (const generation of [0, 1, 2]) yield* generations.objects(generation);
    for (const object of allocator.objects())
      if (!tracking.isTracked(object) && !this.isDying(object) && this.context.binder.isBound(object))
        yield object;
  }

  /** Inside a finalizer: what dies around it, or waits to, is nobody's any more. */
  private isDying(object: Address): boolean {
    const { i32 } = this.core.memory;
    return i32[object + HEADER_REFCOUNT] === 0 || (i32[object + HEADER_TYPE] & FLAG_DYING) !== 0;
  }

  private isGc(object: Address): boolean {
    return this.context.binder.typeOf(object).isGc;
  }

  private isHidden(object: Address): boolean {
    return this.isGc(object) && !this.core.tracking.isTracked(object);
  }

  private refersTo(object: Address, wanted: ReadonlySet<Address>): boolean {
    const { traversal } = this.core;
    const count = traversal.collect(object);
    for (let index = 0; index < count; index++) if (wanted.has(traversal.referents[index])) return true;
    return false;
  }
}

function checkGeneration(generation: number): number {
  if (generation === 0 || generation === 1 || generation === 2) return generation;
  throw new InvalidArgumentError(`A generation is 0, 1 or 2, got ${show(generation)}.`);
}

function checkInt32(value: number | undefined, what: string): number {
  if (value !== undefined && value === (value | 0)) return value | 0;
  throw new InvalidArgumentError(`${what} must be a whole number of 32 bits, got ${show(value)}.`);
}

function defaultSink(text: string): void {
  const { process } = globalThis as { process?: { stderr?: { write?: (text: string) => unknown } } };
  if (process?.stderr?.write !== undefined) process.stderr.write(text);
  else console.error(text.replace(/\n$/, ""));
}

/** `gc.callbacks` (CPython: `invoke_gc_callback`). */
class CallbackListener implements CollectorListener {
  private readonly gc: GarbageCollector;
  private readonly context: Context;
  private startMs = 0;
  constructor(gc: GarbageCollector, context: Context) {
    this.gc = gc;
    this.context = context;
  }
  onStart(generation: number): void {
    this.call("start", { generation: generation as Generation, collected: 0, uncollectable: 0, duration: 0 });
    this.startMs = performance.now();
  }
  onStop(result: CollectionResult): void {
    const duration = performance.now() - this.startMs;
    this.call("stop", { ...result, generation: result.generation as Generation, duration });
  }
  private call(phase: CollectionPhase, info: CollectionInfo): void {
    // By index, the length read anew: callbacks may add callbacks.
    for (let index = 0; index < this.gc.callbacks.length; index++)
      this.context.callBack("gc callback", () => this.gc.callbacks[index](phase, info));
  }
}

/**
 * The text of DEBUG_STATS and DEBUG_COLLECTABLE, word for word CPython's. It is kept until the collection is over: the
 * sink is the program's code, and before that it could take hold of what is about to be cleared.
 */
class DebugListener implements CollectorListener {
  private readonly gc: GarbageCollector;
  private readonly context: Context;
  private startMs = 0;
  /** What is to be written, in order, in whole lines. */
  private texts: string[] = [];
  constructor(gc: GarbageCollector, context: Context) {
    this.gc = gc;
    this.context = context;
  }
  private has(flag: number): boolean {
    return (this.context.core.memory.i32[CONTROL_DEBUG] & flag) !== 0;
  }
  /** A sink that throws must not stop a collection half-way. */
  private write(text: string): void {
    this.context.callBack("gc.debugSink", () => this.gc.debugSink(text));
  }
  onBegin(generation: number): void {
    this.texts = []; // of a collection that threw
    if (!this.has(DEBUG_STATS)) return;
    const { generations } = this.context.core;
    this.startMs = performance.now();
    this.texts.push(
      `gc: collecting generation ${generation}...\n` +
        `gc: objects in each generation: ${[0, 1, 2].map((one) => generations.size(one)).join(" ")}\n` +
        `gc: objects in permanent generation: ${generations.size(PERMANENT)}\n`,
    );
  }
  hearsUnreachable(): boolean {
    return this.has(DEBUG_COLLECTABLE);
  }
  onUnreachable(objects: Iterable<Address>): void {
    if (!this.hearsUnreachable()) return;
    for (const object of objects)
      this.texts.push(
        `gc: collectable <${plainText(this.context.binder.typeOf(object).name)} 0x${(object * WORD_BYTES).toString(16)}>\n`,
      );
  }
  onEnd({ collected, uncollectable }: CollectionResult): void {
    if (this.has(DEBUG_STATS)) {
      const seconds = (performance.now() - this.startMs) / 1000;
      this.texts.push(
        `gc: done, ${collected + uncollectable} unreachable, ${uncollectable} uncollectable, ${seconds.toFixed(4)}s elapsed\n`,
      );
    }
    const { texts } = this;
    this.texts = [];
    for (const text of texts) this.write(text);
  }
}
