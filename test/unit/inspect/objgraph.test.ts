import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { any, dict, Heap, is, list, optional, release, retain, str, struct } from "../../../src/index.js";
import { byType, findBackrefChain, findCycles, growth, mostCommonTypes } from "../../../src/inspect/index.js";
import { makeHeap, size } from "../../support/heaps.js";
import { messageOf } from "../host/support.js";

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  rest: any,
}) {}
const Page = struct("Page", { title: str });

describe("mostCommonTypes", () => {
  it("counts objects of each type, strings too, the most common first", () => {
    const heap = makeHeap();
    expect(mostCommonTypes(heap)).toEqual([]);
    using _pages = heap.new(list(Page), [{ title: "a" }, { title: "b" }, { title: "" }]);
    expect(mostCommonTypes(heap)).toEqual([
      { typeName: "Page", count: 3 },
      { typeName: "str", count: 2 },
      { typeName: "list(Page)", count: 1 },
    ]);
    expect(mostCommonTypes(heap, 1)).toEqual([{ typeName: "Page", count: 3 }]);
    messageOf("INVALID_ARGUMENT", () => mostCommonTypes(heap, -1));
  });
});

describe("growth", () => {
  it("tells at first of everything, then of what passed its peak, fastest first", () => {
    const heap = makeHeap();
    using pages = heap.new(list(Page), [{ title: "a" }]);
    expect(growth(heap).map(({ typeName, delta }) => `${typeName} +${delta}`)).toEqual([
      "Page +1",
      "list(Page) +1",
      "str +1",
    ]);
    expect(growth(heap)).toEqual([]);
    for (const title of ["b", "", ""]) pages.push({ title });
    expect(growth(heap)).toEqual([
      { typeName: "Page", count: 4, delta: 3 },
      { typeName: "str", count: 2, delta: 1 },
    ]);
    for (const index of [3, 2, 1]) pages.delete(index);
    for (const title of ["c", "d"]) pages.push({ title });
    // Three pages are fewer than the four of the peak.
    expect(growth(heap)).toEqual([{ typeName: "str", count: 3, delta: 1 }]);
    expect(growth(makeHeap())).toEqual([]);
  });
});

describe("growth, on random programs", () => {
  it("tells what a peak kept by hand tells", () => {
    const step = fc.record({ makes: fc.nat(4), drops: fc.nat(4), looks: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        const pages: ReturnType<typeof make>[] = [];
        const make = () => heap.new(Page, { title: "" });
        let peak = 0;
        for (const { makes, drops, looks } of steps) {
          for (let i = 0; i < makes; i++) pages.push(make());
          for (const page of pages.splice(0, drops)) release(page);
          if (!looks) continue;
          const expected =
            pages.length > peak
              ? [{ typeName: "Page", count: pages.length, delta: pages.length - peak }]
              : [];
          expect(growth(heap)).toEqual(expected);
          peak = Math.max(peak, pages.length);
        }
        for (const page of pages) release(page);
      }),
      { numRuns: size(200) },
    );
  });
});

describe("byType", () => {
  it("gives the objects of a type, by its name or as it would be written", () => {
    const heap = makeHeap();
    using pages = heap.new(list(Page), [{ title: "a" }, { title: "b" }]);
    using names = heap.new(list(str), []);
    expect(byType(heap, "Page").map((page) => (page as unknown as { title: string }).title)).toEqual([
      "a",
      "b",
    ]);
    expect(byType(heap, "list(str)").map((found) => is(found, names))).toEqual([true]);
    expect(byType(heap, "list")).toHaveLength(2);
    expect([byType(heap, "str"), byType(heap, "Nothing")]).toEqual([[], []]);
    expect(pages.length).toBe(2);
  });
});

describe("findBackrefChain", () => {
  it("leads from what JavaScript holds to the object", () => {
    const heap = makeHeap({ checks: { handles: { every: 1 } } });
    using table = heap.new(dict(str, Node), [["a", { rest: null, next: { rest: null } }]]);
    const inner = table.get("a")!.next!;
    const chain = findBackrefChain(inner)!;
    expect(chain.objects.map((object, index) => is(object, [table, table.get("a")!, inner][index]))).toEqual([
      true,
      true,
      true,
    ]);
    expect(chain.text).toMatch(
      /^root \(handle made at .*objgraph\.test\.ts:\d+:\d+\)?\) <- dict\["a"\] <- Node\.next$/,
    );
    expect(chain.holds.map(({ kind }) => kind)).toEqual(["handle"]);
    expect(findBackrefChain(table)!.objects).toHaveLength(1);
  });

  it("or from the nearest object that a predicate accepts", () => {
    const heap = makeHeap();
    using outer = heap.new(dict(str, Node), [["a", { rest: null, next: { rest: null } }]]);
    const first = outer.get("a")!;
    const chain = findBackrefChain(first.next!, (object) => is(object, first))!;
    expect([chain.objects.length, chain.text, chain.holds]).toEqual([2, "Node.next", []]);
    expect(findBackrefChain(first, (object) => is(object, first))!.text).toBe("");
    expect(findBackrefChain(first, () => false)).toBeUndefined();
  });

  it("is undefined for garbage", () => {
    const heap = makeHeap({ checks: "off" });
    heap.gc.disable();
    {
      using node = heap.new(Node, {});
      node.next = node;
    }
    const [garbage] = byType(heap, "Node");
    expect(findBackrefChain(garbage)).toBeUndefined();
    expect(findBackrefChain(garbage, (object) => is(object, garbage))!.objects).toHaveLength(1);
    heap.gc.collect();
    messageOf("STALE_REFERENCE", () => findBackrefChain(garbage));
    messageOf("INVALID_ARGUMENT", () => findBackrefChain({} as never));
  });

  it("is as short as any, on random graphs", () => {
    const node = fc.nat(7);
    fc.assert(
      fc.property(fc.array(fc.tuple(node, node), { maxLength: 14 }), node, node, (links, from, to) => {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        using all = heap.new(list(list(Node)), []);
        const made = Array.from({ length: 8 }, () => heap.new(Node, {}));
        const next = new Map<number, number>();
        for (const [source, target] of links) {
          made[source].next = made[target];
          next.set(source, target);
        }
        let distance = 0;
        let at: number | undefined = from;
        while (at !== undefined && at !== to && distance <= 8) {
          at = next.get(at);
          distance++;
        }
        const chain = findBackrefChain(made[to], (object) => is(object, made[from]));
        expect(chain?.objects.length).toBe(at === to ? distance + 1 : undefined);
        for (const handle of made) release(handle);
        expect(all.length).toBe(0);
      }),
      { numRuns: size(200) },
    );
  });
});

describe("findCycles", () => {
  it("gives groups that hold one another, smallest first, and says which are garbage", () => {
    const heap = makeHeap({ checks: "off" });
    heap.gc.disable();
    using ring = heap.new(Node, { next: { next: {} } });
    ring.next!.next!.next = ring;
    using items = heap.new(list(any), []);
    items.push(items);
    {
      using lost = heap.new(Node, {});
      using other = heap.new(Node, { next: lost, rest: ring });
      lost.rest = other;
    }
    const cycles = findCycles(heap);
    expect(cycles.map(({ size, isGarbage, types }) => [size, isGarbage, ...types])).toEqual([
      [1, false, ["list(any)", 1]],
      [2, true, ["Node", 2]],
      [3, false, ["Node", 3]],
    ]);
    expect(cycles.map((cycle) => cycle.text())).toEqual([
      "list(any)[0] -> back",
      expect.stringMatching(/^Node\.(next -> Node\.rest|rest -> Node\.next) -> back$/),
      "Node.next -> Node.next -> Node.next -> back",
    ]);
    expect(cycles[0].objects().map((object) => is(object, items))).toEqual([true]);
    expect(cycles[2].objects()).toHaveLength(3);
    expect(cycles[2].bytes).toBe(cycles[1].bytes * 1.5);
    expect(heap.gc.collect()).toBe(2);
    expect(findCycles(heap)).toHaveLength(2);
  });

  it("finds the groups that gc.getReferents leads round in, on random graphs", () => {
    const node = fc.nat(6);
    const link = fc.tuple(node, fc.constantFrom("next" as const, "rest" as const), node);
    fc.assert(
      fc.property(fc.array(link, { maxLength: 14 }), (links) => {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        const made = Array.from({ length: 7 }, () => heap.new(Node, {}));
        for (const [from, field, to] of links) made[from][field] = made[to];
        const numberOf = (ref: unknown) => made.findIndex((one) => is(one, ref as Node));
        const reached = made.map((start) => {
          const seen = new Set<number>();
          const queue = heap.gc.getReferents(start);
          for (const ref of queue)
            if (!seen.has(numberOf(ref))) {
              seen.add(numberOf(ref));
              queue.push(...heap.gc.getReferents(ref));
            }
          return seen;
        });
        const groups = made.flatMap((_, one) =>
          reached[one].has(one)
            ? [
                [...reached[one]]
                  .filter((other) => reached[other].has(one))
                  .sort()
                  .join(),
              ]
            : [],
        );
        const found = findCycles(heap).map((cycle) => cycle.objects().map(numberOf).sort().join());
        expect(new Set(found)).toEqual(new Set(groups));
        expect(found.length).toBe(new Set(groups).size);
        for (const handle of made) release(handle);
      }),
      { numRuns: size(200) },
    );
  });

  it("leads through values that hold handles", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    const held = retain(node);
    {
      using value = heap.adopt({}, () => {}, { traverse: () => [held] });
      node.rest = value;
    }
    expect(findCycles(heap).map((cycle) => cycle.text())).toEqual([
      expect.stringMatching(
        /^(Node\.rest -> foreign\(Object\)\.handle\[0\]|foreign\(Object\)\.handle\[0\] -> Node\.rest) -> back$/,
      ),
    ]);
  });

  it("of a heap that has none are none", () => {
    const heap = makeHeap();
    using _pages = heap.new(list(Page), [{ title: "a" }]);
    expect(findCycles(heap)).toEqual([]);
    const closed = Heap.create({ maximumBytes: 1 << 20 });
    closed[Symbol.dispose]();
    for (const look of [findCycles, growth, mostCommonTypes]) messageOf("HEAP_DISPOSED", () => look(closed));
  });
});
