/**
 * The parent's half of a contest. Every side (ours and each peer) is a process of its own, so that no side runs on what
 * another has taught the engine or left in its heap. A side does one step when told to, times itself and answers with one
 * line of JSON; the parent has them take turns, so that a drift in the machine's speed meets all of them.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findPeer, PYTHON, whySkipped } from "./peers.mjs";

export { PYTHON };

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The environment of every child: nothing that would change a heap's checks. */
export const environment = { ...process.env, OUROHEAP_CHECKS: "", NODE_ENV: "" };

/** One side of a contest, in a running process. */
class Side {
  constructor(name, command, args) {
    this.name = name;
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: environment });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
    // A side that dies is noticed where its answer is missing.
    this.child.stdin.on("error", () => {});
  }

  /** Have it do one step. @returns what the step returned */
  async step(name, argument = null) {
    this.child.stdin.write(`${JSON.stringify([name, argument])}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.name} ended in the step "${name}".`);
    return JSON.parse(value);
  }

  async stop() {
    this.child.stdin.end();
    await this.exited;
  }
}

/** A side in Node: the contender of this name in `bench/<group>.mjs`, with further arguments for Node. */
export function nodeSide(group, name, options, nodeArgs = []) {
  const args = ["--expose-gc", ...nodeArgs, here("./node-side.mjs"), group, name, JSON.stringify(options)];
  return () => new Side(name, process.execPath, args);
}

/** A side of a peer: its program for this group; undefined where the peer is not there. */
export function peerSide(peer, group, options) {
  if (whySkipped(peer, group) !== undefined) return undefined;
  const { command, args } = findPeer(peer);
  return () => new Side(peer, command, [...args, group, JSON.stringify(options)]);
}

/** The sides of several peers, by name. */
export const peerSides = (peers, group, options) =>
  Object.fromEntries(peers.map((peer) => [peer, peerSide(peer, group, options)]));

/** A side in Python: `bench/peers/<group>.py`. */
export const pythonSide = (group, options) => peerSide(PYTHON, group, options);

/**
 * Start some sides, let `body` have them do their steps, and stop them.
 * @param makers by name; a maker that is undefined is left out
 */
export async function withSides(makers, body) {
  const sides = {};
  try {
    for (const [name, make] of Object.entries(makers)) if (make !== undefined) sides[name] = make();
    await body(new Contest(sides));
  } finally {
    for (const side of Object.values(sides)) await side.stop();
  }
}

class Contest {
  #turn = 0;
  constructor(sides) {
    this.sides = sides;
  }

  /** Have all sides do a step, one after the other; who is first changes each time. @returns the answers by name */
  async all(step, argument = null, names = Object.keys(this.sides)) {
    const answers = {};
    const order = this.#turn++ % 2 === 0 ? names : names.toReversed();
    for (const name of order)
      if (this.sides[name] !== undefined) answers[name] = await this.sides[name].step(step, argument);
    return answers;
  }
}
