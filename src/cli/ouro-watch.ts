/**
 * Loaded before a program by `ouro run`: watches its heaps, and writes what they held to a file in the folder OUROHEAP_REPORT,
 * one for each thread that has a heap.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { Heap } from "../host/heap.js";
import { heldNow } from "../inspect/leaks.js";
import { toPath } from "../inspect/node.js";
import { type Timeline, timeline } from "../inspect/timeline.js";
import { allocationsByLine, tracemalloc } from "../inspect/tracemalloc.js";
import type { AllocatingLine, HeapEnd, RunReport } from "./run-report.js";

/** A heap that lives, or what was seen of it when it ended. */
interface Watched {
  readonly heap: Heap;
  readonly timeline: Timeline;
  end?: HeapEnd;
}

const LINES_MAX = 100;
const watched: Watched[] = [];
const functions = await watchFunctions();

Heap.onCreate.push((heap) => {
  const entry: Watched = { heap, timeline: timeline(heap) };
  watched.push(entry);
  const context = Heap.contextOf(heap);
  functions?.add(context);
  // The report says it all, with who holds what: a line for each handle beside it would only be in the way.
  heap.onLeakedHandle = () => {};
  for (const name of ["shutdown", Symbol.dispose] as const) {
    const end = heap[name];
    Object.defineProperty(heap, name, {
      configurable: true,
      value: () => {
        entry.end ??= look(entry, true);
        end.call(heap);
        if (context.isDisposed) functions?.remove(context);
      },
    });
  }
});

process.on("exit", () => {
  const folder = process.env.OUROHEAP_REPORT;
  if (folder === undefined || watched.length === 0) return;
  const profiles = functions?.stop() ?? [];
  const report: RunReport = { heaps: watched.map((entry) => entry.end ?? look(entry, false)), profiles };
  writeFileSync(join(folder, `${process.pid}-${threadId}.json`), JSON.stringify(report));
});

/** The reader of programs is loaded only where functions are named. */
async function watchFunctions() {
  const names = JSON.parse(process.env.OUROHEAP_PROFILE ?? "[]") as string[];
  if (names.length === 0) return undefined;
  const { FunctionWatch } = await import("./watch-functions.js");
  try {
    return new FunctionWatch(names);
  } catch (error) {
    console.error(`ouro: --profile does not work here: ${(error as Error).message}`);
    return undefined;
  }
}

function look({ heap, timeline }: Watched, isShutDown: boolean): HeapEnd {
  const collections = timeline.toString();
  heap.gc.collect();
  return { isShutDown, held: heldNow(heap), collections, lines: linesOf(heap) };
}

function linesOf(heap: Heap): AllocatingLine[] {
  if (!tracemalloc.isTracing(heap)) return [];
  return allocationsByLine(heap)
    .slice(0, LINES_MAX)
    .map((one) => ({ ...one, source: sourceOf(one.line) }));
}

/** The text of a line `file:12`. */
function sourceOf(place: string): string {
  const [, file, line] = /^(.*):(\d+)(?::\d+)?$/.exec(place) ?? [];
  const path = file === undefined ? undefined : toPath(file);
  if (path === undefined) return "";
  try {
    return readFileSync(path, "utf8").split("\n")[Number(line) - 1]?.trim() ?? "";
  } catch {
    return "";
  }
}
