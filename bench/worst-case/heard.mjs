/** What `gc.callbacks` tell of a program, in milliseconds of the process: what others do on the machine counts less. */
import { cpuMs } from "./meter.mjs";

/** The time in the collections while `run` runs, how many there were, and the most bytes that the heap had when one began. */
export function heard(heap, run) {
  const before = heap.gc.getStats();
  let inCollectionsMs = 0;
  let longestMs = 0;
  let mostBytes = heap.bytesUsed;
  let startMs = 0;
  const hear = (phase) => {
    if (phase === "start") {
      mostBytes = Math.max(mostBytes, heap.bytesUsed);
      startMs = cpuMs();
      return;
    }
    const ms = cpuMs() - startMs;
    inCollectionsMs += ms;
    longestMs = Math.max(longestMs, ms);
  };
  heap.gc.callbacks.push(hear);
  const beginMs = cpuMs();
  const result = run();
  const wholeMs = cpuMs() - beginMs;
  heap.gc.callbacks.length = 0;
  mostBytes = Math.max(mostBytes, heap.bytesUsed);
  const collections = heap.gc.getStats().map(({ collections }, g) => collections - before[g].collections);
  return { wholeMs, inCollectionsMs, longestMs, mostBytes, collections, result };
}
