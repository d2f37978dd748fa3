/**
 * syntax_tree: the store of `npm start`: the syntax tree of the TypeScript compiler, 949,000 nodes with parent, first child and next
 * sibling, loaded from the parser's tree, walked by a question, and dropped. Both sides use the demo's own code.
 */
import { Heap, release } from "ouroheap";
import { heapStore } from "../demo/heap-store.mjs";
import { parseInput, readInput } from "../demo/input.mjs";
import { load } from "../demo/load.mjs";
import { plainStore } from "../demo/plain-store.mjs";
import { countNames, questionFor } from "../demo/query.mjs";
import { timed } from "./lib/measure.mjs";
import { wholeProgram } from "./lib/whole.mjs";

const ROUNDS = 5;
const WARM_UPS = 2;

function ours() {
  const heap = Heap.create();
  return steps(heapStore(heap), (root) => {
    release(root);
    heap.gc.collect();
  });
}

/** Plain objects are let go, and V8 is made to collect them: that leaves sweeping for later. */
function v8() {
  return steps(plainStore(), () => globalThis.gc());
}

function steps(store, end) {
  const input = readInput();
  const { nameOf } = questionFor(input);
  const parsed = parseInput(input);

  function run() {
    globalThis.gc();
    let loaded = timed(() => load(parsed, store));
    const walked = timed(() => countNames(loaded.result.root, nameOf));
    const { nodeCount } = loaded.result;
    const names = [...walked.result.values()].reduce((sum, count) => sum + count, 0);
    let { root } = loaded.result;
    loaded = { ms: loaded.ms };
    const dropped = timed(() => {
      const last = root;
      root = undefined;
      end(last);
    });
    return { ms: loaded.ms, walkMs: walked.ms, dropMs: dropped.ms, result: [nodeCount, names] };
  }

  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) run();
  return { run };
}

export const contenders = { ours, v8 };

export const jobs = [
  wholeProgram({
    id: "syntax_tree",
    group: "syntax",
    n: 949_000,
    ours: { ours: { shape: "", checks: "handles" } },
    peers: [],
    rounds: ROUNDS,
    measures: { ms: "load", walkMs: "walk", dropMs: "drop" },
  }),
];
