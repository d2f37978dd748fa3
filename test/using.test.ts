/** `using` over the built package: as the host has it, and as TypeScript writes it for hosts that do not. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const fixture = `${root}test/fixtures/using.mjs`;
const run = promisify(execFile);

/** Whether this host parses `using`: Node 24 and later do. */
const isNative = (() => {
  try {
    new Function("{ using resource = null; }");
    return true;
  } catch {
    return false;
  }
})();

const expected = [
  "x 1",
  "closed",
  "in the middle",
  "0 values",
  "disposed later",
  "behind the block",
  "SuppressedError: closing suppressed body",
];

describe("using and await using", () => {
  it.skipIf(!isNative)("in plain JavaScript, where the host has them", async () => {
    const { stdout, stderr } = await run(process.execPath, [fixture]);
    expect([stdout.trim().split("\n"), stderr]).toEqual([expected, ""]);
  });

  it("down-levelled by TypeScript for Node 20", async () => {
    const folder = await mkdtemp(`${root}test/.docs-`);
    try {
      const { outputText } = ts.transpileModule(await readFile(fixture, "utf8"), {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
      });
      expect(outputText).toContain("__addDisposableResource");
      await writeFile(`${folder}/using.mjs`, outputText);
      const { stdout, stderr } = await run(process.execPath, [`${folder}/using.mjs`]);
      expect([stdout.trim().split("\n"), stderr]).toEqual([expected, ""]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
