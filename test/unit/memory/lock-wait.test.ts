import { afterEach, describe, expect, it, vi } from "vitest";
import * as L from "../../../src/memory/layout.js";
import { atomicsFunctions, locks, words } from "./locks.js";

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
