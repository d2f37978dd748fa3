import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { edgeSource } from "../../../src/inspect/graph.js";
import { findRetainers } from "../../../src/inspect/paths.js";
import { entriesOfUnreached, reachedFrom, walkFrom } from "../../../src/inspect/reach.js";
import { anyFlowgraph, reachable, type SmallGraph } from "./flowgraphs.js";

function distances(graph: SmallGraph): Map<number, number> {
  const found = new Map([[0, 0]]);
  for (const [node, distance] of found)
    for (const [from, to] of graph.edges) if (from === node && !found.has(to)) found.set(to, distance + 1);
  return found;
}

const walked = (graph: SmallGraph) => {
  const pathEdge = new Int32Array(graph.nodeCount).fill(-1);
  return { pathEdge, count: walkFrom(graph, 0, pathEdge) };
};

describe("A walk from the root", () => {
  it("comes to each node by the last edge of a shortest path", () => {
    fc.assert(
      fc.property(anyFlowgraph, (graph) => {
        const { pathEdge, count } = walked(graph);
        const expected = distances(graph);
        expect(count).toBe(expected.size);
        for (let node = 1; node < graph.nodeCount; node++) {
          if (!expected.has(node)) expect(pathEdge[node]).toBe(-1);
          else {
            expect(graph.edgeTarget[pathEdge[node]]).toBe(node);
            expect(expected.get(edgeSource(graph, pathEdge[node]))).toBe(expected.get(node)! - 1);
          }
        }
        expect(pathEdge[0]).toBe(-1);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("Entries of what is not reached", () => {
  it("lead to all of it, and none of them to another", () => {
    fc.assert(
      fc.property(anyFlowgraph, (graph) => {
        const entries = entriesOfUnreached(graph, walked(graph).pathEdge);
        const live = reachable(graph, [0]);
        const dead = [...Array(graph.nodeCount).keys()].filter((node) => !live.has(node));
        expect(
          [...reachable(graph, entries)].filter((node) => !live.has(node)).sort((a, b) => a - b),
        ).toEqual(dead);
        for (const entry of entries)
          for (const other of entries)
            if (other !== entry) expect(reachable(graph, [entry]).has(other)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("What a node reaches", () => {
  it("leaves out what lies behind a node that may not be passed", () => {
    fc.assert(
      fc.property(anyFlowgraph, fc.nat(), (graph, seed) => {
        const without = graph.nodeCount < 2 ? undefined : 1 + (seed % (graph.nodeCount - 1));
        const found = reachedFrom(graph, 0, without);
        expect([...found.keys()].filter((node) => found[node] === 1)).toEqual(
          [...reachable(graph, [0], without)].sort((a, b) => a - b),
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe("Retainers", () => {
  it("are the edges that lead to a node, and edges know their source", () => {
    fc.assert(
      fc.property(anyFlowgraph, (graph) => {
        const { first, edge } = findRetainers(graph);
        expect(first[graph.nodeCount]).toBe(graph.edges.length);
        for (let node = 0; node < graph.nodeCount; node++) {
          const sources = [...edge.subarray(first[node], first[node + 1])].map((one) =>
            edgeSource(graph, one),
          );
          expect(sources).toEqual(graph.edges.filter(([, to]) => to === node).map(([from]) => from));
        }
      }),
      { numRuns: 1000 },
    );
  });
});
