/** Copying the object graph of a heap into columns (graph.ts): a few passes over the objects, each in address order. */
import type { Context } from "../host/context.js";
import {
  type Address,
  CONTROL_GARBAGE,
  FLAG_DYING,
  GRANULE_SHIFT,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  KIND_STORAGE,
  KIND_STRING,
  LIST_LENGTH,
  PAGE_BLOCK_WORDS,
  PAGE_CAPACITY,
  PAGE_LARGE,
  PAGE_SHIFT,
  PAGE_SMALL,
  PAGE_STATE,
  STRING_LENGTH,
  TABLE_SIZE,
  TYPE_ID_MASK,
} from "../memory/layout.js";
import { holdsReference } from "../object/slot.js";
import { keptTextWords, Label, type ObjectGraph, type RootHold } from "./graph.js";
import { GraphColumns } from "./graph-columns.js";
import { findHolds, type Holds } from "./graph-roots.js";
import { ObjectCopy } from "./object-copy.js";
import { entriesOfUnreached, walkFrom } from "./reach.js";
import { describeTypes, type TypeInfo, typeNameStrings } from "./type-info.js";

/**
 * Copy the graph. Runs user code first: `traverse` of adopted values, which may even collect.
 * O(objects + references), with a word for every 16 bytes of the heap while it runs.
 */
export function copyGraph(context: Context): ObjectGraph {
  const outside = findHolds(context);
  context.requireReadable(); // user code may have ended the heap
  return new GraphCopy(context, outside).run();
}

class GraphCopy {
  private readonly context: Context;
  private readonly i32: Int32Array;
  private readonly types: readonly TypeInfo[];
  private readonly outside: Holds;
  /** By granule of an object's address: its node. Others have 0. */
  private readonly nodeOf: Uint32Array;
  declare private columns: GraphColumns;

  constructor(context: Context, outside: Holds) {
    this.context = context;
    this.i32 = context.core.memory.i32;
    this.types = describeTypes(context);
    this.outside = outside;
    this.nodeOf = new Uint32Array((context.core.allocator.wordsTouchedMax >>> GRANULE_SHIFT) + 1);
  }

  run(): ObjectGraph {
    const { objects, edgesMax, textWordsMax } = this.numberObjects();
    // Each object may have an edge from the root for unrecorded handles, one for each recorded line, a pool's, and one
    // as an entry to the garbage.
    const fromRoot = 3 * (objects + 2) + this.context.handles.records.size;
    const columns = new GraphColumns(objects, edgesMax + fromRoot, textWordsMax);
    this.columns = columns;
    this.listAddresses();
    const copy = new ObjectCopy(this.context, this.types, this.outside, this.nodeOf, columns);
    for (let node = 1; node <= objects; node++) copy.copy(node);
    columns.firstEdge[objects + 1] = columns.edgeCount;
    this.addRootEdges(objects, copy.internal);
    const { pathEdge, garbageNode } = this.walk();
    return columns.finish(this.types, garbageNode, pathEdge);
  }

  // -- nodes ----------------------------------------------------------------------------------

  /** Give every live object its number, and find out how much room all the rest needs at most. */
  private numberObjects(): { objects: number; edgesMax: number; textWordsMax: number } {
    const { i32, nodeOf } = this;
    const names = typeNameStrings(this.context);
    let objects = 0;
    let edgesMax = 0;
    let textWordsMax = 0;
    for (const { first, end, words } of this.objectPages())
      for (let object = first; object < end; object += words) {
        if (!this.isShown(object)) continue;
        const type = this.types[i32[object + HEADER_TYPE] & TYPE_ID_MASK];
        if (type.kind === KIND_STRING) {
          if (names.has(object)) continue;
          textWordsMax += keptTextWords(i32[object + STRING_LENGTH]) + 1;
        } else edgesMax += this.edgesMaxOf(object, type);
        nodeOf[object >>> GRANULE_SHIFT] = ++objects;
      }
    return { objects, edgesMax, textWordsMax };
  }

  /** Not what is dying around a finalizer; nor the list behind `gc.garbage` while nothing is in it. */
  private isShown(object: Address): boolean {
    const { i32 } = this;
    const header = i32[object + HEADER_TYPE];
    if (header === 0 || (header & FLAG_DYING) !== 0 || i32[object + HEADER_REFCOUNT] <= 0) return false;
    return (
      object !== i32[CONTROL_GARBAGE] || i32[object + LIST_LENGTH] > 0 || i32[object + HEADER_REFCOUNT] > 1
    );
  }

  private edgesMaxOf(object: Address, type: TypeInfo): number {
    const { i32 } = this;
    switch (type.kind) {
      case KIND_LIST:
        return holdsReference(type.itemSlot) ? i32[object + LIST_LENGTH] : 0;
      case KIND_DICT:
      case KIND_SET:
        return i32[object + TABLE_SIZE] * 2;
      case KIND_FOREIGN: {
        const own = this.context.core.types.isHolder(object) ? i32[object + LIST_LENGTH] : 0;
        return own + (this.outside.held.get(object)?.length ?? 0);
      }
      default:
        return type.offsets.length;
    }
  }

  private listAddresses(): void {
    const { nodeOf, columns } = this;
    for (const { first, end, words } of this.objectPages())
      for (let object = first; object < end; object += words) {
        const node = nodeOf[object >>> GRANULE_SHIFT];
        if (node === 0) continue;
        columns.address[node] = object;
        columns.words[node] = words;
      }
  }

  /** The pages of object blocks, in address order: the first block, the end of the last, and the words of each. */
  private *objectPages(): IterableIterator<{ first: Address; end: Address; words: number }> {
    const { i32 } = this;
    for (const { page, descriptor } of this.context.core.allocator.pageRuns()) {
      const state = i32[descriptor + PAGE_STATE] & 0xff;
      if (state === PAGE_SMALL + KIND_STORAGE || state === PAGE_LARGE + KIND_STORAGE) continue;
      const words = i32[descriptor + PAGE_BLOCK_WORDS];
      const first = page << PAGE_SHIFT;
      yield { first, end: first + i32[descriptor + PAGE_CAPACITY] * words, words };
    }
  }

  // -- the root -------------------------------------------------------------------------------

  /** References that no object has are held from outside. */
  private addRootEdges(objects: number, internal: Int32Array): void {
    const { columns } = this;
    const inside = columns.edgeCount;
    for (let node = 1; node <= objects; node++) {
      const count = this.i32[columns.address[node] + HEADER_REFCOUNT] - internal[node];
      if (count > 0) this.addHolds(node, count);
    }
    columns.moveToFront(inside);
  }

  private addHolds(node: number, count: number): void {
    const object = this.columns.address[node];
    let rest = count;
    if (object === this.i32[CONTROL_GARBAGE]) rest -= this.addHold(node, { kind: "gc.garbage", count: 1 });
    if (this.outside.pooled.has(object)) rest -= this.addHold(node, { kind: "pool", count: 1 });
    for (const hold of this.outside.recorded.get(object) ?? []) rest -= this.addHold(node, hold);
    if (rest > 0) this.columns.addEdge(node, (rest << Label.SHIFT) | Label.UNRECORDED);
  }

  private addHold(node: number, hold: RootHold): number {
    const { columns } = this;
    columns.holds.push(hold);
    columns.addEdge(node, ((columns.holds.length - 1) << Label.SHIFT) | Label.HOLD);
    return hold.count;
  }

  // -- what the root reaches ------------------------------------------------------------------

  /** Garbage that waits for a collection gets a node of its own, from which all of it can be reached. */
  private walk(): { pathEdge: Int32Array; garbageNode: number } {
    const { columns } = this;
    const pathEdge = new Int32Array(columns.nodeCount + 1).fill(-1);
    const reached = walkFrom(columns, 0, pathEdge);
    if (reached === columns.nodeCount) return { pathEdge: pathEdge.subarray(0, reached), garbageNode: 0 };
    const entries = entriesOfUnreached(columns, pathEdge);
    const garbageNode = columns.nodeCount;
    columns.holds.push({ kind: "garbage", count: 1 });
    const rootEdge = columns.addRootEdge(
      garbageNode,
      ((columns.holds.length - 1) << Label.SHIFT) | Label.HOLD,
    );
    for (let node = 1; node < garbageNode; node++) if (pathEdge[node] >= rootEdge) pathEdge[node]++;
    for (const entry of entries) columns.addEdge(entry, Label.SLOT);
    columns.nodeCount++;
    columns.firstEdge[garbageNode + 1] = columns.edgeCount;
    pathEdge[garbageNode] = rootEdge;
    walkFrom(columns, garbageNode, pathEdge);
    return { pathEdge, garbageNode };
  }
}
