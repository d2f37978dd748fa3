import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // One heap reserves address space and some tests fill one: a process each keeps them apart.
    pool: "forks",
    // On two cores Vitest takes one, which many tests leave idle while they wait for processes and threads.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // A collection of V8 can make a heap report a dropped handle while a worker is being closed. Sent through Vitest's
    // RPC, such a message fails the run after every test has passed (vitest-dev/vitest#11153), so it is not.
    disableConsoleIntercept: true,
    setupFiles: ["test/support/quiet.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
