import { expect, it } from "vitest";
import { f64, Heap, is, list, refcount, release, struct } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { heapError } from "./support.js";

class Point extends struct("Point", { x: f64 }) {}

it("a parcel is received under a shared guard, once, without a write but of its own", () => {
  const heap = Heap.create({ maximumBytes: 1 << 20 });
  const point = heap.new(Point, { x: 0.5 });
  heap.share();
  const parcels = [1, 2].map(() => {
    using _guard = heap.lock();
    return heap.send(point);
  });
  const received = [];
  {
    using _guard = heap.lockShared();
    received.push(heap.receive(Point, parcels[0]));
    heapError("PARCEL_CLAIMED", () => heap.receive(Point, parcels[0]));
    heapError("TYPE_MISMATCH", () => heap.receive(list(f64), parcels[1]));
    received.push(heap.receive(Point, parcels[1]));
    expect(received.map((handle) => is(handle, point))).toEqual([true, true]);
    expect(refcount(point)).toBe(3);
  }
  heapError("NO_GUARD", () => heap.receive(Point, parcels[1]));
  {
    using _guard = heap.lock();
    verify(heap);
    // What readers have emptied is reclaimed.
    const third = heap.send(point);
    expect(third.parcel).not.toBe(parcels[0].parcel);
    release(heap.receive(Point, third));
    verify(heap);
    for (const handle of received) release(handle);
    release(point);
  }
  heap[Symbol.dispose]();
});
