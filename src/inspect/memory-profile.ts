/** What each line of a function adds to a heap, printed as Python's `memory_profiler` does. */
import { Heap } from "../host/heap.js";
import { requireArray, requireFunction, requireOptions } from "./arguments.js";
import { plainLine } from "./escape.js";
import { type FunctionProfile, LineProfiler } from "./line-profiler.js";

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
    return profileText(this.functions);
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
  context.requireAlive();
  requireFunction(run, "What profileLines runs");
  requireOptions(options, "profileLines");
  const { functions = [run] } = options;
  requireArray(functions, "`functions`");
  for (const one of functions) requireFunction(one, "Each of `functions`");
  const profiler = new LineProfiler([context], [...new Set(functions)]);
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

// -- printing -------------------------------------------------------------------------------------

const UNITS = ["B", "KiB", "MiB", "GiB"];

/** The tables of some functions. */
export function profileText(functions: readonly FunctionProfile[]): string {
  return functions.map(tableOf).join("\n\n");
}

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
