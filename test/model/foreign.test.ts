/** Values that the heap owns, in random graphs, beside the plain definition of what may be disposed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { any, Heap, list, type Owned, release, retain, struct } from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import { runLevel, size } from "../support/heaps.js";

class Node extends struct("Node", { items: list(any) }) {}

/**
 * Members are nodes and values, in any mixture. A node refers to its targets by items; a value by `holds` to those made
 * before it, and to the others by handles of its own, which `traverse` names.
 */
interface Program {
  readonly members: readonly { readonly isValue: boolean; readonly targets: readonly number[] }[];
  readonly held: readonly number[];
  readonly rounds: readonly (0 | 1 | 2)[];
}

const programs: fc.Arbitrary<Program> = fc.integer({ min: 1, max: 14 }).chain((count) =>
  fc.record({
    members: fc.array(
      fc.record({ isValue: fc.boolean(), targets: fc.array(fc.nat(count - 1), { maxLength: 3 }) }),
      { minLength: count, maxLength: count },
    ),
    held: fc.uniqueArray(fc.nat(count - 1), { maxLength: 4 }),
    rounds: fc.array(fc.constantFrom<(0 | 1 | 2)[]>(0, 1, 2), { maxLength: 3 }),
  }),
);

interface Built {
  readonly handles: Owned[];
  readonly disposed: number[];
}

function build(heap: Heap, { members }: Program): Built {
  const disposed: number[] = [];
  const own: Owned[][] = members.map(() => []);
  const handles: (Owned & ReturnType<typeof heap.from>)[] = [];
  for (const [index, { isValue, targets }] of members.entries()) {
    if (!isValue) {
      handles.push(heap.new(Node, {}) as never);
      continue;
    }
    const holds = targets.filter((target) => target < index).map((target) => handles[target]);
    const value = { index, handles: own[index] };
    const dispose = () => void disposed.push(index);
    handles.push(heap.adopt(value, dispose, { holds, traverse: (one) => one.handles }) as never);
  }
  for (const [index, { isValue, targets }] of members.entries())
    for (const target of targets) {
      if (!isValue) (handles[index] as unknown as Node).items.push(handles[target]);
      else if (target >= index) own[index].push(retain(handles[target]) as Owned);
    }
  return { handles, disposed };
}

function reachable({ members, held }: Program): Set<number> {
  const reached = new Set(held);
  for (const member of reached) for (const target of members[member].targets) reached.add(target);
  return reached;
}

describe("values in random graphs", () => {
  it("are disposed exactly when nothing outside reaches them, once each, whatever the cycles lead through", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const heap = Heap.create({ maximumBytes: 4 << 20, checks: runLevel() });
        heap.onLeakedHandle = () => {};
        const told: unknown[] = [];
        heap.onUnraisable = (error) => told.push(error);
        const { handles, disposed } = build(heap, program);
        const held = new Set(program.held);
        for (const [index, handle] of handles.entries()) if (!held.has(index)) release(handle);
        for (const generation of program.rounds) {
          heap.gc.collect(generation);
          verify(heap);
        }
        const reached = reachable(program);
        const values = program.members.flatMap(({ isValue }, index) => (isValue ? [index] : []));
        const dead = values.filter((index) => !reached.has(index));
        for (const index of disposed) expect(dead).toContain(index);
        heap.gc.collect();
        verify(heap);
        expect(disposed.toSorted((a, b) => a - b)).toEqual(dead);
        expect(heap.adoptedCount).toBe(values.length - dead.length);
        heap[Symbol.dispose]();
        expect(disposed.toSorted((a, b) => a - b)).toEqual(values);
        const last = disposed.slice(dead.length);
        expect(last).toEqual(last.toSorted((a, b) => b - a)); // newest first
        expect(told).toEqual([]);
      }),
      { numRuns: size(1500) },
    );
  });
});
