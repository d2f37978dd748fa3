/** The collector's debug flags: the text that they write, and what they keep in gc.garbage. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { any, DEBUG, dict, type Heap, id, is, list, release, retain, str } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { makeGarbage, Node } from "./gc-support.js";
import { heapError, liveObjects, messageOf } from "./support.js";

describe("the debug text", () => {
  function listen(heap: Heap): string[] {
    const texts: string[] = [];
    heap.gc.debugSink = (text) => texts.push(text);
    return texts;
  }
  const timeless = (text: string) => text.replace(/\d+\.\d{4}s/, "0.0000s");

  it("is empty unless a flag is set", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    makeGarbage(heap);
    heap.gc.collect();
    expect([heap.gc.getDebug(), texts]).toEqual([0, []]);
  });

  it("of STATS is CPython's, with the sizes before anything moves", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    using old = heap.new(Node, {});
    heap.gc.freeze();
    using middle = heap.new(Node, { next: {} });
    heap.gc.collect(1);
    heap.gc.setDebug(DEBUG.STATS);
    makeGarbage(heap, 3);
    heap.gc.collect(0);
    expect(timeless(texts.splice(0).join(""))).toBe(
      "gc: collecting generation 0...\n" +
        "gc: objects in each generation: 3 0 2\n" +
        "gc: objects in permanent generation: 1\n" +
        "gc: done, 3 unreachable, 0 uncollectable, 0.0000s elapsed\n",
    );
    heap.gc.collect();
    expect(texts.join("")).toMatch(
      /^gc: collecting generation 2\.\.\.\ngc: objects in each generation: 0 0 2\n/,
    );
    expect([old.next, middle.next!.next]).toEqual([null, null]);
  });

  it("of COLLECTABLE is a line for each unreachable object, by type and address", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    heap.gc.setDebug(DEBUG.COLLECTABLE);
    const items = heap.new(list(any), []);
    const table = heap.new(dict(str, any), []);
    items.push(table);
    table.set("back", items);
    const expected = [items, table].map((object) => id(object).toString(16));
    release(items);
    release(table);
    expect(heap.gc.collect()).toBe(2);
    expect(texts).toEqual([
      `gc: collectable <list 0x${expected[0]}>\n`,
      `gc: collectable <dict 0x${expected[1]}>\n`,
    ]);
  });

  it("reaches the sink when the collection is over: nothing half cleared can be taken hold of", () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    node.next = node;
    const borrow = node.next;
    release(node);
    const found: string[] = [];
    heap.gc.debugSink = () => {
      verify(heap);
      found.push(heapError("STALE_REFERENCE", () => retain(borrow)).code);
      using made = heap.new(Node, { next: {} });
      heap.gc.collect();
      heap.gc.setDebug(0); // what was said already is written all the same
      expect(made.next!.next).toBe(null);
    };
    heap.gc.setDebug(DEBUG.STATS | DEBUG.COLLECTABLE);
    const errors: unknown[] = [];
    heap.onUnraisable = (error) => errors.push(error);
    expect(heap.gc.collect()).toBe(1);
    expect([errors, found]).toEqual([[], Array(3).fill("STALE_REFERENCE")]);
  });

  it("of all flags has CPython's order: header, objects, trailer; callbacks around it", () => {
    const heap = makeExactHeap();
    const texts = listen(heap);
    heap.gc.callbacks.push((phase) => texts.push(`${phase}\n`));
    heap.gc.setDebug(DEBUG.STATS | DEBUG.LEAK);
    makeGarbage(heap, 2);
    heap.gc.collect();
    const kinds = texts
      .join("")
      .split("\n")
      .map((line) => /^(gc: \w+|\w*)/.exec(line)![0]);
    expect(kinds).toEqual([
      "start",
      "gc: collecting",
      "gc: objects",
      "gc: objects",
      "gc: collectable",
      "gc: collectable",
      "gc: done",
      "stop",
      "",
    ]);
    heap.gc.setDebug(0);
    heap.gc.garbage.clear();
  });

  it("goes to a sink whose errors are reported and stop nothing", () => {
    const heap = makeExactHeap();
    const wheres: string[] = [];
    heap.onUnraisable = (_, where) => wheres.push(where);
    heap.gc.debugSink = () => {
      throw new Error("the disk is full");
    };
    heap.gc.setDebug(DEBUG.STATS);
    makeGarbage(heap);
    expect([heap.gc.collect(), wheres]).toEqual([1, ["gc.debugSink", "gc.debugSink"]]);
  });

  describe("by default", () => {
    afterEach(() => {
      vi.restoreAllMocks();
      vi.unstubAllGlobals();
    });

    it("goes to the process's standard error", () => {
      const heap = makeExactHeap();
      const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
      heap.gc.setDebug(DEBUG.STATS);
      heap.gc.collect();
      expect(write.mock.calls.map(([text]) => timeless(String(text)))).toEqual([
        "gc: collecting generation 2...\ngc: objects in each generation: 0 0 0\ngc: objects in permanent generation: 0\n",
        "gc: done, 0 unreachable, 0 uncollectable, 0.0000s elapsed\n",
      ]);
    });

    it("goes to console.error where there is no process, a line break less", () => {
      const heap = makeExactHeap();
      const error = vi.spyOn(console, "error").mockReturnValue();
      vi.stubGlobal("process", undefined);
      heap.gc.setDebug(DEBUG.STATS);
      heap.gc.collect();
      expect(error.mock.calls[0]).toEqual([
        "gc: collecting generation 2...\ngc: objects in each generation: 0 0 0\ngc: objects in permanent generation: 0",
      ]);
    });
  });
});

describe("gc.setDebug", () => {
  it("takes CPython's numbers, and keeps bits it does not know", () => {
    const { gc } = makeHeap();
    expect(DEBUG).toEqual({ STATS: 1, COLLECTABLE: 2, UNCOLLECTABLE: 4, SAVEALL: 32, LEAK: 38 });
    gc.setDebug(DEBUG.UNCOLLECTABLE | 64);
    expect(gc.getDebug()).toBe(68);
    for (const flags of [0.5, 2 ** 31, undefined, "1"] as number[])
      expect(messageOf("INVALID_ARGUMENT", () => gc.setDebug(flags))).toMatch(/^Debug flags must be/);
    expect(gc.getDebug()).toBe(68);
    gc.setDebug(0);
  });

  it("to SAVEALL keeps all that is unreachable in gc.garbage, alive and whole", () => {
    const heap = makeExactHeap();
    heap.gc.setDebug(DEBUG.SAVEALL);
    makeGarbage(heap, 2);
    expect(heap.gc.collect()).toBe(2);
    const { garbage } = heap.gc;
    expect(garbage.length).toBe(2);
    for (const object of garbage) expect(is((object as unknown as Node).next, object)).toBe(true);
    expect(heap.gc.collect()).toBe(0);
    heap.gc.setDebug(0);
    using rescued = retain(garbage.at(0)!);
    garbage.clear();
    expect([heap.gc.collect(), heap.gc.garbage.length, liveObjects(heap)]).toEqual([1, 0, 1]);
    (rescued as unknown as Node).next = null;
  });
});
