/** The user's code that deaths run: finalizers, and the functions of weak references, which the heap knows by number. */
import { OutOfMemoryError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_USER_CODE,
  HOST_NUMBER_LOST,
  HOST_NUMBER_MAX,
  HOST_NUMBER_SHIFT,
  KIND_WEAKREF,
  MAIL_CALLBACK,
  MAIL_FORGET,
  MAIL_WORDS,
  WEAKREF_HOST_CALLBACK,
  WORD_BYTES,
} from "../memory/layout.js";
import type { Context } from "./context.js";
import { threadOf } from "./mailbox.js";
import { finalizer } from "./struct.js";

type Callback = (ref: unknown) => void;

export class Callbacks {
  private readonly context: Context;
  private readonly functions = new Map<number, Callback>();
  private next = 1;
  /** Calls a heap object that is a weak reference's callback (`ouroheap/unsafe` sets it). */
  callObject: ((callback: unknown, ref: unknown) => void) | undefined;

  constructor(context: Context) {
    this.context = context;
    const { hooks } = context.core;
    hooks.runFinalizer = (object) => this.runFinalizer(object);
    hooks.runCallback = (ref, callback, number) => this.runCallback(ref, callback, number);
    hooks.forgetCallback = (number) => this.forget(number);
  }

  /** @returns the number by which the heap knows a function */
  add(callback: Callback): number {
    const number = this.next;
    do this.next = this.next === HOST_NUMBER_MAX ? 1 : this.next + 1;
    while (this.functions.has(this.next));
    this.functions.set(number, callback);
    return number | ((this.context.sharing?.thread ?? 0) << HOST_NUMBER_SHIFT);
  }

  /** A function will not be called any more. It may be another thread's. */
  forget(number: number): void {
    if (this.isOurs(number)) this.functions.delete(number & HOST_NUMBER_MAX);
    else this.context.sharing!.mail.tell(threadOf(number), MAIL_FORGET, number);
  }

  /** After a repair: functions that no weak reference has any more will not be called. O(heap) */
  forgetLost(): void {
    if (this.functions.size === 0) return;
    const { core } = this.context;
    const lost = new Set(this.functions.keys());
    for (const object of core.allocator.objects()) {
      if (core.types.kindOf(object) !== KIND_WEAKREF) continue;
      const number = core.memory.i32[object + WEAKREF_HOST_CALLBACK];
      if (this.isOurs(number)) lost.delete(number & HOST_NUMBER_MAX);
    }
    for (const number of lost) this.functions.delete(number);
  }

  private isOurs(number: number): boolean {
    const { sharing } = this.context;
    return sharing === undefined || threadOf(number) === sharing.thread;
  }

  /** Looked up when it is called, as CPython looks up `__del__`. */
  runFinalizer(object: Address): void {
    if (this.context.sharing?.mail.postFinalizer(object)) return;
    this.run("a finalizer", () => {
      const view = this.context.binder.view(object) as unknown as { [finalizer]?: () => void };
      view[finalizer]?.();
    });
  }

  runCallback(ref: Address, callback: Address, number: number): void {
    const { binder } = this.context;
    if (number !== 0 && !this.isOurs(number)) {
      this.postCallback(ref, number);
      return;
    }
    this.run("a weak reference's callback", () => {
      if (callback !== 0) this.callObject?.(binder.view(callback), binder.view(ref));
      else this.functions.get(number & HOST_NUMBER_MAX)?.(binder.view(ref));
    });
  }

  /** To the thread that has the function. One that has ended calls nothing any more. */
  private postCallback(ref: Address, number: number): void {
    const { core, sharing } = this.context;
    const { mail, threads } = sharing!;
    core.counts.incref(ref);
    if (mail.post(threadOf(number), MAIL_CALLBACK, ref, number)) return;
    core.counts.decref(ref);
    if (number === HOST_NUMBER_LOST || !threads.isAttached(threadOf(number))) return;
    const { maximumBytes } = core.memory;
    const text = "The heap has no memory to tell the thread that has the function.";
    this.context.unraisable(
      new OutOfMemoryError(MAIL_WORDS * WORD_BYTES, maximumBytes, text),
      "a weak reference's callback",
    );
  }

  private run(where: string, body: () => void): void {
    const { i32 } = this.context.core.memory;
    if (this.context.isDisposed) return;
    i32[CONTROL_USER_CODE]++;
    try {
      body();
    } catch (error) {
      this.context.unraisable(error, where);
    } finally {
      i32[CONTROL_USER_CODE]--;
    }
  }
}
