/**
 * A small program: a tree whose nodes know their parents, a few questions, and its end. Prints what it found, and the most memory it had; the peers
 * small-plain.mjs and peers/small.py print the same.
 */
import { Heap, i32, list, optional, release, struct } from "ouroheap";

const nodes = Number(process.argv[2]);

class Item extends struct("Item", {
  value: i32,
  get parent() {
    return optional(Item);
  },
  get children() {
    return list(Item);
  },
}) {
  add(value) {
    this.children.push({ value, parent: this });
  }
  sum() {
    let total = this.value;
    for (const child of this.children) total += child.sum();
    return total;
  }
  depth() {
    let depth = 0;
    for (let item = this.parent; item !== null; item = item.parent) depth++;
    return depth;
  }
}

const heap = Heap.create();
const root = heap.new(Item, { value: 0 });

// Each node has up to eight children: breadth first, so that the tree is as flat as can be.
const open = [root];
for (let made = 1; made < nodes; ) {
  const parent = open.shift();
  for (let k = 0; k < 8 && made < nodes; k++) {
    parent.add(made++);
    open.push(parent.children.at(-1));
  }
}

let deepest = 0;
let sevenths = 0;
(function visit(item) {
  deepest = Math.max(deepest, item.depth());
  if (item.value % 7 === 0) sevenths++;
  for (const child of item.children) visit(child);
})(root);
const total = root.sum();

release(root);
heap.gc.collect();
const { collected } = heap.gc.getStats().reduce((sum, one) => ({ collected: sum.collected + one.collected }));
console.log(JSON.stringify([total, sevenths, deepest, collected]));
console.log(process.resourceUsage().maxRSS); // KiB
