/** The report of the benchmarks: every measure in the table, losses marked, what is compared with peers in the chart. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const REPORT = fileURLToPath(new URL("../bench/report.mjs", import.meta.url));
const row = { bench: "gcbench", shape: "raw & fast", checks: "off", unit: "ms" };

const LINES = [
  { machine: "2 x Abacus", node: "v20.0.0", date: "2026-01-02" },
  {
    ...row,
    ours_ms: 100,
    peer: "v8",
    peer_ms: 50,
    ratio: 0.5,
    peer_version: "v20.0.0",
    floor: 0.75,
    ours_peak_bytes: 2 ** 21,
  },
  { ...row, ours_ms: 100, peer: "python3.11", peer_ms: 1234, ratio: 12.34, peer_version: "Python 3.11.7" },
  { ...row, ours_ms: 100, peer: "go", peer_ms: null, ratio: null, skipped: "go is not on the PATH" },
  { ...row, bench: "bytes", unit: "bytes", ours_ms: 44.2, peer: "v8", peer_ms: 72, ratio: 1.63, ceiling: 40 },
  { ...row, bench: "pool", ours_ms: 1, peer: "new_one", peer_ms: 2, ratio: 2, peer_version: "v20.0.0" },
];

it("makes a table and a chart", () => {
  const folder = mkdtempSync(join(tmpdir(), "ouroheap-report-"));
  const data = join(folder, "data.jsonl");
  writeFileSync(data, LINES.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const { status, stderr } = spawnSync(process.execPath, [REPORT, data, folder], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);

  const table = readFileSync(join(folder, "performance-table.md"), "utf8");
  expect(table).toContain("2026-01-02, 2 x Abacus, Node v20.0.0.");
  expect(table).toContain("Not there, or not able to: go: go is not on the PATH.");
  expect(
    table
      .split("\n")
      .filter((line) => line.startsWith("| "))
      .slice(2),
  ).toEqual([
    "| gcbench | raw & fast | off | 100 ms | v8 | 50 ms | **0.5** | 0.75, **broken** | 2 / ? MiB |",
    "| gcbench | raw & fast | off | 100 ms | python3.11 | 1234 ms | 12.3 |  |  |",
    "| bytes | raw & fast | off | 44.2 B | v8 | 72 B | 1.63 | at most 40 B, **broken** |  |",
    "| pool | raw & fast | off | 1 ms | new_one | 2 ms | 2 |  |  |",
  ]);

  const chart = readFileSync(join(folder, "performance.svg"), "utf8");
  const titles = [...chart.matchAll(/<g class="(win|loss)"><title>(.*?)<\/title>/g)].map(
    ([, side, title]) => `${side} ${title}`,
  );
  expect(titles).toEqual([
    "loss gcbench: raw &#38; fast, v8: 0.5",
    "win gcbench: raw &#38; fast, python3.11: 12.34",
    "win bytes: raw &#38; fast, v8: 1.63",
  ]);
});
