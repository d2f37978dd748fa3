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

/** Rows of one part, in one process. */
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
    for (let index = 0; index < count; index++) {
      const start = performance.now();
      call(index);
      times[index] = performance.now() - start;
    }
    this.#add(row, times, before);
  }

  /** Time one call. @returns its result */
  once(row, call) {
    globalThis.gc();
    const before = this.#heapBytes();
    const start = performance.now();
    const result = call();
    this.#add(row, Float64Array.of(performance.now() - start), before);
    return result;
  }

  /** The same of a call that gives a promise. */
  async onceAsync(row, call) {
    globalThis.gc();
    const before = this.#heapBytes();
    const start = performance.now();
    const result = await call();
    this.#add(row, Float64Array.of(performance.now() - start), before);
    return result;
  }

  #heapBytes() {
    return this.heap?.bytesUsed ?? 0;
  }

  /** The heap's size: the larger one, before the call or after. `shutdown` leaves none. */
  #add({ verb, cost, by, ends = false }, times, before) {
    const heapBytes = ends ? before : Math.max(before, this.#heapBytes());
    times.sort();
    const [medianMs, longestMs] = [times[times.length >> 1], times[times.length - 1]];
    this.rows.push({ verb, cost, by, calls: times.length, medianMs, longestMs, heapBytes });
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
