/** Damaged images: refused, or loaded as a heap that is whole. test/fuzz/image.mjs does it ten thousand times. */
import { describe, expect, it } from "vitest";
import * as lib from "../../../src/index.js";
import { Heap, HeapError } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { damage, KINDS, randomFrom, recompute } from "../../fuzz/damage.mjs";
import { build, declare, exercise } from "../../fuzz/worlds.mjs";
import { runLevel, size } from "../../support/heaps.js";

describe.each(KINDS)("%s", (kind) => {
  it("is never loaded as it is, and never as a heap that is not whole when its checksums are made right", async () => {
    const types = declare(lib);
    const random = randomFrom(kind.length * 7919 + kind.charCodeAt(0));
    const { heap, roots } = build(lib, types, random, 15);
    const image = heap.saveBytes({ roots });
    heap[Symbol.dispose]();
    for (let round = 0; round < size(25); round++) {
      const damaged = damage(image, kind, random);
      const isSame = Buffer.compare(damaged, image) === 0;
      for (const [bytes, mayLoad] of [[damaged, isSame] as const, [recompute(damaged), true] as const]) {
        const outcome = await Heap.load(bytes, { types: [types.Node], checks: runLevel() }).catch(
          (error: unknown) => error,
        );
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HeapError);
        else {
          expect(mayLoad).toBe(true);
          exercise(lib, outcome as lib.LoadedHeap, verify);
        }
      }
    }
  });
});
