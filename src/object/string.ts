/**
 * Strings: immutable objects, Latin-1 or UTF-16 by width, hidden behind JavaScript strings. The empty string has no
 * object: its address is 0. Lone surrogates survive, because units are copied, never transcoded.
 */
import type { Allocator } from "../alloc/allocator.js";
import {
  type Address,
  HASH_MASK,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  KIND_LEAF,
  STRING_DATA,
  STRING_HASH,
  STRING_LENGTH,
  TYPE_ID_STRING,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";

const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

/** Up to this length appending character by character beats a native decode. */
const LOOP_LENGTH_MAX = 6;
/** Texts up to this length are kept by the decode cache. */
const CACHED_LENGTH_MAX = 64;
const CACHE_SLOTS = 4096;
const DECODE_CHUNK = 4096;

/** What Node's Buffer adds to a Uint8Array: it decodes shared memory without a copy. */
interface NodeBytes extends Uint8Array {
  latin1Slice(start: number, end: number): string;
  ucs2Slice(start: number, end: number): string;
}
interface NodeBuffer {
  from(buffer: ArrayBufferLike, byteOffset: number, length: number): NodeBytes;
}
const nodeBuffer = (globalThis as unknown as { Buffer?: NodeBuffer }).Buffer;

/** 31-bit hash of a text's UTF-16 units: FNV-1a with a final mix. O(length). */
export function hashText(text: string): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return finishHash(hash);
}

/** The same of units that lie in memory. @param length a string's length word */
export function hashUnits(i32: Int32Array, data: Address, length: number): number {
  const isWide = (length & 1) !== 0;
  const units = length >>> 1;
  const perWord = isWide ? 2 : 4;
  let hash = FNV_OFFSET;
  let word = data;
  for (const end = data + Math.floor(units / perWord); word < end; word++) {
    const bits = i32[word];
    if (isWide) {
      hash = Math.imul(hash ^ (bits & 0xffff), FNV_PRIME);
      hash = Math.imul(hash ^ (bits >>> 16), FNV_PRIME);
    } else {
      hash = Math.imul(hash ^ (bits & 0xff), FNV_PRIME);
      hash = Math.imul(hash ^ ((bits >>> 8) & 0xff), FNV_PRIME);
      hash = Math.imul(hash ^ ((bits >>> 16) & 0xff), FNV_PRIME);
      hash = Math.imul(hash ^ (bits >>> 24), FNV_PRIME);
    }
  }
  let bits = i32[word];
  for (let rest = units % perWord; rest > 0; rest--) {
    hash = Math.imul(hash ^ (bits & (isWide ? 0xffff : 0xff)), FNV_PRIME);
    bits >>>= isWide ? 16 : 8;
  }
  return finishHash(hash);
}

function finishHash(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 12)) & HASH_MASK;
}

export class Strings {
  private readonly memory: Memory;
  private readonly i32: Int32Array;
  private readonly allocator: Allocator;
  /** Decode cache: direct-mapped by address, valid while the serial is the same (a reused block never matches). */
  private readonly cachedAddress = new Int32Array(CACHE_SLOTS);
  private readonly cachedSerial = new Int32Array(CACHE_SLOTS);
  private readonly cachedText: string[] = [];
  private readonly bytes: NodeBytes[] = [];

  constructor(allocator: Allocator) {
    this.allocator = allocator;
    this.memory = allocator.memory;
    this.i32 = allocator.memory.i32;
  }

  /** A new reference to a string object with this text; 0 for "". @throws OutOfMemoryError. O(length). */
  create(text: string): Address {
    const length = text.length;
    if (length === 0) return 0;
    let hash = FNV_OFFSET;
    let units = 0;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      hash = Math.imul(hash ^ unit, FNV_PRIME);
      units |= unit;
    }
    const isWide = units > 0xff;
    const dataWords = isWide ? (length + 1) >>> 1 : (length + 3) >>> 2;
    const { i32 } = this;
    const string = this.allocator.allocate(KIND_LEAF, STRING_DATA + dataWords);
    i32[string + HEADER_REFCOUNT] = 1;
    i32[string + HEADER_TYPE] = TYPE_ID_STRING;
    i32[string + STRING_LENGTH] = (length << 1) | (isWide ? 1 : 0);
    i32[string + STRING_HASH] = finishHash(hash);
    if (isWide) packWide(i32, string + STRING_DATA, text);
    else packNarrow(i32, string + STRING_DATA, text);
    return string;
  }

  /** Length in UTF-16 units. */
  length(string: Address): number {
    return string === 0 ? 0 : this.i32[string + STRING_LENGTH] >>> 1;
  }

  /** The same number as `hashText` of its text. */
  hash(string: Address): number {
    return string === 0 ? HASH_OF_EMPTY : this.i32[string + STRING_HASH];
  }

  /** Whether a string object has this text. O(length). */
  equals(string: Address, text: string): boolean {
    if (string === 0) return text.length === 0;
    const { i32 } = this;
    const length = text.length;
    const lengthWord = i32[string + STRING_LENGTH];
    if (lengthWord >>> 1 !== length) return false;
    const data = string + STRING_DATA;
    if ((lengthWord & 1) === 0) {
      for (let i = 0; i < length; i++)
        if (((i32[data + (i >> 2)] >>> ((i & 3) << 3)) & 0xff) !== text.charCodeAt(i)) return false;
      return true;
    }
    for (let i = 0; i < length; i++)
      if (((i32[data + (i >> 1)] >>> ((i & 1) << 4)) & 0xffff) !== text.charCodeAt(i)) return false;
    return true;
  }

  /** The text. O(length), or O(1) when it was read lately. */
  read(string: Address): string {
    if (string === 0) return "";
    const { i32 } = this;
    const slot = (string >>> 1) & (CACHE_SLOTS - 1);
    const serial = i32[string + HEADER_SERIAL];
    if (this.cachedAddress[slot] === string && this.cachedSerial[slot] === serial)
      return this.cachedText[slot];
    const text = this.decode(string);
    if (text.length <= CACHED_LENGTH_MAX) {
      this.cachedAddress[slot] = string;
      this.cachedSerial[slot] = serial;
      this.cachedText[slot] = text;
    }
    return text;
  }

  private decode(string: Address): string {
    const lengthWord = this.i32[string + STRING_LENGTH];
    const length = lengthWord >>> 1;
    const isWide = (lengthWord & 1) !== 0;
    if (length > LOOP_LENGTH_MAX && nodeBuffer !== undefined) {
      const words = isWide ? (length + 1) >>> 1 : (length + 3) >>> 2;
      const bytes = this.nodeBytes(string + STRING_DATA, words);
      if (bytes !== undefined) {
        const start = this.memory.windowOffset(string + STRING_DATA);
        return isWide ? bytes.ucs2Slice(start, start + length * 2) : bytes.latin1Slice(start, start + length);
      }
    }
    return length <= LOOP_LENGTH_MAX
      ? this.decodeShort(string, length, isWide)
      : this.decodeChunks(string, length, isWide);
  }

  private decodeShort(string: Address, length: number, isWide: boolean): string {
    let text = "";
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.unit(string, i, isWide));
    return text;
  }

  /** Where there is no Buffer (browsers), or across the end of a window. */
  private decodeChunks(string: Address, length: number, isWide: boolean): string {
    const parts: string[] = [];
    for (let start = 0; start < length; start += DECODE_CHUNK) {
      const units: number[] = [];
      const end = Math.min(length, start + DECODE_CHUNK);
      for (let i = start; i < end; i++) units.push(this.unit(string, i, isWide));
      parts.push(String.fromCharCode(...units));
    }
    return parts.join("");
  }

  private unit(string: Address, index: number, isWide: boolean): number {
    const { i32 } = this;
    if (isWide) return (i32[string + STRING_DATA + (index >> 1)] >>> ((index & 1) << 4)) & 0xffff;
    return (i32[string + STRING_DATA + (index >> 2)] >>> ((index & 3) << 3)) & 0xff;
  }

  /** The memory's window as a Node buffer, made once a window. */
  private nodeBytes(address: Address, words: number): NodeBytes | undefined {
    const window = this.memory.window(address, words);
    if (window === undefined) return undefined;
    const index = window.byteOffset / 2 ** 30;
    this.bytes[index] ??= nodeBuffer!.from(window.buffer, window.byteOffset, window.byteLength);
    return this.bytes[index];
  }
}

const HASH_OF_EMPTY = hashText("");

function packNarrow(i32: Int32Array, data: number, text: string): void {
  const length = text.length;
  const whole = length & ~3;
  let word = data;
  for (let i = 0; i < whole; i += 4)
    i32[word++] =
      text.charCodeAt(i) |
      (text.charCodeAt(i + 1) << 8) |
      (text.charCodeAt(i + 2) << 16) |
      (text.charCodeAt(i + 3) << 24);
  if (whole === length) return;
  let rest = 0;
  for (let i = length - 1; i >= whole; i--) rest = (rest << 8) | text.charCodeAt(i);
  i32[word] = rest;
}

function packWide(i32: Int32Array, data: number, text: string): void {
  const length = text.length;
  for (let i = 0; i + 1 < length; i += 2)
    i32[data + (i >> 1)] = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16);
  if ((length & 1) !== 0) i32[data + (length >> 1)] = text.charCodeAt(length - 1);
}
