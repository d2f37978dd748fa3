/** Collections of random graphs beside a naive collector: the same numbers, order of deaths and lists. */
import { describe, expect, it } from "vitest";
import { DEBUG_SAVEALL } from "../../../src/gc/collect.js";
import { type Address, CONTROL_DEBUG, CONTROL_GARBAGE } from "../../../src/memory/layout.js";
import { expectOrder, fillMemory, makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, type Random, randomFrom, shuffle } from "../../support/random.js";
import { type GraphOptions, type Known, randomGraph } from "../../support/random-graphs.js";
import { NaiveCollector } from "./naive-collector.js";

const byNumber = (a: number, b: number) => a - b;

describe("a heap collected again and again", () => {
  /** Drop edges and owners at random, in the heap and in the picture of it. */
  function change(heap: TestCore, naive: NaiveCollector, random: Random, graph: readonly Known[]): void {
    for (const object of shuffle(random, graph)) {
      if (!heap.roots.has(object.address)) continue;
      const choice = random();
      const holders = object.parts.flatMap((part, index) => (part === null ? [] : [index]));
      if (choice < 0.1 && object.kind === "list" && holders.length > 0) {
        const [index] = holders;
        const [part] = object.parts.splice(index, 1);
        heap.removeItem(object.address, index);
        naive.deaths.decref(part!);
      } else if (choice < 0.4) {
        heap.drop(object.address);
        naive.deaths.decref(object);
      }
    }
  }

  function makeRound(
    heap: TestCore,
    naive: NaiveCollector,
    random: Random,
    known: Map<Address, Known>,
    options: GraphOptions,
  ): void {
    const graph = randomGraph(heap, random, options);
    for (const object of graph) known.set(object.address, object);
    naive.deaths.add(graph);
    naive.tables[0] = heap.table(0).map((address) => known.get(address)!);
  }

  function expectSameTables(heap: TestCore, naive: NaiveCollector): void {
    for (const [generation, table] of naive.tables.entries())
      expectOrder(
        heap.table(generation),
        table.map(({ address }) => address),
      );
  }

  /** Who is shown the garbage has it die in order; otherwise garbage without an audience dies at once, in no order. */
  const audiences = [
    [
      "frees in CPython's order, returns CPython's numbers and leaves CPython's lists, untracking included",
      true,
    ],
    ["does the same but for the order where nobody is shown the garbage", false],
  ] as const;

  function watchedCore(isShown: boolean): TestCore {
    const heap = makeQuietCore(1 << 20);
    if (isShown) heap.core.events.listeners.push({ onUnreachable: () => {} });
    return heap;
  }

  function expectDeaths(deaths: readonly Address[], naive: NaiveCollector, isOrdered: boolean): void {
    const expected = naive.deaths.order.map(({ address }) => address);
    if (isOrdered) expectOrder(deaths, expected);
    else expectOrder(deaths.toSorted(byNumber), expected.toSorted(byNumber));
  }

  it.each(audiences)("%s", (_, isShown) => {
    const rounds = Math.max(40, size(150));
    let collected = 0;
    for (let seed = 0; seed < rounds; seed++) {
      const random = randomFrom(seed);
      const heap = watchedCore(isShown);
      const naive = new NaiveCollector();
      const known = new Map<Address, Known>();
      const deaths = heap.recordDeaths();
      for (let round = 0; round < 6; round++) {
        makeRound(heap, naive, random, known, { count: 5 + below(random, 40), chained: random() });
        change(heap, naive, random, [...known.values()]);
        if (random() < 0.3) {
          heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
          while (naive.garbage.length > 0) naive.deaths.decref(naive.garbage.pop()!);
        }
        if (random() < 0.1) {
          heap.core.generations.freeze();
          naive.freeze();
        } else if (random() < 0.2) {
          heap.core.generations.unfreeze();
          naive.unfreeze();
        }
        naive.isSavingAll = random() < 0.2;
        heap.i32[CONTROL_DEBUG] = naive.isSavingAll ? DEBUG_SAVEALL : 0;
        const generation = below(random, 3);
        const found = heap.collect(generation);
        collected += found;
        expect(found).toBe(naive.collect(generation));
        expectOrder(
          heap.garbage(),
          naive.garbage.map(({ address }) => address),
        );
        expectDeaths(deaths, naive, isShown);
        expectSameTables(heap, naive);
        for (const object of naive.deaths.order) known.delete(object.address);
        naive.deaths.order.length = deaths.length = 0;
      }
    }
    expect(collected).toBeGreaterThan(rounds);
  });

  it.each([true, false])(
    "does the same when memory is full and tables are many chunks long; garbage is shown: %s",
    (isShown) => {
      for (let seed = 0; seed < Math.max(2, size(10)); seed++) {
        const random = randomFrom(seed + 500);
        const heap = watchedCore(isShown);
        const naive = new NaiveCollector();
        const known = new Map<Address, Known>();
        const deaths = heap.recordDeaths();
        for (let round = 0; round < 3; round++) {
          makeRound(heap, naive, random, known, { count: 500 + below(random, 1200), chained: random() });
          const hoards = fillMemory(heap);
          change(heap, naive, random, [...known.values()]);
          hoards.push(...fillMemory(heap));
          const generation = below(random, 3);
          expect(heap.collect(generation)).toBe(naive.collect(generation));
          expectSameTables(heap, naive);
          heap.drop(...hoards);
          const isKnown = (address: Address) => known.has(address);
          expectDeaths(deaths.filter(isKnown), naive, isShown);
          for (const object of naive.deaths.order) known.delete(object.address);
          naive.deaths.order.length = deaths.length = 0;
        }
      }
    },
  );

  it("takes no more memory the more often it is collected", () => {
    const heap = makeQuietCore();
    const used: number[] = [];
    for (let round = 0; round < 30; round++) {
      const random = randomFrom(3);
      randomGraph(heap, random, { count: size(2000), chained: 0.5 });
      heap.dropAll();
      for (const generation of [0, 1, 2]) heap.collect(generation);
      used.push(heap.core.allocator.bytesUsed);
    }
    expect(used.slice(2)).toEqual(used.slice(2).fill(used[2]));
  });
});
