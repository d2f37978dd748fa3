/**
 * cache_churn: a cache of the 200,000 pages used last: a dict by key, and a ring of entries in order of use. Two of five
 * lookups find their page; for the others a page is made and the oldest one dropped. The time of each operation is kept.
 */
import { dict, Heap, i32, optional, release, str, struct } from "ouroheap";
import { quantiles } from "./lib/pauses.mjs";
import { PYTHON } from "./lib/peers.mjs";
import { xorshift32 } from "./lib/random.mjs";
import { wholeProgram } from "./lib/whole.mjs";

const CAPACITY = 200_000;
const OPERATIONS = 1_000_000;
const UNIVERSE = 1_000_000;
const SEED = 0x3c6ef372;
const ROUNDS = 5;
const WARM_UP = 100_000;

/** @param side entries with key, body, uses, older and newer; a table of them by key; `release` for what was made here */
function makeCache({ makeEntry, table, release }) {
  const ring = makeEntry("", "");
  ring.older = ring;
  ring.newer = ring;

  function append(entry) {
    const newest = ring.older;
    entry.older = newest;
    entry.newer = ring;
    newest.newer = entry;
    ring.older = entry;
  }
  /** The table holds the entry meanwhile. */
  function unlink(entry) {
    const { older, newer } = entry;
    older.newer = newer;
    newer.older = older;
  }

  /** @returns how often the page has been asked for since it came */
  function use(key) {
    const found = table.get(key);
    if (found !== undefined) {
      unlink(found);
      append(found);
      return ++found.uses;
    }
    if (table.size === CAPACITY) {
      const oldest = ring.newer;
      unlink(oldest);
      table.delete(oldest.key);
    }
    const entry = makeEntry(key, `This is the body of ${key}, as long as bodies are.`);
    append(entry);
    table.set(key, entry);
    release(entry);
    return 0;
  }
  return use;
}

// -- ours ---------------------------------------------------------------------------------------

class Entry extends struct("Entry", {
  get older() {
    return optional(Entry);
  },
  get newer() {
    return optional(Entry);
  },
  key: str,
  body: str,
  uses: i32,
}) {}

function ours() {
  const heap = Heap.create();
  const makeEntry = (key, body) => heap.new(Entry, { older: null, newer: null, key, body, uses: 0 });
  const table = heap.new(dict(str, Entry), []);
  return steps(makeCache({ makeEntry, table, release }), table);
}

// -- V8 -----------------------------------------------------------------------------------------

class PlainEntry {
  constructor(key, body) {
    this.older = null;
    this.newer = null;
    this.key = key;
    this.body = body;
    this.uses = 0;
  }
}

function v8() {
  const table = new Map();
  const makeEntry = (key, body) => new PlainEntry(key, body);
  return steps(makeCache({ makeEntry, table, release: () => {} }), table);
}

function steps(use, table) {
  const random = xorshift32(SEED);
  function run(operations) {
    const times = new Float64Array(operations);
    let hits = 0;
    for (let i = 0; i < operations; i++) {
      const key = `page/${Math.floor(random() ** 2.5 * UNIVERSE)}`;
      const start = performance.now();
      if (use(key) > 0) hits++;
      times[i] = performance.now() - start;
    }
    const ms = times.reduce((sum, time) => sum + time, 0);
    return { ms, pauses: quantiles(times), result: [hits, table.size] };
  }
  while (table.size < CAPACITY) run(WARM_UP);
  return { run: () => run(OPERATIONS) };
}

export const contenders = { ours, v8 };

export const jobs = [
  wholeProgram({
    id: "cache_churn",
    group: "cache",
    n: OPERATIONS,
    ours: { ours: { shape: `${CAPACITY} pages`, checks: "handles" } },
    peers: [PYTHON],
    rounds: ROUNDS,
    options: { capacity: CAPACITY, operations: OPERATIONS, universe: UNIVERSE, seed: SEED, warmUp: WARM_UP },
  }),
];
