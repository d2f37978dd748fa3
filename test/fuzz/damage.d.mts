export type Random = (limit: number) => number;
export function randomFrom(seed: number): Random;
export function xxh32(bytes: Uint8Array): number;
export function recompute(bytes: Uint8Array): Uint8Array;
export const KINDS: readonly string[];
export function damage(bytes: Uint8Array, kind: string, random: Random): Uint8Array;
