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

const HASH_SEED = 0;
const NARROW_UNIT_MAX = 0xff;

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

/**
 * Texts up to this length are packed while they are hashed: the words that a string object would hold. Comparing and
 * copying then go by words, and not by units.
 */
const PACKED_LENGTH_MAX = 256;
const packed = new Int32Array(PACKED_LENGTH_MAX / 2);
/** The length word of the text in `packed`, which was hashed last; NOT_PACKED: that one was too long. */
let packedLength = 0;
const NOT_PACKED = -1;

/**
 * 31-bit hash of a text: MurmurHash3 (x86, 32 bits) of the words that its units are packed into, four Latin-1 bytes or
 * two UTF-16 units each, and of its length word. O(length).
 */
export function hashText(text: string): number {
  const length = text.length;
  if (length > PACKED_LENGTH_MAX) return hashLong(text);
  const whole = length & ~3;
  let hash = HASH_SEED;
  let units = 0;
  let at = 0;
  for (; at < whole; at += 4) {
    const first = text.charCodeAt(at);
    const second = text.charCodeAt(at + 1);
    const third = text.charCodeAt(at + 2);
    const fourth = text.charCodeAt(at + 3);
    units |= first | second | third | fourth;
    const word = first | (second << 8) | (third << 16) | (fourth << 24);
    packed[at >> 2] = word;
    hash = mixHash(hash, word);
  }
  if (at < length) {
    let word = 0;
    for (let rest = length - 1; rest >= at; rest--) {
      const unit = text.charCodeAt(rest);
      units |= unit;
      word = (word << 8) | unit;
    }
    packed[at >> 2] = word;
    hash = mixHash(hash, word);
  }
  if (units > NARROW_UNIT_MAX) return hashPackedWide(text);
  packedLength = length << 1;
  return finishHash(hash, packedLength);
}

function hashPackedWide(text: string): number {
  packWide(packed, 0, text);
  packedLength = lengthWord(text.length, true);
  return hashUnits(packed, 0, packedLength);
}

/** Without keeping its words. */
function hashLong(text: string): number {
  packedLength = NOT_PACKED;
  const { length } = text;
  const isWide = isWideText(text);
  const perWord = isWide ? 2 : 4;
  const bits = isWide ? 16 : 8;
  let hash = HASH_SEED;
  for (let at = 0; at < length; at += perWord) {
    let word = 0;
    for (let unit = 0; unit < perWord && at + unit < length; unit++)
      word |= text.charCodeAt(at + unit) << (unit * bits);
    hash = mixHash(hash, word);
  }
  return finishHash(hash, lengthWord(length, isWide));
}

/** The same of units that lie in memory. @param length a string's length word */
export function hashUnits(i32: Int32Array, data: Address, length: number): number {
  const end = data + dataWords(length);
  let hash = HASH_SEED;
  for (let word = data; word < end; word++) hash = mixHash(hash, i32[word]);
  return finishHash(hash, length);
}

function mixHash(hash: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51);
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593) ^ hash;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finishHash(hash: number, length: number): number {
  let mixed = hash ^ length;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) & HASH_MASK;
}

function lengthWord(length: number, isWide: boolean): number {
  return (length << 1) | (isWide ? 1 : 0);
}

/** Words that the units of a string take. @param length its length word */
function dataWords(length: number): number {
  const units = length >>> 1;
  return (length & 1) !== 0 ? (units + 1) >>> 1 : (units + 3) >>> 2;
}

function isWideText(text: string): boolean {
  let units = 0;
  for (let at = 0; at < text.length; at++) units |= text.charCodeAt(at);
  return units > NARROW_UNIT_MAX;
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
    return text.length === 0 ? 0 : this.createHashed(text, hashText(text));
  }

  /** `create` right after `hashText` of the same text, with its result. */
  createHashed(text: string, hash: number): Address {
    if (text.length === 0) return 0;
    const length = packedLength !== NOT_PACKED ? packedLength : lengthWord(text.length, isWideText(text));
    const words = dataWords(length);
    const { i32 } = this;
    const string = this.allocator.allocate(KIND_LEAF, STRING_DATA + words);
    i32[string + HEADER_REFCOUNT] = 1;
    i32[string + HEADER_TYPE] = TYPE_ID_STRING;
    i32[string + STRING_LENGTH] = length;
    i32[string + STRING_HASH] = hash;
    const data = string + STRING_DATA;
    if (packedLength !== NOT_PACKED) for (let word = 0; word < words; word++) i32[data + word] = packed[word];
    else if ((length & 1) !== 0) packWide(i32, data, text);
    else packNarrow(i32, data, text);
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

  /** `equals` with the text that was hashed last. */
  equalsHashed(string: Address, text: string): boolean {
    if (packedLength === NOT_PACKED || string === 0) return this.equals(string, text);
    const { i32 } = this;
    if (i32[string + STRING_LENGTH] !== packedLength) return false;
    const words = dataWords(packedLength);
    const data = string + STRING_DATA;
    for (let word = 0; word < words; word++) if (i32[data + word] !== packed[word]) return false;
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
