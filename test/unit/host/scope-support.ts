/** What the tests of scopes share: structs to make in them, and the shape of an error that hides another. */
import { f64, i32, optional, struct } from "../../../src/index.js";

export class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}
export const Point = struct("Point", { x: f64 });

export interface Suppressed extends Error {
  error: unknown;
  suppressed: unknown;
}
