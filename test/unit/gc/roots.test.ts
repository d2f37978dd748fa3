import { expect, it } from "vitest";
import { dropRoots } from "../../../src/gc/roots.js";
import { finalizer, Heap, i32, optional, struct } from "../../../src/index.js";
import { makeExactHeap } from "../../support/heaps.js";

it("a heap that ends drops what is frozen too, behind the old generation, where unfreeze would put it", () => {
  const died: number[] = [];
  class Node extends struct("Node", {
    id: i32,
    get next() {
      return optional(Node);
    },
  }) {
    [finalizer](): void {
      died.push(this.id);
    }
  }
  const heap = makeExactHeap();
  const make = (id: number) => heap.new(Node, { id });
  const handles = [make(1), make(2)];
  heap.gc.freeze();
  handles.push(make(3));
  heap.gc.collect();
  handles.push(make(4));
  dropRoots(Heap.contextOf(heap).core);
  expect(died).toEqual([3, 1, 2, 4]);
  expect(handles).toHaveLength(4);
});
