/** Opening what a command is asked about: heaps that `heap.save` has written. */
import { Heap } from "../host/heap.js";
import type { Borrowed, Handle } from "../host/types.js";
import { asView } from "../host/view.js";
import { SAVED_AS } from "../inspect/edge-name.js";
import { HeapError } from "../memory/errors.js";
import { WORD_BYTES } from "../memory/layout.js";
import { UsageError } from "./options.js";

/** A saved heap in memory, to be disposed. */
export interface OpenHeap {
  readonly heap: Heap;
  readonly roots: Readonly<Record<string, Handle<Borrowed>>>;
  /** By root: the frames of the line that had made it, where the file says so. */
  readonly lines: ReadonlyMap<string, string>;
}

/** A file that cannot be opened or is no sound heap: exit code 3. */
export class FileError extends Error {}

export async function openHeap(file: string): Promise<OpenHeap> {
  try {
    const open = await Heap.load(file, { checks: { handles: { every: 1 } } });
    const lines = new Map<string, string>();
    for (const [name, handle] of Object.entries(open.roots)) nameRoot(handle, name, lines);
    open.heap.onLeakedHandle = () => {};
    return { ...open, lines };
  } catch (error) {
    const isExpected = error instanceof HeapError || typeof (error as { code?: unknown }).code === "string";
    if (!isExpected) throw error;
    throw new FileError(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** What holds an object is the file's root, made by a line of the program that saved it, and by none of ours. */
function nameRoot(handle: Handle<Borrowed>, name: string, lines: Map<string, string>): void {
  const owner = asView(handle)?.["@owner"];
  if (typeof owner !== "object") return;
  const madeAt = owner.isSaved === true ? owner.madeAt : undefined;
  if (madeAt !== undefined) lines.set(name, madeAt);
  const line = madeAt === undefined ? "" : `, made at ${madeAt.split("\n", 1)[0]}`;
  Object.assign(owner, { madeAt: `${SAVED_AS}${JSON.stringify(name)}${line}` });
}

/** The object at an address as `id(ref)` and the reports say it: in bytes, decimal or 0x... */
export function objectAt({ heap }: OpenHeap, text: string): Borrowed {
  const address = Number(text);
  const { core, binder } = Heap.contextOf(heap);
  if (!Number.isInteger(address) || address <= 0 || address % WORD_BYTES !== 0)
    throw new UsageError(`An address is a number as the reports show it, such as 0x50420, got ${text}.`);
  for (const object of core.allocator.objects())
    if (object * WORD_BYTES === address && binder.isBound(object))
      return binder.view(object) as unknown as Borrowed;
  throw new UsageError(`No object is at ${text} in this heap. "ouro report" shows addresses.`);
}
