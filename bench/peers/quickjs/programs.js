/**
 * The programs of trees.mjs, gcbench.mjs, collect.mjs, build.mjs and walk.mjs for QuickJS, natively (native.js) and compiled to wasm
 * (side.mjs). No modules: this text is evaluated as it is. `now` gives milliseconds, `collectNow` is undefined where there is no such.
 */

// biome-ignore lint/correctness/noUnusedVariables: the two hosts call it
function makeSteps({ now, collectNow }) {
  function timed(run) {
    const start = now();
    const result = run();
    return { ms: now() - start, result };
  }
  function expect(what, actual, expected) {
    if (actual !== expected) throw new Error(`${what}: expected ${expected}, got ${actual}.`);
  }

  // -- trees, gcbench ---------------------------------------------------------------------------

  class Tree {
    constructor(left, right) {
      this.left = left;
      this.right = right;
    }
  }
  const buildTree = (depth) =>
    depth === 0 ? new Tree(null, null) : new Tree(buildTree(depth - 1), buildTree(depth - 1));
  const countTree = (tree) => (tree.left === null ? 1 : 1 + countTree(tree.left) + countTree(tree.right));

  function trees({ depthMin }) {
    function program(depthMax) {
      let nodes = countTree(buildTree(depthMax + 1));
      const longLived = buildTree(depthMax);
      for (let depth = depthMin; depth <= depthMax; depth += 2)
        for (let i = 1 << (depthMax - depth + depthMin); i > 0; i--) nodes += countTree(buildTree(depth));
      return nodes + countTree(longLived);
    }
    return {
      run(depthMax) {
        const { ms, result } = timed(() => program(depthMax));
        return { ms, nodes: result };
      },
    };
  }

  class BenchNode {
    constructor(left, right) {
      this.left = left;
      this.right = right;
      this.i = 0;
      this.j = 0;
    }
  }
  function populate(node, depth) {
    if (depth === 0) return;
    node.left = new BenchNode(null, null);
    node.right = new BenchNode(null, null);
    populate(node.left, depth - 1);
    populate(node.right, depth - 1);
  }
  const makeBenchTree = (depth) =>
    depth === 0
      ? new BenchNode(null, null)
      : new BenchNode(makeBenchTree(depth - 1), makeBenchTree(depth - 1));
  const countBenchTree = (node) =>
    node === null ? 0 : 1 + countBenchTree(node.left) + countBenchTree(node.right);

  function gcbench({ depths, arrayLength }) {
    const nodesOf = (depth) => 2 ** (depth + 1) - 1;
    function program() {
      makeBenchTree(depths.stretch);
      const longLived = new BenchNode(null, null);
      populate(longLived, depths.longLived);
      const array = [];
      for (let i = 0; i < arrayLength; i++) array.push(i > 0 && i < arrayLength / 2 ? 1 / i : 0);
      let made = 0;
      for (let depth = depths.min; depth <= depths.max; depth += 2) {
        const iterations = Math.floor((2 * nodesOf(depths.stretch)) / nodesOf(depth));
        for (let i = 0; i < iterations; i++) populate(new BenchNode(null, null), depth);
        for (let i = 0; i < iterations; i++) makeBenchTree(depth);
        made += 2 * iterations;
      }
      return [made, countBenchTree(longLived), array[1000]];
    }
    return { run: () => timed(program) };
  }

  // -- collect ----------------------------------------------------------------------------------

  class Node {
    constructor(a, b, c, v) {
      this.a = a;
      this.b = b;
      this.c = c;
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

  /** lib/graphs.mjs has the same. */
  function targetRule(shape, n) {
    let state = 0x9e3779b9 | 0;
    function random() {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 4294967296;
    }
    const rules = {
      random: () => Math.floor(random() * n),
      near: (i) => Math.min(n - 1, Math.max(0, i - 1000 + Math.floor(random() * 2001))),
      ring: (i, field) => (field === 0 ? (i + 1) % n : Math.floor(random() * n)),
      next20: (i, field) => (i + 1 + (field === 0 ? 0 : Math.floor(random() * 20))) % n,
    };
    return rules[shape];
  }

  /** It does not say what it has freed. */
  function collect({ shape, n }) {
    let root;
    const collecting = () => ({ ms: timed(collectNow).ms });
    return {
      build() {
        const target = targetRule(shape, n);
        const nodes = [];
        for (let i = 0; i < n; i++) nodes.push(new Node(null, null, null, i + 0.5));
        for (let i = 0; i < n; i++) {
          nodes[i].a = nodes[target(i, 0)];
          nodes[i].b = nodes[target(i, 1)];
          nodes[i].c = nodes[target(i, 2)];
        }
        root = nodes[0];
        nodes.length = 0;
        collectNow();
      },
      collect: collecting,
      drop() {
        expect("the root's value", root.v, 0.5);
        root = null;
        return collecting();
      },
    };
  }

  // -- build, walk ------------------------------------------------------------------------------

  function buildList(n) {
    let head = null;
    for (let i = 0; i < n; i++) head = new Node(head, null, null, i + 0.5);
    return head;
  }
  function sumList(head) {
    let total = 0;
    for (let node = head; node !== null; node = node.a) total += node.v;
    return total;
  }

  function build({ n }) {
    return {
      run() {
        let { ms, result: head } = timed(() => buildList(n));
        expect("their sum", sumList(head), (n * n) / 2);
        const dropped = timed(() => {
          head = null;
        });
        return { ms, dropMs: dropped.ms };
      },
    };
  }

  function walk({ n }) {
    let made = 0;
    function balanced(nodes) {
      if (nodes === 0) return null;
      const left = balanced((nodes - 1) >> 1);
      const right = balanced(nodes - 1 - ((nodes - 1) >> 1));
      return new Node(left, right, null, made++ + 0.5);
    }
    const tree = balanced(n);
    const list = buildList(n);
    const walks = { tree: () => tree.sum(), list: () => sumList(list) };
    return {
      walk(shape) {
        const { ms, result } = timed(walks[shape]);
        expect(`sum of the ${shape}`, result, (n * n) / 2);
        return { ms };
      },
    };
  }

  const groups = { trees, gcbench, collect, build, walk };
  return (group, options) => groups[group](options);
}
