import { afterEach, describe, expect, it, vi } from "vitest";
import type { LockError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { type GuardMode, HeapLock } from "../../../src/memory/lock.js";
import type { LockAtomics } from "../../../src/memory/lock-wait.js";
import { explore, type Model, type Operation } from "./lock-model.js";

const W: Operation = { mode: "exclusive" };
const R: Operation = { mode: "shared" };
/** Gives up at the end of its first sleep. */
const W10: Operation = { mode: "exclusive", timeoutMs: 10 };
const R10: Operation = { mode: "shared", timeoutMs: 10 };
const REPORTS_0: Operation = { reports: 0 };

type Row = [name: string, statesMin: number, model: Model];

describe("in every interleaving", () => {
  it.each<Row>([
    [
      "two writers, two times each",
      20_000,
      {
        programs: [
          [W, W],
          [W, W],
        ],
      },
    ],
    [
      "a writer and a reader, two times each",
      70_000,
      {
        programs: [
          [W, W],
          [R, R],
        ],
      },
    ],
    ["three writers", 170_000, { programs: [[W], [W], [W]] }],
    ["two writers and a reader", 480_000, { programs: [[W], [W], [R]] }],
    ["a writer and two readers", 1_000_000, { programs: [[W], [R], [R]] }],
  ])(
    "of %s (more than %i states) all enter, nobody sleeps for ever, nobody goes round in circles",
    (_, statesMin, model) => {
      const { states, failures, gaveUp } = explore(model);
      expect(failures).toEqual([]);
      expect(states).toBeGreaterThan(statesMin);
      expect(gaveUp).toBe(0);
    },
  );

  it.each<Row>([
    [
      "two writers",
      120_000,
      {
        programs: [
          [W10, W],
          [W10, W],
        ],
        timeouts: [0, 1],
      },
    ],
    [
      "a writer and a reader",
      380_000,
      {
        programs: [
          [W10, W],
          [R10, R],
        ],
        timeouts: [0, 1],
      },
    ],
    ["a writer, another and a reader", 1_000_000, { programs: [[W10], [W], [R]], timeouts: [0] }],
    ["a reader and two writers", 1_000_000, { programs: [[R10], [W], [W]], timeouts: [0] }],
  ])("of %s that may give up (more than %i states) the others enter", (_, statesMin, model) => {
    const { states, failures, gaveUp } = explore(model);
    expect(failures).toEqual([]);
    expect(states).toBeGreaterThan(statesMin);
    expect(gaveUp).toBeGreaterThan(100);
  });

  it.each<Row>([
    ["a writer, beside a writer", 8000, { programs: [[W], [W], [REPORTS_0]], mortal: [0] }],
    ["a writer, beside a reader", 30_000, { programs: [[W], [R], [REPORTS_0]], mortal: [0] }],
    ["a reader, beside a writer", 12_000, { programs: [[R], [W], [REPORTS_0]], mortal: [0] }],
    ["a reader, beside a reader", 5000, { programs: [[R], [R], [REPORTS_0]], mortal: [0] }],
  ])(
    "with the death of %s (more than %i states), reported at any time, the other enters, and a heap that was being written is repaired first",
    (_, statesMin, model) => {
      const { states, failures, ends, repairs } = explore(model);
      expect(failures).toEqual([]);
      expect(states).toBeGreaterThan(statesMin);
      expect(ends).toBeGreaterThan(10);
      expect(repairs > 0).toBe(model.programs[0][0] === W);
    },
  );

  it.each<Row>([
    ["writer", 9000, { programs: [[W], [W, W]], mortal: [0], endsWaiting: true, timeouts: [1] }],
    ["writer", 18_000, { programs: [[W], [R, R]], mortal: [0], endsWaiting: true, timeouts: [1] }],
    ["reader", 30_000, { programs: [[R], [W, W]], mortal: [0], endsWaiting: true, timeouts: [1] }],
  ])("a %s that waits and never wakes (more than %i states) bars nobody for ever", (_, statesMin, model) => {
    const { states, failures, ends } = explore(model);
    expect(failures).toEqual([]);
    expect(states).toBeGreaterThan(statesMin);
    expect(ends).toBeGreaterThan(50);
  });

  it.each<[...Row, overtakenMax: number]>([
    [
      "reader by a writer",
      100_000,
      { programs: [[W, W, W, W], [R]], overtaken: { thread: 1, by: "exclusive" } },
      1,
    ],
    [
      "reader by one that reads too",
      250_000,
      { programs: [[W, R, W, R], [R]], overtaken: { thread: 1, by: "exclusive" } },
      1,
    ],
    [
      "writer by a reader",
      24_000,
      { programs: [[R, R, R, R], [W]], overtaken: { thread: 1, by: "shared" } },
      1,
    ],
    [
      "writer by one whose turn is over",
      50_000,
      {
        programs: [
          [R, R, R],
          [W, W],
        ],
        overtaken: { thread: 1, by: "shared" },
      },
      2,
    ],
    [
      "writer that was woken in vain by a writer",
      60_000,
      { programs: [[W, W, W, W], [W]], overtaken: { thread: 1, by: "exclusive", hasTurn: true } },
      1,
    ],
  ])(
    "a waiting %s (more than %i states) is not overtaken again and again",
    (_, statesMin, model, overtakenMax) => {
      const exploration = explore(model);
      expect(exploration.failures).toEqual([]);
      expect(exploration.states).toBeGreaterThan(statesMin);
      expect(exploration.overtakenMax).toBe(overtakenMax);
    },
  );

  it.each<[defect: string, failure: string, Lock: typeof HeapLock]>([
    [
      "tells nobody",
      "nobody can go on",
      class extends HeapLock {
        override leave(): void {
          const lock = this as unknown as { tellWaiters: () => void };
          lock.tellWaiters = () => {};
          super.leave();
        }
      },
    ],
    [
      "lets a reader in with a writer",
      "a writer is not alone",
      class extends HeapLock {
        override try(mode: GuardMode): boolean {
          const lock = this as unknown as { begin: (mode: GuardMode) => void };
          if (mode === "exclusive") return super.try(mode);
          lock.begin(mode);
          return true;
        }
      },
    ],
  ])("a lock that %s is noticed", (_, failure, Lock) => {
    const { failures } = explore({ programs: [[W], [R, W]], Lock });
    expect(failures[0]).toContain(failure);
  });
});

/** Locks of several threads over one memory, all driven from this one. */
function locks<A extends LockAtomics>(count: number, atomics?: A): HeapLock[] {
  const i32 = new Int32Array(new SharedArrayBuffer(4 * L.CONTROL_WORDS));
  return Array.from({ length: count }, (_, thread) => new HeapLock(i32, thread, atomics));
}

function words(lock: HeapLock): Int32Array {
  return (lock as unknown as { i32: Int32Array }).i32;
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return (error as LockError).code;
  }
  return undefined;
}

describe("a lock", () => {
  it("is held by many readers or by one writer", () => {
    const [a, b, c] = locks(3);
    expect([a.try("shared"), b.try("shared"), c.try("exclusive")]).toEqual([true, true, false]);
    expect(c.holders()).toEqual([0, 1]);
    a.leave();
    b.leave();
    expect([c.try("exclusive"), a.try("shared"), b.try("exclusive")]).toEqual([true, false, false]);
    expect(a.holders()).toEqual([2]);
    c.leave();
    expect(a.holders()).toEqual([]);
  });

  it.each<[words: [writers: number, readers: number, turn: number], shared: boolean, exclusive: boolean]>([
    [[0, 0, 0], true, true],
    [[0b001, 0b001, 0b001], true, true],
    [[0b010, 0, 0], false, true],
    [[0b010, 0b001, 0b001], true, true],
    [[0, 0b010, 0b010], true, false],
    [[0b001, 0b010, 0b011], true, false],
    [[0b110, 0, 0b010], false, false],
    [[0b011, 0, 0b011], true, true],
    [[0, 0, 0b110], true, true],
  ])(
    "with writers, readers and turns %j, thread 0 may read: %s, and write: %s",
    ([writers, readers, turn], shared, exclusive) => {
      for (const [mode, expected] of [
        ["shared", shared],
        ["exclusive", exclusive],
      ] as const) {
        const [a] = locks(1);
        words(a).set([0, writers, readers, turn], L.CONTROL_LOCK);
        expect(a.try(mode)).toBe(expected);
      }
    },
  );

  it("tells who waits when it is free, and nobody before", () => {
    const [a, b] = locks(2);
    const i32 = words(a);
    a.try("shared");
    b.try("shared");
    i32[L.CONTROL_LOCK_WRITERS] = 0b100;
    a.leave();
    expect(i32[L.CONTROL_LOCK_EVENTS]).toBe(0);
    b.leave();
    expect(i32[L.CONTROL_LOCK_EVENTS]).toBe(1);
    i32[L.CONTROL_LOCK_WRITERS] = 0;
    a.try("exclusive");
    a.leave();
    expect(i32[L.CONTROL_LOCK_EVENTS]).toBe(1);
  });

  it("has an epoch for each outermost guard, and one for writing under an exclusive one", () => {
    const [a] = locks(1);
    expect([a.mode, a.epoch, a.writeEpoch]).toEqual(["none", 0, -1]);
    a.try("exclusive");
    expect([a.mode, a.epoch, a.writeEpoch]).toEqual(["exclusive", 1, 1]);
    a.try("shared");
    expect([a.mode, a.epoch, a.writeEpoch, a.depth]).toEqual(["exclusive", 1, 1, 2]);
    a.leave();
    expect([a.mode, a.epoch, a.writeEpoch, a.depth]).toEqual(["exclusive", 1, 1, 1]);
    a.leave();
    expect([a.mode, a.epoch, a.writeEpoch, a.depth]).toEqual(["none", 0, -1, 0]);
    a.try("shared");
    expect([a.mode, a.epoch, a.writeEpoch]).toEqual(["shared", 2, -1]);
  });

  it("refuses to turn a shared guard into an exclusive one, and keeps the shared one", async () => {
    const [a] = locks(1);
    a.try("shared");
    expect(codeOf(() => a.try("exclusive"))).toBe("LOCK_UPGRADE");
    expect(codeOf(() => a.lock("exclusive", 0))).toBe("LOCK_UPGRADE");
    await expect(a.lockAsync("exclusive", 0)).rejects.toMatchObject({ code: "LOCK_UPGRADE" });
    expect([a.mode, a.depth]).toEqual(["shared", 1]);
  });

  it("calls its seams around the outermost guard, with the lock held before it is left and free after", () => {
    const [a, b] = locks(2);
    const calls: string[] = [];
    a.onAcquire = (mode) => calls.push(`acquire ${mode} ${a.mode} ${b.holders()}`);
    a.beforeLeave = (mode) => calls.push(`before ${mode} ${a.mode} ${b.holders()}`);
    a.afterLeave = (mode) => calls.push(`after ${mode} ${a.mode} ${b.holders()}`);
    a.try("exclusive");
    a.try("exclusive");
    a.leave();
    a.leave();
    expect(calls).toEqual([
      "acquire exclusive exclusive 0",
      "before exclusive exclusive 0",
      "after exclusive none ",
    ]);
  });

  it("is left whatever its seams throw", () => {
    const [a, b] = locks(2);
    a.onAcquire = () => {
      throw new Error("not acquired");
    };
    expect(() => a.try("exclusive")).toThrow("not acquired");
    expect([a.mode, a.depth, b.holders()]).toEqual(["none", 0, []]);
    a.onAcquire = () => {};
    a.beforeLeave = () => {
      throw new Error("not left");
    };
    a.try("shared");
    expect(() => a.leave()).toThrow("not left");
    expect([a.mode, a.depth, b.holders()]).toEqual(["none", 0, []]);
  });

  it("gives up when its time is up, and takes its bits with it", () => {
    const [a, b, c] = locks(3);
    a.try("shared");
    const startMs = performance.now();
    expect(b.lock("exclusive", 30)).toBe("timed out");
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(29);
    expect(words(b)[L.CONTROL_LOCK_WRITERS]).toBe(0);
    expect(c.try("shared")).toBe(true);
  });

  it("tells once who is in the way of a long wait", () => {
    const [a, b, c] = locks(3);
    a.try("shared");
    b.try("shared");
    const told: (readonly number[])[] = [];
    c.onLongWait = (holders) => told.push(holders);
    c.lock("exclusive", 5);
    expect(told).toEqual([[0, 1]]);
    c.lock("exclusive", 40);
    expect(told).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });

  it("does not wait for a signal that is aborted", async () => {
    const [a] = locks(1);
    const signal = AbortSignal.abort();
    expect(a.lock("exclusive", 0, signal)).toBe("aborted");
    expect(await a.lockAsync("shared", 0, signal)).toBe("aborted");
    expect(a.mode).toBe("none");
  });

  it("says where a thread may not block, and does not call itself waiting any more", () => {
    const [a, b] = locks(2, {
      ...atomicsFunctions(),
      wait: () => {
        throw new TypeError("Atomics.wait cannot be called in this context");
      },
    });
    a.try("exclusive");
    expect(b.lock("shared", 1000)).toBe("cannot block");
    expect(words(b)[L.CONTROL_LOCK_READERS]).toBe(0);
  });
});

/** `Atomics` as an object whose parts can be replaced. */
function atomicsFunctions(): LockAtomics {
  const { load, store, compareExchange, and, or, add, notify, wait } = Atomics;
  const { waitAsync } = Atomics as LockAtomics;
  return { load, store, compareExchange, and, or, add, notify, wait, ...(waitAsync && { waitAsync }) };
}

describe("the end of a thread", () => {
  it("takes away what it held shared and where it waited", () => {
    const [a, b, c] = locks(3);
    a.try("shared");
    b.try("shared");
    const i32 = words(a);
    i32[L.CONTROL_LOCK_WRITERS] = i32[L.CONTROL_LOCK_READERS] = i32[L.CONTROL_LOCK_TURN] = 0b111;
    expect(c.end(0)).toBe(false);
    expect(c.holders()).toEqual([1]);
    expect([...i32.subarray(L.CONTROL_LOCK_WRITERS, L.CONTROL_LOCK_TURN + 1)]).toEqual([0b110, 0b110, 0b110]);
    expect(i32[L.CONTROL_DAMAGED]).toBe(0);
  });

  it("calls the heap damaged if it held the lock exclusively", () => {
    const [a, b] = locks(2);
    a.try("exclusive");
    expect(b.end(0)).toBe(true);
    expect(b.holders()).toEqual([]);
    expect(words(a)[L.CONTROL_DAMAGED]).toBe(1);
    expect(b.end(0)).toBe(false);
  });

  it("leaves a writer alone whose number shares bits with it", () => {
    const all = locks(8);
    all[7].try("exclusive");
    for (const thread of [0, 1, 2, 3]) expect(all[5].end(thread)).toBe(false);
    expect(all[5].holders()).toEqual([7]);
  });

  it.each(["shared", "exclusive"] as const)("has the next %s guard repair it, as a writer", (mode) => {
    const [a, b] = locks(2);
    a.try("exclusive");
    b.end(0);
    const acquired: GuardMode[] = [];
    b.onAcquire = (as) => {
      acquired.push(as);
      if (as === "exclusive") words(b)[L.CONTROL_DAMAGED] = 0;
    };
    expect(b.lock(mode, 1000)).toBe("entered");
    expect(b.mode).toBe(mode);
    expect(acquired).toEqual(mode === "shared" ? ["exclusive", "shared"] : ["exclusive"]);
  });
});

describe.each([
  ["with Atomics.waitAsync", true],
  ["without it", false],
])("waiting asynchronously %s", (_, hasWaitAsync) => {
  afterEach(() => {
    vi.useRealTimers();
  });
  const make = (count: number) => {
    const { waitAsync, ...others } = atomicsFunctions();
    return locks(count, hasWaitAsync && waitAsync ? { ...others, waitAsync } : others);
  };

  it("enters when the lock is left", async () => {
    const [a, b] = make(2);
    a.try("exclusive");
    const waiting = b.lockAsync("shared", 10_000);
    setTimeout(() => a.leave(), 20);
    expect(await waiting).toBe("entered");
    expect([a.mode, b.mode]).toEqual(["none", "shared"]);
    expect(words(b)[L.CONTROL_LOCK_READERS]).toBe(0);
  });

  it("gives up when its time is up", async () => {
    const [a, b, c] = make(3);
    a.try("shared");
    expect(await b.lockAsync("exclusive", 30)).toBe("timed out");
    expect(c.try("shared")).toBe(true);
  });

  it("gives up when it is aborted, at once", async () => {
    const [a, b, c] = make(3);
    a.try("shared");
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    const startMs = performance.now();
    expect(await b.lockAsync("exclusive", 10_000, controller.signal)).toBe("aborted");
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(c.try("shared")).toBe(true);
  });

  it("lets two waits of one thread enter, one within the other", async () => {
    const [a, b] = make(2);
    a.try("exclusive");
    const first = b.lockAsync("exclusive", 10_000);
    const second = b.lockAsync("exclusive", 10_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
    a.leave();
    expect(await first).toBe("entered");
    b.leave();
    expect(await second).toBe("entered");
    while (b.depth > 0) b.leave();
    expect(a.holders()).toEqual([]);
    expect(words(a)[L.CONTROL_LOCK_WRITERS]).toBe(0);
  });

  it("still waits when another wait of its thread has given up", async () => {
    const [a, b] = make(2);
    a.try("exclusive");
    const waiting = b.lockAsync("exclusive", 10_000);
    expect(await b.lockAsync("exclusive", 30)).toBe("timed out");
    a.leave();
    const startMs = performance.now();
    expect(await waiting).toBe("entered");
    // Not at the end of its time only.
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  it("waits for a shared guard that its thread took meanwhile", async () => {
    const [a, b] = make(2);
    a.try("shared");
    const writing = b.lockAsync("exclusive", 10_000);
    expect(b.try("shared")).toBe(true);
    a.leave();
    setTimeout(() => b.leave(), 20);
    expect(await writing).toBe("entered");
    expect(b.mode).toBe("exclusive");
  });

  it("passes through when it can enter, and never holds the lock while other code of its thread runs", async () => {
    const [a, b] = make(2);
    const calls: string[] = [];
    b.onAcquire = (mode) => calls.push(mode);
    a.try("exclusive");
    const passing = b.passThrough();
    // Free from here on: a turn of the loop, in which b has entered and left before anybody else comes by.
    setTimeout(() => a.leave(), 5);
    const seen = new Set<string>();
    while (calls.length === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      seen.add(b.mode);
    }
    await passing;
    expect([...seen]).toEqual(["none"]);
    expect([calls, a.holders(), words(a)[L.CONTROL_LOCK_WRITERS]]).toEqual([["exclusive"], [], 0]);
  });

  it("passes through at once where the lock became free while it asked", () => {
    const { waitAsync, ...others } = atomicsFunctions();
    const [a, b] = locks(2, {
      ...others,
      ...(hasWaitAsync && waitAsync ? { waitAsync } : {}),
      or(array: Int32Array, index: number, value: number) {
        const before = Atomics.or(array, index, value);
        if (index === L.CONTROL_LOCK_WRITERS) a.leave();
        return before;
      },
    });
    a.try("exclusive");
    void b.passThrough();
    expect([b.mode, b.depth, a.holders()]).toEqual(["none", 0, []]);
    expect(words(a)[L.CONTROL_LOCK_WRITERS]).toBe(0);
    expect(a.try("shared")).toBe(true);
  });

  it("does not wait for a writer whose event loop is busy", async () => {
    const [a, b, c] = make(3);
    a.try("shared");
    void b.lockAsync("exclusive", 500);
    a.leave();
    // From here on this thread's event loop does not turn: b cannot take what it could have.
    expect(c.lock("shared", 5000)).toBe("entered");
    expect(b.mode).toBe("none");
  });
});
