/** Scopes: owners of several handles, released together, last first. Lexical objects, so that they work across `await`. */
import { InvalidArgumentError } from "../memory/errors.js";
import { type Address, FLAG_TRACKED, HEADER_SERIAL, HEADER_TYPE } from "../memory/layout.js";
import type { Context } from "./context.js";
import type { Disposer } from "./disposer.js";
import type { AdoptOptions } from "./foreign.js";
import { isOwned } from "./handle.js";
import type { Heap } from "./heap.js";
import { release } from "./ownership.js";
import { show } from "./schema.js";
import { isThenable } from "./thenable.js";
import type { Borrowed, Foreign, Handle, InitOf, ObjectType, Owned, ReadOf, RequiredOf } from "./types.js";
import { asView } from "./view.js";

/** The verbs of TC39's DisposableStack, and `new`. Close it with `using` or `[Symbol.dispose]()`. */
export class Scope implements Disposable, AsyncDisposable {
  private readonly heap: Heap;
  /** What to do when it closes, in the order in which it came: handles to release and functions to call. */
  private closers: (Owned | (() => void))[] = [];
  private isClosed = false;
  /** Objects that lived on when this scope had released them: a cycle may be all that keeps them. */
  private survivors: Survivor[] = [];
  private collectsWhenClosed = false;

  private readonly context: Context;

  /** @internal Scopes come from `heap.scope()`. */
  constructor(heap: Heap, context: Context) {
    this.heap = heap;
    this.context = context;
  }

  /** `heap.new`, for a handle that the scope owns: it is released when the scope closes. */
  new<T extends ObjectType>(type: T, init: InitOf<T> & RequiredOf<T>): Handle<ReadOf<T> & Borrowed> {
    this.requireOpen();
    return this.take(this.heap.new(type, init));
  }

  /**
   * `heap.adopt`, for a handle that the scope owns.
   * @throws as `heap.adopt`; and InvalidArgumentError if user code closes the scope meanwhile: the value is then disposed
   */
  adopt<V>(value: V, dispose: Disposer<V>, options?: AdoptOptions<V>): Handle<Foreign<V>> {
    this.requireOpen();
    return this.take(this.heap.adopt(value, dispose, options));
  }

  /** `heap.own`, for a handle that the scope owns. */
  own<V extends object>(value: V, options?: AdoptOptions<V>): Handle<Foreign<V>> {
    this.requireOpen();
    return this.take(this.heap.own(value, options));
  }

  /** A handle that was made for this scope, which user code may have closed meanwhile: then nobody would release it. */
  private take<H extends Owned>(handle: H): H {
    if (this.isClosed) release(handle);
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
    const scope = new Scope(this.heap, this.context);
    scope.closers = this.closers;
    scope.collectsWhenClosed = this.collectsWhenClosed;
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
        else this.giveUp(close);
      } catch (error) {
        failure = { error: failure === undefined ? error : suppressed(error, failure.error) };
      }
    }
    try {
      if (this.collectsWhenClosed) this.collect();
    } catch (error) {
      failure = { error: failure === undefined ? error : suppressed(error, failure.error) };
    }
    if (failure !== undefined) throw failure.error;
  }

  /**
   * Close, and wait for the asynchronous disposals that this caused: `await using scope = heap.scope()`. What those reject
   * with goes to `heap.onUnraisable`.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.waitForDisposals(() => this[Symbol.dispose]());
  }

  /** @internal Close in some way, and wait for the asynchronous disposals that it causes. */
  async waitForDisposals(close: () => void): Promise<void> {
    const { foreign } = this.context;
    const before = new Set(foreign.underWay);
    try {
      close();
    } finally {
      await Promise.all([...foreign.underWay].filter((disposal) => !before.has(disposal)));
    }
  }

  /**
   * Free the cycles that this scope's releases left behind, now and not at the next collection. Looks only at what the
   * released objects reach: O(what they reach, and the `traverse` of all adopted values), whatever else the heap holds. On a scope that is still open: do so when it
   * closes.
   * @returns the number of unreachable objects; 0 while the scope is open, or inside a collection
   */
  collect(): number {
    const { context } = this;
    context.requireOpen();
    if (!this.isClosed) {
      this.collectsWhenClosed = true;
      return 0;
    }
    if (context.core.trigger.isCollecting) return 0;
    const survivors = this.survivors.splice(0);
    return context.core.collector.collectReachable(stillLive(context, survivors));
  }

  private giveUp(handle: Owned): void {
    const view = asView(handle)!;
    const survivor = { address: view["@address"], serial: view["@serial"] };
    release(handle);
    if (isTracked(this.context, survivor)) this.survivors.push(survivor);
  }

  /** @internal Own these no more, if this scope does: they leave with the result of its body, and a scope of their own. */
  letLeave(values: readonly unknown[]): Scope {
    const chosen = new Set(values);
    const leaving = new Scope(this.heap, this.context);
    for (const closer of this.closers.splice(0)) (chosen.has(closer) ? leaving : this).closers.push(closer);
    return leaving;
  }

  private requireOpen(): void {
    if (this.isClosed) throw new InvalidArgumentError("This scope is closed: it can own nothing more.");
  }
}

/** An object as it was known by a handle; its serial tells whether it still is that one. */
interface Survivor {
  readonly address: Address;
  readonly serial: number;
}

function isTracked({ core }: Context, { address, serial }: Survivor): boolean {
  const { i32 } = core.memory;
  return i32[address + HEADER_SERIAL] === serial && (i32[address + HEADER_TYPE] & FLAG_TRACKED) !== 0;
}

function* stillLive(context: Context, survivors: readonly Survivor[]): IterableIterator<Address> {
  for (const survivor of survivors) if (isTracked(context, survivor)) yield survivor.address;
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

/** Run a body with a new scope, synchronous or not; a handle that it returns escapes. */
export function runInScope<R>(scope: Scope, body: (scope: Scope) => R): R {
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

/** A revoked Proxy is not even that. */
function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

async function settle<R>(scope: Scope, promise: R): Promise<Awaited<R>> {
  let result: Awaited<R>;
  try {
    result = await promise;
  } catch (error) {
    let reason = error;
    await scope.waitForDisposals(() => {
      reason = closeAfter(scope, error);
    });
    throw reason;
  }
  await scope.waitForDisposals(() => letEscape(scope, result));
  return result;
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
  const leaving = scope.letLeave(isArray(result) ? result : [result]);
  try {
    scope[Symbol.dispose]();
  } catch (error) {
    throw closeAfter(leaving, error);
  }
  return result;
}
