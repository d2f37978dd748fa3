/** Reading an image: the generation tables, made anew from lists of objects. */
import { OutOfMemoryError } from "../memory/errors.js";
import {
  CONTROL_RESERVE_CHUNK,
  FLAG_FROZEN,
  FLAG_TRACKED,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  IMAGE_GENERATIONS,
  KIND_DICT,
  KIND_TUPLE,
  PERMANENT,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import type { Core } from "./core.js";
import { type ImagePages, refuse } from "./image-pages.js";
import type { ImageType } from "./image-types.js";

const UNREFERRED = "an object to which nothing refers";

/**
 * Track the objects of an image as they were, and check that none was left out, and that each has a reference: it
 * would never be freed.
 * @param entries the objects of each generation, one after the other
 * @param sizes how many each has
 * @throws ImageError, OutOfMemoryError
 */
export function restoreGenerations(
  core: Core,
  pages: ImagePages,
  types: readonly (ImageType | undefined)[],
  entries: Int32Array,
  sizes: readonly number[],
): void {
  const { i32 } = core.memory;
  let next = 0;
  for (let generation = 0; generation < IMAGE_GENERATIONS; generation++) {
    const flags = generation === PERMANENT ? FLAG_TRACKED | FLAG_FROZEN : FLAG_TRACKED;
    for (const end = next + sizes[generation]; next < end; next++) {
      const object = entries[next];
      if (!pages.isObject(object)) refuse(object, "a tracked object that is none");
      const header = i32[object + HEADER_TYPE];
      if (types[header & TYPE_ID_MASK]?.isGc !== true) refuse(object, "tracked, though its type cannot be");
      if ((header & FLAG_TRACKED) !== 0) refuse(object, "tracked twice");
      if (i32[object + HEADER_REFCOUNT] === 0) refuse(object, UNREFERRED);
      if (!core.generations.makeRoom(generation)) throw noRoom(core);
      core.generations.append(generation, object);
      i32[object + HEADER_TYPE] = header | flags;
    }
  }
  if (i32[CONTROL_RESERVE_CHUNK] === 0) core.generations.refillReserve();
  pages.forEachObject((object) => {
    if (i32[object + HEADER_REFCOUNT] === 0) refuse(object, UNREFERRED);
    const header = i32[object + HEADER_TYPE];
    const type = types[header & TYPE_ID_MASK]!;
    if (!type.isGc || (header & FLAG_TRACKED) !== 0) return;
    const mayBe = type.kind === KIND_DICT || type.kind === KIND_TUPLE;
    if (!mayBe || core.tracking.holdsContainer(object)) refuse(object, `a ${type.text} that is not tracked`);
  }, next === pages.collectable);
}

function noRoom(core: Core): OutOfMemoryError {
  const { maximumBytes } = core.memory;
  return new OutOfMemoryError(
    4096,
    maximumBytes,
    `The saved heap and its tables do not fit into ${maximumBytes} bytes. Load it with a larger maximumBytes.`,
  );
}
