/** What `gc.callbacks` tell of a program. */
import { timed } from "../lib/measure.mjs";

/** The time in the collections while `run` runs, how many there were, and the most bytes that the heap had at one of their ends. */
export function heard(heap, run) {
  const before = heap.gc.getStats();
  let inCollectionsMs = 0;
  let longestMs = 0;
  let mostBytes = heap.bytesUsed;
  const hear = (phase, { duration }) => {
    if (phase === "start") {
      mostBytes = Math.max(mostBytes, heap.bytesUsed);
      return;
    }
    inCollectionsMs += duration;
    longestMs = Math.max(longestMs, duration);
  };
  heap.gc.callbacks.push(hear);
  const { ms, result } = timed(run);
  heap.gc.callbacks.length = 0;
  mostBytes = Math.max(mostBytes, heap.bytesUsed);
  const collections = heap.gc.getStats().map(({ collections }, g) => collections - before[g].collections);
  return { wholeMs: ms, inCollectionsMs, longestMs, mostBytes, collections, result };
}
