/** `node pyodide/program.mjs [iterations]`: one line of outcome. */
import { Heap } from "ouroheap";
import { makeHeap, outcome } from "../lib/judge.mjs";
import { COUNTER, load } from "./judge.mjs";
import { Interrupted, loadModels, runWorkbook } from "./workbook.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const STEPS = ["values", "listening", "kept", "changed"];

/** Every thirteenth iteration throws, at each step in turn. */
function interrupt(step, iteration) {
  if (iteration % 13 === 0 && step === STEPS[(iteration / 13) % STEPS.length]) throw new Interrupted(step);
}

const { pyodide, countReferences, countObjects } = await load();
const models = loadModels(pyodide);
// Python imports and caches at the first use. This heap disposes in any case.
await runWorkbook({ heap: Heap.create(), pyodide, models, iterations: 100 });
const objectsBefore = countObjects();
const before = countReferences();

const heap = makeHeap();
let failures = 0;
heap.onUnraisable = (error, where) => {
  failures++;
  console.error(where, error);
};
await runWorkbook({ heap, pyodide, models, iterations, interrupt });
const after = countReferences();
const objectsAfter = countObjects();
if (objectsAfter !== objectsBefore) console.error(`Python's objects: ${objectsBefore} -> ${objectsAfter}`);

const { version } = pyodide;
const line = outcome({ library: "pyodide", version, iterations, counter: COUNTER, before, after });
console.log(JSON.stringify({ ...line, ok: line.ok && objectsAfter === objectsBefore && failures === 0 }));
