/**
 * The peers that are not V8 itself: what each is called, how it is found, and how a side of it is started. A peer that is not
 * there is no error: its lines say why it was skipped.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const BUILD = here("../peers/.build");
const INSTALL = "run npm run bench:peers";

export const PYTHON = "python3.11";
export const PHP = "php";
export const GO = "go";
export const QUICKJS = "quickjs";
export const QUICKJS_WASM = "quickjs-wasm";
export const ASSEMBLYSCRIPT = "assemblyscript";
export const OBJECTBUFFER = "objectbuffer";

/**
 * `find` returns { version, command, args } or { skipped: why }; a side is started with those arguments, the group and its
 * options. A peer that is there and cannot be built is an error.
 */
const PEERS = {
  [PYTHON]: () => {
    // The interpreter itself: what is on the PATH may be a script that looks for one, and starting that takes time.
    const program = "import sys; print(sys.executable); print(sys.version.split()[0])";
    const text = outputOf("python3.11", ["-I", "-S", "-c", program]);
    if (text === null) return { skipped: "python3.11 is not on the PATH" };
    const [command, version] = text.split("\n");
    return { command, args: ["-I", "-S", here("../peers/side.py")], version: `Python ${version}` };
  },
  [PHP]: () => {
    const version = outputOf("php", ["-n", "-r", "echo PHP_VERSION;"]);
    if (version === null) return { skipped: "php is not on the PATH" };
    // PHP frees a chain of objects by recursion: with the usual stack it crashes where a list of a million is dropped.
    const start = 'ulimit -s unlimited; exec php -n -d memory_limit=-1 "$@"';
    const args = ["-c", start, "sh", here("../peers/php/side.php")];
    return { command: "sh", args, version: `PHP ${version}` };
  },
  [GO]: () => {
    const version = outputOf("go", ["version"]);
    if (version === null) return { skipped: "go is not on the PATH" };
    const program = `${BUILD}/go-side`;
    build("go", ["build", "-o", program, "."], here("../peers/go"));
    return { command: program, args: [], version: version.split(" ")[2] };
  },
  [QUICKJS]: () => {
    const help = outputOf("qjs", ["--help"], [0, 1]);
    if (help === null) return { skipped: "qjs is not on the PATH" };
    const args = ["--std", "--stack-size", "64000000", here("../peers/quickjs/native.js")];
    return { command: "qjs", args, version: help.split("\n")[0] };
  },
  [QUICKJS_WASM]: () =>
    inNode("quickjs-emscripten", "../peers/quickjs/side.mjs", (version) => `quickjs-emscripten ${version}`),
  [ASSEMBLYSCRIPT]: () => {
    const found = inNode("assemblyscript", "../peers/assemblyscript/side.mjs", (version) => `asc ${version}`);
    if (found.skipped !== undefined) return found;
    const compiler = here("../peers/node_modules/assemblyscript/bin/asc.js");
    const program = `${BUILD}/programs.wasm`;
    const options = ["-O3", "--noAssert", "--exportRuntime", "-o", program];
    build(process.execPath, [compiler, "programs.ts", ...options], here("../peers/assemblyscript"));
    return { ...found, args: [...found.args, program] };
  },
  [OBJECTBUFFER]: () =>
    inNode("@bnaya/objectbuffer", "../peers/objectbuffer/side.mjs", (version) => `objectbuffer ${version}`),
};

/** What a peer has no means to do, by group. */
const LACKS = {
  trees: { [OBJECTBUFFER]: "it frees nothing before its buffer goes" },
  gcbench: { [OBJECTBUFFER]: "it frees nothing before its buffer goes" },
  collect: {
    [OBJECTBUFFER]: "it has no collector",
    [QUICKJS_WASM]: "quickjs-emscripten has no means to start a collection",
  },
};

let asked;

/** Leave all other peers out from now on, without a line that says so. */
export function askOnlyFor(names) {
  asked = new Set(names);
}
export const isAskedFor = (name) => !isPeer(name) || asked === undefined || asked.has(name);

/** Why a peer takes no part in a group, or undefined. */
export const whySkipped = (peer, group) =>
  isAskedFor(peer) ? (LACKS[group]?.[peer] ?? findPeer(peer).skipped) : "it was not asked for";

/** Those that the programs of trees, gcbench, collect, build and walk were written for, Python first. */
export const ALL_PEERS = [PYTHON, PHP, GO, QUICKJS, QUICKJS_WASM, ASSEMBLYSCRIPT, OBJECTBUFFER];

const found = new Map();

/** A peer as it is here: { version, command, args }, or { skipped: why }. It is looked for once. */
export function findPeer(name) {
  if (!found.has(name)) found.set(name, PEERS[name]());
  return found.get(name);
}

export const isPeer = (name) => Object.hasOwn(PEERS, name);

function outputOf(command, args, statuses = [0]) {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return statuses.includes(status) ? stdout.trim() : null;
}

/** A package of `bench/peers`, with the script that plays its side in Node. */
function inNode(name, script, describe) {
  let version;
  try {
    version = JSON.parse(readFileSync(here(`../peers/node_modules/${name}/package.json`), "utf8")).version;
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return { skipped: `${name} is not installed: ${INSTALL}` };
  }
  return {
    command: process.execPath,
    args: ["--stack-size=50000", here(script)],
    version: describe(version),
  };
}

function build(command, args, cwd) {
  mkdirSync(BUILD, { recursive: true });
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${error ?? ""}${stdout}${stderr}`);
}
