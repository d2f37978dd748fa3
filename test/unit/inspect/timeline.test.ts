import diagnostics from "node:diagnostics_channel";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { describe, expect, it } from "vitest";
import { Heap, optional, release, struct } from "../../../src/index.js";
import { type CollectionEvent, timeline } from "../../../src/inspect/index.js";
import { makeExactHeap } from "../../support/heaps.js";
import { messageOf } from "../host/support.js";

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
}) {}

/** Garbage in cycles of one. */
function makeGarbage(heap: Heap, count: number): void {
  for (let i = 0; i < count; i++) {
    const node = heap.new(Node, {});
    node.next = node;
    release(node);
  }
}

describe("a timeline", () => {
  it("has every collection: generation, candidates, collected, how long, and its phases", () => {
    const heap = makeExactHeap();
    const times = timeline(heap);
    using _kept = heap.new(Node, {});
    makeGarbage(heap, 5);
    heap.gc.collect(0);
    makeGarbage(heap, 2);
    heap.gc.collect(2);
    const { events } = times;
    const facts = events.map(({ generation, candidates, collected }) => [generation, candidates, collected]);
    expect(facts).toEqual([
      [0, 6, 5],
      [2, 3, 2],
    ]);
    for (const { duration, phases } of events) {
      const parts = Object.values(phases);
      expect(Object.keys(phases)).toEqual(["merge", "partition", "finalize", "clear"]);
      expect(parts.every((part) => part >= 0)).toBe(true);
      expect(parts.reduce((sum, part) => sum + part)).toBeLessThanOrEqual(duration + 1e-6);
    }
    expect(events[1].startTime).toBeGreaterThanOrEqual(events[0].startTime + events[0].duration);
  });

  it("hears automatic collections, and none after it was stopped", () => {
    const heap = makeExactHeap();
    const times = timeline(heap);
    makeGarbage(heap, 1500);
    expect(times.events.map(({ generation }) => generation)).toEqual([0, 0]);
    times.stop();
    times.stop();
    heap.gc.collect();
    expect(times.events).toHaveLength(2);
    const other = timeline(heap);
    other[Symbol.dispose]();
    heap.gc.collect();
    expect(other.events).toEqual([]);
  });

  it("leaves out what a scope collects, which is of no generation", () => {
    const heap = makeExactHeap();
    const times = timeline(heap);
    heap.scope((scope) => {
      const node = scope.new(Node, {});
      node.next = node;
      scope.collect();
    });
    expect(times.events).toEqual([]);
  });

  it("keeps the latest events only, and sums over all", () => {
    const heap = makeExactHeap();
    const times = timeline(heap, { eventsMax: 3 });
    for (let round = 1; round <= 5; round++) {
      makeGarbage(heap, round);
      heap.gc.collect();
    }
    expect(times.events.map(({ collected }) => collected)).toEqual([3, 4, 5]);
    expect(times.summary()).toMatchObject({ count: 5, collected: 15 });
  });

  it("sums up: how many, all together, p50, p99 and the longest, in milliseconds", () => {
    const heap = makeExactHeap();
    const times = timeline(heap);
    expect(times.summary()).toEqual({ count: 0, collected: 0, total: 0, p50: 0, p99: 0, max: 0 });
    for (let i = 0; i < 4; i++) heap.gc.collect();
    const sorted = times.events.map(({ duration }) => duration).sort((a, b) => a - b);
    const { count, total, p50, p99, max } = times.summary();
    expect([count, p50, p99, max]).toEqual([4, sorted[1], sorted[3], sorted[3]]);
    expect(total).toBeCloseTo(
      sorted.reduce((sum, one) => sum + one),
      9,
    );
    expect(`${times}`).toMatch(
      /^4 collections, 0 collected, \d+\.\d{3} ms in all; pause p50 \d+\.\d{3} ms, p99 \d+\.\d{3} ms, max \d+\.\d{3} ms$/,
    );
  });

  it("is of a heap that is open", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap.shutdown();
    messageOf("HEAP_DISPOSED", () => timeline(heap));
    messageOf("INVALID_ARGUMENT", () => timeline({} as Heap));
  });
});

it("as trace events has a collection and its phases inside it, in microseconds", () => {
  const heap = makeExactHeap();
  const times = timeline(heap);
  makeGarbage(heap, 3);
  heap.gc.collect(1);
  const trace = JSON.parse(JSON.stringify(times.toTraceEvents())) as {
    traceEvents: { ph: string; name: string; ts: number; dur: number; args: object }[];
  };
  const [collection, ...phases] = trace.traceEvents.filter(({ ph }) => ph === "X");
  const [event] = times.events;
  expect(collection).toMatchObject({
    name: "collect generation 1",
    ts: event.startTime * 1000,
    dur: event.duration * 1000,
    args: { generation: 1, candidates: 3, collected: 3 },
  });
  expect(phases.map(({ name }) => name)).toEqual(["merge", "partition", "finalize", "clear"]);
  let end = collection.ts;
  for (const { ts, dur } of phases) {
    expect(ts).toBeCloseTo(end, 3);
    end = ts + dur;
  }
  expect(end).toBeLessThanOrEqual(collection.ts + collection.dur + 1e-3);
});

describe("collections are told", () => {
  it("on the channel ouroheap:gc, once they are over: subscribers may use the heap", () => {
    const heap = makeExactHeap();
    const told: (CollectionEvent & { heap: Heap })[] = [];
    const hear = (message: unknown) => {
      told.push(message as (typeof told)[0]);
      release(heap.new(Node, {}));
      expect(heap.gc.collect()).toBe(0);
    };
    const times = timeline(heap);
    makeGarbage(heap, 2);
    diagnostics.subscribe("ouroheap:gc", hear);
    try {
      heap.gc.collect();
    } finally {
      diagnostics.unsubscribe("ouroheap:gc", hear);
    }
    heap.gc.collect();
    expect(told).toEqual([{ heap, ...times.events[0] }]);
  });

  it("as performance entries, where that was asked for", async () => {
    const heap = makeExactHeap();
    const entries: { name: string; duration: number }[] = [];
    const observer = new PerformanceObserver((list) => entries.push(...list.getEntries()));
    observer.observe({ entryTypes: ["measure"] });
    const silent = timeline(heap);
    heap.gc.collect();
    const times = timeline(heap, { measures: true });
    makeGarbage(heap, 2);
    heap.gc.collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
    observer.disconnect();
    performance.clearMeasures("ouroheap:gc");
    const ours = entries.filter(({ name }) => name === "ouroheap:gc");
    expect([silent.events.length, ours.length]).toEqual([2, 1]);
    const { startTime, duration, ...detail } = times.events[0];
    expect(ours[0]).toMatchObject({ startTime, detail });
    expect(ours[0].duration).toBeCloseTo(duration, 6);
  });
});
