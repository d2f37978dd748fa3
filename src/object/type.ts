/**
 * The type table: for each type id how large an instance is, which words of it are references, and in which order a
 * traversal or a death meets them. It lives in the memory, so that a collection, a thread that attaches or a reader of
 * an image needs nothing else.
 */
import type { Allocator } from "../alloc/allocator.js";
import { SMALL_WORDS_MAX, sizeClassOf } from "../alloc/size-class.js";
import { HeapError } from "../memory/errors.js";
import {
  type Address,
  CONTROL_TYPE_CAPACITY,
  CONTROL_TYPE_COUNT,
  CONTROL_TYPE_TABLE,
  CONTROL_TYPES_HAVE,
  FLAG_OBSERVED,
  FOREIGN_WEAKREFS,
  FOREIGN_WORDS,
  HEADER_TYPE,
  KIND_CONTAINER,
  KIND_DICT,
  KIND_FOREIGN,
  KIND_FREE,
  KIND_LEAF,
  KIND_STORAGE,
  KIND_STRING,
  KIND_TUPLE,
  KIND_WEAKREF,
  SLOT_REF,
  TRAVERSE_LIST,
  TYPE_BLOCK_KIND,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGES,
  TYPE_FINALIZER,
  TYPE_FLAGS,
  TYPE_FOREIGN,
  TYPE_GC,
  TYPE_ID_FOREIGN,
  TYPE_ID_FOREIGN_HOLDER,
  TYPE_ID_MASK,
  TYPE_ID_STRING,
  TYPE_ID_WEAKREF,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_KIND,
  TYPE_LAYOUT_HASH,
  TYPE_NAME,
  TYPE_OBJECT_WORDS,
  TYPE_SHIFT,
  TYPE_SIZE_CLASS,
  TYPE_TRACKED_AT_BIRTH,
  TYPE_TRAVERSE,
  TYPE_WEAKREF_OFFSET,
  TYPE_WORDS,
  TYPES_HAVE_DICTS,
  TYPES_HAVE_FINALIZERS,
  TYPES_HAVE_POOLS,
  TYPES_HAVE_TUPLES,
  WEAKREF_WORDS,
} from "../memory/layout.js";
import { hashText, type Strings } from "./string.js";

/** Everything the heap has to know of a type. */
export interface TypeLayout {
  readonly name: string;
  /** KIND_* of the instances. */
  readonly kind: number;
  readonly objectWords: number;
  /** TYPE_* flags. */
  readonly flags: number;
  /** Number of reference words from HEADER_WORDS on that a traversal visits in order, or TRAVERSE_*. */
  readonly traverse: number;
  /** The same for what a death drops (TYPE_DROP adds a bit to it). */
  readonly drop: number;
  /** `offset | slot << TYPE_EDGE_SLOT_SHIFT` in visit order, where `traverse` or `drop` is TRAVERSE_EDGES. */
  readonly edges: readonly number[];
  readonly weakrefOffset: number;
  readonly keySlot: number;
  readonly itemSlot: number;
  /** What must be equal for two types of one name to be the same: fields, kinds and offsets, as text. */
  readonly description: string;
}

const STRING_LAYOUT: TypeLayout = {
  name: "str",
  edges: [],
  kind: KIND_STRING,
  objectWords: 0,
  flags: 0,
  traverse: 0,
  drop: 0,
  weakrefOffset: 0,
  keySlot: 0,
  itemSlot: 0,
  description: "str",
};

/** Its one reference is the callback; the target is not counted. */
const WEAKREF_LAYOUT: TypeLayout = {
  name: "weakref",
  edges: [],
  kind: KIND_WEAKREF,
  objectWords: WEAKREF_WORDS,
  flags: TYPE_GC | TYPE_TRACKED_AT_BIRTH,
  traverse: 1,
  drop: 1,
  weakrefOffset: 0,
  keySlot: 0,
  itemSlot: 0,
  description: "weakref",
};

/** What it stands for is JavaScript's; nothing of the heap hangs on it. */
const FOREIGN_LAYOUT: TypeLayout = {
  name: "foreign",
  edges: [],
  kind: KIND_FOREIGN,
  objectWords: FOREIGN_WORDS,
  flags: TYPE_FOREIGN,
  traverse: 0,
  drop: 0,
  weakrefOffset: FOREIGN_WEAKREFS,
  keySlot: 0,
  itemSlot: 0,
  description: "foreign",
};

const FOREIGN_HOLDER_LAYOUT: TypeLayout = {
  ...FOREIGN_LAYOUT,
  flags: TYPE_FOREIGN | TYPE_GC | TYPE_TRACKED_AT_BIRTH,
  traverse: TRAVERSE_LIST,
  drop: TRAVERSE_LIST,
  itemSlot: SLOT_REF,
  description: "foreign holder",
};

export class TypeTable {
  private readonly i32: Int32Array;
  private readonly allocator: Allocator;
  private readonly strings: Strings;
  /** Address of the descriptor of type id 0. */
  readonly base: Address;

  /** @param isAttached whether the memory is a heap already, with its table */
  constructor(allocator: Allocator, strings: Strings, isAttached = false) {
    this.allocator = allocator;
    this.i32 = allocator.memory.i32;
    this.strings = strings;
    this.base = this.i32[CONTROL_TYPE_TABLE];
    if (isAttached) return;
    this.write(TYPE_ID_STRING, STRING_LAYOUT, strings.create(STRING_LAYOUT.name), 0);
    this.write(TYPE_ID_WEAKREF, WEAKREF_LAYOUT, strings.create(WEAKREF_LAYOUT.name), 0);
    this.write(TYPE_ID_FOREIGN, FOREIGN_LAYOUT, strings.create(FOREIGN_LAYOUT.name), 0);
    this.write(TYPE_ID_FOREIGN_HOLDER, FOREIGN_HOLDER_LAYOUT, strings.create(FOREIGN_LAYOUT.name), 0);
  }

  /** Whether a collection has to look for tuples, or for dicts, that it could untrack. */
  get hasTuples(): boolean {
    return this.has(TYPES_HAVE_TUPLES);
  }
  get hasDicts(): boolean {
    return this.has(TYPES_HAVE_DICTS);
  }
  /** Whether a collection has to look for finalizers. */
  get hasFinalizers(): boolean {
    return this.has(TYPES_HAVE_FINALIZERS);
  }
  /** Whether there ever was an instance of a pool. */
  get hasPools(): boolean {
    return this.has(TYPES_HAVE_POOLS);
  }
  notePool(): void {
    this.note(TYPES_HAVE_POOLS);
  }

  private has(what: number): boolean {
    return (this.i32[CONTROL_TYPES_HAVE] & what) !== 0;
  }

  private note(what: number): void {
    this.i32[CONTROL_TYPES_HAVE] |= what;
  }

  /** Address of a type's descriptor. */
  descriptor(typeId: number): Address {
    return this.base + (typeId << TYPE_SHIFT);
  }

  /** Address of the descriptor of an object's type. */
  descriptorOf(object: Address): Address {
    return this.base + ((this.i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT);
  }

  /** One past the highest type id in use. */
  get count(): number {
    return this.i32[CONTROL_TYPE_COUNT];
  }

  name(typeId: number): string {
    return this.strings.read(this.i32[this.descriptor(typeId) + TYPE_NAME]);
  }

  kindOf(object: Address): number {
    return this.i32[this.descriptorOf(object) + TYPE_KIND];
  }

  /** The type word that every instance starts with. */
  typeWord(typeId: number): number {
    const flags = this.i32[this.descriptor(typeId) + TYPE_FLAGS];
    const isObserved = typeId === TYPE_ID_WEAKREF || (flags & (TYPE_FINALIZER | TYPE_FOREIGN)) !== 0;
    return isObserved ? typeId | FLAG_OBSERVED : typeId;
  }

  /** Whether a foreign object may hold references. */
  isHolder(object: Address): boolean {
    return (this.i32[object + HEADER_TYPE] & TYPE_ID_MASK) === TYPE_ID_FOREIGN_HOLDER;
  }

  isGc(typeId: number): boolean {
    return (this.i32[this.descriptor(typeId) + TYPE_FLAGS] & TYPE_GC) !== 0;
  }

  /**
   * Give ids to types, all of them or none: `layouts` are made for ids from `count` on, so that they can name one another.
   * @throws OutOfMemoryError and HeapError "TOO_MANY_TYPES"; the table is then as before.
   */
  register(layouts: readonly TypeLayout[]): void {
    const { i32 } = this;
    const first = this.count;
    const capacity = i32[CONTROL_TYPE_CAPACITY];
    if (first + layouts.length > capacity + 1)
      throw new HeapError(
        "TOO_MANY_TYPES",
        `This heap has room for ${capacity} types and ${first - 1} are in use. Container types count too: list(A) and list(B) are two.`,
      );
    let done = 0;
    try {
      for (; done < layouts.length; done++) this.registerOne(first + done, layouts[done]);
    } catch (error) {
      for (let id = first; id < first + done; id++) this.erase(id);
      throw error;
    }
    for (const { kind, flags } of layouts) {
      if (kind === KIND_TUPLE && (flags & TYPE_GC) !== 0) this.note(TYPES_HAVE_TUPLES);
      if (kind === KIND_DICT && (flags & TYPE_GC) !== 0) this.note(TYPES_HAVE_DICTS);
      if ((flags & TYPE_FINALIZER) !== 0) this.note(TYPES_HAVE_FINALIZERS);
    }
    i32[CONTROL_TYPE_COUNT] = first + layouts.length; // last: a type that counts is whole
  }

  private registerOne(id: number, layout: TypeLayout): void {
    const name = this.strings.create(layout.name);
    let edges = 0;
    try {
      if (layout.edges.length > 0) edges = this.allocator.allocate(KIND_STORAGE, layout.edges.length);
    } catch (error) {
      if (name !== 0) this.allocator.freeObject(name);
      throw error;
    }
    this.i32.set(layout.edges, edges);
    this.write(id, layout, name, edges);
  }

  private write(id: number, layout: TypeLayout, name: Address, edges: Address): void {
    const { i32 } = this;
    const type = this.descriptor(id);
    const isSmall = layout.objectWords <= SMALL_WORDS_MAX;
    i32[type + TYPE_KIND] = layout.kind;
    i32[type + TYPE_OBJECT_WORDS] = layout.objectWords;
    i32[type + TYPE_FLAGS] = layout.flags;
    i32[type + TYPE_TRAVERSE] = layout.traverse;
    i32[type + TYPE_DROP] = (layout.drop << 1) | ((layout.flags & TYPE_GC) !== 0 ? 1 : 0);
    i32[type + TYPE_EDGES] = edges;
    i32[type + TYPE_EDGE_COUNT] = layout.edges.length;
    i32[type + TYPE_NAME] = name;
    i32[type + TYPE_LAYOUT_HASH] = hashText(layout.description);
    i32[type + TYPE_WEAKREF_OFFSET] = layout.weakrefOffset;
    i32[type + TYPE_KEY_SLOT] = layout.keySlot;
    i32[type + TYPE_ITEM_SLOT] = layout.itemSlot;
    i32[type + TYPE_BLOCK_KIND] = (layout.flags & TYPE_GC) !== 0 ? KIND_CONTAINER : KIND_LEAF;
    i32[type + TYPE_SIZE_CLASS] = isSmall && layout.objectWords > 0 ? sizeClassOf(layout.objectWords) : -1;
  }

  private erase(id: number): void {
    const { i32 } = this;
    const type = this.descriptor(id);
    const name = i32[type + TYPE_NAME];
    if (name !== 0) this.allocator.freeObject(name);
    if (i32[type + TYPE_EDGES] !== 0) this.allocator.free(i32[type + TYPE_EDGES]);
    i32.fill(0, type, type + TYPE_WORDS);
    i32[type + TYPE_KIND] = KIND_FREE;
  }
}
