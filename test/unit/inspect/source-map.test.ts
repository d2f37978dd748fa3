import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { transformSync } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { mapFrame } from "../../../src/inspect/source-map.js";

const folder = mkdtempSync(join(tmpdir(), "ouroheap-maps-"));
afterAll(() => rmSync(folder, { recursive: true }));

const source = "type A = {\n  a: 1;\n};\n\nexport function make(): A {\n  return { a: 1 };\n}\n";

/** Write a file and its map; the frame of its `return`. */
function compiled(name: string, sourcemap: "inline" | "external", suffix = "") {
  const { code, map } = transformSync(source, { loader: "ts", sourcemap, sourcefile: "made.ts" });
  const file = join(folder, name);
  writeFileSync(file, code + suffix);
  if (sourcemap === "external") writeFileSync(`${file}.map`, map);
  const line = code.split("\n").findIndex((text) => text.includes("return")) + 1;
  return { name: "make", file, line, column: 3 };
}

describe("a frame is shown where its source says", () => {
  it.each([
    ["by a map in the file", compiled("inline.js", "inline")],
    ["by a map beside the file", compiled("a b.js", "external", "//# sourceMappingURL=a%20b.js.map\n")],
    [
      "by the last comment that names one",
      compiled("two.js", "external", "//# sourceMappingURL=no.map\n//# sourceMappingURL=two.js.map\n"),
    ],
  ])("%s", (_, frame) => {
    expect(frame.line).not.toBe(6);
    const expected = { name: "make", file: join(folder, "made.ts"), line: 6, column: 3 };
    expect(mapFrame(frame)).toEqual(expected);
    const url = { ...frame, file: pathToFileURL(frame.file).href };
    expect(mapFrame(url)).toEqual(expected);
  });
});

describe("a frame stays as it is", () => {
  it.each([
    ["without a map", compiled("none.js", "external")],
    ["where the map is missing", compiled("missing.js", "external", "//# sourceMappingURL=gone.map\n")],
    [
      "where the map is none",
      compiled("bad.js", "external", "//# sourceMappingURL=data:application/json,{]\n"),
    ],
    ["of no file", { name: "f", file: "node:fs", line: 3, column: 1 }],
    ["without a line", { name: "f", file: "<anonymous>", line: 0, column: 0 }],
    ["of a file that is gone", { name: "f", file: join(folder, "gone.ts"), line: 3, column: 1 }],
  ])("%s", (_, frame) => {
    expect(mapFrame(frame)).toEqual(frame);
  });
});
