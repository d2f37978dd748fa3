/**
 * Memory may end anywhere. Each verb that takes memory is tried with every one of its allocations failing in turn, once
 * alone and once with all that follow, as on a full heap: it throws the typed error, leaves everything as it was, and
 * succeeds as soon as there is memory again.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { Allocator } from "../src/alloc/allocator.js";
import { CLASS_WORDS, SMALL_WORDS_MAX } from "../src/alloc/size-class.js";
import {
  any,
  type Borrowed,
  bool,
  DEBUG,
  dict,
  f64,
  Heap,
  HeapError,
  IdentityMap,
  list,
  OutOfMemoryError,
  type Owned,
  optional,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
  u8,
} from "../src/index.js";
import { verify } from "../src/inspect/index.js";
import { isStress, makeHeap, size } from "./support/heaps.js";
import { describeBothMakers, liveObjects, type Makers } from "./unit/host/support.js";

class TreeNode extends struct("TreeNode", {
  name: str,
  get parent() {
    return optional(TreeNode);
  },
  get children() {
    return list(TreeNode);
  },
}) {}
class Mixed extends struct("Mixed", {
  name: str,
  mixed: any,
  nickname: optional(str),
  notes: list(str),
  table: dict(str, any),
  members: set(any),
  get next() {
    return optional(Mixed);
  },
  pair: optional(tuple(str, list(any))),
}) {}
const Point = struct("Point", { x: f64, label: str });
const Flags = struct("Flags", { small: u8, on: bool, label: str });
const wideShape = Object.fromEntries(Array.from({ length: 1100 }, (_, index) => [`field${index}`, f64]));
const Wide = struct("Wide", { title: str, ...wideShape, extra: any, subtitle: str });
const names = list(str);
const record = dict(str, any);

// -- failing ----------------------------------------------------------------------------------

interface Failing {
  readonly failures: number;
  stop(): void;
}

/** Let the n-th allocation from now on fail, and `forGood` all that follow it. */
function failAt(heap: Heap, n: number, forGood: boolean): Failing {
  const { allocator } = Heap.contextOf(heap).core;
  const { allocate, allocateClass, canAllocate } = Allocator.prototype;
  let allocations = 0;
  let failures = 0;
  const fails = (allocation: number) => (forGood ? allocation >= n : allocation === n);
  const count = (words: number) => {
    allocations++;
    if (!fails(allocations)) return;
    failures++;
    throw new OutOfMemoryError(words * 4, heap.bytesReserved);
  };
  allocator.allocateClass = (kind, sizeClass) => {
    count(CLASS_WORDS[sizeClass]);
    return allocateClass.call(allocator, kind, sizeClass);
  };
  allocator.allocate = (kind, words) => {
    if (words > SMALL_WORDS_MAX) count(words); // smaller ones are counted by class
    return allocate.call(allocator, kind, words);
  };
  allocator.canAllocate = (kind, words) =>
    !fails(allocations + 1) && canAllocate.call(allocator, kind, words);
  return {
    get failures() {
      return failures;
    },
    stop() {
      for (const name of ["allocateClass", "allocate", "canAllocate"] as const)
        delete (allocator as Partial<Pick<Allocator, typeof name>>)[name];
    },
  };
}

const failingWays = [false, true];

/** Do something without memory, from the n-th allocation on. */
function withoutMemory<R>(heap: Heap, body: () => R): R {
  const failing = failAt(heap, 1, true);
  try {
    return body();
  } finally {
    failing.stop();
  }
}

// -- the verbs --------------------------------------------------------------------------------

interface Verb {
  readonly name: string;
  readonly prepare: (heap: Heap) => Borrowed & Owned;
  readonly run: (heap: Heap, state: never) => unknown;
}
function verb<S extends Borrowed & Owned>(
  name: string,
  prepare: (heap: Heap) => S,
  run: (heap: Heap, state: S) => unknown,
): Verb {
  return { name, prepare, run };
}
const nothing = (heap: Heap) => heap.new(list(f64), []);
function* each<T>(...items: T[]) {
  yield* items;
}
/** Texts that are no two the same, so that each needs a string of its own. */
const texts = (count: number, prefix = "text") =>
  Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

const verbs: Verb[] = [
  verb("heap.new of a struct with a text", nothing, (heap) => heap.new(Point, { label: "origin" })),
  verb("heap.new of a struct with bytes", nothing, (heap) => heap.new(Flags, { on: true, label: "on" })),
  verb("heap.new of a nested literal", nothing, (heap) =>
    heap.new(TreeNode, {
      name: "root",
      parent: { name: "above", children: [{}] },
      children: [{ name: "a", children: [{ name: "aa" }, {}] }, { name: "b" }],
    }),
  ),
  verb("heap.new of a struct with containers of all kinds", nothing, (heap) =>
    heap.new(Mixed, {
      name: "outer",
      mixed: "a text",
      nickname: "nick",
      notes: each("first", "second"),
      table: [
        ["one", 1],
        ["two", "zwei"],
      ],
      members: ["x", 1, null],
      next: { mixed: 1, notes: ["inner"] },
      pair: ["left", ["right", 2]],
    }),
  ),
  verb("heap.new of a struct larger than half a page", nothing, (heap) =>
    heap.new(Wide, { title: "a", extra: "b", subtitle: "c" }),
  ),
  verb("heap.new of a list, growing as it goes", nothing, (heap) => heap.new(names, each(...texts(9)))),
  verb("heap.new of a dict", nothing, (heap) =>
    heap.new(
      dict(str, names),
      texts(7).map((text) => [text, [text]] as const),
    ),
  ),
  verb("heap.new of a set", nothing, (heap) => heap.new(set(any), [...texts(7), 1, true, null])),
  verb("heap.new of a tuple", nothing, (heap) => heap.new(tuple(str, names, any), ["a", ["b"], "c"])),
  verb(
    "heap.new that refers to what exists",
    (heap) => heap.new(TreeNode, { name: "kept" }),
    (heap, kept) => heap.new(TreeNode, { name: "holder", parent: kept, children: [kept, {}] }),
  ),
  verb("heap.from of a graph with shared and cyclic parts", nothing, (heap) => {
    const shared = { text: "shared", deep: [["deeper"]] };
    const root: Record<string, unknown> = { shared, again: [shared, shared], map: new Map([["k", shared]]) };
    root.self = root;
    root.set = new Set<unknown>(["a member", root]);
    return heap.from(root);
  }),
  verb("scope.new in a scope that closes", nothing, (heap) =>
    heap.scope((scope) => {
      const left = scope.new(TreeNode, { name: "left" });
      const right = scope.new(TreeNode, { name: "right", children: [left] });
      return [left.name, right.children.length];
    }),
  ),
  verb(
    "a text stored in a field",
    (heap) => heap.new(Point, { x: 1, label: "before" }),
    (_, point) => {
      point.label = "after";
    },
  ),
  verb(
    "a wide text larger than a page stored in a field",
    (heap) => heap.new(Point, { label: "before" }),
    (_, point) => {
      point.label = "ü€".repeat(5000);
    },
  ),
  verb(
    "a text stored in an any field and in an optional one",
    (heap) => heap.new(Mixed, { mixed: "before" }),
    (_, mixed) => {
      mixed.nickname = null;
      mixed.mixed = "after";
    },
  ),
  verb(
    "a nested literal stored in a field",
    (heap) => heap.new(TreeNode, { parent: { name: "old", children: [{}] } }),
    (_, node) => {
      node.parent = { name: "new", children: [{ name: "child" }] } as never;
    },
  ),
  verb(
    "a list literal stored in a field",
    (heap) => heap.new(Mixed, { notes: ["old"] }),
    (_, mixed) => {
      mixed.notes = texts(9) as never;
    },
  ),
  verb(
    "push of one text to a full list",
    (heap) => heap.new(names, texts(4)),
    (_, items) => items.push("one more"),
  ),
  verb(
    "push of a number to a full list",
    (heap) => heap.new(list(f64), [1, 2, 3, 4]),
    (_, items) => items.push(5),
  ),
  verb(
    "push of several literals, all or none",
    (heap) => heap.new(list(TreeNode), [{ name: "first" }]),
    (_, nodes) => nodes.push({ name: "a" }, { name: "b", children: [{}] }, { name: "c" }, {}, {}, {}),
  ),
  verb(
    "push that outgrows half a page",
    (heap) => heap.new(list(f64), Array(1000).fill(1)),
    (_, items) => items.push(...Array<number>(30).fill(2)),
  ),
  verb(
    "insert of a literal",
    (heap) => heap.new(list(TreeNode), [{ name: "a" }, { name: "b" }, {}, {}]),
    (_, nodes) => nodes.insert(1, { name: "between", children: [{}] }),
  ),
  verb(
    "set of an item",
    (heap) => heap.new(list(any), ["a", "b"]),
    (_, items) => items.set(-1, "replaced"),
  ),
  verb(
    "assign of more items than there were",
    (heap) => heap.new(list(TreeNode), [{ name: "old" }]),
    (_, nodes) => nodes.assign(each<object>({ name: "a" }, { name: "b" }, {}, {}, {}, {})),
  ),
  verb(
    "assign of a list to itself, reversed",
    (heap) => heap.new(list(TreeNode), [{ name: "a" }, { name: "b" }, { name: "c" }]),
    (_, nodes) => nodes.assign([...nodes].reverse()),
  ),
  verb(
    "a first entry of a dict",
    (heap) => heap.new(record, []),
    (_, entries) => entries.set("key", "value").size,
  ),
  verb(
    "an entry that makes a dict grow",
    (heap) =>
      heap.new(
        record,
        texts(5).map((text) => [text, text] as const),
      ),
    (_, entries) => entries.set("one more", "value").size,
  ),
  verb(
    "an entry of a dict with holes",
    (heap) => {
      const entries = heap.new(
        record,
        texts(5).map((text) => [text, text] as const),
      );
      entries.delete("text 0");
      return entries;
    },
    (_, entries) => entries.set("one more", "value").size,
  ),
  verb(
    "a value replaced in a dict",
    (heap) => heap.new(dict(str, names), [["key", ["old"]]]),
    (_, entries) => entries.set("key", ["new", "list"]).size,
  ),
  verb(
    "the first container of a dict, which is tracked from then on",
    (heap) => heap.new(record, [["key", 1]]),
    (_, entries) => entries.set("itself", entries).size,
  ),
  verb(
    "a key that is an object",
    (heap) => heap.new(list(TreeNode), [{ name: "key" }]),
    (heap, [key]) => heap.new(dict(any, str), [[key, "found"]]),
  ),
  verb(
    "a member that makes a set grow",
    (heap) => heap.new(set(any), texts(5)),
    (_, members) => members.add("one more").size,
  ),
  verb("heap.adopt of a value that holds nothing", nothing, (heap) => heap.adopt({ adopted: 1 }, () => {})),
  verb(
    "heap.adopt of a value that holds objects",
    (heap) => heap.new(TreeNode, { name: "held" }),
    (heap, node) => heap.adopt({ adopted: 2 }, () => {}, { holds: [node, node, node, node, node] }),
  ),
  verb(
    "scope.own beside what refers to it",
    (heap) => heap.new(Mixed, {}),
    (heap, mixed) =>
      heap.scope((scope) => {
        const value = scope.own({ close() {} }, { traverse: () => [] });
        mixed.mixed = scope.new(list(any), [value, value]);
        mixed.mixed = null;
        return 1;
      }),
  ),
  verb("a pool, and instances beyond its capacity", nothing, (heap) => {
    const pool = heap.pool(TreeNode, { capacity: 1, whenEmpty: "grow" });
    try {
      return heap.scope((scope) => {
        const first = scope.use(pool.acquire({ name: "first", children: [{}] }));
        const second = scope.use(pool.acquire({ name: "second", parent: first }));
        return [second.name, second.parent?.children.length];
      });
    } finally {
      pool[Symbol.dispose]();
    }
  }),
  verb(
    "toJS and from, there and back",
    (heap) => heap.from({ list: [1, "two"], map: new Map([[3, "three"]]) }) as never,
    (heap, graph) => heap.from(heap.toJS(graph) as object),
  ),
];

/** What a verb left, as plain values. */
function outcome(heap: Heap, state: Borrowed, result: unknown): unknown {
  const isReference = typeof result === "object" && result !== null && !Array.isArray(result);
  return [heap.toJS(state), isReference ? heap.toJS(result as Borrowed) : result];
}
function releaseAll(...values: unknown[]) {
  for (const value of values)
    if ((value as Partial<Disposable> | undefined)?.[Symbol.dispose]) release(value as Owned);
}

/** @returns how many failures the verb reported */
function tryEverything({ prepare, run }: Verb, open: () => Heap, forGood: boolean): number {
  let expected: unknown;
  let failed = 0;
  for (let n = 0, isDone = false; !isDone; n++) {
    const heap = open();
    const empty = liveObjects(heap);
    const state = prepare(heap);
    const before = liveObjects(heap);
    const contents = heap.toJS(state);
    const failing = n === 0 ? undefined : failAt(heap, n, forGood); // 0: how it goes when nothing fails
    let result: unknown;
    let error: unknown;
    try {
      result = run(heap, state as never);
    } catch (thrown) {
      error = thrown;
    } finally {
      failing?.stop();
    }
    verify(heap);
    if (forGood) expect(error !== undefined).toBe((failing?.failures ?? 0) > 0);
    if (error !== undefined) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      expect([error.code, error.maximumBytes]).toEqual(["OUT_OF_MEMORY", heap.bytesReserved]);
      expect(liveObjects(heap)).toBe(before);
      expect(heap.toJS(state)).toEqual(contents);
      failed++;
      result = run(heap, state as never);
      verify(heap);
    }
    expected ??= outcome(heap, state, result);
    expect(outcome(heap, state, result)).toEqual(expected);
    releaseAll(result, state);
    heap.gc.collect();
    expect(liveObjects(heap)).toBe(empty);
    isDone = failing?.failures === 0;
  }
  return failed;
}

describeBothMakers("memory that ends within", ({ makeHeap: make }: Makers) => {
  const open = (threshold: number) => () => {
    const heap = make({ maximumBytes: 512 << 10 });
    heap.gc.setThreshold(threshold, 1, 1);
    return heap;
  };

  const failures = (tried: Verb, threshold: number) =>
    failingWays.reduce((sum, forGood) => sum + tryEverything(tried, open(threshold), forGood), 0);

  it.each(verbs)("$name: changes nothing, and it works again", (tried) => {
    expect(failures(tried, 700)).toBeGreaterThan(0);
  });

  it.skipIf(isStress).each(verbs)("$name: while collections start all the time", (tried) => {
    expect(failures(tried, 1)).toBeGreaterThan(0);
  });
});

describe("without any memory left", () => {
  it("everything can be read, replaced in place, taken out, retained and released", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1, label: "a text" });
    using node = heap.new(TreeNode, {
      name: "root",
      children: [{ name: "a" }, { name: "b" }, { name: "c" }],
    });
    using entries = heap.new(record, [
      ["key", "value"],
      ["other", point],
    ]);
    using members = heap.new(set(any), ["a", 1]);
    using map = new IdentityMap<TreeNode, number>(heap);
    const before = liveObjects(heap);
    withoutMemory(heap, () => {
      using again = retain(node);
      map.set(again, 5);
      expect([map.get(node), refcount(node)]).toEqual([5, 3]);
      point.x = 2;
      point.label = "";
      node.parent = node.children.at(0)!;
      node.children.at(1)!.parent = null;
      entries.set("key", 5);
      members.delete("a");
      members.add(1);
      const taken = node.children.take(0)!;
      const last = node.children.pop()!;
      expect([taken.name, last.name, node.children.length]).toEqual(["a", "c", 1]);
      node.parent = null;
      for (const handle of [taken, last]) release(handle);
      expect(entries.take("other")).toSatisfy((handle: Owned) => {
        release(handle);
        return true;
      });
      expect(heap.toJS(entries)).toEqual({ key: 5 });
      expect(JSON.stringify(node)).toBe(
        '{"name":"root","parent":null,"children":[{"name":"b","parent":null,"children":[]}]}',
      );
      expect(heap.gc.getReferrers(node.children)).toHaveLength(1);
      expect(heap.gc.getReferents(node)).toHaveLength(1);
      node.children.clear();
    });
    // Gone: three children with their names and lists, and the texts of the point, the dict and the set.
    expect(liveObjects(heap)).toBe(before - 3 * 3 - 4);
  });

  it("what needs no memory is done all the same: empty texts, numbers, an item for an item, an entry for an entry", () => {
    const heap = makeHeap();
    using numbers = heap.new(list(f64), [1, 2, 3]);
    using mixed = heap.new(dict(any, any), [[1, "text"]]);
    withoutMemory(heap, () => {
      numbers.set(0, 9);
      numbers.delete(1);
      numbers.push(7); // into the room of the one that went
      mixed.set(1, 2).set("", "").set(null, true);
    });
    expect([...numbers]).toEqual([9, 3, 7]);
    expect([...mixed]).toEqual([
      [1, 2],
      ["", ""],
      [null, true],
    ]);
  });
});

describe("a collection", () => {
  /** Cycles of every kind of container, and as many objects that live. */
  function cycles(heap: Heap): number {
    const kept = heap.new(list(any), []);
    let garbage = 0;
    for (let index = 0; index < 3; index++) {
      kept.push(
        heap.scope((scope) => scope.new(Mixed, { name: `kept ${index}`, members: [index] })) as never,
      );
      using mixed = heap.new(Mixed, { name: `cycle ${index}`, pair: ["left", []] });
      mixed.members.add(mixed);
      mixed.table.set("self", mixed).set("members", mixed.members);
      mixed.pair![1].push(mixed, mixed.table);
      garbage += 5; // the struct, the set, the dict, the tuple and its list
    }
    return garbage;
  }

  it("takes no memory: it finds the same whichever allocation would fail", () => {
    for (const forGood of failingWays)
      for (let n = 1; n <= 4; n++) {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        heap.gc.disable();
        const garbage = cycles(heap);
        const before = liveObjects(heap);
        const failing = failAt(heap, n, forGood);
        expect(heap.gc.collect()).toBe(garbage);
        failing.stop();
        expect(failing.failures).toBe(0);
        verify(heap);
        // With each struct go its lists and texts: its notes, and the texts of its name, its keys and its tuple.
        expect(before - liveObjects(heap)).toBe(garbage + 3 * 5);
        expect(heap.gc.collect()).toBe(0);
      }
  });

  it("keeps alive what it cannot save in gc.garbage", () => {
    for (const forGood of failingWays) {
      const saved = new Set<number>();
      for (let n = 1, isDone = false; !isDone; n++) {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        heap.gc.disable();
        const garbage = cycles(heap);
        const before = liveObjects(heap);
        heap.gc.setDebug(DEBUG.SAVEALL);
        const failing = failAt(heap, n, forGood);
        expect(heap.gc.collect()).toBe(garbage);
        failing.stop();
        verify(heap);
        expect(liveObjects(heap)).toBe(before);
        saved.add(heap.gc.garbage.length);
        isDone = failing.failures === 0;
        expect(heap.gc.garbage.length === garbage).toBe(isDone || !forGood);
        heap.gc.setDebug(0);
        heap.gc.garbage.clear();
        expect(heap.gc.collect()).toBe(garbage);
      }
      expect(saved.size > 1).toBe(forGood);
    }
  });
});

describe("a heap that is filled up", () => {
  const bytes = 512 << 10;
  const open = () => {
    const heap = makeHeap({ maximumBytes: bytes });
    heap.gc.disable();
    return heap;
  };
  /** Nodes that refer to themselves, until there is no room for one more. */
  function fill(heap: Heap): { made: number; error: OutOfMemoryError } {
    for (let made = 0; ; made++)
      try {
        using node = heap.new(TreeNode, { name: `node ${made}` });
        node.parent = node;
      } catch (error) {
        return { made, error: error as OutOfMemoryError };
      }
  }

  it("says so, with what was asked for and what there is, and what to do", () => {
    const heap = open();
    const { error } = fill(heap);
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toBeInstanceOf(HeapError);
    expect([error.code, error.maximumBytes]).toEqual(["OUT_OF_MEMORY", bytes]);
    expect(error.requestedBytes).toBeGreaterThan(0);
    expect(error.message).toMatch(/heap\.gc\.collect\(\).*maximumBytes/);
    expect(heap.bytesUsed).toBeLessThanOrEqual(bytes);
    verify(heap);
  });

  it("is collected, filled again as far as before, and so on", () => {
    const heap = open();
    const made = [fill(heap).made];
    for (let round = 0; round < size(20); round++) {
      expect(heap.gc.collect()).toBe(made[round] * 2); // each with its list
      expect(liveObjects(heap)).toBe(0);
      made.push(fill(heap).made);
    }
    const [first, second, ...later] = made;
    expect(first).toBeGreaterThan(4000);
    expect(second).toBeGreaterThan(first - 10); // the types take their part
    expect(new Set(later)).toEqual(new Set([second]));
    verify(heap);
  });

  it("is used on after a part is released", () => {
    const heap = open();
    using kept = heap.new(names, []);
    const filled = () => {
      for (;;)
        try {
          kept.push(`${kept.length}`.padStart(100, "."));
        } catch (error) {
          if (!(error instanceof OutOfMemoryError)) throw error;
          return kept.length;
        }
    };
    const length = filled();
    expect(() => heap.new(names, texts(1000))).toThrow(OutOfMemoryError);
    for (let count = 0; count < 300; count++) kept.pop();
    expect(kept.length).toBe(length - 300);
    const others = heap.new(names, texts(20));
    expect([...others]).toEqual(texts(20));
    release(retain(others));
    expect(kept.at(-1)).toBe(`${length - 301}`.padStart(100, "."));
    verify(heap);
    release(others);
    expect(filled()).toBe(length);
  });

  it("refuses what is larger than all of it, and is as it was", () => {
    const heap = open();
    using point = heap.new(Point, { label: "before" });
    const used = heap.bytesUsed;
    const error = (() => {
      try {
        point.label = "x".repeat(bytes);
      } catch (thrown) {
        return thrown;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect((error as OutOfMemoryError).requestedBytes).toBeGreaterThanOrEqual(bytes);
    expect([point.label, heap.bytesUsed]).toEqual(["before", used]);
  });
});

describe("a reservation", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });
  /** A machine that grants buffers up to some size. */
  function grantUpTo(bytes: number) {
    const Granted = SharedArrayBuffer;
    vi.stubGlobal(
      "SharedArrayBuffer",
      class extends Granted {
        constructor(wanted: number) {
          if (wanted > bytes) throw new RangeError("Array buffer allocation failed");
          super(wanted);
        }
      },
    );
  }

  it("that the machine refuses is the typed error, with the bytes asked for", () => {
    grantUpTo(1 << 20);
    let error: unknown;
    try {
      Heap.create({ maximumBytes: 64 << 20 });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ code: "OUT_OF_MEMORY", requestedBytes: 64 << 20, maximumBytes: 64 << 20 });
    expect((error as Error).message).toMatch(/refused to reserve 67108864 bytes.*smaller maximumBytes/);
    expect(() => Heap.create()).toThrow(OutOfMemoryError);
  });

  it("of the default size is halved until the machine grants it", () => {
    grantUpTo(40 << 20);
    using heap = Heap.create({ checks: "off" });
    expect(heap.bytesReserved).toBe(32 << 20);
    using point = heap.new(Point, { x: 1 });
    expect(point.x).toBe(1);
  });

  it("outside the limits is an invalid argument, not a lack of memory", () => {
    for (const maximumBytes of [0, -1, 1.5, 1000, 2 ** 33 + 1, Number.NaN, "1 GiB" as never])
      expect(() => Heap.create({ maximumBytes })).toThrow(
        expect.objectContaining({
          code: "INVALID_ARGUMENT",
          message: expect.stringContaining("maximumBytes"),
        }),
      );
  });
});
