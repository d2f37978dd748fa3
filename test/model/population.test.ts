/**
 * Thousands of objects: generation tables of many chunks, dense and sparse, merged, frozen and packed. The model is three
 * edges a node and an array a generation.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  type Borrowed,
  type Handle,
  type Heap,
  i32,
  id,
  optional,
  release,
  struct,
} from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import { isStress, makeExactHeap, makeHeap, size } from "../support/heaps.js";
import { parameters, runs } from "./runs.js";
import { borrow } from "./session.js";

class Member extends struct("Member", {
  get a() {
    return optional(Member);
  },
  get b() {
    return optional(Member);
  },
  number: i32,
  get c() {
    return optional(Member);
  },
}) {}

interface Node {
  readonly edges: [Node | null, Node | null, Node | null];
  readonly view: Member;
  readonly id: number;
  handle: Handle<Member> | undefined;
}
const EDGE_NAMES = ["a", "b", "c"] as const;
const PERMANENT = 3;

/** Numbers for the many choices of one bulk operation (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

class Population {
  private readonly heap: Heap;
  private readonly generations: Node[][] = [[], [], [], []];

  constructor(heap: Heap) {
    this.heap = heap;
    heap.gc.disable();
  }

  private get living(): Node[] {
    return this.generations.flat();
  }

  /** New nodes; each is held with some probability, and refers to `degree` others, mostly near ones. */
  grow(count: number, degree: number, heldPercent: number, random: (below: number) => number): void {
    const { living } = this;
    const made: Node[] = [];
    for (let index = 0; index < count; index++) {
      const edges: Node["edges"] = [null, null, null];
      for (let edge = 0; edge < degree; edge++) {
        const near = made[made.length - 1 - random(8)];
        const far = living[random(living.length)];
        const hub = living[0]; // which many refer to: more than a byte counts
        edges[edge] = [far, hub, near, near, near, near, near, near, near, near][random(10)] ?? null;
      }
      const [a, b, c] = edges.map((node) => node?.view ?? null);
      const handle = this.heap.new(Member, { a: a ?? null, b: b ?? null, c: c ?? null, number: index });
      made.push({ edges, view: borrow(this.heap, handle) as Member, id: id(handle), handle });
    }
    this.generations[0].push(...made);
    // Backward links close cycles.
    for (let index = 0; index < count / 3; index++)
      this.link(made[random(count)], random(3), made[random(count)]);
    this.letGo(made.filter(() => random(100) >= heldPercent));
  }

  private link(from: Node, edge: number, to: Node | null): void {
    from.edges[edge] = to;
    from.view[EDGE_NAMES[edge]] = to === null ? null : to.view;
  }

  relink(percent: number, random: (below: number) => number): void {
    const reachable = [...this.reach(this.living.filter(({ handle }) => handle !== undefined))];
    for (const from of reachable) {
      if (random(100) >= percent) continue;
      const to = random(2) === 0 ? null : reachable[random(reachable.length)];
      // Cutting may have killed what was reachable when this began.
      if (this.isAlive(from) && (to === null || this.isAlive(to))) this.link(from, random(3), to);
    }
    this.reap();
  }

  private isAlive({ view }: Node): boolean {
    try {
      return view.number >= 0;
    } catch {
      return false;
    }
  }

  release(percent: number, random: (below: number) => number): void {
    this.letGo(this.living.filter(({ handle }) => handle !== undefined && random(100) < percent));
  }

  private letGo(nodes: readonly Node[]): void {
    for (const node of nodes) {
      release(node.handle!);
      node.handle = undefined;
    }
    this.reap();
  }

  /** Objects that live for a moment: they leave no trace in the table. */
  churn(count: number): void {
    for (let index = 0; index < count; index++) release(this.heap.new(Member, {}));
  }

  private reach(roots: Iterable<Node>, isInside: (node: Node) => boolean = () => true): Set<Node> {
    const reached = new Set([...roots].filter(isInside));
    for (const node of reached)
      for (const next of node.edges) if (next !== null && isInside(next)) reached.add(next);
    return reached;
  }

  /** What nothing refers to is gone, again and again. */
  private reap(): void {
    const living = new Set(this.living);
    const counts = new Map<Node, number>();
    for (const { edges } of living)
      for (const to of edges) if (to !== null) counts.set(to, (counts.get(to) ?? 0) + 1);
    const dying = [...living].filter((node) => node.handle === undefined && !counts.has(node));
    for (const node of dying) {
      living.delete(node);
      for (const to of node.edges) {
        if (to === null) continue;
        const count = counts.get(to)! - 1;
        counts.set(to, count);
        if (count === 0 && to.handle === undefined) dying.push(to);
      }
    }
    this.keep(living);
  }

  private keep(living: ReadonlySet<Node>): void {
    for (const [index, nodes] of this.generations.entries())
      this.generations[index] = nodes.filter((node) => living.has(node));
  }

  collect(generation: 0 | 1 | 2): void {
    const [young, middle, old] = this.generations;
    const candidates = [[...young], [...middle, ...young], [...old, ...young, ...middle]][generation];
    const members = new Set(candidates);
    const outside = this.living.filter((node) => !members.has(node));
    const roots = new Set([
      ...candidates.filter(({ handle }) => handle !== undefined),
      ...outside.flatMap(({ edges }) => edges).filter((node) => node !== null),
    ]);
    const reached = this.reach(roots, (node) => members.has(node));
    for (let index = 0; index <= generation; index++) this.generations[index] = [];
    this.generations[Math.min(generation + 1, 2)].push(...this.inOrder(candidates, roots, reached));
    expect(this.heap.gc.collect(generation), "collected").toBe(candidates.length - reached.size);
  }

  /** Survivors keep their order; what only a later one reaches goes to the tail when it is found. */
  private inOrder(candidates: readonly Node[], roots: ReadonlySet<Node>, reached: ReadonlySet<Node>): Node[] {
    const order: Node[] = [];
    const found = new Set<Node>();
    const passed = new Set<Node>();
    const queue = candidates.filter((node) => reached.has(node));
    for (const node of queue) {
      if (!roots.has(node) && !found.has(node)) {
        passed.add(node);
        continue;
      }
      order.push(node);
      for (const next of node.edges) {
        if (next === null || !reached.has(next)) continue;
        if (passed.delete(next)) queue.push(next);
        found.add(next);
      }
    }
    return order;
  }

  freeze(): void {
    for (const generation of [0, 1, 2])
      this.generations[PERMANENT].push(...this.generations[generation].splice(0));
    this.heap.gc.freeze();
  }

  unfreeze(): void {
    this.generations[2].push(...this.generations[PERMANENT].splice(0));
    this.heap.gc.unfreeze();
  }

  check(): void {
    const { gc } = this.heap;
    for (const generation of [0, 1, 2] as const) {
      const found = gc.getObjects(generation).map((object: Borrowed) => id(object));
      expect(found, `generation ${generation}`).toEqual(this.generations[generation].map((node) => node.id));
    }
    expect(gc.getFreezeCount(), "frozen").toBe(this.generations[PERMANENT].length);
    verify(this.heap);
  }

  end(): void {
    this.unfreeze();
    this.letGo(this.living.filter(({ handle }) => handle !== undefined));
    this.collect(2);
    expect(this.living).toEqual([]);
    this.check();
  }
}

/** Enough for tables to have eight chunks of a thousand entries, below which a sparse one is left alone. */
const GROWTH_MAX = size(4000);

const operation = fc.record({
  do: fc.constantFrom(
    "grow",
    "grow",
    "grow",
    "release",
    "relink",
    "churn",
    "collect",
    "collect",
    "freeze",
    "unfreeze",
  ),
  amount: fc.nat(100),
  choice: fc.nat(0xffff),
});

it("thousands of objects keep their places, their order and their lives", () => {
  fc.assert(
    fc.property(fc.array(operation, { minLength: 4, maxLength: 16, size: "max" }), (operations) => {
      const heap = isStress ? makeHeap() : makeExactHeap();
      const population = new Population(heap);
      for (const { do: what, amount, choice } of operations) {
        const random = numbers(choice);
        if (what === "grow") {
          const count = Math.ceil((GROWTH_MAX * amount) / 100);
          population.grow(count, choice % 4, (choice >> 2) % 101, random);
        } else if (what === "release") population.release(amount, random);
        else if (what === "relink") population.relink(amount % 10, random);
        else if (what === "churn") population.churn(amount * 20);
        else if (what === "collect") population.collect((choice % 3) as 0 | 1 | 2);
        else if (what === "freeze") population.freeze();
        else population.unfreeze();
        population.check();
      }
      population.end();
    }),
    parameters(runs(24)),
  );
});
