/**
 * Page runs: contiguous pages, taken from the reservation by arenas and given back to be split and merged.
 *
 * A free run has its length in the descriptors of its first and its last page (boundary tags), so that a run
 * given back finds both neighbours in O(1). Free runs hang in bins by floor(log2(length)).
 */
import {
  ARENA_PAGES,
  CONTROL_FIRST_PAGE,
  CONTROL_FREE_RUNS,
  CONTROL_PAGE_COUNT,
  CONTROL_PAGE_TABLE,
  CONTROL_PAGES_USED,
  CONTROL_TOP_PAGE,
  FREE_RUN_BINS,
  PAGE_CONTINUATION,
  PAGE_DESCRIPTOR_SHIFT,
  PAGE_FREE_RUN,
  PAGE_NEXT,
  PAGE_PREVIOUS,
  PAGE_RUN,
  PAGE_STATE,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";

/** How many runs of the exact bin are tried before a larger bin is cut or the top moved: bounds the search. */
const FIRST_FIT_TRIES = 32;

export class Arenas {
  private readonly i32: Int32Array;
  private readonly pageTable: number;

  constructor(memory: Memory) {
    this.i32 = memory.i32;
    this.pageTable = memory.i32[CONTROL_PAGE_TABLE];
  }

  /** Descriptor of a page by its number. */
  descriptor(page: number): number {
    return this.pageTable + (page << PAGE_DESCRIPTOR_SHIFT);
  }

  /**
   * The first page of a run of `length` pages, its descriptors marked as continuation (the caller sets the
   * first), or 0 when none is left. O(1) but for at most 32 tries among runs of about that length, or all of them when
   * nothing else is left.
   */
  takeRun(length: number): number {
    const { i32 } = this;
    const page =
      this.takeFreeRun(length, FIRST_FIT_TRIES) ||
      this.takeFreshRun(length) ||
      this.takeFreeRun(length, Number.POSITIVE_INFINITY);
    if (page === 0) return 0;
    i32[CONTROL_PAGES_USED] += length;
    for (let next = page + 1; next < page + length; next++)
      i32[this.descriptor(next) + PAGE_STATE] = PAGE_CONTINUATION;
    i32[this.descriptor(page) + PAGE_RUN] = length;
    return page;
  }

  /** Give a run back and merge it with free neighbours. O(length of the run). */
  giveRun(page: number): void {
    const { i32 } = this;
    let first = page;
    let length = i32[this.descriptor(page) + PAGE_RUN];
    // First: a page is in use, whole and at its place in a run, or it does not say so (gc/repair.ts).
    i32[this.descriptor(page) + PAGE_STATE] = PAGE_FREE_RUN;
    i32[CONTROL_PAGES_USED] -= length;
    const next = this.descriptor(page + length);
    if (page + length < i32[CONTROL_TOP_PAGE] && i32[next + PAGE_STATE] === PAGE_FREE_RUN) {
      this.unlinkFreeRun(next);
      length += i32[next + PAGE_RUN];
    }
    const before = this.descriptor(page - 1);
    if (page > i32[CONTROL_FIRST_PAGE] && i32[before + PAGE_STATE] === PAGE_FREE_RUN) {
      first = page - i32[before + PAGE_RUN];
      this.unlinkFreeRun(this.descriptor(first));
      length += page - first;
    }
    this.linkFreeRun(first, length);
  }

  /** Whether a run of `length` pages can be had. O(1) when the top has room. */
  canTake(length: number): boolean {
    const { i32 } = this;
    return (
      this.freshStart() + length <= i32[CONTROL_PAGE_COUNT] ||
      this.findFreeRun(length, Number.POSITIVE_INFINITY) !== 0
    );
  }

  private takeFreeRun(length: number, exactTries: number): number {
    const found = this.findFreeRun(length, exactTries);
    if (found === 0) return 0;
    this.unlinkFreeRun(found);
    const page = (found - this.pageTable) >> PAGE_DESCRIPTOR_SHIFT;
    const rest = this.i32[found + PAGE_RUN] - length;
    if (rest > 0) this.linkFreeRun(page + length, rest);
    return page;
  }

  /** Descriptor of a free run of at least `length` pages, or 0. */
  private findFreeRun(length: number, exactTries: number): number {
    const { i32 } = this;
    const exactBin = binOf(length);
    let run = i32[CONTROL_FREE_RUNS + exactBin];
    for (let tries = exactTries; run !== 0 && tries > 0; tries--) {
      if (i32[run + PAGE_RUN] >= length) return run;
      run = i32[run + PAGE_NEXT];
    }
    for (let bin = exactBin + 1; bin < FREE_RUN_BINS; bin++) {
      run = i32[CONTROL_FREE_RUNS + bin];
      if (run !== 0) return run;
    }
    return 0;
  }

  /** First page of a run that would reach fresh pages: the free run below the top, if there is one, begins it. */
  private freshStart(): number {
    const { i32 } = this;
    const top = i32[CONTROL_TOP_PAGE];
    const last = this.descriptor(top - 1);
    const isFree = top > i32[CONTROL_FIRST_PAGE] && i32[last + PAGE_STATE] === PAGE_FREE_RUN;
    return isFree ? top - i32[last + PAGE_RUN] : top;
  }

  /** Move the top up by whole arenas; what the run leaves of them becomes a free run. */
  private takeFreshRun(length: number): number {
    const { i32 } = this;
    const top = i32[CONTROL_TOP_PAGE];
    const limit = i32[CONTROL_PAGE_COUNT];
    const first = this.freshStart();
    const end = first + length;
    if (end > limit) return 0;
    if (first < top) this.unlinkFreeRun(this.descriptor(first));
    const arenas = Math.ceil(Math.max(0, end - top) / ARENA_PAGES);
    const newTop = Math.min(limit, top + arenas * ARENA_PAGES);
    i32[CONTROL_TOP_PAGE] = newTop;
    if (newTop > end) this.linkFreeRun(end, newTop - end);
    return first;
  }

  /** Make a run free that no bin holds: its ends say so, and it is in the bin of its length. It has no free neighbour. */
  linkFreeRun(page: number, length: number): void {
    const { i32 } = this;
    const first = this.descriptor(page);
    const last = this.descriptor(page + length - 1);
    const bin = CONTROL_FREE_RUNS + binOf(length);
    const head = i32[bin];
    // Only the ends are read while the run is free; the pages between keep old states until they are taken.
    i32[last + PAGE_STATE] = PAGE_FREE_RUN;
    i32[last + PAGE_RUN] = length;
    i32[first + PAGE_STATE] = PAGE_FREE_RUN;
    i32[first + PAGE_RUN] = length;
    i32[first + PAGE_PREVIOUS] = 0;
    i32[first + PAGE_NEXT] = head;
    if (head !== 0) i32[head + PAGE_PREVIOUS] = first;
    i32[bin] = first;
  }

  private unlinkFreeRun(run: number): void {
    const { i32 } = this;
    const next = i32[run + PAGE_NEXT];
    const previous = i32[run + PAGE_PREVIOUS];
    if (next !== 0) i32[next + PAGE_PREVIOUS] = previous;
    if (previous !== 0) i32[previous + PAGE_NEXT] = next;
    else i32[CONTROL_FREE_RUNS + binOf(i32[run + PAGE_RUN])] = next;
  }
}

/** floor(log2(length)): every run of a higher bin is longer than any of a lower one. */
function binOf(length: number): number {
  return 31 - Math.clz32(length);
}
