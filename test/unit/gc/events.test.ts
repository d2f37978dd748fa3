import { describe, expect, it } from "vitest";
import { CollectorEvents, type CollectorListener } from "../../../src/gc/events.js";
import { type Address, UNREACHABLE } from "../../../src/memory/layout.js";
import { makeQuietCore, type TestCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";

/** A listener that writes down all it is told, with a name in front. */
function recorder(seen: unknown[][], name: string): Omit<Required<CollectorListener>, "hearsUnreachable"> {
  return {
    onStart: (generation) => seen.push([name, "start", generation]),
    onBegin: (generation) => seen.push([name, "begin", generation]),
    onPhase: (phase) => seen.push([name, "phase", phase]),
    onUnreachable: (objects) => seen.push([name, "unreachable", [...objects]]),
    onEnd: (result) => seen.push([name, "end", { ...result }]),
    onStop: (result) => seen.push([name, "stop", { ...result }]),
  };
}

function makeCycle(heap: TestCore): Address {
  const cycle = heap.newStruct(heap.struct("ref"));
  heap.setField(cycle, 0, ref(cycle));
  return cycle;
}

const RESULT = { generation: 1, collected: 2, uncollectable: 0 };

describe("an event", () => {
  it.each<[string, (events: CollectorEvents) => void, unknown]>([
    ["start", (events) => events.start(1), 1],
    ["begin", (events) => events.begin(1), 1],
    ["phase", (events) => events.phase("clear"), "clear"],
    ["unreachable", (events) => events.unreachable([8, 4]), [8, 4]],
    ["end", (events) => events.end(RESULT), RESULT],
    ["stop", (events) => events.stop(RESULT), RESULT],
  ])(
    "%s goes to every listener that wants it, in their order, and to no other method",
    (name, fire, told) => {
      const events = new CollectorEvents();
      fire(events);
      const seen: unknown[][] = [];
      events.listeners.push(recorder(seen, "first"), {}, recorder(seen, "second"));
      fire(events);
      expect(seen).toEqual([
        ["first", name, told],
        ["second", name, told],
      ]);
    },
  );

  it("calls a listener as a method of it", () => {
    const events = new CollectorEvents();
    const listener = {
      started: 0,
      onStart() {
        this.started++;
      },
    };
    events.listeners.push(listener);
    events.start(0);
    expect(listener.started).toBe(1);
  });

  it("that a listener does not survive reaches none behind it", () => {
    const events = new CollectorEvents();
    const seen: unknown[][] = [];
    const failing = {
      onStart: () => {
        throw new Error("no");
      },
    };
    events.listeners.push(recorder(seen, "before"), failing, recorder(seen, "behind"));
    expect(() => events.start(2)).toThrow("no");
    expect(seen).toEqual([["before", "start", 2]]);
  });
});

describe("a collection tells", () => {
  /** `makeQuietCore` may listen itself; what is told here comes behind it. */
  function listen(heap: TestCore, listener: CollectorListener): void {
    heap.core.events.listeners.push(listener);
  }

  it.each([0, 1, 2])(
    "of generation %i its steps in order, what is unreachable and the result",
    (generation) => {
      const heap = makeQuietCore();
      const kept = makeCycle(heap);
      const cycles = [makeCycle(heap), makeCycle(heap)];
      heap.drop(...cycles);
      const seen: unknown[][] = [];
      listen(heap, recorder(seen, ""));
      heap.collect(generation);
      const result = { generation, collected: 2, uncollectable: 0 };
      expect(seen.map(([, ...event]) => event)).toEqual([
        ["start", generation],
        ["begin", generation],
        ["phase", "merge"],
        ["phase", "partition"],
        ["unreachable", cycles],
        ["phase", "finalize"],
        ["phase", "clear"],
        ["end", result],
        ["stop", result],
      ]);
      expect(heap.table(Math.min(2, generation + 1))).toEqual([kept]);
    },
  );

  it("at each step what the heap then is", () => {
    const heap = makeQuietCore();
    const [old, kept, lost] = [makeCycle(heap), makeCycle(heap), makeCycle(heap)];
    heap.drop(lost);
    heap.core.generations.untrack(old);
    heap.core.generations.merge(0, 2);
    heap.core.generations.openYoung();
    heap.core.generations.track(old);
    heap.core.generations.merge(0, 1);
    const young = makeCycle(heap);
    const before = heap.counts();
    const seen: unknown[][] = [];
    const tables = () => [0, 1, 2, UNREACHABLE].map((generation) => heap.table(generation));
    const stats = () => heap.core.collector.stats(1).collections;
    listen(heap, {
      onStart: () => seen.push(["start", tables(), heap.counts(), stats()]),
      onBegin: () => seen.push(["begin", tables(), heap.counts(), stats()]),
      onPhase: (phase) => seen.push([phase, tables(), stats()]),
      onUnreachable: (objects) => seen.push(["unreachable", [...objects], [...objects]]),
      onEnd: () => seen.push(["end", stats()]),
      onStop: () => seen.push(["stop", stats()]),
    });
    const garbage = makeCycle(heap);
    heap.drop(garbage);
    const counts = heap.counts();
    expect(counts[0]).toBe(before[0] + 1);
    heap.collect(1);
    expect(seen).toEqual([
      ["start", [[young, garbage], [old], [kept, lost], []], counts, 0],
      ["begin", [[young, garbage], [old], [kept, lost], []], counts, 0],
      ["merge", [[], [old, young, garbage], [kept, lost], []], 0],
      ["partition", [[], [], [kept, lost, old, young], [garbage]], 0],
      ["unreachable", [garbage], [garbage]], // as often as it is asked
      ["finalize", [[], [], [kept, lost, old, young], [garbage]], 0],
      ["clear", [[], [], [kept, lost, old, young], []], 0],
      ["end", 1],
      ["stop", 1],
    ]);
  });

  it("of one that finds nothing all the same, and of one that was refused nothing", () => {
    const heap = makeQuietCore();
    const seen: unknown[][] = [];
    listen(heap, recorder(seen, ""));
    listen(heap, { onPhase: () => expect(heap.collect(0)).toBe(0) });
    heap.collect(0);
    expect(seen.map(([, event]) => event)).toEqual([
      "start",
      "begin",
      ...["phase", "phase", "unreachable", "phase", "phase"],
      "end",
      "stop",
    ]);
    expect(seen[4]).toEqual(["", "unreachable", []]);
  });

  it("of a start that new garbage may still be made in: it is collected with the rest", () => {
    const heap = makeQuietCore();
    listen(heap, { onStart: () => heap.drop(makeCycle(heap)) });
    expect(heap.collect(0)).toBe(1);
  });
});
