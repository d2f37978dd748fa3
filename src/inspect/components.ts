/**
 * Strongly connected components: groups of objects in which each leads to each, which counts alone cannot free.
 *
 * Robert Tarjan, "Depth-First Search and Linear Graph Algorithms", SIAM J. Comput. 1(2), 1972, section 4. Names are the
 * paper's; the search is a loop with a stack of its own.
 */
import type { Flowgraph } from "./graph.js";

/** The components that have a cycle: of several nodes, or of one that refers to itself. Smallest first. O(n + m). */
export function findCyclicComponents(graph: Flowgraph): Uint32Array[] {
  const { nodeCount, firstEdge, edgeTarget } = graph;
  const NUMBER = new Uint32Array(nodeCount); // 0: not reached yet
  const LOWLINK = new Uint32Array(nodeCount);
  const isOnStack = new Uint8Array(nodeCount);
  const points = new Uint32Array(nodeCount);
  const path = new Uint32Array(nodeCount);
  const nextEdge = new Uint32Array(nodeCount);
  const components: Uint32Array[] = [];
  let i = 0;
  let stacked = 0;
  for (let start = 0; start < nodeCount; start++) {
    if (NUMBER[start] !== 0) continue;
    let depth = 0;
    const enter = (v: number) => {
      NUMBER[v] = LOWLINK[v] = ++i;
      points[stacked++] = v;
      isOnStack[v] = 1;
      path[depth] = v;
      nextEdge[depth++] = firstEdge[v];
    };
    enter(start);
    while (depth > 0) {
      const v = path[depth - 1];
      if (nextEdge[depth - 1] < firstEdge[v + 1]) {
        const w = edgeTarget[nextEdge[depth - 1]++];
        if (NUMBER[w] === 0) enter(w);
        else if (isOnStack[w] === 1) LOWLINK[v] = Math.min(LOWLINK[v], NUMBER[w]);
        continue;
      }
      depth--;
      if (depth > 0) LOWLINK[path[depth - 1]] = Math.min(LOWLINK[path[depth - 1]], LOWLINK[v]);
      if (LOWLINK[v] !== NUMBER[v]) continue;
      let first = stacked;
      do isOnStack[points[--first]] = 0;
      while (points[first] !== v);
      if (stacked - first > 1 || refersToItself(graph, v)) components.push(points.slice(first, stacked));
      stacked = first;
    }
  }
  return components.sort((one, other) => one.length - other.length);
}

function refersToItself({ firstEdge, edgeTarget }: Flowgraph, v: number): boolean {
  for (let edge = firstEdge[v]; edge < firstEdge[v + 1]; edge++) if (edgeTarget[edge] === v) return true;
  return false;
}
