/** Objects as the gc module shows them: which it tracks, what refers to them and what they refer to, and frozen ones. */
import { describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  f64,
  is,
  list,
  optional,
  release,
  set,
  str,
  struct,
  tuple,
} from "../../../src/index.js";
import { makeExactHeap } from "../../support/heaps.js";
import { Node, Point } from "./gc-support.js";
import { liveObjects, messageOf } from "./support.js";

const isSame = (found: Borrowed[], expected: Borrowed[]) =>
  found.length === expected.length && found.every((object, index) => is(object, expected[index]));

describe("gc.getObjects", () => {
  it("lists tracked objects by age, of one generation or of all", () => {
    const heap = makeExactHeap();
    using oldest = heap.new(Node, {});
    heap.gc.collect(1);
    using older = heap.new(Node, {});
    heap.gc.collect(0);
    using young = heap.new(Node, {});
    using youngest = heap.new(set(any), []);
    using _untracked = heap.new(dict(str, any), [["only", "texts"]]);
    using _leaf = heap.new(Point, {});
    expect(isSame(heap.gc.getObjects(), [young, youngest, older, oldest])).toBe(true);
    expect(isSame(heap.gc.getObjects(0), [young, youngest])).toBe(true);
    expect(isSame(heap.gc.getObjects(1), [older])).toBe(true);
    expect(isSame(heap.gc.getObjects(2), [oldest])).toBe(true);
    expect(messageOf("INVALID_ARGUMENT", () => heap.gc.getObjects(3 as never))).toMatch(/A generation is/);
  });
});

describe("gc.getReferrers", () => {
  it("are all that refer to any of the targets, each once, whatever their kind", () => {
    const heap = makeExactHeap();
    using target = heap.new(Node, {});
    using other = heap.new(Point, {});
    using field = heap.new(Node, { next: target });
    using items = heap.new(list(any), [target, target, other]);
    using values = heap.new(dict(str, any), [["key", target]]);
    using keys = heap.new(dict(any, f64), [[target, 1]]);
    using members = heap.new(set(any), [target]);
    using pair = heap.new(tuple(any, any), [1, target]);
    expect(isSame(heap.gc.getReferrers(target), [field, items, values, keys, members, pair])).toBe(true);
    expect(isSame(heap.gc.getReferrers(other), [items])).toBe(true);
    expect(
      isSame(heap.gc.getReferrers(other, field, target), [field, items, values, keys, members, pair]),
    ).toBe(true);
    expect(heap.gc.getReferrers(field, pair)).toEqual([]);
    expect(heap.gc.getReferrers()).toEqual([]);
  });

  it("come youngest generation first", () => {
    const heap = makeExactHeap();
    using target = heap.new(Point, {});
    using old = heap.new(list(any), [target]);
    heap.gc.collect();
    using middle = heap.new(list(any), [target]);
    heap.gc.collect(0);
    using young = heap.new(list(any), [target]);
    expect(isSame(heap.gc.getReferrers(target), [young, middle, old])).toBe(true);
  });

  it("are found among what the collector never tracks too, but not among the frozen", () => {
    const heap = makeExactHeap();
    const Leaf = struct("Leaf", { point: optional(Point) });
    using point = heap.new(Point, {});
    using leaf = heap.new(Leaf, { point });
    using tracked = heap.new(list(any), [point]);
    expect(isSame(heap.gc.getReferrers(point), [tracked, leaf])).toBe(true);
    heap.gc.freeze();
    expect(isSame(heap.gc.getReferrers(point), [leaf])).toBe(true);
    heap.gc.unfreeze();
    expect(isSame(heap.gc.getReferrers(point), [tracked, leaf])).toBe(true);
  });
});

describe("gc.getReferents", () => {
  it("are what the sources refer to, one for each reference, in the order of a visit; texts and numbers are none", () => {
    const heap = makeExactHeap();
    using a = heap.new(Node, {});
    using b = heap.new(Node, { next: a });
    using items = heap.new(list(any), [a, 1, "text", b, b]);
    using table = heap.new(dict(any, any), [
      [a, b],
      ["key", 2],
    ]);
    expect(isSame(heap.gc.getReferents(b), [a])).toBe(true);
    expect(isSame(heap.gc.getReferents(items), [b, b, a])).toBe(true); // last item first
    expect(isSame(heap.gc.getReferents(table), [b, a])).toBe(true); // a value before its key
    expect(isSame(heap.gc.getReferents(b, table), [a, b, a])).toBe(true);
    expect(heap.gc.getReferents(a)).toEqual([]);
    expect(heap.gc.getReferents()).toEqual([]);
  });
});

describe("gc.isTracked and isFinalized", () => {
  it("tell of heap objects, and are false for plain values", () => {
    const heap = makeExactHeap();
    using node = heap.new(Node, {});
    using point = heap.new(Point, {});
    using table = heap.new(dict(str, any), []);
    expect([node, point, table, null, 1, "text", true].map((value) => heap.gc.isTracked(value))).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
    table.set("node", node);
    expect(heap.gc.isTracked(table)).toBe(true);
    expect([heap.gc.isFinalized(node), heap.gc.isFinalized(null)]).toEqual([false, false]);
  });
});

describe("gc.freeze", () => {
  it("takes all tracked objects out of the collector's sight, until unfreeze", () => {
    const heap = makeExactHeap();
    const kept = heap.new(Node, {});
    kept.next = kept;
    const counted = heap.new(Node, {});
    heap.gc.collect(0);
    heap.gc.freeze();
    expect([heap.gc.getFreezeCount(), heap.gc.getObjects(), heap.gc.getCount()]).toEqual([2, [], [0, 0, 0]]);
    expect(heap.gc.isTracked(kept)).toBe(true);
    release(counted); // counts go on
    release(kept);
    expect([heap.gc.getFreezeCount(), heap.gc.collect(), liveObjects(heap)]).toEqual([1, 0, 1]);
    heap.gc.unfreeze();
    expect([heap.gc.getFreezeCount(), heap.gc.getObjects(2).length]).toEqual([0, 1]);
    expect([heap.gc.collect(), liveObjects(heap)]).toEqual([1, 0]);
  });
});
