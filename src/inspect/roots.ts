/** Handles as roots: what JavaScript itself keeps alive. */
import { Heap } from "../host/heap.js";
import type { Borrowed } from "../host/types.js";
import { addressOf, asView } from "../host/view.js";
import { InvalidArgumentError } from "../memory/errors.js";
import { holdOf, typeNameOf } from "./edge-name.js";
import type { RootHold } from "./graph.js";
import { copyGraph } from "./graph-copy.js";

/** A handle that has not been released. */
export interface Root {
  /** The object, borrowed. */
  readonly object: Borrowed;
  /** Name of its type. */
  readonly typeName: string;
  /** Stack frames of the call that made the handle, innermost first, one a line. */
  readonly madeAt: string;
}

/**
 * This thread's handles whose lines were recorded and that are still held, oldest first. Which ones are recorded depends on the
 * heap's `checks`; `{ handles: { every: 1 } }` records all, `off` none. O(recorded handles).
 */
export function roots(heap: Heap): Root[] {
  const context = Heap.contextOf(heap);
  context.requireReadable();
  return [...context.handles.records].map(({ type, address, madeAt }) => ({
    object: type.view(address) as unknown as Borrowed,
    typeName: type.name,
    madeAt,
  }));
}

/** The recorded handles to one object: the lines that keep it alive from JavaScript. O(recorded handles). */
export function rootsOf(ref: Borrowed): Root[] {
  const view = asView(ref);
  if (view === undefined) throw new InvalidArgumentError("rootsOf takes a reference to a heap object.");
  const address = addressOf(view);
  const { heap, handles } = view["@type"].context;
  return [...handles.records].some((record) => record.address === address)
    ? roots(heap).filter(({ object }) => asView(object)?.["@address"] === address)
    : [];
}

/** References from outside the heap that have type, kind and line in common. */
export interface RootGroup extends RootHold {
  /** The type of what they hold, as it would be written: "TreeNode", "list(f64)". */
  readonly typeName: string;
}

/**
 * Everything that is held from outside, most references first: handles by type and line, those without a line counted by type,
 * what pools have at hand, what `gc.garbage` keeps. Handles that values name in their `traverse` are left out: they have an
 * owner. Together with references inside the heap these are all that there are. Runs `traverse`; O(objects + references).
 */
export function rootGroups(heap: Heap): RootGroup[] {
  const context = Heap.contextOf(heap);
  context.requireReadable();
  const graph = copyGraph(context);
  const groups = new Map<string, RootGroup>();
  for (let edge = 0; edge < graph.firstEdge[1]; edge++) {
    const hold = holdOf(graph, edge);
    if (hold.kind === "garbage") continue;
    const typeName = typeNameOf(graph, graph.edgeTarget[edge]);
    const key = JSON.stringify([typeName, hold.kind, hold.isDropped, hold.madeAt]);
    const count = hold.count + (groups.get(key)?.count ?? 0);
    groups.set(key, { typeName, ...hold, count });
  }
  return [...groups.values()].sort((one, other) => other.count - one.count);
}
