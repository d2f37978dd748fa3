/**
 * The benchmark suite: `npm run bench`, or `node bench/main.mjs` after a build.
 *
 *   --json           one line of JSON a measure, and nothing else, on stdout
 *   --out file       the same into a file, line by line; the table goes on to stdout
 *   --only id,id     only these rows; the longest run only when they are named
 *   --peers a,b      only beside these peers (v8, which some rows cannot do without, is always there)
 *   --list           the names of all rows
 *   --rounds, --seconds, --rate, --n   as much as this, in the rows that let themselves be told
 *
 * What each row models and how its ratio is made is in README.md beside this file.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { askOnlyFor } from "./lib/peers.mjs";
import { loadJobs } from "./lib/rows.mjs";
import { printHeader, printLine } from "./lib/table.mjs";

const SETTINGS = ["rounds", "seconds", "rate", "n"];
const text = { type: "string" };
const { values: options } = parseArgs({
  options: {
    json: { type: "boolean" },
    out: text,
    only: text,
    peers: text,
    list: { type: "boolean" },
    rounds: text,
    seconds: text,
    rate: text,
    n: text,
  },
});
const settings = Object.fromEntries(
  SETTINGS.filter((name) => options[name] !== undefined).map((name) => [name, Number(options[name])]),
);
if (options.peers !== undefined) askOnlyFor(options.peers.split(","));

const jobs = await loadJobs();
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
  if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(describeMachine())}\n`);
  for (const job of jobs) {
    if (!job.ids.some((id) => wanted.has(id))) continue;
    try {
      for (const line of await job.run(wanted, settings)) tell(line);
    } catch (error) {
      console.error(`${job.ids.join(", ")}:`, error);
      process.exitCode = 1;
    }
  }
}

function tell(line) {
  const json = JSON.stringify(line);
  if (options.out !== undefined) appendFileSync(options.out, `${json}\n`);
  if (options.json) console.log(json);
  else printLine(line);
}

/** The first line of a file of measures. */
function describeMachine() {
  const [{ model }] = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  return {
    machine: `${cpus().length} x ${model.trim()}, ${gib} GiB, ${platform()} ${arch()}`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
  };
}
