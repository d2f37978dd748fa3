// The programs of trees.mjs, gcbench.mjs, collect.mjs, build.mjs and walk.mjs for AssemblyScript's own collector (the default,
// incremental one). side.mjs times the calls.

// -- trees, gcbench -------------------------------------------------------------------------------

class Tree {
  constructor(
    public left: Tree | null,
    public right: Tree | null,
  ) {}
}

function buildTree(depth: i32): Tree {
  return depth == 0 ? new Tree(null, null) : new Tree(buildTree(depth - 1), buildTree(depth - 1));
}

function countTree(tree: Tree): i32 {
  const left = tree.left;
  return left == null ? 1 : 1 + countTree(left) + countTree(tree.right!);
}

export function trees(depthMin: i32, depthMax: i32): i32 {
  let nodes = countTree(buildTree(depthMax + 1));
  const longLived = buildTree(depthMax);
  for (let depth = depthMin; depth <= depthMax; depth += 2)
    for (let i = 1 << (depthMax - depth + depthMin); i > 0; i--) nodes += countTree(buildTree(depth));
  return nodes + countTree(longLived);
}

class BenchNode {
  left: BenchNode | null = null;
  right: BenchNode | null = null;
  i: i32 = 0;
  j: i32 = 0;
}

function populate(node: BenchNode, depth: i32): void {
  if (depth == 0) return;
  node.left = new BenchNode();
  node.right = new BenchNode();
  populate(node.left!, depth - 1);
  populate(node.right!, depth - 1);
}

function makeBenchTree(depth: i32): BenchNode {
  const node = new BenchNode();
  if (depth == 0) return node;
  node.left = makeBenchTree(depth - 1);
  node.right = makeBenchTree(depth - 1);
  return node;
}

function countBenchTree(node: BenchNode | null): i32 {
  return node == null ? 0 : 1 + countBenchTree(node.left) + countBenchTree(node.right);
}

let madeTrees: i32 = 0;
let longLivedNodes: i32 = 0;
let arrayValue: f64 = 0;

export function gcbench(stretch: i32, longLivedDepth: i32, min: i32, max: i32, arrayLength: i32): void {
  makeBenchTree(stretch);
  const longLived = new BenchNode();
  populate(longLived, longLivedDepth);
  const array = new Array<f64>();
  for (let i = 0; i < arrayLength; i++) array.push(i > 0 && i < arrayLength / 2 ? 1.0 / <f64>i : 0.0);
  madeTrees = 0;
  for (let depth = min; depth <= max; depth += 2) {
    const iterations = (2 * ((1 << (stretch + 1)) - 1)) / ((1 << (depth + 1)) - 1);
    for (let i = 0; i < iterations; i++) populate(new BenchNode(), depth);
    for (let i = 0; i < iterations; i++) makeBenchTree(depth);
    madeTrees += 2 * iterations;
  }
  longLivedNodes = countBenchTree(longLived);
  arrayValue = array[1000];
}

export function gcbenchTrees(): i32 {
  return madeTrees;
}
export function gcbenchNodes(): i32 {
  return longLivedNodes;
}
export function gcbenchValue(): f64 {
  return arrayValue;
}

// -- collect, build, walk ---------------------------------------------------------------------------

class Node {
  a: Node | null = null;
  b: Node | null = null;
  c: Node | null = null;
  constructor(public v: f64) {}

  sum(): f64 {
    let total = this.v;
    const left = this.a;
    if (left != null) total += left.sum();
    const right = this.b;
    if (right != null) total += right.sum();
    return total;
  }
}

let root: Node | null = null;
let tree: Node | null = null;
let list: Node | null = null;
let made: i32 = 0;

/** The targets are put into this array first: the rules of the shapes are JavaScript's. */
export function newTargets(length: i32): Int32Array {
  return new Int32Array(length);
}

export function link(targets: Int32Array): void {
  const n = targets.length / 3;
  const nodes = new Array<Node>(0);
  for (let i = 0; i < n; i++) nodes.push(new Node(<f64>i + 0.5));
  for (let i = 0; i < n; i++) {
    const node = nodes[i];
    node.a = nodes[targets[3 * i]];
    node.b = nodes[targets[3 * i + 1]];
    node.c = nodes[targets[3 * i + 2]];
  }
  root = nodes[0];
}

export function rootValue(): f64 {
  return root!.v;
}
export function dropRoot(): void {
  root = null;
}

export function buildList(n: i32): void {
  let head: Node | null = null;
  for (let i = 0; i < n; i++) {
    const node = new Node(<f64>i + 0.5);
    node.a = head;
    head = node;
  }
  list = head;
}
export function dropList(): void {
  list = null;
}

export function sumList(): f64 {
  let total: f64 = 0;
  let node: Node | null = list;
  while (node != null) {
    total += node.v;
    node = node.a;
  }
  return total;
}

function balanced(nodes: i32): Node | null {
  if (nodes == 0) return null;
  const left = balanced((nodes - 1) >> 1);
  const right = balanced(nodes - 1 - ((nodes - 1) >> 1));
  const node = new Node(<f64>made + 0.5);
  made++;
  node.a = left;
  node.b = right;
  return node;
}

export function buildBalanced(nodes: i32): void {
  made = 0;
  tree = balanced(nodes);
}
export function sumTree(): f64 {
  return tree!.sum();
}
