import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findCyclicComponents } from "../../../src/inspect/components.js";
import { anyFlowgraph, reachable, type SmallGraph } from "./flowgraphs.js";

/** Nodes that reach one another over at least one edge. */
function naiveComponents(graph: SmallGraph): number[][] {
  const after = [...Array(graph.nodeCount).keys()].map((node) =>
    reachable(
      graph,
      graph.edges.filter(([from]) => from === node).map(([, to]) => to),
    ),
  );
  const components = new Map<string, number[]>();
  for (let node = 0; node < graph.nodeCount; node++) {
    if (!after[node].has(node)) continue;
    const members = [...after[node]].filter((one) => after[one].has(node)).sort((a, b) => a - b);
    components.set(members.join(), members);
  }
  return [...components.values()];
}

describe("Cyclic components", () => {
  it("are the groups whose nodes all reach one another, smallest first, on thousands of small graphs", () => {
    fc.assert(
      fc.property(anyFlowgraph, (graph) => {
        const found = findCyclicComponents(graph).map((nodes) => [...nodes].sort((a, b) => a - b));
        const byName = (one: number[], other: number[]) => (one.join() < other.join() ? -1 : 1);
        expect([...found].sort(byName)).toEqual(naiveComponents(graph).sort(byName));
        const sizes = found.map((nodes) => nodes.length);
        expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
      }),
      { numRuns: 3000 },
    );
  });

  it("are found without recursion: a ring of a million nodes", () => {
    const nodeCount = 1_000_000;
    const firstEdge = Uint32Array.from({ length: nodeCount + 1 }, (_, node) => node);
    const edgeTarget = Uint32Array.from({ length: nodeCount }, (_, node) => (node + 1) % nodeCount);
    expect(findCyclicComponents({ nodeCount, firstEdge, edgeTarget }).map((nodes) => nodes.length)).toEqual([
      nodeCount,
    ]);
  });
});
