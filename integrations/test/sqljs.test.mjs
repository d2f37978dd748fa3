import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeHeap } from "../lib/judge.mjs";
import { openSqlJs } from "../sqljs/open.mjs";
import { serve } from "../sqljs/shop.mjs";

function run(script, iterations, env = {}) {
  const path = fileURLToPath(new URL(`../sqljs/${script}`, import.meta.url));
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

test("a throw in the middle changes nothing", async () => {
  const { SQL, bytesInUse } = await openSqlJs();
  const heap = makeHeap();
  serve(SQL, heap, 50);
  const before = bytesInUse();
  for (const isBroken of [() => false, () => true, (request) => request % 2 === 1]) {
    const served = serve(SQL, heap, 100, isBroken);
    assert.equal(served, [...Array(100).keys()].filter((request) => !isBroken(request)).length);
    assert.equal(bytesInUse(), before);
    assert.equal(heap.adoptedCount, 0);
  }
});

test("tenants go while the program runs, by the automatic collection: the heap is told the databases' bytes", async () => {
  const { SQL, bytesInUse } = await openSqlJs();
  const mostBytes = (heap) => {
    let most = 0;
    serve(SQL, heap, 2_000, () => {
      most = Math.max(most, bytesInUse());
      return false;
    });
    return most;
  };
  assert.ok(mostBytes(makeHeap()) < 16 << 20);
  const withoutCollection = makeHeap();
  withoutCollection.gc.disable();
  assert.ok(mostBytes(withoutCollection) > 48 << 20);
});

test("without traverse the cycles through closures stay, until the heap is shut down", async () => {
  const { SQL, bytesInUse } = await openSqlJs();
  serve(SQL, makeHeap(), 50);
  const before = bytesInUse();
  const heap = withoutTraverse(makeHeap());
  serve(SQL, heap, 50);
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
