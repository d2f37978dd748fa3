/**
 * The guard against losing speed: `npm run bench:guard`. A short set of rows is measured, and each ratio is compared with the one
 * in floors.json. Ratios of one run are compared, never milliseconds, so the machine hardly matters; a line that is
 * below its floor by more than the tolerance, three times in a row, is a loss, and the exit code is 1.
 *
 *   --only id,id     only these rows
 *   --times x        as if every floor were x times as high: with 1000 the guard must fail
 *   --update         measure three times and write the medians to floors.json, where they are to be read over
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { median } from "./lib/measure.mjs";
import { askOnlyFor } from "./lib/peers.mjs";
import { loadJobs } from "./lib/rows.mjs";

const FILE = new URL("floors.json", import.meta.url);
const ATTEMPTS = 3;

const { values: options } = parseArgs({
  options: { only: { type: "string" }, times: { type: "string" }, update: { type: "boolean" } },
});
const times = Number(options.times ?? 1);
const guarded = JSON.parse(readFileSync(FILE, "utf8"));
const jobs = await loadJobs();

const wanted = new Set(options.only?.split(",") ?? Object.keys(guarded.rows));
const unknown = [...wanted].filter((id) => guarded.rows[id] === undefined);
if (unknown.length > 0) {
  console.error(
    `The guard knows no ${unknown.join(", ")}; it knows ${Object.keys(guarded.rows).join(", ")}.`,
  );
  process.exitCode = 2;
} else if (options.update) await update();
else await guard();

async function guard() {
  const losses = [];
  for (const id of wanted) losses.push(...(await guardRow(id)));
  if (losses.length === 0) return;
  console.error(`\nLost, ${ATTEMPTS} times in a row:\n${losses.join("\n")}`);
  process.exitCode = 1;
}

/**
 * Measure a row until every line of it has held once, or as often as is allowed.
 * @returns in words, the lines that were low each time
 */
async function guardRow(id) {
  const low = new Map(Object.entries(guarded.rows[id].floors));
  const words = new Map();
  for (let attempt = 1; attempt <= ATTEMPTS && low.size > 0; attempt++) {
    const ratios = await measure(id);
    for (const [name, floor] of [...low]) {
      const ratio = ratios.get(name);
      if (ratio === undefined) throw new Error(`${id} has no line "${name}" any more: mend floors.json.`);
      const least = floor * times * (1 - guarded.tolerance);
      words.set(name, `${id}, ${name}: ratio ${ratio ?? "-"}, at least ${Number(least.toPrecision(3))}`);
      const isLow = ratio !== null && ratio < least;
      console.log(`${isLow ? "LOW    " : ratio === null ? "skipped" : "held   "} ${words.get(name)}`);
      if (!isLow) low.delete(name);
    }
  }
  return [...low.keys()].map((name) => words.get(name));
}

async function update() {
  for (const id of wanted) {
    const runs = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) runs.push(await measure(id));
    const { floors } = guarded.rows[id];
    // Of a row without floors, all lines.
    const names = Object.keys(floors).length > 0 ? Object.keys(floors) : [...runs[0].keys()];
    guarded.rows[id].floors = Object.fromEntries(
      names.map((name) => [name, Number(median(runs.map((run) => run.get(name))).toPrecision(3))]),
    );
    console.log(id, guarded.rows[id].floors);
  }
  writeFileSync(FILE, `${JSON.stringify(guarded, null, 2)}\n`);
}

/** The ratios of a row, by what the line is called: shape, checks and peer; null for a peer that is not there. */
async function measure(id) {
  const { peers, settings } = guarded.rows[id];
  askOnlyFor(peers);
  const job = jobs.find(({ ids }) => ids.includes(id));
  const lines = await job.run(new Set([id]), settings);
  return new Map(
    lines.map(({ shape, checks, peer, ratio }) => [`${shape}, ${checks}, against ${peer}`, ratio]),
  );
}
