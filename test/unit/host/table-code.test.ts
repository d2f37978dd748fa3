import { expect, it, vi } from "vitest";
import {
  any,
  dict,
  f32,
  f64,
  Heap,
  i32,
  list,
  optional,
  release,
  set,
  str,
  u8,
  u32,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { describeBothMakers, leaksNothing, liveObjects, messageOf } from "./support.js";

/** A table as JavaScript sees it, whatever its types. */
type AnyMap = Map<unknown, unknown> & { take(key: unknown): unknown };

describeBothMakers("values", ({ makeHeap }) => {
  it.each<[string, unknown, unknown[], unknown[]]>([
    ["f64", f64, [0, -0, 1.5, NaN, -Infinity], ["1", null, true, 1n, undefined]],
    ["f32", f32, [0, 1.5, NaN, -Infinity], ["1", null]],
    ["i32", i32, [0, -1, 2147483647, -2147483648], [1.5, 2147483648, NaN, "1"]],
    ["u32", u32, [0, 1, 4294967295], [-1, 4294967296, 1.5, null]],
    ["u8", u8, [0, 255], [256, -1, null]],
    ["optional(f64)", optional(f64), [0, 1.5, null, NaN], ["1", true]],
    ["any", any, [0, 1.5, NaN, "text", null, true, "text"], [1n, undefined, () => 0]],
    ["str", str, ["", "text", "日本"], [1, null]],
  ])(
    "of type %s are stored new and over others; what is refused changes nothing",
    (_, type, values, refused) => {
      const heap = makeHeap();
      const numbers = heap.new(dict(i32, type as never), []) as unknown as AnyMap;
      for (const value of values)
        for (const other of values) {
          expect(numbers.set(7, value)).toBe(numbers);
          expect([numbers.size, numbers.get(7)]).toEqual([1, value]);
          numbers.set(7, other);
          expect([numbers.size, numbers.get(7), numbers.get(8)]).toEqual([1, other, undefined]);
          for (const wrong of refused) {
            messageOf("TYPE_MISMATCH", () => numbers.set(7, wrong));
            messageOf("TYPE_MISMATCH", () => numbers.set(8, wrong));
          }
          messageOf("TYPE_MISMATCH", () => numbers.set("7", value));
          verify(heap);
          expect([numbers.delete(7), numbers.delete(7), numbers.size]).toEqual([true, false, 0]);
        }
    },
  );

  it("that are numbers drop the text or the object that they are stored over", () => {
    const heap = makeHeap();
    const mixed = heap.new(dict(str, any), []);
    mixed.set("key", 0);
    const before = liveObjects(heap);
    mixed.set("key", "text");
    expect(liveObjects(heap)).toBe(before + 1);
    mixed.set("key", 1);
    expect(liveObjects(heap)).toBe(before);
    const numbers = heap.new(list(f64), [1]);
    mixed.set("key", numbers);
    release(numbers);
    mixed.set("key", NaN);
    expect([liveObjects(heap), mixed.get("key")]).toEqual([before, NaN]);
    expect(mixed.delete("key")).toBe(true);
    expect(liveObjects(heap)).toBe(before - 1);
  });
});

describeBothMakers("a table that is gone", ({ makeHeap }) => {
  it("is an error to every method, and none leaks", () => {
    const heap = makeHeap();
    const numbers = heap.new(dict(i32, f64), [[1, 1]]);
    const texts = heap.new(dict(str, any), [["a", 1]]);
    const members = heap.new(set(str), ["a"]);
    for (const table of [numbers, texts, members]) release(table);
    leaksNothing(heap, () => {
      for (const use of [
        () => numbers.get(1),
        () => numbers.has(1),
        () => numbers.set(1, 2),
        () => numbers.delete(1),
        () => texts.set("a", 2),
        () => texts.delete("a"),
        () => members.add("a"),
        () => members.has("a"),
        () => members.delete("a"),
      ])
        messageOf("USE_AFTER_RELEASE", use);
    });
  });
});

describeBothMakers("a table made from what says its size", ({ makeHeap }) => {
  const numbers = [...Array(1000).keys()];
  const pairs = numbers.map((number) => [number, number] as const);

  it.each<[string, (heap: Heap) => unknown]>([
    ["an array", (heap) => heap.new(set(i32), numbers)],
    ["a Set", (heap) => heap.new(set(i32), new Set(numbers))],
    ["pairs", (heap) => heap.new(dict(i32, i32), pairs)],
    ["a Map", (heap) => heap.new(dict(i32, i32), new Map(pairs))],
    ["a copy of a Map", (heap) => heap.from(new Map(pairs))],
    ["a copy of a Set", (heap) => heap.from(new Set(numbers))],
    ["a copy of an object", (heap) => heap.from(Object.fromEntries(pairs))],
  ])("gets its room at once: %s", (_, make) => {
    const heap = makeHeap();
    const { tables } = Heap.contextOf(heap).core;
    const rebuild = vi.spyOn(tables as unknown as { rebuild(): void }, "rebuild");
    expect((make(heap) as { size: number }).size).toBe(1000);
    expect(rebuild).toHaveBeenCalledTimes(1);
  });

  it("believes no size that is none, and not too large a one", () => {
    const heap = makeHeap();
    class Liar extends Set<number> {
      readonly said: unknown;
      constructor(said: unknown) {
        super();
        this.said = said;
      }
      override get size() {
        return this.said as number;
      }
    }
    for (const said of ["many", -1, 1.5, NaN, 2 ** 40, undefined]) {
      using members = heap.new(set(i32), new Liar(said));
      expect([...members]).toEqual([]);
    }
    expect(heap.bytesUsed).toBeLessThan(32 << 20);
  });
});
