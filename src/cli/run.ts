/** `ouro run`: a program in a process of its own, watched from its first line. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainText } from "../inspect/escape.js";
import type { FunctionProfile } from "../inspect/line-profiler.js";
import { FOUND, json } from "./commands.js";
import type { Options } from "./options.js";
import { checkTrace, UsageError } from "./options.js";
import { here, type Output } from "./output.js";
import { type RunReport, runText } from "./run-report.js";
import { readWanted } from "./wanted.js";

/** Frames of a stack that are kept for each allocation. */
const FRAMES = "25";

/**
 * The program's own exit code if that is not 0; else 1 if it held anything at its end, else 0. Its output goes where it
 * would go without us.
 */
export async function run(options: Options, output: Output): Promise<number> {
  const [script, ...args] = options.operands;
  if (script === undefined) throw new UsageError("ouro run SCRIPT [ARGS]: which program?");
  if (!existsSync(script)) throw new UsageError(`ouro run: there is no ${script}.`);
  const trace = options.trace ?? checkTrace("OUROHEAP_TRACE", process.env.OUROHEAP_TRACE) ?? FRAMES;
  for (const name of options.profile)
    if (readWanted(name) === undefined)
      throw new UsageError(`--profile takes a FUNCTION, Class.method or FILE:FUNCTION, got ${name}.`);
  const folder = await mkdtemp(join(tmpdir(), "ouro-"));
  try {
    const code = await start(script, args, {
      OUROHEAP_TRACE: trace,
      OUROHEAP_REPORT: folder,
      OUROHEAP_PROFILE: JSON.stringify(options.profile),
    });
    const found = await readReports(folder);
    if (found.heaps.length === 0) {
      output.note("ouro: the program made no heap, or ended without its exit handlers.\n");
      return code;
    }
    output.write(options.json ? json(found) : runText(found, options.limit, here()));
    for (const { name, functions } of found.profiles)
      if (functions.length === 0)
        output.note(`ouro: no file of the program has a function ${plainText(name)}.\n`);
    if (code !== 0) return code;
    return found.heaps.some(({ held }) => held.count > 0) ? FOUND : 0;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function start(script: string, args: readonly string[], settings: NodeJS.ProcessEnv): Promise<number> {
  const watch = new URL("./ouro-watch.js", import.meta.url).href;
  const child = spawn(process.execPath, [...process.execArgv, "--import", watch, script, ...args], {
    stdio: "inherit",
    env: { ...process.env, ...settings },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    // A signal has no code: the shells' convention is 128 and the number, of which only one is told here.
    child.on("exit", (code) => resolve(code ?? 128));
  });
}

/** Of all threads and processes of the program, in no particular order. */
async function readReports(folder: string): Promise<RunReport> {
  const heaps: RunReport["heaps"][number][] = [];
  const profiles = new Map<string, FunctionProfile[]>();
  for (const name of await readdir(folder)) {
    const report = JSON.parse(await readFile(join(folder, name), "utf8")) as RunReport;
    heaps.push(...report.heaps);
    for (const { name, functions } of report.profiles)
      profiles.set(name, [...(profiles.get(name) ?? []), ...functions]);
  }
  return { heaps, profiles: [...profiles].map(([name, functions]) => ({ name, functions })) };
}
