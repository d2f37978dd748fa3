import { describe, expect, it } from "vitest";
import {
  any,
  DeadReferenceError,
  f64,
  finalizer,
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
  typeName,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { heapError, leaksNothing, messageOf } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  label: str,
  get next() {
    return optional(Node);
  },
}) {
  double() {
    return this.value * 2;
  }
  get loud() {
    return this.label.toUpperCase();
  }
  rename(label: string) {
    this.label = label;
    return this;
  }
}

class Watched extends struct("Watched", {
  name: str,
  get first() {
    return any;
  },
  get second() {
    return any;
  },
}) {
  static deaths: string[] = [];
  [finalizer]() {
    Watched.deaths.push(this.name);
  }
}

describe("a weak proxy", () => {
  it("holds its target while a field is written through it, as Python's does", () => {
    const heap = makeExactHeap();
    const leaf = heap.new(Watched, { name: "leaf" });
    const target = heap.new(Watched, { name: "target" });
    const old = heap.new(Watched, { name: "old", first: target, second: leaf });
    target.first = old;
    const proxy = heap.weakref.proxy(target);
    for (const handle of [leaf, old, target]) release(handle);
    Watched.deaths = [];
    proxy.first = null;
    // The old value is gone with all that it held before the target, which only it still held, dies.
    expect(Watched.deaths).toEqual(["old", "leaf", "target"]);
    release(proxy);
  });

  it("passes reads, writes, accessors and methods on to its target", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { value: 2, label: "a", next: { value: 5 } });
    using proxy = heap.weakref.proxy(node);
    expect([proxy.value, proxy.label, proxy.loud, proxy.double(), proxy.next!.value]).toEqual([
      2,
      "a",
      "A",
      4,
      5,
    ]);
    proxy.value = 7;
    proxy.next = null;
    expect([node.value, node.next, proxy.rename("b").label, node.label]).toEqual([7, null, "b", "b"]);
    expect(() => {
      proxy.value = "text" as never;
    }).toThrow("Node.value");
    expect([proxy instanceof Node, "value" in proxy, "missing" in proxy, isA(Node, proxy)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
  });

  it("stands in for a set: has, add, size, iteration", () => {
    const heap = makeHeap();
    const members = heap.new(set(f64), [1, 2]);
    using proxy = heap.weakref.proxy(members);
    proxy.add(3).delete(1);
    expect([proxy.has(3), proxy.size, [...proxy], [...members]]).toEqual([true, 2, [2, 3], [2, 3]]);
    release(members);
    heapError("DEAD_REFERENCE", () => proxy.size);
    heapError("DEAD_REFERENCE", () => [...proxy]);
  });

  it("does not keep its target, and is dead with it: every use then throws", () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    using other = heap.new(Node, {});
    const proxy = heap.weakref.proxy(node);
    expect(refcount(node)).toBe(1);
    release(node);
    for (const use of [
      () => proxy.value,
      () => proxy.double(),
      () => {
        proxy.value = 1;
      },
      () => "value" in proxy,
      () => proxy instanceof Node,
      () => retain(proxy),
      () => is(proxy, other),
      () => refcount(proxy),
      () => {
        other.next = proxy;
      },
    ]) {
      const error = heapError("DEAD_REFERENCE", use);
      expect(error).toBeInstanceOf(DeadReferenceError);
      expect(error.message).toBe("The object that this weak proxy stood for is gone.");
    }
    expect(other.next).toBeNull();
    proxy[Symbol.dispose]();
  });

  it("passes for its target wherever a reference goes", () => {
    const heap = makeExactHeap();
    using node = heap.new(Node, { value: 3 });
    using proxy = heap.weakref.proxy(node);
    expect([is(proxy, node), id(proxy), typeName(proxy), refcount(proxy)]).toEqual([
      true,
      id(node),
      "Node",
      1,
    ]);
    {
      using held = retain(proxy);
      using holder = heap.new(Node, { next: proxy });
      using nodes = heap.new(list(Node), [proxy, node]);
      using things = heap.new(list(any), [proxy]);
      nodes.push(proxy);
      expect([refcount(node), is(held, node), is(holder.next, node), nodes.indexOf(proxy)]).toEqual([
        7,
        true,
        true,
        0,
      ]);
      expect(is(things.at(0) as never, node)).toBe(true);
    }
    expect([refcount(node), heap.toJS(proxy)]).toEqual([1, { value: 3, label: "", next: null }]);
  });

  it("is shared like a reference, each holder releasing its own", () => {
    const heap = makeExactHeap();
    leaksNothing(heap, () => {
      using node = heap.new(Node, { value: 1 });
      const [first, second] = [heap.weakref.proxy(node), heap.weakref.proxy(node)];
      expect(heap.weakref.getWeakrefCount(node)).toBe(1);
      first[Symbol.dispose]();
      messageOf("USE_AFTER_RELEASE", () => first.value);
      messageOf("DOUBLE_RELEASE", () => first[Symbol.dispose]());
      expect(second.value).toBe(1);
      release(second as never);
      expect(heap.weakref.getWeakrefCount(node)).toBe(0);
    });
  });

  it("may have a callback, which is called with its weak reference", () => {
    const heap = makeExactHeap();
    const node = heap.new(Node, {});
    const seen: unknown[] = [];
    using proxy = heap.weakref.proxy(node, (ref) => seen.push([typeName(ref), ref.alive, ref.deref()]));
    release(node);
    expect(seen).toEqual([["weakref", false, undefined]]);
    heapError("DEAD_REFERENCE", () => proxy.value);
  });

  it("lists no keys", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    using proxy = heap.weakref.proxy(node);
    expect(Object.keys(proxy)).toEqual([]);
  });

  it("can be left to a scope", () => {
    const heap = makeExactHeap();
    using node = heap.new(Node, {});
    heap.scope((scope) => {
      const proxy = heap.weakref.proxy(node);
      scope.defer(() => proxy[Symbol.dispose]());
      expect(heap.weakref.getWeakrefCount(node)).toBe(1);
    });
    expect(heap.weakref.getWeakrefCount(node)).toBe(0);
  });
});
