/** What the default thresholds cost while a heap is built, and what `gc.freeze` saves beside a heap that was loaded once. */
import { Heap, list, optional, release } from "ouroheap";
import { expect } from "../lib/measure.mjs";
import { xorshift32 } from "../lib/random.mjs";
import { heard } from "./heard.mjs";
import { MILLION, makeGraph, Node, Nodes } from "./meter.mjs";

// -- thresholds ---------------------------------------------------------------------------------

/** Live objects, and how often they are built and dropped, so that there is something to measure. */
export const SIZES = [
  { n: 10, times: 50_000 },
  { n: 1000, times: 500 },
  { n: 100_000, times: 5 },
  { n: MILLION, times: 1 },
  { n: 10 * MILLION, times: 1 },
];

/** Each node refers to the one before and to any older one, so that counts alone free them. */
function build(heap, n) {
  const random = xorshift32(3);
  const nodes = heap.new(Nodes, []);
  for (let i = 0; i < n; i++) {
    const previous = i === 0 ? null : nodes.at(i - 1);
    const older = i === 0 ? null : nodes.at(Math.floor(random() * i));
    nodes.push({ a: previous, b: older, c: null, v: i + 0.5 });
  }
  return nodes;
}

function buildOften(heap, { n, times }, isOn) {
  heap.gc.collect();
  globalThis.gc();
  if (!isOn) heap.gc.disable();
  const { result: last, ...told } = heard(heap, () => {
    for (let time = 1; time < times; time++) release(build(heap, n));
    return build(heap, n);
  });
  heap.gc.enable();
  expect("live objects", last.length, n);
  const heapBytes = heap.bytesUsed;
  release(last);
  return { ...told, heapBytes };
}

/** @param which sizes, by index @returns a row each, with collections `on` and `off`, one after the other */
export function thresholds(which) {
  const heap = Heap.create();
  buildOften(heap, { n: 100_000, times: 2 }, true);
  buildOften(heap, { n: 100_000, times: 2 }, false);
  return which.map((index) => {
    const size = SIZES[index];
    // Once more for nothing: whoever is first would pay for the engine's learning this size.
    if (size.n < MILLION) for (const isOn of [true, false]) buildOften(heap, size, isOn);
    return { ...size, on: buildOften(heap, size, true), off: buildOften(heap, size, false) };
  });
}

// -- freeze -------------------------------------------------------------------------------------

const PAIRS = 2_500_000;
/** In a cache: pairs that live before they are replaced. */
const CACHED = 50_000;

function pairOf(heap, loaded, v) {
  const pair = heap.new(Node, { a: { a: null, b: null, c: null, v: 0.5 }, b: null, c: loaded, v });
  pair.a.a = pair;
  return pair;
}

const CHURNS = {
  /** Each pair is garbage at once. */
  temporary(heap) {
    for (let i = 0; i < PAIRS; i++) release(pairOf(heap, null, i));
  },
  /** Pairs refer to a loaded node each, and stay in a cache until another one takes the place. */
  cached(heap, graph) {
    const random = xorshift32(4);
    const cache = heap.new(
      list(optional(Node)),
      Array.from({ length: CACHED }, () => null),
    );
    for (let i = 0; i < PAIRS; i++) {
      const pair = pairOf(heap, graph.at(Math.floor(random() * MILLION)), i);
      cache.set(i % CACHED, pair);
      release(pair);
    }
    release(cache);
  },
};

/** Load a million, freeze them or not, then make five million objects in cycles. */
export function freezing(churn, isFrozen) {
  const heap = Heap.create();
  const graph = makeGraph(heap, MILLION);
  if (isFrozen) heap.gc.freeze();
  heap.gc.enable();
  globalThis.gc();
  const { result, ...told } = heard(heap, () => CHURNS[churn](heap, graph));
  heap.gc.collect();
  expect("live objects", heap.gc.getObjects().length + heap.gc.getFreezeCount(), MILLION + 1);
  return { churn, isFrozen, ...told, heapBytes: heap.bytesUsed };
}
