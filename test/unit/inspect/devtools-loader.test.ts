/** Whether DevTools itself opens our files and sees in them what we do. Needs a Chromium on the PATH. */
import { expect, it } from "vitest";
import { any, dict, list, optional, str, struct } from "../../../src/index.js";
import { takeSnapshot } from "../../../src/inspect/index.js";
import { findChromium, loadInDevTools } from "../../support/devtools.js";
import { makeHeap } from "../../support/heaps.js";

class Texture extends struct("Texture", { name: str, gpu: any }) {}
class Sprite extends struct("Sprite", {
  texture: optional(Texture),
  get children() {
    return list(Sprite);
  },
}) {}

const chromium = findChromium();

it.skipIf(chromium === undefined)(
  "Chromium's Memory panel loads a file and finds our types, names, distances, retainers and retained sizes",
  async () => {
    const heap = makeHeap({ checks: { handles: { every: 1 } } });
    heap.gc.disable();
    using wood = heap.adopt(new (class GpuTexture {})(), () => {}, { bytes: 4096 });
    function makeCache() {
      return heap.new(dict(str, Texture), [
        ["wood", { name: "wood", gpu: wood }],
        ["stone", { name: "stone", gpu: null }],
      ]);
    }
    using cache = makeCache();
    using _scene = heap.new(Sprite, {
      texture: cache.get("wood")!,
      children: Array.from({ length: 40 }, () => ({ texture: cache.get("stone")!, children: [{}, {}] })),
    });
    {
      using lost = heap.new(Sprite, { texture: cache.get("wood")! });
      lost.children.push(lost);
    }
    const snapshot = takeSnapshot(heap);
    const nodes = await loadInDevTools(chromium!, snapshot.toDevTools());
    expect(nodes).toHaveLength(snapshot.nodeCount);
    const numberOf = new Map(nodes.map(({ id }, node) => [id, node]));
    for (const [node, { distance, selfSize, retainedSize, retainers }] of nodes.entries()) {
      const adopted = snapshot.adoptedBytes(node);
      expect(selfSize).toBe(snapshot.selfSize(node) + adopted);
      expect(retainedSize).toBe(snapshot.retainedSize(node) + snapshot.retainedAdoptedBytes(node));
      const ours = [...snapshot.retainers(node)].map(
        ({ node: from, edge }) => `${from} ${edge.replace(/^\[(\d+)\]$/, "$1")}`,
      );
      expect(retainers.map(({ id, name }) => `${numberOf.get(id)} ${name}`).sort()).toEqual(ours.sort());
      const path = snapshot.retainingNodes(node);
      // What no handle leads to is as far away for the panel as V8's own inner objects.
      if (path[1] === snapshot.garbageNode) expect(distance).toBeGreaterThan(1e8);
      else if (node > 0) expect(distance).toBe(path.length - 1);
    }
    const shown = (ref: Parameters<typeof snapshot.nodeOf>[0]) => nodes[snapshot.nodeOf(ref)!];
    expect(
      [shown(cache), shown(cache.get("wood")!), shown(wood)].map(({ className, name }) => [className, name]),
    ).toEqual([
      ["dict(str, Texture)", "dict(str, Texture)"],
      ["Texture", "Texture"],
      ["foreign(GpuTexture)", "foreign(GpuTexture)"],
    ]);
    expect(shown(cache).retainers[0].name).toMatch(
      /^handle made at makeCache \(.*devtools-loader\.test\.ts:\d+:\d+\)$/,
    );
    heap.gc.collect();
  },
);
