/** Clocks, collections and memory. */
import v8 from "node:v8";
import vm from "node:vm";

/** @returns {{ result: any, ms: number }} */
export function timed(work) {
  const startMs = performance.now();
  const result = work();
  return { result, ms: performance.now() - startMs };
}

/** Milliseconds of a clock that all threads of the process have. */
export function clockMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The least of several runs: what the work takes when nothing comes between. */
export function best(rounds, measure) {
  return Math.min(...Array.from({ length: rounds }, measure));
}

/** One full collection of V8's own heap, on request. */
export const collectV8 = exposeGc();

function exposeGc() {
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("gc");
}

/** Bytes of V8's heap that are in use. Two collections: the first leaves some sweeping to the second. */
export function v8BytesUsed() {
  collectV8();
  collectV8();
  return process.memoryUsage().heapUsed;
}

/** Counts and times the heap's collections from now on. */
export class CollectionWatch {
  count = 0;
  totalMs = 0;
  longestMs = 0;
  #startMs = 0;
  #gc;

  constructor({ gc }) {
    this.#gc = gc;
    gc.callbacks.push(this.#note);
  }

  stop() {
    this.#gc.callbacks.splice(this.#gc.callbacks.indexOf(this.#note), 1);
  }

  #note = (phase) => {
    if (phase === "start") {
      this.#startMs = performance.now();
      return;
    }
    const ms = performance.now() - this.#startMs;
    this.count++;
    this.totalMs += ms;
    this.longestMs = Math.max(this.longestMs, ms);
  };
}
