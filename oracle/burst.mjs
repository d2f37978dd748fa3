/**
 * The automatic trigger against python3.11: random thresholds, which generation at which allocation.
 *
 *   node oracle/burst.mjs --settings 200 --seed 1
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { randomFrom } from "./random.mjs";
import { Replay } from "./session.mjs";

const ORACLE = fileURLToPath(new URL("oracle.py", import.meta.url));
const { values: options } = parseArgs({
  options: { settings: { type: "string", default: "200" }, seed: { type: "string", default: "1" } },
});

function randomSetting(random) {
  const pick = (items) => items[Math.floor(random() * items.length)];
  const below = (limit) => Math.floor(random() * limit);
  const thr = [
    pick([0, -1, 1, 2, 5, 17, 100, 700, below(1000), below(60)]),
    pick([0, 1, 2, 10, below(15), -1]),
    pick([0, 1, 3, 10, below(12)]),
  ];
  return { op: "burst", n: 200 + below(6000), thr, keep: random() < 0.7 };
}

const random = randomFrom(Number(options.seed));
let differences = 0;
for (let number = 0; number < Number(options.settings); number++) {
  const setting = randomSetting(random);
  const { stdout, status } = spawnSync("python3.11", ["-I", "-S", "-B", ORACLE], {
    input: `${JSON.stringify(setting)}\n`,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`oracle.py ended with code ${status}`);
  const { r: theirs } = JSON.parse(stdout);
  const line = JSON.stringify({ ...setting, c0: theirs.c0, total: theirs.total ?? 0 });
  const { r: ours } = new Replay().runLine(line, 0);
  if (ours.gens === theirs.gens) continue;
  differences++;
  console.log(
    `${line}\n  heap:       ${ours.gens.slice(0, 200)}\n  python3.11: ${theirs.gens.slice(0, 200)}`,
  );
}
console.log(`${options.settings} settings, ${differences} differences`);
process.exitCode = differences === 0 ? 0 : 1;
