import { expect, it } from "vitest";
import { largest } from "../../../src/cli/heap-report.js";
import { randomFrom } from "../../fuzz/damage.mjs";

it("the largest of a list are those that sorting all gives, whatever the limit; of equals the first", () => {
  const random = randomFrom(5);
  for (let round = 0; round < 200; round++) {
    const items = Array.from({ length: random(60) }, (_, index) => ({ index, size: random(12) }));
    const limit = random(20);
    const expected = [...items].sort((one, other) => other.size - one.size).slice(0, limit);
    expect(largest(items, limit, ({ size }) => size)).toEqual(expected);
  }
});

it("the largest 200,000 of a million are found in a moment: no list is shifted for each", () => {
  const start = performance.now();
  const found = largest(Array(1_000_000).keys(), 200_000, (item) => item);
  expect([found.length, found[0], found[199_999]]).toEqual([200_000, 999_999, 800_000]);
  expect(performance.now() - start).toBeLessThan(20_000); // shifting takes minutes
});
