/**
 * Damage saved heaps and load them, each twice: as it is, and with its checksums made right again. The first must be refused;
 * the second refused, or a heap that `verify` accepts and that works to its end.
 *
 *   npm run -s build && node test/fuzz/image.mjs [--rounds 10000] [--seed 1] [--nodes 30]
 */
import { parseArgs } from "node:util";
import * as lib from "../../dist/index.js";
import { roots, verify } from "../../dist/inspect.js";
import { damage, KINDS, randomFrom, recompute } from "./damage.mjs";
import { build, declare, exercise } from "./worlds.mjs";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    nodes: { type: "string", default: "30" },
  },
});
const rounds = Number(options.rounds);
const seed = Number(options.seed);
const random = randomFrom(seed);
/** Damages to one saved heap before the next is built. */
const ROUNDS_A_HEAP = 100;
/** Characters of a root's line. */
const LINE_MAX = 4096;

const types = declare(lib);
const outcomes = new Map();
let slowest = { ms: 0 };
let failures = 0;
let bytes;

for (let round = 0; round < rounds; round++) {
  if (round % ROUNDS_A_HEAP === 0) bytes = buildImage();
  const kind = KINDS[round % KINDS.length];
  let damaged = bytes;
  while (Buffer.compare(damaged, bytes) === 0) damaged = damage(bytes, kind, random);
  await tryOne(round, kind, "as it is", damaged, false);
  await tryOne(round, kind, "recomputed", recompute(damaged), true);
}

console.log(`${rounds} damages, each tried twice; seed ${seed}`);
for (const [outcome, count] of [...outcomes].sort()) console.log(`${String(count).padStart(8)}  ${outcome}`);
console.log(`slowest load: ${slowest.ms.toFixed(1)} ms (${slowest.bytes} bytes, ${slowest.kind})`);
console.log(`${failures} failures`);
process.exitCode = failures > 0 ? 1 : 0;

function buildImage() {
  const { heap, roots } = build(lib, types, random, Number(options.nodes));
  const image = heap.saveBytes({ roots });
  heap[Symbol.dispose]();
  return image;
}

async function tryOne(round, kind, how, image, mayLoad) {
  const start = performance.now();
  let loaded;
  try {
    loaded = await lib.Heap.load(image, { types: [types.Node], checks: round % 2 === 0 ? "off" : "handles" });
  } catch (error) {
    count(`${how}: ${error instanceof lib.HeapError ? error.code : "FAILED"}`);
    if (!(error instanceof lib.HeapError)) fail(round, kind, how, error);
  }
  const ms = performance.now() - start;
  if (ms > slowest.ms) slowest = { ms, bytes: image.length, kind: `${kind}, ${how}` };
  if (loaded === undefined) return;
  count(`${how}: loaded`);
  if (!mayLoad) fail(round, kind, how, new Error("a damaged image was loaded"));
  try {
    for (const { madeAt } of roots(loaded.heap))
      if (madeAt.length > LINE_MAX) throw new Error(`a line of ${madeAt.length} characters was loaded`);
    exercise(lib, loaded, verify);
  } catch (error) {
    fail(round, kind, how, error);
  }
}

function count(outcome) {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

function fail(round, kind, how, error) {
  failures++;
  if (failures <= 10) console.error(`round ${round}, ${kind}, ${how}:`, error);
}
