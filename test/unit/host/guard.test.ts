import { describe, expect, it } from "vitest";
import {
  type Guard,
  Guards,
  type LockOptions,
  lock,
  lockAsync,
  lockShared,
  lockSharedAsync,
} from "../../../src/host/guard.js";
import { InvalidArgumentError, LockError, LockTimeoutError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { HeapLock } from "../../../src/memory/lock.js";
import { reserveMemory } from "../../../src/memory/memory.js";
import { ThreadTable } from "../../../src/memory/threads.js";

/** What several threads have of one heap, all driven from this one. */
function threadsOf(names: readonly string[], level = "handles"): Guards[] {
  const memory = reserveMemory(L.RESERVATION_BYTES_MIN);
  const threads = new ThreadTable(memory, 3 * L.PAGE_WORDS);
  return names.map((name) => new Guards(new HeapLock(memory.i32, threads.join(name)), threads, level));
}

const verbs: [
  name: string,
  take: (guards: Guards, options?: LockOptions) => Guard | Promise<Guard>,
  mode: string,
][] = [
  ["lock", lock, "exclusive"],
  ["lockShared", lockShared, "shared"],
  ["lockAsync", lockAsync, "exclusive"],
  ["lockSharedAsync", lockSharedAsync, "shared"],
];

/** What a verb throws or rejects with. */
async function failureOf<E>(take: () => unknown): Promise<E> {
  try {
    await take();
  } catch (error) {
    return error as E;
  }
  throw new Error("nothing was thrown");
}

describe.each(verbs)("%s", (_, take, mode) => {
  it("gives a guard, whose end leaves the lock", async () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    {
      using guard = await take(main);
      expect(guard.mode).toBe(mode);
      expect(main.lock.mode).toBe(mode);
      expect(worker.lock.try("exclusive")).toBe(false);
    }
    expect(main.lock.mode).toBe("none");
    expect(worker.lock.try("exclusive")).toBe(true);
  });

  it("nests in the same mode", async () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    const outer = await take(main);
    const inner = await take(main, { timeout: 0 });
    inner[Symbol.dispose]();
    expect(worker.lock.try("exclusive")).toBe(false);
    outer[Symbol.dispose]();
    expect(worker.lock.try("exclusive")).toBe(true);
  });

  it("names who holds the lock when its time is up, and where that was taken", async () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    using _ = lock(worker);
    const error = await failureOf<LockTimeoutError>(() => take(main, { timeout: 15 }));
    expect(error).toBeInstanceOf(LockTimeoutError);
    expect(error.code).toBe("LOCK_TIMEOUT");
    expect(error.owners).toEqual(['"worker"']);
    expect(error.heldAt).toMatch(/guard\.test\.ts:\d+:\d+/);
    expect(error.message).toContain(`The ${mode} lock was not to be had within 15 ms.`);
    expect(error.message).toMatch(/held by "worker" \(at .*guard\.test\.ts:\d+:\d+\)?\)/);
    expect(main.lock.mode).toBe("none");
  });

  it("takes a signal and a time-out that are not needed", async () => {
    const [main] = threadsOf(["main"]);
    using guard = await take(main, { timeout: 0, signal: new AbortController().signal });
    expect(guard.mode).toBe(mode);
  });

  it("is aborted with the signal's reason, also where the lock could be had", async () => {
    const [main] = threadsOf(["main"]);
    const reason = new Error("the user left");
    const error = await failureOf<LockError>(() => take(main, { signal: AbortSignal.abort(reason) }));
    expect(error).toBeInstanceOf(LockError);
    expect([error.code, error.cause]).toEqual(["LOCK_ABORTED", reason]);
    expect(main.lock.mode).toBe("none");
  });

  it.each([-1, Number.NaN, "5", null])("refuses %j as a time-out", async (timeout) => {
    const [main] = threadsOf(["main"]);
    const error = await failureOf<Error>(() => take(main, { timeout: timeout as number }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error.message).toContain("timeout must be a number of milliseconds");
    expect(main.lock.mode).toBe("none");
  });

  it.each([5, null, "soon"])("refuses %j as options", async (options) => {
    const [main] = threadsOf(["main"]);
    const error = await failureOf<Error>(() => take(main, options as never));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error.message).toContain("options of a lock must be an object");
    expect(main.lock.mode).toBe("none");
  });

  it("refuses what is no signal", async () => {
    const [main] = threadsOf(["main"]);
    const error = await failureOf<Error>(() => take(main, { signal: {} as AbortSignal }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(main.lock.mode).toBe("none");
  });
});

it.each([
  ["lockAsync", lockAsync],
  ["lockSharedAsync", lockSharedAsync],
])("%s waits for ever if asked to, and enters when the lock is left", async (_, take) => {
  const [main, worker] = threadsOf(["main", "worker"]);
  const held = lock(worker);
  const waiting = take(main, { timeout: Number.POSITIVE_INFINITY });
  setTimeout(() => held[Symbol.dispose](), 30);
  using guard = await waiting;
  expect(main.lock.mode).toBe(guard.mode);
});

describe("the end of a guard", () => {
  it("is an end once", () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    const first = lock(main);
    first[Symbol.dispose]();
    using _second = lock(main);
    first[Symbol.dispose]();
    expect(worker.lock.try("shared")).toBe(false);
    expect(main.lock.depth).toBe(1);
  });

  it("out of order is an error that changes nothing else", async () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    const outer = lock(main);
    const middle = lockShared(main);
    const inner = lock(main);
    const error = await failureOf<LockError>(() => outer[Symbol.dispose]());
    expect(error).toBeInstanceOf(LockError);
    expect(error.code).toBe("LOCK_ORDER");
    outer[Symbol.dispose]();
    expect([main.lock.mode, main.lock.depth]).toEqual(["exclusive", 2]);
    inner[Symbol.dispose]();
    expect(worker.lock.try("shared")).toBe(false);
    middle[Symbol.dispose]();
    expect(worker.lock.try("exclusive")).toBe(true);
    worker.lock.leave();
    // Nothing of them is left to be in the way of the next.
    const next = lock(main);
    expect(main.newest).toBe(next);
    next[Symbol.dispose]();
    expect(main.newest).toBeUndefined();
  });

  it.each([
    ["an asynchronous one before another", lockAsync, lockAsync],
    ["an asynchronous one before one that blocks", lockAsync, lock],
    ["one that blocks before an asynchronous one", lock, lockAsync],
  ])("may come for %s: functions that overlap share a hold", async (_, takeOuter, takeInner) => {
    const [main, worker] = threadsOf(["main", "worker"]);
    const outer = await takeOuter(main);
    const inner = await takeInner(main);
    outer[Symbol.dispose]();
    expect(worker.lock.try("shared")).toBe(false);
    inner[Symbol.dispose]();
    expect(worker.lock.try("shared")).toBe(true);
  });

  it("leaves the lock when what comes before it throws", () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    main.lock.beforeLeave = () => {
      throw new Error("a ring that cannot be emptied");
    };
    expect(() => lock(main)[Symbol.dispose]()).toThrow("a ring that cannot be emptied");
    expect(worker.lock.try("exclusive")).toBe(true);
    expect(main.newest).toBeUndefined();
  });
});

describe("a guard that cannot be had", () => {
  it("is an exclusive one within a shared one", async () => {
    const [main] = threadsOf(["main"]);
    using _ = lockShared(main);
    for (const take of [lock, lockAsync]) {
      const error = await failureOf<LockError>(() => take(main));
      expect(error).toBeInstanceOf(LockError);
      expect(error.code).toBe("LOCK_UPGRADE");
    }
    using _within = lockShared(main);
    expect(main.lock.depth).toBe(2);
  });

  it("names all readers, a thread without a name by its number", async () => {
    const [main, ...readers] = threadsOf(["main", "reader", ""]);
    using _first = lockShared(readers[0]);
    using _second = lockShared(readers[1]);
    const error = await failureOf<LockTimeoutError>(() => lock(main, { timeout: 1 }));
    expect(error.owners).toEqual(['"reader"', "thread 2"]);
  });

  it("says that this thread itself holds it", async () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    const held = lock(worker);
    const waiting = failureOf<LockTimeoutError>(() => lockAsync(main, { timeout: 50 }));
    held[Symbol.dispose]();
    using _ = lockShared(main);
    expect((await waiting).message).toMatch(/held by this thread \("main"\) \(at /);
  });

  it("says when nobody holds it any more", async () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    const held = lock(worker);
    // Another thread takes its end from under the wait's last look.
    const { holders } = main.lock;
    main.lock.holders = () => {
      held[Symbol.dispose]();
      return holders.call(main.lock);
    };
    const error = await failureOf<LockTimeoutError>(() => lock(main, { timeout: 0 }));
    expect([error.owners, error.heldAt]).toEqual([[], undefined]);
    expect(error.message).toContain("Nobody holds the lock now");
  });

  it.each([
    ["lock", lock],
    ["lockShared", lockShared],
  ])("where a thread may not block names the asynchronous verb: %s", async (name, take) => {
    const [main, worker] = threadsOf(["main", "worker"]);
    using _ = lock(worker);
    const wait = Atomics.wait;
    Atomics.wait = () => {
      throw new TypeError("Atomics.wait cannot be called in this context");
    };
    try {
      const error = await failureOf<LockError>(() => take(main));
      expect(error.code).toBe("CANNOT_BLOCK");
      expect(error.message).toContain(`await heap.${name}Async()`);
      expect(error.message).toContain('held by "worker"');
    } finally {
      Atomics.wait = wait;
    }
  });
});

describe("the line of a guard", () => {
  /** Whether it is recorded for guards one after the other. */
  function recorded(guards: Guards, count: number): boolean[] {
    return Array.from({ length: count }, () => {
      using _ = lock(guards);
      return guards.threads.site(guards.lock.thread) !== undefined;
    });
  }

  it("is recorded for the first hundred of a thread, and for a thousand more when another has waited long", () => {
    const [main, worker] = threadsOf(["main", "worker"]);
    expect(recorded(worker, 102)).toEqual([...Array(100).fill(true), false, false]);
    {
      using _ = lock(worker);
      expect(main.lock.lock("shared", 5)).toBe("timed out");
    }
    expect(recorded(worker, 1002)).toEqual([...Array(1000).fill(true), false, false]);
    expect(recorded(main, 1)).toEqual([true]);
  });

  it("is that of the outermost guard", () => {
    const [main] = threadsOf(["main"]);
    using _outer = lock(main);
    const line = main.threads.site(0);
    expect(line).toMatch(/guard\.test\.ts/);
    using _inner = lock(main);
    expect(main.threads.site(0)).toBe(line);
  });

  it("is recorded for all asynchronous guards too, with the line of the call", async () => {
    const [main] = threadsOf(["main"]);
    using _ = await lockAsync(main);
    expect(main.threads.site(0)).toMatch(/guard\.test\.ts/);
  });

  it.each(["verify", "stress"])("is always recorded under %s", (level) => {
    const [main] = threadsOf(["main"], level);
    expect(recorded(main, 150)).toEqual(Array(150).fill(true));
  });

  it("is never recorded with checks off, whoever asks", () => {
    const [main, worker] = threadsOf(["main", "worker"], "off");
    worker.threads.askForSite(worker.lock.thread);
    expect(recorded(worker, 2)).toEqual([false, false]);
    using _ = lock(worker);
    main.lock.lock("shared", 5);
    expect(recorded(worker, 2)).toEqual([false, false]);
  });
});
