/** bytes_per_object: what a million nodes of three references and a double add to a heap, divided by a million. */
import { f64, Heap, optional, struct } from "ouroheap";
import { unsafe } from "ouroheap/unsafe";
import { compare, expect, Samples } from "./lib/measure.mjs";
import { nodeSide, PYTHON, pythonSide, withSides } from "./lib/sides.mjs";

const NODES = 1_000_000;
const CHECKS = "off";
const CEILING = 48;

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

/** The growth of `heap.bytesUsed`: objects, their generation table, page headers and slack. */
function ours() {
  const heap = Heap.create({ checks: CHECKS });
  const raw = unsafe(heap);
  const node = raw.type(Node);
  const a = node.offsetOf("a");
  const v = node.offsetOf("v");
  return {
    measure() {
      const before = heap.bytesUsed;
      const residentBefore = process.memoryUsage.rss();
      let head = 0;
      for (let i = 0; i < NODES; i++) {
        const next = node.allocate();
        raw.i32[next + a] = head; // takes over the reference
        raw.f64[(next + v) >> 1] = i + 0.5;
        head = next;
      }
      const bytes = (heap.bytesUsed - before) / NODES;
      heap.gc.collect();
      // Seen from outside: with what a full collection keeps beside the heap.
      const rss = (process.memoryUsage.rss() - residentBefore) / NODES;
      return { bytes, rss, nodes: heap.gc.getObjects().length };
    },
  };
}

class PlainNode {
  constructor(a, b, c, v) {
    this.a = a;
    this.b = b;
    this.c = c;
    this.v = v;
  }
}

/** The growth of V8's used heap between two forced collections. */
function v8() {
  return {
    measure() {
      globalThis.gc();
      const before = process.memoryUsage().heapUsed;
      let head = null;
      for (let i = 0; i < NODES; i++) head = new PlainNode(head, null, null, i + 0.5);
      globalThis.gc();
      const bytes = (process.memoryUsage().heapUsed - before) / NODES;
      let nodes = 0;
      for (let node = head; node !== null; node = node.a) nodes++;
      return { bytes, nodes };
    },
  };
}

export const contenders = { ours, v8 };

export const jobs = [
  {
    ids: ["bytes_per_object"],
    async run() {
      const samples = new Samples();
      const makers = {
        ours: nodeSide("bytes", "ours", {}),
        v8: nodeSide("bytes", "v8", {}),
        [PYTHON]: pythonSide("bytes", { n: NODES }),
      };
      let answers;
      await withSides(makers, async (contest) => {
        answers = await contest.all("measure");
      });
      for (const [side, { bytes, nodes }] of Object.entries(answers)) {
        expect(`nodes (${side})`, nodes, NODES);
        samples.addOne(side, bytes);
      }
      const how = {
        v8: "heapUsed growth",
        [PYTHON]: `${answers[PYTHON]?.how}; sys.getsizeof says ${answers[PYTHON]?.getsizeof}`,
      };
      const row = {
        bench: "bytes_per_object",
        n: NODES,
        shape: "3 references, f64",
        checks: CHECKS,
        unit: "bytes",
        floors: { v8: 1.3, [PYTHON]: 2 },
      };
      return compare(row, samples, "ours", ["v8", PYTHON]).map((line) => ({
        ...line,
        ceiling: CEILING,
        ...(line.skipped === undefined && { peer_how: how[line.peer] }),
        rss_after_collection: Number(answers.ours.rss.toPrecision(4)),
      }));
    },
  },
];
