/**
 * Python's `tracemalloc` for one heap: which line allocated what is alive; of a shared heap, what this thread allocated. Off until it is started; while it is off the heap
 * does nothing for it (docs: overhead in bench/README.md, row `trace_overhead`).
 */
import type { Allocator } from "../alloc/allocator.js";
import type { Context } from "../host/context.js";
import { Heap } from "../host/heap.js";
import { show } from "../host/schema.js";
import type { Borrowed } from "../host/types.js";
import { addressOf, asView } from "../host/view.js";
import { HeapError, InvalidArgumentError } from "../memory/errors.js";
import {
  type Address,
  HEADER_TYPE,
  KIND_STORAGE,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_LARGE,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  TYPE_ID_MASK,
  WORD_BYTES,
} from "../memory/layout.js";
import { storageOf } from "../object/size.js";
import { environmentVariable } from "./node.js";
import { lineOf, type Trace, TraceSnapshot, type TraceSums } from "./trace-snapshot.js";
import type { Traceback } from "./tracebacks.js";
import { Tracer } from "./tracer.js";

/** How tracing works. */
export interface TraceOptions {
  /** Frames that are kept of each stack, innermost first. More take longer. Default 1, as in Python. */
  readonly frames?: number;
  /**
   * Record each allocation with a chance of one in this many, and multiply: numbers are estimates then, good for lines that
   * allocate often. Blocks larger than 8 KiB are always recorded. Default 1: everything.
   */
  readonly every?: number;
}

const FRAMES_MAX = 1000;
const EVERY_MAX = 1e9;
/** Owner of storage that belongs to no object. */
const NO_TYPE = 0;
const TYPE_COUNT = TYPE_ID_MASK + 1;

const tracers = new WeakMap<Heap, Tracer>();

/**
 * Record from now on which line makes each object and each piece of storage. What is alive already stays unknown. If tracing
 * is on it starts over. O(pages). @throws InvalidArgumentError
 */
function start(heap: Heap, options: TraceOptions = {}): void {
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError(`tracemalloc.start takes an object of options, got ${show(options)}.`);
  const frames = checkCount(options.frames ?? 1, FRAMES_MAX, "`frames`");
  const every = checkCount(options.every ?? 1, EVERY_MAX, "`every`");
  const { allocator } = openContext(heap).core;
  stop(heap);
  const tracer = new Tracer(frames, every);
  tracers.set(heap, tracer);
  allocator.watch(tracer);
}

/** Stop, and forget what was recorded. Nothing happens if tracing is off. */
function stop(heap: Heap): void {
  const tracer = tracers.get(heap);
  if (tracer === undefined) return;
  Heap.contextOf(heap).core.allocator.unwatch(tracer);
  tracers.delete(heap);
}

/** Whether a heap is traced. */
function isTracing(heap: Heap): boolean {
  Heap.contextOf(heap);
  return tracers.has(heap);
}

/** Forget what was recorded so far; what is made from now on is recorded. */
function clearTraces(heap: Heap): void {
  tracers.get(heap)?.clear();
}

/** Where an object was made; undefined where tracing is off, or was, or passed over it. O(frames). @throws UseAfterReleaseError */
function getObjectTraceback(ref: Borrowed): Traceback | undefined {
  const view = asView(ref);
  if (view === undefined)
    throw new InvalidArgumentError(
      `getObjectTraceback takes a reference to a heap object, got ${show(ref)}.`,
    );
  const tracer = tracers.get(view["@type"].context.heap);
  const number = tracer?.numberOf(addressOf(view)) ?? 0;
  return number === 0 ? undefined : tracer?.tracebacks.get(number);
}

/** Bytes of what was made since the start and is alive, and the most that this came to. Estimates with sampling. O(1). */
function getTracedMemory(heap: Heap): { readonly current: number; readonly peak: number } {
  const { current, peak } = requireTracer(heap);
  return { current, peak };
}

/** Let the peak begin again at what is alive now. */
function resetPeak(heap: Heap): void {
  const tracer = requireTracer(heap);
  tracer.peak = tracer.current;
}

/** What is alive, by traceback and type. O(heap). @throws HeapError "NOT_TRACING" */
function snapshot(heap: Heap): TraceSnapshot {
  const context = openContext(heap);
  const tracer = requireTracer(heap);
  return new TraceSnapshot(findTraces(context, tracer), findRoots(context, tracer), tracer.every);
}

/** What each line has allocated since tracing began, and what of that is alive; the largest first. */
export interface LineAllocations {
  /** `file:line`. */
  readonly line: string;
  /** Bytes that it has allocated, freed ones too. */
  readonly allocatedBytes: number;
  /** How many blocks that were: objects, and the storage of lists and hash tables. */
  readonly occurrences: number;
  /** Of those bytes, what is alive: by so much the line has increased the heap. */
  readonly bytes: number;
  /** Objects that are alive. */
  readonly objects: number;
}

/** For `ouro run`. O(heap). @throws HeapError "NOT_TRACING" */
export function allocationsByLine(heap: Heap): LineAllocations[] {
  const lines = new Map<string, { -readonly [K in keyof LineAllocations]: LineAllocations[K] }>();
  for (const { traceback, blocks, bytes } of requireTracer(heap).allocations()) {
    const line = lineOf(traceback);
    const sums = lines.get(line) ?? { line, allocatedBytes: 0, occurrences: 0, bytes: 0, objects: 0 };
    lines.set(line, sums);
    sums.allocatedBytes += bytes;
    sums.occurrences += blocks;
  }
  for (const { key, bytes, objects } of snapshot(heap).statistics("line"))
    Object.assign(lines.get(key) ?? {}, { bytes, objects });
  return [...lines.values()].sort(
    (one, other) => other.bytes - one.bytes || other.allocatedBytes - one.allocatedBytes,
  );
}

/** Python's `tracemalloc`: which line allocated what is alive. Each function takes the heap. */
export const tracemalloc = {
  start,
  stop,
  isTracing,
  clearTraces,
  getObjectTraceback,
  getTracedMemory,
  resetPeak,
  snapshot,
} as const;

// -- reading the heap -----------------------------------------------------------------------------

type Sums = { -readonly [K in keyof TraceSums]: number };

/** Traces under way, by number of the traceback and type id in one. */
class Sorted {
  readonly sums = new Map<number, Sums>();

  of(number: number, typeId: number): Sums {
    const key = number * TYPE_COUNT + typeId;
    let sums = this.sums.get(key);
    if (sums === undefined) {
      sums = { bytes: 0, objects: 0, blocks: 0, adoptedBytes: 0 };
      this.sums.set(key, sums);
    }
    return sums;
  }
}

function findTraces(context: Context, tracer: Tracer): Trace[] {
  const sorted = new Sorted();
  addBlocks(context, tracer, sorted);
  addAdopted(context, tracer, sorted);
  const { types } = context.core;
  return [...sorted.sums].map(([key, sums]) => {
    const typeId = key % TYPE_COUNT;
    const type = typeId === NO_TYPE ? "(heap)" : types.name(typeId);
    return { type, traceback: tracer.tracebacks.get(Math.floor(key / TYPE_COUNT)), ...sums };
  });
}

/** Storage goes with the object that owns it, but keeps the line that made it: the one at which a container grew. */
function addBlocks({ core }: Context, tracer: Tracer, sorted: Sorted): void {
  const { allocator, types, memory } = core;
  const { i32 } = memory;
  const owned = new Set<number>();
  const addBlock = (block: number, typeId: number, objects: number) => {
    const number = tracer.numberOf(block);
    if (number === 0) return;
    const words = allocator.blockWords(block);
    const weight = tracer.weightOf(words);
    const sums = sorted.of(number, typeId);
    sums.bytes += words * WORD_BYTES * weight;
    sums.objects += objects * weight;
    sums.blocks += weight;
  };
  for (const object of allocator.objects()) {
    const typeId = i32[object + HEADER_TYPE] & TYPE_ID_MASK;
    addBlock(object, typeId, 1);
    const storage = storageOf(i32, types, object);
    if (storage === 0) continue;
    owned.add(storage);
    addBlock(storage, typeId, 0);
  }
  for (const block of storagePlaces(allocator)) if (!owned.has(block)) addBlock(block, NO_TYPE, 0);
}

/** Every place in the pages of storage: which of them are in use nobody notes, but a free one has no record. */
function* storagePlaces(allocator: Allocator): IterableIterator<Address> {
  const { i32 } = allocator.memory;
  for (const { page, descriptor } of allocator.pageRuns()) {
    const state = i32[descriptor + PAGE_STATE] & 0xff;
    if (state !== PAGE_SMALL + KIND_STORAGE && state !== PAGE_LARGE + KIND_STORAGE) continue;
    const first = page << PAGE_SHIFT;
    for (let index = 0; index < i32[descriptor + PAGE_CAPACITY]; index++)
      yield first + index * i32[descriptor + PAGE_BLOCK_WORDS];
  }
}

function addAdopted({ core, foreign }: Context, tracer: Tracer, sorted: Sorted): void {
  const { i32 } = core.memory;
  for (const { object, bytes } of foreign.list()) {
    const number = tracer.numberOf(object);
    if (number === 0) continue;
    const weight = tracer.weightOf(core.allocator.blockWords(object));
    sorted.of(number, i32[object + HEADER_TYPE] & TYPE_ID_MASK).adoptedBytes += bytes * weight;
  }
}

/** The handles that are held, as far as the heap's checks record their lines. */
function findRoots({ handles }: Context, tracer: Tracer): TraceSnapshot["roots"] {
  const groups = new Map<string, { type: string; count: number; madeAt: string }>();
  for (const { type, madeAt } of handles.records) {
    const key = `${type.name}\n${madeAt}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { type: type.name, count: 1, madeAt });
    else group.count++;
  }
  return [...groups.values()]
    .map(({ type, count, madeAt }) => ({ type, count, traceback: tracer.tracebacks.of(madeAt) }))
    .sort((a, b) => b.count - a.count);
}

// -- arguments ------------------------------------------------------------------------------------

function openContext(heap: Heap): Context {
  const context = Heap.contextOf(heap);
  context.requireOpen();
  return context;
}

function requireTracer(heap: Heap): Tracer {
  openContext(heap);
  const tracer = tracers.get(heap);
  if (tracer === undefined)
    throw new HeapError(
      "NOT_TRACING",
      "This heap is not traced, so nobody knows where its objects were made: call tracemalloc.start(heap) first, " +
        "or set OUROHEAP_TRACE=25 and load ouroheap/inspect before the heap is made.",
    );
  return tracer;
}

function checkCount(count: unknown, most: number, name: string): number {
  if (typeof count === "number" && Number.isInteger(count) && count >= 1 && count <= most) return count;
  throw new InvalidArgumentError(`${name} must be a whole number from 1 to ${most}, got ${show(count)}.`);
}

// -- from the environment ---------------------------------------------------------------------------

/** `OUROHEAP_TRACE=25`, or `OUROHEAP_TRACE=25/100` for 25 frames of one allocation in 100: for every heap made from now on. */
function startFromEnvironment(heap: Heap): void {
  const options = parseTrace("OUROHEAP_TRACE", environmentVariable("OUROHEAP_TRACE"));
  if (options !== undefined) start(heap, options);
}

/** The options in words such as "25" or "25/100"; undefined for none. @throws InvalidArgumentError */
export function parseTrace(name: string, text: string | undefined): TraceOptions | undefined {
  if (text === undefined || text === "" || text === "0") return undefined;
  const [, frames, every = "1"] = /^(\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  if (frames === undefined)
    throw new InvalidArgumentError(
      `${name} must be a number of frames such as 25, or 25/100 for one allocation in 100, got ${show(text)}.`,
    );
  return {
    frames: checkCount(Number(frames), FRAMES_MAX, `the frames of ${name}`),
    every: checkCount(Number(every), EVERY_MAX, `the second number of ${name}`),
  };
}

Heap.onCreate.push(startFromEnvironment);
