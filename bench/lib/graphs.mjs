/** The graphs of the collect_* rows, as tables of targets: node i refers to entries 3i, 3i + 1 and 3i + 2. */
import { xorshift32 } from "./random.mjs";

const SEED = 0x9e3779b9 | 0;

/** How far a reference of the shape `near` may reach, either way. */
const NEAR = 1000;
/** How far one of the shape `next20` may reach, forwards. */
const NEXT = 20;

/** The rules by shape; `peers/collect.py` has the same ones. */
const RULES = {
  random: (n, random) => () => Math.floor(random() * n),
  near: (n, random) => (i) => Math.min(n - 1, Math.max(0, i - NEAR + Math.floor(random() * (2 * NEAR + 1)))),
  ring: (n, random) => (i, field) => (field === 0 ? (i + 1) % n : Math.floor(random() * n)),
  next20: (n, random) => (i, field) => (i + 1 + (field === 0 ? 0 : Math.floor(random() * NEXT))) % n,
};

export function targetsOf(shape, n) {
  const target = RULES[shape](n, xorshift32(SEED));
  const targets = new Int32Array(n * 3);
  for (let i = 0; i < n; i++)
    for (let field = 0; field < 3; field++) targets[i * 3 + field] = target(i, field);
  return targets;
}

/** How many nodes node 0 reaches, itself included: what a collection must leave alive. */
export function reachableCount(targets) {
  const seen = new Uint8Array(targets.length / 3);
  const queue = [0];
  seen[0] = 1;
  for (let head = 0; head < queue.length; head++)
    for (let field = 0; field < 3; field++) {
      const next = targets[queue[head] * 3 + field];
      if (seen[next] === 1) continue;
      seen[next] = 1;
      queue.push(next);
    }
  return queue.length;
}
