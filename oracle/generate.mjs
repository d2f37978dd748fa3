/** Random programs of the operation language. */
import { LibraryScenarios } from "./generate/library.mjs";
import { SCENARIOS } from "./generate/scenarios.mjs";
import { weigh } from "./generate/verbs.mjs";

/** What only a part of the programs do when nothing is said: all of it can be compared exactly. */
export const EVERYDAY_FEATURES = ["sets", "proxies", "weakcontainers", "finalize", "shutdown"];
export const FEATURES = ["freeze", "saveall", "deep", "typed", ...EVERYDAY_FEATURES];

/** @returns {object[]} a program */
export function generateProgram(seed, length, features = new Set()) {
  return new Generator(seed, length, features).run();
}

class Generator extends LibraryScenarios {
  constructor(seed, length, features) {
    super(seed, features);
    this.length = length;
    this.weights = [...weigh(features), ...this.libraryWeights()];
  }

  run() {
    const own = this.libraryScenarios();
    if (this.features.has("deep")) this.deepChain();
    while (this.program.length < this.length) {
      const choice = this.random();
      if (choice < 0.02 && this.features.has("deep")) this.deepChain();
      else if (choice < 0.05) this.island();
      else if (choice < 0.07 && this.features.has("freeze")) this.frozen();
      else if (choice < 0.12 && !this.isTyped) this[this.pick(SCENARIOS)]();
      else if (choice < 0.17 && own.length > 0) this[this.pick(own)]();
      else this.emit(this[this.pickWeighted(this.weights)]());
    }
    this.end();
    return this.program;
  }

  /** What is left tells of every earlier difference. */
  end() {
    for (const op of ["order", "garbage", "stats"]) this.emit({ op });
    if (!this.features.has("shutdown") || this.chance(0.3)) this.emit({ op: "collect" });
    this.emit({ op: "order" });
    if (this.features.has("shutdown") && this.chance(0.6)) this.lastFinalizers();
    if (this.features.has("shutdown") && this.chance(0.5)) this.apart();
    if (this.features.has("shutdown")) this.emit({ op: "shutdown", gc: this.chance(0.5) });
  }
}
