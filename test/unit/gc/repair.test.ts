import { describe, expect, it } from "vitest";
import { killAtEveryStore, makeSmallCore } from "../../support/kills.js";
import { collecting, containers, dying, furnish, making } from "./repair-operations.js";

const total = { kills: 0, ms: 0 };
const operations = Object.entries({ ...making, ...dying, ...containers, ...collecting });

describe.each(operations)("a thread that ends in the middle of %s", (name, prepare) => {
  it("leaves a heap that is repaired, after each of its stores", () => {
    const heap = makeSmallCore();
    furnish(heap);
    heap.verify();
    const start = performance.now();
    const kills = killAtEveryStore(heap, prepare(heap));
    console.log(name, kills, ((performance.now() - start) / kills).toFixed(2));
    total.kills += kills; total.ms += performance.now() - start;
    console.log("total", total);
    expect(kills).toBeGreaterThan(3);
  });
});
