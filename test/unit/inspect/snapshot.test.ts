/** Snapshots of a heap: sizes, what changes between two, and when one may be taken. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  any,
  dict,
  f64,
  finalizer,
  foreign,
  Heap,
  HeapBusyError,
  list,
  optional,
  release,
  str,
  struct,
} from "../../../src/index.js";
import { rootGroups, takeSnapshot } from "../../../src/inspect/index.js";
import { makeHeap, size } from "../../support/heaps.js";
import { messageOf, thrownBy } from "../host/support.js";
import { Node } from "./snapshot-support.js";

describe("A snapshot's sizes", () => {
  it("are of block and storage, and those of adopted values apart", () => {
    const heap = makeHeap();
    const before = takeSnapshot(heap);
    expect(before.nodeCount).toBe(1);
    using items = heap.new(
      list(f64),
      Array.from({ length: 1000 }, (_, i) => i),
    );
    using value = heap.adopt({}, () => {}, { bytes: 5000, holds: [items] });
    class Owner extends struct("Owner", { value: foreign<object>() }) {}
    using owner = heap.new(Owner, { value });
    const snapshot = takeSnapshot(heap);
    const node = snapshot.nodeOf(items)!;
    expect(snapshot.selfSize(node)).toBeGreaterThanOrEqual(8000 + 32);
    expect(snapshot.selfSize(node)).toBeLessThan(12000);
    expect([snapshot.adoptedBytes(node), snapshot.adoptedBytes(snapshot.nodeOf(value)!)]).toEqual([0, 5000]);
    expect(snapshot.retainedAdoptedBytes(snapshot.nodeOf(owner)!)).toBe(0); // the handle keeps it too
    expect(snapshot.retainedAdoptedBytes(0)).toBe(5000);
    const total = [...Array(snapshot.nodeCount).keys()].reduce((sum, one) => sum + snapshot.selfSize(one), 0);
    expect(snapshot.retainedSize(0)).toBe(total);
    expect([...snapshot.byType().values()].reduce((sum, { bytes }) => sum + bytes, 0)).toBe(total);
  });

  it("retained are what is freed when nothing refers to an object any more, on random graphs", () => {
    const COUNT = 8;
    const names = Array.from({ length: COUNT }, (_, index) => `n${index}`);
    const Holder = struct("Holder", Object.fromEntries(names.map((name) => [name, optional(Node)])));
    const node = fc.nat(COUNT - 1);
    const link = fc.tuple(node, fc.constantFrom("next" as const, "rest" as const), node);
    fc.assert(
      fc.property(fc.array(link, { maxLength: 20 }), fc.uniqueArray(node), node, (links, unheld, victim) => {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        using holder = heap.new(
          Holder,
          Object.fromEntries(names.map((name) => [name, { name, rest: null }])) as never,
        );
        const fields = holder as unknown as Record<string, Node | null>;
        for (const [from, field, to] of links) fields[names[from]]![field] = fields[names[to]]!;
        // These live by what refers to them, or not at all.
        for (const index of unheld) if (index !== victim) fields[names[index]] = null;
        heap.gc.collect();
        const before = takeSnapshot(heap);
        const at = before.nodeOf(fields[names[victim]]!)!;
        const retainers = [...before.retainers(at)].map(({ node: from, edge }) => ({
          owner: before.object(from),
          edge,
        }));
        for (const { owner, edge } of retainers) (owner as unknown as Record<string, null>)[edge] = null;
        heap.gc.collect();
        expect(before.retainedSize(0) - takeSnapshot(heap).retainedSize(0)).toBe(before.retainedSize(at));
      }),
      { numRuns: size(300) },
    );
  });
});

describe("A snapshot", () => {
  it("stays as it is while the heap goes on", () => {
    const heap = makeHeap({ checks: "off" });
    const node = heap.new(Node, { name: "before" });
    const snapshot = takeSnapshot(heap);
    const at = snapshot.nodeOf(node)!;
    release(node);
    using other = heap.new(Node, { name: "after" });
    expect([...snapshot.references(at)].map(({ node: to }) => snapshot.describe(to))).toEqual(['"before"']);
    expect([snapshot.object(at), snapshot.nodeOf(other)]).toEqual([undefined, undefined]);
    expect(takeSnapshot(heap).object(takeSnapshot(heap).nodeOf(other)!)).toBeInstanceOf(Node);
  });

  it("tells what has changed since another, by type", () => {
    const heap = makeHeap();
    using _kept = heap.new(list(str), ["a"]);
    const gone = heap.new(dict(str, f64), []);
    const before = takeSnapshot(heap);
    release(gone);
    using _node = heap.new(Node, { name: "n" });
    const diff = takeSnapshot(heap).diff(before);
    expect(new Map([...diff].map(([type, { countDelta }]) => [type, countDelta]))).toEqual(
      new Map([
        ["Node", 1],
        ["str", 1],
        ["dict(str, f64)", -1],
      ]),
    );
    expect(diff.get("Node")!.bytesDelta).toBeGreaterThan(0);
    expect(diff.get("dict(str, f64)")!.bytesDelta).toBeLessThan(0);
    expect(takeSnapshot(heap).diff(takeSnapshot(heap)).size).toBe(0);
  });

  it("describes strings by their text, cut off, wide ones too, and escapes what would act on a terminal", () => {
    const heap = makeHeap();
    const long = "long ".repeat(500);
    using texts = heap.new(list(str), [
      "plain",
      '\u001b[31mred\n"<b>',
      "naïve – ☃",
      long,
      "\u202edlrow",
      "\ud800",
    ]);
    const snapshot = takeSnapshot(heap);
    expect(
      [...snapshot.references(snapshot.nodeOf(texts)!)].map(({ node }) => snapshot.describe(node)),
    ).toEqual([
      '"plain"',
      '"\\u001b[31mred\\n\\"<b>"',
      '"naïve – ☃"',
      `"${long.slice(0, 40)}"…`,
      '"\\u{202e}dlrow"',
      '"\\ud800"',
    ]);
  });

  it("leaks nothing and runs inside callbacks", () => {
    const heap = makeHeap();
    using _nodes = heap.new(list(Node), [{ name: "a" }, { name: "b" }]);
    const counts: number[] = [];
    heap.gc.callbacks.push(() => counts.push(takeSnapshot(heap).nodeCount));
    heap.gc.collect();
    heap.gc.callbacks.length = 0;
    expect(counts.slice(-2)).toEqual([6, 6]);
  });

  it("works while objects die around it: in finalizers, disposers and traverse, which may even end the heap", () => {
    const heap = makeHeap();
    const seen: string[][] = [];
    const look = () => {
      const snapshot = takeSnapshot(heap);
      snapshot.retainedSize(0);
      snapshot.toDevTools();
      seen.push([...snapshot.byType().keys()].sort());
    };
    class Dying extends struct("Dying", { inner: any, items: list(any) }) {
      [finalizer](): void {
        look();
      }
    }
    const value = heap.adopt({}, look);
    const dying = heap.new(Dying, { inner: value, items: ["text", value] });
    release(value);
    release(dying);
    expect(seen).toEqual([["Dying", "foreign", "list(any)", "str"], ["str"]]); // the list is half dropped: last to first
    const ending = Heap.create({ maximumBytes: 1 << 20 });
    const handle = ending.adopt({}, () => {}, {
      traverse: () => {
        ending.onLeakedHandle = () => {};
        ending.shutdown();
        return [];
      },
    });
    messageOf("HEAP_DISPOSED", () => takeSnapshot(ending));
    messageOf("HEAP_DISPOSED", () => release(handle));
  });

  it("refuses what is no node, no object, or of another heap", () => {
    const heap = makeHeap();
    const snapshot = takeSnapshot(heap);
    for (const node of [-1, 1, 0.5, Number.NaN, "0"])
      expect(messageOf("INVALID_ARGUMENT", () => snapshot.selfSize(node as number))).toMatch(
        /^A node is a whole number from 0 to 0, got/,
      );
    using other = makeHeap().new(Node, {});
    for (const ref of [other, {}, null]) messageOf("INVALID_ARGUMENT", () => snapshot.nodeOf(ref as never));
    const closed = Heap.create({ maximumBytes: 1 << 20 });
    closed[Symbol.dispose]();
    messageOf("HEAP_DISPOSED", () => takeSnapshot(closed));
    messageOf("INVALID_ARGUMENT", () => takeSnapshot({} as Heap));
  });
});

describe("A snapshot that a `traverse` takes", () => {
  it("is refused by name: it would ask the same `traverse`, without end", () => {
    const heap = makeHeap();
    let calls = 0;
    const errors: unknown[] = [];
    const traverse = (): [] => {
      calls++;
      errors.push(thrownBy(() => takeSnapshot(heap)));
      errors.push(thrownBy(() => rootGroups(heap)));
      return [];
    };
    using value = heap.adopt({}, () => {}, { traverse });
    takeSnapshot(heap);
    expect(calls).toBe(1);
    heap.gc.collect();
    expect(calls).toBe(2);
    expect(errors).toHaveLength(4);
    for (const error of errors) expect(error).toBeInstanceOf(HeapBusyError);
    expect(takeSnapshot(heap).nodeOf(value)).toBeDefined();
  });
});
