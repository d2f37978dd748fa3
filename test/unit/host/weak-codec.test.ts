import { expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  f64,
  finalizer,
  Heap,
  i32,
  id,
  is,
  list,
  oneOf,
  optional,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
  weak,
} from "../../../src/index.js";
import { describeBothMakers, heapError, leaksNothing, liveObjects, messageOf } from "./support.js";

class Tree extends struct("Tree", {
  value: i32,
  get parent() {
    return weak(Tree);
  },
  get children() {
    return list(Tree);
  },
}) {}
const Point = struct("Point", { x: f64 });
const Other = struct("Other", { y: f64 });
const Bare = struct("Bare", { x: f64 }, { weakrefs: false });

describeBothMakers("a weak slot", ({ makeHeap, makeExactHeap }) => {
  it("reads as its target, borrowed, and as null once that is dead", () => {
    const heap = makeHeap();
    const root = heap.new(Tree, { value: 1 });
    using child = heap.new(Tree, { value: 2, parent: root });
    expect([is(child.parent, root), child.parent!.value, refcount(root)]).toEqual([true, 1, 1]);
    expect(child.parent).toBeInstanceOf(Tree);
    messageOf("INVALID_ARGUMENT", () => release(child.parent as never));
    const borrowed = child.parent!;
    release(root);
    expect(child.parent).toBeNull();
    messageOf("STALE_REFERENCE", () => borrowed.value);
  });

  it("is null where nothing is given, and takes null", () => {
    const heap = makeExactHeap();
    using root = heap.new(Tree, {});
    using child = heap.new(Tree, {});
    expect(child.parent).toBeNull();
    child.parent = root;
    expect(heap.weakref.getWeakrefCount(root)).toBe(1);
    child.parent = null;
    expect([child.parent, heap.weakref.getWeakrefCount(root)]).toEqual([null, 0]);
  });

  it("holds the one shared weak reference, which all slots and `ref` have in common", () => {
    const heap = makeExactHeap();
    using root = heap.new(Tree, {});
    using first = heap.new(Tree, { parent: root });
    using second = heap.new(Tree, { parent: root });
    using ref = heap.weakref.ref(root);
    expect([heap.weakref.getWeakrefCount(root), refcount(ref), refcount(root)]).toEqual([1, 3, 1]);
    second.parent = first;
    expect([refcount(ref), heap.weakref.getWeakrefCount(first)]).toEqual([2, 1]);
    second.parent = second;
    expect(is(second.parent, second)).toBe(true);
  });

  it("can be an item of a list: written, read, found, taken out as a handle", () => {
    const heap = makeExactHeap();
    const points = [0, 1, 2, 3].map((x) => heap.new(Point, { x }));
    using items = heap.new(list(weak(Point)), [points[0], null, points[1]]);
    items.push(points[2], points[3]);
    items.insert(0, points[3]);
    const xs = () => [...items].map((item) => item?.x);
    expect(xs()).toEqual([3, 0, undefined, 1, 2, 3]);
    expect([items.indexOf(points[1]), items.indexOf(null), items.indexOf(points[3])]).toEqual([3, 2, 0]);
    using popped = items.pop();
    using taken = items.take(1);
    expect([is(popped!, points[3]), is(taken!, points[0]), refcount(points[3]), refcount(points[0])]).toEqual(
      [true, true, 2, 2],
    );
    expect(items.take(1)).toBeNull();
    expect(xs()).toEqual([3, 1, 2]);
    release(points[1]);
    expect(xs()).toEqual([3, undefined, 2]);
    expect([items.indexOf(null), items.take(1), items.length]).toEqual([1, null, 2]);
    items.set(0, null);
    expect([xs(), items.delete(0)]).toEqual([[undefined, 2], true]);
    items.assign([points[0], points[0]]);
    const seen: unknown[] = [];
    items.forEach((item) => seen.push(item?.x));
    expect([seen, heap.weakref.getWeakrefCount(points[0])]).toEqual([[0, 0], 1]);
    items.clear();
    expect([items.pop(), heap.weakref.getWeakrefCount(points[0])]).toEqual([undefined, 0]);
    for (const index of [0, 2, 3]) release(points[index]);
  });

  it("can be the value of a dict, an item of a tuple, and optional", () => {
    const heap = makeExactHeap();
    leaksNothing(heap, () => {
      const point = heap.new(Point, { x: 1 });
      using table = heap.new(dict(str, weak(Point)), [["a", point]]);
      table.set("b", point).set("none", null);
      using pair = heap.new(tuple(weak(Point), f64), [point, 2]);
      const Holder = struct("Holder", { maybe: optional(weak(Point)), before: f64 });
      using holder = heap.new(Holder, { maybe: point });
      using empty = heap.new(Holder, {});
      expect([table.get("a")?.x, table.get("none"), table.get("missing"), pair[0]?.x, pair[1]]).toEqual([
        ...[1, null, undefined],
        ...[1, 2],
      ]);
      expect([holder.maybe?.x, empty.maybe, heap.weakref.getWeakrefCount(point), refcount(point)]).toEqual([
        ...[1, null],
        ...[1, 1],
      ]);
      const taken = table.take("b")!;
      expect([is(taken, point), table.has("b"), refcount(point)]).toEqual([true, false, 2]);
      release(taken);
      release(point);
      expect([table.get("a"), table.take("a"), table.size, pair[0], holder.maybe]).toEqual([
        ...[null, null, 1],
        ...[null, null],
      ]);
    });
  });

  it("may lead to one of several types, and to sets", () => {
    const heap = makeHeap();
    const Holder = struct("Holder", { either: weak(oneOf(Point, Other)), members: weak(set(f64)) });
    using point = heap.new(Point, { x: 1 });
    using other = heap.new(Other, { y: 2 });
    const members = heap.new(set(f64), [1, 2]);
    using holder = heap.new(Holder, { either: point, members });
    expect([is(holder.either, point), [...holder.members!]]).toEqual([true, [1, 2]]);
    holder.either = other;
    expect(is(holder.either, other)).toBe(true);
    release(members);
    expect(holder.members).toBeNull();
    expect(
      messageOf("TYPE_MISMATCH", () => {
        holder.either = holder as never;
      }),
    ).toMatch(/^Holder\.either must be Point or Other, or null, got a Holder\.$/);
  });

  it("takes a proxy for its target", () => {
    const heap = makeHeap();
    using root = heap.new(Tree, {});
    using proxy = heap.weakref.proxy(root);
    using child = heap.new(Tree, { parent: proxy });
    expect(is(child.parent, root)).toBe(true);
  });

  it("refuses literals, other types, other heaps, what is dead, and changes nothing", () => {
    const heap = makeExactHeap();
    const foreign = makeHeap();
    using root = heap.new(Tree, {});
    using child = heap.new(Tree, { parent: root });
    using items = heap.new(list(weak(Tree)), [root]);
    using point = heap.new(Point, {});
    using elsewhere = foreign.new(Tree, {});
    leaksNothing(heap, () => {
      for (const [value, code, message] of [
        [{ value: 1 }, "TYPE_MISMATCH", /^Tree\.parent must be Tree, or null, got an object: a weak ref/],
        [5, "TYPE_MISMATCH", /^Tree\.parent must be Tree, or null, got 5/],
        ["text", "TYPE_MISMATCH", /got "text"/],
        [undefined, "TYPE_MISMATCH", /got undefined/],
        [point, "TYPE_MISMATCH", /^Tree\.parent must be Tree, or null, got a Point\.$/],
        [elsewhere, "FOREIGN_HEAP", /^Tree\.parent cannot refer to a Tree of another heap\.$/],
      ] as const) {
        expect(
          messageOf(code, () => {
            child.parent = value as never;
          }),
        ).toMatch(message);
        heapError(code, () => items.push(root, value as never));
        heapError(code, () => items.set(0, value as never));
        if (value !== undefined) heapError(code, () => heap.new(Tree, { parent: value as never }));
      }
      const released = heap.new(Tree, {});
      release(released);
      messageOf("USE_AFTER_RELEASE", () => items.push(released));
    });
    expect([is(child.parent, root), items.length, is(items.at(0)!, root)]).toEqual([true, 1, true]);
  });

  it("finds nothing of another heap, and refuses to look for what is stale", () => {
    const heap = makeHeap();
    const other = makeHeap();
    using root = heap.new(Tree, {});
    using items = heap.new(list(weak(Tree)), [root]);
    using plain = heap.new(list(Tree), [root]);
    using foreign = other.new(Tree, {});
    const gone = heap.new(Tree, {});
    release(gone);
    expect([items.indexOf(foreign), plain.indexOf(foreign)]).toEqual([-1, -1]);
    for (const nodes of [items, plain]) messageOf("USE_AFTER_RELEASE", () => nodes.indexOf(gone));
    expect([items.indexOf(5 as never), items.indexOf(null)]).toEqual([-1, -1]);
  });

  it("cannot be declared for what cannot be weakly referenced", () => {
    const heap = makeHeap();
    for (const [type, message] of [
      [list(weak(list(f64))), /a list\(f64\) cannot be weakly referenced, only structs/],
      [list(weak(dict(str, f64))), /a dict\(str, f64\) cannot be weakly referenced/],
      [list(weak(tuple(f64))), /a tuple\(f64\) cannot be weakly referenced/],
      [list(weak(Bare)), /a Bare cannot be weakly referenced/],
      [list(weak(oneOf(Point, Bare))), /a Bare cannot be weakly referenced/],
      [list(weak(f64)), /not f64/],
      [list(weak(str)), /not str/],
      [list(weak(any)), /not any/],
      [list(weak(optional(Point))), /not optional\(Point\)/],
      [list(weak(weak(Point))), /not weak\(Point\)/],
      [list(oneOf(weak(Point))), /not weak\(Point\)/],
    ] as const)
      expect(messageOf("INVALID_ARGUMENT", () => heap.new(type as never, [] as never))).toMatch(message);
  });

  it("cannot be a key or a member", () => {
    const heap = makeHeap();
    for (const type of [dict(weak(Point), f64), set(weak(Point)), set(optional(weak(Point)))])
      expect(messageOf("INVALID_ARGUMENT", () => heap.new(type as never, [] as never))).toMatch(
        /a weak reference cannot be a key; use heap\.weakref\.keyDictionary or heap\.weakref\.set\.$/,
      );
  });

  it("is one type however often it is written, and not that of a strong slot", () => {
    const heap = makeHeap();
    using items = heap.new(list(weak(Point)), []);
    const Holder = struct("Holder", { items: list(weak(Point)) });
    using holder = heap.new(Holder, { items });
    expect(is(holder.items, items)).toBe(true);
    const Strong = struct("Strong", { items: list(Point) });
    messageOf("TYPE_MISMATCH", () => heap.new(Strong, { items: items as never }));
  });

  it("brings nobody onto a cycle: types that only weak slots lead round are not collected at all", () => {
    const heap = makeHeap();
    class Link extends struct("Link", {
      get other() {
        return weak(Link);
      },
    }) {}
    using link = heap.new(Link, {});
    link.other = link;
    expect(heap.gc.isTracked(link)).toBe(false);
  });

  it("is copied as what it leads to, and written so", () => {
    const heap = makeHeap();
    using root = heap.new(Tree, { value: 1, children: [{ value: 2 }] });
    root.children.at(0)!.parent = root;
    const copy = heap.toJS(root) as { children: { parent: unknown }[] };
    expect(copy.children[0].parent).toBe(copy);
    expect(JSON.parse(JSON.stringify(root))).toEqual({
      value: 1,
      parent: null,
      children: [{ value: 2, parent: { $ref: "$" }, children: [] }],
    });
  });

  it("keeps its target while a collection that the store starts runs user code", () => {
    const heap = makeExactHeap();
    let root: Tree & Disposable;
    class Probe extends struct("Probe", {
      get self() {
        return optional(Probe);
      },
    }) {
      [finalizer]() {
        root[Symbol.dispose]();
      }
    }
    root = heap.new(Tree, {});
    using child = heap.new(Tree, {});
    const probe = heap.new(Probe, {});
    probe.self = probe;
    release(probe);
    heap.gc.setThreshold(1, 1, 1);
    child.parent = root;
    heap.gc.setThreshold(700, 10, 10);
    expect(child.parent).toBeNull();
  });
});

describeBothMakers("a tree whose children know their parents weakly", ({ makeExactHeap }) => {
  it("is freed at once when its root is released: no collection is needed", () => {
    const heap = makeExactHeap();
    heap.gc.disable();
    const empty = liveObjects(heap);
    const root = heap.new(Tree, { value: 0 });
    const grow = (parent: Tree, depth: number) => {
      if (depth === 0) return;
      for (let index = 0; index < 4; index++) {
        parent.children.push({ value: parent.value * 4 + index + 1, parent });
        grow(parent.children.at(-1)!, depth - 1);
      }
    };
    grow(root, 4);
    const leaf = retain(root.children.at(3)!.children.at(3)!.children.at(3)!.children.at(3)!);
    const path: number[] = [];
    for (let node: Tree | null = leaf; node !== null; node = node.parent) path.push(node.value);
    expect(path).toEqual([340, 84, 20, 4, 0]);
    expect(refcount(root)).toBe(1);
    const identity = id(leaf);
    release(root);
    expect([leaf.parent, leaf.value, id(leaf) === identity, liveObjects(heap) - empty]).toEqual([
      null,
      340,
      true,
      3, // the leaf, its list, and its weak reference, which is dead
    ]);
    release(leaf);
    expect(liveObjects(heap)).toBe(empty);
    expect(heap.gc.getStats().map(({ collections }) => collections)).toEqual([0, 0, 0]);
    expect(heap.gc.collect()).toBe(0);
  });
});

it("a weak slot outlives nothing: the heap ends with all of them", () => {
  const heap = Heap.create({ maximumBytes: 1 << 20 });
  const root = heap.new(Tree, {}) as Tree & Borrowed;
  const child = heap.new(Tree, { parent: root });
  heap[Symbol.dispose]();
  messageOf("HEAP_DISPOSED", () => child.parent);
});
