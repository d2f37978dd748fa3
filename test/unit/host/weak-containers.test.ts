import { describe, expect, it } from "vitest";
import {
  f64,
  finalizer,
  type Handle,
  type Heap,
  i32,
  is,
  optional,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}
type NodeHandle = Handle<Node>;

class Watched extends struct("Watched", { name: str }) {
  static dies: (name: string) => void = () => {};
  [finalizer]() {
    Watched.dies(this.name);
  }
}

function makeNodes(heap: Heap, count: number): NodeHandle[] {
  return Array.from({ length: count }, (_, value) => heap.new(Node, { value }));
}

describe("a weak value dictionary", () => {
  it("finds its values while they live, as new strong references", () => {
    const heap = makeHeap();
    const cache = heap.weakref.valueDictionary<string, Node>();
    const [a, b] = makeNodes(heap, 2);
    expect(cache.set("a", a).set("b", b)).toBe(cache);
    expect([cache.size, cache.has("a"), cache.has("c"), refcount(a)]).toEqual([2, true, false, 1]);
    const found = cache.get("a")!;
    expect([is(found, a), refcount(a), cache.get("c")]).toEqual([true, 2, undefined]);
    release(a);
    expect(cache.has("a")).toBe(true);
    release(found);
    expect([cache.has("a"), cache.get("a"), cache.size, [...cache].length]).toEqual([false, undefined, 1, 1]);
    cache[Symbol.dispose]();
    release(b);
  });

  it("takes numbers for keys too, and keeps the order of insertion", () => {
    const heap = makeHeap();
    using cache = heap.weakref.valueDictionary<number, Node>();
    const nodes = makeNodes(heap, 3);
    for (const node of nodes.toReversed()) cache.set(node.value, node);
    expect([...cache].map(([key]) => key)).toEqual([2, 1, 0]);
    cache.set(2, nodes[0]);
    const seen: [number, number][] = [];
    for (const [key, node] of cache) seen.push([key, node.value]);
    expect(seen).toEqual([
      [2, 0],
      [1, 1],
      [0, 0],
    ]);
    for (const node of nodes) release(node);
    expect(cache.size).toBe(0);
  });

  it("does not remove a newer value when the older one dies", () => {
    const heap = makeHeap();
    using cache = heap.weakref.valueDictionary<string, Node>();
    const [old, young] = makeNodes(heap, 2);
    cache.set("key", old);
    cache.set("key", young);
    expect(heap.weakref.getWeakrefCount(old)).toBe(0);
    release(old);
    expect([cache.size, cache.get("key")?.[Symbol.dispose]()]).toEqual([1, undefined]);
    expect(cache.has("key")).toBe(true);
    release(young);
    expect(cache.size).toBe(0);
  });

  it("loses values that a collection frees", () => {
    const heap = makeHeap();
    using cache = heap.weakref.valueDictionary<string, Node>();
    const [node] = makeNodes(heap, 1);
    node.next = node;
    cache.set("key", node);
    release(node);
    heap.gc.collect();
    expect([cache.size, cache.has("key")]).toEqual([0, false]);
  });

  it("deletes by key, and says whether there was a live value", () => {
    const heap = makeHeap();
    using cache = heap.weakref.valueDictionary<string, Node>();
    const [node] = makeNodes(heap, 1);
    cache.set("key", node);
    expect([cache.delete("key"), cache.delete("key"), cache.size]).toEqual([true, false, 0]);
    expect(heap.weakref.getWeakrefCount(node)).toBe(0);
    release(node);
  });

  it("puts removals off while an iterator is open, and shows the dead to nobody", () => {
    const heap = makeHeap();
    using cache = heap.weakref.valueDictionary<string, Node>();
    const nodes = makeNodes(heap, 5);
    for (const node of nodes) cache.set(`n${node.value}`, node);
    const seen: string[] = [];
    for (const [key, node] of cache) {
      seen.push(key);
      if (node.value === 1) {
        release(nodes[0]);
        release(nodes[3]);
        expect([cache.size, cache.has("n0"), cache.get("n3"), cache.delete("n3")]).toEqual([
          ...[3, false],
          ...[undefined, false],
        ]);
      }
    }
    expect([seen, cache.size]).toEqual([["n0", "n1", "n2", "n4"], 3]);
    for (const index of [1, 2, 4]) release(nodes[index]);
  });

  it("waits for the last of several iterators, be they left early", () => {
    const heap = makeExactHeap();
    using cache = heap.weakref.valueDictionary<string, Node>();
    const nodes = makeNodes(heap, 3);
    for (const node of nodes) cache.set(`n${node.value}`, node);
    const [first, second] = [cache[Symbol.iterator](), cache[Symbol.iterator]()];
    first.next();
    second.next();
    const before = liveObjects(heap);
    release(nodes[1]);
    expect([cache.size, liveObjects(heap)]).toEqual([2, before - 1]); // its weak reference stays
    first.return!();
    expect(liveObjects(heap)).toBe(before - 1);
    second.return!();
    expect([cache.size, liveObjects(heap)]).toEqual([2, before - 2]);
    release(nodes[0]);
    release(nodes[2]);
  });

  it("can replace a dead value while an iterator is open: the new one stays", () => {
    const heap = makeExactHeap();
    const empty = liveObjects(heap);
    const cache = heap.weakref.valueDictionary<string, Node>();
    const [a, b, c] = makeNodes(heap, 3);
    cache.set("a", a).set("b", b);
    for (const [key] of cache) {
      if (key !== "b") continue;
      release(a);
      cache.set("a", c);
      expect([cache.size, cache.has("a")]).toEqual([2, true]);
    }
    expect([[...cache].map(([key]) => key), cache.size]).toEqual([["a", "b"], 2]);
    release(b);
    release(c);
    expect([cache.size, liveObjects(heap)]).toEqual([0, empty]);
  });

  it("lets go of a value only after the next one is taken, and at the end after the waiting removals", () => {
    const heap = makeExactHeap();
    using cache = heap.weakref.valueDictionary<string, Watched>();
    const names = ["a", "b", "c"];
    const owned = new Map(names.map((name) => [name, heap.new(Watched, { name })]));
    for (const [name, handle] of owned) cache.set(name, handle);
    const drop = (name: string) => {
      const handle = owned.get(name);
      owned.delete(name);
      if (handle !== undefined) release(handle);
    };
    const seen: unknown[] = [];
    Watched.dies = (name) => {
      seen.push(`${name} dies of ${cache.size}`);
      if (name === "a") drop("b"); // the iterator holds it by now
    };
    for (const [name] of cache) {
      seen.push(name);
      if (name === "a") drop("a");
    }
    // Of the three the first is waiting when the iterator ends, and the last is dropped after that.
    expect(seen).toEqual(["a", "a dies of 3", "b", "b dies of 2", "c"]);
    drop("c");
    expect([seen.at(-1), cache.size]).toEqual(["c dies of 1", 0]);
  });

  it("holds the value of the current step, and no longer", () => {
    const heap = makeExactHeap();
    using cache = heap.weakref.valueDictionary<string, Node>();
    const [a, b] = makeNodes(heap, 2);
    cache.set("a", a).set("b", b);
    const counts: number[] = [];
    for (const [key, node] of cache) {
      if (key === "a") release(a);
      counts.push(node.value, refcount(node), refcount(b));
    }
    expect([counts, cache.size, refcount(b)]).toEqual([[0, 1, 1, 1, 2, 2], 1, 1]);
    for (const [key] of cache) if (key === "b") break;
    expect(refcount(b)).toBe(1);
    expect(() => {
      for (const _ of cache) throw new Error("out of the loop");
    }).toThrow("out of the loop");
    expect(refcount(b)).toBe(1);
    release(b);
    expect(cache.size).toBe(0);
  });

  it("can be emptied, also in a loop over it, and used again", () => {
    const heap = makeExactHeap();
    const cache = heap.weakref.valueDictionary<string, Node>();
    const [a, b] = makeNodes(heap, 2);
    const empty = liveObjects(heap);
    cache.set("a", a).set("b", b);
    const seen: string[] = [];
    for (const [key] of cache) {
      seen.push(key);
      cache[Symbol.dispose]();
    }
    expect([seen, cache.size, liveObjects(heap)]).toEqual([["a"], 0, empty]);
    cache.set("b", b);
    expect(cache.size).toBe(1);
    release(a);
    release(b);
    expect(cache.size).toBe(0);
  });

  it("keeps the value while its own allocation collects", () => {
    const heap = makeExactHeap();
    using cache = heap.weakref.valueDictionary<string, Node>();
    const [node] = makeNodes(heap, 1);
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
    cache.set("key", node);
    heap.gc.setThreshold(700, 10, 10);
    expect([cache.size, cache.has("key")]).toEqual([0, false]);
  });

  it("leaves nothing behind when all values are gone", () => {
    const heap = makeExactHeap();
    leaksNothing(heap, () => {
      const cache = heap.weakref.valueDictionary<number, Node>();
      const nodes = makeNodes(heap, 50);
      for (const node of nodes) cache.set(node.value % 20, node);
      for (const node of nodes) release(node);
      expect(cache.size).toBe(0);
    });
  });
});

describe("a weak key dictionary", () => {
  it("finds by identity, through any reference to the object", () => {
    const heap = makeHeap();
    using notes = heap.weakref.keyDictionary<Node, string>();
    const [a, b, c] = makeNodes(heap, 3);
    a.next = b;
    using proxy = heap.weakref.proxy(a);
    using again = retain(a);
    expect(notes.set(a, "of a").set(a.next!, "of b")).toBe(notes);
    expect([notes.get(again), notes.get(proxy), notes.get(b), notes.get(c)]).toEqual([
      "of a",
      "of a",
      "of b",
      undefined,
    ]);
    expect([notes.has(b), notes.has(c), notes.size, refcount(b)]).toEqual([true, false, 2, 2]);
    notes.set(a, "changed");
    expect([notes.get(a), notes.size, heap.weakref.getWeakrefCount(a)]).toEqual(["changed", 2, 2]);
    expect([notes.delete(b), notes.delete(b), notes.delete(c)]).toEqual([true, false, false]);
    for (const node of [a, b, c]) release(node);
  });

  it("drops its value with the key", () => {
    const heap = makeExactHeap();
    using notes = heap.weakref.keyDictionary<Node, Handle<Node>>();
    const [key, value] = makeNodes(heap, 2);
    notes.set(key, value);
    release(key);
    expect([notes.size, [...notes]]).toEqual([0, []]);
    release(value); // a JavaScript value: whoever made it owns it
  });

  it("does not take an object for a dead one that was at its address", () => {
    const heap = makeExactHeap();
    using notes = heap.weakref.keyDictionary<Node, string>();
    using members = heap.weakref.set<Node>();
    const others = makeNodes(heap, 2);
    const [key] = makeNodes(heap, 1);
    notes.set(others[0], "other").set(key, "old");
    members.add(others[0]).add(key);
    let reused = 0;
    for (const [other] of notes)
      for (const _ of members) {
        if (!is(other, others[0]) || reused > 0) continue;
        release(key);
        // The iterators are open, so the entries stay; somebody comes to live at the address.
        const heirs = makeNodes(heap, 20);
        for (const heir of heirs) {
          expect([notes.has(heir), notes.get(heir), notes.delete(heir)]).toEqual([false, undefined, false]);
          expect([members.has(heir), members.delete(heir)]).toEqual([false, false]);
          notes.set(heir, `new ${heir.value}`);
          members.add(heir);
          reused++;
          expect([notes.get(heir), members.has(heir)]).toEqual([`new ${heir.value}`, true]);
        }
        expect([notes.size, members.size]).toEqual([21, 21]);
        for (const heir of heirs) release(heir);
      }
    expect([reused, notes.size, members.size]).toEqual([20, 1, 1]);
    for (const other of others) release(other);
    expect([notes.size, members.size]).toEqual([0, 0]);
  });

  it("gives its keys in insertion order, borrowed, each held for its step", () => {
    const heap = makeExactHeap();
    using notes = heap.weakref.keyDictionary<Node, number>();
    const nodes = makeNodes(heap, 3);
    for (const node of nodes.toReversed()) notes.set(node, node.value * 10);
    const seen: number[][] = [];
    for (const [node, value] of notes) {
      seen.push([node.value, value, refcount(node)]);
      if (value === 20) release(nodes[1]);
    }
    expect([seen, notes.size]).toEqual([
      [
        [2, 20, 2],
        [0, 0, 2],
      ],
      2,
    ]);
    release(nodes[0]);
    release(nodes[2]);
  });

  it("has an entry of an object that its finalizer brings back, unless a collection found it dead", () => {
    for (const isCyclic of [false, true]) {
      const heap = makeExactHeap();
      let kept: Handle<Probe> | undefined;
      class Probe extends struct("Probe", {
        get self() {
          return optional(Probe);
        },
      }) {
        [finalizer]() {
          kept = retain(this) as never;
        }
      }
      const notes = heap.weakref.keyDictionary<Probe, string>();
      const probe = heap.new(Probe, {});
      if (isCyclic) probe.self = probe;
      notes.set(probe, "note");
      release(probe);
      heap.gc.collect();
      expect([notes.get(kept!), notes.size]).toEqual(isCyclic ? [undefined, 0] : ["note", 1]);
      notes[Symbol.dispose]();
      kept!.self = null;
      release(kept!);
    }
  });
});

describe("a weak set", () => {
  it("has its members by identity, once each, while they live", () => {
    const heap = makeExactHeap();
    using members = heap.weakref.set<Node>();
    const [a, b] = makeNodes(heap, 2);
    const borrowed = retain(a);
    expect(members.add(a).add(b).add(borrowed)).toBe(members);
    expect([members.size, members.has(borrowed), heap.weakref.getWeakrefCount(a)]).toEqual([2, true, 1]);
    release(borrowed);
    expect([...members].length).toBe(2);
    const values: number[] = [];
    for (const node of members) values.push(node.value);
    expect(values).toEqual([0, 1]);
    release(a);
    expect([members.size, members.has(b), members.delete(b), members.delete(b)]).toEqual([
      1,
      true,
      true,
      false,
    ]);
    members.add(b);
    members[Symbol.dispose]();
    expect([members.size, heap.weakref.getWeakrefCount(b)]).toEqual([0, 0]);
    release(b);
  });

  it("may hold sets", () => {
    const heap = makeHeap();
    const numbers = heap.new(set(f64), [1]);
    using members = heap.weakref.set<typeof numbers>();
    members.add(numbers);
    expect(members.has(numbers)).toBe(true);
    release(numbers);
    expect(members.size).toBe(0);
  });

  it("keeps a member that dies in a loop from the next loop, too", () => {
    const heap = makeHeap();
    using members = heap.weakref.set<Node>();
    const nodes = makeNodes(heap, 4);
    for (const node of nodes) members.add(node);
    for (const node of members)
      if (node.value === 0) {
        release(nodes[2]);
        const inner: number[] = [];
        for (const other of members) inner.push(other.value);
        expect([inner, members.size]).toEqual([[0, 1, 3], 3]);
      }
    expect(members.size).toBe(3);
    for (const index of [0, 1, 3]) release(nodes[index]);
  });
});

describe("what a weak container refuses", () => {
  it("is what is no heap object, and what was released", () => {
    const heap = makeHeap();
    using values = heap.weakref.valueDictionary<string, Node>();
    using keys = heap.weakref.keyDictionary<Node, number>();
    using members = heap.weakref.set<Node>();
    const node = heap.new(Node, {});
    release(node);
    for (const value of ["text", 5, null, undefined, {}] as never[])
      for (const use of [
        () => values.set("key", value),
        () => keys.set(value, 1),
        () => keys.get(value),
        () => keys.has(value),
        () => keys.delete(value),
        () => members.add(value),
        () => members.has(value),
        () => members.delete(value),
      ])
        messageOf("INVALID_ARGUMENT", use);
    for (const use of [
      () => values.set("key", node),
      () => keys.set(node, 1),
      () => keys.has(node),
      () => members.add(node),
    ])
      messageOf("USE_AFTER_RELEASE", use);
    expect([values.size, keys.size, members.size]).toEqual([0, 0, 0]);
  });

  it("is an object of another heap", () => {
    const heap = makeHeap();
    const other = makeHeap();
    using foreign = other.new(Node, {});
    using node = heap.new(Node, {});
    using values = heap.weakref.valueDictionary<string, Node>();
    using keys = heap.weakref.keyDictionary<Node, number>();
    using members = heap.weakref.set<Node>();
    for (const use of [
      () => values.set("key", foreign),
      () => keys.set(foreign, 1),
      () => members.add(foreign),
    ])
      messageOf("INVALID_ARGUMENT", use);
    // The same address in another heap is another object.
    keys.set(node, 1);
    members.add(node);
    for (const use of [() => keys.get(foreign), () => keys.delete(foreign), () => members.has(foreign)])
      messageOf("INVALID_ARGUMENT", use);
    expect([keys.size, members.size]).toEqual([1, 1]);
  });
});
