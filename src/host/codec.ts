/**
 * Codecs: how one slot is read and written from JavaScript. A write is three steps, because building a literal may run
 * user code, allocate and collect: `own` turns a value into stored bits and takes a reference for them; the caller then
 * makes sure that the slot is still there; `put` stores, and the reference is the slot's.
 */
import { TypeMismatchError } from "../memory/errors.js";
import {
  type Address,
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
} from "../memory/layout.js";
import { anyCodec } from "./any-codec.js";
import type { Context } from "./context.js";
import type { SlotSpec } from "./fields.js";
import { referenceCodec } from "./reference-codec.js";
import { show } from "./schema.js";
import { asView } from "./view.js";
import { weakCodec } from "./weak-codec.js";

/** Bits on their way into a slot. The high word of an `any` value is in `context.ownedHigh`. */
export type OwnedBits = number | bigint;

export interface Codec {
  /** The value; an object as a borrowed view. */
  read(word: Address): unknown;
  /** Take a reference to what is to be stored. May run user code. @throws TypeMismatchError and what creation throws */
  own(value: unknown): OwnedBits;
  /** The bits that `own` would return, of an object that exists, and no reference: for a lookup, which writes nothing. */
  peek?(value: unknown): number;
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
  /** `handOver` for slots that do not own what they read as. */
  handOver?(owned: OwnedBits): unknown;
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
  if (spec.weakTargets !== undefined) return weakCodec(context, spec.weakTargets, where);
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
  if (codec.handOver !== undefined) return codec.handOver(owned);
  const view = asView(value);
  if (view !== undefined) return view["@type"].context.handles.takeOver(view);
  codec.disown(owned);
  return value;
}

export function mismatch(where: string, expected: string, value: unknown): never {
  throw new TypeMismatchError(`${where} must be ${expected}, got ${show(value)}.`);
}

// -- numbers and booleans -----------------------------------------------------------------------

/** What each scalar slot accepts, and how a message names it. */
export const SCALARS: {
  readonly [slot: number]: { readonly expected: string; accepts(value: unknown): boolean };
} = {
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
