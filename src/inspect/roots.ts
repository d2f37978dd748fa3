/** Handles as roots: what JavaScript itself keeps alive. */
import { Heap } from "../host/heap.js";
import type { Borrowed } from "../host/types.js";
import { addressOf, asView } from "../host/view.js";
import { InvalidArgumentError } from "../memory/errors.js";

/** A handle that has not been released. */
export interface Root {
  /** The object, borrowed. */
  readonly object: Borrowed;
  /** Name of its type. */
  readonly typeName: string;
  /** Stack frames of the call that made the handle, innermost first, one a line. */
  readonly madeAt: string;
}

/**
 * The handles whose lines were recorded and that are still held, oldest first. Which ones are recorded depends on the
 * heap's `checks`; `{ handles: { every: 1 } }` records all, `off` none. O(recorded handles).
 */
export function roots(heap: Heap): Root[] {
  const context = Heap.contextOf(heap);
  context.requireOpen();
  return [...context.handles.records].map(({ type, address, madeAt }) => ({
    object: type.view(address) as unknown as Borrowed,
    typeName: type.name,
    madeAt,
  }));
}

/** The recorded handles to one object: the lines that keep it alive from JavaScript. O(recorded handles). */
export function rootsOf(ref: Borrowed): Root[] {
  const view = asView(ref);
  if (view === undefined) throw new InvalidArgumentError("rootsOf takes a reference to a heap object.");
  const address = addressOf(view);
  const { heap, handles } = view["@type"].context;
  return [...handles.records].some((record) => record.address === address)
    ? roots(heap).filter(({ object }) => asView(object)?.["@address"] === address)
    : [];
}
