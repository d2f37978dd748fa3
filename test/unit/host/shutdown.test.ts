import { expect, it } from "vitest";
import { finalizer, Heap, struct } from "../../../src/index.js";

class Watched extends struct("Watched", {}) {
  static dies: () => void = () => {};
  [finalizer]() {
    Watched.dies();
  }
}

it("a collection that a finalizer asks for at the end is told to gc.callbacks, the heap's own last one is not", () => {
  const heap = Heap.create({ maximumBytes: 1 << 20, checks: "off" });
  heap.gc.disable();
  heap.new(Watched, {});
  const told: string[] = [];
  heap.gc.callbacks.push((phase, { generation }) => told.push(`${phase} ${generation}`));
  Watched.dies = () => heap.gc.collect(0);
  heap.shutdown();
  expect(told).toEqual(["start 0", "stop 0"]);
});
