/**
 * trace_overhead: what `ouroheap/inspect`'s tracing adds to building and dropping a list, by how many allocations it records;
 * and trace_snapshot: how long a snapshot of what was recorded takes.
 */
import { f64, Heap, optional, release, struct } from "ouroheap";
import { tracemalloc } from "ouroheap/inspect";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { nodeSide, withSides } from "./lib/sides.mjs";

const NODES = 50_000;
const SNAPSHOT_NODES = 1_000_000;
const FRAMES = 25;
const ROUNDS = 5;
const WARM_UPS = 2;
const NS_PER_MS = 1e6;

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  v: f64,
}) {}

function buildAndDrop(heap, count) {
  let head = heap.new(Node, { next: null, v: 0.5 });
  for (let i = 1; i < count; i++) {
    const node = heap.new(Node, { next: head, v: i + 0.5 });
    release(head);
    head = node;
  }
  return head;
}

/** @param every none: nothing is traced; 0: it was traced, and no longer is */
function building({ every }) {
  const heap = Heap.create({ checks: "off" });
  if (every !== undefined) tracemalloc.start(heap, { frames: FRAMES, every: every || 1 });
  if (every === 0) {
    release(buildAndDrop(heap, 1000));
    tracemalloc.stop(heap);
  }
  const work = () => release(buildAndDrop(heap, NODES));
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) work();
  return { run: () => ({ ms: timed(work).ms }) };
}

function snapshotting({ every }) {
  const heap = Heap.create({ checks: "off" });
  tracemalloc.start(heap, { frames: 1, every });
  const head = buildAndDrop(heap, SNAPSHOT_NODES);
  const run = () => {
    const { ms, result } = timed(() => tracemalloc.snapshot(heap));
    const { objects } = result.total;
    if (every === 1) expect("objects in the snapshot", objects >= SNAPSHOT_NODES, true);
    expect("the list is held", head.v, SNAPSHOT_NODES - 0.5);
    return { ms };
  };
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) run();
  return { run };
}

export const contenders = { build: building, snapshot: snapshotting };

async function measure(makers) {
  const samples = new Samples();
  await withSides(makers, async (contest) => {
    for (let round = 0; round < ROUNDS; round++) samples.add(await contest.all("run"));
  });
  return samples;
}

const withNanoseconds = (line) => ({
  ...line,
  ours_ns: Number(((line.ours_ms * NS_PER_MS) / line.n).toPrecision(3)),
});

const overhead = {
  ids: ["trace_overhead"],
  async run() {
    const modes = { off: undefined, stopped: 0, every_100: 100, every_1: 1 };
    const sides = Object.entries(modes).map(([name, every]) => [name, nodeSide("trace", "build", { every })]);
    const samples = await measure(Object.fromEntries(sides));
    const row = { bench: "trace_overhead", n: NODES, checks: "off", unit: "ms" };
    return Object.keys(modes)
      .slice(1)
      .flatMap((name) => compare({ ...row, shape: `${name}, ${FRAMES} frames` }, samples, name, ["off"]))
      .map(withNanoseconds);
  },
};

const snapshot = {
  ids: ["trace_snapshot_1m"],
  async run() {
    const samples = await measure({
      every_1: nodeSide("trace", "snapshot", { every: 1 }),
      every_100: nodeSide("trace", "snapshot", { every: 100 }),
    });
    const row = { bench: "trace_snapshot_1m", n: SNAPSHOT_NODES, checks: "off", unit: "ms", shape: "a list" };
    return compare(row, samples, "every_1", ["every_100"]).map(withNanoseconds);
  },
};

export const jobs = [overhead, snapshot];
