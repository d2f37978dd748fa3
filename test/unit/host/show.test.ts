import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import {
  any,
  bool,
  dict,
  f64,
  i64,
  list,
  optional,
  release,
  set,
  str,
  struct,
  tuple,
} from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { leaksNothing, messageOf } from "./support.js";

class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
  get others() {
    return list(Node);
  },
}) {}
const Point = struct("Point", { x: f64, y: f64, isOrigin: bool });

describe("a heap object in console.log", () => {
  it("is its type and its contents, as the nearest host container", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1.5 });
    using items = heap.new(list(any), [1, "two", null, true, point]);
    using table = heap.new(dict(str, f64), [["one", 1]]);
    using members = heap.new(set(any), ["a", 2]);
    using pair = heap.new(tuple(str, f64), ["a", 2]);
    using big = heap.new(struct("Big", { whole: i64 }), { whole: 5n });
    expect([point, table, members, pair, big].map((object) => inspect(object))).toEqual([
      "Point { x: 1.5, y: 0, isOrigin: false }",
      "dict(str, f64) Map(1) { 'one' => 1 }",
      "set(any) Set(2) { 'a', 2 }",
      "tuple(str, f64) [ 'a', 2 ]",
      "Big { whole: 5n }",
    ]);
    expect(inspect(items, { breakLength: Infinity, compact: true })).toBe(
      "list(any) [ 1, 'two', null, true, Point { x: 1.5, y: 0, isOrigin: false } ]",
    );
    expect(inspect({ inside: point })).toBe("{ inside: Point { x: 1.5, y: 0, isOrigin: false } }");
  });

  it("is as deep as plain objects are", () => {
    const heap = makeHeap();
    interface Plain {
      next: Plain | null;
    }
    const Link = class Link extends struct("Link", {
      get next() {
        return optional(Link);
      },
    }) {};
    let plain: Plain = { next: null };
    for (let level = 0; level < 6; level++) plain = { next: plain };
    using link = heap.new(Link, plain as never);
    for (const depth of [0, 1, 2, 4, 10, null, undefined]) {
      const shown = inspect(link, { depth, compact: true, breakLength: Infinity });
      const expected = inspect(plain, { depth, compact: true, breakLength: Infinity });
      expect(shown.replaceAll("Link {", "{").replace("[Link]", "[Object]")).toBe(expected);
    }
  });

  it("names a cycle where it comes round, and shows twice what is shared", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { name: "a" });
    node.next = node;
    expect(inspect(node)).toBe("Node { name: 'a', next: [Circular Node], others: list(Node) [] }");
    node.next = null;
    using items = heap.new(list(Node), [node, node]);
    expect(inspect(items).match(/name: 'a'/g)).toHaveLength(2);
    expect(inspect(items)).not.toContain("Circular");
  });

  it("is shown after an error within one as before", () => {
    const heap = makeHeap();
    class Broken extends struct("Broken", {}) {
      [inspect.custom]() {
        throw new RangeError("cannot be shown");
      }
    }
    using broken = heap.new(Broken, {});
    using items = heap.new(list(any), [broken]);
    expect(() => inspect(items)).toThrow("cannot be shown");
    items.clear();
    expect(inspect(items)).toBe("list(any) []");
  });

  it("of one heap is not taken for that of another at the same address", () => {
    const [one, two] = [makeHeap(), makeHeap()];
    using inner = two.new(list(any), ["inner"]);
    class Window extends struct("Window", {}) {
      [inspect.custom]() {
        return `Window on ${inspect(inner)}`;
      }
    }
    using outer = one.new(list(any), []);
    using window = one.new(Window, {});
    outer.push(window);
    expect(inspect(outer)).toBe("list(any) [ Window on list(any) [ 'inner' ] ]");
  });

  it("says how much of a large container it leaves out", () => {
    const heap = makeHeap();
    const numbers = Array.from({ length: 250 }, (_, index) => index);
    using items = heap.new(list(f64), numbers);
    using members = heap.new(set(f64), numbers);
    using table = heap.new(
      dict(f64, bool),
      numbers.map((number) => [number, true] as const),
    );
    for (const object of [items, members, table]) {
      expect(inspect(object)).toContain("... 150 more items");
      expect(inspect(object, { maxArrayLength: 3 })).toContain("... 247 more items");
      expect(inspect(object, { maxArrayLength: 0 })).toContain("... 250 more items");
      expect(inspect(object, { maxArrayLength: null })).not.toContain("more item");
      expect(inspect(object, { maxArrayLength: Infinity })).toContain("249");
    }
    expect(inspect(members)).toMatch(/^set\(f64\) Set\(250\) \{\n/);
    expect(inspect(table, { maxArrayLength: 1 })).toMatch(/^dict\(f64, bool\) Map\(250\) \{ 0 => true,/);
  });

  it("reads no more of a large container than it shows", () => {
    const heap = makeHeap();
    using items = heap.new(list(f64), Array<number>(1000).fill(1));
    let read = 0;
    Object.defineProperty(items, Symbol.iterator, {
      *value() {
        for (let index = 0; index < items.length; index++) {
          read++;
          yield items.at(index);
        }
      },
    });
    inspect(items, { maxArrayLength: 3 });
    expect(read).toBeLessThanOrEqual(4);
  });

  it("says so when it is not alive", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: {} });
    const borrow = node.next;
    node.next = null;
    const released = heap.new(Point, {});
    release(released);
    expect([inspect(borrow), inspect(released)]).toEqual(["[Node: not alive]", "[Point: not alive]"]);
  });

  it("is as its class shows itself, if that does", () => {
    const heap = makeHeap();
    class Shy extends struct("Shy", { secret: str }) {
      [inspect.custom]() {
        return "Shy <hidden>";
      }
    }
    using items = heap.new(list(Shy), [{ secret: "x" }]);
    expect(inspect(items)).toBe("list(Shy) [ Shy <hidden> ]");
  });

  it("takes no reference", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: { others: [{}] } });
    leaksNothing(heap, () => inspect(node, { depth: null }));
  });
});

describe("a heap object in JSON", () => {
  const json = (value: unknown) => JSON.parse(JSON.stringify(value));

  it("is an object, or an array of items or pairs; an i64 is a string of digits", () => {
    const heap = makeHeap();
    const All = struct("All", {
      point: Point,
      items: list(any),
      names: dict(str, f64),
      pairs: dict(f64, str),
      members: set(str),
      pair: tuple(i64, bool),
    });
    using all = heap.new(All, {
      point: { x: Number.NaN },
      items: [1, null, "text", true],
      names: [["__proto__", 1]],
      pairs: [
        [1, "one"],
        [2, "two"],
      ],
      members: ["b", "a"],
      pair: [-(2n ** 63n), true],
    });
    expect(JSON.stringify(all)).toBe(
      '{"point":{"x":null,"y":0,"isOrigin":false},"items":[1,null,"text",true],"names":{"__proto__":1},' +
        '"pairs":[[1,"one"],[2,"two"]],"members":["b","a"],"pair":["-9223372036854775808",true]}',
    );
    expect(json({ inside: all.point })).toEqual({ inside: { x: null, y: 0, isOrigin: false } });
  });

  it("has a path for a way back, and twice what is only shared", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { name: "root", others: [{ name: "child" }, {}] });
    const child = node.others.at(0)!;
    child.next = node;
    node.others.at(1)!.next = child;
    expect(json(node)).toEqual({
      name: "root",
      next: null,
      others: [
        { name: "child", next: { $ref: "$" }, others: [] },
        { name: "", next: { name: "child", next: { $ref: "$" }, others: [] }, others: [] },
      ],
    });
    child.next = child;
    expect(json(node).others[0].next).toEqual({ $ref: "$.others[0]" });
    node.others.clear();
  });

  it("has paths through all kinds of containers", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", { table: dict(str, any), pairs: dict(any, any) });
    using holder = heap.new(Holder, {});
    using items = heap.new(list(any), []);
    items.push(items);
    holder.table.set("a key", items);
    holder.pairs.set("k", items);
    holder.pairs.set(items, 0);
    expect(json(holder)).toEqual({
      table: { "a key": [{ $ref: '$.table["a key"]' }] },
      pairs: [
        ["k", [{ $ref: "$.pairs[0][1]" }]],
        [[{ $ref: "$.pairs[1][0]" }], 0],
      ],
    });
    items.clear();
  });

  it("is what its class makes of it, if that does", () => {
    const heap = makeHeap();
    class Money extends struct("Money", { cents: f64 }) {
      toJSON() {
        return (this.cents / 100).toFixed(2);
      }
    }
    using prices = heap.new(dict(str, Money), [["tea", { cents: 250 }]]);
    expect(JSON.stringify(prices)).toBe('{"tea":"2.50"}');
    expect(JSON.stringify(prices.get("tea"))).toBe('"2.50"');
  });

  it("of what is not alive is an error", () => {
    const heap = makeHeap();
    const point = heap.new(Point, {});
    release(point);
    messageOf("USE_AFTER_RELEASE", () => JSON.stringify(point));
  });
});
