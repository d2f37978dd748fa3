/** Retaining paths: the way from a root to an object, as text. */
import { describe, expect, it } from "vitest";
import { type Borrowed, dict, foreign, list, release, str, struct } from "../../../src/index.js";
import { takeSnapshot } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { Node, recordAll } from "./snapshot-support.js";

describe("Retaining paths", () => {
  class Texture extends struct("Texture", { gpu: foreign<object>() }) {}
  class Cache extends struct("Cache", { entries: list(Texture), byName: dict(str, list(Texture)) }) {}

  it("name owners and the way to the next, containers behind the field that holds them", () => {
    const heap = makeHeap(recordAll);
    using gpu = heap.adopt({}, () => {});
    const node = (ref: Borrowed) => takeSnapshot(heap).nodeOf(ref)!;
    function makeCache() {
      return heap.new(Cache, { entries: [{ gpu }, { gpu }] });
    }
    using cache = makeCache();
    cache.byName.set("wood", [cache.entries.at(1)!] as never);
    const texture = cache.entries.at(1)!;
    const snapshot = takeSnapshot(heap);
    expect(snapshot.retainingPath(node(texture))).toMatch(
      /^root \(handle made at makeCache \(.*paths\.test\.ts:\d+:\d+\)\) <- Cache\.entries\[1\]$/,
    );
    expect(snapshot.retainingPath(node(gpu))).toMatch(/^root \(handle made at [^<]*\)$/);
    expect(snapshot.retainingPaths(node(texture)).map((path) => path.replace(/\(.*\)/, "()"))).toEqual([
      "root () <- Cache.entries[1]",
      'root () <- Cache.byName["wood"][0]',
    ]);
    expect(snapshot.retainingPaths(node(gpu)).map((path) => path.replace(/\(.*\)/, "()"))).toEqual([
      "root ()",
      "root () <- Cache.entries[0] <- Texture.gpu",
      "root () <- Cache.entries[1] <- Texture.gpu",
    ]);
    expect(snapshot.retainingPaths(node(gpu), 1)).toHaveLength(1);
    expect(snapshot.retainingNodes(node(texture)).map((one) => snapshot.typeName(one))).toEqual([
      "root",
      "Cache",
      "list(Texture)",
      "Texture",
    ]);
    expect([snapshot.retainingPath(0), snapshot.retainingNodes(0)]).toEqual(["", [0]]);
  });

  it("leave out retainers that are only reached through the object itself", () => {
    const heap = makeHeap();
    using first = heap.new(Node, { next: {} });
    first.next!.next = first;
    const snapshot = takeSnapshot(heap);
    expect(snapshot.retainingPaths(snapshot.nodeOf(first)!)).toHaveLength(1);
    expect([...snapshot.retainers(snapshot.nodeOf(first)!)]).toHaveLength(2);
  });

  it("leave out the middle of a long way, and find the shortest among thousands of retainers", () => {
    const heap = makeHeap({ checks: "off" });
    heap.gc.disable();
    const shared = heap.new(Node, { name: "shared" });
    using others = heap.new(
      list(list(Node)),
      Array.from({ length: 1500 }, () => [shared]),
    );
    using first = heap.new(Node, { next: {} });
    let last = first.next!;
    for (let length = 2; length < 200; length++) {
      last.next = {} as never;
      last = last.next!;
    }
    using direct = heap.new(Node, { next: shared });
    release(shared);
    const snapshot = takeSnapshot(heap);
    const text = snapshot.retainingPath(snapshot.nodeOf(last)!);
    expect(text.split(" <- ")).toHaveLength(61);
    expect(text).toContain("Node.next <- … 140 more … <- Node.next");
    const node = snapshot.nodeOf(direct.next!)!;
    expect(snapshot.retainingPaths(node, 2).map((path) => path.replace(/\(.*\)/, "()"))).toEqual([
      "root () <- Node.next",
      "root () <- list[0][0]",
    ]);
    expect(others.length).toBe(1500);
  });

  it("start with a container that a handle holds", () => {
    const heap = makeHeap();
    using outer = heap.new(list(list(Node)), [[{ name: "x" }]]);
    const snapshot = takeSnapshot(heap);
    expect(snapshot.retainingPath(snapshot.nodeOf(outer.at(0)!.at(0)!)!).replace(/\(.*\)/, "()")).toBe(
      "root () <- list[0][0]",
    );
  });
});
