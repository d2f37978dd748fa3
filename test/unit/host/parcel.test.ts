import { describe, expect, it } from "vitest";
import { f64, Heap, InvalidArgumentError, is, list, refcount, release, struct } from "../../../src/index.js";
import { findLeaks, rootGroups, verify } from "../../../src/inspect/index.js";
import { codeOf, makeShared, Node, open, otherThread, structsOf, under } from "./shared-heap.js";
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

describe("a parcel", () => {
  it("carries one reference, which is received once", async () => {
    const { heap, token } = makeShared();
    const { library } = await otherThread();
    const { OtherNode } = structsOf(library);
    const heap2 = library.Heap.attach(token, [OtherNode]);
    open.push({ heap: heap2 });
    const node = under(heap.lock(), () => heap.new(Node, { v: 5 }));
    const parcel = under(heap.lock(), () => heap.send(node));
    under(heap.lock(), () => {
      expect(refcount(node)).toBe(2);
      release(node);
      verify(heap);
    });
    under(heap2.lock(), () => {
      expect(codeOf(() => heap2.receive(library.list(library.f64), parcel))).toBe("TYPE_MISMATCH");
      const received = heap2.receive(OtherNode, structuredClone(parcel));
      expect([received.v, library.refcount(received)]).toEqual([5, 1]);
      expect(codeOf(() => heap2.receive(OtherNode, parcel))).toBe("PARCEL_CLAIMED");
      library.release(received);
    });
    under(heap.lock(), () => {
      expect(codeOf(() => heap.receive(Node, parcel))).toBe("PARCEL_CLAIMED");
      verify(heap);
    });
  });

  it("that nobody receives is in the leak report, with the line that sent it", () => {
    const { heap } = makeShared({ checks: { handles: { every: 1 } } });
    under(heap.lock(), () => {
      const sendOne = () => {
        const node = heap.new(Node, { v: 1 });
        heap.send(node);
        release(node);
      };
      const [group] = findLeaks(heap, sendOne).groups;
      expect([group!.type, group!.count]).toEqual(["Node", 1]);
      expect(group!.heldBy[0]).toMatch(/parcel sent at sendOne .*parcel\.test\.ts/);
      expect(rootGroups(heap).find(({ kind }) => kind === "parcel")?.count).toBe(1);
    });
  });

  it("cannot be forged", () => {
    const { heap } = makeShared();
    under(heap.lock(), () => {
      const node = heap.new(Node, {});
      const sent = heap.send(node);
      const { parcel, heap: id } = sent;
      for (const forged of [-1, 0.5, NaN, 2 ** 53, parcel + 1, parcel + 2 ** 20, 1e300])
        expect(codeOf(() => heap.receive(Node, { parcel: forged, heap: id }))).toBe("PARCEL_CLAIMED");
      for (const wrong of [null, {}, { parcel: "1", heap: id }, { parcel }])
        expect(() => heap.receive(Node, wrong as never)).toThrow(InvalidArgumentError);
      expect(codeOf(() => heap.receive(Node, { parcel, heap: id + 1 }))).toBe("PARCEL_CLAIMED");
      release(heap.receive(Node, sent));
      const again = heap.send(node);
      expect(codeOf(() => heap.receive(Node, sent))).toBe("PARCEL_CLAIMED");
      release(heap.receive(Node, again));
      release(node);
      verify(heap);
    });
  });

  it("may be one of many", () => {
    const { heap } = makeShared({ checks: "off" });
    under(heap.lock(), () => {
      const node = heap.new(Node, {});
      const parcels = Array.from({ length: 1000 }, () => heap.send(node));
      expect(refcount(node)).toBe(1001);
      verify(heap);
      for (const parcel of parcels) release(heap.receive(Node, parcel));
      expect(refcount(node)).toBe(1);
      release(node);
      verify(heap); // also where no line was kept that the parcel would have to give up
    });
  });
});
