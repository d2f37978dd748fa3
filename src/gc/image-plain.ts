/**
 * Reading an image: objects that hold nothing but references, each to objects of one type. Most are such, and every tracked
 * object passes here once: so these are functions of arrays, which the loop can keep in registers, and the commonest number
 * of references is written out as in the collector's loops.
 */
import {
  type Address,
  FLAG_TRACKED,
  HEADER_ENTRY,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  HEADER_WORDS,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import { refuse } from "./image-pages.js";
import { type ImagePlaces, objectWordsAt } from "./image-places.js";
import {
  COLUMN_IS_GC,
  COLUMN_REFERENCES,
  COLUMN_SHIFT,
  COLUMN_TARGETS,
  COLUMN_WEAKREF,
  type ImageColumns,
} from "./image-types.js";

/**
 * Track the objects [from, to) of `entries`, the first of them at `entry`. Those that are plain, and not weakly referenced,
 * are checked as well; the others are written to `rest`, behind their number.
 * @returns how many objects have got their first reference
 */
export function trackObjects(
  i32: Int32Array,
  places: ImagePlaces,
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
  for (let next = from, place = entry; next < to; next++, place++) {
    const object = entries[next];
    if (objectWordsAt(places, object) === 0) refuse(object, NOT_TRACKABLE);
    const header = i32[object + HEADER_TYPE];
    const column = (header & TYPE_ID_MASK) << COLUMN_SHIFT;
    if (table[column + COLUMN_IS_GC] === 0) refuse(object, NOT_TRACKABLE);
    if ((header & FLAG_TRACKED) !== 0) refuse(object, "tracked twice");
    i32[object + HEADER_TYPE] = header | flags;
    i32[object + HEADER_ENTRY] = place;
    i32[place] = object;
    const weakref = table[column + COLUMN_WEAKREF];
    if (table[column + COLUMN_REFERENCES] < 0 || (weakref !== 0 && i32[object + weakref] !== 0))
      rest[++restCount] = object;
    else referred += countReferences(i32, places, targets, table, column, object);
  }
  rest[0] = restCount;
  return referred;
}

const NOT_TRACKABLE = "a tracked object that is none, or of a type that cannot be on a cycle";

/** Check and count the references of an object of a plain type. @returns how many were the first of their target */
export function countReferences(
  i32: Int32Array,
  places: ImagePlaces,
  targets: Int32Array,
  table: Int32Array,
  column: number,
  object: Address,
): number {
  const references = table[column + COLUMN_REFERENCES];
  const target = table[column + COLUMN_TARGETS];
  let referred = 0;
  if (references === 3) {
    const a = i32[object + HEADER_WORDS];
    const b = i32[object + HEADER_WORDS + 1];
    const c = i32[object + HEADER_WORDS + 2];
    if (a !== 0) referred += countOne(i32, places, a, targets[target], object);
    if (b !== 0) referred += countOne(i32, places, b, targets[target + 1], object);
    if (c !== 0) referred += countOne(i32, places, c, targets[target + 2], object);
    return referred;
  }
  for (let index = 0; index < references; index++) {
    const reference = i32[object + HEADER_WORDS + index];
    if (reference !== 0) referred += countOne(i32, places, reference, targets[target + index], object);
  }
  return referred;
}

/** A reference that may lead to objects of one type only. @param target not 0 @returns 1 if it is the first, or 0 */
export function countOne(
  i32: Int32Array,
  places: ImagePlaces,
  target: number,
  id: number,
  owner: Address,
): number {
  if (objectWordsAt(places, target) === 0) refuse(owner, noObject(target));
  const found = i32[target + HEADER_TYPE] & TYPE_ID_MASK;
  if (found !== id) refuse(owner, found === 0 ? noObject(target) : otherType(target));
  return count(i32, target);
}

/** A reference that was checked. @returns 1 if it is the first, or 0 */
export function count(i32: Int32Array, target: Address): number {
  const references = i32[target + HEADER_REFCOUNT];
  i32[target + HEADER_REFCOUNT] = references + 1;
  return references === 0 ? 1 : 0;
}

export function noObject(target: number): string {
  return `it refers to ${target}, where no object starts`;
}

export function otherType(target: number): string {
  return `it refers to ${target}, an object of another type than it may hold`;
}
