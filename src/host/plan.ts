/** What a type becomes in a heap, before it has an id: its slots, its layout, and whether its instances can be on a cycle. */
import { InvalidArgumentError } from "../memory/errors.js";
import {
  KIND_DICT,
  KIND_LIST,
  KIND_SET,
  KIND_STRUCT,
  KIND_TUPLE,
  LIST_WORDS,
  SLOT_I64,
  SLOT_NONE,
  TABLE_WEAKREFS,
  TABLE_WORDS,
  TRAVERSE_LIST,
  TRAVERSE_TABLE,
  TYPE_FINALIZER,
  TYPE_GC,
  TYPE_TRACKED_AT_BIRTH,
} from "../memory/layout.js";
import type { FieldLayout } from "../object/struct.js";
import type { TypeLayout } from "../object/type.js";
import {
  leadsAnywhere,
  type SlotSpec,
  slotSpec,
  structFields,
  structLayout,
  tupleLayout,
  typeText,
} from "./fields.js";
import type { ObjectDescriptor } from "./schema.js";
import { finalizer } from "./struct.js";

export interface NamedSlot {
  readonly name: string;
  readonly spec: SlotSpec;
}

/** What is known of a type before it has an id. */
export interface Plan {
  readonly descriptor: ObjectDescriptor;
  readonly slots: readonly NamedSlot[];
  readonly layout: FieldLayout | undefined;
  isGc: boolean;
}

export function makePlan(descriptor: ObjectDescriptor): Plan {
  const isGc = true; // until markGc proves otherwise
  if (descriptor["@kind"] === "struct") {
    const slots = structFields(descriptor);
    return { descriptor, isGc, slots, layout: structLayout(descriptor, slots) };
  }
  const names =
    descriptor["@kind"] === "dict" ? ["key", "value"] : descriptor.parts.map((_, index) => String(index));
  const text = typeText(descriptor);
  const slots = descriptor.parts.map((part, index) => ({
    name: names[index],
    spec: slotSpec(part, `${text}, part ${names[index]}`),
  }));
  if (descriptor["@kind"] === "tuple") return { descriptor, isGc, slots, layout: tupleLayout(descriptor) };
  const keySpec = slots[0].spec;
  if (descriptor["@kind"] !== "list" && keySpec.weakTargets !== undefined)
    throw new InvalidArgumentError(
      `${text}: a weak reference cannot be a key; use heap.weakref.keyDictionary or heap.weakref.set.`,
    );
  if (descriptor["@kind"] !== "list" && keySpec.slot === SLOT_I64)
    throw new InvalidArgumentError(`${text}: an i64 cannot be a key; use f64 or str.`);
  return { descriptor, isGc, slots, layout: undefined };
}

/**
 * Which types can be part of a cycle, from the schema: those from which `any`, or a way round, can be reached. (A type
 * that only leads to a cycle cannot be on one, but while it is untracked a collection takes it for a root: what it
 * holds would need a second collection. So it is tracked too; docs/design/0003.)
 */
export function markGc(plans: Plan[], isBoundGc: (target: ObjectDescriptor) => boolean | undefined): void {
  const planned = new Set(plans.map(({ descriptor }) => descriptor));
  /** For each type those that wait for it to be acyclic; and for how many each waits. */
  const waiting = new Map<ObjectDescriptor, Plan[]>();
  const missing = new Map<Plan, number>();
  const acyclic: Plan[] = [];
  for (const plan of plans) {
    const { descriptor } = plan;
    if (descriptor["@kind"] === "struct" && descriptor["@declaration"].options.cyclic === false) {
      plan.isGc = false;
      acyclic.push(plan);
    } else if (!plan.slots.some(({ spec }) => leadsAnywhere(spec))) missing.set(plan, 0);
  }
  for (const plan of missing.keys()) {
    const targets = new Set(plan.slots.flatMap(({ spec }) => spec.targets));
    for (const target of targets) {
      if (!planned.has(target) && isBoundGc(target) === false) continue;
      missing.set(plan, missing.get(plan)! + 1);
      const others = waiting.get(target);
      if (others === undefined) waiting.set(target, [plan]);
      else others.push(plan);
    }
    if (missing.get(plan) === 0) {
      plan.isGc = false;
      acyclic.push(plan);
    }
  }
  // Peel off what leads only to acyclic types: what is left leads round.
  for (let next = acyclic.pop(); next !== undefined; next = acyclic.pop())
    for (const plan of waiting.get(next.descriptor) ?? []) {
      missing.set(plan, missing.get(plan)! - 1);
      if (missing.get(plan) !== 0) continue;
      plan.isGc = false;
      acyclic.push(plan);
    }
}

export function typeLayout({ descriptor, slots, layout, isGc }: Plan): TypeLayout {
  const text = typeText(descriptor);
  const isTrackedAtBirth = isGc && descriptor["@kind"] !== "dict";
  const hasFinalizer = descriptor["@kind"] === "struct" && finalizer in descriptor.prototype;
  const flags =
    (isGc ? TYPE_GC : 0) |
    (isTrackedAtBirth ? TYPE_TRACKED_AT_BIRTH : 0) |
    (hasFinalizer ? TYPE_FINALIZER : 0);
  const name = descriptor["@kind"] === "struct" ? descriptor.typeName : descriptor["@kind"];
  if (layout !== undefined)
    return {
      name,
      kind: descriptor["@kind"] === "struct" ? KIND_STRUCT : KIND_TUPLE,
      flags,
      keySlot: SLOT_NONE,
      itemSlot: SLOT_NONE,
      description: `${text}{${slots.map((slot, index) => `${slot.name}:${slot.spec.slot}@${layout.places[index].offset}`).join()}}`,
      ...layout,
    };
  const isList = descriptor["@kind"] === "list";
  const traverse = isList ? TRAVERSE_LIST : TRAVERSE_TABLE;
  return {
    name,
    kind: isList ? KIND_LIST : descriptor["@kind"] === "dict" ? KIND_DICT : KIND_SET,
    flags,
    objectWords: isList ? LIST_WORDS : TABLE_WORDS,
    traverse,
    drop: traverse,
    edges: [],
    weakrefOffset: descriptor["@kind"] === "set" ? TABLE_WEAKREFS : 0,
    keySlot: isList ? SLOT_NONE : slots[0].spec.slot,
    itemSlot: isList ? slots[0].spec.slot : descriptor["@kind"] === "dict" ? slots[1].spec.slot : SLOT_NONE,
    description: text,
  };
}
