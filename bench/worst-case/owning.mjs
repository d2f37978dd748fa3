/** Weak references, values of the host, pools, scopes. Automatic collection is off: each row shows the verb's own cost. */
import { f64, Heap, IdentityMap, release, retain, struct } from "ouroheap";
import { expect } from "../lib/measure.mjs";
import { MANY, Meter, MILLION, makeGraph, Node } from "./meter.mjs";

export function owning() {
  const heap = Heap.create();
  const meter = new Meter(heap);
  heap.gc.disable();
  weak(heap, meter);
  values(heap, meter);
  pools(heap, meter);
  scopes(heap, meter);
  identity(heap, meter);
  return meter.rows;
}

function weak(heap, meter) {
  const target = heap.new(Node, { v: 1 });
  const refs = new Array(MANY);
  let called = 0;
  const callback = () => {
    called++;
  };
  meter.many(
    { verb: "`weakref.ref`", cost: "O(1)", by: "200,000 with a callback, to one object" },
    MANY,
    (i) => {
      refs[i] = heap.weakref.ref(target, callback);
    },
  );
  meter.many({ verb: "`deref`, and its `release`", cost: "O(1)", by: "" }, MANY, (i) =>
    release(refs[i].deref()),
  );
  meter.once(
    {
      verb: "`weakref.getWeakrefCount`, `getWeakrefs`",
      cost: "O(weak references to it)",
      by: "both, 200,000",
    },
    () => {
      expect("weak references", heap.weakref.getWeakrefCount(target), MANY);
      expect("weak references", heap.weakref.getWeakrefs(target).length, MANY);
    },
  );
  const death = {
    verb: "`release`, weakly referenced",
    cost: "O(objects that die, their weak references), and the callbacks",
    by: "200,000 callbacks called",
  };
  meter.once(death, () => release(target));
  expect("callbacks", called, MANY);
  for (const ref of refs) release(ref);

  const nodes = Array.from({ length: MANY }, (_, i) => heap.new(Node, { v: i }));
  const byName = heap.weakref.valueDictionary();
  meter.many(
    {
      verb: "`valueDictionary` `set`, `get`",
      cost: "O(1) amortised; O(entries) when its Map grows",
      by: "both, 200,000",
    },
    MANY,
    (i) => {
      byName.set(i, nodes[i]);
      const value = byName.get(i);
      if (value === undefined) throw new Error("An entry is lost.");
      release(value);
    },
  );
  meter.many({ verb: "`weakref.finalize`", cost: "O(1) amortised", by: "200,000" }, MANY, (i) => {
    heap.weakref.finalize(nodes[i], callback);
  });
  for (const node of nodes) release(node);
  expect("entries", byName.size, 0);
  expect("callbacks", called, 2 * MANY);
}

function values(heap, meter) {
  let disposed = 0;
  const dispose = () => {
    disposed++;
  };
  const handles = new Array(MANY);
  const row = {
    verb: "`heap.adopt`",
    cost: "O(1 + `holds`) amortised; what allocates may collect",
    by: "200,000",
  };
  meter.many(row, MANY, (i) => {
    handles[i] = heap.adopt({ i }, dispose);
  });
  meter.many({ verb: "`foreign.value`", cost: "O(1)", by: "" }, MANY, (i) => {
    if (handles[i].value.i !== i) throw new Error("Another value.");
  });
  meter.many({ verb: "`release` of an adopted value", cost: "O(1), and its disposer", by: "" }, MANY, (i) =>
    release(handles[i]),
  );
  meter.many(
    { verb: "`heap.own`", cost: "O(1) amortised; what allocates may collect", by: "200,000" },
    MANY,
    (i) => {
      handles[i] = heap.own({ i, close: dispose });
    },
  );
  for (const handle of handles) release(handle);
  expect("disposed", disposed, 2 * MANY);
}

function pools(heap, meter) {
  const Particle = struct("Particle", { x: f64, y: f64 });
  const pool = meter.once({ verb: "`heap.pool`", cost: "O(capacity)", by: "200,000 instances" }, () =>
    heap.pool(Particle, { capacity: MANY, whenEmpty: "grow" }),
  );
  const out = new Array(MANY);
  meter.many({ verb: "pool `acquire`", cost: "O(literal)", by: "all of them" }, MANY, (i) => {
    out[i] = pool.acquire({ x: i, y: 0 });
  });
  const more = meter.once(
    { verb: "pool `acquire`, it is empty and grows", cost: "O(capacity)", by: "200,000 more" },
    () => pool.acquire({ x: 0, y: 0 }),
  );
  meter.many(
    {
      verb: "pool: `release` brings one back",
      cost: "O(instance), and O(objects that die), and `reset`",
      by: "",
    },
    MANY,
    (i) => release(out[i]),
  );
  release(more);
  expect("available", pool.available, 2 * MANY);
  meter.once({ verb: "pool closed", cost: "O(capacity)", by: "400,000 instances" }, () =>
    pool[Symbol.dispose](),
  );
}

function scopes(heap, meter) {
  const scope = heap.scope();
  meter.many(
    {
      verb: "`scope.new`",
      cost: "O(literal) amortised, and as `heap.new`",
      by: "a million handles in one scope",
    },
    MILLION,
    (i) => {
      scope.new(Node, { v: i });
    },
  );
  const close = {
    verb: "scope closed",
    cost: "O(handles), and O(objects that die)",
    by: "a million handles and objects",
  };
  meter.once(close, () => scope[Symbol.dispose]());

  const graph = makeGraph(heap, MILLION);
  for (let i = 0; i < MILLION; i++) graph.at(i).c = graph.at((i + 1) % MILLION);
  const seeds = heap.scope();
  seeds.use(retain(graph.at(0)));
  release(graph);
  seeds[Symbol.dispose]();
  const row = {
    verb: "`scope.collect`",
    cost: "O(what its objects reach)",
    by: "a graph of a million, all of it on one cycle, which is garbage",
  };
  const freed = meter.once(row, () => seeds.collect());
  expect("collected", freed, MILLION);
}

function identity(heap, meter) {
  const map = new IdentityMap(heap);
  const nodes = Array.from({ length: MANY }, (_, i) => heap.new(Node, { v: i }));
  meter.many(
    {
      verb: "`IdentityMap` `set`, `get`",
      cost: "O(1) amortised; O(entries) when its Map grows",
      by: "both, 200,000",
    },
    MANY,
    (i) => {
      map.set(nodes[i], i);
      if (map.get(nodes[i]) !== i) throw new Error("An entry is lost.");
    },
  );
}
