/** How the longest call of a verb is measured, and the graphs that the parts have in common. */
import { f64, list, optional, release, retain, struct } from "ouroheap";
import { expect } from "../lib/measure.mjs";
import { xorshift32 } from "../lib/random.mjs";

export const MILLION = 1_000_000;
/** Calls of a verb that does the same each time. */
export const MANY = 200_000;

export class Node extends struct("Node", {
  get a() {
    return optional(Node);
  },
  get b() {
    return optional(Node);
  },
  get c() {
    return optional(Node);
  },
  v: f64,
}) {}
export const Nodes = list(Node);

/**
 * Milliseconds that the process has run, V8's threads included (worst-case.mjs keeps V8 to one): while other programs run, the
 * clock on the wall says how long they take. Steps of a microsecond; reading it takes about as long.
 */
export function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Rows of one part, in one process: the longest call in time of the process, the median by the clock. */
export class Meter {
  rows = [];

  /** @param heap whose size is told, where there is one yet */
  constructor(heap) {
    this.heap = heap;
  }

  /**
   * Time each of many calls. @param row its `verb`, its `cost` and what provoked the worst case (`by`)
   * @param call is given the number of the call
   */
  many(row, count, call) {
    globalThis.gc();
    const before = this.#heapBytes();
    const times = new Float64Array(count);
    let longestMs = 0;
    for (let index = 0; index < count; index++) {
      const startCpu = cpuMs();
      const start = performance.now();
      call(index);
      times[index] = performance.now() - start;
      longestMs = Math.max(longestMs, cpuMs() - startCpu);
    }
    times.sort();
    this.#add(row, { calls: count, medianMs: times[count >> 1], longestMs }, before);
  }

  /** Time one call. @returns its result */
  once(row, call) {
    globalThis.gc();
    const before = this.#heapBytes();
    const start = cpuMs();
    const result = call();
    this.#add(row, { calls: 1, longestMs: cpuMs() - start }, before);
    return result;
  }

  /** The same of a call that gives a promise. */
  async onceAsync(row, call) {
    globalThis.gc();
    const before = this.#heapBytes();
    const start = cpuMs();
    const result = await call();
    this.#add(row, { calls: 1, longestMs: cpuMs() - start }, before);
    return result;
  }

  #heapBytes() {
    return this.heap?.bytesUsed ?? 0;
  }

  /** The heap's size: the larger one, before the call or after. `shutdown` leaves none. */
  #add({ verb, cost, by, ends = false }, times, before) {
    const heapBytes = ends ? before : Math.max(before, this.#heapBytes());
    this.rows.push({ verb, cost, by, ...times, heapBytes });
  }
}

/** `count` nodes in a list, each with two references to random others; automatic collection is off meanwhile. */
export function makeGraph(heap, count, seed = 1) {
  const random = xorshift32(seed);
  heap.gc.disable();
  const nodes = heap.new(Nodes, []);
  for (let i = 0; i < count; i++) nodes.push({ a: null, b: null, c: null, v: i + 0.5 });
  for (const node of nodes) {
    node.a = nodes.at(Math.floor(random() * count));
    node.b = nodes.at(Math.floor(random() * count));
  }
  expect("nodes", nodes.length, count);
  return nodes;
}

/** A chain through `count` nodes in random order, which nothing holds but the handle to its head. */
export function makeScatteredChain(heap, count, seed = 2) {
  const random = xorshift32(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const nodes = heap.new(Nodes, []);
  for (let i = 0; i < count; i++) nodes.push({ a: null, b: null, c: null, v: i + 0.5 });
  for (let i = 0; i + 1 < count; i++) nodes.at(order[i]).a = nodes.at(order[i + 1]);
  const head = retain(nodes.at(order[0]));
  release(nodes);
  return head;
}
