/** CPython 3.11's test_gc, GCTests: what each test pins, told of this heap. Names are CPython's. */
import { describe, expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  f64,
  finalizer,
  type Generation,
  type Handle,
  Heap,
  id,
  is,
  list,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
} from "../../src/index.js";
import { makeExactHeap, size } from "../support/heaps.js";

const fields = { me: any, attr: any };
const Thing = struct("Thing", fields);
const Leaf = struct("Leaf", { x: f64 });

const holds = (found: Borrowed[], object: Borrowed) => found.some((one) => is(one, object));

describe("GCTests", () => {
  it("test_list", () => {
    const heap = makeExactHeap();
    const items = heap.new(list(any), []);
    items.push(items);
    heap.gc.collect();
    release(items);
    expect(heap.gc.collect()).toBe(1);
  });

  it("test_dict", () => {
    const heap = makeExactHeap();
    const table = heap.new(dict(any, any), []);
    table.set(1, table);
    heap.gc.collect();
    release(table);
    expect(heap.gc.collect()).toBe(1);
  });

  it("test_tuple", () => {
    const heap = makeExactHeap();
    const items = heap.new(list(any), []);
    const pair = heap.new(tuple(any), [items]);
    items.push(pair);
    heap.gc.collect();
    release(pair);
    release(items);
    expect(heap.gc.collect()).toBe(2);
  });

  it("test_instance", () => {
    const heap = makeExactHeap();
    const thing = heap.new(Thing, {});
    thing.me = thing;
    heap.gc.collect();
    release(thing);
    expect(heap.gc.collect()).toBe(1);
  });

  it("test_newinstance", () => {
    class Base extends struct("Base", fields) {}
    class Sub extends Base {}
    const heap = makeExactHeap();
    for (const type of [Thing, Sub]) {
      const object = heap.new(type, {});
      object.me = object;
      heap.gc.collect();
      release(object);
      expect(heap.gc.collect()).toBe(1);
      expect(heap.gc.collect()).toBe(0);
    }
  });

  it("test_method", () => {
    const Method = struct("Method", { self: any, func: any });
    const heap = makeExactHeap();
    const thing = heap.new(Thing, {});
    const method = heap.new(Method, { self: thing });
    thing.attr = method;
    release(method);
    heap.gc.collect();
    release(thing);
    expect(heap.gc.collect()).toBe(2);
  });

  it("test_function", () => {
    const Func = struct("Func", { globals: dict(str, any) });
    const heap = makeExactHeap();
    const globals = heap.new(dict(str, any), []);
    const func = heap.new(Func, { globals });
    globals.set("f", func);
    release(func);
    heap.gc.collect();
    release(globals);
    expect(heap.gc.collect()).toBe(2);
  });

  it("test_function_tp_clear_leaves_consistent_state", () => {
    const heap = makeExactHeap();
    let found: Handle<Func> | undefined;
    class Func extends struct("Func", { module: any, name: str }) {}
    class LateFin extends struct("LateFin", { ref: any }) {
      [finalizer]() {
        found = (this.ref as { deref?: () => Handle<Func> } | null)?.deref?.();
      }
    }
    class Cyclic extends struct("Cyclic", { func: Func, late: LateFin }) {
      [finalizer]() {
        // Made now: one made earlier would be dead already.
        using ref = heap.weakref.ref(this.func);
        this.late.ref = ref;
        release(late);
      }
    }
    const late = heap.new(LateFin, {});
    const func = heap.new(Func, { name: "func" });
    const cycle = heap.new(Cyclic, { func, late });
    func.module = cycle;
    release(func);
    release(cycle);
    heap.gc.collect();
    expect(found).toBeDefined();
    expect([found!.module, typeof found!.name]).toEqual([null, "string"]);
    release(found!);
    heap.gc.collect();
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("test_saveall", () => {
    const heap = makeExactHeap();
    heap.gc.collect();
    expect(heap.gc.garbage.length).toBe(0);
    const items = heap.new(list(any), []);
    items.push(items);
    const address = id(items);
    heap.gc.setDebug(heap.gc.getDebug() | 32);
    release(items);
    heap.gc.collect();
    heap.gc.setDebug(0);
    expect([...heap.gc.garbage].map((object) => id(object))).toEqual([address]);
    using saved = retain(heap.gc.garbage.at(0)!);
    heap.gc.garbage.clear();
    (saved as unknown as { clear(): void }).clear();
  });

  it("test_del", () => {
    const heap = makeExactHeap();
    heap.gc.enable();
    heap.gc.setThreshold(1);
    let finalized = 0;
    class A extends struct("A", fields) {
      [finalizer]() {
        finalized++;
        using items = heap.new(list(any), [this]);
        using _table = heap.new(dict(any, any), [[1, items]]);
      }
    }
    release(heap.new(A, {}));
    expect(finalized).toBe(1);
  });

  it("test_get_count", () => {
    const heap = makeExactHeap();
    heap.gc.collect();
    expect(heap.gc.getCount()).toEqual([0, 0, 0]);
    using _items = heap.new(list(any), []);
    expect(heap.gc.getCount()).toEqual([1, 0, 0]);
  });

  it("test_collect_generations", () => {
    const heap = makeExactHeap();
    heap.gc.collect();
    using _items = heap.new(list(any), []);
    heap.gc.collect(0);
    expect(heap.gc.getCount().slice(1)).toEqual([1, 0]);
    heap.gc.collect(1);
    expect(heap.gc.getCount().slice(1)).toEqual([0, 1]);
    heap.gc.collect(2);
    expect(heap.gc.getCount().slice(1)).toEqual([0, 0]);
  });

  it("test_trashcan", () => {
    const heap = makeExactHeap();
    let deaths = 0;
    class Ouch extends struct("Ouch", { x: f64 }) {
      [finalizer]() {
        if (++deaths % 17 === 0) heap.gc.collect();
      }
    }
    const N = 150;
    for (let round = 0; round < 4; round++) {
      let items: Borrowed & Disposable = heap.new(list(any), []);
      let table: Borrowed & Disposable = heap.new(dict(any, any), []);
      for (let index = 0; index < N; index++) {
        const [inner, inside] = [items, table];
        using first = heap.new(Ouch, {});
        using second = heap.new(Ouch, {});
        items = heap.new(list(any), [inner, first]);
        table = heap.new(dict(any, any), [
          [1, inside],
          [2, second],
        ]);
        release(inner as Handle<Borrowed>);
        release(inside as Handle<Borrowed>);
      }
      release(items as Handle<Borrowed>);
      release(table as Handle<Borrowed>);
    }
    expect([deaths, heap.gc.collect(), heap.gc.getObjects()]).toEqual([4 * 2 * N, 0, []]);
  });

  for (const [name, patience] of [
    ["test_boom", 0],
    ["test_boom2", 1],
  ] as const)
    it(name, () => {
      const heap = makeExactHeap();
      let asked = 0;
      class Boom extends struct("Boom", fields) {
        get __del__(): never {
          if (++asked > patience) this.attr = null;
          throw new Error("no such attribute");
        }
      }
      const a = heap.new(Boom, {});
      const b = heap.new(Boom, { attr: a });
      a.attr = b;
      heap.gc.collect();
      release(a);
      release(b);
      expect([heap.gc.collect(), heap.gc.garbage.length, asked]).toEqual([2, 0, 0]);
    });

  it("test_get_referents", () => {
    const heap = makeExactHeap();
    using scope = heap.scope();
    const [a, b, c] = [1, 3, 5].map((x) => scope.new(Leaf, { x }));
    const items = scope.new(list(any), [a, b, c]);
    const triple = scope.new(tuple(any, any, any), [a, b, c]);
    const table = scope.new(dict(any, any), [[c, a]]);
    const xs = (objects: Borrowed[]) => objects.map((object) => (object as unknown as { x: number }).x);
    expect(xs(heap.gc.getReferents(items))).toEqual([5, 3, 1]);
    expect(xs(heap.gc.getReferents(triple))).toEqual([5, 3, 1]);
    expect(xs(heap.gc.getReferents(table))).toEqual([1, 5]);
    const zeros = scope.new(tuple(any, any, any), [a, a, a]);
    expect(xs(heap.gc.getReferents(items, table, zeros))).toEqual([5, 3, 1, 1, 5, 1, 1, 1]);
    expect(heap.gc.getReferents(a, scope.new(tuple(any, any), [1, "a"]))).toEqual([]);
  });

  it("test_is_tracked", () => {
    const heap = makeExactHeap();
    using scope = heap.scope();
    for (const atom of [1, 1.5, true, false, null, "a", ""]) expect(heap.gc.isTracked(atom)).toBe(false);
    class User extends struct("User", fields) {}
    const leaf = scope.new(Leaf, {});
    expect(heap.gc.isTracked(leaf)).toBe(false);
    for (const object of [
      scope.new(list(any), []),
      scope.new(set(any), []),
      scope.new(Thing, {}),
      scope.new(User, {}),
    ])
      expect(heap.gc.isTracked(object)).toBe(true);
    const table = scope.new(dict(any, any), [[1, "a"]]);
    expect(heap.gc.isTracked(table)).toBe(false);
    table.set(2, scope.new(list(any), []));
    expect(heap.gc.isTracked(table)).toBe(true);
  });

  it("test_is_finalized", () => {
    const heap = makeExactHeap();
    expect(heap.gc.isFinalized(3)).toBe(false);
    const storage: Handle<Lazarus>[] = [];
    class Lazarus extends struct("Lazarus", fields) {
      [finalizer]() {
        storage.push(retain(this) as Handle<Lazarus>);
      }
    }
    const lazarus = heap.new(Lazarus, {});
    expect(heap.gc.isFinalized(lazarus)).toBe(false);
    release(lazarus);
    heap.gc.collect();
    using again = storage.pop()!;
    expect(heap.gc.isFinalized(again)).toBe(true);
  });

  it("test_bug1055820b", () => {
    const heap = makeExactHeap();
    const ouch: unknown[] = [];
    const objects = [heap.new(Thing, {}), heap.new(Thing, {})];
    for (const object of objects) object.me = object;
    const refs = objects.map((object) =>
      heap.weakref.ref(object, () => ouch.splice(0, 2, ...refs.map((ref) => ref.deref()))),
    );
    heap.gc.collect();
    expect(ouch).toEqual([]);
    objects.forEach(release);
    heap.gc.collect();
    expect(ouch).toEqual([undefined, undefined]);
    refs.forEach(release);
  });

  it("test_bug21435", () => {
    const heap = makeExactHeap();
    class B extends struct("B", { x: any, attr: any }) {
      [finalizer]() {
        this.attr = null;
      }
    }
    {
      using inner = heap.new(Thing, {});
      using a = heap.new(Thing, {});
      using b = heap.new(B, { x: inner, attr: a });
      a.attr = b;
    }
    heap.gc.collect();
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("test_garbage_at_shutdown", () => {
    const [SAVEALL, UNCOLLECTABLE] = [32, 4];
    const atShutdown = (flags: number) => {
      const heap = Heap.create({ maximumBytes: 1 << 20 });
      let text = "";
      heap.gc.debugSink = (part) => {
        text += part;
      };
      const first = heap.new(Thing, {});
      first.me = first;
      heap.gc.setDebug(SAVEALL);
      release(first);
      heap.gc.collect();
      heap.gc.setDebug(flags);
      heap.shutdown();
      return text;
    };
    expect(atShutdown(0)).toBe(
      "gc: 1 uncollectable objects at shutdown; use gc.setDebug(DEBUG.UNCOLLECTABLE) to list them\n",
    );
    expect(atShutdown(UNCOLLECTABLE)).toBe("gc: 1 uncollectable objects at shutdown\n      [<Thing>]\n");
    expect(atShutdown(SAVEALL)).toBe("");
  });

  it("test_gc_main_module_at_shutdown", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    let text = "";
    class C extends struct("C", fields) {
      [finalizer]() {
        text += "__del__ called";
      }
    }
    const items = heap.new(list(any), []);
    items.push(items);
    {
      using object = heap.new(C, {});
      items.push(object);
    }
    heap.shutdown();
    expect(text).toBe("__del__ called");
  });

  it("test_get_stats", () => {
    const heap = makeExactHeap();
    for (const stats of heap.gc.getStats())
      expect(Object.keys(stats).sort()).toEqual(["collected", "collections", "uncollectable"]);
    for (const generation of [0, 1, 2] as Generation[]) {
      const before = heap.gc.getStats().map(({ collections }) => collections);
      heap.gc.collect(generation);
      before[generation]++;
      expect(heap.gc.getStats().map(({ collections }) => collections)).toEqual(before);
    }
  });

  it("test_freeze", () => {
    const heap = makeExactHeap();
    using _items = heap.new(list(any), []);
    heap.gc.freeze();
    expect(heap.gc.getFreezeCount()).toBeGreaterThan(0);
    heap.gc.unfreeze();
    expect(heap.gc.getFreezeCount()).toBe(0);
  });

  it("test_get_objects", () => {
    const heap = makeExactHeap();
    heap.gc.collect();
    const items = heap.new(list(any), []);
    items.push(items);
    const where = () => ([0, 1, 2] as Generation[]).filter((one) => holds(heap.gc.getObjects(one), items));
    expect(where()).toEqual([0]);
    heap.gc.collect(0);
    expect(where()).toEqual([1]);
    heap.gc.collect(1);
    expect(where()).toEqual([2]);
    heap.gc.collect(2);
    expect(where()).toEqual([2]);
    release(items);
    heap.gc.collect();
  });

  it("test_get_objects_arguments", () => {
    const heap = makeExactHeap();
    using _items = heap.new(list(any), []);
    expect(heap.gc.getObjects(undefined).length).toBe(heap.gc.getObjects().length);
    for (const wrong of [1000, -1000, "1", 1.234, {}] as Generation[])
      expect(() => heap.gc.getObjects(wrong)).toThrowError(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
  });

  it("test_resurrection_only_happens_once_per_object", () => {
    const heap = makeExactHeap();
    heap.gc.disable();
    let resurrected = 0;
    const instances: Handle<Lazarus>[] = [];
    class Lazarus extends struct("Lazarus", fields) {
      [finalizer]() {
        resurrected++;
        instances.push(retain(this) as Handle<Lazarus>);
      }
    }
    const lazarus = heap.new(Lazarus, {});
    lazarus.me = lazarus;
    heap.gc.collect();
    expect([resurrected, instances.length]).toEqual([0, 0]);
    release(lazarus);
    heap.gc.collect();
    expect([resurrected, instances.length]).toEqual([1, 1]);
    release(instances.pop()!);
    expect([heap.gc.collect(), resurrected, instances.length]).toEqual([1, 1, 0]);
  });

  it("test_resurrection_is_transitive", () => {
    const heap = makeExactHeap();
    const instances: Handle<Lazarus>[] = [];
    class Lazarus extends struct("Lazarus", { cargo: any }) {
      [finalizer]() {
        instances.push(retain(this) as Handle<Lazarus>);
      }
    }
    const lazarus = heap.new(Lazarus, {});
    const cargo = heap.new(Thing, {});
    const cargoId = id(cargo);
    lazarus.cargo = cargo;
    cargo.me = lazarus;
    heap.gc.collect();
    expect(instances.length).toBe(0);
    release(lazarus);
    release(cargo);
    heap.gc.collect();
    expect(instances.length).toBe(1);
    using instance = instances.pop()!;
    expect(id(instance.cargo as Borrowed)).toBe(cargoId);
    expect(is((instance.cargo as unknown as { me: Borrowed }).me, instance)).toBe(true);
    instance.cargo = null;
  });

  it("test_resurrection_does_not_block_cleanup_of_other_objects", () => {
    const heap = makeExactHeap();
    heap.gc.disable();
    const N = size(100);
    const saved: Handle<Z>[] = [];
    class Z extends struct("Z", fields) {
      [finalizer]() {
        saved.push(retain(this) as Handle<Z>);
      }
    }
    const make = (type: typeof Thing | typeof Z, count: number) => {
      for (let index = 0; index < count; index++) {
        using object = heap.new(type, {});
        object.me = object;
      }
    };
    make(Thing, N);
    expect([heap.gc.collect(), heap.gc.getStats()[2].collected]).toEqual([N, N]);
    make(Z, 1);
    expect([heap.gc.collect(), heap.gc.getStats()[2].collected]).toEqual([0, N]);
    make(Thing, N);
    make(Z, 1);
    expect([heap.gc.collect(), heap.gc.getStats()[2].collected]).toEqual([N, 2 * N]);
    saved.splice(0).forEach(release);
    expect([heap.gc.collect(), heap.gc.getStats()[2].collected]).toEqual([2, 2 * N + 2]);
  });
});
