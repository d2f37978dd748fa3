/** What the rows of threads share with a worker: trees of nodes, as structs of a heap and as plain objects, and a dict of them. */
import { dict, f64, optional, release, str, struct } from "ouroheap";

/** The nodes hold 0.5, 1.5, ..., children before their parent. */
export class Node extends struct("Node", {
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

export const Names = dict(str, Node);
export const nameOf = (index) => `entry ${index}`;

export function heapTree(heap, nodes) {
  return buildTree(nodes, (a, b, v) => {
    const node = heap.new(Node, { a, b, c: null, v });
    if (a !== null) release(a);
    if (b !== null) release(b);
    return node;
  });
}

export const plainTree = (nodes) => buildTree(nodes, (a, b, v) => ({ a, b, c: null, v }));

/** A balanced tree: no node has a right child only. */
function buildTree(nodes, make) {
  let made = 0;
  function build(count) {
    if (count === 0) return null;
    const left = build(count >> 1);
    const right = build((count - 1) >> 1);
    return make(left, right, made++ + 0.5);
  }
  return build(nodes);
}

/** The first correct read: from the root down to the leftmost leaf, which was made first; the root was made last. */
export function readPath(root) {
  let leaf = root;
  for (let left = leaf.a; left !== null; left = left.a) leaf = left;
  return root.v + leaf.v;
}
export const pathOf = (nodes) => nodes;
