/**
 * gcbench: Boehm's GCBench. A large tree is stretched and dropped; a tree and an array of doubles live on; then trees of depths 4, 6, ...
 * 16 are made from the root down and from the leaves up, as many of each depth as give the same number of nodes.
 */
import { f64, Heap, i32, list, optional, release, struct } from "ouroheap";
import { unsafe } from "ouroheap/unsafe";
import { expect, timed } from "./lib/measure.mjs";
import { ALL_PEERS } from "./lib/peers.mjs";
import { wholeProgram } from "./lib/whole.mjs";

const DEPTHS = { stretch: 18, longLived: 16, min: 4, max: 16 };
const ARRAY_LENGTH = 500_000;
const ROUNDS = 5;
const WARM_UP = { stretch: 8, longLived: 6, min: 4, max: 8 };
const WARM_UPS = 20;

const nodesOf = (depth) => 2 ** (depth + 1) - 1;

/** @param side populate and make a tree, count and drop one, and an array of doubles of a length, half filled with 1 / i */
function program({ makeNode, populate, makeTree, count, drop, makeArray }, depths) {
  drop(makeTree(depths.stretch));
  const longLived = makeNode();
  populate(longLived, depths.longLived);
  const array = makeArray(ARRAY_LENGTH);
  let trees = 0;
  for (let depth = depths.min; depth <= depths.max; depth += 2) {
    const iterations = Math.floor((2 * nodesOf(depths.stretch)) / nodesOf(depth));
    for (let i = 0; i < iterations; i++) {
      const topDown = makeNode();
      populate(topDown, depth);
      drop(topDown);
    }
    for (let i = 0; i < iterations; i++) drop(makeTree(depth));
    trees += 2 * iterations;
  }
  const result = [trees, count(longLived), array.at(1000)];
  drop(longLived);
  drop(array);
  return result;
}

// -- ours ---------------------------------------------------------------------------------------

const Doubles = list(f64);

class Node extends struct("Node", {
  get left() {
    return optional(Node);
  },
  get right() {
    return optional(Node);
  },
  i: i32,
  j: i32,
}) {}

class RawNode extends struct(
  "RawNode",
  {
    get left() {
      return optional(RawNode);
    },
    get right() {
      return optional(RawNode);
    },
    i: i32,
    j: i32,
  },
  { cyclic: false },
) {}

function makeDoubles(heap, length) {
  const array = heap.new(Doubles, []);
  for (let i = 0; i < length; i++) array.push(i > 0 && i < length / 2 ? 1 / i : 0);
  return array;
}

function views() {
  const heap = Heap.create();
  const makeNode = () => heap.new(Node, { left: null, right: null, i: 0, j: 0 });
  function populate(node, depth) {
    if (depth === 0) return;
    node.left = { left: null, right: null, i: 0, j: 0 };
    node.right = { left: null, right: null, i: 0, j: 0 };
    populate(node.left, depth - 1);
    populate(node.right, depth - 1);
  }
  function makeTree(depth) {
    if (depth === 0) return makeNode();
    const left = makeTree(depth - 1);
    const right = makeTree(depth - 1);
    const node = heap.new(Node, { left, right, i: 0, j: 0 });
    release(left);
    release(right);
    return node;
  }
  function count(node) {
    if (node === null) return 0;
    return 1 + count(node.left) + count(node.right);
  }
  const makeArray = (length) => makeDoubles(heap, length);
  return steps({ makeNode, populate, makeTree, count, drop: release, makeArray });
}

function raw() {
  const heap = Heap.create({ checks: "off" });
  const { i32: words, decref, type } = unsafe(heap);
  const node = type(RawNode);
  const left = node.offsetOf("left");
  const right = node.offsetOf("right");
  function populate(address, depth) {
    if (depth === 0) return;
    words[address + left] = node.allocate();
    words[address + right] = node.allocate();
    populate(words[address + left], depth - 1);
    populate(words[address + right], depth - 1);
  }
  function makeTree(depth) {
    const address = node.allocate();
    if (depth === 0) return address;
    words[address + left] = makeTree(depth - 1);
    words[address + right] = makeTree(depth - 1);
    return address;
  }
  function count(address) {
    if (address === 0) return 0;
    return 1 + count(words[address + left]) + count(words[address + right]);
  }
  const drop = (owned) => (typeof owned === "number" ? decref(owned) : release(owned));
  const makeArray = (length) => makeDoubles(heap, length);
  return steps({ makeNode: () => node.allocate(), populate, makeTree, count, drop, makeArray });
}

// -- V8 -----------------------------------------------------------------------------------------

class PlainNode {
  constructor(left, right) {
    this.left = left;
    this.right = right;
    this.i = 0;
    this.j = 0;
  }
}

function v8() {
  function populate(node, depth) {
    if (depth === 0) return;
    node.left = new PlainNode(null, null);
    node.right = new PlainNode(null, null);
    populate(node.left, depth - 1);
    populate(node.right, depth - 1);
  }
  function makeTree(depth) {
    return depth === 0 ? new PlainNode(null, null) : new PlainNode(makeTree(depth - 1), makeTree(depth - 1));
  }
  function count(node) {
    return node === null ? 0 : 1 + count(node.left) + count(node.right);
  }
  function makeArray(length) {
    const array = [];
    for (let i = 0; i < length; i++) array.push(i > 0 && i < length / 2 ? 1 / i : 0);
    return array;
  }
  return steps({
    makeNode: () => new PlainNode(null, null),
    populate,
    makeTree,
    count,
    drop: () => {},
    makeArray,
  });
}

function steps(side) {
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++)
    expect("long-lived nodes", program(side, WARM_UP)[1], nodesOf(WARM_UP.longLived));
  return { run: () => timed(() => program(side, DEPTHS)) };
}

export const contenders = { raw, views, v8 };

export const jobs = [
  wholeProgram({
    id: "gcbench",
    group: "gcbench",
    n: nodesOf(DEPTHS.stretch),
    ours: {
      raw: { shape: "raw verbs, cyclic: false", checks: "off" },
      views: { shape: "heap.new", checks: "handles" },
    },
    peers: ALL_PEERS,
    rounds: ROUNDS,
    peerRounds: 1,
    options: { depths: DEPTHS, arrayLength: ARRAY_LENGTH },
  }),
];
