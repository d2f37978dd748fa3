/** A shared heap, and threads that are ended at a bad moment: copies of the library in this one (as in shared-heap.ts). */
import { afterEach, vi } from "vitest";
import { f64, Heap, type HeapRepair, list, str, struct } from "../../../src/index.js";
import type { Library } from "./shared-heap.js";

export const Node = struct("Node", { v: f64, name: str });
export const heaps: Heap[] = [];
export const repairs: HeapRepair[] = [];

export function makeShared(checks: "verify" | "handles" = "verify") {
  const heap = Heap.create({ maximumBytes: 16 << 20, checks });
  const kept = heap.new(list(Node), [{ name: "kept" }]);
  const token = heap.share({ name: "first" });
  heap.onRepair = (repair) => repairs.push(repair);
  heap.onLeakedHandle = () => {};
  heaps.push(heap);
  const { sharing, core } = Heap.contextOf(heap);
  return { heap, token, kept, sharing: sharing!, i32: core.memory.i32 };
}
type Shared = ReturnType<typeof makeShared>;

/** Another thread, to be ended. */
export async function join({ token }: Shared, name: string, bringsNode = false) {
  vi.resetModules();
  const library: Library = await import("../../../src/index.js");
  const OtherNode = library.struct("Node", { v: library.f64, name: library.str });
  const heap = library.Heap.attach(token, bringsNode ? [OtherNode] : [], { name });
  heap.onLeakedHandle = () => {};
  return {
    library,
    heap,
    OtherNode,
    context: library.Heap.contextOf(heap),
    sharing: library.Heap.contextOf(heap).sharing!,
  };
}

afterEach(() => {
  repairs.length = 0;
  for (const heap of heaps.splice(0).reverse()) heap[Symbol.dispose]();
});
