/** The gc module: collecting, when that starts by itself, what is counted, and callbacks. */
import { describe, expect, it } from "vitest";
import {
  type Borrowed,
  type CollectionPolicy,
  type Generation,
  Heap,
  list,
  release,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { makeGarbage, Node, Point } from "./gc-support.js";
import { liveObjects, messageOf, verifyInside } from "./support.js";

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
