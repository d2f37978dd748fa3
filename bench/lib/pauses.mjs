/**
 * Pauses, as the program sees them; `peers/pauses.py` has the same rule. Operations are due at a fixed rate. The pause of one is
 * the time from when it could have been begun (it was due, and the one before was over) to its end: what stood in its way is in
 * it, a collection inside it or before it; that it had to queue behind others is not.
 */
import { setImmediate } from "node:timers/promises";

/** Operations in a row before the event loop has its turn. */
const BATCH = 1024;

/**
 * Do operations at a fixed rate; the event loop runs whenever none is due.
 * @param operation called with 0, 1, 2, ...
 * @returns the pauses in ms, and by how much the last operation was late
 */
export async function atRate(ratePerSecond, seconds, operation) {
  const total = Math.round(ratePerSecond * seconds);
  const pauses = new Float64Array(total);
  const interval = 1000 / ratePerSecond;
  const start = performance.now();
  let over = start;
  let number = 0;
  while (number < total) {
    if (performance.now() < start + number * interval || number % BATCH === 0) await setImmediate();
    for (;;) {
      const due = start + number * interval;
      if (number === total || due > performance.now()) break;
      operation(number);
      const end = performance.now();
      pauses[number++] = end - Math.max(over, due);
      over = end;
      if (number % BATCH === 0) break;
    }
  }
  return { pauses, lateMs: Math.max(0, over - (start + (total - 1) * interval)) };
}

/** @returns p50, p99, p99.9 (nearest rank) and the longest, in ms */
export function quantiles(pauses) {
  const sorted = Float64Array.from(pauses).sort();
  const rank = (share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return { p50: rank(0.5), p99: rank(0.99), p999: rank(0.999), max: sorted.at(-1) };
}
