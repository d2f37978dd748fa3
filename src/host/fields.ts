/** From types to slots: how a field, item, key or value is stored, and the layout of structs and tuples. */
import { InvalidArgumentError } from "../memory/errors.js";
import { SLOT_ANY, SLOT_I64, SLOT_REF } from "../memory/layout.js";
import { type FieldLayout, layoutFields } from "../object/struct.js";
import {
  type ContainerDescriptor,
  type Descriptor,
  describe,
  isObjectDescriptor,
  type ObjectDescriptor,
  type ScalarDescriptor,
  type StructDescriptor,
} from "./schema.js";

/** What one slot holds. */
export interface SlotSpec {
  /** SLOT_*. */
  readonly slot: number;
  /** SLOT_REF: the types that it may refer to; none: any. */
  readonly targets: readonly ObjectDescriptor[];
  /** The slot holds a weak reference to one of these types: what it leads to does not count. */
  readonly weakTargets?: readonly ObjectDescriptor[];
  /** Whether null may be stored. */
  readonly isOptional: boolean;
  /** SLOT_ANY: the only scalar that it may hold beside null, for `optional(f64)` and the like. */
  readonly scalar?: ScalarDescriptor;
  /** Whether a literal may leave it out. */
  readonly hasDefault: boolean;
}

/** How a type is stored. @throws InvalidArgumentError for a combination that cannot be */
export function slotSpec(type: unknown, where: string): SlotSpec {
  const descriptor = describe(type, where);
  switch (descriptor["@kind"]) {
    case "scalar":
      return { slot: descriptor.slot, targets: [], isOptional: false, hasDefault: true };
    case "any":
      return { slot: SLOT_ANY, targets: [], isOptional: true, hasDefault: true };
    case "optional":
      return optionalSpec(slotSpec(descriptor.type, where), describe(descriptor.type, where), where);
    case "oneOf":
      return {
        slot: SLOT_REF,
        targets: oneOfTargets(descriptor.types, where),
        isOptional: false,
        hasDefault: false,
      };
    case "weak":
      return {
        slot: SLOT_REF,
        targets: [],
        weakTargets: weakTargets(descriptor.type, where),
        isOptional: true,
        hasDefault: true,
      };
    case "struct":
    case "tuple":
    case "foreign":
      return { slot: SLOT_REF, targets: [descriptor], isOptional: false, hasDefault: false };
    default:
      return { slot: SLOT_REF, targets: [descriptor], isOptional: false, hasDefault: true };
  }
}

function optionalSpec(inner: SlotSpec, descriptor: Descriptor, where: string): SlotSpec {
  if (descriptor["@kind"] !== "scalar") return { ...inner, isOptional: true, hasDefault: true };
  if (descriptor.slot === SLOT_I64)
    throw new InvalidArgumentError(
      `${where}: optional(i64) cannot be stored; use i64, or a struct with the i64.`,
    );
  // A number, boolean or string beside null needs a tag: it is stored as an `any` slot is.
  return { slot: SLOT_ANY, targets: [], isOptional: true, scalar: descriptor, hasDefault: true };
}

function oneOfTargets(types: readonly unknown[], where: string): ObjectDescriptor[] {
  const targets = new Set<ObjectDescriptor>();
  for (const type of types) {
    const descriptor = describe(type, where);
    if (descriptor["@kind"] === "oneOf")
      for (const inner of oneOfTargets(descriptor.types, where)) targets.add(inner);
    else if (isObjectDescriptor(descriptor)) targets.add(descriptor);
    else
      throw new InvalidArgumentError(
        `${where}: oneOf takes structs and containers, not ${typeText(descriptor)}. For null write optional(oneOf(...)), for mixed values any.`,
      );
  }
  return [...targets];
}

/** What a weak slot may lead to: structs that have room for a list of weak references, sets and foreign values. */
function weakTargets(type: unknown, where: string): ObjectDescriptor[] {
  const descriptor = describe(type, where);
  const targets = oneOfTargets(descriptor["@kind"] === "oneOf" ? descriptor.types : [type], where);
  for (const target of targets) {
    const isReferenceable =
      target["@kind"] === "struct"
        ? target["@declaration"].options.weakrefs !== false
        : target["@kind"] === "set" || target["@kind"] === "foreign";
    if (!isReferenceable)
      throw new InvalidArgumentError(
        `${where}: a ${typeText(target)} cannot be weakly referenced, only structs (without { weakrefs: false }), sets and foreign values.`,
      );
  }
  return targets;
}

/** Whether a slot alone makes its holder a candidate for the collector: `any` and a foreign value can lead anywhere. */
export function leadsAnywhere(spec: SlotSpec): boolean {
  if (spec.targets.some((target) => target["@kind"] === "foreign")) return true;
  return spec.slot === SLOT_ANY && spec.scalar === undefined;
}

/** A type as it would be written, for messages and layout hashes. */
export function typeText(type: unknown): string {
  const descriptor = describe(type, "A part of a type");
  switch (descriptor["@kind"]) {
    case "scalar":
      return descriptor.name;
    case "any":
      return "any";
    case "struct":
      return descriptor.typeName;
    case "weak":
      return `weak(${typeText(descriptor.type)})`;
    case "weakref":
      return "weakref";
    case "foreign":
      return "foreign()";
    case "optional":
      return `optional(${typeText(descriptor.type)})`;
    case "oneOf":
      return `oneOf(${descriptor.types.map(typeText).join(", ")})`;
    default:
      return `${descriptor["@kind"]}(${descriptor.parts.map(typeText).join(", ")})`;
  }
}

/** Names and slots of a struct's fields, in shape order. Runs the getters of the shape. */
export function structFields(struct: StructDescriptor): { name: string; spec: SlotSpec }[] {
  return Object.keys(struct.shape).map((name) => ({
    name,
    spec: slotSpec(struct.shape[name], `${struct.typeName}.${name}`),
  }));
}

/** @param fields what `structFields` returned */
export function structLayout(
  struct: StructDescriptor,
  fields: readonly { readonly spec: SlotSpec }[],
): FieldLayout {
  const slots = fields.map(({ spec }) => spec.slot);
  return layoutFields(slots, [...slots.keys()], struct["@declaration"].options.weakrefs !== false);
}

/** A tuple's items are visited and dropped last to first, as CPython's are. */
export function tupleLayout(tuple: ContainerDescriptor): FieldLayout {
  const slots = tuple.parts.map((part, index) => slotSpec(part, `tuple item ${index}`).slot);
  return layoutFields(slots, [...slots.keys()].reverse(), false);
}
