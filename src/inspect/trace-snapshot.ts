/** What tracing knows at one moment: blocks alive by the line that made them. Names as in Python's `tracemalloc`. */
import { show } from "../host/schema.js";
import type { Frame } from "../host/stack.js";
import { InvalidArgumentError } from "../memory/errors.js";
import { requireArray, requireOptions } from "./arguments.js";
import { plainLine } from "./escape.js";
import type { Traceback } from "./tracebacks.js";

/** What the allocations of one group are told apart by. */
export type TraceGrouping = "line" | "file" | "traceback" | "type";

/** Sums over some allocations that are alive. With sampling all numbers are estimates. */
export interface TraceSums {
  /** Bytes of objects and of their storage, in blocks of the heap, slack included. */
  readonly bytes: number;
  /** Objects. */
  readonly objects: number;
  /** Blocks: objects, and the storage of lists and hash tables (Python: `count`). */
  readonly blocks: number;
  /** Bytes outside the heap that adopted values among them hold. */
  readonly adoptedBytes: number;
}

/** The allocations of one traceback and type. */
export interface Trace extends TraceSums {
  readonly traceback: Traceback;
  /** Type of the object, or of the one that owns the storage; "(heap)" for the heap's own tables. */
  readonly type: string;
}

/** The sums of one group. */
export interface Statistic extends TraceSums {
  /** What the group is called: `file:line`, a file, a traceback's text or a type. */
  readonly key: string;
  /** Of a group by line or traceback: the traceback of one of its allocations, which has the callers too. */
  readonly traceback: Traceback;
}

/** A group in two snapshots: its sums now, and by how much they grew. */
export interface StatisticDiff extends Statistic {
  readonly bytesDelta: number;
  readonly objectsDelta: number;
  readonly blocksDelta: number;
  readonly adoptedBytesDelta: number;
}

/** Which allocations a filter means. Each part that is given has to fit. */
export interface TracePattern {
  /** Of the frame that allocated: a path in which `*` stands for anything, or an expression to be found in the path. */
  readonly file?: string | RegExp;
  /** Line in that file. */
  readonly line?: number;
  /** Look for file and line in the callers as well. */
  readonly allFrames?: boolean;
  /** Name of the type. */
  readonly type?: string | RegExp;
}

/** Handles that are held, by the line that made them. */
export interface TracedRoots {
  readonly type: string;
  readonly count: number;
  readonly traceback: Traceback;
}

const NO_SUMS: TraceSums = { bytes: 0, objects: 0, blocks: 0, adoptedBytes: 0 };

/** The allocations of a heap that were alive when it was taken. It holds no reference to anything of the heap. */
export class TraceSnapshot {
  /** One for each traceback and type, in no particular order. */
  readonly traces: readonly Trace[];
  /** Handles whose lines are recorded, the most first: what keeps things alive from JavaScript. */
  readonly roots: readonly TracedRoots[];
  /** One allocation in this many was recorded; more than 1: all numbers are estimates, and multiples of it. */
  readonly every: number;

  /** @internal */
  constructor(traces: readonly Trace[], roots: readonly TracedRoots[], every: number) {
    this.traces = traces;
    this.roots = roots;
    this.every = every;
  }

  /** The sums of everything. O(traces). */
  get total(): TraceSums {
    return this.traces.reduce(add, NO_SUMS);
  }

  /** Sums by group, the largest first. O(traces). @throws InvalidArgumentError */
  statistics(grouping: TraceGrouping): Statistic[] {
    return [...this.groups(grouping).values()].sort(
      (a, b) => weight(b) - weight(a) || b.blocks - a.blocks || compareText(a.key, b.key),
    );
  }

  /**
   * What changed since an earlier snapshot, the largest change first; groups that are gone are there with 0 bytes.
   * O(traces of both). @throws InvalidArgumentError
   */
  compareTo(earlier: TraceSnapshot, grouping: TraceGrouping): StatisticDiff[] {
    if (!(earlier instanceof TraceSnapshot))
      throw new InvalidArgumentError(`compareTo takes another snapshot, got ${show(earlier)}.`);
    const now = this.groups(grouping);
    const before = earlier.groups(grouping);
    const keys = new Set([...now.keys(), ...before.keys()]);
    return [...keys]
      .map((key) => difference(now.get(key), before.get(key)))
      .sort(
        (a, b) =>
          Math.abs(b.bytesDelta + b.adoptedBytesDelta) - Math.abs(a.bytesDelta + a.adoptedBytesDelta) ||
          weight(b) - weight(a) ||
          compareText(a.key, b.key),
      );
  }

  /**
   * The traces that fit at least one of the patterns to include, if there are any, and none of those to exclude. Roots are
   * filtered likewise. O(traces x patterns). @throws InvalidArgumentError
   */
  filter(patterns: {
    readonly include?: readonly TracePattern[];
    readonly exclude?: readonly TracePattern[];
  }): TraceSnapshot {
    requireOptions(patterns, "filter");
    const { include = [], exclude = [] } = patterns;
    requireArray(include, "`include`");
    requireArray(exclude, "`exclude`");
    for (const pattern of [...include, ...exclude]) checkPattern(pattern);
    const isWanted = (trace: { traceback: Traceback; type: string }) =>
      (include.length === 0 || include.some((pattern) => fits(trace, pattern))) &&
      !exclude.some((pattern) => fits(trace, pattern));
    return new TraceSnapshot(this.traces.filter(isWanted), this.roots.filter(isWanted), this.every);
  }

  /** The largest groups as text, one a line and the rest in one, with their sums. */
  format(grouping: TraceGrouping = "line", rowsMax = 10): string {
    const all = this.statistics(grouping);
    const { bytes, objects } = this.total;
    const estimate = this.every === 1 ? "" : `, estimated from one allocation in ${this.every}`;
    const rest = all.slice(rowsMax);
    return [
      `${objects} objects, ${bytes} bytes alive${estimate}`,
      ...all
        .slice(0, rowsMax)
        .map((one) => `  ${sumsText(one)}  ${one.key.split("\n").map(plainLine).join("\n    ")}`),
      ...(rest.length === 0 ? [] : [`  ${sumsText(rest.reduce(add, NO_SUMS))}  in ${rest.length} more`]),
    ].join("\n");
  }

  private groups(grouping: TraceGrouping): Map<string, Statistic> {
    if (!["line", "file", "traceback", "type"].includes(grouping))
      throw new InvalidArgumentError(
        `Traces are grouped by "line", "file", "traceback" or "type", got ${JSON.stringify(grouping)}.`,
      );
    const groups = new Map<string, Statistic>();
    for (const trace of this.traces) {
      const key = keyOf(trace, grouping);
      const group = groups.get(key);
      groups.set(key, {
        key,
        traceback: group?.traceback ?? trace.traceback,
        ...add(group ?? NO_SUMS, trace),
      });
    }
    return groups;
  }
}

function add(a: TraceSums, b: TraceSums): TraceSums {
  return {
    bytes: a.bytes + b.bytes,
    objects: a.objects + b.objects,
    blocks: a.blocks + b.blocks,
    adoptedBytes: a.adoptedBytes + b.adoptedBytes,
  };
}

function weight({ bytes, adoptedBytes }: TraceSums): number {
  return bytes + adoptedBytes;
}

function difference(now: Statistic | undefined, before: Statistic | undefined): StatisticDiff {
  const { key, traceback } = (now ?? before) as Statistic;
  const { bytes, objects, blocks, adoptedBytes } = now ?? NO_SUMS;
  const old = before ?? NO_SUMS;
  return {
    key,
    traceback,
    bytes,
    objects,
    blocks,
    adoptedBytes,
    bytesDelta: bytes - old.bytes,
    objectsDelta: objects - old.objects,
    blocksDelta: blocks - old.blocks,
    adoptedBytesDelta: adoptedBytes - old.adoptedBytes,
  };
}

function keyOf({ traceback, type }: Trace, grouping: TraceGrouping): string {
  if (grouping === "type") return type;
  if (grouping === "traceback") return traceback.text;
  if (grouping === "line") return lineOf(traceback);
  return traceback.frames[0]?.file ?? traceback.text;
}

/** The line that allocated: `file:line`. */
export function lineOf({ frames: [frame], text }: Traceback): string {
  return frame === undefined ? text : `${frame.file}:${frame.line}`;
}

/** @throws InvalidArgumentError */
function checkPattern(pattern: TracePattern): void {
  requireOptions(pattern, "a pattern");
  for (const name of ["file", "type"] as const) {
    const text: unknown = pattern[name];
    if (text !== undefined && typeof text !== "string" && !(text instanceof RegExp))
      throw new InvalidArgumentError(
        `\`${name}\` of a pattern must be a string or a regular expression, got ${show(text)}.`,
      );
  }
  if (pattern.line !== undefined && typeof pattern.line !== "number")
    throw new InvalidArgumentError(`\`line\` of a pattern must be a number, got ${show(pattern.line)}.`);
}

function fits(trace: { traceback: Traceback; type: string }, pattern: TracePattern): boolean {
  if (pattern.type !== undefined && !fitsText(trace.type, pattern.type)) return false;
  if (pattern.file === undefined && pattern.line === undefined) return true;
  const { frames } = trace.traceback;
  return (pattern.allFrames === true ? frames : frames.slice(0, 1)).some((frame) =>
    fitsFrame(frame, pattern),
  );
}

function fitsFrame({ file, line }: Frame, pattern: TracePattern): boolean {
  if (pattern.line !== undefined && pattern.line !== line) return false;
  return pattern.file === undefined || fitsText(file, pattern.file);
}

function fitsText(text: string, pattern: string | RegExp): boolean {
  if (typeof pattern !== "string") return text.search(pattern) >= 0;
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(text);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sumsText({ bytes, objects, adoptedBytes }: TraceSums): string {
  const adopted = adoptedBytes === 0 ? "" : ` + ${adoptedBytes} adopted`;
  return `${bytes} bytes${adopted} in ${objects} ${objects === 1 ? "object" : "objects"}`;
}
