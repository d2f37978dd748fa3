/**
 * dict_1m, set_1m: hash tables of a million keys against Map and Set: insert, hit, miss, delete, a line for each operation and
 * kind of key. `..._shuffled` looks up and deletes in another order than that of insertion.
 */
import { any, dict, f64, Heap, i32, release, set, str } from "ouroheap";
import { keysOf, TABLE_KEYS, TABLE_OPERATIONS } from "./lib/keys.mjs";
import { compare, expect, Samples, timed } from "./lib/measure.mjs";
import { nodeSide, PYTHON, pythonSide, withSides } from "./lib/sides.mjs";

const KEYS = 1_000_000;
const ROUNDS = 4;
const WARM_UP_KEYS = 20_000;
const WARM_UPS = 10;
const CHECKS = "handles";
const FLOOR = 0.7;

// -- the loops, the same text for all containers and both sides in Node ---------------------------

const LOOPS = {
  dict: {
    insert: "for (let i = 0; i < keys.length; i++) table.set(keys[i], i + 0.5); return table.size;",
    hit: "let total = 0; for (let i = 0; i < keys.length; i++) total += table.get(keys[i]); return total;",
    miss: "let misses = 0; for (let i = 0; i < keys.length; i++) if (table.get(keys[i]) === undefined) misses++; return misses;",
    delete:
      "let deleted = 0; for (let i = 0; i < keys.length; i++) if (table.delete(keys[i])) deleted++; return deleted - table.size;",
  },
  set: {
    insert: "for (let i = 0; i < keys.length; i++) table.add(keys[i]); return table.size;",
    hit: "let hits = 0; for (let i = 0; i < keys.length; i++) if (table.has(keys[i])) hits++; return hits;",
    miss: "let misses = 0; for (let i = 0; i < keys.length; i++) if (!table.has(keys[i])) misses++; return misses;",
    delete:
      "let deleted = 0; for (let i = 0; i < keys.length; i++) if (table.delete(keys[i])) deleted++; return deleted - table.size;",
  },
};

/** What a loop over n keys returns. */
const expected = (container, operation, n) => (container === "dict" && operation === "hit" ? (n * n) / 2 : n);

/** A loop with a text of its own for each container and kind of key, so that each has its own feedback, as in a program. */
function makeLoops() {
  const loops = {};
  for (const [container, bodies] of Object.entries(LOOPS))
    for (const kind of TABLE_KEYS)
      for (const operation of TABLE_OPERATIONS)
        loops[`${container} ${kind} ${operation}`] = new Function(
          "table",
          "keys",
          `/* ${container} ${kind} */ ${bodies[operation]}`,
        );
  return loops;
}

/**
 * The steps of a side in Node. All kinds of table are warm before one is measured.
 * @param create an empty table of a container and a kind of key
 * @param drop a table
 */
function steps(create, drop) {
  const loops = makeLoops();
  let table;
  let keys;
  let plan;

  /** Everything that is not to be timed: a new table, and the keys that the operations take. */
  function prepare(next) {
    if (table !== undefined) drop(table);
    const { container, kind, shuffled, n } = next;
    plan = next;
    table = create(container, kind);
    keys = keysOf(kind, shuffled, n);
  }

  function run(operation) {
    const { container, kind, n } = plan;
    const loop = loops[`${container} ${kind} ${operation}`];
    const operands = keys[operation];
    const { ms, result } = timed(() => loop(table, operands));
    expect(`${container}, ${kind}: ${operation}`, result, expected(container, operation, n));
    return { ms };
  }

  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++)
    for (const container of Object.keys(LOOPS))
      for (const kind of TABLE_KEYS) {
        prepare({ container, kind, shuffled: warmUp % 2 === 1, n: WARM_UP_KEYS });
        for (const operation of TABLE_OPERATIONS) run(operation);
      }
  return {
    prepare,
    run(operation) {
      globalThis.gc(); // what the keys and the step before have left is not this one's to collect
      return run(operation);
    },
  };
}

function ours() {
  const heap = Heap.create();
  const types = {
    dict: { fresh: dict(str, f64), same: dict(str, f64), ints: dict(i32, f64), any: dict(any, f64) },
    set: { fresh: set(str), same: set(str), ints: set(i32), any: set(any) },
  };
  return steps((container, kind) => heap.new(types[container][kind], []), release);
}

function v8() {
  return steps(
    (container) => (container === "dict" ? new Map() : new Set()),
    () => {},
  );
}

export const contenders = { ours, v8 };

// -- rows ---------------------------------------------------------------------------------------

const ROWS = {
  dict_1m: { container: "dict", shuffled: false },
  set_1m: { container: "set", shuffled: false },
  dict_1m_shuffled: { container: "dict", shuffled: true },
  set_1m_shuffled: { container: "set", shuffled: true },
};

export const jobs = [
  {
    ids: Object.keys(ROWS),
    async run(wanted, { n = KEYS, rounds = ROUNDS } = {}) {
      const rows = Object.entries(ROWS).filter(([id]) => wanted.has(id));
      const lines = [];
      const makers = {
        ours: nodeSide("tables", "ours", {}),
        v8: nodeSide("tables", "v8", {}),
        [PYTHON]: pythonSide("tables", {}),
      };
      await withSides(makers, async (contest) => {
        for (const [bench, { container, shuffled }] of rows)
          for (const kind of TABLE_KEYS) {
            const samples = {};
            for (const operation of TABLE_OPERATIONS) samples[operation] = new Samples();
            // The first round is dropped: the tables of the sides have never been as large.
            for (let round = -1; round < rounds; round++) {
              await contest.all("prepare", { container, kind, shuffled, n });
              for (const operation of TABLE_OPERATIONS) {
                const answers = await contest.all("run", operation);
                if (round >= 0) samples[operation].add(answers);
              }
            }
            for (const operation of TABLE_OPERATIONS) {
              const row = {
                bench,
                n,
                shape: `${operation}, ${kind}`,
                checks: CHECKS,
                unit: "ms",
                floors: { v8: FLOOR },
              };
              lines.push(...compare(row, samples[operation], "ours", ["v8", PYTHON]));
            }
          }
      });
      return lines;
    },
  },
];
