/**
 * Records the corpus that `npm test` replays where there is no Python: programs with what python3.11 said of them.
 *
 *   node oracle/record.mjs
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EVERYDAY_FEATURES, generateProgram } from "./generate.mjs";
import { runPython } from "./python.mjs";

/** File by file: how many programs of which length, from which seed. Every fourth is typed. */
const FILES = {
  plain: { programs: 60, ops: 120, seed: 1, features: [] },
  freeze: { programs: 12, ops: 120, seed: 1001, features: ["freeze"] },
  saveall: { programs: 12, ops: 120, seed: 2001, features: ["saveall"] },
  deep: { programs: 12, ops: 30, seed: 3001, features: ["deep"] },
  sets: { programs: 16, ops: 100, seed: 4001, features: ["sets"] },
  proxies: { programs: 16, ops: 100, seed: 5001, features: ["proxies"] },
  weakcontainers: { programs: 24, ops: 100, seed: 6001, features: ["weakcontainers"] },
  finalize: { programs: 16, ops: 100, seed: 7001, features: ["finalize"] },
  shutdown: { programs: 30, ops: 60, seed: 8001, features: ["shutdown"] },
  bulk: { programs: 1, ops: 120, seed: 30017, features: EVERYDAY_FEATURES }, // what dies in bulk holds something else
  everyday: { programs: 16, ops: 120, seed: 9001, features: EVERYDAY_FEATURES },
};

const folder = fileURLToPath(new URL("../test/corpus", import.meta.url));
mkdirSync(folder, { recursive: true });
for (const [name, { programs, ops, seed, features }] of Object.entries(FILES)) {
  const lines = [];
  for (let number = 0; number < programs; number++) {
    const typed = number % 4 === 3;
    const program = generateProgram(seed + number, ops, new Set(typed ? [...features, "typed"] : features));
    lines.push(JSON.stringify({ seed: seed + number, typed, program, outcomes: await runPython(program) }));
  }
  writeFileSync(`${folder}/${name}.jsonl`, `${lines.join("\n")}\n`);
  console.log(`${name}: ${programs} programs`);
}
