import { describe, expect, it } from "vitest";
import { f64, Heap, i32, optional, refcount, release, set, struct } from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}

describe("weakref.finalize", () => {
  it("calls the function with its arguments when the object dies, once", () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    const calls: unknown[] = [];
    const end = heap.weakref.finalize(node, (...args: unknown[]) => calls.push(args), 1, "two", null);
    expect([end.alive, calls]).toEqual([true, []]);
    release(node);
    expect([end.alive, calls]).toEqual([false, [[1, "two", null]]]);
    expect([end(), end.detach(), calls.length]).toEqual([undefined, false, 1]);
  });

  it("calls it for an object on a cycle, by a collection, and for a set", () => {
    const heap = makeHeap();
    const calls: string[] = [];
    const node = heap.new(Node, {});
    node.next = node;
    const members = heap.new(set(f64), [1]);
    heap.weakref.finalize(node, () => calls.push("node"));
    heap.weakref.finalize(members, () => calls.push("set"));
    release(members);
    release(node);
    expect(calls).toEqual(["set"]);
    heap.gc.collect();
    expect(calls).toEqual(["set", "node"]);
  });

  it("needs no keeping, and does not keep the object", () => {
    const heap = makeExactHeap();
    leaksNothing(heap, () => {
      let calls = 0;
      const node = heap.new(Node, {});
      for (let index = 0; index < 10; index++) heap.weakref.finalize(node, () => calls++);
      expect(refcount(node)).toBe(1);
      release(node);
      expect(calls).toBe(10);
    });
  });

  it("cannot be detached any more once the object is dead and it waits for its turn", () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    const calls: unknown[] = [];
    const end = heap.weakref.finalize(node, () => calls.push("called"));
    const ref = heap.weakref.ref(node, () => calls.push(end.detach(), end.alive));
    release(node);
    expect([calls, end.alive]).toEqual([[false, true, "called"], false]);
    release(ref);
  });

  it("runs the newest first", () => {
    for (const isCyclic of [false, true]) {
      const heap = makeHeap();
      const node = heap.new(Node, {});
      if (isCyclic) node.next = node;
      const calls: number[] = [];
      for (const number of [1, 2, 3]) heap.weakref.finalize(node, () => calls.push(number));
      release(node);
      heap.gc.collect();
      expect(calls).toEqual([3, 2, 1]);
    }
  });

  it("can be called before: it runs, gives the result, and not again", () => {
    const heap = makeExactHeap();
    const node = heap.new(Node, {});
    const before = liveObjects(heap);
    let calls = 0;
    const end = heap.weakref.finalize(node, (a: number, b: number) => a + b + calls++, 2, 3);
    expect([end(), end.alive, end(), calls, liveObjects(heap)]).toEqual([5, false, undefined, 1, before]);
    release(node);
    expect(calls).toBe(1);
  });

  it("is over before the function runs, which may call it again, or throw to its caller", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    const again = heap.weakref.finalize(node, (): unknown => [again.alive, again(), again.detach()]);
    expect(again()).toEqual([false, undefined, false]);
    const failing = heap.weakref.finalize(node, () => {
      throw new Error("of the function");
    });
    expect(failing).toThrow("of the function");
    expect([failing.alive, failing()]).toEqual([false, undefined]);
  });

  it("can be detached", () => {
    const heap = makeExactHeap();
    const node = heap.new(Node, {});
    const before = liveObjects(heap);
    const end = heap.weakref.finalize(node, () => expect.unreachable());
    expect([end.detach(), end.alive, end.detach(), end()]).toEqual([true, false, false, undefined]);
    expect([liveObjects(heap), heap.weakref.getWeakrefCount(node)]).toEqual([before, 0]);
    release(node);
  });

  it("reports what the function throws when the object dies, and goes on with the next", () => {
    const heap = makeHeap();
    const errors: unknown[] = [];
    heap.onUnraisable = (error, where) => errors.push([(error as Error).message, where]);
    const node = heap.new(Node, {});
    let calls = 0;
    heap.weakref.finalize(node, () => calls++);
    heap.weakref.finalize(node, () => {
      throw new Error("of the function");
    });
    release(node);
    expect([errors, calls]).toEqual([[["of the function", "a weak reference's callback"]], 1]);
  });

  it("can finalize another object in the function", () => {
    const heap = makeHeap();
    const calls: string[] = [];
    const [first, second] = [heap.new(Node, {}), heap.new(Node, {})];
    heap.weakref.finalize(second, () => calls.push("second"));
    heap.weakref.finalize(first, () => {
      calls.push("first");
      release(second);
      const third = heap.new(Node, {});
      heap.weakref.finalize(third, () => calls.push("third"));
      release(third);
    });
    release(first);
    expect(calls).toEqual(["first", "second", "third"]);
  });

  it("refuses what is no reference, and leaves nothing registered for what cannot be weakly referenced", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    for (const target of [5, null, {}, "text"])
      messageOf("INVALID_ARGUMENT", () => heap.weakref.finalize(target as never, () => expect.unreachable()));
    const bare = heap.new(struct("Bare", { x: f64 }, { weakrefs: false }), {});
    messageOf("INVALID_ARGUMENT", () => heap.weakref.finalize(bare, () => expect.unreachable()));
    expect(refcount(bare)).toBe(1);
    expect(Heap.contextOf(heap).finalizers.size).toBe(0);
    heap[Symbol.dispose]();
  });
});

describe("at the end of the heap", () => {
  const open = () => Heap.create({ maximumBytes: 1 << 20 });

  it("those that are alive run, the newest first, their objects still there", () => {
    const heap = open();
    const nodes = [1, 2, 3].map((value) => heap.new(Node, { value }));
    const calls: number[] = [];
    const ends = nodes.map((node) => heap.weakref.finalize(node, () => calls.push(node.value)));
    ends[1].detach();
    heap[Symbol.dispose]();
    expect([calls, ends.map(({ alive }) => alive)]).toEqual([
      [3, 1],
      [false, false, false],
    ]);
    heap[Symbol.dispose]();
    expect(calls).toEqual([3, 1]);
  });

  it("those with atexit false do not, unless the object dies on the way", () => {
    const heap = open();
    const [kept, dying] = [heap.new(Node, {}), heap.new(Node, {})];
    const calls: string[] = [];
    const quiet = heap.weakref.finalize(kept, () => calls.push("quiet"));
    const told = heap.weakref.finalize(dying, () => calls.push("told"));
    expect([quiet.atexit, told.atexit]).toEqual([true, true]);
    quiet.atexit = false;
    told.atexit = false;
    expect([quiet.atexit, told.atexit, quiet.alive]).toEqual([false, false, true]);
    heap.weakref.finalize(kept, () => release(dying));
    heap[Symbol.dispose]();
    expect([calls, quiet.alive, quiet.atexit, quiet(), quiet.detach()]).toEqual([
      ["told"],
      false,
      false,
      undefined,
      false,
    ]);
  });

  it("have no atexit once they are over", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    const end = heap.weakref.finalize(node, () => {});
    end.detach();
    end.atexit = true;
    expect(end.atexit).toBe(false);
  });

  it("those made meanwhile run next, and an error does not stop the others", () => {
    const heap = open();
    const node = heap.new(Node, {});
    const calls: string[] = [];
    heap.onUnraisable = (error, where) => calls.push(`${(error as Error).message}, ${where}`);
    heap.weakref.finalize(node, () => calls.push("oldest"));
    heap.weakref.finalize(node, () => {
      heap.weakref.finalize(node, () => calls.push("made meanwhile"));
      throw new Error("an error");
    });
    heap[Symbol.dispose]();
    expect(calls).toEqual(["an error, a finalizer at shutdown", "made meanwhile", "oldest"]);
  });

  it("run in a time that is linear in their number", () => {
    const heap = Heap.create({ maximumBytes: 16 << 20, checks: "off" });
    const nodes = Array.from({ length: 20_000 }, () => heap.new(Node, {}));
    let calls = 0;
    for (const node of nodes) heap.weakref.finalize(node, () => calls++);
    const start = performance.now();
    heap[Symbol.dispose]();
    expect(calls).toBe(20_000);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("collection is off while they run", () => {
    const heap = open();
    const node = heap.new(Node, {});
    const seen: boolean[] = [];
    heap.weakref.finalize(node, () => seen.push(heap.gc.isEnabled()));
    expect(heap.gc.isEnabled()).toBe(true);
    heap[Symbol.dispose]();
    expect(seen).toEqual([false]);
  });
});
