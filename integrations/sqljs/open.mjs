/** sql.js and the memory of its WASM module, which is the one place where a forgotten database shows. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import initSqlJs from "sql.js";
import { mallocInUse } from "../lib/malloc.mjs";

const require = createRequire(import.meta.url);

/** The counter's name, for the outcome lines. */
export const COUNTER = "bytes that malloc has given out in sql.js's memory";
/** The package exports its dist folder and nothing else. */
export const { version } = require(`${dirname(require.resolve("sql.js"))}/../package.json`);

let opened;

/**
 * sql.js makes one module a process, so this is one too.
 * @returns {Promise<{ SQL: import("sql.js").SqlJsStatic, bytesInUse: () => number }>}
 */
export function openSqlJs() {
  opened ??= open();
  return opened;
}

async function open() {
  const module = await WebAssembly.compile(await readFile(require.resolve("sql.js/dist/sql-wasm.wasm")));
  let memory;
  const SQL = await initSqlJs({
    // Emscripten's hook for who instantiates the module himself: the only way to its memory in this build.
    instantiateWasm(imports, onDone) {
      const instance = new WebAssembly.Instance(module, imports);
      memory = Object.values(instance.exports).find((item) => item instanceof WebAssembly.Memory);
      onDone(instance);
      return instance.exports;
    },
  });
  return { SQL, bytesInUse: () => mallocInUse(memory.buffer).bytes };
}
