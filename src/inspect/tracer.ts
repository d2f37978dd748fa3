/** Which allocation made each block: the recorder behind tracemalloc. */
import type { BlockWatcher } from "../alloc/page.js";
import { SMALL_WORDS_MAX } from "../alloc/size-class.js";
import { type Address, GRANULE_SHIFT, WORD_BYTES } from "../memory/layout.js";
import { type Traceback, Tracebacks } from "./tracebacks.js";

export class Tracer implements BlockWatcher {
  readonly tracebacks: Tracebacks;
  /** One allocation in this many is recorded. */
  readonly every: number;
  /** Bytes of the recorded blocks that are alive, times `every`; and the most that they came to. */
  current = 0;
  peak = 0;
  /**
   * Number of the traceback of the block that starts in each granule, or 0. Beside the heap rather than a Map by address:
   * an entry in 4 bytes, and a free is one store. What is freed is struck out at once, so an address that is used again
   * never shows who had it before.
   */
  private numbers = new Int32Array(1 << 12);
  /** By number of the traceback: blocks and bytes that it has allocated, freed ones too. */
  private readonly made: { blocks: number; bytes: number }[] = [];
  private random = 0x9e3779b9;

  constructor(frames: number, every: number) {
    this.tracebacks = new Tracebacks(frames);
    this.every = every;
  }

  taken(block: Address, words: number): void {
    const granule = block >>> GRANULE_SHIFT;
    if (granule >= this.numbers.length) this.grow(granule);
    const number = this.tracebacks.capture();
    this.numbers[granule] = number;
    // Without memory for a larger array the store has no effect, and the block stays unrecorded.
    if (this.numbers[granule] !== number) return;
    this.made[number] ??= { blocks: 0, bytes: 0 };
    const made = this.made[number];
    made.blocks += this.weightOf(words);
    made.bytes += this.scaledBytes(words);
    this.current += this.scaledBytes(words);
    if (this.current > this.peak) this.peak = this.current;
  }

  given(block: Address, words: number): void {
    const granule = block >>> GRANULE_SHIFT;
    // Beyond the end it reads undefined, and there is nothing to strike out.
    if (!(this.numbers[granule] > 0)) return;
    this.numbers[granule] = 0;
    this.current -= this.scaledBytes(words);
  }

  /** Number of the traceback of a block; 0 where it was not recorded. */
  numberOf(block: Address): number {
    return this.numbers[block >>> GRANULE_SHIFT] ?? 0;
  }

  /** How many blocks one recorded block of this size stands for: large ones are all recorded. */
  weightOf(words: number): number {
    return words > SMALL_WORDS_MAX ? 1 : this.every;
  }

  /** What each traceback has allocated, whether it is alive or not. With sampling these are estimates. */
  *allocations(): IterableIterator<{ traceback: Traceback; blocks: number; bytes: number }> {
    for (const [number, made] of this.made.entries())
      if (made !== undefined) yield { traceback: this.tracebacks.get(number), ...made };
  }

  /** Forget what is recorded; recording goes on. */
  clear(): void {
    this.numbers.fill(0);
    this.made.length = 0;
    this.current = 0;
    this.peak = 0;
  }

  private scaledBytes(words: number): number {
    return words * WORD_BYTES * this.weightOf(words);
  }

  private grow(granule: number): void {
    try {
      const grown = new Int32Array(Math.max(granule + 1, this.numbers.length * 2));
      grown.set(this.numbers);
      this.numbers = grown;
    } catch {
      // An allocation that succeeded must not fail for its record.
    }
  }

  /**
   * Geometric, so that each allocation is recorded with the same chance whatever came before: a program that allocates in a
   * rhythm would otherwise show one beat of it only.
   */
  nextGap(): number {
    if (this.every === 1) return 0;
    const uniform = (this.nextRandom() >>> 0) / 2 ** 32 + 2 ** -33;
    return Math.floor(Math.log(uniform) / Math.log1p(-1 / this.every));
  }

  /** Marsaglia, "Xorshift RNGs", section 3: the same program is sampled in the same way each time. */
  private nextRandom(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return x;
  }
}
