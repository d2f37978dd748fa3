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
import {
  describeBothMakers,
  leaksNothing,
  liveObjects,
  messageOf,
  thrownBy,
  verifyInside,
} from "./support.js";

class Node extends struct("Node", {
  value: i32,
  label: str,
  get left() {
    return optional(Node);
  },
  get right() {
    return optional(Node);
  },
  get children() {
    return list(Node);
  },
}) {}
const Point = struct("Point", { x: f64, y: f64 });
const Labelled = struct("Labelled", { text: str, point: Point, extra: any });

/** A type a thousand words long: larger than half a page, so that it is made without text whatever the process allows. */
const wideShape = Object.fromEntries(
  Array.from({ length: 700 }, (_, index) => [
    `field${index}`,
    [f64, str, any, optional(Node), u8, i64, list(f64)][index % 7],
  ]),
);
const WIDE_NAMES = Object.keys(wideShape);

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

  it("is read once a field, in the order of the shape, children before their parent", () => {
    const heap = makeHeap();
    const steps: string[] = [];
    const traced = (name: string, literal: Record<string, unknown>) =>
      new Proxy(literal, {
        get(target, key) {
          if (typeof key === "string" && !key.startsWith("@")) steps.push(`${name}.${key}`);
          return target[key as string];
        },
      });
    using node = heap.new(Node, traced("a", { right: traced("c", {}), left: traced("b", {}), value: 1 }));
    const fields = ["value", "label", "left", "right", "children"];
    const of = (name: string) => fields.map((field) => `${name}.${field}`);
    expect(steps).toEqual([...of("a").slice(0, 3), ...of("b"), "a.right", ...of("c"), "a.children"]);
    const order = heap.gc.getReferents(node);
    expect(order).toHaveLength(3);
  });

  it("makes its children before their parent, and a container before its items", () => {
    const heap = makeExactHeap();
    heap.gc.collect();
    const before = heap.gc.getObjects().length;
    using node = heap.new(Node, { value: 1, left: { value: 2 }, children: [{ value: 3 }] });
    const made = heap.gc.getObjects().slice(before);
    const text = made.map((object) => {
      const plain = heap.toJS(object);
      return Array.isArray(plain) ? `list of ${plain.length}` : `node ${(plain as { value: number }).value}`;
    });
    expect(text).toEqual(["list of 0", "node 2", "list of 1", "list of 0", "node 3", "node 1"]);
    expect(node.value).toBe(1);
  });

  it("that throws half-way leaves nothing behind, wherever it throws", () => {
    const heap = makeHeap();
    class Bang extends Error {}
    const bang = (): never => {
      throw new Bang();
    };
    using kept = heap.new(Node, { value: 9 });
    function* items() {
      yield { value: 1 };
      yield kept;
      bang();
    }
    const throwing = {
      value: 1,
      label: "a text with an object of its own",
      left: { value: 2, children: [{ label: "nested" }] },
      right: kept,
      get children() {
        return bang();
      },
    };
    const bodies: (() => unknown)[] = [
      () => heap.new(Node, throwing),
      () => heap.new(Node, { left: throwing }),
      () => heap.new(Node, { children: [{}, kept, throwing] }),
      () => heap.new(Node, { label: "x", children: items() }),
      () => heap.new(list(Node), items()),
      () => heap.new(list(any), [1, "text", kept, Symbol("no") as never]),
      () =>
        heap.new(dict(str, Node), [
          ["a", { value: 1 }],
          ["b", kept],
          ["c", throwing],
        ]),
      () =>
        heap.new(dict(Node, any), [
          [kept, "text"],
          [kept, Symbol("no") as never],
        ]),
      () => heap.new(set(any), ["text", kept, 1, Symbol("no") as never]),
      () => heap.new(tuple(Node, str, any, Node), [{ value: 1 }, "text", kept, throwing]),
      () => heap.new(tuple(str, any, Point), ["text", "other text", { x: "no" } as never]),
      () => heap.new(Labelled, { text: "text", point: { x: 1 }, extra: Symbol("no") as never }),
    ];
    for (const body of bodies) leaksNothing(heap, () => thrownBy(body));
    expect(refcount(kept)).toBe(1);
  });

  it("closes an iterable that it does not take to the end", () => {
    const heap = makeHeap();
    let closed = 0;
    function* items() {
      try {
        yield { x: 1 };
        yield "not a point";
      } finally {
        closed++;
      }
    }
    thrownBy(() => heap.new(list(Point), items() as never));
    thrownBy(() => heap.new(set(Point), items() as never));
    using points = heap.new(list(Point), []);
    thrownBy(() => points.assign(items() as never));
    expect(closed).toBe(3);
    expect(points.length).toBe(0);
  });

  it("may run code that collects, allocates and releases: the heap is valid between any two steps", () => {
    const heap = makeHeap();
    heap.gc.setThreshold(1, 1, 1);
    const churn = () => {
      verifyInside(heap);
      for (let index = 0; index < 5; index++) {
        using cycle = heap.new(list(any), []);
        cycle.push(cycle, "text");
      }
      heap.gc.collect();
      verifyInside(heap);
    };
    function* items(value: number) {
      churn();
      yield { value };
      churn();
      yield { value: value + 1 };
      churn();
    }
    const lively = (value: number, rest: object) => ({
      get value() {
        churn();
        return value;
      },
      get label() {
        churn();
        return `node ${value}`;
      },
      ...rest,
    });
    using node = heap.new(
      Node,
      lively(1, {
        left: lively(2, { children: items(20) }),
        get right() {
          churn();
          return lively(3, {});
        },
        children: items(10),
      }),
    );
    churn();
    expect([node.label, node.left!.label, node.right!.label]).toEqual(["node 1", "node 2", "node 3"]);
    expect([...node.children].map(({ value }) => value)).toEqual([10, 11]);
    expect([...node.left!.children].map(({ value }) => value)).toEqual([20, 21]);
  });

  it("may release a handle that it has given already, but not one that is still to be read", () => {
    const heap = makeHeap();
    const given = heap.new(Node, { value: 1 });
    using parent = heap.new(Node, {
      left: given,
      get right() {
        release(given);
        return null;
      },
    });
    expect([parent.left!.value, refcount(parent.left!)]).toEqual([1, 1]);
    const gone = heap.new(Node, { value: 2 });
    messageOf("USE_AFTER_RELEASE", () =>
      heap.new(Node, {
        get left() {
          release(gone);
          return { value: 1 };
        },
        right: gone,
      }),
    );
  });

  it("may change its own list while it is read, as an array may under an iterator", () => {
    const heap = makeHeap();
    const items: object[] = [{ x: 1 }];
    items.push({
      get x() {
        items.push({ x: 3 });
        return 2;
      },
    });
    using points = heap.new(list(Point), items);
    expect([...points].map(({ x }) => x)).toEqual([1, 2, 3]);
    const shrinking: object[] = [
      {
        get x() {
          shrinking.length = 1;
          return 1;
        },
      },
      { x: 2 },
    ];
    using fewer = heap.new(list(Point), shrinking);
    expect(fewer.length).toBe(1);
  });

  it("never takes an array's length on trust", () => {
    const heap = makeHeap();
    const lying = (length: unknown) =>
      new Proxy([1, 2], { get: (target, key) => (key === "length" ? length : Reflect.get(target, key)) });
    for (const length of [NaN, -1, -Infinity, "2", 1.5, {}, undefined, 2 ** 32, 2 ** 40, 2 ** 53, 1e300]) {
      leaksNothing(heap, () => {
        try {
          release(heap.new(list(f64), lying(length)));
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^(OUT_OF_MEMORY|TYPE_MISMATCH)$/);
        }
      });
    }
    const sparse: number[] = [];
    sparse.length = 2 ** 32 - 1;
    leaksNothing(heap, () => messageOf("OUT_OF_MEMORY", () => heap.new(list(f64), sparse)));
    sparse.length = 1000;
    leaksNothing(heap, () => messageOf("TYPE_MISMATCH", () => heap.new(list(f64), sparse)));
  });

  it("makes objects larger than half a page too", () => {
    const heap = makeHeap();
    const Wide = struct("Wide", wideShape);
    const values: Record<string, unknown> = {};
    using node = heap.new(Node, { value: 1 });
    WIDE_NAMES.forEach((name, index) => {
      values[name] = [
        index,
        `text ${index}`,
        index % 2 ? null : "any",
        node,
        index % 256,
        BigInt(index),
        [index],
      ][index % 7];
    });
    using empty = heap.new(Wide, {});
    expect([empty.field0, empty.field1, empty.field2, empty.field3, empty.field4, empty.field5]).toEqual([
      0,
      "",
      null,
      null,
      0,
      0n,
    ]);
    using wide = heap.new(Wide, values as never);
    expect(heap.toJS(wide)).toEqual({
      ...values,
      ...Object.fromEntries(
        WIDE_NAMES.filter((_, index) => index % 7 === 3).map((name) => [name, heap.toJS(node)]),
      ),
    });
    const count = refcount(node);
    leaksNothing(heap, () => {
      messageOf("TYPE_MISMATCH", () =>
        heap.new(Wide, { ...values, [WIDE_NAMES.at(-1)!]: Symbol("no") } as never),
      );
      messageOf("INVALID_ARGUMENT", () => heap.new(Wide, { ...values, more: 1 } as never));
      messageOf("TYPE_MISMATCH", () => heap.new(Wide, 5 as never));
    });
    expect(refcount(node)).toBe(count);
  });

  it("costs no object more than what it describes", () => {
    const heap = makeHeap();
    heap.new(Node, {})[Symbol.dispose]();
    const before = liveObjects(heap);
    using node = heap.new(Node, { value: 1, label: "one", left: { label: "two" }, children: [{}, {}] });
    // 4 nodes and their lists, 2 texts
    expect(liveObjects(heap) - before).toBe(10);
    expect(node.value).toBe(1);
  });
});
