/**
 * import_and_create and small_program_10k: what a short program pays. Whole processes, each measured from outside or,
 * for the import, by itself.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { compare, expect, Samples } from "./lib/measure.mjs";
import { findPeer, isAskedFor, PYTHON } from "./lib/peers.mjs";
import { environment } from "./lib/sides.mjs";

const CHECKS = "handles";
const IMPORTS = 15;
const PROGRAMS = 15;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Run a whole process. @returns its text, and the milliseconds from its start to its end */
function runProcess(command, args) {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: environment });
  const ms = performance.now() - start;
  if (status !== 0) throw new Error(`${args.join(" ")} failed: ${stderr}`);
  return { ms, text: stdout.trim() };
}

const runNode = (program, ...args) => runProcess(process.execPath, [here(program), ...args]);

/** Every side in turn, `rounds` times, after one round that is dropped: files are in the system's cache then. */
function inTurns(sides, rounds) {
  const samples = new Samples();
  for (let round = -1; round < rounds; round++) {
    const order = round % 2 === 0 ? Object.keys(sides) : Object.keys(sides).reverse();
    for (const name of order) {
      const ms = sides[name]();
      if (round >= 0) samples.addOne(name, ms);
    }
  }
  return samples;
}

/** There is no library to compare with: the peer is the import of a module with nothing in it. */
const importAndCreate = {
  ids: ["import_and_create"],
  run() {
    const samples = inTurns(
      {
        ours: () => Number(runNode("./programs/import.mjs", "ouroheap").text),
        empty_module: () => Number(runNode("./programs/import.mjs", "./empty.mjs").text),
      },
      IMPORTS,
    );
    const row = {
      bench: "import_and_create",
      n: 1,
      shape: "import, first heap",
      checks: CHECKS,
      unit: "ms",
      ceiling_ms: 30,
    };
    return compare(row, samples, "ours", ["empty_module"]);
  },
};

const SMALL = { nodes: 10_000 };

const smallProgram = {
  ids: ["small_program_10k"],
  run(_wanted, settings = {}) {
    const answers = new Set();
    const peaks = {};
    const whole = (side, run) => () => {
      const { ms, text } = run();
      const [answer, peakKib] = text.split("\n");
      answers.add(answer);
      peaks[side] = Number(peakKib) * 1024;
      return ms;
    };
    const sides = {
      ours: whole("ours", () => runNode("./programs/small.mjs", String(SMALL.nodes))),
      v8: whole("v8", () => runNode("./programs/small-plain.mjs", String(SMALL.nodes))),
    };
    const python = findPeer(PYTHON);
    if (python.command !== undefined && isAskedFor(PYTHON)) {
      const program = here("./peers/small.py");
      sides[PYTHON] = whole(PYTHON, () =>
        runProcess(python.command, ["-I", "-S", program, String(SMALL.nodes)]),
      );
    }
    const samples = inTurns(sides, settings.rounds ?? PROGRAMS);
    expect("different answers of the small program", answers.size, 1);
    const row = {
      bench: "small_program_10k",
      n: SMALL.nodes,
      shape: "tree with parent links",
      checks: CHECKS,
      unit: "ms",
      floors: { [PYTHON]: 1 },
    };
    return compare(row, samples, "ours", [PYTHON, "v8"]).map((line) => ({
      ...line,
      ours_peak_bytes: peaks.ours,
      ...(peaks[line.peer] && { peer_peak_bytes: peaks[line.peer] }),
    }));
  },
};

export const jobs = [importAndCreate, smallProgram];
