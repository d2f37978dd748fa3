/** CPython 3.11's test_weakref, FinalizeTestCase and the library's examples, told of this heap. Names are CPython's. */
import { describe, expect, it } from "vitest";
import { any, type Finalizer, Heap, id, is, release, struct } from "../../src/index.js";
import { makeHeap } from "../support/heaps.js";

const A = struct("A", { me: any });
type A = InstanceType<typeof A>;

describe("FinalizeTestCase", () => {
  it("test_finalize", () => {
    const heap = makeHeap();
    const calls: number[][] = [];
    const add = (x: number, y: number, z: number) => {
      calls.push([x, y, z]);
      return x + y + z;
    };
    {
      const a = heap.new(A, {});
      const fin = heap.weakref.finalize(a, add, 67, 43, 89);
      expect(fin.alive).toBe(true);
      expect([fin(), fin.alive, fin(), fin.detach()]).toEqual([199, false, undefined, false]);
      release(a);
      expect(calls.splice(0)).toEqual([[67, 43, 89]]);
    }
    {
      const a = heap.new(A, {});
      const fin = heap.weakref.finalize(a, add, 67, 43, 89);
      expect([fin.detach(), fin.alive, fin(), fin.detach()]).toEqual([true, false, undefined, false]);
      release(a);
      expect(calls).toEqual([]);
    }
    {
      const a = heap.new(A, {});
      const fin = heap.weakref.finalize(a, add, 67, 43, 89);
      release(a);
      expect(calls).toEqual([[67, 43, 89]]);
      expect([fin.alive, fin(), fin.detach(), calls.length]).toEqual([false, undefined, false, 1]);
    }
  });

  it("test_arg_errors", () => {
    const heap = makeHeap();
    const finalize = heap.weakref.finalize.bind(heap.weakref) as (...args: unknown[]) => unknown;
    using a = heap.new(A, {});
    for (const args of [[], [a], [a, undefined], [a, "run"], [1, () => {}], [undefined, () => {}]])
      expect(() => finalize(...args)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(heap.weakref.getWeakrefCount(a)).toBe(0);
  });

  it("test_order", () => {
    const heap = makeHeap();
    const order: string[] = [];
    const a = heap.new(A, {});
    const make = (name: string) => heap.weakref.finalize(a, () => order.push(name));
    const f1 = make("f1");
    const f2 = make("f2");
    make("f3");
    make("f4");
    const f5 = make("f5");
    expect(f5.detach()).toBe(true);
    f2();
    expect([order.splice(0), f1.alive]).toEqual([["f2"], true]);
    make("f6");
    release(a);
    expect([order, f1.alive]).toEqual([["f6", "f4", "f3", "f1"], false]);
  });

  it("test_all_freed", () => {
    const heap = makeHeap();
    const a = heap.new(A, {});
    const fin = heap.weakref.finalize(a, () => {});
    expect(heap.weakref.getWeakrefCount(a)).toBe(1);
    release(a);
    expect([fin.alive, heap.gc.getObjects()]).toEqual([false, []]);
  });

  it("test_atexit", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    const order: string[] = [];
    const errors: unknown[] = [];
    heap.onUnraisable = (error) => errors.push(error);
    const object = heap.new(A, {});
    const error = new Error("g3 failed");
    const finalizers: Record<string, Finalizer> = {};
    const make = (name: string, run: () => void) => {
      finalizers[name] = heap.weakref.finalize(object, run);
    };
    make("f1", () => order.push("f1"));
    make("f2", () => order.push("f2"));
    finalizers.f2.atexit = false;
    make("f3", () => {
      order.push("f3");
      make("g3", () => {
        order.push("g3");
        throw error;
      });
    });
    make("f4", () => order.push("f4"));
    finalizers.f4.atexit = false;
    expect([finalizers.f1.atexit, finalizers.f4.atexit]).toEqual([true, false]);
    heap.shutdown();
    expect([order, errors]).toEqual([["f3", "g3", "f1"], [error]]);
    expect(Object.values(finalizers).map(({ alive }) => alive)).not.toContain(true);
  });
});

describe("libreftest", () => {
  it("libreftest", () => {
    const heap = makeHeap();
    const object = heap.new(A, {});
    using ref = heap.weakref.ref(object);
    using known = heap.weakref.valueDictionary<number, A>();
    const address = id(object);
    known.set(address, object);
    {
      using target = ref.deref()!;
      using found = known.get(address)!;
      expect([is(target, object), is(found, object)]).toEqual([true, true]);
    }
    release(object);
    expect([ref.deref(), known.get(address)]).toEqual([undefined, undefined]);
  });
});
