/** What holds on to objects from outside the heap: handles, with their lines; pools; values that the heap owns. */
import type { Context } from "../host/context.js";
import { isOwned, type RecordedHandle } from "../host/handle.js";
import type { View } from "../host/view.js";
import { HeapBusyError } from "../memory/errors.js";
import type { Address } from "../memory/layout.js";
import { forEachParcel } from "../object/parcels.js";
import type { RootHold } from "./graph.js";

/** A handle that a value of the heap holds. */
export interface HeldHandle {
  readonly target: Address;
  /** Whether it is the handle's first mention: a handle has one count, however many values name it. */
  readonly isFirst: boolean;
}

export interface Holds {
  /** By foreign object: the handles that its value names. They are its edges and no roots. */
  readonly held: ReadonlyMap<Address, readonly HeldHandle[]>;
  /** By object: the recorded handles to it, one entry a line, and the parcels with it. */
  readonly recorded: ReadonlyMap<Address, readonly RootHold[]>;
  /** Instances that their pool has at hand. */
  readonly pooled: ReadonlySet<Address>;
}

/**
 * Ask every value for its handles, then note who holds what. Runs user code: `traverse`.
 * @throws HeapBusyError where a `traverse` asks for this: it would be called to answer, without end
 */
export function findHolds(context: Context): Holds {
  if (context.foreign.held.isAsking) throw new HeapBusyError("looked into", "`traverse` of an adopted value");
  const asked = context.foreign
    .list()
    .filter((record) => record.traverse !== undefined)
    .map((record) => ({ record, handles: context.foreign.held.handlesOf(record) }));
  const claimed = new Set<View>();
  const held = new Map<Address, HeldHandle[]>();
  // Only now that no user code runs any more is it certain what lives.
  for (const { record, handles } of asked) {
    if (context.foreign.recordOf(record.object) !== record) continue;
    const named = handles.filter(isOwned).map((view) => {
      const isFirst = !claimed.has(view);
      claimed.add(view);
      return { target: view["@address"], isFirst };
    });
    held.set(record.object, named);
  }
  const recorded = recordedHandles(context, claimed);
  addParcels(context, recorded);
  return { held, recorded, pooled: context.pools.atHand() };
}

/** References that were sent to another thread and that nobody has received, with the lines that sent them. */
function addParcels({ core }: Context, recorded: Map<Address, RootHold[]>): void {
  forEachParcel(core.memory.i32, (object, site) => {
    const madeAt = core.strings.read(site);
    const hold: RootHold = { kind: "parcel", count: 1, ...(madeAt.trim() !== "" && { madeAt }) };
    recorded.set(object, [...(recorded.get(object) ?? []), hold]);
  });
}

/** Those of values are left out: they have an owner. */
function recordedHandles(context: Context, claimed: ReadonlySet<View>): Map<Address, RootHold[]> {
  const owners = new Set([...claimed].map((view) => view["@owner"]));
  const byLine = new Map<Address, Map<string, RecordedHandle[]>>();
  for (const record of context.handles.records) {
    if (owners.has(record)) continue;
    let lines = byLine.get(record.address);
    if (lines === undefined) {
      lines = new Map();
      byLine.set(record.address, lines);
    }
    const line = `${record.isReported === true} ${record.madeAt}`;
    const group = lines.get(line);
    if (group === undefined) lines.set(line, [record]);
    else group.push(record);
  }
  const recorded = new Map<Address, RootHold[]>();
  for (const [address, lines] of byLine)
    recorded.set(
      address,
      Array.from(lines.values(), (group) => ({
        kind: "handle",
        count: group.length,
        madeAt: group[0].madeAt,
        isDropped: group[0].isReported === true,
      })),
    );
  return recorded;
}
