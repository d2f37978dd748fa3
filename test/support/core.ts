/**
 * The layers below the host for tests that work on addresses: objects of types by the kinds of their slots
 * (test-types.ts), made from values (slots.ts) or at random (random-graphs.ts).
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
  KIND_STRING,
  TYPE_ID_MASK,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
} from "../../src/memory/layout.js";
import { reserveMemory } from "../../src/memory/memory.js";
import { entryWords } from "../../src/object/slot.js";
import type { WeakrefOptions } from "../../src/object/weakref.js";
import { isStress, isVerify, makeCore } from "./heaps.js";
import { type Bits, objectIn, type PreparedKey, type Reference, Slots, type Value, zeroOf } from "./slots.js";
import { TestTypes } from "./test-types.js";

export class TestCore extends TestTypes {
  readonly i32: Int32Array;
  /** The references that the test owns, by object. */
  readonly roots = new Map<Address, number>();
  private readonly slots: Slots;

  /** @param verifiesPhases whether collections are verified phase by phase when the test run's checks say so */
  constructor(core: Core, verifiesPhases = true) {
    super(core);
    this.i32 = core.memory.i32;
    this.slots = new Slots(core);
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
    other.adoptTypes(this);
    for (const [object, count] of this.roots) other.roots.set(object, count);
    return other;
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
    const { slots, layout } = this.placesOf(typeId);
    const owned: Bits[] = [];
    try {
      for (const [index, slot] of slots.entries())
        owned.push(this.slots.own(slot, values[index] ?? zeroOf(slot)));
      const object = this.core.objects.create(typeId);
      if (layout.weakrefOffset !== 0) this.i32[object + layout.weakrefOffset] = 0;
      for (const [index, slot] of slots.entries())
        this.slots.write(object + layout.places[index].offset, slot, owned[index]);
      return object;
    } catch (error) {
      for (const [index, bits] of owned.entries()) this.slots.disown(slots[index], bits);
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
    const slot = this.placesOf(this.typeIdOf(object)).slots[index];
    this.slots.swap(this.fieldWord(object, index), slot, value);
  }
  field(object: Address, index: number): Value {
    const slot = this.placesOf(this.typeIdOf(object)).slots[index];
    return this.slots.read(this.fieldWord(object, index), slot);
  }
  fieldWord(object: Address, index: number): Address {
    return object + this.placesOf(this.typeIdOf(object)).layout.places[index].offset;
  }

  append(list: Address, value: Value): void {
    this.insert(list, this.core.lists.length(list), value);
  }
  insert(list: Address, index: number, value: Value): void {
    const slot = this.itemSlot(list);
    const bits = this.slots.own(slot, value);
    try {
      this.slots.write(this.core.lists.openGap(list, index), slot, bits);
    } catch (error) {
      this.slots.disown(slot, bits);
      throw error;
    }
  }
  removeItem(list: Address, index: number): void {
    const word = this.core.lists.itemAddress(list, index);
    const bits = { low: this.i32[word], high: this.i32[word + 1] };
    this.core.lists.closeGap(list, index);
    this.slots.disown(this.itemSlot(list), bits);
  }
  setItem(list: Address, index: number, value: Value): void {
    this.slots.swap(this.core.lists.itemAddress(list, index), this.itemSlot(list), value);
  }
  items(list: Address): Value[] {
    return Array.from({ length: this.core.lists.length(list) }, (_, index) =>
      this.slots.read(this.core.lists.itemAddress(list, index), this.itemSlot(list)),
    );
  }

  // -- hash tables ------------------------------------------------------------------------------

  /** The entry of a key, or 0. */
  find(table: Address, key: Value): Address {
    return this.findPrepared(table, this.slots.prepare(this.keySlot(table), key));
  }

  setEntry(dict: Address, key: Value, value: Value): void {
    const slot = this.itemSlot(dict);
    const bits = this.slots.own(slot, value);
    let entry: Address;
    try {
      this.core.tracking.beforeStore(dict, objectIn(value));
      entry = this.find(dict, key);
      if (entry !== 0) {
        this.slots.swapBits(entry + 2, slot, bits);
        return;
      }
      entry = this.insertKey(dict, key);
    } catch (error) {
      this.slots.disown(slot, bits);
      throw error;
    }
    this.slots.write(entry + 2, slot, bits);
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
    this.slots.disown(keySlot, keyBits);
    this.slots.disown(this.itemSlot(table), valueBits);
    return true;
  }

  /** Keys and values in insertion order; the value of a set's member is null. */
  entries(table: Address): [Value, Value][] {
    const { tables } = this.core;
    const [keySlot, itemSlot] = [this.keySlot(table), this.itemSlot(table)];
    const words = entryWords(itemSlot);
    const found: [Value, Value][] = [];
    for (let entry = tables.nextEntry(table, 0, keySlot, words); entry !== 0; ) {
      found.push([this.slots.read(entry, keySlot), this.slots.read(entry + 2, itemSlot)]);
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
    const { high, hash } = this.slots.prepare(slot, key);
    const bits = this.slots.own(slot, key);
    try {
      this.core.tables.reserveOne(table);
      this.core.tracking.beforeStore(table, objectIn(key));
    } catch (error) {
      this.slots.disown(slot, bits);
      throw error;
    }
    const entry = this.core.tables.append(table, hash, entryWords(this.itemSlot(table)));
    this.i32[entry] = key === 0 ? 0 : bits.low;
    this.i32[entry + 1] = high;
    return entry;
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

  /** The list behind `gc.garbage`. */
  garbage(): Address[] {
    return this.items(this.i32[CONTROL_GARBAGE]).map((item) => (item as Reference).object);
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
