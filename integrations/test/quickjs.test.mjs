import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Heap } from "ouroheap";
import { debug, watch } from "../quickjs/judge.mjs";
import { Interrupted, runPlugins } from "../quickjs/plugins.mjs";

const STEPS = ["settings", "subscribable", "loaded", "emitted", "cached"];

function run(script, iterations, env = {}) {
  const path = fileURLToPath(new URL(`../quickjs/${script}.mjs`, import.meta.url));
  const stdout = execFileSync(process.execPath, [path, String(iterations)], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

test("quickjs: the count goes back, and the runtime's own assertion passes", () => {
  const { ok, before, after, iterations } = run("program", 300);
  assert.deepEqual([ok, after, iterations], [true, before, 300]);
});

test("quickjs: without disposal the judge says so, and the process goes on", () => {
  const { ok, before, after } = run("program", 300, { OUROHEAP_LEAK: "1" });
  assert.equal(ok, false);
  assert.ok(after > before);
});

test("quickjs: handles disposed of by hand leak", () => {
  const { before, after, complaint } = run("leaking", 300);
  assert.ok(after > before);
  assert.match(complaint, /gc_obj_list/);
});

test("quickjs: a throw at any step changes nothing", async () => {
  const heap = Heap.create({ maximumBytes: 16 << 20 });
  const errors = [];
  heap.onUnraisable = (error) => errors.push(error);
  const warmUp = (module, context) => runPlugins({ heap, module, context, iterations: 20 });
  for (const step of STEPS) {
    const interrupt = (reached) => {
      if (reached === step) throw new Interrupted(step);
    };
    const { before, after, result, complaint } = await watch(debug, warmUp, (module, context) =>
      runPlugins({ heap, module, context, iterations: 20, interrupt }),
    );
    assert.deepEqual([after, complaint, errors, heap.adoptedCount], [before, "", [], 0], step);
    assert.ok(result.rejected >= 18, `${step} was reached`); // documents 7, 14 and 11 fail before some of the steps
  }
});

test("quickjs: what must throw throws, and nothing else does", async () => {
  const heap = Heap.create({ maximumBytes: 16 << 20 });
  const { result } = await watch(
    debug,
    () => {},
    (module, context) => runPlugins({ heap, module, context, iterations: 100 }),
  );
  const failing = Array.from({ length: 100 }, (_, i) => i).filter((i) => i % 7 === 0 || i % 11 === 0).length;
  assert.deepEqual([result.handled, result.rejected], [100 - failing, failing]);
});
