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
  const { vertex, parent, number } = depthFirstSearch(graph);
  const n = vertex.length;
  const dom = lengauerTarjan(n, parent, predecessors(graph, vertex, number));
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

/** The paper's DFS. `vertex`: nodes by number; `number`: the reverse, NONE if not reached; `parent`: by number, a number. */
function depthFirstSearch({ nodeCount, firstEdge, edgeTarget }: Flowgraph) {
  const number = new Uint32Array(nodeCount).fill(NONE);
  const vertex = new Uint32Array(nodeCount);
  const parent = new Uint32Array(nodeCount);
  /** Numbers of the vertices under way, and the next edge of each. */
  const stack = new Uint32Array(nodeCount);
  const nextEdge = new Uint32Array(nodeCount);
  let n = 1;
  let depth = 1;
  number[0] = 0;
  nextEdge[0] = firstEdge[0];
  while (depth > 0) {
    const v = stack[depth - 1];
    const edge = nextEdge[depth - 1];
    if (edge === firstEdge[vertex[v] + 1]) {
      depth--;
      continue;
    }
    nextEdge[depth - 1] = edge + 1;
    const node = edgeTarget[edge];
    if (number[node] !== NONE) continue;
    number[node] = n;
    vertex[n] = node;
    parent[n] = v;
    stack[depth] = n;
    nextEdge[depth++] = firstEdge[node];
    n++;
  }
  return { number, parent, vertex: n === nodeCount ? vertex : vertex.slice(0, n) };
}

interface Predecessors {
  /** By number: where its predecessors start; n + 1 entries. */
  readonly first: Uint32Array;
  readonly pred: Uint32Array;
}

/** The paper's pred(w), all by number. */
function predecessors(graph: Flowgraph, vertex: Uint32Array, number: Uint32Array): Predecessors {
  const { firstEdge, edgeTarget } = graph;
  const n = vertex.length;
  const first = new Uint32Array(n + 2);
  // Counted two places up, so that filling in leaves every start where it belongs.
  for (let v = 0; v < n; v++)
    for (let edge = firstEdge[vertex[v]]; edge < firstEdge[vertex[v] + 1]; edge++)
      first[number[edgeTarget[edge]] + 2]++;
  for (let w = 2; w < n + 2; w++) first[w] += first[w - 1];
  const pred = new Uint32Array(first[n + 1]);
  for (let v = 0; v < n; v++)
    for (let edge = firstEdge[vertex[v]]; edge < firstEdge[vertex[v] + 1]; edge++)
      pred[first[number[edgeTarget[edge]] + 1]++] = v;
  return { first, pred };
}

/** Steps 2 to 4 of the algorithm. @returns dom, by number */
function lengauerTarjan(n: number, parent: Uint32Array, { first, pred }: Predecessors): Uint32Array {
  const semi = new Uint32Array(n);
  const label = new Uint32Array(n);
  const ancestor = new Uint32Array(n).fill(NONE);
  const dom = new Uint32Array(n);
  /** bucket(v): the first vertex whose semidominator is v, and for each vertex the next in its bucket. */
  const bucket = new Uint32Array(n).fill(NONE);
  const nextInBucket = new Uint32Array(n);
  const path = new Uint32Array(n);
  for (let v = 0; v < n; v++) {
    semi[v] = v;
    label[v] = v;
  }

  /** Hang every vertex on the way to the top directly under it, its label the vertex of least semidominator passed. */
  const compress = (v: number): void => {
    let length = 0;
    for (let u = v; ancestor[ancestor[u]] !== NONE; u = ancestor[u]) path[length++] = u;
    while (length > 0) {
      const u = path[--length];
      const above = ancestor[u];
      if (semi[label[above]] < semi[label[u]]) label[u] = label[above];
      ancestor[u] = ancestor[above];
    }
  };
  const evaluate = (v: number): number => {
    if (ancestor[v] === NONE) return v;
    compress(v);
    return label[v];
  };

  for (let w = n - 1; w > 0; w--) {
    for (let index = first[w]; index < first[w + 1]; index++) {
      const u = evaluate(pred[index]);
      if (semi[u] < semi[w]) semi[w] = semi[u];
    }
    nextInBucket[w] = bucket[semi[w]];
    bucket[semi[w]] = w;
    const above = parent[w];
    ancestor[w] = above; // LINK(parent(w), w)
    for (let v = bucket[above]; v !== NONE; v = nextInBucket[v]) {
      const u = evaluate(v);
      dom[v] = semi[u] < semi[v] ? u : above;
    }
    bucket[above] = NONE;
  }
  for (let w = 1; w < n; w++) if (dom[w] !== semi[w]) dom[w] = dom[dom[w]];
  return dom;
}
