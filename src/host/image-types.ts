/**
 * The types of a saved heap as JSON: structs by name, with their fields; containers by what they contain. They come back as
 * the program's classes where it gives some, checked field by field, and as structs made for the occasion where it does not.
 */
import { ImageError, InvalidArgumentError, LayoutMismatchError } from "../memory/errors.js";
import { hashText } from "../object/string.js";
import { structFields, typeText } from "./fields.js";
import { makePlan, markGc, type Plan, typeLayout } from "./plan.js";
import type { Descriptor, ObjectDescriptor, StructDescriptor } from "./schema.js";
import * as schema from "./schema.js";
import { struct } from "./struct.js";

/** "f64", "any", ["struct", "Node"], ["list", ["optional", "str"]]. */
type TypeTree = string | readonly unknown[];
/** A type of the image, at its id's place. `hash` is that of its layout. */
export type TypeEntry =
  | {
      readonly struct: string;
      readonly fields: readonly (readonly [string, TypeTree])[];
      readonly weakrefs: boolean;
      readonly cyclic: boolean;
      readonly hash: number;
    }
  | { readonly type: TypeTree; readonly hash: number };

/** Nobody writes a type as deep as this. */
const DEPTH_MAX = 100;

const SCALARS = new Map<string, unknown>([
  ["f64", schema.f64],
  ["f32", schema.f32],
  ["i32", schema.i32],
  ["u32", schema.u32],
  ["u8", schema.u8],
  ["i64", schema.i64],
  ["bool", schema.bool],
  ["str", schema.str],
  ["any", schema.any],
  ["foreign", schema.foreignDescriptor],
]);

export function invalid(what: string): never {
  throw new ImageError("IMAGE_INVALID", `The saved heap's description makes no sense: ${what}.`);
}

// -- saving -------------------------------------------------------------------------------------

export function describeTypes(
  types: readonly { readonly descriptor: ObjectDescriptor; readonly hash: number }[],
): TypeEntry[] {
  return types.map(({ descriptor, hash }) =>
    descriptor["@kind"] === "struct"
      ? { struct: descriptor.typeName, fields: describeFields(descriptor), ...optionsOf(descriptor), hash }
      : { type: treeOf(descriptor), hash },
  );
}

function describeFields(descriptor: StructDescriptor): [string, TypeTree][] {
  const { shape } = descriptor;
  return Object.keys(shape).map((name) => [name, treeOf(schema.describe(shape[name], name))]);
}

function optionsOf(descriptor: StructDescriptor) {
  const { weakrefs, cyclic } = descriptor["@declaration"].options;
  return { weakrefs: weakrefs !== false, cyclic: cyclic !== false };
}

function treeOf(descriptor: Descriptor): TypeTree {
  const inner = (type: unknown) => treeOf(schema.describe(type, "A part of a type"));
  switch (descriptor["@kind"]) {
    case "scalar":
      return descriptor.name;
    case "any":
    case "foreign":
    case "weakref":
      return descriptor["@kind"];
    case "struct":
      return ["struct", descriptor.typeName];
    case "optional":
    case "weak":
      return [descriptor["@kind"], inner(descriptor.type)];
    case "oneOf":
      return ["oneOf", ...descriptor.types.map(inner)];
    default:
      return [descriptor["@kind"], ...descriptor.parts.map(inner)];
  }
}

/** How messages speak of where the types come from. */
export interface Origin {
  readonly verb: string;
  /** "was", of a heap that was saved; "is", of one that is shared. */
  readonly was: string;
  readonly when: string;
  readonly other: string;
}
const SAVED: Origin = {
  verb: "Heap.load",
  was: "was",
  when: "when the heap was saved",
  other: "the one that was saved",
};

// -- loading ------------------------------------------------------------------------------------

/**
 * The types of an image, in the order of their ids.
 * @param entries as JSON gave them: nothing about them is known
 * @param classes structs of the program, for those of the same name
 * @throws ImageError, and LayoutMismatchError for a class whose fields are not those that were saved
 */
export function planTypes(entries: unknown, classes: readonly unknown[], origin = SAVED): Plan[] {
  if (!Array.isArray(entries)) return invalid("it has no list of types");
  const resolver = new Resolver(entries, givenStructs(classes, origin), origin);
  const descriptors = entries.map((entry) => resolver.descriptorOf(entry));
  const known = new Set<unknown>(descriptors);
  if (known.size !== descriptors.length) invalid("a type is listed twice");
  let plans: Plan[];
  try {
    plans = descriptors.map(makePlan);
  } catch (cause) {
    if (!(cause instanceof InvalidArgumentError)) throw cause;
    throw new ImageError("IMAGE_INVALID", `The saved heap has a type that cannot be: ${cause.message}`, {
      cause,
    });
  }
  known.add(schema.foreignDescriptor);
  for (const { descriptor, slots } of plans)
    for (const { spec } of slots)
      for (const target of [...spec.targets, ...(spec.weakTargets ?? [])])
        if (!known.has(target))
          invalid(`${typeText(descriptor)} leads to ${typeText(target)}, which is not listed`);
  markGc(plans, () => undefined);
  for (const [index, plan] of plans.entries()) checkHash(plan, entries[index].hash, origin);
  return plans;
}

function checkHash(plan: Plan, saved: unknown, { other }: Origin): void {
  if (saved === hashText(typeLayout(plan).description)) return;
  const text = typeText(plan.descriptor);
  if (plan.descriptor["@kind"] !== "struct") invalid(`the layout of ${text} has another hash`);
  throw new LayoutMismatchError(
    text,
    undefined,
    "its fields have the same types, but lie at other places",
    other,
  );
}

/** The structs that a program has given and all that they lead to, by name. */
function givenStructs(classes: readonly unknown[], { verb }: Origin): Map<string, StructDescriptor> {
  const given = new Map<string, StructDescriptor>();
  const queue: ObjectDescriptor[] = classes.map((type) => {
    const descriptor = schema.describe(type, `A type given to ${verb}`);
    if (!schema.isObjectDescriptor(descriptor))
      throw new InvalidArgumentError(`${verb} takes structs as types, got ${typeText(descriptor)}.`);
    return descriptor;
  });
  const seen = new Set<ObjectDescriptor>([schema.foreignDescriptor]);
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (next["@kind"] === "struct") {
      const other = given.get(next.typeName);
      if (other !== undefined)
        throw new InvalidArgumentError(`Two structs given to ${verb} are called "${next.typeName}".`);
      given.set(next.typeName, next);
    }
    const slots = next["@kind"] === "struct" ? structFields(next) : makePlan(next).slots;
    for (const { spec } of slots) queue.push(...spec.targets, ...(spec.weakTargets ?? []));
  }
  return given;
}

class Resolver {
  private readonly structs = new Map<string, StructDescriptor>();

  constructor(entries: readonly unknown[], given: ReadonlyMap<string, StructDescriptor>, origin: Origin) {
    for (const entry of entries) {
      const saved = structEntry(entry);
      if (saved === undefined) continue;
      if (this.structs.has(saved.struct)) invalid(`the struct ${schema.show(saved.struct)} is listed twice`);
      const known = given.get(saved.struct);
      this.structs.set(
        saved.struct,
        known === undefined ? this.makeStruct(saved) : checkClass(known, saved, origin),
      );
    }
  }

  descriptorOf(entry: unknown): ObjectDescriptor {
    const saved = structEntry(entry);
    if (saved !== undefined) return this.structs.get(saved.struct)!;
    const type = this.typeOf((entry as { type?: unknown } | null)?.type, 0);
    const descriptor = schema.describe(type, "A type of a saved heap");
    const isBound = schema.isObjectDescriptor(descriptor) && descriptor !== schema.foreignDescriptor;
    return isBound ? descriptor : invalid(`the type ${typeText(type)} has no instances`);
  }

  private makeStruct(saved: SavedStruct): StructDescriptor {
    const shape = {};
    for (const [name, tree] of saved.fields)
      Object.defineProperty(shape, name, {
        get: () => this.typeOf(tree, 0),
        enumerable: true,
        configurable: true,
      });
    try {
      const { cyclic, weakrefs } = saved;
      return struct(saved.struct, shape, { cyclic, weakrefs }) as unknown as StructDescriptor;
    } catch (cause) {
      if (!(cause instanceof InvalidArgumentError)) throw cause;
      throw new ImageError("IMAGE_INVALID", `The saved heap has a struct that cannot be: ${cause.message}`, {
        cause,
      });
    }
  }

  private typeOf(tree: unknown, depth: number): unknown {
    if (typeof tree === "string")
      return SCALARS.get(tree) ?? invalid(`there is no type ${schema.show(tree)}`);
    if (!Array.isArray(tree) || depth > DEPTH_MAX) return invalid(`a type is ${schema.show(tree)}`);
    const [kind, ...rest] = tree as unknown[];
    if (kind === "struct")
      return this.structs.get(rest[0] as string) ?? invalid(`there is no struct ${schema.show(rest[0])}`);
    const parts = rest.map((part) => this.typeOf(part, depth + 1));
    const count = (wanted: number) => {
      if (parts.length !== wanted) invalid(`${String(kind)} of ${parts.length} types`);
    };
    switch (kind) {
      case "optional":
        count(1);
        return schema.optional(parts[0]);
      case "weak":
        count(1);
        return schema.weak(parts[0]);
      case "list":
        count(1);
        return schema.list(parts[0]);
      case "set":
        count(1);
        return schema.set(parts[0]);
      case "dict":
        count(2);
        return schema.dict(parts[0], parts[1]);
      case "tuple":
        return schema.tuple(...parts);
      case "oneOf":
        if (parts.length === 0) invalid("oneOf of no types");
        return schema.oneOf(...parts);
      default:
        return invalid(`there is no type ${schema.show(kind)}(...)`);
    }
  }
}

type SavedStruct = Extract<TypeEntry, { struct: string }>;

function structEntry(entry: unknown): SavedStruct | undefined {
  if (typeof entry !== "object" || entry === null) return invalid(`a type is ${schema.show(entry)}`);
  const saved = entry as SavedStruct;
  if (saved.struct === undefined) return undefined;
  const isWhole =
    typeof saved.struct === "string" &&
    typeof saved.weakrefs === "boolean" &&
    typeof saved.cyclic === "boolean" &&
    Array.isArray(saved.fields) &&
    saved.fields.every(
      (field: unknown) => Array.isArray(field) && typeof field[0] === "string" && field.length === 2,
    );
  if (!isWhole) invalid("a struct without its name, fields or options");
  if (new Set(saved.fields.map(([name]) => name)).size !== saved.fields.length)
    invalid(`two fields of ${schema.show(saved.struct)} have one name`);
  return saved;
}

/** @throws LayoutMismatchError naming the first field that differs */
function checkClass(known: StructDescriptor, saved: SavedStruct, origin: Origin): StructDescriptor {
  const { was, when } = origin;
  const here = describeFields(known);
  const { struct: name, fields } = saved;
  const refuse = (field: string | undefined, detail: string): never => {
    throw new LayoutMismatchError(name, field, detail, origin.other);
  };
  for (let index = 0; index < Math.max(here.length, fields.length); index++) {
    const [field, type] = here[index] ?? [];
    const [savedField, savedType] = fields[index] ?? [];
    if (field === undefined) refuse(savedField, `the field ${savedField} is missing here`);
    if (savedField === undefined) refuse(field, `the field ${field} ${was} not there ${when}`);
    if (field !== savedField) refuse(field, `where ${field} stands here, ${savedField} ${was} ${when}`);
    if (JSON.stringify(type) !== JSON.stringify(savedType))
      refuse(field, `the field ${field} is ${treeText(type)} here and ${was} ${treeText(savedType)} ${when}`);
  }
  for (const option of ["weakrefs", "cyclic"] as const) {
    const value = optionsOf(known)[option];
    if (value !== saved[option])
      refuse(undefined, `its option ${option} is ${value} here and ${was} ${saved[option]}`);
  }
  return known;
}

/** A tree as it would be written. JSON of any depth: not of a type that was checked. */
function treeText(tree: unknown, depth = 0): string {
  if (!Array.isArray(tree) || depth > DEPTH_MAX) return typeof tree === "string" ? tree : schema.show(tree);
  if (tree[0] === "struct") return String(tree[1]);
  const parts = tree.slice(1).map((part) => treeText(part, depth + 1));
  return `${String(tree[0])}(${parts.join(", ")})`;
}
