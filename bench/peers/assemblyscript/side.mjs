/** The half of a contest that AssemblyScript plays: programs.ts, compiled, with its own collector. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { targetsOf } from "../../lib/graphs.mjs";
import { expect, timed } from "../../lib/measure.mjs";

const [program, group, options] = process.argv.slice(2);
const abort = (_message, _file, line) => {
  throw new Error(`The program ended in line ${line}.`);
};
const { instance } = await WebAssembly.instantiate(readFileSync(program), { env: { abort } });
const wasm = instance.exports;

const groups = {
  trees: ({ depthMin }) => ({
    run(depthMax) {
      const { ms, result } = timed(() => wasm.trees(depthMin, depthMax));
      return { ms, nodes: result };
    },
  }),

  gcbench: ({ depths: { stretch, longLived, min, max }, arrayLength }) => ({
    run() {
      const { ms } = timed(() => wasm.gcbench(stretch, longLived, min, max, arrayLength));
      return { ms, result: [wasm.gcbenchTrees(), wasm.gcbenchNodes(), wasm.gcbenchValue()] };
    },
  }),

  collect({ shape, n }) {
    const collect = () => ({ ms: timed(wasm.__collect).ms });
    return {
      build() {
        const array = wasm.__pin(wasm.newTargets(3 * n));
        // A typed array is (buffer, first byte, bytes).
        const start = new Uint32Array(wasm.memory.buffer, array, 2)[1];
        new Int32Array(wasm.memory.buffer, start, 3 * n).set(targetsOf(shape, n));
        wasm.link(array);
        wasm.__unpin(array);
        wasm.__collect();
      },
      collect,
      drop() {
        expect("the root's value", wasm.rootValue(), 0.5);
        wasm.dropRoot();
        return collect();
      },
    };
  },

  build: ({ n }) => ({
    run() {
      const { ms } = timed(() => wasm.buildList(n));
      expect("their sum", wasm.sumList(), (n * n) / 2);
      wasm.dropList();
      wasm.__collect();
      return { ms, dropMs: 0 };
    },
  }),

  walk({ n }) {
    wasm.buildBalanced(n);
    wasm.buildList(n);
    const walks = { tree: wasm.sumTree, list: wasm.sumList };
    return {
      walk(shape) {
        const { ms, result } = timed(walks[shape]);
        expect(`sum of the ${shape}`, result, (n * n) / 2);
        return { ms };
      },
    };
  },
};

const steps = {
  /** The most memory that this process has had, Node's share of it included. */
  peak: () => ({ bytes: process.resourceUsage().maxRSS * 1024 }),
  ...groups[group](JSON.parse(options)),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [step, argument] = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(steps[step](argument) ?? {})}\n`);
}
