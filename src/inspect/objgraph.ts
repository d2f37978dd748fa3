/**
 * The six verbs of Python's objgraph: which types there are most of, which grow, who holds an object and what it holds,
 * and which objects hold one another.
 */
import type { Context } from "../host/context.js";
import { Heap } from "../host/heap.js";
import { show } from "../host/schema.js";
import type { Borrowed } from "../host/types.js";
import { asView } from "../host/view.js";
import { InvalidArgumentError } from "../memory/errors.js";
import {
  type Address,
  FLAG_DYING,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  TYPE_ID_MASK,
  TYPE_ID_STRING,
} from "../memory/layout.js";
import { requireFunction } from "./arguments.js";
import { findCyclicComponents } from "./components.js";
import { edgeName } from "./edge-name.js";
import { edgeSource, type RootHold } from "./graph.js";
import { pathText } from "./paths.js";
import { reachedFrom } from "./reach.js";
import { type HeapSnapshot, takeSnapshot } from "./snapshot.js";
import { describeTypes, typeNameStrings } from "./type-info.js";

/** How many objects of a type there are. */
export interface TypeCount {
  /** The type as it would be written: "TreeNode", "list(f64)", "str". */
  readonly typeName: string;
  readonly count: number;
}

/** How many more objects of a type there are than there ever were at an earlier call. */
export interface TypeGrowth extends TypeCount {
  readonly delta: number;
}

/** Objects of each type, the most common first. Strings count. O(objects). */
export function mostCommonTypes(heap: Heap, limit = 10): TypeCount[] {
  const counts = [...countTypes(contextOf(heap))];
  counts.sort(([name, one], [otherName, other]) => other - one || byName(name, otherName));
  return counts.slice(0, checkLimit(limit)).map(([typeName, count]) => ({ typeName, count }));
}

/** By heap: the most objects of each type that any call of `growth` has seen. */
const peaks = new WeakMap<Heap, Map<string, number>>();

/**
 * The types that have grown past what any earlier call for this heap has seen, fastest first. The first call tells of
 * everything; call it again after the work that should leave nothing behind. O(objects).
 */
export function growth(heap: Heap, limit = 10): TypeGrowth[] {
  const counts = countTypes(contextOf(heap));
  checkLimit(limit);
  const peak = peaks.get(heap) ?? new Map<string, number>();
  peaks.set(heap, peak);
  const grown: TypeGrowth[] = [];
  for (const [typeName, count] of counts) {
    const before = peak.get(typeName) ?? 0;
    if (count <= before) continue;
    peak.set(typeName, count);
    grown.push({ typeName, count, delta: count - before });
  }
  grown.sort((one, other) => other.delta - one.delta || byName(one.typeName, other.typeName));
  return grown.slice(0, limit);
}

/**
 * The objects of one type, in address order, borrowed: "TreeNode", "list(f64)", or "list" for lists of anything. Strings are
 * no objects to a program: there are none of type "str". O(objects).
 */
export function byType(heap: Heap, typeName: string): Borrowed[] {
  const context = contextOf(heap);
  const types = describeTypes(context);
  const isWanted = types.map(({ name, text }) => name === typeName || text === typeName);
  const found: Borrowed[] = [];
  for (const object of liveObjects(context)) {
    const id = context.core.memory.i32[object + HEADER_TYPE] & TYPE_ID_MASK;
    if (isWanted[id] && id !== TYPE_ID_STRING) found.push(context.binder.view(object) as unknown as Borrowed);
  }
  return found;
}

function countTypes(context: Context): Map<string, number> {
  const { i32 } = context.core.memory;
  const types = describeTypes(context);
  const byId = new Float64Array(types.length);
  for (const object of liveObjects(context)) byId[i32[object + HEADER_TYPE] & TYPE_ID_MASK]++;
  const counts = new Map<string, number>();
  for (const [id, { text }] of types.entries())
    if (byId[id] > 0) counts.set(text, (counts.get(text) ?? 0) + byId[id]);
  return counts;
}

/** Without the names of types, the list behind `gc.garbage`, and what dies around a finalizer. */
function* liveObjects(context: Context): IterableIterator<Address> {
  const { allocator, memory, garbageTypeId } = context.core;
  const { i32 } = memory;
  const names = typeNameStrings(context);
  for (const object of allocator.objects()) {
    const header = i32[object + HEADER_TYPE];
    const isInternal = (header & TYPE_ID_MASK) === garbageTypeId || names.has(object);
    if (!isInternal && (header & FLAG_DYING) === 0 && i32[object + HEADER_REFCOUNT] > 0) yield object;
  }
}

/** A way from a holder to what it holds. */
export interface BackrefChain {
  /** The objects on it, borrowed, the holder first and the object asked for last; strings are left out. */
  readonly objects: readonly Borrowed[];
  /** The chain of owners: `root (handle made at load (file:///app.js:3:9)) <- Cache.entries[3] <- Texture.gpu`. */
  readonly text: string;
  /** How JavaScript holds the first object; none where it does not. */
  readonly holds: readonly RootHold[];
}

/**
 * A shortest chain of references that leads to an object: from what JavaScript holds, or from an object for which `isHolder`
 * says yes. O(objects + references).
 * @returns undefined where there is none: the object is garbage, or nothing that holds it is a holder
 */
export function findBackrefChain(
  ref: Borrowed,
  isHolder?: (object: Borrowed) => boolean,
): BackrefChain | undefined {
  if (isHolder !== undefined) requireFunction(isHolder, "What findBackrefChain asks of each object");
  const snapshot = takeSnapshot(heapOf(ref));
  const node = snapshot.nodeOf(ref)!;
  const path = isHolder === undefined ? pathFromRoot(snapshot, node) : pathFrom(snapshot, node, isHolder);
  if (path === undefined) return undefined;
  const { graph } = snapshot;
  const nodes = [
    ...(path.length > 0 ? [edgeSource(graph, path[0])] : [node]),
    ...path.map((edge) => graph.edgeTarget[edge]),
  ].filter((one) => one !== 0);
  return {
    objects: nodes.map((one) => snapshot.object(one)).filter((object) => object !== undefined),
    text: pathText(graph, path),
    holds: snapshot.holds(nodes[0]),
  };
}

function pathFromRoot(snapshot: HeapSnapshot, node: number): number[] | undefined {
  const nodes = snapshot.retainingNodes(node);
  if (nodes[1] === snapshot.garbageNode) return undefined;
  return nodes.slice(1).map((one) => snapshot.graph.pathEdge[one]);
}

/** Breadth first, against the references. */
function pathFrom(
  snapshot: HeapSnapshot,
  node: number,
  isHolder: (object: Borrowed) => boolean,
): number[] | undefined {
  const { graph } = snapshot;
  const { first, edge } = snapshot.incomingEdges();
  /** The edge that leads from a node towards the object. */
  const towards = new Map<number, number>([[node, -1]]);
  for (const one of towards.keys()) {
    const object = snapshot.object(one);
    if (object !== undefined && isHolder(object)) {
      const path: number[] = [];
      for (let step = towards.get(one)!; step !== -1; step = towards.get(graph.edgeTarget[step])!)
        path.push(step);
      return path;
    }
    for (let index = first[one]; index < first[one + 1]; index++) {
      const source = edgeSource(graph, edge[index]);
      if (!towards.has(source)) towards.set(source, edge[index]);
    }
  }
  return undefined;
}

/** Objects of which each leads to each: counts alone never free them. */
export interface Cycle {
  /** How many objects. */
  readonly size: number;
  /** Bytes of their blocks and storage. */
  readonly bytes: number;
  /** How many of each type, the most common first. */
  readonly types: ReadonlyMap<string, number>;
  /** Whether it waits for a collection: nothing that JavaScript holds leads to it. */
  readonly isGarbage: boolean;
  /** A shortest way round as text: `Node.next -> Node.previous -> back`. O(references among the objects). */
  text(): string;
  /** The objects, borrowed. O(size). */
  objects(): Borrowed[];
}

/** Groups of objects that hold one another, smallest first: the strongly connected components with a cycle. O(objects + references). */
export function findCycles(heap: Heap): Cycle[] {
  return cyclesIn(takeSnapshot(heap));
}

/** The same in a snapshot that was taken. */
export function cyclesIn(snapshot: HeapSnapshot): Cycle[] {
  const { graph } = snapshot;
  const isHeld = reachedFrom(graph, 0, snapshot.garbageNode);
  return findCyclicComponents(graph).map((nodes) => ({
    size: nodes.length,
    bytes: nodes.reduce((sum, node) => sum + snapshot.selfSize(node), 0),
    types: countNodeTypes(snapshot, nodes),
    isGarbage: isHeld[nodes[0]] === 0,
    text: () => wayRound(snapshot, nodes),
    objects: () => [...nodes].map((node) => snapshot.object(node)).filter((object) => object !== undefined),
  }));
}

function countNodeTypes(snapshot: HeapSnapshot, nodes: Uint32Array): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of nodes) {
    const name = snapshot.typeName(node);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return new Map([...counts].sort(([, one], [, other]) => other - one));
}

/** Of a longer way the middle is left out. */
const STEPS_SHOWN = 20;

/** From the first node of a component back to it. */
function wayRound(snapshot: HeapSnapshot, nodes: Uint32Array): string {
  const { graph } = snapshot;
  const members = new Set(nodes);
  const [start] = nodes;
  const cameBy = new Map<number, number>();
  const queue = [start];
  for (const node of queue)
    for (let edge = graph.firstEdge[node]; edge < graph.firstEdge[node + 1]; edge++) {
      const target = graph.edgeTarget[edge];
      if (!members.has(target) || cameBy.has(target)) continue;
      cameBy.set(target, edge);
      queue.push(target);
    }
  const steps: string[] = [];
  let at = start;
  do {
    const edge = cameBy.get(at)!;
    at = edgeSource(graph, edge);
    const name = edgeName(graph, edge, at);
    steps.push(`${snapshot.describe(at)}${name.startsWith("[") ? "" : "."}${name}`);
  } while (at !== start);
  steps.reverse();
  const left = steps.length - STEPS_SHOWN;
  if (left > 1) steps.splice(STEPS_SHOWN - 1, left, `... ${left} more`);
  return `${steps.join(" -> ")} -> back`;
}

function byName(one: string, other: string): number {
  return one < other ? -1 : 1;
}

function heapOf(ref: Borrowed): Heap {
  const view = asView(ref);
  if (view === undefined)
    throw new InvalidArgumentError(`Expected a reference to a heap object, got ${show(ref)}.`);
  return view["@type"].context.heap;
}

function contextOf(heap: Heap): Context {
  const context = Heap.contextOf(heap);
  context.requireReadable();
  return context;
}

function checkLimit(limit: number): number {
  if (typeof limit === "number" && limit >= 0) return limit;
  throw new InvalidArgumentError(`A limit is a number of at least 0, got ${show(limit)}.`);
}
