/**
 * build_new_1m: a million linked objects through `heap.new`, each handle released once the next object holds its node.
 * Collections run on their own, as by default; thirty other types are hot. The death of the whole chain is timed beside it.
 */
import { f64, Heap, optional, release, struct } from "ouroheap";
import { makeHeapTypesHot, makePlainTypesHot } from "./lib/hot-types.mjs";
import { compare, expect, median, Samples, timed } from "./lib/measure.mjs";
import { ALL_PEERS, isPeer, PYTHON } from "./lib/peers.mjs";
import { nodeSide, peerSides, withSides } from "./lib/sides.mjs";

const NODES = 1_000_000;
const ROUNDS = 7;
const PEER_ROUNDS = 2;
const WARM_UPS = 2;

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

function ours(options) {
  // Without an option a heap checks handles; the parent has seen to it that the environment does not say otherwise.
  const heap = Heap.create(options.checks === undefined ? {} : { checks: options.checks });
  makeHeapTypesHot(heap);

  function build(n) {
    let head = heap.new(Node, { a: null, b: null, c: null, v: 0.5 });
    for (let i = 1; i < n; i++) {
      const next = heap.new(Node, { a: head, b: null, c: null, v: i + 0.5 });
      release(head);
      head = next;
    }
    return head;
  }

  return stepsOf(build, release, () => heap.gc.collect());
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
  makePlainTypesHot();
  function build(n) {
    let head = new PlainNode(null, null, null, 0.5);
    for (let i = 1; i < n; i++) head = new PlainNode(head, null, null, i + 0.5);
    return head;
  }
  return stepsOf(build, () => {}, globalThis.gc);
}

function literals() {
  makePlainTypesHot();
  function build(n) {
    let head = { a: null, b: null, c: null, v: 0.5 };
    for (let i = 1; i < n; i++) head = { a: head, b: null, c: null, v: i + 0.5 };
    return head;
  }
  return stepsOf(build, () => {}, globalThis.gc);
}

/** Each run is followed by a full collection that is not timed, so that none pays for the one before it. */
function stepsOf(build, drop, collect) {
  function run(n) {
    const built = timed(() => build(n));
    checkChain(built.result, n);
    const dropped = timed(() => drop(built.result));
    built.result = null;
    collect();
    return { ms: built.ms, dropMs: dropped.ms };
  }
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) run(NODES);
  return { run: () => run(NODES) };
}

function checkChain(head, n) {
  let nodes = 0;
  let total = 0;
  for (let node = head; node !== null; node = node.a) {
    nodes++;
    total += node.v;
  }
  expect("nodes in the chain", nodes, n);
  expect("their sum", total, (n * n) / 2);
}

export const contenders = { ours, v8, v8_literals: literals };

// -- rows ---------------------------------------------------------------------------------------

export const jobs = [
  {
    ids: ["build_new_1m"],
    async run(_wanted, settings = {}) {
      const samples = new Samples();
      const drops = new Samples();
      const makers = {
        off: nodeSide("build", "ours", { checks: "off" }),
        handles: nodeSide("build", "ours", {}),
        v8: nodeSide("build", "v8", {}),
        v8_literals: nodeSide("build", "v8_literals", {}),
        ...peerSides(ALL_PEERS, "build", { n: NODES }),
      };
      const fast = Object.keys(makers).filter((name) => !isPeer(name) || name === PYTHON);
      await withSides(makers, async (contest) => {
        for (let round = 0; round < (settings.rounds ?? ROUNDS); round++) {
          const answers = await contest.all("run", null, round < PEER_ROUNDS ? Object.keys(makers) : fast);
          samples.add(answers);
          for (const [side, { dropMs }] of Object.entries(answers)) drops.addOne(side, dropMs);
        }
      });
      return ["off", "handles"].flatMap((checks) =>
        compare(
          {
            group: "build",
            bench: "build_new_1m",
            n: NODES,
            shape: "linked list",
            checks,
            unit: "ms",
            floors: { v8: 1, v8_literals: 1 },
          },
          samples,
          checks,
          ["v8", "v8_literals", ...ALL_PEERS],
        ).map((line) => ({ ...line, drop_ms: Number(median(drops.of(checks)).toPrecision(4)) })),
      );
    },
  },
];
