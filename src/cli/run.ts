/** `ouro run`: a program in a process of its own, watched from its first line. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { FOUND, json } from "./commands.js";
import type { Options } from "./options.js";
import { UsageError } from "./options.js";
import type { Output } from "./output.js";
import { type RunReport, runText } from "./run-report.js";

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
  const folder = await mkdtemp(join(tmpdir(), "ouro-"));
  const file = join(folder, "report.json");
  try {
    const code = await start(script, args, file, options.trace ?? process.env.OUROHEAP_TRACE ?? FRAMES);
    const found = await readReport(file);
    if (found === undefined) {
      output.note("ouro: the program made no heap, or ended without its exit handlers.\n");
      return code;
    }
    output.write(
      options.json ? json(found) : runText(found, options.limit, pathToFileURL(process.cwd()).href),
    );
    if (code !== 0) return code;
    return found.heaps.some(({ held }) => held.count > 0) ? FOUND : 0;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function start(script: string, args: readonly string[], file: string, trace: string): Promise<number> {
  const watch = new URL("./ouro-watch.js", import.meta.url).href;
  const child = spawn(process.execPath, [...process.execArgv, "--import", watch, script, ...args], {
    stdio: "inherit",
    env: { ...process.env, OUROHEAP_TRACE: trace, OUROHEAP_REPORT: file },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    // A signal has no code: the shells' convention is 128 and the number, of which only one is told here.
    child.on("exit", (code) => resolve(code ?? 128));
  });
}

async function readReport(file: string): Promise<RunReport | undefined> {
  if (!existsSync(file)) return undefined;
  return JSON.parse(await readFile(file, "utf8")) as RunReport;
}
