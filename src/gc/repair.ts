/**
 * Repair: a heap in which a thread ended in the middle of an operation is made whole by whoever owns it next
 * (docs/design/0010).
 *
 * What is in the memory is what the operation has stored so far, and all that any other thread has left behind. So of
 * what the living hold nothing is wrong but in the few objects that the operation was changing; what it was building or
 * ending nobody reaches. Hence the order:
 *
 *   admit      find the blocks whose headers make sense                           repair-pages.ts
 *   trace      follow and count every reference from the roots                    repair-contents.ts, repair-tables.ts
 *   relink     the lists of weak references                                       repair-weakrefs.ts
 *   gather     read the tables of the generations                                 repair-generations.ts
 *   sweep      free what was not reached; free lists, free runs                   repair-pages.ts
 *   rebuild    the tables of the generations, and the control words
 *
 * A repair may end in the middle too: then the next one does all of it again. Work memory is JavaScript's, but for the
 * chunks of the tables, which are taken when all that is free is free.
 */
import {
  type Address,
  CONTROL_COLLECTING,
  CONTROL_COUNTS,
  CONTROL_DEFERRED,
  CONTROL_ENABLED,
  CONTROL_FOREIGN,
  CONTROL_GARBAGE,
  CONTROL_ROOT_COUNT,
  CONTROL_TRIGGER,
  CONTROL_TYPE_TABLE,
  CONTROL_TYPES_HAVE,
  CONTROL_USER_CODE,
  CONTROL_WEAKREFS,
  CONTROL_YOUNG_THRESHOLD,
  FLAG_DYING,
  FLAG_FROZEN,
  FLAG_OBSERVED,
  FLAG_POOLED,
  FLAG_SETTLED,
  FLAG_TRACKED,
  FOREIGN_NUMBER,
  HEADER_TYPE,
  INT32_MAX,
  KIND_FOREIGN,
  KIND_WEAKREF,
  TYPE_FINALIZER,
  TYPE_FLAGS,
  TYPE_FOREIGN,
  TYPE_ID_MASK,
  TYPE_KIND,
  TYPE_SHIFT,
  TYPES_HAVE_POOLS,
} from "../memory/layout.js";
import type { Memory } from "../memory/memory.js";
import { Core } from "./core.js";
import { RepairContents } from "./repair-contents.js";
import { RepairGenerations } from "./repair-generations.js";
import { RepairPages } from "./repair-pages.js";
import { RepairLog, type RepairReport } from "./repair-report.js";
import { WeakrefRepair } from "./repair-weakrefs.js";

/**
 * Make a heap valid again. Nobody else may touch it meanwhile. O(pages in use), whatever happened.
 *
 * @param roots how many handles of living threads hold each object
 * @param keep storage blocks that are no object's, and objects held by something else than a handle: one reference for
 * each time that an object comes. The list behind `gc.garbage` and the names of types are kept in any case
 * @throws HeapCorruptionError where the memory is no heap, or the type table is damaged
 */
export function repair(
  memory: Memory,
  roots: ReadonlyMap<Address, number>,
  keep: Iterable<Address> = [],
): RepairReport {
  const { i32 } = memory;
  const log = new RepairLog();
  const pages = new RepairPages(memory);
  pages.admit();

  const contents = new RepairContents(memory, pages, log);
  contents.addTypes();
  let rootCount = 0;
  for (const [object, handles] of roots) if (contents.addRoot(object, handles)) rootCount += handles;
  for (const address of keep) contents.keep(address);
  if (i32[CONTROL_GARBAGE] !== 0) contents.keep(i32[CONTROL_GARBAGE]);
  contents.trace();

  const weakrefs = new WeakrefRepair(i32, pages);
  i32[CONTROL_WEAKREFS] = weakrefs.relink(contents.weakrefs, log);
  const generations = new RepairGenerations(memory, pages);
  generations.gather();
  const sweeper = new ObjectSweeper(i32, generations, weakrefs, log);
  pages.sweep(sweeper);
  pages.finish();
  pages.clearMarks();

  resetControl(i32, rootCount, sweeper);
  generations.rebuild(new Core(memory, { isAttached: true }), log);
  return log;
}

/** Judges each object as its page is swept: flags, and what is counted by kind. */
class ObjectSweeper {
  /** Objects of pools among those kept. */
  pooled = 0;
  /** Numbers of foreign values that objects have which are kept. One that was just made may have any: a number counts once. */
  readonly foreign = new Set<number>();
  private readonly i32: Int32Array;
  private readonly generations: RepairGenerations;
  private readonly weakrefs: WeakrefRepair;
  private readonly log: RepairLog;

  constructor(i32: Int32Array, generations: RepairGenerations, weakrefs: WeakrefRepair, log: RepairLog) {
    this.i32 = i32;
    this.generations = generations;
    this.weakrefs = weakrefs;
    this.log = log;
  }

  keep(object: Address): void {
    const { i32 } = this;
    const type = this.typeOf(object);
    const kind = i32[type + TYPE_KIND];
    const header = i32[object + HEADER_TYPE];
    const offset = this.weakrefs.headOffset(object);
    const isWatched = offset !== 0 && this.weakrefs.checkHead(object, offset) !== 0;
    const isObserved =
      isWatched ||
      kind === KIND_WEAKREF ||
      (header & FLAG_POOLED) !== 0 ||
      (i32[type + TYPE_FLAGS] & (TYPE_FINALIZER | TYPE_FOREIGN)) !== 0;
    const judged = FLAG_TRACKED | FLAG_FROZEN | FLAG_OBSERVED | FLAG_SETTLED | FLAG_DYING;
    i32[object + HEADER_TYPE] =
      (header & ~judged) | this.generations.place(object) | (isObserved ? FLAG_OBSERVED : 0);
    const number = kind === KIND_FOREIGN ? i32[object + FOREIGN_NUMBER] : 0;
    if (number !== 0) this.foreign.add(number);
    if ((header & FLAG_POOLED) !== 0) this.pooled++;
    this.log.objectsKept++;
  }

  drop(): void {
    this.log.objectsDropped++;
  }

  private typeOf(object: Address): Address {
    return this.i32[CONTROL_TYPE_TABLE] + ((this.i32[object + HEADER_TYPE] & TYPE_ID_MASK) << TYPE_SHIFT);
  }
}

/** What says that something is under way, and what is counted. Thresholds, statistics and adopted bytes stay. */
function resetControl(i32: Int32Array, rootCount: number, { foreign, pooled }: ObjectSweeper): void {
  i32[CONTROL_ROOT_COUNT] = rootCount;
  i32[CONTROL_FOREIGN] = foreign.size;
  i32[CONTROL_DEFERRED] = 0;
  i32[CONTROL_USER_CODE] = 0;
  if (pooled > 0) i32[CONTROL_TYPES_HAVE] |= TYPES_HAVE_POOLS;
  for (let generation = 0; generation < 3; generation++)
    i32[CONTROL_COUNTS + generation] = Math.max(0, i32[CONTROL_COUNTS + generation]);
  i32[CONTROL_COLLECTING] = 0;
  const isOn = i32[CONTROL_ENABLED] !== 0 && i32[CONTROL_YOUNG_THRESHOLD] !== 0;
  i32[CONTROL_TRIGGER] = isOn ? i32[CONTROL_YOUNG_THRESHOLD] : INT32_MAX;
}
