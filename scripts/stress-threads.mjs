/**
 * Threads on one heap, for as long as is wanted: readers, writers, collections, parcels, adopted values, weak references and finalizers, in
 * workers that come and go. At the end nothing may be alive, and no value disposed twice.
 *
 *   npm run stress:threads                                 ten minutes, and 1,000 kills
 *   npm run stress:threads -- --minutes 0.3 --kills 40
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, kills: { type: "string", default: "1000" } },
});
const minutes = Number(values.minutes);
const kills = Number(values.kills);
if (!(minutes >= 0) || !(kills >= 0))
  throw new Error(
    `--minutes and --kills are numbers of at least 0, got ${values.minutes} and ${values.kills}`,
  );

const folder = mkdtempSync(join(tmpdir(), "ouroheap-stress-"));
try {
  const threads = fileURLToPath(new URL("../test/threads/", import.meta.url));
  await build({
    entryPoints: { stress: `${threads}stress.ts`, worker: `${threads}stress-worker.ts` },
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    minifySyntax: true,
    sourcemap: "inline",
  });
  const { Stress } = await import(pathToFileURL(join(folder, "stress.mjs")).href);
  const start = performance.now();
  const say = (line) => console.log(`${((performance.now() - start) / 1000).toFixed(1)} s: ${line}`);
  const stress = new Stress({ program: join(folder, "worker.mjs"), minutes, kills, say });
  await stress.kill(kills);
  await stress.mix(minutes);
  await stress.finish();
  say(stress.summary());
  if (stress.failures.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
