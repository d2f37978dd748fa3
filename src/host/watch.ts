/**
 * Hearing of the end of threads. It is reported, never guessed: by the exit event of a worker in Node, Deno and Bun; in browsers by a
 * Web Lock that each thread holds as long as it lives.
 */
import { InvalidArgumentError } from "../memory/errors.js";
import { CONTROL_HEAP_ID, THREAD_WEB_LOCK, THREADS_MAX } from "../memory/layout.js";
import { show } from "./schema.js";
import type { Sharing } from "./sharing.js";

/** A worker of Node (`node:worker_threads`) or of a browser. */
export interface WatchableWorker {
  postMessage(message: unknown): void;
  readonly threadId?: number;
  once?(event: "exit", listener: () => void): unknown;
}

interface WebLocks {
  request(name: string, callback: () => Promise<void> | void): Promise<unknown>;
}

/** In a browser: the end of this thread can be reported from now on. */
export function holdWebLock(sharing: Sharing, record: number, i32: Int32Array): void {
  if (hostThreadId() !== undefined) return;
  void webLocks()?.request(nameOf(i32, sharing.thread), () => {
    if (sharing.isOver) return undefined;
    Atomics.store(i32, record + THREAD_WEB_LOCK, 1);
    sharing.mail.ringAll(); // whoever watches waits for this lock from now on
    return sharing.over;
  });
}

/**
 * Report the end of a worker's thread, whenever it attaches and ends.
 * @throws InvalidArgumentError for what is no worker, or has ended
 */
export function watch(sharing: Sharing, worker: WatchableWorker, i32: Int32Array): void {
  const { threadId } = (worker ?? {}) as Partial<WatchableWorker>;
  if (typeof worker?.postMessage !== "function")
    throw new InvalidArgumentError(`heap.watch takes a worker, got ${show(worker)}.`);
  if (typeof worker.once !== "function") {
    sharing.watchesAll = true;
    watchAll(sharing, i32);
    return;
  }
  if (typeof threadId !== "number" || threadId < 0)
    throw new InvalidArgumentError(
      "heap.watch takes a worker that runs: this one has ended. Watch it when it is made, before it can end.",
    );
  worker.once("exit", () => {
    for (let thread = 0; thread < THREADS_MAX; thread++)
      if (sharing.threads.hostId(thread) === threadId) sharing.reportEnd(thread);
  });
}

/** In a browser: wait for the Web Lock of every thread that has one. */
export function watchAll(sharing: Sharing, i32: Int32Array): void {
  for (let thread = 0; thread < THREADS_MAX; thread++) {
    const isWatchable = i32[sharing.threads.record(thread) + THREAD_WEB_LOCK] !== 0;
    if (thread === sharing.thread || !isWatchable || sharing.watched.has(thread)) continue;
    sharing.watched.add(thread);
    void webLocks()?.request(nameOf(i32, thread), () => {
      sharing.watched.delete(thread);
      if (!sharing.isOver) sharing.reportEnd(thread);
    });
  }
}

function nameOf(i32: Int32Array, thread: number): string {
  return `ouroheap ${i32[CONTROL_HEAP_ID]} thread ${thread}`;
}

/** The number by which Node's `Worker` knows its thread; undefined in browsers. */
export function hostThreadId(): number | undefined {
  const { process } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => { threadId?: number } | undefined };
  };
  return process?.getBuiltinModule?.("node:worker_threads")?.threadId;
}

function webLocks(): WebLocks | undefined {
  return (globalThis as { navigator?: { locks?: WebLocks } }).navigator?.locks;
}
