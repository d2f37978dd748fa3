/** Timing, medians, and the lines that a row prints. */
import { findPeer, isAskedFor, isPeer, whySkipped } from "./peers.mjs";

/** Run something once. @returns its result, and the milliseconds that it took */
export function timed(run) {
  const start = performance.now();
  const result = run();
  return { ms: performance.now() - start, result };
}

/** A result that is wrong must not be timed. */
export function expect(what, actual, expected) {
  if (actual !== expected) throw new Error(`${what}: expected ${expected}, got ${actual}.`);
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Measurements by side, in the order taken: the k-th of one side was taken beside the k-th of another. */
export class Samples {
  #bySide = new Map();

  /** @param answers by side, each with `ms` */
  add(answers) {
    for (const [side, { ms }] of Object.entries(answers)) this.addOne(side, ms);
  }
  addOne(side, value) {
    if (!this.#bySide.has(side)) this.#bySide.set(side, []);
    this.#bySide.get(side).push(value);
  }
  of(side) {
    return this.#bySide.get(side);
  }
}

const round = (value) => Number(value.toPrecision(4));

/**
 * One line a peer. `ratio` is the median of the ratios of measurements taken side by side, so it need not be the
 * quotient of the two medians beside it.
 *
 * @param row what all lines share: bench, n, shape, checks, and whatever else should be in them; `group` only says whose programs they are
 * @param samples of our side and the peers
 * @param ours our side's name in `samples`
 * @param peers names of the peers' sides
 * @param floors the smallest ratio that the project accepts, by peer
 */
export function compare({ floors = {}, group, ...row }, samples, ours, peers) {
  const own = samples.of(ours);
  return peers.filter(isAskedFor).map((peer) => {
    const theirs = samples.of(peer);
    const line = { ...row, ours_ms: round(median(own)), peer, ...(floors[peer] && { floor: floors[peer] }) };
    if (theirs === undefined)
      return { ...line, peer_ms: null, ratio: null, peer_version: null, skipped: whySkipped(peer, group) };
    const ratios = theirs.map((value, index) => value / own[index]);
    return {
      ...line,
      peer_ms: round(median(theirs)),
      ratio: round(median(ratios)),
      peer_version: isPeer(peer) ? findPeer(peer).version : process.version,
      runs: own.length,
      peer_runs: theirs.length,
    };
  });
}
