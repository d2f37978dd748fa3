/**
 * Immediate dominators and retained sizes. Node d dominates w if every way from the root to w leads through d; the nearest
 * such d is w's immediate dominator, and what would be freed with d is all that d dominates.
 *
 * Thomas Lengauer and Robert Endre Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph", ACM TOPLAS 1(1),
 * 1979: the simple version with path compression, O(m log n), sections 3 and 4 and appendix B. Names are the paper's.
 * Departures: vertices go by their depth-first numbers from 0 (so `vertex` is needed only to translate at the end, and
 * semi(w) is a vertex as it stands), the search and COMPRESS are loops with stacks of their own, because a path may be as
 * long as the heap is large, and buckets are lists in two arrays.
 */
import type { Flowgraph } from "./graph.js";

const NONE = 0xffffffff;

/** What depends on the root alone: who dominates whom. */
export interface Dominators {
  /** By node: its immediate dominator; the root's is itself, and so is that of a node that the root does not reach. */
  readonly immediateDominator: Uint32Array;
  /** Nodes that the root reaches, in the order of the depth-first search: every dominator stands before what it dominates. */
  readonly order: Uint32Array;
}

/** O(m log n). Takes some 40 bytes a node and 4 a reference while it runs. */
export function findDominators(graph: Flowgraph): Dominators {
  const { nodeCount } = graph;
  const search = depthFirstSearch(graph);
  const { vertex, parent } = search;
  const n = vertex.length;
  const dom = lengauerTarjan(n, parent, predecessors(graph, search));
  const immediateDominator = new Uint32Array(nodeCount);
  for (let node = 0; node < nodeCount; node++) immediateDominator[node] = node;
  for (let w = 1; w < n; w++) immediateDominator[vertex[w]] = vertex[dom[w]];
  return { immediateDominator, order: vertex };
}

/**
 * The sum over what each node dominates, itself included. What the root does not reach has its own size only.
 * @param sizeOf size of a node alone
 */
export function sumRetained(dominators: Dominators, sizeOf: (node: number) => number): Float64Array {
  const { immediateDominator, order } = dominators;
  const retained = new Float64Array(immediateDominator.length);
  for (let node = 0; node < retained.length; node++) retained[node] = sizeOf(node);
  for (let w = order.length - 1; w > 0; w--) retained[immediateDominator[order[w]]] += retained[order[w]];
  return retained;
}

/** What the search knows of a node, side by side: on a large graph each first look at one is a cache miss. */
const NUMBER = 0; // NONE: not reached
/** While searching, how many edges have led here; then where the node's predecessors stand. */
const PRED = 1;
const NODE_SHIFT = 1;

interface Search {
  readonly nodes: Uint32Array;
  /** By number: the node, and the number of its parent in the search tree. */
  readonly vertex: Uint32Array;
  readonly parent: Uint32Array;
}

/** The paper's DFS. Numbers and counts the predecessors on the way. */
function depthFirstSearch({ nodeCount, firstEdge, edgeTarget }: Flowgraph): Search {
  const nodes = new Uint32Array(nodeCount << NODE_SHIFT);
  for (let node = 0; node < nodeCount; node++) nodes[(node << NODE_SHIFT) + NUMBER] = NONE;
  const vertex = new Uint32Array(nodeCount);
  const parent = new Uint32Array(nodeCount);
  /** Numbers of the vertices under way; by number, the next edge of each. */
  const stack = new Uint32Array(nodeCount);
  const nextEdge = new Uint32Array(nodeCount);
  let n = 1;
  let depth = 1;
  nodes[NUMBER] = 0;
  nextEdge[0] = firstEdge[0];
  while (depth > 0) {
    const v = stack[depth - 1];
    let edge = nextEdge[v];
    const end = firstEdge[vertex[v] + 1];
    let found = NONE;
    while (edge < end && found === NONE) {
      const node = edgeTarget[edge++];
      const at = node << NODE_SHIFT;
      nodes[at + PRED]++;
      if (nodes[at + NUMBER] === NONE) found = node;
    }
    nextEdge[v] = edge;
    if (found === NONE) {
      depth--;
      continue;
    }
    nodes[(found << NODE_SHIFT) + NUMBER] = n;
    vertex[n] = found;
    parent[n] = v;
    stack[depth++] = n;
    nextEdge[n++] = firstEdge[found];
  }
  return { nodes, parent, vertex: n === nodeCount ? vertex : vertex.slice(0, n) };
}

interface Predecessors {
  /** By number: where its predecessors start; n + 1 entries. */
  readonly first: Uint32Array;
  readonly pred: Uint32Array;
}

/** The paper's pred(w), all by number. */
function predecessors({ nodeCount, firstEdge, edgeTarget }: Flowgraph, search: Search): Predecessors {
  const { nodes, vertex } = search;
  const n = vertex.length;
  const first = new Uint32Array(n + 1);
  for (let w = 0; w < n; w++) {
    const at = (vertex[w] << NODE_SHIFT) + PRED;
    first[w + 1] = first[w] + nodes[at];
    nodes[at] = first[w];
  }
  const pred = new Uint32Array(first[n]);
  for (let node = 0; node < nodeCount; node++) {
    const v = nodes[(node << NODE_SHIFT) + NUMBER];
    if (v === NONE) continue;
    const end = firstEdge[node + 1];
    for (let edge = firstEdge[node]; edge < end; edge++)
      pred[nodes[(edgeTarget[edge] << NODE_SHIFT) + PRED]++] = v;
  }
  return { first, pred };
}

/** What EVAL and LINK know of a vertex, side by side for the same reason. */
const ANCESTOR = 0;
const LABEL = 1;
const SEMI = 2;
const FOREST_SHIFT = 2;

/** Steps 2 to 4 of the algorithm. @returns dom, by number */
function lengauerTarjan(n: number, parent: Uint32Array, { first, pred }: Predecessors): Uint32Array {
  const forest = new Uint32Array(n << FOREST_SHIFT);
  const dom = new Uint32Array(n);
  /** bucket(v): the first vertex whose semidominator is v, and for each vertex the next in its bucket. */
  const bucket = new Uint32Array(n).fill(NONE);
  const nextInBucket = new Uint32Array(n);
  const path = new Uint32Array(n);
  for (let v = 0; v < n; v++) {
    forest[(v << FOREST_SHIFT) + ANCESTOR] = NONE;
    forest[(v << FOREST_SHIFT) + LABEL] = v;
    forest[(v << FOREST_SHIFT) + SEMI] = v;
  }
  const semi = (v: number) => forest[(v << FOREST_SHIFT) + SEMI];

  /** EVAL(v), where v has an ancestor: COMPRESS hangs every vertex on the way up directly under the top. */
  const evaluate = (v: number): number => {
    let length = 0;
    let u = v << FOREST_SHIFT;
    for (;;) {
      const above = forest[u + ANCESTOR] << FOREST_SHIFT;
      if (forest[above + ANCESTOR] === NONE) break;
      path[length++] = u;
      u = above;
    }
    // The last one stands under the top already. Its label is known; carry it down.
    const top = forest[u + ANCESTOR];
    let label = forest[u + LABEL];
    let least = semi(label);
    while (length > 0) {
      u = path[--length];
      const own = forest[u + LABEL];
      const ownSemi = semi(own);
      if (least < ownSemi) forest[u + LABEL] = label;
      else {
        label = own;
        least = ownSemi;
      }
      forest[u + ANCESTOR] = top;
    }
    return label;
  };

  for (let w = n - 1; w > 0; w--) {
    let least = w;
    for (let index = first[w]; index < first[w + 1]; index++) {
      const v = pred[index];
      // Vertices below w have not been linked: EVAL of one is the vertex itself.
      const reached = v <= w ? v : semi(evaluate(v));
      if (reached < least) least = reached;
    }
    forest[(w << FOREST_SHIFT) + SEMI] = least;
    nextInBucket[w] = bucket[least];
    bucket[least] = w;
    const above = parent[w];
    forest[(w << FOREST_SHIFT) + ANCESTOR] = above; // LINK(parent(w), w)
    for (let v = bucket[above]; v !== NONE; v = nextInBucket[v]) {
      const u = evaluate(v);
      dom[v] = semi(u) < semi(v) ? u : above;
    }
    bucket[above] = NONE;
  }
  for (let w = 1; w < n; w++) if (dom[w] !== semi(w)) dom[w] = dom[dom[w]];
  return dom;
}
