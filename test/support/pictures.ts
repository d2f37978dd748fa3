/**
 * A heap as somebody sees it who shares nothing with it but the layout: each object as a list of parts, each part as text.
 * Addresses are names: repaired objects stay where they are.
 */
import {
  type Address,
  CHUNK_GENERATION,
  CHUNK_MASK,
  CONTROL_TYPE_TABLE,
  FLAG_TRACKED,
  FOREIGN_NUMBER,
  HASH_DELETED,
  HEADER_ENTRY,
  HEADER_SERIAL,
  HEADER_TYPE,
  HEADER_WORDS,
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  KIND_STRING,
  KIND_WEAKREF,
  LIST_ITEMS,
  LIST_LENGTH,
  SLOT_ANY,
  SLOT_F64,
  SLOT_I64,
  SLOT_NONE,
  SLOT_REF,
  SLOT_STR,
  STRING_DATA,
  STRING_LENGTH,
  TABLE_MASK,
  TABLE_STORAGE,
  TABLE_USED,
  TAG_EMPTY,
  TAG_OBJECT,
  TAG_STRING,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_ID_MASK,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_KIND,
  TYPE_OBJECT_WORDS,
  TYPE_TRAVERSE,
  TYPE_WEAKREF_OFFSET,
  TYPE_WORDS,
  WEAKREF_CALLBACK,
  WEAKREF_HOST_CALLBACK,
  WEAKREF_IS_PROXY,
  WEAKREF_TARGET,
} from "../../src/memory/layout.js";
import type { Memory } from "../../src/memory/memory.js";

/** One field, item, entry or other part: its place or key, its value in one or two words, and what it refers to. */
export interface Part {
  readonly key: string;
  readonly low: number | string;
  readonly high: number | undefined;
  readonly targets: readonly Address[];
}

export function partText({ key, low, high }: Part): string {
  return `${key}${low},${high}`;
}

export interface Picture {
  readonly type: number;
  readonly serial: number;
  /** -1: in none. */
  readonly generation: number;
  readonly parts: readonly Part[];
}

/** Everything that some objects reach. */
export function pictureOf(memory: Memory, roots: Iterable<Address>): Map<Address, Picture> {
  const pictures = new Map<Address, Picture>();
  const queue = [...roots];
  for (let object = queue.pop(); object !== undefined; object = queue.pop()) {
    if (pictures.has(object)) continue;
    const picture = drawObject(memory, object);
    pictures.set(object, picture);
    queue.push(...picture.parts.flatMap(({ targets }) => targets));
  }
  return pictures;
}

function drawObject({ i32 }: Memory, object: Address): Picture {
  const header = i32[object + HEADER_TYPE];
  const id = header & TYPE_ID_MASK;
  const type = i32[CONTROL_TYPE_TABLE] + id * TYPE_WORDS;
  const kind = i32[type + TYPE_KIND];
  const isTracked = (header & FLAG_TRACKED) !== 0;
  const chunk = i32[object + HEADER_ENTRY] & ~CHUNK_MASK;
  return {
    type: id,
    serial: i32[object + HEADER_SERIAL],
    generation: isTracked ? i32[chunk + CHUNK_GENERATION] : -1,
    parts: drawParts(i32, object, type, kind),
  };
}

function drawParts(i32: Int32Array, object: Address, type: Address, kind: number): Part[] {
  switch (kind) {
    case KIND_STRING: {
      const length = i32[object + STRING_LENGTH];
      const words = (length & 1) !== 0 ? ((length >>> 1) + 1) >>> 1 : ((length >>> 1) + 3) >>> 2;
      const text = [...i32.subarray(object + STRING_DATA, object + STRING_DATA + words)].join();
      return [plain(`${length}:${text}`)];
    }
    case KIND_LIST:
      return drawItems(i32, object, i32[type + TYPE_ITEM_SLOT]);
    case KIND_DICT:
    case KIND_SET:
      return drawEntries(i32, object, i32[type + TYPE_KEY_SLOT], i32[type + TYPE_ITEM_SLOT]);
    case KIND_WEAKREF: {
      const callback = drawSlot(i32, SLOT_REF, object + WEAKREF_CALLBACK);
      return [
        { ...plain(i32[object + WEAKREF_TARGET]), key: "target " },
        { ...plain(i32[object + WEAKREF_HOST_CALLBACK]), key: "calls " },
        { ...plain(i32[object + WEAKREF_IS_PROXY]), key: "proxy " },
        { ...callback, key: "callback " },
      ];
    }
    case KIND_FOREIGN: {
      const items = i32[type + TYPE_DROP] === 0 ? [] : drawItems(i32, object, SLOT_REF);
      return [plain(`number ${i32[object + FOREIGN_NUMBER]}`), ...items];
    }
    default:
      return drawFields(i32, object, type);
  }
}

/** Each word of its own, but for those of references; the weak references to it are no part. */
function drawFields(i32: Int32Array, object: Address, type: Address): Part[] {
  const slots = new Map<number, number>();
  const drop = i32[type + TYPE_DROP] >> 1;
  for (let word = 0; word < drop; word++)
    slots.set(HEADER_WORDS + word, word < i32[type + TYPE_TRAVERSE] ? SLOT_REF : SLOT_STR);
  for (let index = 0; drop < 0 && index < i32[type + TYPE_EDGE_COUNT]; index++) {
    const edge = i32[i32[type + TYPE_EDGES] + index];
    slots.set(edge & TYPE_EDGE_OFFSET_MASK, edge >>> TYPE_EDGE_SLOT_SHIFT);
  }
  const parts: Part[] = [];
  for (let offset = HEADER_WORDS; offset < i32[type + TYPE_OBJECT_WORDS]; offset++) {
    const slot = slots.get(offset);
    if (
      offset === i32[type + TYPE_WEAKREF_OFFSET] ||
      (slot === undefined && slots.get(offset - 1) === SLOT_ANY)
    )
      continue;
    const part = slot === undefined ? plain(i32[object + offset]) : drawSlot(i32, slot, object + offset);
    parts.push({ ...part, key: `${offset}=` });
  }
  return parts;
}

function drawItems(i32: Int32Array, list: Address, slot: number): Part[] {
  return Array.from({ length: i32[list + LIST_LENGTH] }, (_, index) =>
    drawSlot(i32, slot, i32[list + LIST_ITEMS] + index * wordsOf(slot)),
  );
}

function drawEntries(i32: Int32Array, table: Address, keySlot: number, itemSlot: number): Part[] {
  const parts: Part[] = [];
  const words = itemSlot === SLOT_NONE ? 2 : 4;
  const first = i32[table + TABLE_STORAGE] + i32[table + TABLE_MASK] + 1;
  const deleted = wordsOf(keySlot) === 2 ? TAG_EMPTY : HASH_DELETED;
  for (let number = 0; number < i32[table + TABLE_USED]; number++) {
    const entry = first + number * words;
    if (i32[entry + 1] === deleted) continue;
    const key = drawSlot(i32, keySlot, entry);
    const value = itemSlot === SLOT_NONE ? plain("") : drawSlot(i32, itemSlot, entry + 2);
    parts.push({ ...value, key: `${partText(key)}: `, targets: [...key.targets, ...value.targets] });
  }
  return parts;
}

function drawSlot(i32: Int32Array, slot: number, word: Address): Part {
  const low = i32[word];
  const high = i32[word + 1];
  if (slot === SLOT_REF || slot === SLOT_STR) return { ...plain(low), targets: low === 0 ? [] : [low] };
  if (wordsOf(slot) === 1) return plain(low);
  const isReference = slot === SLOT_ANY && (high === TAG_OBJECT || high === TAG_STRING) && low !== 0;
  return { key: "", low, high, targets: isReference ? [low] : [] };
}

function plain(value: number | string): Part {
  return { key: "", low: value, high: undefined, targets: [] };
}

function wordsOf(slot: number): number {
  return slot === SLOT_F64 || slot === SLOT_I64 || slot === SLOT_ANY ? 2 : 1;
}
