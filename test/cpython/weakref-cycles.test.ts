/** CPython 3.11's test_weakref, references in trash, told of this heap: an object stands where Python has a class. */
import { describe, expect, it } from "vitest";
import { any, type Borrowed, type Handle, release, struct } from "../../src/index.js";
import { makeHeap } from "../support/heaps.js";

const Thing = struct("Thing", { wr: any, other: any, me: any });
const Kind = struct("Kind", { mro: any });
const Method = struct("Method", { self: any });
type Thing = InstanceType<typeof Thing>;

/** Put what is made into a field, and keep no handle. */
function give(holder: Thing, field: "wr" | "other" | "me", handle: Handle<Borrowed>): void {
  holder[field] = handle;
  release(handle);
}

describe("ReferencesTestCase", () => {
  it("test_callback_in_cycle", () => {
    const heap = makeHeap();
    let calls = 0;
    const kind = heap.new(Kind, {});
    kind.mro = kind;
    const object = heap.new(Thing, { other: kind });
    object.me = object;
    give(object, "wr", heap.weakref.ref(kind, () => calls++) as Handle<Borrowed>);
    release(kind);
    release(object);
    heap.gc.collect();
    expect([calls, heap.gc.getObjects()]).toEqual([0, []]);
  });

  it("test_callback_reachable_one_way", () => {
    const heap = makeHeap();
    let calls = 0;
    const c1 = heap.new(Thing, {});
    const c2 = heap.new(Thing, { other: c1 });
    c2.me = c2;
    give(c2, "wr", heap.weakref.ref(c1, () => calls++) as Handle<Borrowed>);
    release(c1);
    release(c2);
    heap.gc.collect();
    expect([calls, heap.gc.getObjects()]).toEqual([0, []]);
  });

  it("test_callback_different_classes", () => {
    const heap = makeHeap();
    let calls = 0;
    const kind = heap.new(Kind, {});
    kind.mro = kind;
    const c1 = heap.new(Kind, { mro: kind });
    const c2 = heap.new(Thing, { other: c1 });
    c2.me = c2;
    give(c2, "wr", heap.weakref.ref(kind, () => calls++) as Handle<Borrowed>);
    for (const object of [kind, c1, c2]) release(object);
    heap.gc.collect();
    expect([calls, heap.gc.getObjects()]).toEqual([0, []]);
  });

  it("test_callback_in_cycle_resurrection", () => {
    const heap = makeHeap();
    const calls: string[] = [];
    const kind = heap.new(Kind, {});
    kind.mro = kind;
    const c1 = heap.new(Thing, { me: kind });
    const c2 = heap.new(Thing, { me: kind, other: c1 });
    c1.other = c2;
    give(c1, "wr", heap.weakref.ref(c2, () => calls.push("c1 called")) as Handle<Borrowed>);
    give(c2, "wr", heap.weakref.ref(c1, () => calls.push("c2 called")) as Handle<Borrowed>);
    using ref = heap.weakref.ref(kind, () => calls.push("C went away"));
    for (const object of [c1, c2, kind]) release(object);
    expect(calls).toEqual([]);
    heap.gc.collect();
    expect([calls, ref.deref()]).toEqual([["C went away"], undefined]);
    heap.gc.collect();
    expect(calls).toEqual(["C went away"]);
  });

  it("test_callbacks_on_callback", () => {
    const heap = makeHeap();
    const calls: string[] = [];
    const c = heap.new(Thing, {});
    const d = heap.new(Thing, { other: c });
    c.other = d;
    const method = heap.new(Method, { self: c });
    c.me = method;
    give(c, "wr", heap.weakref.ref(d, () => calls.push("cb called")) as Handle<Borrowed>);
    give(d, "wr", heap.weakref.ref(method, () => calls.push("cb called")) as Handle<Borrowed>);
    using external = heap.weakref.ref(method, () => calls.push("safe_callback called"));
    expect(external.alive).toBe(true);
    for (const object of [method, c, d]) release(object);
    expect(calls).toEqual([]);
    heap.gc.collect();
    expect(calls).toEqual(["safe_callback called"]);
  });
});
