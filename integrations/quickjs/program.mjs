/** `node quickjs/program.mjs [iterations]`: one line of outcome. */
import { createRequire } from "node:module";
import { Heap } from "ouroheap";
import { makeHeap, outcome } from "../lib/judge.mjs";
import { COUNTER, debug, release, watch } from "./judge.mjs";
import { Interrupted, runPlugins } from "./plugins.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
/** The debug build traces every allocation, and is twenty times slower. */
const debugIterations = Math.min(iterations, 200);
/** Enough for every path of the scripts. Its heap disposes in any case. */
const WARM_UP = 100;
const STEPS = ["settings", "subscribable", "loaded", "emitted", "cached"];

/** Every thirteenth iteration throws, at each step in turn. */
function interrupt(step, iteration) {
  if (iteration % 13 === 0 && step === STEPS[(iteration / 13) % STEPS.length]) throw new Interrupted(step);
}

const problems = [];
async function measure(variant, count) {
  const heap = makeHeap();
  heap.onUnraisable = (error, where) => problems.push(`${where}: ${error.message}`);
  const measured = await watch(
    variant,
    (module, context) => runPlugins({ heap: Heap.create(), module, context, iterations: WARM_UP }),
    (module, context) => runPlugins({ heap, module, context, iterations: count, interrupt }),
  );
  if (measured.complaint !== "") problems.push(measured.complaint);
  return measured;
}

const { before, after } = await measure(release, iterations);
if (before === after) {
  const debugged = await measure(debug, debugIterations);
  if (debugged.before !== debugged.after) problems.push("The debug build's count differs.");
}
for (const problem of problems.slice(0, 5)) console.error(problem);

const { version } = createRequire(import.meta.url)("quickjs-emscripten/package.json");
const line = outcome({ library: "quickjs-emscripten", version, iterations, counter: COUNTER, before, after });
console.log(JSON.stringify({ ...line, ok: line.ok && problems.length === 0 }));
