/** The lock on real threads: small stress, and deaths at any moment. Every interleaving of small programs is test/unit/memory/lock-interleavings.test.ts. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import * as L from "../../src/memory/layout.js";
import { HeapLock } from "../../src/memory/lock.js";
import { DATA, DATA_WORDS, ENTRIES, FAILURES, STOP, type Task, WORDS } from "./lock-words.js";

const folder = mkdtempSync(join(tmpdir(), "ouroheap-threads-"));
const program = join(folder, "lock-worker.mjs");
const workers = new Set<Worker>();

beforeAll(() =>
  build({
    entryPoints: [fileURLToPath(new URL("lock-worker.ts", import.meta.url))],
    outfile: program,
    bundle: true,
    format: "esm",
    platform: "node",
  }),
);
afterEach(async () => {
  await Promise.all([...workers].map((worker) => worker.terminate()));
  workers.clear();
});
afterAll(() => rmSync(folder, { recursive: true }));

function makeWords(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(4 * WORDS));
}

const USUAL: Omit<Task, "buffer" | "thread" | "seed"> = {
  asyncShare: 0,
  writeShare: 33,
  writeSteps: 0,
  hasWaitAsync: true,
  guards: Infinity,
};

/** @returns when it takes its first guard */
async function start(
  i32: Int32Array<SharedArrayBuffer>,
  task: Partial<Task> & Pick<Task, "thread" | "seed">,
): Promise<Worker> {
  const worker = new Worker(program, {
    workerData: { ...USUAL, ...task, buffer: i32.buffer } satisfies Task,
  });
  workers.add(worker);
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  return worker;
}

function ended(worker: Worker): Promise<number> {
  return new Promise((resolve) => worker.once("exit", resolve));
}

function allData(i32: Int32Array): Set<number> {
  return new Set(i32.subarray(DATA, DATA + DATA_WORDS));
}

it.each([
  ["blocking verbs", 0, true],
  ["asynchronous verbs", 100, true],
  ["asynchronous verbs without Atomics.waitAsync", 100, false],
  ["both", 30, true],
])("three threads get along with %s", async (_, asyncShare, hasWaitAsync) => {
  const i32 = makeWords();
  const threads = [0, 1, 2];
  const running = await Promise.all(
    threads.map((thread) => start(i32, { thread, seed: 7 + thread, asyncShare, hasWaitAsync })),
  );
  await pause(700);
  Atomics.store(i32, STOP, 1);
  expect(await Promise.all(running.map(ended))).toEqual([0, 0, 0]);
  expect(i32[FAILURES]).toBe(0);
  const entries = threads.map((thread) => [i32[ENTRIES + 2 * thread], i32[ENTRIES + 2 * thread + 1]]);
  const written = entries.reduce((sum, [, exclusive]) => sum + exclusive, 0);
  expect(allData(i32)).toEqual(new Set([written]));
  // Everybody had a share, in both modes.
  for (const count of entries.flat()) expect(count).toBeGreaterThan(3);
  expect(i32[L.CONTROL_LOCK] | i32[L.CONTROL_LOCK_WRITERS] | i32[L.CONTROL_LOCK_READERS]).toBe(0);
});

it("threads that are terminated at any moment leave a lock that the others can have", async () => {
  const KILLS = 16;
  const i32 = makeWords();
  const reporter = new HeapLock(i32, 29);
  // Most of their time they write.
  const slow = { asyncShare: 25, writeShare: 80, writeSteps: 20 };
  // The survivor does nothing but wait, and must never do so for nothing.
  const survivor = await start(i32, { thread: 0, seed: 1 });
  // One that certainly dies in the middle of a write.
  const writer = await start(i32, { thread: 1, seed: 2, writeShare: 100, writeSteps: 1e9 });
  await expect.poll(() => reporter.holders()).toEqual([1]);
  await writer.terminate();
  expect(reporter.end(1)).toBe(true);
  for (let kill = 0; kill < KILLS; kill++) {
    const victims = await Promise.all(
      [1, 2].map((thread) => start(i32, { ...slow, thread, seed: kill * 2 + thread })),
    );
    await pause((kill * 7) % 12);
    for (const [index, victim] of victims.entries()) {
      await victim.terminate();
      reporter.end(index + 1);
    }
    const before = Atomics.load(i32, ENTRIES);
    await expect.poll(() => Atomics.load(i32, ENTRIES), { timeout: 5000 }).toBeGreaterThan(before + 10);
  }
  Atomics.store(i32, STOP, 1);
  expect(await ended(survivor)).toBe(0);
  expect(i32[FAILURES]).toBe(0);
  expect(allData(i32).size).toBe(1);
}, 60_000);

it.each([
  ["with Atomics.waitAsync", true],
  ["without it", false],
])(
  "a program that does nothing but wait asynchronously for the lock does not end, %s",
  async (_, hasWaitAsync) => {
    const i32 = makeWords();
    const lock = new HeapLock(i32, 5);
    lock.try("exclusive");
    const worker = await start(i32, { thread: 0, seed: 3, asyncShare: 100, hasWaitAsync, guards: 1 });
    let hasEnded = false;
    const end = ended(worker).then(() => {
      hasEnded = true;
    });
    await pause(300);
    expect(hasEnded).toBe(false);
    lock.leave();
    await end;
    expect(i32[ENTRIES] + i32[ENTRIES + 1]).toBe(1);
  },
);
