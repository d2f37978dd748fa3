/**
 * Object pools: instances that are made once and lent again and again. The last release of one is a full death (finalizer,
 * weak references, fields); then its block is not freed but zeroed, reset and offered again.
 *
 * What is in the pool is an untracked object with one reference, the pool's. Acquiring hands that reference over to the
 * handle and tracks the object; neither that nor its return moves count0, so a pool does not hurry the collector.
 */
import { InvalidArgumentError, PoolExhaustedError, PoolInUseError } from "../memory/errors.js";
import {
  type Address,
  FLAG_FINALIZED,
  FLAG_OBSERVED,
  FLAG_POOLED,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  HEADER_WORDS,
  MAIL_LEFT_POOL,
  SERIAL_RETIRED,
  TYPE_FINALIZER,
  TYPE_FLAGS,
  TYPE_OBJECT_WORDS,
} from "../memory/layout.js";
import { holdsReference } from "../object/slot.js";
import type { BoundType } from "./bound-type.js";
import type { Context } from "./context.js";
import type { InstanceSource } from "./fill.js";
import { show } from "./schema.js";
import type { AnyStruct, Borrowed, Handle, InitOf, ReadOf, RequiredOf } from "./types.js";

/** How to make a pool. */
export interface PoolOptions<R> {
  /** Instances made in advance. */
  readonly capacity: number;
  /** Called with an instance that has come back, zeroed and borrowed, before it is offered again; and with each new one. */
  readonly reset?: (instance: R) => void;
  /** What `acquire` does when all are out: "throw" (the default), or "grow": as many more again. */
  readonly whenEmpty?: "throw" | "grow";
}

/** How well a pool serves. */
export interface PoolStats {
  /** Instances acquired from those at hand. */
  readonly hits: number;
  /** Acquisitions that found none: the pool grew, or refused. */
  readonly misses: number;
  /** The most that were out at one time. */
  readonly highWater: number;
}

/** A death leaves a serial at most this much higher. */
const SERIALS_A_LIFE = 8;

/** Instances of one struct, lent and taken back. Made by `heap.pool`. */
export class Pool<T extends AnyStruct = AnyStruct> implements Disposable {
  private readonly context: Context;
  private readonly type: BoundType;
  private readonly reset: ((instance: never) => void) | undefined;
  private readonly grows: boolean;
  /** Words of an instance, and the type word of one in the pool. */
  private readonly words: number;
  private readonly typeWord: number;
  private readonly holdsReferences: boolean;
  private readonly source: InstanceSource;
  /** Every instance, in or out. */
  private readonly members = new Set<Address>();
  /** Those at hand; the one that came back last goes out first. */
  private free: Address[] = [];
  /** Those that `reset` runs on now. */
  private readonly resetting = new Set<Address>();
  private isClosed = false;
  private hits = 0;
  private misses = 0;
  private highWater = 0;

  /** @internal `heap.pool` makes them. */
  constructor(context: Context, type: BoundType, options: PoolOptions<never>) {
    this.context = context;
    this.type = type;
    this.reset = options.reset;
    this.grows = options.whenEmpty === "grow";
    this.source = {
      take: () => this.take(),
      giveBack: (instance) => context.core.counts.decref(instance),
    };
    this.words = context.core.memory.i32[context.core.types.descriptor(type.id) + TYPE_OBJECT_WORDS];
    this.typeWord = context.core.types.typeWord(type.id) | FLAG_POOLED | FLAG_OBSERVED;
    this.holdsReferences = type.slots.some(({ spec }) => holdsReference(spec.slot));
    try {
      this.add(options.capacity);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Instances at hand. */
  get available(): number {
    return this.free.length;
  }
  /** Instances in all. */
  get capacity(): number {
    return this.members.size;
  }
  /** Hits, misses and the high-water mark since the pool was made. */
  get stats(): PoolStats {
    return { hits: this.hits, misses: this.misses, highWater: this.highWater };
  }

  /**
   * An instance with the fields of a literal; one that the literal leaves out has what `reset` left there, or its zero
   * value. The caller owns the result; its last release brings the instance back.
   * @throws PoolExhaustedError when all are out and the pool does not grow; OutOfMemoryError; and as `heap.new`
   */
  acquire(init: InitOf<T> & RequiredOf<T>): Handle<ReadOf<T> & Borrowed> {
    this.requireOpen();
    this.context.requireOpenForHandle();
    this.context.handles.releaseLeaked();
    const isAtHand = this.free.length > 0;
    if (!isAtHand) this.refill();
    const instance = this.type.fill(init, this.source);
    if (isAtHand) this.hits++;
    return this.type.handle(instance) as unknown as Handle<ReadOf<T> & Borrowed>;
  }

  /**
   * Free all instances.
   * @throws PoolInUseError while some are out: it lists them, and the pool goes on as before
   */
  [Symbol.dispose](): void {
    if (this.isClosed || this.context.isDisposed) return;
    this.context.requireOpen();
    const out = this.capacity - this.available;
    if (out > 0) throw new PoolInUseError(this.type.name, out, this.placesOut());
    this.close();
  }

  // -- taking and returning -------------------------------------------------------------------

  private take(): Address {
    const { core, handles } = this.context;
    this.requireOpen();
    if (this.type.isGc) core.generations.openYoung();
    const instance = this.pop();
    handles.letGo(instance);
    if (this.type.isGc) this.track(instance);
    this.noteOut();
    return instance;
  }

  /** What its fields still refer to was held from outside until now. */
  private track(instance: Address): void {
    const { generations, traversal } = this.context.core;
    generations.track(instance);
    const count = traversal.collect(instance);
    for (let index = 0; index < count; index++) generations.settled.unsettle(traversal.referents[index]);
  }

  /** One at hand that nobody has got hold of meanwhile: `gc.getReferrers` shows what is in a pool too. */
  private pop(): Address {
    const { i32 } = this.context.core.memory;
    for (;;) {
      if (this.free.length === 0) this.refill(); // user code of the literal has taken the last
      const instance = this.free.pop();
      if (instance === undefined) throw new PoolExhaustedError(this.type.name, this.capacity);
      if (i32[instance + HEADER_REFCOUNT] === 1) return instance;
      this.leaveOut(instance);
    }
  }

  /** Somebody has taken hold of an instance that was at hand: it is acquired, and comes back when they let go. */
  private leaveOut(instance: Address): void {
    const { core, handles } = this.context;
    handles.letGo(instance);
    // In a heap without room for one more entry it stays out of the tables.
    if (this.type.isGc) core.generations.trackAgain(instance);
    core.counts.decref(instance);
    this.noteOut();
  }

  private noteOut(): void {
    this.highWater = Math.max(this.highWater, this.capacity - this.available);
  }

  /** Where nothing is at hand. */
  private refill(): void {
    this.misses++;
    if (!this.grows) throw new PoolExhaustedError(this.type.name, this.capacity);
    try {
      this.add(Math.max(1, this.capacity));
    } catch (error) {
      if (this.free.length === 0) throw error; // some are better than none
    }
  }

  private add(count: number): void {
    const { core, pools } = this.context;
    for (let done = 0; done < count; done++) {
      const { sharing } = this.context;
      sharing?.requireRoom();
      const uninformed = sharing?.mail.recounting() ?? [];
      const instance = core.objects.createPooled(this.type.id);
      // Where an instance of theirs was that is gone, which they have not heard of yet, there is one of this pool's now.
      for (const thread of uninformed) sharing!.mail.post(thread, MAIL_LEFT_POOL, instance);
      this.members.add(instance);
      pools.enter(instance, this);
      this.offer(instance);
      this.requireOpen(); // `reset` may have closed it, or ended the heap
    }
  }

  /** @internal An instance has died, but for its fields. @returns false: it is not wanted back */
  takeBack(instance: Address): boolean {
    const { core, pools } = this.context;
    const { i32 } = core.memory;
    if (this.isClosed || i32[instance + HEADER_SERIAL] >= SERIAL_RETIRED - SERIALS_A_LIFE) {
      this.members.delete(instance);
      pools.leave(instance);
      return false;
    }
    if (this.holdsReferences) core.clearing.clear(instance);
    for (let word = instance + HEADER_WORDS; word < instance + this.words; word++) i32[word] = 0;
    i32[instance + HEADER_TYPE] = this.typeWord;
    i32[instance + HEADER_SERIAL]++;
    i32[instance + HEADER_REFCOUNT] = 1;
    this.offer(instance);
    return true;
  }

  /** Reset a zeroed instance and put it at hand. Who keeps it from within `reset` has acquired it. */
  private offer(instance: Address): void {
    const { core, handles } = this.context;
    const { i32 } = core.memory;
    this.type.nullAnySlots(instance);
    handles.hold(instance);
    const { reset } = this;
    if (reset !== undefined) {
      this.resetting.add(instance);
      this.context.callBack("a pool's reset", () => reset(this.type.view(instance) as never));
      this.resetting.delete(instance);
    }
    if (this.context.isDisposed) return;
    if (this.isClosed) this.freeUnused(instance);
    else if (i32[instance + HEADER_REFCOUNT] > 1) this.leaveOut(instance);
    else {
      // What `reset` has kept of it, views and weak references, ends here.
      for (const ref of [...core.weakrefs.list(instance)]) core.weakrefs.cut(ref);
      i32[instance + HEADER_SERIAL]++;
      this.free.push(instance);
    }
  }

  /** @internal An instance is gone without having come back. */
  lose(instance: Address): void {
    this.members.delete(instance);
  }

  /** Nobody has used it since its last death: it goes without a finalizer. */
  private freeUnused(instance: Address): void {
    const { core, handles } = this.context;
    core.memory.i32[instance + HEADER_TYPE] |= FLAG_FINALIZED;
    handles.letGo(instance);
    core.counts.decref(instance);
  }

  // -- the end --------------------------------------------------------------------------------

  /** @internal Addresses of the instances at hand, for whoever looks into the heap. */
  get atHand(): readonly Address[] {
    return this.free;
  }

  /** @internal Let every instance be an object like any other; those at hand are freed. */
  close(): void {
    const { core, pools } = this.context;
    const { i32 } = core.memory;
    this.isClosed = true;
    const { free } = this;
    this.free = [];
    for (const member of this.members) {
      pools.leave(member);
      if (this.resetting.has(member)) continue; // neither at hand nor out: `offer` sees that it is closed
      i32[member + HEADER_TYPE] &= ~FLAG_POOLED;
      const hasFinalizer = (i32[core.types.descriptor(this.type.id) + TYPE_FLAGS] & TYPE_FINALIZER) !== 0;
      if (!hasFinalizer && core.weakrefs.first(member) === 0) i32[member + HEADER_TYPE] &= ~FLAG_OBSERVED;
    }
    this.members.clear();
    for (const instance of free) this.freeUnused(instance);
  }

  /** Where the handles of instances that are out were made, as far as it was recorded. */
  private placesOut(): string[] {
    const places: string[] = [];
    const free = new Set(this.free);
    for (const { address, madeAt } of this.context.handles.records)
      if (this.members.has(address) && !free.has(address)) places.push(madeAt.split("\n", 1)[0]);
    return places;
  }

  private requireOpen(): void {
    this.context.requireOpen();
    if (this.isClosed)
      throw new InvalidArgumentError("This pool is closed: nothing can be acquired from it.");
  }
}

/** The pools of a heap, by the instances that they lend. */
export class PoolTable {
  private readonly poolOf = new Map<Address, Pool>();
  private readonly context: Context;

  constructor(context: Context) {
    this.context = context;
    context.core.hooks.returnToPool = (instance) => {
      const pool = this.poolOf.get(instance);
      if (pool !== undefined) return pool.takeBack(instance);
      // Another thread's, which must not take what will be made there for its own.
      context.sharing?.mail.tellAll(MAIL_LEFT_POOL, instance);
      return false;
    };
  }

  enter(instance: Address, pool: Pool): void {
    this.poolOf.get(instance)?.lose(instance); // gone, and not looked for yet
    this.poolOf.set(instance, pool);
  }

  leave(instance: Address): void {
    this.poolOf.delete(instance);
  }

  /** An instance has died in another thread. */
  lose(instance: Address): void {
    this.poolOf.get(instance)?.lose(instance);
    this.poolOf.delete(instance);
  }

  /** After a repair: instances that it has dropped. O(heap) */
  loseDead(): void {
    if (this.poolOf.size === 0) return;
    const { allocator, memory } = this.context.core;
    const dead = new Set(this.poolOf.keys());
    for (const object of allocator.objects())
      if ((memory.i32[object + HEADER_TYPE] & FLAG_POOLED) !== 0) dead.delete(object);
    for (const instance of dead) this.lose(instance);
  }

  /** Every instance that is in its pool now. */
  atHand(): Set<Address> {
    return new Set([...new Set(this.poolOf.values())].flatMap((pool) => pool.atHand));
  }

  /** The heap ends: what is in pools is freed, what is out dies like any other object. */
  closeAll(): void {
    for (const pool of new Set(this.poolOf.values())) pool.close();
  }
}

/** @throws InvalidArgumentError */
export function checkPoolOptions(options: unknown): void {
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError(`heap.pool takes an object of options, got ${show(options)}.`);
  const { capacity, reset, whenEmpty } = options as Record<string, unknown>;
  if (!Number.isInteger(capacity) || (capacity as number) < 1)
    throw new InvalidArgumentError(
      `A pool's capacity must be a whole number of at least 1, got ${show(capacity)}.`,
    );
  if (reset !== undefined && typeof reset !== "function")
    throw new InvalidArgumentError(`A pool's reset must be a function, got ${show(reset)}.`);
  if (whenEmpty !== undefined && whenEmpty !== "throw" && whenEmpty !== "grow")
    throw new InvalidArgumentError(`A pool's whenEmpty must be "throw" or "grow", got ${show(whenEmpty)}.`);
}
