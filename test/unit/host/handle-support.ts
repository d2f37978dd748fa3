/** What the tests of handles share: structs, the options of a heap that records every handle, and the line of a test. */
import { f64, i32, optional, struct } from "../../../src/index.js";

export class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}
export const Point = struct("Point", { x: f64 });

export const recordAll = { checks: { handles: { every: 1 } } } as const;

/** The line of the test that calls it, as a stack names it. */
export function here(): string {
  const line = new Error().stack!.split("\n")[2];
  return /handle[\w-]*\.test\.ts:\d+/.exec(line)![0];
}
