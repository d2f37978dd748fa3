/** A thread of test/threads/lock.test.ts: takes the lock in all ways, at random, and says when it is not alone where it should be. */
import { parentPort, workerData } from "node:worker_threads";
import { CONTROL_DAMAGED } from "../../src/memory/layout.js";
import { type GuardMode, HeapLock } from "../../src/memory/lock.js";
import { DATA, DATA_WORDS, ENTRIES, FAILURES, STOP, type Task } from "./lock-words.js";

const { buffer, thread, seed, asyncShare, hasWaitAsync, guards }: Task = workerData;
const i32 = new Int32Array(buffer);
if (!hasWaitAsync) Reflect.deleteProperty(Atomics, "waitAsync");
const lock = new HeapLock(i32, thread);
lock.onAcquire = (mode) => {
  if (mode !== "exclusive" || i32[CONTROL_DAMAGED] === 0) return;
  // What was half written: here the first words may be ahead of the last ones.
  i32.fill(i32[DATA + DATA_WORDS - 1], DATA, DATA + DATA_WORDS);
  i32[CONTROL_DAMAGED] = 0;
};

let state = seed;
function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return Math.floor(((state >>> 0) / 2 ** 32) * below);
}

/** Under a guard: all data words are the same, and under an exclusive one they stay it until this thread raises them, one by one. */
function work(mode: GuardMode): void {
  const value = i32[DATA];
  for (let round = random(3); round >= 0; round--)
    for (let index = 0; index < DATA_WORDS; index++)
      if (i32[DATA + index] !== value) Atomics.add(i32, FAILURES, 1);
  if (i32[CONTROL_DAMAGED] !== 0) Atomics.add(i32, FAILURES, 1);
  if (mode === "exclusive") for (let index = 0; index < DATA_WORDS; index++) i32[DATA + index] = value + 1;
}

parentPort?.postMessage("started");
for (let count = 0; count < guards && Atomics.load(i32, STOP) === 0; count++) {
  const mode = random(3) === 0 ? "exclusive" : "shared";
  const isAsync = random(100) < asyncShare;
  const timeoutMs = random(50) === 0 ? random(3) : 20_000;
  const outcome = isAsync ? await lock.lockAsync(mode, timeoutMs) : lock.lock(mode, timeoutMs);
  if (outcome === "entered") {
    work(mode);
    if (random(4) === 0 && lock.try("shared")) lock.leave();
    lock.leave();
    Atomics.add(i32, ENTRIES + 2 * thread + (mode === "exclusive" ? 1 : 0), 1);
  } else if (timeoutMs === 20_000) Atomics.add(i32, FAILURES, 1);
}
parentPort?.postMessage("finished");
