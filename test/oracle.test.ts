/**
 * Recorded programs and what python3.11 said of them, event for event and list for list (oracle/README.md). The heap must
 * say the same.
 */
import { readdirSync, readFileSync } from "node:fs";
import { Heap } from "ouroheap";
import { describe, expect, it } from "vitest";
import { firstDifference, runHeap } from "../oracle/compare.mjs";
import { runDeep } from "../oracle/deep-programs.mjs";
import { RULES } from "../oracle/rules.mjs";
import { Replay } from "../oracle/session.mjs";
import { isVerify } from "./support/heaps.js";

interface Recorded {
  readonly seed: number;
  readonly typed: boolean;
  readonly program: readonly object[];
  readonly outcomes: readonly string[];
}

const corpus = new URL("corpus/", import.meta.url);

describe("the story that python3.11 tells", () => {
  it.each(readdirSync(corpus))("%s", (name) => {
    const recorded: Recorded[] = readFileSync(new URL(name, corpus), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const { seed, typed, program, outcomes } of recorded) {
      const told = runHeap(program, { typed, verify: isVerify });
      const index = firstDifference(told, outcomes);
      expect([seed, told[index]]).toEqual([seed, outcomes[index]]);
    }
  });
});

describe("a deep structure", () => {
  // Events and their hash as `python3.11 oracle/python/deep.py chain 3000` and `nest 2000` print them.
  it.each([
    ["chain", 3000, 600, 2590689477],
    ["nest", 2000, 4000, 491643569],
  ] as const)("dies in python3.11's order: a %s of %i", (name, size, events, hash) => {
    const heap = Heap.create({ maximumBytes: 16 << 20, checks: isVerify ? "verify" : "off" });
    expect(runDeep(heap, name, size)).toMatchObject({ events, hash });
  });
});

describe("a replay", () => {
  const run = (line: string) => new Replay({}).runLine(line, 4);

  it("answers what it does not understand with an error line, and goes on", () => {
    expect(run("{")).toEqual({ i: 4, op: null, r: { err: "line 5 is not JSON" }, ev: [] });
    expect(run('{"op":"fly"}')).toMatchObject({ op: "fly", r: { err: "no such fly" } });
    expect(run('{"op":"drop","name":"x"}')).toMatchObject({ r: { err: "no such x" } });
  });

  it("ends with the heap: nothing after shutdown is told", () => {
    const told = runHeap([{ op: "shutdown", gc: false }, { op: "order" }], {});
    expect(told).toEqual(['{"i": 0, "op": "shutdown", "r": null, "ev": []}']);
  });

  it("answers what would break an open iterator in Python without doing it", () => {
    const program = [
      { op: "new", name: "n0", kind: "node" },
      { op: "wnew", name: "c0", kind: "values" },
      { op: "wset", name: "c0", target: "n0", key: "k" },
      { op: "witer", name: "c0", iterators: ["i0"] },
      { op: "wdel", name: "c0", key: "k" },
      { op: "wclose", name: "i0" },
      { op: "wdel", name: "c0", key: "k" },
    ];
    expect(runHeap(program, {}).map((line) => JSON.parse(line).r)).toEqual([
      ...[null, null, null, [["k", "n0"]]],
      ...["iterating", null, true],
    ]);
  });

  it("starts a burst of automatic collections where it is told to", () => {
    const burst = { op: "burst", n: 40, thr: [10, 2, 0], c0: 4, total: 0 };
    expect(run(JSON.stringify(burst))).toMatchObject({ r: { gens: "0001" } });
  });
});

describe("the rules that are broken one by one", () => {
  it("stand in the sources as they are, each once", () => {
    const root = new URL("../", import.meta.url);
    const missing = RULES.filter(
      ({ file, from }) => readFileSync(new URL(file, root), "utf8").split(from).length !== 2,
    );
    expect(missing.map(({ rule }) => rule)).toEqual([]);
  });
});
