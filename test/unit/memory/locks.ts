/** Locks of several threads over one memory, all driven from one thread. */
import * as L from "../../../src/memory/layout.js";
import { HeapLock } from "../../../src/memory/lock.js";
import type { LockAtomics } from "../../../src/memory/lock-wait.js";

export function locks<A extends LockAtomics>(count: number, atomics?: A): HeapLock[] {
  const i32 = new Int32Array(new SharedArrayBuffer(4 * L.CONTROL_WORDS));
  return Array.from({ length: count }, (_, thread) => new HeapLock(i32, thread, atomics));
}

export function words(lock: HeapLock): Int32Array {
  return (lock as unknown as { i32: Int32Array }).i32;
}

/** `Atomics` as an object whose parts can be replaced. */
export function atomicsFunctions(): LockAtomics {
  const { load, store, compareExchange, and, or, add, notify, wait } = Atomics;
  const { waitAsync } = Atomics as LockAtomics;
  return { load, store, compareExchange, and, or, add, notify, wait, ...(waitAsync && { waitAsync }) };
}
