/** What the reader of an image (gc/image-contents.ts) has to know of types, from their plans. */
import type { ImageSlot, ImageType } from "../gc/image-types.js";
import {
  IMAGE_ANY,
  IMAGE_ANY_BOOLEAN,
  IMAGE_ANY_NULL,
  IMAGE_ANY_NUMBER,
  IMAGE_ANY_STRING,
} from "../memory/image-layout.js";
import {
  FLAG_OBSERVED,
  FOREIGN_WEAKREFS,
  FOREIGN_WORDS,
  KIND_CONTAINER,
  KIND_FOREIGN,
  KIND_LEAF,
  KIND_LIST,
  KIND_STRING,
  KIND_WEAKREF,
  LIST_WORDS,
  SLOT_BOOL,
  SLOT_REF,
  SLOT_STR,
  TYPE_FINALIZER,
  TYPE_ID_FIRST_FREE,
  TYPE_ID_FOREIGN,
  TYPE_ID_FOREIGN_HOLDER,
  TYPE_ID_STRING,
  TYPE_ID_WEAKREF,
  WEAKREF_WORDS,
} from "../memory/layout.js";
import { holdsReference } from "../object/slot.js";
import type { SlotSpec } from "./fields.js";
import { type Plan, typeLayout } from "./plan.js";
import { foreignDescriptor, type ObjectDescriptor } from "./schema.js";

/** Behind the types that every heap has come the lists of `gc.garbage` and of pending callbacks (gc/core.ts). */
const TYPE_ID_GARBAGE = TYPE_ID_FIRST_FREE;
const TYPE_ID_PENDING = TYPE_ID_FIRST_FREE + 1;
const TYPE_ID_FIRST_PLANNED = TYPE_ID_FIRST_FREE + 2;

/** By type id. */
export function imageTypes(plans: readonly Plan[]): (ImageType | undefined)[] {
  const ids = new Map(plans.map(({ descriptor }, index) => [descriptor, TYPE_ID_FIRST_PLANNED + index]));
  const types = internalTypes();
  for (const plan of plans) types.push(imageType(plan, types.length, (spec) => imageSlot(spec, ids)));
  return types;
}

function internalTypes(): (ImageType | undefined)[] {
  const item: ImageSlot = { slot: SLOT_REF, one: 0, kinds: IMAGE_ANY };
  const leaf = { isGc: false, blockKind: KIND_LEAF, weakrefOffset: 0, fields: [] };
  const container = { ...leaf, isGc: true, blockKind: KIND_CONTAINER };
  const list = { text: "list", kind: KIND_LIST, objectWords: LIST_WORDS, item };
  const foreign = {
    text: "foreign",
    kind: KIND_FOREIGN,
    objectWords: FOREIGN_WORDS,
    weakrefOffset: FOREIGN_WEAKREFS,
  };
  const types: (ImageType | undefined)[] = [undefined];
  types[TYPE_ID_STRING] = {
    ...leaf,
    text: "str",
    kind: KIND_STRING,
    objectWords: 0,
    typeWord: TYPE_ID_STRING,
  };
  types[TYPE_ID_WEAKREF] = {
    ...container,
    text: "weakref",
    kind: KIND_WEAKREF,
    objectWords: WEAKREF_WORDS,
    typeWord: TYPE_ID_WEAKREF | FLAG_OBSERVED,
    item,
  };
  types[TYPE_ID_FOREIGN] = { ...leaf, ...foreign, typeWord: TYPE_ID_FOREIGN | FLAG_OBSERVED };
  types[TYPE_ID_FOREIGN_HOLDER] = {
    ...container,
    ...foreign,
    typeWord: TYPE_ID_FOREIGN_HOLDER | FLAG_OBSERVED,
    item,
  };
  types[TYPE_ID_GARBAGE] = { ...leaf, ...list, typeWord: TYPE_ID_GARBAGE };
  types[TYPE_ID_PENDING] = { ...container, ...list, typeWord: TYPE_ID_PENDING };
  return types;
}

function imageType(plan: Plan, id: number, slotOf: (spec: SlotSpec) => ImageSlot): ImageType {
  const layout = typeLayout(plan);
  const { slots } = plan;
  const places = plan.layout?.places;
  const specs = slots.map(({ spec }) => spec);
  const isTable = places === undefined && layout.kind !== KIND_LIST;
  const key = isTable ? slotOf(specs[0]) : undefined;
  const itemSpec = isTable ? specs[1] : specs[0];
  const item = places === undefined && itemSpec !== undefined ? slotOf(itemSpec) : undefined;
  return {
    text: layout.name,
    kind: layout.kind,
    objectWords: layout.objectWords,
    blockKind: plan.isGc ? KIND_CONTAINER : KIND_LEAF,
    isGc: plan.isGc,
    typeWord: (layout.flags & TYPE_FINALIZER) !== 0 ? id | FLAG_OBSERVED : id,
    weakrefOffset: layout.weakrefOffset,
    fields:
      places === undefined
        ? []
        : specs
            .map((spec, index) => ({ spec, offset: places[index].offset }))
            .filter(({ spec }) => holdsReference(spec.slot))
            .map(({ spec, offset }) => ({ offset, slot: slotOf(spec) })),
    ...(key && { key }),
    ...(item && { item }),
  };
}

function imageSlot(spec: SlotSpec, ids: ReadonlyMap<ObjectDescriptor, number>): ImageSlot {
  const { slot, targets, weakTargets, scalar } = spec;
  const idsOf = (descriptors: readonly ObjectDescriptor[]) =>
    descriptors.flatMap((one) =>
      one === foreignDescriptor ? [TYPE_ID_FOREIGN, TYPE_ID_FOREIGN_HOLDER] : [ids.get(one)!],
    );
  if (slot === SLOT_STR) return { slot, one: TYPE_ID_STRING, kinds: 0 };
  if (weakTargets !== undefined)
    return { slot, one: TYPE_ID_WEAKREF, weakTargets: new Set(idsOf(weakTargets)), kinds: 0 };
  const allowed = idsOf(targets);
  if (slot === SLOT_REF && allowed.length === 1) return { slot, one: allowed[0], kinds: 0 };
  if (slot === SLOT_REF && allowed.length > 1) return { slot, one: 0, several: new Set(allowed), kinds: 0 };
  return { slot, one: 0, kinds: scalar === undefined ? IMAGE_ANY : kindsOf(scalar.slot) };
}

/** What a scalar beside null may be. */
function kindsOf(slot: number): number {
  const kind =
    slot === SLOT_STR ? IMAGE_ANY_STRING : slot === SLOT_BOOL ? IMAGE_ANY_BOOLEAN : IMAGE_ANY_NUMBER;
  return IMAGE_ANY_NULL | kind;
}
