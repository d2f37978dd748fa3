import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ouroheap-bundle-"));
const file = join(folder, "app.ts");
afterAll(() => rmSync(folder, { recursive: true }));

/** What users bundle is the built package. Its frames and the program's then are of one file. */
const program = `
import { f64, Heap, release, struct } from ${JSON.stringify(`${root}dist/index.js`)};
import { tracemalloc } from ${JSON.stringify(`${root}dist/inspect.js`)};
type Options = {
  x: number;
};
const Point = struct("Point", { x: f64 });
const heap = Heap.create({ maximumBytes: 1 << 20, checks: { handles: { every: 1 } } });
tracemalloc.start(heap, { frames: 9 });
function makePoint({ x }: Options) {
  return heap.new(Point, { x });
}
function main() {
  const point = makePoint({ x: 1 });
  const made = tracemalloc.getObjectTraceback(point)!.text;
  release(point);
  try {
    release(point);
  } catch (error) {
    const { madeAt, releasedAt } = error as { madeAt: string; releasedAt: string };
    console.log(JSON.stringify({ made, madeAt, releasedAt }));
  }
}
heap.scope(() => main());
`;

function run(options: BuildOptions, ...flags: string[]): Record<"made" | "madeAt" | "releasedAt", string[]> {
  const outfile = join(
    folder,
    `${options.minify ? "small" : "plain"}${options.sourcemap ?? ""}.${options.format === "cjs" ? "cjs" : "mjs"}`,
  );
  buildSync({ entryPoints: [file], outfile, bundle: true, platform: "node", logLevel: "error", ...options });
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, outfile], { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  const found = JSON.parse(stdout) as Record<string, string>;
  const lines = (text: string) => text.split("\n").map((line) => line.replace(/^\S+ \((.*)\)$/, "$1"));
  return { made: lines(found.made), madeAt: lines(found.madeAt), releasedAt: lines(found.releasedAt) };
}

describe("a program bundled with the library", () => {
  beforeAll(() => writeFileSync(file, program));

  it.each<[string, BuildOptions]>([
    ["as a module", { format: "esm" }],
    ["made small", { format: "esm", minify: true }],
    ["as CommonJS", { format: "cjs" }],
    ["as CommonJS, made small", { format: "cjs", minify: true }],
  ])("has lines of its own code, %s", (_, options) => {
    const { made, madeAt, releasedAt } = run(options);
    // makePoint, main, what the scope is given, the top; between the last two the library's scope is left out.
    expect(madeAt).toHaveLength(4);
    expect(made.slice(0, 4)).toEqual(madeAt);
    expect(releasedAt).toHaveLength(3);
    const [make, main] = madeAt.map((line) => /:(\d+):(\d+)$/.exec(line)!.slice(1).map(Number));
    const [release] = releasedAt.map((line) => /:(\d+):(\d+)$/.exec(line)!.slice(1).map(Number));
    const order = ([line, column]: number[]) => line * 1e6 + column;
    expect(order(make)).toBeLessThan(order(main));
    expect(order(main)).toBeLessThan(order(release));
  });

  it("has lines of its source where maps are at hand", () => {
    const source = (...places: string[]) => places.map((place) => `${file}:${place}`);
    const { made } = run({ format: "esm", sourcemap: true, minify: true });
    expect(made.slice(0, 3)).toEqual(source("11:15", "14:17", "24:18"));
    const { madeAt, releasedAt } = run(
      { format: "esm", sourcemap: true, minify: true },
      "--enable-source-maps",
    );
    expect(madeAt).toEqual(source("11:15", "14:17", "24:18", "24:6"));
    expect(releasedAt).toEqual(source("16:3", "24:18", "24:6"));
  });
});

it("the built package has lines of the program's where the host applies source maps", () => {
  const app = join(folder, "unbundled.mjs");
  writeFileSync(app, program.replace(/type Options[^;]*;\s*\};|: Options|!| as \{.*\}(?=;)/g, ""));
  const { stdout, stderr } = spawnSync(process.execPath, ["--enable-source-maps", app], { encoding: "utf8" });
  expect(stderr).toBe("");
  const { made, madeAt, releasedAt } = JSON.parse(stdout) as Record<string, string>;
  for (const text of [made, madeAt, releasedAt])
    expect(text).toMatch(/^(?:.*unbundled\.mjs:\d+:\d+\)?\n?)+$/);
});

it("inspect can be bundled for browsers: it imports nothing of Node's", () => {
  const { metafile } = buildSync({
    entryPoints: [`${root}src/inspect/index.ts`],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
  });
  expect(Object.values(metafile.outputs)[0].imports).toEqual([]);
});
