/**
 * Structures deeper than any stack die in the heap and in python3.11, and the orders of their deaths are compared by a hash:
 *
 *   node oracle/deep.mjs [--links 10000000] [--levels 1000000] [--every 10]
 *
 * One of so many links (`every`) has a finalizer, and one is watched. python3.11 takes about 1 GB for ten million links, and
 * several where each is watched. Without it on the PATH only the heap runs.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Heap } from "ouroheap";
import { runDeep } from "./deep-programs.mjs";
import { hasPython } from "./python.mjs";

const PROGRAM = fileURLToPath(new URL("python/deep.py", import.meta.url));
const { values: options } = parseArgs({
  options: {
    links: { type: "string", default: "10000000" },
    levels: { type: "string", default: "1000000" },
    every: { type: "string", default: "10" },
  },
});

function runInHeap(name, size) {
  const heap = Heap.create({ maximumBytes: 4 * 2 ** 30, checks: "off" });
  const told = runDeep(heap, name, size, Number(options.every));
  heap.shutdown();
  return told;
}

function runInPython(name, size) {
  const { stdout, status } = spawnSync(
    "python3.11",
    ["-I", "-S", "-B", PROGRAM, name, String(size), options.every],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  if (status !== 0) throw new Error(`deep.py ended with code ${status}`);
  return JSON.parse(stdout);
}

function show(who, { events, hash, built, died }) {
  const [build, death] = [built, died].map((time) => `${Math.round(time)} ms`.padStart(9));
  console.log(
    `  ${who.padEnd(10)} ${events} events, hash ${hash.toString(16)}, built in ${build}, died in ${death}`,
  );
}

const isCompared = hasPython();
for (const [name, text, size] of [
  ["chain", "a chain of links", Number(options.links)],
  ["nest", "nested lists", Number(options.levels)],
]) {
  console.log(`${text}: ${size} deep`);
  const ours = runInHeap(name, size);
  show("heap", ours);
  if (!isCompared) continue;
  const theirs = runInPython(name, size);
  show("python3.11", theirs);
  const isSame = ours.events === theirs.events && ours.hash === theirs.hash;
  console.log(isSame ? "  the same events in the same order" : "  DIFFERENT");
  if (!isSame) process.exitCode = 1;
}
