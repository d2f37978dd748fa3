import type { Heap } from "ouroheap";

/** Build a deep structure, let go of its head, and tell what was seen of its death. */
export function runDeep(
  heap: Heap,
  name: "chain" | "nest",
  size: number,
  every?: number,
): { events: number; hash: number; built: number; died: number };
