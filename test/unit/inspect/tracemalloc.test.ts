import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { transformSync } from "esbuild";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { any, dict, f64, Heap, list, optional, release, retain, str, struct } from "../../../src/index.js";
import { tracemalloc, verify } from "../../../src/inspect/index.js";
import { unsafe } from "../../../src/unsafe.js";
import { isStress, makeExactHeap, makeHeap, size } from "../../support/heaps.js";
import { liveObjects, messageOf } from "../host/support.js";

const Point = struct("Point", { x: f64 });
class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  name: str,
}) {}
/** 1024 items of two words: more than half a page. */
const LARGE_ITEMS = 2048;

function traced(options: Parameters<typeof tracemalloc.start>[1] = {}): Heap {
  const heap = makeExactHeap();
  // First use of a type makes its name and its list behind it: not what these tests count.
  release(heap.new(Point, {}));
  release(heap.new(Node, {}));
  release(heap.new(list(Point), []));
  release(heap.new(list(f64), []));
  tracemalloc.start(heap, options);
  return heap;
}

const makePoint = (heap: Heap) => heap.new(Point, {});
const makeTwo = (heap: Heap) => [makePoint(heap), makePoint(heap)];

describe("the traceback of an object", () => {
  it("is the line that made it and its callers, as many as asked, none of the library's", () => {
    const heap = traced({ frames: 3 });
    const [point] = makeTwo(heap);
    const { frames, text } = tracemalloc.getObjectTraceback(point)!;
    expect(frames.slice(0, 2).map(({ name }) => name)).toEqual(["makePoint", "makeTwo"]);
    expect(frames).toHaveLength(3);
    for (const { file } of frames.slice(0, 2)) expect(file).toMatch(/inspect\/tracemalloc\.test\.ts$/);
    expect(text.split("\n")[0]).toMatch(/^makePoint \(.*tracemalloc\.test\.ts:\d+:\d+\)$/);
  });

  it("is of the innermost line only, if nothing else is asked for", () => {
    const heap = traced();
    const [point] = makeTwo(heap);
    expect(tracemalloc.getObjectTraceback(point)!.frames.map(({ name }) => name)).toEqual(["makePoint"]);
  });

  it("is unknown of what was there before, and of everything once tracing has stopped", () => {
    const heap = makeHeap();
    const [before] = makeTwo(heap);
    tracemalloc.start(heap);
    const [after] = makeTwo(heap);
    expect(tracemalloc.getObjectTraceback(before)).toBeUndefined();
    expect(tracemalloc.getObjectTraceback(after)).toBeDefined();
    tracemalloc.clearTraces(heap);
    expect(tracemalloc.getObjectTraceback(after)).toBeUndefined();
    const [again] = makeTwo(heap);
    expect(tracemalloc.getObjectTraceback(again)).toBeDefined();
    tracemalloc.stop(heap);
    expect(tracemalloc.getObjectTraceback(again)).toBeUndefined();
  });

  it("is never that of another object that was at the same address before", () => {
    const heap = traced();
    const first = makePoint(heap);
    release(first);
    tracemalloc.stop(heap);
    const second = heap.new(Point, {});
    tracemalloc.start(heap);
    expect(tracemalloc.getObjectTraceback(second)).toBeUndefined();
    release(second);
    const third = (function elsewhere() {
      return heap.new(Point, {});
    })();
    expect(tracemalloc.getObjectTraceback(third)!.frames[0].name).toBe("elsewhere");
  });

  it("is found of what raw verbs allocate", () => {
    for (const type of [Point, Node]) {
      const heap = makeExactHeap();
      const raw = unsafe(heap);
      const { allocate } = raw.type(type);
      raw.decref(allocate());
      tracemalloc.start(heap);
      const addresses = (function inALoop() {
        return [allocate(), allocate(), allocate()];
      })();
      for (const address of addresses) {
        using handle = raw.handle(type, address);
        expect(tracemalloc.getObjectTraceback(handle)!.frames[0].name).toBe("inALoop");
      }
    }
  });

  it("is found without a call of the program's Error.prepareStackTrace, which may do anything", () => {
    const heap = traced();
    const ErrorHost = Error as unknown as { prepareStackTrace?: unknown };
    const before = ErrorHost.prepareStackTrace;
    let calls = 0;
    ErrorHost.prepareStackTrace = () => {
      calls++;
      throw new Error("in the middle of an allocation");
    };
    const [point] = makeTwo(heap);
    ErrorHost.prepareStackTrace = before;
    expect([calls, tracemalloc.getObjectTraceback(point)!.frames[0].name]).toEqual([0, "makePoint"]);
  });

  it("leads to the source of what a program's build made", () => {
    const folder = mkdtempSync(join(tmpdir(), "ouroheap-trace-"));
    const source =
      "type A = {\n  a: 1;\n};\n\nexport function make(heap, type) {\n  return heap.new(type, {});\n}\n";
    const { code } = transformSync(source, {
      loader: "ts",
      format: "cjs",
      sourcemap: "inline",
      sourcefile: "app.ts",
    });
    const file = join(folder, "app.cjs");
    writeFileSync(file, code);
    try {
      const { make } = createRequire(import.meta.url)(file);
      const heap = traced();
      const point = make(heap, Point);
      const [frame] = tracemalloc.getObjectTraceback(point)!.frames;
      expect(frame).toMatchObject({ name: "make", file: join(folder, "app.ts"), line: 6 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a snapshot", () => {
  it("counts what is alive by the line that made it: freed objects are gone", () => {
    const heap = traced();
    const kept = [...makeTwo(heap), ...makeTwo(heap)];
    for (const point of makeTwo(heap)) release(point);
    release(kept.pop()!);
    const [only, ...others] = tracemalloc.snapshot(heap).statistics("line");
    expect(others).toEqual([]);
    const bytes = 3 * 32;
    expect(only).toMatchObject({ objects: 3, blocks: 3, bytes, adoptedBytes: 0 });
    expect(only.key).toMatch(/tracemalloc\.test\.ts:\d+$/);
    expect(tracemalloc.getTracedMemory(heap)).toEqual({ current: bytes, peak: 6 * 32 });
    tracemalloc.resetPeak(heap);
    expect(tracemalloc.getTracedMemory(heap)).toEqual({ current: bytes, peak: bytes });
  });

  it("groups by line, file, traceback and type, the largest first", () => {
    const heap = traced({ frames: 2 });
    const kept = [heap.new(Node, { name: "a name of its own" }), ...makeTwo(heap), makePoint(heap)];
    const found = tracemalloc.snapshot(heap);
    const keys = (grouping: "line" | "file" | "traceback" | "type") =>
      found.statistics(grouping).map(({ key, objects }) => [
        key
          .split("\n")
          .map((line) => line.split(" ")[0])
          .join(),
        objects,
      ]);
    expect(found.statistics("file")).toMatchObject([{ objects: 5 }]);
    expect(keys("type").sort()).toEqual([
      ["Node", 1],
      ["Point", 3],
      ["str", 1],
    ]);
    expect(found.statistics("line").map(({ objects }) => objects)).toEqual([3, 2]);
    expect(
      found
        .statistics("traceback")
        .map(({ objects }) => objects)
        .sort(),
    ).toEqual([1, 1, 1, 2]);
    expect(keys("traceback").filter(([key]) => `${key}`.startsWith("makePoint,makeTwo"))).toEqual([
      ["makePoint,makeTwo", 1],
      ["makePoint,makeTwo", 1],
    ]);
    for (const grouping of ["line", "type", "traceback"] as const) {
      const bytes = found.statistics(grouping).map((one) => one.bytes);
      expect(bytes).toEqual(bytes.toSorted((a, b) => b - a));
    }
    messageOf("INVALID_ARGUMENT", () => found.statistics("colour" as never));
    for (const handle of kept) release(handle as ReturnType<typeof makePoint>);
  });

  it("gives storage to the line at which it grew, and to the type that owns it", () => {
    const heap = traced();
    using points = (function makeList() {
      return heap.new(list(Point), []);
    })();
    (function grow() {
      for (let i = 0; i < 100; i++) points.push({ x: i });
    })();
    const found = tracemalloc.snapshot(heap);
    const lists = found.filter({ include: [{ type: "list" }] }).statistics("traceback");
    expect(lists.map(({ key, objects, blocks }) => [key.split(" ")[0], objects, blocks])).toEqual([
      ["grow", 0, 1],
      ["makeList", 1, 1],
    ]);
    expect(lists[0].bytes).toBeGreaterThanOrEqual(400);
    using large = heap.new(list(f64), new Array(LARGE_ITEMS).fill(1));
    expect(large.length).toBe(LARGE_ITEMS);
    const [biggest] = tracemalloc.snapshot(heap).statistics("line");
    expect(biggest.bytes).toBeGreaterThanOrEqual(LARGE_ITEMS * 8);
    points.clear();
    release(retain(points));
    const after = tracemalloc.snapshot(heap).filter({ include: [{ type: "Point" }] });
    expect(after.total).toMatchObject({ objects: 0, bytes: 0 });
  });

  it("has the bytes of adopted values with the lines that adopted them", () => {
    const heap = traced();
    const texture = (function load() {
      return heap.adopt({}, () => {}, { bytes: 1000 });
    })();
    const [group] = tracemalloc
      .snapshot(heap)
      .filter({ include: [{ type: "foreign" }] })
      .statistics("line");
    expect(group).toMatchObject({ objects: 1, adoptedBytes: 1000 });
    release(texture);
    expect(tracemalloc.snapshot(heap).total.adoptedBytes).toBe(0);
  });

  it("holds as many objects as the heap, whatever a program does", () => {
    const verb = fc.constantFrom("point", "node", "list", "dict", "push", "link", "release", "collect");
    fc.assert(
      fc.property(fc.array(fc.tuple(verb, fc.nat()), { maxLength: 60, size: "max" }), (program) => {
        const heap = makeHeap();
        for (const type of [Point, Node, list(any), dict(str, any)])
          release(heap.new(type as typeof Point, [] as never));
        const before = liveObjects(heap);
        tracemalloc.start(heap, { frames: 2 });
        const handles: {
          push?: (item: unknown) => void;
          set?: (key: string, value: unknown) => void;
          next?: unknown;
        }[] = [];
        const pick = (which: number) => handles[which % handles.length];
        for (const [what, which] of program) {
          if (what === "point") handles.push(heap.new(Point, {}) as never);
          else if (what === "node") handles.push(heap.new(Node, { name: `node ${which}` }) as never);
          else if (what === "list") handles.push(heap.new(list(any), []) as never);
          else if (what === "dict") handles.push(heap.new(dict(str, any), []) as never);
          else if (what === "collect") heap.gc.collect();
          else if (handles.length === 0) continue;
          else if (what === "release") release(handles.splice(which % handles.length, 1)[0] as never);
          else if (what === "push") {
            pick(which).push?.(pick(which >> 3));
            if (pick(which).push === undefined) pick(which).set?.(`key ${which}`, pick(which >> 3));
          } else pick(which).next = heap.new(Node, {}) as never;
        }
        verify(heap);
        expect(tracemalloc.snapshot(heap).total.objects).toBe(liveObjects(heap) - before);
        for (const handle of handles) release(handle as never);
        heap.gc.collect();
        const { current } = tracemalloc.getTracedMemory(heap);
        expect(tracemalloc.snapshot(heap).total.bytes).toBe(current);
      }),
      { numRuns: size(100) },
    );
  });

  it("has the handles that are held, by the line that made them", () => {
    const heap = makeHeap({ checks: { handles: { every: 1 } } });
    tracemalloc.start(heap, { frames: 2 });
    const makeThree = () => Array.from({ length: 3 }, () => makePoint(heap));
    const [first, ...others] = [...makeThree(), makePoint(heap)];
    const handles = [first, retain(first), ...others];
    const { roots } = tracemalloc.snapshot(heap);
    expect(roots.map(({ type, count, traceback }) => [type, count, traceback.frames[0].name])).toEqual([
      ["Point", 3, "makePoint"],
      ["Point", 1, "makePoint"],
      ["Point", 1, ""],
    ]);
    for (const handle of handles) release(handle);
  });

  it("is text with the largest groups and the sum of the rest", () => {
    const heap = traced();
    using _node = heap.new(Node, { name: "a name" });
    const kept = makeTwo(heap);
    expect(tracemalloc.snapshot(heap).format("type", 1).split("\n")).toEqual([
      "4 objects, 128 bytes alive",
      "  64 bytes in 2 objects  Point",
      "  64 bytes in 2 objects  in 2 more",
    ]);
    for (const point of kept) release(point);
  });
});

describe("filters", () => {
  const names = (heap: Heap, patterns: Parameters<ReturnType<typeof tracemalloc.snapshot>["filter"]>[0]) =>
    tracemalloc
      .snapshot(heap)
      .filter(patterns)
      .statistics("type")
      .map(({ key }) => key)
      .sort();

  it("include what fits one of the patterns and exclude what fits any", () => {
    const heap = traced({ frames: 4 });
    const kept = [...makeTwo(heap), heap.new(Node, { name: "a name" })];
    const all = ["Node", "Point", "str"];
    expect(names(heap, {})).toEqual(all);
    expect(names(heap, { include: [{ type: "P*" }] })).toEqual(["Point"]);
    expect(names(heap, { include: [{ type: /^N/ }, { type: "str" }] })).toEqual(["Node", "str"]);
    expect(names(heap, { exclude: [{ type: "Node" }] })).toEqual(["Point", "str"]);
    expect(names(heap, { include: [{ file: "*/tracemalloc.test.ts" }] })).toEqual(all);
    expect(names(heap, { include: [{ file: "tracemalloc.test.ts" }] })).toEqual([]);
    expect(names(heap, { exclude: [{ file: /tracemalloc/ }] })).toEqual([]);
    expect(names(heap, { include: [{ file: "*vitest*" }] })).toEqual([]);
    expect(names(heap, { include: [{ file: "*vitest*", allFrames: true }] })).toEqual(all);
    const { line } = tracemalloc.getObjectTraceback(kept[0])!.frames[0];
    expect(names(heap, { include: [{ line }] })).toEqual(["Point"]);
    expect(names(heap, { exclude: [{ line, file: "*" }] })).toEqual(["Node", "str"]);
    for (const handle of kept) release(handle as never);
  });
});

describe("two snapshots compared", () => {
  it("show what grew, shrank, came and went, the largest change first", () => {
    const heap = traced();
    const shrinks = [...makeTwo(heap), ...makeTwo(heap)];
    const gone = heap.new(Node, {});
    const first = tracemalloc.snapshot(heap);
    for (const point of shrinks.splice(0, 3)) release(point);
    release(gone);
    using _list = heap.new(
      list(Point),
      Array.from({ length: 50 }, () => ({})),
    );
    const rows = tracemalloc.snapshot(heap).compareTo(first, "type");
    expect(rows.map(({ key, objects, objectsDelta }) => [key, objects, objectsDelta])).toEqual([
      ["Point", 51, 47],
      ["list", 1, 1],
      ["Node", 0, -1],
    ]);
    expect(rows.map(({ bytes, bytesDelta }) => bytesDelta <= bytes)).toEqual([true, true, true]);
    expect(first.compareTo(first, "line").every((row) => row.bytesDelta === 0 && row.blocksDelta === 0)).toBe(
      true,
    );
    for (const point of shrinks) release(point);
  });
});

describe("sampling", () => {
  it("records one allocation in so many, by chance, and scales the numbers up", () => {
    const heap = traced({ every: 10 });
    const count = 20_000;
    const points = Array.from({ length: count }, () => heap.new(Point, {}));
    const found = tracemalloc.snapshot(heap);
    const { objects, bytes } = found.filter({ include: [{ type: "Point" }] }).total;
    // The deviation of a binomial with n = 20,000 and p = 0.1 is 42 records, or 424 objects.
    expect(Math.abs(objects - count)).toBeLessThan(2200);
    expect([objects % 10, bytes, found.every]).toEqual([0, objects * 32, 10]);
    expect(found.format()).toContain("estimated from one allocation in 10");
    const recorded = points.filter((point) => tracemalloc.getObjectTraceback(point) !== undefined);
    expect(recorded.length).toBe(objects / 10);
    for (const point of points) release(point);
    expect(tracemalloc.snapshot(heap).filter({ include: [{ type: "Point" }] }).total.objects).toBe(0);
  });

  it("shows both halves of a program that allocates in a rhythm", () => {
    const heap = traced({ every: 2 });
    const points = [];
    for (let i = 0; i < 500; i++) {
      points.push(heap.new(Point, { x: 1 }));
      points.push(heap.new(Point, { x: 2 }));
    }
    const lines = tracemalloc
      .snapshot(heap)
      .filter({ include: [{ type: "Point" }] })
      .statistics("line");
    expect(lines).toHaveLength(2);
    for (const { objects } of lines) expect(Math.abs(objects - 500)).toBeLessThan(200);
    for (const point of points) release(point);
  });

  it("records large blocks always, and as one each", () => {
    const heap = traced({ every: 1000 });
    using _large = heap.new(list(f64), new Array(LARGE_ITEMS).fill(1));
    const { blocks, bytes } = tracemalloc.snapshot(heap).filter({ include: [{ type: "list" }] }).total;
    expect(blocks % 1000).toBe(1);
    expect(bytes % 1000).not.toBe(0);
  });
});

describe("tracing", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("is of one heap", () => {
    const [one, other] = [makeHeap(), makeHeap()];
    tracemalloc.start(one);
    expect([tracemalloc.isTracing(one), tracemalloc.isTracing(other)]).toEqual([true, false]);
    expect(messageOf("NOT_TRACING", () => tracemalloc.snapshot(other))).toContain("tracemalloc.start(heap)");
    messageOf("NOT_TRACING", () => tracemalloc.getTracedMemory(other));
    messageOf("NOT_TRACING", () => tracemalloc.resetPeak(other));
    tracemalloc.stop(one);
    tracemalloc.stop(one);
    tracemalloc.clearTraces(one);
    expect(tracemalloc.isTracing(one)).toBe(false);
  });

  it("is on for each new heap where OUROHEAP_TRACE says how many frames", () => {
    vi.stubEnv("OUROHEAP_TRACE", "2");
    const heap = makeHeap();
    const [point] = makeTwo(heap);
    expect(tracemalloc.getObjectTraceback(point)!.frames).toHaveLength(2);
    vi.stubEnv("OUROHEAP_TRACE", "2/100");
    expect(tracemalloc.snapshot(makeHeap()).every).toBe(100);
    for (const off of ["", "0"]) {
      vi.stubEnv("OUROHEAP_TRACE", off);
      expect(tracemalloc.isTracing(makeHeap())).toBe(false);
    }
    vi.stubEnv("OUROHEAP_TRACE", "yes");
    expect(messageOf("INVALID_ARGUMENT", () => Heap.create())).toContain("OUROHEAP_TRACE");
  });

  it("refuses what makes no sense", () => {
    const heap = makeHeap();
    for (const options of [
      { frames: 0 },
      { frames: 1.5 },
      { frames: "3" },
      { every: 0 },
      { every: 2e9 },
      null,
    ])
      messageOf("INVALID_ARGUMENT", () => tracemalloc.start(heap, options as never));
    messageOf("INVALID_ARGUMENT", () => tracemalloc.start({} as Heap));
    messageOf("INVALID_ARGUMENT", () => tracemalloc.getObjectTraceback({} as never));
    expect(tracemalloc.isTracing(heap)).toBe(false);
    const disposed = Heap.create({ maximumBytes: 1 << 20 });
    tracemalloc.start(disposed);
    disposed.shutdown();
    messageOf("HEAP_DISPOSED", () => tracemalloc.snapshot(disposed));
    tracemalloc.stop(disposed);
  });

  it("goes on through collections, finalizers and a heap that is full", () => {
    const heap = Heap.create({ maximumBytes: 256 * 1024 });
    heap.onLeakedHandle = () => {};
    tracemalloc.start(heap, { frames: 3 });
    const points: { [Symbol.dispose](): void }[] = [];
    let code: unknown;
    try {
      for (;;) points.push(heap.new(Point, {}));
    } catch (error) {
      code = (error as { code: unknown }).code;
    }
    expect(code).toBe("OUT_OF_MEMORY");
    verify(heap);
    expect(tracemalloc.snapshot(heap).filter({ include: [{ type: "Point" }] }).total.objects).toBe(
      points.length,
    );
    for (const point of points) point[Symbol.dispose]();
    verify(heap);
    heap.shutdown();
  });
});

it("stress collects under tracing too", () => {
  const heap = makeHeap({ checks: isStress ? "stress" : "verify" });
  tracemalloc.start(heap, { every: 3 });
  for (let i = 0; i < size(300); i++) {
    const node = heap.new(Node, { name: `${i}` });
    node.next = node;
    release(node);
  }
  heap.gc.collect();
  verify(heap);
});
