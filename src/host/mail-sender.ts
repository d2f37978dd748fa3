/** Telling other threads of a shared heap that something of their own has ended. mailbox.ts is what they find, mail-reader.ts what they do. */
import type { Core } from "../gc/core.js";
import { OutOfMemoryError, WrongThreadError } from "../memory/errors.js";
import {
  type Address,
  FLAG_FINALIZED,
  HEADER_TYPE,
  MAIL_FINALIZE,
  MAIL_WORDS,
  THREAD_BELL,
  THREAD_RECOUNT,
  THREADS_MAX,
  TYPE_THREADS,
  WORD_BYTES,
} from "../memory/layout.js";
import type { ThreadTable } from "../memory/threads.js";
import type { Context } from "./context.js";
import { Mailbox } from "./mailbox.js";

export class MailSender {
  private readonly context: Context;
  private readonly core: Core;
  private readonly i32: Int32Array;
  private readonly threads: ThreadTable;
  private readonly thread: number;
  /** Who has got mail under the guard in force, and is not woken before that ends: they want the lock then. */
  private readonly posted = new Set<number>();

  /** @param thread number of this one */
  constructor(context: Context, threads: ThreadTable, thread: number) {
    this.context = context;
    this.core = context.core;
    this.i32 = this.core.memory.i32;
    this.threads = threads;
    this.thread = thread;
  }

  /** Tell another thread, under the exclusive lock. @returns whether it will hear of it */
  post(thread: number, kind: number, first: number, second = 0): boolean {
    if (thread >= THREADS_MAX) return false; // HOST_NUMBER_LOST
    if (!this.threads.isAttached(thread)) return false;
    const isPosted = this.mailbox(thread).post(kind, first, second);
    if (isPosted) this.posted.add(thread);
    return isPosted;
  }

  /** The same of values, pool instances and callbacks, which their thread can find out about without being told which. */
  tell(thread: number, kind: number, first: number): void {
    if (!this.post(thread, kind, first) && thread < THREADS_MAX && this.threads.isAttached(thread))
      this.askToRecount(thread);
  }

  /** `tell` all other threads. */
  tellAll(kind: number, first: number): void {
    for (let thread = 0; thread < THREADS_MAX; thread++)
      if (thread !== this.thread) this.tell(thread, kind, first);
  }

  /** Where this thread does not know the class of an object, one that does runs its finalizer. @returns whether that is so */
  postFinalizer(object: Address): boolean {
    const { core, thread, threads } = this;
    const known = this.i32[core.types.descriptorOf(object) + TYPE_THREADS];
    if ((known & (1 << thread)) !== 0) return false;
    // Before it is posted, not when it has run: if this thread ends in between, the finalizer is not called twice.
    this.i32[object + HEADER_TYPE] |= FLAG_FINALIZED;
    core.counts.incref(object);
    for (let other = 0; other < THREADS_MAX; other++)
      if (
        (known & (1 << other)) !== 0 &&
        threads.isAttached(other) &&
        this.post(other, MAIL_FINALIZE, object)
      )
        return true;
    core.counts.decref(object);
    this.context.unraisable(this.lostFinalizer(object, known), "a finalizer");
    return true;
  }

  private lostFinalizer(object: Address, known: number): Error {
    const { threads } = this;
    const name = this.context.binder.typeOf(object).text;
    for (let other = 0; other < THREADS_MAX; other++)
      if ((known & (1 << other)) !== 0 && threads.isAttached(other))
        return new OutOfMemoryError(
          MAIL_WORDS * WORD_BYTES,
          this.core.memory.maximumBytes,
          `A finalizer of ${name} cannot run: the heap has no memory to tell the thread that has its class.`,
        );
    return new WrongThreadError(
      `No thread of this heap has the class of ${name} any more, so its finalizer cannot run.`,
    );
  }

  /**
   * The other threads that have yet to look for what is gone (`askToRecount`). Each has room for one mail more.
   * @throws OutOfMemoryError
   */
  recounting(): number[] {
    const { threads, i32, core } = this;
    const found: number[] = [];
    for (let thread = 0; thread < threads.numbersEnd; thread++) {
      if (thread === this.thread || !threads.isAttached(thread)) continue;
      if (i32[threads.record(thread) + THREAD_RECOUNT] === 0) continue;
      if (!this.mailbox(thread).makeRoom())
        throw new OutOfMemoryError(
          MAIL_WORDS * WORD_BYTES,
          core.memory.maximumBytes,
          "A pool cannot make an instance: the heap has no memory to tell the other threads of it.",
        );
      found.push(thread);
    }
    return found;
  }

  /** Have a thread look which of its values, pool instances and callbacks are still somebody's. */
  askToRecount(thread: number): void {
    const record = this.threads.record(thread);
    this.i32[record + THREAD_RECOUNT] = 1;
    Atomics.add(this.i32, record + THREAD_BELL, 1);
    this.posted.add(thread);
  }

  /** The lock is free again: wake the event loops of those who have got mail. */
  ringPosted(): void {
    if (this.posted.size === 0) return;
    for (const thread of this.posted) this.mailbox(thread).ring();
    this.posted.clear();
  }

  /** Have every other thread look round, without a mail. Needs no lock. */
  ringAll(): void {
    for (let thread = 0; thread < THREADS_MAX; thread++) {
      if (thread === this.thread || !this.threads.isAttached(thread)) continue;
      Atomics.add(this.i32, this.threads.record(thread) + THREAD_BELL, 1);
      this.mailbox(thread).ring();
    }
  }

  private mailbox(thread: number): Mailbox {
    return new Mailbox(this.core, this.threads.record(thread));
  }
}
