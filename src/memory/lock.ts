/**
 * The lock of a shared heap: held exclusively by one thread, or shared by many. Five words of the memory and this thread's
 * number; it knows no heap. docs/design/0010 has the state machine and its reasons.
 *
 *   LOCK      0: free | bits 0 to 29: thread i holds it shared | bit 31 and a thread's number: held exclusively
 *   WRITERS   bit i: thread i waits for the exclusive lock
 *   READERS   bit i: thread i waits for the shared lock
 *   TURN      bit i: thread i goes before others; says nothing of a thread that does not wait
 *   EVENTS    raised when somebody who waits may find things changed: what is waited on
 *
 * The order of operations matters, and comments say where. test/unit/memory/lock-interleavings.test.ts runs this code over every interleaving
 * of small programs.
 */
import { LockError } from "./errors.js";
import {
  CONTROL_DAMAGED,
  CONTROL_LOCK,
  CONTROL_LOCK_EVENTS,
  CONTROL_LOCK_READERS,
  CONTROL_LOCK_TURN,
  CONTROL_LOCK_WRITERS,
  LOCK_EXCLUSIVE,
  LOCK_THREAD_MASK,
  THREADS_MAX,
} from "./layout.js";
import { type LockAtomics, LockWait, sleepAsync, type WakeReason } from "./lock-wait.js";

export type LockMode = "none" | "shared" | "exclusive";
export type GuardMode = "shared" | "exclusive";
/** How an attempt to lock ended. "cannot block": the host lets this thread wait asynchronously only. */
export type LockOutcome = "entered" | "timed out" | "aborted" | "cannot block";

const nothing = (): void => {};

export class HeapLock {
  /** Raised by each outermost guard; 0 without one. */
  epoch = 0;
  /** The epoch under an exclusive guard, else -1. */
  writeEpoch = -1;
  mode: LockMode = "none";
  /** Guards of this thread that are open. */
  depth = 0;
  /** After an outermost acquisition. What it throws ends the acquisition. */
  onAcquire: (mode: GuardMode) => void = nothing;
  /** Before an outermost leave; the lock is left whatever it throws. */
  beforeLeave: (mode: GuardMode) => void = nothing;
  /** After an outermost leave: here the lock may be taken again, in any mode. */
  afterLeave: (mode: GuardMode) => void = nothing;
  /** Once for each wait that has become long, with the threads in its way. */
  onLongWait: (holders: readonly number[]) => void = nothing;
  readonly thread: number;
  /** This thread has the heap no more. */
  isClosed = false;
  private readonly i32: Int32Array;
  private readonly atomics: LockAtomics;
  private readonly now: () => number;
  private readonly bit: number;
  private lastEpoch = 0;
  /** Under way on this thread: more than one only where they are asynchronous. */
  private readonly waits = new Set<LockWait>();

  /** @param atomics, now what a test may replace */
  constructor(
    i32: Int32Array,
    thread: number,
    atomics: LockAtomics = Atomics,
    now = () => performance.now(),
  ) {
    this.i32 = i32;
    this.thread = thread;
    this.atomics = atomics;
    this.now = now;
    this.bit = 1 << thread;
  }

  /**
   * Take the lock if it can be had at once, or once more if this thread has it. Never waits.
   * @throws LockError LOCK_UPGRADE for "exclusive" while this thread holds it shared
   */
  try(mode: GuardMode): boolean {
    if (this.mode !== "none") return this.enterAgain(mode);
    return this.tryEnter(mode, false);
  }

  /**
   * Take the lock, blocking this thread until it is to be had or the time is up.
   * @throws LockError LOCK_UPGRADE
   */
  lock(mode: GuardMode, timeoutMs: number, signal?: AbortSignal): LockOutcome {
    if (signal?.aborted) return "aborted";
    if (this.try(mode)) return "entered";
    const wait = this.beginWait(mode, timeoutMs);
    try {
      for (;;) {
        const outcome = this.look(wait, signal);
        if (outcome !== undefined) return outcome;
        const reason = this.sleep(wait);
        if (reason === undefined) return "cannot block";
        this.noteWoken(wait, reason);
      }
    } finally {
      this.endWait(wait);
    }
  }

  /**
   * The same without blocking. The event loop is kept alive meanwhile.
   * @throws LockError LOCK_UPGRADE if this thread holds it shared when asked; if it comes to that later, it is waited for
   */
  async lockAsync(mode: GuardMode, timeoutMs: number, signal?: AbortSignal): Promise<LockOutcome> {
    return this.enterAsync(mode, timeoutMs, signal, nothing);
  }

  /**
   * Enter exclusively when that can be done without blocking, and leave at once: the seams do what there is to do. Never holds the lock when
   * it returns, or while other code of this thread runs.
   */
  async passThrough(): Promise<void> {
    await this.enterAsync("exclusive", Number.POSITIVE_INFINITY, undefined, () => this.leave());
  }

  /** @param entered called at once, before other code of this thread runs */
  private async enterAsync(
    mode: GuardMode,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    entered: () => void,
  ): Promise<LockOutcome> {
    if (signal?.aborted) return "aborted";
    if (!this.try(mode)) {
      const wait = this.beginWait(mode, timeoutMs);
      try {
        for (;;) {
          const outcome = this.look(wait, signal);
          if (outcome === "entered") break;
          if (outcome !== undefined) return outcome;
          this.noteWoken(wait, await sleepAsync(this.atomics, this.i32, wait.events, wait.sleepMs, signal));
        }
      } finally {
        this.endWait(wait);
      }
    }
    entered();
    return "entered";
  }

  /** End the innermost guard of this thread; with the outermost one the lock is left. */
  leave(): void {
    if (this.depth > 1) {
      this.depth--;
      return;
    }
    const mode = this.mode as GuardMode;
    try {
      this.beforeLeave(mode);
    } finally {
      this.depth = 0;
      this.mode = "none";
      this.epoch = 0;
      this.writeEpoch = -1;
      if (mode === "exclusive") this.leaveExclusive();
      else this.leaveShared();
    }
    this.afterLeave(mode);
  }

  /**
   * A thread has ended: take away what it held and where it waited. Its number may be given to another only afterwards, and each
   * end is to be reported once (ThreadTable.end sees to both).
   * @returns whether it held the lock exclusively: the heap is then damaged
   */
  end(thread: number): boolean {
    const { atomics, i32 } = this;
    const others = ~(1 << thread);
    atomics.and(i32, CONTROL_LOCK_WRITERS, others);
    atomics.and(i32, CONTROL_LOCK_READERS, others);
    atomics.and(i32, CONTROL_LOCK_TURN, others);
    // Taken over, not freed: nobody may enter first, before the heap is called damaged.
    const held = LOCK_EXCLUSIVE | thread;
    const mine = LOCK_EXCLUSIVE | this.thread;
    const wasExclusive = atomics.compareExchange(i32, CONTROL_LOCK, held, mine) === held;
    if (wasExclusive) {
      atomics.store(i32, CONTROL_DAMAGED, 1);
      atomics.store(i32, CONTROL_LOCK, 0);
    } else this.removeReader(thread);
    // Always: it may have ended after it had left and before it said so.
    this.tellWaiters();
    return wasExclusive;
  }

  /**
   * This thread is about to have the heap no more: what waits here gives up at once, because the number will be another thread's. Under
   * the exclusive lock, which is left afterwards.
   */
  close(): void {
    const { atomics, i32, bit } = this;
    this.isClosed = true;
    if (this.waits.size === 0) return;
    this.waits.clear();
    for (const word of [CONTROL_LOCK_WRITERS, CONTROL_LOCK_READERS, CONTROL_LOCK_TURN])
      atomics.and(i32, word, ~bit);
    // Whoever waits, and these too: they find that it is closed.
    atomics.add(i32, CONTROL_LOCK_EVENTS, 1);
    atomics.notify(i32, CONTROL_LOCK_EVENTS);
  }

  /** End all guards of this thread that are open, at once. */
  leaveAll(): void {
    if (this.depth === 0) return;
    this.depth = 1;
    this.leave();
  }

  /** Numbers of the threads that hold the lock now. */
  holders(): number[] {
    const state = this.atomics.load(this.i32, CONTROL_LOCK);
    if (state < 0) return [state & LOCK_THREAD_MASK];
    const threads: number[] = [];
    for (let thread = 0; thread < THREADS_MAX; thread++)
      if ((state & (1 << thread)) !== 0) threads.push(thread);
    return threads;
  }

  private enterAgain(mode: GuardMode): boolean {
    if (mode === "exclusive" && this.mode === "shared")
      throw new LockError(
        "LOCK_UPGRADE",
        "This thread holds the heap's lock shared, and a shared guard cannot become an exclusive one: two readers that both wait to write would wait for " +
          "each other. End the shared guard first, or take the exclusive lock from the start.",
      );
    this.depth++;
    return true;
  }

  // -- entering -----------------------------------------------------------------------------------

  /** @param isImpatient do not give precedence to others if the lock is free: those who have it do not take it */
  private tryEnter(mode: GuardMode, isImpatient: boolean): boolean {
    if (mode === "exclusive") {
      if (!this.tryExclusive(isImpatient)) return false;
    } else {
      if (!this.tryShared(isImpatient)) return false;
      if (this.isDamaged()) {
        this.leaveShared();
        return this.tryRepair(isImpatient);
      }
    }
    this.begin(mode);
    return true;
  }

  /** A reader of a damaged heap writes first: whoever gets the exclusive lock repairs what a dead writer has left. */
  private tryRepair(isImpatient: boolean): boolean {
    if (!this.tryExclusive(isImpatient)) return false;
    this.begin("exclusive");
    this.leave();
    if (!this.tryShared(isImpatient)) return false;
    this.begin("shared");
    return true;
  }

  private isDamaged(): boolean {
    return this.atomics.load(this.i32, CONTROL_DAMAGED) !== 0;
  }

  /** A reader enters when no writer holds, and no other thread waits to write or it is the reader's turn. */
  private tryShared(isImpatient: boolean): boolean {
    const { atomics, i32, bit } = this;
    for (;;) {
      const state = atomics.load(i32, CONTROL_LOCK);
      if (state < 0) return false;
      if (
        !(isImpatient && state === 0) &&
        (atomics.load(i32, CONTROL_LOCK_WRITERS) & ~bit) !== 0 &&
        (atomics.load(i32, CONTROL_LOCK_TURN) & bit) === 0
      )
        return false;
      if (atomics.compareExchange(i32, CONTROL_LOCK, state, state | bit) === state) return true;
    }
  }

  /** A writer enters when nobody holds, no other reader has a turn, and no other writer has one unless this one has one too. */
  private tryExclusive(isImpatient: boolean): boolean {
    const { atomics, i32, bit } = this;
    const turn = atomics.load(i32, CONTROL_LOCK_TURN);
    if ((turn & ~bit) !== 0 && !isImpatient) {
      if ((turn & ~bit & atomics.load(i32, CONTROL_LOCK_READERS)) !== 0) return false;
      if ((turn & bit) === 0 && (turn & atomics.load(i32, CONTROL_LOCK_WRITERS)) !== 0) return false;
    }
    return atomics.compareExchange(i32, CONTROL_LOCK, 0, LOCK_EXCLUSIVE | this.thread) === 0;
  }

  private begin(mode: GuardMode): void {
    this.depth = 1;
    this.mode = mode;
    this.epoch = ++this.lastEpoch;
    this.writeEpoch = mode === "exclusive" ? this.epoch : -1;
    try {
      this.onAcquire(mode);
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  // -- leaving ------------------------------------------------------------------------------------

  private leaveExclusive(): void {
    const { atomics, i32 } = this;
    // The turn is given before the lock is free, so that a writer that finds it free finds whose turn it is too.
    const readers = atomics.load(i32, CONTROL_LOCK_READERS);
    if (readers !== 0) atomics.or(i32, CONTROL_LOCK_TURN, readers);
    atomics.store(i32, CONTROL_LOCK, 0);
    this.tellWaiters();
  }

  private leaveShared(): void {
    if (this.atomics.and(this.i32, CONTROL_LOCK, ~this.bit) === this.bit) this.tellWaiters();
  }

  /** Of a thread that may not be one: the word may name a writer by its number, so bits are not simply cleared. */
  private removeReader(thread: number): void {
    const { atomics, i32 } = this;
    for (;;) {
      const state = atomics.load(i32, CONTROL_LOCK);
      if (state < 0) return;
      if (atomics.compareExchange(i32, CONTROL_LOCK, state, state & ~(1 << thread)) === state) return;
    }
  }

  /** Who leaves frees the lock first and looks for waiters after it; who waits sets its bit first and looks at the lock after it. */
  private tellWaiters(): void {
    const { atomics, i32 } = this;
    if (atomics.load(i32, CONTROL_LOCK_WRITERS) === 0 && atomics.load(i32, CONTROL_LOCK_READERS) === 0)
      return;
    atomics.add(i32, CONTROL_LOCK_EVENTS, 1);
    atomics.notify(i32, CONTROL_LOCK_EVENTS);
  }

  // -- waiting ------------------------------------------------------------------------------------

  private beginWait(mode: GuardMode, timeoutMs: number): LockWait {
    const word = mode === "exclusive" ? CONTROL_LOCK_WRITERS : CONTROL_LOCK_READERS;
    const wait = new LockWait(mode, word, this.now() + timeoutMs);
    this.waits.add(wait);
    this.atomics.or(this.i32, word, this.bit);
    return wait;
  }

  /** Try to enter. @returns undefined: sleep until the events differ from `wait.events`, for `wait.sleepMs` at most */
  private look(wait: LockWait, signal: AbortSignal | undefined): LockOutcome | undefined {
    if (this.isClosed) return "aborted";
    const { atomics, i32, bit } = this;
    // First: what happens from here on ends the sleep.
    const events = atomics.load(i32, CONTROL_LOCK_EVENTS);
    const isImpatient = wait.wasFree && wait.hasSleptOut && events === wait.events;
    wait.events = events;
    wait.hasEntered = this.tryWaiting(wait.mode, isImpatient);
    if (wait.hasEntered) return "entered";
    if (signal?.aborted) return "aborted";
    const leftMs = wait.deadlineMs - this.now();
    if (leftMs <= 0) return "timed out";
    // Woken in vain: somebody who had not slept was faster, and would be again. From now on this writer goes first.
    if (wait.wasWoken && wait.mode === "exclusive") atomics.or(i32, CONTROL_LOCK_TURN, bit);
    wait.wasFree = atomics.load(i32, CONTROL_LOCK) === 0;
    wait.planSleep(leftMs);
    return undefined;
  }

  private tryWaiting(mode: GuardMode, isImpatient: boolean): boolean {
    // An asynchronous wait may go on when this thread has got the lock otherwise.
    if (this.mode !== "none") return (mode === "shared" || this.mode === mode) && this.enterAgain(mode);
    // Looked at before: readers that entered and left would wake each other without end.
    if (mode === "shared" && this.isDamaged()) return this.tryRepair(isImpatient);
    return this.tryEnter(mode, isImpatient);
  }

  /** @returns undefined where a thread may not block: a browser's main thread */
  private sleep(wait: LockWait): WakeReason | undefined {
    try {
      return this.atomics.wait(this.i32, CONTROL_LOCK_EVENTS, wait.events, wait.sleepMs);
    } catch (error) {
      if (error instanceof TypeError) return undefined;
      throw error;
    }
  }

  private noteWoken(wait: LockWait, reason: WakeReason): void {
    wait.hasSleptOut = reason === "timed-out";
    if (!wait.hasSleptOut) wait.wasWoken = true;
    else if (!wait.isLong) {
      wait.isLong = true;
      this.onLongWait(this.holders());
    }
  }

  /** Others may have given precedence to one that gives up, so they are told. */
  private endWait(wait: LockWait): void {
    const { atomics, i32, bit, waits } = this;
    if (this.isClosed) return;
    waits.delete(wait);
    for (const other of waits) if (other.word === wait.word) return;
    atomics.and(i32, wait.word, ~bit);
    if ((atomics.load(i32, CONTROL_LOCK_TURN) & bit) !== 0) atomics.and(i32, CONTROL_LOCK_TURN, ~bit);
    if (!wait.hasEntered) this.tellWaiters();
  }
}
