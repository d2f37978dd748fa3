/**
 * The adaptive policy: CPython's rule (gc/trigger.ts) with three of its numbers moved by what collections find. What costs is
 * collections that find nothing; what a program must be able to rely on is a bound on the garbage that waits.
 *
 *   threshold0   doubles when less than half of what a young collection looked at was garbage, falls to a quarter when three
 *                quarters were. Never below the program's threshold0, nor above 1/64 of generation 2
 *   threshold1   shrinks as threshold0 grows, so that objects reach generation 2 at the same age, and in one step when
 *                that age is less than one young generation
 *   the quarter  of the quarter rule is a half while full collections look at most of generation 2 and free next to nothing
 *
 * So between two full collections generation 2 grows by no more than half of what the first one left, or by what CPython's
 * thresholds let through where that is more, and by one young generation. In a heap of less than 64 x threshold0 objects
 * only the last of the three can differ from CPython.
 */
import {
  CONTROL_GROWTH_QUARTERS,
  CONTROL_LONG_LIVED_PENDING,
  CONTROL_LONG_LIVED_TOTAL,
  CONTROL_THRESHOLDS,
  CONTROL_YOUNG_THRESHOLD,
} from "../memory/layout.js";

/** Generation 0 grows to no more than this part of generation 2: eleven times it, as threshold2 asks for, is less than a quarter. */
const OLD_SHIFT = 6;
/** Of what a full collection looked at, the part that makes it worth while. */
const WORTH_WHILE = 1 / 16;
const QUARTERS_USUAL = 1;
const QUARTERS_IDLE = 2;

export class AdaptivePolicy {
  private readonly i32: Int32Array;

  constructor(i32: Int32Array) {
    this.i32 = i32;
  }

  /** Nothing is learned yet: CPython's rule. */
  reset(): void {
    const { i32 } = this;
    i32[CONTROL_YOUNG_THRESHOLD] = i32[CONTROL_THRESHOLDS];
    i32[CONTROL_GROWTH_QUARTERS] = QUARTERS_USUAL;
  }

  /** How many collections of generation 0 one of generation 1 waits for: more than this. */
  threshold1(): number {
    const { i32 } = this;
    const [threshold0, threshold1] = [i32[CONTROL_THRESHOLDS], i32[CONTROL_THRESHOLDS + 1]];
    const young = i32[CONTROL_YOUNG_THRESHOLD];
    return young === threshold0 ? threshold1 : Math.floor((threshold0 * threshold1) / young) - 1;
  }

  /** Learn from a collection. @param reachable what it looked at and did not free */
  learn(generation: number, collected: number, reachable: number): void {
    const { i32 } = this;
    const seen = collected + reachable;
    if (seen === 0) return;
    let young = i32[CONTROL_YOUNG_THRESHOLD];
    if (generation === 2) {
      // What is settled it did not look at: such a collection costs no more than what has come to the heap.
      const isIdle = collected < seen * WORTH_WHILE && seen * 2 > i32[CONTROL_LONG_LIVED_TOTAL];
      i32[CONTROL_GROWTH_QUARTERS] = isIdle ? QUARTERS_IDLE : QUARTERS_USUAL;
    } else if (collected >= seen * 0.75) young >>= 2;
    else if (collected < seen * 0.5) young *= 2;
    i32[CONTROL_YOUNG_THRESHOLD] = this.bounded(young);
  }

  private bounded(young: number): number {
    const { i32 } = this;
    const old = i32[CONTROL_LONG_LIVED_TOTAL] + i32[CONTROL_LONG_LIVED_PENDING];
    const least = i32[CONTROL_THRESHOLDS];
    return least <= 0 ? least : Math.max(least, Math.min(young, old >> OLD_SHIFT));
  }
}
