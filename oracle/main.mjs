/**
 * Random programs in python3.11 and in a heap, whole event streams compared:
 *
 *   npm run oracle -- --programs 100 --ops 200 --seed 1 [--features freeze,deep]
 *
 *   npm run oracle -- --mutants    break one rule after the other and count the recorded programs that notice
 *
 * Every fourth program is typed, and every third one has the everyday features, sets to shutdown, if no others are named. The first difference is shrunk, written to a file and shown, and ends the run with exit
 * code 1. Without python3.11 on the PATH the command says so and exits with code 2.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { firstDifference, runHeap } from "./compare.mjs";
import { EVERYDAY_FEATURES, FEATURES, generateProgram } from "./generate.mjs";
import { runMutants } from "./mutants.mjs";
import { hasPython, runPython, runPythonAll, textOf } from "./python.mjs";

const { values: options } = parseArgs({
  options: {
    programs: { type: "string", default: "100" },
    ops: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    features: { type: "string", default: "" },
    verify: { type: "boolean", default: false },
    mutants: { type: "boolean", default: false },
  },
});
const wanted = options.features === "" ? [] : options.features.split(",");
const unknown = wanted.filter((feature) => !FEATURES.includes(feature));
if (unknown.length > 0) fail(`No such feature: ${unknown.join(", ")}. There are: ${FEATURES.join(", ")}.`);
if (options.mutants) process.exit(await runMutants());
if (!hasPython()) fail("python3.11 is not on the PATH.");

function fail(message) {
  console.error(message);
  process.exit(2);
}

/** Where a program differs from what python3.11 said of it; undefined if nowhere. */
function differenceTo(program, isTyped, theirs) {
  let ours;
  try {
    ours = runHeap(program, { typed: isTyped, verify: options.verify });
  } catch (error) {
    ours = [String(error?.stack ?? error)];
  }
  const index = firstDifference(ours, theirs);
  return index < 0 ? undefined : { index, ours, theirs };
}

async function differs(program, isTyped) {
  return differenceTo(program, isTyped, await runPython(program));
}

/** Leave out lines as long as what is left still differs. */
async function shrink(program, isTyped) {
  let current = program;
  for (let size = Math.ceil(current.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < current.length; ) {
      const candidate = [...current.slice(0, start), ...current.slice(start + size)];
      if (candidate.length > 0 && (await differs(candidate, isTyped)) !== undefined) current = candidate;
      else start += size;
    }
  }
  return current;
}

/** Programs that one python3.11 is given at a time. */
const BATCH = 50;

async function main() {
  const [programs, ops, seed] = [options.programs, options.ops, options.seed].map(Number);
  let operations = 0;
  for (let first = 0; first < programs; first += BATCH) {
    const batch = [];
    for (let number = first; number < Math.min(programs, first + BATCH); number++) {
      const isTyped = wanted.includes("typed") || number % 4 === 3;
      // Where nothing is asked for, every third program does everything that does not narrow another feature down.
      const everyday = options.features === "" && number % 3 === 2 ? EVERYDAY_FEATURES : [];
      const features = new Set([...wanted, ...everyday, ...(isTyped ? ["typed"] : [])]);
      batch.push({ seed: seed + number, isTyped, program: generateProgram(seed + number, ops, features) });
    }
    const told = await runPythonAll(batch.map(({ program }) => program));
    for (const [index, { seed: own, isTyped, program }] of batch.entries()) {
      operations += program.length;
      if (differenceTo(program, isTyped, told[index]) === undefined) continue;
      await showDifference(program, isTyped, own);
      process.exit(1);
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${first + batch.length} programs`);
  }
  console.log(`${programs} programs, ${operations} operations, 0 differences`);
}

async function showDifference(program, isTyped, seed) {
  const small = await shrink(program, isTyped);
  const { index, ours, theirs } = await differs(small, isTyped);
  const file = join(
    mkdtempSync(join(tmpdir(), "ouroheap-oracle-")),
    `${seed}${isTyped ? "-typed" : ""}.jsonl`,
  );
  writeFileSync(file, `${textOf(small)}\n`);
  console.log(`Program ${seed} differs; shrunk to ${small.length} lines in ${file}:\n${textOf(small)}`);
  console.log(`\nline ${index + 1}\n  heap:       ${ours[index]}\n  python3.11: ${theirs[index]}`);
}

await main();
