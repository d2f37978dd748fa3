/** What the tests of snapshots share: a struct, and the options of a heap that records every handle. */
import { any, f64, optional, str, struct } from "../../../src/index.js";

export const recordAll = { checks: { handles: { every: 1 } } } as const;

export class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
  rest: any,
  value: f64,
}) {}
