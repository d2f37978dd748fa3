/** python3.11 running oracle.py. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const ORACLE = fileURLToPath(new URL("oracle.py", import.meta.url));

export function hasPython() {
  return spawnSync("python3.11", ["--version"]).status === 0;
}

export function textOf(program) {
  return program.map((operation) => JSON.stringify(operation)).join("\n");
}

/** What python3.11 says of a program, a line an operation. @returns {Promise<string[]>} */
export async function runPython(program) {
  return (await runPythonAll([program]))[0];
}

/** The same for several programs, each from the start. @returns {Promise<string[][]>} */
export function runPythonAll(programs) {
  return new Promise((resolve, reject) => {
    const child = spawn("python3.11", ["-I", "-S", "-B", ORACLE], { stdio: ["pipe", "pipe", "inherit"] });
    const chunks = [];
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) reject(new Error(`oracle.py ended with code ${code}`));
      else resolve(split(Buffer.concat(chunks).toString()));
    });
    child.stdin.on("error", () => {});
    child.stdin.end(programs.map((program) => `${textOf(program)}\n${SEPARATOR}\n`).join(""));
  });
}

const SEPARATOR = "---";

function split(text) {
  const parts = text.split(`${SEPARATOR}\n`).slice(0, -1);
  return parts.map((part) => part.trimEnd().split("\n"));
}
