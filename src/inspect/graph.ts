/**
 * The object graph as columns: one typed array for each property of nodes and edges, so that a million objects take some
 * 25 bytes each and 8 bytes a reference, and every walk over them is a loop over numbers. It is a copy: the heap may go
 * on meanwhile.
 *
 *   node 0        the root: JavaScript. Its edges lead to whatever is held from outside the heap
 *   node 1 .. n   objects, strings included, in address order
 *   node n + 1    only where garbage waits for a collection: its edges lead to that
 *
 * The edges of node v are firstEdge[v] .. firstEdge[v + 1] - 1. An edge's label says where in its source it stands; its
 * name is made from that when somebody asks (edge-name.ts).
 */
import type { Address } from "../memory/layout.js";
import type { TypeInfo } from "./type-info.js";

/** What walks over nodes and edges need, and what tests can make without a heap. Node 0 is where they start. */
export interface Flowgraph {
  readonly nodeCount: number;
  /** nodeCount + 1 entries: where the edges of each node start, and the end. */
  readonly firstEdge: Uint32Array;
  /** The node that each edge leads to. */
  readonly edgeTarget: Uint32Array;
}

/** Why something is held from outside the heap. */
export interface RootHold {
  readonly kind: "handle" | "parcel" | "pool" | "gc.garbage" | "garbage";
  /** References held so. */
  readonly count: number;
  /** Handles whose line was recorded, and parcels: its stack frames, innermost first, one a line. */
  readonly madeAt?: string;
  /** The handle was dropped by JavaScript without release. */
  readonly isDropped?: boolean;
}

export interface ObjectGraph extends Flowgraph {
  readonly types: readonly TypeInfo[];
  /** By node; 0 for the root and for the garbage. */
  readonly address: Int32Array;
  readonly serial: Int32Array;
  readonly typeId: Uint16Array;
  /** Words of the object's block and storage. */
  readonly words: Int32Array;
  /**
   * Strings: where the text stands in `texts`. Weak references: the target's node, or 0. Foreign objects: their place in
   * `foreign`, or 0 once the value is disposed.
   */
  readonly detail: Uint32Array;
  /** By edge: payload << Label.SHIFT | one of Label. */
  readonly edgeLabel: Int32Array;
  /** For each string its length word and as many words of text as are kept. */
  readonly texts: Int32Array;
  /** Keys of dicts that are no references, by their place in the labels. */
  readonly plainKeys: readonly PlainKey[];
  /** Values that the heap owns; entry 0 is empty. */
  readonly foreign: readonly ForeignNode[];
  /** What the labels of the root's edges name. */
  readonly holds: readonly RootHold[];
  /** The node of the garbage that waits for a collection, or 0 where there is none. */
  readonly garbageNode: number;
  /**
   * By node: the edge by which a breadth-first walk from the root came to it, that is, the last of a shortest path; -1 for
   * the root. Garbage is walked last.
   */
  readonly pathEdge: Int32Array;
}

export type PlainKey = number | bigint | boolean | null | "";

export interface ForeignNode {
  /** Of the value: the name of its class, or what it is. */
  readonly className: string;
  /** Bytes that the value holds outside the heap, as it was told. */
  readonly bytes: number;
}

/** What an edge's payload means, in the low bits of its label. Foreign objects and the root have meanings of their own. */
export const Label = {
  SHIFT: 2,
  MASK: 3,
  /** A field's number, an item's index; an entry's number for keys of dicts and members of sets. */
  SLOT: 0,
  /** A dict's value: the node of its key. */
  KEY_NODE: 1,
  /** A dict's value: the place of its key in `plainKeys`. */
  PLAIN_KEY: 2,
  /** Foreign objects: the number of the handle that the value holds. */
  HANDLE: 1,
  /** Root: how many handles without a line hold the target. */
  UNRECORDED: 0,
  /** Root: the place in `holds`. */
  HOLD: 1,
} as const;

/** Words of a text that are kept: 256 narrow characters, 128 wide ones. */
const TEXT_WORDS_MAX = 64;

/** How many words of a text the graph keeps, from a string's length word. */
export function keptTextWords(lengthWord: number): number {
  const units = lengthWord >>> 1;
  const words = (lengthWord & 1) === 0 ? (units + 3) >>> 2 : (units + 1) >>> 1;
  return Math.min(words, TEXT_WORDS_MAX);
}

/** The node that an edge comes from. O(log nodes). */
export function edgeSource(graph: Flowgraph, edge: number): number {
  const { firstEdge } = graph;
  let low = 0;
  let high = graph.nodeCount;
  // The last node whose edges start at or before this one: nodes without edges share their start with the next.
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (firstEdge[middle] <= edge) low = middle;
    else high = middle;
  }
  return low;
}

/** The node of an object that was at an address, or 0. O(log nodes). */
export function nodeAt(graph: ObjectGraph, address: Address): number {
  const end = graph.garbageNode === 0 ? graph.nodeCount : graph.garbageNode;
  let low = 1;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (graph.address[middle] < address) low = middle + 1;
    else high = middle;
  }
  return low < end && graph.address[low] === address ? low : 0;
}
