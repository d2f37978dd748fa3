import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openCanvasKit } from "../canvaskit/open.mjs";
import { draw } from "../canvaskit/tiles.mjs";
import { makeHeap } from "../lib/judge.mjs";
import { mallocInUse } from "../lib/malloc.mjs";

const { CanvasKit, bytesInUse } = await openCanvasKit();

function run(script, iterations, env = {}) {
  const path = fileURLToPath(new URL(`../canvaskit/${script}`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, String(iterations)], {
    encoding: "utf8",
    env: { ...process.env, OUROHEAP_LEAK: "", ...env },
  });
  assert.equal(status, 0, stderr);
  return { ...JSON.parse(stdout.trim().split("\n").at(-1)), stderr };
}

test("the program gives every byte back, and reports no handle", () => {
  const { ok, before, after, stderr } = run("program.mjs", 300);
  assert.equal(after, before);
  assert.equal(ok, true);
  assert.equal(stderr, "");
});

test("without disposal the same program leaks, so the judge can fail", () => {
  const { ok, before, after } = run("program.mjs", 300, { OUROHEAP_LEAK: "1" });
  assert.equal(ok, false);
  assert.ok(after - before > 1 << 20);
});

test("the version without an owner leaks", () => {
  assert.equal(run("leaking.mjs", 300).ok, false);
});

test("a throw in the middle changes nothing", () => {
  const heap = makeHeap();
  draw(CanvasKit, heap, 100);
  const before = bytesInUse();
  for (const isBroken of [() => false, () => true, (tile) => tile % 2 === 1]) {
    draw(CanvasKit, heap, 100, isBroken);
    assert.equal(bytesInUse(), before);
    assert.equal(heap.adoptedCount, 0);
  }
});

test("the tiles are drawn, and those that throw are not served", () => {
  const heap = makeHeap();
  const all = draw(CanvasKit, heap, 70, () => false);
  const half = draw(CanvasKit, heap, 70, (tile) => tile % 2 === 1);
  assert.equal(
    draw(CanvasKit, heap, 70, () => true),
    0,
  );
  assert.ok(all > 70 * 200, "an empty tile is a PNG of less");
  assert.ok(half > 0 && half < all);
});

test("layers go while the program runs, by the automatic collection: the heap is told the tiles' bytes", () => {
  assert.ok(mostBytes(makeHeap()) < 600_000);
  const withoutCollection = makeHeap();
  withoutCollection.gc.disable();
  assert.ok(mostBytes(withoutCollection) > 1_500_000);
});

function mostBytes(heap) {
  let most = 0;
  draw(CanvasKit, heap, 2_000, () => {
    most = Math.max(most, bytesInUse());
    return false;
  });
  return most;
}

test("the judge sees every block, and refuses memory without books", () => {
  const blocks = () => mallocInUse(CanvasKit.HEAPU8.buffer);
  const before = blocks();
  const [small, large] = [CanvasKit._malloc(40), CanvasKit._malloc(100_000)];
  const during = blocks();
  assert.equal(during.blocks, before.blocks + 2);
  assert.ok(during.bytes >= before.bytes + 100_040 && during.bytes < before.bytes + 100_040 + 64);
  CanvasKit._free(small);
  CanvasKit._free(large);
  assert.deepEqual(blocks(), before);
  assert.throws(() => mallocInUse(new ArrayBuffer(1 << 16)), /no books of dlmalloc/);
});

test("without traverse the cycles through closures stay, until the heap is shut down", () => {
  draw(CanvasKit, makeHeap(), 100);
  const before = bytesInUse();
  const heap = withoutTraverse(makeHeap());
  draw(CanvasKit, heap, 50);
  assert.ok(bytesInUse() > before);
  heap.onLeakedHandle = () => {}; // the handles in the closures
  heap.shutdown();
  assert.equal(bytesInUse(), before);
});

/** The heap is not told what the closures hold. */
function withoutTraverse(heap) {
  const { own, adopt } = heap;
  heap.own = (value, { bytes, holds } = {}) => own.call(heap, value, { bytes, holds });
  heap.adopt = (value, dispose, { bytes, holds } = {}) => adopt.call(heap, value, dispose, { bytes, holds });
  return heap;
}
