/**
 * What the collector tells about itself, through one seam: `gc.callbacks`, the debug text, the verifier at phase
 * boundaries and every profiler hang here, and the algorithm stays free of them.
 */
import type { Address } from "../memory/layout.js";

export interface CollectionResult {
  readonly generation: number;
  readonly collected: number;
  readonly uncollectable: number;
}

/** The phases of one collection, in order. */
export type Phase = "merge" | "partition" | "finalize" | "clear";

/** Only `onStart`, `onEnd` and `onStop` may run user code or change the heap: between them the algorithm is at work. */
export interface CollectorListener {
  /** Before anything else; the counts are still those that led here. */
  onStart?(generation: number): void;
  /** The collection proper begins: the generations are as the mutator left them. */
  onBegin?(generation: number): void;
  /** A phase is over, and the heap is consistent. */
  onPhase?(phase: Phase): void;
  /** The unreachable objects, in order, before any is touched (CPython: DEBUG_COLLECTABLE). */
  onUnreachable?(objects: Iterable<Address>): void;
  /** Whether `onUnreachable` has to be called now; without this it always is. While it is, garbage dies in order. */
  hearsUnreachable?(): boolean;
  /** The collection proper is over: nothing is unreachable any more. */
  onEnd?(result: CollectionResult): void;
  /** The last thing of a collection. */
  onStop?(result: CollectionResult): void;
}

export class CollectorEvents {
  readonly listeners: CollectorListener[] = [];

  start(generation: number): void {
    for (const listener of this.listeners) listener.onStart?.(generation);
  }
  begin(generation: number): void {
    for (const listener of this.listeners) listener.onBegin?.(generation);
  }
  phase(phase: Phase): void {
    for (const listener of this.listeners) listener.onPhase?.(phase);
  }
  unreachable(objects: Iterable<Address>): void {
    for (const listener of this.listeners) listener.onUnreachable?.(objects);
  }
  /** Whether anybody is to be shown the unreachable. */
  get hearsUnreachable(): boolean {
    return this.listeners.some(
      (listener) => listener.onUnreachable !== undefined && listener.hearsUnreachable?.() !== false,
    );
  }
  end(result: CollectionResult): void {
    for (const listener of this.listeners) listener.onEnd?.(result);
  }
  stop(result: CollectionResult): void {
    for (const listener of this.listeners) listener.onStop?.(result);
  }
}
