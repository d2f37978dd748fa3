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
  oneOf,
  optional,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
  u8,
  u32,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { describeBothMakers, leaksNothing, liveObjects, messageOf } from "./support.js";

/** One value in each kind of place that a heap has. Types are values here, so the compiler is not asked. */
interface Place {
  /** What a value reads as after it was stored over another one. */
  store(value: unknown): unknown;
  /** What it reads as after it was part of a literal. */
  create(value: unknown): unknown;
}
type Places = (heap: Heap, type: unknown) => Place;

const inStruct: Places = (heap, type) => {
  const Holder = struct("Holder", { before: u8, slot: type, after: u8 });
  const make = (init: object) => heap.new(Holder, init as never) as unknown as { slot: unknown };
  return {
    store: (value) => {
      const holder = make({ before: 255, after: 255 });
      holder.slot = value;
      return holder.slot;
    },
    create: (value) => make({ slot: value }).slot,
  };
};
const inList: Places = (heap, type) => ({
  store: (value) => {
    const items = heap.new(list(type) as never, [value] as never) as unknown as {
      set(index: number, value: unknown): void;
      at(index: number): unknown;
    };
    items.set(0, value);
    return items.at(0);
  },
  create: (value) =>
    (heap.new(list(type) as never, [value] as never) as unknown as [unknown])[Symbol.iterator]().next().value,
});
const inDict: Places = (heap, type) => ({
  store: (value) => {
    const entries = heap.new(dict(str, type) as never, [] as never) as unknown as Map<string, unknown>;
    entries.set("key", value);
    return entries.set("key", value).get("key");
  },
  create: (value) =>
    (heap.new(dict(str, type) as never, [["key", value]] as never) as unknown as Map<string, unknown>).get(
      "key",
    ),
});
const inTuple: Places = (heap, type) => {
  const create = (value: unknown) =>
    (heap.new(tuple(u8, type) as never, [1, value] as never) as unknown as [number, unknown])[1];
  return { store: create, create };
};
const PLACES: [string, Places][] = [
  ["a field", inStruct],
  ["an item", inList],
  ["a value of a dict", inDict],
  ["an item of a tuple", inTuple],
];

const LONG = "a text that is longer than what the decoder takes letter by letter: äöü".repeat(20);

/** For each scalar type: what it takes, with what it reads as if that is not the same; and what it refuses. */
const SCALARS: {
  name: string;
  type: unknown;
  takes: unknown[];
  rounds?: [unknown, unknown][];
  refuses: unknown[];
}[] = [
  {
    name: "f64",
    type: f64,
    takes: [0, -0, 1.5, -1e308, 5e-324, 2 ** 53, Infinity, -Infinity, NaN],
    refuses: ["1", null, true, 1n, {}, [1]],
  },
  {
    name: "f32",
    type: f32,
    takes: [0, -0, 1.5, -(2 ** 127), Infinity, -Infinity, NaN],
    rounds: [
      [0.1, Math.fround(0.1)],
      [1e40, Infinity],
      [1e-50, 0],
    ],
    refuses: ["1", null, true, 1n, {}],
  },
  {
    name: "i32",
    type: i32,
    takes: [0, 1, -1, 2147483647, -2147483648],
    rounds: [[-0, 0]],
    refuses: [2147483648, -2147483649, 1.5, NaN, Infinity, "1", null, true, 1n, {}],
  },
  {
    name: "u32",
    type: u32,
    takes: [0, 1, 2147483648, 4294967295],
    rounds: [[-0, 0]],
    refuses: [-1, 4294967296, 1.5, NaN, "1", null, false, 1n],
  },
  {
    name: "u8",
    type: u8,
    takes: [0, 1, 127, 128, 255],
    rounds: [[-0, 0]],
    refuses: [-1, 256, 0.5, NaN, "1", null, true, 1n],
  },
  {
    name: "i64",
    type: i64,
    takes: [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)],
    refuses: [2n ** 63n, -(2n ** 63n) - 1n, 1, "1", null, true, {}],
  },
  { name: "bool", type: bool, takes: [true, false], refuses: [0, 1, "true", null, 1n, {}] },
  {
    name: "str",
    type: str,
    takes: ["", "a", "abc", "abcd", "\u00ff", "\u0100", "naïve", "日本語", "😀", "\ud800", "a\0b", LONG],
    refuses: [1, null, true, 1n, {}, ["a"], new String("a")],
  },
  {
    name: "any",
    type: any,
    takes: [null, true, false, 0, -0, 1.5, NaN, -Infinity, "", "a", "日本語", LONG],
    refuses: [1n, {}, [], Symbol("s"), () => 1, new Date(0)],
  },
];

describe.each(PLACES)("%s", (_, place) => {
  describe.each(SCALARS)("of type $name", ({ type, takes, rounds = [], refuses }) => {
    it("keeps every value of the type", () => {
      const { store, create } = place(makeHeap(), type);
      for (const value of takes) {
        expect(store(value)).toBe(value);
        expect(create(value)).toBe(value);
      }
      for (const [value, kept] of rounds) {
        expect(store(value)).toBe(kept);
        expect(create(value)).toBe(kept);
      }
    });

    it("refuses every other value, keeps nothing of it and names the place", () => {
      const heap = makeHeap();
      const { store, create } = place(heap, type);
      create(takes[0]);
      for (const value of refuses) {
        expect(messageOf("TYPE_MISMATCH", () => store(value))).toMatch(/ must be (an? |null)/);
        leaksNothing(heap, () => expect(() => create(value)).toThrow(/ must be (an? |null)/));
      }
    });
  });

  it.each(SCALARS.filter(({ name }) => name !== "i64" && name !== "any"))(
    "of type optional($name) holds null beside the values, and refuses the same",
    ({ type, takes, rounds = [], refuses }) => {
      const heap = makeHeap();
      const { store, create } = place(heap, optional(type));
      for (const [value, kept] of [...takes.map((value) => [value, value]), [null, null]]) {
        expect(store(value)).toBe(kept);
        expect(create(value)).toBe(kept);
      }
      for (const [value, kept] of rounds)
        expect(create(value) === kept || Object.is(create(value), value)).toBe(true);
      for (const value of refuses) {
        if (value === null) continue;
        expect(messageOf("TYPE_MISMATCH", () => create(value))).toContain("or null");
      }
    },
  );

  it("of an optional f32 rounds as an f32 does", () => {
    const { store, create } = place(makeHeap(), optional(f32));
    expect(store(0.1)).toBe(Math.fround(0.1));
    expect(create(0.1)).toBe(Math.fround(0.1));
  });

  it("never takes a NaN for a tagged value, whatever its bits", () => {
    const bits = new BigUint64Array(1);
    const forged = new Float64Array(bits.buffer);
    for (const type of [any, optional(f64), optional(f32)]) {
      const heap = makeHeap();
      const { store, create } = place(heap, type);
      for (const tag of [0xfffc0000n, 0xfffc0001n, 0xfffc0002n, 0xfffc0003n, 0xfffc0004n, 0xffffffffn]) {
        bits[0] = (tag << 32n) | 4096n;
        expect(store(forged[0])).toBeNaN();
        expect(create(forged[0])).toBeNaN();
        verify(heap);
      }
    }
  });
});

describe("a field", () => {
  it("leaves the bytes beside it alone", () => {
    const Bytes = struct("Bytes", { a: u8, b: bool, c: u8, d: bool, e: u8 });
    using bytes = makeHeap().new(Bytes, { a: 1, b: true, c: 3, d: true, e: 5 });
    bytes.c = 255;
    bytes.b = false;
    bytes.e = 0;
    expect([bytes.a, bytes.b, bytes.c, bytes.d, bytes.e]).toEqual([1, false, 255, true, 0]);
    bytes.d = false;
    bytes.a = 128;
    expect([bytes.a, bytes.b, bytes.c, bytes.d, bytes.e]).toEqual([128, false, 255, false, 0]);
  });

  it("names the struct, what it takes and what it got", () => {
    const heap = makeHeap();
    const Point = struct("Point", { x: f64, n: i32, label: str });
    using point = heap.new(Point, {});
    const assign = (values: object) => () => Object.assign(point, values);
    expect(messageOf("TYPE_MISMATCH", assign({ x: "1" }))).toBe('Point.x must be a number, got "1".');
    expect(messageOf("TYPE_MISMATCH", assign({ n: 1.5 }))).toBe(
      "Point.n must be an i32 (a whole number of 32 bits), got 1.5.",
    );
    expect(messageOf("TYPE_MISMATCH", assign({ label: 7n }))).toBe("Point.label must be a string, got 7n.");
    expect(messageOf("TYPE_MISMATCH", assign({ x: new Date(0) }))).toBe(
      "Point.x must be a number, got an instance of Date.",
    );
    expect([point.x, point.n, point.label]).toEqual([0, 0, ""]);
  });
});

class Leaf extends struct("Leaf", { value: f64 }) {}
class Branch extends struct("Branch", {
  value: f64,
  get left() {
    return optional(oneOf(Leaf, Branch));
  },
}) {}
const Unrelated = struct("Unrelated", { value: f64 });

describeBothMakers("a reference", ({ makeHeap }) => {
  it("of one type takes an object of it, or a literal to build one", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", { leaf: Leaf });
    using leaf = heap.new(Leaf, { value: 1 });
    using byReference = heap.new(Holder, { leaf });
    using byLiteral = heap.new(Holder, { leaf: { value: 2 } });
    expect([byReference.leaf.value, byLiteral.leaf.value]).toEqual([1, 2]);
    byLiteral.leaf = leaf;
    leaf.value = 3;
    expect([byReference.leaf.value, byLiteral.leaf.value]).toEqual([3, 3]);
    expect(byLiteral.leaf).toBeInstanceOf(Leaf);
  });

  it("of one type refuses null, other types and plain values", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", { leaf: Leaf });
    using holder = heap.new(Holder, { leaf: { value: 1 } });
    using other = heap.new(Unrelated, {});
    const store = (value: unknown) => () => Object.assign(holder, { leaf: value });
    expect(messageOf("TYPE_MISMATCH", store(null))).toBe("Holder.leaf must be Leaf, got null.");
    expect(messageOf("TYPE_MISMATCH", store(other))).toBe("Holder.leaf must be Leaf, got a Unrelated.");
    expect(messageOf("TYPE_MISMATCH", store(5))).toBe("Holder.leaf must be Leaf, got 5.");
    expect(messageOf("TYPE_MISMATCH", store("leaf"))).toBe('Holder.leaf must be Leaf, got "leaf".');
    expect(holder.leaf.value).toBe(1);
  });

  it("of several types takes any of them, and no literal, whose type nobody knows", () => {
    const heap = makeHeap();
    using leaf = heap.new(Leaf, { value: 1 });
    using inner = heap.new(Branch, { value: 2, left: leaf });
    using branch = heap.new(Branch, { left: inner });
    expect(branch.left).toBeInstanceOf(Branch);
    expect((branch.left as Branch).left).toBeInstanceOf(Leaf);
    branch.left = null;
    expect(branch.left).toBeNull();
    using other = heap.new(Unrelated, {});
    const store = (value: unknown) => () => Object.assign(branch, { left: value });
    expect(messageOf("TYPE_MISMATCH", store(other))).toBe(
      "Branch.left must be Leaf or Branch, or null, got a Unrelated.",
    );
    expect(messageOf("TYPE_MISMATCH", store({ value: 1 }))).toMatch(
      /^Branch\.left must be Leaf or Branch, or null, got an object: .*Make it with heap\.new\.$/,
    );
    expect(messageOf("TYPE_MISMATCH", store(1))).toBe("Branch.left must be Leaf or Branch, or null, got 1.");
  });

  it("to an object of another heap is refused wherever it would be stored", () => {
    const heap = makeHeap();
    using foreign = makeHeap().new(Leaf, { value: 1 });
    using items = heap.new(list(any), [1]);
    using leaves = heap.new(list(Leaf), [{}]);
    using entries = heap.new(dict(str, any), [["key", 1]]);
    using keys = heap.new(dict(Leaf, f64), []);
    using members = heap.new(set(any), [1]);
    const Holder = struct("Holder", { leaf: Leaf });
    using holder = heap.new(Holder, { leaf: {} });
    const attempts: (() => unknown)[] = [
      () => items.push(foreign),
      () => items.push(2, foreign),
      () => items.set(0, foreign),
      () => items.assign([2, foreign]),
      () => leaves.push(foreign),
      () => leaves.insert(0, foreign),
      () => entries.set("key", foreign),
      () => keys.set(foreign, 1),
      () => members.add(foreign),
      () => Object.assign(holder, { leaf: foreign }),
      () => heap.new(Holder, { leaf: foreign }),
      () => heap.new(list(any), [1, foreign]),
      () => heap.new(tuple(any), [foreign]),
      () => heap.new(dict(any, any), [[foreign, 1]]),
      () => heap.from({ a: foreign }),
      () => heap.gc.garbage.push(foreign),
    ];
    for (const attempt of attempts)
      leaksNothing(heap, () =>
        expect(messageOf("FOREIGN_HEAP", attempt)).toContain("a Leaf of another heap"),
      );
    expect([items.length, leaves.length, entries.get("key"), members.size]).toEqual([1, 1, 1, 1]);
  });

  it("that was released, or whose object is gone, is refused wherever it would be stored", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", { leaf: optional(Leaf) });
    using items = heap.new(list(any), []);
    using leaves = heap.new(list(Leaf), []);
    using holder = heap.new(Holder, {});
    using members = heap.new(set(Leaf), []);
    const released = heap.new(Leaf, {});
    release(released);
    const kept = heap.new(list(Leaf), [{ value: 1 }]);
    const stale = kept.at(0)!;
    release(kept);
    for (const [reference, code] of [
      [released, "USE_AFTER_RELEASE"],
      [stale, "STALE_REFERENCE"],
    ] as const)
      for (const attempt of [
        () => items.push(reference),
        () => leaves.push(reference),
        () => Object.assign(holder, { leaf: reference }),
        () => heap.new(Holder, { leaf: reference }),
        () => heap.new(tuple(any), [reference]),
        () => members.add(reference),
        () => members.has(reference),
        () => leaves.indexOf(reference),
        () => items.indexOf(reference),
        () => retain(reference),
      ])
        leaksNothing(heap, () => messageOf(code, attempt));
    expect([items.length, leaves.length, members.size]).toEqual([0, 0, 0]);
  });

  it("drops the object it led to when it is stored over, after the new one is in place", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", { leaf: optional(Leaf), any, text: str });
    using holder = heap.new(Holder, { leaf: {}, any: "an old text", text: "another old text" });
    const before = liveObjects(heap);
    holder.leaf = null;
    holder.any = 1;
    holder.text = "";
    expect(liveObjects(heap)).toBe(before - 3);
  });

  it("to itself may be stored over itself", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", { leaf: optional(Leaf) });
    using holder = heap.new(Holder, { leaf: { value: 4 } });
    // biome-ignore lint/correctness/noSelfAssign: the only reference is dropped and taken at once
    holder.leaf = holder.leaf;
    expect(holder.leaf!.value).toBe(4);
  });
});
