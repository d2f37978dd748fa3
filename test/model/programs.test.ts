/** Random programs, run on a heap and on a model of it, and compared after every step. */
import fc from "fast-check";
import { describe, it } from "vitest";
import { programs } from "./commands.js";
import { parameters, runs } from "./runs.js";
import { Session, STARTERS_MAX } from "./session.js";

function runPrograms(isAutomatic: boolean, numRuns: number): void {
  fc.assert(
    fc.property(fc.nat(STARTERS_MAX), programs(70), (startingObjects, commands) => {
      const session = new Session({ isAutomatic, startingObjects });
      try {
        fc.modelRun(() => ({ model: session.graph, real: session }), commands);
        session.finish();
      } finally {
        session.close();
      }
    }),
    parameters(numRuns, isAutomatic ? 1 : 0),
  );
}

describe("a heap does what the model does", () => {
  it("when only the program collects", () => {
    runPrograms(false, runs(120));
  });

  it("when allocations collect", () => {
    runPrograms(true, runs(120));
  });
});
