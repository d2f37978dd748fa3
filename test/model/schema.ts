/**
 * The types that random programs work with, each once as the heap knows it and once as the model does.
 *
 * The model's half is written by hand, `isGc` included: what the library derives from a schema is what is under test.
 */
import {
  any,
  bool,
  dict,
  f32,
  f64,
  i32,
  i64,
  list,
  type ObjectType,
  oneOf,
  optional,
  set,
  str,
  struct,
  tuple,
  u8,
  u32,
} from "../../src/index.js";

export type ScalarKind = "f64" | "f32" | "i32" | "u32" | "u8" | "i64" | "bool" | "str";

/** What one field, item, key or value may hold. */
export interface Slot {
  readonly name: string;
  readonly kind: ScalarKind | "any" | "maybe" | "ref";
  /** "maybe": this scalar or null. */
  readonly scalar?: ScalarKind;
  /** "ref": the types it may lead to. */
  readonly targets: () => readonly Type[];
  readonly isOptional: boolean;
}

export interface Type {
  readonly name: string;
  readonly kind: "struct" | "tuple" | "list" | "dict" | "set";
  /** struct: the fields; tuple: the items; list, set: the item; dict: key and value. */
  readonly slots: readonly Slot[];
  /** Whether an instance can be part of a cycle: counts as an allocation, is tracked, is collected. */
  readonly isGc: boolean;
  readonly heapType: ObjectType;
}

const none = () => [];
const scalar = (name: string, kind: ScalarKind): Slot => ({ name, kind, targets: none, isOptional: false });
const anything = (name: string): Slot => ({ name, kind: "any", targets: none, isOptional: true });
const maybe = (name: string, kind: ScalarKind): Slot => ({
  name,
  kind: "maybe",
  scalar: kind,
  targets: none,
  isOptional: true,
});
const ref = (name: string, ...targets: (() => Type)[]): Slot => ({
  name,
  kind: "ref",
  targets: () => targets.map((target) => target()),
  isOptional: false,
});
const link = (name: string, ...targets: (() => Type)[]): Slot => ({
  ...ref(name, ...targets),
  isOptional: true,
});

// -- structs: one for each form that a walk over references has ---------------------------------

/** One reference. */
class OneHeap extends struct("One", {
  get next() {
    return optional(OneHeap);
  },
}) {}

/** Two references, and a scalar behind them. */
class PairHeap extends struct("Pair", {
  get left() {
    return optional(PairHeap);
  },
  tag: i32,
  get right() {
    return optional(PairHeap);
  },
}) {}

/** Three references and nothing else. */
class TripleHeap extends struct("Triple", {
  get a() {
    return optional(TripleHeap);
  },
  get b() {
    return optional(TripleHeap);
  },
  get c() {
    return optional(PairHeap);
  },
}) {}

/** Two references and a string: three words to drop, two to visit. */
class NamedHeap extends struct("Named", {
  label: str,
  get owner() {
    return optional(NamedHeap);
  },
  get friend() {
    return optional(NamedHeap);
  },
}) {}

/** More references than any loop is unrolled for. */
class WideHeap extends struct("Wide", {
  get a() {
    return optional(WideHeap);
  },
  title: str,
  get b() {
    return optional(WideHeap);
  },
  get c() {
    return optional(PairHeap);
  },
  get d() {
    return optional(WideHeap);
  },
  note: str,
  get e() {
    return optional(OneHeap);
  },
}) {}

/** `any` slots among references: visited by an edge table. */
class MixedHeap extends struct("Mixed", {
  first: any,
  flag: bool,
  get next() {
    return optional(MixedHeap);
  },
  word: str,
  second: any,
  x: f64,
  byte: u8,
  number: optional(f64),
}) {}

/** Never tracked: nothing but values. */
class LeafHeap extends struct("Leaf", { x: f64, name: str, big: i64, small: f32, count: u32 }) {}

/** Never tracked, though its walk is by an edge table. */
class NoteHeap extends struct("Note", { text: optional(str), score: optional(f64), isNew: bool }) {}

/** Never tracked, and holds others that are not. */
class RecordHeap extends struct("Record", {
  leaves: list(LeafHeap),
  scores: dict(str, f64),
  best: optional(LeafHeap),
}) {}

/** Fields that must be there: a leaf, containers, and one of several types. */
class BoxHeap extends struct("Box", {
  leaf: LeafHeap,
  items: list(any),
  names: list(str),
  table: dict(str, any),
  other: optional(oneOf(PairHeap, MixedHeap, list(any))),
}) {}

/** Promised to be on no cycle, though it may hold anything: the collector takes it for a root. */
class PinHeap extends struct("Pin", { held: any, name: str }, { cyclic: false }) {}

function structType(heapType: ObjectType, isGc: boolean, ...slots: Slot[]): Type {
  const { typeName } = heapType as unknown as { typeName: string };
  return { name: typeName, kind: "struct", slots, isGc, heapType };
}

export const One = structType(
  OneHeap,
  true,
  link("next", () => One),
);
export const Pair: Type = structType(
  PairHeap,
  true,
  link("left", () => Pair),
  scalar("tag", "i32"),
  link("right", () => Pair),
);
export const Triple: Type = structType(
  TripleHeap,
  true,
  link("a", () => Triple),
  link("b", () => Triple),
  link("c", () => Pair),
);
export const Named: Type = structType(
  NamedHeap,
  true,
  scalar("label", "str"),
  link("owner", () => Named),
  link("friend", () => Named),
);
export const Wide: Type = structType(
  WideHeap,
  true,
  link("a", () => Wide),
  scalar("title", "str"),
  link("b", () => Wide),
  link("c", () => Pair),
  link("d", () => Wide),
  scalar("note", "str"),
  link("e", () => One),
);
export const Mixed: Type = structType(
  MixedHeap,
  true,
  anything("first"),
  scalar("flag", "bool"),
  link("next", () => Mixed),
  scalar("word", "str"),
  anything("second"),
  scalar("x", "f64"),
  scalar("byte", "u8"),
  maybe("number", "f64"),
);
export const Leaf = structType(
  LeafHeap,
  false,
  scalar("x", "f64"),
  scalar("name", "str"),
  scalar("big", "i64"),
  scalar("small", "f32"),
  scalar("count", "u32"),
);
export const Note = structType(
  NoteHeap,
  false,
  maybe("text", "str"),
  maybe("score", "f64"),
  scalar("isNew", "bool"),
);
export const Record: Type = structType(
  RecordHeap,
  false,
  ref("leaves", () => ListOfLeaf),
  ref("scores", () => DictOfNumber),
  link("best", () => Leaf),
);
export const Box: Type = structType(
  BoxHeap,
  true,
  ref("leaf", () => Leaf),
  ref("items", () => ListOfAny),
  ref("names", () => ListOfStr),
  ref("table", () => DictOfAny),
  link(
    "other",
    () => Pair,
    () => Mixed,
    () => ListOfAny,
  ),
);
export const Pin = structType(PinHeap, false, anything("held"), scalar("name", "str"));

// -- containers -----------------------------------------------------------------------------------

function listType(heapType: ObjectType, isGc: boolean, item: Slot): Type {
  return { name: `list(${item.name})`, kind: "list", slots: [item], isGc, heapType };
}
function dictType(heapType: ObjectType, isGc: boolean, key: Slot, value: Slot): Type {
  return { name: `dict(${key.name}, ${value.name})`, kind: "dict", slots: [key, value], isGc, heapType };
}
function setType(heapType: ObjectType, isGc: boolean, member: Slot): Type {
  return { name: `set(${member.name})`, kind: "set", slots: [member], isGc, heapType };
}
function tupleType(heapType: ObjectType, isGc: boolean, ...slots: Slot[]): Type {
  return { name: `tuple(${slots.map(({ name }) => name).join(", ")})`, kind: "tuple", slots, isGc, heapType };
}

export const ListOfAny = listType(list(any), true, anything("any"));
export const ListOfPair = listType(
  list(PairHeap),
  true,
  ref("Pair", () => Pair),
);
export const ListOfList: Type = listType(
  list(optional(list(any))),
  true,
  link("list", () => ListOfAny),
);
export const ListOfStr = listType(list(str), false, scalar("str", "str"));
export const ListOfNumber = listType(list(f64), false, scalar("f64", "f64"));
export const ListOfLeaf = listType(
  list(LeafHeap),
  false,
  ref("Leaf", () => Leaf),
);

export const DictOfAny = dictType(dict(str, any), true, scalar("str", "str"), anything("any"));
export const MapOfAny = dictType(dict(any, any), true, anything("any"), anything("any"));
export const DictOfNumber = dictType(dict(str, f64), false, scalar("str", "str"), scalar("f64", "f64"));
export const NumberToAny = dictType(dict(f64, any), true, scalar("f64", "f64"), anything("any"));
export const IntToStr = dictType(dict(i32, str), false, scalar("i32", "i32"), scalar("str", "str"));
export const UintToPair = dictType(
  dict(u32, optional(PairHeap)),
  true,
  scalar("u32", "u32"),
  link("Pair", () => Pair),
);
export const FloatToBool = dictType(dict(f32, bool), false, scalar("f32", "f32"), scalar("bool", "bool"));
export const PairToAny = dictType(
  dict(PairHeap, any),
  true,
  ref("Pair", () => Pair),
  anything("any"),
);
export const BoolToLeaf = dictType(
  dict(bool, LeafHeap),
  false,
  scalar("bool", "bool"),
  ref("Leaf", () => Leaf),
);
export const LeafToList: Type = dictType(
  dict(LeafHeap, list(any)),
  true,
  ref("Leaf", () => Leaf),
  ref("list", () => ListOfAny),
);

export const SetOfAny = setType(set(any), true, anything("any"));
export const SetOfPair = setType(
  set(PairHeap),
  true,
  ref("Pair", () => Pair),
);
export const SetOfStr = setType(set(str), false, scalar("str", "str"));
export const SetOfNumber = setType(set(f64), false, scalar("f64", "f64"));

export const TupleOfAny = tupleType(tuple(any, any), true, anything("any"), anything("any"));
export const TupleOfOne = tupleType(tuple(any), true, anything("any"));
export const TupleOfMore = tupleType(
  tuple(optional(PairHeap), u8, LeafHeap, str),
  true,
  link("Pair", () => Pair),
  scalar("u8", "u8"),
  ref("Leaf", () => Leaf),
  scalar("str", "str"),
);
export const TupleOfValues = tupleType(tuple(f64, str), false, scalar("f64", "f64"), scalar("str", "str"));

export const TYPES: readonly Type[] = [
  One,
  Pair,
  Triple,
  Named,
  Wide,
  Mixed,
  Leaf,
  Note,
  Record,
  Box,
  Pin,
  ListOfAny,
  ListOfPair,
  ListOfList,
  ListOfStr,
  ListOfNumber,
  ListOfLeaf,
  DictOfAny,
  MapOfAny,
  DictOfNumber,
  NumberToAny,
  IntToStr,
  UintToPair,
  FloatToBool,
  PairToAny,
  BoolToLeaf,
  LeafToList,
  SetOfAny,
  SetOfPair,
  SetOfStr,
  SetOfNumber,
  TupleOfAny,
  TupleOfOne,
  TupleOfMore,
  TupleOfValues,
];

// -- values ---------------------------------------------------------------------------------------

const NUMBERS = [
  0,
  1,
  -0,
  2.5,
  -1,
  Number.NaN,
  Infinity,
  2 ** 31,
  -(2 ** 31),
  4294967296.5,
  5e-324,
  -1e-50,
  1e300,
];
const TEXTS = [
  "",
  "a",
  "b",
  "name",
  "the text of a longer string, not cached as one of six",
  "ü",
  "日本語",
  "\ud800",
  "\0",
];
const SCALARS: { readonly [kind in ScalarKind]: readonly (number | bigint | boolean | string)[] } = {
  f64: NUMBERS,
  f32: NUMBERS,
  i32: [0, 1, -1, 7, 2147483647, -2147483648],
  u32: [0, 1, 9, 2147483648, 4294967295],
  u8: [0, 1, 128, 255],
  i64: [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)],
  bool: [false, true],
  str: TEXTS,
};
const ANYTHING = [null, 0, "", true, ...NUMBERS, ...TEXTS, false];

export type ScalarValue = null | number | bigint | boolean | string;

/** The n-th value that a slot can hold without a reference; undefined if it can hold none. */
export function scalarFor(slot: Slot, n: number): ScalarValue | undefined {
  const at = <T>(values: readonly T[]): T => values[n % values.length];
  if (slot.kind === "ref") return slot.isOptional ? null : undefined;
  if (slot.kind === "any") return at(ANYTHING);
  if (slot.kind === "maybe") return n % 3 === 0 ? null : at(SCALARS[slot.scalar!]);
  return at(SCALARS[slot.kind]);
}

/** What a literal leaves in a field that it does not name; undefined if it must name it. */
export function zeroFor(slot: Slot): ScalarValue | undefined {
  if (slot.isOptional) return null;
  return slot.kind === "ref" ? undefined : SCALARS[slot.kind as ScalarKind][0];
}

/** A number as a slot keeps it. */
export function stored(slot: Slot, value: ScalarValue): ScalarValue {
  return slot.kind === "f32" ? Math.fround(value as number) : value;
}
