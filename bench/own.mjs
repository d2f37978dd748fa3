/**
 * adopt_release, handle_create_release: what it costs to own a value of the host, and to take and give up a reference.
 * pool_*: a pool's instance against a new object, where a pool pays and where it does not.
 */
import { any, f32, Heap, optional, release, retain, struct } from "ouroheap";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { nodeSide, withSides } from "./lib/sides.mjs";

const VALUES = 200_000;
const HANDLES = 2_000_000;
const POOLED = 200_000;
const BURST = 10_000;
const BURSTS = 20;
/** Live objects beside the bursts: what a collection of the old has to look at. */
const LIVE = 500_000;
const ROUNDS = 7;
const WARM_UPS = 3;
const NS_PER_MS = 1e6;

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  rest: any,
}) {}
const Particle = struct("Particle", { x: f32, y: f32, ttl: f32 }, { cyclic: false, weakrefs: false });

/** Without an option a heap checks handles; the parent has seen to it that the environment does not say otherwise. */
const makeHeap = ({ checks }) => Heap.create(checks === undefined ? {} : { checks });

// -- owning -------------------------------------------------------------------------------------

let disposed = 0;
const dispose = () => {
  disposed++;
};

function adopting(options) {
  const heap = makeHeap(options);
  return steps(() => {
    disposed = 0;
    for (let id = 0; id < VALUES; id++) release(heap.adopt({ id }, dispose));
    expect("values disposed", disposed, VALUES);
  });
}

/** The least that a program without a heap can do for a value with several owners: a count and a disposer beside it. */
class Counted {
  constructor(value, dispose) {
    this.value = value;
    this.dispose = dispose;
    this.count = 1;
  }
  release() {
    if (--this.count === 0) this.dispose(this.value);
  }
}

function counting() {
  return steps(() => {
    disposed = 0;
    for (let id = 0; id < VALUES; id++) new Counted({ id }, dispose).release();
    expect("values disposed", disposed, VALUES);
  });
}

function retaining(options) {
  const heap = makeHeap(options);
  const node = heap.new(Node, {});
  return steps(() => {
    for (let i = 0; i < HANDLES; i++) release(retain(node));
  });
}

function retainingCounted() {
  const counted = new Counted({}, dispose);
  return steps(() => {
    for (let i = 0; i < HANDLES; i++) {
      counted.count++;
      counted.release();
    }
  });
}

// -- pools --------------------------------------------------------------------------------------

function oneByOne(acquire) {
  return steps(() => {
    for (let i = 0; i < POOLED; i++) release(acquire({ x: i, y: 1, ttl: 2 }));
  });
}

const particles = {
  pool: () => {
    const pool = Heap.create({ checks: "off" }).pool(Particle, { capacity: 1 });
    return oneByOne((init) => pool.acquire(init));
  },
  new: () => {
    const heap = Heap.create({ checks: "off" });
    return oneByOne((init) => heap.new(Particle, init));
  },
};

/** Bursts of objects that could be on cycles, all alive at once, beside many that live on. */
function inBursts(heap, acquire) {
  const roots = [];
  for (let i = 0; i < LIVE; i++) roots.push(heap.new(Node, {}));
  heap.gc.collect();
  const burst = new Array(BURST);
  return steps(() => {
    for (let round = 0; round < BURSTS; round++) {
      for (let i = 0; i < BURST; i++) burst[i] = acquire({ rest: i });
      for (let i = 0; i < BURST; i++) release(burst[i]);
    }
    expect("roots", roots.length, LIVE);
  });
}

const bursts = {
  pool: () => {
    const heap = Heap.create({ checks: "off" });
    const pool = heap.pool(Node, { capacity: BURST });
    return inBursts(heap, (init) => pool.acquire(init));
  },
  new: () => {
    const heap = Heap.create({ checks: "off" });
    return inBursts(heap, (init) => heap.new(Node, init));
  },
};

// -- rows ---------------------------------------------------------------------------------------

function steps(work) {
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) work();
  return { run: () => ({ ms: timed(work).ms }) };
}

export const contenders = {
  adopt: adopting,
  adopt_counted: counting,
  retain: retaining,
  retain_counted: retainingCounted,
  pool_one: particles.pool,
  new_one: particles.new,
  pool_bursts: bursts.pool,
  new_bursts: bursts.new,
};

async function measure(makers) {
  const samples = new Samples();
  await withSides(makers, async (contest) => {
    for (let round = 0; round < ROUNDS; round++) samples.add(await contest.all("run"));
  });
  return samples;
}

/** In nanoseconds too: that is what is promised. */
function withNanoseconds(line, ceilingNs) {
  const ours_ns = Number(((line.ours_ms * NS_PER_MS) / line.n).toPrecision(3));
  return { ...line, ours_ns, ...(ceilingNs && { ceiling_ns: ceilingNs }) };
}

/** A row in both modes, and the default mode beside `off`, against which it may take three times as long. */
function ownRow({ bench, n, ours, peer, ceilingNs }) {
  return {
    ids: [bench],
    async run() {
      const samples = await measure({
        off: nodeSide("own", ours, { checks: "off" }),
        handles: nodeSide("own", ours, {}),
        [peer]: nodeSide("own", peer, {}),
      });
      const row = { bench, n, unit: "ms", shape: `beside ${peer}` };
      return [
        ...compare({ ...row, checks: "off" }, samples, "off", [peer]),
        ...compare({ ...row, checks: "handles" }, samples, "handles", [peer]),
        ...compare(
          { ...row, shape: "the default mode", checks: "handles", floors: { off: 1 / 3 } },
          samples,
          "handles",
          ["off"],
        ),
      ].map((line) => withNanoseconds(line, line.checks === "off" ? ceilingNs : undefined));
    },
  };
}

function poolRow({ bench, n, shape, ours, peer }) {
  return {
    ids: [bench],
    async run() {
      const samples = await measure({ [ours]: nodeSide("own", ours, {}), [peer]: nodeSide("own", peer, {}) });
      const lines = compare({ bench, n, shape, checks: "off", unit: "ms" }, samples, ours, [peer]);
      return lines.map((line) => withNanoseconds(line));
    },
  };
}

export const jobs = [
  ownRow({ bench: "adopt_release", n: VALUES, ours: "adopt", peer: "adopt_counted", ceilingNs: 1000 }),
  ownRow({
    bench: "handle_create_release",
    n: HANDLES,
    ours: "retain",
    peer: "retain_counted",
    ceilingNs: 100,
  }),
  poolRow({ bench: "pool_one_by_one", n: POOLED, shape: "three f32", ours: "pool_one", peer: "new_one" }),
  poolRow({
    bench: "pool_bursts",
    n: BURST * BURSTS,
    shape: `${BURST} at once, ${LIVE} live`,
    ours: "pool_bursts",
    peer: "new_bursts",
  }),
];
