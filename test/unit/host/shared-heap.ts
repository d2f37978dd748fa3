/**
 * Heaps shared by "threads" that are copies of the library in this one: each has a heap of its own over the same memory. Real threads are
 * in test/threads.
 */
import { afterEach, vi } from "vitest";
import { any, dict, f64, Heap, list, optional, set, str, struct, tuple, weak } from "../../../src/index.js";

export type Library = typeof import("../../../src/index.js");

export class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  v: f64,
  name: str,
}) {}
export const Pair = tuple(Node, f64);
export class Box extends struct("Box", {
  nodes: list(Node),
  byName: dict(str, Node),
  members: set(Node),
  mixed: dict(any, any),
  get pair() {
    return optional(Pair);
  },
  get friend() {
    return weak(Node);
  },
}) {}

/** Heaps to be disposed of after the test, in the opposite order. */
export const open: { heap: { [Symbol.dispose](): void } }[] = [];

export function makeShared(options: Parameters<typeof Heap.create>[0] = {}) {
  const heap = Heap.create({ maximumBytes: 16 << 20, checks: "verify", ...options });
  heap.onLeakedHandle = () => {};
  const token = heap.share({ name: "first" });
  open.push({ heap });
  return { heap, token };
}

/** Another thread: a library that knows nothing of this one. */
export async function otherThread(): Promise<{ library: Library; verify: (heap: Heap) => void }> {
  vi.resetModules();
  const library = await import("../../../src/index.js");
  const inspect = await import("../../../src/inspect/index.js");
  return { library, verify: inspect.verify as (heap: Heap) => void };
}

/** The same structs in the other library. */
export function structsOf({ struct, optional, f64, str }: Library) {
  class OtherNode extends struct("Node", {
    get next() {
      return optional(OtherNode);
    },
    v: f64,
    name: str,
  }) {
    get shout() {
      return this.name.toUpperCase();
    }
  }
  return { OtherNode };
}

export function under<R>(guard: Disposable, body: () => R): R {
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

export function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "no error";
}

afterEach(() => {
  for (const { heap } of open.splice(0).reverse()) heap[Symbol.dispose]();
});
