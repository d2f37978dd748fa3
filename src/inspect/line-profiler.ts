/** Measuring what each line of some functions adds to some heaps: the recorder behind line profiles. */
import type { BlockWatcher } from "../alloc/page.js";
import type { Core } from "../gc/core.js";
import type { Context } from "../host/context.js";
import { type Address, PAGE_BLOCK_WORDS, PAGE_USED, WORD_BYTES } from "../memory/layout.js";
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

export class LineProfiler {
  /** Where the functions are that are watched. */
  readonly hits: LineHits;
  private readonly heaps = new Map<Context, LiveBytes>();
  /** By place: how often it was reached. */
  private readonly reached: number[] = [];
  /** By function: the lines that ran. */
  private readonly sums: Map<number, Sums>[] = [];
  private readonly running: Running[] = [];

  constructor(contexts: readonly Context[], functions: readonly ((...args: never[]) => unknown)[]) {
    for (const context of contexts) this.add(context);
    try {
      this.hits = new LineHits(functions, (place) => this.hit(place));
    } catch (error) {
      this.leaveHeaps();
      throw error;
    }
  }

  /** Measure this heap too. */
  add(context: Context): void {
    this.heaps.set(context, new LiveBytes(context.core));
  }

  /** A heap has ended: what was in it is gone. */
  remove(context: Context): void {
    this.heaps.get(context)?.stop();
    this.heaps.delete(context);
  }

  private leaveHeaps(): void {
    for (const context of [...this.heaps.keys()]) this.remove(context);
  }

  /** End the profile. */
  stop(): FunctionProfile[] {
    for (const of of this.running.keys()) this.endLine(of);
    this.hits.stop();
    this.leaveHeaps();
    return this.hits.functions.map((one, of) => this.profileOf(one, of));
  }

  private hit(index: number): void {
    const place = this.hits.places[index];
    this.reached[index] = (this.reached[index] ?? 0) + 1;
    this.endLine(place.of);
    if (!place.isReturn) this.beginLine(place);
  }

  private endLine(of: number): void {
    const running = this.running[of];
    if (running?.sums === undefined) return;
    const { sums, bytes, adoptedBytes } = running;
    running.sums = undefined;
    const now = this.measure();
    sums.bytes = now.bytes;
    sums.bytesIncrement += now.bytes - bytes;
    sums.adoptedBytes = now.adoptedBytes;
    sums.adoptedBytesIncrement += now.adoptedBytes - adoptedBytes;
  }

  private beginLine({ of, line }: HitPlace): void {
    this.sums[of] ??= new Map();
    let sums = this.sums[of].get(line);
    if (sums === undefined) {
      sums = { bytes: 0, bytesIncrement: 0, adoptedBytes: 0, adoptedBytesIncrement: 0 };
      this.sums[of].set(line, sums);
    }
    this.running[of] = { sums, ...this.measure() };
  }

  /** In all heaps together. */
  private measure(): { bytes: number; adoptedBytes: number } {
    let bytes = 0;
    let adoptedBytes = 0;
    for (const [{ foreign }, live] of this.heaps) {
      bytes += live.bytes;
      adoptedBytes += foreign.bytes;
    }
    return { bytes, adoptedBytes };
  }

  private profileOf({ name, file, firstLine, lastLine, text }: WatchedFunction, of: number): FunctionProfile {
    const lines: ProfiledLine[] = [];
    for (let line = firstLine; line <= lastLine; line++) {
      const sums = this.sums[of]?.get(line);
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
