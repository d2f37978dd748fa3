/** The rows as people read them. */
const COLUMNS = [
  ["row", 26, (line) => line.bench],
  ["shape", 26, (line) => line.shape],
  ["checks", 8, (line) => line.checks],
  ["ours", 10, (line) => (line.ours_ms === null ? "-" : amount(line.ours_ms, line.unit))],
  ["peer", 14, (line) => line.peer ?? "-"],
  ["its", 10, (line) => (line.peer_ms === null ? "-" : amount(line.peer_ms, line.unit))],
  ["ratio", 7, (line) => (line.ratio === null ? "-" : line.ratio.toFixed(2))],
  ["floor", 0, floorText],
];

function amount(value, unit) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit === "bytes" ? "B" : "ms"}`;
}

/** A line may have both. */
function floorText(line) {
  if (line.skipped !== undefined) return `skipped: ${line.skipped}`;
  const floor =
    line.floor === undefined
      ? ""
      : `${Number(line.floor.toPrecision(3))}: ${line.ratio >= line.floor ? "held" : "BROKEN"}`;
  return [floor, ceilingText(line)].filter(Boolean).join("; ");
}

function ceilingText(line) {
  if (line.ceiling !== undefined)
    return `at most ${line.ceiling} B: ${line.ours_ms <= line.ceiling ? "held" : "BROKEN"}`;
  if (line.ceiling_ms !== undefined)
    return `at most ${line.ceiling_ms} ms: ${line.ours_ms <= line.ceiling_ms ? "held" : "BROKEN"}${line.bytes_ratio === undefined ? "" : `; ${line.bytes_ratio}x the heap's bytes`}`;
  if (line.ceiling_ns !== undefined)
    return `at most ${line.ceiling_ns} ns: ${line.ours_ns} ${line.ours_ns <= line.ceiling_ns ? "held" : "BROKEN"}`;
  return line.ours_ns === undefined ? "" : `${line.ours_ns} ns`;
}

const print = (cells) =>
  console.log(
    cells
      .map((cell, index) => cell.padEnd(COLUMNS[index][1]))
      .join(" ")
      .trimEnd(),
  );

export function printHeader() {
  print(COLUMNS.map(([title]) => title));
}

export function printLine(line) {
  print(COLUMNS.map(([, , text]) => text(line)));
}
