/**
 * Cycles through JavaScript. A value that the heap owns may hold handles: to the collector such a handle is a reference
 * from outside, and a cycle that leads through the value would live for ever. Where the value's `traverse` names its
 * handles, each is shown to a collection as a reference of the foreign object (what `tp_traverse` does for an extension
 * type in CPython): for the time of the partition it stands among the object's items, explained by the count that the
 * handle has.
 */
import { InvalidArgumentError, OutOfMemoryError } from "../memory/errors.js";
import { type Address, HEADER_REFCOUNT, HEADER_SERIAL } from "../memory/layout.js";
import type { HeldReferences } from "../object/hooks.js";
import type { Context } from "./context.js";
import type { ForeignRecord } from "./foreign.js";
import { isOwned } from "./handle.js";
import { show } from "./schema.js";
import { asView, BORROWED, RELEASED, type View } from "./view.js";

/** A foreign object and the handles that its value named, for one collection. */
interface Snapshot {
  readonly record: ForeignRecord;
  readonly handles: readonly View[];
}

export class HeldHandles implements HeldReferences {
  private readonly context: Context;
  private readonly i32: Int32Array;
  /** Values with `traverse`, by the generation that their objects have come to: a young collection asks only the young. */
  private readonly byGeneration: Set<ForeignRecord>[] = [new Set(), new Set(), new Set()];
  /** Those asked in the collection under way. */
  private asked: ForeignRecord[] = [];
  private snapshots: Snapshot[] = [];
  /** Holders with shown items, and how many they have and have room for without. */
  private shown: { readonly holder: Address; readonly length: number; readonly capacity: number }[] = [];
  /** Objects whose count was raised because a second value names the same handle. */
  private raised: Address[] = [];
  private asking = 0;
  private readonly table: { recordOf(object: Address): ForeignRecord | undefined };

  constructor(context: Context, table: { recordOf(object: Address): ForeignRecord | undefined }) {
    this.context = context;
    this.table = table;
    this.i32 = context.core.memory.i32;
    context.core.hooks.held = this;
  }

  add(record: ForeignRecord): void {
    this.byGeneration[0].add(record);
  }

  delete(record: ForeignRecord): void {
    for (const records of this.byGeneration) records.delete(record);
  }

  /** Whether some value's `traverse` is running. */
  get isAsking(): boolean {
    return this.asking > 0;
  }

  /** The live handles that a value names now. Runs user code; what that throws is reported, and nothing is named then. */
  handlesOf(record: ForeignRecord): View[] {
    const handles = new Set<View>();
    this.asking++;
    this.context.inside++;
    try {
      for (const named of record.traverse?.(record.value) ?? []) {
        if (named === null || named === undefined) continue; // a variable that holds none yet
        const view = asView(named);
        if (view === undefined || view["@type"].context !== this.context)
          throw new InvalidArgumentError(`\`traverse\` names handles of this heap, got ${show(named)}.`);
        if (isOwned(view)) handles.add(view);
        else if (view["@owner"] === BORROWED)
          throw new InvalidArgumentError(
            `\`traverse\` names the handles that the value owns; this reference to a ${view["@type"].name} is borrowed.`,
          );
      }
    } catch (error) {
      this.context.unraisable(error, "traverse");
      return [];
    } finally {
      this.context.inside--;
      this.asking--;
    }
    return [...handles];
  }

  /** The handles of all values: whoever reports handles leaves them out, because they have an owner. Runs user code. */
  all(): Set<View> {
    const handles = new Set<View>();
    for (const records of this.byGeneration)
      for (const record of [...records]) for (const handle of this.handlesOf(record)) handles.add(handle);
    return handles;
  }

  /** Ask first, all of them: what they name is looked at when no user code runs any more. */
  show(generation: number): void {
    this.asked = this.takeUpTo(generation);
    this.showAgain();
  }

  showAll(): void {
    this.asked = this.byGeneration.flatMap((records) => [...records]);
    this.showAgain();
  }

  showAgain(): void {
    if (this.asked.length === 0) return;
    this.snapshots = [];
    for (const record of this.asked)
      if (this.table.recordOf(record.object) === record)
        this.snapshots.push({ record, handles: this.handlesOf(record) });
    const claimed = new Set<View>();
    for (const { record, handles } of this.snapshots)
      if (this.table.recordOf(record.object) === record) this.showOne(record.object, handles, claimed);
    this.context.core.generations.refillReserve();
  }

  /** What is left of them will be one generation older. */
  private takeUpTo(generation: number): ForeignRecord[] {
    const collected = this.byGeneration.slice(0, generation + 1);
    const asked = collected.flatMap((records) => [...records]);
    for (const records of collected) records.clear();
    const older = this.byGeneration[Math.min(generation + 1, 2)];
    for (const record of asked) older.add(record);
    return asked;
  }

  /** Where there is no memory to show them they stay references from outside: nothing is freed that should not be. */
  private showOne(holder: Address, handles: readonly View[], claimed: Set<View>): void {
    const { i32 } = this;
    const { foreign } = this.context.core;
    const live = handles.filter(isOwned);
    const before = foreign.itemCount(holder);
    try {
      foreign.showItems(
        holder,
        live.map((view) => view["@address"]),
      );
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      return;
    }
    this.shown.push({ holder, ...before });
    for (const view of live) {
      if (!claimed.has(view)) claimed.add(view);
      else {
        // One handle has one count: it cannot explain two references.
        i32[view["@address"] + HEADER_REFCOUNT]++;
        this.raised.push(view["@address"]);
      }
    }
  }

  hide(): void {
    for (const { holder, ...before } of this.shown) this.context.core.foreign.hideItems(holder, before);
    for (const object of this.raised) this.i32[object + HEADER_REFCOUNT]--;
    this.shown = [];
    this.raised = [];
  }

  /** What the garbage holds is its own to release. */
  keepValid(): void {
    for (const { handles } of this.snapshots)
      for (const handle of handles)
        if (handle["@serial"] !== RELEASED) {
          const serial = this.i32[handle["@address"] + HEADER_SERIAL];
          const owner = handle["@owner"];
          Reflect.set(handle, "@serial", serial);
          if (typeof owner !== "symbol") owner.serial = serial;
        }
  }

  isEmpty(): boolean {
    return this.byGeneration.every((records) => records.size === 0);
  }

  forget(): void {
    this.asked = [];
    this.snapshots = [];
  }
}
