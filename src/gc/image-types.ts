/** What the reader of an image has to know of the types in it: from JavaScript's descriptions, never from the image. */

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
