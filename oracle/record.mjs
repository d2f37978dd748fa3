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

/** Programs that once differed, shrunk; and those that tell a rule which random ones seldom meet. */
const FOUND = [
  // A weak reference was called, lives on, and stands behind its callback.
  {
    typed: false,
    program: [
      { op: "new", name: "f0", kind: "fin", items: [], do: [["collect", 0]] },
      { op: "new", name: "t1", kind: "tuple", items: [{ n: "f0" }] },
      { op: "new", name: "n2", kind: "node", items: [] },
      { op: "set", obj: "f0", key: "s0", val: { n: "t1" } },
      { op: "weakref", name: "w4", target: "f0", cb: { n: "n2" } },
      { op: "drop", name: "f0" },
      { op: "drop", name: "t1" },
      { op: "drop", name: "n2" },
      { op: "collect", gen: 2 },
      { op: "collect" },
      { op: "order" },
    ],
  },
  // What frozen objects refer to stays where it is on their account, and behind them once they are back.
  {
    typed: true,
    program: [
      { op: "new", name: "n0", kind: "node", items: [] },
      { op: "freeze" },
      { op: "new", name: "n1", kind: "node", items: [] },
      { op: "set", obj: "n0", key: "s0", val: { n: "n1" } },
      { op: "drop", name: "n1" },
      { op: "collect", gen: 2 },
      { op: "unfreeze" },
      { op: "collect", gen: 2 },
      { op: "order" },
    ],
  },
  // A cycle that several full collections have seen alive.
  {
    typed: false,
    program: [
      ...Array.from({ length: 9 }, (_, i) => ({ op: "new", name: `n${i}`, kind: "node", items: [] })),
      { op: "set", obj: "n7", key: "s0", val: { n: "n8" } },
      { op: "set", obj: "n8", key: "s0", val: { n: "n7" } },
      { op: "collect", gen: 2 },
      { op: "drop", name: "n7" },
      { op: "collect", gen: 2 },
      { op: "drop", name: "n8" },
      { op: "collect", gen: 2 },
      { op: "order" },
    ],
  },
];

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
const found = [];
for (const { typed, program } of FOUND)
  found.push(JSON.stringify({ seed: 0, typed, program, outcomes: await runPython(program) }));
writeFileSync(`${folder}/found.jsonl`, `${found.join("\n")}\n`);
console.log(`found: ${found.length} programs`);
