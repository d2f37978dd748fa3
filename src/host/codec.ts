/**
 * Codecs: how one slot is read and written from JavaScript. A write is three steps, because building a literal may run
 * user code, allocate and collect: `own` turns a value into stored bits and takes a reference for them; the caller then
 * makes sure that the slot is still there; `put` stores, and the reference is the slot's.
 */
import { InvalidArgumentError, TypeMismatchError } from "../memory/errors.js";
import {
  type Address,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  NAN_HIGH,
  SLOT_ANY,
  SLOT_BOOL,
  SLOT_F32,
  SLOT_F64,
  SLOT_I32,
  SLOT_I64,
  SLOT_REF,
  SLOT_STR,
  SLOT_U8,
  SLOT_U32,
  TAG_BOOLEAN,
  TAG_FIRST,
  TAG_LAST,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import type { BoundType } from "./bind.js";
import type { Context } from "./context.js";
import { type SlotSpec, typeText } from "./fields.js";
import { show } from "./schema.js";
import { asView, isLive, stale, type View } from "./view.js";

/** Bits on their way into a slot. The high word of an `any` value is in `context.ownedHigh`. */
export type OwnedBits = number | bigint;

export interface Codec {
  /** The value; an object as a borrowed view. */
  read(word: Address): unknown;
  /** Take a reference to what is to be stored. May run user code. @throws TypeMismatchError and what creation throws */
  own(value: unknown): OwnedBits;
  /** What is stored when a literal leaves the slot out. @throws TypeMismatchError when there is no such value */
  ownDefault(): OwnedBits;
  /** Store over undefined memory. */
  put(word: Address, owned: OwnedBits): void;
  /** Store over a value, then drop the old one. */
  swap(word: Address, owned: OwnedBits): void;
  /** The opposite of `put`: the bits of a slot that is about to vanish, with their reference. */
  detach(word: Address): OwnedBits;
  /** Give up what `own` or `detach` returned. */
  disown(owned: OwnedBits): void;
  /** Whether the slot holds this value: numbers by value, texts by content, objects by identity. */
  holds(word: Address, value: unknown): boolean;
}

/**
 * @param where what messages call the slot, for example `TreeNode.value`
 * @param shift of a byte within its word
 */
export function createCodec(context: Context, spec: SlotSpec, where: string, shift = 0): Codec {
  if (spec.slot === SLOT_STR) return stringCodec(context, where);
  if (spec.slot === SLOT_ANY) return anyCodec(context, spec, where);
  if (spec.slot === SLOT_I64) return bigintCodec(context, where);
  if (spec.slot === SLOT_REF) return referenceCodec(context, spec, where);
  return numberCodec(context, spec.slot, where, shift);
}

/**
 * Give a caller what was in a slot that is gone now: an object as a handle, which takes over the slot's reference. The
 * last step of taking something out: recording the handle's line may run user code.
 *
 * @param value what `read` said while the slot was there
 * @param owned what `detach` returned, with its high word still in `context.ownedHigh`
 */
export function handOver(codec: Codec, value: unknown, owned: OwnedBits): unknown {
  const view = asView(value);
  if (view !== undefined) return view["@type"].context.handles.adopt(view);
  codec.disown(owned);
  return value;
}

function mismatch(where: string, expected: string, value: unknown): never {
  throw new TypeMismatchError(`${where} must be ${expected}, got ${show(value)}.`);
}

// -- numbers and booleans -----------------------------------------------------------------------

/** What each scalar slot accepts, and how a message names it. */
const SCALARS: { readonly [slot: number]: { readonly expected: string; accepts(value: unknown): boolean } } =
  {
    [SLOT_F64]: { expected: "a number", accepts: isNumber },
    [SLOT_F32]: { expected: "a number", accepts: isNumber },
    [SLOT_I32]: {
      expected: "an i32 (a whole number of 32 bits)",
      accepts: (v) => isNumber(v) && v === (v | 0),
    },
    [SLOT_U32]: {
      expected: "a u32 (a whole number from 0 to 4294967295)",
      accepts: (v) => isNumber(v) && v === v >>> 0,
    },
    [SLOT_U8]: {
      expected: "a u8 (a whole number from 0 to 255)",
      accepts: (v) => isNumber(v) && v === (v & 0xff),
    },
    [SLOT_BOOL]: { expected: "a boolean", accepts: (v) => typeof v === "boolean" },
    [SLOT_STR]: { expected: "a string", accepts: (v) => typeof v === "string" },
  };

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

/** Whether a value may be stored in a scalar slot. */
export function acceptsScalar(slot: number, value: unknown): boolean {
  return SCALARS[slot].accepts(value);
}

function numberCodec(context: Context, slot: number, where: string, shift: number): Codec {
  const { read, put } = numberAccess(context, slot, shift);
  const { expected } = SCALARS[slot];
  return {
    read,
    put,
    own: (value) => (acceptsScalar(slot, value) ? Number(value) : mismatch(where, expected, value)),
    ownDefault: () => 0,
    swap: put,
    detach: () => 0,
    disown: () => {},
    holds: (word, value) => read(word) === value,
  };
}

interface NumberAccess {
  read(word: Address): number | boolean;
  put(word: Address, value: OwnedBits): void;
}

function numberAccess({ core }: Context, slot: number, shift: number): NumberAccess {
  const { i32, f64, f32 } = core.memory;
  const mask = ~(0xff << shift);
  switch (slot) {
    case SLOT_F64:
      return {
        read: (word) => f64[word >> 1],
        put: (word, value) => {
          f64[word >> 1] = value as number;
        },
      };
    case SLOT_F32:
      return {
        read: (word) => f32[word],
        put: (word, value) => {
          f32[word] = value as number;
        },
      };
    case SLOT_U32:
      return {
        read: (word) => i32[word] >>> 0,
        put: (word, value) => {
          i32[word] = value as number;
        },
      };
    case SLOT_I32:
      return {
        read: (word) => i32[word],
        put: (word, value) => {
          i32[word] = value as number;
        },
      };
    case SLOT_U8:
      return {
        read: (word) => (i32[word] >>> shift) & 0xff,
        put: (word, value) => {
          i32[word] = (i32[word] & mask) | ((value as number) << shift);
        },
      };
    default:
      return {
        read: (word) => ((i32[word] >>> shift) & 0xff) !== 0,
        put: (word, value) => {
          i32[word] = (i32[word] & mask) | ((value as number) << shift);
        },
      };
  }
}

function bigintCodec({ core }: Context, where: string): Codec {
  const { i64 } = core.memory;
  const read = (word: Address) => i64[word >> 1];
  const put = (word: Address, value: OwnedBits) => {
    i64[word >> 1] = value as bigint;
  };
  return {
    read,
    put,
    own: (value) =>
      typeof value === "bigint" && BigInt.asIntN(64, value) === value
        ? value
        : mismatch(where, "an i64 (a bigint of 64 bits)", value),
    ownDefault: () => 0n,
    swap: put,
    detach: () => 0n,
    disown: () => {},
    holds: (word, value) => i64[word >> 1] === value,
  };
}

// -- strings --------------------------------------------------------------------------------------

function stringCodec({ core }: Context, where: string): Codec {
  const { strings, counts } = core;
  const { i32 } = core.memory;
  const read = (word: Address) => strings.read(i32[word]);
  const disown = (owned: OwnedBits) => {
    if (owned !== 0) counts.decref(owned as number);
  };
  return {
    read,
    disown,
    own: (value) => (typeof value === "string" ? strings.create(value) : mismatch(where, "a string", value)),
    ownDefault: () => 0,
    put: (word, owned) => {
      i32[word] = owned as number;
    },
    swap: (word, owned) => {
      const old = i32[word];
      i32[word] = owned as number;
      disown(old);
    },
    detach: (word) => i32[word],
    holds: (word, value) => typeof value === "string" && strings.equals(i32[word], value),
  };
}

// -- references -----------------------------------------------------------------------------------

function referenceCodec(context: Context, spec: SlotSpec, where: string): Codec {
  const { i32 } = context.core.memory;
  const { counts } = context.core;
  const targets = spec.targets.map((target) => context.binder.bind(target));
  const read = targets.length === 1 ? readOne(i32, targets[0]) : readSeveral(context);
  const own = ownReference(context, targets, spec, where);
  return {
    read,
    own,
    ownDefault: () => {
      if (spec.isOptional) return 0;
      if (!spec.hasDefault)
        return mismatch(where, `given: ${expectedReference(spec)} has no zero value`, undefined);
      return targets[0].createEmpty();
    },
    put: (word, owned) => {
      i32[word] = owned as number;
    },
    swap: (word, owned) => {
      const old = i32[word];
      i32[word] = owned as number;
      if (old !== 0) counts.decref(old);
    },
    detach: (word) => i32[word],
    disown: (owned) => {
      if (owned !== 0) counts.decref(owned as number);
    },
    holds: (word, value) => {
      const view = asView(value);
      if (view === undefined) return value === null && i32[word] === 0;
      return isLive(view) && view["@type"].context === context && view["@address"] === i32[word];
    },
  };
}

function readOne(i32: Int32Array, target: BoundType): (word: Address) => View | null {
  const { View } = target;
  return (word) => {
    const object = i32[word];
    return object === 0 ? null : new View(object, i32[object + HEADER_SERIAL]);
  };
}

function readSeveral(context: Context): (word: Address) => View | null {
  const { i32 } = context.core.memory;
  const { views } = context.binder;
  return (word) => {
    const object = i32[word];
    return object === 0
      ? null
      : new views[i32[object + HEADER_TYPE] & TYPE_ID_MASK](object, i32[object + HEADER_SERIAL]);
  };
}

function expectedReference(spec: SlotSpec): string {
  const types = spec.targets.map(typeText).join(" or ") || "a heap object";
  return spec.isOptional ? `${types}, or null` : types;
}

function ownReference(
  context: Context,
  targets: readonly BoundType[],
  spec: SlotSpec,
  where: string,
): (value: unknown) => Address {
  const { i32 } = context.core.memory;
  const target = targets[0];
  const isSingle = targets.length === 1;
  const allows = (type: BoundType | undefined) =>
    targets.length > 0 ? targets.includes(type as BoundType) : type?.context === context;
  return (value) => {
    if (typeof value === "object" && value !== null) {
      const type = (value as View)["@type"];
      if (isSingle ? type === target : allows(type)) {
        const object = (value as View)["@address"];
        if (i32[object + HEADER_SERIAL] !== (value as View)["@serial"]) stale(value as View);
        i32[object + HEADER_REFCOUNT]++;
        return object;
      }
      if (isSingle && (type === undefined || asView(value) === undefined)) return createNested(target, value);
      refuseReference(context, spec, where, value);
    }
    if (value === null && spec.isOptional) return 0;
    return mismatch(where, expectedReference(spec), value);
  };
}

/** A literal nested deeper than this is refused: the makers of nested types call one another. */
const NESTING_MAX = 1000;
let nesting = 0;

function createNested(target: BoundType, literal: object): Address {
  if (nesting >= NESTING_MAX)
    throw new InvalidArgumentError(
      `A literal may be nested ${NESTING_MAX} deep. Build deeper structures from the inside out, or copy plain data with heap.from.`,
    );
  nesting++;
  try {
    return target.create(literal);
  } finally {
    nesting--;
  }
}

/** An object that may not be stored here: of another type, of another heap, or a literal where none can be built. */
function refuseReference(context: Context, spec: SlotSpec, where: string, value: object): never {
  const view = asView(value);
  if (view === undefined)
    throw new TypeMismatchError(
      `${where} must be ${expectedReference(spec)}, got ${show(value)}: which of the types a literal should become is unknown. Make it with heap.new.`,
    );
  if (view["@type"].context !== context)
    throw new TypeMismatchError(
      `${where} cannot refer to a ${view["@type"].name} of another heap. Copy it: heap.from(other.toJS(ref)).`,
      "FOREIGN_HEAP",
    );
  throw new TypeMismatchError(`${where} must be ${expectedReference(spec)}, got a ${view["@type"].text}.`);
}

// -- any ------------------------------------------------------------------------------------------

function anyCodec(context: Context, spec: SlotSpec, where: string): Codec {
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
  if (!isLive(view)) stale(view);
  context.core.counts.incref(view["@address"]);
  context.ownedHigh = TAG_OBJECT;
  return view["@address"];
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
        high === TAG_OBJECT &&
        view !== undefined &&
        isLive(view) &&
        view["@type"].context === context &&
        view["@address"] === low
      );
    }
  }
}
