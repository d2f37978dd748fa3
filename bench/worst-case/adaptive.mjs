/** `gc.setPolicy("adaptive")` beside `"python"`: the time in collections and the most bytes of the heap, program by program. */
import { dict, f64, Heap, list, optional, release, struct } from "ouroheap";
import { expect } from "../lib/measure.mjs";
import { xorshift32 } from "../lib/random.mjs";
import { heard } from "./heard.mjs";
import { MILLION, makeGraph, Node, Nodes } from "./meter.mjs";

const SMALL = 10_000;

class Tree extends struct("Tree", {
  get parent() {
    return optional(Tree);
  },
  get children() {
    return list(Tree);
  },
  v: f64,
}) {}

// -- live heaps, and what is done beside them -----------------------------------------------------

function held(heap, n) {
  const nodes = heap.new(Nodes, []);
  for (let i = 0; i < n; i++) nodes.push({ a: null, b: null, c: null, v: i + 0.5 });
  return nodes;
}

function linked(heap, n) {
  const random = xorshift32(3);
  const nodes = heap.new(Nodes, []);
  for (let i = 0; i < n; i++) {
    const previous = i === 0 ? null : nodes.at(i - 1);
    const older = i === 0 ? null : nodes.at(Math.floor(random() * i));
    nodes.push({ a: previous, b: older, c: null, v: i + 0.5 });
  }
  return nodes;
}

function pairOf(heap, loaded, v) {
  const pair = heap.new(Node, { a: { a: null, b: null, c: null, v: 0.5 }, b: null, c: loaded, v });
  pair.a.a = pair;
  return pair;
}

/** Pairs of nodes that hold each other, and are garbage at once. */
function pairs(heap, count) {
  for (let i = 0; i < count; i++) release(pairOf(heap, null, i));
}

/** The same, but the last `capacity` pairs are kept; each refers to a node of the graph. */
function cachedPairs(heap, count, capacity, graph) {
  const random = xorshift32(4);
  const cache = heap.new(
    list(optional(Node)),
    Array.from({ length: capacity }, () => null),
  );
  for (let i = 0; i < count; i++) {
    const pair = pairOf(heap, graph.at(Math.floor(random() * graph.length)), i);
    cache.set(i % capacity, pair);
    release(pair);
  }
  release(cache);
}

/** A table of entries, of which the oldest gives way to each new one: they die by their counts. */
function table(heap, count, capacity) {
  const entries = heap.new(dict(f64, Node), []);
  for (let i = 0; i < count; i++) {
    entries.set(i, { a: null, b: null, c: null, v: i });
    if (i >= capacity) entries.delete(i - capacity);
  }
  expect("entries", entries.size, capacity);
  release(entries);
}

/** Trees whose nodes know their parents, each dropped when the next one is there, as a compiler's of one file after the other. */
function trees(heap, count, nodes) {
  let tree = null;
  for (let i = 0; i < count; i++) {
    const root = heap.new(Tree, { parent: null, children: [], v: i });
    let inner = root;
    for (let j = 1; j < nodes; j++) {
      inner.children.push({ parent: inner, children: [], v: j });
      if (j % 8 === 0) inner = inner.children.at(7);
    }
    if (tree !== null) release(tree);
    tree = root;
  }
  release(tree);
}

/** Each: what is loaded before the clock runs, and the program. */
const PROGRAMS = {
  held: { text: "1 M built, in a list", run: (heap) => held(heap, MILLION) },
  linked: { text: "1 M built, linked", run: (heap) => linked(heap, MILLION) },
  linked10M: { text: "10 M built, linked", run: (heap) => linked(heap, 10 * MILLION) },
  pairs: {
    text: "5 M in pairs, garbage at once, beside 1 M",
    live: MILLION,
    run: (heap) => pairs(heap, 2_500_000),
  },
  cache: {
    text: "5 M in pairs, 100,000 in a cache, beside 1 M",
    live: MILLION,
    run: (heap, graph) => cachedPairs(heap, 2_500_000, 50_000, graph),
  },
  table: {
    text: "5 M through a table of 200,000, dead by counts",
    run: (heap) => table(heap, 5 * MILLION, 200_000),
  },
  trees: { text: "1,000 trees of 2,000, beside 1 M", live: MILLION, run: (heap) => trees(heap, 1000, 2000) },
  largeTrees: {
    text: "20 trees of 100,000, beside 1 M",
    live: MILLION,
    run: (heap) => trees(heap, 20, 100_000),
  },
  smallPairs: {
    text: "5 M in pairs, garbage at once, beside 10,000",
    live: SMALL,
    run: (heap) => pairs(heap, 2_500_000),
  },
  smallCache: {
    text: "5 M in pairs, 2,000 in a cache, beside 10,000",
    live: SMALL,
    run: (heap, graph) => cachedPairs(heap, 2_500_000, 1000, graph),
  },
  smallTrees: { text: "1,000 trees of 2,000, beside nothing", run: (heap) => trees(heap, 1000, 2000) },
};

export const ADAPTIVE_PROGRAMS = Object.entries(PROGRAMS).map(([name, { text }]) => ({ name, text }));

/** One program under one policy, in this process. */
export function adaptive(name, policy) {
  const { live = 0, run } = PROGRAMS[name];
  const heap = Heap.create();
  const graph = live === 0 ? undefined : makeGraph(heap, live);
  heap.gc.enable();
  run.length > 1 ? cachedPairs(heap, 10_000, 100, graph) : pairs(heap, 10_000);
  heap.gc.collect();
  globalThis.gc();
  heap.gc.setPolicy(policy);
  const { result, ...told } = heard(heap, () => run(heap, graph));
  if (result !== undefined) release(result);
  if (graph !== undefined) release(graph);
  heap.gc.collect();
  expect("live objects", heap.gc.getObjects().length, 0);
  return told;
}
