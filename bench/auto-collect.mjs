/**
 * auto_collect_build_*: the time in the collections that start by themselves while a program builds many live objects, with the
 * default thresholds. Only the collector's time counts, as `gc.callbacks` have it, on both sides.
 */
import { constants, PerformanceObserver } from "node:perf_hooks";
import { f64, Heap, list, optional, release, struct } from "ouroheap";
import { compare, expect, median, Samples, timed } from "./lib/measure.mjs";
import { xorshift32 } from "./lib/random.mjs";
import { nodeSide, PYTHON, pythonSide, withSides } from "./lib/sides.mjs";

const SEED = 0x2545f491;
const WARM_UP_NODES = 100_000;
const WARM_UPS = 3;
const CHECKS = "handles";

/** Collections of generation 0, 1 and 2 in building a million objects: CPython 3.11's rule gives no others. */
const COLLECTIONS_1M = "1300,118,8";

// -- ours ---------------------------------------------------------------------------------------

class Node extends struct("Node", {
  get a() {
    return optional(Node);
  },
  get b() {
    return optional(Node);
  },
  get c() {
    return optional(Node);
  },
  v: f64,
}) {}

function ours() {
  const heap = Heap.create();

  const programs = {
    held(n) {
      const nodes = heap.new(list(Node), []);
      for (let i = 0; i < n; i++) nodes.push({ a: null, b: null, c: null, v: i + 0.5 });
      return nodes;
    },
    linked(n) {
      const random = xorshift32(SEED);
      const nodes = heap.new(list(Node), []);
      for (let i = 0; i < n; i++) {
        const previous = i === 0 ? null : nodes.at(i - 1);
        const older = i === 0 ? null : nodes.at(Math.floor(random() * i));
        nodes.push({ a: previous, b: older, c: null, v: i + 0.5 });
      }
      return nodes;
    },
  };

  function run({ program, n }) {
    heap.gc.collect();
    globalThis.gc();
    const pauses = [];
    const before = heap.gc.getStats();
    const hear = (phase, { duration }) => {
      if (phase === "stop") pauses.push(duration);
    };
    heap.gc.callbacks.push(hear);
    const { ms, result } = timed(() => programs[program](n));
    heap.gc.callbacks.length = 0;
    const collections = heap.gc.getStats().map(({ collections }, g) => collections - before[g].collections);
    const last = result.at(n - 1);
    const answer = {
      ...summary(pauses),
      wholeMs: ms,
      collections: String(collections),
      nodes: result.length,
      lastValue: last.v,
      bytesUsed: heap.bytesUsed,
    };
    release(result);
    return answer;
  }
  return warmed(run);
}

// -- V8 -----------------------------------------------------------------------------------------

class PlainNode {
  constructor(a, b, c, v) {
    this.a = a;
    this.b = b;
    this.c = c;
    this.v = v;
  }
}

const plainPrograms = {
  held(n) {
    const nodes = [];
    for (let i = 0; i < n; i++) nodes.push(new PlainNode(null, null, null, i + 0.5));
    return nodes;
  },
  linked(n) {
    const random = xorshift32(SEED);
    const nodes = [];
    for (let i = 0; i < n; i++) {
      const previous = i === 0 ? null : nodes[i - 1];
      const older = i === 0 ? null : nodes[Math.floor(random() * i)];
      nodes.push(new PlainNode(previous, older, null, i + 0.5));
    }
    return nodes;
  },
};

/** What V8 says of its own collections: the time in which the program stood still, its helper threads left out. */
function v8() {
  async function run({ program, n }) {
    globalThis.gc();
    const pauses = [];
    const observer = new PerformanceObserver((entries) => {
      for (const { duration, detail } of entries.getEntries())
        if (detail.flags !== constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) pauses.push(duration);
    });
    await new Promise((resolve) => setTimeout(resolve, 10)); // the forced collection's entry is not ours to hear
    observer.observe({ entryTypes: ["gc"] });
    const { ms, result } = timed(() => plainPrograms[program](n));
    await new Promise((resolve) => setTimeout(resolve, 10)); // entries come in a task of their own
    observer.disconnect();
    return { ...summary(pauses), wholeMs: ms, nodes: result.length, lastValue: result[n - 1].v };
  }
  return warmed(run);
}

function summary(pauses) {
  return {
    ms: pauses.reduce((sum, pause) => sum + pause, 0),
    pauses: pauses.length,
    longestMs: Math.max(0, ...pauses),
  };
}

async function warmed(run) {
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++)
    for (const program of Object.keys(plainPrograms)) await run({ program, n: WARM_UP_NODES });
  return { run };
}

export const contenders = { ours, v8 };

// -- rows ---------------------------------------------------------------------------------------

const SHAPES = { held: "held by a list", linked: "previous, random older" };
const digits = (value) => Number(value.toPrecision(4));

function job(bench, n, rounds, floors) {
  return {
    ids: [bench],
    async run(_wanted, settings = {}) {
      const samples = { held: new Samples(), linked: new Samples() };
      const answersOf = { held: [], linked: [] };
      const makers = {
        ours: nodeSide("auto-collect", "ours", {}),
        [PYTHON]: pythonSide("auto_collect", { seed: SEED }),
        v8: nodeSide("auto-collect", "v8", {}),
      };
      await withSides(makers, async (contest) => {
        for (let round = 0; round < (settings.rounds ?? rounds); round++)
          for (const program of Object.keys(SHAPES)) {
            const answers = await contest.all("run", { program, n });
            check(answers, n);
            samples[program].add(answers);
            answersOf[program].push(answers);
          }
      });
      return Object.entries(SHAPES).flatMap(([program, shape]) =>
        compare({ bench, n, shape, checks: CHECKS, unit: "ms", floors }, samples[program], "ours", [
          PYTHON,
          "v8",
        ]).map((line) => withPauses(line, answersOf[program])),
      );
    },
  };
}

function check(answers, n) {
  for (const [side, { nodes, lastValue }] of Object.entries(answers)) {
    expect(`nodes (${side})`, nodes, n);
    expect(`value of the last (${side})`, lastValue, n - 0.5);
  }
  const { collections } = answers.ours;
  if (n === 1_000_000) expect("collections by generation", collections, COLLECTIONS_1M);
  const python = answers[PYTHON];
  if (python !== undefined) expect("collections by generation", collections, python.collections);
}

function withPauses(line, answers) {
  const longest = (side) => digits(median(answers.map((answer) => answer[side].longestMs)));
  return {
    ...line,
    collections: answers[0].ours.collections,
    ours_whole_ms: digits(median(answers.map(({ ours }) => ours.wholeMs))),
    ours_pause_max_ms: longest("ours"),
    ...(answers[0][line.peer] && { peer_pause_max_ms: longest(line.peer) }),
    heap_bytes: answers[0].ours.bytesUsed,
  };
}

export const jobs = [
  job("auto_collect_build_1m", 1_000_000, 5, { [PYTHON]: 5 }),
  job("auto_collect_build_10m", 10_000_000, 2, {}),
];
