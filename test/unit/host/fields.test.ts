import { describe, expect, it } from "vitest";
import {
  leadsAnywhere,
  slotSpec,
  structFields,
  structLayout,
  tupleLayout,
  typeText,
} from "../../../src/host/fields.js";
import type { ContainerDescriptor, StructDescriptor } from "../../../src/host/schema.js";
import {
  any,
  bool,
  dict,
  f32,
  f64,
  i32,
  i64,
  list,
  oneOf,
  optional,
  set,
  str,
  struct,
  tuple,
  u8,
  u32,
} from "../../../src/index.js";
import * as L from "../../../src/memory/layout.js";
import { messageOf } from "./support.js";

const Point = struct("Point", { x: f64 });
const Size = struct("Size", { width: f64 });
const asStruct = (type: unknown) => type as StructDescriptor;
const asTuple = (type: unknown) => type as ContainerDescriptor;

describe("how a type is stored", () => {
  it("is by value for scalars and any, and both have a zero value", () => {
    const scalars = [
      [f64, L.SLOT_F64],
      [f32, L.SLOT_F32],
      [i32, L.SLOT_I32],
      [u32, L.SLOT_U32],
      [u8, L.SLOT_U8],
      [i64, L.SLOT_I64],
      [bool, L.SLOT_BOOL],
      [str, L.SLOT_STR],
    ] as const;
    for (const [type, slot] of scalars)
      expect(slotSpec(type, "Here")).toEqual({ slot, targets: [], isOptional: false, hasDefault: true });
    expect(slotSpec(any, "Here")).toEqual({
      slot: L.SLOT_ANY,
      targets: [],
      isOptional: true,
      hasDefault: true,
    });
  });

  it("is by reference for objects; containers that can be empty have a zero value", () => {
    const spec = (type: unknown) => {
      const { slot, targets, isOptional, hasDefault } = slotSpec(type, "Here");
      expect(slot).toBe(L.SLOT_REF);
      return [targets, isOptional, hasDefault];
    };
    const pair = tuple(f64, f64);
    expect(spec(Point)).toEqual([[Point], false, false]);
    expect(spec(pair)).toEqual([[pair], false, false]);
    for (const type of [list(f64), dict(str, f64), set(str)])
      expect(spec(type)).toEqual([[type], false, true]);
    expect(spec(optional(Point))).toEqual([[Point], true, true]);
    expect(spec(optional(optional(list(f64))))).toEqual([[list(f64)], true, true]);
  });

  it("is by reference for oneOf: nested ones are one, and each type is there once", () => {
    const { targets, hasDefault } = slotSpec(oneOf(Point, oneOf(Size, Point), list(f64)), "Here");
    expect([targets, hasDefault]).toEqual([[Point, Size, list(f64)], false]);
    expect(slotSpec(optional(oneOf(Point, Size)), "Here")).toMatchObject({
      isOptional: true,
      hasDefault: true,
    });
  });

  it("needs a tag for a scalar beside null", () => {
    for (const type of [f64, str, bool, u8])
      expect(slotSpec(optional(type), "Here")).toEqual({
        slot: L.SLOT_ANY,
        targets: [],
        isOptional: true,
        scalar: type,
        hasDefault: true,
      });
    expect(slotSpec(optional(any), "Here")).toMatchObject({ slot: L.SLOT_ANY, isOptional: true });
  });

  it("is refused for what cannot be, with the place and the way out", () => {
    expect(messageOf("INVALID_ARGUMENT", () => slotSpec(optional(i64), "Job.id"))).toBe(
      "Job.id: optional(i64) cannot be stored; use i64, or a struct with the i64.",
    );
    for (const [type, text] of [
      [f64, "f64"],
      [any, "any"],
      [optional(Point), "optional(Point)"],
    ] as const)
      expect(messageOf("INVALID_ARGUMENT", () => slotSpec(oneOf(Point, type), "Job.item"))).toBe(
        `Job.item: oneOf takes structs and containers, not ${text}. For null write optional(oneOf(...)), for mixed values any.`,
      );
    expect(messageOf("INVALID_ARGUMENT", () => slotSpec(Number, "Job.count"))).toMatch(
      /^Job\.count must be a heap type .* got the function Number\.$/,
    );
  });

  it("leads anywhere only through any", () => {
    const leads = (type: unknown) => leadsAnywhere(slotSpec(type, "Here"));
    expect([any, optional(any)].map(leads)).toEqual([true, true]);
    expect([f64, optional(f64), optional(str), Point, list(any)].map(leads)).toEqual(Array(5).fill(false));
  });
});

describe("the text of a type", () => {
  it("is as it would be written", () => {
    for (const [type, text] of [
      [f64, "f64"],
      [i64, "i64"],
      [any, "any"],
      [Point, "Point"],
      [optional(list(Point)), "optional(list(Point))"],
      [oneOf(Point, list(str)), "oneOf(Point, list(str))"],
      [dict(str, set(any)), "dict(str, set(any))"],
      [tuple(), "tuple()"],
      [tuple(f64, tuple(u8, bool)), "tuple(f64, tuple(u8, bool))"],
    ] as const)
      expect(typeText(type)).toBe(text);
  });
});

describe("the fields of a struct", () => {
  const Mixed = struct("Mixed", {
    flag: bool,
    size: f64,
    name: str,
    get first() {
      return optional(Mixed);
    },
    small: u8,
    point: Point,
  });

  it("come in the order of the shape, getters included; what is wrong is named with its struct", () => {
    expect(structFields(asStruct(Mixed)).map(({ name }) => name)).toEqual([
      "flag",
      "size",
      "name",
      "first",
      "small",
      "point",
    ]);
    const Bad = struct("Bad", { fine: f64, broken: 5 as never });
    expect(messageOf("INVALID_ARGUMENT", () => structFields(asStruct(Bad)))).toMatch(
      /^Bad\.broken must be a heap type/,
    );
  });

  it("lie with references first, then texts, the weak references, wide words, bytes together", () => {
    const layout = structLayout(asStruct(Mixed), structFields(asStruct(Mixed)));
    const at = (name: string) => layout.places[Object.keys(Mixed.shape).indexOf(name)];
    expect([at("first"), at("point"), at("name")].map(({ offset }) => offset)).toEqual([4, 5, 6]);
    expect(layout.weakrefOffset).toBe(7);
    expect(at("size")).toEqual({ offset: 8, shift: 0 });
    expect([at("flag"), at("small")]).toEqual([
      { offset: 10, shift: 0 },
      { offset: 10, shift: 8 },
    ]);
    expect([layout.objectWords, layout.traverse, layout.drop]).toEqual([12, 2, 3]);
    expect(Mixed.byteSize).toBe(48);
  });

  it("save the weak reference word where the struct goes without", () => {
    const layoutOf = (weakrefs: boolean) => {
      const type = asStruct(struct("Two", { a: list(f64), b: f32 }, { weakrefs }));
      return structLayout(type, structFields(type));
    };
    expect([layoutOf(true).weakrefOffset, layoutOf(true).objectWords]).toEqual([5, 8]);
    expect([layoutOf(false).weakrefOffset, layoutOf(false).objectWords]).toEqual([0, 6]);
  });
});

describe("the items of a tuple", () => {
  it("are visited last to first, and have no weak references", () => {
    const layout = tupleLayout(asTuple(tuple(Point, f64, Point, str)));
    expect(layout.places.map(({ offset }) => offset)).toEqual([5, 8, 4, 6]);
    expect([layout.weakrefOffset, layout.traverse, layout.drop]).toEqual([0, 2, 3]);
    const mixed = tupleLayout(asTuple(tuple(any, Point)));
    expect(mixed.traverse).toBe(L.TRAVERSE_EDGES);
    expect(mixed.edges.map((edge) => edge >>> L.TYPE_EDGE_SLOT_SHIFT)).toEqual([L.SLOT_REF, L.SLOT_ANY]);
  });
});
