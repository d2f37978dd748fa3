/**
 * Looking into a heap: who holds what, and whether everything is as it should be. Functions on a heap, in an entry point
 * of their own, which the heap itself never imports.
 *
 * @packageDocumentation
 */

export type { Frame } from "../host/stack.js";
export type { Drawing, DrawingOptions, Graphviz } from "./drawing.js";
export { showBackrefs, showRefs } from "./drawing.js";
export type { RootHold } from "./graph.js";
export type { LeakGroup, LeakOptions, LeakReport, MatcherResult } from "./leaks.js";
export { assertNoLeaks, declareCache, findLeaks, LeakError, leakMatchers, leakText } from "./leaks.js";
export type { FunctionProfile, ProfiledLine } from "./line-profiler.js";
export type { LineProfile, LineProfileOptions } from "./memory-profile.js";
export { profileLines } from "./memory-profile.js";
export type { BackrefChain, Cycle, TypeCount, TypeGrowth } from "./objgraph.js";
export { byType, findBackrefChain, findCycles, growth, mostCommonTypes } from "./objgraph.js";
export type { Root, RootGroup } from "./roots.js";
export { rootGroups, roots, rootsOf } from "./roots.js";
export type { HeapSnapshot, Reference, TypeDelta, TypeTotal } from "./snapshot.js";
export { takeSnapshot } from "./snapshot.js";
export type { CollectionEvent, Timeline, TimelineOptions, TimelineSummary, TraceEvents } from "./timeline.js";
export { timeline } from "./timeline.js";
export type {
  Statistic,
  StatisticDiff,
  Trace,
  TracedRoots,
  TraceGrouping,
  TracePattern,
  TraceSnapshot,
  TraceSums,
} from "./trace-snapshot.js";
export type { Traceback } from "./tracebacks.js";
export type { TraceOptions } from "./tracemalloc.js";
export { tracemalloc } from "./tracemalloc.js";
export { verify } from "./verify.js";
