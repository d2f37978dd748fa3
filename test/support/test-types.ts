/** Types for tests that work on addresses. */
import type { Core } from "../../src/gc/core.js";
import {
  KIND_DICT,
  KIND_LIST,
  KIND_SET,
  KIND_STRUCT,
  KIND_TUPLE,
  LIST_WORDS,
  SLOT_NONE,
  TABLE_WEAKREFS,
  TABLE_WORDS,
  TRAVERSE_LIST,
  TRAVERSE_TABLE,
  TYPE_FINALIZER,
  TYPE_GC,
  TYPE_TRACKED_AT_BIRTH,
} from "../../src/memory/layout.js";
import { type FieldLayout, layoutFields } from "../../src/object/struct.js";
import type { TypeLayout } from "../../src/object/type.js";

import { SLOTS, type SlotName } from "./slots.js";

interface FieldPlaces {
  readonly slots: readonly number[];
  readonly layout: FieldLayout;
}

/** Types by the kinds of their slots; asked for again, a type is the one that there is. */
export class TestTypes {
  readonly core: Core;
  private readonly typeIds = new Map<string, number>();
  private readonly places = new Map<number, FieldPlaces>();

  constructor(core: Core) {
    this.core = core;
  }

  /** Take over the types of the same memory, or of that which this one is a copy of. */
  protected adoptTypes(other: TestTypes): void {
    for (const [name, id] of other.typeIds) this.typeIds.set(name, id);
    for (const [id, places] of other.places) this.places.set(id, places);
  }

  /** The fields of a struct or tuple. */
  protected placesOf(typeId: number): FieldPlaces {
    return this.places.get(typeId)!;
  }

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
}
