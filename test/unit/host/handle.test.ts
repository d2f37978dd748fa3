import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import {
  any,
  DoubleReleaseError,
  dict,
  f64,
  finalizer,
  type Handle,
  Heap,
  i32,
  type LeakedHandle,
  list,
  optional,
  refcount,
  release,
  retain,
  str,
  struct,
  UseAfterReleaseError,
} from "../../../src/index.js";
import { roots, verify } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { describeBothMakers, heapError, liveObjects, thrownBy } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}
const Point = struct("Point", { x: f64 });

const recordAll = { checks: { handles: { every: 1 } } } as const;

/** The line of this file that calls it, as a stack names it. */
function here(): string {
  const line = new Error().stack!.split("\n")[2];
  return /handle\.test\.ts:\d+/.exec(line)![0];
}

describeBothMakers("a handle", ({ makeHeap, makeExactHeap }) => {
  it("owns one reference: giving it up frees what nothing else holds, at once", () => {
    const heap = makeExactHeap();
    const node = heap.new(Node, { next: { next: {} } });
    const before = liveObjects(heap);
    const kept = retain(node.next!);
    release(node);
    expect(liveObjects(heap)).toBe(before - 1);
    release(kept);
    expect(liveObjects(heap)).toBe(before - 3);
    expect(heap.gc.getStats()[2].collections).toBe(0);
  });

  it("is released by `using` at the end of its block", () => {
    const heap = makeHeap();
    const outer = heap.new(Node, {});
    {
      using inner = retain(outer);
      expect(refcount(inner)).toBe(2);
    }
    expect(refcount(outer)).toBe(1);
  });

  it("cannot be used once it is released, though others to the object can", () => {
    const heap = makeHeap();
    const first = heap.new(Node, { value: 1, next: {} });
    const second = retain(first);
    release(first);
    const uses = [
      () => first.value,
      () => first.next,
      () => {
        first.value = 2;
      },
      () => retain(first),
      () => refcount(first),
      () => heap.toJS(first),
    ];
    for (const use of uses) {
      const error = heapError("USE_AFTER_RELEASE", use);
      expect(error).toBeInstanceOf(UseAfterReleaseError);
      expect(error.message).toContain("This handle to a Node was released and cannot be used any more.");
    }
    expect([second.value, refcount(second)]).toEqual([1, 1]);
  });

  it("cannot be released twice, and the second time changes nothing", () => {
    const heap = makeHeap();
    const first = heap.new(Node, {});
    const second = retain(first);
    release(first);
    for (const again of [() => release(first), () => first[Symbol.dispose]()]) {
      const error = heapError("DOUBLE_RELEASE", again);
      expect(error).toBeInstanceOf(DoubleReleaseError);
      expect(error.message).toContain("This handle to a Node was released already.");
    }
    expect(refcount(second)).toBe(1);
    release(second);
    heapError("DOUBLE_RELEASE", () => release(second));
  });

  it("is not what a field or an item reads as: a borrow cannot be released", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: { value: 1 } });
    using nodes = heap.new(list(Node), [node]);
    for (const borrow of [node.next, nodes.at(0)] as unknown as Handle<Node>[])
      for (const attempt of [() => release(borrow), () => borrow[Symbol.dispose]()])
        expect(heapError("INVALID_ARGUMENT", attempt).message).toBe(
          "This reference to a Node is borrowed: it owns nothing that could be released.",
        );
    expect([refcount(node), refcount(node.next!)]).toEqual([2, 1]);
    const stale = node.next as unknown as Handle<Node>;
    node.next = null;
    heapError("STALE_REFERENCE", () => release(stale));
  });

  it("names the lines that made and released it, where all are recorded", () => {
    const heap = makeHeap(recordAll);
    const made = here();
    const node = heap.new(Node, {}); // made + 1
    const released = here();
    release(node); // released + 1
    const lineAfter = (line: string) => line.replace(/\d+$/, (number) => String(Number(number) + 1));
    for (const misuse of [() => node.value, () => release(node)]) {
      const error = thrownBy(misuse) as UseAfterReleaseError;
      expect(error.madeAt!.split("\n")[0]).toContain(lineAfter(made));
      expect(error.releasedAt!.split("\n")[0]).toContain(lineAfter(released));
      expect(error.message).toContain(`\n  made at ${error.madeAt!.split("\n")[0]}\n  released at `);
      expect(error.message).toContain(lineAfter(released));
    }
  });

  it("names the line of whatever made it: new, retain, pop, take, from, a scope", () => {
    const heap = makeHeap(recordAll);
    const nodes = heap.new(list(Node), [{}, {}]);
    const makers: (() => Disposable)[] = [
      () => heap.new(Node, {}),
      () => retain(nodes),
      () => nodes.pop()!,
      () => nodes.take(0)!,
      () => heap.from({}) as unknown as Disposable,
      () => heap.scope((scope) => scope.new(Point, {})),
    ];
    for (const make of makers) {
      const handle = make();
      handle[Symbol.dispose]();
      const { madeAt } = thrownBy(() => handle[Symbol.dispose]()) as DoubleReleaseError;
      expect(madeAt!.split("\n")[0]).toMatch(/handle\.test\.ts:\d+:\d+/);
      expect(madeAt!.split("\n").length).toBeLessThanOrEqual(4);
    }
    release(nodes);
  });

  it("names no line where none is recorded, and says how to record them", () => {
    const heap = makeHeap({ checks: "off" });
    const node = heap.new(Node, {});
    release(node);
    for (const misuse of [() => node.value, () => release(node)]) {
      const error = thrownBy(misuse) as UseAfterReleaseError;
      expect("madeAt" in error || "releasedAt" in error).toBe(false);
      expect(error.message).toContain("{ checks: { handles: { every: 1 } } }");
    }
    expect(roots(heap)).toEqual([]);
  });

  it("keeps no line and no record of a borrow that is stale", () => {
    const heap = makeHeap(recordAll);
    using node = heap.new(Node, { next: {} });
    const borrow = node.next!;
    node.next = null;
    const error = thrownBy(() => borrow.value) as UseAfterReleaseError;
    expect("madeAt" in error || "releasedAt" in error).toBe(false);
  });
});

describeBothMakers("a handle of which something is kept", ({ makeHeap }) => {
  const ErrorHost = Error as unknown as { prepareStackTrace?: unknown };
  /** Run a body while the program's own code looks at the first stack that is captured, and throw what that throws. */
  function whileStacksAreLookedAt(look: () => void, body: () => void): void {
    const { prepareStackTrace } = ErrorHost;
    const failures: unknown[] = [];
    ErrorHost.prepareStackTrace = () => {
      ErrorHost.prepareStackTrace = prepareStackTrace;
      try {
        look();
      } catch (error) {
        failures.push(error); // whoever captures a stack swallows it
      }
      return "";
    };
    try {
      body();
    } finally {
      ErrorHost.prepareStackTrace = prepareStackTrace;
    }
    for (const failure of failures) throw failure;
  }

  it("is released before the program's code can see its stack: once, whatever that does", () => {
    for (const options of [recordAll, { checks: "stress" }] as const) {
      const heap = makeHeap(options);
      const node = heap.new(Node, {});
      const other = retain(node);
      const codes: string[] = [];
      const look = () => {
        verify(heap);
        codes.push(heapError("DOUBLE_RELEASE", () => release(node)).code);
        codes.push(heapError("USE_AFTER_RELEASE", () => node.value).code);
      };
      whileStacksAreLookedAt(look, () => release(node));
      expect([codes.length, refcount(other)]).toEqual([2, 1]);
      release(other);
    }
  });

  it("finds the heap whole when its line is captured: new, retain, pop, take, from", () => {
    for (const options of [recordAll, { checks: "stress" }] as const) {
      const heap = makeHeap(options);
      const nodes = heap.new(list(Node), [{}, {}, {}]);
      const table = heap.new(dict(str, any), [["a", nodes]]);
      const makers: (() => Disposable)[] = [
        () => heap.new(Node, {}),
        () => retain(nodes),
        () => nodes.pop()!,
        () => nodes.take(0)!,
        () => table.take("a") as unknown as Disposable,
        () => heap.from({ a: [{}] }) as unknown as Disposable,
      ];
      let looks = 0;
      const look = () => {
        looks++;
        verify(heap);
        nodes.push({});
        nodes.clear();
        table.clear();
        verify(heap);
      };
      for (const make of makers) {
        if (nodes.length < 2) nodes.assign([{}, {}]);
        table.set("a", nodes);
        let made: Disposable | undefined;
        whileStacksAreLookedAt(look, () => {
          made = make();
        });
        made![Symbol.dispose]();
      }
      expect(looks).toBe(makers.length);
      release(table);
      release(nodes);
    }
  });
});

describeBothMakers("a handle that is frozen", ({ makeHeap }) => {
  it.each(["off", "handles", "stress"] as const)(
    "cannot be released, which says why and changes nothing: checks %s",
    (checks) => {
      const heap = makeHeap({ checks });
      const node = heap.new(Node, { value: 1 });
      const frozen = Object.freeze(retain(node));
      for (const attempt of [() => release(frozen), () => frozen[Symbol.dispose]()]) {
        const before = roots(heap).length;
        const error = heapError("INVALID_ARGUMENT", attempt);
        expect(error.message).toBe(
          "This handle to a Node was frozen and cannot be marked as released: it keeps its object alive.",
        );
        expect([frozen.value, refcount(node), roots(heap).length]).toEqual([1, 2, before]);
        verify(heap);
      }
      release(node);
      expect(refcount(frozen)).toBe(1);
    },
  );
});

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
      /^Ouroheap: a handle to a Node was dropped without release; made at\n {2}\S.*handle\.test\.ts/,
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
