/** What a slot holds, as values of a test: into words and back, with the references that they take. */
import type { Core } from "../../src/gc/core.js";
import {
  type Address,
  NAN_HIGH,
  SLOT_ANY,
  SLOT_BOOL,
  SLOT_F32,
  SLOT_F64,
  SLOT_I32,
  SLOT_I64,
  SLOT_NONE,
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
} from "../../src/memory/layout.js";
import { hashPair, hashWord } from "../../src/object/hash-table.js";
import { slotWords } from "../../src/object/slot.js";
import { hashText } from "../../src/object/string.js";

export const SLOTS = {
  ref: SLOT_REF,
  any: SLOT_ANY,
  str: SLOT_STR,
  f64: SLOT_F64,
  f32: SLOT_F32,
  i32: SLOT_I32,
  u32: SLOT_U32,
  u8: SLOT_U8,
  i64: SLOT_I64,
  bool: SLOT_BOOL,
} as const;
export type SlotName = keyof typeof SLOTS;

/** What a slot holds. An object is wrapped, so that it is no number. */
export type Value = null | boolean | number | bigint | string | Reference;
export interface Reference {
  readonly object: Address;
}
export function ref(object: Address): Reference {
  return { object };
}

/** The words of a value in a slot; for text among a table's keys the text itself, made an object only when stored. */
export interface Bits {
  low: number;
  high: number;
}
export interface PreparedKey extends Bits {
  readonly hash: number;
  readonly text: string | undefined;
}

const scratchF64 = new Float64Array(1);
const scratchF32 = new Float32Array(scratchF64.buffer);
const scratchI32 = new Int32Array(scratchF64.buffer);
const scratchI64 = new BigInt64Array(scratchF64.buffer);

/** A number as two words; NaN is canonical. */
function pairOf(value: number): Bits {
  if (Number.isNaN(value)) return { low: 0, high: NAN_HIGH };
  scratchF64[0] = value;
  return { low: scratchI32[0], high: scratchI32[1] };
}

/** The slots of a core's objects, read and written as values. */
export class Slots {
  private readonly core: Core;
  private readonly i32: Int32Array;
  constructor(core: Core) {
    this.core = core;
    this.i32 = core.memory.i32;
  }

  /** The words of a value; a reference taken to what they name. */
  own(slot: number, value: Value): Bits {
    if (typeof value === "string") {
      const low = this.core.strings.create(value);
      return { low, high: slot === SLOT_ANY ? TAG_STRING : 0 };
    }
    const bits = this.encode(slot, value);
    if (objectIn(value) !== 0) this.core.counts.incref(objectIn(value));
    return bits;
  }

  encode(slot: number, value: Exclude<Value, string>): Bits {
    if (value !== null && typeof value === "object")
      return { low: value.object, high: slot === SLOT_ANY ? TAG_OBJECT : 0 };
    if (slot === SLOT_ANY) {
      if (value === null) return { low: 0, high: TAG_NULL };
      if (typeof value === "boolean") return { low: Number(value), high: TAG_BOOLEAN };
      return pairOf(value as number);
    }
    if (slot === SLOT_F64) return pairOf(value as number);
    if (slot === SLOT_F32) scratchF32[0] = value as number;
    else if (slot === SLOT_I64) scratchI64[0] = value as bigint;
    else scratchI32[0] = Number(value);
    return { low: scratchI32[0], high: scratchI32[1] };
  }

  disown(slot: number, { low, high }: Bits): void {
    if (slot === SLOT_ANY) this.core.counts.decrefAny(low, high);
    else if ((slot === SLOT_REF || slot === SLOT_STR) && low !== 0) this.core.counts.decref(low);
  }

  write(word: Address, slot: number, { low, high }: Bits): void {
    this.i32[word] = low;
    if (slotWords(slot) === 2) this.i32[word + 1] = high;
  }

  swap(word: Address, slot: number, value: Value): void {
    this.swapBits(word, slot, this.own(slot, value));
  }
  swapBits(word: Address, slot: number, bits: Bits): void {
    const old = { low: this.i32[word], high: this.i32[word + 1] };
    this.write(word, slot, bits);
    this.disown(slot, old);
  }

  read(word: Address, slot: number): Value {
    const { i32, core } = this;
    const low = i32[word];
    switch (slot) {
      case SLOT_NONE:
        return null;
      case SLOT_REF:
        return low === 0 ? null : ref(low);
      case SLOT_STR:
        return core.strings.read(low);
      case SLOT_F64:
        return core.memory.f64[word >> 1];
      case SLOT_F32:
        return core.memory.f32[word];
      case SLOT_I64:
        return core.memory.i64[word >> 1];
      case SLOT_U32:
        return low >>> 0;
      case SLOT_BOOL:
        return low !== 0;
      case SLOT_ANY:
        return this.readAny(word);
      default:
        return low;
    }
  }

  private readAny(word: Address): Value {
    const high = this.i32[word + 1];
    if (high < TAG_FIRST || high > TAG_LAST) return this.core.memory.f64[word >> 1];
    const low = this.i32[word];
    if (high === TAG_OBJECT) return ref(low);
    if (high === TAG_STRING) return this.core.strings.read(low);
    return high === TAG_BOOLEAN ? low !== 0 : null;
  }

  /** -0 is 0 and every NaN the same, as in a Map; text stays text. */
  prepare(slot: number, key: Value): PreparedKey {
    if (typeof key === "string") {
      const hash = hashText(key);
      return { low: 0, high: slot === SLOT_STR ? hash : TAG_STRING, hash, text: key };
    }
    const normal = key === 0 ? 0 : key;
    if (slotWords(slot) === 2) {
      const { low, high } = this.encode(slot, normal);
      return { low, high, hash: hashPair(low, high), text: undefined };
    }
    const { low } = this.encode(slot, normal);
    return { low, high: hashWord(low), hash: hashWord(low), text: undefined };
  }
}

export function zeroOf(slot: number): Value {
  if (slot === SLOT_REF || slot === SLOT_ANY) return null;
  return slot === SLOT_STR ? "" : slot === SLOT_I64 ? 0n : 0;
}

export function objectIn(value: Value): Address {
  return value !== null && typeof value === "object" ? value.object : 0;
}
