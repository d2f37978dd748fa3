import { afterEach, describe, expect, it, vi } from "vitest";
import {
  any,
  type Borrowed,
  type CollectionPolicy,
  DEBUG,
  dict,
  f64,
  type Generation,
  Heap,
  id,
  is,
  list,
  optional,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { heapError, liveObjects, messageOf, verifyInside } from "./support.js";

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
}) {}
const Point = struct("Point", { x: f64, label: str });

/** So many nodes that each refer to themselves and that nobody holds. */
function makeGarbage(heap: Heap, count = 1): void {
  for (let index = 0; index < count; index++) {
    using node = heap.new(Node, {});
    node.next = node;
  }
}
const isSame = (found: Borrowed[], expected: Borrowed[]) =>
  found.length === expected.length && found.every((object, index) => is(object, expected[index]));

describe("gc.collect", () => {
  it("returns how many unreachable objects it found, and frees them", () => {
    const heap = makeExactHeap();
    makeGarbage(heap, 3);
    using kept = heap.new(Node, {});
    expect([heap.gc.collect(), liveObjects(heap), kept.next]).toEqual([3, 1, null]);
    expect(heap.gc.collect()).toBe(0);
  });

  it("takes the younger generations along, and leaves the older ones", () => {
    const heap = makeExactHeap();
    const node = heap.new(Node, {});
    node.next = node;
    heap.gc.collect(1);
    release(node);
    makeGarbage(heap, 2);
    expect(heap.gc.collect(0)).toBe(2);
    expect(heap.gc.collect(1)).toBe(0);
    makeGarbage(heap, 2);
    expect(heap.gc.collect(2)).toBe(3);
  });

  it("refuses what is no generation", () => {
    const heap = makeHeap();
    for (const generation of [-1, 3, 0.5, Number.NaN, "0", null] as unknown as Generation[])
      expect(messageOf("INVALID_ARGUMENT", () => heap.gc.collect(generation))).toBe(
        `A generation is 0, 1 or 2, got ${typeof generation === "string" ? '"0"' : String(generation)}.`,
      );
  });

  it("does nothing inside a collection", () => {
    const heap = makeExactHeap();
    makeGarbage(heap, 2);
    const inner: number[] = [];
    heap.gc.callbacks.push(() => inner.push(heap.gc.collect()));
    expect(heap.gc.collect()).toBe(2);
    expect([inner, heap.gc.getStats()[2].collections]).toEqual([[0, 0], 1]);
  });
});

describe("gc.enable and disable", () => {
  it("decide whether allocations start collections; collect works all the same", () => {
    const heap = makeExactHeap();
    heap.gc.setThreshold(10);
    expect(heap.gc.isEnabled()).toBe(true);
    heap.gc.disable();
    expect(heap.gc.isEnabled()).toBe(false);
    makeGarbage(heap, 50);
    expect([heap.gc.getStats()[0].collections, heap.gc.getCount()[0]]).toEqual([0, 50]);
    expect(heap.gc.collect()).toBe(50);
    heap.gc.enable();
    expect(heap.gc.isEnabled()).toBe(true);
    makeGarbage(heap, 50);
    expect(heap.gc.getStats()[0].collections).toBe(4);
  });
});

describe("gc.setThreshold", () => {
  it("begins at CPython's 700, 10, 10, and keeps what is left out", () => {
    const { gc } = makeHeap();
    expect(gc.getThreshold()).toEqual([700, 10, 10]);
    gc.setThreshold(5, 6, 7);
    gc.setThreshold(8);
    expect(gc.getThreshold()).toEqual([8, 6, 7]);
    gc.setThreshold(9, undefined, 1);
    expect(gc.getThreshold()).toEqual([9, 6, 1]);
    gc.setThreshold(-5, -(2 ** 31), 2 ** 31 - 1);
    expect(gc.getThreshold()).toEqual([-5, -(2 ** 31), 2 ** 31 - 1]);
    gc.setThreshold(700, 10, 10);
  });

  it("of 0 turns automatic collection off", () => {
    const heap = makeExactHeap();
    heap.gc.setThreshold(0);
    makeGarbage(heap, 2000);
    expect([heap.gc.isEnabled(), heap.gc.getStats()[0].collections]).toEqual([true, 0]);
  });

  it("takes whole numbers of 32 bits, all of them or none", () => {
    const { gc } = makeHeap();
    for (const value of [1.5, Number.NaN, 2 ** 31, -(2 ** 31) - 1, "700", null] as number[]) {
      for (const attempt of [
        () => gc.setThreshold(value),
        () => gc.setThreshold(1, value),
        () => gc.setThreshold(1, 2, value),
      ])
        expect(messageOf("INVALID_ARGUMENT", attempt)).toMatch(
          /^A threshold must be a whole number of 32 bits/,
        );
      expect(gc.getThreshold()).toEqual([700, 10, 10]);
    }
    expect(messageOf("INVALID_ARGUMENT", () => gc.setThreshold(undefined as never))).toMatch(/got undefined/);
  });
});

describe("gc.setPolicy", () => {
  it("is CPython's rule unless the program asks for another", () => {
    const { gc } = makeExactHeap();
    expect(gc.getPolicy()).toBe("python");
    gc.setPolicy("adaptive");
    expect(gc.getPolicy()).toBe("adaptive");
    gc.setPolicy("python");
    expect(gc.getPolicy()).toBe("python");
  });

  it("adaptive collects less often while nothing is found, keeps the thresholds as they were set, and finds all garbage", () => {
    const build = (policy: CollectionPolicy) => {
      const heap = makeExactHeap();
      heap.gc.setThreshold(10, 4, 2);
      heap.gc.setPolicy(policy);
      using nodes = heap.new(
        list(Node),
        Array.from({ length: 20_000 }, () => ({})),
      );
      for (let index = 0; index < 20_000; index++) nodes.push({ next: nodes.at(index) ?? null });
      makeGarbage(heap, 20_000);
      heap.gc.collect();
      expect(heap.gc.getThreshold()).toEqual([10, 4, 2]);
      const stats = heap.gc.getStats();
      return {
        collections: stats.reduce((sum, { collections }) => sum + collections, 0),
        collected: stats.reduce((sum, { collected }) => sum + collected, 0),
        nodes: nodes.length,
      };
    };
    const [python, adaptive] = [build("python"), build("adaptive")];
    expect(adaptive.collections).toBeLessThan(python.collections * 0.8);
    expect([adaptive.collected, adaptive.nodes]).toEqual([python.collected, python.nodes]);
    expect(python.collected).toBe(20_000);
  });

  it("takes one of the two", () => {
    const heap = makeHeap();
    for (const policy of ["Python", "", undefined, true] as never[])
      expect(messageOf("INVALID_ARGUMENT", () => heap.gc.setPolicy(policy))).toMatch(
        /^A policy is "python" or "adaptive", got /,
      );
    expect(heap.gc.getPolicy()).toBe("python");
  });
});

describe("gc.getCount and getStats", () => {
  it("count allocations less frees, and collections of each generation since the next older one's", () => {
    const heap = makeExactHeap();
    const { gc } = heap;
    const node = heap.new(Node, {});
    using other = heap.new(Node, {});
    using point = heap.new(Point, { label: "is on no cycle, and not counted" });
    expect(gc.getCount()).toEqual([2, 0, 0]);
    release(node);
    expect(gc.getCount()).toEqual([1, 0, 0]);
    gc.collect(0);
    gc.collect(0);
    expect(gc.getCount()).toEqual([0, 2, 0]);
    gc.collect(1);
    expect(gc.getCount()).toEqual([0, 0, 1]);
    gc.collect();
    expect(gc.getCount()).toEqual([0, 0, 0]);
    expect([other.next, point.x]).toEqual([null, 0]);
  });

  it("sum up what each generation's collections found", () => {
    const heap = makeExactHeap();
    const none = { collections: 0, collected: 0, uncollectable: 0 };
    expect(heap.gc.getStats()).toEqual([none, none, none]);
    makeGarbage(heap, 3);
    heap.gc.collect(0);
    makeGarbage(heap, 2);
    heap.gc.collect(0);
    makeGarbage(heap, 1);
    heap.gc.collect();
    expect(heap.gc.getStats()).toEqual([
      { collections: 2, collected: 5, uncollectable: 0 },
      none,
      { collections: 1, collected: 1, uncollectable: 0 },
    ]);
  });
});

describe("gc.callbacks", () => {
  it("are called before and after, in order, and may be taken out", () => {
    const heap = makeExactHeap();
    const calls: unknown[] = [];
    const first = (phase: string, info: object) => calls.push(["first", phase, info]);
    const second = (phase: string) => calls.push(["second", phase]);
    heap.gc.callbacks.push(first, second);
    makeGarbage(heap, 4);
    heap.gc.collect(1);
    const info = { generation: 1, collected: 0, uncollectable: 0 };
    expect(calls.splice(0)).toEqual([
      ["first", "start", { ...info, duration: 0 }],
      ["second", "start"],
      ["first", "stop", { ...info, collected: 4, duration: expect.any(Number) }],
      ["second", "stop"],
    ]);
    heap.gc.callbacks.shift();
    heap.gc.collect();
    expect(calls).toEqual([
      ["second", "start"],
      ["second", "stop"],
    ]);
  });

  it("may add callbacks, which are called in the same round", () => {
    const heap = makeExactHeap();
    const calls: string[] = [];
    const added = (phase: string) => calls.push(`added ${phase}`);
    heap.gc.callbacks.push((phase) => {
      if (phase === "start") heap.gc.callbacks.push(added);
    });
    heap.gc.collect();
    expect(calls).toEqual(["added start", "added stop"]);
  });

  it("may use the heap: the collection has not begun, or is over", () => {
    const heap = makeHeap();
    heap.gc.callbacks.push((phase) => {
      verifyInside(heap);
      if (phase === "start") makeGarbage(heap, 2);
      else heap.new(Node, { next: {} })[Symbol.dispose]();
    });
    heap.gc.disable();
    expect(heap.gc.collect()).toBe(2);
  });

  it("that throw are reported, and stop neither the others nor the collection", () => {
    const heap = makeExactHeap();
    const reports: [unknown, string][] = [];
    heap.onUnraisable = (error, where) => reports.push([error, where]);
    const calls: string[] = [];
    const error = new Error("from a callback");
    heap.gc.callbacks.push(
      () => {
        throw error;
      },
      (phase) => calls.push(phase),
    );
    makeGarbage(heap);
    expect(heap.gc.collect()).toBe(1);
    expect(calls).toEqual(["start", "stop"]);
    expect(reports).toEqual([
      [error, "gc callback"],
      [error, "gc callback"],
    ]);
  });
});

describe("the debug text", () => {
  function listen(heap: Heap): string[] {
    const texts: string[] = [];
    heap.gc.debugSink = (text) => texts.push(text);
    return texts;
  }
  const timeless = (text: string) => text.replace(/\d+\.\d{4}s/, "0.0000s");

  it("is empty unless a flag is set", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    makeGarbage(heap);
    heap.gc.collect();
    expect([heap.gc.getDebug(), texts]).toEqual([0, []]);
  });

  it("of STATS is CPython's, with the sizes before anything moves", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    using old = heap.new(Node, {});
    heap.gc.freeze();
    using middle = heap.new(Node, { next: {} });
    heap.gc.collect(1);
    heap.gc.setDebug(DEBUG.STATS);
    makeGarbage(heap, 3);
    heap.gc.collect(0);
    expect(timeless(texts.splice(0).join(""))).toBe(
      "gc: collecting generation 0...\n" +
        "gc: objects in each generation: 3 0 2\n" +
        "gc: objects in permanent generation: 1\n" +
        "gc: done, 3 unreachable, 0 uncollectable, 0.0000s elapsed\n",
    );
    heap.gc.collect();
    expect(texts.join("")).toMatch(
      /^gc: collecting generation 2\.\.\.\ngc: objects in each generation: 0 0 2\n/,
    );
    expect([old.next, middle.next!.next]).toEqual([null, null]);
  });

  it("of COLLECTABLE is a line for each unreachable object, by type and address", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    heap.gc.setDebug(DEBUG.COLLECTABLE);
    const items = heap.new(list(any), []);
    const table = heap.new(dict(str, any), []);
    items.push(table);
    table.set("back", items);
    const expected = [items, table].map((object) => id(object).toString(16));
    release(items);
    release(table);
    expect(heap.gc.collect()).toBe(2);
    expect(texts).toEqual([
      `gc: collectable <list 0x${expected[0]}>\n`,
      `gc: collectable <dict 0x${expected[1]}>\n`,
    ]);
  });

  it("reaches the sink when the collection is over: nothing half cleared can be taken hold of", () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    node.next = node;
    const borrow = node.next;
    release(node);
    const found: string[] = [];
    heap.gc.debugSink = () => {
      verify(heap);
      found.push(heapError("STALE_REFERENCE", () => retain(borrow)).code);
      using made = heap.new(Node, { next: {} });
      heap.gc.collect();
      heap.gc.setDebug(0); // what was said already is written all the same
      expect(made.next!.next).toBe(null);
    };
    heap.gc.setDebug(DEBUG.STATS | DEBUG.COLLECTABLE);
    const errors: unknown[] = [];
    heap.onUnraisable = (error) => errors.push(error);
    expect(heap.gc.collect()).toBe(1);
    expect([errors, found]).toEqual([[], Array(3).fill("STALE_REFERENCE")]);
  });

  it("of all flags has CPython's order: header, objects, trailer; callbacks around it", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    heap.gc.callbacks.push((phase) => texts.push(`${phase}\n`));
    heap.gc.setDebug(DEBUG.STATS | DEBUG.LEAK);
    makeGarbage(heap, 2);
    heap.gc.collect();
    const kinds = texts
      .join("")
      .split("\n")
      .map((line) => /^(gc: \w+|\w*)/.exec(line)![0]);
    expect(kinds).toEqual([
      "start",
      "gc: collecting",
      "gc: objects",
      "gc: objects",
      "gc: collectable",
      "gc: collectable",
      "gc: done",
      "stop",
      "",
    ]);
    heap.gc.setDebug(0);
    heap.gc.garbage.clear();
  });

  it("goes to a sink whose errors are reported and stop nothing", () => {
    const heap = makeExactHeap();
    const wheres: string[] = [];
    heap.onUnraisable = (_, where) => wheres.push(where);
    heap.gc.debugSink = () => {
      throw new Error("the disk is full");
    };
    heap.gc.setDebug(DEBUG.STATS);
    makeGarbage(heap);
    expect([heap.gc.collect(), wheres]).toEqual([1, ["gc.debugSink", "gc.debugSink"]]);
  });

  describe("by default", () => {
    afterEach(() => {
      vi.restoreAllMocks();
      vi.unstubAllGlobals();
    });

    it("goes to the process's standard error", () => {
      const heap = makeExactHeap();
      const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
      heap.gc.setDebug(DEBUG.STATS);
      heap.gc.collect();
      expect(write.mock.calls.map(([text]) => timeless(String(text)))).toEqual([
        "gc: collecting generation 2...\ngc: objects in each generation: 0 0 0\ngc: objects in permanent generation: 0\n",
        "gc: done, 0 unreachable, 0 uncollectable, 0.0000s elapsed\n",
      ]);
    });

    it("goes to console.error where there is no process, a line break less", () => {
      const heap = makeExactHeap();
      const error = vi.spyOn(console, "error").mockReturnValue();
      vi.stubGlobal("process", undefined);
      heap.gc.setDebug(DEBUG.STATS);
      heap.gc.collect();
      expect(error.mock.calls[0]).toEqual([
        "gc: collecting generation 2...\ngc: objects in each generation: 0 0 0\ngc: objects in permanent generation: 0",
      ]);
    });
  });
});

describe("gc.setDebug", () => {
  it("takes CPython's numbers, and keeps bits it does not know", () => {
    const { gc } = makeHeap();
    expect(DEBUG).toEqual({ STATS: 1, COLLECTABLE: 2, UNCOLLECTABLE: 4, SAVEALL: 32, LEAK: 38 });
    gc.setDebug(DEBUG.UNCOLLECTABLE | 64);
    expect(gc.getDebug()).toBe(68);
    for (const flags of [0.5, 2 ** 31, undefined, "1"] as number[])
      expect(messageOf("INVALID_ARGUMENT", () => gc.setDebug(flags))).toMatch(/^Debug flags must be/);
    expect(gc.getDebug()).toBe(68);
    gc.setDebug(0);
  });

  it("to SAVEALL keeps all that is unreachable in gc.garbage, alive and whole", () => {
    const heap = makeExactHeap();
    heap.gc.setDebug(DEBUG.SAVEALL);
    makeGarbage(heap, 2);
    expect(heap.gc.collect()).toBe(2);
    const { garbage } = heap.gc;
    expect(garbage.length).toBe(2);
    for (const object of garbage) expect(is((object as unknown as Node).next, object)).toBe(true);
    expect(heap.gc.collect()).toBe(0);
    heap.gc.setDebug(0);
    using rescued = retain(garbage.at(0)!);
    garbage.clear();
    expect([heap.gc.collect(), heap.gc.garbage.length, liveObjects(heap)]).toEqual([1, 0, 1]);
    (rescued as unknown as Node).next = null;
  });
});

describe("gc.getObjects", () => {
  it("lists tracked objects by age, of one generation or of all", () => {
    const heap = makeExactHeap();
    using oldest = heap.new(Node, {});
    heap.gc.collect(1);
    using older = heap.new(Node, {});
    heap.gc.collect(0);
    using young = heap.new(Node, {});
    using youngest = heap.new(set(any), []);
    using _untracked = heap.new(dict(str, any), [["only", "texts"]]);
    using _leaf = heap.new(Point, {});
    expect(isSame(heap.gc.getObjects(), [young, youngest, older, oldest])).toBe(true);
    expect(isSame(heap.gc.getObjects(0), [young, youngest])).toBe(true);
    expect(isSame(heap.gc.getObjects(1), [older])).toBe(true);
    expect(isSame(heap.gc.getObjects(2), [oldest])).toBe(true);
    expect(messageOf("INVALID_ARGUMENT", () => heap.gc.getObjects(3 as never))).toMatch(/A generation is/);
  });
});

describe("gc.getReferrers", () => {
  it("are all that refer to any of the targets, each once, whatever their kind", () => {
    const heap = makeExactHeap();
    using target = heap.new(Node, {});
    using other = heap.new(Point, {});
    using field = heap.new(Node, { next: target });
    using items = heap.new(list(any), [target, target, other]);
    using values = heap.new(dict(str, any), [["key", target]]);
    using keys = heap.new(dict(any, f64), [[target, 1]]);
    using members = heap.new(set(any), [target]);
    using pair = heap.new(tuple(any, any), [1, target]);
    expect(isSame(heap.gc.getReferrers(target), [field, items, values, keys, members, pair])).toBe(true);
    expect(isSame(heap.gc.getReferrers(other), [items])).toBe(true);
    expect(
      isSame(heap.gc.getReferrers(other, field, target), [field, items, values, keys, members, pair]),
    ).toBe(true);
    expect(heap.gc.getReferrers(field, pair)).toEqual([]);
    expect(heap.gc.getReferrers()).toEqual([]);
  });

  it("come youngest generation first", () => {
    const heap = makeExactHeap();
    using target = heap.new(Point, {});
    using old = heap.new(list(any), [target]);
    heap.gc.collect();
    using middle = heap.new(list(any), [target]);
    heap.gc.collect(0);
    using young = heap.new(list(any), [target]);
    expect(isSame(heap.gc.getReferrers(target), [young, middle, old])).toBe(true);
  });

  it("are found among what the collector never tracks too, but not among the frozen", () => {
    const heap = makeExactHeap();
    const Leaf = struct("Leaf", { point: optional(Point) });
    using point = heap.new(Point, {});
    using leaf = heap.new(Leaf, { point });
    using tracked = heap.new(list(any), [point]);
    expect(isSame(heap.gc.getReferrers(point), [tracked, leaf])).toBe(true);
    heap.gc.freeze();
    expect(isSame(heap.gc.getReferrers(point), [leaf])).toBe(true);
    heap.gc.unfreeze();
    expect(isSame(heap.gc.getReferrers(point), [tracked, leaf])).toBe(true);
  });
});

describe("gc.getReferents", () => {
  it("are what the sources refer to, one for each reference, in the order of a visit; texts and numbers are none", () => {
    const heap = makeExactHeap();
    using a = heap.new(Node, {});
    using b = heap.new(Node, { next: a });
    using items = heap.new(list(any), [a, 1, "text", b, b]);
    using table = heap.new(dict(any, any), [
      [a, b],
      ["key", 2],
    ]);
    expect(isSame(heap.gc.getReferents(b), [a])).toBe(true);
    expect(isSame(heap.gc.getReferents(items), [b, b, a])).toBe(true); // last item first
    expect(isSame(heap.gc.getReferents(table), [b, a])).toBe(true); // a value before its key
    expect(isSame(heap.gc.getReferents(b, table), [a, b, a])).toBe(true);
    expect(heap.gc.getReferents(a)).toEqual([]);
    expect(heap.gc.getReferents()).toEqual([]);
  });
});

describe("gc.isTracked and isFinalized", () => {
  it("tell of heap objects, and are false for plain values", () => {
    const heap = makeExactHeap();
    using node = heap.new(Node, {});
    using point = heap.new(Point, {});
    using table = heap.new(dict(str, any), []);
    expect([node, point, table, null, 1, "text", true].map((value) => heap.gc.isTracked(value))).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
    table.set("node", node);
    expect(heap.gc.isTracked(table)).toBe(true);
    expect([heap.gc.isFinalized(node), heap.gc.isFinalized(null)]).toEqual([false, false]);
  });
});

describe("gc.freeze", () => {
  it("takes all tracked objects out of the collector's sight, until unfreeze", () => {
    const heap = makeExactHeap();
    const kept = heap.new(Node, {});
    kept.next = kept;
    const counted = heap.new(Node, {});
    heap.gc.collect(0);
    heap.gc.freeze();
    expect([heap.gc.getFreezeCount(), heap.gc.getObjects(), heap.gc.getCount()]).toEqual([2, [], [0, 0, 0]]);
    expect(heap.gc.isTracked(kept)).toBe(true);
    release(counted); // counts go on
    release(kept);
    expect([heap.gc.getFreezeCount(), heap.gc.collect(), liveObjects(heap)]).toEqual([1, 0, 1]);
    heap.gc.unfreeze();
    expect([heap.gc.getFreezeCount(), heap.gc.getObjects(2).length]).toEqual([0, 1]);
    expect([heap.gc.collect(), liveObjects(heap)]).toEqual([1, 0]);
  });
});

describe("the gc module", () => {
  it("knows the objects of its own heap only, and only while they live", () => {
    const heap = makeHeap();
    const foreign = makeHeap().new(Node, {});
    const dead = heap.new(Node, {});
    release(dead);
    const { gc } = heap;
    const uses = [
      (ref: Borrowed) => gc.getReferrers(ref),
      (ref: Borrowed) => gc.getReferents(ref),
      (ref: Borrowed) => gc.isTracked(ref),
      (ref: Borrowed) => gc.isFinalized(ref),
    ];
    for (const use of uses) {
      expect(messageOf("INVALID_ARGUMENT", () => use(foreign))).toBe(
        "Expected an object of this heap, got an instance of Node.",
      );
      messageOf("USE_AFTER_RELEASE", () => use(dead));
    }
    for (const use of uses.slice(0, 2))
      expect(messageOf("INVALID_ARGUMENT", () => use({} as never))).toMatch(/got an object\.$/);
  });

  it("ends with its heap", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap[Symbol.dispose]();
    const { gc } = heap;
    for (const use of [
      () => gc.collect(),
      () => gc.enable(),
      () => gc.disable(),
      () => gc.isEnabled(),
      () => gc.setThreshold(1),
      () => gc.getThreshold(),
      () => gc.getCount(),
      () => gc.getStats(),
      () => gc.setDebug(0),
      () => gc.getDebug(),
      () => gc.garbage,
      () => gc.getObjects(),
      () => gc.getReferrers(),
      () => gc.freeze(),
      () => gc.unfreeze(),
      () => gc.getFreezeCount(),
    ])
      messageOf("HEAP_DISPOSED", use);
  });
});
