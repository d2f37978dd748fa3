import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { any, type Handle, Heap, list, release, retain, struct } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeExactHeap, size } from "../../support/heaps.js";

class Node extends struct("Node", { items: list(any) }) {}

/** Which objects nothing outside reaches, by the plain definition: reachability from what has a handle. */
function unreachable(edges: readonly (readonly number[])[], held: ReadonlySet<number>): Set<number> {
  const reached = new Set(held);
  for (const node of reached) for (const target of edges[node]) reached.add(target);
  return new Set([...edges.keys()].filter((node) => !reached.has(node)));
}

const graphs = fc.integer({ min: 1, max: 12 }).chain((count) =>
  fc.record({
    edges: fc.array(fc.array(fc.nat(count - 1), { maxLength: 4 }), { minLength: count, maxLength: count }),
    held: fc.uniqueArray(fc.nat(count - 1)),
    seed: fc.nat(count - 1),
  }),
);

function build(heap: Heap, edges: readonly (readonly number[])[]): Handle<Node>[] {
  const nodes = edges.map(() => heap.new(Node, {}));
  for (const [index, targets] of edges.entries())
    for (const target of targets) nodes[index].items.push(nodes[target]);
  return nodes;
}

describe("the partition of a few", () => {
  it("finds of any graph what reachability says, and a full collection would", () => {
    fc.assert(
      fc.property(graphs, ({ edges, held }) => {
        const heap = Heap.create({ maximumBytes: 1 << 20, checks: "off" });
        heap.onLeakedHandle = () => {};
        heap.gc.disable();
        const nodes = build(heap, edges);
        const holds = new Set(held);
        for (const [index, node] of nodes.entries()) if (!holds.has(index)) release(node);
        const expected = unreachable(edges, holds);
        // Those that counts alone have freed are not pending.
        const alive = heap.gc.getObjects().length;
        const { objects } = heap.gc.pending();
        expect(alive - objects).toBe((edges.length - expected.size) * 2);
        verify(heap);
        expect(heap.gc.collect()).toBe(objects);
        heap[Symbol.dispose]();
      }),
      { numRuns: size(400) },
    );
  });

  it("from a seed frees the garbage that it reaches, and nothing else", () => {
    fc.assert(
      fc.property(graphs, ({ edges, held, seed }) => {
        const heap = Heap.create({ maximumBytes: 1 << 20, checks: "off" });
        heap.onLeakedHandle = () => {};
        heap.gc.disable();
        const nodes = build(heap, edges);
        const holds = new Set(held);
        const scope = heap.scope();
        for (const [index, node] of nodes.entries()) {
          if (index === seed && !holds.has(index)) scope.use(node);
          else if (!holds.has(index)) release(node);
        }
        scope[Symbol.dispose]();
        const before = heap.gc.pending().objects;
        const live = heap.gc.getObjects().length - before;
        const collected = scope.collect();
        verify(heap);
        const after = heap.gc.pending().objects;
        expect(before - after).toBe(collected);
        expect(heap.gc.getObjects().length - after).toBe(live);
        expect(scope.collect()).toBe(0);
        for (const index of holds) expect(nodes[index].items.length).toBe(edges[index].length);
        heap[Symbol.dispose]();
      }),
      { numRuns: size(400) },
    );
  });

  it("says what one reference alone keeps alive", () => {
    const heap = makeExactHeap();
    const { collector } = Heap.contextOf(heap).core;
    const addressOf = (node: unknown) => (node as { "@address": number })["@address"];
    const [root, left, right, leaf] = build(heap, [[1, 2], [3, 0], [3], []]);
    for (const node of [left, right, leaf]) release(node);
    expect(collector.findKeptBy(addressOf(root), 100)).toHaveLength(8); // each node has a list
    using second = retain(root.items.at(0) as Node);
    // From the left node a reference leads back to the root.
    expect(collector.findKeptBy(addressOf(root), 100)).toEqual([]);
    expect(collector.findKeptBy(addressOf(root), 3)).toBeUndefined();
    expect(second.items.length).toBe(2);
  });
});
