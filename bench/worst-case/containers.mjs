/** Lists, dicts and sets. */
import { any, dict, f64, Heap, i32, list, set, str } from "ouroheap";
import { expect } from "../lib/measure.mjs";
import { MANY, Meter, MILLION, makeGraph, Nodes } from "./meter.mjs";

export function containers() {
  const heap = Heap.create();
  const meter = new Meter(heap);
  lists(heap, meter);
  dicts(heap, meter);
  colliding(heap, meter);
  sets(heap, meter);
  return meter.rows;
}

function lists(heap, meter) {
  const numbers = heap.new(list(f64), []);
  meter.many(
    { verb: "list `push`", cost: "O(1) amortised; O(items) when it moves", by: "up to two million numbers" },
    2 * MILLION,
    (i) => {
      numbers.push(i);
    },
  );
  let sum = 0;
  meter.many({ verb: "list `at`, `set`", cost: "O(1), and as a field", by: "both in one go" }, MANY, (i) => {
    sum += numbers.at(i);
    numbers.set(i, sum);
  });
  meter.many(
    {
      verb: "list `insert`, `delete`, `take`",
      cost: "O(items behind it)",
      by: "all three at the front of two million",
    },
    200,
    (i) => {
      numbers.insert(0, i);
      numbers.insert(0, i);
      numbers.delete(0);
      numbers.take(0);
    },
  );
  meter.many({ verb: "list `pop`", cost: "O(1)", by: "" }, MANY, () => numbers.pop());
  meter.many({ verb: "list `indexOf`", cost: "O(items)", by: "not there, 1.8 million numbers" }, 5, () => {
    expect("index", numbers.indexOf(-1), -1);
  });
  const iterator = numbers[Symbol.iterator]();
  meter.many({ verb: "list iteration, one step", cost: "O(1)", by: "" }, MANY, () => iterator.next());
  const graph = makeGraph(heap, MILLION);
  const refs = heap.new(Nodes, []);
  meter.once({ verb: "list `assign`", cost: "O(items, new and old)", by: "a million references" }, () =>
    refs.assign(graph),
  );
  meter.once(
    {
      verb: "list `clear`",
      cost: "O(items), and O(objects that die)",
      by: "a million references, none dies",
    },
    () => refs.clear(),
  );
  expect("items", graph.length + refs.length, MILLION);
}

function dicts(heap, meter) {
  const table = heap.new(dict(str, f64), []);
  const keys = Array.from({ length: MILLION }, (_, i) => `some key ${i}`);
  meter.many(
    {
      verb: "dict `set`",
      cost: "O(1) amortised; O(entries) when it grows",
      by: "a million texts: it grows at 699,050",
    },
    MILLION,
    (i) => {
      table.set(keys[i], i);
    },
  );
  let sum = 0;
  meter.many(
    { verb: "dict `get`, `has`", cost: "O(1); O(entries) for colliding keys", by: "both in one go" },
    MANY,
    (i) => {
      sum += table.get(keys[i * 5]);
      if (table.has("no such key")) throw new Error("It has a key that was not set.");
    },
  );
  const iterator = table.entries();
  meter.many(
    {
      verb: "dict iteration, one step",
      cost: "O(1), and O(deleted entries) passed over",
      by: "none is deleted",
    },
    MANY,
    () => iterator.next(),
  );
  meter.many(
    { verb: "dict `delete`", cost: "O(1)", by: "all but the last of a million" },
    MILLION - 1,
    (i) => {
      table.delete(keys[i]);
    },
  );
  const after = {
    verb: "dict iteration, one step",
    cost: "O(1), and O(deleted entries) passed over",
    by: "the first step, 999,999 deleted before it",
  };
  meter.once(after, () => expect("key", table.keys().next().value, keys[MILLION - 1]));
  table.clear();
  for (const key of keys) table.set(key, 1);
  meter.once({ verb: "dict `clear`", cost: "O(entries)", by: "a million texts" }, () => table.clear());
  expect("sum and size", sum > 0 && table.size === 0, true);
}

const COLLIDING = 10_000;
/** `HASH_HIGH_FACTOR` of src/memory/layout.ts: doubles whose words cancel out in the hash. */
const HASH_HIGH_FACTOR = -0x61c8864f;

function colliding(heap, meter) {
  const bits = new DataView(new ArrayBuffer(8));
  const keys = Array.from({ length: COLLIDING }, (_, i) => {
    const high = 0x40000000 + i;
    bits.setInt32(0, high);
    bits.setInt32(4, Math.imul(high, HASH_HIGH_FACTOR));
    return bits.getFloat64(0);
  });
  const plain = heap.new(
    dict(f64, i32),
    keys.map((_, i) => [i + 0.5, i]),
  );
  const table = heap.new(
    dict(f64, i32),
    keys.map((key, i) => [key, i]),
  );
  const row = (by) => ({ verb: "dict `get`", cost: "O(1); O(entries) for colliding keys", by });
  meter.many(row("10,000 keys"), 1000, (i) => expect("value", plain.get(i * 10 + 0.5), i * 10));
  meter.many(row("10,000 keys, all of one hash: the last of them"), 1000, () =>
    expect("value", table.get(keys[COLLIDING - 1]), COLLIDING - 1),
  );
  const [usual, worst] = meter.rows.slice(-2);
  if (worst.medianMs < 10 * usual.medianMs) throw new Error("These keys do not collide any more.");
}

function sets(heap, meter) {
  const members = heap.new(set(any), []);
  meter.many(
    { verb: "set `add`", cost: "O(1) amortised; O(entries) when it grows", by: "a million numbers" },
    MILLION,
    (i) => {
      members.add(i);
    },
  );
  meter.many(
    { verb: "set `has`, `delete`", cost: "O(1); O(entries) for colliding members", by: "both in one go" },
    MANY,
    (i) => {
      if (!members.has(i)) throw new Error("A member is lost.");
      members.delete(i);
    },
  );
  expect("members", members.size, MILLION - MANY);
}
