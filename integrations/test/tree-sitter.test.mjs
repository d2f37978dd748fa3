import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Heap } from "ouroheap";
import { Interrupted, runIndex } from "../tree-sitter/code-index.mjs";
import { load } from "../tree-sitter/judge.mjs";

/** "owned" is inside a parse: the tree has an owner, and no file has the tree. */
const STEPS = ["parsed", "owned", "defined", "kept", "edited", "searched"];
const { language, countBlocks } = await load();
const newHeap = () => Heap.create({ maximumBytes: 16 << 20 });
runIndex({ heap: newHeap(), language, iterations: 20 });

function run(script, iterations, env = {}) {
  const path = fileURLToPath(new URL(`../tree-sitter/${script}.mjs`, import.meta.url));
  const stdout = execFileSync(process.execPath, [path, String(iterations)], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

test("tree-sitter: the blocks in use go back", () => {
  const { ok, before, after, iterations } = run("program", 300);
  assert.deepEqual([ok, after, iterations], [true, before, 300]);
});

test("tree-sitter: without disposal the judge says so, and the process goes on", () => {
  const { ok, before, after } = run("program", 300, { OUROHEAP_LEAK: "1" });
  assert.equal(ok, false);
  assert.ok(after > before);
});

test("tree-sitter: trees deleted by hand leak", () => {
  const { before, after } = run("leaking", 300);
  assert.ok(after > before + 300);
});

test("tree-sitter: the count sees one tree", async () => {
  const { Parser } = await import("web-tree-sitter");
  const parser = new Parser().setLanguage(language);
  const tree = parser.parse("let one = 1;");
  const withTree = countBlocks();
  tree.delete();
  assert.ok(countBlocks() < withTree);
  parser.delete();
});

for (const step of STEPS)
  test(`tree-sitter: a throw at "${step}" changes nothing`, () => {
    const before = countBlocks();
    const heap = newHeap();
    const errors = [];
    heap.onUnraisable = (error) => errors.push(error);
    const interrupt = (reached) => {
      if (reached === step) throw new Interrupted(step);
    };
    const { rejected } = runIndex({ heap, language, iterations: 60, interrupt });
    assert.deepEqual([countBlocks(), heap.adoptedCount, errors], [before, 0, []]);
    assert.ok(rejected >= (step === "edited" ? 20 : 50)); // each third file is edited
  });

test("tree-sitter: what must throw throws, and nothing else does", () => {
  const { indexed, rejected } = runIndex({ heap: newHeap(), language, iterations: 100 });
  const failing = Array.from({ length: 100 }, (_, i) => i).filter((i) => i % 7 === 0 || i % 11 === 0).length;
  assert.deepEqual([indexed, rejected], [100 - failing, failing]);
});

test("tree-sitter: what leaves the cache goes while the program runs", () => {
  const heap = newHeap();
  let most = 0;
  const interrupt = () => {
    most = Math.max(most, heap.adoptedCount);
  };
  runIndex({ heap, language, iterations: 600, interrupt });
  assert.ok(most < 400, `at most ${most} values at once, of more than 1,500`);
});
