/** Every program in examples/ prints what the comment at its end says, and the list of them is complete. */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const folder = fileURLToPath(new URL("../examples/", import.meta.url));
const run = promisify(execFile);
/** As a newcomer runs them, whatever the checks of this test run. */
const env = { ...process.env, OUROHEAP_CHECKS: "" };
const programs = (await readdir(folder)).filter((name) => name.endsWith(".mjs"));
const list = await readFile(`${folder}README.md`, "utf8");

/** What differs from run to run: times and addresses. */
function steady(output: string): string {
  return output.replace(/\b\d+\.\d{4}s\b/g, "0.0000s").replace(/\b0x[0-9a-f]+\b/g, "0x0");
}

/** The comment at the end of a program. */
async function printsOf(name: string): Promise<string> {
  const text = await readFile(folder + name, "utf8");
  return /\/\* prints:\n([\s\S]*)\*\/\n$/.exec(text)?.[1] ?? `${name} does not say`;
}

describe("examples", () => {
  it("are all in the list, with a line that they print", async () => {
    const rows = [...list.matchAll(/^\| \[(.*?)\]\(\1\) \|.*\| `(.*?)` \|$/gm)];
    expect(rows.map(([, name]) => name).sort()).toEqual(programs.sort());
    for (const [, name, line] of rows)
      expect((await printsOf(name)).split("\n").map((printed) => printed.trim())).toContain(line);
  });

  it.each(programs)("%s prints what it says", async (name) => {
    const { stdout, stderr } = await run(process.execPath, [folder + name], { env });
    expect(stderr).toBe("");
    expect(steady(stdout)).toBe(steady(await printsOf(name)));
  });
});
