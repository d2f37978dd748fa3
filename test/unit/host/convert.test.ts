import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import {
  any,
  as,
  type Borrowed,
  dict,
  f64,
  type HashSet,
  Heap,
  i64,
  is,
  isA,
  type List,
  list,
  refcount,
  release,
  set,
  str,
  struct,
  tuple,
  typeName,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap, size } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf, thrownBy } from "./support.js";

const Point = struct("Point", { x: f64 });

/** What comes back of a plain graph that went through the heap; nothing of it stays there. */
function roundTrip(value: object): unknown {
  const heap = makeHeap();
  const copy = heap.from(value);
  const result = heap.toJS(copy);
  release(copy);
  heap.gc.collect();
  expect(heap.gc.getObjects()).toEqual([]);
  return result;
}

describe("heap.from and heap.toJS", () => {
  it("carry plain data there and back", () => {
    const values = [
      {},
      [],
      { a: 1, b: "two", c: null, d: true, e: [1, [2, [3]]], f: { g: { h: {} } } },
      [0, -0, NaN, Infinity, "", "日本", "\ud800", false, null],
      new Map<unknown, unknown>([
        ["a", 1],
        [1, "b"],
        [true, null],
        [NaN, [1]],
      ]),
      new Set<unknown>([1, "1", null, true, 0]),
      [new Map([["key", new Set([{ deep: [new Map()] }])]])],
    ];
    for (const value of values) expect(roundTrip(value)).toEqual(value);
  });

  it("keep order, odd keys and empty texts", () => {
    const value = { z: 1, a: 2, "": 3, "with space": 4, "10": 5, ä: 6 };
    expect(Object.keys(roundTrip(value) as object)).toEqual(Object.keys(value));
    const map = new Map([
      ["z", 1],
      ["a", 2],
    ]);
    expect([...(roundTrip(map) as Map<string, number>)]).toEqual([...map]);
  });

  it("make dicts, lists and sets of any: a Map comes back as one, and so does what a Map was made from", () => {
    const heap = makeHeap();
    using copy = heap.from({ list: [1], map: new Map([["key", 1]]), set: new Set([1]) });
    const entries = as(dict(str, any), copy);
    expect(isA(list(any), entries.get("list")!)).toBe(true);
    expect(isA(dict(any, any), entries.get("map")!)).toBe(true);
    expect(isA(set(any), entries.get("set")!)).toBe(true);
    expect(heap.toJS(copy)).toEqual({ list: [1], map: new Map([["key", 1]]), set: new Set([1]) });
  });

  it("keep what is shared shared", () => {
    const shared = { name: "shared" };
    const result = roundTrip({ a: shared, b: [shared], c: new Map([[shared, shared]]) }) as {
      a: object;
      b: object[];
      c: Map<object, object>;
    };
    expect(result.b[0]).toBe(result.a);
    expect([...result.c][0]).toEqual([result.a, result.a]);
    expect([...result.c][0][0]).toBe(result.a);
    const heap = makeHeap();
    using copy = heap.from([shared, shared]);
    const [first, second] = as(list(any), copy);
    expect([is(first as Borrowed, second as Borrowed), refcount(first as Borrowed)]).toEqual([true, 2]);
  });

  it("keep what is cyclic cyclic, and the collector takes it", () => {
    const cyclic: Record<string, unknown> = { name: "root" };
    cyclic.self = cyclic;
    cyclic.list = [cyclic, new Set([cyclic]), new Map([["root", cyclic]])];
    const heap = makeExactHeap();
    const copy = heap.from(cyclic);
    const back = heap.toJS(copy) as typeof cyclic;
    expect(back.self).toBe(back);
    const [root, members, entries] = back.list as [object, Set<object>, Map<string, object>];
    expect([root, [...members][0], entries.get("root")]).toEqual([back, back, back]);
    expect([...members][0]).toBe(back);
    release(copy);
    expect(heap.gc.collect()).toBe(4);
  });

  it("copy structs, tuples and i64 values out as plain data", () => {
    const heap = makeHeap();
    const Record = struct("Record", { id: i64, pair: tuple(f64, str), points: list(Point) });
    using record = heap.new(Record, { id: 7n, pair: [1, "a"], points: [{ x: 1 }] });
    expect(heap.toJS(record)).toEqual({ id: 7n, pair: [1, "a"], points: [{ x: 1 }] });
    using byPoint = heap.new(dict(Point, f64), [[record.points.at(0)!, 5]]);
    expect(heap.toJS(byPoint)).toEqual(new Map([[{ x: 1 }, 5]]));
    expect(Object.getPrototypeOf(heap.toJS(record))).toBe(Object.prototype);
  });

  it("refer to objects of the heap instead of copying them", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1 });
    using copy = heap.from({ point, list: [point] });
    point.x = 2;
    expect([refcount(point), heap.toJS(copy)]).toEqual([3, { point: { x: 2 }, list: [{ x: 2 }] }]);
  });

  it("own one reference, and give it up", () => {
    const heap = makeHeap();
    release(heap.from([{}]));
    leaksNothing(heap, () => {
      const copy = heap.from({ a: [1, "text", { b: new Set(["x"]) }] });
      expect([refcount(copy), typeName(copy)]).toEqual([1, "dict"]);
      release(copy);
    });
  });

  it("take data whose keys are called like the library's own", () => {
    const value = {
      "@type": "Person",
      "@id": 5,
      nested: { "@type": null, "@address": 1 },
      list: [{ "@type": ["a", "b"] }],
    };
    expect(roundTrip(value)).toEqual(value);
    expect(roundTrip({ "@type": { context: {} } })).toEqual({ "@type": { context: {} } });
  });

  it("define what they copy as own properties: `__proto__` in data sets nothing", () => {
    const hostile = JSON.parse(
      '{"__proto__": {"polluted": true}, "constructor": 1, "toString": 2}',
    ) as object;
    const result = roundTrip(hostile) as Record<string, unknown>;
    expect(Object.keys(result)).toEqual(["__proto__", "constructor", "toString"]);
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
    expect((result as { polluted?: unknown }).polluted).toBeUndefined();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.getOwnPropertyDescriptor(result, "__proto__")).toMatchObject({
      writable: true,
      enumerable: true,
    });
  });

  it("go as deep as memory does", () => {
    const heap = makeExactHeap({ maximumBytes: 512 << 20 });
    const depth = size(1_000_000);
    let nested: unknown = null;
    for (let level = 0; level < depth; level++) nested = level % 2 === 0 ? [nested] : { nested };
    const copy = heap.from(nested as object);
    let back = heap.toJS(copy) as unknown[] | { nested: unknown } | null;
    let found = 0;
    for (; back !== null; found++) back = (Array.isArray(back) ? back[0] : back.nested) as typeof back;
    expect(found).toBe(depth);
    release(copy);
    expect(heap.gc.getObjects()).toEqual([]);
  });
});

describe("heap.from", () => {
  it("takes plain data of another realm", () => {
    const foreign = runInNewContext(
      "({ object: { a: 1 }, list: [1, [2]], map: new Map([['k', { v: 1 }]]), set: new Set([1]), bare: Object.create(null) })",
    ) as object;
    expect(roundTrip(foreign)).toEqual({
      object: { a: 1 },
      list: [1, [2]],
      map: new Map([["k", { v: 1 }]]),
      set: new Set([1]),
      bare: {},
    });
    const heap = makeHeap();
    const instance = runInNewContext("new (class Foo { a = 1 })()") as object;
    expect(messageOf("INVALID_ARGUMENT", () => heap.from([instance]))).toContain(
      "$[0] is an instance of Foo",
    );
  });

  it("leaves out what is not enumerable", () => {
    const value = Object.defineProperty({ a: 1 }, "hidden", { value: () => 1, enumerable: false });
    expect(roundTrip(value)).toEqual({ a: 1 });
  });

  class Foo {}
  class MyMap extends Map {}
  class MyArray extends Array {}
  const withExtra = Object.assign([1, 2], { extra: 1 });
  // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested
  const sparse = [1, , 3];
  const longSparse: unknown[] = [];
  longSparse.length = 2 ** 32 - 1;
  const accessor = {
    get secret() {
      throw new Error("must not be called");
    },
  };
  const arrayAccessor = [0];
  Object.defineProperty(arrayAccessor, 0, { get: () => 1, enumerable: true });

  it.each<[string, unknown, string]>([
    ["a function", { a: [1, 2, 3, () => 1] }, "$.a[3] is a function, which a heap cannot hold"],
    ["a symbol", { "odd key": Symbol("s") }, '$["odd key"] is a symbol'],
    ["undefined", [[undefined]], "$[0][0] is undefined, which a heap cannot hold"],
    ["a bigint", { n: 1n }, "$.n is 1n, which a heap cannot hold"],
    [
      "a class instance",
      { a: { b: new Foo() } },
      "$.a.b is an instance of Foo: only plain objects, arrays, Maps and Sets are copied",
    ],
    ["a date", [new Date(0)], "$[0] is an instance of Date"],
    ["a regular expression", { r: /x/ }, "$.r is an instance of RegExp"],
    ["a typed array", { bytes: new Uint8Array(2) }, "$.bytes is an instance of Uint8Array"],
    ["a promise", [Promise.resolve()], "$[0] is an instance of Promise"],
    ["a subclass of Map", { m: new MyMap() }, "$.m is an instance of MyMap"],
    ["a subclass of Array", { m: MyArray.from([1]) }, "$.m is an array of 1"],
    ["a symbol key", { [Symbol("key")]: 1 }, '$["Symbol(key)"] is a symbol key'],
    ["an accessor", { a: accessor }, "$.a.secret is an accessor, and is not called"],
    ["an accessor in an array", { a: arrayAccessor }, "$.a[0] is an accessor"],
    ["a hole", { a: sparse }, "$.a[1] is missing from the array"],
    ["a hole, in an array of the greatest length", longSparse, "$[0] is missing from the array"],
    [
      "a property beside an array's items",
      { a: withExtra },
      "$.a.extra is a property beside an array's items",
    ],
    ["a value of a Map", new Map([["key", new Foo()]]), "$.key is an instance of Foo"],
    ["a key of a Map", new Map([[new Foo(), 1]]), "$[0] is an instance of Foo"],
    [
      "undefined as a key of a Map",
      new Map([
        [1, 1],
        [undefined, 1],
      ] as never),
      "$[1] is undefined",
    ],
    ["a member of a Set", new Set([1, Symbol("s")]), "$[1] is a symbol"],
    ["the root itself", new Foo(), "$ is an instance of Foo"],
    [
      "a map of one, in a realm's disguise",
      Object.setPrototypeOf({ [Symbol.toStringTag]: "Map" }, { a: 1 }),
      "$",
    ],
  ])("refuses %s, says where it stands, and keeps nothing", (_, value, message) => {
    const heap = makeHeap();
    release(heap.from([new Map(), new Set(), {}]));
    leaksNothing(heap, () =>
      expect(messageOf("INVALID_ARGUMENT", () => heap.from({ before: ["a", {}], value }))).toContain(
        `heap.from: ${message.replace("$", "$.value")}`,
      ),
    );
    leaksNothing(heap, () =>
      expect(messageOf("INVALID_ARGUMENT", () => heap.from(value as object))).toMatch(
        typeof value === "object" ? /^heap\.from: \$/ : /^heap\.from copies/,
      ),
    );
  });

  it("refuses what is no graph at all", () => {
    const heap = makeHeap();
    using point = heap.new(Point, {});
    for (const value of [5, "text", null, undefined, true, Symbol("s"), () => 1, point] as never[])
      expect(messageOf("INVALID_ARGUMENT", () => heap.from(value))).toMatch(
        /^heap\.from copies a plain object, array, Map or Set, got /,
      );
  });

  it("says where it stood when a Proxy throws, keeps its error as the cause, and keeps nothing", () => {
    const cause = new Error("trapped");
    const traps: (keyof ProxyHandler<object>)[] = [
      "get",
      "getPrototypeOf",
      "ownKeys",
      "getOwnPropertyDescriptor",
    ];
    const heap = makeHeap();
    release(heap.from([new Map(), new Set(), {}]));
    const failing = (target: object, trap: string, after: number) => {
      let calls = 0;
      return new Proxy(target, {
        [trap]: (...args: unknown[]) => {
          if (calls++ >= after) throw cause;
          return (Reflect as unknown as Record<string, (...args: unknown[]) => unknown>)[trap](...args);
        },
      });
    };
    let thrown = 0;
    for (const trap of traps)
      for (const target of [{ a: 1, b: { c: "text" } }, [1, ["text"]]])
        for (let after = 0; after < 8; after++)
          leaksNothing(heap, () => {
            try {
              release(heap.from({ before: [1], inner: failing(target, trap, after) }));
            } catch (error) {
              thrown++;
              expect(error).toMatchObject({ code: "INVALID_ARGUMENT", cause });
              expect((error as Error).message).toMatch(
                /^heap\.from: \$\.inner.* could not be read: trapped$/,
              );
            }
          });
    expect(thrown).toBeGreaterThan(8);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const value of [proxy, [proxy], { a: proxy }, new Map([[proxy, 1]]), new Set([proxy])])
      leaksNothing(heap, () =>
        expect(messageOf("INVALID_ARGUMENT", () => heap.from(value))).toContain("could not be read"),
      );
    const silent = new Proxy(
      {},
      {
        ownKeys: () => {
          throw Object.create(null);
        },
      },
    );
    expect(messageOf("INVALID_ARGUMENT", () => heap.from(silent))).toContain("could not be read: an object");
  });

  it("copies what a Proxy over plain data shows", () => {
    expect(roundTrip(new Proxy({ a: [1, 2] }, {}))).toEqual({ a: [1, 2] });
    expect(roundTrip({ list: new Proxy([1, 2], {}) })).toEqual({ list: [1, 2] });
    const heap = makeHeap();
    leaksNothing(heap, () => {
      for (const map of [new Map([["a", 1]]), new Set([1])])
        expect(thrownBy(() => heap.from(new Proxy(map, {})))).toMatchObject({ code: "INVALID_ARGUMENT" });
    });
  });

  it("is not misled by a Proxy that lies about its length", () => {
    const heap = makeHeap();
    release(heap.from([]));
    for (const length of [NaN, -1, 1e300, 2 ** 40, "2", {}, undefined]) {
      const lying = new Proxy([1, 2], {
        get: (target, key) => (key === "length" ? length : Reflect.get(target, key)),
      });
      leaksNothing(heap, () =>
        expect(thrownBy(() => heap.from(lying))).toMatchObject({ code: "INVALID_ARGUMENT" }),
      );
    }
  });

  it("survives what a Proxy does to the heap meanwhile", () => {
    const heap = makeHeap();
    const busy = new Proxy(
      { a: 1, b: [2] },
      {
        ownKeys(target) {
          for (const object of heap.gc.getObjects())
            if (isA(list(any), object)) (object as List<unknown>).push("extra");
          heap.gc.collect();
          using _temporary = heap.from([new Set(["x"])]);
          return Reflect.ownKeys(target);
        },
      },
    );
    using copy = heap.from([1, busy, 2]);
    const plain = heap.toJS(copy) as unknown[];
    expect(plain.filter((item) => item !== "extra")).toEqual([1, { a: 1, b: [2] }, 2]);
    const gone = Heap.create({ maximumBytes: 1 << 20 });
    for (const value of [[], {}, [1], { a: 1 }]) {
      const disposing = new Proxy(value, {
        ownKeys(target) {
          gone[Symbol.dispose]();
          return Reflect.ownKeys(target);
        },
      });
      messageOf("HEAP_DISPOSED", () => gone.from(disposing));
    }
  });

  it("passes on a reference that is stale, or of another heap, and keeps nothing", () => {
    const heap = makeHeap();
    release(heap.from([]));
    using foreign = makeHeap().new(Point, {});
    const stale = heap.new(Point, {});
    release(stale);
    leaksNothing(heap, () => {
      messageOf("FOREIGN_HEAP", () => heap.from(["text", foreign]));
      messageOf("USE_AFTER_RELEASE", () => heap.from(["text", stale]));
    });
  });

  it("keeps nothing when memory ends on the way", () => {
    const heap = makeExactHeap({ maximumBytes: 1 << 20 });
    release(heap.from([new Map(), new Set(), {}]));
    const large = Array.from({ length: 50_000 }, (_, index) => ({ index, text: `text ${index}` }));
    leaksNothing(heap, () => messageOf("OUT_OF_MEMORY", () => heap.from(large)));
    leaksNothing(heap, () => messageOf("OUT_OF_MEMORY", () => heap.from({ cyclic: [large, large] })));
    using small = heap.from(large.slice(0, 10));
    expect((heap.toJS(small) as unknown[]).length).toBe(10);
  });
});

describe("heap.toJS", () => {
  it("refuses what is no reference, or is gone", () => {
    const heap = makeHeap();
    for (const value of [5, null, undefined, {}, [], "x"] as never[])
      expect(messageOf("INVALID_ARGUMENT", () => heap.toJS(value))).toMatch(
        /^heap\.toJS copies a heap object, got /,
      );
    const stale = heap.new(Point, {});
    release(stale);
    messageOf("USE_AFTER_RELEASE", () => heap.toJS(stale));
  });

  it("changes nothing in the heap", () => {
    const heap = makeHeap();
    using copy = heap.from({ a: [1, { b: new Set([1]) }] });
    const before = [liveObjects(heap), heap.bytesUsed, refcount(copy)];
    heap.toJS(copy);
    expect([liveObjects(heap), heap.bytesUsed, refcount(copy)]).toEqual(before);
    const members = heap.new(set(any), [1]) as HashSet<unknown> & Disposable;
    expect(heap.toJS(members)).toEqual(new Set([1]));
    members[Symbol.dispose]();
  });
});
