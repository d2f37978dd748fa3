/** One thread's wait for the lock of a shared heap (lock.ts): what it remembers between two looks, and how it sleeps. */
import { CONTROL_LOCK_EVENTS } from "./layout.js";

/**
 * How long a wait sleeps before it grows impatient. If the lock was free all that time, those who go before it are not awake (their
 * event loop is busy, or they have ended), and it does not wait for them. If it was not, the wait is a long one.
 */
const PATIENCE_MS = 10;
/** Timers take no longer ones. */
const TIMER_MS_MAX = 2 ** 30;
/** Where there is no Atomics.waitAsync: pauses between two looks, the first and the longest. */
const POLL_MS_MIN = 1;
const POLL_MS_MAX = 64;

export type WakeReason = "ok" | "not-equal" | "timed-out";

/** The functions of `Atomics` that the lock uses: a test puts its own here, which say who goes next. */
export interface LockAtomics {
  load(words: Int32Array, index: number): number;
  store(words: Int32Array, index: number, value: number): number;
  compareExchange(words: Int32Array, index: number, expected: number, value: number): number;
  and(words: Int32Array, index: number, value: number): number;
  or(words: Int32Array, index: number, value: number): number;
  add(words: Int32Array, index: number, value: number): number;
  notify(words: Int32Array, index: number): number;
  wait(words: Int32Array, index: number, value: number, timeoutMs: number): WakeReason;
  waitAsync?(
    words: Int32Array,
    index: number,
    value: number,
    timeoutMs: number,
  ): { async: false; value: WakeReason } | { async: true; value: Promise<WakeReason> };
}

export class LockWait {
  readonly mode: "shared" | "exclusive";
  /** CONTROL_LOCK_WRITERS or CONTROL_LOCK_READERS. */
  readonly word: number;
  readonly deadlineMs: number;
  /** CONTROL_LOCK_EVENTS before the last look. */
  events = 0;
  /** Nobody held the lock at the last look: others went first. */
  wasFree = false;
  sleepMs = 0;
  /** The last sleep ended because its time was up. */
  hasSleptOut = false;
  /** A sleep was ended by an event. */
  wasWoken = false;
  isLong = false;
  hasEntered = false;

  constructor(mode: "shared" | "exclusive", word: number, deadlineMs: number) {
    this.mode = mode;
    this.word = word;
    this.deadlineMs = deadlineMs;
  }

  planSleep(leftMs: number): void {
    this.sleepMs = this.wasFree || !this.isLong ? Math.min(leftMs, PATIENCE_MS) : leftMs;
  }
}

/**
 * Sleep without blocking until the events differ, the time is up, or the signal is aborted (which looks like either). A promise
 * of Atomics.waitAsync keeps no event loop alive; the timer does.
 */
export function sleepAsync(
  atomics: LockAtomics,
  i32: Int32Array,
  events: number,
  sleepMs: number,
  signal: AbortSignal | undefined,
): Promise<WakeReason> | WakeReason {
  const timerMs = Math.min(sleepMs, TIMER_MS_MAX);
  const told = atomics.waitAsync?.(i32, CONTROL_LOCK_EVENTS, events, timerMs);
  if (told?.async === false) return told.value;
  return new Promise((resolve) => {
    let timer: ReturnType<typeof setTimeout>;
    const finish = (reason: WakeReason): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      resolve(reason);
    };
    const abort = (): void => finish("ok");
    /** @param leftMs from the end of the pause on */
    const poll = (pauseMs: number, leftMs: number): void => {
      timer = setTimeout(() => {
        if (atomics.load(i32, CONTROL_LOCK_EVENTS) !== events) finish("not-equal");
        else if (leftMs <= 0) finish("timed-out");
        else poll(Math.min(pauseMs * 2, POLL_MS_MAX, leftMs), leftMs - pauseMs);
      }, pauseMs);
    };
    signal?.addEventListener("abort", abort);
    if (told === undefined) poll(Math.min(POLL_MS_MIN, timerMs), timerMs - POLL_MS_MIN);
    else {
      timer = setTimeout(finish, timerMs, "timed-out");
      told.value.then(finish);
    }
  });
}
