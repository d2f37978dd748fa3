/** What looking at objects needs to know of each type: its names, and where its references stand. */
import type { BoundType } from "../host/bound-type.js";
import type { Context } from "../host/context.js";
import {
  type Address,
  HEADER_WORDS,
  KIND_STRUCT,
  KIND_TUPLE,
  KIND_WEAKREF,
  SLOT_REF,
  TRAVERSE_EDGES,
  TYPE_DROP,
  TYPE_EDGE_COUNT,
  TYPE_EDGE_OFFSET_MASK,
  TYPE_EDGE_SLOT_SHIFT,
  TYPE_EDGES,
  TYPE_ID_FIRST_FREE,
  TYPE_ITEM_SLOT,
  TYPE_KEY_SLOT,
  TYPE_KIND,
  TYPE_NAME,
} from "../memory/layout.js";
import { holdsReference } from "../object/slot.js";

/** One type of one heap. */
export interface TypeInfo {
  /** "TreeNode", "list", "str". */
  readonly name: string;
  /** As it would be written: "TreeNode", "list(TreeNode)", "str". */
  readonly text: string;
  /** KIND_*; KIND_FREE for what is no object. */
  readonly kind: number;
  /** SLOT_* of dict keys and set members, and of list items and dict values. */
  readonly keySlot: number;
  readonly itemSlot: number;
  /** Structs, tuples, weak references: word offset and SLOT_* of each slot that may hold a reference. */
  readonly offsets: readonly number[];
  readonly slots: readonly number[];
  /** The number of each such slot among the fields of a struct or the items of a tuple. */
  readonly fields: readonly number[];
  /** Names of the fields of a struct. */
  readonly fieldNames: readonly string[];
}

const NOTHING = { keySlot: 0, itemSlot: 0, offsets: [], slots: [], fields: [], fieldNames: [] };

/** What stands in the type table under a number that no object has. */
export const NO_TYPE: TypeInfo = { name: "", text: "", kind: 0, ...NOTHING };

/** Every type that the heap knows now, by id. O(types). */
export function describeTypes(context: Context): TypeInfo[] {
  const { types } = context.core;
  return Array.from({ length: types.count }, (_, id) => (id === 0 ? NO_TYPE : describeType(context, id)));
}

/** Strings that name types: they belong to the type table and are no objects of the program. */
export function typeNameStrings(context: Context): Set<Address> {
  const { types, memory } = context.core;
  const ids = Array.from({ length: types.count }, (_, id) => id).slice(1);
  return new Set(ids.map((id) => memory.i32[types.descriptor(id) + TYPE_NAME]));
}

function describeType(context: Context, id: number): TypeInfo {
  const { types, memory } = context.core;
  const { i32 } = memory;
  const type = types.descriptor(id);
  const bound = context.binder.typeOfId(id);
  const name = types.name(id);
  const { garbageTypeId, pendingTypeId } = context.core;
  // Types that every heap has go by their plain names.
  const isInternal = id < TYPE_ID_FIRST_FREE || id === garbageTypeId || id === pendingTypeId;
  const places = referencePlaces(i32, type);
  return {
    name,
    text: isInternal ? name : (bound?.text ?? name),
    kind: i32[type + TYPE_KIND],
    keySlot: i32[type + TYPE_KEY_SLOT],
    itemSlot: i32[type + TYPE_ITEM_SLOT],
    ...places,
    fields: places.offsets.map((offset) => fieldAt(bound, offset)),
    fieldNames: i32[type + TYPE_KIND] === KIND_STRUCT ? (bound?.slots.map((slot) => slot.name) ?? []) : [],
  };
}

/** Where instances of fixed size have references, strings included: what a death drops. */
function referencePlaces(i32: Int32Array, type: Address): { offsets: number[]; slots: number[] } {
  const kind = i32[type + TYPE_KIND];
  if (kind !== KIND_STRUCT && kind !== KIND_TUPLE && kind !== KIND_WEAKREF) return { offsets: [], slots: [] };
  const drop = i32[type + TYPE_DROP] >> 1;
  if (drop !== TRAVERSE_EDGES) {
    const offsets = Array.from({ length: drop }, (_, index) => HEADER_WORDS + index);
    return { offsets, slots: offsets.map(() => SLOT_REF) };
  }
  const table = i32[type + TYPE_EDGES];
  const edges = [...i32.subarray(table, table + i32[type + TYPE_EDGE_COUNT])];
  return {
    offsets: edges.map((edge) => edge & TYPE_EDGE_OFFSET_MASK),
    slots: edges.map((edge) => edge >>> TYPE_EDGE_SLOT_SHIFT),
  };
}

function fieldAt(bound: BoundType | undefined, offset: number): number {
  return (
    bound?.layout?.places.findIndex((place, index) => {
      const { slot } = bound.slots[index].spec;
      return place.offset === offset && holdsReference(slot);
    }) ?? 0
  );
}
