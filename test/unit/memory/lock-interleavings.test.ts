/** The lock's own code, run over every interleaving of small programs. */
import { describe, expect, it } from "vitest";
import { type GuardMode, HeapLock } from "../../../src/memory/lock.js";
import { explore, type Model, type Operation } from "./lock-model.js";

const W: Operation = { mode: "exclusive" };
const R: Operation = { mode: "shared" };
/** Gives up at the end of its first sleep. */
const W10: Operation = { mode: "exclusive", timeoutMs: 10 };
const R10: Operation = { mode: "shared", timeoutMs: 10 };
const REPORTS_0: Operation = { reports: 0 };

type Row = [name: string, statesMin: number, model: Model];

describe("in every interleaving", () => {
  it.each<Row>([
    [
      "two writers, two times each",
      20_000,
      {
        programs: [
          [W, W],
          [W, W],
        ],
      },
    ],
    [
      "a writer and a reader, two times each",
      70_000,
      {
        programs: [
          [W, W],
          [R, R],
        ],
      },
    ],
    ["three writers", 170_000, { programs: [[W], [W], [W]] }],
    ["two writers and a reader", 480_000, { programs: [[W], [W], [R]] }],
    ["a writer and two readers", 1_000_000, { programs: [[W], [R], [R]] }],
  ])(
    "of %s (more than %i states) all enter, nobody sleeps for ever, nobody goes round in circles",
    (_, statesMin, model) => {
      const { states, failures, gaveUp } = explore(model);
      expect(failures).toEqual([]);
      expect(states).toBeGreaterThan(statesMin);
      expect(gaveUp).toBe(0);
    },
  );

  it.each<Row>([
    [
      "two writers",
      120_000,
      {
        programs: [
          [W10, W],
          [W10, W],
        ],
        timeouts: [0, 1],
      },
    ],
    [
      "a writer and a reader",
      380_000,
      {
        programs: [
          [W10, W],
          [R10, R],
        ],
        timeouts: [0, 1],
      },
    ],
    ["a writer, another and a reader", 1_000_000, { programs: [[W10], [W], [R]], timeouts: [0] }],
    ["a reader and two writers", 1_000_000, { programs: [[R10], [W], [W]], timeouts: [0] }],
  ])("of %s that may give up (more than %i states) the others enter", (_, statesMin, model) => {
    const { states, failures, gaveUp } = explore(model);
    expect(failures).toEqual([]);
    expect(states).toBeGreaterThan(statesMin);
    expect(gaveUp).toBeGreaterThan(100);
  });

  it.each<Row>([
    ["a writer, beside a writer", 8000, { programs: [[W], [W], [REPORTS_0]], mortal: [0] }],
    ["a writer, beside a reader", 30_000, { programs: [[W], [R], [REPORTS_0]], mortal: [0] }],
    ["a reader, beside a writer", 12_000, { programs: [[R], [W], [REPORTS_0]], mortal: [0] }],
    ["a reader, beside a reader", 5000, { programs: [[R], [R], [REPORTS_0]], mortal: [0] }],
  ])(
    "with the death of %s (more than %i states), reported at any time, the other enters, and a heap that was being written is repaired first",
    (_, statesMin, model) => {
      const { states, failures, ends, repairs } = explore(model);
      expect(failures).toEqual([]);
      expect(states).toBeGreaterThan(statesMin);
      expect(ends).toBeGreaterThan(10);
      expect(repairs > 0).toBe(model.programs[0][0] === W);
    },
  );

  it.each<Row>([
    ["writer", 9000, { programs: [[W], [W, W]], mortal: [0], endsWaiting: true, timeouts: [1] }],
    ["writer", 18_000, { programs: [[W], [R, R]], mortal: [0], endsWaiting: true, timeouts: [1] }],
    ["reader", 30_000, { programs: [[R], [W, W]], mortal: [0], endsWaiting: true, timeouts: [1] }],
  ])("a %s that waits and never wakes (more than %i states) bars nobody for ever", (_, statesMin, model) => {
    const { states, failures, ends } = explore(model);
    expect(failures).toEqual([]);
    expect(states).toBeGreaterThan(statesMin);
    expect(ends).toBeGreaterThan(50);
  });

  it.each<[...Row, overtakenMax: number]>([
    [
      "reader by a writer",
      100_000,
      { programs: [[W, W, W, W], [R]], overtaken: { thread: 1, by: "exclusive" } },
      1,
    ],
    [
      "reader by one that reads too",
      250_000,
      { programs: [[W, R, W, R], [R]], overtaken: { thread: 1, by: "exclusive" } },
      1,
    ],
    [
      "writer by a reader",
      24_000,
      { programs: [[R, R, R, R], [W]], overtaken: { thread: 1, by: "shared" } },
      1,
    ],
    [
      "writer by one whose turn is over",
      50_000,
      {
        programs: [
          [R, R, R],
          [W, W],
        ],
        overtaken: { thread: 1, by: "shared" },
      },
      2,
    ],
    [
      "writer that was woken in vain by a writer",
      60_000,
      { programs: [[W, W, W, W], [W]], overtaken: { thread: 1, by: "exclusive", hasTurn: true } },
      1,
    ],
  ])(
    "a waiting %s (more than %i states) is not overtaken again and again",
    (_, statesMin, model, overtakenMax) => {
      const exploration = explore(model);
      expect(exploration.failures).toEqual([]);
      expect(exploration.states).toBeGreaterThan(statesMin);
      expect(exploration.overtakenMax).toBe(overtakenMax);
    },
  );

  it.each<[defect: string, failure: string, Lock: typeof HeapLock]>([
    [
      "tells nobody",
      "nobody can go on",
      class extends HeapLock {
        override leave(): void {
          const lock = this as unknown as { tellWaiters: () => void };
          lock.tellWaiters = () => {};
          super.leave();
        }
      },
    ],
    [
      "lets a reader in with a writer",
      "a writer is not alone",
      class extends HeapLock {
        override try(mode: GuardMode): boolean {
          const lock = this as unknown as { begin: (mode: GuardMode) => void };
          if (mode === "exclusive") return super.try(mode);
          lock.begin(mode);
          return true;
        }
      },
    ],
  ])("a lock that %s is noticed", (_, failure, Lock) => {
    const { failures } = explore({ programs: [[W], [R, W]], Lock });
    expect(failures[0]).toContain(failure);
  });
});
