/**
 * Builds dist/: JavaScript by esbuild, declarations by tsc.
 *
 * Bundled, because the heap's layout is some three hundred constants in one module, and an engine reads an imported
 * constant from memory each time: with the constants folded into the code, allocation and death take half as long
 * (docs/design/0002). Names and lines stay as they are, so that stacks read well.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const { engines } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));

/** Between these two stands the library, wherever bundlers put it (src/host/library-code.ts). */
const mark = (name) =>
  `(globalThis[Symbol.for("ouroheap.code")] ??= []).push({ ${name}: () => new Error() });`;

rmSync(`${root}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: {
    index: "src/index.ts",
    inspect: "src/inspect/index.ts",
    unsafe: "src/unsafe.ts",
    "eslint-plugin": "src/inspect/eslint-plugin.ts",
    vitest: "src/inspect/vitest.ts",
    ouro: "src/cli/ouro.ts",
    "ouro-watch": "src/cli/ouro-watch.ts",
  },
  outdir: "dist",
  external: ["vitest", "node:*"],
  bundle: true,
  splitting: true,
  format: "esm",
  target: `node${engines.node.replace(/[^\d.]/g, "")}`,
  minifySyntax: true,
  banner: { js: mark("begin") },
  footer: { js: mark("end") },
  sourcemap: true,
  logLevel: "warning",
});
// The one package of others that is bundled, into a chunk that `ouro run --profile` alone loads.
copyFileSync(`${root}node_modules/acorn/LICENSE`, `${root}dist/acorn.LICENSE`);
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
