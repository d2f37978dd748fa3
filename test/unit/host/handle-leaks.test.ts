/** Handles that are dropped without release: which are recorded, and how they are reported. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import {
  any,
  finalizer,
  type Handle,
  Heap,
  type LeakedHandle,
  refcount,
  release,
  retain,
  struct,
} from "../../../src/index.js";
import { roots, verify } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { here, Node, Point, recordAll } from "./handle-support.js";

describe("which handles are recorded", () => {
  /** The numbers, from 1, of the handles that are on record. */
  const recorded = (heap: Heap) => roots(heap).map(({ object }) => (object as unknown as Node).value);
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const makeAt = (heap: Heap, from: number, to: number) => {
    for (let value = from; value <= to; value++) heap.new(Node, { value });
  };
  const makeElsewhere = (heap: Heap, from: number, to: number) => {
    for (let value = from; value <= to; value++) heap.new(Node, { value });
  };

  it("the first hundred of a type, then one in a thousand", () => {
    const heap = makeHeap({ checks: "handles" });
    makeAt(heap, 1, 3200);
    expect(recorded(heap)).toEqual([...range(1, 100), 1100, 2100, 3100]);
  });

  it("a hundred more when a line comes up in the sample that was not seen before", () => {
    const heap = makeHeap({ checks: "handles" });
    makeAt(heap, 1, 1000);
    makeElsewhere(heap, 1001, 2500);
    expect(recorded(heap)).toEqual([...range(1, 100), ...range(1100, 1199), 2199]);
    makeAt(heap, 2501, 3300);
    expect(recorded(heap).at(-1)).toBe(3199);
  });

  it("a line that comes up among the first hundred, until a hundred were recorded from it", () => {
    const heap = makeHeap({ checks: "handles" });
    makeAt(heap, 1, 50);
    makeElsewhere(heap, 51, 300);
    expect(recorded(heap)).toEqual(range(1, 150));
  });

  it("of each type apart, and new ones apart from retained ones", () => {
    const heap = makeHeap({ checks: "handles" });
    makeAt(heap, 1, 200);
    const points = Array.from({ length: 150 }, () => heap.new(Point, {}));
    expect(roots(heap).filter(({ typeName }) => typeName === "Point")).toHaveLength(100);
    for (const point of points) retain(point);
    expect(roots(heap).filter(({ typeName }) => typeName === "Point")).toHaveLength(200);
    expect(recorded(heap).filter((value) => value !== undefined)).toEqual(range(1, 100));
  });

  it("every one, or every n-th, where the heap is told so", () => {
    const all = makeHeap(recordAll);
    makeAt(all, 1, 300);
    expect(recorded(all)).toEqual(range(1, 300));
    const some = makeHeap({ checks: { handles: { every: 7 } } });
    makeAt(some, 1, 30);
    expect(recorded(some)).toEqual([1, 8, 15, 22, 29]);
  });

  it("none with checks off; by the sample with every level that checks more", () => {
    for (const [checks, count] of [
      ["off", 0],
      ["verify", 100],
      ["stress", 100],
    ] as const) {
      const heap = makeHeap({ checks });
      for (let index = 0; index < 120; index++) heap.new(Point, {});
      expect(roots(heap)).toHaveLength(count);
    }
  });

  it("until they are released", () => {
    const heap = makeHeap(recordAll);
    const [first, second] = [heap.new(Node, { value: 1 }), heap.new(Node, { value: 2 })];
    release(first);
    expect(recorded(heap)).toEqual([2]);
    release(second);
    expect(recorded(heap)).toEqual([]);
  });
});

describe("a handle that is dropped without release", () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  /** Let the host's collector run until a condition holds, or it has had chances enough. */
  async function settle(isDone: () => boolean) {
    for (let turn = 0; turn < 30 && !isDone(); turn++) {
      collectGarbage();
      await new Promise(setImmediate);
    }
  }
  function watch(heap: Heap): LeakedHandle[] {
    const leaks: LeakedHandle[] = [];
    heap.onLeakedHandle = (leak) => leaks.push(leak);
    return leaks;
  }

  it("is reported once, with its type and the line that made it", async () => {
    const heap = makeHeap(recordAll);
    const leaks = watch(heap);
    const made = ((): string => {
      const line = here();
      heap.new(Node, {}); // line + 1
      return line.replace(/\d+$/, (number) => String(Number(number) + 1));
    })();
    await settle(() => leaks.length > 0);
    await settle(() => leaks.length > 1);
    expect(leaks).toHaveLength(1);
    expect(leaks[0].typeName).toBe("Node");
    expect(leaks[0].madeAt.split("\n")[0]).toContain(made);
    expect(roots(heap).map(({ typeName }) => typeName)).toEqual(["Node"]);
  });

  it("is reported on the console unless the heap is told otherwise", async () => {
    const heap = makeHeap(recordAll);
    const { warn } = console;
    const warnings: string[] = [];
    console.warn = (text: string) => warnings.push(text);
    try {
      (() => heap.new(Node, {}))();
      await settle(() => warnings.length > 0);
    } finally {
      console.warn = warn;
    }
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /^Ouroheap: a handle to a Node was dropped without release; made at\n {2}\S.*handle-leaks\.test\.ts/,
    );
  });

  it("is reported when the heap ends, those of one line together, and never twice", async () => {
    const heap = Heap.create({ ...recordAll, maximumBytes: 1 << 20 });
    const leaks = watch(heap);
    const kept = [1, 2, 3].map((value) => heap.new(Node, { value }));
    (() => heap.new(Point, {}))();
    await settle(() => leaks.length > 0);
    release(heap.new(Node, {}));
    heap[Symbol.dispose]();
    await settle(() => false);
    expect(leaks.map(({ when, count, typeName }) => [when, count, typeName])).toEqual([
      ["dropped", 1, "Point"],
      ["shutdown", 3, "Node"],
    ]);
    expect(kept).toHaveLength(3);
  });

  it("is told with what it keeps alive", async () => {
    const heap = makeHeap(recordAll);
    const leaks = watch(heap);
    (() => {
      const node = heap.new(Node, { next: { next: {} } });
      node.next!.next!.next = node;
    })();
    await settle(() => leaks.length > 0);
    expect(leaks[0].keepsAlive?.objects).toBe(3);
    expect(leaks[0].keepsAlive?.bytes).toBeGreaterThanOrEqual(3 * 24);
  });

  it("is released too, where the heap was told to, at the next new or collect", async () => {
    for (const checks of ["off", "handles", "verify"] as const) {
      for (const occasion of ["new", "collect"]) {
        const heap = makeHeap({ checks, leakedHandles: "release" });
        const leaks = watch(heap);
        using kept = heap.new(Node, { value: 3 });
        (() => {
          for (let count = 0; count < 150; count++) heap.new(Point, {});
          heap.new(Node, {}).next = kept;
        })();
        await settle(() => leaks.length >= 101);
        const { allocator } = Heap.contextOf(heap).core;
        const live = () => [...allocator.objects()].length;
        const before = live();
        if (occasion === "new") release(heap.new(Point, {}));
        else heap.gc.collect();
        expect([before - live(), refcount(kept)]).toEqual([151, 1]);
        verify(heap);
        expect(leaks).toHaveLength(checks === "off" ? 0 : 101);
      }
    }
  });

  it("is released too when its object was garbage once and brought back", async () => {
    const heap = makeHeap({ leakedHandles: "release" });
    let disposed = 0;
    const kept: Handle<Saver>[] = [];
    class Saver extends struct("Saver", { value: any }) {
      [finalizer]() {
        kept.push(retain(this) as Handle<Saver>);
      }
    }
    const table: { handles: Handle<Saver>[] } = { handles: [] };
    (() => {
      const saver = heap.new(Saver, {});
      using value = heap.adopt(table, () => disposed++, { traverse: ({ handles }) => handles });
      saver.value = value;
      table.handles.push(saver);
    })();
    heap.gc.collect(); // finds the cycle; the finalizer brings it back
    expect([disposed, kept.length]).toEqual([0, 1]);
    table.handles.length = 0; // now nobody has the handle
    await settle(() => false);
    for (const saver of kept.splice(0)) release(saver);
    heap.gc.collect();
    expect([disposed, heap.gc.getObjects().length]).toEqual([1, 0]);
  });

  it("is released when a program only adopts", async () => {
    const heap = makeHeap({ leakedHandles: "release" });
    let disposed = 0;
    (() => {
      for (let id = 0; id < 50; id++) heap.adopt({ id }, () => disposed++);
    })();
    await settle(() => false);
    release(heap.adopt({}, () => {}));
    expect(disposed).toBe(50);
  });

  it("that was released in time is not released again", async () => {
    const heap = makeHeap({ leakedHandles: "release" });
    using kept = heap.new(Node, {});
    (() => release(retain(kept)))();
    await settle(() => false);
    heap.gc.collect();
    expect(refcount(kept)).toBe(1);
  });

  it("is not reported if it was released, is held, was not recorded, or its heap told of it when it ended", async () => {
    const released = makeHeap(recordAll);
    const held = makeHeap(recordAll);
    const off = makeHeap({ checks: "off" });
    const disposed = Heap.create({ ...recordAll, maximumBytes: 1 << 20 });
    const leaks = [released, held, off, disposed].map(watch);
    const kept = held.new(Node, { value: 5 });
    (() => {
      release(released.new(Node, {}));
      off.new(Node, {});
      disposed.new(Node, {});
    })();
    disposed[Symbol.dispose]();
    // A handle of a heap that is watched too, so that there is something to wait for.
    const control = makeHeap(recordAll);
    const reported = watch(control);
    (() => control.new(Node, {}))();
    await settle(() => reported.length > 0);
    await settle(() => false);
    expect([reported.length, ...leaks.map(({ length }) => length)]).toEqual([1, 0, 0, 0, 1]);
    expect(kept.value).toBe(5);
  });
});
