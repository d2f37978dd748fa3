/**
 * The same tree as plain JavaScript objects, in the same process: the same fields, the same loader, the same walk, the
 * same parser's tree to load from.
 *
 * V8 remembers at each place in the code which classes pass through it. So that neither side spoils it for the other,
 * the plain objects get copies of the loader and of the query: the same files, imported under another name.
 */
import { release } from "ouroheap";
import { heapStore } from "./heap-store.mjs";
import { parseInput } from "./input.mjs";
import * as loader from "./load.mjs";
import { load as loadPlain } from "./load.mjs?plain";
import { best, collectV8, timed, v8BytesUsed } from "./measure.mjs";
import { plainStore } from "./plain-store.mjs";
import { decimal, heading, milliseconds, table, text } from "./print.mjs";
import * as query from "./query.mjs";
import * as plainQuery from "./query.mjs?plain";

const ROUNDS = 3;
/** Below this the table needs a warning. */
const NODES_MIN = 50_000;

/**
 * @param {import("ouroheap").Heap} heap an empty one
 * @param {import("./input.mjs").Input} input
 */
export function compare(heap, input) {
  heading("5. The same tree as plain JavaScript objects");
  // Nobody else may hold them: what is freed below has to go.
  const trees = { heap: undefined, plain: undefined, nodeCount: 0 };
  const loads = measureLoads(heap, input, trees);
  const walks = measureWalks(input, trees);
  const ends = measureEnds(heap, trees);
  printTable(trees.nodeCount, loads, walks, ends);
  printNotes(trees.nodeCount);
}

/** Load both trees, several times each, from one parser's tree, which is garbage afterwards. */
function measureLoads(heap, input, trees) {
  const parsed = parseInput(input);
  const heapMs = best(ROUNDS, () => timeHeapLoad(heap, parsed, trees));
  heap.gc.disable();
  const undisturbedMs = best(ROUNDS, () => timeHeapLoad(heap, parsed, trees));
  heap.gc.enable();
  const plainMs = best(ROUNDS, () => timePlainLoad(parsed, trees));
  return { heapMs, undisturbedMs, plainMs };
}

function timeHeapLoad(heap, parsed, trees) {
  if (trees.heap !== undefined) freeHeapTree(heap, trees);
  collectV8();
  const { result, ms } = timed(() => loader.load(parsed, heapStore(heap)));
  trees.heap = result.root;
  return ms;
}

function freeHeapTree(heap, trees) {
  release(trees.heap);
  trees.heap = undefined;
  heap.gc.collect();
}

function timePlainLoad(parsed, trees) {
  trees.plain = undefined;
  collectV8();
  const { result, ms } = timed(() => loadPlain(parsed, plainStore()));
  trees.plain = result.root;
  trees.nodeCount = result.nodeCount;
  return ms;
}

function measureWalks(input, trees) {
  const heapMs = timeWalk(query, input, trees.heap);
  const plainMs = timeWalk(plainQuery, input, trees.plain);
  return { heapMs, plainMs };
}

function timeWalk({ countNames, questionFor }, input, root) {
  const { nameOf } = questionFor(input);
  return best(ROUNDS, () => timed(() => countNames(root, nameOf)).ms);
}

/** What each tree takes up, what a collection of V8 takes while it lives, and what it takes to free it. */
function measureEnds(heap, trees) {
  heap.gc.collect();
  const heapBytes = heap.bytesUsed;
  const plainBytes = v8BytesUsed();
  const plainStallMs = timeV8Collection();
  trees.plain = undefined;
  const plainFreeMs = timed(collectV8).ms;
  const otherBytes = v8BytesUsed();
  const heapStallMs = timeV8Collection();
  const heapFreeMs = timed(() => freeHeapTree(heap, trees)).ms;
  return {
    heapBytes,
    plainBytes: plainBytes - otherBytes,
    plainStallMs,
    plainFreeMs,
    heapStallMs,
    heapFreeMs,
  };
}

function timeV8Collection() {
  return best(ROUNDS, () => timed(collectV8).ms);
}

function printTable(nodeCount, loads, walks, ends) {
  const perNode = (bytes) => decimal(bytes / nodeCount);
  // V8 tells only what its whole heap holds: the bytes of a small tree are lost in what else comes and goes there.
  const plainBytesPerNode = nodeCount < NODES_MIN ? "n/a" : perNode(ends.plainBytes);
  const time = milliseconds;
  table([
    ["", "in the heap", "plain objects"],
    ["bytes a node, names and texts included", perNode(ends.heapBytes), plainBytesPerNode],
    ["load, with all collections on the way", time(loads.heapMs), time(loads.plainMs)],
    ["load, automatic collections off", time(loads.undisturbedMs), ""],
    ["visit every node", time(walks.heapMs), time(walks.plainMs)],
    ["free the tree", time(ends.heapFreeMs), time(ends.plainFreeMs)],
    ["one full collection of V8 while it lives", time(ends.heapStallMs), time(ends.plainStallMs)],
  ]);
}

function printNotes(nodeCount) {
  text();
  text(
    `Times are the best of ${ROUNDS}; freeing is done once. Both sides load from one and the same parser's tree, and`,
    "parsing is not in the times. Freeing is release() and gc.collect() in the heap; for plain objects it is one",
    "full collection of V8, forced, which leaves sweeping for later. Left alone V8 frees a tree some time or",
    "other, and until then goes through all of it at each full collection.",
  );
  if (nodeCount < NODES_MIN)
    text("So small a tree says little: what is there once, at any size, outweighs it.");
}
