import { describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  f64,
  finalizer,
  Heap,
  i32,
  is,
  list,
  optional,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { leaksNothing, messageOf } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}
const Bare = struct("Bare", { x: f64 }, { weakrefs: false });

describe("weakref.ref", () => {
  it("is one object for all who ask without a callback, null and undefined being none", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    using ref = heap.weakref.ref(node);
    for (const callback of [undefined, null]) {
      using again = heap.weakref.ref(node, callback);
      expect([is(again, ref), refcount(ref)]).toEqual([true, 2]);
    }
    expect([refcount(ref), refcount(node), heap.weakref.getWeakrefCount(node)]).toEqual([1, 1, 1]);
  });

  it("is a new one with a callback, which is called with it when the target dies", () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    const calls: unknown[] = [];
    const callback = (ref: Borrowed) => calls.push(ref);
    using first = heap.weakref.ref(node, callback);
    using second = heap.weakref.ref(node, callback);
    expect(is(first, second)).toBe(false);
    release(node);
    expect(calls).toHaveLength(2);
    expect([is(calls[0] as Borrowed, second), is(calls[1] as Borrowed, first)]).toEqual([true, true]);
  });

  it("may lead to any struct and to a set, through handles, borrows and proxies", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: { value: 2 } });
    using members = heap.new(set(any), [1]);
    using proxy = heap.weakref.proxy(node);
    using toBorrow = heap.weakref.ref(node.next!);
    using toSet = heap.weakref.ref(members);
    using toProxied = heap.weakref.ref(proxy);
    using strong = toBorrow.deref();
    using sameSet = toSet.deref();
    using same = toProxied.deref();
    expect([strong!.value, is(sameSet!, members), is(same!, node)]).toEqual([2, true, true]);
  });

  it("refuses what cannot be weakly referenced, and leaves nothing behind", () => {
    const heap = makeExactHeap();
    const cases: [Borrowed & Disposable, string][] = [
      [heap.new(list(f64), []), "list(f64)"],
      [heap.new(dict(str, any), []), "dict(str, any)"],
      [heap.new(tuple(f64), [1]), "tuple(f64)"],
      [heap.new(Bare, {}), "Bare"],
      [heap.from({}), "dict(str, any)"],
      [heap.weakref.ref(heap.new(Node, {})), "weakref"],
    ];
    leaksNothing(heap, () => {
      for (const [object, text] of cases)
        for (const make of [
          () => heap.weakref.ref(object),
          () => heap.weakref.ref(object, () => {}),
          () => heap.weakref.proxy(object),
          () => heap.weakref.finalize(object, () => {}),
          () => heap.weakref.valueDictionary<string, Borrowed>().set("key", object),
          () => heap.weakref.keyDictionary<Borrowed, number>().set(object, 1),
          () => heap.weakref.set<Borrowed>().add(object),
        ]) {
          expect(messageOf("INVALID_ARGUMENT", make)).toBe(
            `A ${text} cannot be weakly referenced, only structs (without { weakrefs: false }), sets and foreign values.`,
          );
          expect(refcount(object)).toBe(1);
        }
    });
  });

  it("refuses what is no object of this heap", () => {
    const heap = makeHeap();
    const other = makeHeap();
    using foreign = other.new(Node, {});
    for (const [value, shown] of [
      ["text", '"text"'],
      [5, "5"],
      [null, "null"],
      [undefined, "undefined"],
      [{}, "an object"],
      [foreign, "an instance of Node"],
    ] as const) {
      const wanted = `Expected an object of this heap, got ${shown}.`;
      for (const use of [
        () => heap.weakref.ref(value as never),
        () => heap.weakref.proxy(value as never),
        () => heap.weakref.getWeakrefCount(value as never),
        () => heap.weakref.getWeakrefs(value as never),
      ])
        expect(messageOf("INVALID_ARGUMENT", use)).toBe(wanted);
    }
  });

  it("refuses a callback that is no function", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    for (const [callback, shown] of [
      [5, "5"],
      ["text", '"text"'],
      [{}, "an object"],
      [false, "false"],
    ] as const)
      for (const make of [
        () => heap.weakref.ref(node, callback as never),
        () => heap.weakref.proxy(node, callback as never),
      ])
        expect(messageOf("INVALID_ARGUMENT", make)).toBe(
          `A weak reference's callback is a function, got ${shown}.`,
        );
    expect(heap.weakref.getWeakrefCount(node)).toBe(0);
  });

  it("refuses a handle that was released, a stale borrow, and a heap that has ended", () => {
    const heap = makeHeap();
    const node = heap.new(Node, { next: {} });
    const borrow = node.next!;
    node.next = null;
    messageOf("STALE_REFERENCE", () => heap.weakref.ref(borrow));
    release(node);
    messageOf("USE_AFTER_RELEASE", () => heap.weakref.ref(node));
    const ended = Heap.create({ maximumBytes: 1 << 20 });
    const last = ended.new(Node, {});
    const ref = ended.weakref.ref(last);
    ended[Symbol.dispose]();
    messageOf("HEAP_DISPOSED", () => ended.weakref.ref(last));
    messageOf("HEAP_DISPOSED", () => ref.deref());
    messageOf("HEAP_DISPOSED", () => ref.alive);
  });

  it("holds its target while a collection that its own allocation starts runs user code", () => {
    const heap = makeExactHeap();
    let node = heap.new(Node, { value: 5 });
    class Probe extends struct("Probe", {
      get self() {
        return optional(Probe);
      },
    }) {
      [finalizer]() {
        release(node);
      }
    }
    const probe = heap.new(Probe, {});
    probe.self = probe;
    release(probe);
    heap.gc.setThreshold(1, 1, 1);
    const calls: boolean[] = [];
    using ref = heap.weakref.ref(node, (dead) => calls.push(dead.alive));
    // The finalizer took the last handle: the target died as soon as the weak reference was made.
    expect([ref.alive, calls]).toEqual([false, [false]]);
    heap.gc.setThreshold(700, 10, 10);
    node = heap.new(Node, {});
    release(node);
  });
});

describe("getWeakrefs and getWeakrefCount", () => {
  it("tell the shared reference, the shared proxy, then those with a callback, newest first", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    expect([heap.weakref.getWeakrefs(node), heap.weakref.getWeakrefCount(node)]).toEqual([[], 0]);
    using first = heap.weakref.ref(node, () => {});
    using proxy = heap.weakref.proxy(node);
    using second = heap.weakref.ref(node, () => {});
    using shared = heap.weakref.ref(node);
    using other = heap.weakref.proxy(node);
    const found = heap.weakref.getWeakrefs(node);
    expect(found.map((ref) => ref.hasCallback)).toEqual([false, false, true, true]);
    expect([is(found[0], shared), is(found[2], second), is(found[3], first)]).toEqual([true, true, true]);
    expect(heap.weakref.getWeakrefCount(node)).toBe(4);
    expect(refcount(found[1])).toBe(2); // the proxy, twice
    expect([proxy.value, other.value]).toEqual([0, 0]);
    messageOf("INVALID_ARGUMENT", () => release(found[0] as never)); // borrowed
  });

  it("find none where there can be none", () => {
    const heap = makeHeap();
    using numbers = heap.new(list(f64), [1]);
    using bare = heap.new(Bare, {});
    for (const object of [numbers, bare] as Borrowed[])
      expect([heap.weakref.getWeakrefs(object), heap.weakref.getWeakrefCount(object)]).toEqual([[], 0]);
  });
});

describe("an object with a finalizer", () => {
  it("has its weak references in it, and callbacks behind it; none after it was brought back by a collection", () => {
    const heap = makeExactHeap();
    const log: unknown[] = [];
    let keep = false;
    class Probe extends struct("Probe", {
      get self() {
        return optional(Probe);
      },
    }) {
      [finalizer]() {
        log.push(`finalizer, ${heap.weakref.getWeakrefCount(this)} live`);
        if (keep) retain(this);
      }
    }
    const byCount = heap.new(Probe, {});
    using _first = heap.weakref.ref(byCount, () => log.push("callback"));
    release(byCount);
    expect(log.splice(0)).toEqual(["finalizer, 1 live", "callback"]);
    const cycle = heap.new(Probe, {});
    cycle.self = cycle;
    using ref = heap.weakref.ref(cycle, () => log.push("callback"));
    keep = true;
    release(cycle);
    heap.gc.collect();
    expect([log, ref.alive]).toEqual([["callback", "finalizer, 0 live"], false]);
  });
});
