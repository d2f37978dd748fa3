/** Weak references in a collection: when they are cut, and which callbacks are called. */
import { describe, expect, it } from "vitest";
import { type Address, WEAKREF_HOST_CALLBACK } from "../../../src/memory/layout.js";
import { makeQuietCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";
import { journal, ring } from "./finalize-journal.js";

describe("a weak reference to what is unreachable", () => {
  it("is cut without a call if it has no callback", () => {
    const heap = makeQuietCore();
    const [object] = ring(heap, heap.watched.struct("ref"));
    const [shared, proxy] = [heap.newWeakref(object), heap.newWeakref(object, { isProxy: true })];
    const { lines } = journal(heap, { object });
    heap.drop(object);
    expect(heap.collect()).toBe(1);
    expect([lines, heap.core.weakrefs.target(shared), heap.core.weakrefs.target(proxy)]).toEqual([
      ["free object"],
      0,
      0,
    ]);
    expect(heap.table(2)).toEqual([shared, proxy]);
  });

  it("is never called if it is unreachable itself", () => {
    const heap = makeQuietCore();
    const [object] = ring(heap, heap.watched.struct("ref", "ref"));
    const weakref = heap.newWeakref(object, { hostCallback: 1 });
    heap.setField(object, 1, ref(weakref));
    const kept = heap.newWeakref(object, { hostCallback: 2 });
    heap.drop(object, weakref);
    const { lines } = journal(heap, { object, weakref, kept });
    expect(heap.collect()).toBe(2);
    expect(lines).toEqual(["call 2 of kept", "forget 1", "free weakref", "free object"]);
    expect(heap.core.weakrefs.hasCallback(kept)).toBe(true); // on this path it stays
  });

  it("is never called if it is on a cycle with its callback", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newList(heap.list("any"));
    const weakref = heap.newWeakref(target, { callback });
    heap.append(callback, ref(weakref));
    heap.drop(callback, weakref);
    const { lines } = journal(heap, { target, callback, weakref });
    expect(heap.collect()).toBe(2);
    expect([lines, heap.core.weakrefs.first(target)]).toEqual([["free weakref", "free callback"], 0]);
    heap.drop(target);
    expect(lines.slice(2)).toEqual(["free target"]);
  });

  it("is cut if it is unreachable and its target is not", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const [holder] = ring(heap, heap.finalized.struct("ref", "ref"));
    const weakref = heap.newWeakref(target, { hostCallback: 1 });
    heap.setField(holder, 1, ref(weakref));
    const { lines, on } = journal(heap, { holder, weakref });
    on.finalizer = () => {
      expect([heap.core.weakrefs.target(weakref), heap.core.weakrefs.hasCallback(weakref)]).toEqual([
        0,
        true,
      ]);
      heap.hold(holder);
    };
    heap.drop(weakref, holder);
    expect(heap.collect()).toBe(0); // brought back, but its weak reference is dead for ever
    expect([heap.field(holder, 1), heap.core.weakrefs.first(target)]).toEqual([ref(weakref), 0]);
    heap.drop(target);
    expect(lines).toEqual(["finalize holder"]);
  });

  it("moves to where survivors go once it was called, be it from an older generation", () => {
    for (const [generation, expected] of [
      [0, 1],
      [1, 2],
      [2, 2],
    ] as const) {
      const heap = makeQuietCore();
      const keeper = heap.newStruct(heap.struct("ref"));
      const target = heap.newStruct(heap.watched.struct("ref"));
      const old = heap.newWeakref(target, { hostCallback: 1 });
      const quiet = heap.newWeakref(target);
      heap.core.generations.merge(0, 2);
      // Young again, by the way of a finalizer's kind.
      heap.core.generations.untrack(target);
      heap.core.generations.trackAgain(target);
      heap.setField(target, 0, ref(target));
      const young = heap.newWeakref(target, { hostCallback: 2 });
      const { lines } = journal(heap, { old, young });
      heap.drop(target);
      expect(heap.collect(generation)).toBe(1);
      expect(lines).toEqual(["call 2 of young", "call 1 of old"]);
      const { generations } = heap.core;
      expect([old, young].map((weakref) => generations.generationOf(weakref))).toEqual([expected, expected]);
      expect(heap.table(expected).slice(-2)).toEqual([young, old]);
      expect([keeper, quiet].map((object) => generations.generationOf(object))).toEqual([2, 2]);
    }
  });

  it("is thawed by its call", () => {
    const heap = makeQuietCore();
    const [object] = ring(heap, heap.watched.struct("ref"));
    const weakref = heap.newWeakref(object, { hostCallback: 1 });
    const other = heap.newStruct(heap.struct("ref"));
    heap.core.generations.untrack(object);
    heap.core.generations.freeze();
    heap.core.generations.trackAgain(object);
    heap.drop(object);
    journal(heap);
    expect(heap.collect()).toBe(1);
    expect([heap.table(2), heap.table(3)]).toEqual([[weakref], [other]]);
  });

  it("that dies with its call counts as collected, and one that is called twice over does not exist", () => {
    const heap = makeQuietCore();
    const [a, b] = ring(heap, heap.watched.struct("ref"), 2);
    const [first, second, third] = [a, b, b].map((object, index) =>
      heap.newWeakref(object, { hostCallback: index + 1 }),
    );
    const { lines, on } = journal(heap, { first, second, third });
    on.callback = (weakref) => {
      if (weakref === first) heap.drop(first, third);
    };
    heap.drop(a, b);
    // `third` is held for its call, and dies with it.
    expect(heap.collect()).toBe(4);
    expect(lines).toEqual([
      ...["call 1 of first", "forget 1", "free first"],
      ...["call 3 of third", "forget 3", "free third"],
      "call 2 of second",
    ]);
    expect(heap.i32[second + WEAKREF_HOST_CALLBACK]).toBe(2);
    heap.drop(second);
    expect(lines.at(-2)).toBe("forget 2");
  });

  it("made by a finalizer lives: it sees the object half cleared and is called when that dies", () => {
    const heap = makeQuietCore();
    const [a, b] = ring(heap, heap.finalized.struct("ref"), 2);
    const made: Address[] = [];
    const { lines, on } = journal(heap, { a, b });
    on.finalizer = (object) => {
      if (object === a) made.push(heap.newWeakref(b, { hostCallback: 7 }), heap.newWeakref(a));
    };
    on.callback = (weakref) => expect(heap.core.weakrefs.target(weakref)).toBe(0);
    heap.drop(a, b);
    expect(heap.collect()).toBe(2);
    expect(lines).toEqual([
      ...["finalize a", "finalize b"],
      ...[`call 7 of ${made[0]}`, "forget 7", "free b", "free a"],
    ]);
    expect(heap.core.weakrefs.target(made[1])).toBe(0);
  });

  it("has all dead before the first call, of whatever object", () => {
    const heap = makeQuietCore();
    const objects = ring(heap, heap.watched.struct("ref"), 5);
    const refs = objects.map((object, index) => heap.newWeakref(object, { hostCallback: index + 1 }));
    const { lines, on } = journal(heap);
    on.callback = () => {
      expect(refs.map((weakref) => heap.core.weakrefs.target(weakref))).toEqual(Array(5).fill(0));
    };
    heap.drop(...objects);
    expect(heap.collect()).toBe(5);
    expect(lines).toEqual(refs.map((weakref, index) => `call ${index + 1} of ${weakref}`));
  });
});
