/**
 * binary_trees_*: the classical allocation benchmark. A stretch tree is built, counted and dropped; a long-lived tree is
 * built; then many trees of depths 4, 6, ... 16 are built, counted and dropped; at last the long-lived one is counted.
 */
import { Heap, optional, struct } from "ouroheap";
import { unsafe } from "ouroheap/unsafe";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { ALL_PEERS, isPeer } from "./lib/peers.mjs";
import { nodeSide, peerSides, withSides } from "./lib/sides.mjs";

const DEPTH_MIN = 4;
const DEPTH_MAX = 16;
const ROUNDS = 7;
/** Most of them take many seconds a run. */
const PEER_ROUNDS = 2;
const CHECKS = "off";
/**
 * Small trees first. When the first tree to die is a large one, the engine sometimes compiles the death loop before it has
 * seen all of it, throws that away, and stays with code entered in the middle of a loop: deaths then take half as long again.
 */
const WARM_UP = [...Array(300).fill(2), 10, 10, 10];

/**
 * The program, the same for every side.
 * @param build a tree of this depth
 * @param count the nodes of a tree
 * @param drop a tree
 * @returns the nodes counted
 */
function program(build, count, drop, depthMax) {
  const countAndDrop = (tree) => {
    const nodes = count(tree);
    drop(tree);
    return nodes;
  };
  let nodes = countAndDrop(build(depthMax + 1));
  const longLived = build(depthMax);
  for (let depth = DEPTH_MIN; depth <= depthMax; depth += 2) {
    const trees = 1 << (depthMax - depth + DEPTH_MIN);
    for (let i = 0; i < trees; i++) nodes += countAndDrop(build(depth));
  }
  return nodes + countAndDrop(longLived);
}

/** The nodes of all trees of the program. */
function expectedNodes(depthMax) {
  const nodesOf = (depth) => 2 ** (depth + 1) - 1;
  let nodes = nodesOf(depthMax + 1) + nodesOf(depthMax);
  for (let depth = DEPTH_MIN; depth <= depthMax; depth += 2)
    nodes += 2 ** (depthMax - depth + DEPTH_MIN) * nodesOf(depth);
  return nodes;
}

// -- ours ---------------------------------------------------------------------------------------

/** No cycle passes through a tree without parent links: the collector need not look at it. */
class Tree extends struct(
  "Tree",
  {
    get left() {
      return optional(Tree);
    },
    get right() {
      return optional(Tree);
    },
  },
  { cyclic: false },
) {}

/** The same without the promise: tracked by the collector, which runs on its own as often as CPython's does. */
class TrackedTree extends struct("TrackedTree", {
  get left() {
    return optional(TrackedTree);
  },
  get right() {
    return optional(TrackedTree);
  },
}) {}

const ours = (type) => () => {
  const heap = Heap.create({ checks: CHECKS });
  const raw = unsafe(heap);
  const { i32, decref } = raw;
  const tree = raw.type(type);
  const left = tree.offsetOf("left");
  const right = tree.offsetOf("right");

  /** The fields of a new object are null, so the references to the children can simply be written. */
  function build(depth) {
    const node = tree.allocate();
    if (depth > 0) {
      i32[node + left] = build(depth - 1);
      i32[node + right] = build(depth - 1);
    }
    return node;
  }

  function count(node) {
    return i32[node + left] === 0 ? 1 : 1 + count(i32[node + left]) + count(i32[node + right]);
  }

  return stepsOf(
    (depthMax) => program(build, count, decref, depthMax),
    () => ({
      collections: heap.gc.getStats().map(({ collections }) => collections),
      bytesUsed: heap.bytesUsed,
    }),
  );
};

// -- V8 -----------------------------------------------------------------------------------------

class PlainTree {
  constructor(left, right) {
    this.left = left;
    this.right = right;
  }
}

function v8() {
  function build(depth) {
    return depth > 0 ? new PlainTree(build(depth - 1), build(depth - 1)) : new PlainTree(null, null);
  }
  function count(tree) {
    return tree.left === null ? 1 : 1 + count(tree.left) + count(tree.right);
  }
  const drop = () => {};
  return stepsOf((depthMax) => program(build, count, drop, depthMax));
}

function stepsOf(run, report = () => ({})) {
  for (const depthMax of WARM_UP) expect("warm-up nodes", run(depthMax), expectedNodes(depthMax));
  return {
    run() {
      const { ms, result } = timed(() => run(DEPTH_MAX));
      return { ms, nodes: result, ...report() };
    },
  };
}

export const contenders = { raw: ours(Tree), raw_tracked: ours(TrackedTree), v8 };

// -- rows ---------------------------------------------------------------------------------------

const ROWS = {
  binary_trees_raw: { side: "raw", shape: "cyclic: false", floors: { v8: 0.75 } },
  binary_trees_raw_tracked: { side: "raw_tracked", shape: "tracked", floors: {} },
};

export const jobs = [
  {
    ids: Object.keys(ROWS),
    async run(wanted, settings = {}) {
      const rows = Object.entries(ROWS).filter(([id]) => wanted.has(id));
      const samples = new Samples();
      let peaks;
      const makers = {
        v8: nodeSide("trees", "v8", {}),
        ...peerSides(ALL_PEERS, "trees", { depthMin: DEPTH_MIN }),
      };
      for (const [, { side }] of rows) makers[side] = nodeSide("trees", side, {});
      await withSides(makers, async (contest) => {
        const inNode = Object.keys(makers).filter((name) => !isPeer(name));
        for (let round = 0; round < (settings.rounds ?? ROUNDS); round++) {
          const names = round < PEER_ROUNDS ? Object.keys(makers) : inNode;
          const answers = await contest.all("run", DEPTH_MAX, names);
          for (const { nodes } of Object.values(answers)) expect("nodes", nodes, expectedNodes(DEPTH_MAX));
          samples.add(answers);
        }
        peaks = await contest.all("peak");
      });
      const n = expectedNodes(DEPTH_MAX);
      return rows.flatMap(([bench, { side, shape, floors }]) =>
        compare(
          {
            group: "trees",
            bench,
            n,
            shape: `depth ${DEPTH_MAX}, ${shape}`,
            checks: CHECKS,
            unit: "ms",
            floors,
          },
          samples,
          side,
          ["v8", ...ALL_PEERS],
        ).map((line) => ({
          ...line,
          ours_peak_bytes: peaks[side].bytes,
          ...(peaks[line.peer] && { peer_peak_bytes: peaks[line.peer].bytes }),
        })),
      );
    },
  },
];
