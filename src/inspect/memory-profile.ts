/** What each line of a function adds to a heap, printed as Python's `memory_profiler` does. */
import type { BlockWatcher } from "../alloc/page.js";
import type { Core } from "../gc/core.js";
import type { Context } from "../host/context.js";
import { Heap } from "../host/heap.js";
import { type Address, PAGE_BLOCK_WORDS, PAGE_USED, WORD_BYTES } from "../memory/layout.js";
import { requireArray, requireFunction, requireOptions } from "./arguments.js";
import { plainLine } from "./escape.js";
import { type HitPlace, LineHits, type WatchedFunction } from "./line-hits.js";

/** A line of a profiled function. */
export interface ProfiledLine {
  /** From 1, in the source file. */
  readonly line: number;
  /** Its text. */
  readonly text: string;
  /** How often it ran. 0: nothing on it runs, or it was not reached; the other numbers are then 0 too. */
  readonly occurrences: number;
  /** Bytes in live blocks of the heap after it last ran. */
  readonly bytes: number;
  /** By how much its runs changed that, all together; less than 0 where more was freed. */
  readonly bytesIncrement: number;
  /** The same of the bytes that adopted values hold. */
  readonly adoptedBytes: number;
  readonly adoptedBytesIncrement: number;
}

/** The lines of one function. */
export interface FunctionProfile {
  readonly name: string;
  /** Path or URL of the source, source maps applied. */
  readonly file: string;
  /** All lines of the function, in order. */
  readonly lines: readonly ProfiledLine[];
}

/** What a profile is made of. */
export interface LineProfileOptions {
  /** The functions whose lines are profiled. Default: the one that is run. */
  readonly functions?: readonly ((...args: never[]) => unknown)[];
}

/** The result of `profileLines`; its text is the table. */
export class LineProfile<R> {
  /** What the function returned. */
  readonly result: R;
  readonly functions: readonly FunctionProfile[];

  /** @internal */
  constructor(result: R, functions: readonly FunctionProfile[]) {
    this.result = result;
    this.functions = functions;
  }

  /** The tables of all functions, as `memory_profiler` prints them; with two more columns if there are adopted bytes. */
  toString(): string {
    return this.functions.map(tableOf).join("\n\n");
  }
}

/**
 * Run a function and tell what each of its lines added to the heap. Lines are those of the source, source maps applied. For
 * an async function a promise. What it throws is thrown on, and there is no profile then.
 *
 * What it cannot see: the lines of functions that are called or nested (their allocations count for the line that calls);
 * while an async function waits, everything that happens elsewhere counts for the line of the `await`; where a function
 * calls itself, or runs twice at a time, lines of one run end those of the other. The heap that is profiled can be used
 * freely meanwhile; the function runs some 100 microseconds longer for each line.
 *
 * @throws InvalidArgumentError, HeapError "NO_INSPECTOR" (anything but Node from 20.16 on), "ALREADY_PROFILING"
 */
export function profileLines<R>(
  heap: Heap,
  run: () => Promise<R>,
  options?: LineProfileOptions,
): Promise<LineProfile<R>>;
export function profileLines<R>(heap: Heap, run: () => R, options?: LineProfileOptions): LineProfile<R>;
export function profileLines(heap: Heap, run: () => unknown, options: LineProfileOptions = {}): unknown {
  const context = Heap.contextOf(heap);
  context.requireOpen();
  requireFunction(run, "What profileLines runs");
  requireOptions(options, "profileLines");
  const { functions = [run] } = options;
  requireArray(functions, "`functions`");
  for (const one of functions) requireFunction(one, "Each of `functions`");
  const profiler = new LineProfiler(context, [...new Set(functions)]);
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    profiler.stop();
    throw error;
  }
  if (!(result instanceof Promise)) return new LineProfile(result, profiler.stop());
  return result.then(
    (value) => new LineProfile(value, profiler.stop()),
    (error: unknown) => {
      profiler.stop();
      throw error;
    },
  );
}

// -- measuring ------------------------------------------------------------------------------------

/** Bytes of the blocks in use, to the byte: `heap.bytesUsed` counts whole pages. */
class LiveBytes implements BlockWatcher {
  bytes: number;
  private readonly core: Core;

  constructor(core: Core) {
    this.core = core;
    const { allocator, memory } = core;
    allocator.watch(this);
    // From here on nothing that a class has still to hand out counts as used.
    this.bytes = 0;
    for (const { descriptor } of allocator.pageRuns())
      this.bytes +=
        memory.i32[descriptor + PAGE_USED] * memory.i32[descriptor + PAGE_BLOCK_WORDS] * WORD_BYTES;
  }
  taken(_block: Address, words: number): void {
    this.bytes += words * WORD_BYTES;
  }
  given(_block: Address, words: number): void {
    this.bytes -= words * WORD_BYTES;
  }
  nextGap(): number {
    return 0;
  }
  stop(): void {
    this.core.allocator.unwatch(this);
  }
}

/** The sums of a line while it is profiled. */
interface Sums {
  bytes: number;
  bytesIncrement: number;
  adoptedBytes: number;
  adoptedBytesIncrement: number;
}

/** A function under way: the line that runs, and what the heap held when it began. */
interface Running {
  sums: Sums | undefined;
  bytes: number;
  adoptedBytes: number;
}

class LineProfiler {
  private readonly context: Context;
  private readonly live: LiveBytes;
  private readonly hits: LineHits;
  /** By place: how often it was reached. */
  private readonly reached: number[] = [];
  /** By function: the lines that ran. */
  private readonly sums: Map<number, Sums>[];
  private readonly running: Running[];

  constructor(context: Context, functions: readonly ((...args: never[]) => unknown)[]) {
    this.context = context;
    this.sums = functions.map(() => new Map());
    this.running = functions.map(() => ({ sums: undefined, bytes: 0, adoptedBytes: 0 }));
    this.live = new LiveBytes(context.core);
    try {
      this.hits = new LineHits(functions, (place) => this.hit(place));
    } catch (error) {
      this.live.stop();
      throw error;
    }
  }

  /** End the profile. */
  stop(): FunctionProfile[] {
    for (const of of this.running.keys()) this.endLine(of);
    this.hits.stop();
    this.live.stop();
    return this.hits.functions.map((one, of) => this.profileOf(one, of));
  }

  private hit(index: number): void {
    const place = this.hits.places[index];
    this.reached[index] = (this.reached[index] ?? 0) + 1;
    this.endLine(place.of);
    if (!place.isReturn) this.beginLine(place);
  }

  private endLine(of: number): void {
    const { sums, bytes, adoptedBytes } = this.running[of];
    if (sums === undefined) return;
    this.running[of].sums = undefined;
    sums.bytes = this.live.bytes;
    sums.bytesIncrement += sums.bytes - bytes;
    sums.adoptedBytes = this.context.foreign.bytes;
    sums.adoptedBytesIncrement += sums.adoptedBytes - adoptedBytes;
  }

  private beginLine({ of, line }: HitPlace): void {
    let sums = this.sums[of].get(line);
    if (sums === undefined) {
      sums = { bytes: 0, bytesIncrement: 0, adoptedBytes: 0, adoptedBytesIncrement: 0 };
      this.sums[of].set(line, sums);
    }
    const { bytes } = this.live;
    this.running[of] = { sums, bytes, adoptedBytes: this.context.foreign.bytes };
  }

  private profileOf({ name, file, firstLine, lastLine, text }: WatchedFunction, of: number): FunctionProfile {
    const lines: ProfiledLine[] = [];
    for (let line = firstLine; line <= lastLine; line++) {
      const sums = this.sums[of].get(line);
      lines.push({
        line,
        text: text[line - 1] ?? "",
        occurrences: sums === undefined ? 0 : this.occurrences(of, line),
        bytes: sums?.bytes ?? 0,
        bytesIncrement: sums?.bytesIncrement ?? 0,
        adoptedBytes: sums?.adoptedBytes ?? 0,
        adoptedBytesIncrement: sums?.adoptedBytesIncrement ?? 0,
      });
    }
    return { name, file, lines };
  }

  /**
   * A line of several statements has several places: it ran as often as the one that was reached most. The condition of a
   * `for` is one of them, and so counts once more than the body, as in Python.
   */
  private occurrences(of: number, line: number): number {
    const counts = this.hits.places.map((place, index) =>
      place.of === of && place.line === line && !place.isReturn ? (this.reached[index] ?? 0) : 0,
    );
    return counts.reduce((most, count) => Math.max(most, count), 0);
  }
}

// -- printing -------------------------------------------------------------------------------------

const UNITS = ["B", "KiB", "MiB", "GiB"];

function tableOf({ name, file, lines }: FunctionProfile): string {
  const largest = lines.reduce((most, { bytes, adoptedBytes }) => Math.max(most, bytes, adoptedBytes), 0);
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, largest)) / 10));
  const amount = (bytes: number) =>
    `${(bytes / 2 ** (10 * unit)).toFixed(unit === 0 ? 0 : 3)} ${UNITS[unit]}`;
  const hasAdopted = lines.some((line) => line.adoptedBytes !== 0 || line.adoptedBytesIncrement !== 0);
  const row = (first: string, heap: string[], adopted: string[], occurrences: string, text: string) =>
    `${first.padStart(6)} ${heap.map((cell) => cell.padStart(12)).join(" ")} ${
      hasAdopted ? `${adopted.map((cell) => cell.padStart(12)).join(" ")} ` : ""
    }${occurrences.padStart(11)}   ${text}`.trimEnd();
  const head = row(
    "Line #",
    ["Mem usage", "Increment"],
    ["Adopted", "Increment"],
    "Occurrences",
    "Line Contents",
  );
  const body = lines.map((one) =>
    one.occurrences === 0
      ? row(`${one.line}`, ["", ""], ["", ""], "", plainLine(one.text))
      : row(
          `${one.line}`,
          [amount(one.bytes), amount(one.bytesIncrement)],
          [amount(one.adoptedBytes), amount(one.adoptedBytesIncrement)],
          `${one.occurrences}`,
          plainLine(one.text),
        ),
  );
  return [
    `Filename: ${plainLine(file)}`,
    `Function: ${plainLine(name)}`,
    "",
    head,
    "=".repeat(head.length),
    ...body,
  ].join("\n");
}
