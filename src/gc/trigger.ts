/**
 * When to collect what: CPython 3.11's counters, thresholds and quarter rule (Modules/gcmodule.c:
 * `gc_collect_generations`, `gc_collect_main`).
 *
 *   count0   allocations of collectable objects minus frees since the last collection, at least 0
 *   count1   collections of generation 0 since the last of generation 1 or 2
 *   count2   collections of generation 1 since the last full one
 */
import { InvalidArgumentError } from "../memory/errors.js";
import {
  CONTROL_BYTE_THRESHOLD,
  CONTROL_COLLECTING,
  CONTROL_COUNTS,
  CONTROL_ENABLED,
  CONTROL_LONG_LIVED_PENDING,
  CONTROL_LONG_LIVED_TOTAL,
  CONTROL_THRESHOLDS,
  CONTROL_TRIGGER,
  INT32_MAX,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";

export const DEFAULT_THRESHOLDS = [700, 10, 10] as const;

/** Bytes of adopted values. */
const DEFAULT_BYTE_THRESHOLD = 64 * 2 ** 20;

export class Trigger {
  private readonly i32: Int32Array;
  /** `stress`: every allocation asks. */
  private readonly isAlways: boolean;

  constructor(memory: Memory, isAlways = false) {
    this.i32 = memory.i32;
    this.isAlways = isAlways;
    this.i32.set(DEFAULT_THRESHOLDS, CONTROL_THRESHOLDS);
    this.i32[CONTROL_ENABLED] = 1;
    memory.f64[CONTROL_BYTE_THRESHOLD >> 1] = DEFAULT_BYTE_THRESHOLD;
    this.update();
  }

  get isEnabled(): boolean {
    return this.i32[CONTROL_ENABLED] !== 0;
  }
  setEnabled(isEnabled: boolean): void {
    this.i32[CONTROL_ENABLED] = isEnabled ? 1 : 0;
    this.update();
  }

  get isCollecting(): boolean {
    return this.i32[CONTROL_COLLECTING] !== 0;
  }
  setCollecting(isCollecting: boolean): void {
    this.i32[CONTROL_COLLECTING] = isCollecting ? 1 : 0;
    this.update();
  }

  threshold(generation: number): number {
    return this.i32[CONTROL_THRESHOLDS + generation];
  }
  setThreshold(generation: number, value: number): void {
    if (!Number.isInteger(value) || value > INT32_MAX || value < -INT32_MAX - 1)
      throw new InvalidArgumentError(`A threshold must be a whole number of 32 bits, got ${String(value)}.`);
    this.i32[CONTROL_THRESHOLDS + generation] = value;
    this.update();
  }

  count(generation: number): number {
    return this.i32[CONTROL_COUNTS + generation];
  }

  /**
   * The generation to collect now, or -1. The oldest whose count is above its threshold; a full collection waits until
   * the objects that have come to generation 2 since the last one are a quarter of those it left there.
   */
  pick(): number {
    const { i32 } = this;
    for (let generation = 2; generation >= 0; generation--) {
      if (this.count(generation) <= this.threshold(generation)) continue;
      if (generation === 2 && i32[CONTROL_LONG_LIVED_PENDING] < i32[CONTROL_LONG_LIVED_TOTAL] >> 2) continue;
      return generation;
    }
    return -1;
  }

  /** The triggering allocation is counted while a generation is picked, and is lost when that resets the counts. */
  countAllocation(): void {
    this.i32[CONTROL_COUNTS]++;
  }

  /** At the start of a collection: it counts for the next older generation, and the younger ones start again. */
  collectionStarts(generation: number): void {
    const { i32 } = this;
    if (generation < 2) i32[CONTROL_COUNTS + generation + 1]++;
    // Not `fill`: of a shared array that is a call which costs more than a young collection has to spare.
    for (let younger = 0; younger <= generation; younger++) i32[CONTROL_COUNTS + younger] = 0;
  }

  /** CPython's `gc.freeze` starts all three again. */
  resetCounts(): void {
    this.i32.fill(0, CONTROL_COUNTS, CONTROL_COUNTS + 3);
  }

  /** After a collection of generation 1: what has come to generation 2. */
  addLongLivedPending(objects: number): void {
    this.i32[CONTROL_LONG_LIVED_PENDING] += objects;
  }
  /** After a full collection: what it left in generation 2. */
  setLongLivedTotal(objects: number): void {
    this.i32[CONTROL_LONG_LIVED_TOTAL] = objects;
    this.i32[CONTROL_LONG_LIVED_PENDING] = 0;
  }

  /** One comparison at an allocation decides; everything that can switch it off is folded into the number. */
  private update(): void {
    const { i32 } = this;
    const threshold0 = i32[CONTROL_THRESHOLDS];
    const isOn = i32[CONTROL_ENABLED] !== 0 && i32[CONTROL_COLLECTING] === 0 && threshold0 !== 0;
    i32[CONTROL_TRIGGER] = isOn ? threshold0 : INT32_MAX;
    if (this.isAlways && isOn) i32[CONTROL_TRIGGER] = -1;
  }
}
