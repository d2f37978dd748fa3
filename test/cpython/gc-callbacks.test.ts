/** CPython 3.11's test_gc: GCCallbackTests and GCTogglingTests, told of this heap. Names are CPython's. */
import { describe, expect, it } from "vitest";
import {
  any,
  type CollectionInfo,
  finalizer,
  type Handle,
  type Heap,
  list,
  release,
  struct,
  type WeakReference,
} from "../../src/index.js";
import { makeExactHeap } from "../support/heaps.js";

const Thing = struct("Thing", { loop: any, keepAlive: any });
type Thing = InstanceType<typeof Thing>;

function makeLoop(heap: Heap) {
  const object = heap.new(Thing, {});
  object.loop = object;
  return object;
}

/** Allocate until the heap has collected on its own. */
function untilCollected(heap: Heap): void {
  let isOver = false;
  const detector = makeLoop(heap);
  using _ref = heap.weakref.ref(detector, () => {
    isOver = true;
  });
  release(detector);
  using junk = heap.new(list(any), []);
  for (let index = 0; !isOver; index++) {
    expect(index).toBeLessThan(10_000);
    using item = heap.new(list(any), []);
    junk.push(item);
  }
}

describe("GCCallbackTests", () => {
  function listen(heap: Heap) {
    const visits: [number, string, CollectionInfo][] = [];
    heap.gc.callbacks.push(
      (phase, info) => visits.push([1, phase, info]),
      (phase, info) => visits.push([2, phase, info]),
    );
    return visits;
  }

  it("test_collect", () => {
    const heap = makeExactHeap();
    heap.gc.disable();
    const visits = listen(heap);
    heap.gc.collect();
    for (const callback of [1, 2])
      for (const phase of ["start", "stop"])
        expect(visits.filter(([by, when]) => by === callback && when === phase)).toHaveLength(1);
    for (const [, , info] of visits)
      expect(Object.keys(info)).toEqual(expect.arrayContaining(["generation", "collected", "uncollectable"]));
  });

  it("test_collect_generation", () => {
    const heap = makeExactHeap();
    heap.gc.disable();
    const visits = listen(heap);
    heap.gc.collect(2);
    expect(visits.map(([, , { generation }]) => generation)).toEqual([2, 2, 2, 2]);
  });
});

describe("GCTogglingTests", () => {
  it("test_bug1055820c", () => {
    const heap = makeExactHeap();
    const old = makeLoop(heap);
    heap.gc.collect();
    const holder = makeLoop(heap);
    holder.keepAlive = old;
    old.loop = null;
    const other = makeLoop(heap);
    using otherRef = heap.weakref.ref(other);
    const ouch: unknown[] = [];
    using _oldRef = heap.weakref.ref(old, () => ouch.push(otherRef.deref()));
    for (const object of [old, holder, other]) release(object);
    untilCollected(heap);
    expect(ouch).toEqual([undefined]);
  });

  it("test_bug1055820d", () => {
    const heap = makeExactHeap();
    const ouch: unknown[] = [];
    let otherRef: Handle<WeakReference<Thing>>;
    class D extends struct("D", { loop: any }) {
      [finalizer]() {
        ouch.push(otherRef.deref());
      }
    }
    const old = heap.new(D, {});
    heap.gc.collect();
    const holder = makeLoop(heap);
    holder.keepAlive = old;
    const other = makeLoop(heap);
    otherRef = heap.weakref.ref(other);
    for (const object of [old, holder, other]) release(object);
    untilCollected(heap);
    expect(ouch).toEqual([undefined]);
    release(otherRef);
  });

  it("test_indirect_calls_with_gc_disabled", () => {
    const heap = makeExactHeap();
    heap.gc.disable();
    release(makeLoop(heap));
    expect([heap.gc.isEnabled(), heap.gc.collect()]).toEqual([false, 1]);
  });
});
