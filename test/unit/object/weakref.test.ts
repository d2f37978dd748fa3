import { describe, expect, it } from "vitest";
import { InvalidArgumentError, OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  CONTROL_TRIGGER,
  CONTROL_WEAKREFS,
  FLAG_OBSERVED,
  HEADER_TYPE,
} from "../../../src/memory/layout.js";
import type { WeakrefOptions } from "../../../src/object/weakref.js";
import { fillMemory, makeQuietCore, makeTestCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { pick, randomFrom } from "../../support/random.js";
import { ref } from "../../support/slots.js";

const isObserved = ({ i32 }: TestCore, object: Address) => (i32[object + HEADER_TYPE] & FLAG_OBSERVED) !== 0;
const listOf = ({ core }: TestCore, target: Address) => [...core.weakrefs.list(target)];
/** Host callbacks that are forgotten from now on, in order. */
function recordForgotten({ core }: TestCore): number[] {
  const forgotten: number[] = [];
  core.hooks.forgetCallback = (number) => forgotten.push(number);
  return forgotten;
}

describe("a weak reference", () => {
  it("leads to its target, which does not count it, and is dead when the target is", () => {
    const heap = makeQuietCore();
    const { weakrefs } = heap.core;
    for (const typeId of [heap.watched.struct("ref"), heap.watched.leaf("f64"), heap.finalized.struct()]) {
      const target = heap.newStruct(typeId);
      const weakref = heap.newWeakref(target);
      expect([heap.refcount(target), heap.refcount(weakref)]).toEqual([1, 1]);
      expect([weakrefs.target(weakref), weakrefs.first(target)]).toEqual([target, weakref]);
      expect([weakrefs.isWeakref(weakref), weakrefs.isWeakref(target)]).toEqual([true, false]);
      heap.drop(target);
      expect([weakrefs.target(weakref), heap.i32[CONTROL_WEAKREFS]]).toEqual([0, 0]);
    }
  });

  it("may lead to a set", () => {
    const heap = makeQuietCore();
    for (const target of [heap.newSet(heap.set("any"), 1), heap.newSet(heap.leaf.set("f64"), 1)]) {
      const weakref = heap.newWeakref(target);
      expect(heap.core.weakrefs.target(weakref)).toBe(target);
      heap.drop(target);
      expect(heap.core.weakrefs.target(weakref)).toBe(0);
    }
  });

  it("may lead to nothing else: not to lists, dicts, tuples, strings, weak references, structs without the word", () => {
    const heap = makeQuietCore();
    const { weakrefs } = heap.core;
    const target = heap.newStruct(heap.watched.struct());
    const others: [Address, string][] = [
      [heap.newList(heap.list("any")), "list(any)"],
      [heap.newDict(heap.dict("str", "any")), "dict(str,any)"],
      [heap.newTuple(heap.tuple("ref"), null), "tuple(ref)"],
      [heap.newStruct(heap.struct("ref")), "struct(ref)"],
      [heap.newString("text"), "str"],
      [heap.newWeakref(target), "weakref"],
    ];
    for (const [object, name] of others) {
      expect(weakrefs.isReferenceable(object)).toBe(false);
      expect(() => weakrefs.create(object)).toThrow(InvalidArgumentError);
      expect(() => weakrefs.create(object, { hostCallback: 1 })).toThrow(
        `A ${name} cannot be weakly referenced.`,
      );
      expect([weakrefs.first(object), listOf(heap, object)]).toEqual([0, []]);
    }
    expect(weakrefs.isReferenceable(target)).toBe(true);
  });

  it("is dead as soon as the trashcan has deferred its target", () => {
    for (const slot of ["ref", "any"] as const) {
      const heap = makeQuietCore();
      const target = heap.newStruct(heap.watched.struct("ref"), ref(heap.newStruct(heap.struct("ref"))));
      heap.drop((heap.field(target, 0) as { object: Address }).object);
      const weakref = heap.newWeakref(target, { hostCallback: 1 });
      let next = target;
      for (let depth = 0; depth < 50; depth++) {
        const holder = heap.newStruct(heap.struct(slot), ref(next));
        heap.drop(next);
        next = holder;
      }
      const { allocator, weakrefs } = heap.core;
      const free = allocator.freeObject.bind(allocator);
      const seen: Address[] = [];
      allocator.freeObject = (object) => {
        seen.push(weakrefs.target(weakref));
        free(object);
      };
      // 50 die nested; then the deferred one has its callback called, and dies with what it holds.
      heap.core.hooks.runCallback = () => seen.push(-1);
      heap.drop(next);
      expect(seen).toEqual([...Array(50).fill(0), -1, 0, 0]);
    }
  });

  it("makes its target observed, and the last to go ends that, unless the target has a finalizer", () => {
    const heap = makeQuietCore();
    const plain = heap.newStruct(heap.watched.struct());
    const finalized = heap.newStruct(heap.finalized.struct());
    const observed = () => [plain, finalized].map((object) => isObserved(heap, object));
    expect(observed()).toEqual([false, true]);
    const weakrefs = [plain, finalized].flatMap((target) => [
      heap.newWeakref(target),
      heap.newWeakref(target, { hostCallback: 1 }),
    ]);
    expect(weakrefs.every((weakref) => isObserved(heap, weakref))).toBe(true);
    expect(observed()).toEqual([true, true]);
    heap.drop(weakrefs[0], weakrefs[2]);
    expect(observed()).toEqual([true, true]);
    heap.drop(weakrefs[1], weakrefs[3]);
    expect([...observed(), heap.i32[CONTROL_WEAKREFS]]).toEqual([false, true, 0]);
  });
});

describe("which weak references are shared", () => {
  it("the one without a callback, and the proxy without one", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const shared = heap.newWeakref(target);
    const proxy = heap.newWeakref(target, { isProxy: true });
    expect(proxy).not.toBe(shared);
    expect([heap.newWeakref(target), heap.newWeakref(target, { isProxy: true })]).toEqual([shared, proxy]);
    expect([heap.refcount(shared), heap.refcount(proxy), heap.i32[CONTROL_WEAKREFS]]).toEqual([2, 2, 2]);
    heap.drop(shared);
    expect(listOf(heap, target)).toEqual([shared, proxy]);
    heap.drop(shared);
    expect(listOf(heap, target)).toEqual([proxy]);
    expect(heap.core.weakrefs.hasCallback(proxy)).toBe(false);
  });

  it("none with a callback, be it the same", () => {
    const heap = makeQuietCore();
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.struct());
    const options: WeakrefOptions[] = [{ callback }, { hostCallback: 7 }, { hostCallback: 7, isProxy: true }];
    const made = options.flatMap((option) => [
      heap.newWeakref(target, option),
      heap.newWeakref(target, option),
    ]);
    expect(new Set(made).size).toBe(6);
    expect(made.every((weakref) => heap.core.weakrefs.hasCallback(weakref))).toBe(true);
    expect(heap.refcount(callback)).toBe(3);
  });

  it("each target has its own", () => {
    const heap = makeQuietCore();
    const [a, b] = [1, 2].map(() => heap.newStruct(heap.watched.struct()));
    expect(heap.newWeakref(a)).not.toBe(heap.newWeakref(b));
    expect([listOf(heap, a).length, listOf(heap, b).length]).toEqual([1, 1]);
  });

  it("is one even if the allocation of a second has made the first", () => {
    for (const isProxy of [false, true]) {
      const heap = makeQuietCore();
      const target = heap.newStruct(heap.watched.struct());
      let rival = 0;
      heap.core.hooks.beforeAllocation = () => {
        heap.core.hooks.beforeAllocation = () => {};
        rival = heap.newWeakref(target, { isProxy });
      };
      const trigger = heap.i32[CONTROL_TRIGGER];
      heap.i32[CONTROL_TRIGGER] = 0;
      const asked = heap.newWeakref(target, { isProxy });
      heap.i32[CONTROL_TRIGGER] = trigger;
      expect([asked, heap.refcount(rival), listOf(heap, target)]).toEqual([rival, 2, [rival]]);
      expect(heap.liveObjects()).toEqual([target, rival]);
    }
  });
});

describe("the list of an object's weak references", () => {
  it("has the shared reference first, the shared proxy next, and then the newest first, in whatever order they came", () => {
    for (let seed = 0; seed < Math.max(30, size(300)); seed++) {
      const random = randomFrom(seed);
      const heap = makeTestCore(1 << 20);
      const target = heap.newStruct(heap.watched.struct("ref"));
      const callback = heap.newList(heap.list("any"));
      let shared: Address[] = [];
      let proxies: Address[] = [];
      let others: Address[] = [];
      for (let step = 0; step < 20; step++) {
        const choice = random();
        if (choice < 0.2) shared = [heap.newWeakref(target)];
        else if (choice < 0.4) proxies = [heap.newWeakref(target, { isProxy: true })];
        else if (choice < 0.75) {
          const isProxy = random() < 0.3;
          const option = random() < 0.5 ? { callback } : { hostCallback: step + 1 };
          others.unshift(heap.newWeakref(target, { ...option, isProxy }));
        } else {
          const all = [...shared, ...proxies, ...others];
          if (all.length === 0) continue;
          const gone = pick(random, all);
          while (heap.roots.has(gone)) heap.drop(gone);
          [shared, proxies, others] = [shared, proxies, others].map((list) =>
            list.filter((weakref) => weakref !== gone),
          );
        }
        const expected = [...shared, ...proxies, ...others];
        expect(listOf(heap, target)).toEqual(expected);
        expect(heap.core.weakrefs.first(target)).toBe(expected[0] ?? 0);
        expect(heap.i32[CONTROL_WEAKREFS]).toBe(expected.length);
      }
    }
  });

  it("loses one that is cut, which keeps its callback; to cut it again changes nothing", () => {
    const heap = makeQuietCore();
    const { weakrefs } = heap.core;
    const target = heap.newStruct(heap.watched.struct());
    const made = [1, 2, 3].map((hostCallback) => heap.newWeakref(target, { hostCallback }));
    for (const [gone, left] of [
      [made[1], [made[2], made[0]]],
      [made[2], [made[0]]],
      [made[0], []],
    ] as const) {
      for (let twice = 0; twice < 2; twice++) {
        weakrefs.cut(gone);
        expect(listOf(heap, target)).toEqual(left);
        expect([weakrefs.target(gone), weakrefs.hasCallback(gone)]).toEqual([0, true]);
        expect(heap.i32[CONTROL_WEAKREFS]).toBe(left.length);
      }
    }
  });
});

describe("a weak reference that is dropped", () => {
  it("leaves the list of its target, and its callback is never called", () => {
    const heap = makeQuietCore();
    const calls: Address[] = [];
    heap.core.hooks.runCallback = (weakref) => calls.push(weakref);
    const forgotten = recordForgotten(heap);
    const target = heap.newStruct(heap.watched.struct());
    const [first, second, third] = [1, 2, 3].map((hostCallback) => heap.newWeakref(target, { hostCallback }));
    heap.drop(second);
    expect([listOf(heap, target), forgotten]).toEqual([[third, first], [2]]);
    heap.drop(third, first);
    expect([listOf(heap, target), forgotten]).toEqual([[], [2, 3, 1]]);
    heap.drop(target);
    expect(calls).toEqual([]);
  });

  it("drops its callback, if that is a heap object", () => {
    const heap = makeQuietCore();
    const forgotten = recordForgotten(heap);
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newList(heap.list("any"));
    const weakref = heap.newWeakref(target, { callback });
    expect(heap.refcount(callback)).toBe(2);
    const deaths = heap.recordDeaths();
    heap.drop(callback);
    expect(deaths).toEqual([]);
    heap.drop(weakref);
    expect([deaths, forgotten]).toEqual([[weakref, callback], []]);
  });

  it("gives its callback to whoever takes it", () => {
    const heap = makeQuietCore();
    const { weakrefs } = heap.core;
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newList(heap.list("any"));
    const weakref = heap.newWeakref(target, { callback });
    expect(weakrefs.takeCallback(weakref)).toBe(callback);
    expect([weakrefs.hasCallback(weakref), weakrefs.takeCallback(weakref), heap.refcount(callback)]).toEqual([
      false,
      0,
      2,
    ]);
    heap.core.counts.decref(callback);
  });

  it("may outlive its target, dead", () => {
    const heap = makeQuietCore();
    const forgotten = recordForgotten(heap);
    const target = heap.newStruct(heap.watched.struct());
    const [shared, called] = [heap.newWeakref(target), heap.newWeakref(target, { hostCallback: 4 })];
    heap.drop(target);
    expect(forgotten).toEqual([4]);
    heap.drop(shared, called);
    expect([forgotten, heap.liveObjects()]).toEqual([[4], []]);
  });
});

describe("a full heap", () => {
  it("refuses a weak reference and changes nothing", () => {
    const heap = makeQuietCore(1 << 20);
    const { weakrefs } = heap.core;
    const target = heap.newStruct(heap.watched.struct());
    const callback = heap.newStruct(heap.struct());
    heap.newWeakref(target, { hostCallback: 1 });
    fillMemory(heap);
    expect(() => {
      for (;;) heap.newWeakref(target, { hostCallback: 1 });
    }).toThrow(OutOfMemoryError);
    const before = listOf(heap, target);
    for (const options of [{}, { callback }, { isProxy: true }])
      expect(() => weakrefs.create(target, options)).toThrow(OutOfMemoryError);
    expect([heap.refcount(callback), heap.refcount(target)]).toEqual([1, 1]);
    expect(listOf(heap, target)).toEqual(before);
    expect(heap.i32[CONTROL_WEAKREFS]).toBe(before.length);
    heap.drop(before[0]);
    expect(listOf(heap, target)).toEqual(before.slice(1));
    const shared = heap.newWeakref(target);
    expect(listOf(heap, target)[0]).toBe(shared);
    expect(heap.newWeakref(target)).toBe(shared); // needs no memory
  });
});
