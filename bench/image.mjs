/**
 * save_256mb, load_256mb: a heap to a file and back, against the same number of bytes written from one buffer and read into
 * another. The file is in the system's cache all the time: what is measured is not the disk.
 */
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { f64, Heap, optional, release, struct } from "ouroheap";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { nodeSide, withSides } from "./lib/sides.mjs";

const NODES = 6_100_000;
const FILE_BYTES = 256 << 20;
const ROUNDS = 5;

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

function scratchFile() {
  const folder = mkdtempSync(join(tmpdir(), "ouroheap-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true }));
  return join(folder, "image");
}

/** A list of nodes with a second reference each: what a collection would find in the order of making. */
function heap() {
  const path = scratchFile();
  const heap = Heap.create({ checks: "off" });
  heap.gc.disable();
  let head = heap.new(Node, { v: 0.5 });
  for (let i = 1; i < NODES; i++) {
    const next = heap.new(Node, { a: head, b: i % 3 === 0 ? head.a : null, v: i + 0.5 });
    release(head);
    head = next;
  }
  return {
    async save() {
      const start = performance.now();
      await heap.save(path, { roots: { head } });
      return { ms: performance.now() - start, bytes: statSync(path).size };
    },
    async load() {
      const start = performance.now();
      const loaded = await Heap.load(path, { types: [Node], checks: "off" });
      const ms = performance.now() - start;
      expect("value of the root", loaded.roots.head.v, NODES - 0.5);
      loaded.heap[Symbol.dispose]();
      return { ms };
    },
  };
}

function file() {
  const path = scratchFile();
  const bytes = Buffer.allocUnsafeSlow(FILE_BYTES).fill("a saved heap is not all zeros; ");
  return {
    save: () => ({ ms: timed(() => writeFileSync(path, bytes)).ms }),
    load: () => ({ ms: timed(() => readInto(path)).ms }),
  };
}

/** Into memory that is new each time, as a heap's is. */
function readInto(path) {
  const handle = openSync(path, "r");
  const target = new Uint8Array(new SharedArrayBuffer(fstatSync(handle).size));
  let done = 0;
  while (done < target.length) done += readSync(handle, target, done, target.length - done);
  closeSync(handle);
}

export const contenders = { heap, file };

export const jobs = [
  {
    ids: ["save_256mb", "load_256mb"],
    async run(wanted) {
      const samples = { save: new Samples(), load: new Samples() };
      let bytes = 0;
      await withSides(
        { ours: nodeSide("image", "heap", {}), file: nodeSide("image", "file", {}) },
        async (contest) => {
          for (let round = 0; round <= ROUNDS; round++)
            for (const step of ["save", "load"]) {
              const answers = await contest.all(step);
              bytes = answers.ours.bytes ?? bytes;
              if (round > 0) samples[step].add(answers);
            }
        },
      );
      return ["save", "load"]
        .filter((step) => wanted.has(`${step}_256mb`))
        .flatMap((step) => {
          const row = {
            bench: `${step}_256mb`,
            n: NODES,
            shape: `${bytes >> 20} MB`,
            checks: "off",
            unit: "ms",
          };
          return compare(row, samples[step], "ours", ["file"]);
        });
    },
  },
];
