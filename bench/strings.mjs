/**
 * strings: a list of 500,000 names is made, every name is read (does it end in "9 of some"?), and every name is
 * compared with that of another list, equal text in another string.
 */
import { Heap, list, release, str } from "ouroheap";
import { timed } from "./lib/measure.mjs";
import { PYTHON } from "./lib/peers.mjs";
import { wholeProgram } from "./lib/whole.mjs";

const NAMES = 500_000;
const ROUNDS = 7;
const WARM_UPS = 3;

const nameOf = (i) => `name ${i} of some`;

function ours() {
  const heap = Heap.create();
  return steps(() => heap.new(list(str), []), release);
}

function v8() {
  return steps(
    () => [],
    () => {},
  );
}

function steps(makeList, drop) {
  const other = fill(makeList());

  function fill(names) {
    for (let i = 0; i < NAMES; i++) names.push(nameOf(i));
    return names;
  }
  function read(names) {
    let found = 0;
    for (let i = 0; i < NAMES; i++) if (names.at(i).endsWith("9 of some")) found++;
    return found;
  }
  function compare(names) {
    let equal = 0;
    for (let i = 0; i < NAMES; i++) if (names.at(i) === other.at(i)) equal++;
    return equal;
  }

  function run() {
    const make = timed(() => fill(makeList()));
    const reading = timed(() => read(make.result));
    const comparing = timed(() => compare(make.result));
    const dropping = timed(() => drop(make.result));
    make.result = null;
    globalThis.gc();
    return {
      ms: make.ms,
      readMs: reading.ms,
      compareMs: comparing.ms,
      dropMs: dropping.ms,
      result: [reading.result, comparing.result],
    };
  }
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) run();
  return { run };
}

export const contenders = { ours, v8 };

export const jobs = [
  wholeProgram({
    id: "strings",
    group: "strings",
    n: NAMES,
    ours: { ours: { shape: "", checks: "handles" } },
    peers: [PYTHON],
    rounds: ROUNDS,
    peerRounds: ROUNDS,
    measures: { ms: "make", readMs: "read", compareMs: "compare" },
    options: { names: NAMES },
  }),
];
