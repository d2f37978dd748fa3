/** Sending one reference to another thread: `postMessage` carries a number, the memory carries the reference. */
import { InvalidArgumentError, ParcelClaimedError, ShareError, TypeMismatchError } from "../memory/errors.js";
import { CONTROL_HEAP_ID } from "../memory/layout.js";
import { Parcels } from "../object/parcels.js";
import type { Context } from "./context.js";
import { typeText } from "./fields.js";
import { type ObjectDescriptor, show } from "./schema.js";
import type { Sharing } from "./sharing.js";
import { captureSite } from "./site.js";
import { addressOf, asView, type View } from "./view.js";

/** One strong reference under way: `worker.postMessage(heap.send(handle))`. It can be received once. */
export interface Parcel {
  readonly parcel: number;
  /** Which heap sent it. */
  readonly heap: number;
}

/** An empty text would be no object of the heap, and a slot without one looks as if it were free. */
const NO_LINE = " ";

/** @returns a parcel with a reference of its own: the handle stays the caller's */
export function send(context: Context, handle: unknown): Parcel {
  context.requireOpen();
  requireShared(context);
  const view = asView(handle);
  if (view === undefined || view["@type"].context !== context)
    throw new InvalidArgumentError(
      `heap.send takes a reference to an object of this heap, got ${show(handle)}.`,
    );
  addressOf(view);
  const line = context.handles.isRecordingLines ? captureSite() : NO_LINE;
  const { core } = context;
  const parcels = new Parcels(core.allocator);
  for (const site of parcels.reclaim()) core.counts.decref(site);
  parcels.reserve();
  const site = core.strings.create(line);
  const object = addressOf(view);
  core.counts.incref(object);
  return { parcel: parcels.add(object, site), heap: core.memory.i32[CONTROL_HEAP_ID] };
}

/**
 * Under a shared guard too: else the first thing that a reader does would be to write, and to enter all roots made before
 * `share()` (thread-end.ts), which takes longer the larger the heap is.
 * @returns a handle that takes over the parcel's reference
 */
export function receive(context: Context, descriptor: ObjectDescriptor, message: unknown): View {
  context.requireReadable();
  const sharing = requireShared(context);
  const { lock } = sharing;
  const { core } = context;
  const parcels = new Parcels(core.allocator);
  const { parcel: number, heap } = (message ?? {}) as Partial<Parcel>;
  if (typeof number !== "number" || typeof heap !== "number")
    throw new InvalidArgumentError(`heap.receive takes what heap.send returned, got ${show(message)}.`);
  if (heap !== core.memory.i32[CONTROL_HEAP_ID])
    throw new ParcelClaimedError(`Parcel ${number} was sent by another heap, or by none.`);
  const object = parcels.find(number);
  if (object === 0) refuseClaimed(number);
  const type = context.binder.typeOf(object);
  if (type.descriptor !== descriptor)
    throw new TypeMismatchError(
      `The parcel carries a ${type.text}, not a ${typeText(descriptor)}; it can still be received.${
        type.text === typeText(descriptor)
          ? " The two have one name: give Heap.attach, or heap.share({ types }), the class that is to be received."
          : ""
      }`,
    );
  sharing.requireRoom();
  if (lock.writeEpoch < 0) {
    sharing.setSettled(false);
    if (!parcels.takeShared(number)) {
      sharing.setSettled(true);
      refuseClaimed(number);
    }
  } else core.counts.decref(parcels.take(number));
  return type.handle(object);
}

function refuseClaimed(number: number): never {
  throw new ParcelClaimedError(
    `There is no parcel ${number}: it was received before, by this thread or another, or it was never sent. A parcel carries one reference; send once more for a second receiver.`,
  );
}

function requireShared({ sharing }: Context): Sharing {
  if (sharing !== undefined) return sharing;
  throw new ShareError(
    "NOT_SHARED",
    "This heap is not shared: call heap.share() before sending or receiving parcels.",
  );
}
