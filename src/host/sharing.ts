/** What a thread has of a shared heap beside the heap: its place in the thread table, the lock, its roots, and releases that wait. */
import type { Core } from "../gc/core.js";
import {
  type Address,
  CONTROL_DAMAGED,
  CONTROL_ROOT_COUNT,
  CONTROL_THREADS,
  HEADER_REFCOUNT,
  KIND_STORAGE,
  THREAD_ENDED,
  THREAD_FREE,
  THREAD_IS_BASED,
  THREAD_RING,
  THREAD_RING_HEAD,
  THREAD_RING_TAIL,
  THREAD_SHIFT,
  THREAD_STATE,
  THREADS_MAX,
} from "../memory/layout.js";
import { HeapLock } from "../memory/lock.js";
import { ThreadTable } from "../memory/threads.js";
import { ThreadRoots } from "../object/roots.js";
import { hashText } from "../object/string.js";
import type { TypeLayout } from "../object/type.js";
import type { Plan } from "./bind.js";
import type { Context } from "./context.js";
import { admitRead, type Guarding, requireReading, requireWriting } from "./guarded-view.js";
import { publishTypes, schemaStrings, syncTypes } from "./shared-types.js";
import type { View } from "./view.js";

/** Releases that can wait in the memory. What comes beyond waits in JavaScript, and in this thread. */
export const RING_WORDS = 1 << 14;
/** A thread with more releases waiting than this, or one for longer, takes a writer's turn when its guard ends. */
const WAITING_MAX = 10_000;
const WAITING_MS_MAX = 100;

export class Sharing implements Guarding {
  readonly lock: HeapLock;
  readonly threads: ThreadTable;
  /** This thread's place in the thread table. */
  readonly thread: number;
  readonly roots: ThreadRoots;
  private readonly context: Context;
  private readonly core: Core;
  private readonly i32: Int32Array;
  private readonly record: Address;
  /** Releases for which the ring has no room. */
  private late: Address[] = [];
  /** When the oldest release that this thread knows to be waiting came, in ms; 0: none waits. */
  private waitingSince = 0;

  constructor(context: Context, thread: number) {
    this.context = context;
    this.core = context.core;
    this.i32 = this.core.memory.i32;
    this.thread = thread;
    this.threads = new ThreadTable(this.core.memory, this.i32[CONTROL_THREADS]);
    this.lock = new HeapLock(this.i32, thread);
    this.record = this.recordOf(thread);
    this.roots = new ThreadRoots(this.core.allocator, this.record);
  }

  recordOf(thread: number): Address {
    return this.i32[CONTROL_THREADS] + (thread << THREAD_SHIFT);
  }

  // -- rules ----------------------------------------------------------------------------------

  /** @throws LockError unless the view may be read now */
  admit(view: View): void {
    admitRead(view, this.lock);
  }

  /** @throws LockError */
  requireReading(): void {
    requireReading(this.lock);
  }

  /** @throws LockError */
  requireWriting(): void {
    requireWriting(this.lock);
  }

  // -- counts ---------------------------------------------------------------------------------

  /** A handle of this thread has come or gone. */
  countRoot(object: Address, change: number): void {
    if (this.lock.writeEpoch >= 0) this.i32[CONTROL_ROOT_COUNT] += change;
    else Atomics.add(this.i32, CONTROL_ROOT_COUNT, change);
    this.roots.add(object, change);
  }

  /** A new reference, under any guard: others may be taking one to the same object. */
  incref(object: Address): void {
    if (this.lock.writeEpoch >= 0) this.core.counts.incref(object);
    else Atomics.add(this.i32, object + HEADER_REFCOUNT, 1);
  }

  /** Give up a handle where nothing may be written: whoever next writes drops the reference. */
  releaseLater(handle: View): void {
    const object = this.context.handles.giveUp(handle);
    const { i32, record } = this;
    const ring = i32[record + THREAD_RING];
    const tail = i32[record + THREAD_RING_TAIL];
    const waiting = tail - Atomics.load(i32, record + THREAD_RING_HEAD);
    if (this.waitingSince === 0 || waiting === 0) this.waitingSince = performance.now();
    if (this.late.length > 0 || waiting >= RING_WORDS) {
      this.late.push(object);
      return;
    }
    i32[ring + (tail & (RING_WORDS - 1))] = object;
    Atomics.store(i32, record + THREAD_RING_TAIL, (tail + 1) | 0);
  }

  /** Whether the end of a guard should be followed by a writer's turn. */
  get owesTurn(): boolean {
    if (this.late.length > 0 || this.roots.needsRoom) return true;
    if (this.waitingSince === 0) return false;
    const { i32, record } = this;
    const waiting = i32[record + THREAD_RING_TAIL] - Atomics.load(i32, record + THREAD_RING_HEAD);
    if (waiting === 0) this.waitingSince = 0;
    return waiting > WAITING_MAX || (waiting > 0 && performance.now() - this.waitingSince > WAITING_MS_MAX);
  }

  // -- types ----------------------------------------------------------------------------------

  /** `TypeTable.register`, for all threads. @throws as that */
  register(plans: readonly Plan[], layouts: readonly TypeLayout[]): void {
    const { types, counts } = this.core;
    const described = plans.map(({ descriptor }, index) => ({ descriptor, hash: hashText(layouts[index].description) }));
    const texts = schemaStrings(this.context, described);
    const first = types.count;
    try {
      types.register(layouts);
    } catch (error) {
      for (const text of texts) counts.decref(text);
      throw error;
    }
    publishTypes(this.context, first, texts);
  }

  // -- a writer's turn ------------------------------------------------------------------------

  /** Under the exclusive lock, before anything else: what others have left to be done. Runs finalizers and callbacks. */
  beginWriting(): void {
    const { i32 } = this;
    syncTypes(this.context);
    if (this.roots.needsRoom) this.roots.makeRoom();
    for (let thread = 0; thread < THREADS_MAX; thread++) {
      const record = this.recordOf(thread);
      const state = Atomics.load(i32, record + THREAD_STATE);
      if (state === THREAD_FREE) continue;
      if (i32[record + THREAD_RING_HEAD] !== Atomics.load(i32, record + THREAD_RING_TAIL)) this.applyReleases(record);
      if (state === THREAD_ENDED) this.context.endThread(thread);
    }
    for (const object of this.late.splice(0)) this.drop(this.roots, object);
    this.waitingSince = 0;
  }

  private applyReleases(record: Address): void {
    const { i32 } = this;
    const ring = i32[record + THREAD_RING];
    const roots = record === this.record ? this.roots : new ThreadRoots(this.core.allocator, record);
    const tail = Atomics.load(i32, record + THREAD_RING_TAIL);
    for (let head = i32[record + THREAD_RING_HEAD]; head !== tail; head = (head + 1) | 0) {
      const object = i32[ring + (head & (RING_WORDS - 1))];
      // Taken out first: a finalizer may come by here again.
      Atomics.store(i32, record + THREAD_RING_HEAD, (head + 1) | 0);
      this.drop(roots, object);
    }
  }

  private drop(roots: ThreadRoots, object: Address): void {
    roots.add(object, -1);
    if (roots.needsRoom) roots.makeRoom();
    this.i32[CONTROL_ROOT_COUNT]--;
    this.core.counts.decref(object);
  }

  get isDamaged(): boolean {
    return Atomics.load(this.i32, CONTROL_DAMAGED) !== 0;
  }

  /** Take what a thread needs of the heap's memory. @throws OutOfMemoryError */
  open(): void {
    const { i32, record } = this;
    i32[record + THREAD_RING] = this.core.allocator.allocate(KIND_STORAGE, RING_WORDS);
    i32[record + THREAD_RING_HEAD] = 0;
    i32[record + THREAD_RING_TAIL] = 0;
    this.roots.makeRoom();
  }

  /** The opposite of `open`, for a heap that is not shared after all. */
  close(): void {
    const { i32, record } = this;
    for (const word of [THREAD_RING, THREAD_ROOTS]) {
      if (i32[record + word] !== 0) this.core.allocator.free(i32[record + word]);
      i32[record + word] = 0;
    }
  }

  get isBased(): boolean {
    return this.i32[this.record + THREAD_IS_BASED] !== 0;
  }
  set isBased(isBased: boolean) {
    this.i32[this.record + THREAD_IS_BASED] = isBased ? 1 : 0;
  }
}
