/** README's examples, run as they stand. A block marked `ts run` prints what the `text` block behind it says. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

interface Example {
  readonly heading: string;
  readonly code: string;
  readonly output: string;
}

function examplesOf(markdown: string): Example[] {
  const blocks = markdown.matchAll(/```ts run\n([\s\S]*?)```\s+```text\n([\s\S]*?)```/g);
  return [...blocks].map(({ index, 1: code, 2: output }) => ({
    heading:
      markdown
        .slice(0, index)
        .match(/^## .*$/gm)
        ?.at(-1) ?? "",
    code,
    output,
  }));
}

const examples = examplesOf(await readFile(`${root}README.md`, "utf8"));

describe("README", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(`${root}test/.readme-`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("has examples", () => {
    expect(examples.length).toBeGreaterThanOrEqual(4);
  });

  it.each(examples.map((example, index) => ({ ...example, index })))(
    "$heading, example $index",
    async ({ code, output, index }) => {
      const { outputText } = ts.transpileModule(code, {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
      });
      const file = `${folder}/example-${index}.mjs`;
      await writeFile(file, outputText);
      const { stdout, stderr } = await run(process.execPath, [file]);
      expect(stderr).toBe("");
      expect(stdout).toBe(output);
    },
  );
});
