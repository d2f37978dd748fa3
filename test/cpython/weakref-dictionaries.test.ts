/** CPython 3.11's test_weakref, the dictionaries, told of this heap. Names are CPython's. */
import { describe, expect, it } from "vitest";
import {
  f64,
  type Handle,
  type Heap,
  i32,
  is,
  list,
  refcount,
  release,
  str,
  struct,
} from "../../src/index.js";
import { makeExactHeap, makeHeap, size } from "../support/heaps.js";

class Thing extends struct("Thing", {
  arg: i32,
  get cycle() {
    return list(Thing);
  },
}) {}
const COUNT = 10;
type Things = Handle<Thing>[];
type Probe = Iterable<unknown> & {
  readonly size: number;
  has(at: number): boolean;
  delete(at: number): boolean;
};

function makeThings(heap: Heap, count = COUNT): Things {
  return Array.from({ length: count }, (_, arg) => heap.new(Thing, { arg }));
}
function makeValues(heap: Heap, count = COUNT) {
  const objects = makeThings(heap, count);
  const map = heap.weakref.valueDictionary<number, Thing>();
  for (const object of objects) map.set(object.arg, object);
  return { objects, map };
}
function makeKeys(heap: Heap, count = COUNT) {
  const objects = makeThings(heap, count);
  const map = heap.weakref.keyDictionary<Thing, number>();
  for (const object of objects) map.set(object, object.arg);
  return { objects, map };
}

/** Twenty objects in cycles: the size while an iterator is open is that of the living, and none is left afterwards. */
function checkLenCycles(heap: Heap, fill: (objects: Things) => Probe): void {
  heap.gc.disable();
  const objects = makeThings(heap, 20);
  for (const object of objects) object.cycle.push(object);
  const map = fill(objects);
  const iterator = map[Symbol.iterator]();
  iterator.next();
  objects.splice(0).forEach(release);
  heap.gc.collect();
  expect([0, 1]).toContain(map.size);
  iterator.return?.();
  heap.gc.collect();
  expect(map.size).toBe(0);
}

function checkLenRace(heap: Heap, fill: (objects: Things) => Probe): void {
  for (let threshold = 1; threshold < 100; threshold += size(100) > 50 ? 1 : 9) {
    heap.gc.setThreshold(threshold, threshold, threshold);
    const objects = makeThings(heap, 20);
    for (const object of objects) object.cycle.push(object);
    const map = fill(objects);
    objects.splice(0).forEach(release);
    const iterator = map[Symbol.iterator]();
    iterator.next();
    const first = map.size;
    iterator.return?.();
    makeThings(heap, 3).forEach(release);
    const second = map.size;
    expect(first).toBeGreaterThanOrEqual(0);
    expect(first).toBeLessThanOrEqual(20);
    expect(second).toBeGreaterThanOrEqual(0);
    expect(second).toBeLessThanOrEqual(first);
  }
}

function fillValues(heap: Heap): (objects: Things) => Probe {
  return (objects) => {
    const map = heap.weakref.valueDictionary<number, Thing>();
    for (const object of objects) map.set(object.arg, object);
    return map;
  };
}
function fillKeys(heap: Heap): (objects: Things) => Probe {
  return (objects) => {
    const map = heap.weakref.keyDictionary<Thing, number>();
    for (const object of objects) map.set(object, object.arg);
    return map as unknown as Probe;
  };
}

describe("MappingTestCase", () => {
  it("test_weak_keyed_len_cycles", () => {
    const heap = makeHeap();
    checkLenCycles(heap, fillKeys(heap));
  });
  it("test_weak_valued_len_cycles", () => {
    const heap = makeHeap();
    checkLenCycles(heap, fillValues(heap));
  });
  it("test_weak_keyed_len_race", () => {
    const heap = makeExactHeap();
    checkLenRace(heap, fillKeys(heap));
  });
  it("test_weak_valued_len_race", () => {
    const heap = makeExactHeap();
    checkLenRace(heap, fillValues(heap));
  });

  it("test_weak_values", () => {
    const heap = makeHeap();
    const { objects, map } = makeValues(heap);
    for (const object of objects) {
      expect(heap.weakref.getWeakrefCount(object)).toBe(1);
      using found = map.get(object.arg)!;
      expect(is(found, object)).toBe(true);
    }
    release(objects.shift()!);
    expect([map.size, map.get(0)]).toEqual([COUNT - 1, undefined]);
    objects.forEach(release);
    expect([map.size, map.get(1), map.has(1)]).toEqual([0, undefined, false]);
    using added = heap.new(Thing, { arg: 2 });
    map.set(2, added);
    expect([map.size, map.has(2)]).toEqual([1, true]);
  });

  it("test_weak_keys", () => {
    const heap = makeHeap();
    const { objects, map } = makeKeys(heap);
    for (const object of objects) {
      expect(heap.weakref.getWeakrefCount(object)).toBe(1);
      expect(map.get(object)).toBe(object.arg);
    }
    release(objects.shift()!);
    expect(map.size).toBe(COUNT - 1);
    objects.forEach(release);
    expect(map.size).toBe(0);
    using object = heap.new(Thing, { arg: 42 });
    map.set(object, 42);
    expect([map.has(object), map.get(object)]).toEqual([true, 42]);
    using other = heap.new(Thing, { arg: 42 });
    expect([map.has(other), map.get(other)]).toEqual([false, undefined]);
  });

  it("test_weak_keyed_iters", () => {
    const heap = makeHeap();
    const { objects, map } = makeKeys(heap);
    let index = 0;
    for (const [key, value] of map) {
      expect([is(key, objects[index]), value]).toEqual([true, index]);
      index++;
    }
    expect(index).toBe(COUNT);
    objects.forEach(release);
  });

  it("test_weak_valued_iters", () => {
    const heap = makeHeap();
    const { objects, map } = makeValues(heap);
    let index = 0;
    for (const [key, value] of map) {
      expect([key, is(value, objects[index])]).toEqual([index, true]);
      index++;
    }
    expect(index).toBe(COUNT);
    objects.forEach(release);
  });

  it("test_weak_keys_destroy_while_iterating", () => {
    const heap = makeHeap();
    const { objects, map } = makeKeys(heap);
    const iterator = map[Symbol.iterator]();
    iterator.next();
    release(objects.pop()!);
    heap.gc.collect();
    expect(map.size).toBe(COUNT - 1);
    expect([...iterator]).toHaveLength(COUNT - 2);
    expect(map.size).toBe(COUNT - 1);

    const again = map[Symbol.iterator]();
    again.next();
    release(objects.pop()!);
    const last = objects.pop()!;
    expect([map.delete(last), map.delete(last), map.has(last), map.size]).toEqual([
      true,
      false,
      false,
      COUNT - 3,
    ]);
    map.set(last, 100);
    expect([map.get(last), map.size]).toEqual([100, COUNT - 2]);
    map[Symbol.dispose]();
    expect([map.size, [...again]]).toEqual([0, []]);
    release(last);
    objects.forEach(release);
  });

  it("test_weak_values_destroy_while_iterating", () => {
    const heap = makeHeap();
    const { objects, map } = makeValues(heap);
    const iterator = map[Symbol.iterator]();
    iterator.next();
    release(objects.pop()!);
    heap.gc.collect();
    expect(map.size).toBe(COUNT - 1);
    expect([...iterator]).toHaveLength(COUNT - 2);
    expect(map.size).toBe(COUNT - 1);

    const again = map[Symbol.iterator]();
    again.next();
    const dead = objects.pop()!;
    const key = dead.arg;
    release(dead);
    expect([map.has(key), map.get(key), map.delete(key)]).toEqual([false, undefined, false]);
    map.set(key, objects[0]);
    expect([map.has(key), map.size]).toEqual([true, COUNT - 1]);
    expect(map.delete(key)).toBe(true);
    map[Symbol.dispose]();
    expect([map.size, [...again]]).toEqual([0, []]);
    objects.forEach(release);
  });

  it("test_weak_keyed_delitem", () => {
    const heap = makeHeap();
    using first = heap.new(Thing, {});
    using second = heap.new(Thing, {});
    const map = heap.weakref.keyDictionary<Thing, string>().set(first, "1").set(second, "2");
    expect([map.delete(first), map.size, [...map].map(([, value]) => value)]).toEqual([true, 1, ["2"]]);
    expect(Array.from(map, ([key]) => is(key, second))).toEqual([true]);
  });

  it("test_weak_valued_delitem", () => {
    const heap = makeHeap();
    using first = heap.new(Thing, {});
    using second = heap.new(Thing, {});
    const map = heap.weakref.valueDictionary<string, Thing>().set("1", first).set("2", second);
    expect([map.delete("1"), map.size, [...map].map(([key]) => key)]).toEqual([true, 1, ["2"]]);
    expect(refcount(second)).toBe(1);
  });

  it("test_weak_keyed_bad_delitem", () => {
    const heap = makeHeap();
    const map = heap.weakref.keyDictionary<Thing, string>();
    using object = heap.new(Thing, {});
    expect([map.delete(object), map.get(object)]).toEqual([false, undefined]);
    const INVALID = expect.objectContaining({ code: "INVALID_ARGUMENT" });
    for (const wrong of [13, "text", null] as never[]) {
      expect(() => map.delete(wrong)).toThrowError(INVALID);
      expect(() => map.get(wrong)).toThrowError(INVALID);
      expect(() => map.set(wrong, "value")).toThrowError(INVALID);
    }
    using items = heap.new(list(f64), [1]);
    expect(() => map.set(items as never, "value")).toThrowError(INVALID);
  });
});

describe("WeakValueDictionaryTestCase", () => {
  const NAME = struct("Name", { text: str });
  function make() {
    const heap = makeHeap();
    const scope = heap.scope();
    const values = ["v1", "v2", "v3"].map((text) => scope.new(NAME, { text }));
    const map = heap.weakref.valueDictionary<string, (typeof values)[0]>();
    values.forEach((value, index) => map.set(`key${index + 1}`, value));
    return { values, map, [Symbol.dispose]: () => scope[Symbol.dispose]() };
  }
  it("test_read", () => {
    using made = make();
    const { map } = made;
    for (const key of ["key1", "key2", "key3"]) expect(map.has(key)).toBe(true);
    expect([map.has("other"), map.get("other"), map.size]).toEqual([false, undefined, 3]);
  });
  it("test_write", () => {
    using made = make();
    const { map, values } = made;
    map.set("key1", values[2]);
    using found = map.get("key1")!;
    expect([is(found, values[2]), map.size]).toEqual([true, 3]);
    expect([map.delete("key1"), map.has("key1"), map.delete("key1")]).toEqual([true, false, false]);
    map[Symbol.dispose]();
    expect(map.size).toBe(0);
  });
  it("test_items", () => {
    using made = make();
    expect(Array.from(made.map, ([key, { text }]) => [key, text])).toEqual([
      ["key1", "v1"],
      ["key2", "v2"],
      ["key3", "v3"],
    ]);
  });
  it("test_len", () => {
    using made = make();
    expect(made.map.size).toBe(3);
    made.map[Symbol.dispose]();
    expect(made.map.size).toBe(0);
  });
  it("test_get", () => {
    using made = make();
    using found = made.map.get("key2")!;
    expect([found.text, made.map.get("other")]).toEqual(["v2", undefined]);
  });
});

describe("WeakKeyDictionaryTestCase", () => {
  function make() {
    const heap = makeHeap();
    const made = makeKeys(heap, 3);
    const other = heap.new(Thing, {});
    return { ...made, other, [Symbol.dispose]: () => [...made.objects, other].forEach(release) };
  }
  it("test_read", () => {
    using made = make();
    const { map, objects, other } = made;
    for (const object of objects) expect([map.has(object), map.get(object)]).toEqual([true, object.arg]);
    expect([map.has(other), map.get(other), map.size]).toEqual([false, undefined, 3]);
  });
  it("test_write", () => {
    using made = make();
    const { map, objects, other } = made;
    map.set(objects[0], 7).set(other, 8);
    expect([map.get(objects[0]), map.get(other), map.size]).toEqual([7, 8, 4]);
    expect([map.delete(other), map.has(other), map.delete(other)]).toEqual([true, false, false]);
    map[Symbol.dispose]();
    expect(map.size).toBe(0);
  });
  it("test_items", () => {
    using made = make();
    expect(Array.from(made.map, ([key, value]) => [key.arg, value])).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
    ]);
  });
  it("test_len", () => {
    using made = make();
    expect(made.map.size).toBe(3);
    made.map[Symbol.dispose]();
    expect(made.map.size).toBe(0);
  });
  it("test_get", () => {
    using made = make();
    expect([made.map.get(made.objects[1]), made.map.get(made.other)]).toEqual([1, undefined]);
  });
});
