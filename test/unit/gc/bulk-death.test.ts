import { describe, expect, it } from "vitest";
import { DEBUG_SAVEALL } from "../../../src/gc/collect.js";
import { type Address, CONTROL_DEBUG, PAGE_WORDS, WEAKREF_CALLBACK } from "../../../src/memory/layout.js";
import { expectOrder, makeQuietCore, type TestCore } from "../../support/core.js";
import { isStress, size } from "../../support/heaps.js";
import { below, randomFrom } from "../../support/random.js";
import { randomGraph } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";

/** How the garbage of one collection died; undefined: there was none to see. */
type Way = "in bulk" | "in order" | undefined;

/** Collect, and see whether the garbage is still marked in the side bytes when the partition is over. */
function collect(heap: TestCore, generation = 2): Way {
  const { listeners } = heap.core.events;
  let isMarked = false;
  const listener = {
    onPhase: (phase: string) => {
      if (phase === "partition") isMarked = heap.core.memory.side.some((byte) => byte !== 0);
    },
  };
  listeners.push(listener);
  const collected = heap.collect(generation);
  listeners.splice(listeners.indexOf(listener), 1);
  return collected === 0 ? undefined : isMarked ? "in bulk" : "in order";
}

/** Two nodes that hold each other and nothing else; the test owns neither. */
function makeCycle(heap: TestCore, kind = heap.struct("ref", "ref")): [Address, Address] {
  const one = heap.newStruct(kind);
  const two = heap.newStruct(kind, ref(one));
  heap.setField(one, 0, ref(two));
  heap.drop(one, two);
  return [one, two];
}

/** A cycle that holds this object too, which the test owns; who is to die with it drops it next. */
function makeHolder(heap: TestCore, held: Address): Address {
  const [one] = makeCycle(heap);
  heap.setField(one, 1, ref(held));
  return one;
}

/** Something in the heap could be seen to die, but lives. */
function addWatchers(heap: TestCore): Address {
  return heap.newStruct(heap.finalized.struct("ref"));
}

describe("garbage dies in bulk", () => {
  it.each([0, 1, 2])(
    "in a heap without finalizers, weak references, foreign values and pools: generation %i",
    (generation) => {
      const heap = makeQuietCore();
      makeCycle(heap);
      expect(collect(heap, generation)).toBe("in bulk");
      expect(heap.liveObjects()).toEqual([]);
    },
  );

  it.each([0, 1, 2])("beside objects that could be seen to die: generation %i", (generation) => {
    const heap = makeQuietCore();
    const alive = addWatchers(heap);
    makeCycle(heap);
    expect(collect(heap, generation)).toBe("in bulk");
    expect(heap.liveObjects()).toEqual([alive]);
  });

  it("when what it holds lives on, is text, or is a plain record that nobody watches", () => {
    const heap = makeQuietCore();
    const alive = addWatchers(heap);
    makeHolder(heap, alive);
    const record = heap.newStruct(heap.leaf.struct("str"), "text");
    makeHolder(heap, record);
    heap.drop(record);
    const list = heap.newList(heap.list("any"), "more text", 1, null);
    heap.append(list, ref(list));
    heap.drop(list);
    expect(collect(heap)).toBe("in bulk");
    expect(heap.liveObjects()).toEqual([alive]);
  });

  it("in a heap without watchers whatever it holds: older objects, and what is never tracked", () => {
    const heap = makeQuietCore();
    const older = heap.newStruct(heap.struct("ref"));
    heap.collect(2);
    const inner = heap.newStruct(heap.struct("ref"));
    const untracked = heap.newList(heap.leaf.list("ref"), ref(inner));
    makeHolder(heap, older);
    makeHolder(heap, untracked);
    heap.drop(older, untracked, inner);
    expect(collect(heap, 0)).toBe("in bulk");
    expect(heap.liveObjects()).toEqual([]);
  });
});

describe("garbage dies in order", () => {
  it("when it is shown to somebody, or kept by DEBUG_SAVEALL", () => {
    const heap = makeQuietCore();
    heap.core.events.listeners.push({ onUnreachable: () => {} });
    makeCycle(heap);
    expect(collect(heap)).toBe("in order");
    heap.core.events.listeners.at(-1)!.hearsUnreachable = () => false;
    makeCycle(heap);
    expect(collect(heap)).toBe("in bulk");
    heap.i32[CONTROL_DEBUG] = DEBUG_SAVEALL;
    makeCycle(heap);
    expect(collect(heap)).toBe("in order");
  });

  it("when one of it has a finalizer", () => {
    const heap = makeQuietCore();
    const told: Address[] = [];
    heap.core.hooks.runFinalizer = (object) => told.push(object);
    const [one] = makeCycle(heap);
    const last = heap.newStruct(heap.finalized.struct("ref"));
    heap.setField(one, 1, ref(last));
    heap.setField(last, 0, ref(one));
    heap.drop(last);
    expect(collect(heap)).toBe("in order");
    expect(told).toEqual([last]);
  });

  it("when one of it is weakly referenced", () => {
    const heap = makeQuietCore();
    const [one] = makeCycle(heap, heap.watched.struct("ref", "ref"));
    const weak = heap.newWeakref(one);
    expect(collect(heap)).toBe("in order");
    expect(heap.liveObjects()).toEqual([weak]);
  });

  it("when one of it is a weak reference, a dead one even: its callback is to be forgotten", () => {
    const heap = makeQuietCore();
    const forgotten: number[] = [];
    heap.core.hooks.forgetCallback = (callback) => forgotten.push(callback);
    const target = heap.newStruct(heap.watched.struct("ref"));
    const weak = heap.newWeakref(target, { hostCallback: 7 });
    heap.core.weakrefs.cut(weak);
    heap.drop(target);
    makeHolder(heap, weak);
    heap.drop(weak);
    expect(heap.i32[weak + WEAKREF_CALLBACK]).toBe(0);
    expect(collect(heap)).toBe("in order");
    expect(forgotten).toEqual([7]);
  });

  it("when it alone holds what is watched and not collected with it: a record, an older object", () => {
    for (const isTracked of [false, true]) {
      const heap = makeQuietCore();
      const kind = isTracked ? heap.watched.struct("ref") : heap.watched.leaf("f64");
      const watched = heap.newStruct(kind);
      const weak = heap.newWeakref(watched);
      heap.collect(2);
      makeHolder(heap, watched);
      heap.drop(watched);
      expect(collect(heap, 0)).toBe("in order");
      expect(heap.liveObjects()).toEqual([weak]);
    }
  });

  it.each([0, 1])(
    "when it alone holds something that might hold what is watched: as its item %i",
    (place) => {
      const heap = makeQuietCore();
      const watched = heap.newStruct(heap.watched.struct("ref"));
      const weak = heap.newWeakref(watched);
      const untracked = heap.newList(heap.leaf.list("ref"), ref(watched));
      const list = heap.newList(heap.list("ref"), ref(untracked));
      heap.insert(list, 1 - place, ref(list));
      heap.drop(watched, untracked, list);
      expect(collect(heap)).toBe("in order");
      expect(heap.liveObjects()).toEqual([weak]);
    },
  );

  it("when it alone holds an instance of a pool, which goes back there", () => {
    const heap = makeQuietCore();
    const { core, i32 } = heap;
    const returned: Address[] = [];
    core.hooks.returnToPool = (object) => {
      returned.push(object);
      return false;
    };
    const typeId = heap.struct("ref", "ref", "ref");
    const pooled = core.objects.createPooled(typeId);
    const [one] = makeCycle(heap);
    i32[one + 5] = pooled; // takes the reference over
    expect(core.types.hasPools).toBe(true);
    expect(collect(heap)).toBe("in order");
    expect(returned).toEqual([pooled]);
  });
});

describe("a death in bulk", () => {
  it("leaves what deaths in order leave: tables, counts, count0, every byte in use", () => {
    const rounds = Math.max(60, size(300));
    let inBulk = 0;
    for (let seed = 0; seed < rounds; seed++) {
      const [heap, twin] = [makeQuietCore(1 << 20), makeQuietCore(1 << 20)];
      twin.core.events.listeners.push({ onUnreachable: () => {} });
      for (const one of [heap, twin]) {
        const random = randomFrom(seed);
        if (seed % 2 === 0) addWatchers(one);
        for (let round = 0; round < 3; round++) {
          const graph = randomGraph(one, random, { count: 5 + below(random, 60), chained: random() });
          if (random() < 0.5) one.core.collector.collect(below(random, 2));
          if (random() < 0.1) one.core.generations.freeze();
          for (const { address } of graph) if (random() < 0.9) one.drop(address);
        }
        one.core.trigger.setThreshold(0, 1000);
      }
      for (const generation of [seed % 3, 2]) {
        const way = collect(heap, generation);
        expect(collect(twin, generation)).toBe(way === undefined ? undefined : "in order");
        if (way === "in bulk") inBulk++;
        expect(heap.counts()).toEqual(twin.counts());
        for (const table of [0, 1, 2, 3]) expectOrder(heap.table(table), twin.table(table));
        expectOrder(heap.liveObjects(), twin.liveObjects());
        expect(heap.liveObjects().map((object) => heap.refcount(object))).toEqual(
          twin.liveObjects().map((object) => twin.refcount(object)),
        );
        expect(heap.core.allocator.bytesUsed).toBe(twin.core.allocator.bytesUsed);
        expect(heap.core.collector.stats(generation)).toEqual(twin.core.collector.stats(generation));
        heap.verify();
      }
    }
    expect(inBulk).toBeGreaterThan(rounds / 4);
  });

  it("drops what a list holds, and not what stood behind its end before", () => {
    const heap = makeQuietCore();
    const alive = heap.newStruct(heap.struct("ref"));
    const list = heap.newList(heap.list("ref"), ref(alive), ref(alive));
    heap.insert(list, 0, ref(list));
    heap.removeItem(list, 2);
    heap.drop(list);
    expect(heap.refcount(alive)).toBe(2);
    expect(collect(heap)).toBe("in bulk");
    expect(heap.refcount(alive)).toBe(1);
  });

  it("lowers count0 by each object that it counted, and not below 0", () => {
    const heap = makeQuietCore();
    const [one] = makeCycle(heap);
    const untracked = heap.newDict(heap.dict("any", "any"), [1, 2]);
    heap.setField(one, 1, ref(untracked));
    heap.drop(untracked);
    heap.core.hooks.held.show = () => {
      for (let made = 0; made < 5; made++) heap.newStruct(heap.struct("ref"));
    };
    expect(collect(heap, 1)).toBe("in bulk");
    expect(heap.counts()).toEqual([2, 0, 1]);
  });

  it("hands its blocks out again in rising order of address, page by page", () => {
    const heap = makeQuietCore();
    const kind = heap.struct("ref", "ref", "ref");
    const nodes = Array.from({ length: 4 * PAGE_WORDS }, () => heap.newStruct(kind));
    for (const [index, node] of nodes.entries())
      heap.setField(node, 0, ref(nodes[(index * 7919) % nodes.length]));
    const [kept] = nodes.splice(5, 1);
    heap.drop(...nodes);
    heap.collect();
    expect(heap.liveObjects()).toContain(kept);
    const made = Array.from({ length: 3 * PAGE_WORDS }, () => heap.newStruct(kind));
    const falls = made.filter((node, index) => index > 0 && node < made[index - 1]);
    expect(falls.length).toBeLessThan(20);
  });

  it("leaves garbage and side bytes alone when a listener throws before it", () => {
    for (const generation of [0, 2]) {
      const heap = makeQuietCore();
      const nodes = [...makeCycle(heap), ...makeCycle(heap)];
      const { listeners } = heap.core.events;
      listeners.push({
        onPhase: (phase) => {
          if (phase === "partition") throw new RangeError("no more");
        },
      });
      expect(() => heap.collect(generation)).toThrow("no more");
      listeners.pop();
      expectOrder(heap.table(generation), nodes);
      expect(heap.core.memory.side.every((byte) => byte === 0)).toBe(true);
      expect(collect(heap)).toBe("in bulk");
      expect(heap.core.memory.side.every((byte) => byte === 0)).toBe(true);
      expect(heap.liveObjects()).toEqual([]);
    }
  });

  it.skipIf(isStress)("takes no room in the heap: 5,000 objects die where there is none", () => {
    const heap = makeQuietCore(1 << 20);
    const nodes = Array.from({ length: 5000 }, () => heap.newStruct(heap.struct("ref", "ref", "ref")));
    for (const [index, node] of nodes.entries())
      heap.setField(node, 0, ref(nodes[(index + 1) % nodes.length]));
    const used = heap.core.allocator.bytesUsed;
    heap.drop(...nodes);
    expect(collect(heap)).toBe("in bulk");
    expect(heap.core.allocator.bytesUsed).toBeLessThan(used / 2);
  });
});
