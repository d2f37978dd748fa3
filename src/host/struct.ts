/** Declaring structs. */
import { InvalidArgumentError } from "../memory/errors.js";
import { WORD_BYTES } from "../memory/layout.js";
import { structFields, structLayout } from "./fields.js";
import { nextOrdinal, type StructDeclaration, type StructDescriptor, show } from "./schema.js";
import type { Shape, StructClass, StructOptions } from "./types.js";

/** What the constructor of a struct's base demands: only a heap that checks a class has it. */
export const CONSTRUCT = Symbol("construct");

/**
 * Define a method under this symbol to finalize instances: Python's `__del__` (PEP 442). It runs once, when the last
 * reference is gone or a collection finds the object unreachable, before what the object holds is dropped; it may keep
 * the object alive with `retain(this)`. What it throws goes to `heap.onUnraisable`. The class must have it before a heap
 * first meets the class.
 */
export const finalizer: unique symbol = Symbol("finalizer");

/**
 * Declare a struct: a class whose instances live in a heap. Extend it for methods, or for fields that refer back to it:
 *
 *     class TreeNode extends struct("TreeNode", { value: i32, get children() { return list(TreeNode); } }) {}
 *
 * The layout is computed when a heap first meets the type, so getters may mention classes declared later.
 *
 * @param name identifies the type in its heap and in messages; a class name would not survive a minifier
 * @param shape field names and types; the order of the fields is the order in which they are visited and dropped
 * @throws InvalidArgumentError for an empty name, a field name that cannot be kept or an option that is none
 */
export function struct<const N extends string, S extends Shape>(
  name: N,
  shape: S,
  options: StructOptions = {},
): StructClass<S, N> {
  if (typeof name !== "string" || name === "")
    throw new InvalidArgumentError(`A struct needs a name, got ${show(name)}.`);
  if (shape === null || typeof shape !== "object")
    throw new InvalidArgumentError(`The shape of struct "${name}" must be an object, got ${show(shape)}.`);
  checkOptions(name, options);
  for (const field of Reflect.ownKeys(shape)) checkFieldName(name, field);
  const declaration = { options: { ...options } } as StructDeclaration;
  class Base {
    static readonly "@kind" = "struct";
    static readonly typeName = name;
    static readonly shape = shape;
    static readonly "@ordinal" = nextOrdinal();
    static readonly "@declaration" = declaration;
    static get byteSize(): number {
      // biome-ignore lint/complexity/noThisInStatic: a subclass asks for its own layout
      const struct = this as unknown as StructDescriptor;
      return structLayout(struct, structFields(struct)).objectWords * WORD_BYTES;
    }
    constructor(internal: unknown) {
      if (internal !== CONSTRUCT)
        throw new InvalidArgumentError(
          `Only a heap makes instances of "${name}": heap.new(${name}, { ... }).`,
        );
    }
  }
  Object.defineProperty(Base, "name", { value: name });
  declaration.base = Base as unknown as StructDescriptor;
  return Base as unknown as StructClass<S, N>;
}

function checkOptions(struct: string, options: unknown): void {
  if (options === null || typeof options !== "object")
    throw new InvalidArgumentError(
      `The options of struct "${struct}" must be an object, got ${show(options)}.`,
    );
  for (const name of ["cyclic", "weakrefs"]) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && typeof value !== "boolean")
      throw new InvalidArgumentError(
        `The option ${name} of struct "${struct}" must be true or false, got ${show(value)}.`,
      );
  }
}

function checkFieldName(struct: string, field: string | symbol): void {
  const why = objection(field);
  if (why !== undefined)
    throw new InvalidArgumentError(
      `Struct "${struct}" cannot have the field ${JSON.stringify(String(field))}: ${why}.`,
    );
}

function objection(field: string | symbol): string | undefined {
  if (typeof field === "symbol") return "field names are strings";
  if (field === "" || field.startsWith("@"))
    return "empty names and names that begin with @ are the library's own";
  if (field === "__proto__" || field === "constructor")
    return "JavaScript gives that name a meaning of its own";
  // Any value that is no function would take the place of the library's, and JSON would show addresses. A field called
  // `then` is harmless: it never reads as a function, which is all that a promise asks.
  if (field === "toJSON") return "JSON.stringify calls what has that name; the class may have it as a method";
  if (String(Number(field)) === field) return "JavaScript reorders names that look like numbers";
  return undefined;
}
