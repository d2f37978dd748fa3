/** CPython 3.11's test_weakref, references and proxies, told of this heap. Names are CPython's. */
import { describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  finalizer,
  type Handle,
  i32,
  is,
  list,
  release,
  set,
  struct,
  type WeakReference,
} from "../../src/index.js";
import { makeExactHeap, makeHeap } from "../support/heaps.js";

class C extends struct("C", { bar: i32, me: any }) {
  method(): number {
    return this.bar;
  }
}
const DEAD = expect.objectContaining({ code: "DEAD_REFERENCE" });

describe("ReferencesTestCase", () => {
  it("test_basic_ref", () => {
    const heap = makeHeap();
    const object = heap.new(C, {});
    using ref = heap.weakref.ref(object);
    {
      using target = ref.deref()!;
      expect(is(target, object)).toBe(true);
    }
    release(object);
    expect([ref.alive, ref.deref()]).toEqual([false, undefined]);
  });

  it("test_basic_callback", () => {
    const heap = makeHeap();
    let calls = 0;
    const object = heap.new(C, {});
    using ref = heap.weakref.ref(object, () => calls++);
    release(object);
    expect([calls, ref.deref()]).toEqual([1, undefined]);
  });

  it("test_multiple_callbacks", () => {
    const heap = makeHeap();
    let calls = 0;
    const object = heap.new(C, {});
    using first = heap.weakref.ref(object, () => calls++);
    using second = heap.weakref.ref(object, () => calls++);
    release(object);
    expect([first.deref(), second.deref(), calls]).toEqual([undefined, undefined, 2]);
  });

  it("test_multiple_selfref_callbacks", () => {
    const heap = makeHeap();
    const seen: unknown[] = [];
    const refs: Handle<WeakReference<C>>[] = [];
    const callback = () => seen.push(...refs.map((ref) => ref.deref()));
    const object = heap.new(C, {});
    refs.push(heap.weakref.ref(object, callback), heap.weakref.ref(object, callback));
    release(object);
    expect(seen).toEqual([undefined, undefined, undefined, undefined]);
    refs.forEach(release);
  });

  it("test_proxy_ref", () => {
    const heap = makeHeap();
    let calls = 0;
    const object = heap.new(C, { bar: 1 });
    using first = heap.weakref.proxy(object, () => calls++);
    using second = heap.weakref.proxy(object, () => calls++);
    expect([first.bar, second.bar]).toEqual([1, 1]);
    release(object);
    for (const proxy of [first, second]) {
      expect(() => proxy.bar).toThrowError(DEAD);
      expect(() => proxy.method()).toThrowError(DEAD);
      expect(() => {
        proxy.bar = 2;
      }).toThrowError(DEAD);
    }
    expect(calls).toBe(2);
  });

  it("test_ref_reuse", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    using first = heap.weakref.ref(object);
    {
      using _proxy = heap.weakref.proxy(object);
      using second = heap.weakref.ref(object);
      expect(is(first, second)).toBe(true);
      expect(heap.weakref.getWeakrefCount(object)).toBe(2);
    }
    expect(heap.weakref.getWeakrefCount(object)).toBe(1);
  });

  it("test_proxy_reuse", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    using _first = heap.weakref.proxy(object);
    using _ref = heap.weakref.ref(object);
    using _second = heap.weakref.proxy(object);
    expect(heap.weakref.getWeakrefCount(object)).toBe(2);
  });

  it("test_basic_proxy", () => {
    const heap = makeHeap();
    using object = heap.new(C, { bar: 1 });
    using proxy = heap.weakref.proxy(object);
    proxy.bar = 2;
    expect([proxy.bar, object.bar, proxy.method(), "bar" in proxy, "foo" in proxy]).toEqual([
      2,
      2,
      2,
      true,
      false,
    ]);
    expect(proxy).toBeInstanceOf(C);
    using members = heap.new(set(any), [1]);
    using stand = heap.weakref.proxy(members);
    expect([stand.size, stand.has(1), stand.has(2)]).toEqual([1, true, false]);
    stand.add(2);
    expect([...members]).toEqual([1, 2]);
    expect([...stand]).toEqual([1, 2]);
  });

  it("test_proxy_deletion", () => {
    const heap = makeHeap();
    using members = heap.new(set(any), [1, 2]);
    using proxy = heap.weakref.proxy(members);
    expect([proxy.delete(1), [...members]]).toEqual([true, [2]]);
    proxy.clear();
    expect(members.size).toBe(0);
  });

  it("test_shared_ref_without_callback", () => {
    const heap = makeHeap();
    for (const [a, b] of [
      [null, null],
      [null, undefined],
      [undefined, null],
      [undefined, undefined],
    ]) {
      using object = heap.new(C, {});
      using first = heap.weakref.ref(object, a);
      using second = heap.weakref.ref(object, b);
      expect(is(first, second)).toBe(true);
    }
  });

  it("test_shared_proxy_without_callback", () => {
    const heap = makeHeap();
    for (const [a, b] of [
      [null, null],
      [null, undefined],
      [undefined, null],
      [undefined, undefined],
    ]) {
      using object = heap.new(C, {});
      using _first = heap.weakref.proxy(object, a);
      using _second = heap.weakref.proxy(object, b);
      expect(heap.weakref.getWeakrefCount(object)).toBe(1);
    }
  });

  it("test_proxy_iter", () => {
    const heap = makeHeap();
    class MyObject extends struct("MyObject", { value: i32 }) {
      *[Symbol.iterator]() {
        release(object);
        yield this.value;
      }
    }
    const object = heap.new(MyObject, { value: 1 });
    using proxy = heap.weakref.proxy(object);
    expect(() => [...proxy]).toThrowError(DEAD);
  });

  it("test_proxy_next", () => {
    const heap = makeHeap();
    class Arr extends struct("Arr", { count: i32 }) {
      next(): IteratorResult<number> {
        return this.count < 3 ? { done: false, value: this.count++ } : { done: true, value: undefined };
      }
      [Symbol.iterator]() {
        return this;
      }
    }
    using object = heap.new(Arr, {});
    using proxy = heap.weakref.proxy(object);
    expect([...proxy]).toEqual([0, 1, 2]);
  });

  it("test_proxy_bad_next", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    using proxy = heap.weakref.proxy(object);
    expect(() => (proxy as unknown as Iterator<number>).next()).toThrowError(TypeError);
    expect(() => [...(proxy as unknown as Iterable<number>)]).toThrowError(TypeError);
  });

  it("test_getweakrefcount", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    {
      using _ref1 = heap.weakref.ref(object);
      using _ref2 = heap.weakref.ref(object, () => {});
      expect(heap.weakref.getWeakrefCount(object)).toBe(2);
      using _proxy1 = heap.weakref.proxy(object);
      using _proxy2 = heap.weakref.proxy(object, () => {});
      expect(heap.weakref.getWeakrefCount(object)).toBe(4);
    }
    expect(heap.weakref.getWeakrefCount(object)).toBe(0);
    using items = heap.new(list(any), [1]);
    expect(heap.weakref.getWeakrefCount(items)).toBe(0);
  });

  it("test_getweakrefs", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    for (const dropped of [0, 1]) {
      const refs = [heap.weakref.ref(object, () => {}), heap.weakref.ref(object, () => {})];
      release(refs[dropped]);
      const found = heap.weakref.getWeakrefs(object);
      expect([found.length, is(found[0], refs[1 - dropped])]).toEqual([1, true]);
      release(refs[1 - dropped]);
      expect(heap.weakref.getWeakrefs(object)).toEqual([]);
    }
    using items = heap.new(list(any), [1]);
    expect(heap.weakref.getWeakrefs(items)).toEqual([]);
  });

  it("test_callbacks_protected", () => {
    const heap = makeHeap();
    const ignored: unknown[] = [];
    heap.onUnraisable = (error) => ignored.push(error);
    const [own, foreign] = [new Error("the program's"), new Error("the callback's")];
    let caught: unknown;
    try {
      // Disposed last first while the error is on its way: the object dies before its weak reference.
      using scope = heap.scope();
      const holder = scope.new(C, {});
      const object = heap.new(C, {});
      scope.use(
        heap.weakref.ref(object, () => {
          throw foreign;
        }),
      );
      scope.use(object);
      expect(holder.me).toBe(null);
      throw own;
    } catch (error) {
      caught = error;
    }
    expect(caught).toBe(own);
    expect(ignored).toEqual([foreign]);
  });

  it("test_sf_bug_840829", () => {
    const heap = makeHeap();
    let collected = -1;
    const object = heap.new(C, {});
    using ref = heap.weakref.ref(object, () => {
      collected = heap.gc.collect();
    });
    release(object);
    expect([collected, ref.alive]).toEqual([0, false]);
  });

  it("test_gc_during_ref_creation", () => {
    const heap = makeExactHeap();
    heap.gc.setThreshold(1, 1, 1);
    for (let round = 0; round < 5; round++) {
      using referenced = heap.new(C, {});
      {
        using a = heap.new(C, {});
        using ref = heap.weakref.ref(referenced);
        using items = heap.new(list(any), [a, ref]);
        a.me = items;
      }
      using _last = heap.weakref.ref(referenced, () => {});
      heap.gc.collect();
      expect(heap.weakref.getWeakrefCount(referenced)).toBeGreaterThanOrEqual(1);
    }
  });

  it("test_gc_during_proxy_creation", () => {
    const heap = makeExactHeap();
    heap.gc.setThreshold(1, 1, 1);
    using referenced = heap.new(C, { bar: 7 });
    for (let round = 0; round < 5; round++) {
      {
        using a = heap.new(C, {});
        a.me = a;
        using _ref = heap.weakref.proxy(a, () => {});
      }
      using proxy = heap.weakref.proxy(referenced, round % 2 === 0 ? null : () => {});
      expect([proxy.bar, heap.weakref.getWeakrefCount(referenced)]).toEqual([7, 1]);
    }
  });

  it("test_ref_created_during_del", () => {
    const heap = makeHeap();
    let ref: Handle<WeakReference<Borrowed>> | undefined;
    class Target extends struct("Target", {}) {
      [finalizer]() {
        ref = heap.weakref.ref(this as Borrowed);
      }
    }
    release(heap.new(Target, {}));
    expect([ref!.alive, ref!.deref()]).toEqual([false, undefined]);
    release(ref!);
  });

  it("test_trashcan_16602", () => {
    const heap = makeHeap();
    using scope = heap.scope();
    let calls = 0;
    const root = heap.new(C, {});
    let parent = root;
    for (let n = 0; n < 100; n++) {
      const child = heap.new(C, {});
      const self = scope.use(heap.weakref.ref(child));
      using ref = heap.weakref.ref(parent, () => {
        calls++;
        using object = self.deref();
        if (object !== undefined) object.me = null;
      });
      child.me = ref;
      // Called before the one above: the child's death may have to wait then.
      scope.use(heap.weakref.ref(parent, () => release(child)));
      parent = child;
    }
    release(root);
    heap.gc.collect();
    expect([calls, heap.gc.getObjects().some((object) => object instanceof C)]).toEqual([100, false]);
  });

  it("test_callback_attribute", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    using first = heap.weakref.ref(object, () => {});
    expect(first.hasCallback).toBe(true);
    using second = heap.weakref.ref(object);
    expect(second.hasCallback).toBe(false);
  });

  it("test_callback_attribute_after_deletion", () => {
    const heap = makeHeap();
    const object = heap.new(C, {});
    using ref = heap.weakref.ref(object, () => {});
    expect(ref.hasCallback).toBe(true);
    release(object);
    heap.gc.collect();
    expect(ref.hasCallback).toBe(false);
  });

  it("test_set_callback_attribute", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    using ref = heap.weakref.ref(object, () => {});
    expect(() => {
      (ref as { hasCallback: boolean }).hasCallback = false;
    }).toThrowError(TypeError);
  });

  it("test_callback_gcs", () => {
    const heap = makeHeap();
    let deaths = 0;
    class ObjectWithDel extends struct("ObjectWithDel", { me: any }) {
      [finalizer]() {
        deaths++;
      }
    }
    const object = heap.new(ObjectWithDel, {});
    using ref = heap.weakref.ref(object, () => heap.gc.collect());
    release(object);
    expect([deaths, ref.alive]).toEqual([1, false]);
  });
});

describe("SubclassableWeakrefTestCase", () => {
  it("test_subclass_refs_dont_replace_standard_refs", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    using own = heap.weakref.ref(object, () => {});
    using plain = heap.weakref.ref(object);
    expect(is(own, plain)).toBe(false);
    const found = heap.weakref.getWeakrefs(object);
    expect([found.length, is(found[0], plain), is(found[1], own)]).toEqual([2, true, true]);
    using third = heap.weakref.ref(object, () => {});
    expect(heap.weakref.getWeakrefCount(object)).toBe(3);
    const refs = heap.weakref.getWeakrefs(object);
    expect([refs.length, is(refs[0], plain), is(refs[1], third)]).toEqual([3, true, true]);
  });

  it("test_subclass_refs_dont_conflate_callbacks", () => {
    const heap = makeHeap();
    using object = heap.new(C, {});
    using first = heap.weakref.ref(object, () => {});
    using second = heap.weakref.ref(object, String);
    expect(is(first, second)).toBe(false);
    const found = heap.weakref.getWeakrefs(object);
    expect(found.some((ref) => is(ref, first)) && found.some((ref) => is(ref, second))).toBe(true);
  });
});
