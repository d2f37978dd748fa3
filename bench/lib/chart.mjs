/**
 * The measures as one picture (SVG): a line for each measure, a dot for each peer at its ratio, on a logarithmic scale with a line at
 * 1. Left of it the peer is ahead: those dots are filled with the colour of losses.
 */

const ROW_HEIGHT = 18;
const LABEL_WIDTH = 330;
const PLOT_WIDTH = 560;
const RIGHT = 30;
const TOP = 96;
const BOTTOM = 34;

/** Shapes tell the peers apart, colours tell who is ahead. */
const MARKS = {
  v8: "circle",
  "python3.11": "square",
  php: "triangle",
  go: "diamond",
  quickjs: "cross",
  "quickjs-wasm": "cross",
  assemblyscript: "star",
};
/** Beyond these a dot stands at the edge. */
const LEAST = 0.05;
const MOST = 50;
const TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];

/** Variations of other rows: they are in the table. */
const LEFT_OUT = /_shuffled$|_ring_|_next20_/;

/** Lines that compare with nothing, or with ourselves, are not for this picture. */
const isShown = ({ bench, ratio, peer }) =>
  typeof ratio === "number" && Object.hasOwn(MARKS, peer) && !LEFT_OUT.test(bench);

export function drawChart(lines, machine) {
  const rows = groupLines(lines.filter(isShown));
  const height = TOP + rows.length * ROW_HEIGHT + BOTTOM;
  const width = LABEL_WIDTH + PLOT_WIDTH + RIGHT;
  const bottom = TOP + rows.length * ROW_HEIGHT;
  const peers = Object.keys(MARKS).filter((peer) =>
    rows.some(({ ratios }) => ratios.some((one) => one.peer === peer)),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>Ouroheap's time against its peers, as ratios</title>
<style>
  svg { --paper: #ffffff; --ink: #1f2328; --faint: #6e7781; --rule: #d8dee4; --win: #0969a2; --loss: #c2410c; background: var(--paper); }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #e6edf3; --faint: #9198a1; --rule: #30363d; --win: #58a6ff; --loss: #ff9a4d; }
  }
  text { font: 11px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 15px; font-weight: 600; }
  .faint { fill: var(--faint); }
  .rule { stroke: var(--rule); stroke-width: 1; }
  .one { stroke: var(--ink); stroke-width: 1.5; }
  .win { fill: var(--win); stroke: var(--win); }
  .loss { fill: var(--loss); stroke: var(--loss); }
  .win-text { fill: var(--win); }
  .loss-text { fill: var(--loss); }
  .key { fill: var(--faint); stroke: var(--faint); }
</style>
<rect width="100%" height="100%" fill="var(--paper)"/>
<text class="title" x="12" y="24">A peer’s time / our time (bytes_per_object: bytes)</text>
<text class="faint" x="12" y="42">${asText(`${machine.machine}; Node ${machine.node}; ${machine.date}`)}</text>
${drawKey(peers, 12, 62)}
<text x="${x(1) - 8}" y="${TOP - 22}" text-anchor="end" class="loss-text">the peer is ahead</text>
<text x="${x(1) + 8}" y="${TOP - 22}" class="win-text">we are ahead</text>
${TICKS.map((tick) => drawTick(tick, bottom)).join("\n")}
${rows.map((row, index) => drawRow(row, TOP + index * ROW_HEIGHT + ROW_HEIGHT / 2)).join("\n")}
</svg>
`;
}

/** One row for each measure, in the order of the suite; the mode of our heap is named where a measure was taken in several. */
function groupLines(lines) {
  const rows = new Map();
  for (const { bench, shape, checks, peer, ratio } of lines) {
    const label = `${bench}: ${shape.replace(/, \d+ alive$/, "")}`;
    const name = `${label}${modesOf(lines, bench, shape).length > 1 ? ` (checks: ${checks})` : ""}`;
    if (!rows.has(name)) rows.set(name, { name, ratios: [] });
    rows.get(name).ratios.push({ peer, ratio });
  }
  return [...rows.values()];
}

const modesOf = (lines, bench, shape) => [
  ...new Set(
    lines.filter((line) => line.bench === bench && line.shape === shape).map(({ checks }) => checks),
  ),
];

function x(ratio) {
  const share = Math.log(Math.min(MOST, Math.max(LEAST, ratio)) / LEAST) / Math.log(MOST / LEAST);
  return round(LABEL_WIDTH + share * PLOT_WIDTH);
}

function drawTick(tick, bottom) {
  const at = x(tick);
  const name = tick === LEAST ? `${tick} or less` : tick === MOST ? `${tick}+` : tick;
  const labels = [TOP - 6, bottom + 16].map(
    (y) => `<text x="${at}" y="${y}" text-anchor="middle" class="faint">${name}</text>`,
  );
  return `<line x1="${at}" y1="${TOP}" x2="${at}" y2="${bottom}" class="${tick === 1 ? "one" : "rule"}"/>${labels.join("")}`;
}

function drawRow({ name, ratios }, y) {
  const marks = ratios.map(({ peer, ratio }) => {
    const tip = `<title>${asText(`${name}, ${peer}: ${ratio}`)}</title>`;
    return `<g class="${ratio < 1 ? "loss" : "win"}">${tip}${drawMark(MARKS[peer], x(ratio), y)}</g>`;
  });
  return `<line x1="${LABEL_WIDTH}" y1="${y}" x2="${LABEL_WIDTH + PLOT_WIDTH}" y2="${y}" class="rule" stroke-dasharray="1 3"/>
<text x="${LABEL_WIDTH - 10}" y="${y + 4}" text-anchor="end">${asText(name)}</text>${marks.join("")}`;
}

function drawKey(peers, left, y) {
  let at = left;
  const keys = peers.map((peer) => {
    const drawn = `<g class="key">${drawMark(MARKS[peer], at + 5, y - 4)}</g><text x="${at + 15}" y="${y}">${peer}</text>`;
    at += 34 + peer.length * 6.5;
    return drawn;
  });
  return keys.join("");
}

function drawMark(shape, cx, cy) {
  const polygon = (points) =>
    `<polygon points="${points.map(([dx, dy]) => `${round(cx + dx)},${round(cy + dy)}`).join(" ")}"/>`;
  switch (shape) {
    case "circle":
      return `<circle cx="${cx}" cy="${cy}" r="4"/>`;
    case "square":
      return `<rect x="${round(cx - 3.6)}" y="${round(cy - 3.6)}" width="7.2" height="7.2"/>`;
    case "triangle":
      return polygon([
        [0, -4.6],
        [4.4, 3.4],
        [-4.4, 3.4],
      ]);
    case "diamond":
      return polygon([
        [0, -5],
        [4, 0],
        [0, 5],
        [-4, 0],
      ]);
    case "star":
      return `<path d="M${cx} ${cy - 4.5}V${cy + 4.5}M${cx - 4.5} ${cy}H${cx + 4.5}" stroke-width="2" fill="none"/>`;
    default:
      return `<path d="M${cx - 3.5} ${cy - 3.5}L${cx + 3.5} ${cy + 3.5}M${cx - 3.5} ${cy + 3.5}L${cx + 3.5} ${cy - 3.5}" stroke-width="2" fill="none"/>`;
  }
}

const round = (value) => Math.round(value * 10) / 10;
const asText = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.codePointAt(0)};`);
