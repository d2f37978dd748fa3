import { describe, expect, it } from "vitest";
import {
  any,
  dict,
  f64,
  type Heap,
  Heap as HeapClass,
  i32,
  list,
  OutOfMemoryError,
  oneOf,
  optional,
  release,
  set,
  str,
  struct,
  tuple,
  u8,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { describeBothMakers, heapError, leaksNothing, messageOf, thrownBy } from "./support.js";

describeBothMakers("a heap that meets a struct", ({ makeHeap }) => {
  it("takes one subclass of it, and refuses a second", () => {
    const heap = makeHeap();
    const Shape = struct("Shape", { area: f64 });
    class First extends Shape {}
    class Second extends Shape {}
    class Derived extends First {}
    using first = heap.new(First, { area: 1 });
    for (const Other of [Second, Shape, Derived]) {
      const message = messageOf("TYPE_MISMATCH", () => heap.new(Other, { area: 2 }));
      expect(message).toBe(
        `Struct "Shape" is the class First in this heap and cannot be the class ${Other.name} too: one subclass of a struct is its type.`,
      );
    }
    expect(first.area).toBe(1);
    using other = makeHeap().new(Second, { area: 3 });
    expect(other).toBeInstanceOf(Second);
  });

  it("refuses two subclasses that one type leads to", () => {
    const heap = makeHeap();
    const Shape = struct("Shape", { area: f64 });
    class First extends Shape {}
    class Second extends Shape {}
    const Both = struct("Both", { first: optional(First), second: optional(Second) });
    expect(messageOf("TYPE_MISMATCH", () => heap.new(Both, {}))).toContain("is the class First");
    using second = heap.new(Second, { area: 1 });
    expect(second.area).toBe(1);
  });

  it("refuses another struct of its name, and names both", () => {
    const heap = makeHeap();
    using point = heap.new(struct("Point", { x: f64, y: f64 }), { x: 1 });
    const Other = struct("Point", { x: i32, label: str });
    expect(messageOf("TYPE_MISMATCH", () => heap.new(Other, {}))).toBe(
      'This heap has a struct "Point" (x: f64, y: f64) and cannot have another of that name (x: i32, label: str).',
    );
    expect(messageOf("TYPE_MISMATCH", () => heap.new(list(Other), []))).toContain('a struct "Point"');
    expect(messageOf("TYPE_MISMATCH", () => heap.new(struct("Point", {}), {}))).toContain("(no fields)");
    expect(point.x).toBe(1);
    using elsewhere = makeHeap().new(Other, { label: "fine" });
    expect(elsewhere.label).toBe("fine");
  });

  it("refuses JavaScript fields in a class: they would live on each view", () => {
    class Counter extends struct("Counter", { value: i32 }) {
      declare cache: number;
      constructor(internal: never) {
        super(internal);
        this.cache = 1;
      }
    }
    expect(messageOf("INVALID_ARGUMENT", () => makeHeap().new(Counter, {}))).toBe(
      'Struct "Counter" declares the JavaScript field "cache", which would be lost with each view. Put it into the shape, or make it a getter.',
    );
    class BySymbol extends struct("BySymbol", { value: i32 }) {
      constructor(internal: never) {
        super(internal);
        Object.assign(this, { [Symbol("key")]: 1 });
      }
    }
    expect(messageOf("INVALID_ARGUMENT", () => makeHeap().new(BySymbol, {}))).toContain("Symbol(key)");
  });

  it("refuses a constructor that throws, and keeps its error", () => {
    const cause = new Error("not today");
    class Angry extends struct("Angry", { value: i32 }) {
      constructor(internal: never) {
        super(internal);
        throw cause;
      }
    }
    const error = heapError("INVALID_ARGUMENT", () => makeHeap().new(Angry, {}));
    expect(error.message).toContain('The constructor of struct "Angry" threw.');
    expect(error.cause).toBe(cause);
  });

  it("refuses a field that hides a method, at any level of the class", () => {
    const Base = struct("Hiding", { value: i32, total: i32 });
    class Middle extends Base {}
    Object.defineProperty(Middle.prototype, "total", { value: () => 1, configurable: true });
    class Hiding extends Middle {}
    expect(messageOf("INVALID_ARGUMENT", () => makeHeap().new(Hiding, {}))).toBe(
      'Struct "Hiding" has a field and a method called "total".',
    );
  });

  it("refuses a disposal of the class's own, at any level: a handle's would hide it", () => {
    class Closing extends struct("Closing", { value: i32 }) {
      [Symbol.dispose]() {}
    }
    class Derived extends Closing {}
    for (const type of [Closing, Derived])
      expect(messageOf("INVALID_ARGUMENT", () => makeHeap().new(type as never, {} as never))).toBe(
        'Struct "Closing" has a method [Symbol.dispose], which would never run: disposing of a handle releases it. Give the method a name of its own.',
      );
  });

  it("hands on what a getter of the shape throws, and may be asked again", () => {
    const heap = makeHeap();
    let isReady = false;
    const Late = struct("Late", {
      get value() {
        if (!isReady) throw new RangeError("not ready");
        return f64;
      },
    });
    leaksNothing(heap, () => expect(thrownBy(() => heap.new(Late, {}))).toBeInstanceOf(RangeError));
    isReady = true;
    using late = heap.new(Late, { value: 1 });
    expect(late.value).toBe(1);
  });

  it("asks each getter of a shape once, so that fields and layout agree", () => {
    const heap = makeHeap();
    let turns = 0;
    const Fickle = struct("Fickle", {
      get first() {
        return [u8, f64, str][turns++ % 3];
      },
      second: f64,
    });
    using fickle = heap.new(Fickle, { first: 255 as never, second: 0.5 });
    expect([fickle.first, fickle.second]).toEqual([255, 0.5]);
    expect(turns).toBe(1);
  });

  it("may be used by the very getters and constructors that it runs", () => {
    const heap = makeHeap();
    const Inner = struct("Inner", { value: f64 });
    const made: { value: number }[] = [];
    const use = () => made.push(heap.new(Inner, { value: made.length }));
    class Last extends struct("Last", {
      get inner() {
        use();
        return optional(Inner);
      },
    }) {
      constructor(internal: never) {
        super(internal);
        use();
      }
    }
    const First = struct("First", { inner: optional(Inner), items: list(Inner), last: optional(Last) });
    using first = heap.new(First, {});
    for (const inner of made) {
      first.inner = inner as never;
      first.items.push(inner as never);
    }
    expect([...first.items].map(({ value }) => value)).toEqual(made.map((_, index) => index));
    expect(made.length).toBeGreaterThan(0);
  });

  it("keeps all of a type or nothing when memory ends, and binds it once there is some", () => {
    const heap = makeHeap();
    const { core } = HeapClass.contextOf(heap);
    const Deep = struct("Deep", { items: list(dict(str, any)), pair: optional(tuple(any, f64)), mixed: any });
    for (let after = 0; ; after++) {
      let left = after;
      let hasFailed = false;
      const allocate = core.allocator.allocate.bind(core.allocator);
      core.allocator.allocate = (kind, words) => {
        if (left-- > 0) return allocate(kind, words);
        hasFailed = true;
        throw new OutOfMemoryError(words * 4, 0);
      };
      try {
        leaksNothing(heap, () => {
          try {
            release(heap.new(Deep, { items: [[["key", "value"]]] }));
          } catch (error) {
            if (!(error instanceof OutOfMemoryError)) throw error;
          }
        });
      } finally {
        delete (core.allocator as Partial<typeof core.allocator>).allocate;
      }
      if (!hasFailed) break;
    }
    using deep = heap.new(Deep, { items: [[["key", "value"]]], mixed: 1 });
    expect(heap.toJS(deep)).toEqual({ items: [{ key: "value" }], pair: null, mixed: 1 });
  });
});

describe("a heap that meets more types than it has room for", () => {
  it("refuses the next one and goes on with those it has", () => {
    const heap = makeHeap({ maximumBytes: 1 << 20, checks: "off" });
    using point = heap.new(struct("Point", { x: f64 }), { x: 1 });
    const error = heapError("TOO_MANY_TYPES", () => {
      for (let index = 0; ; index++) heap.new(struct(`Type${index}`, {}), {})[Symbol.dispose]();
    });
    expect(error.message).toMatch(/types/);
    point.x = 2;
    expect(point.x).toBe(2);
    leaksNothing(heap, () =>
      messageOf("TOO_MANY_TYPES", () => heap.new(struct("More", { a: list(tuple(any)) }), {})),
    );
  });
});

describe("the collector's view of a type", () => {
  const isTracked = (heap: Heap, make: (heap: Heap) => unknown) => heap.gc.isTracked(make(heap) as never);

  it("leaves out what can be on no cycle", () => {
    const Leaf = struct("Leaf", { value: f64, text: str });
    const Holder = struct("Holder", {
      leaf: optional(Leaf),
      leaves: list(Leaf),
      byName: dict(str, list(Leaf)),
    });
    const heap = makeExactHeap();
    for (const make of [
      () => heap.new(Leaf, {}),
      () => heap.new(Holder, {}),
      () => heap.new(list(Leaf), [{}]),
      () => heap.new(list(f64), [1]),
      () => heap.new(dict(str, Leaf), [["a", {}]]),
      () => heap.new(set(str), ["a"]),
      () => heap.new(tuple(f64, Leaf), [1, {}]),
      () => heap.new(list(optional(f64)), [1, null]),
      () => heap.new(list(optional(str)), ["a", null]),
    ])
      expect(isTracked(heap, make)).toBe(false);
    expect(heap.gc.getCount()).toEqual([0, 0, 0]);
  });

  it("takes in what `any` or its own fields lead round, and what leads there", () => {
    class Node extends struct("Node", {
      get next() {
        return optional(Node);
      },
    }) {}
    class Ping extends struct("Ping", {
      get pongs() {
        return list(Pong);
      },
    }) {}
    class Pong extends struct("Pong", {
      get ping() {
        return optional(oneOf(Ping));
      },
    }) {}
    const Mixed = struct("Mixed", { value: any });
    const Outside = struct("Outside", { node: optional(Node) });
    const heap = makeExactHeap();
    for (const make of [
      () => heap.new(Node, {}),
      () => heap.new(Ping, {}),
      () => heap.new(Pong, {}),
      () => heap.new(Mixed, {}),
      () => heap.new(Outside, {}),
      () => heap.new(list(any), []),
      () => heap.new(list(Node), []),
      () => heap.new(set(any), []),
      () => heap.new(tuple(any), [1]),
      () => heap.new(dict(str, Node), [["a", {}]]),
    ])
      expect(isTracked(heap, make)).toBe(true);
  });

  it("believes a struct that promises no cycle", () => {
    class Quiet extends struct(
      "Quiet",
      {
        value: any,
        get next() {
          return optional(Quiet);
        },
      },
      { cyclic: false },
    ) {}
    const heap = makeExactHeap();
    using quiet = heap.new(Quiet, { next: { next: {} } });
    expect(heap.gc.isTracked(quiet)).toBe(false);
    expect(isTracked(heap, () => heap.new(list(Quiet), [quiet]))).toBe(false);
  });

  it("follows dicts and tuples of any by what they hold, as CPython does", () => {
    const heap = makeExactHeap();
    using entries = heap.new(dict(str, any), [["a", 1]]);
    using pair = heap.new(tuple(any, any), [1, "text"]);
    expect([heap.gc.isTracked(entries), heap.gc.isTracked(pair)]).toEqual([false, true]);
    using items = heap.new(list(any), []);
    entries.set("b", items);
    expect(heap.gc.isTracked(entries)).toBe(true);
    entries.delete("b");
    heap.gc.collect();
    expect([heap.gc.isTracked(entries), heap.gc.isTracked(pair)]).toEqual([false, false]);
    using byItem = heap.new(dict(any, f64), [[items, 1]]);
    expect(heap.gc.isTracked(byItem)).toBe(true);
  });
});
