/**
 * Handles: references that JavaScript owns. A handle is a view whose class can release; while it lives the object has
 * one reference more, and the heap counts how many such references there are.
 *
 * What else is kept about handles depends on the heap's checks:
 *
 *   off               nothing
 *   handles           the lines where a sample of them was made and released; those that are dropped are reported
 *   verify, stress    also how many each object has, so that the verifier can explain every count
 */
import { DoubleReleaseError, InvalidArgumentError } from "../memory/errors.js";
import { type Address, CONTROL_ROOT_COUNT, CONTROL_USER_CODE, HEADER_SERIAL } from "../memory/layout.js";
import { plainText } from "../memory/plain-text.js";
import { objectBytes } from "../object/size.js";
import type { BoundType, Maker } from "./bound-type.js";
import { compile } from "./compile.js";
import type { Context } from "./context.js";
import { captureSite } from "./site.js";
import { BORROWED, hide, isLive, OWNED, RELEASED, sites, sitesOf, stale, type View } from "./view.js";

/** What is kept of a recorded handle. It does not refer to the handle, so that a dropped one can be noticed. */
export interface HandleRecord {
  /** A symbol, so that a handle with a record cannot be cloned either. */
  readonly owner: symbol;
  readonly type: BoundType;
  readonly address: Address;
  /** Of the object; raised with it where a collection lets the handle live on. */
  serial: number;
  /** Stack frames, innermost first, one a line; undefined where the handle is watched, but its line was not kept. */
  readonly madeAt: string | undefined;
  releasedAt?: string;
  /** Whether `releasedAt` is worth a stack too: not for most of the handles that are recorded one in many. */
  notesRelease?: boolean;
  /** `madeAt` is a line of the program that saved this heap. */
  isSaved?: boolean;
  /** Dropped by JavaScript and told so: it still counts as a root. */
  isReported?: boolean;
}

/** A handle whose line was kept. */
export type RecordedHandle = HandleRecord & { readonly madeAt: string };

/** A handle that was not released: its object can never be freed. */
export interface LeakedHandle {
  /** Whether JavaScript has dropped it, or the heap was shut down while it lived. */
  readonly when: "dropped" | "shutdown";
  /** How many handles of this type and line; those dropped are told one by one. */
  readonly count: number;
  /** Name of the type of its object. */
  readonly typeName: string;
  /** Stack frames of the call that made it, innermost first, one a line. */
  readonly madeAt: string;
  /**
   * What would be freed with it, the object included; undefined where that cannot be told cheaply (of more than 10,000
   * objects, or inside a finalizer), and of a shared heap without an exclusive guard.
   */
  readonly keepsAlive: { readonly objects: number; readonly bytes: number } | undefined;
}

/** How far a report of a leaked handle looks. */
const KEPT_OBJECTS_MAX = 10_000;

/** Every handle of a type is recorded until this many were, and again when a sample shows a line not seen before. */
const RECORDED_FIRST = 100;
/** After that, one in this many. */
const RECORDED_EVERY = 1000;
/** Of those a single frame is kept: the more there are, the dearer the stack. */
const FRAMES_SAMPLED = 1;
/** And the line of the release is kept for one in this many: a stack costs as much as hundreds of handles. */
const RELEASE_NOTED_EVERY = 16;

/** Which handles of one type and origin to record. */
interface Sampler {
  /** Handles to pass over before the next record. */
  skip: number;
  /** Records still to come without a pause. */
  burst: number;
  readonly lines: Set<string>;
  /** Handles recorded outside bursts. */
  recorded: number;
}

export interface HandleOptions {
  readonly isRecording: boolean;
  /** Record every n-th handle instead of sampling. */
  readonly every?: number | undefined;
  /** Keep count of the handles of each object. */
  readonly countsRoots: boolean;
  /** Release what JavaScript drops. */
  readonly releasesLeaked: boolean;
}

export class HandleTracker {
  private readonly context: Context;
  private readonly options: HandleOptions;
  private readonly i32: Int32Array;
  /** Handles by object, in `verify` and `stress`. */
  readonly roots: Map<Address, number> | undefined;
  /** Recorded handles that live. */
  readonly records = new Set<RecordedHandle>();
  /** Dropped by JavaScript, to be released at the next occasion; it may not be done where the host's collector tells it. */
  private readonly leaked: HandleRecord[] = [];
  /** Whether anything is kept of any handle; and whether it is nothing for most. */
  private readonly isNoting: boolean;
  private readonly isSampling: boolean;
  private readonly registry: FinalizationRegistry<HandleRecord> | undefined;
  /** By type: of the handles that `heap.new` makes. */
  private readonly newSamplers: Sampler[] = [];
  /** By type: of those that are retained or taken out of a container, which a million new ones would hide. */
  private readonly otherSamplers: Sampler[] = [];

  constructor(context: Context, options: HandleOptions) {
    this.context = context;
    this.options = options;
    this.i32 = context.core.memory.i32;
    this.roots = options.countsRoots ? new Map() : undefined;
    this.isNoting = options.isRecording || options.releasesLeaked;
    this.isSampling = options.isRecording && !options.releasesLeaked && !options.countsRoots;
    if (this.isNoting && typeof FinalizationRegistry === "function")
      this.registry = new FinalizationRegistry((record) => this.noteDropped(record));
  }

  /** Whether lines of the program are worth a stack to this heap. */
  get isRecordingLines(): boolean {
    return this.options.isRecording;
  }

  /** A handle that takes over a reference its caller owns. */
  own(type: BoundType, object: Address): View {
    return this.takeOver(new type.View(object, this.i32[object + HEADER_SERIAL]));
  }

  /** The same, of a borrow that nobody else has. Recording its line may run user code: the heap must be whole. */
  takeOver(borrow: View): View {
    this.countHandle(borrow["@address"], 1);
    borrow["@owner"] = OWNED;
    if (!this.isNoting) return borrow;
    const sampler = this.isSampling ? this.otherSamplers[borrow["@type"].id] : undefined;
    if (sampler !== undefined && sampler.skip > 0) sampler.skip--;
    else this.note(borrow, this.otherSamplers);
    return borrow;
  }

  /** A handle of a loaded heap, with the line that had made it in the heap that was saved, if lines are kept here at all. */
  restore(type: BoundType, object: Address, madeAt: string): View {
    if (!this.options.isRecording) return this.own(type, object);
    this.hold(object);
    const handle = new type.View(object, this.i32[object + HEADER_SERIAL]);
    const record = this.watch(handle, madeAt) as RecordedHandle;
    record.notesRelease = true;
    record.isSaved = true;
    this.records.add(record);
    return handle;
  }

  /** A reference that JavaScript holds without a handle: a pool's to what is in it. */
  hold(object: Address): void {
    this.countHandle(object, 1);
    this.countRoot(object, 1);
  }

  /** The opposite of `hold`; the reference is the caller's again. */
  letGo(object: Address): void {
    this.countHandle(object, -1);
    this.countRoot(object, -1);
  }

  /** A reference that a handle holds has come or gone. */
  private countHandle(object: Address, change: number): void {
    const { sharing } = this.context;
    if (sharing === undefined) this.i32[CONTROL_ROOT_COUNT] += change;
    else sharing.countRoot(object, change);
  }

  /** The same for the verifier, who asks whose handles they are. A shared heap keeps that in its memory. */
  private countRoot(object: Address, change: number): void {
    const { roots } = this;
    if (roots === undefined || this.context.sharing !== undefined) return;
    const count = (roots.get(object) ?? 0) + change;
    if (count > 0) roots.set(object, count);
    else roots.delete(object);
  }

  /** Give the views of a type what they need to be handles. */
  defineRelease(type: BoundType, prototype: object): void {
    const release = this.makeRelease(type);
    hide(prototype, "@release", release);
    hide(prototype, Symbol.dispose, release);
  }

  private makeRelease(type: BoundType): (this: View) => void {
    const { decref } = this.context.core.counts;
    const { i32 } = this;
    const forget = (handle: View) => this.forget(handle);
    const counts = this.roots !== undefined || this.context.sharing !== undefined;
    return compile(
      { i32, decref, releaseTwice, markReleased, forget, OWNED },
      `/* type ${type.id} */ return function release() {
        const address = this["@address"];
        if (i32[address + ${HEADER_SERIAL}] !== this["@serial"]) return releaseTwice(this);
        if (${counts} || this["@owner"] !== OWNED) return forget(this);
        try { this["@serial"] = ${RELEASED}; } catch { markReleased(this); }
        i32[${CONTROL_ROOT_COUNT}]--;
        decref(address);
      }`,
      () =>
        function release(this: View) {
          const address = this["@address"];
          if (i32[address + HEADER_SERIAL] !== this["@serial"]) {
            releaseTwice(this);
            return;
          }
          if (counts || this["@owner"] !== OWNED) {
            forget(this);
            return;
          }
          markReleased(this);
          i32[CONTROL_ROOT_COUNT]--;
          decref(address);
        },
      this.context.compiles,
    );
  }

  /** `heap.new` for one type. Its text differs by type, because functions of one text share what the engine learns. */
  makeMaker(type: BoundType): Maker {
    const { i32, context } = this;
    const { create, View, descriptor } = type;
    const note = this.isNoting ? (handle: View) => this.note(handle, this.newSamplers) : undefined;
    const check = (other: unknown) => context.binder.bind(other as typeof descriptor);
    const { leaked } = this;
    const releases = this.options.releasesLeaked;
    const releaseLeaked = () => this.releaseLeaked();
    const isShared = context.sharing !== undefined;
    const enter = (address: Address) => context.sharing!.countRoot(address, 1);
    return compile(
      { i32, context, create, View, OWNED, descriptor, check, note, leaked, releaseLeaked, enter },
      `/* type ${type.id} */ return function make(type, init) {
        ${isShared ? "context.requireOpenForHandle();" : ""}
        ${releases ? "if (leaked.length > 0) releaseLeaked();" : ""}
        if (type !== descriptor) check(type);
        const address = create(init);
        if (context.isDisposed) context.requireOpen(); // by a getter of the literal
        ${isShared ? "enter(address);" : `i32[${CONTROL_ROOT_COUNT}]++;`}
        const handle = new View(address, i32[address + ${HEADER_SERIAL}]);
        handle["@owner"] = OWNED;
        ${note === undefined ? "" : "note(handle);"}
        return handle;
      }`,
      () => (other: unknown, init: unknown) => {
        if (isShared) context.requireOpenForHandle();
        if (leaked.length > 0) releaseLeaked();
        if (other !== descriptor) check(other);
        const address = create(init);
        context.requireOpen();
        this.countHandle(address, 1);
        const handle = new View(address, i32[address + HEADER_SERIAL]);
        handle["@owner"] = OWNED;
        note?.(handle);
        return handle;
      },
      context.compiles,
    );
  }

  // -- records --------------------------------------------------------------------------------

  /** A handle was made: count it as a root, and record it if it is its turn. */
  private note(handle: View, samplers: Sampler[]): void {
    const { id } = handle["@type"];
    this.countRoot(handle["@address"], 1);
    if (!this.options.isRecording) {
      this.watch(handle, undefined);
      return;
    }
    samplers[id] ??= { skip: 0, burst: RECORDED_FIRST, lines: new Set(), recorded: 0 };
    const sampler = samplers[id];
    if (sampler.skip === 0) this.record(handle, sampler);
    else {
      sampler.skip--;
      if (this.options.releasesLeaked) this.watch(handle, undefined);
    }
  }

  private record(handle: View, sampler: Sampler): void {
    const isDetailed = sampler.burst > 0 || this.options.every !== undefined;
    const madeAt = isDetailed ? captureSite() : captureSite(FRAMES_SAMPLED);
    const line = madeAt.split("\n", 1)[0];
    if (!sampler.lines.has(line)) {
      sampler.lines.add(line);
      sampler.burst = Math.max(sampler.burst, RECORDED_FIRST);
    }
    const record = this.watch(handle, madeAt) as RecordedHandle;
    record.notesRelease = isDetailed || sampler.recorded++ % RELEASE_NOTED_EVERY === 0;
    if (sampler.burst > 0) sampler.burst--;
    sampler.skip = (this.options.every ?? (sampler.burst > 0 ? 1 : RECORDED_EVERY)) - 1;
    this.records.add(record);
  }

  /** Have JavaScript tell when it drops a handle. */
  private watch(handle: View, madeAt: string | undefined): HandleRecord {
    const record: HandleRecord = {
      owner: OWNED,
      type: handle["@type"],
      address: handle["@address"],
      serial: handle["@serial"],
      madeAt,
    };
    handle["@owner"] = record;
    this.registry?.register(handle, record, record);
    return record;
  }

  /**
   * Release a handle of which something is kept; or refuse a borrow, which somebody thinks a handle. The line is captured
   * last: that may run user code, which finds the heap whole and this handle released.
   */
  private forget(handle: View): void {
    const owner = handle["@owner"];
    const address = handle["@address"];
    if (owner === BORROWED) refuseBorrow(handle);
    markReleased(handle);
    this.letGo(address);
    this.forgetRecord(owner);
    this.context.core.counts.decref(address);
    if (typeof owner !== "symbol" && owner.notesRelease) owner.releasedAt = captureSite();
  }

  private forgetRecord(owner: symbol | HandleRecord): void {
    if (typeof owner === "symbol") return;
    this.records.delete(owner as RecordedHandle);
    this.registry?.unregister(owner);
  }

  /**
   * The JavaScript half of a release, where nothing may be written: the handle is done with, its reference is the caller's. The
   * object lives as long as that, so its serial need not be asked.
   * @throws DoubleReleaseError, InvalidArgumentError for a borrow
   */
  giveUp(handle: View): Address {
    const owner = handle["@owner"];
    if (handle["@serial"] === RELEASED) releaseTwice(handle);
    if (owner === BORROWED) refuseBorrow(handle);
    markReleased(handle);
    this.forgetRecord(owner);
    if (typeof owner !== "symbol" && owner.notesRelease) owner.releasedAt = captureSite();
    return handle["@address"];
  }

  private noteDropped(record: HandleRecord): void {
    if (this.context.isDisposed) return;
    if (record.madeAt !== undefined) {
      record.isReported = true;
      this.tell(record as RecordedHandle, "dropped", 1);
    }
    if (this.options.releasesLeaked) this.leaked.push(record);
  }

  /** Release the handles that JavaScript has dropped. Called where a program may expect deaths: `new`, `collect`. */
  releaseLeaked(): void {
    for (let record = this.leaked.pop(); record !== undefined; record = this.leaked.pop()) {
      const { address, serial } = record;
      if (this.i32[address + HEADER_SERIAL] !== serial) continue; // its heap ends
      this.records.delete(record as RecordedHandle);
      this.letGo(address);
      this.context.core.counts.decref(address);
    }
  }

  /** The heap ends: whoever still has a handle has leaked it, but for values that the heap owns. Only recorded ones are known. */
  reportLive(): void {
    if (this.records.size === 0) return;
    const owned = new Set([...this.context.foreign.ownedHandles()].map((handle) => handle["@owner"]));
    const groups = new Map<string, RecordedHandle[]>();
    for (const record of this.records) {
      if (record.isReported || owned.has(record)) continue;
      const origin = `${record.type.name} ${record.madeAt}`;
      const group = groups.get(origin);
      if (group === undefined) groups.set(origin, [record]);
      else group.push(record);
    }
    for (const [first, ...others] of groups.values()) this.tell(first, "shutdown", others.length + 1);
  }

  private keptBy(object: Address): LeakedHandle["keepsAlive"] {
    const { sharing } = this.context;
    if (sharing !== undefined && sharing.lock.mode !== "exclusive") return undefined;
    const { collector, allocator, types, trigger } = this.context.core;
    if (trigger.isCollecting || this.i32[CONTROL_USER_CODE] > 0) return undefined;
    const kept = collector.findKeptBy(object, KEPT_OBJECTS_MAX);
    if (kept === undefined) return undefined;
    const bytes = kept.reduce((sum, one) => sum + objectBytes(allocator, types, one), 0);
    return { objects: kept.length, bytes };
  }

  private tell(record: RecordedHandle, when: "dropped" | "shutdown", count: number): void {
    const leak: LeakedHandle = {
      when,
      count,
      typeName: record.type.name,
      madeAt: record.madeAt,
      keepsAlive: this.keptBy(record.address),
    };
    this.context.callBack("heap.onLeakedHandle", () => this.context.heap.onLeakedHandle(leak));
  }
}

function refuseBorrow(view: View): never {
  throw new InvalidArgumentError(
    `This reference to a ${view["@type"].name} is borrowed: it owns nothing that could be released.`,
  );
}

/** The first change of a release: where it is refused, nothing has happened. */
function markReleased(handle: View): void {
  try {
    handle["@serial"] = RELEASED;
  } catch (cause) {
    throw new InvalidArgumentError(
      `This handle to a ${handle["@type"].name} was frozen and cannot be marked as released: it keeps its object alive.`,
      { cause },
    );
  }
}

function releaseTwice(handle: View): void {
  // The heap that ends has dropped every handle's reference; a disposer that then releases its own does nothing wrong.
  if (handle["@type"].context.isEnding && !handle["@type"].context.isDisposed) return;
  if (handle["@serial"] !== RELEASED) stale(handle);
  const name = plainText(handle["@type"].name);
  const { madeAt, releasedAt } = sitesOf(handle);
  throw new DoubleReleaseError(
    `This handle to a ${name} was released already.${sites(madeAt, releasedAt)}`,
    madeAt,
    releasedAt,
  );
}

/** Whether a view is a handle that has not been released. */
export function isOwned(view: View): boolean {
  return view["@owner"] !== BORROWED && isLive(view);
}
