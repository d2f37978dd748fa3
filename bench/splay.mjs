/**
 * splay_latency: the idea of Octane's Splay. A splay tree (Sleator and Tarjan, top-down) of 8,000 nodes, each with a payload of 63
 * objects; a batch inserts 80 new keys and removes 80. Octane scores the time of all batches and, as latency, the root
 * mean square of the times of single batches, which a few long pauses make large.
 */
import { f64, Heap, i32, list, oneOf, optional, release, retain, str, struct } from "ouroheap";
import { expect } from "./lib/measure.mjs";
import { quantiles } from "./lib/pauses.mjs";
import { PYTHON } from "./lib/peers.mjs";
import { xorshift32 } from "./lib/random.mjs";
import { wholeProgram } from "./lib/whole.mjs";

const SIZE = 8000;
const PAYLOAD_DEPTH = 5;
const MODIFICATIONS = 80;
const BATCHES = 500;
const WARM_UP_BATCHES = 200;
const SEED = 0x1b873593;
const ROUNDS = 5;

/**
 * A splay tree over nodes with key, value, left and right. In a heap, what is taken out of one place is retained until it
 * stands in another; for plain objects `retain` and `release` do nothing.
 */
class SplayTree {
  constructor(side) {
    this.side = side;
    this.root = null;
    this.size = 0;
    /** Holds the two trees that a splay takes the old one apart into. */
    this.parts = side.makeNode(Number.NaN, null);
  }

  insert(key, value) {
    const { side } = this;
    const node = side.makeNode(key, value);
    if (this.root !== null) {
      this.splay(key);
      const root = this.root;
      if (key > root.key) {
        node.left = root;
        node.right = root.right;
        root.right = null;
      } else {
        node.right = root;
        node.left = root.left;
        root.left = null;
      }
      side.release(root);
    }
    this.root = node;
    this.size++;
  }

  remove(key) {
    const { side } = this;
    this.splay(key);
    const old = this.root;
    expect("the key removed", old.key, key);
    const right = old.right === null ? null : side.retain(old.right);
    if (old.left === null) this.root = right;
    else {
      this.root = side.retain(old.left);
      this.splay(key);
      this.root.right = right;
      if (right !== null) side.release(right);
    }
    side.release(old);
    this.size--;
  }

  /** The greatest key less than this one, or NaN. */
  keyBefore(key) {
    this.splay(key);
    if (this.root.key < key) return this.root.key;
    let node = this.root.left;
    if (node === null) return Number.NaN;
    while (node.right !== null) node = node.right;
    return node.key;
  }

  has(key) {
    if (this.root === null) return false;
    this.splay(key);
    return this.root.key === key;
  }

  /** Bring the node of this key, or one beside where it would be, to the root. */
  splay(key) {
    const { parts, side } = this;
    let left = parts;
    let right = parts;
    let current = this.root;
    for (;;) {
      if (key < current.key) {
        let next = current.left;
        if (next === null) break;
        if (key < next.key) {
          next = side.retain(next);
          current.left = next.right;
          next.right = current;
          side.release(current);
          current = next;
          if (current.left === null) break;
        }
        right.left = current;
        next = side.retain(current.left);
        side.release(current);
        right = right.left;
        current = next;
      } else if (key > current.key) {
        let next = current.right;
        if (next === null) break;
        if (key > next.key) {
          next = side.retain(next);
          current.right = next.left;
          next.left = current;
          side.release(current);
          current = next;
          if (current.right === null) break;
        }
        left.right = current;
        next = side.retain(current.right);
        side.release(current);
        left = left.right;
        current = next;
      } else break;
    }
    left.right = current.left;
    right.left = current.right;
    current.left = parts.right;
    current.right = parts.left;
    parts.left = null;
    parts.right = null;
    this.root = current;
  }

  /** The keys in order are checked against what is known of them. */
  check(size) {
    const open = [];
    let last = Number.NEGATIVE_INFINITY;
    let nodes = 0;
    let sum = 0;
    for (let node = this.root; node !== null || open.length > 0; node = node.right) {
      for (; node !== null; node = node.left) open.push(node);
      node = open.pop();
      if (node.key <= last) throw new Error("The keys are out of order.");
      last = node.key;
      sum += node.key;
      nodes++;
    }
    expect("nodes", nodes, size);
    return sum;
  }
}

function batch(tree, random, side) {
  for (let i = 0; i < MODIFICATIONS; i++) {
    const key = insertNew(tree, random, side);
    const before = tree.keyBefore(key);
    tree.remove(Number.isNaN(before) ? key : before);
  }
}

function insertNew(tree, random, side) {
  let key;
  do key = random();
  while (tree.has(key));
  const payload = side.makePayload(PAYLOAD_DEPTH, `${Math.floor(key * 4294967296)}`);
  tree.insert(key, payload);
  side.release(payload);
  return key;
}

// -- ours ---------------------------------------------------------------------------------------

class Leaf extends struct("Leaf", { array: list(i32), string: str }) {}
class Inner extends struct("Inner", {
  get left() {
    return oneOf(Inner, Leaf);
  },
  get right() {
    return oneOf(Inner, Leaf);
  },
}) {}
class Node extends struct("Node", {
  key: f64,
  value: optional(Inner),
  get left() {
    return optional(Node);
  },
  get right() {
    return optional(Node);
  },
}) {}

function ours() {
  const heap = Heap.create();
  function makePayload(depth, tag) {
    if (depth === 0)
      return heap.new(Leaf, {
        array: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        string: `String for key ${tag} in leaf node`,
      });
    const left = makePayload(depth - 1, tag);
    const right = makePayload(depth - 1, tag);
    const inner = heap.new(Inner, { left, right });
    release(left);
    release(right);
    return inner;
  }
  const makeNode = (key, value) => heap.new(Node, { key, value, left: null, right: null });
  return steps({ makeNode, makePayload, retain, release });
}

// -- V8 -----------------------------------------------------------------------------------------

class PlainNode {
  constructor(key, value) {
    this.key = key;
    this.value = value;
    this.left = null;
    this.right = null;
  }
}

function v8() {
  function makePayload(depth, tag) {
    if (depth === 0)
      return { array: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], string: `String for key ${tag} in leaf node` };
    return { left: makePayload(depth - 1, tag), right: makePayload(depth - 1, tag) };
  }
  const makeNode = (key, value) => new PlainNode(key, value);
  return steps({ makeNode, makePayload, retain: (node) => node, release: () => {} });
}

function steps(side) {
  const random = xorshift32(SEED);
  const tree = new SplayTree(side);
  while (tree.size < SIZE) insertNew(tree, random, side);

  function run(batches) {
    const times = new Float64Array(batches);
    for (let i = 0; i < batches; i++) {
      const start = performance.now();
      batch(tree, random, side);
      times[i] = performance.now() - start;
    }
    const ms = times.reduce((sum, time) => sum + time, 0);
    const meanSquare = times.reduce((sum, time) => sum + time * time, 0) / batches;
    return { ms, latencyMs: Math.sqrt(meanSquare), pauses: quantiles(times), result: tree.check(SIZE) };
  }

  run(WARM_UP_BATCHES);
  return { run: () => run(BATCHES) };
}

export const contenders = { ours, v8 };

export const jobs = [
  wholeProgram({
    id: "splay_latency",
    group: "splay",
    n: SIZE,
    ours: { ours: { shape: "", checks: "handles" } },
    peers: [PYTHON],
    rounds: ROUNDS,
    measures: { ms: "throughput", latencyMs: "latency (rms)" },
    options: {
      size: SIZE,
      payloadDepth: PAYLOAD_DEPTH,
      modifications: MODIFICATIONS,
      batches: BATCHES,
      warmUpBatches: WARM_UP_BATCHES,
      seed: SEED,
    },
  }),
];
