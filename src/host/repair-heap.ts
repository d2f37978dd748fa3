/** After a thread has ended in the middle of a write: what the living hold, the repair, and what is told of it. */
import type { Core } from "../gc/core.js";
import { repair } from "../gc/repair.js";
import { RepairPages } from "../gc/repair-pages.js";
import type { RepairReport } from "../gc/repair-report.js";
import {
  type Address,
  CONTROL_ADOPTED_BYTES,
  CONTROL_DAMAGED,
  CONTROL_PARCELS,
  CONTROL_THREADS,
  HEADER_TYPE,
  THREAD_ADOPTED_BYTES,
  THREAD_ATTACHED,
  THREAD_ENDED,
  THREAD_ENDING,
  THREAD_IS_BASED,
  THREAD_MAIL_TAIL,
  THREAD_RING_HEAD,
  THREAD_RING_TAIL,
  THREAD_TAKEN,
  THREADS_MAX,
  TYPE_ID_MASK,
  WORD_BYTES,
} from "../memory/layout.js";
import { forEachParcel, Parcels } from "../object/parcels.js";
import { forEachRoot } from "../object/roots.js";
import { holdsObject, Mailbox } from "./mailbox.js";
import { takeRelease } from "./release-queue.js";
import { dropMissingItems } from "./repair-items.js";
import { syncTypes } from "./shared-types.js";
import type { Sharing } from "./sharing.js";
import { enterBaseRoots, forgetThread, THREAD_STORAGE } from "./thread-end.js";

/** What a repair has found, for `heap.onRepair`. */
export interface HeapRepair {
  /** Names of the threads that have ended. */
  readonly threads: readonly string[];
  /** Objects that the living threads reach. */
  readonly kept: number;
  /** Objects that they do not reach, which are gone: what the thread held alone, was making or was ending. */
  readonly dropped: number;
  /** References that led nowhere and are null now: the objects that have them. */
  readonly nulled: readonly { readonly typeName: string; readonly id: number }[];
  /** Lists, dicts and sets that had to be made consistent, and how many items or entries each has lost by that. */
  readonly containers: readonly {
    readonly typeName: string;
    readonly id: number;
    readonly change: "emptied" | "shortened" | "rebuilt";
    readonly lost: number;
  }[];
  /** Weak references whose target is gone, and whose callback was not called. */
  readonly weakReferences: number;
}

/** Under the exclusive lock, before anything else. Calls `heap.onRepair`. @throws HeapCorruptionError */
export function repairHeap(sharing: Sharing): void {
  const { context, threads } = sharing;
  const { core } = context;
  const { i32 } = core.memory;
  const { living, ended } = threadsOf(sharing);
  const names = ended.map((thread) => threads.name(thread));
  for (const thread of living) makeRootsWhole(sharing, threads.record(thread));
  const roots = rootsOf(core, sharing, living);
  // First: a repair may end in the middle too. Values, functions and pool instances that are gone each thread finds itself: whoever ended
  // may have taken a number away and not posted it yet.
  for (const thread of living) sharing.mail.askToRecount(thread);
  // The storage of those that have ended is nobody's: the repair frees what nobody keeps.
  for (const thread of ended) dropStorage(i32, threads.record(thread));
  const report = repair(core.memory, roots, kept(core, sharing, living));
  new Parcels(core.allocator).relink();
  for (const thread of ended) {
    forgetThread(sharing, thread);
    if (threads.state(thread) === THREAD_ENDED) threads.free(thread);
  }
  countAdoptedBytes(core, sharing, living);
  core.trigger.setEnabled(core.trigger.isEnabled); // as this thread's checks want it
  syncTypes(context);
  const containers = [...report.containers, ...dropMissingItems(context)];
  Atomics.store(i32, CONTROL_DAMAGED, 0);
  const info = describe(sharing, names, { ...report, containers });
  context.callBack("heap.onRepair", () => context.heap.onRepair(info));
}

/**
 * Asked once: threads may be reported while this one repairs. One whose end is being reported counts as ended: who reports it frees the
 * lock before the record says so.
 */
function threadsOf({ threads }: Sharing): { living: number[]; ended: number[] } {
  const living: number[] = [];
  const ended: number[] = [];
  for (let thread = 0; thread < THREADS_MAX; thread++) {
    const state = threads.state(thread);
    if (state === THREAD_ATTACHED) living.push(thread);
    else if (state === THREAD_ENDED || state === THREAD_ENDING) ended.push(thread);
  }
  return { living, ended };
}

/**
 * The table of a living thread holds what its handles do. Those made before `share()` are entered now if nobody has written yet: then no
 * object has been changed, but whoever ended may have been taking pages, and the heap's are not to be relied on. If a thread ended while it took a
 * reference under a shared guard (THREAD_UNSETTLED), that one is entered as a handle too: nobody can tell.
 */
function makeRootsWhole(sharing: Sharing, record: Address): void {
  const { core } = sharing.context;
  const { i32 } = core.memory;
  takeRelease(i32, record, sharing.rootsAt(record));
  if (i32[record + THREAD_IS_BASED] !== 0) return;
  const pages = new RepairPages(core.memory);
  pages.admit();
  enterBaseRoots(core, sharing, record, pages.objects());
  pages.clearMarks();
}

/** Its releases and its mail first: whoever reports the end may be slow, and then the record is found again. */
function dropStorage(i32: Int32Array, record: Address): void {
  i32[record + THREAD_TAKEN] = 0;
  i32[record + THREAD_RING_HEAD] = i32[record + THREAD_RING_TAIL];
  i32[record + THREAD_MAIL_TAIL] = 0;
  for (const word of THREAD_STORAGE) i32[record + word] = 0;
}

/** What handles and mails of living threads hold, and parcels. */
function rootsOf(core: Core, sharing: Sharing, living: readonly number[]): Map<Address, number> {
  const { i32 } = core.memory;
  const { threads } = sharing;
  const roots = new Map<Address, number>();
  const add = (object: Address, count: number) => roots.set(object, (roots.get(object) ?? 0) + count);
  for (const thread of living) {
    const record = threads.record(thread);
    forEachRoot(i32, record, add);
    for (const { kind, first } of new Mailbox(core, record).all()) if (holdsObject(kind)) add(first, 1);
  }
  forEachParcel(i32, (object) => add(object, 1));
  for (const [object, count] of roots) if (count <= 0) roots.delete(object);
  return roots;
}

/** Each thread's share was changed by itself alone; the sum may have been under way. */
function countAdoptedBytes({ memory: { f64 } }: Core, sharing: Sharing, living: readonly number[]): void {
  let bytes = 0;
  for (const thread of living) bytes += f64[(sharing.threads.record(thread) + THREAD_ADOPTED_BYTES) >> 1];
  f64[CONTROL_ADOPTED_BYTES >> 1] = bytes;
}

/** Storage that is no object's, and strings that no object holds. */
function* kept(
  { memory: { i32 } }: Core,
  sharing: Sharing,
  living: readonly number[],
): IterableIterator<Address> {
  yield i32[CONTROL_THREADS];
  if (i32[CONTROL_PARCELS] !== 0) yield i32[CONTROL_PARCELS];
  for (const thread of living)
    for (const word of THREAD_STORAGE) {
      const storage = i32[sharing.threads.record(thread) + word];
      if (storage !== 0) yield storage;
    }
  const sites: Address[] = [];
  forEachParcel(i32, (_, site) => site !== 0 && sites.push(site));
  yield* sites;
}

function describe({ context }: Sharing, threads: readonly string[], report: RepairReport): HeapRepair {
  const { binder, core } = context;
  const place = (object: Address) => ({
    typeName:
      binder.typeOfId(core.memory.i32[object + HEADER_TYPE] & TYPE_ID_MASK)?.text ?? "an unknown type",
    id: object * WORD_BYTES,
  });
  return {
    threads,
    kept: report.objectsKept,
    dropped: report.objectsDropped,
    nulled: report.nulled.map(({ object }) => place(object)),
    containers: report.containers.map(({ object, change, lost }) => ({ ...place(object), change, lost })),
    weakReferences: report.cutWeakrefs.length,
  };
}
