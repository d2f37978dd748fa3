/**
 * Looking into a heap: who holds what, and whether everything is as it should be. Functions on a heap, in an entry point
 * of their own, which the heap itself never imports.
 *
 * @packageDocumentation
 */

export type { Drawing, DrawingOptions, Graphviz } from "./drawing.js";
export { showBackrefs, showRefs } from "./drawing.js";
export type { RootHold } from "./graph.js";
export type { BackrefChain, Cycle, TypeCount, TypeGrowth } from "./objgraph.js";
export { byType, findBackrefChain, findCycles, growth, mostCommonTypes } from "./objgraph.js";
export type { Root, RootGroup } from "./roots.js";
export { rootGroups, roots, rootsOf } from "./roots.js";
export type { HeapSnapshot, Reference, TypeDelta, TypeTotal } from "./snapshot.js";
export { takeSnapshot } from "./snapshot.js";
export { verify } from "./verify.js";
