import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { foreign, Heap, release, retain, struct } from "ouroheap";
import { load } from "../pyodide/judge.mjs";
import { Interrupted, loadModels, runWorkbook } from "../pyodide/workbook.mjs";

/** "row" is inside the iteration of a report, "saved" behind an `await`. */
const STEPS = ["values", "listening", "kept", "changed", "row", "saved"];
const { pyodide, countReferences, countObjects } = await load();
const models = loadModels(pyodide);
const newHeap = () => Heap.create({ maximumBytes: 16 << 20 });
await runWorkbook({ heap: newHeap(), pyodide, models, iterations: 100 });

function run(script, iterations, env = {}) {
  const path = fileURLToPath(new URL(`../pyodide/${script}.mjs`, import.meta.url));
  const stdout = execFileSync(process.execPath, [path, String(iterations)], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

test("pyodide: the counts go back", () => {
  const { ok, before, after, iterations } = run("program", 300);
  assert.deepEqual([ok, after, iterations], [true, before, 300]);
});

test("pyodide: without disposal the judge says so, and the process goes on", () => {
  const { ok, before, after } = run("program", 300, { OUROHEAP_LEAK: "1" });
  assert.equal(ok, false);
  assert.ok(after > before);
});

test("pyodide: proxies destroyed by hand leak", () => {
  const { before, after, pythonObjects } = run("leaking", 300);
  assert.ok(after > before + 200);
  assert.ok(pythonObjects[1] > pythonObjects[0]);
});

const View = struct("View", { model: foreign() });

/** @returns what breaks the cycle by hand */
function makeCycle(heap, { isTraversed }) {
  let self;
  const options = isTraversed ? { traverse: () => (self ? [self] : []) } : {};
  heap.scope((scope) => {
    const values = scope.own(pyodide.toPy([1, 2]));
    const model = scope.own(models.Sheet("sheet", values.value, null), options);
    const view = scope.new(View, { model });
    self = retain(view);
    model.value.listen(() => self.model);
  });
  return () => release(self);
}

test("pyodide: a cycle from JavaScript to Python and back is freed", () => {
  const before = countReferences();
  const heap = newHeap();
  makeCycle(heap, { isTraversed: true });
  assert.ok(countReferences() > before);
  assert.equal(heap.gc.collect(), 2);
  assert.equal(countReferences(), before);
});

test("pyodide: without `traverse` the same cycle lives until it is broken", () => {
  const before = countReferences();
  const heap = newHeap();
  const breakCycle = makeCycle(heap, { isTraversed: false });
  assert.equal(heap.gc.collect(), 0);
  assert.ok(countReferences() > before);
  breakCycle();
  assert.equal(countReferences(), before);
});

for (const step of STEPS)
  test(`pyodide: a throw at "${step}" changes nothing`, async () => {
    const objects = countObjects();
    const references = countReferences();
    const heap = newHeap();
    const errors = [];
    heap.onUnraisable = (error) => errors.push(error);
    const interrupt = (reached) => {
      if (reached === step) throw new Interrupted(step);
    };
    const { rejected } = await runWorkbook({ heap, pyodide, models, iterations: 60, interrupt });
    assert.deepEqual([countReferences(), heap.adoptedCount, errors], [references, 0, []]);
    assert.equal(countObjects(), objects);
    assert.ok(rejected >= (step === "saved" ? 15 : 40));
  });

test("pyodide: what must throw throws, and nothing else does", async () => {
  const { opened, rejected } = await runWorkbook({ heap: newHeap(), pyodide, models, iterations: 100 });
  const failing = Array.from({ length: 100 }, (_, i) => i).filter((i) => i % 7 === 0 || i % 11 === 0).length;
  assert.deepEqual([opened, rejected], [100 - failing, failing]);
});
