/** The roots of threads: finding those that were made before a heap was shared, and letting go of those of a thread that has ended. */

import type { Core } from "../gc/core.js";
import { externalReferences } from "../gc/roots.js";
import {
  type Address,
  CONTROL_ADOPTED_BYTES,
  CONTROL_ADOPTED_SINCE,
  CONTROL_FOREIGN,
  CONTROL_ROOT_COUNT,
  CONTROL_WEAKREFS,
  FOREIGN_NUMBER,
  HOST_NUMBER_LOST,
  KIND_FOREIGN,
  KIND_WEAKREF,
  THREAD_ADOPTED_BYTES,
  THREAD_IS_BASED,
  THREAD_MAIL,
  THREAD_RING,
  THREAD_ROOTS,
  THREADS_MAX,
  TYPE_THREADS,
  WEAKREF_HOST_CALLBACK,
} from "../memory/layout.js";
import { forEachParcel } from "../object/parcels.js";
import { forEachRoot } from "../object/roots.js";
import { holdsObject, Mailbox, threadOf } from "./mailbox.js";
import type { Sharing } from "./sharing.js";

/** How often a thread that leaves may take handles in its finalizers before they are left behind. */
const ROUNDS_MAX = 100;

/** Words of a record that lead to storage of the thread's. */
export const THREAD_STORAGE = [THREAD_ROOTS, THREAD_RING, THREAD_MAIL] as const;

/**
 * References from outside that no table explains are those of handles that were made before `share()`: enter them for the thread
 * that has shared the heap. O(heap), once.
 * @param all the objects of the heap, where its pages cannot be asked
 */
export function enterBaseRoots(core: Core, sharing: Sharing, record: Address, all?: Iterable<Address>): void {
  const known = rootsOfAll(core, sharing);
  const roots = sharing.rootsAt(record);
  for (const { object, count } of externalReferences(core, all)) {
    const missing = count - (known.get(object) ?? 0);
    if (missing !== 0) roots.add(object, missing, true);
  }
  core.memory.i32[record + THREAD_IS_BASED] = 1;
}

/** What the handles of all threads, parcels and mails hold, by object. */
export function rootsOfAll(core: Core, { threads }: Pick<Sharing, "threads">): Map<Address, number> {
  const { i32 } = core.memory;
  const roots = new Map<Address, number>();
  const add = (object: Address, count: number) => roots.set(object, (roots.get(object) ?? 0) + count);
  for (let thread = 0; thread < THREADS_MAX; thread++) {
    const record = threads.record(thread);
    forEachRoot(i32, record, add);
    for (const { kind, first } of new Mailbox(core, record).all()) if (holdsObject(kind)) add(first, 1);
  }
  forEachParcel(i32, (object) => add(object, 1));
  return roots;
}

/**
 * A thread has ended: its handles are released, its values are gone undisposed, its functions will not be called. Under the
 * exclusive lock; O(heap) if the heap has foreign values or weak references. Runs finalizers and callbacks. The record is freed by the
 * caller, when nobody can reach a thread of its number any more.
 */
export function endThread(sharing: Sharing, thread: number): void {
  const { core } = sharing.context;
  const { i32 } = core.memory;
  const record = sharing.threads.record(thread);
  const mailed = new Mailbox(core, record).takeAll().filter(({ kind }) => holdsObject(kind));
  forgetThread(sharing, thread);
  for (const { first } of mailed) core.counts.decref(first);
  for (let round = 0; round < ROUNDS_MAX && releaseRoots(sharing, record); round++);
  for (const word of THREAD_STORAGE) {
    if (i32[record + word] !== 0) core.allocator.free(i32[record + word]);
    i32[record + word] = 0;
  }
}

/** Release what the table has now. @returns whether there was something: the finalizers of a thread that leaves may take handles again */
function releaseRoots(sharing: Sharing, record: Address): boolean {
  const { core } = sharing.context;
  const { i32 } = core.memory;
  const held: [object: Address, count: number][] = [];
  forEachRoot(i32, record, (object, count) => held.push([object, count]));
  const roots = sharing.rootsAt(record);
  for (const [object, count] of held) {
    roots.add(object, -count);
    for (let index = 0; index < count; index++) {
      i32[CONTROL_ROOT_COUNT]--;
      core.counts.decref(object);
    }
  }
  return held.length > 0;
}

/** Nothing leads to what the thread knew by numbers of its own: its number will be another thread's. */
export function forgetThread({ context, threads }: Sharing, thread: number): void {
  const { core } = context;
  forgetFunctions(core, thread);
  for (let id = 1; id < core.types.count; id++)
    core.memory.i32[core.types.descriptor(id) + TYPE_THREADS] &= ~(1 << thread);
  const { f64 } = core.memory;
  const share = (threads.record(thread) + THREAD_ADOPTED_BYTES) >> 1;
  f64[CONTROL_ADOPTED_BYTES >> 1] -= f64[share];
  f64[CONTROL_ADOPTED_SINCE >> 1] = Math.max(0, f64[CONTROL_ADOPTED_SINCE >> 1] - f64[share]);
  f64[share] = 0;
}

function forgetFunctions(core: Core, thread: number): void {
  const { i32 } = core.memory;
  if (i32[CONTROL_FOREIGN] === 0 && i32[CONTROL_WEAKREFS] === 0) return;
  for (const object of core.allocator.objects()) {
    const kind = core.types.kindOf(object);
    if (kind === KIND_FOREIGN) {
      const number = i32[object + FOREIGN_NUMBER];
      if (number === 0 || threadOf(number) !== thread) continue;
      i32[object + FOREIGN_NUMBER] = 0;
      i32[CONTROL_FOREIGN]--;
    } else if (kind === KIND_WEAKREF) {
      const number = i32[object + WEAKREF_HOST_CALLBACK];
      if (number !== 0 && threadOf(number) === thread) i32[object + WEAKREF_HOST_CALLBACK] = HOST_NUMBER_LOST;
    }
  }
}
