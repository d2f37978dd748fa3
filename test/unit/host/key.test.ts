import { describe, expect, it } from "vitest";
import {
  any,
  bool,
  dict,
  f32,
  f64,
  Heap,
  i32,
  list,
  oneOf,
  optional,
  refcount,
  release,
  set,
  str,
  struct,
  tuple,
  u8,
  u32,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { size } from "../../support/heaps.js";
import { describeBothMakers, leaksNothing, messageOf } from "./support.js";

const Point = struct("Point", { x: f64 });
const Size = struct("Size", { width: f64 });

/** A dict or a set over one type of key: both are tables to the tests below. */
class Table {
  private readonly inner;
  private readonly isDict: boolean;
  constructor(heap: Heap, key: unknown, isDict: boolean) {
    const type = isDict ? dict(key, f64) : set(key);
    this.isDict = isDict;
    this.inner = heap.new(type as never, [] as never) as unknown as Map<unknown, number> & Set<unknown>;
  }
  get size() {
    return this.inner.size;
  }
  has(key: unknown) {
    return this.inner.has(key);
  }
  delete(key: unknown) {
    return this.inner.delete(key);
  }
  put(key: unknown) {
    if (this.isDict) this.inner.set(key, 1);
    else this.inner.add(key);
  }
  keys(): unknown[] {
    return this.isDict ? [...this.inner.keys()] : [...(this.inner as Set<unknown>)];
  }
}
const TABLES: [string, (heap: Heap, key: unknown) => Table][] = [
  ["a dict", (heap, key) => new Table(heap, key, true)],
  ["a set", (heap, key) => new Table(heap, key, false)],
];

const long = (letter: string) => letter.repeat(100);
const KEYS: [string, unknown, unknown[], unknown[]][] = [
  [
    "str",
    str,
    ["", "a", "b", "ab", "ba", "日本", "\ud800", "\udc00", long("c"), long("d")],
    [1, null, true, {}, 1n],
  ],
  ["f64", f64, [0, 1, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 53, 5e-324], ["1", null, true, 1n, {}]],
  ["f32", f32, [0, 1, -1, 1.5, NaN, Infinity, 2 ** 100], ["1", null, false, 1n]],
  ["i32", i32, [0, 1, -1, 2147483647, -2147483648], [1.5, 2 ** 31, "1", null, true, NaN]],
  ["u32", u32, [0, 1, 4294967295], [-1, 1.5, "1", null]],
  ["u8", u8, [0, 1, 255], [256, -1, "1", null]],
  ["bool", bool, [true, false], [0, 1, "true", null]],
  [
    "any",
    any,
    ["", "1", 1, true, "true", false, null, 0, NaN, -1.5, "日本"],
    [1n, {}, [], Symbol("s"), undefined],
  ],
  ["optional(str)", optional(str), ["", "a", null, "null"], [1, true, {}]],
  ["optional(f64)", optional(f64), [0, null, NaN, 1], ["0", true, {}]],
  ["optional(bool)", optional(bool), [true, false, null], [0, 1, "true"]],
];

describeBothMakers("keys", ({ makeHeap }) => {
  describe.each(TABLES)("the keys of %s", (_, makeTable) => {
    it.each(KEYS)("of type %s are what they would be to a Map", (_name, type, keys, refused) => {
      const heap = makeHeap();
      const table = makeTable(heap, type);
      const map = new Map<unknown, number>();
      for (const key of [...keys, ...keys]) {
        table.put(key);
        map.set(key, 1);
        expect(table.keys()).toEqual([...map.keys()]);
      }
      expect(table.size).toBe(keys.length);
      for (const key of keys) expect(table.has(key)).toBe(true);
      for (const key of refused)
        leaksNothing(heap, () => {
          for (const use of [() => table.has(key), () => table.delete(key), () => table.put(key)])
            expect(messageOf("TYPE_MISMATCH", use)).toMatch(/^A (key|member) of (dict|set)\(/);
        });
      for (const key of keys.filter((_key, index) => index % 2 === 0)) {
        expect(table.delete(key)).toBe(true);
        expect([table.delete(key), table.has(key)]).toEqual([false, false]);
        map.delete(key);
      }
      expect(table.keys()).toEqual([...map.keys()]);
      verify(heap);
    });

    it("that are zeros or NaNs are one, whatever their sign and bits", () => {
      const bits = new BigUint64Array([0xfffc0003_00001000n]);
      const [forged] = new Float64Array(bits.buffer);
      for (const type of [f64, f32, any, optional(f64), optional(f32)]) {
        const heap = makeHeap();
        const table = makeTable(heap, type);
        for (const key of [0, -0, NaN, forged, -NaN]) table.put(key);
        expect(table.keys()).toEqual([0, NaN]);
        expect([table.has(-0), table.has(forged)]).toEqual([true, true]);
        verify(heap);
      }
    });

    it("of a narrow float are looked up as they are stored: rounded", () => {
      for (const type of [f32, optional(f32)]) {
        const table = makeTable(makeHeap(), type);
        table.put(0.1);
        table.put(Math.fround(0.1));
        expect(table.keys()).toEqual([Math.fround(0.1)]);
        expect([table.has(0.1), table.has(Math.fround(0.1)), table.has(0.2)]).toEqual([true, true, false]);
        table.put(1e-60);
        table.put(-1e-60);
        expect([table.has(0), table.size]).toEqual([true, 2]);
      }
    });

    it("that are objects are compared by identity, and kept alive", () => {
      const heap = makeHeap();
      for (const type of [Point, any, oneOf(Point, Size), optional(Point)]) {
        const table = makeTable(heap, type);
        using a = heap.new(Point, { x: 1 });
        const b = heap.new(Point, { x: 1 });
        for (const key of [a, b, a]) table.put(key);
        using holder = heap.new(list(Point), [a]);
        const again = holder.at(0)!;
        expect([table.size, table.has(a), table.has(again), table.has(b)]).toEqual([2, true, true, true]);
        expect(refcount(b)).toBe(2);
        release(b);
        expect((table.keys() as { x: number }[]).map(({ x }) => x)).toEqual([1, 1]);
        expect(table.delete(again)).toBe(true);
        expect([table.size, table.has(a), refcount(a)]).toEqual([1, false, 2]);
      }
    });

    it("that are containers are compared by identity too", () => {
      const heap = makeHeap();
      const table = makeTable(heap, tuple(f64));
      using pair = heap.new(tuple(f64), [1]);
      using same = heap.new(tuple(f64), [1]);
      table.put(pair);
      expect([table.has(pair), table.has(same)]).toEqual([true, false]);
    });

    it("are never made from literals: nobody could find them again", () => {
      const heap = makeHeap();
      for (const [type, literal] of [
        [Point, { x: 1 }],
        [list(f64), [1]],
        [optional(Point), {}],
        [tuple(f64), [1]],
      ]) {
        const table = makeTable(heap, type);
        leaksNothing(heap, () => {
          for (const use of [() => table.has(literal), () => table.delete(literal), () => table.put(literal)])
            expect(messageOf("TYPE_MISMATCH", use)).toContain("must be an object that exists already, got");
        });
        expect(table.size).toBe(0);
      }
    });

    it("of the wrong type, of another heap or stale are refused by every method", () => {
      const heap = makeHeap();
      using wrong = heap.new(Size, {});
      using foreign = makeHeap().new(Point, {});
      const released = heap.new(Point, {});
      release(released);
      const table = makeTable(heap, Point);
      for (const [key, code] of [
        [wrong, "TYPE_MISMATCH"],
        [foreign, "FOREIGN_HEAP"],
        [released, "USE_AFTER_RELEASE"],
        [null, "TYPE_MISMATCH"],
        [undefined, "TYPE_MISMATCH"],
      ] as const)
        leaksNothing(heap, () => {
          for (const use of [() => table.has(key), () => table.delete(key), () => table.put(key)])
            messageOf(code, use);
        });
    });

    it("keep their order through growth and deletion, by the thousand", () => {
      const heap = makeHeap();
      for (const [type, keyOf] of [
        [str, (index: number) => `key ${index * 7919}`],
        [f64, (index: number) => index / 3],
        [i32, (index: number) => index * 65536],
        [any, (index: number) => (index % 2 ? index : `text ${index}`)],
      ] as const) {
        const table = makeTable(heap, type);
        const map = new Map<unknown, number>();
        const count = size(2000);
        for (let index = 0; index < count; index++) {
          const key = keyOf((index * 2654435761) % count);
          table.put(key);
          map.set(key, 1);
          if (index % 3 === 0) {
            const other = keyOf(Math.floor(index / 2));
            expect(table.delete(other)).toBe(map.delete(other));
          }
        }
        expect(table.keys()).toEqual([...map.keys()]);
        for (let index = 0; index < count; index++)
          expect(table.has(keyOf(index))).toBe(map.has(keyOf(index)));
        verify(heap);
      }
    });
  });
});

describeBothMakers("looking a key up", ({ makeExactHeap }) => {
  it("makes no object", () => {
    const heap = makeExactHeap();
    using entries = heap.new(dict(any, any), [["a", 1]]);
    using members = heap.new(set(str), ["a"]);
    const { allocator } = Heap.contextOf(heap).core;
    let allocations = 0;
    Object.assign(allocator, {
      allocate() {
        allocations++;
        throw new Error("nothing should be allocated");
      },
    });
    expect([
      entries.get("a"),
      entries.get("b"),
      entries.has(1),
      members.has("zz"),
      members.delete("q"),
    ]).toEqual([1, undefined, false, false, false]);
    expect(allocations).toBe(0);
    delete (allocator as Partial<typeof allocator>).allocate;
  });
});
