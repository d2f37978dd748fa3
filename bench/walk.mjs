/**
 * walk_*: reading a million objects that stay as they are: a balanced binary tree summed by a recursive method, and a
 * linked list summed by a loop; through views (`walk_views_1m`) and through raw words (`walk_raw_1m`). Thirty other types
 * are hot.
 */
import { f64, Heap, optional, release, struct } from "ouroheap";
import { unsafe } from "ouroheap/unsafe";
import { makeHeapTypesHot, makePlainTypesHot } from "./lib/hot-types.mjs";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { ALL_PEERS, isPeer, PYTHON } from "./lib/peers.mjs";
import { nodeSide, peerSides, withSides } from "./lib/sides.mjs";

const NODES = 1_000_000;
const ROUNDS = 9;
const PEER_ROUNDS = 3;
const WARM_UPS = 4;
const CHECKS = "handles";
const SHAPES = ["tree", "list"];

/** The nodes hold 0.5, 1.5, ... */
const TOTAL = (NODES * NODES) / 2;

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
}) {
  sum() {
    let total = this.v;
    const left = this.a;
    if (left !== null) total += left.sum();
    const right = this.b;
    if (right !== null) total += right.sum();
    return total;
  }
}

/** Make a node and let go of the handles that it now holds itself. */
function make(heap, a, b, v) {
  const node = heap.new(Node, { a, b, c: null, v });
  if (a !== null) release(a);
  if (b !== null) release(b);
  return node;
}

/** Give a node its children, and let go of the handles. */
function link(node, left, right) {
  node.a = left;
  node.b = right;
  if (left !== null) release(left);
  if (right !== null) release(right);
}

function heapGraphs({ parentsFirst }) {
  const heap = Heap.create({ checks: CHECKS });
  makeHeapTypesHot(heap);
  const makeNode = (a, b, v) => make(heap, a, b, v);
  return { heap, tree: buildTree(makeNode, parentsFirst && link), list: buildList(makeNode) };
}

function views(options) {
  const { tree, list } = heapGraphs(options);
  return stepsOf({ tree: () => tree.sum(), list: () => sumList(list) });
}

function raw(options) {
  const { heap, tree, list } = heapGraphs(options);
  const { i32, f64, type, addressOf } = unsafe(heap);
  const node = type(Node);
  const a = node.offsetOf("a");
  const b = node.offsetOf("b");
  const v = node.offsetOf("v");

  function sumTree(address) {
    let total = f64[(address + v) >> 1];
    const left = i32[address + a];
    if (left !== 0) total += sumTree(left);
    const right = i32[address + b];
    if (right !== 0) total += sumTree(right);
    return total;
  }
  function sumListRaw(head) {
    let total = 0;
    for (let address = head; address !== 0; address = i32[address + a]) total += f64[(address + v) >> 1];
    return total;
  }
  return stepsOf({ tree: () => sumTree(addressOf(tree)), list: () => sumListRaw(addressOf(list)) });
}

// -- V8 -----------------------------------------------------------------------------------------

class PlainNode {
  constructor(a, b, v) {
    this.a = a;
    this.b = b;
    this.c = null;
    this.v = v;
  }
  sum() {
    let total = this.v;
    const left = this.a;
    if (left !== null) total += left.sum();
    const right = this.b;
    if (right !== null) total += right.sum();
    return total;
  }
}

function v8({ parentsFirst }) {
  makePlainTypesHot();
  const makeNode = (a, b, v) => new PlainNode(a, b, v);
  const linkPlain = (node, left, right) => {
    node.a = left;
    node.b = right;
  };
  const tree = buildTree(makeNode, parentsFirst && linkPlain);
  const list = buildList(makeNode);
  return stepsOf({ tree: () => tree.sum(), list: () => sumList(list) });
}

// -- both ---------------------------------------------------------------------------------------

/**
 * A balanced tree, children before their parent. With `link` parents come first, and it gives them their children: no row
 * measures that, but docs/performance.md says what it changes.
 */
function buildTree(makeNode, link) {
  let made = 0;
  function build(nodes) {
    if (nodes === 0) return null;
    const node = link && makeNode(null, null, made++ + 0.5);
    const left = build((nodes - 1) >> 1);
    const right = build(nodes - 1 - ((nodes - 1) >> 1));
    if (!link) return makeNode(left, right, made++ + 0.5);
    link(node, left, right);
    return node;
  }
  return build(NODES);
}

function buildList(makeNode) {
  let head = null;
  for (let i = 0; i < NODES; i++) head = makeNode(head, null, i + 0.5);
  return head;
}

function sumList(head) {
  let total = 0;
  for (let node = head; node !== null; node = node.a) total += node.v;
  return total;
}

function stepsOf(walks) {
  function walk(shape) {
    const { ms, result } = timed(walks[shape]);
    expect(`sum of the ${shape}`, result, TOTAL);
    return { ms };
  }
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) for (const shape of SHAPES) walk(shape);
  return { walk };
}

export const contenders = { views, raw, v8 };

// -- rows ---------------------------------------------------------------------------------------

const ROWS = {
  walk_views_1m: { side: "views", floors: { v8: 0.45 } },
  walk_raw_1m: { side: "raw", floors: { v8: 1 } },
};

export const jobs = [
  {
    ids: Object.keys(ROWS),
    async run(wanted, settings = {}) {
      const rows = Object.entries(ROWS).filter(([id]) => wanted.has(id));
      const samples = { tree: new Samples(), list: new Samples() };
      const makers = { v8: nodeSide("walk", "v8", {}), ...peerSides(ALL_PEERS, "walk", { n: NODES }) };
      for (const [, { side }] of rows) makers[side] = nodeSide("walk", side, {});
      const fast = Object.keys(makers).filter((name) => !isPeer(name) || name === PYTHON);
      await withSides(makers, async (contest) => {
        for (let round = 0; round < (settings.rounds ?? ROUNDS); round++)
          for (const shape of SHAPES) {
            const names = round < PEER_ROUNDS ? Object.keys(makers) : fast;
            samples[shape].add(await contest.all("walk", shape, names));
          }
      });
      return rows.flatMap(([bench, { side, floors }]) =>
        SHAPES.flatMap((shape) =>
          compare(
            { group: "walk", bench, n: NODES, shape, checks: CHECKS, unit: "ms", floors },
            samples[shape],
            side,
            ["v8", ...ALL_PEERS],
          ),
        ),
      );
    },
  },
];
