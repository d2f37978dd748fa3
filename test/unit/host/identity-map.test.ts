import { describe, expect, it } from "vitest";
import { f64, Heap, IdentityMap, list, refcount, release, struct } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { liveObjects, messageOf } from "./support.js";

const Point = struct("Point", { x: f64 });

describe("an IdentityMap", () => {
  it("finds one entry from any reference to an object", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }, { x: 1 }]);
    using names = new IdentityMap<InstanceType<typeof Point>, string>(heap);
    const [first, second] = points;
    expect(names.set(first, "first").set(second, "second")).toBe(names);
    names.set(points.at(0)!, "first again");
    expect([names.get(points.at(0)!), names.get(second), names.size]).toEqual(["first again", "second", 2]);
    expect([names.has(first), names.delete(points.at(0)!), names.has(first), names.delete(first)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([names.get(first), names.size]).toEqual([undefined, 1]);
  });

  it("keeps its keys alive, and no longer than it has them", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }, { x: 2 }, { x: 3 }]);
    const names = new IdentityMap<InstanceType<typeof Point>, string>(heap);
    for (const point of points) names.set(point, `point ${point.x}`).set(point, `Point ${point.x}`);
    expect([...points].map(refcount)).toEqual([2, 2, 2]);
    const before = liveObjects(heap);
    points.clear();
    expect([...names].map(([{ x }, name]) => [x, name])).toEqual([
      [1, "Point 1"],
      [2, "Point 2"],
      [3, "Point 3"],
    ]);
    const [[first]] = names;
    names.delete(first);
    expect([liveObjects(heap), names.size]).toEqual([before - 1, 2]);
    names[Symbol.dispose]();
    expect([liveObjects(heap), names.size]).toEqual([before - 3, 0]);
    names[Symbol.dispose]();
    using again = heap.new(Point, {});
    names.set(again, "again");
    expect(names.get(again)).toBe("again");
    names[Symbol.dispose]();
  });

  it("lends its keys and gives none away", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1 });
    using names = new IdentityMap<InstanceType<typeof Point>, string>(heap);
    names.set(point, "the point");
    for (const [key, name] of names) {
      expect([key.x, name, names.get(key)]).toEqual([1, "the point", "the point"]);
      messageOf("INVALID_ARGUMENT", () => release(key as never));
    }
    expect(refcount(point)).toBe(2);
  });

  it("releases every key, even if one cannot be released", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }, { x: 2 }, { x: 3 }]);
    const names = new IdentityMap<InstanceType<typeof Point>, string>(heap);
    for (const point of points) names.set(point, `point ${point.x}`);
    // Nothing that the map hands out can do this; the heap's own record of the handle might.
    const entries = [
      ...(names as unknown as { entries_: Map<number, { handle: object }> }).entries_.values(),
    ];
    Object.freeze(entries[1].handle);
    expect(messageOf("INVALID_ARGUMENT", () => names[Symbol.dispose]())).toContain("was frozen");
    expect([...points].map(refcount)).toEqual([1, 2, 1]);
    expect(names.size).toBe(0);
  });

  it("keeps any value, undefined and objects included", () => {
    const heap = makeHeap();
    using point = heap.new(Point, {});
    using map = new IdentityMap<InstanceType<typeof Point>, unknown>(heap);
    const value = { host: "object" };
    map.set(point, value);
    expect(map.get(point)).toBe(value);
    map.set(point, undefined);
    expect([map.has(point), map.get(point), map.size]).toEqual([true, undefined, 1]);
  });

  it("refuses keys that are no objects of its heap, or gone", () => {
    const heap = makeHeap();
    using map = new IdentityMap<InstanceType<typeof Point>, number>(heap);
    using foreign = makeHeap().new(Point, {});
    const stale = heap.new(Point, {});
    release(stale);
    for (const use of [
      (key: never) => map.get(key),
      (key: never) => map.set(key, 1),
      (key: never) => map.has(key),
      (key: never) => map.delete(key),
    ]) {
      for (const key of [foreign, 5, "key", null, undefined, {}])
        expect(messageOf("INVALID_ARGUMENT", () => use(key as never))).toMatch(
          /^A key of this IdentityMap is an object of its heap, got /,
        );
      messageOf("USE_AFTER_RELEASE", () => use(stale as never));
    }
    expect(map.size).toBe(0);
  });

  it("of a heap that was disposed has nothing to give", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    const point = heap.new(Point, {});
    const map = new IdentityMap<InstanceType<typeof Point>, number>(heap);
    map.set(point, 1);
    heap[Symbol.dispose]();
    messageOf("HEAP_DISPOSED", () => map.get(point));
    messageOf("HEAP_DISPOSED", () => map[Symbol.dispose]());
    expect(map.size).toBe(0);
  });
});
