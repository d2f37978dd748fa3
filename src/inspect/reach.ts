/** What can be reached from where. */
import type { Flowgraph } from "./graph.js";

/**
 * A breadth-first walk. Into `pathEdge` goes, for each node that it comes to, the edge by which it came: the last of a
 * shortest path from the start. Nodes that have one already are not walked again.
 *
 * @param pathEdge -1 for nodes that were not reached; node 0 never has an edge
 * @returns how many nodes were walked, the start included. O(nodes + edges)
 */
export function walkFrom(graph: Flowgraph, start: number, pathEdge: Int32Array): number {
  const { nodeCount, firstEdge, edgeTarget } = graph;
  const queue = new Uint32Array(nodeCount);
  queue[0] = start;
  let tail = 1;
  for (let head = 0; head < tail; head++) {
    const node = queue[head];
    const end = firstEdge[node + 1];
    for (let edge = firstEdge[node]; edge < end; edge++) {
      const target = edgeTarget[edge];
      if (pathEdge[target] !== -1 || target === 0 || target === start) continue;
      pathEdge[target] = edge;
      queue[tail++] = target;
    }
  }
  return tail;
}

/**
 * Nodes from which everything that was not reached can be: one of each group that nothing else of it leads to. (Each is the
 * start of a depth-first tree that no later start reaches, which is how Kosaraju finds the first component.)
 *
 * @param pathEdge what `walkFrom` wrote, from node 0
 */
export function entriesOfUnreached(graph: Flowgraph, pathEdge: Int32Array): number[] {
  const { nodeCount } = graph;
  const seen = new Uint8Array(nodeCount);
  const starts: number[] = [];
  const queue = new Uint32Array(nodeCount);
  for (let node = 1; node < nodeCount; node++) {
    if (pathEdge[node] !== -1 || seen[node] !== 0) continue;
    starts.push(node);
    flood(graph, node, seen, 1, queue);
  }
  const entries: number[] = [];
  for (const start of starts.reverse()) {
    if (seen[start] === 2) continue;
    entries.push(start);
    flood(graph, start, seen, 2, queue);
  }
  return entries.reverse();
}

function flood(graph: Flowgraph, start: number, seen: Uint8Array, mark: number, queue: Uint32Array): void {
  const { firstEdge, edgeTarget } = graph;
  seen[start] = mark;
  queue[0] = start;
  for (let head = 0, tail = 1; head < tail; head++)
    for (let edge = firstEdge[queue[head]]; edge < firstEdge[queue[head] + 1]; edge++) {
      const target = edgeTarget[edge];
      if (seen[target] === mark) continue;
      seen[target] = mark;
      queue[tail++] = target;
    }
}

/** By node: 1 for what a start reaches without passing a node that is left out; the start included. O(nodes + edges). */
export function reachedFrom(graph: Flowgraph, start: number, leftOut?: number): Uint8Array {
  const seen = new Uint8Array(graph.nodeCount);
  if (leftOut !== undefined) seen[leftOut] = 1;
  flood(graph, start, seen, 1, new Uint32Array(graph.nodeCount));
  if (leftOut !== undefined) seen[leftOut] = 0;
  return seen;
}
