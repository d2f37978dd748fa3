/** `npm run -s integrations`: each program in a process of its own, one line each. `--json`, `--only name,name`, `--iterations n`. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

export const PROGRAMS = ["quickjs", "canvaskit", "sqljs", "tfjs", "tree-sitter", "pyodide"];
/** Far more than any of them takes: a hang is an outcome too. */
const TIMEOUT_MS = 300_000;

const { values } = parseArgs({
  options: { json: { type: "boolean" }, only: { type: "string" }, iterations: { type: "string" } },
});
const wanted = values.only?.split(",") ?? PROGRAMS;
for (const name of wanted)
  if (!PROGRAMS.includes(name)) fail(`There is no program ${name}. There are: ${PROGRAMS.join(", ")}.`);

let isAllOk = true;
for (const name of wanted) {
  const script = fileURLToPath(new URL(`${name}/program.mjs`, import.meta.url));
  const args = values.iterations === undefined ? [] : [values.iterations];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [script, ...args], {
    encoding: "utf8",
    timeout: TIMEOUT_MS,
  });
  if (status !== 0) {
    isAllOk = false;
    process.stderr.write(`${name}: ${error?.message ?? `exit ${status}`}\n${stderr}`);
    continue;
  }
  const line = stdout.trim().split("\n").at(-1);
  const result = JSON.parse(line);
  isAllOk &&= result.ok;
  console.log(values.json ? line : describe(result));
}
process.exitCode = isAllOk ? 0 : 1;

function describe({ library, version, iterations, counter, before, after, ok }) {
  return `${ok ? "ok  " : "LEAK"} ${library} ${version}: ${counter} ${before} -> ${after} after ${iterations} iterations`;
}

function fail(message) {
  console.error(message);
  process.exit(2);
}
