import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, expect, it } from "vitest";

const src = fileURLToPath(new URL("../../../src/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ouroheap-bundle-"));
afterAll(() => rmSync(folder, { recursive: true }));

const program = `
import { f64, Heap, struct } from ${JSON.stringify(`${src}index.ts`)};
import { tracemalloc } from ${JSON.stringify(`${src}inspect/index.ts`)};
type Options = {
  x: number;
};
const Point = struct("Point", { x: f64 });
const heap = Heap.create({ maximumBytes: 1 << 20 });
tracemalloc.start(heap, { frames: 9 });
function makePoint({ x }: Options) {
  return heap.new(Point, { x });
}
console.log(tracemalloc.getObjectTraceback(makePoint({ x: 1 })).text);
`;

it("a program bundled with the library has tracebacks of its own source", () => {
  const file = join(folder, "app.ts");
  const outfile = join(folder, "app.mjs");
  writeFileSync(file, program);
  buildSync({ entryPoints: [file], outfile, bundle: true, format: "esm", sourcemap: true, platform: "node" });
  const text = execFileSync(process.execPath, [outfile], { encoding: "utf8" });
  expect(text).toBe(`makePoint (${file}:11:15)\n${file}:13:44\n`);
});

it("inspect can be bundled for browsers: it imports nothing of Node's", () => {
  const entryPoints = [`${src}inspect/index.ts`];
  const { metafile } = buildSync({
    entryPoints,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
  });
  expect(Object.values(metafile.outputs)[0].imports).toEqual([]);
});
