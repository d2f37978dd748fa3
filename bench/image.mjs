/**
 * save_256mb, load_256mb, load_1gb, load_contents: a heap to a file and back, against the same number of bytes written from
 * one buffer, and against the same file read into another.
 *
 * `cached`: the file is in the system's cache all the time, so what is measured is not the disk. `cold`: it is dropped from
 * the cache before each load and before each read.
 */
import { spawnSync } from "node:child_process";
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
import { dict, f64, Heap, list, optional, release, str, struct } from "ouroheap";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { findPeer, PYTHON } from "./lib/peers.mjs";
import { xorshift32 } from "./lib/random.mjs";
import { nodeSide, withSides } from "./lib/sides.mjs";

const ROUNDS = 5;
/** Node refuses to read more at once. */
const READ_BYTES_MAX = 1 << 30;

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
const Records = struct("Records", { all: list(dict(str, f64)) });

// -- what is in the heap --------------------------------------------------------------------------

/** By name: makes what is saved, and gives the number that `check` finds in it again. */
const CONTENTS = {
  /** A list of nodes with a second reference each, in the order of making. */
  near: {
    make(heap, count) {
      let head = heap.new(Node, { v: 0.5 });
      for (let i = 1; i < count; i++) {
        const next = heap.new(Node, { a: head, b: i % 3 === 0 ? head.a : null, v: i + 0.5 });
        release(head);
        head = next;
      }
      return head;
    },
    check: (head) => head.v,
    expected: (count) => count - 0.5,
  },
  /** The same with two references to nodes anywhere, in the order in which a full collection leaves them. */
  random: {
    make(heap, count) {
      const random = xorshift32(1);
      const nodes = heap.new(list(Node), []);
      for (let i = 0; i < count; i++) nodes.push({ v: i + 0.5 });
      for (let i = 1; i < count; i++) {
        const node = nodes.at(i);
        node.a = nodes.at(i - 1);
        node.b = nodes.at(Math.floor(random() * count));
        node.c = nodes.at(Math.floor(random() * count));
      }
      heap.gc.collect();
      return nodes;
    },
    check: (nodes) => nodes.at(-1).v,
    expected: (count) => count - 0.5,
  },
  texts: {
    make(heap, count) {
      const texts = heap.new(list(str), []);
      for (let i = 0; i < count; i++) texts.push(`text number ${i} with some forty characters in it`);
      return texts;
    },
    check: (texts) => texts.length,
    expected: (count) => count,
  },
  numbers: {
    make(heap, count) {
      const numbers = heap.new(list(list(f64)), []);
      const some = Array.from({ length: 1000 }, (_, i) => i + 0.5);
      for (let i = 0; i < count; i++) numbers.push(some);
      return numbers;
    },
    check: (numbers) => numbers.length,
    expected: (count) => count,
  },
  dicts: {
    make(heap, count) {
      const records = heap.new(Records, {});
      for (let i = 0; i < count; i++)
        records.all.push(Array.from({ length: 10 }, (_, key) => [`key ${key} of ${i}`, i + key]));
      return records;
    },
    check: (records) => records.all.length,
    expected: (count) => count,
  },
};

// -- sides ----------------------------------------------------------------------------------------

function heap({ path, contents, count }) {
  const { make, check, expected } = CONTENTS[contents];
  const heap = Heap.create({ checks: "off" });
  heap.gc.disable();
  const made = make(heap, count);
  return {
    async save() {
      const start = performance.now();
      await heap.save(path, { roots: { made } });
      return { ms: performance.now() - start, bytes: statSync(path).size };
    },
    async load() {
      const start = performance.now();
      const loaded = await Heap.load(path, { types: [Node, Records], checks: "off" });
      const ms = performance.now() - start;
      expect("what was saved", check(loaded.roots.made), expected(count));
      loaded.heap[Symbol.dispose]();
      globalThis.gc();
      return { ms };
    },
  };
}

function file({ path }) {
  let bytes;
  return {
    save() {
      // Of the size that the heap's was, or is about to be.
      bytes ??= Buffer.allocUnsafeSlow(256 << 20).fill("a saved heap is not all zeros; ");
      return { ms: timed(() => writeFileSync(`${path}.copy`, bytes)).ms };
    },
    load() {
      const { ms } = timed(() => readInto(path));
      globalThis.gc();
      return { ms };
    },
  };
}

/** Into memory that is new each time, as a heap's is. */
function readInto(path) {
  const handle = openSync(path, "r");
  const target = new Uint8Array(new SharedArrayBuffer(fstatSync(handle).size));
  for (let done = 0; done < target.length; )
    done += readSync(handle, target, done, Math.min(READ_BYTES_MAX, target.length - done));
  closeSync(handle);
}

export const contenders = { heap, file };

// -- the disk -------------------------------------------------------------------------------------

/** Ends with 1 if a page in the middle is still there: then it can be read without waiting. */
const DROP = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
try:
    os.preadv(fd, [bytearray(1)], os.fstat(fd).st_size // 2, os.RWF_NOWAIT)
    sys.exit("the file is still in the cache")
except BlockingIOError:
    pass
`;

/** Drop a file from the system's cache. @returns why it cannot be, or undefined */
function drop(path) {
  const python = findPeer(PYTHON);
  if (python.skipped !== undefined) return python.skipped;
  const { status, stderr } = spawnSync(python.command, ["-I", "-S", "-c", DROP, path], {
    encoding: "utf8",
  });
  return status === 0 ? undefined : `posix_fadvise: ${stderr.trim().split("\n").at(-1)}`;
}

// -- rows -----------------------------------------------------------------------------------------

/** Save once and load some rounds. @returns a line for each peer */
async function measureLoads(row, contents, count, withCold) {
  const cached = new Samples();
  const cold = new Samples();
  let bytes = 0;
  let skipped;
  await withImage(contents, count, async (contest, path) => {
    bytes = (await contest.all("save", null, ["ours"])).ours.bytes;
    for (let round = 0; round <= ROUNDS; round++) {
      const answers = await contest.all("load");
      if (round > 0) cached.add({ ours: answers.ours, cached: answers.file });
    }
    for (let round = 0; withCold && round < ROUNDS && skipped === undefined; round++)
      for (const side of round % 2 === 0 ? ["ours", "file"] : ["file", "ours"]) {
        skipped = drop(path);
        if (skipped !== undefined) break;
        const answers = await contest.all("load", null, [side]);
        cold.add(side === "ours" ? answers : { cold: answers.file });
      }
  });
  const line = { ...row, n: count, shape: `${contents}, ${bytes >> 20} MB`, checks: "off", unit: "ms" };
  const lines = compare(line, cached, "ours", ["cached"]);
  if (!withCold) return lines;
  if (skipped === undefined) return [...lines, ...compare(line, cold, "ours", ["cold"])];
  return [...lines, { ...line, peer: "cold", ours_ms: null, peer_ms: null, ratio: null, skipped }];
}

async function measureSaves(row, contents, count) {
  const samples = new Samples();
  let bytes = 0;
  await withImage(contents, count, async (contest) => {
    for (let round = 0; round <= ROUNDS; round++) {
      const answers = await contest.all("save");
      bytes = answers.ours.bytes;
      if (round > 0) samples.add(answers);
    }
  });
  const line = { ...row, n: count, shape: `${contents}, ${bytes >> 20} MB`, checks: "off", unit: "ms" };
  return compare(line, samples, "ours", ["file"]);
}

async function withImage(contents, count, body) {
  const folder = mkdtempSync(join(tmpdir(), "ouroheap-bench-"));
  const path = join(folder, "image");
  try {
    const sides = {
      ours: nodeSide("image", "heap", { path, contents, count }),
      file: nodeSide("image", "file", { path }),
    };
    await withSides(sides, (contest) => body(contest, path));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const jobs = [
  { ids: ["save_256mb"], run: () => measureSaves({ bench: "save_256mb" }, "near", 6_100_000) },
  { ids: ["load_256mb"], run: () => measureLoads({ bench: "load_256mb" }, "near", 6_100_000, true) },
  {
    ids: ["load_1gb"],
    isOnlyNamed: true,
    run: () => measureLoads({ bench: "load_1gb" }, "near", 24_400_000, true),
  },
  {
    ids: ["load_contents"],
    isOnlyNamed: true,
    async run() {
      const counts = { random: 3_000_000, texts: 1_700_000, numbers: 15_000, dicts: 100_000 };
      const lines = [];
      for (const [contents, count] of Object.entries(counts))
        lines.push(...(await measureLoads({ bench: "load_contents" }, contents, count, false)));
      return lines;
    },
  },
];
