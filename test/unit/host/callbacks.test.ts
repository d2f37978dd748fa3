import { afterEach, describe, expect, it, vi } from "vitest";
import {
  any,
  type Borrowed,
  f64,
  finalizer,
  type Handle,
  Heap,
  i32,
  list,
  optional,
  refcount,
  release,
  retain,
  struct,
} from "../../../src/index.js";
import { CONTROL_USER_CODE, HOST_NUMBER_MAX } from "../../../src/memory/layout.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { describeBothMakers, liveObjects, messageOf } from "./support.js";

/** A struct that tells when it is finalized. */
function makeProbe(finalize: (probe: { value: number; next: unknown }) => void) {
  return class Probe extends struct("Probe", {
    value: i32,
    get next() {
      return optional(Probe);
    },
  }) {
    [finalizer]() {
      finalize(this);
    }
  };
}
const Point = struct("Point", { x: f64 });
const functionsOf = (heap: Heap) =>
  (Heap.contextOf(heap).callbacks as unknown as { functions: Map<number, unknown> }).functions;

describeBothMakers("a finalizer", ({ makeHeap }) => {
  it("runs when the last reference is released, with the object whole, and once", () => {
    const seen: number[] = [];
    const Probe = makeProbe((probe) => seen.push(probe.value));
    const heap = makeHeap();
    const probe = heap.new(Probe, { value: 1, next: { value: 2 } });
    const other = retain(probe);
    release(probe);
    expect(seen).toEqual([]);
    release(other);
    expect(seen).toEqual([1, 2]);
    expect(liveObjects(heap)).toBe(0);
  });

  it("runs for what is replaced, removed, or dies with its container", () => {
    const seen: number[] = [];
    const Probe = makeProbe((probe) => seen.push(probe.value));
    const heap = makeHeap();
    using probe = heap.new(Probe, { next: { value: 1 } });
    probe.next = { value: 2 } as never;
    expect(seen).toEqual([1]);
    probe.next = null;
    expect(seen).toEqual([1, 2]);
    {
      using probes = heap.new(list(Probe), [{ value: 3 }, { value: 4 }, { value: 5 }]);
      probes.delete(0);
    }
    expect(seen).toEqual([1, 2, 3, 5, 4]);
  });

  it("runs for garbage on a cycle, by a collection", () => {
    const seen: boolean[] = [];
    const Probe = makeProbe((probe) => seen.push(probe.next !== null));
    const heap = makeHeap();
    const probe = heap.new(Probe, {});
    probe.next = probe;
    heap.gc.collect();
    release(probe);
    expect(heap.gc.collect()).toBe(1);
    expect([seen, liveObjects(heap)]).toEqual([[true], 0]);
  });

  it("keeps the object by retaining it, and does not run again", () => {
    for (const isCyclic of [false, true]) {
      let runs = 0;
      let kept: Handle<Borrowed & { value: number }> | undefined;
      const Probe = makeProbe((probe) => {
        runs++;
        kept = retain(probe as never);
      });
      const heap = makeHeap();
      const probe = heap.new(Probe, { value: 7 });
      if (isCyclic) probe.next = probe;
      heap.gc.collect();
      expect(heap.gc.isFinalized(probe)).toBe(false);
      release(probe);
      if (isCyclic) expect(heap.gc.collect()).toBe(0);
      expect([runs, kept!.value, heap.gc.isFinalized(kept!)]).toEqual([1, 7, true]);
      release(kept!);
      expect([heap.gc.collect(), runs, liveObjects(heap)]).toEqual([isCyclic ? 1 : 0, 1, 0]);
    }
  });

  it("says on which path it runs by what isFinalized says in it", () => {
    const seen: boolean[] = [];
    const heap = makeHeap();
    const Probe = makeProbe((probe) => seen.push(heap.gc.isFinalized(probe as never)));
    release(heap.new(Probe, {}));
    const cycle = heap.new(Probe, {});
    cycle.next = cycle;
    release(cycle);
    heap.gc.collect();
    expect(seen).toEqual([false, true]);
  });

  it("borrows the object: it cannot release it, nor use it later", () => {
    const heap = makeHeap();
    const errors: unknown[] = [];
    heap.onUnraisable = (error) => errors.push((error as { code: string }).code);
    let stolen: { value: number } | undefined;
    const Probe = makeProbe((probe) => {
      stolen = probe;
      release(probe as never);
    });
    release(heap.new(Probe, {}));
    expect(errors).toEqual(["INVALID_ARGUMENT"]);
    messageOf("STALE_REFERENCE", () => stolen!.value);
  });

  it("is looked up when it is called: one replaced later is honoured, one taken away is none", () => {
    const calls: string[] = [];
    class Late extends struct("Late", { x: f64 }) {
      declare [finalizer]: (() => void) | null | undefined;
    }
    const prototype = Late.prototype as { [finalizer]: unknown };
    prototype[finalizer] = () => calls.push("first");
    const heap = makeHeap();
    const errors: unknown[] = [];
    heap.onUnraisable = (error, where) => errors.push([(error as Error).name, where]);
    release(heap.new(Late, {}));
    prototype[finalizer] = () => calls.push("second");
    release(heap.new(Late, {}));
    for (const none of [undefined, null]) {
      prototype[finalizer] = none;
      release(heap.new(Late, {}));
    }
    expect([calls, errors]).toEqual([["first", "second"], []]);
    prototype[finalizer] = 5;
    release(heap.new(Late, {}));
    expect(errors).toEqual([["TypeError", "a finalizer"]]);
  });

  it("may come from a base class", () => {
    const calls: number[] = [];
    class Base extends struct("Base", { value: i32 }) {
      [finalizer]() {
        calls.push(this.value);
      }
    }
    class Derived extends Base {}
    const heap = makeHeap();
    release(heap.new(Derived, { value: 3 }));
    expect(calls).toEqual([3]);
  });

  it("is none if the class gets it after the heap has met the class", () => {
    class Late extends struct("Late", { x: f64 }) {}
    const heap = makeHeap();
    const early = heap.new(Late, {});
    (Late.prototype as { [finalizer]?: () => void })[finalizer] = () => expect.unreachable();
    release(early);
    release(heap.new(Late, {}));
  });
});

describe("what user code in a death throws", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("goes to onUnraisable and stops nothing: the death, its order, and the collection go on", () => {
    for (const isCyclic of [false, true]) {
      const heap = makeExactHeap();
      const errors: unknown[] = [];
      heap.onUnraisable = (error, where) => errors.push([(error as Error).message, where]);
      const Probe = makeProbe((probe) => {
        throw new Error(`finalizer ${probe.value}`);
      });
      const probe = heap.new(Probe, { value: 1, next: { value: 2 } });
      if (isCyclic) probe.next!.next = probe;
      const refs = [1, 2].map((number) =>
        heap.weakref.ref(probe, () => {
          throw new Error(`callback ${number}`);
        }),
      );
      release(probe);
      expect(heap.gc.collect()).toBe(isCyclic ? 2 : 0);
      const callbacks = [2, 1].map((number) => [`callback ${number}`, "a weak reference's callback"]);
      // A collection goes by age, and what a literal nests is made first.
      const finalizers = [1, 2].map((number) => [`finalizer ${number}`, "a finalizer"]);
      expect(errors).toEqual(
        isCyclic ? [...callbacks, ...finalizers.toReversed()] : [finalizers[0], ...callbacks, finalizers[1]],
      );
      expect(Heap.contextOf(heap).core.memory.i32[CONTROL_USER_CODE]).toBe(0);
      for (const ref of refs) release(ref);
      expect(liveObjects(heap)).toBe(0);
    }
  });

  it("is written to the console unless the heap is told otherwise", () => {
    const write = vi.spyOn(console, "error").mockReturnValue();
    const heap = makeHeap();
    const Probe = makeProbe(() => {
      throw "a text";
    });
    release(heap.new(Probe, {}));
    expect(write.mock.calls).toEqual([["Ouroheap: error ignored in a finalizer:", "a text"]]);
  });

  it("may even be an error of the reporter", () => {
    const write = vi.spyOn(console, "error").mockReturnValue();
    const heap = makeHeap();
    heap.onUnraisable = () => {
      throw new Error("of the reporter");
    };
    const Probe = makeProbe(() => {
      throw new Error("of the finalizer");
    });
    release(heap.new(Probe, {}));
    expect([write.mock.calls.length, liveObjects(heap)]).toEqual([1, 0]);
  });
});

describe("the functions that a heap keeps for weak references", () => {
  it("are forgotten when they were called, when their weak reference dies, and when none was made", () => {
    const heap = makeExactHeap();
    const point = heap.new(Point, {});
    const [first, second] = [heap.weakref.ref(point, () => {}), heap.weakref.ref(point, () => {})];
    const proxy = heap.weakref.proxy(point, () => {});
    expect(functionsOf(heap).size).toBe(3);
    release(first);
    expect(functionsOf(heap).size).toBe(2);
    const numbers = heap.new(list(f64), []);
    expect(() => heap.weakref.ref(numbers, () => {})).toThrow();
    expect(functionsOf(heap).size).toBe(2);
    release(point);
    expect(functionsOf(heap).size).toBe(0);
    release(second);
    proxy[Symbol.dispose]();
  });

  it("stay after a collection has called them, as long as their weak reference does, and are not called again", () => {
    const heap = makeExactHeap();
    const Probe = makeProbe(() => {});
    const probe = heap.new(Probe, {});
    probe.next = probe;
    let calls = 0;
    const ref = heap.weakref.ref(probe, () => calls++);
    release(probe);
    heap.gc.collect();
    expect([calls, functionsOf(heap).size, ref.hasCallback]).toEqual([1, 1, true]);
    release(ref);
    expect([calls, functionsOf(heap).size]).toEqual([1, 0]);
  });

  it("have numbers that come back when all have been given, but for those in use", () => {
    const heap = makeHeap();
    const point = heap.new(Point, {});
    const seen: string[] = [];
    const callbacks = Heap.contextOf(heap).callbacks as unknown as { next: number };
    const refs = ["first"].map((name) => heap.weakref.ref(point, () => seen.push(name)));
    callbacks.next = HOST_NUMBER_MAX;
    for (const name of ["last", "again", "and again"])
      refs.push(heap.weakref.ref(point, () => seen.push(name)));
    expect([...functionsOf(heap).keys()]).toEqual([1, HOST_NUMBER_MAX, 2, 3]);
    release(point);
    expect(seen.sort()).toEqual(["again", "and again", "first", "last"]);
    for (const ref of refs) release(ref);
  });

  it("go with a weak reference that is garbage itself", () => {
    const heap = makeExactHeap();
    const everything = heap.new(list(any), []);
    const point = heap.new(Point, {});
    {
      using ref = heap.weakref.ref(point, () => expect.unreachable());
      everything.push(everything, ref);
    }
    release(everything);
    expect(functionsOf(heap).size).toBe(1);
    expect([heap.gc.collect(), functionsOf(heap).size]).toEqual([2, 0]);
    release(point);
  });

  it("are called with the weak reference borrowed: it is dead, has no callback, and may be kept", () => {
    const heap = makeExactHeap();
    const point = heap.new(Point, {});
    let kept: { readonly alive: boolean } & Disposable;
    const ref = heap.weakref.ref(point, (dead) => {
      expect([dead.alive, dead.hasCallback, dead.deref()]).toEqual([false, false, undefined]);
      messageOf("INVALID_ARGUMENT", () => release(dead as never));
      kept = retain(dead);
    });
    release(ref.deref()!);
    expect(refcount(point)).toBe(1);
    release(point);
    release(ref);
    expect(kept!.alive).toBe(false);
    release(kept! as Handle<never>);
    expect(liveObjects(heap)).toBe(0);
  });

  it("are not called after the heap has ended", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    const point = heap.new(Point, {});
    heap.weakref.ref(point, () => {
      heap[Symbol.dispose]();
    });
    heap.weakref.ref(point, () => heap[Symbol.dispose]());
    release(point);
    messageOf("HEAP_DISPOSED", () => heap.new(Point, {}));
  });
});
