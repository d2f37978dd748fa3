import { describe, expect, it } from "vitest";
import { createBulkDeath } from "../../../src/gc/bulk-death.js";
import { createInternalCounts } from "../../../src/gc/internal-counts.js";
import { createPartition } from "../../../src/gc/partition.js";
import { UnreachableObjects } from "../../../src/gc/unreachable.js";
import { createYoungPartition } from "../../../src/gc/young-partition.js";
import {
  type Address,
  CHUNK_CAPACITY,
  CONTROL_RESERVE_CHUNK,
  HEADER_REFCOUNT,
  UNREACHABLE,
} from "../../../src/memory/layout.js";
import { expectOrder, fillMemory, makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, type Random, randomFrom } from "../../support/random.js";
import { type GraphOptions, type Known, randomGraph, visitOrder } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";
import { naivePartition } from "./naive-collector.js";

interface Partition {
  /** In place: by the one for full collections for generation 2, else by that for parts of the heap. */
  run(generation: number, watched?: "order" | "none"): void;
  placeUnreachable(packable: number): number;
}

function partitionOf({ core }: TestCore, traversal = core.traversal): Partition {
  const { allocator, counts, generations, memory, types } = core;
  const bulk = createBulkDeath(allocator, generations, counts, traversal, types);
  const internal = createInternalCounts(allocator, traversal, types);
  const unreachable = new UnreachableObjects(memory.side, generations, bulk, internal);
  const full = createPartition(allocator, generations, traversal, types, internal, unreachable);
  const young = createYoungPartition(memory, generations, traversal, types, internal, unreachable);
  return {
    run(generation, watched = "order") {
      if (generation === 2) full.run(watched);
      else young.run(generation, generation, watched);
    },
    placeUnreachable: (packable) => unreachable.place(packable),
  };
}

interface Scene {
  readonly heap: TestCore;
  /** The objects that are left, by address. */
  readonly known: ReadonlyMap<Address, Known>;
  readonly counts: ReadonlyMap<Known, number>;
}

/** A random graph, spread over generations at random; most of it no longer owned by the test, so that some of it is garbage. */
function makeScene(random: Random, options: GraphOptions, ownedShare: number, maximumBytes = 1 << 20): Scene {
  const heap = makeQuietCore(maximumBytes);
  const { generations } = heap.core;
  const onMade = () => {
    const choice = random();
    if (choice < 0.02) generations.merge(0, 1);
    else if (choice < 0.04) generations.merge(0, 2);
    else if (choice < 0.05) generations.merge(1, 2);
    else if (choice < 0.055) generations.freeze();
  };
  const graph = randomGraph(heap, random, { ...options, onMade });
  const owned = new Set(graph.filter(() => random() < ownedShare));
  for (const object of graph) if (!owned.has(object)) heap.drop(object.address);
  const live = new Set(heap.liveObjects());
  const known = new Map(graph.filter(({ address }) => live.has(address)).map((one) => [one.address, one]));
  const counts = new Map([...known.values()].map((object) => [object, owned.has(object) ? 1 : 0]));
  for (const object of known.values())
    for (const target of visitOrder(object)) counts.set(target, counts.get(target)! + 1);
  return { heap, known, counts };
}

/** Partition a generation and compare both lists with the naive ones. @returns how many were found late, and how many are garbage */
function expectNaivePartition(
  { heap, known, counts }: Scene,
  partition: Partition,
  generation: number,
): { lateCount: number; garbageCount: number } {
  const base = heap.table(generation).map((address) => known.get(address)!);
  const naive = naivePartition(base, (object) => counts.get(object)!);
  const addresses = (objects: Known[]) => objects.map(({ address }) => address);
  partition.run(generation);
  expectOrder(heap.table(generation), addresses(naive.reachable));
  expect(partition.placeUnreachable(generation)).toBe(naive.unreachable.length);
  expectOrder(heap.table(UNREACHABLE), addresses(naive.unreachable));
  expect(heap.core.memory.side.every((byte) => byte === 0)).toBe(true);
  const inOrder = base.filter((object) => !naive.unreachable.includes(object));
  const lateCount = naive.reachable.filter((object, index) => object !== inOrder[index]).length;
  heap.core.generations.merge(UNREACHABLE, generation);
  return { lateCount, garbageCount: naive.unreachable.length };
}

describe("the two lists of a partition", () => {
  it.each([0, 1, 2])("have CPython's order, in random graphs: generation %i", (generation) => {
    const rounds = Math.max(50, size(250));
    let late = 0;
    let garbage = 0;
    for (let seed = 0; seed < rounds; seed++) {
      const random = randomFrom(seed * 3 + generation);
      const options = { count: 5 + below(random, 120), chained: random() };
      const scene = makeScene(random, options, random() * 0.3);
      const { generations } = scene.heap.core;
      for (let younger = 0; younger < generation; younger++) generations.merge(younger, generation);
      const partition = partitionOf(scene.heap);
      // The second time the table is in the order that the first has left.
      for (let round = 0; round < 2; round++) {
        const found = expectNaivePartition(scene, partition, generation);
        late += found.lateCount;
        garbage += found.garbageCount;
      }
    }
    expect(late).toBeGreaterThan(rounds / 2);
    expect(garbage).toBeGreaterThan(rounds / 2);
  });

  it("have CPython's order when tables fill several chunks and memory is full", () => {
    for (let seed = 0; seed < size(12); seed++)
      for (const generation of [0, 1, 2]) {
        const random = randomFrom(1000 + seed);
        const options = { count: size(2000) + below(random, 1500), chained: random() };
        const scene = makeScene(random, options, random() * 0.1, 2 << 20);
        const { generations } = scene.heap.core;
        for (let younger = 0; younger < generation; younger++) generations.merge(younger, generation);
        fillMemory(scene.heap);
        if (seed % 2 === 0) takeReserve(scene.heap);
        const partition = partitionOf(scene.heap);
        for (let round = 0; round < 2; round++) expectNaivePartition(scene, partition, generation);
      }
  });
});

describe("a partition that the host breaks off", () => {
  /** A partition whose walk over containers throws at its n-th object, as a host without memory might. */
  function breakablePartition(heap: TestCore, breakAt: { calls: number }): Partition {
    const { core } = heap;
    const traversal = Object.create(core.traversal, {
      collect: {
        value: (object: Address) => {
          if (breakAt.calls-- === 0) throw new RangeError("Array buffer allocation failed");
          return core.traversal.collect(object);
        },
      },
    }) as typeof core.traversal;
    return partitionOf(heap, traversal);
  }

  it.each([0, 2])("leaves every object in its table, and nothing counted: generation %i", (generation) => {
    let broken = 0;
    for (let seed = 0; seed < 4; seed++) {
      const random = randomFrom(seed);
      const scene = makeScene(random, { count: 3000, chained: 0.9 }, 0.05, 4 << 20);
      const { generations, memory } = scene.heap.core;
      for (let younger = 0; younger < generation; younger++) generations.merge(younger, generation);
      if (seed % 2 === 0) {
        fillMemory(scene.heap);
        takeReserve(scene.heap);
      }
      const objects = scene.heap.table(generation).sort();
      const breakAt = { calls: 0 };
      const partition = breakablePartition(scene.heap, breakAt);
      for (let calls = 0; broken < 10_000; calls += 1 + below(random, 150)) {
        breakAt.calls = calls;
        try {
          partition.run(generation);
          partition.placeUnreachable(generation);
          generations.merge(UNREACHABLE, generation);
          break;
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          broken++;
        }
        expect(memory.side.every((byte) => byte === 0)).toBe(true);
        expect(scene.heap.table(generation).sort()).toEqual(objects);
      }
      breakAt.calls = Infinity;
      expectNaivePartition(scene, partition, generation);
    }
    expect(broken).toBeGreaterThan(20);
  });
});

/** Take the reserve chunk out of the tables' sight for the rest of the test. */
function takeReserve(heap: TestCore): void {
  const hoard = heap.newList(heap.leaf.list("f64"));
  heap.core.lists.replaceItems(hoard, heap.i32[CONTROL_RESERVE_CHUNK], 0);
  heap.i32[CONTROL_RESERVE_CHUNK] = 0;
}

describe("what a partition finds", () => {
  /** Partition and list the unreachable, then put them back. */
  function unreachableIn(heap: TestCore, generation: number): Address[] {
    const partition = partitionOf(heap);
    partition.run(generation);
    partition.placeUnreachable(generation);
    const found = heap.table(UNREACHABLE);
    heap.core.generations.merge(UNREACHABLE, generation);
    return found;
  }

  it("is nothing in an empty generation", () => {
    const heap = makeQuietCore();
    for (const generation of [0, 1, 2]) expect(unreachableIn(heap, generation)).toEqual([]);
  });

  it.each([0, 2])(
    "moves what only a later object reaches to the tail, as discovered: generation %i",
    (generation) => {
      const heap = makeQuietCore();
      const node = heap.struct("ref");
      const a = heap.newStruct(node);
      const b = heap.newStruct(node, ref(a));
      const c = heap.newStruct(node, ref(b));
      const d = heap.newStruct(node);
      heap.drop(a, b);
      heap.core.generations.merge(0, generation === 0 ? 1 : generation);
      if (generation === 0) heap.core.generations.merge(1, 0);
      expect(unreachableIn(heap, generation)).toEqual([]);
      expect(heap.table(generation)).toEqual([c, d, b, a]);
    },
  );

  /** Each refers to the one made before it, so that only the last tells the collector of all the others. */
  function prependedList(heap: TestCore, length: number): Address[] {
    const node = heap.struct("ref");
    const nodes: Address[] = [];
    for (let index = 0; index < length; index++) {
      nodes.push(heap.newStruct(node, index === 0 ? null : ref(nodes[index - 1])));
      if (index > 0) heap.drop(nodes[index - 1]);
    }
    return nodes;
  }

  it("leaves nothing to read in chunks whose objects were all found late", () => {
    const heap = makeQuietCore(2 << 20);
    const { generations } = heap.core;
    const nodes = prependedList(heap, 5 * CHUNK_CAPACITY);
    generations.merge(0, 2);
    expect(unreachableIn(heap, 2)).toEqual([]);
    expectOrder(heap.table(2), nodes.toReversed());
    expect(generations.entryCount(2)).toBeLessThan(nodes.length + 2 * CHUNK_CAPACITY);
  });

  it("keeps what will be freed at once in its chunk until then", () => {
    const heap = makeQuietCore(2 << 20);
    const garbage = heap.newStruct(heap.struct("ref"));
    heap.setField(garbage, 0, ref(garbage));
    heap.drop(garbage);
    const nodes = prependedList(heap, 3 * CHUNK_CAPACITY);
    heap.core.generations.merge(0, 2);
    partitionOf(heap).run(2, "none");
    expectOrder(heap.table(2), [garbage, ...nodes.toReversed()]);
  });

  it.each([0, 1, 2])(
    "is right for every number of references around what a byte can count: generation %i",
    (generation) => {
      for (let degree = 250; degree <= 260; degree++)
        for (const external of [0, 1, 2]) {
          const heap = makeQuietCore(1 << 20);
          const hub = heap.newList(heap.list("ref"));
          const other = heap.newStruct(heap.struct("ref"), ref(hub));
          for (let index = 1; index < degree; index++) heap.append(hub, ref(hub));
          heap.append(hub, ref(other));
          heap.drop(other);
          for (let index = 0; index < external; index++) heap.hold(hub);
          heap.drop(hub);
          if (generation > 0) heap.core.generations.merge(0, generation);
          expect(heap.refcount(hub)).toBe(degree + external);
          // Twice: what was counted for the first partition is not there for the second.
          for (let round = 0; round < 2; round++)
            expect(unreachableIn(heap, generation)).toEqual(external === 0 ? [hub, other] : []);
        }
    },
  );

  it.each([0, 2])("is right about a hub with a million references: generation %i", (generation) => {
    const heap = makeQuietCore(128 << 20);
    const { i32, core } = heap;
    const hub = heap.newStruct(heap.struct("ref"));
    const members = heap.newList(heap.list("ref"));
    heap.setField(hub, 0, ref(members));
    const node = heap.struct("ref");
    const count = size(1_000_000);
    core.lists.reserve(members, count);
    for (let index = 0; index < count; index++) {
      const member = core.objects.create(node);
      i32[heap.fieldWord(member, 0)] = hub;
      i32[core.lists.openGap(members, index)] = member;
    }
    i32[hub + HEADER_REFCOUNT] += count;
    if (generation > 0) core.generations.merge(0, generation);
    const partition = partitionOf(heap);
    const countUnreachable = () => {
      partition.run(generation);
      const found = partition.placeUnreachable(generation);
      core.generations.merge(UNREACHABLE, generation);
      return found;
    };
    expect(countUnreachable()).toBe(0);
    heap.drop(members);
    expect(countUnreachable()).toBe(0); // one reference in a million comes from outside
    heap.drop(hub);
    expect(countUnreachable()).toBe(count + 2);
    heap.hold(hub);
    expect(countUnreachable()).toBe(0);
    heap.drop(hub);
    expect(heap.collect()).toBe(count + 2);
  });

  it.each([0, 2])(
    "needs memory for the objects with many references only, not for the reservation: generation %i",
    (generation) => {
      const heap = makeQuietCore(64 << 20);
      const hub = heap.newList(heap.list("ref"));
      for (let index = 0; index < 400; index++) heap.append(hub, ref(hub));
      heap.drop(hub);
      if (generation > 0) heap.core.generations.merge(0, generation);
      const before = process.memoryUsage().arrayBuffers;
      expect(unreachableIn(heap, generation)).toEqual([hub]);
      // A word for each of the 4 million granules would be 16 MiB.
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    },
  );

  it("is not misled by references to null, however many", () => {
    const heap = makeQuietCore();
    const objects = Array.from({ length: 400 }, () =>
      heap.newStruct(heap.struct("ref", "ref", "ref", "ref")),
    );
    const [garbage] = objects;
    heap.setField(garbage, 2, ref(garbage));
    heap.drop(garbage);
    for (const generation of [0, 2]) {
      if (generation > 0) heap.core.generations.merge(0, generation);
      expect(unreachableIn(heap, generation)).toEqual([garbage]);
      expectOrder(heap.table(generation), [...objects.slice(1), garbage]);
    }
  });

  it("is kept alive by frozen objects, and frozen objects are never found", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref", "any");
    const frozen = heap.newStruct(node);
    heap.setField(frozen, 0, ref(frozen));
    heap.core.generations.freeze();
    const cycle = heap.newStruct(node);
    heap.setField(cycle, 1, ref(cycle));
    heap.setField(frozen, 1, ref(cycle));
    heap.drop(frozen, cycle);
    expect(unreachableIn(heap, 0)).toEqual([]);
    heap.core.generations.merge(0, 2);
    expect(unreachableIn(heap, 2)).toEqual([]);
    heap.core.generations.unfreeze();
    expect(unreachableIn(heap, 2)).toEqual([cycle, frozen]);
    heap.core.generations.merge(2, 0);
    expect(unreachableIn(heap, 0)).toEqual([cycle, frozen]);
  });

  it("is kept alive by objects that are not tracked", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref");
    const cycle = heap.newStruct(node);
    heap.setField(cycle, 0, ref(cycle));
    const untracked = heap.newList(heap.leaf.list("ref"), ref(cycle));
    heap.drop(cycle);
    for (const generation of [0, 2]) {
      if (generation > 0) heap.core.generations.merge(0, generation);
      expect(unreachableIn(heap, generation)).toEqual([]);
    }
    heap.removeItem(untracked, 0);
    expect(unreachableIn(heap, 2)).toEqual([cycle]);
    heap.core.generations.merge(2, 0);
    expect(unreachableIn(heap, 0)).toEqual([cycle]);
  });

  it("is what only older generations hold, not what they hold too", () => {
    const heap = makeQuietCore();
    const node = heap.struct("ref", "ref");
    const old = heap.newStruct(node);
    heap.core.generations.merge(0, 1);
    const [held, lost] = [heap.newStruct(node), heap.newStruct(node)];
    for (const cycle of [held, lost]) heap.setField(cycle, 0, ref(cycle));
    heap.setField(old, 0, ref(held));
    heap.drop(held, lost);
    expect(unreachableIn(heap, 0)).toEqual([lost]);
    heap.drop(heap.hold(old));
    heap.setField(old, 1, ref(old));
    heap.drop(old); // garbage too, but not a member
    expect(unreachableIn(heap, 0)).toEqual([lost]);
    heap.core.generations.merge(0, 1);
    expect(unreachableIn(heap, 1)).toEqual([old, held, lost]);
  });
});

describe("a struct of any number of references", () => {
  it.each([0, 2])("is counted and followed in every field: generation %i", (generation) => {
    for (let fields = 1; fields <= 9; fields++)
      for (let place = 0; place < fields; place++) {
        const heap = makeQuietCore(1 << 20);
        const names = Array.from({ length: fields }, () => "ref" as const);
        const type = heap.struct(...names);
        // first -> second -> first, through one field each; third is held, and holds fourth.
        const objects = [0, 1, 2, 3].map(() => heap.newStruct(type));
        const [first, second, third, fourth] = objects;
        heap.setField(first, place, ref(second));
        heap.setField(second, fields - 1 - place, ref(first));
        heap.setField(third, place, ref(fourth));
        heap.setField(fourth, place, ref(third));
        heap.drop(first, second, fourth);
        if (generation > 0) heap.core.generations.merge(0, generation);
        const partition = partitionOf(heap);
        partition.run(generation);
        expect(partition.placeUnreachable(generation)).toBe(2);
        expect(heap.table(UNREACHABLE)).toEqual([first, second]);
        expect(heap.table(generation)).toEqual([third, fourth]);
        heap.core.generations.merge(UNREACHABLE, generation);
      }
  });
});
