/** What refers to what in a snapshot, and by which name: objects, the root and garbage. */
import { describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  bool,
  dict,
  f64,
  type Handle,
  i32,
  list,
  optional,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
  weak,
} from "../../../src/index.js";
import { type HeapSnapshot, takeSnapshot } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { Node, recordAll } from "./snapshot-support.js";

/** References of an object as `edge -> what`. */
function refs(snapshot: HeapSnapshot, ref: Borrowed): string[] {
  return [...snapshot.references(snapshot.nodeOf(ref)!)].map(
    ({ node, edge }) => `${edge} -> ${snapshot.describe(node)}`,
  );
}

describe("A snapshot's references", () => {
  it("are named by the fields of a struct, in whatever order they are stored", () => {
    const heap = makeHeap();
    class Odd extends struct("Odd", {
      flag: bool,
      text: str,
      any: any,
      "a b": str,
      get back() {
        return optional(Odd);
      },
    }) {}
    using odd = heap.new(Odd, { text: "one", any: "two", "a b": "three" });
    odd.back = odd;
    expect(refs(takeSnapshot(heap), odd).sort()).toEqual([
      '["a b"] -> "three"',
      'any -> "two"',
      "back -> Odd",
      'text -> "one"',
    ]);
    using node = heap.new(Node, { name: "x", rest: null });
    expect(refs(takeSnapshot(heap), node)).toEqual(['name -> "x"']);
  });

  it("are numbered in lists and tuples", () => {
    const heap = makeHeap();
    using names = heap.new(list(str), ["a", "", "c"]);
    using mixed = heap.new(list(any), [1, "b", null, names]);
    using pair = heap.new(tuple(f64, str, optional(list(str))), [1, "p", names]);
    const snapshot = takeSnapshot(heap);
    expect(refs(snapshot, names)).toEqual(['[0] -> "a"', '[2] -> "c"']);
    expect(refs(snapshot, mixed)).toEqual(['[1] -> "b"', "[3] -> list(str)"]);
    expect(refs(snapshot, pair).sort()).toEqual(['[1] -> "p"', "[2] -> list(str)"]);
  });

  it("are named by the keys of a dict, of every kind, and lead to the keys too", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    using texts = heap.new(dict(str, Node), [
      ["k", node],
      ["", node],
    ]);
    using numbers = heap.new(dict(i32, str), [[-7, "v"]]);
    using flags = heap.new(dict(bool, str), [[true, "v"]]);
    using doubles = heap.new(dict(f64, any), [
      [1.5, "v"],
      [2, 3],
    ]);
    using objects = heap.new(dict(Node, i32), [[node, 1]]);
    using anything = heap.new(dict(any, any), [
      [null, "a"],
      ["k", "b"],
      [false, "c"],
      [node, "d"],
      [0.5, "e"],
      ["", "f"],
    ]);
    texts.set("gone", node);
    texts.delete("gone");
    const snapshot = takeSnapshot(heap);
    expect(refs(snapshot, texts)).toEqual(['key -> "k"', '["k"] -> Node', '[""] -> Node']);
    expect(refs(snapshot, numbers)).toEqual(['[-7] -> "v"']);
    expect(refs(snapshot, flags)).toEqual(['[true] -> "v"']);
    expect(refs(snapshot, doubles)).toEqual(['[1.5] -> "v"']);
    expect(refs(snapshot, objects)).toEqual(["key -> Node"]);
    expect(refs(snapshot, anything)).toEqual([
      '[null] -> "a"',
      'key -> "k"',
      '["k"] -> "b"',
      '[false] -> "c"',
      "key -> Node",
      '[a Node] -> "d"',
      '[0.5] -> "e"',
      '[""] -> "f"',
    ]);
  });

  it("are the members of a set, the callback of a weak reference, and what a foreign value holds", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    using members = heap.new(set(any), ["m", node, 5]);
    using value = heap.adopt(new (class Texture {})(), () => {}, { holds: [node, members] });
    class Watcher extends struct("Watcher", {
      get other() {
        return weak(Node);
      },
    }) {}
    using watcher = heap.new(Watcher, { other: node });
    const snapshot = takeSnapshot(heap);
    expect(refs(snapshot, members)).toEqual(['member -> "m"', "member -> Node"]);
    expect(refs(snapshot, value)).toEqual(["holds[0] -> Node", "holds[1] -> set(any)"]);
    expect(refs(snapshot, watcher)).toEqual(["other -> weakref"]);
    expect(snapshot.describe(snapshot.nodeOf(value)!)).toBe("foreign(Texture)");
    // A weak reference keeps nothing alive: its target is no reference of it.
    const [ref] = [...snapshot.references(snapshot.nodeOf(watcher)!)];
    expect([...snapshot.references(ref.node)]).toEqual([]);
  });
});

describe("A snapshot's root", () => {
  it("holds what handles hold, one reference a line, and counts those without", () => {
    const heap = makeHeap({ checks: { handles: { every: 2 } } });
    const make = () => heap.new(Node, {});
    using node = make(); // recorded
    using _second = retain(node); // recorded: retained handles are counted apart
    using _third = retain(node);
    const snapshot = takeSnapshot(heap);
    const at = snapshot.nodeOf(node)!;
    const holds = snapshot.holds(at);
    expect(holds.map(({ kind, count }) => [kind, count])).toEqual([
      ["handle", 1],
      ["handle", 1],
      ["handle", 1],
    ]);
    expect(holds[0].madeAt).toMatch(/^make \(.*snapshot-references\.test\.ts:\d+:\d+\)/);
    expect(holds[2].madeAt).toBeUndefined();
    expect([...snapshot.retainers(at)].map(({ node: from }) => from)).toEqual([0, 0, 0]);
    expect([...snapshot.retainers(at)][2].edge).toBe("handle, line not recorded");
    expect([...snapshot.retainers(at)][0].edge).toMatch(/^handle made at make \(/);
  });

  it("holds what a pool has at hand, and what gc.garbage keeps", () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 2 });
    const out = pool.acquire({});
    {
      using lost = heap.new(Node, {});
      lost.next = lost;
    }
    heap.gc.setDebug(32);
    heap.gc.collect();
    const snapshot = takeSnapshot(heap);
    const kinds = [...snapshot.references(0)].map(
      ({ node, edge }) => `${snapshot.typeName(node)} ${edge.split(" ")[0]}`,
    );
    expect(kinds.filter((kind) => !kind.startsWith("Node handle")).sort()).toEqual([
      "Node pool",
      "list gc.garbage",
    ]);
    expect(snapshot.holds(snapshot.nodeOf(out)!).map(({ kind }) => kind)).toEqual(["handle"]);
    heap.gc.setDebug(0);
    heap.gc.garbage.clear();
    release(out);
    pool[Symbol.dispose]();
    heap.gc.collect();
  });

  it("does not hold what values of the heap hold by handles: those are references of the foreign object", () => {
    const heap = makeHeap(recordAll);
    using node = heap.new(Node, {});
    const held = retain(node) as Handle<Node>;
    const first = heap.adopt({}, () => {}, { traverse: () => [held] });
    const second = heap.adopt({}, () => {}, { traverse: () => [held] });
    const snapshot = takeSnapshot(heap);
    const at = snapshot.nodeOf(node)!;
    expect(refs(snapshot, first)).toEqual(["handle[0] -> Node"]);
    expect(snapshot.holds(at)).toHaveLength(1);
    expect([...snapshot.retainers(at)].map(({ edge }) => edge.split(" ")[0])).toEqual([
      "handle",
      "handle[0]",
      "handle[0]",
    ]);
    release(first);
    // The value's handle was released with it, and the other value names nothing that lives.
    const after = takeSnapshot(heap);
    expect([...after.references(after.nodeOf(second)!)]).toEqual([]);
    expect(after.holds(after.nodeOf(node)!)).toHaveLength(1);
    release(second);
  });

  it("of an empty heap holds nothing", () => {
    const snapshot = takeSnapshot(makeHeap());
    expect([snapshot.nodeCount, snapshot.edgeCount, snapshot.garbageNode, [...snapshot.byType()]]).toEqual([
      1,
      0,
      undefined,
      [],
    ]);
    expect([
      snapshot.typeName(0),
      snapshot.selfSize(0),
      snapshot.retainedSize(0),
      snapshot.immediateDominator(0),
    ]).toEqual(["root", 0, 0, 0]);
  });
});

describe("Garbage that waits for a collection", () => {
  it("has a node of its own, which is no part of what the root's handles keep", () => {
    const heap = makeHeap({ checks: "off" });
    heap.gc.disable();
    using shared = heap.new(Node, { name: "shared" });
    {
      using one = heap.new(Node, { next: shared });
      using two = heap.new(Node, { rest: one });
      one.rest = two;
    }
    const snapshot = takeSnapshot(heap);
    const { garbageNode } = snapshot;
    expect(garbageNode).toBe(snapshot.nodeCount - 1);
    expect([...snapshot.references(garbageNode!)].map(({ edge }) => edge)).toEqual([
      "waits for a collection",
    ]);
    const [{ node: entry }] = [...snapshot.references(garbageNode!)];
    expect(snapshot.retainingPath(entry)).toBe("garbage that waits for a collection");
    expect(snapshot.retainedSize(garbageNode!)).toBe(snapshot.selfSize(entry) * 2);
    expect(snapshot.retainingPath(snapshot.nodeOf(shared)!)).toMatch(/^root \(handle/);
    expect(heap.gc.collect()).toBe(2);
    expect(takeSnapshot(heap).garbageNode).toBeUndefined();
  });
});
