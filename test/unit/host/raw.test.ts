import { describe, expect, it } from "vitest";
import {
  any,
  bool,
  dict,
  f32,
  f64,
  Heap,
  i32,
  i64,
  id,
  is,
  list,
  optional,
  refcount,
  release,
  str,
  struct,
  u8,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { HEADER_REFCOUNT, HEADER_WORDS, REFCOUNT_MAX } from "../../../src/memory/layout.js";
import { type Address, unsafe } from "../../../src/unsafe.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { describeBothMakers, liveObjects, messageOf } from "./support.js";

class Node extends struct("Node", {
  value: f64,
  get left() {
    return optional(Node);
  },
  get right() {
    return optional(Node);
  },
}) {}

describe("a raw type", () => {
  it("says where the fields of a struct are", () => {
    const heap = makeHeap();
    const raw = unsafe(heap);
    const All = struct("All", {
      f: f64,
      r: optional(list(f64)),
      s: str,
      n: i32,
      g: f32,
      b: i64,
      flag: bool,
      u: u8,
    });
    const type = raw.type(All);
    using all = heap.new(All, { f: 1.5, r: [7], n: -5, g: 0.5, b: -9n, flag: true, u: 200 });
    const at = raw.addressOf(all);
    expect(at * 4).toBe(id(all));
    expect([type.struct === All, type.words * 4]).toEqual([true, All.byteSize]);
    expect([
      raw.f64[(at + type.offsetOf("f")) >> 1],
      raw.i32[at + type.offsetOf("n")],
      raw.f32[at + type.offsetOf("g")],
      raw.i64[(at + type.offsetOf("b")) >> 1],
      raw.i32[at + type.offsetOf("r")] * 4,
    ]).toEqual([1.5, -5, 0.5, -9n, id(all.r!)]);
    expect(type.offsetOf("flag")).toBe(type.offsetOf("u")); // bytes share a word
    expect(raw.i32[at + type.offsetOf("u")]).toBe(1 | (200 << 8));
    raw.f64[(at + type.offsetOf("f")) >> 1] = 2.5;
    expect(all.f).toBe(2.5);
  });

  it("refuses fields that there are none of, and what is no struct", () => {
    const raw = unsafe(makeHeap());
    expect(messageOf("INVALID_ARGUMENT", () => raw.type(Node).offsetOf("top" as never))).toBe(
      'Struct "Node" has no field "top".',
    );
    for (const type of [list(f64), f64, {}, undefined])
      expect(messageOf("INVALID_ARGUMENT", () => raw.type(type as never))).toMatch(
        /^(The raw verbs take structs|The type must be a heap type)/,
      );
    const fields = Object.fromEntries(Array.from({ length: 1100 }, (_, index) => [`f${index}`, f64]));
    expect(messageOf("INVALID_ARGUMENT", () => raw.type(struct("Huge", fields)))).toMatch(
      /^A Huge of \d+ words is too large for the raw verbs\.$/,
    );
  });
});

describe("an object made by address", () => {
  it("is zero, owned by its maker, and counts like any other", () => {
    const heap = makeExactHeap();
    const raw = unsafe(heap);
    const type = raw.type(Node);
    const node = type.allocate();
    expect([raw.i32[node + HEADER_REFCOUNT], heap.gc.getCount()[0], liveObjects(heap)]).toEqual([1, 1, 1]);
    const view = raw.view(Node, node);
    expect([view.value, view.left, view.right, view instanceof Node]).toEqual([0, null, null, true]);
    expect(heap.gc.isTracked(view)).toBe(true);
    raw.decref(node);
    expect(liveObjects(heap)).toBe(0);
    messageOf("STALE_REFERENCE", () => view.value);
  });

  it("starts collections, and is found by them", () => {
    const heap = makeExactHeap();
    const raw = unsafe(heap);
    const type = raw.type(Node);
    const left = type.offsetOf("left");
    heap.gc.setThreshold(10);
    for (let count = 0; count < 100; count++) {
      const node = type.allocate();
      raw.store(node, left, node);
      raw.decref(node);
    }
    expect(heap.gc.getStats()[0].collections).toBe(9);
    heap.gc.collect();
    expect(liveObjects(heap)).toBe(0);
  });

  it("of a type on no cycle is none of the collector's business", () => {
    const heap = makeExactHeap();
    const raw = unsafe(heap);
    const Point = struct("Point", { x: f64, y: f64 });
    const point = raw.type(Point).allocate();
    expect([heap.gc.getCount()[0], heap.gc.isTracked(raw.view(Point, point))]).toEqual([0, false]);
    raw.decref(point);
    expect(liveObjects(heap)).toBe(0);
  });
});

describeBothMakers("an object made by address, in the place of what has died,", ({ makeExactHeap }) => {
  const fields = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, f64]));
  it.each([
    ["a short one", struct("Short", { f0: f64, any, f1: f64 }, { weakrefs: false })],
    ["a long one", struct("Long", fields)],
  ])("is zero: %s", (_, Type) => {
    const heap = makeExactHeap();
    const raw = unsafe(heap);
    const type = raw.type(Type);
    const tenths = Object.fromEntries(Object.keys(Type.shape).map((name) => [name, 0.1]));
    const handles = Array.from({ length: 500 }, () => heap.new(Type, tenths));
    const used = new Set(handles.map((handle) => raw.addressOf(handle)));
    for (const handle of handles) release(handle);
    const made = Array.from({ length: 1000 }, () => type.allocate());
    expect(made.filter((node) => used.has(node)).length).toBeGreaterThan(100);
    const payload = (node: number) => [...raw.i32.subarray(node + HEADER_WORDS, node + type.words)];
    expect(made.filter((node) => payload(node).some((word) => word !== 0))).toEqual([]);
    for (const node of made) raw.decref(node);
    expect(liveObjects(heap)).toBe(0);
  });
});

describe("references by address", () => {
  it("are counted by store, taken over by storeOwned, and the old one is dropped", () => {
    const heap = makeExactHeap();
    const raw = unsafe(heap);
    const type = raw.type(Node);
    const [left, right] = [type.offsetOf("left"), type.offsetOf("right")];
    const [parent, child] = [type.allocate(), type.allocate()];
    const count = () => raw.i32[child + HEADER_REFCOUNT];
    raw.store(parent, left, child);
    expect(count()).toBe(2);
    raw.store(parent, left, child); // the same again
    expect(count()).toBe(2);
    raw.storeOwned(parent, right, child);
    expect([count(), is(raw.view(Node, parent).left, raw.view(Node, parent).right)]).toEqual([2, true]);
    raw.store(parent, left, 0);
    expect(count()).toBe(1);
    raw.storeOwned(parent, right, 0);
    expect(liveObjects(heap)).toBe(1);
    raw.incref(parent);
    raw.decref(parent);
    raw.decref(parent);
    expect(liveObjects(heap)).toBe(0);
  });

  it("are refused beyond 2^30 to one object", () => {
    const heap = makeHeap();
    const raw = unsafe(heap);
    const node = raw.type(Node).allocate();
    raw.i32[node + HEADER_REFCOUNT] = REFCOUNT_MAX;
    expect(messageOf("INVALID_ARGUMENT", () => raw.incref(node))).toBe(
      `Object ${node} has ${REFCOUNT_MAX} references: it can take no more.`,
    );
    raw.i32[node + HEADER_REFCOUNT] = 1;
    raw.decref(node);
  });

  it("become handles, which take over the reference of their maker", () => {
    const heap = makeHeap();
    const raw = unsafe(heap);
    const type = raw.type(Node);
    {
      const made = type.allocate();
      raw.f64[(made + type.offsetOf("value")) >> 1] = 7;
      using node = raw.handle(Node, made);
      expect([node.value, refcount(node), raw.addressOf(node)]).toEqual([7, 1, made]);
    }
    expect(liveObjects(heap)).toBe(0);
  });

  it("come from live references of this heap", () => {
    const heap = makeHeap();
    const raw = unsafe(heap);
    using foreign = makeHeap().new(Node, {});
    const dead = heap.new(Node, {});
    release(dead);
    for (const ref of [foreign, {}, null, 5])
      expect(messageOf("INVALID_ARGUMENT", () => raw.addressOf(ref as never))).toMatch(
        /^Expected an object of this heap, got /,
      );
    messageOf("USE_AFTER_RELEASE", () => raw.addressOf(dead));
  });
});

describe("a heap that was opened by address", () => {
  it("is verified with raw references as roots, of which no more is asked than that there are enough", () => {
    const heap = makeHeap();
    const raw = unsafe(heap);
    using holder = heap.new(dict(str, any), []);
    const node = raw.type(Node).allocate();
    holder.set("node", raw.view(Node, node));
    verify(heap); // the count is one more than the heap explains
    raw.decref(node);
    verify(heap);
    raw.i32[node + HEADER_REFCOUNT] = 0; // one too few
    expect(messageOf("HEAP_CORRUPTION", () => verify(heap))).toMatch(/I6 refcount/);
    raw.i32[node + HEADER_REFCOUNT] = 1;
  });

  it("is still verified for its handles, where each is known", () => {
    const heap = makeHeap({ checks: "verify" });
    const raw = unsafe(heap);
    using holder = heap.new(Node, { right: {} });
    using node = heap.new(Node, {});
    holder.left = node;
    const address = raw.addressOf(node);
    raw.incref(address);
    verify(heap);
    raw.decref(address);
    raw.i32[address + HEADER_REFCOUNT]--; // left to the field, and none to the handle
    raw.incref(raw.addressOf(holder.right!)); // so that the sum is right
    expect(messageOf("HEAP_CORRUPTION", () => verify(heap))).toMatch(/I6 refcount.*1 handles/);
    raw.i32[address + HEADER_REFCOUNT]++;
    raw.decref(raw.addressOf(holder.right!));
  });

  it("is opened while it is open", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap[Symbol.dispose]();
    messageOf("HEAP_DISPOSED", () => unsafe(heap));
  });

  it("builds and sums a tree, the loop that it is for", () => {
    const heap = makeHeap();
    const raw = unsafe(heap);
    const type = raw.type(Node);
    const [value, left, right] = (["value", "left", "right"] as const).map((field) => type.offsetOf(field));
    function build(depth: number): Address {
      const node = type.allocate();
      raw.f64[(node + value) >> 1] = 1;
      if (depth > 0) {
        raw.storeOwned(node, left, build(depth - 1));
        raw.storeOwned(node, right, build(depth - 1));
      }
      return node;
    }
    const sum = (node: number): number =>
      node === 0 ? 0 : raw.f64[(node + value) >> 1] + sum(raw.i32[node + left]) + sum(raw.i32[node + right]);
    const root = build(6);
    expect([sum(root), liveObjects(heap)]).toEqual([127, 127]);
    verify(heap);
    raw.decref(root);
    expect(liveObjects(heap)).toBe(0);
  });
});
