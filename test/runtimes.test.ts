/** Sharing a heap with a worker, in Node and, where they are on the PATH, in Deno and Bun. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const PROGRAM = fileURLToPath(new URL("runtimes/threads.mjs", import.meta.url));
const RUNTIMES: [string, string, string[]][] = [
  ["Node", process.execPath, []],
  ["Deno", "deno", ["run", "-A"]],
  ["Bun", "bun", []],
];

it.for(RUNTIMES)("%s: shared, timed out, repaired after a dead worker", ([, command, args], context) => {
  const { status, stdout, stderr, error } = spawnSync(command, [...args, PROGRAM], { encoding: "utf8" });
  const isMissing = (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
  if (isMissing && command !== process.execPath) context.skip(`${command} is not on the PATH`);
  expect(stderr).toBe("");
  expect(stdout.trim().split("\n")).toEqual([
    'LOCK_TIMEOUT: "worker"',
    "135000 2",
    'repaired after "worker"',
    "Bern,Chur",
    "0 objects left",
  ]);
  expect(status).toBe(0);
});
