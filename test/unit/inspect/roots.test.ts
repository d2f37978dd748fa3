import { describe, expect, it } from "vitest";
import { f64, Heap, is, list, refcount, release, retain, struct } from "../../../src/index.js";
import { rootGroups, roots, rootsOf } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { leaksNothing, messageOf } from "../host/support.js";

const Point = struct("Point", { x: f64 });
const recordAll = { checks: { handles: { every: 1 } } } as const;

describe("roots", () => {
  it("are the handles that are held, oldest first, each with the line that made it", () => {
    const heap = makeHeap(recordAll);
    expect(roots(heap)).toEqual([]);
    function makePoint() {
      return heap.new(Point, { x: 5 });
    }
    using points = heap.new(list(Point), []);
    using point = makePoint();
    using again = retain(points);
    const found = roots(heap);
    expect(found.map(({ typeName }) => typeName)).toEqual(["list", "Point", "list"]);
    expect(found.map(({ object }, index) => is(object, [points, point, again][index]))).toEqual(
      Array(3).fill(true),
    );
    expect(found[1].madeAt).toMatch(/^makePoint \(.*roots\.test\.ts:\d+:\d+\)\n/);
    expect((found[1].object as unknown as typeof point).x).toBe(5);
  });

  it("end with the release of their handles, not of their objects", () => {
    const heap = makeHeap(recordAll);
    const first = heap.new(Point, {});
    const second = retain(first);
    release(first);
    expect([roots(heap).length, refcount(second)]).toEqual([1, 1]);
    release(second);
    expect(roots(heap)).toEqual([]);
  });

  it("are only those that a line was recorded of: none with checks off", () => {
    const heap = makeHeap({ checks: "off" });
    using point = heap.new(Point, {});
    expect([roots(heap), rootsOf(point)]).toEqual([[], []]);
    const some = makeHeap({ checks: { handles: { every: 2 } } });
    const points = Array.from({ length: 6 }, () => some.new(Point, {}));
    expect(roots(some)).toHaveLength(3);
    for (const made of points) release(made);
  });

  it("own nothing: what they name is borrowed", () => {
    const heap = makeHeap(recordAll);
    using point = heap.new(Point, {});
    leaksNothing(heap, () => roots(heap));
    expect(refcount(point)).toBe(1);
    messageOf("INVALID_ARGUMENT", () => release(roots(heap)[0].object as never));
  });

  it("are those of one heap, while it is open", () => {
    const heap = makeHeap(recordAll);
    using _point = heap.new(Point, {});
    expect(roots(makeHeap(recordAll))).toEqual([]);
    const disposed = Heap.create({ ...recordAll, maximumBytes: 1 << 20 });
    disposed[Symbol.dispose]();
    messageOf("HEAP_DISPOSED", () => roots(disposed));
  });
});

describe("rootsOf", () => {
  it("are the handles to one object, whichever reference asks", () => {
    const heap = makeHeap(recordAll);
    using points = heap.new(list(Point), [{ x: 1 }, { x: 2 }]);
    using first = retain(points.at(0)!);
    using second = retain(points.at(0)!);
    for (const ref of [first, second, points.at(0)!]) {
      const found = rootsOf(ref);
      expect(found.map(({ object }) => is(object, first))).toEqual([true, true]);
      for (const { typeName, madeAt } of found)
        expect([typeName, /roots\.test\.ts:\d+/.test(madeAt.split("\n")[0])]).toEqual(["Point", true]);
    }
    expect([rootsOf(points.at(1)!), rootsOf(points).length]).toEqual([[], 1]);
  });

  it("are of an object that lives", () => {
    const heap = makeHeap(recordAll);
    const point = heap.new(Point, {});
    release(point);
    messageOf("USE_AFTER_RELEASE", () => rootsOf(point));
    for (const value of [undefined, null, 5, {}])
      expect(messageOf("INVALID_ARGUMENT", () => rootsOf(value as never))).toBe(
        "rootsOf takes a reference to a heap object.",
      );
  });
});

describe("rootGroups", () => {
  it("are all that is held from outside: by type and line, and without a line by type", () => {
    const heap = makeHeap({ checks: { handles: { every: 2 } } });
    const make = () => heap.new(Point, {});
    const points = Array.from({ length: 7 }, make);
    using _points = heap.new(list(Point), points);
    const pool = heap.pool(Point, { capacity: 3 });
    const groups = rootGroups(heap).map(({ typeName, kind, count, madeAt }) => ({
      typeName,
      kind,
      count,
      line: madeAt?.split(" ")[0],
    }));
    expect(groups).toEqual([
      { typeName: "Point", kind: "handle", count: 4, line: "make" },
      { typeName: "Point", kind: "handle", count: 3, line: undefined },
      { typeName: "Point", kind: "pool", count: 3, line: undefined },
      { typeName: "list(Point)", kind: "handle", count: 1, line: expect.any(String) },
    ]);
    pool[Symbol.dispose]();
    for (const point of points) release(point);
    expect(rootGroups(heap).map(({ typeName, count }) => [typeName, count])).toEqual([["list(Point)", 1]]);
  });

  it("leave out handles that a value of the heap owns", () => {
    const heap = makeHeap(recordAll);
    const held = heap.new(Point, {});
    using _value = heap.adopt({}, () => {}, { traverse: () => [held] });
    expect(rootGroups(heap).map(({ typeName }) => typeName)).toEqual(["foreign"]);
  });
});
