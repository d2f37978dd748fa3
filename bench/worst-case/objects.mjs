/** Making, holding, reading, writing and dropping objects. */
import {
  as,
  f64,
  Heap,
  i32,
  id,
  is,
  isA,
  list,
  optional,
  refcount,
  release,
  retain,
  str,
  struct,
  typeName,
} from "ouroheap";
import { expect } from "../lib/measure.mjs";
import { MANY, Meter, MILLION, makeScatteredChain, Node, Nodes } from "./meter.mjs";

const TEXT_LENGTH = 10_000_000;

export function objects() {
  const meter = new Meter();
  meter.many(
    { verb: "(nothing: the clocks are read)", cost: "", by: "the machine itself" },
    MILLION,
    () => {},
  );
  const heap = meter.once({ verb: "`Heap.create`", cost: "O(1)", by: "the first of a process" }, () =>
    Heap.create(),
  );
  meter.heap = heap;

  bind(heap, meter);
  make(heap, meter);
  const node = heap.new(Node, { v: 1.5, a: { v: 2.5 } });
  hold(node, meter);
  fields(heap, node, meter);
  drop(heap, meter);
  return meter.rows;
}

function bind(heap, meter) {
  const types = Array.from({ length: 300 }, (_, i) =>
    struct(`Type${i}`, { a: f64, b: f64, c: i32, d: str, e: optional(Node), f: list(Node), g: str, h: f64 }),
  );
  const row = {
    verb: "`heap.new` of a type's first instance",
    cost: "O(fields)",
    by: "300 types of 8 fields: code is made",
  };
  meter.many(row, types.length, (i) => release(heap.new(types[i], {})));
}

function make(heap, meter) {
  let chain = heap.new(Node, { v: 0.5 });
  const grow = (i) => {
    const next = heap.new(Node, { a: chain, b: null, c: null, v: i + 0.5 });
    release(chain);
    chain = next;
  };
  heap.gc.disable();
  const off = {
    verb: "`heap.new`, `gc.disable()`",
    cost: "O(literal)",
    by: "a chain of a million is made: memory is committed",
  };
  meter.many(off, MILLION, grow);
  heap.gc.enable();
  const on = {
    verb: "`heap.new`",
    cost: "O(literal), and O(heap) when it starts a full collection",
    by: "a million more; each of a few calls collects everything",
  };
  meter.many(on, MILLION, grow);
  heap.gc.disable();
  meter.once(
    { verb: "`release`", cost: "O(objects that die)", by: "the last reference to a chain of two million" },
    () => release(chain),
  );
  expect("objects left", heap.gc.getObjects().length, 0);

  const children = Array.from({ length: MILLION }, (_, i) => ({ v: i + 0.5 }));
  const literal = {
    verb: "`heap.new`, a literal of many",
    cost: "O(literal)",
    by: "a list of a million literals",
  };
  const list = meter.once(literal, () => heap.new(Nodes, children));
  const released = {
    verb: "`release`",
    cost: "O(objects that die)",
    by: "the last reference to a list of a million",
  };
  meter.once(released, () => release(list));
  expect("objects left", heap.gc.getObjects().length, 0);
}

function hold(node, meter) {
  const handles = new Array(MANY);
  meter.many({ verb: "`retain`", cost: "O(1)", by: "" }, MANY, (i) => {
    handles[i] = retain(node);
  });
  meter.many({ verb: "`release`, others are left", cost: "O(1)", by: "" }, MANY, (i) => release(handles[i]));
  expect("references", refcount(node), 1);
  let sum = 0;
  const other = node.a;
  meter.many(
    { verb: "`is` `id` `isA` `as` `refcount` `typeName`", cost: "O(1)", by: "all six in one go" },
    MANY,
    () => {
      sum += id(node) + refcount(node) + typeName(node).length + (is(node, other) ? 1 : 0);
      if (isA(Node, node)) sum += as(Node, node).v;
    },
  );
  if (!(sum > 0)) throw new Error("Nothing was read.");
}

function fields(heap, node, meter) {
  meter.many({ verb: "read a field: number", cost: "O(1)", by: "" }, MANY, () => {
    if (node.v !== 1.5) throw new Error("The number is lost.");
  });
  meter.many({ verb: "read a field: reference", cost: "O(1)", by: "a view is made" }, MANY, () => {
    if (node.a === null) throw new Error("The reference is lost.");
  });
  meter.many({ verb: "write a field: number", cost: "O(1)", by: "" }, MANY, (i) => {
    node.v = i;
  });
  const [one, two] = [heap.new(Node, { v: 1 }), heap.new(Node, { v: 2 })];
  meter.many(
    {
      verb: "write a field: reference",
      cost: "O(1), and O(objects that die) of the old value",
      by: "none dies",
    },
    MANY,
    (i) => {
      node.b = i % 2 === 0 ? one : two;
    },
  );
  const chain = makeScatteredChain(heap, MILLION);
  node.c = chain;
  release(chain);
  const cut = {
    verb: "write a field: reference",
    cost: "O(1), and O(objects that die) of the old value",
    by: "the old value held a chain of a million, scattered",
  };
  meter.once(cut, () => {
    node.c = null;
  });
  expect("objects left", heap.gc.getObjects().length, 4);

  const Page = struct("Page", { text: str });
  const page = heap.new(Page, { text: "" });
  const text = "é".padEnd(TEXT_LENGTH, "text ");
  meter.once({ verb: "write a field: text", cost: "O(length)", by: "ten million characters" }, () => {
    page.text = text;
  });
  const read = meter.once(
    {
      verb: "read a field: text",
      cost: "O(length), or O(1) when it was read lately",
      by: "ten million characters",
    },
    () => page.text,
  );
  expect("text", read.length, TEXT_LENGTH);
  release(page);
}

function drop(heap, meter) {
  const head = makeScatteredChain(heap, MILLION);
  const row = {
    verb: "`release`",
    cost: "O(objects that die)",
    by: "a chain of a million in random order: each death a cache miss",
  };
  meter.once(row, () => release(head));
  expect("objects left", heap.gc.getObjects().length, 4);
}
