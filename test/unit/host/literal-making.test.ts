/** How objects are made of a literal: in which order, with the program's code between the steps, and of what size. */
import { expect, it } from "vitest";
import {
  any,
  dict,
  f64,
  i64,
  list,
  optional,
  refcount,
  release,
  set,
  str,
  struct,
  tuple,
  u8,
} from "../../../src/index.js";
import { Labelled, Node, Point } from "./literal-types.js";
import {
  describeBothMakers,
  leaksNothing,
  liveObjects,
  messageOf,
  thrownBy,
  verifyInside,
} from "./support.js";

/** A type a thousand words long: larger than half a page, so that it is made without text whatever the process allows. */
const wideShape = Object.fromEntries(
  Array.from({ length: 700 }, (_, index) => [
    `field${index}`,
    [f64, str, any, optional(Node), u8, i64, list(f64)][index % 7],
  ]),
);
const WIDE_NAMES = Object.keys(wideShape);

describeBothMakers("a literal", ({ makeHeap, makeExactHeap }) => {
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
