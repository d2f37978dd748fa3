/**
 * snapshot_1m, retained_1m: copying the object graph of a heap, and finding what each object keeps alive. There is no peer:
 * V8 can write its own heap to a file, which is another task.
 */
import { f64, Heap, list, optional, release, struct } from "ouroheap";
import { takeSnapshot } from "ouroheap/inspect";
import { targetsOf } from "./lib/graphs.mjs";
import { expect, median, timed } from "./lib/measure.mjs";
import { nodeSide, withSides } from "./lib/sides.mjs";

const NODES = 1_000_000;
const ROUNDS = 5;
/** What one snapshot of a small heap teaches the engine. */
const WARM_UP_NODES = 20_000;
const SHAPES = ["random", "near", "ring", "next20"];

class Node extends struct("Node", {
  get a() {
    return optional(Node);
  },
  get b() {
    return optional(Node);
  },
  get c() {
    return optional(Node);
  },
  v: f64,
}) {}

/** A list that holds all nodes: without it most of a random graph would hang on a few. */
function build(shape, n) {
  const heap = Heap.create({ checks: "off" });
  heap.gc.disable();
  const nodes = heap.new(list(Node), []);
  for (let i = 0; i < n; i++) nodes.push({ v: i + 0.5 });
  const targets = targetsOf(shape, n);
  for (let i = 0; i < n; i++) {
    const node = nodes.at(i);
    node.a = nodes.at(targets[i * 3]);
    node.b = nodes.at(targets[i * 3 + 1]);
    node.c = nodes.at(targets[i * 3 + 2]);
  }
  return { heap, nodes };
}

/** Both steps of one snapshot, each in milliseconds and in bytes that the process has grown by at most. */
function measureOnce(heap) {
  globalThis.gc();
  const before = process.memoryUsage().rss;
  const { ms, result: snapshot } = timed(() => takeSnapshot(heap));
  const bytes = process.memoryUsage().rss - before;
  const { ms: retainedMs, result: all } = timed(() => snapshot.retainedSize(0));
  const retainedBytes = process.memoryUsage().rss - before;
  let sum = 0;
  for (let node = 0; node < snapshot.nodeCount; node++) sum += snapshot.selfSize(node);
  expect("bytes retained by the root", all, sum);
  return { ms, retainedMs, bytes, retainedBytes, nodes: snapshot.nodeCount, edges: snapshot.edgeCount };
}

function inspecting({ shape, n }) {
  const small = build(shape, WARM_UP_NODES);
  measureOnce(small.heap);
  release(small.nodes);
  const { heap } = build(shape, n);
  return {
    run: () => {
      const measured = measureOnce(heap);
      expect("nodes", measured.nodes, n + 2);
      expect("references", measured.edges, n * 4 + 1);
      return { ...measured, heapBytes: heap.bytesUsed };
    },
  };
}

export const contenders = { inspect: inspecting };

/** The first round grows the process; later ones find its memory there. */
function lineOf(bench, shape, answers, pick, pickBytes, ceilingMs) {
  const { heapBytes } = answers[0];
  const bytes = pickBytes(answers[0]);
  return {
    bench,
    n: NODES,
    shape,
    checks: "off",
    unit: "ms",
    ours_ms: Number(median(answers.map(pick)).toPrecision(4)),
    peer: null,
    peer_ms: null,
    ratio: null,
    ceiling_ms: ceilingMs,
    bytes,
    heap_bytes: heapBytes,
    bytes_ratio: Number((bytes / heapBytes).toPrecision(3)),
    runs: answers.length,
  };
}

async function measureShape(shape) {
  const answers = [];
  await withSides({ inspect: nodeSide("inspect", "inspect", { shape, n: NODES }) }, async (contest) => {
    for (let round = 0; round < ROUNDS; round++) answers.push((await contest.all("run")).inspect);
  });
  return answers;
}

export const jobs = [
  {
    ids: ["snapshot_1m", "retained_1m"],
    async run(wanted) {
      const lines = [];
      for (const shape of SHAPES) {
        const answers = await measureShape(shape);
        lines.push(
          lineOf(
            "snapshot_1m",
            shape,
            answers,
            ({ ms }) => ms,
            ({ bytes }) => bytes,
            1000,
          ),
          lineOf(
            "retained_1m",
            shape,
            answers,
            ({ retainedMs }) => retainedMs,
            ({ retainedBytes }) => retainedBytes,
            2000,
          ),
        );
      }
      return lines.filter(({ bench }) => wanted.has(bench));
    },
  },
];
