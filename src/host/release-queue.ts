/**
 * Handles that a thread of a shared heap has released where nothing may be written. They wait in the heap's memory, in the thread's ring,
 * until somebody writes: this thread or another one.
 */
import type { Core } from "../gc/core.js";
import {
  type Address,
  CONTROL_ROOT_COUNT,
  RING_WORDS,
  THREAD_RING,
  THREAD_RING_HEAD,
  THREAD_RING_TAIL,
  THREAD_TAKEN,
  THREAD_TAKEN_HEAD,
  THREAD_TAKEN_ROOTS,
} from "../memory/layout.js";
import type { ThreadRoots } from "../object/roots.js";

/** A thread with more releases waiting than this, or one for longer, owes a writer's turn. */
const WAITING_MAX = 10_000;
const WAITING_MS_MAX = 100;

export class ReleaseQueue {
  private readonly core: Core;
  private readonly i32: Int32Array;
  private readonly record: Address;
  private readonly roots: ThreadRoots;
  /** What comes beyond the ring waits here, where this thread alone sees it. */
  private late: Address[] = [];
  /** When the oldest release that this thread knows to be waiting came, in ms; 0: none waits. */
  private waitingSince = 0;

  /** @param record, roots of this thread */
  constructor(core: Core, record: Address, roots: ThreadRoots) {
    this.core = core;
    this.i32 = core.memory.i32;
    this.record = record;
    this.roots = roots;
  }

  /** A handle's reference, to be dropped by whoever writes next. */
  add(object: Address): void {
    const { i32, record } = this;
    const tail = i32[record + THREAD_RING_TAIL];
    const waiting = this.inRing;
    if (this.waitingSince === 0 || waiting === 0) this.waitingSince = performance.now();
    if (this.late.length > 0 || waiting >= RING_WORDS) {
      this.late.push(object);
      return;
    }
    i32[i32[record + THREAD_RING] + (tail & (RING_WORDS - 1))] = object;
    Atomics.store(i32, record + THREAD_RING_TAIL, (tail + 1) | 0);
  }

  /** Whether so many wait, or for so long, that the end of a guard should be followed by a writer's turn. */
  get owesTurn(): boolean {
    if (this.late.length > 0) return true;
    if (this.waitingSince === 0) return false;
    const waiting = this.inRing;
    if (waiting === 0) this.waitingSince = 0;
    return waiting > WAITING_MAX || (waiting > 0 && performance.now() - this.waitingSince > WAITING_MS_MAX);
  }

  /** Releases in this thread's ring. Head and tail run through all 32 bits. */
  private get inRing(): number {
    const { i32, record } = this;
    return (i32[record + THREAD_RING_TAIL] - Atomics.load(i32, record + THREAD_RING_HEAD)) | 0;
  }

  /** Drop what is in the ring of any thread, under the exclusive lock. Runs finalizers and callbacks. */
  applyRing(record: Address, roots: ThreadRoots): void {
    const { i32 } = this;
    const ring = i32[record + THREAD_RING];
    const tail = Atomics.load(i32, record + THREAD_RING_TAIL);
    for (let head = i32[record + THREAD_RING_HEAD]; head !== tail; head = (head + 1) | 0) {
      const object = i32[ring + (head & (RING_WORDS - 1))];
      i32[record + THREAD_TAKEN_ROOTS] = roots.get(object) - 1;
      i32[record + THREAD_TAKEN_HEAD] = (head + 1) | 0;
      Atomics.store(i32, record + THREAD_TAKEN, object);
      takeRelease(i32, record, roots);
      // Taken out first: a finalizer may come by here again.
      this.dropCount(object);
    }
  }

  /** Drop what this thread's ring had no room for. All rings have been applied. */
  applyLate(): void {
    if (this.late.length > 0)
      for (const object of this.late.splice(0)) {
        this.roots.add(object, -1);
        this.dropCount(object);
      }
    this.waitingSince = 0;
  }

  private dropCount(object: Address): void {
    this.i32[CONTROL_ROOT_COUNT]--;
    this.core.counts.decref(object);
  }
}

/**
 * Remove a release from a thread's ring and from its root table (THREAD_TAKEN). If the one who does so ends in the middle, the repair calls this
 * again: the thread, which may live, has let go of its handle already and will not do so again.
 */
export function takeRelease(i32: Int32Array, record: Address, roots: ThreadRoots): void {
  const object = i32[record + THREAD_TAKEN];
  if (object === 0) return;
  roots.add(object, i32[record + THREAD_TAKEN_ROOTS] - roots.get(object));
  Atomics.store(i32, record + THREAD_RING_HEAD, i32[record + THREAD_TAKEN_HEAD]);
  Atomics.store(i32, record + THREAD_TAKEN, 0);
}
