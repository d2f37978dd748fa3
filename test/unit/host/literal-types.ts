/** The structs that the tests of literals make. */
import { any, f64, i32, list, optional, str, struct } from "../../../src/index.js";

export class Node extends struct("Node", {
  value: i32,
  label: str,
  get left() {
    return optional(Node);
  },
  get right() {
    return optional(Node);
  },
  get children() {
    return list(Node);
  },
}) {}
export const Point = struct("Point", { x: f64, y: f64 });
export const Labelled = struct("Labelled", { text: str, point: Point, extra: any });
