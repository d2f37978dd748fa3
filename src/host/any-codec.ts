/** `any` slots, and those of a scalar beside null: a number, or a tag in the high word. */
import { TypeMismatchError } from "../memory/errors.js";
import {
  type Address,
  NAN_HIGH,
  SLOT_F32,
  TAG_BOOLEAN,
  TAG_FIRST,
  TAG_LAST,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
} from "../memory/layout.js";
import { acceptsScalar, type Codec, mismatch, type OwnedBits, SCALARS } from "./codec.js";
import type { Context } from "./context.js";
import type { SlotSpec } from "./fields.js";
import { show } from "./schema.js";
import { addressOf, asView, isLive } from "./view.js";

export function anyCodec(context: Context, spec: SlotSpec, where: string): Codec {
  const { core } = context;
  const { i32, f64 } = core.memory;
  const { strings, counts } = core;
  const rounds = spec.scalar?.slot === SLOT_F32;

  function read(word: Address): unknown {
    const high = i32[word + 1];
    if (high < TAG_FIRST || high > TAG_LAST) return f64[word >> 1];
    const low = i32[word];
    if (high === TAG_OBJECT) return context.binder.view(low);
    if (high === TAG_STRING) return strings.read(low);
    return high === TAG_BOOLEAN ? low !== 0 : null;
  }

  function own(value: unknown): number {
    if (spec.scalar !== undefined && value !== null && !acceptsScalar(spec.scalar.slot, value))
      return mismatch(where, `${SCALARS[spec.scalar.slot].expected}, or null`, value);
    return ownAny(context, rounds && typeof value === "number" ? Math.fround(value) : value, where);
  }

  function put(word: Address, owned: OwnedBits): void {
    const high = context.ownedHigh;
    if (high === 0) putNumber(core.memory, word, owned as number);
    else {
      i32[word] = owned as number;
      i32[word + 1] = high;
    }
  }

  return {
    read,
    own,
    put,
    peek: (value) => {
      if (typeof value !== "object" || value === null || spec.scalar !== undefined) return own(value);
      context.ownedHigh = TAG_OBJECT;
      return addressOfAny(context, value, where);
    },
    ownDefault: () => {
      context.ownedHigh = TAG_NULL;
      return 0;
    },
    swap: (word, owned) => {
      const low = i32[word];
      const high = i32[word + 1];
      put(word, owned);
      counts.decrefAny(low, high);
    },
    detach: (word) => {
      context.ownedHigh = i32[word + 1];
      return i32[word];
    },
    disown: (owned) => counts.decrefAny(owned as number, context.ownedHigh),
    holds: (word, value) => holdsAny(context, word, value),
  };
}

/** A number, with NaN made canonical: the payload bits of a foreign NaN could look like a tag. */
export function putNumber(
  { i32, f64 }: { i32: Int32Array; f64: Float64Array },
  word: Address,
  value: number,
): void {
  if (!Number.isNaN(value)) f64[word >> 1] = value;
  else {
    i32[word] = 0;
    i32[word + 1] = NAN_HIGH;
  }
}

/**
 * Take a reference to what an `any` slot is to hold: the low word or the number itself is returned, the tag left in
 * `context.ownedHigh` (0: a number).
 */
export function ownAny(context: Context, value: unknown, where: string): number {
  const { core } = context;
  switch (typeof value) {
    case "number":
      context.ownedHigh = 0;
      return value;
    case "string": {
      const string = core.strings.create(value);
      context.ownedHigh = TAG_STRING;
      return string;
    }
    case "boolean":
      context.ownedHigh = TAG_BOOLEAN;
      return value ? 1 : 0;
    case "object":
      if (value !== null) return ownAnyObject(context, value, where);
      context.ownedHigh = TAG_NULL;
      return 0;
    default:
      return mismatch(where, "null, a boolean, a number, a string or a heap object", value);
  }
}

function ownAnyObject(context: Context, value: object, where: string): Address {
  const address = addressOfAny(context, value, where);
  context.core.counts.incref(address);
  context.ownedHigh = TAG_OBJECT;
  return address;
}

function addressOfAny(context: Context, value: object, where: string): Address {
  const view = asView(value);
  if (view === undefined)
    throw new TypeMismatchError(
      `${where} must be null, a boolean, a number, a string or a heap object, got ${show(value)}. Copy plain objects into the heap with heap.from.`,
    );
  if (view["@type"].context !== context)
    throw new TypeMismatchError(
      `${where} cannot refer to a ${view["@type"].name} of another heap. Copy it: heap.from(other.toJS(ref)).`,
      "FOREIGN_HEAP",
    );
  return addressOf(view);
}

function holdsAny(context: Context, word: Address, value: unknown): boolean {
  const { i32, f64 } = context.core.memory;
  const low = i32[word];
  const high = i32[word + 1];
  switch (typeof value) {
    case "number":
      return (high < TAG_FIRST || high > TAG_LAST) && f64[word >> 1] === value;
    case "string":
      return high === TAG_STRING && context.core.strings.equals(low, value);
    case "boolean":
      return high === TAG_BOOLEAN && (low !== 0) === value;
    default: {
      if (value === null) return high === TAG_NULL;
      const view = asView(value);
      return (
        view !== undefined &&
        view["@type"].context === context &&
        isLive(view) &&
        high === TAG_OBJECT &&
        view["@address"] === low
      );
    }
  }
}
