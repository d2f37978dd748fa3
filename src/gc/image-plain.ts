/**
 * Reading an image: objects that hold nothing but references, each to objects of one type. Most are such, and every tracked
 * object passes here once: so these are functions of arrays, which the loop can keep in registers, and the commonest number
 * of references is written out as in the collector's loops.
 */
import { ImageError } from "../memory/errors.js";
import {
  IMAGE_SIDE_MANY,
  IMAGE_TYPE_IS_GC,
  IMAGE_TYPE_REFERENCES,
  IMAGE_TYPE_SHIFT,
  IMAGE_TYPE_TARGETS,
  IMAGE_TYPE_WEAKREF,
} from "../memory/image-layout.js";
import {
  type Address,
  FLAG_TRACKED,
  GRANULE_MASK,
  GRANULE_SHIFT,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  HEADER_WORDS,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import { codeOf, isStart } from "./image-codes.js";
import type { ImageColumns } from "./image-types.js";

/** The image is whole, and makes no sense. */
export function refuse(address: number, what: string): never {
  throw new ImageError("IMAGE_INVALID", `The saved heap makes no sense at address ${address}: ${what}.`);
}

/**
 * Track the objects [from, to) of `entries`, the first of them at `entry`. Those that are plain, and not weakly referenced,
 * are checked as well; the others are written to `rest`, behind their number.
 * @returns how many objects have got their first reference
 */
export function trackObjects(
  i32: Int32Array,
  side: Uint8Array,
  { table, targets }: ImageColumns,
  entries: Int32Array,
  from: number,
  to: number,
  entry: Address,
  flags: number,
  rest: Int32Array,
): number {
  let referred = 0;
  let restCount = 0;
  // Neighbours are often of one type: what was found out about a type word holds for the next.
  let known = 0;
  let weakref = 0;
  let references = 0;
  let target = 0;
  for (let next = from, place = entry; next < to; next++, place++) {
    const object = entries[next];
    if (!isStart(side[object >>> GRANULE_SHIFT], object)) refuse(object, "a tracked object that is none");
    const header = i32[object + HEADER_TYPE];
    if (header !== known) {
      const column = (header & TYPE_ID_MASK) << IMAGE_TYPE_SHIFT;
      if (table[column + IMAGE_TYPE_IS_GC] === 0) refuse(object, "tracked, though its type cannot be");
      if ((header & FLAG_TRACKED) !== 0) refuse(object, "tracked twice");
      known = header;
      weakref = table[column + IMAGE_TYPE_WEAKREF];
      references = table[column + IMAGE_TYPE_REFERENCES];
      target = table[column + IMAGE_TYPE_TARGETS];
    }
    i32[object + HEADER_TYPE] = header | flags;
    i32[object + HEADER_ENTRY] = place;
    i32[place] = object;
    if (references < 0 || (weakref !== 0 && i32[object + weakref] !== 0)) rest[++restCount] = object;
    else referred += countReferences(i32, side, targets, target, references, object);
  }
  rest[0] = restCount;
  return referred;
}

/**
 * Check and count the references of an object of a plain type.
 * @param targets what the side bytes of the targets say but for their addresses, from `target` on
 * @returns how many were the first of their target
 */
export function countReferences(
  i32: Int32Array,
  side: Uint8Array,
  targets: Int32Array,
  target: number,
  references: number,
  object: Address,
): number {
  let referred = 0;
  if (references === 3) {
    const a = i32[object + HEADER_WORDS];
    const b = i32[object + HEADER_WORDS + 1];
    const c = i32[object + HEADER_WORDS + 2];
    if (a !== 0) referred += countCode(i32, side, a, targets[target], object);
    if (b !== 0) referred += countCode(i32, side, b, targets[target + 1], object);
    if (c !== 0) referred += countCode(i32, side, c, targets[target + 2], object);
    return referred;
  }
  for (let index = 0; index < references; index++) {
    const reference = i32[object + HEADER_WORDS + index];
    if (reference !== 0) referred += countCode(i32, side, reference, targets[target + index], object);
  }
  return referred;
}

/** A reference that may lead to objects with this code only. @returns 1 if it is the first, or 0 */
function countCode(i32: Int32Array, side: Uint8Array, target: number, code: number, owner: Address): number {
  if (side[target >>> GRANULE_SHIFT] !== code + (target & GRANULE_MASK)) refuseTarget(side, target, owner);
  return count(i32, target);
}

/** A reference that may lead to objects of one type only. @param target not 0 @returns 1 if it is the first, or 0 */
export function countOne(
  i32: Int32Array,
  side: Uint8Array,
  target: number,
  id: number,
  owner: Address,
): number {
  const code = codeOf(id);
  if (code === IMAGE_SIDE_MANY && (i32[target + HEADER_TYPE] & TYPE_ID_MASK) !== id)
    refuseTarget(side, target, owner);
  return countCode(i32, side, target, code, owner);
}

/**
 * A reference that was checked. Which is the first of its target nobody can predict: a branch here would wait for each cache
 * miss. @returns 1 if it is the first, or 0
 */
export function count(i32: Int32Array, target: Address): number {
  const references = i32[target + HEADER_REFCOUNT];
  i32[target + HEADER_REFCOUNT] = references + 1;
  return (references - 1) >>> 31;
}

function refuseTarget(side: Uint8Array, target: number, owner: Address): never {
  const isObject = isStart(side[target >>> GRANULE_SHIFT], target);
  refuse(owner, isObject ? otherType(target) : noObject(target));
}

export function noObject(target: number): string {
  return `it refers to ${target}, where no object starts`;
}

export function otherType(target: number): string {
  return `it refers to ${target}, an object of another type than it may hold`;
}
