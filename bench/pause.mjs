/**
 * pause_max_10m: how long a program with ten million live objects stands still while it changes them. See lib/pauses.mjs for what
 * a pause is.
 *
 * Five million slots hold pairs of nodes that refer to each other, so a pair that is replaced is a cycle for the collector. Every
 * even operation replaces the pair of a random slot; every odd one has the pair of an even slot refer to the pair of an odd slot.
 * (Pairs of odd slots refer to no others: what has been replaced is not held for ever.)
 */
import { f64, Heap, is, list, optional, struct } from "ouroheap";
import { compare, expect, Samples } from "./lib/measure.mjs";
import { atRate, quantiles } from "./lib/pauses.mjs";
import { xorshift32 } from "./lib/random.mjs";
import { nodeSide, PYTHON, pythonSide, withSides } from "./lib/sides.mjs";

const OBJECTS = 10_000_000;
const RATE = 100_000;
const SECONDS = 60;
const WARM_UP = { objects: 100_000, rate: 1_000_000, seconds: 0.3 };
const SEED = 0x6a09e667;
const CHECKS = "handles";
/** V8's own limit for a process may be too low for ten million objects. */
const NODE_ARGS = ["--max-old-space-size=8192"];

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
  const Slots = list(Node);

  function build(pairs) {
    heap.gc.disable();
    const slots = heap.new(Slots, []);
    for (let i = 0; i < pairs; i++) {
      slots.push({ a: null, b: { v: 0.5 }, c: null, v: i + 0.5 });
      const parent = slots.at(i);
      parent.b.a = parent;
      if (i % 2 === 1) slots.at(i - 1).c = parent;
    }
    heap.gc.collect();
    heap.gc.enable();
    return slots;
  }

  function replace(slots, slot, v) {
    slots.set(slot, { a: null, b: { v: 0.5 }, c: null, v });
    const parent = slots.at(slot);
    parent.b.a = parent;
  }

  function relink(slots, slot, target) {
    slots.at(slot).c = slots.at(target);
  }

  function sum(slots) {
    let total = 0;
    for (const parent of slots) {
      total += parent.v + parent.b.v;
      if (!is(parent.b.a, parent)) throw new Error("A pair is broken.");
    }
    return total;
  }

  const drop = (slots) => {
    slots[Symbol.dispose]();
    heap.gc.collect();
  };
  let before;
  const begin = () => {
    before = heap.gc.getStats();
  };
  const report = () => ({
    collections: heap.gc.getStats().map(({ collections }, g) => collections - before[g].collections),
    heapBytes: heap.bytesUsed,
  });
  return mutation({ build, replace, relink, sum, drop, begin, report });
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

function v8() {
  function makePair(v) {
    const parent = new PlainNode(null, new PlainNode(null, null, null, 0.5), null, v);
    parent.b.a = parent;
    return parent;
  }
  function build(pairs) {
    const slots = [];
    for (let i = 0; i < pairs; i++) {
      slots.push(makePair(i + 0.5));
      if (i % 2 === 1) slots[i - 1].c = slots[i];
    }
    globalThis.gc();
    return slots;
  }
  function replace(slots, slot, v) {
    slots[slot] = makePair(v);
  }
  function relink(slots, slot, target) {
    slots[slot].c = slots[target];
  }
  function sum(slots) {
    let total = 0;
    for (const parent of slots) {
      total += parent.v + parent.b.v;
      if (parent.b.a !== parent) throw new Error("A pair is broken.");
    }
    return total;
  }
  const drop = () => globalThis.gc();
  return mutation({ build, replace, relink, sum, drop, begin: () => {}, report: () => ({}) });
}

// -- both ---------------------------------------------------------------------------------------

async function mutation({ build, replace, relink, sum, drop, begin, report }) {
  let slots;
  let pairs;

  async function run({ rate, seconds }) {
    const random = xorshift32(SEED);
    begin();
    function operation(number) {
      const slot = Math.floor(random() * pairs);
      if (number % 2 === 0) replace(slots, slot, number + 0.5);
      else relink(slots, slot & ~1, Math.floor(random() * pairs) | 1);
    }
    const { pauses, lateMs } = await atRate(rate, seconds, operation);
    return { ...quantiles(pauses), lateMs, operations: pauses.length, sum: sum(slots), ...report() };
  }

  function prepare({ objects }) {
    pairs = objects / 2;
    slots = build(pairs);
  }

  prepare(WARM_UP);
  await run(WARM_UP);
  drop(slots);
  slots = undefined;
  return { prepare, run };
}

export const contenders = { ours, v8 };

// -- rows ---------------------------------------------------------------------------------------

const digits = (value) => Number(value.toPrecision(4));
/** Lines and their floors against Python. */
const MEASURES = { max: 5, p999: undefined };

export const jobs = [
  {
    ids: ["pause_max_10m"],
    async run(_wanted, settings = {}) {
      const { rounds = 1, rate = RATE, seconds = SECONDS, n: objects = OBJECTS } = settings;
      const makers = {
        ours: nodeSide("pause", "ours", {}, NODE_ARGS),
        [PYTHON]: pythonSide("pause", { seed: SEED }),
        v8: nodeSide("pause", "v8", {}, NODE_ARGS),
      };
      const samples = Object.fromEntries(Object.keys(MEASURES).map((name) => [name, new Samples()]));
      let answers;
      for (let round = 0; round < rounds; round++)
        await withSides(makers, async (contest) => {
          await contest.all("prepare", { objects });
          answers = await contest.all("run", { rate, seconds });
          for (const [side, answer] of Object.entries(answers)) {
            expect(`sum (${side})`, answer.sum, answers.ours.sum);
            for (const name of Object.keys(MEASURES)) samples[name].addOne(side, answer[name]);
          }
        });
      return Object.entries(MEASURES).flatMap(([name, floor]) => {
        const row = {
          bench: "pause_max_10m",
          n: objects,
          shape: `${name}, ${rate}/s, ${seconds} s`,
          checks: CHECKS,
          unit: "ms",
          floors: floor === undefined ? {} : { [PYTHON]: floor },
        };
        return compare(row, samples[name], "ours", [PYTHON, "v8"]).map((line) => ({
          ...line,
          ours_pauses_ms: figures(answers.ours),
          ...(answers[line.peer] && { peer_pauses_ms: figures(answers[line.peer]) }),
          collections: String(answers.ours.collections),
          heap_bytes: answers.ours.heapBytes,
        }));
      });
    },
  },
];

/** `late`: how late the last operation was over. A side that cannot keep up has no pauses to speak of, but falls behind. */
const figures = ({ p50, p99, p999, max, lateMs }) => ({
  p50: digits(p50),
  p99: digits(p99),
  p999: digits(p999),
  max: digits(max),
  late: digits(lateMs),
});
