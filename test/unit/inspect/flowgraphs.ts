/** Small random graphs, and what is true of them, found naively. */
import * as fc from "fast-check";
import type { Flowgraph } from "../../../src/inspect/graph.js";

export interface SmallGraph extends Flowgraph {
  readonly edges: readonly (readonly [from: number, to: number])[];
}

export function flowgraph(nodeCount: number, edges: readonly (readonly [number, number])[]): SmallGraph {
  const sorted = [...edges].sort(([one], [other]) => one - other);
  const firstEdge = Uint32Array.from(
    { length: nodeCount + 1 },
    (_, node) => sorted.filter(([from]) => from < node).length,
  );
  return { nodeCount, firstEdge, edgeTarget: Uint32Array.from(sorted, ([, to]) => to), edges: sorted };
}

/** Several edges between two nodes, edges to oneself and nodes that nothing reaches included. */
export const anyFlowgraph: fc.Arbitrary<SmallGraph> = fc.integer({ min: 1, max: 12 }).chain((nodeCount) => {
  const node = fc.integer({ min: 0, max: nodeCount - 1 });
  return fc
    .array(fc.tuple(node, node), { maxLength: nodeCount * 3 })
    .map((edges) => flowgraph(nodeCount, edges));
});

/** What can be reached from some nodes without passing one. */
export function reachable(graph: SmallGraph, starts: Iterable<number>, without = -1): Set<number> {
  const seen = new Set([...starts].filter((start) => start !== without));
  for (let grew = true; grew; ) {
    grew = false;
    for (const [from, to] of graph.edges)
      if (seen.has(from) && !seen.has(to) && to !== without) {
        seen.add(to);
        grew = true;
      }
  }
  return seen;
}

/** What only a node keeps within the root's reach, itself included. */
export function retainedBy(graph: SmallGraph, node: number): Set<number> {
  const without = reachable(graph, [0], node);
  return new Set([...reachable(graph, [0])].filter((one) => !without.has(one)));
}
