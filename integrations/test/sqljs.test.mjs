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

test("tenants go while the program runs: by count, and those on cycles by the automatic collection", async () => {
  const { SQL, bytesInUse } = await openSqlJs();
  const heap = makeHeap();
  serve(SQL, heap, 50);
  let most = 0;
  serve(SQL, heap, 2_000, () => {
    most = Math.max(most, bytesInUse());
    return false;
  });
  assert.ok(most < 16 << 20, `at most ${most} bytes in use`);
});
