/** What the reader of an image has to know of the types in it: from JavaScript's descriptions, never from the image. */
import {
  IMAGE_TYPE_BLOCKS,
  IMAGE_TYPE_IS_GC,
  IMAGE_TYPE_OBJECT_WORDS,
  IMAGE_TYPE_REFERENCES,
  IMAGE_TYPE_SHIFT,
  IMAGE_TYPE_TARGETS,
  IMAGE_TYPE_WEAKREF,
  IMAGE_TYPE_WORD,
} from "../memory/image-layout.js";
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

/** What is asked for every object and every reference. */
export interface ImageColumns {
  /** IMAGE_TYPE_*, by type id. */
  readonly table: Int32Array;
  /** Codes of the types that references of plain types may lead to, in the order of their words. */
  readonly targets: Int32Array;
}

export function columnsOf(types: readonly (ImageType | undefined)[]): ImageColumns {
  const table = new Int32Array(types.length << IMAGE_TYPE_SHIFT);
  const targets: number[] = [];
  for (const [id, type] of types.entries()) {
    if (type === undefined) continue;
    const column = id << IMAGE_TYPE_SHIFT;
    const ones = plainTargets(type);
    table[column + IMAGE_TYPE_BLOCKS] = type.blockKind + 1;
    table[column + IMAGE_TYPE_OBJECT_WORDS] = type.objectWords;
    table[column + IMAGE_TYPE_WORD] = type.typeWord;
    table[column + IMAGE_TYPE_IS_GC] = type.isGc ? 1 : 0;
    table[column + IMAGE_TYPE_REFERENCES] = ones?.length ?? -1;
    table[column + IMAGE_TYPE_TARGETS] = targets.length;
    table[column + IMAGE_TYPE_WEAKREF] = type.weakrefOffset;
    targets.push(...(ones ?? []));
  }
  return { table, targets: Int32Array.from(targets) };
}

/**
 * Plain types hold nothing but references behind the header, each to objects of one type, which has a code of its own: most
 * structs and tuples. @returns the codes, or undefined
 */
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
