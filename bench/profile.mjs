/**
 * Where one side of a row spends its time: the functions in which the samples of V8's profiler fell, with their shares.
 *
 *     node --expose-gc bench/profile.mjs GROUP CONTENDER OPTIONS ROUNDS STEP[:ARGUMENT] ...
 *     node --expose-gc bench/profile.mjs build ours '{"checks":"off"}' 20 run
 *     node --expose-gc bench/profile.mjs walk raw '{}' 30 walk:'"tree"'
 *
 * Steps and arguments are those that the row's parent sends (lib/node-side.mjs). The contender's own warm-up, and one round
 * more, go before. A program that is measured from its start is profiled by Node: `node --cpu-prof`; `--file` prints such a profile.
 */
import { readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";

const ROWS = 12;
const INTERVAL_US = 250;

/** Microseconds by function, largest first; `file:line` is that of the bundle. */
function selfTimes({ nodes, samples, timeDeltas }) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map();
  for (const [index, id] of samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(id);
    const file = url
      .split("/")
      .pop()
      .replace(/^chunk-\w+\.js$/, "ouroheap");
    const name = `${functionName || "(anonymous)"}${file === "" ? "" : ` ${file}:${lineNumber + 1}`}`;
    times.set(name, (times.get(name) ?? 0) + Math.max(0, timeDeltas[index]));
  }
  return [...times].sort(([, a], [, b]) => b - a);
}

function print(profile, rounds) {
  const times = selfTimes(profile).filter(([name]) => name !== "(idle)");
  const total = times.reduce((sum, [, us]) => sum + us, 0);
  console.log(`${(total / 1000 / rounds).toFixed(1)} ms a round`);
  for (const [name, us] of times.slice(0, ROWS))
    console.log(`${((us / total) * 100).toFixed(1).padStart(5)} %  ${name}`);
}

async function profileSteps([group, contender, options, rounds, ...steps]) {
  const { contenders } = await import(`./${group}.mjs`);
  const side = await contenders[contender](JSON.parse(options));
  const run = async () => {
    for (const step of steps) {
      const [, name, argument] = /^(\w+)(?::(.*))?$/.exec(step);
      await side[name](JSON.parse(argument ?? "null"));
    }
  };
  await run();
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
  await session.post("Profiler.start");
  for (let round = 0; round < Number(rounds); round++) await run();
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  print(profile, Number(rounds));
}

const args = process.argv.slice(2);
if (args[0] === "--file") print(JSON.parse(readFileSync(args[1], "utf8")), 1);
else await profileSteps(args);
