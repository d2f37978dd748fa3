/** Chance that is the same in every run. */

/** Numbers in [0, 1) that are the same for a seed in every run (mulberry32). */
export type Random = () => number;
export function randomFrom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}
export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[below(random, choices.length)];
}
export function shuffle<T>(random: Random, items: readonly T[]): T[] {
  const shuffled = [...items];
  for (let index = shuffled.length - 1; index > 0; index--) {
    const other = below(random, index + 1);
    [shuffled[index], shuffled[other]] = [shuffled[other], shuffled[index]];
  }
  return shuffled;
}
