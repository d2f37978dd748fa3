import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeHeap } from "../lib/judge.mjs";
import { openTensorFlow } from "../tfjs/open.mjs";
import { train } from "../tfjs/training.mjs";

const tf = await openTensorFlow();

function run(script, iterations, env = {}) {
  const path = fileURLToPath(new URL(`../tfjs/${script}`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, String(iterations)], {
    encoding: "utf8",
    env: { ...process.env, OUROHEAP_LEAK: "", ...env },
  });
  assert.equal(status, 0, stderr);
  return { ...JSON.parse(stdout.trim().split("\n").at(-1)), stderr };
}

test("the program disposes of every tensor, and reports no handle", () => {
  const { ok, before, after, stderr } = run("program.mjs", 300);
  assert.equal(after, before);
  assert.equal(ok, true);
  assert.doesNotMatch(stderr, /Ouroheap/);
});

test("without disposal the same program leaks, so the judge can fail", () => {
  const { ok, before, after } = run("program.mjs", 300, { OUROHEAP_LEAK: "1" });
  assert.equal(ok, false);
  assert.ok(after - before > 1_000);
});

test("the version without an owner leaks", () => {
  assert.equal(run("leaking.mjs", 300).ok, false);
});

test("a throw in the middle, before or after an await, changes nothing", async () => {
  const heap = makeHeap();
  const { numTensors, numBytes } = tf.memory();
  for (const isBroken of [() => false, () => true, (step) => step % 2 === 1, (step) => step % 2 === 0]) {
    const { succeeded, logged } = await train(tf, heap, 100, isBroken);
    assert.equal(succeeded, [...Array(100).keys()].filter((step) => !isBroken(step)).length);
    assert.equal(logged, succeeded, "every asynchronous disposal was waited for");
    assert.equal(tf.memory().numTensors, numTensors);
    assert.equal(tf.memory().numBytes, numBytes);
    assert.equal(heap.adoptedCount, 0);
  }
});

test("models go while the program runs, by the automatic collection: the heap is told the tensors' bytes", async () => {
  assert.ok((await mostTensors(makeHeap())) < 300);
  const withoutCollection = makeHeap();
  withoutCollection.gc.disable();
  assert.ok((await mostTensors(withoutCollection)) > 500);
});

async function mostTensors(heap) {
  let most = 0;
  await train(tf, heap, 2_000, () => {
    most = Math.max(most, tf.memory().numTensors);
    return false;
  });
  return most;
}

test("without traverse the cycles through closures stay, until the heap is shut down", async () => {
  const { numTensors } = tf.memory();
  const heap = withoutTraverse(makeHeap());
  await train(tf, heap, 50);
  assert.ok(tf.memory().numTensors > numTensors);
  heap.onLeakedHandle = () => {}; // the handles in the closures
  heap.shutdown();
  assert.equal(tf.memory().numTensors, numTensors);
});

/** The heap is not told what the closures hold. */
function withoutTraverse(heap) {
  const { own, adopt } = heap;
  heap.own = (value, { bytes, holds } = {}) => own.call(heap, value, { bytes, holds });
  heap.adopt = (value, dispose, { bytes, holds } = {}) => adopt.call(heap, value, dispose, { bytes, holds });
  return heap;
}
