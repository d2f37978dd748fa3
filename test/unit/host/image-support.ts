/** What the tests of saved heaps need: a struct to save, a heap loaded and verified, an image that is described otherwise. */
import { afterEach, expect } from "vitest";
import {
  any,
  type Borrowed,
  f64,
  Heap,
  type LoadedHeap,
  type LoadOptions,
  optional,
  str,
  struct,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { recompute } from "../../fuzz/damage.mjs";

export class Node extends struct("Node", {
  value: f64,
  name: str,
  get next() {
    return optional(Node);
  },
  rest: any,
}) {
  shout(): string {
    return this.name.toUpperCase();
  }
}

const loadedHeaps: Heap[] = [];

afterEach(() => {
  for (const heap of loadedHeaps.splice(0)) {
    verify(heap);
    heap.onLeakedHandle = () => {};
    heap[Symbol.dispose]();
  }
});

/** Load, verify now, and verify again when the test is over. */
export async function load(
  source: Parameters<typeof Heap.load>[0],
  options: LoadOptions = {},
): Promise<LoadedHeap> {
  const loaded = await Heap.load(source, options);
  loadedHeaps.push(loaded.heap);
  verify(loaded.heap);
  return loaded;
}

/** What one root leads to, as a class of the program. */
export async function travel<R extends Borrowed>(
  heap: Heap,
  ref: R,
  options: LoadOptions = { types: [Node] },
) {
  const { heap: other, roots } = await load(heap.saveBytes({ roots: { it: ref } }), options);
  return { heap: other, it: roots.it as unknown as R };
}

export async function refusal(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    () => expect.fail("nothing was thrown"),
    (error: Error) => error,
  );
}

interface Description {
  readonly roots: [string, number, unknown?][];
  readonly gc: Record<string, unknown>;
}

/** The description of an image. */
export function description(bytes: Uint8Array): Description {
  const length = new Int32Array(bytes.slice(16, 20).buffer)[0];
  return JSON.parse(new TextDecoder().decode(bytes.subarray(64, 64 + length)));
}

/** The same image with a part of its description changed, all checksums right. */
export function described(bytes: Uint8Array, change: (old: Description) => Partial<Description>): Uint8Array {
  const old = description(bytes);
  const text = new TextEncoder().encode(JSON.stringify({ ...old, ...change(old) }));
  const words = Math.ceil(text.length / 4);
  const front = 64 + Math.ceil(new Int32Array(bytes.slice(16, 20).buffer)[0] / 4) * 4;
  const result = new Uint8Array(64 + words * 4 + bytes.length - front).fill(0x20);
  result.set(bytes.subarray(0, 64));
  result.set(text, 64);
  result.set(bytes.subarray(front), 64 + words * 4);
  new Int32Array(result.buffer)[4] = text.length;
  return recompute(result);
}
