/** Words that the threads of test/threads/lock.test.ts share, behind those of the heap's control. */
import { CONTROL_WORDS, THREADS_MAX } from "../../src/memory/layout.js";

export const STOP = CONTROL_WORDS;
export const FAILURES = CONTROL_WORDS + 1;
/** For each thread: how often it had a shared guard, and an exclusive one. */
export const ENTRIES = CONTROL_WORDS + 2;
export const DATA = ENTRIES + 2 * THREADS_MAX;
export const DATA_WORDS = 200;
export const WORDS = DATA + DATA_WORDS;

export interface Task {
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  readonly seed: number;
  /** Of a hundred guards. */
  readonly asyncShare: number;
  readonly hasWaitAsync: boolean;
  /** How many it takes before it ends by itself. */
  readonly guards: number;
}
