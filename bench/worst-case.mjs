/**
 * The longest single call of each public verb, where the worst case is provoked; what the default thresholds cost; what `gc.freeze`
 * and the adaptive policy save: the tables of docs/worst-case.md. `node bench/worst-case.mjs`, after a build.
 *
 *   --only part,part   only these parts
 *   --rounds n         how often each part runs, in a process of its own each time (default 3)
 *   --help             the names of the parts
 */
import { execFileSync } from "node:child_process";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "./lib/measure.mjs";
import { environment } from "./lib/sides.mjs";
import { ADAPTIVE_PROGRAMS } from "./worst-case/adaptive.mjs";

/** The file in bench/worst-case that a part is in. */
const VERBS = {
  objects: "objects",
  containers: "containers",
  owning: "owning",
  collector: "collector",
  copying: "copying",
  ending: "copying",
  watchedEnding: "copying",
};
const FILES = { ...VERBS, thresholds: "policy", freezing: "policy", adaptive: "adaptive" };
const CHURNS = {
  temporary: "garbage at once",
  cached: "in a cache of 100,000, each pair refers to a loaded node",
};
/** Of ten million objects, which take a while, fewer rounds. */
const ROUNDS_10M = 1;

/** The most memory that a child has had. */
let peakBytes = 0;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string" }, rounds: { type: "string" }, help: { type: "boolean" } },
});
if (positionals.length > 0) await measure(...positionals);
else if (options.help) console.log(Object.keys(FILES).join("\n"));
else report(options.only?.split(",") ?? Object.keys(FILES), Number(options.rounds ?? 3));

/** The child: one part, in this process. */
async function measure(part, parameters) {
  const { [part]: run } = await import(`./worst-case/${FILES[part]}.mjs`);
  const result = await run(...JSON.parse(parameters));
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  process.stdout.write(JSON.stringify({ result, peakBytes }));
}

function inProcess(part, ...parameters) {
  const args = [
    "--expose-gc",
    "--max-old-space-size=3000",
    "--single-threaded", // time of the process is what is measured
    fileURLToPath(import.meta.url),
    part,
    JSON.stringify(parameters),
  ];
  const { result, peakBytes: peak } = JSON.parse(
    execFileSync(process.execPath, args, { encoding: "utf8", env: environment, maxBuffer: 2 ** 26 }),
  );
  peakBytes = Math.max(peakBytes, peak);
  return result;
}

function times(rounds, run) {
  return Array.from({ length: rounds }, (_, round) => run(round));
}

function report(wanted, rounds) {
  const start = performance.now();
  const load = loadavg()[0];
  const verbs = Object.keys(VERBS).filter((part) => wanted.includes(part));
  if (verbs.length > 0) {
    printRow(
      "verb",
      "cost",
      "worst case provoked by",
      "heap",
      "calls",
      "median call",
      "longest",
      "of all rounds",
    );
    printRow(...Array(8).fill("---"));
    for (const part of verbs) printVerbs(times(rounds, () => inProcess(part)));
  }
  if (wanted.includes("thresholds")) printThresholds(rounds);
  if (wanted.includes("freezing")) printFreezing(rounds);
  if (wanted.includes("adaptive")) printAdaptive(rounds);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(
    `\nNode ${process.version}, ${rounds} rounds, ${seconds} s, load ${load.toFixed(1)} to ${loadavg()[0].toFixed(1)}, ` +
      `at most ${size(peakBytes)} a process.`,
  );
}

/** @param runs the rows of one part, a list each round */
function printVerbs(runs) {
  for (const [index, { verb, cost, by, calls, heapBytes }] of runs[0].entries()) {
    const same = runs.map((rows) => rows[index]);
    const longest = same.map(({ longestMs }) => longestMs);
    printRow(
      verb,
      cost,
      by,
      size(heapBytes),
      calls.toLocaleString("en"),
      calls === 1 ? "" : duration(median(same.map(({ medianMs }) => medianMs))),
      duration(median(longest)),
      duration(Math.max(...longest)),
    );
  }
}

function printThresholds(rounds) {
  const small = times(rounds, () => inProcess("thresholds", [0, 1, 2, 3]));
  const large = times(Math.min(rounds, ROUNDS_10M), () => inProcess("thresholds", [4]));
  console.log();
  printRow(
    "live objects",
    "heap",
    "collections",
    "whole",
    "in collections",
    "share",
    "longest",
    "whole, `gc.disable()`",
    "on / off",
  );
  printRow(...Array(9).fill("---"));
  for (const runs of [...small[0].keys()].map((i) => small.map((rows) => rows[i])).concat([large.flat()])) {
    const of = (value) => median(runs.map(value));
    const { n, times: often, on } = runs[0];
    printRow(
      `${n.toLocaleString("en")}${often > 1 ? `, ${often.toLocaleString("en")} times` : ""}`,
      size(on.heapBytes),
      on.collections.join(" + "),
      duration(of(({ on }) => on.wholeMs)),
      duration(of(({ on }) => on.inCollectionsMs)),
      percent(of(({ on }) => on.inCollectionsMs / on.wholeMs)),
      duration(of(({ on }) => on.longestMs)),
      duration(of(({ off }) => off.wholeMs)),
      of(({ on, off }) => on.wholeMs / off.wholeMs).toFixed(2),
    );
  }
}

function printFreezing(rounds) {
  console.log();
  printRow(
    "five million objects, in cyclic pairs",
    "loaded million",
    "collections",
    "whole",
    "in collections",
    "longest",
    "not frozen / frozen",
  );
  printRow(...Array(7).fill("---"));
  for (const [churn, words] of Object.entries(CHURNS)) {
    const runs = times(rounds, (round) => {
      const order = round % 2 === 0 ? [false, true] : [true, false];
      const both = order.map((isFrozen) => inProcess("freezing", churn, isFrozen));
      return both.sort((a, b) => a.isFrozen - b.isFrozen);
    });
    const ratio = median(runs.map(([plain, frozen]) => plain.inCollectionsMs / frozen.inCollectionsMs));
    for (const side of [0, 1]) {
      const of = (name) => median(runs.map((both) => both[side][name]));
      const { collections, isFrozen } = runs[0][side];
      printRow(
        words,
        isFrozen ? "frozen" : "not frozen",
        collections.join(" + "),
        duration(of("wholeMs")),
        duration(of("inCollectionsMs")),
        duration(of("longestMs")),
        isFrozen ? ratio.toFixed(2) : "",
      );
    }
  }
}

function printAdaptive(rounds) {
  console.log();
  printRow(
    "program",
    "collections, python",
    "adaptive",
    "time in them, python",
    "adaptive",
    "python / adaptive",
    "longest, python",
    "adaptive",
    "most bytes, python",
    "adaptive",
  );
  printRow(...Array(10).fill("---"));
  for (const { name, text } of ADAPTIVE_PROGRAMS) {
    const runs = times(name.endsWith("10M") ? Math.min(rounds, ROUNDS_10M) : rounds, (round) => {
      const order = round % 2 === 0 ? ["python", "adaptive"] : ["adaptive", "python"];
      return Object.fromEntries(order.map((policy) => [policy, inProcess("adaptive", name, policy)]));
    });
    const both = (tell) =>
      ["python", "adaptive"].map((policy) => tell((value) => median(runs.map((run) => value(run[policy])))));
    printRow(
      text,
      ...["python", "adaptive"].map((policy) => runs[0][policy].collections.join(" + ")),
      ...both((of) => duration(of(({ inCollectionsMs }) => inCollectionsMs))),
      median(runs.map(({ python, adaptive }) => python.inCollectionsMs / adaptive.inCollectionsMs)).toFixed(
        2,
      ),
      ...both((of) => duration(of(({ longestMs }) => longestMs))),
      ...both((of) => size(of(({ mostBytes }) => mostBytes))),
    );
  }
}

// -- text ---------------------------------------------------------------------------------------

function printRow(...cells) {
  console.log(`| ${cells.join(" | ")} |`);
}

function duration(ms) {
  if (ms === 0) return "0";
  if (ms < 0.001) return `${Number((ms * 1e6).toPrecision(2))} ns`;
  const [value, unit] = ms < 1 ? [ms * 1000, "µs"] : ms < 1000 ? [ms, "ms"] : [ms / 1000, "s"];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

function size(bytes) {
  return bytes === 0 ? "" : `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`;
}

function percent(share) {
  return `${(share * 100).toFixed(0)} %`;
}
