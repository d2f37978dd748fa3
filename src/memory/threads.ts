/**
 * The thread table of a shared heap: a record for each thread that may be attached (layout.ts draws it). Here are its state and its
 * texts; roots, ring and mailbox belong to those who fill them.
 */
import { ShareError } from "./errors.js";
import {
  type Address,
  CONTROL_DAMAGED,
  CONTROL_THREADS_END,
  THREAD_ADOPTED_BYTES,
  THREAD_ATTACHED,
  THREAD_ENDED,
  THREAD_ENDING,
  THREAD_FREE,
  THREAD_JOINING,
  THREAD_LEFT,
  THREAD_NAME,
  THREAD_NAME_LENGTH,
  THREAD_SHIFT,
  THREAD_SITE,
  THREAD_SITE_ASKED,
  THREAD_SITE_LENGTH,
  THREAD_STATE,
  THREAD_STATE_BITS,
  THREAD_UNSETTLED,
  THREAD_WORDS,
  THREADS_MAX,
  WORD_BYTES,
} from "./layout.js";
import type { HeapLock } from "./lock.js";
import type { Memory } from "./memory.js";

const NAME_WORDS = THREAD_ADOPTED_BYTES - THREAD_NAME;
const NAME_CHARACTERS = NAME_WORDS * WORD_BYTES;
const SITE_WORDS = THREAD_WORDS - THREAD_SITE;
const STATE_MASK = (1 << THREAD_STATE_BITS) - 1;
/** How often a text is read again that is written meanwhile. */
const READS_MAX = 4;

export class ThreadTable {
  readonly address: Address;
  private readonly i32: Int32Array;

  /** @param address of THREADS_MAX * THREAD_WORDS words, all 0 when the heap is shared */
  constructor(memory: Memory, address: Address) {
    this.i32 = memory.i32;
    this.address = address;
  }

  record(thread: number): Address {
    return this.address + (thread << THREAD_SHIFT);
  }

  /** One of the THREAD_ states. */
  state(thread: number): number {
    return Atomics.load(this.i32, this.record(thread) + THREAD_STATE) & STATE_MASK;
  }

  isAttached(thread: number): boolean {
    return this.state(thread) === THREAD_ATTACHED;
  }

  /** One past the highest number that a thread has had. */
  get numbersEnd(): number {
    return this.i32[CONTROL_THREADS_END];
  }

  /** Before the record is taken: whoever goes over the records must find it. */
  private raiseEnd(end: number): void {
    const { i32 } = this;
    for (let now = i32[CONTROL_THREADS_END]; now < end; now = i32[CONTROL_THREADS_END])
      Atomics.compareExchange(i32, CONTROL_THREADS_END, now, end);
  }

  /** By what the host knows it; undefined where that is unknown, and of no thread. */
  hostId(thread: number): number | undefined {
    const id = Atomics.load(this.i32, this.record(thread) + THREAD_STATE) >>> THREAD_STATE_BITS;
    return id === 0 ? undefined : id - 1;
  }

  /**
   * Take the first free record, for a thread that is joining: its end can be reported, and nobody else writes to the record before
   * `setAttached`. Needs no lock: who has no number yet cannot have one.
   * @param name for error messages; characters beyond Latin-1 become "?", and what does not fit is cut off
   * @param hostId in the same exchange, so that the end of a thread can be reported from the first moment on
   * @returns the number of this thread
   * @throws ShareError TOO_MANY_THREADS
   */
  join(name: string, hostId = -1): number {
    const joining = THREAD_JOINING | ((hostId + 1) << THREAD_STATE_BITS);
    for (let thread = 0; thread < THREADS_MAX; thread++) {
      const record = this.record(thread);
      if (this.state(thread) !== THREAD_FREE) continue;
      this.raiseEnd(thread + 1);
      const state = Atomics.compareExchange(this.i32, record + THREAD_STATE, THREAD_FREE, joining);
      if (state !== THREAD_FREE) continue;
      this.writeText(record + THREAD_NAME, record + THREAD_NAME_LENGTH, name.slice(0, NAME_CHARACTERS));
      return thread;
    }
    throw new ShareError(
      "TOO_MANY_THREADS",
      `This heap has ${THREADS_MAX} threads, which is the most it can have. Report those that have ended with heap.watch(worker), or attach fewer.`,
    );
  }

  /**
   * A thread has ended. Whoever says so first takes away what it has of the lock; its roots are left for the next exclusive owner.
   * @param lock of the thread that reports
   * @returns whether the heap is damaged by it; undefined if there was nothing to report
   */
  end(thread: number, lock: HeapLock): boolean | undefined {
    const { i32 } = this;
    const record = this.record(thread);
    const state = Atomics.load(i32, record + THREAD_STATE);
    const lived = state & STATE_MASK;
    if (lived !== THREAD_ATTACHED && lived !== THREAD_LEFT && lived !== THREAD_JOINING) return undefined;
    if (Atomics.compareExchange(i32, record + THREAD_STATE, state, THREAD_ENDING) !== state) return undefined;
    // While it still bars writers, as one that was reading.
    const isUnsettled = Atomics.load(i32, record + THREAD_UNSETTLED) !== 0;
    if (isUnsettled) Atomics.store(i32, CONTROL_DAMAGED, 1);
    const wasExclusive = lock.end(thread);
    Atomics.store(i32, record + THREAD_STATE, THREAD_ENDED);
    return wasExclusive || isUnsettled;
  }

  /** Of this thread itself, under the exclusive lock: it has the heap, and others may post to it. */
  setAttached(thread: number): void {
    this.setState(thread, THREAD_ATTACHED);
  }

  /** Of this thread itself: it has given up all it had, under the exclusive lock, which it still holds. */
  setLeft(thread: number): void {
    this.setState(thread, THREAD_LEFT);
  }

  /** The host's number stays. */
  private setState(thread: number, to: number): void {
    const state = this.record(thread) + THREAD_STATE;
    Atomics.store(this.i32, state, (this.i32[state] & ~STATE_MASK) | to);
  }

  /** Make the record of an ended thread free again, under the exclusive lock; or, when that is left, of this one. Its storage has been freed. */
  free(thread: number): void {
    const record = this.record(thread);
    this.i32.fill(0, record + THREAD_STATE + 1, record + THREAD_WORDS);
    Atomics.store(this.i32, record + THREAD_STATE, THREAD_FREE);
  }

  /** Its name, or its number where it has none. */
  name(thread: number): string {
    const record = this.record(thread);
    const name = this.readText(record + THREAD_NAME, record + THREAD_NAME_LENGTH, NAME_WORDS);
    return name === undefined ? `thread ${thread}` : `"${name}"`;
  }

  /** The line where it took the lock the last time; undefined if that was not recorded. Any thread may read it, at any time. */
  site(thread: number): string | undefined {
    const record = this.record(thread);
    return this.readText(record + THREAD_SITE, record + THREAD_SITE_LENGTH, SITE_WORDS);
  }

  /** Of this thread itself. A line that is too long loses its beginning: the file and the number stand at its end. */
  setSite(thread: number, site: string): void {
    const record = this.record(thread);
    const length = SITE_WORDS * WORD_BYTES;
    const text = site.length <= length ? site : `...${site.slice(3 - length)}`;
    this.writeText(record + THREAD_SITE, record + THREAD_SITE_LENGTH, text);
  }

  /** The line of a guard is not recorded: forget that of the guard before. */
  clearSite(thread: number): void {
    const length = this.record(thread) + THREAD_SITE_LENGTH;
    if (this.i32[length] > 0) this.i32[length] = 0;
  }

  /** Have another thread record its lines from its next guard on. */
  askForSite(thread: number): void {
    Atomics.compareExchange(this.i32, this.record(thread) + THREAD_SITE_LENGTH, 0, THREAD_SITE_ASKED);
  }

  isAskedForSite(thread: number): boolean {
    return this.i32[this.record(thread) + THREAD_SITE_LENGTH] === THREAD_SITE_ASKED;
  }

  /** The length is 0 while the text is being written. */
  private writeText(from: Address, length: Address, text: string): void {
    const { i32 } = this;
    Atomics.store(i32, length, 0);
    for (let index = 0; index < text.length; index += WORD_BYTES) {
      let word = 0;
      for (let byte = 0; byte < WORD_BYTES && index + byte < text.length; byte++) {
        const code = text.charCodeAt(index + byte);
        word |= (code > 0xff ? 0x3f : code) << (byte * 8); // "?"
      }
      Atomics.store(i32, from + index / WORD_BYTES, word);
    }
    Atomics.store(i32, length, text.length);
  }

  /** Until two readings agree: its thread may be writing. */
  private readText(from: Address, length: Address, words: number): string | undefined {
    let last: string | undefined;
    for (let read = 0; read < READS_MAX; read++) {
      const text = this.readOnce(from, length, words);
      if (text === undefined || text === last) return text;
      last = text;
    }
    return undefined;
  }

  private readOnce(from: Address, length: Address, words: number): string | undefined {
    const { i32 } = this;
    const count = Atomics.load(i32, length);
    if (count <= 0 || count > words * WORD_BYTES) return undefined;
    let text = "";
    for (let index = 0; index < count; index++) {
      const word = Atomics.load(i32, from + Math.floor(index / WORD_BYTES));
      text += String.fromCharCode((word >>> ((index % WORD_BYTES) * 8)) & 0xff);
    }
    return text;
  }
}
