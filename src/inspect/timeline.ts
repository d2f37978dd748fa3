/** Every collection of a heap on a time axis: for DevTools and Perfetto, for `node:perf_hooks`, on a channel, in one line. */
import type { CollectionResult, CollectorListener, Phase } from "../gc/events.js";
import type { Context } from "../host/context.js";
import type { Generation } from "../host/gc-module.js";
import { Heap } from "../host/heap.js";
import { show } from "../host/schema.js";
import { InvalidArgumentError } from "../memory/errors.js";
import { requireOptions } from "./arguments.js";
import { nodeModule } from "./node.js";

/** One collection. Times are milliseconds on the clock of `performance.now()`. */
export interface CollectionEvent {
  /** The oldest generation that took part. */
  readonly generation: Generation;
  /** Objects that were looked at: all tracked ones of the generations that took part. */
  readonly candidates: number;
  /** Of those, found unreachable and freed. */
  readonly collected: number;
  /** When the collection proper began. */
  readonly startTime: number;
  /** How long it took, functions of `gc.callbacks` left out, finalizers and disposers included: the pause. */
  readonly duration: number;
  /** How long each phase took, in order. */
  readonly phases: {
    readonly merge: number;
    readonly partition: number;
    readonly finalize: number;
    readonly clear: number;
  };
}

/** Pauses in figures, in milliseconds. All 0 while there was no collection. */
export interface TimelineSummary {
  readonly count: number;
  readonly collected: number;
  readonly total: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What a timeline does beside keeping events. */
export interface TimelineOptions {
  /** Keep this many of the latest events; the summary's sums go on over all. Default 100,000, some 10 MB. */
  readonly eventsMax?: number;
  /** Also make a `performance.measure` named "ouroheap:gc" of each, for a PerformanceObserver. Default false: they pile up. */
  readonly measures?: boolean;
}

/** Name of the `node:diagnostics_channel`, of the performance entries and of the trace's category. */
const NAME = "ouroheap:gc";
const EVENTS_MAX = 100_000;
const US_PER_MS = 1000;
const PHASES: readonly Phase[] = ["merge", "partition", "finalize", "clear"];

/** Events with a start and an end, as Chrome's trace format has them ("Trace Event Format", complete and metadata events). */
export interface TraceEvents {
  readonly traceEvents: readonly Readonly<Record<string, unknown>>[];
  readonly displayTimeUnit: "ms";
}

/** The collections of one heap, of a shared one those of this thread, since it was made, until `stop`. `using` stops it too. */
export class Timeline implements Disposable {
  private readonly context: Context;
  private readonly options: { readonly eventsMax: number; readonly measures: boolean };
  private readonly listener: CollectorListener;
  private readonly kept: CollectionEvent[] = [];
  /** Index of the oldest event, once old ones are overwritten. */
  private oldest = 0;
  private count = 0;
  private collected = 0;
  private total = 0;
  private max = 0;
  /** Of the collection under way; begun < 0: there is none, or one of `scope.collect()`, which has no beginning. */
  private begun = -1;
  private phaseBegun = 0;
  private candidates = 0;
  /** Heard, and to be told when the collection is over. */
  private untold: CollectionEvent | undefined;
  private phases: Record<Phase, number> = { merge: 0, partition: 0, finalize: 0, clear: 0 };

  /** @internal */
  constructor(context: Context, options: TimelineOptions) {
    this.context = context;
    this.options = {
      eventsMax: checkEventsMax(options.eventsMax ?? EVENTS_MAX),
      measures: options.measures === true,
    };
    this.listener = {
      onBegin: (generation) => this.begin(generation),
      onPhase: (phase) => this.endPhase(phase),
      onEnd: (result) => this.end(result),
      onStop: () => this.tell(),
    };
    context.core.events.listeners.push(this.listener);
  }

  /** The collections, oldest first: the latest `eventsMax`. O(events). */
  get events(): CollectionEvent[] {
    return [...this.kept.slice(this.oldest), ...this.kept.slice(0, this.oldest)];
  }

  /** Hear no more. What was heard stays. */
  stop(): void {
    const { listeners } = this.context.core.events;
    const index = listeners.indexOf(this.listener);
    if (index >= 0) listeners.splice(index, 1);
  }

  /** The same as `stop`. */
  [Symbol.dispose](): void {
    this.stop();
  }

  /** Pauses in figures: sums and maximum over all collections, p50 and p99 (nearest rank) over the events kept. O(n log n). */
  summary(): TimelineSummary {
    const durations = this.kept.map(({ duration }) => duration).sort((a, b) => a - b);
    const { count, collected, total, max } = this;
    return { count, collected, total, p50: percentile(durations, 50), p99: percentile(durations, 99), max };
  }

  /** The summary in one line. */
  toString(): string {
    const { count, collected, total, p50, p99, max } = this.summary();
    const ms = (value: number) => `${value.toFixed(3)} ms`;
    const collections = `${count} ${count === 1 ? "collection" : "collections"}`;
    return `${collections}, ${collected} collected, ${ms(total)} in all; pause p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}`;
  }

  /** A trace that chrome://tracing, DevTools' Performance panel and ui.perfetto.dev open, once it is written as JSON. O(events). */
  toTraceEvents(): TraceEvents {
    return {
      displayTimeUnit: "ms",
      traceEvents: [...namesOfThread(), ...this.events.flatMap(traceEventsOf)],
    };
  }

  // -- listening ------------------------------------------------------------------------------

  private begin(generation: number): void {
    const { generations } = this.context.core;
    this.candidates = 0;
    for (let one = 0; one <= generation; one++) this.candidates += generations.size(one);
    this.phases = { merge: 0, partition: 0, finalize: 0, clear: 0 };
    this.begun = performance.now();
    this.phaseBegun = this.begun;
  }

  private endPhase(phase: Phase): void {
    if (this.begun < 0) return;
    const now = performance.now();
    this.phases[phase] = now - this.phaseBegun;
    this.phaseBegun = now;
  }

  private end({ generation, collected }: CollectionResult): void {
    const startTime = this.begun;
    if (startTime < 0) return; // the timeline was made inside this collection
    this.begun = -1;
    const { candidates, phases } = this;
    const duration = performance.now() - startTime;
    this.count++;
    this.collected += collected;
    this.total += duration;
    this.max = Math.max(this.max, duration);
    this.keep({ generation: generation as Generation, candidates, collected, startTime, duration, phases });
  }

  private keep(event: CollectionEvent): void {
    if (this.kept.length < this.options.eventsMax) this.kept.push(event);
    else {
      this.kept[this.oldest] = event;
      this.oldest = (this.oldest + 1) % this.kept.length;
    }
    this.untold = event;
  }

  /** Subscribers are the program's code: they are told when the collection is over, and what they throw stops nothing. */
  private tell(): void {
    const event = this.untold;
    this.untold = undefined;
    if (event === undefined) return;
    const { heap } = this.context;
    const channel = nodeModule("node:diagnostics_channel")?.channel(NAME);
    if (channel?.hasSubscribers === true)
      this.context.callBack(NAME, () => channel.publish({ heap, ...event }));
    if (this.options.measures)
      this.context.callBack(NAME, () => {
        const { startTime: start, duration, ...detail } = event;
        performance.measure(NAME, { start, duration, detail });
      });
  }
}

/**
 * Listen to every collection of a heap from now on. Beside what the options say, each is published on the
 * `node:diagnostics_channel` "ouroheap:gc", where the host has one, as its event and `heap`. Counting the candidates reads
 * each one's entry once more: O(candidates) a collection. What `scope.collect()` does is of no generation and is left out.
 */
export function timeline(heap: Heap, options: TimelineOptions = {}): Timeline {
  const context = Heap.contextOf(heap);
  context.requireAlive();
  requireOptions(options, "timeline");
  return new Timeline(context, options);
}

function checkEventsMax(eventsMax: number): number {
  if (Number.isInteger(eventsMax) && eventsMax >= 1) return eventsMax;
  throw new InvalidArgumentError(`eventsMax must be a whole number of at least 1, got ${show(eventsMax)}.`);
}

/** Nearest rank: the smallest value that at least so many per cent do not exceed. */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0;
}

function namesOfThread(): Record<string, unknown>[] {
  const meta = { ph: "M", pid: 1, tid: 1 };
  return [
    { ...meta, name: "process_name", args: { name: "ouroheap" } },
    { ...meta, name: "thread_name", args: { name: "collector" } },
  ];
}

/** One for the collection and one inside it for each phase. */
function traceEventsOf(event: CollectionEvent): Record<string, unknown>[] {
  const { generation, candidates, collected, startTime, duration, phases } = event;
  const complete = (name: string, start: number, ms: number, args: object) => ({
    name,
    cat: NAME,
    ph: "X",
    ts: start * US_PER_MS,
    dur: ms * US_PER_MS,
    pid: 1,
    tid: 1,
    args,
  });
  let start = startTime;
  const parts = PHASES.map((phase) => {
    const part = complete(phase, start, phases[phase], {});
    start += phases[phase];
    return part;
  });
  const args = { generation, candidates, collected };
  return [complete(`collect generation ${generation}`, startTime, duration, args), ...parts];
}
