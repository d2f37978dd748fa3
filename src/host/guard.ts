/**
 * Guards: proof that this thread holds the lock of a shared heap, to be ended by `using`. The four verbs, how long they wait, and what
 * they say when they fail. Below them is memory/lock.ts.
 */
import { HeapDisposedError, InvalidArgumentError, LockError, LockTimeoutError } from "../memory/errors.js";
import type { GuardMode, HeapLock, LockOutcome } from "../memory/lock.js";
import type { ThreadTable } from "../memory/threads.js";
import { show } from "./schema.js";
import { captureSite } from "./site.js";

const TIMEOUT_MS = 30_000;
/** Guards of a thread whose line is recorded: so many at first, */
const RECORDED_FIRST = 100;
/** and so many more whenever somebody has waited long for it. */
const RECORDED_ASKED = 1000;

export interface LockOptions {
  /** How long to wait at most, in milliseconds; Infinity: as long as it takes. Default 30,000. */
  readonly timeout?: number | undefined;
  /**
   * Gives up when it is aborted. A verb that blocks looks at it before it begins and whenever it wakes: nothing on its own thread can
   * abort it in between.
   */
  readonly signal?: AbortSignal | undefined;
}

/** The lock of one heap as one thread sees it. */
export class Guards {
  readonly lock: HeapLock;
  readonly threads: ThreadTable;
  /** The innermost that is open. */
  newest: Guard | undefined = undefined;
  /** Whether an operation of this thread is under way, which has called the program back. */
  isBusy: () => boolean = () => false;
  private readonly level: string;
  private toRecord: number;

  /** @param level of the heap's checks */
  constructor(lock: HeapLock, threads: ThreadTable, level: string) {
    this.lock = lock;
    this.threads = threads;
    this.level = level;
    this.toRecord = level === "off" ? 0 : level === "handles" ? RECORDED_FIRST : Infinity;
    if (level === "off") return;
    lock.onLongWait = (holders) => {
      for (const thread of holders) if (thread !== lock.thread) threads.askForSite(thread);
    };
  }

  /** The program's line, if this guard is one of those for which it is recorded. Called by a verb before it waits. */
  captureLine(): string | undefined {
    if (this.level === "off" || this.lock.depth > 0) return undefined;
    if (this.toRecord === 0) {
      if (!this.threads.isAskedForSite(this.lock.thread)) return undefined;
      this.toRecord = RECORDED_ASKED;
    }
    this.toRecord--;
    return captureSite(1);
  }

  /** The lock has been entered. */
  open(mode: GuardMode, line: string | undefined, isAsync: boolean): Guard {
    if (this.level !== "off" && this.lock.depth === 1) {
      if (line === undefined) this.threads.clearSite(this.lock.thread);
      else this.threads.setSite(this.lock.thread, line);
    }
    this.newest = new Guard(this, mode, isAsync);
    return this.newest;
  }
}

/**
 * This thread may read (`mode` "shared") or read and write ("exclusive") the heap until the guard is disposed of: `using guard = heap.lock()`.
 * Guards belong to the thread: functions of one thread that overlap across an `await` have one hold between them, which ends with the
 * last of their guards.
 */
export class Guard implements Disposable {
  readonly mode: GuardMode;
  private readonly guards: Guards;
  private readonly outer: Guard | undefined;
  private readonly isAsync: boolean;
  private isOver = false;

  /** @internal */
  constructor(guards: Guards, mode: GuardMode, isAsync: boolean) {
    this.mode = mode;
    this.guards = guards;
    this.outer = guards.newest;
    this.isAsync = isAsync;
  }

  /**
   * End it; doing so again has no effect.
   * @throws LockError LOCK_ORDER if a guard that was taken within this one is still open. This one is over all the same, and the lock is left
   * with the last one. Guards of the asynchronous verbs may end in any order, and others before them.
   * @throws LockError LOCK_ORDER for the last one from inside an operation that needs it (a getter of a literal, a finalizer); it is then
   * not over
   */
  [Symbol.dispose](): void {
    const { guards } = this;
    if (this.isOver || guards.lock.isClosed) return;
    if (guards.lock.depth === 1 && guards.isBusy())
      throw new LockError(
        "LOCK_ORDER",
        `This ${this.mode} guard is needed by the operation that has called this code. End it after that.`,
      );
    this.isOver = true;
    const isInOrder = guards.newest === this || this.isAsync || !this.hasOpenWithin();
    while (guards.newest?.isOver) guards.newest = guards.newest.outer;
    guards.lock.leave();
    if (isInOrder) return;
    throw new LockError(
      "LOCK_ORDER",
      `This ${this.mode} guard was disposed of before a guard that was taken within it. The lock is held until that one is disposed of too. ` +
        "Bind guards with `using`: then they end in the right order.",
    );
  }

  /** Of a verb that blocks. */
  private hasOpenWithin(): boolean {
    let inner = this.guards.newest;
    while (inner !== undefined && inner !== this && (inner.isOver || inner.isAsync)) inner = inner.outer;
    return inner !== this;
  }
}

/**
 * Exclusive access, within exclusive guards too: blocks until the lock is to be had.
 * @throws LockError LOCK_UPGRADE within a shared guard, LOCK_ABORTED, CANNOT_BLOCK in a browser's main thread if it would have to wait
 * @throws LockTimeoutError
 */
export function lock(guards: Guards, options?: LockOptions): Guard {
  return take(guards, "exclusive", options);
}

/**
 * Read access, together with other readers: blocks until the lock is to be had. Within an exclusive guard it is had at once.
 * @throws LockError LOCK_ABORTED, CANNOT_BLOCK in a browser's main thread if it would have to wait
 * @throws LockTimeoutError
 */
export function lockShared(guards: Guards, options?: LockOptions): Guard {
  return take(guards, "shared", options);
}

/** The same as `lock` without blocking. Rejects with what `lock` throws, CANNOT_BLOCK excepted, and if the heap is disposed of meanwhile. */
export function lockAsync(guards: Guards, options?: LockOptions): Promise<Guard> {
  return takeAsync(guards, "exclusive", options);
}

/** The same as `lockShared` without blocking. Rejects with what `lockShared` throws, CANNOT_BLOCK excepted. */
export function lockSharedAsync(guards: Guards, options?: LockOptions): Promise<Guard> {
  return takeAsync(guards, "shared", options);
}

function take(guards: Guards, mode: GuardMode, options: LockOptions | undefined): Guard {
  const line = guards.captureLine();
  if (options === undefined && guards.lock.try(mode)) return guards.open(mode, line, false);
  const timeoutMs = readTimeout(options);
  const signal = readSignal(options);
  const outcome = guards.lock.lock(mode, timeoutMs, signal);
  if (outcome === "entered") return guards.open(mode, line, false);
  throw failure(guards, mode, outcome, timeoutMs, signal);
}

async function takeAsync(guards: Guards, mode: GuardMode, options: LockOptions | undefined): Promise<Guard> {
  const line = guards.captureLine();
  const timeoutMs = readTimeout(options);
  const signal = readSignal(options);
  const outcome = await guards.lock.lockAsync(mode, timeoutMs, signal);
  if (outcome === "entered") return guards.open(mode, line, true);
  if (guards.lock.isClosed) throw new HeapDisposedError();
  throw failure(guards, mode, outcome, timeoutMs, signal);
}

function readTimeout(options: LockOptions | undefined): number {
  if (options !== undefined && (typeof options !== "object" || options === null))
    throw new InvalidArgumentError(`The options of a lock must be an object, got ${show(options)}.`);
  const timeout: unknown = options?.timeout === undefined ? TIMEOUT_MS : options.timeout;
  if (typeof timeout !== "number" || !(timeout >= 0))
    throw new InvalidArgumentError(
      `timeout must be a number of milliseconds of at least 0, or Infinity, got ${show(timeout)}.`,
    );
  return timeout;
}

function readSignal(options: LockOptions | undefined): AbortSignal | undefined {
  const signal: unknown = options?.signal;
  if (signal === undefined || typeof (signal as AbortSignal | null)?.addEventListener === "function")
    return signal as AbortSignal | undefined;
  throw new InvalidArgumentError(`signal must be an AbortSignal, got ${show(signal)}.`);
}

function failure(
  guards: Guards,
  mode: GuardMode,
  outcome: Exclude<LockOutcome, "entered">,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Error {
  const verb = mode === "exclusive" ? "lock" : "lockShared";
  if (outcome === "aborted")
    return new LockError("LOCK_ABORTED", `Waiting for the ${mode} lock was aborted by the signal.`, {
      cause: signal?.reason,
    });
  if (outcome === "cannot block")
    return new LockError(
      "CANNOT_BLOCK",
      `${describe(guards, guards.lock.holders())} This thread may not block, as a browser's main thread may not: use \`await heap.${verb}Async()\` here.`,
    );
  return timedOut(guards, mode, timeoutMs);
}

function timedOut(guards: Guards, mode: GuardMode, timeoutMs: number): LockTimeoutError {
  const { lock, threads } = guards;
  const holders = lock.holders();
  const site = holders.map((thread) => threads.site(thread)).find((line) => line !== undefined);
  return new LockTimeoutError(
    `The ${mode} lock was not to be had within ${timeoutMs} ms. ${describe(guards, holders)} End that guard earlier, or wait longer with { timeout }. ` +
      "If its thread has ended, somebody has to say so: heap.watch(worker).",
    holders.map((thread) => threads.name(thread)),
    site,
  );
}

/** Who holds the lock, and where each took it, as a sentence. */
function describe({ lock, threads }: Guards, holders: readonly number[]): string {
  const each = holders.map((thread) => {
    const site = threads.site(thread);
    const name = thread === lock.thread ? `this thread (${threads.name(thread)})` : threads.name(thread);
    return site === undefined ? name : `${name} (at ${site})`;
  });
  return each.length === 0
    ? "Nobody holds the lock now: it passed from one to another."
    : `The lock is held by ${each.join(", ")}.`;
}
