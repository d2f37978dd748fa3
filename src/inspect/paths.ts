/** Who holds a node: its retainers, and ways from the root to it as text. */
import { KIND_DICT, KIND_LIST, KIND_SET, KIND_TUPLE } from "../memory/layout.js";
import { edgeName, holdOf, holdText, kindOf, typeNameOf } from "./edge-name.js";
import { plainText } from "./escape.js";
import { edgeSource, type Flowgraph, type ObjectGraph } from "./graph.js";

/** Steps of a path that its text shows. */
const STEPS_SHOWN = 60;
/** Retainers of one node that are looked at: something that a million objects share has a million. */
const RETAINERS_EXAMINED = 1000;

/** The edges that lead to each node, in the order of their sources. */
export interface Retainers {
  /** nodeCount + 1 entries. */
  readonly first: Uint32Array;
  readonly edge: Uint32Array;
}

/** O(nodes + edges). */
export function findRetainers({ nodeCount, firstEdge, edgeTarget }: Flowgraph): Retainers {
  const edgeCount = firstEdge[nodeCount];
  const first = new Uint32Array(nodeCount + 2);
  for (let edge = 0; edge < edgeCount; edge++) first[edgeTarget[edge] + 2]++;
  for (let node = 2; node < nodeCount + 2; node++) first[node] += first[node - 1];
  const edges = new Uint32Array(edgeCount);
  for (let edge = 0; edge < edgeCount; edge++) edges[first[edgeTarget[edge] + 1]++] = edge;
  return { first: first.subarray(0, nodeCount + 1), edge: edges };
}

/** The edges of a shortest path from the root, root first; none for the root. O(length x log nodes). */
export function shortestPath(graph: ObjectGraph, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at !== 0; ) {
    const edge = graph.pathEdge[at];
    path.push(edge);
    at = edgeSource(graph, edge);
  }
  return path.reverse();
}

/**
 * Paths to a node that differ in their last edge, shortest first: each a shortest one to the retainer and on from there.
 * Retainers that are only reached through the node itself are left out; of very many only some are looked at, the one on a
 * shortest path always.
 */
export function retainingPaths(
  graph: ObjectGraph,
  retainers: Retainers,
  node: number,
  limit: number,
): number[][] {
  const { first, edge: edges } = retainers;
  const examined = Math.min(first[node + 1], first[node] + RETAINERS_EXAMINED);
  const candidates = new Set(edges.subarray(first[node], examined));
  if (node !== 0) candidates.add(graph.pathEdge[node]);
  const paths: number[][] = [];
  for (const edge of candidates) {
    const source = edgeSource(graph, edge);
    const path = shortestPath(graph, source);
    const leadsThroughNode = source === node || path.some((step) => graph.edgeTarget[step] === node);
    if (!leadsThroughNode) paths.push([...path, edge]);
  }
  return paths.sort((one, other) => one.length - other.length).slice(0, limit);
}

/**
 * A path as `root <- Cache.entries[3] <- Texture.gpu`: owners and where in them the next one stands, containers written
 * behind the field that holds them. The root says which handle it is. Of a long path the middle is left out.
 */
export function pathText(graph: ObjectGraph, path: readonly number[]): string {
  if (path.length <= STEPS_SHOWN) return pathParts(graph, path, 0, path.length).join(" <- ");
  const end = STEPS_SHOWN / 2;
  return [
    ...pathParts(graph, path, 0, end),
    `… ${path.length - STEPS_SHOWN} more …`,
    ...pathParts(graph, path, path.length - end, path.length),
  ].join(" <- ");
}

function pathParts(graph: ObjectGraph, path: readonly number[], from: number, to: number): string[] {
  const parts: string[] = [];
  /** How many steps lead to what the root, or the garbage, holds directly. */
  const held = graph.edgeTarget[path[0]] === graph.garbageNode ? 2 : 1;
  for (let step = from; step < to; step++) {
    const edge = path[step];
    const source = edgeSource(graph, edge);
    if (source === 0) {
      const isGarbage = graph.edgeTarget[edge] === graph.garbageNode;
      if (!isGarbage) parts.push(`root (${holdText(holdOf(graph, edge))})`);
      continue;
    }
    if (source === graph.garbageNode) {
      parts.push("garbage that waits for a collection");
      continue;
    }
    const name = edgeName(graph, edge, source);
    const isField = !name.startsWith("[");
    // A container that a field or another container holds is a part of that; one that the root holds stands for itself.
    const isPart = step > held && parts.length > 0 && isContainer(graph, source) && !isField;
    if (isPart) parts[parts.length - 1] += name;
    else parts.push(`${plainText(ownerName(graph, source))}${isField ? "." : ""}${name}`);
  }
  return parts;
}

function isContainer(graph: ObjectGraph, node: number): boolean {
  const kind = kindOf(graph, node);
  return kind === KIND_LIST || kind === KIND_DICT || kind === KIND_SET || kind === KIND_TUPLE;
}

function ownerName(graph: ObjectGraph, node: number): string {
  return isContainer(graph, node) ? graph.types[graph.typeId[node]].name : typeNameOf(graph, node);
}
