/**
 * share_1m: a graph of a million nodes, from before it is shared to the first correct read in a worker, beside `postMessage` of the
 * same graph as plain objects. parallel_read: two readers beside one. guard_uncontended: a guard that nobody else wants.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Heap, release } from "ouroheap";
import { compare, expect, median, Samples, timed } from "./lib/measure.mjs";
import { heapTree, Names, nameOf, pathOf, plainTree } from "./lib/shared-tree.mjs";
import { nodeSide, withSides } from "./lib/sides.mjs";

const NODES = 1_000_000;
const ROUNDS = 7;
/** What a worker has shared, or been sent, before it is measured. */
const WARM_UPS = 3;
const WARM_UP_NODES = 1000;
const SMALL_BYTES = 2 ** 20;

/** What a core's own cache holds, and what it does not: there two readers load for each other what they share. */
const ENTRIES = [1_000, 10_000];
const NODES_PER_ENTRY = 15;
const LOOKUPS = 10_000;
const READ_MS = 100;
const READ_ROUNDS = 21;
/** Time for two workers to get the message that names the start. */
const HEAD_START_NS = 5e6;

const GUARDS = 1_000_000;
const GUARD_WARM_UPS = 3;
const GUARD_ROUNDS = 9;
const NS_PER_MS = 1e6;
const CHECKS = "handles";

const now = () => Number(process.hrtime.bigint());

// -- workers ------------------------------------------------------------------------------------

async function startWorker() {
  const worker = new Worker(new URL("./programs/thread.mjs", import.meta.url));
  await once(worker, "message");
  return worker;
}

async function ask(worker, task) {
  const answer = once(worker, "message");
  worker.postMessage(task);
  return (await answer)[0];
}

// -- share_1m -----------------------------------------------------------------------------------

/** A heap with a tree in it, not shared yet. */
function makeShared(nodes, options = {}) {
  const heap = Heap.create({ checks: CHECKS, ...options });
  return { heap, root: heapTree(heap, nodes), nodes };
}

/** Share it with a worker, to the first correct read there. */
async function shareWith(worker, { heap, root, nodes }) {
  const startNs = now();
  const token = heap.share();
  const shareMs = (now() - startNs) / NS_PER_MS;
  const guard = heap.lock();
  const parcel = heap.send(root);
  guard[Symbol.dispose]();
  const { read, atNs, attachMs } = await ask(worker, { task: "attach", token, parcel });
  expect("what the worker read", read, pathOf(nodes));
  return { ms: (atNs - startNs) / NS_PER_MS, shareMs, attachMs };
}

/** A thread attaches to a heap once, so each round has a worker and a heap of its own. */
function share() {
  async function round(warmUps) {
    const worker = await startWorker();
    for (let warmUp = 0; warmUp < warmUps; warmUp++)
      await shareWith(worker, makeShared(WARM_UP_NODES, { maximumBytes: SMALL_BYTES }));
    const answer = await shareWith(worker, makeShared(NODES));
    await worker.terminate();
    return answer;
  }
  return { run: () => round(WARM_UPS), cold: () => round(0) };
}

async function clone() {
  const graph = plainTree(NODES);
  const small = plainTree(WARM_UP_NODES);
  async function send(worker, root, nodes) {
    const startNs = now();
    const { read, atNs } = await ask(worker, { task: "clone", root });
    expect("what the worker read", read, pathOf(nodes));
    return { ms: (atNs - startNs) / NS_PER_MS };
  }
  return {
    async run() {
      const worker = await startWorker();
      for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) await send(worker, small, WARM_UP_NODES);
      const answer = await send(worker, graph, NODES);
      await worker.terminate();
      return answer;
    },
  };
}

const shareRow = {
  ids: ["share_1m"],
  async run(_wanted, { rounds = ROUNDS } = {}) {
    const samples = new Samples();
    const parts = { share_ms: [], attach_ms: [], cold_ms: [] };
    const makers = {
      share: nodeSide("threads", "share", {}),
      structured_clone: nodeSide("threads", "clone", {}),
    };
    await withSides(makers, async (contest) => {
      for (let round = 0; round < rounds; round++) {
        const answers = await contest.all("run");
        samples.add(answers);
        parts.share_ms.push(answers.share.shareMs);
        parts.attach_ms.push(answers.share.attachMs);
        parts.cold_ms.push((await contest.sides.share.step("cold")).ms);
      }
    });
    const row = { bench: "share_1m", n: NODES, shape: "tree", checks: CHECKS, unit: "ms", group: "threads" };
    const medians = Object.fromEntries(
      Object.entries(parts).map(([name, values]) => [name, Number(median(values).toPrecision(3))]),
    );
    const lines = compare(row, samples, "share", ["structured_clone"]);
    return lines.map((line) => ({ ...line, ceiling_ms: 5, ...medians }));
  },
};

// -- parallel_read ------------------------------------------------------------------------------

/** Two workers that look up names in one heap, alone or together. */
async function readers({ entries }) {
  const heap = Heap.create({ checks: CHECKS });
  const names = heap.new(Names, []);
  let total = 0;
  for (let index = 0; index < entries; index++) {
    const tree = heapTree(heap, NODES_PER_ENTRY);
    total += tree.sum();
    names.set(nameOf(index), tree);
    release(tree);
  }
  const token = heap.share();
  const workers = [await startWorker(), await startWorker()];
  for (const worker of workers) {
    const guard = heap.lock();
    const parcel = heap.send(names);
    guard[Symbol.dispose]();
    await ask(worker, { task: "open", token, parcel });
  }
  /** @returns the time of so many lookups, by all of them together */
  async function read(who) {
    const task = { task: "look", startNs: now() + HEAD_START_NS, ms: READ_MS, total };
    const answers = await Promise.all(who.map((index) => ask(workers[index], task)));
    return { ms: LOOKUPS / answers.reduce((sum, { speed }) => sum + speed, 0) };
  }
  for (const who of [[0], [1], [0, 1]]) await read(who);
  return {
    read,
    async stop() {
      for (const worker of workers) await worker.terminate();
    },
  };
}

const readRow = {
  ids: ["parallel_read"],
  async run(_wanted, { rounds = READ_ROUNDS } = {}) {
    const lines = [];
    for (const entries of ENTRIES) {
      const samples = new Samples();
      await withSides({ readers: nodeSide("threads", "readers", { entries }) }, async ({ sides }) => {
        const read = async (who) => (await sides.readers.step("read", who)).ms;
        // Each alone, before and after both: what the machine gives drifts.
        for (let round = 0; round < rounds; round++) {
          const [first, two_readers, second] = [await read([0]), await read([0, 1]), await read([1])];
          samples.add({ one_reader: { ms: (first + second) / 2 }, two_readers: { ms: two_readers } });
        }
        await sides.readers.step("stop");
      });
      const shape = `${entries} trees of ${NODES_PER_ENTRY}`;
      const row = { bench: "parallel_read", n: LOOKUPS, shape, checks: CHECKS, unit: "ms", group: "threads" };
      lines.push(...compare({ ...row, floors: { one_reader: 1.8 } }, samples, "two_readers", ["one_reader"]));
    }
    return lines;
  },
};

// -- guard_uncontended --------------------------------------------------------------------------

function guards({ checks, verb }) {
  const heap = Heap.create({ checks });
  heap.share();
  return steps(() => {
    for (let i = 0; i < GUARDS; i++) {
      const guard = heap[verb]();
      guard[Symbol.dispose]();
    }
  });
}

/** The least that a lock between threads can do. */
function compareExchange() {
  const word = new Int32Array(new SharedArrayBuffer(4));
  return steps(() => {
    for (let i = 0; i < GUARDS; i++) {
      expect("the word", Atomics.compareExchange(word, 0, 0, 1), 0);
      Atomics.store(word, 0, 0);
    }
  });
}

function steps(work) {
  for (let warmUp = 0; warmUp < GUARD_WARM_UPS; warmUp++) work();
  return { run: () => ({ ms: timed(work).ms }) };
}

const guardRow = {
  ids: ["guard_uncontended"],
  async run(_wanted, { rounds = GUARD_ROUNDS } = {}) {
    const lines = [];
    for (const verb of ["lock", "lockShared"])
      for (const checks of ["off", "handles"]) {
        const samples = new Samples();
        const makers = {
          guard: nodeSide("threads", "guards", { checks, verb }),
          compare_exchange: nodeSide("threads", "compareExchange", {}),
        };
        await withSides(makers, async (contest) => {
          for (let round = 0; round < rounds; round++) samples.add(await contest.all("run"));
        });
        const row = {
          bench: "guard_uncontended",
          n: GUARDS,
          shape: verb,
          checks,
          unit: "ms",
          group: "threads",
        };
        lines.push(...compare(row, samples, "guard", ["compare_exchange"]));
      }
    return lines.map((line) => {
      const ours_ns = Number(((line.ours_ms * NS_PER_MS) / line.n).toPrecision(3));
      return { ...line, ours_ns, ceiling_ns: 150 };
    });
  },
};

export const contenders = { share, clone, readers, guards, compareExchange };
export const jobs = [shareRow, readRow, guardRow];
