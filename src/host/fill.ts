/** Writing a literal into an instance that exists already: what `pool.acquire` does. */
import { type Address, SLOT_ANY, SLOT_F32, SLOT_F64, SLOT_I32, SLOT_REF } from "../memory/layout.js";
import type { BoundType } from "./bound-type.js";
import type { Codec, OwnedBits } from "./codec.js";
import { compile } from "./compile.js";
import type { SlotSpec } from "./fields.js";
import { checkLiteral, disownAll, ownText, putText, refuseKeys, targetsOf } from "./literal.js";

/** Where the instance comes from, and where it goes if the literal turns out not to fit. */
export interface InstanceSource {
  /** An instance, with a reference to it. */
  take(): Address;
  giveBack(instance: Address): void;
}

/** @returns a reference to the instance */
export type Fill = (init: unknown, source: InstanceSource) => Address;

/**
 * Fields of the literal replace those of the instance; a field that is left out keeps what it has, but one that must refer
 * to something and does not gets its zero value. All values are made before the instance is taken.
 */
export function fillFromLiteral(type: BoundType, codecs: readonly Codec[]): Fill {
  const { context } = type;
  const { i32, f64, f32, i64 } = context.core.memory;
  const byCodecs = () => fillByCodecs(type, codecs);
  if (type.slots.length > FIELDS_COMPILED_MAX) return byCodecs();
  const captured = {
    ...{ i32, f64, f32, i64, context, codecs },
    ...targetsOf(type),
    checkLiteral: (init: unknown) => checkLiteral(type, init),
    refuseKeys: (init: object) => refuseKeys(type, init),
    usual: Object.prototype,
    fillMissing: fillMissing(type, codecs),
    undo: (owned: OwnedBits[], highs: number[]) => disownAll(type, codecs, owned, highs),
  };
  return compile(captured, fillerText(type), byCodecs, context.compiles);
}

/** A bit of a small integer for each field that the literal has. */
const FIELDS_COMPILED_MAX = 30;

/** As the text of a maker (literal.ts), but that the stores come over values, and only where the literal has one. */
function fillerText(type: BoundType): string {
  const indices = [...type.slots.keys()];
  const owned = indices.map((index) => `given & ${1 << index} ? x${index} : 0`).join(", ");
  const highs = indices.map((index) => `h${index}`).join(", ");
  const needsMore = type.slots.some(({ spec }) => isRequiredReference(spec));
  return `/* type ${type.id}: ${indices.length} fields */ return function fill(init, source) {
    if (typeof init !== "object" || init === null || init["@type"] !== undefined) checkLiteral(init);
    const prototype = Object.getPrototypeOf(init);
    ${indices.map((index) => `let x${index} = 0, h${index} = 0;`).join(" ")}
    let given = 0, seen = 0;
    context.inside++;
    try {
      ${indices.map((index) => givenText(type, index)).join("\n      ")}
      let keys = 0; for (const key in init) keys++;
      if (keys !== seen || prototype !== usual) refuseKeys(init);
      const p = source.take();
      ${indices.map((index) => `if (given & ${1 << index}) { ${overwriteText(type, index)} }`).join("\n      ")}
      given = 0;
      ${needsMore ? "fillMissing(p, source);" : ""}
      context.inside--;
      return p;
    } catch (error) { context.inside--; undo([${owned}], [${highs}]); throw error; }
  }`;
}

function givenText(type: BoundType, index: number): string {
  const { name, spec } = type.slots[index];
  const tag = spec.slot === SLOT_ANY ? ` h${index} = context.ownedHigh;` : "";
  const own = ownText(type, index, `x${index} = codecs[${index}].own(v);${tag}`);
  return `{ const v = init[${JSON.stringify(name)}]; if (v !== undefined) { seen++; ${own} given |= ${1 << index}; } }`;
}

function overwriteText(type: BoundType, index: number): string {
  const { slot } = type.slots[index].spec;
  if (slot === SLOT_F64 || slot === SLOT_F32 || slot === SLOT_I32) return putText(type, index);
  const high = slot === SLOT_ANY ? `context.ownedHigh = h${index}; ` : "";
  return `${high}codecs[${index}].swap(p + ${type.layout!.places[index].offset}, x${index});`;
}

function isRequiredReference({ slot, isOptional }: SlotSpec): boolean {
  return slot === SLOT_REF && !isOptional;
}

/** A field that must refer to something and does not, neither by the literal nor by the pool's reset, gets its zero value. */
function fillMissing(
  { slots, layout, context }: BoundType,
  codecs: readonly Codec[],
): (object: Address, source: InstanceSource) => void {
  const { i32 } = context.core.memory;
  return (object, source) => {
    try {
      slots.forEach(({ spec }, index) => {
        const word = object + layout!.places[index].offset;
        if (isRequiredReference(spec) && i32[word] === 0) codecs[index].put(word, codecs[index].ownDefault());
      });
    } catch (error) {
      source.giveBack(object);
      throw error;
    }
  };
}

/** The same by the fields' codecs alone. */
function fillByCodecs(type: BoundType, codecs: readonly Codec[]): Fill {
  const { context, slots, layout } = type;
  const complete = fillMissing(type, codecs);
  return (init, source) => {
    checkLiteral(type, init);
    const literal = init as Record<string, unknown>;
    const owned: OwnedBits[] = [];
    const highs: number[] = [];
    const given: number[] = [];
    context.inside++;
    try {
      refuseKeys(type, literal);
      for (let index = 0; index < slots.length; index++) {
        const value = literal[slots[index].name];
        if (value === undefined) continue;
        owned[index] = codecs[index].own(value);
        highs[index] = context.ownedHigh;
        given.push(index);
      }
      const object = source.take();
      for (const index of given) {
        context.ownedHigh = highs[index];
        codecs[index].swap(object + layout!.places[index].offset, owned[index]);
        delete owned[index];
      }
      complete(object, source);
      return object;
    } catch (error) {
      disownAll(type, codecs, owned, highs);
      throw error;
    } finally {
      context.inside--;
    }
  };
}

/** Zero is not null in an `any` slot: give those of a zeroed instance their null. */
export function nullAnySlots(type: BoundType, codecs: readonly Codec[]): (object: Address) => void {
  const indices = [...type.slots.keys()].filter((index) => type.slots[index].spec.slot === SLOT_ANY);
  return (object) => {
    for (const index of indices)
      codecs[index].put(object + type.layout!.places[index].offset, codecs[index].ownDefault());
  };
}
