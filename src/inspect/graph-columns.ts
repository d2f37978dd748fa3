/** The columns of an object graph (graph.ts) while they are filled. */

import type { ForeignNode, ObjectGraph, PlainKey, RootHold } from "./graph.js";
import type { TypeInfo } from "./type-info.js";

/** Nodes from 1 on are objects; their edges are added in the order of the nodes. Those of the root come last and stand first. */
export class GraphColumns {
  nodeCount: number;
  readonly address: Int32Array;
  readonly serial: Int32Array;
  readonly typeId: Uint16Array;
  readonly words: Int32Array;
  readonly detail: Uint32Array;
  readonly firstEdge: Uint32Array;
  readonly edgeTarget: Uint32Array;
  readonly edgeLabel: Int32Array;
  readonly texts: Int32Array;
  readonly plainKeys: PlainKey[] = [];
  readonly foreign: ForeignNode[] = [{ className: "", bytes: 0 }];
  readonly holds: RootHold[] = [];
  edgeCount = 0;
  textWords = 0;

  /** Memory that is never written is never committed, so the upper bounds cost nothing but address space. */
  constructor(objects: number, edgesMax: number, textWordsMax: number) {
    const nodes = objects + 2; // the root and the garbage
    this.nodeCount = objects + 1;
    this.address = new Int32Array(nodes);
    this.serial = new Int32Array(nodes);
    this.typeId = new Uint16Array(nodes);
    this.words = new Int32Array(nodes);
    this.detail = new Uint32Array(nodes);
    this.firstEdge = new Uint32Array(nodes + 1);
    this.edgeTarget = new Uint32Array(edgesMax);
    this.edgeLabel = new Int32Array(edgesMax);
    this.texts = new Int32Array(textWordsMax);
  }

  addEdge(target: number, label: number): void {
    const edge = this.edgeCount++;
    this.edgeTarget[edge] = target;
    this.edgeLabel[edge] = label;
  }

  /** All edges from `start` on become the first ones: they are the root's. */
  moveToFront(start: number): void {
    const moved = this.edgeCount - start;
    for (const column of [this.edgeTarget, this.edgeLabel]) {
      const edges = column.slice(start, this.edgeCount);
      column.copyWithin(moved, 0, start);
      column.set(edges, 0);
    }
    for (let node = 1; node <= this.nodeCount; node++) this.firstEdge[node] += moved;
  }

  /** One edge more for the root, behind its others. @returns where it stands: those behind it have moved up by one */
  addRootEdge(target: number, label: number): number {
    const edge = this.firstEdge[1];
    for (const column of [this.edgeTarget, this.edgeLabel]) column.copyWithin(edge + 1, edge, this.edgeCount);
    this.edgeCount++;
    for (let node = 1; node <= this.nodeCount; node++) this.firstEdge[node]++;
    this.edgeTarget[edge] = target;
    this.edgeLabel[edge] = label;
    return edge;
  }

  /** What was asked for in vain is given back: address space counts with the engine even where it was never written. */
  finish(types: readonly TypeInfo[], garbageNode: number, pathEdge: Int32Array): ObjectGraph {
    const { nodeCount, address, serial, typeId, words, detail, plainKeys, foreign, holds } = this;
    return {
      nodeCount,
      types,
      address,
      serial,
      typeId,
      words,
      detail,
      plainKeys,
      foreign,
      holds,
      garbageNode,
      pathEdge,
      firstEdge: this.firstEdge.subarray(0, nodeCount + 1),
      edgeTarget: this.edgeTarget.slice(0, this.edgeCount),
      edgeLabel: this.edgeLabel.slice(0, this.edgeCount),
      texts: this.texts.slice(0, this.textWords),
    };
  }
}
