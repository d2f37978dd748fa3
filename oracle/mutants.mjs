/**
 * The programs judged: break one rule of the specification after the other, and count the recorded programs that notice.
 * A mutant is one textual change to a source file; its heap is built apart and replays the corpus in a process of its own.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { RULES } from "./rules.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @returns the exit code: 1 if a rule that should be noticed is not */
export async function runMutants() {
  const folder = mkdtempSync(join(tmpdir(), "ouroheap-rules-"));
  try {
    for (const name of ["src", "oracle", "package.json", "tsconfig.json"])
      cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
    const total = await countKills(folder);
    if (total.killed !== 0) throw new Error(`${total.killed} programs differ without a mutant`);
    let unnoticed = 0;
    for (const rule of RULES) {
      const { killed, programs } = await mutate(folder, rule);
      console.log(`${String(killed).padStart(4)} of ${programs}   ${rule.rule}`);
      if (killed === 0) {
        if (rule.unobservable === undefined) unnoticed++;
        console.log(`               ${rule.unobservable ?? "NO PROGRAM NOTICES"}`);
      }
    }
    console.log(`${RULES.length} rules broken, ${unnoticed} of them unnoticed`);
    return unnoticed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function mutate(folder, { rule, file, from, to }) {
  const path = join(folder, file);
  const original = readFileSync(path, "utf8");
  const parts = original.split(from);
  if (parts.length !== 2) throw new Error(`${rule}: its text stands ${parts.length - 1} times in ${file}`);
  writeFileSync(path, parts.join(to));
  try {
    return await countKills(folder);
  } finally {
    writeFileSync(path, original);
  }
}

/** Build the heap in a folder and replay the corpus there. A program that never ends, or crashes, has noticed too. */
async function countKills(folder) {
  await build({
    absWorkingDir: folder,
    entryPoints: { index: "src/index.ts", inspect: "src/inspect/index.ts", unsafe: "src/unsafe.ts" },
    outdir: "dist",
    bundle: true,
    splitting: true,
    format: "esm",
    minifySyntax: true,
    logLevel: "silent",
  });
  let killed = 0;
  let programs = 0;
  const corpus = join(root, "test/corpus");
  for (const name of readdirSync(corpus)) {
    const count = readFileSync(join(corpus, name), "utf8").trimEnd().split("\n").length;
    const { stdout } = spawnSync(process.execPath, ["oracle/check.mjs", join(corpus, name)], {
      cwd: folder,
      encoding: "utf8",
      timeout: 60_000,
    });
    const same = stdout.split("\n").filter((line) => line === "same").length;
    programs += count;
    killed += count - same;
  }
  return { killed, programs };
}
