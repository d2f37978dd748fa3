/**
 * The documents keep their word. A block marked `ts run` or `python` prints what the `text` block behind it says; links lead
 * somewhere; the tests and benchmarks that docs/article.md cites are there.
 */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  anchorsOf,
  type Citation,
  citationsOf,
  type Example,
  examplesOf,
  linksOf,
  testNamesOf,
} from "./support/documents.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
/** As a newcomer runs them, whatever the checks of this test run. */
const env = { ...process.env, OUROHEAP_CHECKS: "", NODE_ENV: "" };
const hasPython = spawnSync("python3.11", ["--version"]).status === 0;

const read = (path: string) => readFileSync(join(root, path), "utf8");
/** With the least number of examples that each has. */
const EXAMPLES = { "README.md": 4, "docs/article.md": 4, "docs/python.md": 4, "docs/threads.md": 3 };
const documents = Object.entries(EXAMPLES).map(([path, examplesMin]) => {
  const text = read(path);
  return {
    path,
    text,
    examplesMin,
    examples: examplesOf(text).map((example, index) => ({ ...example, index })),
  };
});
const article = read("docs/article.md");

/** What differs from run to run: times and addresses. */
function steady(output: string): string {
  return output.replace(/\b\d+\.\d{4}s\b/g, "0.0000s").replace(/\b0x[0-9a-f]+\b/g, "0x0");
}

describe.each(documents.map((document) => [document.path, document] as const))(
  "%s",
  (path, { text, examplesMin, examples }) => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(root, "test/.docs-"));
    });
    afterAll(() => rm(folder, { recursive: true }));

    it("has examples", () => {
      expect(examples.length).toBeGreaterThanOrEqual(examplesMin);
    });

    it("has examples that compile as they stand", async () => {
      const programs = examples.filter(({ language }) => language === "ts run");
      const files = programs.map(({ index }) => join(folder, `example-${index}.mts`));
      for (const [at, { code }] of programs.entries()) await writeFile(files[at], code);
      expect(errorsOf(files)).toEqual([]);
    });

    it.for(titled(examples))("%s", async ([, { language, code, output, index }], context) => {
      const isPython = language === "python";
      if (isPython && !hasPython) context.skip("python3.11 is not on the PATH");
      const file = join(folder, `example-${index}.${isPython ? "py" : "mjs"}`);
      await writeFile(file, isPython ? code : transpiled(code));
      const [program, flags] = isPython ? ["python3.11", ["-I", "-S", "-B"]] : [process.execPath, []];
      const { stdout, stderr } = await run(program, [...flags, file], { env });
      expect(stderr).toBe("");
      expect(steady(stdout)).toBe(steady(output));
    });

    it("has links that lead somewhere", () => {
      expect(linksOf(text).filter((target) => !isThere(path, target))).toEqual([]);
    });
  },
);

function titled<E extends Example & { index: number }>(examples: readonly E[]): [string, E][] {
  return examples.map((example) => [
    `${example.heading}, example ${example.index}: ${example.language}`,
    example,
  ]);
}

function transpiled(code: string): string {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  return ts.transpileModule(code, { compilerOptions }).outputText;
}

/** What the compiler says of the files, with this repository's options; `ouroheap` is what the build has made. */
function errorsOf(files: readonly string[]): string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const program = ts.createProgram(files, { ...options, skipLibCheck: true });
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    const message = ts.flattenDiagnosticMessageText(messageText, "\n");
    return file === undefined ? message : `${basename(file.fileName)}: ${message}`;
  });
}

function isThere(document: string, target: string): boolean {
  const [path, anchor] = target.split("#");
  const file = path === "" ? document : normalize(join(dirname(document), path));
  if (!existsSync(join(root, file))) return false;
  return anchor === undefined || anchorsOf(read(file)).includes(anchor);
}

// -- citations ------------------------------------------------------------------------------------

const benchIds = execFileSync(process.execPath, [join(root, "bench/main.mjs"), "--list"], {
  encoding: "utf8",
  env,
}).split("\n");

/** Those that name nothing. */
function wrong(citations: readonly Citation[]): Citation[] {
  return citations.filter((citation) => {
    if ("bench" in citation) return !benchIds.includes(citation.bench);
    const { file, test } = citation;
    return !existsSync(join(root, file)) || !testNamesOf(read(file)).includes(test);
  });
}

/** The rows of the table in a document's section. */
function claimsOf(markdown: string, heading: string): string[] {
  const [, section] = markdown.split(`\n## ${heading}\n`);
  const rows = section.split("\n## ")[0].match(/^\|.*\|$/gm) ?? [];
  return rows.slice(2);
}

describe("docs/article.md cites", () => {
  it("tests and benchmarks that are there", () => {
    const citations = citationsOf(article);
    expect(citations.filter((citation) => "test" in citation).length).toBeGreaterThanOrEqual(15);
    expect(citations.filter((citation) => "bench" in citation).length).toBeGreaterThanOrEqual(5);
    expect(wrong(citations)).toEqual([]);
  });

  it("something for each pro and each con", () => {
    const [pros, cons] = ["Pros", "Cons"].map((heading) => claimsOf(article, heading));
    expect([pros.length, cons.length]).toEqual([5, 10]);
    expect([...pros, ...cons].filter((claim) => citationsOf(claim).length === 0)).toEqual([]);
  });
});

describe("what a document must not do is noticed:", () => {
  it("to cite what is not there, or a file without a test's name", () => {
    const link = (file: string) => `[a](../test/${file}.test.ts)`;
    const cited = (text: string) => wrong(citationsOf(text));
    const name = 'docs/article.md cites > tests and benchmarks that are there"';
    expect(cited(`${link("docs")} "${name}, bench \`build_new_1m\``)).toEqual([]);
    expect(cited(`${link("docs")} "${name}, "no such test"`)).toHaveLength(1);
    expect(cited(`${link("dogs")} "${name}`)).toHaveLength(1);
    expect(cited(link("docs"))).toHaveLength(1);
    expect(cited("bench `walk_raw_1m`, `walk_1m`, `--only build_new_1m,x`")).toEqual([
      { bench: "walk_1m" },
      { bench: "x" },
    ]);
  });

  it("to show code and not say what it prints", () => {
    const block = (language: string) => `\`\`\`${language}\n1\n\`\`\`\n`;
    const both: Example[] = examplesOf(`## A\n${block("python")}${block("ts run")}\n${block("text")}`);
    expect(both.map(({ heading, language, output }) => [heading, language, output])).toEqual([
      ["A", "python", "1\n"],
      ["A", "ts run", "1\n"],
    ]);
    expect(() => examplesOf(`${block("ts run")}\nIt prints\n${block("text")}`)).toThrow("no `text` block");
    expect(() => examplesOf(`${block("python")}${block("sh")}${block("text")}`)).toThrow("no `text` block");
    expect(() => examplesOf(block("ts run"))).toThrow("no `text` block");
  });

  it("to link to a file or a heading that is not there", () => {
    const targets = ["README.md", "README.md#limits", "#limits", "no.md", "README.md#no", "#no"];
    expect(targets.filter((target) => isThere("README.md", target))).toEqual(targets.slice(0, 3));
  });
});

it("test names are found in every form", () => {
  const source =
    'describe("a", () => {\n it("b", f); it.each(x)("c %s", f);\n});\ntest(`d`, f); describe.each(y)("e", () => it(name, f));';
  expect(testNamesOf(source)).toEqual(["a", "a > b", "a > c %s", "d", "e"]);
});
