/** The life of a tree, in four acts: it is loaded and asked, replaced, leaked, and freed. */
import { is, release } from "ouroheap";
import { roots, rootsOf, takeSnapshot } from "ouroheap/inspect";
import { heapStore } from "./heap-store.mjs";
import { InputError, parseInput, placeOf } from "./input.mjs";
import { rememberFirstUse } from "./lint-rule.mjs";
import { load } from "./load.mjs";
import { CollectionWatch, timed, v8BytesUsed } from "./measure.mjs";
import { count, heading, megabytes, milliseconds, row, text, twoColumns } from "./print.mjs";
import { startProgress, startRepeatedProgress } from "./progress.mjs";
import { countNames, questionFor, topTen } from "./query.mjs";
import { kinds } from "./tables.mjs";

/**
 * @typedef {object} Stage what every act works with
 * @property {import("ouroheap").Heap} heap
 * @property {import("./input.mjs").Input} input
 * @property {() => void} check verifies the heap, if that is wanted
 */

/** @typedef {{ root: object, nodeCount: number }} Tree its root is a handle */

/** @param {Stage} stage */
export function tellStory(stage) {
  const first = loadFirstTree(stage);
  const topName = ask(stage, first);
  const second = replaceTree(stage, first);
  const kept = leakTree(stage, second, topName);
  freeTree(stage, second, kept);
}

// -- 1 ------------------------------------------------------------------------------------------

/** @param {Stage} stage */
function loadFirstTree(stage) {
  const { heap, input } = stage;
  heading("1. A tree is loaded and asked");
  const v8BytesBefore = v8BytesUsed();
  const tree = parseAndLoad(stage, startProgress);
  if (tree.nodeCount < 2) {
    release(tree.root);
    throw new InputError(`${input.name} is a single node: there is no tree to show.`);
  }
  row("the heap holds", megabytes(heap.bytesUsed), `${count(heap.bytesUsed / tree.nodeCount)} bytes a node`);
  const v8Growth = Math.max(0, v8BytesUsed() - v8BytesBefore);
  row("V8's own heap grew by", megabytes(v8Growth), "the tree is outside it");
  return tree;
}

/**
 * The parser's own tree is garbage when this returns.
 *
 * @param {Stage} stage
 * @param {() => import("./progress.mjs").Progress} start
 * @returns {Tree}
 */
function parseAndLoad({ heap, input, check }, start) {
  const parsed = timed(() => parseInput(input));
  row("parsed in", milliseconds(parsed.ms), "by acorn");
  const progress = start();
  const watch = new CollectionWatch(heap);
  const onProgress = (done, nodeCount) => progress.update(done, nodeCount);
  const loaded = timed(() => load(parsed.result, heapStore(heap), onProgress));
  watch.stop();
  progress.stop();
  const collections = `${milliseconds(watch.totalMs)} of it automatic collections (${count(watch.count)})`;
  row("loaded in", milliseconds(loaded.ms), `${count(loaded.result.nodeCount)} nodes; ${collections}`);
  check();
  return loaded.result;
}

/** @returns {string} the name at the top of the list; "" if the list is empty */
function ask({ input }, { root }) {
  const { title, nameOf } = questionFor(input);
  const counted = timed(() => countNames(root, nameOf));
  const top = topTen(counted.result);
  row("every node visited in", milliseconds(counted.ms), "through typed views: node.first, call.callee, ...");
  text();
  text(`${title}:`);
  if (top.length === 0) text("  there are none");
  else twoColumns(top.map(([name, times]) => [name, count(times)]));
  return top.length === 0 ? "" : top[0][0];
}

// -- 2 ------------------------------------------------------------------------------------------

/** @returns {Tree} */
function replaceTree(stage, first) {
  const { heap } = stage;
  heading("2. The file is parsed again; the new tree replaces the old one");
  const second = parseAndLoad(stage, startRepeatedProgress);
  row("the heap holds", megabytes(heap.bytesUsed), "both trees");
  text(
    "The old tree is dropped. Its nodes refer to one another, parents to children and back, so no count",
    "comes to zero; that nobody can reach them any more only the collector finds out.",
  );
  dropTree(stage, first, first.root);
  row("the heap holds", megabytes(heap.bytesUsed), "the new tree");
  return second;
}

/** Give up a handle, then collect, and say what each of the two freed. @returns {number} objects freed in all */
function dropTree({ heap, check }, { nodeCount }, handle) {
  const ofAll = `of ${count(nodeCount)} nodes freed`;
  const before = objectCount(heap);
  const released = timed(() => release(handle));
  const between = objectCount(heap);
  const collected = timed(() => heap.gc.collect());
  row("release(handle)", milliseconds(released.ms), `${count(before - between)} ${ofAll} by counts alone`);
  row("gc.collect()", milliseconds(collected.ms), `${count(collected.result)} ${ofAll}`);
  check();
  return before - between + collected.result;
}

const objectCount = (heap) => heap.gc.getObjects().length;

// -- 3 ------------------------------------------------------------------------------------------

/** @returns the handle that keeps the tree */
function leakTree(stage, second, topName) {
  const { heap, input } = stage;
  heading("3. A leak: a linter's rule remembers one node of a tree that is then dropped");
  const kept = rememberFirstUse(second.root, questionFor(input).nameOf, topName);
  text(`The node: ${describe(input, kept)}, in ${input.name}`);
  const freed = dropTree(stage, second, second.root);
  if (freed !== 0) throw new Error(`${freed} objects were freed while one handle should have kept them all.`);
  row("the heap holds", megabytes(heap.bytesUsed), "a node holds its parent, that one its children, ...");
  text();
  explainLeak(stage, kept);
  return kept;
}

/** Who keeps the tree: from outside the heap, and inside it. */
function explainLeak({ heap, input }, kept) {
  text("Who keeps it alive? The handles that are still held, by the lines that made them (roots):");
  for (const { typeName, madeAt } of roots(heap)) text(`  ${typeName}, made at ${innermost(madeAt)}`);
  const looked = timed(() => takeSnapshot(heap));
  const snapshot = looked.result;
  const node = snapshot.nodeOf(kept);
  const sized = timed(() => snapshot.retainedSize(node));
  text("What it keeps, and what keeps it, from a snapshot of the graph (takeSnapshot):");
  row(
    "snapshot",
    milliseconds(looked.ms),
    `${count(snapshot.nodeCount)} objects, ${count(snapshot.edgeCount)} references`,
  );
  row("retained by the handle", megabytes(sized.result), `found in ${milliseconds(sized.ms)}`);
  text(`  ${snapshot.retainingPath(node).replace(/file:\/\/\S*\/(?=demo\/)/, "")}`);
  if (rootsOf(kept).length !== 1) throw new Error("The handle that keeps the tree was not recorded.");
  text("And in the heap, the objects that refer to the node (gc.getReferrers):");
  const referrers = heap.gc.getReferrers(kept);
  for (const referrer of referrers.slice(0, REFERRERS_SHOWN))
    text(`  ${describe(input, referrer)}, by its .${linkTo(kept, referrer)}`);
  if (referrers.length > REFERRERS_SHOWN) text(`  and ${count(referrers.length - REFERRERS_SHOWN)} more`);
}

const REFERRERS_SHOWN = 4;
const SNIPPET_LENGTH = 32;

/** What a node is, how it begins, and where it stands in the source. */
function describe(input, node) {
  const line = input.text.slice(node.start, node.end).split("\n", 1)[0].trimEnd();
  const snippet = line.length > SNIPPET_LENGTH ? `${line.slice(0, SNIPPET_LENGTH)}...` : line;
  return `${kinds.nameOf(node.kind)} \`${snippet}\` at ${placeOf(input, node.start)}`;
}

/** The first line of a stack, without the way to this folder. */
function innermost(madeAt) {
  return madeAt.split("\n", 1)[0].replace(/\(.*(?=\bdemo\/)/, "(");
}

/** The name of the link by which one node refers to another. */
function linkTo(target, referrer) {
  return ["parent", "next", "first"].find((link) => is(referrer[link], target));
}

// -- 4 ------------------------------------------------------------------------------------------

function freeTree(stage, second, kept) {
  heading("4. The rule lets go of its node");
  dropTree(stage, second, kept);
  row("objects left in the heap", count(objectCount(stage.heap)));
}
