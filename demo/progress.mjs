/** How far a load has come: a bar on a terminal, elsewhere a line for every tenth. */
import cliProgress from "cli-progress";
import { count, text } from "./print.mjs";

/** @typedef {{ update(done: number, nodeCount: number): void, stop(): void }} Progress */

/** @returns {Progress} */
export function startProgress() {
  return process.stdout.isTTY ? new Bar() : new Lines();
}

/** The same on a terminal; elsewhere nothing: those who read a log know by now how long it takes. @returns {Progress} */
export function startRepeatedProgress() {
  return process.stdout.isTTY ? new Bar() : { update() {}, stop() {} };
}

class Bar {
  #bar;

  constructor() {
    const format = `  loading {bar} {percentage} %   {nodes} nodes`;
    this.#bar = new cliProgress.SingleBar(
      { format, stream: process.stdout, clearOnComplete: true, hideCursor: true, barsize: 40 },
      cliProgress.Presets.shades_classic,
    );
    this.#bar.start(100, 0, { nodes: "0" });
  }

  update(done, nodeCount) {
    this.#bar.update(Math.floor(done * 100), { nodes: count(nodeCount) });
  }

  stop() {
    this.#bar.stop();
  }
}

class Lines {
  #tenths = 0;

  update(done, nodeCount) {
    const tenths = Math.floor(done * 10);
    if (tenths <= this.#tenths) return;
    this.#tenths = tenths;
    text(`loading ${String(tenths * 10).padStart(3)} %   ${count(nodeCount)} nodes`);
  }

  stop() {}
}
