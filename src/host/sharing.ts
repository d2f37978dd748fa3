/**
 * What a thread has of a shared heap beside the heap: its place in the thread table, the lock, its roots, releases that wait, and
 * the mail of other threads.
 */
import type { Core } from "../gc/core.js";
import { LockError, OutOfMemoryError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_DAMAGED,
  CONTROL_ROOT_COUNT,
  CONTROL_THREADS,
  HEADER_REFCOUNT,
  KIND_STORAGE,
  RING_WORDS,
  THREAD_ADOPTED_BYTES,
  THREAD_ATTACHED,
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
  WORD_BYTES,
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
import { MailSender } from "./mail-sender.js";
import { Mailbox } from "./mailbox.js";
import type { Plan } from "./plan.js";
import { ReleaseQueue } from "./release-queue.js";
import { repairHeap } from "./repair-heap.js";
import { noteKnown, publishTypes, schemaStrings, syncTypes } from "./shared-types.js";
import { endThread, enterBaseRoots, rootsOfAll } from "./thread-end.js";
import type { View } from "./view.js";
import { holdWebLock, watchAll } from "./watch.js";

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
  private readonly releases: ReleaseQueue;
  private readonly mailbox: Mailbox;
  /** To other threads. */
  readonly mail: MailSender;
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
    this.guards.isBusy = () => context.isBusy;
    this.record = this.threads.record(thread);
    this.roots = new ThreadRoots(this.core.allocator, this.record, this.i32[CONTROL_ROOT_COUNT]);
    this.releases = new ReleaseQueue(this.core, this.record, this.roots);
    this.mailbox = new Mailbox(this.core, this.record);
    this.mail = new MailSender(context, this.threads, thread);
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

  /**
   * A handle of this thread has come or gone.
   * @throws OutOfMemoryError where there is no room for one more root, which happens only to who did not ask `requireRoom`; the reference
   * of the handle is then dropped
   */
  countRoot(object: Address, change: number): void {
    if (!this.roots.add(object, change)) {
      this.core.counts.decref(object);
      this.refuseRoot();
    }
    if (this.lock.writeEpoch >= 0) this.i32[CONTROL_ROOT_COUNT] += change;
    else {
      Atomics.add(this.i32, CONTROL_ROOT_COUNT, change);
      this.setSettled(true);
    }
  }

  /** Before a handle is made: this thread's table of roots has room for it. @throws LockError "ROOTS_FULL", OutOfMemoryError */
  requireRoom(): void {
    if (this.roots.hasRoom()) return;
    if (this.lock.writeEpoch < 0)
      throw new LockError(
        "ROOTS_FULL",
        "This thread cannot take more handles under this shared guard: its table of roots is full and grows under an exclusive one. End the guard and take another, or use heap.lock().",
      );
    if (!this.roots.makeRoom()) this.refuseRoot();
  }

  private refuseRoot(): never {
    throw new OutOfMemoryError(
      WORD_BYTES,
      this.core.memory.maximumBytes,
      `The heap has no memory for the table of this thread's handles to grow: its ${this.core.memory.maximumBytes} bytes are in use or too scattered. ` +
        "Release handles, call heap.gc.collect(), or create the heap with a larger maximumBytes.",
    );
  }

  /** Room for the handles of a shared guard, while this thread writes. */
  private settle(): void {
    if (this.roots.needsRoom) this.roots.makeRoom();
  }

  /** This thread's values hold more bytes, or fewer. */
  countAdopted(change: number): void {
    this.core.memory.f64[(this.record + THREAD_ADOPTED_BYTES) >> 1] += change;
  }

  /** A new reference for a handle, under any guard: others may be taking one to the same object. @throws as `requireRoom` */
  incref(object: Address): void {
    this.requireRoom();
    if (this.lock.writeEpoch >= 0) this.core.counts.incref(object);
    else {
      this.setSettled(false);
      Atomics.add(this.i32, object + HEADER_REFCOUNT, 1);
    }
  }

  /**
   * Under a shared guard: a reference is about to become a handle's, or its root is entered. Nothing else would say that the count of a
   * thread that ends in between is wrong.
   */
  setSettled(isSettled: boolean): void {
    Atomics.store(this.i32, this.record + THREAD_UNSETTLED, isSettled ? 0 : 1);
  }

  /** Give up a handle where nothing may be written: whoever next writes drops the reference. */
  releaseLater(handle: View): void {
    const object = this.context.handles.giveUp(handle);
    if (!this.isOver) this.releases.add(object); // else its references went when this thread left
  }

  /** Whether the end of a guard should be followed by a writer's turn. */
  private get owesTurn(): boolean {
    return this.releases.owesTurn || this.roots.needsRoom || this.hasMail || this.hasEnded();
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
    this.enterSharersBase();
    // Before anything dies: it tells which pool instances are this thread's no more.
    this.readOwnMail();
    const { numbersEnd } = threads;
    for (let thread = 0; thread < numbersEnd; thread++) {
      const state = threads.state(thread);
      if (state !== THREAD_ATTACHED && state !== THREAD_ENDED) continue;
      const record = threads.record(thread);
      if (i32[record + THREAD_RING_HEAD] !== Atomics.load(i32, record + THREAD_RING_TAIL))
        this.releases.applyRing(record, this.rootsAt(record));
      if (state !== THREAD_ENDED) continue;
      endThread(this, thread);
      threads.free(thread);
    }
    this.releases.applyLate();
  }

  /** Before this thread changes an object: afterwards nobody could tell the handles that were made before `share()`. */
  private enterSharersBase(): void {
    if (this.thread === SHARER) return;
    const { threads } = this;
    const state = threads.state(SHARER);
    const record = threads.record(SHARER);
    // In any other state its number is as yet an attaching thread's.
    const isThere = state === THREAD_ATTACHED || state === THREAD_ENDED;
    if (isThere && this.i32[record + THREAD_IS_BASED] === 0) enterBaseRoots(this.core, this, record);
  }

  private readOwnMail(): void {
    const { context, i32, record } = this;
    if (!this.mailbox.isEmpty) readMail(context, this.mailbox);
    if (i32[record + THREAD_RECOUNT] === 0) return;
    i32[record + THREAD_RECOUNT] = 0;
    context.pools.loseDead();
    context.callbacks.forgetLost();
    context.foreign.disposeLost();
  }

  /** Before this thread knows the types: a damaged heap is repaired first, also by one that is just joining. */
  repairIfDamaged(): void {
    if (Atomics.load(this.i32, CONTROL_DAMAGED) !== 0) repairHeap(this);
  }

  rootsAt(record: Address): ThreadRoots {
    return record === this.record ? this.roots : new ThreadRoots(this.core.allocator, record);
  }

  private afterLeave(mode: GuardMode): void {
    this.mail.ringPosted();
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
    if (!this.roots.makeRoom()) this.refuseRoot();
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

  /** This thread's handles from before `share()` are in its table from now on. */
  enterOwnBase(): void {
    if (this.i32[this.record + THREAD_IS_BASED] === 0) enterBaseRoots(this.core, this, this.record);
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
