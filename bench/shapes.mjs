/**
 * gc_collect and gc_traversal: the shapes of pyperformance's benchmarks of those names. Many small cycles that are garbage when the
 * collection comes; and lists, each of which refers to the one before it as often as it is long, where there is none.
 */
import { any, Heap, list, optional, release, struct } from "ouroheap";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { nodeSide, PYTHON, pythonSide, withSides } from "./lib/sides.mjs";

const CYCLES = 100;
const LINKS = 20;
const LEVELS = 1000;
/** Collections in one measure: a single one is too short. */
const COLLECTIONS = { gc_collect: 100, gc_traversal: 20 };
const ROUNDS = 9;
const WARM_UPS = 5;
const CHECKS = "handles";

// -- ours ---------------------------------------------------------------------------------------

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  get previous() {
    return optional(Node);
  },
}) {}

function ours() {
  const heap = Heap.create();

  function addCycle(cycles, links) {
    const first = heap.new(Node, { next: null, previous: null });
    let current = first;
    for (let i = 0; i < links; i++) {
      current.next = { next: null, previous: current };
      current = current.next;
    }
    current.next = first;
    first.previous = current;
    cycles.push(first);
    release(first);
  }
  const makeHolder = () => heap.new(list(Node), []);

  function makeLists(levels) {
    let current = heap.new(list(any), []);
    for (let length = 0; length < levels; length++) {
      const next = heap.new(list(any), new Array(length).fill(null));
      for (let index = 0; index < length; index++) next.set(index, current);
      release(current);
      current = next;
    }
    return current;
  }

  return steps({ makeHolder, addCycle, makeLists, drop: release, collect: () => heap.gc.collect() });
}

// -- V8 -----------------------------------------------------------------------------------------

class PlainNode {
  constructor(previous) {
    this.next = null;
    this.previous = previous;
  }
}

function v8() {
  const makeHolder = () => [];
  function addCycle(cycles, links) {
    const first = new PlainNode(null);
    let current = first;
    for (let i = 0; i < links; i++) {
      current.next = new PlainNode(current);
      current = current.next;
    }
    current.next = first;
    first.previous = current;
    cycles.push(first);
  }
  function makeLists(levels) {
    let current = [];
    for (let length = 0; length < levels; length++) {
      const next = new Array(length).fill(null);
      for (let index = 0; index < length; index++) next[index] = current;
      current = next;
    }
    return current;
  }
  return steps({ makeHolder, addCycle, makeLists, drop: () => {}, collect: globalThis.gc });
}

function steps({ makeHolder, addCycle, makeLists, drop, collect }) {
  /** A list holds the cycles until all are made: an automatic collection on the way finds none of them dead. */
  function makeGarbage() {
    const cycles = makeHolder();
    for (let cycle = 0; cycle < CYCLES; cycle++) addCycle(cycles, LINKS);
    drop(cycles);
  }

  let lists;
  const shapes = {
    gc_collect() {
      let total = 0;
      for (let i = 0; i < COLLECTIONS.gc_collect; i++) {
        collect();
        makeGarbage();
        const { ms, result } = timed(collect);
        expect("collected", result ?? CYCLES * (LINKS + 1), CYCLES * (LINKS + 1));
        total += ms;
      }
      return { ms: total };
    },
    gc_traversal() {
      lists ??= makeLists(LEVELS);
      let total = 0;
      for (let i = 0; i < COLLECTIONS.gc_traversal; i++) {
        collect();
        const { ms, result } = timed(collect);
        expect("collected", result ?? 0, 0);
        total += ms;
      }
      expect("the last list's length", lists.length, LEVELS - 1);
      return { ms: total };
    },
  };
  const run = (shape) => shapes[shape]();
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) run("gc_collect");
  return { run };
}

export const contenders = { ours, v8 };

// -- rows ---------------------------------------------------------------------------------------

const SHAPES = {
  gc_collect: { n: CYCLES * (LINKS + 1), shape: `${CYCLES} cycles, all dead` },
  gc_traversal: { n: (LEVELS * (LEVELS - 1)) / 2, shape: `${LEVELS} lists, all alive` },
};

export const jobs = [
  {
    ids: Object.keys(SHAPES),
    async run(wanted, settings = {}) {
      const options = { cycles: CYCLES, links: LINKS, levels: LEVELS, collections: COLLECTIONS };
      const makers = {
        ours: nodeSide("shapes", "ours", {}),
        [PYTHON]: pythonSide("shapes", options),
        v8: nodeSide("shapes", "v8", {}),
      };
      const lines = [];
      await withSides(makers, async (contest) => {
        for (const [bench, { n, shape }] of Object.entries(SHAPES)) {
          if (!wanted.has(bench)) continue;
          const samples = new Samples();
          for (let round = -1; round < (settings.rounds ?? ROUNDS); round++) {
            const answers = await contest.all("run", bench);
            if (round >= 0) samples.add(answers); // the first builds the lists, and is where code becomes warm
          }
          const row = {
            bench,
            n,
            shape: `${COLLECTIONS[bench]} times: ${shape}`,
            checks: CHECKS,
            unit: "ms",
          };
          lines.push(...compare(row, samples, "ours", [PYTHON, "v8"]));
        }
      });
      return lines;
    },
  },
];
