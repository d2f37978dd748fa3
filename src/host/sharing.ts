/**
 * What a thread has of a shared heap beside the heap: its place in the thread table, the lock, its roots, releases that wait, and
 * the mail of other threads.
 */
import type { Core } from "../gc/core.js";
import { LockError, WrongThreadError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_DAMAGED,
  CONTROL_ROOT_COUNT,
  CONTROL_THREADS,
  HEADER_REFCOUNT,
  KIND_STORAGE,
  MAIL_FINALIZE,
  RING_WORDS,
  THREAD_ADOPTED_BYTES,
  THREAD_ATTACHED,
  THREAD_BELL,
  THREAD_ENDED,
  THREAD_FREE,
  THREAD_IS_BASED,
  THREAD_LEFT,
  THREAD_RECOUNT,
  THREAD_RING,
  THREAD_RING_HEAD,
  THREAD_RING_TAIL,
  THREAD_ROOTS,
  THREAD_UNSETTLED,
  THREADS_MAX,
  TYPE_THREADS,
} from "../memory/layout.js";
import { type GuardMode, HeapLock } from "../memory/lock.js";
import { ThreadTable } from "../memory/threads.js";
import { ThreadRoots } from "../object/roots.js";
import { hashText } from "../object/string.js";
import type { TypeLayout } from "../object/type.js";
import type { Context } from "./context.js";
import { Guards } from "./guard.js";
import { admitRead, type Guarding, requireReading, requireWriting } from "./guarded-view.js";
import { readMail } from "./mail-reader.js";
import { Mailbox } from "./mailbox.js";
import type { Plan } from "./plan.js";
import { repairHeap } from "./repair-heap.js";
import { noteKnown, publishTypes, schemaStrings, syncTypes } from "./shared-types.js";
import { endThread, enterBaseRoots, rootsOfAll } from "./thread-end.js";
import type { View } from "./view.js";
import { holdWebLock, watchAll } from "./watch.js";

/** What comes beyond the ring waits in JavaScript, and in this thread. A thread with more releases waiting than this, or one for longer, takes a writer's turn when its guard ends. */
const WAITING_MAX = 10_000;
const WAITING_MS_MAX = 100;
/** The number of the thread that has shared the heap: it alone can have handles that were made before. */
const SHARER = 0;

export class Sharing implements Guarding {
  readonly context: Context;
  readonly lock: HeapLock;
  readonly threads: ThreadTable;
  readonly guards: Guards;
  /** This thread's place in the thread table. */
  readonly thread: number;
  readonly roots: ThreadRoots;
  private readonly core: Core;
  private readonly i32: Int32Array;
  private readonly record: Address;
  private readonly mailbox: Mailbox;
  /** Releases for which the ring has no room. */
  private late: Address[] = [];
  /** When the oldest release that this thread knows to be waiting came, in ms; 0: none waits. */
  private waitingSince = 0;
  /** Threads that have got mail from this one under the guard in force. */
  private readonly posted = new Set<number>();
  private isTurnPending = false;
  /** Threads whose end this one has reported, until it is dealt with. */
  private readonly ended = new Set<number>();
  /** This thread has the heap no more; `over` is then resolved. */
  isOver = false;
  readonly over: Promise<void>;
  private endOver: () => void = () => {};
  /** In a browser: whether every thread's end is waited for, and of which it is. */
  watchesAll = false;
  readonly watched = new Set<number>();

  /** @param level of the heap's checks */
  constructor(context: Context, thread: number, level: string) {
    this.context = context;
    this.core = context.core;
    this.i32 = this.core.memory.i32;
    this.thread = thread;
    this.threads = new ThreadTable(this.core.memory, this.i32[CONTROL_THREADS]);
    this.lock = new HeapLock(this.i32, thread);
    this.guards = new Guards(this.lock, this.threads, level);
    this.record = this.threads.record(thread);
    this.roots = new ThreadRoots(this.core.allocator, this.record);
    this.mailbox = new Mailbox(this.core, this.record);
    this.over = new Promise((resolve) => {
      this.endOver = resolve;
    });
  }

  /** From now on what others have left is done under each guard. */
  start(): void {
    const { lock } = this;
    lock.onAcquire = (mode) => (mode === "exclusive" ? this.beginWriting() : syncTypes(this.context));
    lock.beforeLeave = (mode) => {
      if (mode === "exclusive" && !this.isOver) this.settle();
    };
    lock.afterLeave = (mode) => this.afterLeave(mode);
    holdWebLock(this, this.record, this.i32);
    void this.listen();
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

  /** How a message names a thread. */
  nameOf(thread: number): string {
    return this.threads.name(thread);
  }

  // -- counts ---------------------------------------------------------------------------------

  /** A handle of this thread has come or gone. */
  countRoot(object: Address, change: number): void {
    if (this.lock.writeEpoch >= 0) this.i32[CONTROL_ROOT_COUNT] += change;
    else Atomics.add(this.i32, CONTROL_ROOT_COUNT, change);
    this.roots.add(object, change);
    if (!this.roots.isOverflowing && this.lock.writeEpoch < 0) this.i32[this.record + THREAD_UNSETTLED] = 0;
  }

  /**
   * What other threads do not see of this one's roots goes into the table: if this thread ends, or another repairs the heap, only
   * that counts.
   */
  private settle(): void {
    const { roots, i32, record } = this;
    if (roots.isOverflowing) roots.makeRoom();
    i32[record + THREAD_UNSETTLED] = roots.isOverflowing ? 1 : 0;
  }

  /** This thread's values hold more bytes, or fewer. */
  countAdopted(change: number): void {
    this.core.memory.f64[(this.record + THREAD_ADOPTED_BYTES) >> 1] += change;
  }

  /** A new reference, under any guard: others may be taking one to the same object. */
  incref(object: Address): void {
    if (this.lock.writeEpoch >= 0) this.core.counts.incref(object);
    else {
      this.requireRoom();
      // Until the root is entered: nothing else would say that the count of a thread that ends in between is wrong.
      Atomics.store(this.i32, this.record + THREAD_UNSETTLED, 1);
      Atomics.add(this.i32, object + HEADER_REFCOUNT, 1);
    }
  }

  /** Under a shared guard the root table cannot grow: other threads have to see every root in it. @throws LockError */
  requireRoom(): void {
    if (this.lock.writeEpoch < 0 && !this.roots.hasRoom())
      throw new LockError(
        "ROOTS_FULL",
        "This thread cannot take more handles under this shared guard: its table of roots is full and grows under an exclusive one. End the guard and take another, which makes room, or use heap.lock().",
      );
  }

  /** Give up a handle where nothing may be written: whoever next writes drops the reference. */
  releaseLater(handle: View): void {
    const object = this.context.handles.giveUp(handle);
    if (this.isOver) return; // its references went when this thread left
    const { i32, record } = this;
    const tail = i32[record + THREAD_RING_TAIL];
    const waiting = (tail - Atomics.load(i32, record + THREAD_RING_HEAD)) | 0;
    if (this.waitingSince === 0 || waiting === 0) this.waitingSince = performance.now();
    if (this.late.length > 0 || waiting >= RING_WORDS) {
      this.late.push(object);
      return;
    }
    i32[i32[record + THREAD_RING] + (tail & (RING_WORDS - 1))] = object;
    Atomics.store(i32, record + THREAD_RING_TAIL, (tail + 1) | 0);
  }

  /** Whether the end of a guard should be followed by a writer's turn. */
  private get owesTurn(): boolean {
    if (this.late.length > 0 || this.roots.needsRoom || this.hasMail || this.hasEnded()) return true;
    if (this.waitingSince === 0) return false;
    const { i32, record } = this;
    const waiting = (i32[record + THREAD_RING_TAIL] - Atomics.load(i32, record + THREAD_RING_HEAD)) | 0;
    if (waiting === 0) this.waitingSince = 0;
    return waiting > WAITING_MAX || (waiting > 0 && performance.now() - this.waitingSince > WAITING_MS_MAX);
  }

  /** Whether others have left this thread something to do. */
  private get hasMail(): boolean {
    return !this.mailbox.isEmpty || this.i32[this.record + THREAD_RECOUNT] !== 0;
  }

  /** Types from an id on that this thread has brought. */
  noteTypes(first: number): void {
    noteKnown(this.context, first);
  }

  private hasEnded(): boolean {
    if (this.ended.size === 0) return false;
    for (const thread of this.ended) if (this.threads.state(thread) === THREAD_ENDED) return true;
    this.ended.clear();
    return false;
  }

  // -- types ----------------------------------------------------------------------------------

  /** `TypeTable.register`, for all threads. @throws as that */
  register(plans: readonly Plan[], layouts: readonly TypeLayout[]): void {
    const { types, counts } = this.core;
    const described = plans.map(({ descriptor }, index) => ({
      descriptor,
      hash: hashText(layouts[index].description),
    }));
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
  private beginWriting(): void {
    const { i32, threads } = this;
    this.repairIfDamaged();
    if (this.watchesAll) watchAll(this, i32);
    syncTypes(this.context);
    if (this.roots.needsRoom) this.roots.makeRoom();
    const { numbersEnd } = threads;
    for (let thread = 0; thread < numbersEnd; thread++) {
      const state = threads.state(thread);
      if (state !== THREAD_ATTACHED && state !== THREAD_ENDED) continue;
      const record = threads.record(thread);
      // Another one is as yet attaching.
      if (thread === SHARER && thread !== this.thread && i32[record + THREAD_IS_BASED] === 0)
        enterBaseRoots(this.core, this, record);
      if (i32[record + THREAD_RING_HEAD] !== Atomics.load(i32, record + THREAD_RING_TAIL))
        this.applyReleases(record);
      if (state !== THREAD_ENDED) continue;
      endThread(this, thread);
      threads.free(thread);
    }
    if (this.late.length > 0) for (const object of this.late.splice(0)) this.drop(this.roots, object);
    this.waitingSince = 0;
    if (!this.mailbox.isEmpty) readMail(this.context, this.mailbox);
    if (i32[this.record + THREAD_RECOUNT] === 0) return;
    i32[this.record + THREAD_RECOUNT] = 0;
    this.context.foreign.disposeLost();
    this.context.pools.loseDead();
  }

  /** Before this thread knows the types: a damaged heap is repaired first, also by one that is just joining. */
  repairIfDamaged(): void {
    if (Atomics.load(this.i32, CONTROL_DAMAGED) !== 0) repairHeap(this);
  }

  /** Drop the references that a thread has released where it could not write. */
  applyReleases(record: Address): void {
    const { i32 } = this;
    const ring = i32[record + THREAD_RING];
    const roots = this.rootsAt(record);
    const tail = Atomics.load(i32, record + THREAD_RING_TAIL);
    for (let head = i32[record + THREAD_RING_HEAD]; head !== tail; head = (head + 1) | 0) {
      const object = i32[ring + (head & (RING_WORDS - 1))];
      // Taken out first: a finalizer may come by here again.
      Atomics.store(i32, record + THREAD_RING_HEAD, (head + 1) | 0);
      this.drop(roots, object);
    }
  }

  rootsAt(record: Address): ThreadRoots {
    return record === this.record ? this.roots : new ThreadRoots(this.core.allocator, record);
  }

  private drop(roots: ThreadRoots, object: Address): void {
    roots.add(object, -1);
    if (roots.needsRoom) roots.makeRoom();
    this.i32[CONTROL_ROOT_COUNT]--;
    this.core.counts.decref(object);
  }

  private afterLeave(mode: GuardMode): void {
    if (this.posted.size > 0) {
      for (const thread of this.posted) new Mailbox(this.core, this.threads.record(thread)).ring();
      this.posted.clear();
    }
    if (mode === "shared" && !this.isOver && this.owesTurn) this.takeTurn();
  }

  /** Now if the lock is free; otherwise when it is. */
  private takeTurn(): void {
    const { lock } = this;
    if (lock.mode === "shared" || this.isOver) return; // the end of the guard is followed by one
    if (lock.try("exclusive")) lock.leave();
    else if (!this.isTurnPending) {
      this.isTurnPending = true;
      lock
        .passThrough()
        .catch((error: unknown) => this.context.unraisable(error, "a writer's turn"))
        .finally(() => {
          this.isTurnPending = false;
        });
    }
  }

  // -- mail -----------------------------------------------------------------------------------

  /** Have a thread look for values of its own that a repair has left without an object. */
  askToRecount(thread: number): void {
    const record = this.threads.record(thread);
    this.i32[record + THREAD_RECOUNT] = 1;
    Atomics.add(this.i32, record + THREAD_BELL, 1);
    this.posted.add(thread);
  }

  /** Tell another thread that something of its own has ended. @returns whether it will hear of it */
  post(thread: number, kind: number, first: number, second = 0): boolean {
    if (thread >= THREADS_MAX) return false; // HOST_NUMBER_LOST
    if (!this.threads.isAttached(thread)) return false;
    const isPosted = new Mailbox(this.core, this.threads.record(thread)).post(kind, first, second);
    if (isPosted) this.posted.add(thread);
    return isPosted;
  }

  /** Tell all other threads. */
  postAll(kind: number, first: number): void {
    for (let thread = 0; thread < THREADS_MAX; thread++)
      if (thread !== this.thread) this.post(thread, kind, first);
  }

  /** Have every other thread look round, without a mail. Needs no lock. */
  ringAll(): void {
    for (let thread = 0; thread < THREADS_MAX; thread++) {
      const bell = this.threads.record(thread) + THREAD_BELL;
      if (thread === this.thread || !this.threads.isAttached(thread)) continue;
      Atomics.add(this.i32, bell, 1);
      Atomics.notify(this.i32, bell);
    }
  }

  /** Where this thread does not know the class of an object, one that does runs its finalizer. @returns whether that is so */
  postFinalizer(object: Address): boolean {
    const { core, thread, threads } = this;
    const known = this.i32[core.types.descriptorOf(object) + TYPE_THREADS];
    if ((known & (1 << thread)) !== 0) return false;
    core.counts.incref(object);
    for (let other = 0; other < THREADS_MAX; other++)
      if (
        (known & (1 << other)) !== 0 &&
        threads.isAttached(other) &&
        this.post(other, MAIL_FINALIZE, object)
      )
        return true;
    core.counts.decref(object);
    const name = this.context.binder.typeOf(object).text;
    this.context.unraisable(
      new WrongThreadError(
        `No thread of this heap has the class of ${name} any more, so its finalizer cannot run.`,
      ),
      "a finalizer",
    );
    return true;
  }

  /** Read the mail when it comes, for a thread that takes no guard by itself. The promise keeps no event loop alive. */
  private async listen(): Promise<void> {
    const { i32, lock } = this;
    const waitAsync = (Atomics as { waitAsync?: WaitAsync }).waitAsync;
    const { mailbox } = this;
    while (waitAsync !== undefined && !this.isOver) {
      const seen = mailbox.bell();
      if (this.watchesAll) watchAll(this, i32);
      // Under a guard that is held across an await nothing is read: the end of that guard is followed by a turn.
      if (this.hasMail && lock.mode === "none") {
        try {
          await lock.passThrough();
        } catch (error) {
          this.context.unraisable(error, "the mail of a shared heap");
        }
        continue;
      }
      const told = waitAsync(i32, mailbox.bellAddress, seen);
      if (told.async) await told.value;
    }
  }

  /** What handles, parcels and mails hold; undefined while handles made before `share()` are not in a table. */
  knownRoots(): Map<Address, number> | undefined {
    for (let thread = 0; thread < THREADS_MAX; thread++) {
      const isBased = this.i32[this.threads.record(thread) + THREAD_IS_BASED] !== 0;
      if (this.threads.isAttached(thread) && !isBased) return undefined;
    }
    return rootsOfAll(this.core, this);
  }

  /** Whether no other thread has the heap. */
  get isAlone(): boolean {
    for (let thread = 0; thread < THREADS_MAX; thread++) {
      const state = this.threads.state(thread);
      if (thread !== this.thread && state !== THREAD_FREE && state !== THREAD_LEFT) return false;
    }
    return true;
  }

  // -- the end of other threads -------------------------------------------------------------------

  /** A thread has ended: what it had of the lock is free, and a writer's turn takes its handles away, or repairs the heap. */
  reportEnd(thread: number): void {
    if (this.isOver || this.threads.end(thread, this.lock) === undefined) return;
    this.ended.add(thread);
    this.takeTurn();
  }

  // -- begin and end --------------------------------------------------------------------------

  /** Take what a thread needs of the heap's memory. @throws OutOfMemoryError */
  open(): void {
    const { i32, record } = this;
    i32[record + THREAD_RING] = this.core.allocator.allocate(KIND_STORAGE, RING_WORDS);
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

  /** This thread leaves: nothing is listened for any more. */
  stop(): void {
    this.isOver = true;
    this.endOver();
    this.mailbox.ring();
  }

  /** Whether the handles that this thread made before `share()` are in its table. */
  set isBased(isBased: boolean) {
    this.i32[this.record + THREAD_IS_BASED] = isBased ? 1 : 0;
  }
}

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { async: false } | { async: true; value: Promise<unknown> };
