/**
 * The benchmark suite: `npm run bench`, or `node bench/main.mjs` after a build.
 *
 *   --json           one line of JSON a measure, and nothing else, on stdout
 *   --only id,id     only these rows; the longest run only when they are named
 *   --list           the names of all rows
 *
 * What each row models and how its ratio is made is in README.md beside this file.
 */
import { parseArgs } from "node:util";
import { printHeader, printLine } from "./lib/table.mjs";

const GROUPS = ["collect", "trees", "build", "walk", "bytes", "own", "trace", "inspect", "image", "start"];

const { values: options } = parseArgs({
  options: { json: { type: "boolean" }, only: { type: "string" }, list: { type: "boolean" } },
});

const groups = await Promise.all(GROUPS.map((group) => import(`./${group}.mjs`)));
const jobs = groups.flatMap((group) => group.jobs);
const ids = jobs.flatMap((job) => job.ids);

const usual = jobs.filter((job) => !job.isOnlyNamed).flatMap((job) => job.ids);
const wanted = new Set(options.only === undefined ? usual : options.only.split(","));
const unknown = [...wanted].filter((id) => !ids.includes(id));

if (options.list) console.log(ids.join("\n"));
else if (unknown.length > 0) {
  console.error(`No such row: ${unknown.join(", ")}. The rows are:\n${ids.join("\n")}`);
  process.exitCode = 2;
} else await runAll();

async function runAll() {
  if (!options.json) printHeader();
  for (const job of jobs) {
    if (!job.ids.some((id) => wanted.has(id))) continue;
    try {
      for (const line of await job.run(wanted)) {
        if (options.json) console.log(JSON.stringify(line));
        else printLine(line);
      }
    } catch (error) {
      console.error(`${job.ids.join(", ")}:`, error);
      process.exitCode = 1;
    }
  }
}
