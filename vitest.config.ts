import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // One heap reserves address space and some tests fill one: a process each keeps them apart.
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
