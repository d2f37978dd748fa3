import { describe, expect, it } from "vitest";
import { any, bool, f64, i64, list, release, retain, str, struct, tuple, u8 } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "./support.js";

const Point = struct("Point", { x: f64 });

/** Every reading method of an array, with arguments; what it returns for a tuple must be what it returns for an array. */
const READINGS: [string, (items: readonly unknown[]) => unknown][] = [
  ["at", (t) => [t.at(0), t.at(-1), t.at(1.5), t.at(9), t.at(Number.NaN)]],
  ["concat", (t) => [t.concat([1], 2, t), ([] as unknown[]).concat(t)]],
  ["entries", (t) => [...t.entries()]],
  ["every", (t) => [t.every((item) => item !== null), t.every((item) => typeof item === "number")]],
  ["filter", (t) => t.filter((item) => typeof item !== "number")],
  ["find", (t) => [t.find((item) => typeof item === "string"), t.find(() => false)]],
  ["findIndex", (t) => [t.findIndex((item) => typeof item === "string"), t.findIndex(() => false)]],
  ["findLast", (t) => t.findLast((item) => typeof item === "number")],
  [
    "findLastIndex",
    (t) => [t.findLastIndex((item) => typeof item === "number"), t.findLastIndex(() => false)],
  ],
  ["flat", (t) => [t.flat(), t.flat(0), t.flat(Infinity)]],
  ["flatMap", (t) => t.flatMap((item, index) => (index % 2 === 0 ? [item, [item]] : []))],
  [
    "forEach",
    (t) => {
      const seen: unknown[] = [];
      t.forEach((item, index) => seen.push([item, index]));
      return seen;
    },
  ],
  [
    "includes",
    (t) => [t.includes(Number.NaN), t.includes("a"), t.includes("a", 2), t.includes(1, -4), t.includes("z")],
  ],
  [
    "indexOf",
    (t) => [
      t.indexOf(1),
      t.indexOf(1, 1),
      t.indexOf(1, -1),
      t.indexOf(Number.NaN),
      t.indexOf("z"),
      t.indexOf(-0),
    ],
  ],
  ["join", (t) => [t.join(), t.join(" + ")]],
  ["keys", (t) => [...t.keys()]],
  [
    "lastIndexOf",
    (t) => [
      t.lastIndexOf(1),
      t.lastIndexOf(1, 2),
      t.lastIndexOf(1, -2),
      t.lastIndexOf(Number.NaN),
      t.lastIndexOf("z"),
    ],
  ],
  ["length", (t) => t.length],
  ["map", (t) => t.map((item, index) => [index, item])],
  [
    "reduce",
    (t) => [
      t.reduce((text, item) => `${text}|${item}`, "start"),
      t.reduce((text, item) => `${text}|${item}`),
    ],
  ],
  ["reduceRight", (t) => t.reduceRight((text, item) => `${text}|${item}`, "end")],
  ["slice", (t) => [t.slice(), t.slice(1, 3), t.slice(-2), t.slice(2, 1)]],
  ["some", (t) => [t.some((item) => item === null), t.some((item) => item === "z")]],
  ["toLocaleString", (t) => t.toLocaleString()],
  ["toReversed", (t) => t.toReversed()],
  ["toSorted", (t) => [t.toSorted(), t.toSorted((a, b) => String(b).localeCompare(String(a)))]],
  ["toSpliced", (t) => t.toSpliced(1, 2, "new")],
  ["toString", (t) => [t.toString(), `${t}`]],
  ["values", (t) => [...t.values()]],
  ["with", (t) => [t.with(0, "new"), t.with(-1, "new")]],
  ["Symbol.iterator", (t) => [...t]],
  ["destructuring", ([first, , ...rest]) => [first, rest]],
  ["in", (t) => [0 in t, 4 in t, 5 in t, "length" in t]],
];

describe("a tuple", () => {
  it.each(READINGS)("reads as a readonly array: %s", (_, read) => {
    const heap = makeHeap();
    const items = [1, "a", Number.NaN, null, 1];
    using all = heap.new(tuple(f64, str, f64, any, f64), items as never);
    expect(read(all as never)).toEqual(read(items));
    using none = heap.new(tuple(), []);
    if (!["reduce", "with"].includes(_)) expect(read(none as never)).toEqual(read([]));
  });

  it("has every reading method of an array, and no other", () => {
    using pair = makeHeap().new(tuple(f64, f64), [2, 1]);
    const methods = Object.getOwnPropertyNames(Array.prototype).filter((name) => name !== "constructor");
    const writing = ["copyWithin", "fill", "pop", "push", "reverse", "shift", "sort", "splice", "unshift"];
    const missing = methods.filter((name) => !(name in pair));
    expect(missing.sort()).toEqual(writing.sort());
  });

  it("cannot be written", () => {
    using pair = makeHeap().new(tuple(f64, str), [1, "a"]);
    const writable = pair as unknown as { 0: number; length: number };
    expect(() => {
      writable[0] = 2;
    }).toThrow(TypeError);
    expect(() => {
      writable.length = 0;
    }).toThrow(TypeError);
    expect([...pair]).toEqual([1, "a"]);
  });

  it("finds an object by identity, whichever view asks", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1 });
    using other = heap.new(Point, { x: 1 });
    using foreign = makeHeap().new(Point, { x: 1 });
    using items = heap.new(tuple(Point, any, Point), [point, 5, point]);
    const again = items[0];
    expect(again).not.toBe(point);
    expect([
      items.includes(point),
      items.includes(again),
      items.includes(other),
      items.includes(foreign),
    ]).toEqual([true, true, false, false]);
    expect([
      items.indexOf(point),
      items.indexOf(point, 1),
      items.lastIndexOf(again),
      items.lastIndexOf(again, 1),
    ]).toEqual([0, 2, 2, 0]);
    expect(items.indexOf({ x: 1 } as never)).toBe(-1);
    const stale = heap.new(Point, {});
    release(stale);
    for (const search of [
      () => items.includes(stale),
      () => items.indexOf(stale),
      () => items.lastIndexOf(stale),
    ])
      messageOf("USE_AFTER_RELEASE", search);
  });

  it("in a tuple is flattened as an array in an array is", () => {
    const heap = makeHeap();
    using nested = heap.new(tuple(tuple(f64, tuple(f64, str)), str), [[1, [2, "two"]], "end"]);
    expect(nested.flat(2)).toEqual([1, 2, "two", "end"]);
    const once = nested.flat() as unknown[];
    expect([once.length, once[0], once[2]]).toEqual([3, 1, "end"]);
    expect(nested.flatMap((item) => (typeof item === "string" ? [item] : (item as never)))).toHaveLength(3);
  });

  it("keeps values of every type, packed", () => {
    using items = makeHeap().new(tuple(u8, bool, i64, str, u8, any, f64, bool), [
      255,
      true,
      -5n,
      "text",
      1,
      "any",
      0.5,
      false,
    ]);
    expect([...items]).toEqual([255, true, -5n, "text", 1, "any", 0.5, false]);
  });

  it("holds its items and lets them go", () => {
    const heap = makeHeap();
    using items = heap.new(list(f64), []);
    const pair = heap.new(tuple(list(f64), any), [items, items]);
    const lent = retain(pair[0]);
    expect(heap.gc.getReferents(pair)).toHaveLength(2);
    release(pair);
    release(lent);
    expect(heap.gc.getReferrers(items)).toEqual([]);
  });

  it("is stale once it is gone, for every way of reading", () => {
    const heap = makeHeap();
    const pair = heap.new(tuple(f64, str), [1, "a"]);
    const iterator = pair.values();
    release(pair);
    for (const read of [
      () => pair[0],
      () => [...pair],
      () => pair.map(String),
      () => pair.at(0),
      () => iterator.next(),
    ])
      messageOf("USE_AFTER_RELEASE", read);
  });
});
