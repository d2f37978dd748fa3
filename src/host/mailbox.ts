/**
 * What other threads have ended here that belongs to this one: values to be disposed, callbacks and finalizers to be called. A
 * thread's mailbox is a list in the memory, written and emptied under the exclusive lock only.
 */
import type { Core } from "../gc/core.js";
import {
  type Address,
  CONTROL_ROOT_COUNT,
  HOST_NUMBER_SHIFT,
  KIND_STORAGE,
  MAIL_CALLBACK,
  MAIL_FINALIZE,
  MAIL_FIRST,
  MAIL_KIND,
  MAIL_SECOND,
  MAIL_WORDS,
  THREAD_BELL,
  THREAD_MAIL,
  THREAD_MAIL_TAIL,
} from "../memory/layout.js";

const ENTRIES_MIN = 85;

export interface Mail {
  readonly kind: number;
  readonly first: number;
  readonly second: number;
}

/** The thread that a number of a foreign value or of a callback belongs to. */
export function threadOf(number: number): number {
  return number >>> HOST_NUMBER_SHIFT;
}

/** Whether a mail's first number is an object that the mail holds. */
export function holdsObject(kind: number): boolean {
  return kind === MAIL_CALLBACK || kind === MAIL_FINALIZE;
}

export class Mailbox {
  private readonly core: Core;
  private readonly i32: Int32Array;
  private readonly record: Address;

  /** @param record of the thread that it belongs to */
  constructor(core: Core, record: Address) {
    this.core = core;
    this.i32 = core.memory.i32;
    this.record = record;
  }

  get isEmpty(): boolean {
    return this.i32[this.record + THREAD_MAIL_TAIL] === 0;
  }

  /**
   * Post a mail to an attached thread, and take over the reference to the object that it holds. @returns false where there is no
   * memory for it
   */
  post(kind: number, first: number, second = 0): boolean {
    const { i32, record } = this;
    if (!this.makeRoom()) return false;
    const at = i32[record + THREAD_MAIL] + i32[record + THREAD_MAIL_TAIL] * MAIL_WORDS;
    i32[at + MAIL_KIND] = kind;
    i32[at + MAIL_FIRST] = first;
    i32[at + MAIL_SECOND] = second;
    i32[record + THREAD_MAIL_TAIL]++;
    if (holdsObject(kind)) i32[CONTROL_ROOT_COUNT]++;
    Atomics.add(i32, record + THREAD_BELL, 1);
    return true;
  }

  /** All mails, which are taken out. The references that they hold are the caller's. */
  takeAll(): Mail[] {
    const mails = [...this.all()];
    for (const { kind } of mails) if (holdsObject(kind)) this.i32[CONTROL_ROOT_COUNT]--;
    this.i32[this.record + THREAD_MAIL_TAIL] = 0;
    return mails;
  }

  *all(): IterableIterator<Mail> {
    const { i32, record } = this;
    for (let index = 0; index < i32[record + THREAD_MAIL_TAIL]; index++) {
      const at = i32[record + THREAD_MAIL] + index * MAIL_WORDS;
      yield { kind: i32[at + MAIL_KIND], first: i32[at + MAIL_FIRST], second: i32[at + MAIL_SECOND] };
    }
  }

  /** What changes with each mail. */
  bell(): number {
    return Atomics.load(this.i32, this.bellAddress);
  }
  get bellAddress(): Address {
    return this.record + THREAD_BELL;
  }

  /** Wake the event loop of its thread, when the lock is free again. */
  ring(): void {
    Atomics.notify(this.i32, this.bellAddress);
  }

  /** @returns whether there is room for one mail more */
  makeRoom(): boolean {
    const { i32, record, core } = this;
    const old = i32[record + THREAD_MAIL];
    const tail = i32[record + THREAD_MAIL_TAIL];
    if (old !== 0 && (tail + 1) * MAIL_WORDS <= core.allocator.blockWords(old)) return true;
    const words = Math.max(ENTRIES_MIN, tail * 2) * MAIL_WORDS;
    if (!core.allocator.canAllocate(KIND_STORAGE, words)) return false;
    const mail = core.allocator.allocate(KIND_STORAGE, words);
    if (old !== 0) i32.copyWithin(mail, old, old + tail * MAIL_WORDS);
    i32[record + THREAD_MAIL] = mail;
    if (old !== 0) core.allocator.free(old);
    return true;
  }
}
