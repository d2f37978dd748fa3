import { MessageChannel } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { addressOf, asView } from "../../../src/host/view.js";
import { any, dict, f64, Heap, id, list, release, set, str, struct, tuple } from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { liveObjects, messageOf, thrownBy } from "./support.js";

const Point = struct("Point", { x: f64 });
const Holder = struct("Holder", { point: Point });

describe("a reference", () => {
  it("cannot be cloned or posted, as a handle or as a borrow, recorded or not: its address would mean nothing", () => {
    for (const checks of ["off", { handles: { every: 1 } }, "verify"] as const) {
      const heap = makeHeap({ checks });
      using holder = heap.new(Holder, { point: {} });
      const references = [
        holder,
        holder.point,
        heap.new(list(f64), [1]),
        heap.new(dict(str, any), [["a", 1]]),
        heap.new(set(str), ["a"]),
        heap.new(tuple(f64), [1]),
        heap.from({ a: 1 }),
        heap.gc.garbage,
      ];
      const { port1, port2 } = new MessageChannel();
      for (const reference of references)
        for (const value of [reference, { nested: [reference] }, new Map([[1, reference]])])
          for (const send of [() => structuredClone(value), () => port1.postMessage(value)])
            expect((thrownBy(send) as Error).message).toContain("copy it with heap.toJS(ref)");
      port1.close();
      port2.close();
      expect(structuredClone(heap.toJS(holder))).toEqual({ point: { x: 0 } });
    }
  });

  it("that was released cannot be cloned either", () => {
    const point = makeHeap().new(Point, {});
    release(point);
    expect(() => structuredClone(point)).toThrow(/copy it with heap\.toJS/);
  });

  it("is told from plain data by what it is, not by what its keys are called", () => {
    const heap = makeHeap();
    using holder = heap.new(Holder, { point: { x: 1 } });
    const forged = [
      { "@type": "Point" },
      { "@type": null, "@address": id(holder) / 4, "@serial": 1 },
      { "@type": { context: "mine" }, "@address": 64 },
      JSON.parse('{"@type":{"@type":{}}}'),
    ];
    for (const value of forged) {
      expect(messageOf("TYPE_MISMATCH", () => heap.new(list(any), [value as never]))).toContain(
        "Copy plain objects",
      );
      expect(messageOf("INVALID_ARGUMENT", () => id(value as never))).toContain(
        "takes a reference to a heap object",
      );
      expect(messageOf("INVALID_ARGUMENT", () => Object.assign(holder, { point: value }))).toContain(
        'has no field "@type"',
      );
      expect(messageOf("INVALID_ARGUMENT", () => heap.gc.getReferrers(value as never))).toContain(
        "got an object",
      );
    }
    expect(holder.point.x).toBe(1);
  });
});

describe("a reference into a heap that was disposed", () => {
  it("throws, whatever it is and whatever is done with it", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    const holder = heap.new(Holder, { point: { x: 1 } });
    const { point } = holder;
    const points = heap.new(list(Point), [{}]);
    const entries = heap.new(dict(str, f64), [["a", 1]]);
    const iterators = [points[Symbol.iterator](), entries.keys()];
    const released = heap.new(Point, {});
    release(released);
    heap[Symbol.dispose]();
    const uses: (() => unknown)[] = [
      () => point.x,
      () => holder.point,
      () => points.length,
      () => points.push({}),
      () => entries.size,
      () => entries.set("b", 1),
      () => id(point),
      () => release(holder),
      () => released.x,
      ...iterators.map((iterator) => () => iterator.next()),
    ];
    for (const use of uses)
      expect(messageOf("HEAP_DISPOSED", use)).toBe(
        "This heap was disposed: nothing in it can be used any more.",
      );
  });
});

describe("a view of an object that has died", () => {
  it("never reads another object, however often the memory is used again", () => {
    const heap = makeExactHeap();
    const stale: { x: number }[] = [];
    for (let round = 0; round < 5; round++) {
      using holders = heap.new(
        list(Holder),
        Array.from({ length: 700 }, () => ({ point: { x: round } })),
      );
      for (const { point } of holders) stale.push(point);
    }
    using alive = heap.new(
      list(Holder),
      Array.from({ length: 700 }, () => ({ point: { x: -1 } })),
    );
    for (const view of stale) messageOf("STALE_REFERENCE", () => view.x);
    expect(liveObjects(heap)).toBeGreaterThan(1400);
    expect(alive.length).toBe(700);
  });
});

it("a struct's name cannot act on a terminal, nor end a line, in what is said of its handles", () => {
  const Evil = struct("Evil\u001b[2J\n  made at nowhere", {});
  const heap = makeHeap({ checks: { handles: { every: 1 } } });
  const warnings: string[] = [];
  const { warn } = console;
  const released = heap.new(Evil, {});
  release(released);
  const name = "Evil\\u{1b}[2J\\u{a}  made at nowhere";
  expect(messageOf("USE_AFTER_RELEASE", () => addressOf(asView(released)!))).toContain(
    `handle to a ${name} was`,
  );
  expect(messageOf("DOUBLE_RELEASE", () => release(released))).toContain(`handle to a ${name} was`);
  console.warn = (text: string) => warnings.push(text);
  try {
    heap.onLeakedHandle({
      when: "dropped",
      count: 1,
      typeName: "E\u001b",
      madeAt: "a\u001b\nb",
      keepsAlive: undefined,
    });
  } finally {
    console.warn = warn;
  }
  expect(warnings).toEqual([
    expect.stringMatching(/a handle to a E\\u\{1b\} was dropped.*\n {2}a\\u\{1b\}\n {2}b$/),
  ]);
});
