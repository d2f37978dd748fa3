/** Foreign objects in JavaScript: the value that the heap owns, behind a reference like any other. */
import { TombstoneError, UseAfterReleaseError, WrongThreadError } from "../memory/errors.js";
import type { Address } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import type { Context } from "./context.js";
import { checkBytes, type ForeignRecord } from "./foreign.js";
import { addressOf, hide, INSPECT, isLive, type View } from "./view.js";

/** Behind every view of a foreign object, so that tools can tell one. */
export class ForeignView {}

export function defineForeign(type: BoundType): void {
  const { context } = type;
  const prototype = Object.create(ForeignView.prototype) as object;
  const recordOf = (view: View): ForeignRecord =>
    context.foreign.recordOf(addressOf(view)) ?? gone(context, addressOf(view));
  hide(prototype, "@type", type);
  Object.defineProperties(prototype, {
    value: {
      get(this: View) {
        return recordOf(this).value;
      },
      configurable: true,
    },
    bytes: {
      get(this: View) {
        return recordOf(this).bytes;
      },
      set(this: View, bytes: unknown) {
        checkBytes(bytes);
        context.foreign.resize(recordOf(this), bytes);
      },
      configurable: true,
    },
    disposer: {
      get(this: View) {
        return recordOf(this).disposer;
      },
      configurable: true,
    },
  });
  hide(prototype, INSPECT, function (this: View, _: unknown, options: object, inspect: Inspect) {
    if (!isLive(this)) return "[foreign: not alive]";
    const record = context.foreign.recordOf(this["@address"]);
    if (record !== undefined) return `foreign ${inspect(record.value, options)}`;
    if (context.foreign.otherThreadOf(this["@address"]) !== undefined) return "foreign { of another thread }";
    const tombstone = context.foreign.tombstoneOf(this["@address"]);
    return tombstone === undefined ? "foreign { disposed }" : `foreign { tombstone: ${tombstone.value} }`;
  });
  hide(prototype, "toJSON", () => ({ foreign: true }));
  type.View.prototype = prototype;
  context.handles.defineRelease(type, prototype);
}

type Inspect = (value: unknown, options: object) => string;

function gone({ foreign, sharing }: Context, object: Address): never {
  const thread = foreign.otherThreadOf(object);
  if (thread !== undefined)
    throw new WrongThreadError(
      `The value behind this foreign reference belongs to thread ${sharing!.nameOf(thread)}, which adopted it: only there it can be used, and there it is disposed.`,
    );
  const tombstone = foreign.tombstoneOf(object);
  if (tombstone !== undefined) throw new TombstoneError(tombstone.value, tombstone.disposer);
  throw new UseAfterReleaseError(
    "VALUE_DISPOSED",
    "The value behind this foreign reference has been disposed: the heap is ending, or a collection is taking apart the cycle that it was on.",
  );
}
