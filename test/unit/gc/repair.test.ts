import { describe, expect, it } from "vitest";
import { Core } from "../../../src/gc/core.js";
import { repair } from "../../../src/gc/repair.js";
import type { Memory } from "../../../src/memory/memory.js";
import { expectWhole, killAtEveryStore, makeSmallCore } from "../../support/kills.js";
import { below, randomFrom } from "../../support/random.js";
import { copyInto, copyMemory, recordMemory, replay } from "../../support/stores.js";
import { collecting, containers, dying, furnish, making, randomProgram } from "./repair-operations.js";

const operations = { ...making, ...dying, ...containers, ...collecting };

describe.each(Object.entries(operations))("a thread that ends in the middle of %s", (_, prepare) => {
  it("leaves a heap that is repaired, after each of its stores", () => {
    const heap = makeSmallCore();
    furnish(heap);
    expect(killAtEveryStore(heap, prepare(heap))).toBeGreaterThan(10);
  });
});

describe("a thread whose core poisons what it frees", () => {
  it.each([
    "the death of a long chain",
    "the death of containers",
    "clearing, shrinking and replacing a list",
    "a dict of texts that grows",
    "a collection of generation 2",
  ])("leaves as good a heap in the middle of %s", (name) => {
    const heap = makeSmallCore(true);
    furnish(heap);
    killAtEveryStore(heap, { ...operations[name](heap), isStress: true });
  });
});

it("a thousand threads that end anywhere in programs made at random leave a thousand good heaps", () => {
  let kills = 0;
  for (let seed = 1; kills < 1000; seed++) {
    const random = randomFrom(seed);
    const heap = makeSmallCore();
    const choose = (count: number) => new Set(Array.from({ length: 12 }, () => below(random, count + 1)));
    try {
      kills += killAtEveryStore(heap, { ...randomProgram(heap, random), choose });
    } catch (error) {
      (error as Error).message = `seed ${seed}: ${(error as Error).message}`;
      throw error;
    }
  }
});

describe("a repair that ends in the middle itself", () => {
  it.each(["the death of containers", "a collection of generation 2", "a dict of texts that grows"])(
    "is done again, after %s",
    (name) => {
      const heap = makeSmallCore();
      furnish(heap);
      const { mine = [], ...killing } = operations[name](heap);
      const roots = new Map([...heap.roots].filter(([object]) => !mine.includes(object)));
      const choose = (count: number) => new Set([Math.floor(count / 3), Math.floor((2 * count) / 3)]);
      const check = (memory: Memory, _: unknown, damaged: Memory) => {
        const state = copyMemory(damaged);
        const victim = copyMemory(damaged);
        const { memory: recorded, stores } = recordMemory(copyMemory(damaged));
        repair(recorded, roots);
        const step = Math.ceil(stores.length / 60);
        for (const [index, store] of stores.entries()) {
          replay(state, store);
          if (index % step !== 0) continue;
          copyInto(victim, state);
          const { objectsKept } = repair(victim, roots);
          expectWhole(victim, roots);
          expect(objectsKept).toBe([...new Core(memory, { isAttached: true }).allocator.objects()].length);
        }
      };
      killAtEveryStore(heap, { mine, ...killing, choose, check });
    },
  );
});
