import { afterEach, describe, expect, it, vi } from "vitest";
import { f64, Heap, id, list, release, struct } from "../../../src/index.js";
import { HEADER_SERIAL } from "../../../src/memory/layout.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "./support.js";

const Point = struct("Point", { x: f64 });

describe("Context.unraisable", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("hands an error to the heap's reporter, whichever that is at the time", () => {
    const heap = makeHeap();
    const context = Heap.contextOf(heap);
    const reports: unknown[] = [];
    heap.onUnraisable = (error, where) => reports.push(["first", error, where]);
    context.unraisable(1, "here");
    heap.onUnraisable = (error, where) => reports.push(["second", error, where]);
    context.unraisable(2, "there");
    expect(reports).toEqual([
      ["first", 1, "here"],
      ["second", 2, "there"],
    ]);
  });

  it("survives a reporter that throws itself", () => {
    const heap = makeHeap();
    const error = vi.spyOn(console, "error").mockReturnValue();
    const second = new Error("no room for reports");
    heap.onUnraisable = () => {
      throw second;
    };
    Heap.contextOf(heap).unraisable(new Error("the first"), "a callback");
    expect(error.mock.calls).toEqual([
      ["Ouroheap: heap.onUnraisable threw for an error in a callback:", second],
    ]);
  });
});

describe("Context.dispose", () => {
  it("closes the heap, takes the makers away, and makes every view stale", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    const context = Heap.contextOf(heap);
    const { i32 } = context.core.memory;
    const points = heap.new(list(Point), [{ x: 1 }, { x: 2 }]);
    const addresses = [points, ...points].map((object) => id(object) / 4);
    context.requireOpen();
    expect([context.isDisposed, context.heap === heap, context.binder.makers.length > 0]).toEqual([
      false,
      true,
      true,
    ]);
    context.dispose();
    expect([context.isDisposed, context.binder.makers.length]).toEqual([true, 0]);
    for (const address of addresses) expect(i32[address + HEADER_SERIAL]).toBe(0);
    messageOf("HEAP_DISPOSED", () => context.requireOpen());
    messageOf("HEAP_DISPOSED", () => release(points));
    context.dispose();
  });
});

describe("Context.garbage", () => {
  it("is a view of one list, which the heap owns and no handle has to release", () => {
    const heap = makeHeap();
    const { garbage } = heap.gc;
    expect(garbage.length).toBe(0);
    expect(id(garbage)).toBe(id(heap.gc.garbage));
    messageOf("INVALID_ARGUMENT", () => release(garbage as never));
    expect(heap.gc.isTracked(garbage)).toBe(false);
  });
});
