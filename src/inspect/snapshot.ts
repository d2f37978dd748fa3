/** What a heap looked like at one moment: who refers to whom, and how much each object keeps alive. */
import { Heap } from "../host/heap.js";
import { show } from "../host/schema.js";
import type { Borrowed } from "../host/types.js";
import { addressOf, asView } from "../host/view.js";
import { InvalidArgumentError } from "../memory/errors.js";
import { HEADER_SERIAL, KIND_FOREIGN, WORD_BYTES } from "../memory/layout.js";
import { devToolsChunks, devToolsText } from "./devtools.js";
import { type Dominators, findDominators, sumRetained } from "./dominators.js";
import { edgeName, holdOf, nodeText, typeNameOf } from "./edge-name.js";
import { edgeSource, nodeAt, type ObjectGraph, type RootHold } from "./graph.js";
import { copyGraph } from "./graph-copy.js";
import { findRetainers, pathText, type Retainers, retainingPaths, shortestPath } from "./paths.js";

/** A node and the reference between it and another: a field, item or key, as it would be written. */
export interface Reference {
  /** The node at the other end. */
  readonly node: number;
  /** "next", "[3]", '["key"]', "key", "holds[0]"; from the root, the handle and its line. */
  readonly edge: string;
}

/** Number and bytes of the objects of one type. */
export interface TypeTotal {
  /** How many objects. */
  readonly count: number;
  /** Bytes of their blocks and storage. */
  readonly bytes: number;
}

/** How a type's total has changed. */
export interface TypeDelta {
  /** Objects now, less those then. */
  readonly countDelta: number;
  /** Bytes now, less those then. */
  readonly bytesDelta: number;
}

/**
 * A copy of a heap's object graph. Nodes are numbers: 0 is the root, which stands for JavaScript and holds whatever is
 * held from outside; the others are objects in address order, strings included; where garbage waits for a collection, the
 * last node holds that. The copy owns nothing and stays as it is while the heap goes on.
 *
 * What a foreign value's `traverse` names is a reference of the foreign object, not of the root.
 */
export class HeapSnapshot {
  /** @internal The columns. */
  readonly graph: ObjectGraph;
  private readonly heap: Heap;
  private dominators: Dominators | undefined;
  private retained: Float64Array | undefined;
  private retainedAdopted: Float64Array | undefined;
  private incoming: Retainers | undefined;

  /** @internal `takeSnapshot` makes them. */
  constructor(heap: Heap, graph: ObjectGraph) {
    this.heap = heap;
    this.graph = graph;
  }

  /** How many nodes: objects, the root, and the garbage's if there is any. */
  get nodeCount(): number {
    return this.graph.nodeCount;
  }
  /** How many references, those of the root included. */
  get edgeCount(): number {
    return this.graph.edgeTarget.length;
  }
  /** The node that holds what waits for a collection; undefined where nothing does. */
  get garbageNode(): number | undefined {
    return this.graph.garbageNode === 0 ? undefined : this.graph.garbageNode;
  }

  /** Name of a node's type as it would be written: "TreeNode", "list(f64)", "str"; "root" and "garbage" for those two. O(1). */
  typeName(node: number): string {
    return typeNameOf(this.graph, this.check(node));
  }
  /** A node in words: its type, the text of a string, the class of a foreign value. Control characters are escaped. */
  describe(node: number): string {
    return nodeText(this.graph, this.check(node));
  }
  /** Where the object is: a word index into the heap's memory; 0 for nodes that are no object. O(1). */
  address(node: number): number {
    return this.graph.address[this.check(node)];
  }

  /** The node of an object, or undefined for one that is younger than the snapshot. O(log nodes). @throws InvalidArgumentError */
  nodeOf(ref: Borrowed): number | undefined {
    const view = asView(ref);
    if (view === undefined || view["@type"].context !== Heap.contextOf(this.heap))
      throw new InvalidArgumentError(
        "nodeOf takes a reference to an object of the heap that the snapshot is of.",
      );
    const address = addressOf(view);
    const node = nodeAt(this.graph, address);
    return node !== 0 &&
      this.graph.serial[node] === view["@type"].context.core.memory.i32[address + HEADER_SERIAL]
      ? node
      : undefined;
  }

  /** A node's object, borrowed; undefined if it has died since, or is a string or no object. O(1). */
  object(node: number): Borrowed | undefined {
    const { address, serial } = this.graph;
    const context = Heap.contextOf(this.heap);
    context.requireReadable();
    const at = address[this.check(node)];
    const isSame = at !== 0 && context.core.memory.i32[at + HEADER_SERIAL] === serial[node];
    return isSame && context.binder.isBound(at)
      ? (context.binder.view(at) as unknown as Borrowed)
      : undefined;
  }

  // -- sizes ----------------------------------------------------------------------------------

  /** Bytes of the object's block and storage, slack included. O(1). */
  selfSize(node: number): number {
    return this.graph.words[this.check(node)] * WORD_BYTES;
  }
  /** Bytes that a foreign object's value holds outside the heap; 0 for all others. O(1). */
  adoptedBytes(node: number): number {
    return adoptedBytesOf(this.graph, this.check(node));
  }
  /** Bytes that would be freed with the object: of all it dominates. The first call is O(references x log nodes). */
  retainedSize(node: number): number {
    this.retained ??= sumRetained(this.findDominators(), (one) => this.graph.words[one] * WORD_BYTES);
    return this.retained[this.check(node)];
  }
  /** Bytes outside the heap that would be given back with the object. Costs what `retainedSize` does. */
  retainedAdoptedBytes(node: number): number {
    this.retainedAdopted ??= sumRetained(this.findDominators(), (one) => adoptedBytesOf(this.graph, one));
    return this.retainedAdopted[this.check(node)];
  }
  /** The nearest node through which every way from the root to this one leads; the root's is itself. */
  immediateDominator(node: number): number {
    return this.findDominators().immediateDominator[this.check(node)];
  }

  private findDominators(): Dominators {
    this.dominators ??= findDominators(this.graph);
    return this.dominators;
  }

  // -- references -----------------------------------------------------------------------------

  /** What refers to a node, the root included. The first call is O(references). */
  *retainers(node: number): IterableIterator<Reference> {
    const { first, edge } = this.findRetainers(node);
    for (let index = first[node]; index < first[node + 1]; index++) {
      const source = edgeSource(this.graph, edge[index]);
      yield { node: source, edge: edgeName(this.graph, edge[index], source) };
    }
  }
  /** What a node refers to, in the order of its fields, items or entries. */
  *references(node: number): IterableIterator<Reference> {
    const { firstEdge, edgeTarget } = this.graph;
    const end = firstEdge[this.check(node) + 1];
    for (let edge = firstEdge[node]; edge < end; edge++)
      yield { node: edgeTarget[edge], edge: edgeName(this.graph, edge, node) };
  }
  /** How the root holds a node directly: handles with their lines, a pool, `gc.garbage`. */
  holds(node: number): RootHold[] {
    const { first, edge } = this.findRetainers(node);
    const found: RootHold[] = [];
    for (let index = first[node]; index < first[node + 1]; index++)
      if (edge[index] < this.graph.firstEdge[1]) found.push(holdOf(this.graph, edge[index]));
    return found;
  }
  /**
   * A shortest chain of owners as text, root first: `root (handle made at load (file:///app.js:3:9)) <- Cache.entries[3]
   * <- Texture.gpu`. Containers are written behind the field that holds them. O(length x log nodes).
   */
  retainingPath(node: number): string {
    return pathText(this.graph, shortestPath(this.graph, this.check(node)));
  }
  /** At most `limit` chains that differ in the last reference, shortest first. */
  retainingPaths(node: number, limit = 5): string[] {
    const paths = retainingPaths(this.graph, this.findRetainers(node), node, limit);
    return paths.map((path) => pathText(this.graph, path));
  }
  /** Nodes on a shortest way from the root to a node, both included. */
  retainingNodes(node: number): number[] {
    return [0, ...shortestPath(this.graph, this.check(node)).map((edge) => this.graph.edgeTarget[edge])];
  }

  private findRetainers(node: number): Retainers {
    this.check(node);
    return this.incomingEdges();
  }
  /** @internal The edges that lead to each node. */
  incomingEdges(): Retainers {
    this.incoming ??= findRetainers(this.graph);
    return this.incoming;
  }

  // -- types ----------------------------------------------------------------------------------

  /** Number and bytes of the objects of each type, most bytes first. O(nodes). */
  byType(): ReadonlyMap<string, TypeTotal> {
    const { graph } = this;
    const counts = new Float64Array(graph.types.length);
    const words = new Float64Array(graph.types.length);
    for (let node = 1; node < graph.nodeCount; node++) {
      counts[graph.typeId[node]]++;
      words[graph.typeId[node]] += graph.words[node];
    }
    const totals = new Map<string, { count: number; bytes: number }>();
    for (const [id, { text }] of graph.types.entries()) {
      if (id === 0 || counts[id] === 0) continue;
      const { count, bytes } = totals.get(text) ?? { count: 0, bytes: 0 };
      totals.set(text, { count: count + counts[id], bytes: bytes + words[id] * WORD_BYTES });
    }
    return new Map([...totals].sort(([, one], [, other]) => other.bytes - one.bytes));
  }

  /** The types whose totals differ from an earlier snapshot's, largest growth in bytes first. O(nodes of both). @throws InvalidArgumentError */
  diff(earlier: HeapSnapshot): ReadonlyMap<string, TypeDelta> {
    if (!(earlier instanceof HeapSnapshot))
      throw new InvalidArgumentError(`diff takes another snapshot, got ${show(earlier)}.`);
    const now = this.byType();
    const then = earlier.byType();
    const none = { count: 0, bytes: 0 };
    const deltas = [...new Set([...now.keys(), ...then.keys()])].map((type): [string, TypeDelta] => {
      const { count, bytes } = now.get(type) ?? none;
      const before = then.get(type) ?? none;
      return [type, { countDelta: count - before.count, bytesDelta: bytes - before.bytes }];
    });
    return new Map(
      deltas
        .filter(([, { countDelta, bytesDelta }]) => countDelta !== 0 || bytesDelta !== 0)
        .sort(([, one], [, other]) => other.bytesDelta - one.bytesDelta || other.countDelta - one.countDelta),
    );
  }

  // -- export ---------------------------------------------------------------------------------

  /**
   * The text of a .heapsnapshot file, which Chrome's DevTools opens (Memory, Load profile). O(nodes + references).
   * @throws HeapError "SNAPSHOT_TOO_LARGE" where it would be longer than a string can be: write `devToolsChunks()` then
   */
  toDevTools(): string {
    return devToolsText(this.graph);
  }
  /** The same text in pieces of some 64 KiB, for a stream. */
  devToolsChunks(): IterableIterator<string> {
    return devToolsChunks(this.graph);
  }

  private check(node: number): number {
    if (Number.isInteger(node) && node >= 0 && node < this.graph.nodeCount) return node;
    throw new InvalidArgumentError(
      `A node is a whole number from 0 to ${this.graph.nodeCount - 1}, got ${String(node)}.`,
    );
  }
}

function adoptedBytesOf(graph: ObjectGraph, node: number): number {
  return graph.types[graph.typeId[node]].kind === KIND_FOREIGN ? graph.foreign[graph.detail[node]].bytes : 0;
}

/**
 * A copy of a heap's object graph: columns of numbers, some 30 bytes an object and 8 a reference. The `traverse` of adopted
 * values runs first, which is user code. O(objects + references). @throws HeapBusyError from within such a `traverse`
 */
export function takeSnapshot(heap: Heap): HeapSnapshot {
  const context = Heap.contextOf(heap);
  context.requireReadable();
  return new HeapSnapshot(heap, copyGraph(context));
}
