/** What dict and set views share: size, lookup, removal and iteration over one hash table. */
import { ConcurrentModificationError } from "../memory/errors.js";
import { type Address, HEADER_SERIAL, SLOT_NONE, TABLE_EPOCH, TABLE_SIZE } from "../memory/layout.js";
import { entryWords } from "../object/slot.js";
import type { BoundType } from "./bound-type.js";
import type { Codec } from "./codec.js";
import { createKeyCodec, type KeyCodec } from "./key.js";
import { compileTable, type TableMethods } from "./table-code.js";
import { addressOf, hide, stale, type View } from "./view.js";

export interface TableAccess {
  readonly keys: KeyCodec;
  /** Words of an entry. */
  readonly words: number;
  /** The live entry numbered `from` or the next one, or 0. */
  nextEntry(table: Address, from: number): Address;
}

/** Define what a dict and a set have in common but their methods, for which it gives the access. */
export function defineTable(prototype: object, type: BoundType): TableAccess {
  const { core } = type.context;
  const { i32 } = core.memory;
  const keySlot = type.slots[0].spec.slot;
  const words = entryWords(type.slots.length > 1 ? type.slots[1].spec.slot : SLOT_NONE);
  const keys = createKeyCodec(type, `A ${type.slots.length > 1 ? "key" : "member"} of ${type.text}`);
  Object.defineProperty(prototype, "size", {
    configurable: true,
    get(this: View) {
      return i32[addressOf(this) + TABLE_SIZE];
    },
  });
  hide(prototype, "clear", function (this: View) {
    core.tables.clear(addressOf(this));
  });
  return { keys, words, nextEntry: (table, from) => core.tables.nextEntry(table, from, keySlot, words) };
}

/** Room that is made in advance: what says how much it holds may say anything, or hold equal keys. */
const RESERVED_MAX = 1 << 20;

/** Make room in a new table for what it is made from, where that says how much it is. May run user code. @throws OutOfMemoryError */
export function reserveFor({ context }: BoundType, table: Address, init: object): void {
  let size: unknown = 0;
  if (Array.isArray(init)) size = init.length;
  else if (init instanceof Map || init instanceof Set) size = init.size;
  if (Number.isSafeInteger(size)) context.core.tables.reserve(table, Math.min(size as number, RESERVED_MAX));
}

/** Define the methods by which programs look up and change, from text where text can be compiled. */
export function defineMethods(
  prototype: object,
  type: BoundType,
  { keys }: TableAccess,
  values: Codec | undefined,
  closures: Omit<TableMethods, "has">,
): void {
  function has(this: View, key: unknown): boolean {
    return keys.find(addressOf(this), key) !== 0;
  }
  const { find, ...methods } = compileTable(type, keys, values, { has, ...closures });
  keys.find = find;
  for (const [name, method] of Object.entries(methods)) hide(prototype, name, method);
}

/**
 * A class of iterators in insertion order that see what is added and not what is deleted meanwhile, as Map's do. A
 * table that grows leaves its holes behind, and entries move: an open iterator cannot follow that, and throws, unless
 * there is nothing left to follow.
 */
export function makeTableIterator(
  type: BoundType,
  access: TableAccess,
  result: (entry: Address) => unknown,
): new (
  view: View,
) => IterableIterator<unknown> {
  const { i32 } = type.context.core.memory;
  const { tables } = type.context.core;
  const { words, nextEntry } = access;
  class TableIterator {
    private readonly view: View;
    private number = 0;
    private readonly epoch: number;
    constructor(view: View) {
      this.view = view;
      this.epoch = i32[addressOf(view) + TABLE_EPOCH];
    }
    next(): IteratorResult<unknown> {
      const table = this.view["@address"];
      if (this.number < 0) return { done: true, value: undefined };
      if (i32[table + HEADER_SERIAL] !== this.view["@serial"]) stale(this.view);
      // What is empty has nothing more to give, whatever became of the entries: a Map that is cleared just ends, too.
      if (i32[table + TABLE_EPOCH] !== this.epoch && i32[table + TABLE_SIZE] !== 0)
        throw new ConcurrentModificationError(
          `This ${type.text} was cleared and filled again, or rebuilt without its deleted entries, while it was iterated. Collect the changes first, then apply them.`,
        );
      const entry = nextEntry(table, this.number);
      if (entry === 0) {
        this.number = -1;
        return { done: true, value: undefined };
      }
      this.number = tables.entryNumber(table, entry, words) + 1;
      return { done: false, value: result(entry) };
    }
    [Symbol.iterator]() {
      return this;
    }
  }
  type.iterators.push(TableIterator.prototype);
  return TableIterator;
}
