import { describe, expect, it } from "vitest";
import "../../../src/inspect/vitest.js";
import {
  any,
  dict,
  type Handle,
  type Heap,
  list,
  optional,
  release,
  retain,
  str,
  struct,
} from "../../../src/index.js";
import {
  assertNoLeaks,
  declareCache,
  findLeaks,
  LeakError,
  type LeakReport,
  tracemalloc,
  verify,
} from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf, thrownBy } from "../host/support.js";

class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
  rest: any,
}) {}
const recordAll = { checks: { handles: { every: 1 } } } as const;

/** Types and numbers of what was left, without texts. */
function left({ groups }: LeakReport): [string, number][] {
  return groups.filter(({ type }) => type !== "str").map(({ type, count }) => [type, count]);
}

describe("findLeaks", () => {
  it("finds nothing where everything is freed, cycles included, whatever lived before", () => {
    const heap = makeHeap();
    using kept = heap.new(Node, { name: "kept" });
    const report = findLeaks(heap, () => {
      heap.scope((scope) => {
        const node = scope.new(Node, { name: "a", next: kept });
        node.rest = scope.new(list(any), [node]);
      });
      release(heap.adopt({}, () => {}, { bytes: 5 }));
    });
    expect(report).toEqual({ count: 0, bytes: 0, adoptedBytes: 0, handles: 0, grownBytes: 0, groups: [] });
    verify(heap);
  });

  it("names type, number, bytes, the line that made it, and who holds it", () => {
    const heap = makeHeap(recordAll);
    using cache = heap.new(dict(str, any), []);
    const leaked: Handle<Node>[] = [];
    const report = findLeaks(heap, () => {
      cache.set(
        "a",
        heap.scope((scope) => scope.new(Node, { name: "in the cache" })),
      );
      leaked.push(heap.new(Node, { next: {} }));
    });
    expect(report.count).toBe(5); // three nodes and two texts, the key's and the name's
    expect(report.groups.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(report.bytes);
    const made = report.groups.filter(({ madeAt }) => madeAt !== undefined);
    expect(made.map(({ type }) => type)).toEqual(["Node", "Node"]);
    for (const { madeAt } of made) expect(madeAt).toMatch(/leaks\.test\.ts:\d+:\d+/);
    const chains = report.groups.map(({ heldBy }) => heldBy.join(" <- "));
    expect(chains.some((chain) => /^root \(.*\) <- Node\.next$/.test(chain))).toBe(true);
    for (const node of leaked) release(node);
  });

  it("names the line that made each object while allocations are traced", () => {
    const heap = makeHeap({ checks: "off" });
    tracemalloc.start(heap, { frames: 2 });
    using cache = heap.new(dict(str, any), []);
    const makeOne = (name: string) => heap.scope((scope) => cache.set(name, scope.new(Node, {})));
    const report = findLeaks(heap, () => {
      for (let index = 0; index < 150; index++) makeOne(`name ${index}`);
    });
    tracemalloc.stop(heap);
    const nodes = report.groups.filter(({ type }) => type === "Node");
    expect(nodes.map(({ count }) => count)).toEqual([150]);
    expect(nodes[0].madeAt).toMatch(/leaks\.test\.ts/);
  });

  it("does not take for new what was there before, nor for old what took its place", () => {
    const heap = makeHeap();
    const first = heap.new(Node, { name: "first" });
    const kept: Handle<Node>[] = [];
    const report = findLeaks(heap, () => {
      release(first);
      kept.push(heap.new(Node, {})); // in the place of the first
    });
    expect(left(report)).toEqual([["Node", 1]]);
    for (const node of kept) release(node);
  });

  it("counts a handle that was taken of an old object and not released, and what old objects have grown by", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    using numbers = heap.new(list(any), []);
    const kept: Handle<Node>[] = [];
    const report = findLeaks(heap, () => {
      kept.push(retain(node));
      for (let item = 0; item < 1000; item++) numbers.push(item);
    });
    expect([report.count, report.handles]).toEqual([0, 1]);
    expect(report.grownBytes).toBeGreaterThan(7000);
    const error = thrownBy(() => assertNoLeaks(heap, () => void kept.push(retain(node)))) as LeakError;
    expect(error.message).toBe(
      "No object was left behind, but 1 handle to objects that were there before: retained and not released.",
    );
    assertNoLeaks(heap, () => numbers.push(1)); // a list that grows is no leak by itself
    for (const handle of kept) release(handle);
  });

  it("counts bytes outside the heap", () => {
    const heap = makeHeap();
    const kept: { [Symbol.dispose](): void }[] = [];
    const report = findLeaks(heap, () => {
      kept.push(heap.adopt({}, () => {}, { bytes: 1000 }));
    });
    expect([report.count, report.adoptedBytes]).toEqual([1, 1000]);
    for (const value of kept) value[Symbol.dispose]();
  });

  it("leaves out what only a declared cache holds, for good or for one call", () => {
    const heap = makeHeap();
    using cache = heap.new(dict(str, any), []);
    let entries = 0;
    const fill = () => {
      heap.scope((scope) => cache.set(`entry ${entries++}`, scope.new(Node, {})));
    };
    expect(findLeaks(heap, fill).count).toBeGreaterThan(0);
    expect(findLeaks(heap, fill, { caches: [cache] }).count).toBe(0);
    declareCache(cache);
    expect(findLeaks(heap, fill).count).toBe(0);
    const kept: Handle<Node>[] = [];
    const report = findLeaks(heap, () => {
      fill();
      kept.push(retain(cache.get(`entry ${entries - 1}`) as unknown as Node));
    });
    expect(left(report)).toEqual([["Node", 1]]); // held from elsewhere too
    for (const node of kept) release(node);
  });

  it("forgets a cache that is dead, whatever took its place", () => {
    const heap = makeHeap();
    const cache = heap.new(list(any), []);
    declareCache(cache);
    release(cache);
    using other = heap.new(list(any), []);
    const report = findLeaks(heap, () => other.push(heap.scope((scope) => scope.new(Node, {}))));
    expect(left(report)).toContainEqual(["Node", 1]);
  });

  it("works for asynchronous bodies, their disposals included", async () => {
    const heap = makeHeap();
    const kept: Handle<Node>[] = [];
    const clean = findLeaks(heap, async () => {
      await using scope = heap.scope();
      scope.adopt({}, async () => {
        await new Promise(setImmediate);
      });
      await Promise.resolve();
    });
    expect(clean).toBeInstanceOf(Promise);
    expect((await clean).count).toBe(0);
    const leaking = await findLeaks(heap, async () => {
      await Promise.resolve();
      kept.push(heap.new(Node, {}));
    });
    expect(left(leaking)).toEqual([["Node", 1]]);
    for (const node of kept) release(node);
  });

  it("lets through what the body throws", async () => {
    const heap = makeHeap();
    const fail = () => {
      throw new RangeError("body");
    };
    expect(thrownBy(() => findLeaks(heap, fail))).toBeInstanceOf(RangeError);
    await expect(findLeaks(heap, async () => fail())).rejects.toThrow(RangeError);
    messageOf("INVALID_ARGUMENT", () => findLeaks(heap, undefined as never));
    messageOf("INVALID_ARGUMENT", () => declareCache({} as never));
  });
});

describe("assertNoLeaks", () => {
  const leakOne = (heap: Heap, kept: Handle<Node>[]) => () => {
    kept.push(heap.new(Node, { name: "\u001b[31m<b>" }));
  };

  it("throws the report as its message: type, count, bytes, made at, held by", () => {
    const heap = makeHeap(recordAll);
    const kept: Handle<Node>[] = [];
    assertNoLeaks(heap, () => {});
    const error = thrownBy(() => assertNoLeaks(heap, leakOne(heap, kept))) as LeakError;
    expect(error).toBeInstanceOf(LeakError);
    expect([error.code, error.report.count]).toEqual(["LEAK", 2]);
    expect(error.message).toMatch(
      /^2 objects were left behind, \d+ bytes:\n {2}1 Node, \d+ bytes\n {4}made at .*leaks\.test\.ts/,
    );
    expect(error.message).toMatch(/\n {4}held by root \(/);
    expect(error.message).not.toContain("\u001b");
    for (const node of kept) release(node);
  });

  it("is a promise for an asynchronous body, which rejects", async () => {
    const heap = makeHeap();
    const kept: Handle<Node>[] = [];
    await assertNoLeaks(heap, async () => {});
    await expect(assertNoLeaks(heap, async () => leakOne(heap, kept)())).rejects.toThrow(LeakError);
    for (const node of kept) release(node);
  });
});

describe("the matcher", () => {
  it("passes and fails as assertNoLeaks does, both ways, synchronous or not", async () => {
    const heap = makeHeap();
    const kept: Handle<Node>[] = [];
    const leak = () => void kept.push(heap.new(Node, {}));
    expect(() => {}).toLeakNothing(heap);
    expect(leak).not.toLeakNothing(heap);
    expect(() => expect(leak).toLeakNothing(heap)).toThrow(/1 object was left behind/);
    await expect(async () => {}).toLeakNothing(heap);
    await expect(expect(async () => leak()).toLeakNothing(heap)).rejects.toThrow(/1 object was left behind/);
    for (const node of kept) release(node);
  });
});
