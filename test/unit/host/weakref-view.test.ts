import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  f64,
  type Handle,
  is,
  list,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  typeName,
  type WeakReference,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf } from "./support.js";

class Point extends struct("Point", { x: f64 }) {}

describe("a weak reference", () => {
  it("gives a new strong reference to its target, undefined once that is gone", () => {
    const heap = makeHeap();
    const point = heap.new(Point, { x: 1 });
    using ref = heap.weakref.ref(point);
    const strong = ref.deref()!;
    expect([is(strong, point), strong.x, refcount(point), ref.alive]).toEqual([true, 1, 2, true]);
    expect(strong).toBeInstanceOf(Point);
    release(point);
    expect([ref.alive, strong.x]).toEqual([true, 1]);
    release(strong);
    expect([ref.alive, ref.deref()]).toEqual([false, undefined]);
  });

  it("says whether it has a callback", () => {
    const heap = makeExactHeap();
    const point = heap.new(Point, {});
    using shared = heap.weakref.ref(point);
    using called = heap.weakref.ref(point, () => {});
    expect([shared.hasCallback, called.hasCallback]).toEqual([false, true]);
    release(point);
    expect([shared.hasCallback, called.hasCallback]).toEqual([false, false]);
  });

  it("is a heap object: counted, retained, released, compared, held by containers, in gc's lists", () => {
    const heap = makeExactHeap();
    using point = heap.new(Point, {});
    const ref = heap.weakref.ref(point);
    const second = retain(ref);
    expect([typeName(ref), refcount(ref), is(ref, second), heap.gc.isTracked(ref)]).toEqual([
      "weakref",
      2,
      true,
      true,
    ]);
    release(second);
    messageOf("USE_AFTER_RELEASE", () => second.deref());
    messageOf("DOUBLE_RELEASE", () => release(second));
    {
      using things = heap.new(list(any), [ref, 1]);
      using table = heap.new(dict(str, any), [["ref", ref]]);
      using members = heap.new(set(any), [ref]);
      expect(refcount(ref)).toBe(4);
      const item = things.at(0) as unknown as WeakReference<Point>;
      expect([is(item as never, ref), item.alive, members.has(ref as never)]).toEqual([true, true, true]);
      expect(is(table.get("ref") as never, ref)).toBe(true);
      expect(heap.gc.getReferrers(ref)).toHaveLength(3);
    }
    expect([heap.gc.getReferents(ref), refcount(ref)]).toEqual([[], 1]);
    release(ref);
    expect(heap.weakref.getWeakrefCount(point)).toBe(0);
  });

  it("keeps nothing of its target: both it and the target go by their counts", () => {
    const heap = makeExactHeap();
    leaksNothing(heap, () => {
      const point = heap.new(Point, {});
      const refs = Array.from({ length: 10 }, () => heap.weakref.ref(point, () => {}));
      release(refs[4]);
      release(point);
      for (const ref of refs) if (ref !== refs[4]) release(ref);
    });
  });

  it("is not its target for a field", () => {
    const heap = makeHeap();
    using point = heap.new(Point, {});
    using ref = heap.weakref.ref(point);
    using points = heap.new(list(Point), []);
    expect(messageOf("TYPE_MISMATCH", () => points.push(ref as never))).toMatch(
      /must be Point, got a weakref/,
    );
  });

  it("shows what it leads to", () => {
    const heap = makeHeap();
    const point = heap.new(Point, { x: 1 });
    const members = heap.new(set(f64), [1]);
    const ref = heap.weakref.ref(point);
    using toSet = heap.weakref.ref(members);
    expect([inspect(ref), inspect(toSet), JSON.stringify({ ref })]).toEqual([
      "weakref { to a Point }",
      "weakref { to a set(f64) }",
      '{"ref":{"weakref":true}}',
    ]);
    release(point);
    release(members);
    expect(inspect(ref)).toBe("weakref { dead }");
    release(ref);
    expect(inspect(ref)).toBe("[weakref: not alive]");
  });

  it("is copied as something that leads nowhere", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1 });
    using ref = heap.weakref.ref(point);
    using things = heap.new(list(any), [ref, 1, ref]);
    const copy = heap.toJS(things) as unknown[];
    expect([copy, heap.toJS(ref)]).toEqual([[{ weakref: true }, 1, { weakref: true }], { weakref: true }]);
    expect(copy[0]).toBe(copy[2]);
    using again = heap.from({ ref });
    expect(heap.toJS(again)).toEqual({ ref: { weakref: true } });
  });

  it("has methods that no key listing shows and no store changes", () => {
    const heap = makeHeap();
    using point = heap.new(Point, {});
    using ref = heap.weakref.ref(point);
    expect(Object.keys(Object.getPrototypeOf(ref) as object)).toEqual([]);
    expect(() => {
      (ref as { alive: boolean }).alive = false;
    }).toThrow(TypeError);
    expect(ref.alive).toBe(true);
  });
});

describe("deref", () => {
  it("in the finalizer's way of death still leads to the object; in a callback it does not", () => {
    const heap = makeExactHeap();
    const members = heap.new(set(f64), [1]);
    const seen: (Handle<Borrowed> | undefined)[] = [];
    using first = heap.weakref.ref(members);
    using second = heap.weakref.ref(members, (ref) => seen.push(first.deref(), ref.deref()));
    release(members);
    expect([seen, second.alive, liveObjects(heap)]).toEqual([[undefined, undefined], false, 2]);
  });
});
