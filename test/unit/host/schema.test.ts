import { describe, expect, it } from "vitest";
import { show } from "../../../src/host/schema.js";
import {
  any,
  dict,
  f64,
  i32,
  i64,
  isA,
  list,
  oneOf,
  optional,
  set,
  str,
  struct,
  tuple,
} from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "./support.js";

const Point = struct("Point", { x: f64 });
const Size = struct("Size", { width: f64 });

describe("container types", () => {
  it("are one type when they are written alike", () => {
    expect(list(f64)).toBe(list(f64));
    expect(dict(str, list(Point))).toBe(dict(str, list(Point)));
    expect(set(any)).toBe(set(any));
    expect(tuple(f64, str)).toBe(tuple(f64, str));
    expect(tuple()).toBe(tuple());
    expect(list(optional(Point))).toBe(list(optional(Point)));
    expect(list(oneOf(Point, Size))).toBe(list(oneOf(Point, Size)));
    expect(list(oneOf(list(f64), Point))).toBe(list(oneOf(list(f64), Point)));
    expect(list(optional(oneOf(Point, Size)))).toBe(list(optional(oneOf(Point, Size))));
  });

  it("are different types when they are not", () => {
    const types = [
      list(f64),
      list(i32),
      list(optional(f64)),
      list(list(f64)),
      list(Point),
      list(Size),
      list(optional(Point)),
      list(oneOf(Point)),
      list(oneOf(Point, Size)),
      list(oneOf(Size, Point)),
      set(f64),
      dict(f64, f64),
      dict(f64, str),
      tuple(f64),
      tuple(f64, f64),
      tuple(),
    ];
    expect(new Set<unknown>(types).size).toBe(types.length);
  });

  it("of one writing are one type in a heap, and no other", () => {
    const heap = makeHeap();
    using numbers = heap.new(list(f64), [1]);
    expect(isA(list(f64), numbers)).toBe(true);
    expect(isA(list(i32), numbers)).toBe(false);
    const Holder = struct("Holder", { items: list(f64) });
    using holder = heap.new(Holder, { items: numbers });
    numbers.push(2);
    expect(holder.items.length).toBe(2);
  });
});

describe("a type", () => {
  it("is made of types: anything else is refused where it is written", () => {
    const wrong = [undefined, null, 5, "f64", {}, [], Number, () => f64, { kind: "list" }] as never[];
    for (const part of wrong) {
      for (const make of [list, set, (part: never) => dict(str, part), (part: never) => tuple(f64, part)])
        expect(messageOf("INVALID_ARGUMENT", () => make(part))).toMatch(
          /^A part of (list|set|dict|tuple)\(\.\.\.\) must be a heap type \(f64, str, any, a struct, list\(\.\.\.\) and so on\), got /,
        );
      expect(messageOf("INVALID_ARGUMENT", () => list(optional(part)))).toContain("A part of optional(...)");
      expect(messageOf("INVALID_ARGUMENT", () => list(oneOf(Point, part)))).toContain("A part of oneOf(...)");
    }
    expect(messageOf("INVALID_ARGUMENT", () => oneOf())).toBe("oneOf needs at least one type.");
  });

  it("of a field is refused when a heap meets it, and nothing of the struct is kept", () => {
    const heap = makeHeap();
    const wrong: [unknown, string][] = [
      [5, "Bad.field must be a heap type"],
      [optional(i64), "optional(i64) cannot be stored"],
      [oneOf(Point, f64), "oneOf takes structs and containers, not f64"],
      [
        oneOf(optional(Point)),
        "not optional(Point). For null write optional(oneOf(...)), for mixed values any.",
      ],
      [oneOf(any), "not any"],
      [dict(i64, f64), "an i64 cannot be a key"],
      [set(i64), "an i64 cannot be a key"],
    ];
    for (const [type, message] of wrong)
      expect(
        messageOf("INVALID_ARGUMENT", () => heap.new(struct("Bad", { field: type }), {} as never)),
      ).toContain(message);
    using good = heap.new(struct("Bad", { field: f64 }), { field: 1 });
    expect(good.field).toBe(1);
  });

  it("of several types may be made of several, and of one twice", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", {
      nested: optional(oneOf(oneOf(Point, list(f64)), Size, Point)),
      twice: optional(optional(Point)),
      text: optional(optional(str)),
      whatever: optional(any),
    });
    using point = heap.new(Point, { x: 1 });
    using numbers = heap.new(list(f64), [2]);
    using holder = heap.new(Holder, { nested: point, twice: { x: 3 }, text: "four", whatever: "five" });
    holder.nested = numbers;
    expect(heap.toJS(holder)).toEqual({ nested: [2], twice: { x: 3 }, text: "four", whatever: "five" });
    holder.twice = holder.text = holder.whatever = holder.nested = null;
    expect(heap.toJS(holder)).toEqual({ nested: null, twice: null, text: null, whatever: null });
  });
});

describe("show", () => {
  it("names a value shortly, whatever it is", () => {
    class Foo {}
    const shown: [unknown, string][] = [
      ["text", '"text"'],
      ["x".repeat(41), `"${"x".repeat(40)}…"`],
      [1.5, "1.5"],
      [-0, "0"],
      [NaN, "NaN"],
      [7n, "7n"],
      [true, "true"],
      [null, "null"],
      [undefined, "undefined"],
      [Symbol("secret"), "a symbol"],
      [() => 1, "a function"],
      [Foo, "the function Foo"],
      [[1, 2], "an array of 2"],
      [{}, "an object"],
      [Object.create(null), "an object"],
      [new Foo(), "an instance of Foo"],
      [new Date(0), "an instance of Date"],
    ];
    for (const [value, text] of shown) expect(show(value)).toBe(text);
  });

  it("is not stopped by a value that throws when it is looked at", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const throwing = Object.create({
      get constructor() {
        throw new Error("no");
      },
    });
    for (const value of [proxy, throwing]) expect(show(value)).toBe("an object that cannot be read");
    const named = Object.defineProperty(() => 1, "name", {
      get() {
        throw new Error("no");
      },
    });
    expect(show(named)).toBe("a function");
    using numbers = makeHeap().new(list(f64), []);
    for (const value of [proxy, throwing, named] as never[])
      expect(messageOf("TYPE_MISMATCH", () => numbers.push(value))).toContain("must be a number, got a");
  });
});
