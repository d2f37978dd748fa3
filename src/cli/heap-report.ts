/** What is in a saved heap: `ouro report`. */
import { Heap } from "../host/heap.js";
import { plainText } from "../inspect/escape.js";
import { type Cycle, cyclesIn } from "../inspect/objgraph.js";
import { type HeapSnapshot, takeSnapshot } from "../inspect/snapshot.js";
import { WORD_BYTES } from "../memory/layout.js";
import type { OpenHeap } from "./open.js";
import { bytes, count, heading, shorten, table } from "./output.js";
import type { Progress } from "./progress.js";

/** The same in JSON. */
export interface HeapReport {
  readonly objects: number;
  readonly references: number;
  readonly bytes: number;
  readonly bytesUsed: number;
  readonly adoptedBytes: number;
  readonly types: readonly { type: string; count: number; bytes: number }[];
  readonly generations: readonly { generation: number; objects: number }[];
  /** In no generation because `gc.freeze()` has set them aside. */
  readonly frozen: number;
  /** In no generation because they can be on no cycle: strings, and objects that refer to nothing tracked. */
  readonly untracked: number;
  readonly retainers: readonly Retainer[];
  readonly cycles: readonly { size: number; bytes: number; types: string; isGarbage: boolean; way: string }[];
  readonly cycleCount: number;
  readonly suspects: readonly string[];
}

interface Retainer {
  readonly address: string;
  readonly object: string;
  readonly retainedBytes: number;
  readonly heldBy: string;
}

/** Steps that a report tells its progress by. */
export const REPORT_STEPS = 5;
/** An object that keeps more than this share of all bytes is suspected, and so is a type that takes as much. */
const SUSPECT_SHARE = 0.5;
/** Below this a heap is too small for shares to say anything. */
const SUSPECT_BYTES_MIN = 10_000;

export function reportHeap({ heap }: OpenHeap, limit: number, progress: Progress): HeapReport {
  progress.step("copying the graph");
  const snapshot = takeSnapshot(heap);
  progress.step("retained sizes");
  const retainers = findRetainers(snapshot, limit);
  progress.step("cycles");
  const cycles = cyclesIn(snapshot);
  progress.step("types");
  const types = [...snapshot.byType()].map(([type, total]) => ({ type: plainText(type), ...total }));
  const total = types.reduce((sum, type) => sum + type.bytes, 0);
  let adoptedBytes = 0;
  for (let node = 1; node < snapshot.nodeCount; node++) adoptedBytes += snapshot.adoptedBytes(node);
  const report = {
    objects: types.reduce((sum, type) => sum + type.count, 0),
    references: snapshot.edgeCount,
    bytes: total,
    bytesUsed: heap.bytesUsed,
    adoptedBytes,
    types,
    ...trackedIn(heap, snapshot),
    retainers,
    cycles: cycles
      .slice(Math.max(0, cycles.length - limit))
      .reverse()
      .map(describeCycle),
    cycleCount: cycles.length,
  };
  return { ...report, types: types.slice(0, limit), suspects: findSuspects(report) };
}

/** Objects that keep the most alive. */
function findRetainers(snapshot: HeapSnapshot, limit: number): Retainer[] {
  const sizeOf = (node: number) => snapshot.retainedSize(node);
  return largest(objectNodes(snapshot), limit, sizeOf).map((node) => ({
    address: `0x${(snapshot.address(node) * WORD_BYTES).toString(16)}`,
    object: snapshot.describe(node),
    retainedBytes: snapshot.retainedSize(node),
    heldBy: snapshot.retainingPath(node),
  }));
}

function* objectNodes(snapshot: HeapSnapshot): IterableIterator<number> {
  for (let node = 1; node < snapshot.nodeCount; node++) if (snapshot.address(node) !== 0) yield node;
}

/**
 * The so many largest, from large to small; of equals the first. Twice as many are kept at most, sorted when that many have
 * come together: O(n log limit), whatever the limit.
 */
export function largest<T>(items: Iterable<T>, limit: number, measure: (item: T) => number): T[] {
  let kept: { readonly item: T; readonly size: number; readonly order: number }[] = [];
  let order = 0;
  /** What does not exceed it is not among the largest. */
  let least = Number.NEGATIVE_INFINITY;
  const cut = () => {
    kept.sort((one, other) => other.size - one.size || one.order - other.order);
    kept = kept.slice(0, limit);
    if (limit > 0 && kept.length === limit) least = kept[limit - 1].size;
  };
  for (const item of items) {
    const size = measure(item);
    if (size <= least) continue;
    kept.push({ item, size, order: order++ });
    if (kept.length >= limit * 2) cut();
  }
  cut();
  return kept.map(({ item }) => item);
}

function trackedIn(
  heap: Heap,
  snapshot: HeapSnapshot,
): Pick<HeapReport, "generations" | "frozen" | "untracked"> {
  const { generations: tables, tracking } = Heap.contextOf(heap).core;
  const generations = [0, 1, 2].map((generation) => ({ generation, objects: tables.size(generation) }));
  let untracked = 0;
  for (const node of objectNodes(snapshot)) if (!tracking.isTracked(snapshot.address(node))) untracked++;
  return { generations, frozen: heap.gc.getFreezeCount(), untracked };
}

function describeCycle(cycle: Cycle): HeapReport["cycles"][number] {
  const types = [...cycle.types].map(([type, number]) => `${number} ${plainText(type)}`).join(", ");
  return { size: cycle.size, bytes: cycle.bytes, types, isGarbage: cycle.isGarbage, way: cycle.text() };
}

function findSuspects(report: Omit<HeapReport, "suspects">): string[] {
  const { bytes: total, retainers, types, cycles } = report;
  if (total < SUSPECT_BYTES_MIN) return [];
  const share = (part: number) => `${Math.round((part / total) * 100)} % of all bytes`;
  return [
    ...retainers
      .slice(0, 1)
      .filter(({ retainedBytes }) => retainedBytes > total * SUSPECT_SHARE)
      .map((one) => `${one.object} at ${one.address} keeps ${share(one.retainedBytes)} alive: ${one.heldBy}`),
    ...types
      .slice(0, 1)
      .filter((one) => one.bytes > total * SUSPECT_SHARE)
      .map((one) => `${count(one.count)} objects of type ${one.type} take ${share(one.bytes)}`),
    ...cycles
      .filter(({ isGarbage, bytes }) => isGarbage && bytes > total / 100)
      .map((one) => `a cycle of ${count(one.size)} objects waits for a collection: ${one.types}`),
  ];
}

/** @param folder paths under it are shown from there */
export function reportText(report: HeapReport, folder: string): string {
  const {
    objects,
    references,
    types,
    generations,
    frozen,
    untracked,
    retainers,
    cycles,
    cycleCount,
    suspects,
  } = report;
  const outside = report.adoptedBytes > 0 ? `, and ${bytes(report.adoptedBytes)} outside the heap` : "";
  return [
    `${count(objects)} objects with ${count(references)} references: ${bytes(report.bytes)} of ${bytes(report.bytesUsed)} in use${outside}\n`,
    heading("Types"),
    table(
      ["type", "objects", "bytes"],
      types.map((one) => [one.type, one.count, one.bytes]),
    ),
    heading("Generations"),
    table(
      ["generation", "objects"],
      [
        ...generations.map((one): [string, number] => [String(one.generation), one.objects]),
        ...(frozen > 0 ? [["frozen", frozen] as const] : []),
        ["none: strings, and what can be on no cycle", untracked],
      ],
    ),
    heading("What keeps most alive"),
    table(
      ["object", "address", "bytes", "held by"],
      retainers.map((one) => [one.object, one.address, one.retainedBytes, shorten(one.heldBy, folder)]),
    ),
    heading(
      `Cycles: ${count(cycleCount)}${cycleCount > cycles.length ? `, the largest ${cycles.length}` : ""}`,
    ),
    table(
      ["objects", "bytes", "types", "way round"],
      cycles.map((one) => [one.size, one.bytes, one.types, one.way]),
    ),
    heading("Suspects"),
    suspects.length === 0
      ? "  none\n"
      : suspects.map((suspect) => `  ${plainText(shorten(suspect, folder))}\n`).join(""),
  ].join("");
}
