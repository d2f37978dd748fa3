/**
 * Memory may end anywhere. Each verb that takes memory is tried with every one of its allocations failing in turn, once
 * alone and once with all that follow, as on a full heap: it throws the typed error, leaves everything as it was, and
 * succeeds as soon as there is memory again.
 */
import { expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  f64,
  type Heap,
  list,
  OutOfMemoryError,
  type Owned,
  release,
  set,
  str,
  tuple,
} from "../src/index.js";
import { verify } from "../src/inspect/index.js";
import {
  Flags,
  failAt,
  failingWays,
  Mixed,
  names,
  Point,
  record,
  TreeNode,
  texts,
  Wide,
} from "./support/exhaustion.js";
import { isStress } from "./support/heaps.js";
import { describeBothMakers, liveObjects, type Makers } from "./unit/host/support.js";

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
