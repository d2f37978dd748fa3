import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { transformSync } from "esbuild";
import { describe, expect, it } from "vitest";
import { f64, Heap, list, release, struct } from "../../../src/index.js";
import { type FunctionProfile, profileLines, verify } from "../../../src/inspect/index.js";
import { makeExactHeap } from "../../support/heaps.js";
import { messageOf, thrownBy } from "../host/support.js";

const Point = struct("Point", { x: f64 });
const POINT_BYTES = 32;

function warmHeap(): Heap {
  const heap = makeExactHeap();
  release(heap.new(Point, {}));
  release(heap.new(list(Point), []));
  return heap;
}

/** What the profile says of the lines that run, by their text. */
function rows({ lines }: FunctionProfile) {
  return lines
    .filter(({ occurrences }) => occurrences > 0)
    .map(({ text, occurrences, bytesIncrement }) => [text.trim(), occurrences, bytesIncrement]);
}

describe("a profile by lines", () => {
  it("has each line's text, how often it ran, and what it added or freed", () => {
    const heap = warmHeap();
    const { functions, result } = profileLines(heap, () => {
      const points = [];
      for (let i = 0; i < 10; i++) {
        points.push(heap.new(Point, { x: i }));
      }
      const last = points.pop()!;
      release(last);
      for (const point of points) release(point);
      return points.length;
    });
    expect(result).toBe(9);
    expect(rows(functions[0])).toEqual([
      ["const points = [];", 1, 0],
      ["for (let i = 0; i < 10; i++) {", 11, 0],
      ["points.push(heap.new(Point, { x: i }));", 10, 10 * POINT_BYTES],
      ["const last = points.pop()!;", 1, 0],
      ["release(last);", 1, -POINT_BYTES],
      ["for (const point of points) release(point);", 9, -9 * POINT_BYTES],
      ["return points.length;", 1, 0],
    ]);
    expect(functions[0].file).toMatch(/inspect\/memory-profile\.test\.ts$/);
  });

  it("has the bytes in use, which the increments of all lines lead from and to", () => {
    const heap = warmHeap();
    const kept = Array.from({ length: 5 }, () => heap.new(Point, {}));
    const { functions } = profileLines(heap, function makeMore() {
      kept.push(heap.new(Point, {}));
      kept.push(heap.new(Point, {}));
    });
    const [first, second] = functions[0].lines.filter(({ occurrences }) => occurrences > 0);
    expect(functions[0].name).toBe("makeMore");
    expect(second.bytes - first.bytes).toBe(POINT_BYTES);
    expect(first.bytes).toBeGreaterThanOrEqual(6 * POINT_BYTES);
    for (const point of kept) release(point);
  });

  it("counts what called functions and nested ones do for the line that calls", () => {
    const heap = warmHeap();
    const makeThree = () => [1, 2, 3].map((x) => heap.new(Point, { x }));
    const { functions, result } = profileLines(heap, () => {
      const made = makeThree();
      made.forEach((point) => {
        release(point);
      });
      return makeThree();
    });
    expect(rows(functions[0])).toEqual([
      ["const made = makeThree();", 1, 3 * POINT_BYTES],
      ["made.forEach((point) => {", 1, -3 * POINT_BYTES],
      ["return makeThree();", 1, 3 * POINT_BYTES],
    ]);
    for (const point of result) release(point);
  });

  it("is of the functions that were named, however they are called, bound ones too", () => {
    const heap = warmHeap();
    const kept: { [Symbol.dispose](): void }[] = [];
    function inner(this: unknown, x: number) {
      kept.push(heap.new(Point, { x }));
    }
    function outer() {
      inner(1);
      inner(2);
    }
    const { functions } = profileLines(heap, () => outer(), { functions: [outer, inner.bind(null)] });
    expect(functions.map(({ name }) => name)).toEqual(["outer", "bound inner"]);
    expect(rows(functions[0])).toEqual([
      ["inner(1);", 1, POINT_BYTES],
      ["inner(2);", 1, POINT_BYTES],
    ]);
    expect(rows(functions[1])).toEqual([["kept.push(heap.new(Point, { x }));", 2, 2 * POINT_BYTES]]);
    for (const point of kept) point[Symbol.dispose]();
  });

  it("follows an async function across its waits", async () => {
    const heap = warmHeap();
    const promise = profileLines(heap, async () => {
      const first = heap.new(Point, {});
      await new Promise((resolve) => setTimeout(resolve, 1));
      const second = heap.new(Point, {});
      await null;
      release(first);
      release(second);
      return "done";
    });
    const { result, functions } = await promise;
    expect(result).toBe("done");
    expect(rows(functions[0])).toEqual([
      ["const first = heap.new(Point, {});", 1, POINT_BYTES],
      ["await new Promise((resolve) => setTimeout(resolve, 1));", 1, 0],
      ["const second = heap.new(Point, {});", 1, POINT_BYTES],
      ["await null;", 1, 0],
      ["release(first);", 1, -POINT_BYTES],
      ["release(second);", 1, -POINT_BYTES],
      ['return "done";', 1, 0],
    ]);
  });

  it("counts adopted bytes beside those of the heap", () => {
    const heap = warmHeap();
    const { functions } = profileLines(heap, () => {
      const texture = heap.adopt({}, () => {}, { bytes: 4096 });
      release(texture);
    });
    const lines = functions[0].lines.filter(({ occurrences }) => occurrences > 0);
    expect(lines.map((line) => [line.adoptedBytes, line.adoptedBytesIncrement])).toEqual([
      [4096, 4096],
      [0, -4096],
    ]);
  });

  it("shows the source of what a program's build made", () => {
    const folder = mkdtempSync(join(tmpdir(), "ouroheap-profile-"));
    const source =
      "type A = {\n  a: 1;\n};\n\nexport function make(heap, type) {\n  // made here\n  return heap.new(type, {});\n}\n";
    const { code } = transformSync(source, {
      loader: "ts",
      format: "cjs",
      sourcemap: "inline",
      sourcefile: "app.ts",
    });
    const file = join(folder, "app.cjs");
    writeFileSync(file, code);
    try {
      const { make } = createRequire(import.meta.url)(file) as {
        make(heap: Heap, type: typeof Point): object;
      };
      const heap = warmHeap();
      const { functions, result } = profileLines(heap, () => make(heap, Point), { functions: [make] });
      expect(functions[0].file).toBe(join(folder, "app.ts"));
      expect(functions[0].lines.map(({ line, text }) => [line, text])).toEqual([
        [5, "export function make(heap, type) {"],
        [6, "  // made here"],
        [7, "  return heap.new(type, {});"],
        [8, "}"],
      ]);
      expect(rows(functions[0])).toEqual([["return heap.new(type, {});", 1, POINT_BYTES]]);
      release(result as never);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the text of a profile", () => {
  it("is memory_profiler's table", () => {
    const heap = warmHeap();
    const kept: never[] = [];
    const profile = profileLines(heap, function work() {
      kept.push(heap.new(Point, {}) as never);

      kept.push(heap.new(Point, {}) as never); // tab:	end
    });
    const text = `${profile}`.split("\n");
    expect(text[0]).toMatch(/^Filename: .*memory-profile\.test\.ts$/);
    expect(text.slice(1, 5)).toEqual([
      "Function: work",
      "",
      "Line #    Mem usage    Increment Occurrences   Line Contents",
      "============================================================",
    ]);
    const number = String.raw`\s+\d+`;
    const amount = String.raw`\s+-?[\d.]+ Ki?B`;
    expect(text[5]).toMatch(new RegExp(`^${number}\\s+const profile = .*work\\(\\) \\{$`));
    expect(text[6]).toMatch(new RegExp(`^${number}${amount}${amount} {11}1 {9}kept\\.push`));
    expect(text[7]).toMatch(new RegExp(`^${number}$`));
    expect(text[8]).toMatch(/tab: {2}end$/);
    for (const point of kept) release(point);
  });

  it("has columns for adopted bytes where there are any", () => {
    const heap = warmHeap();
    using _texture = heap.adopt({}, () => {}, { bytes: 5 * 2 ** 20 });
    const text = `${profileLines(heap, () => {
      release(heap.new(Point, {}));
    })}`;
    expect(text).toContain("Mem usage    Increment      Adopted    Increment Occurrences");
    expect(text).toMatch(/0\.00\d MiB +0\.000 MiB +5\.000 MiB +0\.000 MiB +1 +release/);
  });
});

describe("a function that is profiled", () => {
  it("throws what it throws, and the next one can be profiled", async () => {
    const heap = warmHeap();
    const boom = new Error("boom");
    expect(
      thrownBy(() =>
        profileLines(heap, () => {
          throw boom;
        }),
      ),
    ).toBe(boom);
    await expect(
      profileLines(heap, async () => {
        throw boom;
      }),
    ).rejects.toBe(boom);
    expect(profileLines(heap, () => 5).result).toBe(5);
    expect("@ouroheap.lines" in globalThis).toBe(false);
    verify(heap);
  });

  it("may have a debugger statement", () => {
    const heap = warmHeap();
    const stopping = new Function(
      "return function stopping() {\n  debugger;\n  return 7;\n}",
    )() as () => number;
    expect(profileLines(heap, stopping).result).toBe(7);
  });

  it("is one at a time, has a source, and is of an open heap", () => {
    const heap = warmHeap();
    const { result } = profileLines(heap, () =>
      messageOf("ALREADY_PROFILING", () => profileLines(heap, () => 1)),
    );
    expect(result).toContain("wait until it has ended");
    expect(messageOf("INVALID_ARGUMENT", () => profileLines(heap, Math.random))).toContain("random");
    messageOf("INVALID_ARGUMENT", () => profileLines(heap, 5 as never));
    messageOf("INVALID_ARGUMENT", () => profileLines(heap, () => 1, { functions: [null as never] }));
    expect(profileLines(heap, () => 2).result).toBe(2);
    const disposed = Heap.create({ maximumBytes: 1 << 20 });
    disposed.shutdown();
    messageOf("HEAP_DISPOSED", () => profileLines(disposed, () => 1));
  });
});
