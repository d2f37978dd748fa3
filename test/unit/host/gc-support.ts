/** What the tests of the gc module share: garbage, and structs to make it of. */
import { f64, type Heap, optional, str, struct } from "../../../src/index.js";

export class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
}) {}
export const Point = struct("Point", { x: f64, label: str });

/** So many nodes that each refer to themselves and that nobody holds. */
export function makeGarbage(heap: Heap, count = 1): void {
  for (let index = 0; index < count; index++) {
    using node = heap.new(Node, {});
    node.next = node;
  }
}
