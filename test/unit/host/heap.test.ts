import { afterEach, describe, expect, it, vi } from "vitest";
import {
  any,
  dict,
  f64,
  Heap,
  type HeapOptions,
  i32,
  is,
  list,
  oneOf,
  optional,
  refcount,
  release,
  str,
  struct,
} from "../../../src/index.js";
import { roots } from "../../../src/inspect/index.js";
import { CONTROL_COUNTS } from "../../../src/memory/layout.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf } from "./support.js";

class TreeNode extends struct("TreeNode", {
  value: i32,
  get parent() {
    return optional(TreeNode);
  },
  get children() {
    return list(TreeNode);
  },
}) {}
const Point = struct("Point", { x: f64, label: str });

/** Break the first invariant that there is, which nothing but a check would notice. */
function corrupt(heap: Heap): () => void {
  const { i32 } = Heap.contextOf(heap).core.memory;
  i32[CONTROL_COUNTS + 1] = -7;
  return () => {
    i32[CONTROL_COUNTS + 1] = 0;
  };
}

describe("Heap.create", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });
  const recorded = (options: HeapOptions) => {
    using heap = Heap.create({ maximumBytes: 1 << 20, ...options });
    const points = Array.from({ length: 5 }, () => heap.new(Point, {}));
    const { length } = roots(heap);
    for (const point of points) release(point);
    return length;
  };

  it("reserves what it is asked for, rounded up to whole arenas", () => {
    using heap = Heap.create({ maximumBytes: 1_000_000 });
    expect(heap.bytesReserved).toBe(16 << 16);
    expect(heap.bytesUsed).toBeGreaterThan(0);
    expect(heap.bytesUsed).toBeLessThan(200_000);
  });

  it("refuses options that are no object", () => {
    for (const [options, shown] of [
      [null, "null"],
      [5, "5"],
      ["stress", '"stress"'],
    ] as [never, string][])
      expect(messageOf("INVALID_ARGUMENT", () => Heap.create(options))).toBe(
        `Heap.create takes an object of options, got ${shown}.`,
      );
  });

  it("refuses sizes out of range and checks that there are none of", () => {
    for (const maximumBytes of [1000, 2 ** 40, 0.5])
      expect(messageOf("INVALID_ARGUMENT", () => Heap.create({ maximumBytes }))).toMatch(/maximumBytes/);
    for (const [checks, shown] of [
      ["on", '"on"'],
      [5, "5"],
      [null, "null"],
      [{}, "an object"],
      [{ handles: 5 }, "an object"],
    ] as [never, string][])
      expect(messageOf("INVALID_ARGUMENT", () => Heap.create({ maximumBytes: 1 << 20, checks }))).toBe(
        `checks must be "off", "handles", "verify", "stress" or { handles: { every: n } }, got ${shown}.`,
      );
    for (const every of [0, -1, 1.5, "2", Number.NaN] as number[])
      expect(
        messageOf("INVALID_ARGUMENT", () =>
          Heap.create({ maximumBytes: 1 << 20, checks: { handles: { every } } }),
        ),
      ).toMatch(/^checks\.handles\.every must be a whole number of at least 1/);
  });

  it("records handles by default, none in production, and does as OUROHEAP_CHECKS says", () => {
    vi.stubEnv("OUROHEAP_CHECKS", "");
    vi.stubEnv("NODE_ENV", "development");
    expect(recorded({})).toBe(5);
    vi.stubEnv("NODE_ENV", "production");
    expect(recorded({})).toBe(0);
    expect(recorded({ checks: "handles" })).toBe(5);
    vi.stubEnv("OUROHEAP_CHECKS", "handles");
    expect(recorded({})).toBe(5);
    expect(recorded({ checks: "off" })).toBe(0);
    vi.stubEnv("OUROHEAP_CHECKS", "everything");
    expect(messageOf("INVALID_ARGUMENT", () => recorded({}))).toMatch(/got "everything"/);
  });

  it("verifies at each phase of each collection, if asked to", () => {
    for (const checks of ["verify", "stress"] as const) {
      const heap = makeHeap({ checks });
      const repair = corrupt(heap);
      expect(messageOf("HEAP_CORRUPTION", () => heap.gc.collect(0))).toMatch(
        /I1 control words.*count1 is -6/,
      );
      repair();
      expect(heap.gc.collect()).toBe(0);
    }
    const heap = makeHeap({ checks: "handles" });
    const repair = corrupt(heap);
    expect(heap.gc.collect(0)).toBe(0);
    repair();
  });

  it("collects before every allocation under stress, everything before each thousandth", () => {
    const heap = makeHeap({ checks: "stress" });
    const { collections } = heap.gc.getStats()[2];
    for (let index = 0; index < 10; index++) {
      using node = heap.new(TreeNode, {}); // two objects
      node.parent = node;
    }
    expect(heap.gc.getStats().reduce((sum, stats) => sum + stats.collections, 0)).toBe(20);
    for (let index = 0; index < 500; index++) release(heap.new(TreeNode, {}));
    expect(heap.gc.getStats()[2].collections).toBeGreaterThan(collections);
  });
});

describe("heap.new", () => {
  it("makes structs and containers, and says so of anything else", () => {
    const heap = makeHeap();
    const make = (type: unknown) => () => heap.new(type as typeof TreeNode, {});
    for (const type of [f64, any, optional(TreeNode), oneOf(TreeNode)])
      expect(messageOf("INVALID_ARGUMENT", make(type))).toMatch(/^heap\.new makes structs and containers/);
    expect(messageOf("INVALID_ARGUMENT", make(f64))).toBe(
      "heap.new makes structs and containers; a value of type f64 is stored in one.",
    );
    for (const type of [undefined, null, 5, {}, Date])
      expect(messageOf("INVALID_ARGUMENT", make(type))).toMatch(
        /^The type given to heap\.new must be a heap type/,
      );
  });

  it("is free of other heaps that use the same types", () => {
    const [one, two] = [makeHeap(), makeHeap()];
    using first = one.new(TreeNode, { value: 1 });
    using second = two.new(TreeNode, { value: 2 });
    expect([first.value, second.value, is(first, second)]).toEqual([1, 2, false]);
    messageOf("FOREIGN_HEAP", () => first.children.push(second));
    expect(refcount(second)).toBe(1);
  });
});

describe("heap.from and heap.toJS", () => {
  it("copy graphs, and say what they cannot copy", () => {
    const heap = makeHeap();
    using graph = heap.from({ list: [1, "two", null] });
    expect(heap.toJS(graph)).toEqual({ list: [1, "two", null] });
    for (const value of [5, "text", null, undefined] as unknown as object[])
      expect(messageOf("INVALID_ARGUMENT", () => heap.from(value))).toMatch(/^heap\.from copies/);
    for (const value of [5, {}, null] as unknown as (typeof graph)[])
      expect(messageOf("INVALID_ARGUMENT", () => heap.toJS(value))).toMatch(
        /^heap\.toJS copies a heap object, got/,
      );
  });
});

describe("bytesUsed", () => {
  it("rises and falls by pages with what lives", () => {
    const heap = makeExactHeap();
    const before = heap.bytesUsed;
    const text = heap.new(Point, { label: "x".repeat(100_000) });
    const during = heap.bytesUsed;
    expect(during - before).toBeGreaterThanOrEqual(100_000);
    release(text);
    expect(during - heap.bytesUsed).toBeGreaterThanOrEqual(100_000);
  });
});

describe("a collection", () => {
  it("takes a tree with parent links: three nodes and their lists", () => {
    const heap = makeHeap();
    {
      using root = heap.new(TreeNode, { value: 1, children: [{ value: 2 }, { value: 3 }] });
      for (const child of root.children) child.parent = root;
    }
    expect(heap.gc.collect()).toBe(6);
    expect(liveObjects(heap)).toBe(0);
  });

  it("takes Python's two dicts in a cycle", () => {
    const heap = makeHeap();
    {
      using a = heap.new(dict(str, any), [["key", "value"]]);
      using b = heap.new(dict(str, any), [["key", "another_value"]]);
      a.set("ref_to_b", b);
      b.set("ref_to_a", a);
    }
    expect(heap.gc.collect()).toBe(2);
  });
});

describe("heap.scope", () => {
  it("takes a function or nothing", () => {
    const heap = makeHeap();
    for (const [body, shown] of [
      [5, "5"],
      [null, "null"],
      [{}, "an object"],
    ] as [never, string][])
      expect(messageOf("INVALID_ARGUMENT", () => heap.scope(body))).toBe(
        `heap.scope takes a function or nothing, got ${shown}.`,
      );
  });
});

it("refuses what is no type, also as the first that it is asked for", () => {
  const heap = makeHeap();
  for (const type of [undefined, null, 0, {}])
    messageOf("INVALID_ARGUMENT", () => heap.new(type as never, {} as never));
});

describe("a heap that is disposed", () => {
  it("ends with everything in it: each later use says so", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    const node = heap.new(TreeNode, { children: [{}] });
    const child = node.children.at(0)!;
    const scope = heap.scope();
    const items = node.children[Symbol.iterator]();
    heap[Symbol.dispose]();
    for (const use of [
      () => heap.new(TreeNode, {}),
      () => heap.new(Point, {}),
      () => heap.from([]),
      () => heap.toJS(node),
      () => heap.scope(),
      () => heap.bytesUsed,
      () => heap.bytesReserved,
      () => heap.gc.collect(),
      () => node.value,
      () => child.value,
      () => items.next(),
      () => scope.new(TreeNode, {}),
      () => release(node),
    ])
      expect(messageOf("HEAP_DISPOSED", use)).toBe(
        "This heap was disposed: nothing in it can be used any more.",
      );
    heap[Symbol.dispose](); // twice does nothing
    scope[Symbol.dispose]();
  });

  it("does not read a literal of the type that it made last", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    release(heap.new(Point, { x: 1 }));
    heap[Symbol.dispose]();
    const read = vi.fn(() => 2);
    const literal = Object.defineProperty({}, "x", { get: read, enumerable: true });
    messageOf("HEAP_DISPOSED", () => heap.new(Point, literal));
    expect(read).not.toHaveBeenCalled();
  });

  it("is disposed by `using`", () => {
    const heap = ((): Heap => {
      using inner = Heap.create({ maximumBytes: 1 << 20 });
      return inner;
    })();
    messageOf("HEAP_DISPOSED", () => heap.bytesUsed);
  });

  it("by a getter of a literal that it is making something from, makes nothing of it", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    release(heap.new(Point, {}));
    messageOf("HEAP_DISPOSED", () =>
      heap.new(Point, {
        get x() {
          heap[Symbol.dispose]();
          return 5;
        },
      }),
    );
  });
});

describe.each(["off", "verify", "stress"] as const)(
  "a heap that is disposed in the middle of an operation: checks %s",
  (checks) => {
    const operations: [string, (heap: Heap, dispose: () => void) => unknown][] = [
      [
        "a getter of a literal",
        (heap, dispose) =>
          heap.new(TreeNode, {
            get parent() {
              dispose();
              return { children: [{}, {}] };
            },
            children: [{}, { children: [{}] }],
          }),
      ],
      [
        "an iterator of items",
        (heap, dispose) => {
          const items = function* () {
            yield { children: [{}] };
            dispose();
            yield { children: [{}] };
          };
          return heap.new(list(TreeNode), items());
        },
      ],
      [
        "a callback of the collector",
        (heap, dispose) => {
          heap.gc.callbacks.push(dispose);
          heap.gc.setThreshold(1);
          return heap.new(list(TreeNode), [{}, { children: [{}] }, {}]);
        },
      ],
    ];
    it.each(operations)("by %s, ends it with that error and no other", (_, operate) => {
      const heap = Heap.create({ maximumBytes: 1 << 20, checks });
      const errors: unknown[] = [];
      heap.onUnraisable = (error) => errors.push(error);
      release(heap.new(list(TreeNode), []));
      messageOf("HEAP_DISPOSED", () => operate(heap, () => heap[Symbol.dispose]()));
      expect(errors).toEqual([]);
    });
  },
);

describe("heap.onUnraisable", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("writes to the console unless the heap is told otherwise", () => {
    const heap = makeExactHeap();
    const error = vi.spyOn(console, "error").mockReturnValue();
    const thrown = new Error("from a callback");
    heap.gc.callbacks.push((phase) => {
      if (phase === "stop") throw thrown;
    });
    expect(leaksNothing(heap, () => heap.gc.collect())).toBe(0);
    expect(error.mock.calls).toEqual([["Ouroheap: error ignored in gc callback:", thrown]]);
  });
});
