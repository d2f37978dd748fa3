/**
 * The layers below the host for tests that work on addresses: types by the kinds of their slots, objects from values,
 * and random graphs with a picture of each object that never looks at the memory.
 *
 * Whoever makes an object owns one reference to it until `drop`. These references are counted where handles would be,
 * so every test ends with an exact check: each count is explained by references and owners, one by one.
 */
import { afterEach, expect } from "vitest";
import { Core } from "../../src/gc/core.js";
import { verifyMemory } from "../../src/gc/verify.js";
import { OutOfMemoryError } from "../../src/memory/errors.js";
import {
  type Address,
  CHUNK_WORDS,
  CONTROL_GARBAGE,
  CONTROL_ROOT_COUNT,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  KIND_DICT,
  KIND_LIST,
  KIND_SET,
  KIND_STRING,
  KIND_STRUCT,
  KIND_TUPLE,
  LIST_WORDS,
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
  TABLE_WEAKREFS,
  TABLE_WORDS,
  TAG_BOOLEAN,
  TAG_FIRST,
  TAG_LAST,
  TAG_NULL,
  TAG_OBJECT,
  TAG_STRING,
  TRAVERSE_LIST,
  TRAVERSE_TABLE,
  TYPE_FINALIZER,
  TYPE_GC,
  TYPE_ID_MASK,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_TRACKED_AT_BIRTH,
} from "../../src/memory/layout.js";
import { reserveMemory } from "../../src/memory/memory.js";
import { hashPair, hashWord } from "../../src/object/hash-table.js";
import { entryWords, slotWords } from "../../src/object/slot.js";
import { hashText } from "../../src/object/string.js";
import { type FieldLayout, layoutFields } from "../../src/object/struct.js";
import type { TypeLayout } from "../../src/object/type.js";
import type { WeakrefOptions } from "../../src/object/weakref.js";
import { isStress, isVerify, makeCore } from "./heaps.js";

const SLOTS = {
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
interface Bits {
  low: number;
  high: number;
}
interface PreparedKey extends Bits {
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

export class TestCore {
  readonly core: Core;
  readonly i32: Int32Array;
  /** The references that the test owns, by object. */
  readonly roots = new Map<Address, number>();
  private readonly typeIds = new Map<string, number>();
  private readonly places = new Map<number, { slots: readonly number[]; layout: FieldLayout }>();

  /** @param verifiesPhases whether collections are verified phase by phase when the test run's checks say so */
  constructor(core: Core, verifiesPhases = true) {
    this.core = core;
    this.i32 = core.memory.i32;
    if (verifiesPhases && (isVerify || isStress))
      core.events.listeners.push({
        onPhase: (phase) =>
          verifyMemory(core.memory, {
            roots: this.roots,
            isCollecting: phase === "partition" || phase === "finalize",
            isInside: true,
          }),
      });
  }

  /** The same types and owners over another core, of this memory or of a copy. */
  over(core: Core): TestCore {
    const other = new TestCore(core, false);
    for (const [name, id] of this.typeIds) other.typeIds.set(name, id);
    for (const [id, place] of this.places) other.places.set(id, place);
    for (const [object, count] of this.roots) other.roots.set(object, count);
    return other;
  }

  // -- types ------------------------------------------------------------------------------------

  /** A struct whose fields are visited in the order given. */
  struct(...slots: SlotName[]): number {
    return this.fields(KIND_STRUCT, slots, true);
  }
  /** A tuple; its items are visited last to first. */
  tuple(...slots: SlotName[]): number {
    return this.fields(KIND_TUPLE, slots, true);
  }
  list(item: SlotName): number {
    return this.container(KIND_LIST, undefined, item, true);
  }
  dict(key: SlotName, value: SlotName): number {
    return this.container(KIND_DICT, key, value, true);
  }
  set(member: SlotName): number {
    return this.container(KIND_SET, member, undefined, true);
  }

  /** The same for types whose instances can be on no cycle: never tracked, and not counted. */
  readonly leaf = {
    struct: (...slots: SlotName[]): number => this.fields(KIND_STRUCT, slots, false),
    list: (item: SlotName): number => this.container(KIND_LIST, undefined, item, false),
    dict: (key: SlotName, value: SlotName): number => this.container(KIND_DICT, key, value, false),
    set: (member: SlotName): number => this.container(KIND_SET, member, undefined, false),
  };

  /** The same for structs that can be weakly referenced. */
  readonly watched = {
    struct: (...slots: SlotName[]): number => this.fields(KIND_STRUCT, slots, true, "watched"),
    leaf: (...slots: SlotName[]): number => this.fields(KIND_STRUCT, slots, false, "watched"),
  };

  /** And for those that have a finalizer too: `core.hooks.runFinalizer`. */
  readonly finalized = {
    struct: (...slots: SlotName[]): number => this.fields(KIND_STRUCT, slots, true, "finalized"),
    leaf: (...slots: SlotName[]): number => this.fields(KIND_STRUCT, slots, false, "finalized"),
  };

  private fields(
    kind: number,
    names: readonly SlotName[],
    isGc: boolean,
    observed?: "watched" | "finalized",
  ): number {
    const name = `${kind === KIND_STRUCT ? "struct" : "tuple"}(${names.join()})${isGc ? "" : " leaf"}${observed ?? ""}`;
    const known = this.typeIds.get(name);
    if (known !== undefined) return known;
    const slots = names.map((slot) => SLOTS[slot]);
    const order = [...slots.keys()];
    const layout = layoutFields(slots, kind === KIND_TUPLE ? order.reverse() : order, observed !== undefined);
    const id = this.register(name, {
      kind,
      flags: (isGc ? TYPE_GC | TYPE_TRACKED_AT_BIRTH : 0) | (observed === "finalized" ? TYPE_FINALIZER : 0),
      keySlot: SLOT_NONE,
      itemSlot: SLOT_NONE,
      ...layout,
    });
    this.places.set(id, { slots, layout });
    return id;
  }

  private container(
    kind: number,
    key: SlotName | undefined,
    item: SlotName | undefined,
    isGc: boolean,
  ): number {
    const kindName = kind === KIND_LIST ? "list" : kind === KIND_DICT ? "dict" : "set";
    const name = `${kindName}(${[key, item].filter((slot) => slot !== undefined).join()})${isGc ? "" : " leaf"}`;
    const known = this.typeIds.get(name);
    if (known !== undefined) return known;
    const traverse = kind === KIND_LIST ? TRAVERSE_LIST : TRAVERSE_TABLE;
    const gcFlags = kind === KIND_DICT ? TYPE_GC : TYPE_GC | TYPE_TRACKED_AT_BIRTH;
    return this.register(name, {
      kind,
      objectWords: kind === KIND_LIST ? LIST_WORDS : TABLE_WORDS,
      flags: isGc ? gcFlags : 0,
      traverse,
      drop: traverse,
      edges: [],
      weakrefOffset: kind === KIND_SET ? TABLE_WEAKREFS : 0,
      keySlot: key === undefined ? SLOT_NONE : SLOTS[key],
      itemSlot: item === undefined ? SLOT_NONE : SLOTS[item],
    });
  }

  private register(name: string, layout: Omit<TypeLayout, "name" | "description">): number {
    const id = this.core.types.count;
    this.core.types.register([{ ...layout, name, description: name }]);
    this.typeIds.set(name, id);
    return id;
  }

  // -- making: the test owns the result ---------------------------------------------------------

  newStruct(typeId: number, ...values: Value[]): Address {
    return this.owned(this.makeFields(typeId, values));
  }
  /** Tuples are made from all their items. */
  newTuple(typeId: number, ...values: Value[]): Address {
    return this.owned(this.makeFields(typeId, values));
  }
  newList(typeId: number, ...items: Value[]): Address {
    const list = this.owned(this.core.lists.create(typeId));
    for (const item of items) this.append(list, item);
    return list;
  }
  newDict(typeId: number, ...entries: (readonly [Value, Value])[]): Address {
    const dict = this.owned(this.core.tables.create(typeId));
    for (const [key, value] of entries) this.setEntry(dict, key, value);
    return dict;
  }
  newSet(typeId: number, ...members: Value[]): Address {
    const set = this.owned(this.core.tables.create(typeId));
    for (const member of members) this.addMember(set, member);
    return set;
  }

  /** A weak reference; the test owns a reference to it, be it a new one or shared. */
  newWeakref(target: Address, options?: WeakrefOptions): Address {
    return this.owned(this.core.weakrefs.create(target, options));
  }

  /** A string object of its own; `text` is not empty. */
  newString(text: string): Address {
    return this.owned(this.core.strings.create(text));
  }

  /** Values that are left out are the slots' zeros. */
  private makeFields(typeId: number, values: readonly Value[]): Address {
    const { slots, layout } = this.places.get(typeId)!;
    const owned: Bits[] = [];
    try {
      for (const [index, slot] of slots.entries()) owned.push(this.own(slot, values[index] ?? zeroOf(slot)));
      const object = this.core.objects.create(typeId);
      if (layout.weakrefOffset !== 0) this.i32[object + layout.weakrefOffset] = 0;
      for (const [index, slot] of slots.entries())
        this.write(object + layout.places[index].offset, slot, owned[index]);
      return object;
    } catch (error) {
      for (const [index, bits] of owned.entries()) this.disown(slots[index], bits);
      throw error;
    }
  }

  /** Note that the test owns one reference more. */
  owned(object: Address): Address {
    this.roots.set(object, (this.roots.get(object) ?? 0) + 1);
    this.i32[CONTROL_ROOT_COUNT]++;
    return object;
  }

  /** Take one more reference for the test. */
  hold(object: Address): Address {
    this.core.counts.incref(object);
    return this.owned(object);
  }

  /** Give up a reference that the test owns. */
  drop(...objects: Address[]): void {
    for (const object of objects) {
      this.disclaim(object);
      this.core.counts.decref(object);
    }
  }

  /** Drop every reference that the test owns, the last object first. */
  dropAll(): void {
    for (const [object, count] of [...this.roots].reverse())
      for (let index = 0; index < count; index++) this.drop(object);
  }

  private disclaim(object: Address): void {
    const count = this.roots.get(object);
    if (count === undefined) throw new Error(`the test owns no reference to ${object}`);
    if (count === 1) this.roots.delete(object);
    else this.roots.set(object, count - 1);
    this.i32[CONTROL_ROOT_COUNT]--;
  }

  // -- changing: the new reference is stored before the old one is dropped ----------------------

  setField(object: Address, index: number, value: Value): void {
    const slot = this.places.get(this.typeIdOf(object))!.slots[index];
    this.swap(this.fieldWord(object, index), slot, value);
  }
  field(object: Address, index: number): Value {
    const slot = this.places.get(this.typeIdOf(object))!.slots[index];
    return this.read(this.fieldWord(object, index), slot);
  }
  fieldWord(object: Address, index: number): Address {
    return object + this.places.get(this.typeIdOf(object))!.layout.places[index].offset;
  }

  append(list: Address, value: Value): void {
    this.insert(list, this.core.lists.length(list), value);
  }
  insert(list: Address, index: number, value: Value): void {
    const slot = this.itemSlot(list);
    const bits = this.own(slot, value);
    try {
      this.write(this.core.lists.openGap(list, index), slot, bits);
    } catch (error) {
      this.disown(slot, bits);
      throw error;
    }
  }
  removeItem(list: Address, index: number): void {
    const word = this.core.lists.itemAddress(list, index);
    const bits = { low: this.i32[word], high: this.i32[word + 1] };
    this.core.lists.closeGap(list, index);
    this.disown(this.itemSlot(list), bits);
  }
  setItem(list: Address, index: number, value: Value): void {
    this.swap(this.core.lists.itemAddress(list, index), this.itemSlot(list), value);
  }
  items(list: Address): Value[] {
    return Array.from({ length: this.core.lists.length(list) }, (_, index) =>
      this.read(this.core.lists.itemAddress(list, index), this.itemSlot(list)),
    );
  }

  // -- hash tables ------------------------------------------------------------------------------

  /** The entry of a key, or 0. */
  find(table: Address, key: Value): Address {
    return this.findPrepared(table, this.prepare(this.keySlot(table), key));
  }

  setEntry(dict: Address, key: Value, value: Value): void {
    const slot = this.itemSlot(dict);
    const bits = this.own(slot, value);
    let entry: Address;
    try {
      this.core.tracking.beforeStore(dict, objectIn(value));
      entry = this.find(dict, key);
      if (entry !== 0) {
        this.swapBits(entry + 2, slot, bits);
        return;
      }
      entry = this.insertKey(dict, key);
    } catch (error) {
      this.disown(slot, bits);
      throw error;
    }
    this.write(entry + 2, slot, bits);
  }

  addMember(set: Address, key: Value): void {
    if (this.find(set, key) === 0) this.insertKey(set, key);
  }

  /** @returns whether the key was there */
  deleteEntry(table: Address, key: Value): boolean {
    const entry = this.find(table, key);
    if (entry === 0) return false;
    const { i32 } = this;
    const keySlot = this.keySlot(table);
    const keyBits = { low: i32[entry], high: i32[entry + 1] };
    const valueBits = { low: i32[entry + 2], high: i32[entry + 3] };
    this.core.tables.remove(table, entry, keySlot, entryWords(this.itemSlot(table)));
    this.disown(keySlot, keyBits);
    this.disown(this.itemSlot(table), valueBits);
    return true;
  }

  /** Keys and values in insertion order; the value of a set's member is null. */
  entries(table: Address): [Value, Value][] {
    const { tables } = this.core;
    const [keySlot, itemSlot] = [this.keySlot(table), this.itemSlot(table)];
    const words = entryWords(itemSlot);
    const found: [Value, Value][] = [];
    for (let entry = tables.nextEntry(table, 0, keySlot, words); entry !== 0; ) {
      found.push([this.read(entry, keySlot), this.read(entry + 2, itemSlot)]);
      entry = tables.nextEntry(table, tables.entryNumber(table, entry, words) + 1, keySlot, words);
    }
    return found;
  }

  private findPrepared(table: Address, { low, high, hash, text }: PreparedKey): Address {
    const { tables } = this.core;
    const words = entryWords(this.itemSlot(table));
    return text === undefined
      ? tables.findWords(table, low, high, hash, words)
      : tables.findText(table, text, hash, high, words);
  }

  private insertKey(table: Address, key: Value): Address {
    const slot = this.keySlot(table);
    const { high, hash } = this.prepare(slot, key);
    const bits = this.own(slot, key);
    try {
      this.core.tables.reserveOne(table);
      this.core.tracking.beforeStore(table, objectIn(key));
    } catch (error) {
      this.disown(slot, bits);
      throw error;
    }
    const entry = this.core.tables.append(table, hash, entryWords(this.itemSlot(table)));
    this.i32[entry] = key === 0 ? 0 : bits.low;
    this.i32[entry + 1] = high;
    return entry;
  }

  /** -0 is 0 and every NaN the same, as in a Map; text stays text. */
  private prepare(slot: number, key: Value): PreparedKey {
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

  // -- slots ------------------------------------------------------------------------------------

  /** The words of a value; a reference taken to what they name. */
  private own(slot: number, value: Value): Bits {
    if (typeof value === "string") {
      const low = this.core.strings.create(value);
      return { low, high: slot === SLOT_ANY ? TAG_STRING : 0 };
    }
    const bits = this.encode(slot, value);
    if (objectIn(value) !== 0) this.core.counts.incref(objectIn(value));
    return bits;
  }

  private encode(slot: number, value: Exclude<Value, string>): Bits {
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

  private disown(slot: number, { low, high }: Bits): void {
    if (slot === SLOT_ANY) this.core.counts.decrefAny(low, high);
    else if ((slot === SLOT_REF || slot === SLOT_STR) && low !== 0) this.core.counts.decref(low);
  }

  private write(word: Address, slot: number, { low, high }: Bits): void {
    this.i32[word] = low;
    if (slotWords(slot) === 2) this.i32[word + 1] = high;
  }

  private swap(word: Address, slot: number, value: Value): void {
    this.swapBits(word, slot, this.own(slot, value));
  }
  private swapBits(word: Address, slot: number, bits: Bits): void {
    const old = { low: this.i32[word], high: this.i32[word + 1] };
    this.write(word, slot, bits);
    this.disown(slot, old);
  }

  private read(word: Address, slot: number): Value {
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

  private keySlot(object: Address): number {
    return this.i32[this.core.types.descriptorOf(object) + TYPE_KEY_SLOT];
  }
  private itemSlot(object: Address): number {
    return this.i32[this.core.types.descriptorOf(object) + TYPE_ITEM_SLOT];
  }

  // -- looking ----------------------------------------------------------------------------------

  typeIdOf(object: Address): number {
    return this.i32[object + HEADER_TYPE] & TYPE_ID_MASK;
  }
  refcount(object: Address): number {
    return this.i32[object + HEADER_REFCOUNT];
  }
  isTracked(object: Address): boolean {
    return this.core.tracking.isTracked(object);
  }
  /** The objects of a generation, in list order. */
  table(generation: number): Address[] {
    return [...this.core.generations.objects(generation)];
  }
  counts(): [number, number, number] {
    return [0, 1, 2].map((generation) => this.core.trigger.count(generation)) as [number, number, number];
  }
  collect(generation = 2): number {
    return this.core.collector.collect(generation);
  }

  /** Every live object but strings and the list behind `gc.garbage`, in address order. */
  liveObjects(): Address[] {
    return [...this.core.allocator.objects()].filter(
      (object) => object !== this.i32[CONTROL_GARBAGE] && this.core.types.kindOf(object) !== KIND_STRING,
    );
  }

  /** The objects, strings left out, that are freed from now on, in order. */
  recordDeaths(): Address[] {
    const { allocator, types } = this.core;
    const deaths: Address[] = [];
    const free = allocator.freeObject.bind(allocator);
    allocator.freeObject = (object) => {
      if (types.kindOf(object) !== KIND_STRING) deaths.push(object);
      free(object);
    };
    return deaths;
  }

  /** Check every invariant, each reference explained. */
  verify(): void {
    verifyMemory(this.core.memory, { roots: this.roots });
  }
}

function zeroOf(slot: number): Value {
  if (slot === SLOT_REF || slot === SLOT_ANY) return null;
  return slot === SLOT_STR ? "" : slot === SLOT_I64 ? 0n : 0;
}

function objectIn(value: Value): Address {
  return value !== null && typeof value === "object" ? value.object : 0;
}

// -- making heaps -------------------------------------------------------------------------------

const opened: TestCore[] = [];

/** Collects by itself as the test run's checks say; verified when the test ends. */
export function makeTestCore(maximumBytes?: number): TestCore {
  return opening(new TestCore(makeCore(maximumBytes)));
}

/** Collects only when told to; poisons what it frees under `stress`. */
export function makeQuietCore(maximumBytes?: number): TestCore {
  const heap = makeTestCore(maximumBytes);
  heap.core.trigger.setEnabled(false);
  return heap;
}

/** As in production whatever the checks of the test run: for tests about when a collection happens. */
export function makeExactCore(maximumBytes = 16 << 20): TestCore {
  return opening(new TestCore(new Core(reserveMemory(maximumBytes)), false));
}

/** Not verified at the end: for tests that break it on purpose. */
export function makeBreakableCore(maximumBytes = 4 << 20): TestCore {
  return new TestCore(new Core(reserveMemory(maximumBytes)), false);
}

function opening(heap: TestCore): TestCore {
  opened.push(heap);
  return heap;
}

afterEach(() => {
  for (const heap of opened.splice(0)) heap.verify();
});

/** `toEqual` for long lists: fast, and it tells only where they begin to differ. */
export function expectOrder(actual: readonly Address[], expected: readonly Address[]): void {
  const length = Math.max(actual.length, expected.length);
  let same = 0;
  while (same < length && actual[same] === expected[same]) same++;
  const from = (list: readonly Address[]) => ({ from: same, next: list.slice(same, same + 5) });
  expect(from(actual)).toEqual(from(expected));
}

// -- chance -------------------------------------------------------------------------------------

/** Numbers in [0, 1) that are the same for a seed in every run (mulberry32). */
export type Random = () => number;
export function randomFrom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}
export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[below(random, choices.length)];
}
export function shuffle<T>(random: Random, items: readonly T[]): T[] {
  const shuffled = [...items];
  for (let index = shuffled.length - 1; index > 0; index--) {
    const other = below(random, index + 1);
    [shuffled[index], shuffled[other]] = [shuffled[other], shuffled[index]];
  }
  return shuffled;
}

// -- random graphs ------------------------------------------------------------------------------

/**
 * What a test knows of an object. The naive models work on these and never on the memory.
 *
 * parts: the fields or items, null for what is no object; for dicts keys and values by turns.
 */
export interface Known {
  readonly address: Address;
  readonly kind: "struct" | "tuple" | "list" | "dict" | "set";
  parts: (Known | null)[];
  readonly isGc: boolean;
  /** Whether all it can hold is 2 or 3 references, or nothing, in plain words: see `isBare`. */
  readonly isSmallRecord: boolean;
}

/** The references of an object in the order in which its death drops them (python-semantics §1.3). */
export function dropOrder({ kind, parts }: Known): Known[] {
  const order = kind === "list" || kind === "tuple" ? [...parts].reverse() : parts;
  return order.filter((part) => part !== null);
}

/** The references of an object in the order in which a traversal visits them (§1.4). */
export function visitOrder({ kind, parts }: Known): Known[] {
  if (kind !== "dict") return dropOrder({ kind, parts } as Known);
  const order: (Known | null)[] = [];
  for (let index = 0; index < parts.length; index += 2) order.push(parts[index + 1], parts[index]);
  return order.filter((part) => part !== null);
}

/** How to make an object of some shape, and how to let it refer to another. */
interface Shape {
  readonly kind: Known["kind"];
  readonly isLeaf?: boolean;
  readonly isSmallRecord?: boolean;
  make(heap: TestCore, random: Random, earlier: readonly Known[]): [Address, (Known | null)[]];
  connect(heap: TestCore, random: Random, from: Known, to: Known): void;
}

function structShape(names: readonly SlotName[], isSmallRecord = false): Shape {
  const places = [...names.keys()].filter((index) => names[index] === "ref" || names[index] === "any");
  return {
    kind: "struct",
    isSmallRecord,
    make: (heap, random) => {
      const values = names.map((name) => (name === "str" ? `text ${below(random, 5)}` : null));
      return [heap.newStruct(heap.struct(...names), ...values), places.map(() => null)];
    },
    connect: (heap, random, from, to) => {
      const part = below(random, places.length);
      heap.setField(from.address, places[part], ref(to.address));
      from.parts[part] = to;
    },
  };
}

function tupleShape(...names: SlotName[]): Shape {
  return {
    kind: "tuple",
    make: (heap, random, earlier) => {
      const parts = names.map((_, index) =>
        index === 0
          ? newestContainer(earlier)
          : earlier.length > 0 && random() < 0.8
            ? pick(random, earlier)
            : null,
      );
      const values = parts.map((part, index) =>
        part !== null ? ref(part.address) : names[index] === "any" ? below(random, 9) : null,
      );
      return [heap.newTuple(heap.tuple(...names), ...values), parts];
    },
    connect: () => {},
  };
}

function newestContainer(graph: readonly Known[]): Known | null {
  return graph.findLast(({ isGc }) => isGc) ?? null;
}

function listShape(item: SlotName, isLeaf = false): Shape {
  return {
    kind: "list",
    isLeaf,
    make: (heap) => [heap.newList(isLeaf ? heap.leaf.list(item) : heap.list(item)), []],
    connect: (heap, random, from, to) => {
      const { length } = from.parts;
      const choice = random();
      if (choice < 0.2 && length > 0) {
        const index = below(random, length);
        heap.setItem(from.address, index, ref(to.address));
        from.parts[index] = to;
      } else if (choice < 0.4) {
        const index = below(random, length + 1);
        heap.insert(from.address, index, ref(to.address));
        from.parts.splice(index, 0, to);
      } else if (choice < 0.5 && item === "any") {
        heap.append(from.address, random() < 0.5 ? "an item" : 1.5);
        from.parts.push(null);
      } else {
        heap.append(from.address, ref(to.address));
        from.parts.push(to);
      }
    },
  };
}

function dictShape(key: SlotName, value: SlotName): Shape {
  return {
    kind: "dict",
    make: (heap) => [heap.newDict(heap.dict(key, value)), []],
    connect: (heap, random, from, to) => {
      const isKey = key === "ref" || (key === "any" && random() < 0.5);
      const keyPart = isKey ? to : null;
      const number = below(random, 2 ** 31); // so many that none comes twice
      const plainKey = key === "f64" || (key === "any" && random() < 0.5) ? number : `key ${number}`;
      const holdsValue = value !== "f64" && random() < 0.8;
      const valuePart = holdsValue ? to : null;
      const plainValue = value === "any" ? "a value" : value === "ref" ? null : 2.5;
      const at = isKey ? evenIndexOf(from.parts, to) : -1;
      heap.setEntry(
        from.address,
        isKey ? ref(to.address) : plainKey,
        holdsValue ? ref(to.address) : plainValue,
      );
      if (at >= 0) from.parts[at + 1] = valuePart;
      else from.parts.push(keyPart, valuePart);
      if (isKey && random() < 0.1) {
        heap.deleteEntry(from.address, ref(to.address));
        from.parts.splice(evenIndexOf(from.parts, to), 2);
      }
    },
  };
}

function evenIndexOf(parts: readonly (Known | null)[], key: Known): number {
  return parts.findIndex((part, index) => index % 2 === 0 && part === key);
}

function setShape(member: SlotName): Shape {
  return {
    kind: "set",
    make: (heap) => [heap.newSet(heap.set(member)), []],
    connect: (heap, random, from, to) => {
      if (member === "any" && random() < 0.2) heap.addMember(from.address, below(random, 100));
      heap.addMember(from.address, ref(to.address));
      if (!from.parts.includes(to)) from.parts.push(to);
      if (random() < 0.1) {
        heap.deleteEntry(from.address, ref(to.address));
        from.parts.splice(from.parts.indexOf(to), 1);
      }
    },
  };
}

const leafShape: Shape = {
  kind: "struct",
  isLeaf: true,
  isSmallRecord: true,
  make: (heap) => [heap.newStruct(heap.leaf.struct("f64"), 1), []],
  connect: () => {},
};

const SHAPES: readonly Shape[] = [
  structShape(["ref"]),
  structShape(["ref", "ref"], true),
  structShape(["ref", "ref", "ref"], true),
  structShape(["ref", "ref", "ref", "ref", "ref"]),
  structShape(["ref", "str", "ref", "ref", "str"]),
  structShape(["any"]),
  structShape(["str", "any", "ref", "any"]),
  listShape("ref"),
  listShape("any"),
  listShape("ref", true), // like `gc.garbage`: never tracked, and yet it refers to what is
  dictShape("str", "ref"),
  dictShape("any", "any"),
  dictShape("f64", "ref"),
  dictShape("ref", "ref"),
  dictShape("ref", "f64"),
  setShape("any"),
  setShape("ref"),
  tupleShape("ref", "ref"),
  tupleShape("any", "ref", "any"),
  leafShape,
];

export interface GraphOptions {
  readonly count: number;
  /** How likely an object is to refer to the one made before it: at 1 the graph is as deep as it is large. */
  readonly chained?: number;
  /** Whether no object refers to itself or to a newer one. */
  readonly isAcyclic?: boolean;
  /** Called after each object was made, before any refers to another. */
  readonly onMade?: () => void;
}

/** Objects of every kind that refer to one another at random, each owned once by the test. */
export function randomGraph(heap: TestCore, random: Random, options: GraphOptions): Known[] {
  const { count, chained = 0, isAcyclic = false, onMade = () => {} } = options;
  const graph: Known[] = [];
  const shapes: Shape[] = [];
  for (let index = 0; index < count; index++) {
    const shape = pick(random, SHAPES);
    const [address, parts] = shape.make(heap, random, graph);
    const { kind, isLeaf = false, isSmallRecord = false } = shape;
    graph.push({ address, kind, parts, isGc: !isLeaf, isSmallRecord });
    shapes.push(shape);
    onMade();
  }
  const degree = below(random, 4);
  let previous: Known | undefined;
  for (const [index, from] of graph.entries()) {
    const targets = isAcyclic ? graph.slice(0, index) : graph;
    for (let edge = below(random, degree + 1); edge > 0 && targets.length > 0; edge--)
      shapes[index].connect(heap, random, from, pick(random, targets));
    const isLink = from.isGc && from.kind !== "tuple";
    if (isLink && previous !== undefined && random() < chained)
      for (let tries = 3; tries > 0 && !dropOrder(from).includes(previous); tries--)
        shapes[index].connect(heap, random, from, previous);
    if (from.isGc) previous = from;
  }
  return graph;
}

// -- full memory --------------------------------------------------------------------------------

/**
 * Take everything that could become a chunk of a generation table, the chunk kept in reserve excepted.
 * @returns lists, each of which holds a block of a chunk's size; dropping one makes room for one chunk
 */
export function fillMemory(heap: TestCore): Address[] {
  const { lists } = heap.core;
  const hoard = heap.leaf.list("f64");
  const hoards: Address[] = [];
  try {
    for (;;) {
      hoards.push(heap.newList(hoard));
      lists.reserve(hoards[hoards.length - 1], CHUNK_WORDS / 2);
    }
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
  }
  return hoards.filter((list) => lists.itemAddress(list, 0) !== 0);
}
