/** What the reader of an image has to know of the types in it: from JavaScript's descriptions, never from the image. */
import { HEADER_WORDS, KIND_STRUCT, KIND_TUPLE, SLOT_ANY } from "../memory/layout.js";
import { codeOf, hasCode } from "./image-codes.js";

/** One slot that may hold a reference. */
export interface ImageSlot {
  readonly slot: number;
  /** Id of the one type whose objects may stand here; 0 where `several` says it, and without that any but strings. */
  readonly one: number;
  readonly several?: ReadonlySet<number>;
  /** Types to whose objects a weak reference that stands here may lead. */
  readonly weakTargets?: ReadonlySet<number>;
  /** An `any` slot: the kinds of values that it may hold, as IMAGE_ANY_* bits. */
  readonly kinds: number;
}

export interface ImageType {
  /** As it would be written, for messages. */
  readonly text: string;
  readonly kind: number;
  /** Words of an instance; 0 for strings. */
  readonly objectWords: number;
  /** KIND_CONTAINER or KIND_LEAF. */
  readonly blockKind: number;
  readonly isGc: boolean;
  /** The type word of every instance. */
  readonly typeWord: number;
  readonly weakrefOffset: number;
  /** Structs and tuples: the fields that may hold a reference, and where. */
  readonly fields: readonly { readonly offset: number; readonly slot: ImageSlot }[];
  /** Dicts and sets. */
  readonly key?: ImageSlot;
  /** Lists, foreign holders and dicts. */
  readonly item?: ImageSlot;
}

/** By type id, COLUMN_* words each: what is asked for every object and every reference. */
export interface ImageColumns {
  readonly table: Int32Array;
  /** Codes of the types that references of plain types may lead to, in the order of their words. */
  readonly targets: Int32Array;
}
export const COLUMN_SHIFT = 3;
/** KIND_* of the pages of instances, + 1; 0: there is no such type. */
export const COLUMN_PAGES = 0;
export const COLUMN_OBJECT_WORDS = 1;
export const COLUMN_TYPE_WORD = 2;
/** 1: instances can be on a cycle. */
export const COLUMN_IS_GC = 3;
/**
 * Plain types: so many references stand behind the header, each to objects of one type, and there is nothing else to check
 * but the weak references to an instance. Others, and those that lead to types without a code of their own: -1.
 */
export const COLUMN_REFERENCES = 4;
/** Index of the first in `targets`. */
export const COLUMN_TARGETS = 5;
export const COLUMN_WEAKREF = 6;

export function columnsOf(types: readonly (ImageType | undefined)[]): ImageColumns {
  const table = new Int32Array(types.length << COLUMN_SHIFT);
  const targets: number[] = [];
  for (const [id, type] of types.entries()) {
    if (type === undefined) continue;
    const column = id << COLUMN_SHIFT;
    const ones = plainTargets(type);
    table[column + COLUMN_PAGES] = type.blockKind + 1;
    table[column + COLUMN_OBJECT_WORDS] = type.objectWords;
    table[column + COLUMN_TYPE_WORD] = type.typeWord;
    table[column + COLUMN_IS_GC] = type.isGc ? 1 : 0;
    table[column + COLUMN_REFERENCES] = ones?.length ?? -1;
    table[column + COLUMN_TARGETS] = targets.length;
    table[column + COLUMN_WEAKREF] = type.weakrefOffset;
    targets.push(...(ones ?? []));
  }
  return { table, targets: Int32Array.from(targets) };
}

function plainTargets({ kind, fields }: ImageType): number[] | undefined {
  if (kind !== KIND_STRUCT && kind !== KIND_TUPLE) return undefined;
  const sorted = [...fields].sort((first, second) => first.offset - second.offset);
  const isPlain = sorted.every(
    ({ offset, slot }, index) =>
      offset === HEADER_WORDS + index &&
      slot.slot !== SLOT_ANY &&
      slot.one !== 0 &&
      hasCode(slot.one) &&
      slot.weakTargets === undefined,
  );
  return isPlain ? sorted.map(({ slot }) => codeOf(slot.one)) : undefined;
}
