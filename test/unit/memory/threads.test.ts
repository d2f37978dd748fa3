import { describe, expect, it } from "vitest";
import type { ShareError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { HeapLock } from "../../../src/memory/lock.js";
import { reserveMemory } from "../../../src/memory/memory.js";
import { ThreadTable } from "../../../src/memory/threads.js";

/** Not at the start of a page, so that an address is told from a number. */
const ADDRESS = 3 * L.PAGE_WORDS + 64;

function makeTable() {
  const memory = reserveMemory(L.RESERVATION_BYTES_MIN);
  return { memory, i32: memory.i32, threads: new ThreadTable(memory, ADDRESS) };
}

describe("attaching", () => {
  it("takes the first free record, and writes nothing outside the table but how many there have been", () => {
    const { memory, i32, threads } = makeTable();
    const before = i32.slice();
    const names = Array.from({ length: L.THREADS_MAX }, (_, thread) => `worker ${thread}`);
    expect(names.map((name) => threads.join(name))).toEqual([...names.keys()]);
    expect(names.map((_, thread) => threads.name(thread))).toEqual(names.map((name) => `"${name}"`));
    expect(names.every((_, thread) => threads.state(thread) === L.THREAD_JOINING)).toBe(true);
    before[L.CONTROL_THREADS_END] = L.THREADS_MAX;
    const end = ADDRESS + L.THREADS_MAX * L.THREAD_WORDS;
    expect(i32.subarray(0, ADDRESS)).toEqual(before.subarray(0, ADDRESS));
    expect(i32.subarray(end)).toEqual(before.subarray(end));
    expect(memory.i32[end - L.THREAD_WORDS + L.THREAD_STATE]).toBe(L.THREAD_JOINING);
  });

  it("says how far the numbers go that threads have had", () => {
    const { threads } = makeTable();
    expect(threads.numbersEnd).toBe(0);
    for (const name of ["a", "b", "c"]) threads.join(name);
    expect(threads.numbersEnd).toBe(3);
    threads.free(1);
    expect(threads.join("d")).toBe(1);
    expect(threads.numbersEnd).toBe(3);
  });

  it("is refused when all are taken, until one is free again", () => {
    const { threads } = makeTable();
    for (let thread = 0; thread < L.THREADS_MAX; thread++) threads.join("");
    let error: ShareError | undefined;
    try {
      threads.join("one more");
    } catch (thrown) {
      error = thrown as ShareError;
    }
    expect(error?.code).toBe("TOO_MANY_THREADS");
    expect(error?.message).toContain("30 threads");
    threads.free(17);
    expect(threads.join("one more")).toBe(17);
  });

  it("cuts a name that is too long, and replaces what is not Latin-1", () => {
    const { threads } = makeTable();
    expect(threads.name(threads.join("é".repeat(30)))).toBe(`"${"é".repeat(24)}"`);
    expect(threads.name(threads.join("a\u{1f600}b"))).toBe('"a??b"');
    expect(threads.name(threads.join(""))).toBe("thread 2");
  });
});

describe("the line where a thread took the lock", () => {
  it("is read back, until it is cleared", () => {
    const { threads } = makeTable();
    const thread = threads.join("main");
    expect(threads.site(thread)).toBeUndefined();
    for (const line of ["a", "main.mjs:1:2", "x".repeat(156)]) {
      threads.setSite(thread, line);
      expect(threads.site(thread)).toBe(line);
    }
    expect(threads.name(thread)).toBe('"main"');
    threads.clearSite(thread);
    expect(threads.site(thread)).toBeUndefined();
  });

  it("loses its beginning if it is too long", () => {
    const { threads, i32 } = makeTable();
    const next = i32[threads.record(1)];
    threads.setSite(0, `${"f".repeat(300)}/main.mjs:1:2`);
    expect(threads.site(0)).toBe(`...${"f".repeat(140)}/main.mjs:1:2`);
    expect(i32[threads.record(1)]).toBe(next);
  });

  it("is asked for by others only while there is none", () => {
    const { threads } = makeTable();
    threads.askForSite(3);
    expect(threads.isAskedForSite(3)).toBe(true);
    threads.clearSite(3);
    expect(threads.isAskedForSite(3)).toBe(true);
    expect(threads.site(3)).toBeUndefined();
    threads.setSite(3, "here");
    threads.askForSite(3);
    expect([threads.isAskedForSite(3), threads.site(3)]).toEqual([false, "here"]);
  });

  it("is none if the record makes no sense", () => {
    const { threads, i32 } = makeTable();
    for (const length of [-7, 177, 2 ** 31 - 1]) {
      i32[threads.record(0) + L.THREAD_SITE_LENGTH] = length;
      expect(threads.site(0)).toBeUndefined();
    }
  });
});

describe("the end of a thread", () => {
  it("is reported once, and takes away what it had of the lock before its number is free", () => {
    const { i32, threads } = makeTable();
    const [main, worker] = ["main", "worker"].map((name) => new HeapLock(i32, threads.join(name)));
    worker.try("exclusive");
    const states: number[] = [];
    main.end = (thread) => {
      states.push(threads.state(thread));
      return HeapLock.prototype.end.call(main, thread);
    };
    expect(threads.end(worker.thread, main)).toBe(true);
    expect(states).toEqual([L.THREAD_ENDING]);
    expect(threads.state(worker.thread)).toBe(L.THREAD_ENDED);
    expect(threads.isAttached(worker.thread)).toBe(false);
    expect(main.holders()).toEqual([]);
    expect(threads.end(worker.thread, main)).toBeUndefined();
    expect(threads.end(5, main)).toBeUndefined();
    expect(states.length).toBe(1);
    // Its record is kept for the next exclusive owner.
    expect(threads.join("another")).toBe(2);
    threads.free(worker.thread);
    expect(threads.join("third")).toBe(1);
    expect(threads.end(1, main)).toBe(false);
  });

  it("can be told by the host's number from the first moment on", () => {
    const { i32, threads } = makeTable();
    const thread = threads.join("worker", 4711);
    expect([threads.hostId(thread), threads.isAttached(thread)]).toEqual([4711, false]);
    threads.setAttached(thread);
    expect([threads.hostId(thread), threads.isAttached(thread)]).toEqual([4711, true]);
    expect(threads.hostId(threads.join("unknown"))).toBeUndefined();
    expect(threads.hostId(threads.join("", 0))).toBe(0);
    expect(threads.end(thread, new HeapLock(i32, 5))).toBe(false);
    expect(threads.hostId(thread)).toBeUndefined();
  });

  it("is reported of one that has left, until its record is free", () => {
    const { i32, threads } = makeTable();
    const [main, worker] = ["main", "worker"].map((name) => new HeapLock(i32, threads.join(name, 9)));
    worker.try("exclusive");
    threads.setLeft(worker.thread);
    expect(threads.state(worker.thread)).toBe(L.THREAD_LEFT);
    expect(threads.hostId(worker.thread)).toBe(9);
    expect(threads.end(worker.thread, main)).toBe(true);
    threads.free(worker.thread);
    expect(threads.end(worker.thread, main)).toBeUndefined();
  });

  it("damages the heap if a count of it was not settled, before a writer can enter", () => {
    const { i32, threads } = makeTable();
    const [main, worker] = ["main", "worker"].map((name) => new HeapLock(i32, threads.join(name)));
    worker.try("shared");
    i32[threads.record(worker.thread) + L.THREAD_UNSETTLED] = 1;
    const damaged: number[] = [];
    main.end = (thread) => {
      damaged.push(i32[L.CONTROL_DAMAGED]);
      return HeapLock.prototype.end.call(main, thread);
    };
    expect(threads.end(worker.thread, main)).toBe(true);
    expect(damaged).toEqual([1]);
  });

  it("leaves nothing in the record", () => {
    const { i32, threads } = makeTable();
    threads.join("main");
    const record = threads.record(threads.join("worker"));
    i32.fill(-1, record + 1, record + L.THREAD_WORDS);
    threads.free(1);
    expect(i32.slice(record, record + L.THREAD_WORDS)).toEqual(new Int32Array(L.THREAD_WORDS));
    expect(threads.name(0)).toBe('"main"');
  });
});
