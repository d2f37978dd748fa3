import { describe, expect, it } from "vitest";
import type { LockError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import type { GuardMode } from "../../../src/memory/lock.js";
import { atomicsFunctions, locks, words } from "./locks.js";

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
