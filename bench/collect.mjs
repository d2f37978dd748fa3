/**
 * collect_*: full collections of graphs, alive and dead.
 *
 * A node has three references and a double. The graph is built with automatic collection off, only node 0 is held, and
 * what it does not reach is collected once. Then five full collections find nothing to free (`live`); at last node 0 is
 * let go and one collection finds and frees everything (`dead`).
 */
import { any, dict, f64, Heap, list, optional, release, str, struct } from "ouroheap";
import { unsafe } from "ouroheap/unsafe";
import { reachableCount, targetsOf } from "./lib/graphs.mjs";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { ALL_PEERS, PYTHON } from "./lib/peers.mjs";
import { nodeSide, peerSides, withSides } from "./lib/sides.mjs";

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

/**
 * How a node is made and linked, by kind; each returns a handle to node 0, and nothing else is held.
 *
 * @type {Record<string, (heap: Heap) => (targets: Int32Array, n: number) => import("ouroheap").Handle<any>>}
 */
const builders = {
  struct(heap) {
    const raw = unsafe(heap);
    const node = raw.type(Node);
    const fields = [node.offsetOf("a"), node.offsetOf("b"), node.offsetOf("c")];
    const value = node.offsetOf("v");
    return (targets, n) => {
      const nodes = new Int32Array(n);
      for (let i = 0; i < n; i++) {
        nodes[i] = node.allocate();
        raw.f64[(nodes[i] + value) >> 1] = i + 0.5;
      }
      for (let i = 0; i < n; i++)
        for (let field = 0; field < 3; field++)
          raw.store(nodes[i], fields[field], nodes[targets[i * 3 + field]]);
      const root = raw.handle(Node, nodes[0]);
      for (let i = 1; i < n; i++) raw.decref(nodes[i]);
      return root;
    };
  },
  list: (heap) => (targets, n) => {
    const nodes = Array.from({ length: n }, () => heap.new(list(any), []));
    for (let i = 0; i < n; i++)
      nodes[i].push(nodes[targets[i * 3]], nodes[targets[i * 3 + 1]], nodes[targets[i * 3 + 2]], i + 0.5);
    for (let i = 1; i < n; i++) release(nodes[i]);
    return nodes[0];
  },
  dict: (heap) => (targets, n) => {
    const nodes = Array.from({ length: n }, () => heap.new(dict(str, any), []));
    for (let i = 0; i < n; i++) {
      for (let field = 0; field < 3; field++) nodes[i].set("abc"[field], nodes[targets[i * 3 + field]]);
      nodes[i].set("v", i + 0.5);
    }
    for (let i = 1; i < n; i++) release(nodes[i]);
    return nodes[0];
  },
};

function ours(options) {
  const heap = Heap.create({ checks: CHECKS });
  const makeGraph = builders[options.kind](heap);
  // A heap whose words are out settles nothing (docs/design/0009): each collection looks at all of it, as the first one does.
  void unsafe(heap).i32;
  let root;
  heap.gc.disable();

  /** The whole graph, with a handle to node 0 as the only reference from outside. */
  function build(shape, n) {
    root = makeGraph(targetsOf(shape, n), n);
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
  return {
    build() {
      build(options.shape, options.n);
      return { heapBytes: heap.bytesUsed };
    },
    collect,
    drop,
  };
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

/** An empty node of each kind, how its references are set, and how its value is read. */
const plainKinds = {
  struct: {
    make: (i) => new PlainNode(i + 0.5),
    link(node, a, b, c) {
      node.a = a;
      node.b = b;
      node.c = c;
    },
    value: (node) => node.v,
  },
  list: {
    make: () => [],
    link: (node, a, b, c, i) => node.push(a, b, c, i + 0.5),
    value: (node) => node[3],
  },
  dict: {
    make: () => new Map(),
    link: (node, a, b, c, i) =>
      node
        .set("a", a)
        .set("b", b)
        .set("c", c)
        .set("v", i + 0.5),
    value: (node) => node.get("v"),
  },
};

/** The same objects, and V8's own full collection, forced. */
function v8(options) {
  const { make, link, value } = plainKinds[options.kind];
  let root;

  function build(shape, n) {
    const targets = targetsOf(shape, n);
    const nodes = Array.from({ length: n }, (_, i) => make(i));
    for (let i = 0; i < n; i++)
      link(nodes[i], nodes[targets[i * 3]], nodes[targets[i * 3 + 1]], nodes[targets[i * 3 + 2]], i);
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
      expect("the root's value", value(root), 0.5);
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
function job(shape, n, rounds, ids, floor, deadFloor, kind = "struct") {
  const against = (least) => (least === undefined ? {} : { [PYTHON]: least });
  return {
    ids: Object.values(ids),
    async run(wanted, settings = {}) {
      let heapBytes;
      const live = new Samples();
      const dead = new Samples();
      const alive = reachableCount(targetsOf(shape, n));
      const options = { shape, n, kind };
      const peers = kind === "struct" && n <= 1_000_000 ? ALL_PEERS : [PYTHON];
      const makers = {
        ours: nodeSide("collect", "ours", options),
        ...peerSides(peers, "collect", options),
        v8: nodeSide("collect", "v8", options),
      };
      for (let round = 0; round < (settings.rounds ?? rounds); round++) {
        await withSides(makers, async (contest) => {
          ({ heapBytes } = (await contest.all("build")).ours);
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
      const nodes = kind === "struct" ? shape : `${kind}s, ${shape}`;
      const row = {
        group: "collect",
        n,
        shape: `${nodes}, ${alive} alive`,
        checks: CHECKS,
        unit: "ms",
        heap_bytes: heapBytes,
      };
      const lines = [];
      if (wanted.has(ids.live)) {
        lines.push(
          ...compare({ bench: ids.live, ...row, floors: against(floor) }, live, "ours", [...peers, "v8"]),
        );
      }
      if (dead.of("ours") !== undefined)
        lines.push(
          ...compare({ bench: ids.dead, ...row, floors: against(deadFloor) }, dead, "ours", [...peers, "v8"]),
        );
      return lines;
    },
  };
}

export const jobs = [
  job("random", 1_000_000, 3, { live: "collect_live_random_1m", dead: "collect_dead_1m" }, 8, 6),
  job("near", 1_000_000, 3, { live: "collect_live_near_1m" }, 6),
  job("random", 100_000, 7, { live: "collect_live_random_100k", dead: "collect_dead_100k" }, 8),
  job("near", 100_000, 5, { live: "collect_live_near_100k" }, 6),
  job("ring", 1_000_000, 2, { live: "collect_live_ring_1m" }),
  job("next20", 1_000_000, 2, { live: "collect_live_next20_1m" }),
  job("random", 4_000_000, 1, { live: "collect_live_random_4m", dead: "collect_dead_4m" }),
  job(
    "random",
    1_000_000,
    2,
    { live: "collect_lists_1m", dead: "collect_lists_dead_1m" },
    undefined,
    undefined,
    "list",
  ),
  job(
    "random",
    100_000,
    3,
    { live: "collect_dicts_100k", dead: "collect_dicts_dead_100k" },
    undefined,
    undefined,
    "dict",
  ),
];
