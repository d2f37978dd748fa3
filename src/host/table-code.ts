/**
 * What a program does to a dict or a set in its loops, from text, one text a type (compile.ts): the search for the usual
 * key is written out, and so are the stores of values that hold no reference. Everything else goes on to the closures
 * that do all of it where text cannot be compiled.
 */
import {
  type Address,
  ENTRY_VALUE,
  HASH_FACTOR,
  HASH_HIGH_FACTOR,
  HASH_MASK,
  HEADER_SERIAL,
  INDEX_FREE,
  SLOT_ANY,
  SLOT_F32,
  SLOT_F64,
  SLOT_I32,
  SLOT_NONE,
  SLOT_REF,
  SLOT_STR,
  SLOT_U8,
  SLOT_U32,
  TABLE_MASK,
  TABLE_STORAGE,
  TAG_STRING,
} from "../memory/layout.js";
import { entryWords } from "../object/slot.js";
import { hashText } from "../object/string.js";
import { putNumber } from "./any-codec.js";
import type { BoundType } from "./bound-type.js";
import type { Codec } from "./codec.js";
import { compile } from "./compile.js";
import type { SlotSpec } from "./fields.js";
import { type KeyCodec, scratchF64, scratchI32 } from "./key.js";
import { hasOneTarget } from "./literal.js";
import { stale, type View } from "./view.js";

/** Methods of a table's views that the text has: `get` and `set` are a dict's, `add` is a set's. */
export interface TableMethods {
  has(this: View, key: unknown): boolean;
  delete(this: View, key: unknown): boolean;
  get?(this: View, key: unknown): unknown;
  set?(this: View, key: unknown, value: unknown): View;
  add?(this: View, member: unknown): View;
}

/**
 * @param keys by closures
 * @param values of a dict
 * @param closures the methods without text
 * @returns the methods, and `find` of the keys
 */
export function compileTable(
  type: BoundType,
  keys: KeyCodec,
  values: Codec | undefined,
  closures: TableMethods,
): TableMethods & Pick<KeyCodec, "find"> {
  const { context, slots } = type;
  const { memory, strings } = context.core;
  const keySpec = slots[0].spec;
  const captured = {
    ...{ i32: memory.i32, f64: memory.f64, f32: memory.f32 },
    ...{ context, values, closures, hashText, stale, scratchF64, scratchI32 },
    ...{ findOther: keys.find, insert: keys.insert, remove: keys.remove, dropKey: keys.dropKey },
    prepared: keys.prepared,
    read: values?.read,
    hashOf: (string: Address) => strings.hash(string),
    equals: (string: Address, text: string) => strings.equalsHashed(string, text),
    target: hasOneTarget(keySpec) ? context.binder.bind(keySpec.targets[0]) : undefined,
    putNumber: (word: Address, value: number) => putNumber(memory, word, value),
  };
  const byClosures = () => ({ ...closures, find: keys.find });
  return compile(captured, tableText(type), byClosures, context.compiles);
}

function tableText(type: BoundType): string {
  const keySlot = type.slots[0].spec;
  const isDict = type.slots.length > 1;
  const isShared = type.context.sharing !== undefined;
  const methods = isDict ? dictText(type.slots[1].spec) : setText();
  return `/* type ${type.id} */
  function find(table, key) {
    ${findText(keySlot, entryWords(isDict ? type.slots[1].spec.slot : SLOT_NONE), isShared)}
    return findOther(table, key);
  }
  return {
    find,
    has(key) { ${ADDRESS} return find(table, key) !== 0; },
    ${methods}
  };`;
}

const ADDRESS = `const table = this["@address"]; if (i32[table + ${HEADER_SERIAL}] !== this["@serial"]) stale(this);`;

// -- methods --------------------------------------------------------------------------------------

function setText(): string {
  return `add(member) { ${ADDRESS} if (find(table, member) === 0) insert(table); return this; },
    delete(member) {
      ${ADDRESS} const entry = find(table, member);
      if (entry === 0) return false;
      remove(table, entry); dropKey();
      return true;
    },`;
}

function dictText(spec: SlotSpec): string {
  const store = storeText(spec);
  const set =
    store === undefined
      ? "set: closures.set,"
      : `set(key, value) {
      if (!(${store.accepts})) return closures.set.call(this, key, value);
      ${ADDRESS} const entry = find(table, key);
      if (entry === 0) { const item = insert(table) + ${ENTRY_VALUE}; ${store.put} }
      else { const item = entry + ${ENTRY_VALUE}; ${store.swap} }
      return this;
    },`;
  const remove =
    store === undefined || spec.slot === SLOT_ANY
      ? "delete: closures.delete,"
      : `delete(key) {
      ${ADDRESS} const entry = find(table, key);
      if (entry === 0) return false;
      remove(table, entry); dropKey();
      return true;
    },`;
  return `get(key) { ${ADDRESS} const entry = find(table, key); return entry === 0 ? undefined : ${readText(spec)}; },
    ${set}
    ${remove}`;
}

function readText(spec: SlotSpec): string {
  if (spec.slot === SLOT_F64) return `f64[(entry + ${ENTRY_VALUE}) >> 1]`;
  const item = `entry + ${ENTRY_VALUE}`;
  return spec.slot === SLOT_I32 ? `i32[${item}]` : `read(${item})`;
}

/** How numbers are stored as values; undefined where values may be references and nothing else. */
function storeText({ slot, scalar }: SlotSpec): { accepts: string; put: string; swap: string } | undefined {
  if (scalar !== undefined) return undefined;
  const overwrite = (accepts: string, put: string) => ({ accepts, put, swap: put });
  switch (slot) {
    case SLOT_F64:
      return overwrite(`typeof value === "number"`, "f64[item >> 1] = value;");
    case SLOT_F32:
      return overwrite(`typeof value === "number"`, "f32[item] = value;");
    case SLOT_I32:
      return overwrite(`typeof value === "number" && value === (value | 0)`, "i32[item] = value;");
    case SLOT_U32:
      return overwrite(`typeof value === "number" && value === value >>> 0`, "i32[item] = value;");
    case SLOT_ANY:
      return {
        accepts: `typeof value === "number"`,
        put: "putNumber(item, value);",
        swap: "context.ownedHigh = 0; values.swap(item, value);",
      };
    default:
      return undefined;
  }
}

// -- searching ------------------------------------------------------------------------------------

/**
 * For each usual sort of key: its words and hash, the search, and what `insert` has to know of a key that is not there.
 * Each returns; what falls through is for `findOther`.
 */
function findText({ slot, scalar, targets }: SlotSpec, words: number, isShared: boolean): string {
  if (scalar !== undefined) return ""; // `optional(f64)` and the like
  switch (slot) {
    case SLOT_STR:
      return textSearch("hash", "i32[entry + 1] === hash", words);
    case SLOT_ANY:
      return `${doubleSearch(words)}
    ${textSearch(TAG_STRING, `i32[entry + 1] === ${TAG_STRING} && hashOf(i32[entry]) === hash`, words)}`;
    case SLOT_F64:
      return doubleSearch(words);
    case SLOT_I32:
      return wordSearch(`typeof key === "number" && key === (key | 0)`, "key | 0", words);
    case SLOT_U32:
      return wordSearch(`typeof key === "number" && key === key >>> 0`, "key | 0", words);
    case SLOT_U8:
      return wordSearch(`typeof key === "number" && key === (key & 255)`, "key | 0", words);
    case SLOT_REF: {
      const isLive = `key["@type"] === target && i32[key["@address"] + ${HEADER_SERIAL}] === key["@serial"]`;
      const isObject = `typeof key === "object" && key !== null && ${isLive}`;
      return hasOneTarget({ targets }) && !isShared ? wordSearch(isObject, `key["@address"]`, words) : "";
    }
    default:
      return "";
  }
}

function wordSearch(accepts: string, first: string, words: number): string {
  return `if (${accepts}) {
      const first = ${first};
      ${hashWordText("first")}
      ${probeText("i32[entry] === first", words)}
      prepared.first = first; prepared.second = prepared.hash = hash; prepared.text = undefined;
      return 0;
    }`;
}

/** NaN is left to the closures; adding 0 makes 0 of -0. */
function doubleSearch(words: number): string {
  return `if (typeof key === "number" && key === key) {
      scratchF64[0] = key + 0;
      const first = scratchI32[0], second = scratchI32[1];
      ${hashWordText(`(first ^ Math.imul(second, ${HASH_HIGH_FACTOR}))`)}
      ${probeText("i32[entry] === first && i32[entry + 1] === second", words)}
      prepared.first = first; prepared.second = second; prepared.hash = hash; prepared.text = undefined;
      return 0;
    }`;
}

function textSearch(second: string | number, agrees: string, words: number): string {
  return `if (typeof key === "string") {
      const hash = hashText(key);
      ${probeText(`${agrees} && equals(i32[entry], key)`, words)}
      prepared.second = ${second}; prepared.hash = hash; prepared.text = key;
      return 0;
    }`;
}

/** `hashWord` of hash-table.ts. */
function hashWordText(word: string): string {
  return `const bits = ${word}, mixed = Math.imul(bits ^ (bits >>> 16), ${HASH_FACTOR}), hash = (mixed ^ (mixed >>> 15)) & ${HASH_MASK};`;
}

/** `findWords` and `findText` of hash-table.ts. */
function probeText(agrees: string, words: number): string {
  return `const mask = i32[table + ${TABLE_MASK}];
      if (mask !== 0) {
        const index = i32[table + ${TABLE_STORAGE}], entries = index + mask + ${1 - words};
        for (let probe = hash & mask, word = 0; (word = i32[index + probe]) !== ${INDEX_FREE}; probe = (probe + 1) & mask)
          if (((word ^ hash) & ~mask) === 0) {
            const entry = entries + (word & mask) * ${words};
            if (${agrees}) return entry;
          }
      }`;
}
