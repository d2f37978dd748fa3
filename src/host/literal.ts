/**
 * Making structs and tuples from literals. Children are made before their parent, in shape order, each rooted by the
 * reference that the maker holds until it is stored; if anything throws on the way, all that was made is given up again.
 */
import { classIndex } from "../alloc/page.js";
import { InvalidArgumentError, TypeMismatchError } from "../memory/errors.js";
import {
  type Address,
  CHUNK_MASK,
  CONTROL_COUNTS,
  CONTROL_CURRENT,
  CONTROL_SETTLINGS,
  CONTROL_TRIGGER,
  CONTROL_YOUNG_CURSOR,
  FLAG_TRACKED,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  KIND_CONTAINER,
  KIND_LEAF,
  SLOT_ANY,
  SLOT_BOOL,
  SLOT_F32,
  SLOT_F64,
  SLOT_I32,
  SLOT_I64,
  SLOT_REF,
  SLOT_STR,
  SLOT_U8,
  TAG_NULL,
  TAG_OBJECT,
  TYPE_BLOCK_KIND,
  TYPE_SIZE_CLASS,
} from "../memory/layout.js";
import { putNumber } from "./any-codec.js";
import type { BoundType } from "./bound-type.js";
import type { Codec, OwnedBits } from "./codec.js";
import { compile, headerStart } from "./compile.js";
import type { SlotSpec } from "./fields.js";
import { show } from "./schema.js";
import { asView } from "./view.js";

/** A function that makes an instance from a literal and returns a new reference. */
export function createFromLiteral(type: BoundType, codecs: readonly Codec[]): (init: unknown) => Address {
  const { context } = type;
  const { memory, objects, types } = context.core;
  const descriptor = types.descriptor(type.id);
  const isLeaf = memory.i32[descriptor + TYPE_BLOCK_KIND] === KIND_LEAF;
  const byCodecs = () => createByCodecs(type, codecs);
  if (memory.i32[descriptor + TYPE_SIZE_CLASS] < 0) return byCodecs(); // larger than half a page
  const captured = {
    i32: memory.i32,
    f64: memory.f64,
    f32: memory.f32,
    i64: memory.i64,
    context,
    codecs,
    allocate: isLeaf ? objects.createLeaf : objects.createTracked,
    checkLiteral: (init: unknown) => checkLiteral(type, init),
    usual: Object.prototype,
    refuseKeys: (init: object) => refuseKeys(type, init),
    putNumber: (word: Address, value: number) => putNumber(memory, word, value),
    undo: (owned: OwnedBits[], highs: number[]) => disownAll(type, codecs, owned, highs),
    unsettleOwned: (owned: OwnedBits[], highs: number[], settlings: number) =>
      unsettleOwned(type, owned, highs, settlings),
    ...targetsOf(type),
  };
  return compile(
    captured,
    creatorText(type, memory.i32[descriptor + TYPE_SIZE_CLASS], isLeaf),
    byCodecs,
    context.compiles,
  );
}

/** The types that single-type references may lead to, by the names that the text has for them. */
export function targetsOf({ context, slots }: BoundType): Record<string, BoundType> {
  const named = slots.map(({ spec }, index) => [`target${index}`, spec] as const);
  const single = named.filter(([, spec]) => hasOneTarget(spec));
  return Object.fromEntries(single.map(([name, spec]) => [name, context.binder.bind(spec.targets[0])]));
}

// -- from text ------------------------------------------------------------------------------------

/**
 * For each field: read it, check it, take what is to be stored (`x`, and `h` for the high word of an `any`); then
 * allocate, then store. Only what is common is written out; the rest goes through the field's codec. The prototype is
 * asked for first: there the engine knows the literal's shape, and the question costs nothing; behind the loop over the
 * keys it took a quarter of the time.
 */
function creatorText(type: BoundType, sizeClass: number, isLeaf: boolean): string {
  const indices = [...type.slots.keys()];
  const isTuple = type.descriptor["@kind"] === "tuple";
  const mayHold = type.slots.some(({ spec }) => isReference(spec.slot));
  const owned = indices.map((index) => `x${index}`).join(", ");
  const highs = indices.map((index) => `h${index}`).join(", ");
  const body = `
    let seen = 0;
    ${mayHold ? `const settlings = i32[${CONTROL_SETTLINGS}];` : ""}
    ${indices.map((index) => readText(type, index)).join("\n    ")}
    ${isTuple ? "" : "let keys = 0; for (const key in init) keys++; if (keys !== seen || prototype !== usual) refuseKeys(init);"}
    ${allocateText(type, sizeClass, isLeaf)}
    ${mayHold ? `if (i32[${CONTROL_SETTLINGS}] !== settlings) unsettleOwned([${owned}], [${highs}], settlings);` : ""}
    ${zeroedWords(type)
      .map((offset) => `i32[p + ${offset}] = 0;`)
      .join(" ")}
    ${indices.map((index) => putText(type, index)).join("\n    ")}
    ${mayHold ? "context.making--;" : ""}
    return p;`;
  return `/* type ${type.id}: ${indices.length} fields */ return function create(init) {
    if (typeof init !== "object" || init === null || ${isTuple ? "true" : `init["@type"] !== undefined`}) checkLiteral(init);
    ${isTuple ? "" : "const prototype = Object.getPrototypeOf(init);"}
    ${indices.map((index) => `let x${index} = 0, h${index} = 0;`).join(" ")}
    ${mayHold ? `context.making++; try {${body}\n    } catch (error) { context.making--; undo([${owned}], [${highs}]); throw error; }` : body}
  }`;
}

/**
 * What `createTracked` and `createLeaf` do where no collection is due, the table and the size class have room: the only text
 * that every object costs. Where one of them has none, `allocate` does it.
 */
function allocateText({ id, context }: BoundType, sizeClass: number, isLeaf: boolean): string {
  const typeWord = context.core.types.typeWord(id);
  const current = CONTROL_CURRENT + classIndex(isLeaf ? KIND_LEAF : KIND_CONTAINER, sizeClass);
  const take = `i32[${current}] = i32[p]; f64[p >> 1] = ${headerStart(isLeaf ? typeWord : typeWord | FLAG_TRACKED)};`;
  if (isLeaf)
    return `let p = i32[${current}]; if (p === 0) p = allocate(${typeWord}, ${sizeClass}); else { ${take} }`;
  return `let p = i32[${current}];
    const count = i32[${CONTROL_COUNTS}], entry = i32[${CONTROL_YOUNG_CURSOR}];
    if (p === 0 || count >= i32[${CONTROL_TRIGGER}] || (entry & ${CHUNK_MASK}) === 0) p = allocate(${typeWord}, ${sizeClass});
    else {
      i32[${CONTROL_COUNTS}] = count + 1;
      ${take}
      i32[p + ${HEADER_ENTRY}] = entry; i32[entry] = p; i32[${CONTROL_YOUNG_CURSOR}] = entry + 1;
    }`;
}

function readText(type: BoundType, index: number): string {
  const { name, spec } = type.slots[index];
  const tag = spec.slot === SLOT_ANY ? ` h${index} = context.ownedHigh;` : "";
  const own = `x${index} = codecs[${index}].own(v);${tag}`;
  const missing = missingText(type, index);
  return `{ const v = init[${JSON.stringify(name)}]; if (v !== undefined) { seen++; ${ownText(type, index, own)} }${missing === "" ? "" : ` else { ${missing} }`} }`;
}

/** The commonest cases without a call: numbers, null, and a live object of the only type allowed. */
export function ownText(type: BoundType, index: number, own: string): string {
  const { spec } = type.slots[index];
  const x = `x${index}`;
  if (spec.slot === SLOT_F64) return `if (typeof v === "number") ${x} = v; else { ${own} }`;
  if (spec.slot === SLOT_I32)
    return `if (typeof v === "number" && v === (v | 0)) ${x} = v | 0; else { ${own} }`;
  if (spec.slot !== SLOT_REF || !hasOneTarget(spec)) return own;
  const isLive = `i32[v["@address"] + ${HEADER_SERIAL}] === v["@serial"]`;
  // In a shared heap the codec decides whether the view's guard is still in force.
  const isSame = type.context.sharing === undefined ? `v["@type"] === target${index} && ${isLive}` : "false";
  const take = `if (${isSame}) { ${x} = v["@address"]; i32[${x} + ${HEADER_REFCOUNT}]++; } else { ${own} }`;
  return spec.isOptional ? `if (v !== null) { ${take} }` : `if (v !== null) { ${take} } else { ${own} }`;
}

/** What happens when a literal leaves the field out: nothing where the zero value is 0. */
function missingText(type: BoundType, index: number): string {
  const { spec } = type.slots[index];
  if (spec.slot === SLOT_ANY) return `h${index} = ${TAG_NULL};`;
  if (spec.slot === SLOT_I64) return `x${index} = 0n;`;
  return spec.slot === SLOT_REF && !spec.isOptional ? `x${index} = codecs[${index}].ownDefault();` : "";
}

export function putText(type: BoundType, index: number): string {
  const { offset, shift } = type.layout!.places[index];
  const x = `x${index}`;
  const word = `p + ${offset}`;
  switch (type.slots[index].spec.slot) {
    case SLOT_F64:
      return `f64[(${word}) >> 1] = ${x};`;
    case SLOT_F32:
      return `f32[${word}] = ${x};`;
    case SLOT_I64:
      return `i64[(${word}) >> 1] = ${x};`;
    case SLOT_U8:
    case SLOT_BOOL:
      return `i32[${word}] |= ${x} << ${shift};`;
    case SLOT_ANY:
      return `if (h${index} === 0) putNumber(${word}, ${x}); else { i32[${word}] = ${x}; i32[${word} + 1] = h${index}; }`;
    default:
      return `i32[${word}] = ${x};`;
  }
}

// -- by closures ----------------------------------------------------------------------------------

/** The same by the fields' codecs alone: where text cannot be compiled, and for objects larger than half a page. */
function createByCodecs(type: BoundType, codecs: readonly Codec[]): (init: unknown) => Address {
  const { context, slots, layout } = type;
  const { i32 } = context.core.memory;
  const zeroed = zeroedWords(type);
  const isTuple = type.descriptor["@kind"] === "tuple";
  return (init) => {
    checkLiteral(type, init);
    const literal = init as Record<string, unknown>;
    const owned: OwnedBits[] = [];
    const highs: number[] = [];
    context.making++;
    const settlings = i32[CONTROL_SETTLINGS];
    try {
      let seen = 0;
      slots.forEach(({ name }, index) => {
        const value = literal[name];
        if (value !== undefined) seen++;
        owned[index] = value === undefined ? codecs[index].ownDefault() : codecs[index].own(value);
        highs[index] = context.ownedHigh;
      });
      let keys = 0;
      for (const _ in literal) keys++;
      const isUnusual = Object.getPrototypeOf(literal) !== Object.prototype;
      if (!isTuple && (keys !== seen || isUnusual)) refuseKeys(type, literal);
      const object = context.core.objects.create(type.id);
      if (i32[CONTROL_SETTLINGS] !== settlings) unsettleOwned(type, owned, highs, settlings);
      for (const offset of zeroed) i32[object + offset] = 0;
      codecs.forEach((codec, index) => {
        context.ownedHigh = highs[index];
        codec.put(object + layout!.places[index].offset, owned[index]);
      });
      return object;
    } catch (error) {
      disownAll(type, codecs, owned, highs);
      throw error;
    } finally {
      context.making--;
    }
  };
}

/** Foreign objects are of one type to a schema, and of two in the heap. */
export function hasOneTarget({ targets }: Pick<SlotSpec, "targets">): boolean {
  return targets.length === 1 && targets[0]["@kind"] !== "foreign";
}

// -- shared ---------------------------------------------------------------------------------------

function isReference(slot: number): boolean {
  return slot === SLOT_REF || slot === SLOT_STR || slot === SLOT_ANY;
}

/** Words that no field's store fills whole: the weak reference list, and words of bytes. */
function zeroedWords(type: BoundType): number[] {
  const { weakrefOffset, places } = type.layout!;
  const words = new Set(weakrefOffset === 0 ? [] : [weakrefOffset]);
  type.slots.forEach(({ spec }, index) => {
    if (spec.slot === SLOT_U8 || spec.slot === SLOT_BOOL) words.add(places[index].offset);
  });
  return [...words];
}

/** A collection has run since the first of them was owned: to it they were held from outside (object/settled.ts). */
function unsettleOwned(
  { slots, context }: BoundType,
  owned: readonly OwnedBits[],
  highs: readonly number[],
  settlings: number,
): void {
  const { unsettleStored } = context.core.generations.settled;
  slots.forEach(({ spec }, index) => {
    const isObject = spec.slot === SLOT_REF || (spec.slot === SLOT_ANY && highs[index] === TAG_OBJECT);
    if (isObject && owned[index] !== 0) unsettleStored(owned[index] as Address, settlings);
  });
}

export function disownAll(
  type: BoundType,
  codecs: readonly Codec[],
  owned: readonly OwnedBits[],
  highs: readonly number[],
): void {
  owned.forEach((bits, index) => {
    if (!isReference(type.slots[index].spec.slot)) return;
    type.context.ownedHigh = highs[index];
    codecs[index].disown(bits);
  });
}

/** @throws TypeMismatchError for what is no literal of this type at all */
export function checkLiteral(type: BoundType, init: unknown): void {
  const view = asView(init);
  if (view !== undefined)
    throw new TypeMismatchError(
      `A ${type.text} is made from a literal, not from a ${view["@type"].text} that exists already: retain() that one.`,
    );
  if (type.descriptor["@kind"] === "tuple") {
    if (!Array.isArray(init) || init.length !== type.slots.length)
      throw new TypeMismatchError(
        `A ${type.text} is made from an array of ${type.slots.length} items, got ${show(init)}.`,
      );
  } else if (typeof init !== "object" || init === null)
    throw new TypeMismatchError(`A ${type.text} is made from an object literal, got ${show(init)}.`);
}

/**
 * A key that is no field is refused; a field that is undefined is not. Asked only where the number of keys is not that
 * of the fields read, or proves nothing: of a literal with a prototype of its own a field may be read from an accessor,
 * which is not among the keys, and make up for a key that is no field.
 */
export function refuseKeys(type: BoundType, init: object): void {
  const fields = type.slots.map(({ name }) => name);
  for (const key in init)
    if (!fields.includes(key))
      throw new InvalidArgumentError(
        `Struct "${type.name}" has no field ${show(key)}. Its fields: ${fields.join(", ")}.`,
      );
}
