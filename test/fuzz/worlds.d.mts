import type { AnyStruct, Borrowed, Heap, LoadedHeap } from "../../src/index.js";
import type { Random } from "./damage.mjs";
export function declare(lib: object): { readonly Leaf: AnyStruct; readonly Node: AnyStruct };
export function build(
  lib: object,
  types: ReturnType<typeof declare>,
  random: Random,
  nodes: number,
): { heap: Heap; roots: Record<string, Borrowed> };
export function exercise(lib: object, loaded: LoadedHeap, verify: (heap: Heap) => void): void;
