/** What the heap says of a program, a line an operation. */
export function runHeap(program: readonly object[], options: { typed?: boolean; verify?: boolean }): string[];
/** Index of the first line that differs, or -1. */
export function firstDifference(ours: readonly string[], theirs: readonly string[]): number;
