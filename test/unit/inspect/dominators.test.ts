import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findDominators, sumRetained } from "../../../src/inspect/dominators.js";
import { anyFlowgraph, flowgraph, reachable, retainedBy, type SmallGraph } from "./flowgraphs.js";

/** The dominators of a node besides itself, by removing each node in turn; the immediate one has the most of its own. */
function naiveDominator(graph: SmallGraph, node: number): number {
  const strict = [...Array(graph.nodeCount).keys()].filter(
    (one) => one !== node && retainedBy(graph, one).has(node),
  );
  return strict.reduce(
    (nearest, one) => (retainedBy(graph, one).size < retainedBy(graph, nearest).size ? one : nearest),
    strict[0],
  );
}

describe("Dominators", () => {
  it("are those that a naive search finds, on thousands of small graphs", () => {
    fc.assert(
      fc.property(anyFlowgraph, (graph) => {
        const { immediateDominator, order } = findDominators(graph);
        const reached = reachable(graph, [0]);
        expect(new Set(order)).toEqual(reached);
        for (let node = 0; node < graph.nodeCount; node++) {
          const isReached = node !== 0 && reached.has(node);
          expect(immediateDominator[node]).toBe(isReached ? naiveDominator(graph, node) : node);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("give retained sizes: what would be out of reach without a node", () => {
    fc.assert(
      fc.property(anyFlowgraph, fc.infiniteStream(fc.integer({ min: 0, max: 99 })), (graph, stream) => {
        const sizes = [...Array(graph.nodeCount)].map(() => stream.next().value as number);
        const retained = sumRetained(findDominators(graph), (node) => sizes[node]);
        const reached = reachable(graph, [0]);
        for (let node = 0; node < graph.nodeCount; node++) {
          const kept = reached.has(node) ? [...retainedBy(graph, node)] : [node];
          expect(retained[node]).toBe(kept.reduce((sum, one) => sum + sizes[one], 0));
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("stand before what they dominate, so that one backward pass sums sizes", () => {
    fc.assert(
      fc.property(anyFlowgraph, (graph) => {
        const { immediateDominator, order } = findDominators(graph);
        const place = new Map([...order].map((node, index) => [node, index]));
        for (const node of order.subarray(1))
          expect(place.get(immediateDominator[node])!).toBeLessThan(place.get(node)!);
      }),
    );
  });

  it("are found in the graph of the paper's figure 1", () => {
    // R A B C D E F G H I J K L
    const names = "RABCDEFGHIJKL";
    const edges = "RA RB RC AD BA BD BE CF CG DL EH FI GI GJ HE HK IK JI KI KR LH"
      .split(" ")
      .map(([from, to]): [number, number] => [names.indexOf(from), names.indexOf(to)]);
    const { immediateDominator } = findDominators(flowgraph(names.length, edges));
    const found = Object.fromEntries([...names].map((name, node) => [name, names[immediateDominator[node]]]));
    expect(found).toEqual({
      R: "R",
      A: "R",
      B: "R",
      C: "R",
      D: "R",
      E: "R",
      F: "C",
      G: "C",
      H: "R",
      I: "R",
      J: "G",
      K: "R",
      L: "D",
    });
  });

  it("are found without recursion: a chain of a million nodes, and back references to its start", () => {
    const nodeCount = 1_000_000;
    const firstEdge = Uint32Array.from(
      { length: nodeCount + 1 },
      (_, node) => Math.min(node, nodeCount - 1) * 2,
    );
    const edgeTarget = Uint32Array.from({ length: (nodeCount - 1) * 2 }, (_, edge) =>
      edge % 2 === 0 ? (edge >> 1) + 1 : 0,
    );
    const dominators = findDominators({ nodeCount, firstEdge, edgeTarget });
    const retained = sumRetained(dominators, () => 1);
    expect([dominators.immediateDominator[nodeCount - 1], retained[0], retained[nodeCount - 10]]).toEqual([
      nodeCount - 2,
      nodeCount,
      10,
    ]);
  });
});
