/** What a piece of a program leaves behind: allocated in it, and still held when it is over. */
import { Heap } from "../host/heap.js";
import type { Borrowed } from "../host/types.js";
import { addressOf, asView } from "../host/view.js";
import { HeapError, InvalidArgumentError } from "../memory/errors.js";
import { type Address, CONTROL_ROOT_COUNT, HEADER_SERIAL, TYPE_NAME } from "../memory/layout.js";
import { objectBytes } from "../object/size.js";
import { requireArray, requireOptions } from "./arguments.js";
import { plainText } from "./escape.js";
import { type HeapSnapshot, takeSnapshot } from "./snapshot.js";
import { tracemalloc } from "./tracemalloc.js";

/** What a body left behind. */
export interface LeakReport {
  /** Objects, strings included. */
  readonly count: number;
  /** Bytes of their blocks and storage. */
  readonly bytes: number;
  /** Bytes that values among them hold outside the heap. */
  readonly adoptedBytes: number;
  /** How many handles more than before are held: of new objects, and of old ones that were retained and not released. */
  readonly handles: number;
  /** Bytes by which all that was there before has grown: more items in an old list, more entries in an old table. No leak by itself. */
  readonly grownBytes: number;
  /** By type and line, most bytes first; strings last, because something else holds them. */
  readonly groups: readonly LeakGroup[];
}

/** Objects of one type, made by one line as far as that is known. */
export interface LeakGroup {
  /** The type as it would be written. */
  readonly type: string;
  /** How many objects. */
  readonly count: number;
  /** Bytes of their blocks and storage. */
  readonly bytes: number;
  /**
   * Where they were made, innermost frame first, while `tracemalloc` runs. Without it: where a handle to one of them was made
   * that still lives; its line is kept as `checks` says.
   */
  readonly madeAt?: string;
  /** A shortest chain of owners of one of them, root first: `["root (handle made at ...)", "Cache.entries[3]", "Texture.gpu"]`. */
  readonly heldBy: readonly string[];
}

/** What `findLeaks` may be told. */
export interface LeakOptions {
  /** What is held by these objects alone is no leak, in addition to what `declareCache` has named. */
  readonly caches?: readonly Borrowed[];
}

/** A body left objects behind. The message is the report as text. */
export class LeakError extends HeapError {
  /** What was left. */
  readonly report: LeakReport;
  constructor(report: LeakReport) {
    super("LEAK", leakText(report));
    this.report = report;
  }
}

/**
 * What `body` allocated and is still alive after it, and who holds it. A full collection runs before and after the body, and
 * asynchronous disposals are awaited for an asynchronous one. What is held only by a declared cache is left out. Costs two
 * collections and a snapshot: O(heap).
 * @throws what the body throws; InvalidArgumentError, HeapDisposedError
 */
export function findLeaks(heap: Heap, body: () => Promise<void>, options?: LeakOptions): Promise<LeakReport>;
export function findLeaks(heap: Heap, body: () => void, options?: LeakOptions): LeakReport;
export function findLeaks(
  heap: Heap,
  body: () => unknown,
  options: LeakOptions = {},
): LeakReport | Promise<LeakReport> {
  if (typeof body !== "function")
    throw new InvalidArgumentError("findLeaks takes a heap and a function that uses it.");
  requireOptions(options, "findLeaks");
  const { caches: more = [] } = options;
  requireArray(more, "`caches`");
  Heap.contextOf(heap).requireOpen();
  const caches = [...declaredCaches(heap), ...more.map(identify)];
  const before = new Census(heap);
  const result = body();
  if (typeof (result as { then?: unknown } | undefined)?.then !== "function")
    return reportSince(heap, before, caches);
  return (async () => {
    await result;
    await heap.settled();
    return reportSince(heap, before, caches);
  })();
}

/**
 * The same as a test assertion, in any test runner; synchronous for a synchronous body. A promise that it returns must be
 * awaited: one that is not, and fails, is an unhandled rejection, which the host reports.
 * @throws LeakError with the report as its message
 */
export function assertNoLeaks(heap: Heap, body: () => Promise<void>, options?: LeakOptions): Promise<void>;
export function assertNoLeaks(heap: Heap, body: () => void, options?: LeakOptions): void;
export function assertNoLeaks(
  heap: Heap,
  body: () => unknown,
  options: LeakOptions = {},
): void | Promise<void> {
  const report = findLeaks(heap, body as () => void, options) as LeakReport | Promise<LeakReport>;
  return report instanceof Promise ? report.then(refuse) : refuse(report);
}

/** All that is alive now, by type and line, but for what a declared cache holds: what a program that ends has not released. */
export function heldNow(heap: Heap): LeakReport {
  return reportSince(heap, NOBODY, declaredCaches(heap));
}

function refuse(report: LeakReport): void {
  if (isLeak(report)) throw new LeakError(report);
}

/** Objects, or a handle that was taken and not released. */
function isLeak({ count, handles }: LeakReport): boolean {
  return count > 0 || handles > 0;
}

// -- caches -------------------------------------------------------------------------------------

interface Identity {
  readonly address: Address;
  readonly serial: number;
}

const caches = new WeakMap<Heap, Identity[]>();

/**
 * Say that an object is a cache: what it alone keeps alive is no leak, to any later `findLeaks`. The object is not kept
 * alive by this. O(1).
 */
export function declareCache(ref: Borrowed): void {
  const identity = identify(ref);
  const { heap } = asView(ref)!["@type"].context;
  caches.set(heap, [...declaredCaches(heap), identity]);
}

function identify(ref: Borrowed): Identity {
  const view = asView(ref);
  if (view === undefined) throw new InvalidArgumentError("A cache is a heap object.");
  const address = addressOf(view);
  return { address, serial: view["@type"].context.core.memory.i32[address + HEADER_SERIAL] };
}

/** Those that still live. */
function declaredCaches(heap: Heap): Identity[] {
  const { i32 } = Heap.contextOf(heap).core.memory;
  return (caches.get(heap) ?? []).filter(({ address, serial }) => i32[address + HEADER_SERIAL] === serial);
}

// -- before and after ---------------------------------------------------------------------------

/** Before anything was there. */
const NOBODY = { has: () => false, handles: 0, bytes: 0 };

/** All objects alive, in address order. */
class Census {
  private readonly addresses: Int32Array;
  private readonly serials: Int32Array;
  readonly handles: number;
  /** Of all objects together. */
  readonly bytes: number;

  constructor(heap: Heap) {
    heap.gc.collect();
    const { allocator, memory, types } = Heap.contextOf(heap).core;
    const objects = [...allocator.objects()];
    this.addresses = Int32Array.from(objects);
    this.serials = Int32Array.from(objects, (object) => memory.i32[object + HEADER_SERIAL]);
    this.handles = memory.i32[CONTROL_ROOT_COUNT];
    this.bytes = objects.reduce((sum, object) => sum + objectBytes(allocator, types, object), 0);
  }

  has(address: Address, serial: number): boolean {
    let low = 0;
    let high = this.addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.addresses[middle] < address) low = middle + 1;
      else high = middle;
    }
    return this.addresses[low] === address && this.serials[low] === serial;
  }
}

function reportSince(
  heap: Heap,
  before: Pick<Census, "has" | "handles" | "bytes">,
  cachesNow: readonly Identity[],
): LeakReport {
  heap.gc.collect();
  const snapshot = takeSnapshot(heap);
  const { address, serial } = snapshot.graph;
  const isTraced = tracemalloc.isTracing(heap);
  const names = typeNames(heap);
  const counts = reachableWithout(snapshot, cachesNow);
  const groups = new Map<string, { type: string; madeAt?: string; nodes: number[]; bytes: number }>();
  let [count, bytes, adoptedBytes, oldBytes] = [0, 0, 0, 0];
  for (let node = 1; node < snapshot.nodeCount; node++) {
    if (before.has(address[node], serial[node])) {
      oldBytes += snapshot.selfSize(node);
      continue;
    }
    if (address[node] === 0 || names.has(address[node]) || counts[node] === 0) continue;
    const type = snapshot.typeName(node);
    const madeAt = isTraced ? tracedAt(snapshot, node) : handleOf(snapshot, node);
    const key = `${type} ${madeAt ?? ""}`;
    const group = groups.get(key) ?? { type, ...(madeAt !== undefined && { madeAt }), nodes: [], bytes: 0 };
    groups.set(key, group);
    group.nodes.push(node);
    group.bytes += snapshot.selfSize(node);
    count++;
    bytes += snapshot.selfSize(node);
    adoptedBytes += snapshot.adoptedBytes(node);
  }
  return {
    count,
    bytes,
    adoptedBytes,
    handles: Math.max(0, Heap.contextOf(heap).core.memory.i32[CONTROL_ROOT_COUNT] - before.handles),
    grownBytes: before === NOBODY ? 0 : Math.max(0, oldBytes - before.bytes),
    groups: [...groups.values()]
      .sort(
        (one, other) => Number(one.type === "str") - Number(other.type === "str") || other.bytes - one.bytes,
      )
      .map(({ nodes, ...group }) => ({
        ...group,
        count: nodes.length,
        heldBy: snapshot.retainingPath(nodes[0]).split(" <- "),
      })),
  };
}

/** Where the object was made, by its traceback. */
function tracedAt(snapshot: HeapSnapshot, node: number): string | undefined {
  const object = snapshot.object(node);
  return object === undefined ? undefined : tracemalloc.getObjectTraceback(object)?.text;
}

/** Where a handle to the object was made. */
function handleOf(snapshot: HeapSnapshot, node: number): string | undefined {
  return snapshot.holds(node).find((hold) => hold.madeAt !== undefined)?.madeAt;
}

/** The names of types, which come with a type's first use and stay. */
function typeNames(heap: Heap): Set<Address> {
  const { types, memory } = Heap.contextOf(heap).core;
  const names = new Set<Address>();
  for (let id = 1; id < types.count; id++) names.add(memory.i32[types.descriptor(id) + TYPE_NAME]);
  return names;
}

/** By node: 1 where a way leads from the root that passes through no cache. The caches themselves are reached. */
function reachableWithout({ graph }: HeapSnapshot, cachesNow: readonly Identity[]): Uint8Array {
  const { nodeCount, firstEdge, edgeTarget, address, serial } = graph;
  const closed = new Set(cachesNow.map((cache) => `${cache.address} ${cache.serial}`));
  const reached = new Uint8Array(nodeCount);
  const queue = new Uint32Array(nodeCount);
  let tail = 1;
  reached[0] = 1;
  for (let head = 0; head < tail; head++) {
    const node = queue[head];
    if (closed.size > 0 && closed.has(`${address[node]} ${serial[node]}`)) continue;
    for (let edge = firstEdge[node]; edge < firstEdge[node + 1]; edge++) {
      const target = edgeTarget[edge];
      if (reached[target] !== 0) continue;
      reached[target] = 1;
      queue[tail++] = target;
    }
  }
  return reached;
}

// -- as text ------------------------------------------------------------------------------------

/** How many groups a message shows. */
const GROUPS_SHOWN = 10;

/** A report as people read it. */
export function leakText(report: LeakReport): string {
  const { count, bytes, adoptedBytes, handles, grownBytes, groups } = report;
  if (!isLeak(report)) return "Nothing was left behind.";
  if (count === 0)
    return `No object was left behind, but ${handles === 1 ? "1 handle" : `${handles} handles`} to objects that were there before: retained and not released.`;
  const outside = adoptedBytes > 0 ? ` and ${adoptedBytes} bytes outside the heap` : "";
  const lines = [`${objects(count)} left behind, ${bytes} bytes${outside}:`];
  for (const group of groups.slice(0, GROUPS_SHOWN)) {
    lines.push(`  ${group.count} ${plainText(group.type)}, ${group.bytes} bytes`);
    if (group.madeAt !== undefined) lines.push(`    made at ${plainText(group.madeAt.split("\n", 1)[0])}`);
    lines.push(`    held by ${group.heldBy.join(" <- ")}`);
  }
  if (grownBytes > 0) lines.push(`  and what was there before has grown by ${grownBytes} bytes`);
  if (groups.length > GROUPS_SHOWN) lines.push(`  and ${groups.length - GROUPS_SHOWN} groups more`);
  return lines.join("\n");
}

function objects(count: number): string {
  return count === 1 ? "1 object was" : `${count} objects were`;
}

// -- matchers -----------------------------------------------------------------------------------

/** What a matcher of Vitest or Jest returns. */
export interface MatcherResult {
  /** Whether the assertion holds. */
  readonly pass: boolean;
  /** Why not. */
  readonly message: () => string;
}

/**
 * Matchers for Vitest and Jest: `expect.extend(leakMatchers)`, then `expect(() => { ... }).toLeakNothing(heap)`, and
 * `await expect(async () => { ... }).toLeakNothing(heap)`. With Vitest, `import "ouroheap/vitest"` does that, types included.
 */
export const leakMatchers = {
  toLeakNothing(body: unknown, heap: Heap, options?: LeakOptions): MatcherResult | Promise<MatcherResult> {
    const report = findLeaks(heap, body as () => void, options) as LeakReport | Promise<LeakReport>;
    const judge = (found: LeakReport): MatcherResult => ({
      pass: !isLeak(found),
      message: () =>
        !isLeak(found) ? "The body was expected to leak, and left nothing behind." : leakText(found),
    });
    return report instanceof Promise ? report.then(judge) : judge(report);
  },
};
