import { expect, it } from "vitest";
import { any, dict, f64, list, optional, refcount, release, str, struct } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { describeBothMakers, leaksNothing, liveObjects, messageOf } from "./support.js";

const Point = struct("Point", { x: f64, label: str });

describeBothMakers("a dict", ({ makeHeap }) => {
  it("does what a Map does", () => {
    const heap = makeHeap();
    const script = (
      map: Pick<Map<string, unknown>, "set" | "get" | "has" | "delete" | "size" | "clear" | "entries">,
    ) => {
      const steps: unknown[] = [];
      map.set("a", 1).set("b", "two").set("c", null).set("a", true);
      steps.push([...map.entries()], map.size, map.get("a"), map.get("z"), map.has("c"), map.has("z"));
      steps.push(map.delete("b"), map.delete("b"), [...map.entries()]);
      map.set("b", 3);
      steps.push([...map.entries()]);
      map.clear();
      steps.push(map.size, [...map.entries()], map.get("a"));
      map.set("d", "after");
      steps.push([...map.entries()]);
      return steps;
    };
    using entries = heap.new(dict(str, any), []);
    expect(script(entries as never)).toEqual(script(new Map()));
  });

  it("iterates keys, values and entries in insertion order", () => {
    using entries = makeHeap().new(dict(str, f64), [
      ["b", 2],
      ["a", 1],
    ]);
    expect([...entries.keys()]).toEqual(["b", "a"]);
    expect([...entries.values()]).toEqual([2, 1]);
    expect([...entries.entries()]).toEqual([...entries]);
    const visited: unknown[] = [];
    entries.forEach((value, key) => visited.push([key, value]));
    expect(visited).toEqual([...entries]);
    expect(Object.fromEntries(entries)).toEqual({ b: 2, a: 1 });
    const [[firstKey, firstValue]] = entries;
    expect([firstKey, firstValue]).toEqual(["b", 2]);
  });

  it("builds values from literals, lends them, and hands over those that are taken out", () => {
    const heap = makeHeap();
    using points = heap.new(dict(str, Point), []);
    points.set("a", { x: 1, label: "one" }).set("b", { x: 2 });
    const lent = points.get("a")!;
    expect([lent.x, refcount(lent)]).toEqual([1, 1]);
    using taken = points.take("a")!;
    expect([taken.x, refcount(taken), lent.label]).toEqual([1, 1, "one"]);
    expect([points.size, points.has("a"), points.take("a"), points.get("a")]).toEqual([
      1,
      false,
      undefined,
      undefined,
    ]);
    points.set("c", taken);
    expect(refcount(taken)).toBe(2);
    points.set("c", { x: 3 });
    expect([refcount(taken), points.get("c")!.x]).toEqual([1, 3]);
  });

  it("hands over plain values as they are", () => {
    const heap = makeHeap();
    using mixed = heap.new(dict(str, any), [
      ["text", "a text"],
      ["number", 1],
      ["null", null],
      ["true", true],
    ]);
    const before = liveObjects(heap);
    expect([
      mixed.take("text"),
      mixed.take("number"),
      mixed.take("null"),
      mixed.take("true"),
      mixed.take("none"),
    ]).toEqual(["a text", 1, null, true, undefined]);
    expect(liveObjects(heap)).toBe(before - 5); // four keys and a text
    using optionals = heap.new(dict(str, optional(Point)), [["a", null]]);
    expect(optionals.take("a")).toBeNull();
    using texts = heap.new(dict(str, str), [["a", "b"]]);
    expect([texts.take("a"), texts.size]).toEqual(["b", 0]);
  });

  it("drops key and value on deleting, and keeps the key on overwriting", () => {
    const heap = makeHeap();
    using key = heap.new(Point, {});
    using value = heap.new(Point, {});
    using entries = heap.new(dict(any, any), [[key, value]]);
    expect([refcount(key), refcount(value)]).toEqual([2, 2]);
    entries.set(key, 1);
    expect([refcount(key), refcount(value)]).toEqual([2, 1]);
    entries.set(key, value);
    expect(entries.delete(key)).toBe(true);
    expect([refcount(key), refcount(value)]).toEqual([1, 1]);
    entries.set(key, value).set("text", value);
    entries.clear();
    expect([refcount(key), refcount(value)]).toEqual([1, 1]);
  });

  it("may hold itself", () => {
    const heap = makeHeap();
    const entries = heap.new(dict(any, any), []);
    entries.set("self", entries).set(entries, "key");
    expect(refcount(entries)).toBe(3);
    release(entries);
    expect(heap.gc.collect()).toBe(1);
  });

  it("refuses a value before it changes anything", () => {
    const heap = makeHeap();
    using points = heap.new(dict(str, Point), [["a", { x: 1, label: "kept" }]]);
    leaksNothing(heap, () => {
      expect(messageOf("TYPE_MISMATCH", () => points.set("a", { x: "no" } as never))).toContain("Point.x");
      expect(messageOf("TYPE_MISMATCH", () => points.set("b", 5 as never))).toBe(
        "A value of dict(str, Point) must be Point, got 5.",
      );
      expect(
        messageOf("TYPE_MISMATCH", () => points.set(5 as never, { x: 2, label: "made for nothing" })),
      ).toBe("A key of dict(str, Point) must be a string, got 5.");
    });
    expect(heap.toJS(points)).toEqual({ a: { x: 1, label: "kept" } });
  });
});

describeBothMakers("a dict whose values' own code reaches for it", ({ makeHeap }) => {
  const literal = (act: () => void) => ({
    get x() {
      act();
      return 7;
    },
  });

  it("stores over what that code stored, and next to what it added", () => {
    const heap = makeHeap();
    using points = heap.new(dict(str, Point), []);
    points.set(
      "a",
      literal(() => {
        for (let index = 0; index < 100; index++) points.set(`key ${index}`, { x: index });
        points.set("a", { x: 1 });
      }),
    );
    expect([points.size, points.get("a")!.x, points.get("key 99")!.x]).toEqual([101, 7, 99]);
    points.set(
      "a",
      literal(() => points.clear()),
    );
    expect([points.size, points.get("a")!.x]).toEqual([1, 7]);
  });

  it("throws when that code frees it, and keeps nothing", () => {
    const heap = makeHeap();
    const make = () => heap.new(dict(str, Point), [["a", { x: 1, label: "one" }]]);
    release(make());
    const before = liveObjects(heap);
    const points = make();
    messageOf("USE_AFTER_RELEASE", () =>
      points.set(
        "b",
        literal(() => release(points)),
      ),
    );
    verify(heap);
    expect(liveObjects(heap)).toBe(before);
  });

  it("uses the key that was given first, even when that code looks others up", () => {
    const heap = makeHeap();
    using lists = heap.new(dict(any, list(f64)), []);
    function* items() {
      lists.has("other");
      lists.set(42, [1]);
      yield 5;
      lists.delete(42);
    }
    lists.set("mine", items());
    expect([...lists.keys()]).toEqual(["mine"]);
    expect(lists.get("mine")!.at(0)).toBe(5);
  });
});
