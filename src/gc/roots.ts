/** Taking over what is held from outside: how a heap that ends drops everything in it. */
import {
  type Address,
  CONTROL_GARBAGE,
  CONTROL_RAW_USED,
  CONTROL_ROOT_COUNT,
  GRANULE_SHIFT,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  PERMANENT,
  TYPE_ID_MASK,
  TYPE_ID_STRING,
} from "../memory/layout.js";
import type { Core } from "./core.js";

/** References to one object that come from no object. */
export interface Root {
  readonly object: Address;
  readonly count: number;
}

/**
 * Drop every reference from outside: each handle is from now on as if released. All of them become stale before the first
 * object dies, so that nothing a finalizer does can drop one twice. Objects die oldest first, as the globals of a module do
 * when python3.11 exits.
 */
export function dropRoots(core: Core): void {
  const { i32 } = core.memory;
  const roots = findRoots(core);
  // More than there are handles: an operation, stopped by the user code in it, holds some, and will drop them itself.
  const isInside = roots.reduce((sum, { count }) => sum + count, 0) > i32[CONTROL_ROOT_COUNT];
  if (isInside && i32[CONTROL_RAW_USED] === 0) return;
  for (const { object } of roots) i32[object + HEADER_SERIAL]++;
  i32[CONTROL_ROOT_COUNT] = 0;
  for (const { object, count } of roots) {
    i32[object + HEADER_REFCOUNT] -= count - 1;
    core.counts.decref(object);
  }
}

function findRoots(core: Core): Root[] {
  const { generations, tracking } = core;
  const { i32 } = core.memory;
  const { internal, objects } = countInternal(core);
  const untracked = objects.filter((object) => !tracking.isTracked(object));
  const ordered = [
    ...[2, PERMANENT, 1, 0].flatMap((generation) => [...generations.objects(generation)]),
    ...untracked,
  ];
  return ordered
    .map((object) => ({ object, count: i32[object + HEADER_REFCOUNT] - internal[object >>> GRANULE_SHIFT] }))
    .filter(({ count }) => count > 0);
}

/**
 * The objects that something outside the heap holds, in address order. O(heap).
 * @param except whose references from outside do not count: what is in pools
 */
export function heldFromOutside(core: Core, except: ReadonlySet<Address>): Address[] {
  const { i32 } = core.memory;
  const { internal, objects } = countInternal(core);
  return objects.filter(
    (object) => i32[object + HEADER_REFCOUNT] > internal[object >>> GRANULE_SHIFT] && !except.has(object),
  );
}

/**
 * Every object that something outside the heap holds, in address order, with the number of such references. O(heap).
 * @param all the objects of the heap, where its pages cannot be asked
 */
export function externalReferences(core: Core, all?: Iterable<Address>): Root[] {
  const { i32 } = core.memory;
  const { internal, objects } = countInternal(core, all);
  const roots: Root[] = [];
  for (const object of objects) {
    const count = i32[object + HEADER_REFCOUNT] - internal[object >>> GRANULE_SHIFT];
    if (count > 0) roots.push({ object, count });
  }
  return roots;
}

/** All objects but strings, in address order; and by granule how many references from inside each has. */
function countInternal(
  { allocator, traversal, memory }: Core,
  all: Iterable<Address> = allocator.objects(),
): { internal: Int32Array; objects: Address[] } {
  const { i32 } = memory;
  const internal = new Int32Array((allocator.wordsTouchedMax >>> GRANULE_SHIFT) + 1);
  const objects: Address[] = [];
  for (const object of all) {
    if ((i32[object + HEADER_TYPE] & TYPE_ID_MASK) === TYPE_ID_STRING) continue;
    objects.push(object);
    const count = traversal.collect(object);
    for (let index = 0; index < count; index++) internal[traversal.referents[index] >>> GRANULE_SHIFT]++;
  }
  internal[i32[CONTROL_GARBAGE] >>> GRANULE_SHIFT]++;
  return { internal, objects };
}
