/** `heap.gc`, on a million nodes that refer to random others. */
import { f64, finalizer, Heap, list, optional, release, retain, struct } from "ouroheap";
import { expect } from "../lib/measure.mjs";
import { MANY, Meter, MILLION, makeGraph, Node } from "./meter.mjs";

let finalized = 0;
class Watched extends struct("Watched", {
  get other() {
    return optional(Watched);
  },
  v: f64,
}) {
  [finalizer]() {
    finalized++;
  }
}

export function collector() {
  const heap = Heap.create();
  const meter = new Meter(heap);
  const { gc } = heap;
  const graph = makeGraph(heap, MILLION);
  gc.collect();

  young(heap, meter);
  full(heap, graph, meter);
  looking(gc, graph, meter);
  freezing(gc, meter);

  release(graph);
  const dead = meter.once(
    { verb: "`gc.collect()`", cost: "O(heap)", by: "800,000 on cycles are garbage, nobody sees them die" },
    () => gc.collect(),
  );
  // The others, which nothing in the graph referred to, died with the list.
  expect("the rest of a million was collected", dead > 0.79 * MILLION && dead < MILLION, true);
  expect("objects", gc.getObjects().length, 0);
  watched(heap, meter);
  return meter.rows;
}

/** Two nodes that hold each other, and nobody else does. */
function dropPair(heap) {
  const one = heap.new(Node, { v: 1, a: { v: 2 } });
  one.a.a = one;
  release(one);
}

function young(heap, meter) {
  const { gc } = heap;
  const row = (by) => ({ verb: "`gc.collect(0)`", cost: "O(objects in generation 0)", by });
  for (let i = 0; i < 350; i++) dropPair(heap);
  expect(
    "collected",
    meter.once(row("700, all garbage, beside a million older ones"), () => gc.collect(0)),
    700,
  );
  for (let i = 0; i < MILLION / 2; i++) dropPair(heap);
  expect(
    "collected",
    meter.once(row("a million, all garbage, after `gc.disable()`"), () => gc.collect(0)),
    MILLION,
  );
  const middle = {
    verb: "`gc.collect(1)`",
    cost: "O(objects in generations 0 and 1)",
    by: "8,000, all alive, beside a million older ones",
  };
  const held = heap.new(list(Node), []);
  for (let i = 0; i < 7999; i++) held.push({ v: i });
  expect(
    "collected",
    meter.once(middle, () => gc.collect(1)),
    0,
  );
  release(held);
  gc.collect();
}

function full(heap, graph, meter) {
  const { gc } = heap;
  const row = (by) => ({ verb: "`gc.collect()`", cost: "O(heap), less what is settled", by });
  meter.once(row("a million alive, nothing dropped since the last"), () => gc.collect());
  release(retain(graph.at(MILLION >> 1)));
  meter.once(row("the same after one `retain` and `release` of a node in the middle"), () => gc.collect());
  release(retain(graph));
  graph.at(0).c = graph.at(1);
  graph.at(0).c = null;
  meter.once(row("the same after references to the first ones were dropped"), () => gc.collect());
  expect("objects", gc.getObjects().length, MILLION + 1);
}

function looking(gc, graph, meter) {
  meter.once({ verb: "`gc.pending`", cost: "O(heap)", by: "a million alive" }, () =>
    expect("pending", gc.pending().objects, 0),
  );
  meter.once({ verb: "`gc.getObjects`", cost: "O(objects)", by: "a million views" }, () =>
    expect("objects", gc.getObjects().length, MILLION + 1),
  );
  meter.once({ verb: "`gc.getReferrers`", cost: "O(heap)", by: "of one object" }, () =>
    expect("referrers", gc.getReferrers(graph).length, 0),
  );
  meter.once({ verb: "`gc.getReferents`", cost: "O(references)", by: "of a list of a million" }, () =>
    expect("referents", gc.getReferents(graph).length, MILLION),
  );
  const node = graph.at(0);
  meter.many(
    {
      verb: "`gc.isTracked` `isFinalized` `getCount` `getStats` `getThreshold` `enable` `disable`",
      cost: "O(1)",
      by: "all in one go",
    },
    MANY,
    () => {
      gc.enable();
      if (!gc.isTracked(node) || gc.isFinalized(node)) throw new Error("It is tracked, and not finalized.");
      gc.getCount();
      gc.getStats();
      gc.getThreshold();
      gc.disable();
    },
  );
}

function freezing(gc, meter) {
  meter.once({ verb: "`gc.freeze`", cost: "O(objects)", by: "a million" }, () => gc.freeze());
  meter.once({ verb: "`gc.getFreezeCount`", cost: "O(objects frozen)", by: "a million" }, () =>
    expect("frozen", gc.getFreezeCount(), MILLION + 1),
  );
  meter.once({ verb: "`gc.collect()`", cost: "O(heap), less what is settled", by: "a million frozen" }, () =>
    gc.collect(),
  );
  meter.once({ verb: "`gc.unfreeze`", cost: "O(objects)", by: "a million" }, () => gc.unfreeze());
}

function watched(heap, meter) {
  let all = heap.new(list(Watched), []);
  for (let i = 0; i < MILLION; i++) {
    all.push({ v: i });
    const node = all.at(i);
    node.other = i % 2 === 0 ? node : all.at(i - 1);
    if (i % 2 === 1) all.at(i - 1).other = node;
  }
  release(all);
  all = undefined;
  const row = {
    verb: "`gc.collect()`",
    cost: "O(heap), and the finalizers",
    by: "a million of garbage with finalizers, in pairs",
  };
  expect(
    "collected",
    meter.once(row, () => heap.gc.collect()),
    MILLION,
  );
  expect("finalized", finalized, MILLION);
}
