/**
 * Heap types as values: `f64`, `struct(...)`, `list(...)`. They describe and decide nothing: a heap gives them ids and
 * layouts when it first meets them (bind.ts), so one description serves any number of heaps.
 */
import { InvalidArgumentError } from "../memory/errors.js";
import {
  SLOT_BOOL,
  SLOT_F32,
  SLOT_F64,
  SLOT_I32,
  SLOT_I64,
  SLOT_STR,
  SLOT_U8,
  SLOT_U32,
} from "../memory/layout.js";
import type {
  AnyType,
  DictType,
  ForeignType,
  ListType,
  OneOfType,
  OptionalType,
  SetType,
  Shape,
  StructOptions,
  TupleType,
  ValueType,
  WeakType,
} from "./types.js";

/** Numbers each description once a process: the index of what a heap keeps for it. */
let ordinals = 0;
export function nextOrdinal(): number {
  return ordinals++;
}

/** The runtime side of a value type. */
export interface ScalarDescriptor {
  readonly "@kind": "scalar";
  readonly name: string;
  readonly slot: number;
  readonly hasDefault: true;
}
export interface AnyDescriptor {
  readonly "@kind": "any";
  readonly hasDefault: true;
}
export interface OptionalDescriptor {
  readonly "@kind": "optional";
  readonly type: unknown;
  readonly hasDefault: true;
}
export interface WeakDescriptor {
  readonly "@kind": "weak";
  readonly type: unknown;
  readonly hasDefault: true;
}
export interface OneOfDescriptor {
  readonly "@kind": "oneOf";
  readonly types: readonly unknown[];
}
/**
 * Containers: types with identity that are not structs. Weak references and foreign values are bound like one; no schema
 * names a weak reference.
 */
export interface ContainerDescriptor {
  readonly "@kind": "list" | "dict" | "set" | "tuple" | "weakref" | "foreign";
  readonly "@ordinal": number;
  /** list, set: the item; dict: key and value; tuple: the items. */
  readonly parts: readonly unknown[];
  readonly hasDefault: boolean;
}
/** The statics of a struct class. */
export interface StructDescriptor {
  readonly "@kind": "struct";
  readonly "@ordinal": number;
  readonly "@declaration": StructDeclaration;
  readonly typeName: string;
  readonly shape: Shape;
  readonly prototype: object;
}
export interface StructDeclaration {
  readonly options: StructOptions;
  /** The class that `struct()` returned, of which the user's may be a subclass. */
  base: StructDescriptor;
}
export type ObjectDescriptor = StructDescriptor | ContainerDescriptor;
export type Descriptor =
  | ScalarDescriptor
  | AnyDescriptor
  | OptionalDescriptor
  | WeakDescriptor
  | OneOfDescriptor
  | ContainerDescriptor
  | StructDescriptor;

/** The runtime description behind a value that should be a heap type. @throws InvalidArgumentError */
export function describe(type: unknown, where: string): Descriptor {
  const candidate = type as Descriptor | null | undefined;
  const isDescribed =
    candidate !== null &&
    (typeof candidate === "object" || typeof candidate === "function") &&
    DESCRIPTOR_KINDS.has(candidate["@kind"]);
  if (!isDescribed)
    throw new InvalidArgumentError(
      `${where} must be a heap type (f64, str, any, a struct, list(...) and so on), got ${show(type)}.`,
    );
  return candidate;
}

export function isObjectDescriptor(descriptor: Descriptor): descriptor is ObjectDescriptor {
  return descriptor["@kind"] === "struct" || "@ordinal" in descriptor;
}

const DESCRIPTOR_KINDS = new Set([
  "scalar",
  "any",
  "optional",
  "weak",
  "oneOf",
  "list",
  "dict",
  "set",
  "tuple",
  "struct",
  "weakref",
  "foreign",
]);

function scalar<V>(name: string, slot: number): ValueType<V> {
  const descriptor: ScalarDescriptor = { "@kind": "scalar", name, slot, hasDefault: true };
  return descriptor as unknown as ValueType<V>;
}

/** A double: any JavaScript number. 8 bytes. */
export const f64: ValueType<number> = scalar("f64", SLOT_F64);
/** A float: any number, rounded to 24 bits when it is stored. 4 bytes. */
export const f32: ValueType<number> = scalar("f32", SLOT_F32);
/** A whole number from -2147483648 to 2147483647. 4 bytes. */
export const i32: ValueType<number> = scalar("i32", SLOT_I32);
/** A whole number from 0 to 4294967295. 4 bytes. */
export const u32: ValueType<number> = scalar("u32", SLOT_U32);
/** A whole number from 0 to 255. One byte in a struct or tuple, 4 in a container. */
export const u8: ValueType<number> = scalar("u8", SLOT_U8);
/** A bigint from -2^63 to 2^63 - 1. 8 bytes. */
export const i64: ValueType<bigint> = scalar("i64", SLOT_I64);
/** true or false. One byte in a struct or tuple, 4 in a container. */
export const bool: ValueType<boolean> = scalar("bool", SLOT_BOOL);
/** A string: immutable, shared by reference inside the heap, read as a JavaScript string. */
export const str: ValueType<string> = scalar("str", SLOT_STR);

const anyDescriptor: AnyDescriptor = { "@kind": "any", hasDefault: true };
/** null, a boolean, a number, a string or any heap object: what a Python container holds. 8 bytes. */
export const any: AnyType = anyDescriptor as unknown as AnyType;

/** The same type, or null. */
export function optional<T>(type: T): OptionalType<T> {
  const descriptor: OptionalDescriptor = { "@kind": "optional", type, hasDefault: true };
  return descriptor as unknown as OptionalType<T>;
}

/**
 * A reference that does not count: it reads as its target, borrowed, and as null once that is dead. What is stored is the
 * object's one shared weak reference.
 */
export function weak<T>(type: T): WeakType<T> {
  const descriptor: WeakDescriptor = { "@kind": "weak", type, hasDefault: true };
  return descriptor as unknown as WeakType<T>;
}

/**
 * A reference to an instance of any of these types: a syntax tree's child, a scene's item.
 * @throws InvalidArgumentError without any type; what is no struct or container is refused when a heap meets it
 */
export function oneOf<const T extends readonly unknown[]>(...types: T): OneOfType<T> {
  if (types.length === 0) throw new InvalidArgumentError("oneOf needs at least one type.");
  const descriptor: OneOfDescriptor = { "@kind": "oneOf", types };
  return descriptor as unknown as OneOfType<T>;
}

/** A growable array. */
export function list<T>(item: T): ListType<T> {
  return container("list", [item], true) as unknown as ListType<T>;
}

/** A hash table from keys to values, in insertion order. Keys: strings, numbers, booleans, or objects by identity. */
export function dict<K, V>(key: K, value: V): DictType<K, V> {
  return container("dict", [key, value], true) as unknown as DictType<K, V>;
}

/** A set, in insertion order. Members: strings, numbers, booleans, or objects by identity. */
export function set<T>(item: T): SetType<T> {
  return container("set", [item], true) as unknown as SetType<T>;
}

/** An immutable sequence of fixed length. */
export function tuple<const T extends readonly unknown[]>(...items: T): TupleType<T> {
  return container("tuple", items, false) as unknown as TupleType<T>;
}

/** One for all values: the type argument is the compiler's alone. */
export const foreignDescriptor: ContainerDescriptor = {
  "@kind": "foreign",
  "@ordinal": nextOrdinal(),
  parts: [],
  hasDefault: false,
};
/** A reference to a value of the host that the heap owns: what `heap.adopt` and `heap.own` return. */
export function foreign<V>(): ForeignType<V> {
  return foreignDescriptor as unknown as ForeignType<V>;
}

/**
 * Container types are interned by structure: the same parts give the same description, so that `list(f64)` written
 * twice is one type. A trie by parts, held weakly, because a part may be a class that goes out of use.
 */
interface InternNode {
  readonly next: WeakMap<object, InternNode>;
  descriptor?: ContainerDescriptor;
}
const interned = {
  list: newInternNode(),
  dict: newInternNode(),
  set: newInternNode(),
  tuple: newInternNode(),
};
function newInternNode(): InternNode {
  return { next: new WeakMap() };
}

function container(
  kind: keyof typeof interned,
  parts: readonly unknown[],
  hasDefault: boolean,
): ContainerDescriptor {
  let node = interned[kind];
  for (const part of parts) {
    const key = internKey(part, kind);
    let next = node.next.get(key);
    if (next === undefined) {
      next = newInternNode();
      node.next.set(key, next);
    }
    node = next;
  }
  node.descriptor ??= { "@kind": kind, "@ordinal": nextOrdinal(), parts: [...parts], hasDefault };
  return node.descriptor;
}

/** `optional`, `weak` and `oneOf` make a new description each time: theirs is the identity of what they stand for. */
const wrappers = newInternNode();
function internKey(part: unknown, kind: string): object {
  const descriptor = describe(part, `A part of ${kind}(...)`);
  const path = wrapperPath(descriptor);
  if (path === undefined) return descriptor;
  let node = wrappers;
  for (const step of path) {
    let next = node.next.get(step);
    if (next === undefined) {
      next = newInternNode();
      node.next.set(step, next);
    }
    node = next;
  }
  return node;
}

function wrapperPath(descriptor: Descriptor): object[] | undefined {
  switch (descriptor["@kind"]) {
    case "optional":
      return [optional, internKey(descriptor.type, "optional")];
    case "weak":
      return [weak, internKey(descriptor.type, "weak")];
    case "oneOf":
      return [oneOf, ...descriptor.types.map((type) => internKey(type, "oneOf"))];
    default:
      return undefined;
  }
}

/** A short rendering of any value for an error message. A Proxy or an accessor that throws does not get in the way. */
export function show(value: unknown): string {
  try {
    return render(value);
  } catch {
    return typeof value === "function" ? "a function" : "an object that cannot be read";
  }
}

function render(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return value.name === "" ? "a function" : `the function ${value.name}`;
  if (typeof value === "symbol") return "a symbol";
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name = (Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null)?.constructor
    ?.name;
  return name === undefined || name === "" || name === "Object" ? "an object" : `an instance of ${name}`;
}
