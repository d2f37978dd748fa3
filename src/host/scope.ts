/** Scopes: owners of several handles, released together, last first. Lexical objects, so that they work across `await`. */
import { InvalidArgumentError } from "../memory/errors.js";
import { isOwned } from "./handle.js";
import type { Heap } from "./heap.js";
import { release } from "./ownership.js";
import { show } from "./schema.js";
import type { Borrowed, Handle, InitOf, ObjectType, Owned, ReadOf, RequiredOf } from "./types.js";
import { asView } from "./view.js";

/** The verbs of TC39's DisposableStack, and `new`. Close it with `using` or `[Symbol.dispose]()`. */
export class Scope implements Disposable {
  private readonly heap: Heap;
  /** What to do when it closes, in the order in which it came: handles to release and functions to call. */
  private closers: (Owned | (() => void))[] = [];
  private isClosed = false;

  /** @internal Scopes come from `heap.scope()`. */
  constructor(heap: Heap) {
    this.heap = heap;
  }

  /** `heap.new`, for a handle that the scope owns: it is released when the scope closes. */
  new<T extends ObjectType>(type: T, init: InitOf<T> & RequiredOf<T>): Handle<ReadOf<T> & Borrowed> {
    this.requireOpen();
    const handle = this.heap.new(type, init);
    if (this.isClosed) release(handle); // by a getter of the literal: nobody would
    return this.use(handle);
  }

  /** Make the scope the owner of a handle. @returns the same handle, to be lent but not released */
  use<H extends Owned>(handle: H): H {
    this.requireOpen();
    const view = asView(handle);
    if (view === undefined || !isOwned(view))
      throw new InvalidArgumentError(
        `scope.use takes a handle that has not been released, got ${show(handle)}.`,
      );
    this.closers.push(handle);
    return handle;
  }

  /** Run something when the scope closes, in its turn among the releases. */
  defer(onClose: () => void): void {
    this.requireOpen();
    if (typeof onClose !== "function")
      throw new InvalidArgumentError(`scope.defer takes a function, got ${show(onClose)}.`);
    this.closers.push(onClose);
  }

  /** Hand everything over to a new scope; this one closes empty. */
  move(): Scope {
    this.requireOpen();
    const scope = new Scope(this.heap);
    scope.closers = this.closers;
    this.closers = [];
    this.isClosed = true;
    return scope;
  }

  /**
   * Release everything, last first. Every release is done even if one throws; the errors are thrown at the end, a later
   * one suppressing the earlier (TC39: SuppressedError). Closing twice does nothing.
   */
  [Symbol.dispose](): void {
    if (this.isClosed) return;
    this.isClosed = true;
    let failure: { error: unknown } | undefined;
    for (let close = this.closers.pop(); close !== undefined; close = this.closers.pop()) {
      try {
        if (typeof close === "function") close();
        else release(close);
      } catch (error) {
        failure = { error: failure === undefined ? error : suppressed(error, failure.error) };
      }
    }
    if (failure !== undefined) throw failure.error;
  }

  /** @internal Own these no more, if this scope does: they leave with the result of its body, and a scope of their own. */
  letLeave(values: readonly unknown[]): Scope {
    const chosen = new Set(values);
    const leaving = new Scope(this.heap);
    for (const closer of this.closers.splice(0)) (chosen.has(closer) ? leaving : this).closers.push(closer);
    return leaving;
  }

  private requireOpen(): void {
    if (this.isClosed) throw new InvalidArgumentError("This scope is closed: it can own nothing more.");
  }
}

/** The standard's SuppressedError, or its shape where the host has none yet. */
export function suppressed(error: unknown, earlier: unknown): Error {
  const message = "An error was suppressed during disposal.";
  const Standard = (
    globalThis as { SuppressedError?: new (error: unknown, suppressed: unknown, message: string) => Error }
  ).SuppressedError;
  if (Standard !== undefined) return new Standard(error, earlier, message);
  return Object.assign(new Error(message), { name: "SuppressedError", error, suppressed: earlier });
}

/** Run a body with a scope of its own, synchronous or not; a handle that it returns escapes. */
export function runInScope<R>(heap: Heap, body: (scope: Scope) => R): R {
  const scope = new Scope(heap);
  let result: R;
  let isAsync: boolean;
  try {
    result = body(scope);
    isAsync = isThenable(result);
  } catch (error) {
    throw closeAfter(scope, error);
  }
  return isAsync ? (settle(scope, result) as R) : letEscape(scope, result);
}

/** A promise, whoever made it. A heap object is none, whatever its fields and methods are called. */
function isThenable(value: unknown): boolean {
  if (asView(value) !== undefined || value === null || value === undefined) return false;
  return typeof (value as { then?: unknown }).then === "function";
}

async function settle<R>(scope: Scope, promise: R): Promise<Awaited<R>> {
  let result: Awaited<R>;
  try {
    result = await promise;
  } catch (error) {
    throw closeAfter(scope, error);
  }
  return letEscape(scope, result);
}

/** The body threw: close, and keep its error even if closing throws too. */
function closeAfter(scope: Scope, error: unknown): unknown {
  try {
    scope[Symbol.dispose]();
    return error;
  } catch (closing) {
    return suppressed(closing, error);
  }
}

/**
 * A handle that is the result, or an item of it, leaves with it, if the scope owns it: another owner keeps what is its
 * own. If closing throws, nobody receives the result, and it is released too.
 */
function letEscape<R>(scope: Scope, result: R): R {
  const leaving = scope.letLeave(Array.isArray(result) ? result : [result]);
  try {
    scope[Symbol.dispose]();
  } catch (error) {
    throw closeAfter(leaving, error);
  }
  return result;
}
