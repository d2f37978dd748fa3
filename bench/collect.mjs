/**
 * collect_*: full collections of graphs, alive and dead.
 *
 * A node has three references and a double. The graph is built with automatic collection off, only node 0 is held, and
 * what it does not reach is collected once. Then five full collections find nothing to free (`live`); at last node 0 is
 * let go and one collection finds and frees everything (`dead`).
 */
import { f64, Heap, optional, release, struct } from "ouroheap";
import { unsafe } from "ouroheap/unsafe";
import { reachableCount, targetsOf } from "./lib/graphs.mjs";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { nodeSide, PYTHON, pythonSide, withSides } from "./lib/sides.mjs";

const COLLECTIONS = 5;
const CHECKS = "off";

// -- ours ---------------------------------------------------------------------------------------

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

function ours(options) {
  const heap = Heap.create({ checks: CHECKS });
  const raw = unsafe(heap);
  const node = raw.type(Node);
  const fields = [node.offsetOf("a"), node.offsetOf("b"), node.offsetOf("c")];
  const value = node.offsetOf("v");
  let root;
  heap.gc.disable();

  /** The whole graph, with a handle to node 0 as the only reference from outside. */
  function build(shape, n) {
    const targets = targetsOf(shape, n);
    const nodes = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      nodes[i] = node.allocate();
      raw.f64[(nodes[i] + value) >> 1] = i + 0.5;
    }
    for (let i = 0; i < n; i++)
      for (let field = 0; field < 3; field++)
        raw.store(nodes[i], fields[field], nodes[targets[i * 3 + field]]);
    root = raw.handle(Node, nodes[0]);
    for (let i = 1; i < n; i++) raw.decref(nodes[i]);
    // Nodes that nothing refers to have died by their counts; the first collection finds the rest.
    heap.gc.collect();
    globalThis.gc(); // nothing of the building is left to V8 while the collections are timed
  }

  function collect() {
    const { ms, result } = timed(() => heap.gc.collect());
    return { ms, collected: result };
  }

  function drop() {
    release(root);
    return collect();
  }

  for (let round = 0; round < 3; round++) {
    build(options.shape, 20_000);
    for (let k = 0; k < COLLECTIONS; k++) collect();
    drop();
  }
  return { build: () => build(options.shape, options.n), collect, drop };
}

// -- V8 -----------------------------------------------------------------------------------------

class PlainNode {
  constructor(v) {
    this.a = null;
    this.b = null;
    this.c = null;
    this.v = v;
  }
}

/** The same objects, and V8's own full collection, forced. */
function v8(options) {
  let root;

  function build(shape, n) {
    const targets = targetsOf(shape, n);
    const nodes = Array.from({ length: n }, (_, i) => new PlainNode(i + 0.5));
    for (let i = 0; i < n; i++) {
      nodes[i].a = nodes[targets[i * 3]];
      nodes[i].b = nodes[targets[i * 3 + 1]];
      nodes[i].c = nodes[targets[i * 3 + 2]];
    }
    root = nodes[0];
  }

  const collect = () => timed(() => globalThis.gc());

  return {
    build() {
      build(options.shape, options.n);
      globalThis.gc();
    },
    collect,
    drop() {
      expect("the root's value", root.v, 0.5);
      const before = process.memoryUsage().heapUsed;
      root = null;
      const { ms } = collect();
      return { ms, freedBytes: before - process.memoryUsage().heapUsed };
    },
  };
}

export const contenders = { ours, v8 };

// -- rows ---------------------------------------------------------------------------------------

/** @param ids of the rows by what they measure */
function job(shape, n, rounds, ids, floor) {
  return {
    ids: Object.values(ids),
    async run(wanted) {
      const live = new Samples();
      const dead = new Samples();
      const alive = reachableCount(targetsOf(shape, n));
      const options = { shape, n };
      const makers = {
        ours: nodeSide("collect", "ours", options),
        [PYTHON]: pythonSide("collect", options),
        v8: nodeSide("collect", "v8", options),
      };
      for (let round = 0; round < rounds; round++) {
        await withSides(makers, async (contest) => {
          await contest.all("build");
          for (let k = 0; k < COLLECTIONS; k++) {
            const answers = await contest.all("collect");
            for (const { collected = 0 } of Object.values(answers))
              expect("live nodes collected", collected, 0);
            live.add(answers);
          }
          // Where the end is not asked for, only ours comes to it, to be checked.
          const isDeadWanted = ids.dead !== undefined && wanted.has(ids.dead);
          const answers = await contest.all("drop", null, isDeadWanted ? Object.keys(makers) : ["ours"]);
          for (const { collected = alive } of Object.values(answers))
            expect("dead nodes collected", collected, alive);
          if (!isDeadWanted) return;
          expect("V8 freed the nodes", answers.v8.freedBytes > alive * 40, true);
          dead.add(answers);
        });
      }
      const row = { n, shape: `${shape}, ${alive} alive`, checks: CHECKS, unit: "ms" };
      const lines = [];
      if (wanted.has(ids.live)) {
        const floors = floor === undefined ? {} : { [PYTHON]: floor };
        lines.push(...compare({ bench: ids.live, ...row, floors }, live, "ours", [PYTHON, "v8"]));
      }
      if (dead.of("ours") !== undefined)
        lines.push(...compare({ bench: ids.dead, ...row }, dead, "ours", [PYTHON, "v8"]));
      return lines;
    },
  };
}

export const jobs = [
  job("random", 1_000_000, 3, { live: "collect_live_random_1m", dead: "collect_dead_1m" }, 5),
  job("near", 1_000_000, 3, { live: "collect_live_near_1m" }, 4),
  job("random", 100_000, 7, { live: "collect_live_random_100k", dead: "collect_dead_100k" }, 5),
  job("near", 100_000, 5, { live: "collect_live_near_100k" }, 4),
  job("ring", 1_000_000, 2, { live: "collect_live_ring_1m" }),
  job("next20", 1_000_000, 2, { live: "collect_live_next20_1m" }),
];
