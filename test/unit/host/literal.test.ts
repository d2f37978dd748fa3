/** What a literal may be: which fields it gives and leaves out, in every kind of place, and however deep. */
import { expect, it } from "vitest";
import {
  any,
  bool,
  dict,
  f32,
  f64,
  i32,
  i64,
  id,
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
import { Labelled, Node, Point } from "./literal-types.js";
import { describeBothMakers, leaksNothing, messageOf } from "./support.js";

describeBothMakers("a literal", ({ makeHeap, makeExactHeap }) => {
  it("may leave out whatever has a zero value", () => {
    const Zeros = struct("Zeros", {
      f64,
      f32,
      i32,
      u32,
      u8,
      i64,
      bool,
      str,
      any,
      optional: optional(Point),
      optionalScalar: optional(f64),
      list: list(f64),
      dict: dict(str, f64),
      set: set(str),
    });
    const heap = makeHeap();
    using zeros = heap.new(Zeros, {});
    expect(heap.toJS(zeros)).toEqual({
      f64: 0,
      f32: 0,
      i32: 0,
      u32: 0,
      u8: 0,
      i64: 0n,
      bool: false,
      str: "",
      any: null,
      optional: null,
      optionalScalar: null,
      list: [],
      dict: {},
      set: new Set(),
    });
  });

  it("leaves a field out by giving undefined", () => {
    using point = makeHeap().new(Point, { x: undefined as never, y: 2 });
    expect([point.x, point.y]).toEqual([0, 2]);
  });

  it("does not find what the memory held before", () => {
    const heap = makeExactHeap();
    // More than a page of them, so that the second half stands where the first stood.
    const ids = new Set<number>();
    const used = Array.from({ length: 1000 }, () =>
      heap.new(Node, { value: -1, label: "used", left: {}, right: {}, children: [{}] }),
    );
    for (const node of used) {
      ids.add(id(node));
      release(node);
    }
    const empty = Array.from({ length: 1000 }, () => heap.new(Node, {}));
    expect(empty.some((node) => ids.has(id(node)))).toBe(true);
    for (const node of empty)
      expect(heap.toJS(node)).toEqual({ value: 0, label: "", left: null, right: null, children: [] });
  });

  it("must give what has no zero value: structs, tuples and one of several types", () => {
    const heap = makeHeap();
    const NeedsTuple = struct("NeedsTuple", { pair: tuple(f64, str) });
    const NeedsOne = struct("NeedsOne", { item: oneOf(Point, Node) });
    const incomplete = {} as never;
    leaksNothing(heap, () => {
      expect(messageOf("TYPE_MISMATCH", () => heap.new(Labelled, incomplete))).toBe(
        "Labelled.point must be given: Point has no zero value, got undefined.",
      );
      expect(messageOf("TYPE_MISMATCH", () => heap.new(NeedsTuple, incomplete))).toBe(
        "NeedsTuple.pair must be given: tuple(f64, str) has no zero value, got undefined.",
      );
      expect(messageOf("TYPE_MISMATCH", () => heap.new(NeedsOne, incomplete))).toBe(
        "NeedsOne.item must be given: Point or Node has no zero value, got undefined.",
      );
      expect(messageOf("TYPE_MISMATCH", () => heap.new(list(Labelled), [{ text: "a" }] as never))).toContain(
        "Labelled.point must be given",
      );
    });
  });

  it("must not have a key that is no field", () => {
    const heap = makeHeap();
    const make = (init: object) => () => heap.new(Node, init as never);
    leaksNothing(heap, () => {
      expect(messageOf("INVALID_ARGUMENT", make({ valu: 1 }))).toBe(
        'Struct "Node" has no field "valu". Its fields: value, label, left, right, children.',
      );
      expect(messageOf("INVALID_ARGUMENT", make({ value: 1, label: "a", extra: undefined }))).toContain(
        '"extra"',
      );
      expect(messageOf("INVALID_ARGUMENT", make({ left: { children: [{ z: 1 }] } }))).toContain('"z"');
      expect(messageOf("INVALID_ARGUMENT", make({ left: { "@type": "Node" } }))).toContain('"@type"');
      expect(messageOf("INVALID_ARGUMENT", () => heap.new(Point, { x: 1, z: 1 } as never))).toContain('"z"');
    });
  });

  it("must not have a key that is no field, whatever else of it is read but not listed", () => {
    const heap = makeHeap();
    class Source {
      wrong = 2;
      get x() {
        return 1;
      }
    }
    class Text {
      wrong = 1;
      get text() {
        return "given up again";
      }
      point = { x: 1 };
    }
    leaksNothing(heap, () => {
      expect(messageOf("INVALID_ARGUMENT", () => heap.new(Point, new Source() as never))).toBe(
        'Struct "Point" has no field "wrong". Its fields: x, y.',
      );
      expect(messageOf("INVALID_ARGUMENT", () => heap.new(Labelled, new Text() as never))).toContain(
        'has no field "wrong"',
      );
    });
    const literal = Object.assign(Object.create(null) as object, { x: 3, y: 4 });
    using point = heap.new(Point, literal as never);
    expect([point.x, point.y]).toEqual([3, 4]);
  });

  it("may be any object with the right properties: inherited ones, accessors and a Proxy's count", () => {
    const heap = makeHeap();
    class Source {
      y = 2;
      get x() {
        return 1;
      }
    }
    using fromInstance = heap.new(Point, new Source());
    using inherited = heap.new(Point, Object.create({ x: 3, y: 4 }));
    using proxied = heap.new(Point, new Proxy({ x: 5, y: 6 }, {}));
    expect([fromInstance, inherited, proxied].map((point) => [point.x, point.y])).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
  });

  it("is an object, not a value and not an object of the heap", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1 });
    using other = heap.new(Node, {});
    leaksNothing(heap, () => {
      for (const init of [5, "text", null, undefined, true, Symbol("s")] as never[])
        expect(messageOf("TYPE_MISMATCH", () => heap.new(Point, init))).toMatch(
          /^A Point is made from an object literal, got /,
        );
      expect(messageOf("TYPE_MISMATCH", () => heap.new(Point, point))).toBe(
        "A Point is made from a literal, not from a Point that exists already: retain() that one.",
      );
      expect(messageOf("TYPE_MISMATCH", () => heap.new(Point, other as never))).toContain(
        "not from a Node that exists",
      );
    });
  });

  it("of a tuple is an array of as many items", () => {
    const heap = makeHeap();
    const Pair = tuple(f64, str);
    using pair = heap.new(Pair, [1, "one"]);
    expect([...pair]).toEqual([1, "one"]);
    const wrong = [[1], [1, "a", 2], {}, null, 5, "ab", new Set([1, "a"])];
    leaksNothing(heap, () => {
      for (const init of wrong as never[])
        expect(messageOf("TYPE_MISMATCH", () => heap.new(Pair, init))).toMatch(
          /^A tuple\(f64, str\) is made from an array of 2 items, got /,
        );
      expect(messageOf("TYPE_MISMATCH", () => heap.new(Pair, pair as never))).toContain("exists already");
    });
  });

  it("of a container is any iterable object but a string", () => {
    const heap = makeHeap();
    function* numbers() {
      yield 1;
      yield 2;
    }
    for (const items of [[1, 2], new Set([1, 2]), numbers(), new Float64Array([1, 2])]) {
      using numberList = heap.new(list(f64), items);
      expect([...numberList]).toEqual([1, 2]);
    }
    using entries = heap.new(dict(str, f64), new Map([["a", 1]]));
    expect([...entries]).toEqual([["a", 1]]);
    using members = heap.new(set(f64), numbers());
    expect([...members]).toEqual([1, 2]);
    leaksNothing(heap, () => {
      for (const init of ["abc", 5, null, undefined, { length: 1 }, () => []] as never[]) {
        expect(messageOf("TYPE_MISMATCH", () => heap.new(list(str), init))).toMatch(
          /^A list\(str\) is made from an array or another iterable object, got /,
        );
        expect(messageOf("TYPE_MISMATCH", () => heap.new(dict(str, f64), init))).toContain("iterable");
        expect(messageOf("TYPE_MISMATCH", () => heap.new(set(str), init))).toContain("iterable");
      }
    });
  });

  it("of a dict is made of pairs, the later of two with one key wins", () => {
    const heap = makeHeap();
    using entries = heap.new(dict(str, Point), [
      ["a", { x: 1 }],
      ["b", { x: 2 }],
      ["a", { x: 3 }],
    ]);
    expect(heap.toJS(entries)).toEqual({ a: { x: 3, y: 0 }, b: { x: 2, y: 0 } });
    leaksNothing(heap, () => {
      for (const entry of [["a"], ["a", {}, 1], "ab", { 0: "a", 1: {} }, null, 5] as never[])
        expect(messageOf("TYPE_MISMATCH", () => heap.new(dict(str, Point), [["z", {}], entry]))).toMatch(
          /^A dict\(str, Point\) is made from \[key, value\] pairs, got /,
        );
      expect(messageOf("TYPE_MISMATCH", () => heap.new(dict(str, Point), [[1 as never, {}]]))).toContain(
        "A key of dict(str, Point) must be a string, got 1",
      );
    });
  });

  it("nests in every kind of place", () => {
    const heap = makeHeap();
    const Everything = struct("Everything", {
      point: Point,
      points: list(Point),
      byName: dict(str, list(Point)),
      pair: tuple(Point, list(str)),
      nested: list(list(list(f64))),
    });
    using everything = heap.new(Everything, {
      point: { x: 1 },
      points: [{ x: 2 }, { x: 3 }],
      byName: [["a", [{ x: 4 }]]],
      pair: [{ x: 5 }, ["b"]],
      nested: [[[1], []], []],
    });
    expect(heap.toJS(everything)).toEqual({
      point: { x: 1, y: 0 },
      points: [
        { x: 2, y: 0 },
        { x: 3, y: 0 },
      ],
      byName: { a: [{ x: 4, y: 0 }] },
      pair: [{ x: 5, y: 0 }, ["b"]],
      nested: [[[1], []], []],
    });
  });

  it("that stands in two places makes two objects; a handle in two places is one", () => {
    const heap = makeHeap();
    const literal = { x: 1 };
    using handle = heap.new(Point, { x: 2 });
    using points = heap.new(list(Point), [literal, literal, handle, handle]);
    points.at(0)!.x = 7;
    points.at(2)!.x = 8;
    expect([...points].map((point) => point.x)).toEqual([7, 1, 8, 8]);
    expect(refcount(handle)).toBe(3);
  });

  it("nests a thousand deep, and no deeper", () => {
    const heap = makeExactHeap();
    const chain = (depth: number) => {
      let literal: object = { value: 0 };
      for (let level = 1; level <= depth; level++) literal = { value: level, left: literal };
      return literal;
    };
    {
      using deepest = heap.new(Node, chain(1000));
      let depth = 0;
      for (let node: Node | null = deepest; node !== null; node = node.left) depth++;
      expect(depth).toBe(1001);
    }
    const cyclic: { value: number; children: object[] } = { value: 1, children: [] };
    cyclic.children.push(cyclic);
    leaksNothing(heap, () => {
      expect(messageOf("INVALID_ARGUMENT", () => heap.new(Node, chain(1001)))).toContain("nested 1000 deep");
      expect(messageOf("INVALID_ARGUMENT", () => heap.new(Node, cyclic))).toContain("heap.from");
    });
    using shallow = heap.new(Node, chain(2));
    expect(shallow.left!.left!.value).toBe(0);
  });
});
