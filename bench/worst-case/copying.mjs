/** Copies of whole graphs, saved heaps, tools that look at everything, and the end of a heap. */
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { f64, finalizer, Heap, list, release, struct } from "ouroheap";
import { takeSnapshot, tracemalloc, verify } from "ouroheap/inspect";
import { expect } from "../lib/measure.mjs";
import { Meter, MILLION, makeGraph, Node, Nodes } from "./meter.mjs";

const VERIFIED = 200_000;
const TRACED = 50_000;

export async function copying() {
  const heap = Heap.create();
  const meter = new Meter(heap);
  heap.gc.disable();
  plain(heap, meter);
  const graph = makeGraph(heap, MILLION);
  await images(heap, graph, meter);
  snapshots(heap, graph, meter);
  release(graph);
  heap.gc.collect();
  traced(heap, meter);
  return meter.rows;
}

function plain(heap, meter) {
  const value = Array.from({ length: MILLION / 2 }, (_, i) => ({ i }));
  const copy = meter.once(
    { verb: "`heap.from`", cost: "O(the graph)", by: "an array of half a million objects" },
    () => heap.from(value),
  );
  const back = meter.once({ verb: "`heap.toJS`", cost: "O(the graph)", by: "the same back" }, () =>
    heap.toJS(copy),
  );
  expect("objects", back.length, value.length);
  release(copy);
}

async function images(heap, graph, meter) {
  const file = join(tmpdir(), `ouroheap-worst-case-${process.pid}.heap`);
  try {
    const row = {
      verb: "`heap.save`",
      cost: "O(what is saved)",
      by: "a million nodes, to a file; begins with one pause",
    };
    await meter.onceAsync(row, () => heap.save(file, { roots: { graph } }));
    await meter.onceAsync({ verb: "`Heap.load`", cost: "O(bytes)", by: "the same file" }, async () => {
      const { heap: other, roots } = await Heap.load(file, { types: [Node, Nodes] });
      expect("nodes", roots.graph.length, MILLION);
      release(roots.graph);
      other.shutdown();
    });
  } finally {
    await rm(file, { force: true });
  }
  const bytes = { verb: "`heap.saveBytes`", cost: "O(what is saved)", by: "a million nodes" };
  meter.once(bytes, () => heap.saveBytes({ roots: { graph } }));
}

function snapshots(heap, graph, meter) {
  const snapshot = meter.once(
    {
      verb: "`takeSnapshot`",
      cost: "O(objects + references)",
      by: "a million nodes, three references each with the list's",
    },
    () => takeSnapshot(heap),
  );
  const node = snapshot.nodeOf(graph);
  meter.once(
    { verb: "`snapshot.retainedSize`, the first", cost: "O(references x log objects)", by: "the same" },
    () => snapshot.retainedSize(node),
  );
}

function traced(heap, meter) {
  meter.once({ verb: "`tracemalloc.start`", cost: "O(pages)", by: "" }, () => tracemalloc.start(heap));
  const nodes = new Array(TRACED);
  const row = {
    verb: "`heap.new` while traced",
    cost: "as `heap.new`, and a stack",
    by: "50,000, one frame",
  };
  meter.many(row, TRACED, (i) => {
    nodes[i] = heap.new(Node, { v: i });
  });
  const taken = { verb: "`tracemalloc.snapshot`", cost: "O(heap)", by: "50,000 traced objects" };
  meter.once(taken, () => tracemalloc.snapshot(heap));
  tracemalloc.stop(heap);
  for (const node of nodes) release(node);
  const graph = makeGraph(heap, VERIFIED);
  meter.once({ verb: "`verify`", cost: "O(heap)", by: "200,000 nodes" }, () => verify(heap));
  release(graph);
}

let finalized = 0;
class Watched extends struct("Seen", { v: f64 }) {
  [finalizer]() {
    finalized++;
  }
}

/** In a process of its own: a second heap is slower. */
export function ending() {
  const heap = Heap.create({ checks: "off" });
  const meter = new Meter(heap);
  makeGraph(heap, MILLION);
  const row = {
    verb: "`heap.shutdown`",
    cost: "O(heap)",
    by: "a million nodes, nobody sees them die",
    ends: true,
  };
  meter.once(row, () => heap.shutdown());
  return meter.rows;
}

export function watchedEnding() {
  const heap = Heap.create({ checks: "off" });
  const meter = new Meter(heap);
  heap.gc.disable();
  heap.new(
    list(Watched),
    Array.from({ length: MILLION }, (_, i) => ({ v: i })),
  );
  const row = {
    verb: "`heap.shutdown`",
    cost: "O(heap), the finalizers, callbacks and disposers",
    by: "a million objects with finalizers",
    ends: true,
  };
  meter.once(row, () => heap.shutdown());
  expect("finalized", finalized, MILLION);
  return meter.rows;
}
