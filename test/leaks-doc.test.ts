/** docs/leaks.md as a newcomer follows it: its commands are run in order, and print what it says. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = readFileSync(`${root}docs/leaks.md`, "utf8");

interface Step {
  readonly command: string;
  readonly output: string[];
}

/** What stands behind each `$ `, up to the next. */
const steps: Step[] = [...text.matchAll(/```console\n([\s\S]*?)```/g)].flatMap(([, block]) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command, ...output] = part.trimEnd().split("\n");
      return { command, output };
    }),
);

/** Lines of which `...` in the document stands for any number. */
function matches(expected: readonly string[], actual: readonly string[]): boolean {
  if (expected.length === 0) return actual.length === 0;
  const [first, ...rest] = expected;
  if (first !== "...") return sameText(first, actual[0]) && matches(rest, actual.slice(1));
  return actual.some((_, index) => matches(rest, actual.slice(index))) || rest.length === 0;
}

/** Columns are as wide as the paths in them, which depend on where this repository is. */
function sameText(expected: string, actual: string | undefined): boolean {
  return expected.replace(/ +/g, " ") === actual?.replace(/ +/g, " ");
}

describe("docs/leaks.md", () => {
  const folder = mkdtempSync(`${root}test/.docs-`);
  symlinkSync(`${root}examples`, `${folder}/examples`);
  afterAll(() => rmSync(folder, { recursive: true }));

  it("finds the leak within five commands, beside the program's own", () => {
    expect(steps.filter(({ command }) => command.startsWith("npx ouro"))).toHaveLength(5);
  });

  it.each(steps)("$command", ({ command, output }) => {
    const [program, ...words] = command.split(" ");
    const args = program === "npx" ? [`${root}dist/ouro.js`, ...words.slice(1)] : words;
    const { stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, OUROHEAP_CHECKS: "" },
    });
    expect(stderr).toBe("");
    const actual = stdout.trimEnd().replaceAll(`file://${root}`, "").split("\n");
    if (!matches(output, actual)) expect(actual.join("\n")).toBe(output.join("\n"));
  });
});
