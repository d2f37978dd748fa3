/**
 * When to collect what: CPython 3.11's counters, thresholds and quarter rule (Modules/gcmodule.c:
 * `gc_collect_generations`, `gc_collect_main`).
 *
 *   count0   allocations of collectable objects minus frees since the last collection, at least 0
 *   count1   collections of generation 0 since the last of generation 1 or 2
 *   count2   collections of generation 1 since the last full one
 *
 * Unless the program has asked for the adaptive policy, which moves some of the numbers (gc/adaptive.ts).
 */
import { InvalidArgumentError } from "../memory/errors.js";
import {
  CONTROL_BYTE_THRESHOLD,
  CONTROL_COLLECTING,
  CONTROL_COUNTS,
  CONTROL_ENABLED,
  CONTROL_GROWTH_QUARTERS,
  CONTROL_LONG_LIVED_PENDING,
  CONTROL_LONG_LIVED_TOTAL,
  CONTROL_POLICY,
  CONTROL_THRESHOLDS,
  CONTROL_TRIGGER,
  CONTROL_YOUNG_THRESHOLD,
  INT32_MAX,
  POLICY_ADAPTIVE,
  POLICY_PYTHON,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { AdaptivePolicy } from "./adaptive.js";

export const DEFAULT_THRESHOLDS = [700, 10, 10] as const;

/** Bytes of adopted values. */
const DEFAULT_BYTE_THRESHOLD = 64 * 2 ** 20;

export class Trigger {
  private readonly i32: Int32Array;
  private readonly adaptive: AdaptivePolicy;
  /** `stress`: every allocation asks. */
  private readonly isAlways: boolean;

  /** @param isAttached whether the memory is a heap already, with its thresholds */
  constructor(memory: Memory, isAlways = false, isAttached = false) {
    this.i32 = memory.i32;
    this.adaptive = new AdaptivePolicy(memory.i32);
    this.isAlways = isAlways;
    if (isAttached) return;
    this.i32.set(DEFAULT_THRESHOLDS, CONTROL_THRESHOLDS);
    this.i32[CONTROL_ENABLED] = 1;
    memory.f64[CONTROL_BYTE_THRESHOLD >> 1] = DEFAULT_BYTE_THRESHOLD;
    this.setAdaptive(false);
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

  get isAdaptive(): boolean {
    return this.i32[CONTROL_POLICY] === POLICY_ADAPTIVE;
  }
  /** What was learned before is forgotten. */
  setAdaptive(isAdaptive: boolean): void {
    this.i32[CONTROL_POLICY] = isAdaptive ? POLICY_ADAPTIVE : POLICY_PYTHON;
    this.adaptive.reset();
    this.update();
  }

  /** As the program has set it. */
  threshold(generation: number): number {
    return this.i32[CONTROL_THRESHOLDS + generation];
  }
  setThreshold(generation: number, value: number): void {
    if (!Number.isInteger(value) || value > INT32_MAX || value < -INT32_MAX - 1)
      throw new InvalidArgumentError(`A threshold must be a whole number of 32 bits, got ${String(value)}.`);
    this.i32[CONTROL_THRESHOLDS + generation] = value;
    this.adaptive.reset();
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
    if (this.count(2) > this.threshold(2) && this.hasGrown()) return 2;
    const threshold1 = this.isAdaptive ? this.adaptive.threshold1() : this.threshold(1);
    if (this.count(1) > threshold1) return 1;
    return this.count(0) > this.i32[CONTROL_YOUNG_THRESHOLD] ? 0 : -1;
  }

  private hasGrown(): boolean {
    const { i32 } = this;
    const enough = Math.floor((i32[CONTROL_LONG_LIVED_TOTAL] * i32[CONTROL_GROWTH_QUARTERS]) / 4);
    return i32[CONTROL_LONG_LIVED_PENDING] >= enough;
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

  /** At the end of one. @param reachable what it looked at and did not free */
  collectionEnds(generation: number, collected: number, reachable: number): void {
    if (this.isAdaptive) this.adaptive.learn(generation, collected, reachable);
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
    const threshold0 = i32[CONTROL_YOUNG_THRESHOLD];
    const isOn = i32[CONTROL_ENABLED] !== 0 && i32[CONTROL_COLLECTING] === 0 && threshold0 !== 0;
    i32[CONTROL_TRIGGER] = isOn ? threshold0 : INT32_MAX;
    if (this.isAlways && isOn) i32[CONTROL_TRIGGER] = -1;
  }
}
