import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  bool,
  dict,
  f64,
  finalizer,
  foreign,
  type Handle,
  Heap,
  HeapBusyError,
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
import { type HeapSnapshot, rootGroups, takeSnapshot } from "../../../src/inspect/index.js";
import { makeHeap, size } from "../../support/heaps.js";
import { messageOf, thrownBy } from "../host/support.js";

const recordAll = { checks: { handles: { every: 1 } } } as const;

class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
  rest: any,
  value: f64,
}) {}

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
    expect(holds[0].madeAt).toMatch(/^make \(.*snapshot\.test\.ts:\d+:\d+\)/);
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

describe("A snapshot's sizes", () => {
  it("are of block and storage, and those of adopted values apart", () => {
    const heap = makeHeap();
    const before = takeSnapshot(heap);
    expect(before.nodeCount).toBe(1);
    using items = heap.new(
      list(f64),
      Array.from({ length: 1000 }, (_, i) => i),
    );
    using value = heap.adopt({}, () => {}, { bytes: 5000, holds: [items] });
    class Owner extends struct("Owner", { value: foreign<object>() }) {}
    using owner = heap.new(Owner, { value });
    const snapshot = takeSnapshot(heap);
    const node = snapshot.nodeOf(items)!;
    expect(snapshot.selfSize(node)).toBeGreaterThanOrEqual(8000 + 32);
    expect(snapshot.selfSize(node)).toBeLessThan(12000);
    expect([snapshot.adoptedBytes(node), snapshot.adoptedBytes(snapshot.nodeOf(value)!)]).toEqual([0, 5000]);
    expect(snapshot.retainedAdoptedBytes(snapshot.nodeOf(owner)!)).toBe(0); // the handle keeps it too
    expect(snapshot.retainedAdoptedBytes(0)).toBe(5000);
    const total = [...Array(snapshot.nodeCount).keys()].reduce((sum, one) => sum + snapshot.selfSize(one), 0);
    expect(snapshot.retainedSize(0)).toBe(total);
    expect([...snapshot.byType().values()].reduce((sum, { bytes }) => sum + bytes, 0)).toBe(total);
  });

  it("retained are what is freed when nothing refers to an object any more, on random graphs", () => {
    const COUNT = 8;
    const names = Array.from({ length: COUNT }, (_, index) => `n${index}`);
    const Holder = struct("Holder", Object.fromEntries(names.map((name) => [name, optional(Node)])));
    const node = fc.nat(COUNT - 1);
    const link = fc.tuple(node, fc.constantFrom("next" as const, "rest" as const), node);
    fc.assert(
      fc.property(fc.array(link, { maxLength: 20 }), fc.uniqueArray(node), node, (links, unheld, victim) => {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        using holder = heap.new(
          Holder,
          Object.fromEntries(names.map((name) => [name, { name, rest: null }])) as never,
        );
        const fields = holder as unknown as Record<string, Node | null>;
        for (const [from, field, to] of links) fields[names[from]]![field] = fields[names[to]]!;
        // These live by what refers to them, or not at all.
        for (const index of unheld) if (index !== victim) fields[names[index]] = null;
        heap.gc.collect();
        const before = takeSnapshot(heap);
        const at = before.nodeOf(fields[names[victim]]!)!;
        const retainers = [...before.retainers(at)].map(({ node: from, edge }) => ({
          owner: before.object(from),
          edge,
        }));
        for (const { owner, edge } of retainers) (owner as unknown as Record<string, null>)[edge] = null;
        heap.gc.collect();
        expect(before.retainedSize(0) - takeSnapshot(heap).retainedSize(0)).toBe(before.retainedSize(at));
      }),
      { numRuns: size(300) },
    );
  });
});

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
      /^root \(handle made at makeCache \(.*snapshot\.test\.ts:\d+:\d+\)\) <- Cache\.entries\[1\]$/,
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

describe("A snapshot", () => {
  it("stays as it is while the heap goes on", () => {
    const heap = makeHeap({ checks: "off" });
    const node = heap.new(Node, { name: "before" });
    const snapshot = takeSnapshot(heap);
    const at = snapshot.nodeOf(node)!;
    release(node);
    using other = heap.new(Node, { name: "after" });
    expect([...snapshot.references(at)].map(({ node: to }) => snapshot.describe(to))).toEqual(['"before"']);
    expect([snapshot.object(at), snapshot.nodeOf(other)]).toEqual([undefined, undefined]);
    expect(takeSnapshot(heap).object(takeSnapshot(heap).nodeOf(other)!)).toBeInstanceOf(Node);
  });

  it("tells what has changed since another, by type", () => {
    const heap = makeHeap();
    using _kept = heap.new(list(str), ["a"]);
    const gone = heap.new(dict(str, f64), []);
    const before = takeSnapshot(heap);
    release(gone);
    using _node = heap.new(Node, { name: "n" });
    const diff = takeSnapshot(heap).diff(before);
    expect(new Map([...diff].map(([type, { countDelta }]) => [type, countDelta]))).toEqual(
      new Map([
        ["Node", 1],
        ["str", 1],
        ["dict(str, f64)", -1],
      ]),
    );
    expect(diff.get("Node")!.bytesDelta).toBeGreaterThan(0);
    expect(diff.get("dict(str, f64)")!.bytesDelta).toBeLessThan(0);
    expect(takeSnapshot(heap).diff(takeSnapshot(heap)).size).toBe(0);
  });

  it("describes strings by their text, cut off, wide ones too, and escapes what would act on a terminal", () => {
    const heap = makeHeap();
    const long = "long ".repeat(500);
    using texts = heap.new(list(str), [
      "plain",
      '\u001b[31mred\n"<b>',
      "naïve – ☃",
      long,
      "\u202edlrow",
      "\ud800",
    ]);
    const snapshot = takeSnapshot(heap);
    expect(
      [...snapshot.references(snapshot.nodeOf(texts)!)].map(({ node }) => snapshot.describe(node)),
    ).toEqual([
      '"plain"',
      '"\\u001b[31mred\\n\\"<b>"',
      '"naïve – ☃"',
      `"${long.slice(0, 40)}"…`,
      '"\\u{202e}dlrow"',
      '"\\ud800"',
    ]);
  });

  it("leaks nothing and runs inside callbacks", () => {
    const heap = makeHeap();
    using _nodes = heap.new(list(Node), [{ name: "a" }, { name: "b" }]);
    const counts: number[] = [];
    heap.gc.callbacks.push(() => counts.push(takeSnapshot(heap).nodeCount));
    heap.gc.collect();
    heap.gc.callbacks.length = 0;
    expect(counts.slice(-2)).toEqual([6, 6]);
  });

  it("works while objects die around it: in finalizers, disposers and traverse, which may even end the heap", () => {
    const heap = makeHeap();
    const seen: string[][] = [];
    const look = () => {
      const snapshot = takeSnapshot(heap);
      snapshot.retainedSize(0);
      snapshot.toDevTools();
      seen.push([...snapshot.byType().keys()].sort());
    };
    class Dying extends struct("Dying", { inner: any, items: list(any) }) {
      [finalizer](): void {
        look();
      }
    }
    const value = heap.adopt({}, look);
    const dying = heap.new(Dying, { inner: value, items: ["text", value] });
    release(value);
    release(dying);
    expect(seen).toEqual([["Dying", "foreign", "list(any)", "str"], ["str"]]); // the list is half dropped: last to first
    const ending = Heap.create({ maximumBytes: 1 << 20 });
    const handle = ending.adopt({}, () => {}, {
      traverse: () => {
        ending.onLeakedHandle = () => {};
        ending.shutdown();
        return [];
      },
    });
    messageOf("HEAP_DISPOSED", () => takeSnapshot(ending));
    messageOf("HEAP_DISPOSED", () => release(handle));
  });

  it("refuses what is no node, no object, or of another heap", () => {
    const heap = makeHeap();
    const snapshot = takeSnapshot(heap);
    for (const node of [-1, 1, 0.5, Number.NaN, "0"])
      expect(messageOf("INVALID_ARGUMENT", () => snapshot.selfSize(node as number))).toMatch(
        /^A node is a whole number from 0 to 0, got/,
      );
    using other = makeHeap().new(Node, {});
    for (const ref of [other, {}, null]) messageOf("INVALID_ARGUMENT", () => snapshot.nodeOf(ref as never));
    const closed = Heap.create({ maximumBytes: 1 << 20 });
    closed[Symbol.dispose]();
    messageOf("HEAP_DISPOSED", () => takeSnapshot(closed));
    messageOf("INVALID_ARGUMENT", () => takeSnapshot({} as Heap));
  });
});

describe("A snapshot that a `traverse` takes", () => {
  it("is refused by name: it would ask the same `traverse`, without end", () => {
    const heap = makeHeap();
    let calls = 0;
    const errors: unknown[] = [];
    const traverse = (): [] => {
      calls++;
      errors.push(thrownBy(() => takeSnapshot(heap)));
      errors.push(thrownBy(() => rootGroups(heap)));
      return [];
    };
    using value = heap.adopt({}, () => {}, { traverse });
    takeSnapshot(heap);
    expect(calls).toBe(1);
    heap.gc.collect();
    expect(calls).toBe(2);
    expect(errors).toHaveLength(4);
    for (const error of errors) expect(error).toBeInstanceOf(HeapBusyError);
    expect(takeSnapshot(heap).nodeOf(value)).toBeDefined();
  });
});
