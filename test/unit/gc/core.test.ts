import { describe, expect, it } from "vitest";
import { Core } from "../../../src/gc/core.js";
import { CONTROL_TYPE_COUNT } from "../../../src/memory/layout.js";
import { Memory, reserveMemory } from "../../../src/memory/memory.js";
import { makeExactCore, TestCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";

describe("a core over a memory that is a heap already", () => {
  /** A heap with what a core sets by itself set to something else, and a second core over the same words. */
  function twoCores() {
    const first = makeExactCore(1 << 20);
    const pair = first.newTuple(first.tuple("ref", "ref"), null, null);
    first.core.trigger.setThreshold(0, 123);
    first.core.trigger.setEnabled(false);
    const { buffer, side } = first.core.memory;
    const before = Int32Array.from(first.i32);
    const second = new Core(new Memory(buffer, side.buffer as ArrayBuffer), { isAttached: true });
    return { first, pair, second, before };
  }

  it("writes nothing to it", () => {
    const { first, before } = twoCores();
    expect(first.i32).toEqual(before);
  });

  it("writes what a heap begins with where it is none yet", () => {
    expect(new Core(reserveMemory(1 << 20)).memory.i32[CONTROL_TYPE_COUNT]).toBeGreaterThan(0);
  });

  it("finds its types, its thresholds and its objects", () => {
    const { first, pair, second } = twoCores();
    expect(second.types.name(first.typeIdOf(pair))).toBe("tuple(ref,ref)");
    expect(second.garbageTypeId).toBe(first.core.garbageTypeId);
    expect(second.pendingTypeId).toBe(first.core.pendingTypeId);
    expect(second.trigger.threshold(0)).toBe(123);
    expect(second.trigger.isEnabled).toBe(false);
    expect([...second.generations.objects(0)]).toEqual([pair]);
  });

  it("knows which types a collection has to look for, whoever has registered them, and when", () => {
    const { first, second } = twoCores();
    const { types } = second;
    const known = () => [types.hasTuples, types.hasDicts, types.hasFinalizers, types.hasPools];
    expect(known()).toEqual([true, false, false, false]);
    first.dict("str", "ref");
    const finalized = first.finalized.struct("ref");
    expect(known()).toEqual([true, true, true, false]);
    first.core.allocator.freeObject(first.core.objects.createPooled(finalized));
    expect(known()).toEqual([true, true, true, true]);
  });

  it("works on it: each core goes on where the other has stopped", () => {
    const { first, pair, second } = twoCores();
    const other = new TestCore(second, false);
    const list = other.newList(other.list("ref"), ref(pair), null);
    expect(second.collector.collect(2)).toBe(0);
    expect([...first.core.generations.objects(2)]).toContain(list);
    expect(first.refcount(pair)).toBe(2);
    other.drop(list);
    expect(first.refcount(pair)).toBe(1);
  });
});
