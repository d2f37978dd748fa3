/** A heap that real threads share. What a second copy of the library in one thread can show is in the tests of test/unit/host that use shared-heap.ts. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Heap, type Parcel, release } from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import {
  CONTROL_THREADS,
  MAIL_LEFT_POOL,
  THREAD_FREE,
  THREAD_STATE,
  THREAD_WORDS,
} from "../../src/memory/layout.js";
import type { ShareTask } from "./share-worker.js";
import { Stress } from "./stress.js";
import * as world from "./world.js";

const KILLS = 25;
const folder = mkdtempSync(join(tmpdir(), "ouroheap-share-"));
const programOf = (name: string) => join(folder, `${name}.mjs`);

beforeAll(() =>
  build({
    entryPoints: ["share-worker", "stress-worker"].map((name) =>
      fileURLToPath(new URL(`${name}.ts`, import.meta.url)),
    ),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
  }),
);
afterAll(() => rmSync(folder, { recursive: true }));

function under<R>(guard: Disposable, body: () => R): R {
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

it("is read by two workers at once, written to by each, and left by both", async () => {
  const heap = Heap.create({ maximumBytes: 16 << 20, checks: "verify" });
  const root = heap.new(world.Root, { nodes: [{ v: 1 }, { v: 2 }] });
  const token = heap.share({ types: world.TYPES });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const threads = [0, 1].map(() => {
    const parcel = under(heap.lock(), () => heap.send(root));
    const workerData: ShareTask = { token, parcel, gate: gate.buffer as SharedArrayBuffer };
    const worker = new Worker(programOf("share-worker"), { workerData });
    heap.watch(worker);
    const messages: unknown[] = [];
    worker.on("message", (message) => messages.push(message));
    return { messages, exit: new Promise((resolve) => worker.once("exit", resolve)) };
  });
  const hearBoth = (message: unknown) =>
    expect
      .poll(() => threads.map(({ messages }) => messages.at(-1)), { timeout: 20_000 })
      .toEqual([message, message]);
  const open = (stage: number) => {
    Atomics.store(gate, 0, stage);
    Atomics.notify(gate, 0);
  };
  await hearBoth("joined");
  open(1);
  // Each says so under a shared guard, and keeps that: so both have one.
  await hearBoth({ sum: 3 });
  expect(() => heap.lock({ timeout: 5 })).toThrow(/lock is held by "reader".*, "reader"/);
  under(heap.lockShared(), () => expect(root.nodes.length).toBe(2));
  open(2);
  expect(await Promise.all(threads.map(({ exit }) => exit))).toEqual([0, 0]);
  under(heap.lock(), () => {
    expect([...root.nodes].map(({ v }) => v)).toEqual([1, 2, 1000, 1000]);
    for (const { messages } of threads) {
      const node = heap.receive(world.Node, messages.at(-1) as Parcel);
      expect(node.name).toBe("in a parcel");
      release(node);
    }
    release(root);
    expect(heap.gc.getObjects()).toEqual([]);
    verify(heap);
  });
  heap[Symbol.dispose]();
});

it("is not joined by a thread that came while it was ended", async () => {
  const heap = Heap.create({ maximumBytes: 16 << 20 });
  const token = heap.share({ types: world.TYPES });
  const { i32 } = Heap.contextOf(heap).core.memory;
  const second = i32[CONTROL_THREADS] + THREAD_WORDS + THREAD_STATE;
  const watched = under(heap.lock(), () => heap.new(world.Node, {}));
  // Called when it was asked whether other threads have the heap: now one comes, and waits for the lock.
  let message: Promise<unknown> | undefined;
  under(heap.lock(), () =>
    heap.weakref.finalize(watched, () => {
      const workerData = { token, attachTimeout: 20_000 };
      const worker = new Worker(programOf("share-worker"), { workerData });
      message = new Promise((resolve) => worker.once("message", resolve));
      const endMs = performance.now() + 20_000;
      while (Atomics.load(i32, second) === THREAD_FREE && performance.now() < endMs)
        Atomics.wait(i32, second, THREAD_FREE, 1);
    }),
  );
  heap[Symbol.dispose]();
  expect(await message).toContain("This heap has ended");
});

it("gets nothing of a thread that waits to join and gives up", async () => {
  const heap = Heap.create({ maximumBytes: 16 << 20, checks: "verify" });
  const token = heap.share({ types: world.TYPES });
  const { i32 } = Heap.contextOf(heap).core.memory;
  const second = i32[CONTROL_THREADS] + THREAD_WORDS + THREAD_STATE;
  const { mail } = Heap.contextOf(heap).sharing!;
  const guard = heap.lock();
  const before = heap.bytesUsed;
  const worker = new Worker(programOf("share-worker"), { workerData: { token, attachTimeout: 200 } });
  const exit = once(worker, "exit");
  const message = once(worker, "message");
  while (Atomics.load(i32, second) === THREAD_FREE) Atomics.wait(i32, second, THREAD_FREE, 1);
  // A thread that has the heap would hear of this.
  mail.tellAll(MAIL_LEFT_POOL, 0);
  expect(heap.bytesUsed).toBe(before);
  expect((await message)[0]).toContain("was not to be had within 200 ms");
  await exit;
  expect(Atomics.load(i32, second)).toBe(THREAD_FREE);
  verify(heap);
  guard[Symbol.dispose]();
  heap[Symbol.dispose]();
});

it("names the worker that died with the lock while its parent waited, and is repaired when that is known", async () => {
  const stress = new Stress({ program: programOf("stress-worker"), minutes: 0, kills: 0, workers: 1 });
  const victim = await stress.start();
  const error = await stress.killBlocking(victim, true);
  expect(error?.owners).toEqual(['"worker 1"']);
  expect(error?.heldAt).toContain("stress-worker.mjs:");
  expect(error?.message).toContain("heap.watch(worker)");
  expect(stress.repairs).toMatchObject([{ threads: ['"worker 1"'] }]);
  const [{ kept, dropped }] = stress.repairs;
  // What it held alone is gone, and what hangs on the parent's handle is there.
  expect(dropped).toBeGreaterThan(0);
  await stress.under(() => expect(kept).toBeGreaterThanOrEqual(stress.heap.gc.getObjects().length));
  await stress.finish();
  expect(stress.failures).toEqual([]);
});

it(`is valid after each of ${KILLS} deaths at any moment, and nothing is left of any`, async () => {
  const stress = new Stress({ program: programOf("stress-worker"), minutes: 0, kills: KILLS });
  await stress.kill(KILLS);
  await stress.finish();
  expect(stress.failures).toEqual([]);
  expect(stress.verifications).toBe(KILLS + 2);
  expect(stress.ends).toMatchObject({ terminated: KILLS, blocking: 10 });
  // Those that had the lock for sure, at least.
  expect(stress.ends.timedOut).toBeGreaterThanOrEqual(5);
  expect(stress.ledger[world.REPAIRS]).toBeGreaterThanOrEqual(5);
}, 240_000);

it("goes on for a while with threads that come and go", async () => {
  const stress = new Stress({ program: programOf("stress-worker"), minutes: 0.05, kills: 0 });
  await stress.mix(0.05);
  await stress.finish();
  expect(stress.failures).toEqual([]);
}, 120_000);
