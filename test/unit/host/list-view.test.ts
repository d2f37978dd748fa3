import { describe, expect, it } from "vitest";
import {
  any,
  bool,
  dict,
  f32,
  f64,
  type Heap,
  i32,
  i64,
  list,
  optional,
  refcount,
  release,
  set,
  str,
  struct,
  u8,
  u32,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeHeap, size } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf, thrownBy, verifyInside } from "./support.js";

const Point = struct("Point", { x: f64, label: str });

/** For each kind of item some values, all different. */
const KINDS: [string, unknown, unknown[]][] = [
  ["f64", f64, [1.5, -1, 0, 7, 8, 9, 10]],
  ["f32", f32, [1.5, -1, 0, 7, 8, 9, 10]],
  ["i32", i32, [1, -1, 0, 7, 8, 9, 10]],
  ["u32", u32, [1, 4294967295, 0, 7, 8, 9, 10]],
  ["u8", u8, [1, 255, 0, 7, 8, 9, 10]],
  ["i64", i64, [1n, -1n, 0n, 7n, 8n, 9n, 10n]],
  ["str", str, ["a", "", "ccc", "日本", "e".repeat(100), "f", "g"]],
  ["any", any, [1, "b", true, null, "日本", false, 0]],
  ["optional(str)", optional(str), ["a", null, "", "d", "e", "f", "g"]],
];
interface Items {
  readonly length: number;
  at(index: number): unknown;
  set(index: number, item: unknown): void;
  push(...items: unknown[]): number;
  pop(): unknown;
  insert(index: number, item: unknown): void;
  delete(index: number): boolean;
  take(index: number): unknown;
  indexOf(item: unknown): number;
  clear(): void;
  assign(items: Iterable<unknown>): void;
  forEach(visit: (item: unknown, index: number) => void): void;
  [Symbol.iterator](): IterableIterator<unknown>;
}
const makeItems = (heap: Heap, type: unknown, items: unknown[]) =>
  heap.new(list(type) as never, items as never) as unknown as Items & Disposable;

describe.each(KINDS)("a list of %s", (_, type, values) => {
  const [a, b, c, d, e, f, g] = values;

  it("does what an array does", () => {
    const heap = makeHeap();
    using items = makeItems(heap, type, [a, b, c]);
    const array = [a, b, c];
    const same = () => {
      expect([...items]).toEqual(array);
      expect(items.length).toBe(array.length);
      verify(heap);
    };
    same();
    expect(items.push(d)).toBe(array.push(d));
    expect(items.push(e, f)).toBe(array.push(e, f));
    expect(items.push()).toBe(array.push());
    same();
    items.set(1, g);
    array[1] = g;
    items.set(-1, b);
    array[array.length - 1] = b;
    same();
    for (const index of [0, 3, array.length + 2]) {
      items.insert(index, f);
      array.splice(index, 0, f);
      same();
    }
    for (const index of [0, 2, array.length - 3]) {
      expect(items.delete(index)).toBe(true);
      array.splice(index, 1);
      same();
    }
    expect(items.pop()).toBe(array.pop());
    expect(items.take(1)).toBe(array.splice(1, 1)[0]);
    expect(items.take(-1)).toBe(array.splice(-1, 1)[0]);
    expect(items.delete(0)).toBe(true);
    array.shift();
    same();
    for (const value of values) expect(items.indexOf(value)).toBe(array.indexOf(value));
    items.assign([g, f]);
    expect([...items]).toEqual([g, f]);
    items.assign(items);
    expect([...items]).toEqual([g, f]);
    items.clear();
    expect([...items]).toEqual([]);
    items.push(a);
    expect(items.at(0)).toBe(a);
  });

  it("finds and reports what is not there as an array does", () => {
    using items = makeItems(makeHeap(), type, [a, b]);
    expect([
      items.at(2),
      items.at(-3),
      items.at(1e10),
      items.at(-1e10),
      items.at(Infinity),
      items.at(-Infinity),
    ]).toEqual(Array(6).fill(undefined));
    expect([items.take(2), items.take(-3), items.delete(5), items.indexOf(g)]).toEqual([
      undefined,
      undefined,
      false,
      -1,
    ]);
    items.clear();
    expect([items.pop(), items.at(0), items.at(-1), items.take(0)]).toEqual(Array(4).fill(undefined));
  });

  it("reads an index as an array's `at` does", () => {
    using items = makeItems(makeHeap(), type, [a, b, c]);
    for (const index of [0, 1, 2, -1, -2, -3, 1.5, -1.5, 0.5, -0.5, -0, 2.9, NaN])
      expect(items.at(index)).toBe([a, b, c].at(index));
    expect(items.at(undefined as never)).toBe(a);
  });

  it("gives up what it held", () => {
    const heap = makeHeap();
    using items = makeItems(heap, type, values);
    const held = liveObjects(heap);
    const texts = values.filter((value) => typeof value === "string" && value !== "").length;
    items.clear();
    expect(liveObjects(heap)).toBe(held - texts);
    items.assign(values);
    items.assign(values);
    expect(liveObjects(heap)).toBe(held);
    while (items.length > 0) items.pop();
    expect(liveObjects(heap)).toBe(held - texts);
  });
});

describe("a list", () => {
  it("of bools keeps bools", () => {
    using items = makeHeap().new(list(bool), [true, false, true]);
    items.set(0, false);
    expect([...items]).toEqual([false, false, true]);
    expect(items.indexOf(true)).toBe(2);
  });

  it("of objects lends its items, and hands over those that are taken out", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 0 }, { x: 1 }, { x: 2 }, { x: 3 }]);
    const borrowed = points.at(1)!;
    expect(refcount(borrowed)).toBe(1);
    using taken = points.take(1)!;
    using popped = points.pop()!;
    expect([refcount(taken), refcount(popped)]).toEqual([1, 1]);
    expect([taken.x, popped.x, borrowed.x]).toEqual([1, 3, 1]);
    expect([...points].map(({ x }) => x)).toEqual([0, 2]);
    points.push(taken);
    expect(refcount(taken)).toBe(2);
    expect([points.indexOf(borrowed), points.indexOf(popped), points.indexOf(points.at(0)!)]).toEqual([
      2, -1, 0,
    ]);
    points.delete(0);
    expect(points.at(0)!.x).toBe(2);
  });

  it("of objects that may be missing keeps null, and hands null over", () => {
    using points = makeHeap().new(list(optional(Point)), [null, { x: 1 }]);
    expect([points.at(0), points.indexOf(null), points.take(0)]).toEqual([null, 0, null]);
    expect(points.length).toBe(1);
    points.push(null);
    expect(points.pop()).toBeNull();
  });

  it("does not find a plain object, an object of another heap or NaN, as an array does not", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }]);
    using mixed = heap.new(list(any), [NaN, 1, points.at(0)!]);
    using numbers = heap.new(list(f64), [NaN, 0]);
    using foreign = makeHeap().new(Point, { x: 1 });
    expect(points.indexOf({ x: 1 } as never)).toBe(-1);
    expect(points.indexOf(foreign)).toBe(-1);
    expect([
      mixed.indexOf(foreign),
      mixed.indexOf(NaN),
      mixed.indexOf("1"),
      mixed.indexOf(points.at(0)!),
    ]).toEqual([-1, -1, -1, 2]);
    expect([numbers.indexOf(NaN), numbers.indexOf(-0), numbers.indexOf("0" as never)]).toEqual([-1, 1, -1]);
    expect(points.indexOf(undefined as never)).toBe(-1);
  });

  it("refuses an index that is none, and says which and of what", () => {
    const heap = makeHeap();
    using items = heap.new(list(any), [1, 2]);
    for (const index of [2, -3, 1.5, NaN, Infinity, "0", null, undefined, {}] as never[]) {
      leaksNothing(heap, () =>
        expect(messageOf("INVALID_ARGUMENT", () => items.set(index, "a text"))).toMatch(
          /^Index .* is out of range for a list\(any\) of length 2\.$/,
        ),
      );
      expect(items.delete(index)).toBe(false);
      expect(items.take(index)).toBeUndefined();
    }
    for (const index of [3, -1, 1.5, NaN, "0", null] as never[])
      leaksNothing(heap, () => messageOf("INVALID_ARGUMENT", () => items.insert(index, "a text")));
    expect(messageOf("INVALID_ARGUMENT", () => items.set(2, 1))).toBe(
      "Index 2 is out of range for a list(any) of length 2.",
    );
    expect([...items]).toEqual([1, 2]);
  });

  it("does not run an index as code", () => {
    const heap = makeHeap();
    using items = heap.new(list(f64), [1, 2, 3]);
    const index = {
      valueOf() {
        items.clear();
        return -1;
      },
    } as never;
    messageOf("INVALID_ARGUMENT", () => items.set(index, 5));
    messageOf("INVALID_ARGUMENT", () => items.insert(index, 5));
    expect([items.delete(index), items.take(index), items.length]).toEqual([false, undefined, 3]);
    expect(items.at(index)).toBeUndefined(); // Array asks an object for its number too: there is none left to find
    verify(heap);
  });

  it("pushes all of several items or none", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }]);
    leaksNothing(heap, () => {
      messageOf("TYPE_MISMATCH", () => points.push({ x: 2, label: "two" }, { x: "three" } as never));
      messageOf("TYPE_MISMATCH", () => points.push({ x: 2 }, points.at(0)!, 5 as never));
    });
    expect(points.length).toBe(1);
    expect(refcount(points.at(0)!)).toBe(1);
  });

  it("assigns all of an iterable or nothing", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1, label: "kept" }]);
    function* failing() {
      yield { x: 2, label: "made" };
      yield points.at(0)!;
      throw new RangeError("enough");
    }
    leaksNothing(heap, () => {
      expect(thrownBy(() => points.assign(failing()))).toBeInstanceOf(RangeError);
      messageOf("TYPE_MISMATCH", () => points.assign([{ x: 2 }, 5 as never]));
      messageOf("TYPE_MISMATCH", () => points.assign(5 as never));
      messageOf("TYPE_MISMATCH", () => points.assign("text" as never));
    });
    expect([...points].map(({ label }) => label)).toEqual(["kept"]);
  });

  it("takes arrays by the thousand", () => {
    const heap = makeHeap();
    const numbers = Array.from({ length: size(100_000) }, (_, index) => index);
    using items = heap.new(list(f64), numbers);
    items.push(...numbers.slice(0, 1000));
    expect(items.length).toBe(numbers.length + Math.min(1000, numbers.length));
    expect(items.at(numbers.length - 1)).toBe(numbers.length - 1);
  });
});

describe("iterating a list", () => {
  it.each([
    ["list", (heap: Heap) => heap.new(list(f64), [])],
    ["dict", (heap: Heap) => heap.new(dict(str, f64), [])],
    ["set", (heap: Heap) => heap.new(set(f64), [])],
  ] as const)("or a %s by forEach takes a function, be there anything to visit or not", (_, make) => {
    using container = make(makeHeap());
    for (const [visit, shown] of [
      [5, "5"],
      [undefined, "undefined"],
    ] as [never, string][])
      expect(messageOf("INVALID_ARGUMENT", () => container.forEach(visit))).toBe(
        `forEach takes a function, got ${shown}.`,
      );
  });

  it("gives its items, by loops, spreading, destructuring and forEach", () => {
    using items = makeHeap().new(list(any), [1, "b", null]);
    const [first, second, ...rest] = items;
    expect([first, second, rest]).toEqual([1, "b", [null]]);
    expect(Array.from(items, (item) => typeof item)).toEqual(["number", "string", "object"]);
    const visited: unknown[] = [];
    items.forEach((item, index) => visited.push([index, item]));
    expect(visited).toEqual([
      [0, 1],
      [1, "b"],
      [2, null],
    ]);
  });

  it("sees changes as an array's iterator does", () => {
    const heap = makeHeap();
    const script = (items: Pick<Items, "push" | "pop" | typeof Symbol.iterator>) => {
      const seen: unknown[] = [];
      for (const item of items) {
        seen.push(item);
        if (item === 1) items.push(4);
        if (item === 3) items.push(5);
        if (item === 4) items.pop();
      }
      return seen;
    };
    using items = heap.new(list(f64), [1, 2, 3]);
    expect(script(items as unknown as Items)).toEqual(script([1, 2, 3]));
    const visited: number[] = [];
    items.assign([1, 2]);
    items.forEach((item) => {
      visited.push(item);
      if (item === 2) items.push(3);
      if (item === 3) items.clear();
    });
    expect(visited).toEqual([1, 2, 3]);
  });

  it("ends for good once it has come to the end", () => {
    using items = makeHeap().new(list(f64), [1]);
    const iterator = items[Symbol.iterator]();
    expect([iterator.next(), iterator.next()]).toEqual([
      { done: false, value: 1 },
      { done: true, value: undefined },
    ]);
    items.push(2);
    expect(iterator.next()).toEqual({ done: true, value: undefined });
    expect(iterator[Symbol.iterator]()).toBe(iterator);
  });

  it("ends in an error when the list is freed on the way, and never reads what is gone", () => {
    const heap = makeHeap();
    const items = heap.new(list(str), ["a", "b"]);
    const iterator = items[Symbol.iterator]();
    iterator.next();
    const body = () => items.forEach(() => release(items));
    expect(messageOf("USE_AFTER_RELEASE", body)).toContain("list");
    messageOf("USE_AFTER_RELEASE", () => iterator.next());
    messageOf("USE_AFTER_RELEASE", () => items[Symbol.iterator]());
  });
});

describe("a list whose items' own code reaches for it", () => {
  const literal = (act: () => void) => ({
    get x() {
      act();
      return 7;
    },
  });

  it("appends after what that code appended", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }]);
    points.push(literal(() => points.push({ x: 2 }, { x: 3 })));
    points.push(
      literal(() => points.pop()![Symbol.dispose]()),
      { x: 8 },
    );
    expect([...points].map(({ x }) => x)).toEqual([1, 2, 3, 7, 8]);
  });

  it("inserts where it was told as far as the list still reaches", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }, { x: 2 }, { x: 3 }]);
    points.insert(
      3,
      literal(() => points.clear()),
    );
    expect([...points].map(({ x }) => x)).toEqual([7]);
    points.insert(
      0,
      literal(() => points.push({ x: 8 })),
    );
    expect([...points].map(({ x }) => x)).toEqual([7, 7, 8]);
  });

  it("does not set an item that is gone", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }, { x: 2 }]);
    points.set(
      0,
      literal(() => points.set(0, { x: 5 })),
    );
    expect([...points].map(({ x }) => x)).toEqual([7, 2]);
    messageOf("INVALID_ARGUMENT", () =>
      points.set(
        1,
        literal(() => points.clear()),
      ),
    );
    expect(points.length).toBe(0);
    leaksNothing(heap, () => {});
  });

  it("assigns in place of what that code left", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }]);
    points.assign([literal(() => points.push({ x: 2 })), literal(() => points.clear()), { x: 9 }]);
    expect([...points].map(({ x }) => x)).toEqual([7, 7, 9]);
  });

  it("throws when that code frees it, and keeps nothing", () => {
    const heap = makeHeap();
    const acts: ((points: ReturnType<typeof make>) => unknown)[] = [
      (points) => points.push(literal(() => release(points))),
      (points) =>
        points.push(
          { x: 1 },
          literal(() => release(points)),
          { x: 2 },
        ),
      (points) =>
        points.set(
          0,
          literal(() => release(points)),
        ),
      (points) =>
        points.insert(
          0,
          literal(() => release(points)),
        ),
      (points) => points.assign([{ x: 1 }, literal(() => release(points)), { x: 2 }]),
    ];
    function make() {
      return heap.new(list(Point), [{ x: 1, label: "one" }, { x: 2 }]);
    }
    release(make());
    const before = liveObjects(heap);
    for (const act of acts) {
      messageOf("USE_AFTER_RELEASE", () => act(make()));
      verify(heap);
      expect(liveObjects(heap)).toBe(before);
    }
  });

  it("looks for an item without running it", () => {
    const heap = makeHeap();
    using points = heap.new(list(Point), [{ x: 1 }, { x: 2 }]);
    const nosy = new Proxy({}, { get: () => void points.clear() });
    expect(points.indexOf(nosy as never)).toBe(-1);
    verifyInside(heap);
  });
});
