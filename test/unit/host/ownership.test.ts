import { describe, expect, it } from "vitest";
import {
  any,
  as,
  dict,
  f64,
  i32,
  id,
  is,
  isA,
  list,
  optional,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
  typeName,
} from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}
const Point = struct("Point", { x: f64 });

/** What is no reference at all. */
const NOTHINGS = [undefined, null, 5, "node", true, {}, [], () => {}] as never[];

describe("retain", () => {
  it("gives a new handle to what a handle or a borrow leads to", () => {
    const heap = makeHeap();
    const node = heap.new(Node, { next: { value: 2 } });
    const kept = retain(node.next!);
    const again = retain(kept);
    expect([refcount(kept), is(kept, again), kept === again]).toEqual([3, true, false]);
    release(node);
    expect(kept.value).toBe(2);
    release(kept);
    release(again);
  });

  it("refuses what is no reference", () => {
    for (const value of NOTHINGS)
      expect(messageOf("INVALID_ARGUMENT", () => retain(value))).toMatch(
        /^retain takes a reference to a heap object, got /,
      );
  });
});

describe("release", () => {
  it("refuses what is no handle", () => {
    for (const value of NOTHINGS)
      expect(messageOf("INVALID_ARGUMENT", () => release(value))).toMatch(/^release takes a handle, got /);
  });
});

describe("is", () => {
  it("says whether two references lead to one object", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { value: 1, next: { value: 1 } });
    using same = retain(node);
    expect([is(node, node), is(node, same), is(node, node.next), is(node.next, node.next)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect([is(null, null), is(node, null), is(null, node)]).toEqual([true, false, false]);
  });

  it("does not take objects at one address in two heaps for one", () => {
    using a = makeHeap({ checks: "off" }).new(Node, {});
    using b = makeHeap({ checks: "off" }).new(Node, {});
    expect(id(a)).toBe(id(b));
    expect(is(a, b)).toBe(false);
  });

  it("refuses what is no reference, and references that are stale", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    const stale = heap.new(Node, {});
    release(stale);
    for (const value of NOTHINGS.filter((value) => value !== null))
      messageOf("INVALID_ARGUMENT", () => is(node, value));
    messageOf("USE_AFTER_RELEASE", () => is(stale, node));
    messageOf("USE_AFTER_RELEASE", () => is(node, stale));
  });
});

describe("id, refcount and typeName", () => {
  it("say what an object is, how often it is held, and what type it has", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    using nodes = heap.new(list(Node), [node, node]);
    expect(id(nodes.at(0)!)).toBe(id(node));
    expect(id(node) % 8).toBe(0);
    expect([refcount(node), refcount(nodes.at(1)!), refcount(nodes)]).toEqual([3, 3, 1]);
    const names = [
      node,
      nodes,
      heap.new(dict(str, any), []),
      heap.new(set(str), []),
      heap.new(tuple(f64), [1]),
      heap.gc.garbage,
    ].map(typeName);
    expect(names).toEqual(["Node", "list", "dict", "set", "tuple", "list"]);
  });

  it("refuse what is no reference", () => {
    for (const verb of [id, refcount, typeName])
      for (const value of NOTHINGS)
        expect(messageOf("INVALID_ARGUMENT", () => verb(value))).toMatch(
          new RegExp(`^${verb.name} takes a reference to a heap object, got `),
        );
  });
});

describe("isA and as", () => {
  it("tell the type of a reference that may be of several", () => {
    const heap = makeHeap();
    using items = heap.new(list(any), [1, "a", null, true]);
    items.push(heap.scope((scope) => scope.new(Node, { value: 7 })));
    items.push(heap.scope((scope) => scope.new(list(f64), [8])));
    const [number, text, nothing, bool, node, numbers] = items;
    expect([number, text, nothing, bool, node, numbers].map((item) => isA(Node, item))).toEqual([
      false,
      false,
      false,
      false,
      true,
      false,
    ]);
    expect([isA(list(f64), numbers), isA(list(i32), numbers), isA(Point, node)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(as(Node, node).value).toBe(7);
    expect(as(Node, node)).toBe(node);
    expect(as(list(f64), numbers).at(0)).toBe(8);
  });

  it("say what was wanted and what came", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    using numbers = heap.new(list(f64), []);
    expect(messageOf("TYPE_MISMATCH", () => as(Point, node))).toBe("Expected a Point, got a Node.");
    expect(messageOf("TYPE_MISMATCH", () => as(Node, numbers))).toBe("Expected a Node, got a list(f64).");
    expect(messageOf("TYPE_MISMATCH", () => as(list(i32), numbers))).toBe(
      "Expected a list(i32), got a list(f64).",
    );
    expect(messageOf("TYPE_MISMATCH", () => as(Node, "node"))).toBe('Expected a Node, got "node".');
    expect(messageOf("TYPE_MISMATCH", () => as(Node, null))).toBe("Expected a Node, got null.");
  });

  it("refuse types without identity, what is no type, and stale references", () => {
    const heap = makeHeap();
    const stale = heap.new(Node, {});
    release(stale);
    for (const type of [f64, str, any, optional(Node)] as never[])
      expect(messageOf("INVALID_ARGUMENT", () => isA(type, stale))).toContain(
        "isA takes a struct or container type",
      );
    for (const type of [5, null, Map, {}] as never[]) messageOf("INVALID_ARGUMENT", () => as(type, stale));
    messageOf("USE_AFTER_RELEASE", () => isA(Node, stale));
    messageOf("USE_AFTER_RELEASE", () => as(Node, stale));
  });

  it("agree with instanceof about structs", () => {
    using node = makeHeap().new(Node, { next: {} });
    expect([node instanceof Node, node.next instanceof Node, (node as object) instanceof Point]).toEqual([
      true,
      true,
      false,
    ]);
  });
});
