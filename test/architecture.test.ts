/** The rules of ARCHITECTURE.md that no compiler checks. Each is shown files that break it, so that it can fail. */
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import * as imageLayout from "../src/memory/image-layout.js";
import * as heapLayout from "../src/memory/layout.js";

/** Of a heap, and of one that is saved. */
const layout = { ...heapLayout, ...imageLayout };

/** From low to high: a file imports its own folder and lower layers. */
const LAYERS = ["memory", "alloc", "object", "gc", "host", "inspect", "cli"];
/** Of any layer but the last. */
const ENTRY_POINTS = ["index.ts", "unsafe.ts"];
const LINES_MAX = 500;
/** Shared numbers that are no part of the layout: CPython's debug flags, a serial that no object has, the command's own. */
const NUMBERS_ELSEWHERE = /^(gc\/collect\.ts DEBUG_\w+|host\/view\.ts RELEASED|cli\/.*)$/;

/** `path` and `imports` are relative to src; `code` has no comments. */
function parse(path: string, text: string) {
  const code = text.replace(/("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/.*/g, "$1");
  const pattern = /^(?:import|export)\b[^;"=()]*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  const imports = [...code.matchAll(pattern)].map((match) => {
    const name = match[1] ?? match[2] ?? match[3];
    return name.startsWith(".") ? posix.join(posix.dirname(path), name).replace(/\.js$/, ".ts") : name;
  });
  return { path, text, code, imports };
}
type Source = ReturnType<typeof parse>;

/** 0 for memory; above all layers for what is in none. */
function layerOf(path: string): number {
  const layer = LAYERS.indexOf(path.split("/")[0]);
  return layer === -1 ? LAYERS.length : layer;
}

/** The command runs in Node alone, and has the reader of programs built in; the matcher's entry point is the test runner's. Everything else runs in browsers too. */
function isAllowedOutside(path: string, name: string): boolean {
  return (
    (path.startsWith("cli/") && name.startsWith("node:")) ||
    (path === "cli/find-functions.ts" && name === "acorn") ||
    (path === "inspect/vitest.ts" && name === "vitest")
  );
}

function isBarrel(path: string): boolean {
  return posix.basename(path) === "index.ts";
}

/** What stands in brackets wherever the heap's words are read or written, innermost first. */
function heapIndices({ code }: Source): string[] {
  const indices: string[] = [];
  for (let rest = code, before = ""; before !== rest; ) {
    before = rest;
    rest = rest.replace(/\b(?:i32|f32|f64|i64|side)\[([^[\]]*)\]/g, (_, index: string) => {
      indices.push(index);
      return `(${index})`;
    });
  }
  return indices;
}

function found(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[0]);
}

type Rule = [rule: string, breaches: (source: Source) => string[], bad: [path: string, text: string][]];

const rules: Rule[] = [
  [
    "a file imports its own folder and lower layers only",
    ({ path, imports }) => {
      const isEntry = ENTRY_POINTS.includes(path);
      if (!isEntry && layerOf(path) === LAYERS.length) return ["belongs to no layer"];
      const highest = isEntry ? LAYERS.indexOf("host") : layerOf(path);
      return imports.filter((name) => layerOf(name) > highest && !isAllowedOutside(path, name));
    },
    [
      ["alloc/page.ts", 'import type { Core } from "../gc/core.js";'],
      ["memory/memory.ts", 'import {\n  type Address,\n  Allocator,\n} from "../alloc/allocator.js";'],
      ["host/heap.ts", 'export * from "../inspect/roots.js";'],
      ["index.ts", 'export { roots } from "./inspect/roots.js";'],
      ["object/list.ts", 'const late = await import("../host/heap.js");'],
      ["object/list.ts", 'function f(core: import("../gc/core.js").Core) {}'],
      ["gc/core.ts", 'import "../unsafe.js";'],
      ["gc/core.ts", 'import fs from "node:fs";'],
      ["helpers.ts", "export function help() {}"],
    ],
  ],
  [
    "a file imports named files, never a barrel",
    ({ imports }) => imports.filter(isBarrel),
    [["inspect/roots.ts", 'import { roots } from "./index.js";']],
  ],
  [
    "entry points and barrels are re-exports only",
    ({ path, code }) => {
      if (!ENTRY_POINTS.includes(path) && !isBarrel(path)) return [];
      const rest = code.replace(/^export [^;=]*? from "[^"]+";$/gm, "").trim();
      return rest === "" ? [] : [rest];
    },
    [
      ["index.ts", 'import { Heap } from "./host/heap.js";\nexport const heap = new Heap();'],
      ["inspect/index.ts", 'export { verify } from "./verify.js";\nregister();'],
    ],
  ],
  [
    // Upper layers fill its record in and lower ones call it: the only way up there is.
    "object/hooks.ts, the one upward seam, knows nothing of any layer but memory",
    ({ path, imports }) => (path === "object/hooks.ts" ? imports.filter((name) => layerOf(name) > 0) : []),
    [
      ["object/hooks.ts", 'import type { Collector } from "../gc/collect.js";'],
      ["object/hooks.ts", 'import type { Generations } from "./generation.js";'],
    ],
  ],
  [
    "numbers that files share are in memory/layout.ts",
    ({ path, code }) => {
      if (path === "memory/layout.ts" || path === "memory/image-layout.ts") return [];
      const names = found(code, /^export const ([A-Z][A-Z0-9_]*)(?:: \w+)? = -?\d/gm);
      return names.filter((name) => !NUMBERS_ELSEWHERE.test(`${path} ${name}`));
    },
    [
      ["object/list.ts", "export const LIST_CAPACITY = 6;"],
      ["gc/partition.ts", "export const MARK_SHIFT: number = 1 << 4;"],
    ],
  ],
  [
    // The second word of a pair may be the next one; `stats` is three f64 in a row.
    "the heap's words are found by names of memory/layout.ts",
    (source) => {
      const indices = heapIndices(source).join("\n");
      const names = found(indices, /\b[A-Z][A-Z0-9_]+\b/g).filter((name) => !(name in layout));
      return [...names, ...found(indices, /(?:\b(?!stats )[a-z]\w*|\)) [+-] (?!1\b)\d+/g)];
    },
    [
      ["object/list.ts", "const length = i32[list + 5];"],
      ["host/view.ts", "const OFFSET = 3;\nmemory.i32[address + OFFSET] = 0;"],
      ["gc/clear.ts", "i32[i32[list + LIST_ITEMS] + 12] = 0;"],
      ["gc/clear.ts", "i32[i32[list + MY_ITEMS]] = 0;"],
    ],
  ],
  [
    // An array with a length is scratch memory of the file's own, and so is another array over that.
    "only memory/ makes typed arrays over the heap",
    ({ path, code }) => {
      if (layerOf(path) === 0) return [];
      const sources = found(code, /new (?:\w+Array|DataView)\(([^()]*\bbuffer\b[^()]*)\)/g);
      return sources.filter((name) => {
        const [, array] = /^(\w+)\.buffer$/.exec(name) ?? [];
        return array === undefined || !code.includes(`const ${array} = new Float64Array(1)`);
      });
    },
    [
      ["object/string.ts", "const bytes = new Uint8Array(this.memory.buffer, offset, length);"],
      ["gc/partition.ts", "const words = new Int32Array(buffer);"],
      ["host/raw.ts", "const view = new DataView(memory.i32.buffer);"],
      ["host/raw.ts", "const scratch = new Float64Array(i32.buffer);"],
    ],
  ],
  [
    `a file has at most ${LINES_MAX} lines`,
    ({ text }) => (text.trimEnd().split("\n").length > LINES_MAX ? ["too long"] : []),
    [["host/codec.ts", "f();\n".repeat(LINES_MAX + 1)]],
  ],
  [
    "types can be erased: no enum, no namespace, no parameter property",
    ({ code }) => [
      ...found(code, /\benum \w+ \{|\b(?:namespace|module) [\w.]+ \{/g),
      ...found(code, /\bconstructor\([^{]*?\b((?:public|private|protected|readonly) \w+)\??:/g),
    ],
    [
      ["gc/events.ts", "export const enum Phase { Start }"],
      ["gc/events.ts", "namespace Phases {}"],
      ["gc/core.ts", "class Core {\n  constructor(private memory: Memory) {}\n}"],
      [
        "gc/core.ts",
        "class Core {\n  constructor(\n    f: () => void,\n    readonly memory: Memory,\n  ) {}\n}",
      ],
    ],
  ],
];

const root = new URL("../src/", import.meta.url);
const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".ts"))
  .map((path) => parse(path, readFileSync(new URL(path, root), "utf8")));

describe.each(rules)("%s", (_, breaches, bad) => {
  it("everywhere in src", () => {
    const all = sources.flatMap((source) => breaches(source).map((breach) => `${source.path}: ${breach}`));
    expect(all).toEqual([]);
  });

  it.each(bad)("or %s is noticed", (path, text) => {
    expect(breaches(parse(path, text))).not.toEqual([]);
  });
});

it("the rules see every layer, and what a file imports", () => {
  const folders = new Set(sources.map(({ path }) => path.split("/")[0]));
  expect(folders).toEqual(new Set([...LAYERS, ...ENTRY_POINTS]));
  const core = sources.find(({ path }) => path === "gc/core.ts");
  expect(core?.imports).toEqual(
    expect.arrayContaining(["alloc/allocator.ts", "memory/memory.ts", "gc/clear.ts"]),
  );
  expect(heapIndices(parse("a.ts", "// i32[no]\ni32[i32[a + B] + 1]"))).toEqual(["a + B", "(a + B) + 1"]);
});
