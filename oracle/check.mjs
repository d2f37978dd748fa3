/** Replays recorded programs: `node check.mjs corpus.jsonl` prints a line for each, "same" or where it differs. */
import { readFileSync } from "node:fs";
import { firstDifference, runHeap } from "./compare.mjs";

for (const line of readFileSync(process.argv[2], "utf8").trimEnd().split("\n")) {
  const { seed, typed, program, outcomes } = JSON.parse(line);
  try {
    const difference = firstDifference(runHeap(program, { typed }), outcomes);
    console.log(difference < 0 ? "same" : `program ${seed} differs in line ${difference + 1}`);
  } catch (error) {
    console.log(`program ${seed} ended with ${error}`);
  }
}
