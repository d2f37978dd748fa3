/** A page that shares a heap with a worker, where it may; `worker.mjs` is the other side. */
import { f64, Heap, list, release } from "../../dist/index.js";

const TIMEOUT_MS = 20_000;

/** @returns what the page has seen, for check.mjs */
export async function tellOfThreads() {
  const heap = Heap.create({ maximumBytes: 16 << 20 });
  const numbers = heap.new(list(f64), [1, 2, 3]);
  const refused = codeOf(() => heap.share());
  if (refused !== null) {
    release(numbers);
    heap.shutdown();
    return { refused };
  }
  const seen = await shareWithWorker(heap, numbers);
  await underGuard(heap, () => release(numbers));
  heap.shutdown();
  return seen;
}

async function shareWithWorker(heap, numbers) {
  const repairedAfter = [];
  heap.onRepair = ({ threads }) => repairedAfter.push(...threads);
  const worker = watchedWorker(heap);
  const parcel = await underGuard(heap, () => heap.send(numbers));
  await ask(worker, { task: "hold", token: heap.share(), parcel, name: "worker" });
  const blocked = [codeOf(() => heap.lock()), codeOf(() => heap.lockShared())];
  const waiting = heap.lockAsync({ timeout: TIMEOUT_MS });
  await ask(worker, { task: "let go" });
  const guard = await waiting;
  const read = [...numbers];
  guard[Symbol.dispose]();
  await ask(worker, { task: "hold" });
  await ask(worker, { task: "be watched" });
  worker.terminate();
  const rest = await underGuard(heap, () => [...numbers]);
  // This one ends under its first guard, and the page has taken none since it came.
  const second = watchedWorker(heap);
  await ask(second, { task: "hold", token: heap.share(), name: "second" });
  await ask(second, { task: "be watched" });
  second.terminate();
  await underGuard(heap, () => {});
  return { blocked, read, repairedAfter, rest };
}

function watchedWorker(heap) {
  const worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
  heap.watch(worker);
  return worker;
}

async function underGuard(heap, body) {
  const guard = await heap.lockAsync({ timeout: TIMEOUT_MS });
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

function ask(worker, message) {
  return new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = ({ message: text }) => reject(new Error(`the worker threw: ${text}`));
    worker.postMessage(message);
  });
}

/** @returns the code of what the body throws, or null */
function codeOf(body) {
  try {
    body();
    return null;
  } catch (error) {
    return error.code;
  }
}
