/** Where deaths that finalizers and callbacks see stand among the others. */
import { describe, expect, it } from "vitest";
import type { Address } from "../../../src/memory/layout.js";
import { makeExactCore, makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { ref, type Value } from "../../support/slots.js";
import { chain, downFrom } from "./chains.js";

describe("deaths that are seen", () => {
  /** What is called and freed from now on. */
  function watch(heap: TestCore): { calls: Address[]; deaths: Address[] } {
    const calls: Address[] = [];
    heap.core.hooks.runFinalizer = (object) => calls.push(object);
    heap.core.hooks.runCallback = (_ref, callback, number) => calls.push(callback === 0 ? number : callback);
    return { calls, deaths: heap.recordDeaths() };
  }

  it("nest as others do: what is deferred below 50 is finalized when it is taken up", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const objects = chain(heap, 120, (next) => heap.newStruct(heap.finalized.struct(slot), next));
      const order: number[] = [];
      const { allocator, hooks } = heap.core;
      const free = allocator.freeObject.bind(allocator);
      hooks.runFinalizer = (object) => order.push(objects.indexOf(object));
      allocator.freeObject = (object) => {
        order.push(-1 - objects.indexOf(object));
        free(object);
      };
      heap.drop(objects[0]);
      // A finalizer on the way down, a block freed on the way back.
      const batch = (from: number, to: number) => [
        ...downFrom(to, from).reverse(),
        ...downFrom(to, from).map((index) => -1 - index),
      ];
      expect(order).toEqual([...batch(0, 49), ...batch(50, 98), ...batch(99, 119)]);
    }
  });

  it("that begin in a finalizer nest on top of it", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const inner = chain(heap, 40, (next) => heap.newStruct(node, next));
    const bottom = heap.newStruct(heap.finalized.struct());
    const outer = chain(heap, 30, (next, index) =>
      heap.newStruct(node, index === 29 ? ref(bottom) : (next as Value)),
    );
    heap.drop(bottom);
    const { deaths } = watch(heap);
    const inside: Address[] = [];
    heap.core.hooks.runFinalizer = () => {
      heap.drop(inner[0]);
      inside.push(...deaths);
    };
    heap.drop(outer[0]);
    // 31 nest around it; 19 more may, and the rest waits for the outermost.
    expect(inside).toEqual(inner.slice(0, 19).reverse());
    expect(deaths).toEqual([...inside, bottom, ...outer.toReversed(), ...inner.slice(19).toReversed()]);
  });

  it("that are deferred cannot be brought back by others: they are taken up and freed once", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const deferred = heap.newStruct(heap.finalized.struct("ref"));
      const weakref = heap.newWeakref(deferred);
      // The 50th in the chain drops the deferred one, and then one whose finalizer asks for it.
      const asking = heap.newStruct(heap.finalized.leaf("f64"));
      const deep = chain(heap, 2, (next, index) =>
        heap.newStruct(heap.struct(slot, slot), index === 1 ? ref(deferred) : (next as Value)),
      );
      const last = heap.newStruct(heap.struct(slot, slot), ref(deep[0]), ref(asking));
      heap.drop(deferred, deep[0], asking);
      const [top] = chain(heap, 48, (next, index) =>
        index === 47 ? last : heap.newStruct(heap.struct("ref"), next as Value),
      );
      const seen: [Address, Address][] = [];
      const { deaths } = watch(heap);
      heap.core.hooks.runFinalizer = (object) => seen.push([object, heap.core.weakrefs.target(weakref)]);
      heap.drop(top);
      expect(seen).toEqual([
        [asking, 0],
        [deferred, deferred],
      ]);
      expect(deaths.filter((object) => object === deferred)).toHaveLength(1);
    }
  });

  it("show count0 as it is at that moment: all that died before is counted", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const list = heap.list("ref");
    for (let index = 0; index < 5; index++) heap.newStruct(heap.struct("ref"));
    const finalized = heap.newStruct(heap.finalized.struct());
    const leaves = [1, 2, 3].map(() => heap.newStruct(heap.struct("ref", "ref")));
    // Last to first: two leaves, the finalized one, a leaf.
    const holder = heap.newList(list, ref(leaves[0]), ref(finalized), ref(leaves[1]), ref(leaves[2]));
    heap.drop(finalized, ...leaves);
    const outer = heap.newStruct(heap.struct("ref"), ref(holder));
    heap.drop(holder);
    const seen: number[] = [];
    heap.core.hooks.runFinalizer = () => {
      seen.push(heap.counts()[0]);
      heap.newStruct(heap.struct("ref"));
      seen.push(heap.counts()[0]);
    };
    expect(heap.counts()[0]).toBe(11);
    heap.drop(outer);
    expect([...seen, heap.counts()[0]]).toEqual([9, 10, 6]);
  });

  it("lower count0 for a weak reference, which counts as an object", () => {
    const heap = makeExactCore();
    heap.core.trigger.setEnabled(false);
    const target = heap.newStruct(heap.watched.struct());
    const weakref = heap.newWeakref(target);
    const holder = heap.newStruct(heap.struct("ref"), ref(weakref));
    expect(heap.counts()[0]).toBe(3);
    heap.drop(weakref, holder);
    expect([heap.counts()[0], heap.core.weakrefs.first(target)]).toEqual([1, 0]);
  });

  it("end a weak reference that a container held, and its callback in its place", () => {
    for (const kind of ["struct", "any struct", "list", "dict", "tuple"] as const) {
      const heap = makeQuietCore();
      const target = heap.newStruct(heap.watched.struct());
      const inner = heap.newStruct(heap.struct("ref"));
      const callback = heap.newStruct(heap.finalized.struct("ref"), ref(inner));
      const weakref = heap.newWeakref(target, { callback });
      const [before, after] = [1, 2].map(() => heap.newStruct(heap.struct("ref")));
      const parts = [before, weakref, after].map(ref);
      const holder = {
        struct: () => heap.newStruct(heap.struct("ref", "ref", "ref"), ...parts),
        "any struct": () => heap.newStruct(heap.struct("any", "ref", "any"), ...parts),
        list: () => heap.newList(heap.list("ref"), ...parts.toReversed()),
        dict: () => heap.newDict(heap.dict("ref", "ref"), [parts[0], parts[1]], [parts[2], null]),
        tuple: () => heap.newTuple(heap.tuple("ref", "any", "ref"), ...parts.toReversed()),
      }[kind]();
      heap.drop(inner, callback, weakref, before, after);
      const { calls, deaths } = watch(heap);
      heap.drop(holder);
      expect(deaths).toEqual([before, weakref, inner, callback, after, holder]);
      expect([calls, heap.core.weakrefs.first(target)]).toEqual([[callback], 0]);
    }
  });

  it("go through weak references and callbacks by turns without nesting: they do not count for the trashcan", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    // A callback that is a weak reference, whose callback is one, and so on to a struct.
    const bottom = heap.newStruct(heap.struct("ref"));
    const refs = [heap.newWeakref(target, { callback: bottom })];
    for (let depth = 1; depth < size(2000); depth++) {
      refs.unshift(heap.newWeakref(target, { callback: refs[0] }));
      heap.drop(refs[1]);
    }
    heap.drop(bottom);
    const node = heap.struct("ref");
    const objects = chain(heap, 49, (next, index) =>
      heap.newStruct(node, index === 48 ? ref(refs[0]) : (next as Value)),
    );
    heap.drop(refs[0]);
    const { deaths } = watch(heap);
    heap.drop(objects[0]);
    expect(deaths).toEqual([...refs, bottom, ...objects.toReversed()]);
  });

  it("defer the callback of a weak reference that dies below 50 nested deaths, not the weak reference", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.struct("ref"));
    const weakref = heap.newWeakref(target, { callback });
    const objects = chain(heap, 50, (next, index) =>
      heap.newStruct(heap.struct("ref"), index === 49 ? ref(weakref) : (next as Value)),
    );
    heap.drop(weakref);
    heap.hold(callback);
    heap.drop(callback, callback);
    const { deaths } = watch(heap);
    heap.drop(objects[0]);
    expect(deaths).toEqual([weakref, ...objects.toReversed(), callback]);
  });

  it("leave a callback that others hold, and drop a weak reference's last reference by itself", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.struct("ref"));
    const weakref = heap.newWeakref(target, { callback });
    const { deaths } = watch(heap);
    heap.drop(weakref);
    expect([deaths, heap.refcount(callback)]).toEqual([[weakref], 1]);
  });

  it("that bring an object back stop there: what holds it dies all the same, in order", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const child = heap.newStruct(heap.struct("ref"));
      const kept = heap.newStruct(heap.finalized.struct(slot), ref(child));
      const [before, after] = [1, 2].map(() => heap.newStruct(heap.struct("ref")));
      const holder = heap.newStruct(heap.struct(slot, slot, slot), ref(before), ref(kept), ref(after));
      const outer = heap.newStruct(heap.struct("ref"), ref(holder));
      heap.drop(child, kept, before, after, holder);
      const { deaths } = watch(heap);
      heap.core.hooks.runFinalizer = (object) => heap.hold(object);
      heap.drop(outer);
      expect(deaths).toEqual([before, after, holder, outer]);
      expect([heap.refcount(kept), heap.refcount(child), heap.table(0)]).toEqual([1, 1, [child, kept]]);
    }
  });
});
