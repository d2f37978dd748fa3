/**
 * How fast-check runs the model tests: the same programs each time, which a failure names by seed and path. To look for
 * others, set OUROHEAP_SEED, and OUROHEAP_RUNS to multiply their number.
 */
import { size } from "../support/heaps.js";

const seed = Number(process.env.OUROHEAP_SEED ?? 20_110_311);
const factor = Number(process.env.OUROHEAP_RUNS ?? 1);

/**
 * Parameters of a property. Shrinking is on: fast-check's `endOnFailure` would switch it off, and a run ends with its
 * first failure anyway.
 *
 * @param salt tells properties that draw from one arbitrary apart, so that each sees programs of its own
 */
export function parameters(numRuns: number, salt = 0): { seed: number; numRuns: number } {
  return { seed: seed + salt, numRuns: Math.ceil(numRuns * factor) };
}

/** How many programs: fewer where the heap checks itself all the time, but the programs are small and stay worth it. */
export function runs(usual: number): number {
  return Math.max(size(usual), Math.ceil(usual / 4));
}
