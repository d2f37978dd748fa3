/** What works without any memory left, collections among it; heaps that are filled up; memory that the machine refuses. */
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  any,
  DEBUG,
  dict,
  f64,
  Heap,
  HeapError,
  IdentityMap,
  list,
  OutOfMemoryError,
  type Owned,
  refcount,
  release,
  retain,
  set,
} from "../src/index.js";
import { verify } from "../src/inspect/index.js";
import {
  failAt,
  failingWays,
  Mixed,
  names,
  Point,
  record,
  TreeNode,
  texts,
  withoutMemory,
} from "./support/exhaustion.js";
import { makeHeap, size } from "./support/heaps.js";
import { liveObjects } from "./unit/host/support.js";

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
