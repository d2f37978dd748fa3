/** The guard of CI against losing speed: it holds where nothing is lost, and fails where something is. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const GUARD = fileURLToPath(new URL("../bench/guard.mjs", import.meta.url));

/** The cheapest row, and one that does not depend on how busy the machine is. */
const ROW = "bytes_per_object";

function guard(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [GUARD, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("bench/guard.mjs", () => {
  it("holds where no ratio is below its floor", () => {
    const { status, stdout, stderr } = guard("--only", ROW);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^held {4}bytes_per_object, .*, against v8: ratio 1\.\d+, at least/);
    expect(status).toBe(0);
  });

  it("fails where one is, but only after it has measured three times", () => {
    const { status, stdout, stderr } = guard("--only", ROW, "--times", "1000");
    expect(stdout.match(/^LOW {5}bytes_per_object/gm)).toHaveLength(3);
    expect(stderr).toMatch(/Lost, 3 times in a row:\nbytes_per_object, .*: ratio/);
    expect(status).toBe(1);
  });

  it("refuses rows that it does not know", () => {
    const { status, stderr } = guard("--only", "nothing");
    expect(stderr).toContain("The guard knows no nothing; it knows");
    expect(status).toBe(2);
  });
});
