/** `node tree-sitter/program.mjs [iterations]`: one line of outcome. */
import { readFileSync } from "node:fs";
import { Heap } from "ouroheap";
import { makeHeap, outcome } from "../lib/judge.mjs";
import { Interrupted, runIndex } from "./code-index.mjs";
import { COUNTER, load } from "./judge.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const { version } = JSON.parse(
  readFileSync(new URL("package.json", import.meta.resolve("web-tree-sitter")), "utf8"),
);
const STEPS = ["parsed", "defined", "kept", "edited", "searched"];

/** Every thirteenth iteration throws, at each step in turn. */
function interrupt(step, iteration) {
  if (iteration % 13 === 0 && step === STEPS[(iteration / 13) % STEPS.length]) throw new Interrupted(step);
}

const { language, countBlocks } = await load();
// tree-sitter keeps the memory of its first query for the next ones. This heap disposes in any case.
runIndex({ heap: Heap.create(), language, iterations: 20 });
const before = countBlocks();
const heap = makeHeap();
let failures = 0;
heap.onUnraisable = (error, where) => {
  failures++;
  console.error(where, error);
};
runIndex({ heap, language, iterations, interrupt });
const after = countBlocks();

const line = outcome({ library: "web-tree-sitter", version, iterations, counter: COUNTER, before, after });
console.log(JSON.stringify({ ...line, ok: line.ok && failures === 0 }));
