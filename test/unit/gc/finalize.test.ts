/** The phases of a collection: finalizers, what they bring back, and what is kept by a flag or for want of memory. */
import { describe, expect, it } from "vitest";
import { DEBUG_SAVEALL } from "../../../src/gc/collect.js";
import {
  CONTROL_DEBUG,
  CONTROL_GARBAGE,
  CONTROL_USER_CODE,
  CONTROL_WEAKREFS,
  HEADER_SERIAL,
  UNREACHABLE,
} from "../../../src/memory/layout.js";
import { fillMemory, makeQuietCore } from "../../support/core.js";
import { ref } from "../../support/slots.js";
import { journal, ring } from "./finalize-journal.js";

describe("the phases of a collection", () => {
  it("come in CPython's order: weak references are cut, callbacks called, finalizers run, then cycles are broken", () => {
    const heap = makeQuietCore();
    const { weakrefs } = heap.core;
    const [a, b, c] = ring(heap, heap.finalized.struct("ref"), 3);
    const named = {
      ...{ a, b, c },
      a1: heap.newWeakref(a, { hostCallback: 1 }),
      a2: heap.newWeakref(a, { hostCallback: 2 }),
      c1: heap.newWeakref(c, { hostCallback: 3 }),
      shared: heap.newWeakref(b),
    };
    const { lines, on } = journal(heap, named);
    const phases: string[] = [];
    heap.core.events.listeners.push({ onPhase: (phase) => phases.push(`${phase} ${lines.length}`) });
    on.callback = on.finalizer = () => {
      const refs = [named.a1, named.a2, named.c1, named.shared];
      expect(refs.map((one) => weakrefs.target(one))).toEqual([0, 0, 0, 0]);
      expect([heap.field(a, 0), heap.field(b, 0), heap.field(c, 0)]).toEqual([b, c, a].map(ref));
      expect(heap.i32[CONTROL_USER_CODE]).toBeGreaterThan(0);
      expect(heap.collect()).toBe(0);
    };
    heap.drop(a, b, c);
    expect(heap.collect()).toBe(3);
    expect(lines).toEqual([
      "call 2 of a2", // by object, then the newest first
      "call 1 of a1",
      "call 3 of c1",
      ...["finalize a", "finalize b", "finalize c"],
      ...["free c", "free b", "free a"],
    ]);
    expect(phases).toEqual(["merge 0", "partition 0", "finalize 6", "clear 9"]);
    expect([heap.i32[CONTROL_USER_CODE], heap.i32[CONTROL_WEAKREFS]]).toEqual([0, 0]);
  });

  it("touch nothing in a heap without weak references and finalizers", () => {
    const heap = makeQuietCore();
    const [object] = ring(heap, heap.struct("ref"));
    const serial = heap.i32[object + HEADER_SERIAL];
    heap.core.events.listeners.push({
      onPhase: (phase) => {
        if (phase === "finalize") expect(heap.i32[object + HEADER_SERIAL]).toBe(serial);
      },
    });
    heap.drop(object);
    expect(heap.collect()).toBe(1);
    expect.assertions(2);
  });

  it("end what was borrowed of the unreachable: only a finalizer can bring one back", () => {
    const heap = makeQuietCore();
    const [object, other] = ring(heap, heap.finalized.struct("ref"), 2);
    const outside = heap.newStruct(heap.finalized.struct("ref"));
    const serials = () => [object, other, outside].map((one) => heap.i32[one + HEADER_SERIAL]);
    const before = serials();
    const { on } = journal(heap);
    let inside: number[] = [];
    on.finalizer = () => {
      inside = serials();
    };
    heap.drop(object, other);
    expect(heap.collect()).toBe(2);
    expect(inside).toEqual([before[0] + 1, before[1] + 1, before[2]]);
  });
});

describe("finalizers of the unreachable", () => {
  it("run once each, flagged before the call, the object held meanwhile", () => {
    const heap = makeQuietCore();
    const { lifetime } = heap.core;
    const objects = ring(heap, heap.finalized.struct("ref"), 3);
    const { lines, on } = journal(heap);
    on.finalizer = (object) => {
      expect([lifetime.isFinalized(object), heap.refcount(object)]).toEqual([true, 2]);
      expect(heap.core.generations.generationOf(object)).toBe(UNREACHABLE);
    };
    heap.drop(...objects);
    expect(heap.collect()).toBe(3);
    expect(lines).toEqual(objects.map((object) => `finalize ${object}`));
  });

  it("do not run for what others hold, nor for those that ran before", () => {
    const heap = makeQuietCore();
    const [a, b] = ring(heap, heap.finalized.struct("ref", "ref"), 2);
    const outside = heap.newStruct(heap.finalized.struct("ref", "ref"));
    const { lines, on } = journal(heap, { a, b, outside });
    on.finalizer = (object) => {
      if (object === b) heap.hold(a);
    };
    heap.setField(a, 1, ref(outside));
    heap.drop(a, b);
    expect(heap.collect()).toBe(0);
    heap.drop(a);
    expect(heap.collect()).toBe(2);
    expect(lines).toEqual(["finalize a", "finalize b", "free b", "free a"]);
  });

  it("of older objects that only the garbage held run when it is cleared", () => {
    const heap = makeQuietCore();
    const old = heap.newStruct(heap.finalized.struct("ref"));
    heap.core.generations.merge(0, 2);
    const [object] = ring(heap, heap.finalized.struct("ref", "ref"));
    heap.setField(object, 1, ref(old));
    const { lines } = journal(heap, { old, object });
    heap.drop(old, object);
    expect(heap.collect(0)).toBe(1);
    expect(lines).toEqual(["finalize object", "finalize old", "free old", "free object"]);
  });

  it("may break the cycle: what dies meanwhile is freed at once, and not counted", () => {
    const heap = makeQuietCore();
    const [a, b, c] = ring(heap, heap.finalized.struct("ref"), 3);
    const { lines, on } = journal(heap, { a, b, c });
    on.finalizer = (object) => {
      if (object === a) heap.setField(a, 0, null);
    };
    heap.drop(a, b, c);
    // b and c die by their counts, and so does a with the last reference of its own call.
    expect(heap.collect()).toBe(0);
    expect(lines).toEqual(["finalize a", "finalize b", "finalize c", "free c", "free b", "free a"]);
    expect([heap.liveObjects(), heap.core.collector.stats(2)]).toEqual([
      [],
      { collections: 1, collected: 0, uncollectable: 0 },
    ]);
  });

  it("may allocate, but not collect", () => {
    const heap = makeQuietCore();
    const objects = ring(heap, heap.finalized.struct("ref"), 2);
    const { on } = journal(heap);
    on.finalizer = () => {
      const made = ring(heap, heap.struct("ref"), 3);
      heap.drop(...made);
      expect(heap.collect()).toBe(0);
    };
    heap.drop(...objects);
    expect(heap.collect()).toBe(2);
    expect(heap.collect()).toBe(6);
  });

  it("run with pending callbacks' weak references alive or dead, whatever a callback did to the unreachable", () => {
    const heap = makeQuietCore();
    const [a, b] = ring(heap, heap.finalized.struct("ref"), 2);
    const weakref = heap.newWeakref(a, { hostCallback: 1 });
    const { lines, on } = journal(heap, { a, b, weakref });
    on.callback = () => {
      heap.setField(b, 0, null); // nobody but a test can reach it
    };
    heap.drop(a, b);
    expect(heap.collect()).toBe(0);
    expect(lines).toEqual(["call 1 of weakref", "finalize a", "finalize b", "free b", "free a"]);
  });
});

describe("what a finalizer brings back", () => {
  it("is saved with all that it reaches; the rest of the garbage goes, and is all that counts", () => {
    const heap = makeQuietCore();
    const type = heap.finalized.struct("ref", "ref");
    const [a, b] = ring(heap, type, 2);
    const [kept] = ring(heap, type);
    const below = heap.newStruct(heap.struct("ref"));
    const above = heap.newStruct(heap.struct("ref", "ref"), ref(kept));
    heap.setField(above, 1, ref(above));
    heap.setField(kept, 1, ref(below));
    heap.setField(below, 0, ref(kept));
    const shared = heap.newWeakref(kept);
    const { lines, on } = journal(heap, { a, b, kept, below, above });
    on.finalizer = (object) => {
      if (object === kept) heap.hold(kept);
    };
    heap.drop(a, b, kept, below, above);
    expect(heap.collect(0)).toBe(3);
    expect(lines.slice(0, 3)).toEqual(["finalize a", "finalize b", "finalize kept"]);
    expect(lines.slice(3).toSorted()).toEqual(["free a", "free above", "free b"]);
    expect([heap.field(kept, 1), heap.field(below, 0), heap.refcount(kept)]).toEqual([
      ref(below),
      ref(kept),
      3,
    ]);
    expect(heap.table(1)).toEqual([shared, kept, below]);
    expect(heap.core.weakrefs.target(shared)).toBe(0);
    expect(heap.core.collector.stats(0).collected).toBe(3);
  });

  it("dies the second time without its finalizer, with the callbacks made since", () => {
    const heap = makeQuietCore();
    const [object] = ring(heap, heap.finalized.struct("ref"));
    const before = heap.newWeakref(object, { hostCallback: 1 });
    const { lines, on } = journal(heap, { object, before });
    on.finalizer = () => heap.hold(object);
    heap.drop(object);
    expect(heap.collect()).toBe(0);
    expect(lines).toEqual(["call 1 of before", "finalize object"]);
    const since = heap.newWeakref(object, { hostCallback: 2 });
    heap.drop(object);
    expect(heap.collect()).toBe(1);
    expect(lines.slice(2)).toEqual([`call 2 of ${since}`, "free object"]);
  });

  it("is saved for a reference from anywhere: an older object, a new one, gc.garbage", () => {
    for (const place of ["old", "new", "garbage"] as const) {
      const heap = makeQuietCore();
      const old = heap.newList(heap.list("ref"));
      heap.core.generations.merge(0, 2);
      const [object] = ring(heap, heap.finalized.struct("ref"));
      const { on } = journal(heap);
      on.finalizer = () => {
        const list =
          place === "old"
            ? old
            : place === "new"
              ? heap.newList(heap.list("ref"))
              : heap.i32[CONTROL_GARBAGE];
        heap.append(list, ref(object));
      };
      heap.drop(object);
      expect(heap.collect(0)).toBe(0);
      expect(heap.refcount(object)).toBe(2);
      heap.verify();
      heap.core.lists.clear(heap.i32[CONTROL_GARBAGE]);
    }
  });

  it("is not saved for a reference from the garbage itself", () => {
    const heap = makeQuietCore();
    const [a, b] = ring(heap, heap.finalized.struct("ref", "ref"), 2);
    const { lines, on } = journal(heap, { a, b });
    on.finalizer = () => {
      heap.setField(a, 1, ref(b));
      heap.setField(b, 1, ref(a));
    };
    heap.drop(a, b);
    expect(heap.collect()).toBe(2);
    expect(lines).toEqual(["finalize a", "finalize b", "free b", "free a"]);
  });

  it("survives with thousands of others, in order", () => {
    const heap = makeQuietCore();
    const objects = ring(heap, heap.finalized.struct("ref", "ref"), 3000);
    const loners = Array.from({ length: 2000 }, () => ring(heap, heap.finalized.struct("ref", "ref"))[0]);
    heap.core.hooks.runFinalizer = (object) => {
      if (object === objects[100]) heap.hold(object);
    };
    heap.drop(...objects, ...loners);
    expect(heap.collect(0)).toBe(2000);
    expect(heap.table(1)).toHaveLength(3000);
    expect(heap.table(1)[0]).toBe(objects[100]);
    expect(heap.refcount(objects[100])).toBe(2);
  });
});

describe("DEBUG_SAVEALL", () => {
  it("saves what is left after callbacks and finalizers, and counts it", () => {
    const heap = makeQuietCore();
    heap.i32[CONTROL_DEBUG] = DEBUG_SAVEALL;
    const [a, b] = ring(heap, heap.finalized.struct("ref"), 2);
    const [kept] = ring(heap, heap.finalized.struct("ref"));
    const weakref = heap.newWeakref(a, { hostCallback: 1 });
    const { lines, on } = journal(heap, { a, b, kept, weakref });
    on.finalizer = (object) => {
      if (object === kept) heap.hold(kept);
    };
    heap.drop(a, b, kept);
    expect(heap.collect()).toBe(2);
    expect(lines).toEqual(["call 1 of weakref", "finalize a", "finalize b", "finalize kept"]);
    const garbage = heap.i32[CONTROL_GARBAGE];
    expect(heap.items(garbage)).toEqual([a, b].map(ref));
    expect([heap.field(a, 0), heap.core.weakrefs.target(weakref)]).toEqual([ref(b), 0]);
    heap.i32[CONTROL_DEBUG] = 0;
    heap.core.lists.clear(garbage);
    expect(heap.collect()).toBe(2);
    expect(lines.slice(4)).toEqual(["free b", "free a"]);
  });
});

describe("a full heap", () => {
  it("is collected with callbacks and finalizers, and what they bring back", () => {
    const heap = makeQuietCore(1 << 20);
    const objects = ring(heap, heap.finalized.struct("ref"), 1500);
    const refs = objects.slice(0, 1100).map((object) => heap.newWeakref(object, { hostCallback: 1 }));
    heap.core.generations.merge(0, 2);
    let calls = 0;
    heap.core.hooks.runCallback = () => calls++;
    heap.core.hooks.runFinalizer = (object) => {
      calls++;
      if (object === objects[0]) heap.hold(object);
    };
    fillMemory(heap);
    heap.drop(...objects);
    expect(heap.collect()).toBe(0);
    expect(calls).toBe(2600);
    heap.verify();
    heap.drop(objects[0]);
    expect(heap.collect()).toBe(1500);
    expect(heap.table(2)).toEqual(refs);
  });
});
