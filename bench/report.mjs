/**
 * From a file of measures (`npm run bench -- --out docs/performance-data.jsonl`) to a table and a chart for people:
 * `npm run bench:report [-- data.jsonl [folder]]` writes performance-table.md and performance.svg, into docs if nothing else is said.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { drawChart } from "./lib/chart.mjs";

const docs = fileURLToPath(new URL("../docs", import.meta.url));
const [source = join(docs, "performance-data.jsonl"), folder = docs] = process.argv.slice(2);

const [machine, ...lines] = readFileSync(source, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

writeFileSync(join(folder, "performance-table.md"), makeTable());
writeFileSync(join(folder, "performance.svg"), drawChart(lines, machine));

function makeTable() {
  const versions = new Map();
  for (const { peer, peer_version } of lines) if (peer_version) versions.set(peer, peer_version);
  const peers = [...versions].map(([peer, version]) => `${peer}: ${version}`).join("; ");
  const skipped = new Map();
  for (const { peer, skipped: reason } of lines) if (reason) skipped.set(`${peer}: ${reason}`, true);
  const rows = lines.filter(({ ratio }) => ratio !== null && ratio !== undefined).map(makeRow);
  return `# Measures

Made by \`npm run bench\` and \`npm run bench:report\`; how each row is measured is in [bench/README.md](../bench/README.md). A ratio above 1 says
that we are ahead, below 1 that the peer is; ratios are medians of pairs within one run. Losses are **bold**.

${machine.date}, ${machine.machine}, Node ${machine.node}. ${peers}.
${skipped.size > 0 ? `\nNot there, or not able to: ${[...skipped.keys()].join("; ")}.\n` : ""}
| row | what | checks | ours | peer | its | ratio | floor | peak memory, ours / its |
| --- | --- | --- | ---: | --- | ---: | ---: | --- | ---: |
${rows.join("\n")}
`;
}

function makeRow(line) {
  const { bench, shape, checks = "", peer, unit, ratio } = line;
  const told = ratio < 1 ? `**${digits(ratio)}**` : digits(ratio);
  const cells = [
    bench,
    [shape, pauses(line)].filter(Boolean).join("; "),
    checks,
    amount(line.ours_ms, unit),
    peer,
    amount(line.peer_ms, unit),
    told,
    bound(line),
    memory(line),
  ];
  return `| ${cells.join(" | ")} |`;
}

function amount(value, unit) {
  return unit === "bytes" ? `${digits(value)} B` : `${digits(value)} ms`;
}

/** Three digits; never an exponent. */
function digits(value) {
  return String(Number(value >= 1000 ? Math.round(value) : value.toPrecision(3)));
}

/** A line may have a floor and a ceiling. */
function bound(line) {
  return [floorOf(line), ceilingOf(line)].filter(Boolean).join("; ");
}

function held(is) {
  return is ? "held" : "**broken**";
}
function floorOf({ floor, ratio }) {
  return floor === undefined ? "" : `${digits(floor)}, ${held(ratio >= floor)}`;
}

function ceilingOf({ ceiling, ceiling_ms, ceiling_ns, ours_ms, ours_ns }) {
  if (ceiling !== undefined) return `at most ${ceiling} B, ${held(ours_ms <= ceiling)}`;
  if (ceiling_ms !== undefined) return `at most ${ceiling_ms} ms, ${held(ours_ms <= ceiling_ms)}`;
  if (ceiling_ns !== undefined) return `at most ${ceiling_ns} ns, ${held(ours_ns <= ceiling_ns)}`;
  return "";
}

function memory({ ours_peak_bytes, peer_peak_bytes }) {
  if (ours_peak_bytes === undefined) return "";
  const mib = (bytes) => (bytes === undefined ? "?" : Math.round(bytes / 2 ** 20));
  return `${mib(ours_peak_bytes)} / ${mib(peer_peak_bytes)} MiB`;
}

function pauses({ ours_pauses_ms: ours, peer_pauses_ms: theirs }) {
  if (ours === undefined || theirs === undefined) return "";
  const told = ["p50", "p99", "p999", "max"].map(
    (name) => `${name} ${digits(ours[name])} / ${digits(theirs[name])}`,
  );
  return `pauses ${told.join(", ")} ms`;
}
