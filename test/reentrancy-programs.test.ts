/** Random programs whose finalizers and callbacks are random programs too; what they have found; and very deep deaths. */
import { expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  finalizer,
  Heap,
  HeapError,
  i32,
  isA,
  list,
  type Owned,
  optional,
  release,
  retain,
  set,
  str,
  struct,
  weak,
} from "../src/index.js";
import { verify } from "../src/inspect/index.js";
import { unsafe } from "../src/unsafe.js";
import { makeExactHeap, runLevel, size } from "./support/heaps.js";
import { liveObjects } from "./unit/host/support.js";

let whenDead: ((dead: unknown) => void) | undefined;

class Item extends struct("Item", {
  label: i32,
  get next() {
    return optional(Item);
  },
  other: any,
  get items() {
    return optional(list(Item));
  },
  get shadow() {
    return optional(weak(Item));
  },
}) {
  [finalizer]() {
    whenDead?.(this);
  }
}
class Token extends struct("Token", { text: str }) {
  [finalizer]() {
    whenDead?.(undefined);
  }
}
const items = list(Item);
const mixed = list(any);
const table = dict(any, any);
const members = set(any);

// -- random programs --------------------------------------------------------------------------

class Program {
  readonly heap: Heap;
  readonly handles: Owned[] = [];
  readonly log: string[] = [];
  private depth = 0;
  private state: number;

  constructor(heap: Heap, seed: number) {
    this.heap = heap;
    this.state = Math.imul(seed + 1, 0x9e3779b1);
    heap.onUnraisable = (error) => {
      if (!(error instanceof HeapError) || error.code === "HEAP_CORRUPTION") throw error;
    };
    whenDead = (dead) => this.inDeath(dead);
  }

  below(count: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) | 0;
    return ((this.state >>> 8) % count) | 0;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
  any(): never {
    return (this.handles.length === 0 ? null : this.pick(this.handles)) as never;
  }
  private of(type: never): never {
    const fitting = this.handles.filter((handle) => isA(type, handle as never));
    return (
      fitting.length === 0
        ? this.keep(this.heap.new(type, (type === (Item as never) ? {} : []) as never))
        : this.pick(fitting)
    ) as never;
  }
  private keep<H extends Owned>(handle: H): H {
    this.handles.push(handle);
    return handle;
  }
  drop(): void {
    const [handle] = this.handles.splice(this.below(Math.max(1, this.handles.length)), 1);
    if (handle !== undefined) release(handle);
  }

  private inDeath(dead: unknown): void {
    if (this.depth >= 3) return;
    this.depth++;
    try {
      if (dead !== undefined && this.below(4) === 0) this.keep(retain(dead as never) as Owned);
      for (let step = this.below(4); step > 0; step--) this.step();
    } finally {
      this.depth--;
    }
  }

  step(): void {
    const verbs = this.verbs();
    const number = this.below(verbs.length);
    try {
      verbs[number]();
    } catch (error) {
      if (!(error instanceof HeapError)) throw error;
      if (error.code === "HEAP_CORRUPTION") throw error;
    }
  }

  private verbs(): (() => unknown)[] {
    const { heap } = this;
    const item = () => this.of(Item as never) as Item;
    const value = () => this.pick([1, "text", null, true, this.any(), this.any(), this.any()]) as never;
    const position = () => this.below(6);
    return [
      () => this.keep(heap.new(Item, { label: 1, next: this.below(2) ? item() : null, other: value() })),
      () => this.keep(heap.new(Item, { label: 2, next: { label: 3, other: value() }, items: [{}, {}] })),
      () => this.keep(heap.new(Token, { text: "token" })),
      () => this.keep(heap.new(mixed, [value(), value(), value()])),
      () => this.keep(heap.new(items, [item(), item(), {}])),
      () =>
        this.keep(
          heap.new(table, [
            [value(), value()],
            ["key", value()],
          ]),
        ),
      () => this.keep(heap.new(members, [value(), value()])),
      () => this.keep(heap.from({ a: [value(), [value()]], b: { c: 1 } })),
      () => this.drop(),
      () => this.drop(),
      () => this.drop(),
      () => this.keep(retain(this.any()) as Owned),
      () => Object.assign(item(), { next: this.below(2) ? item() : { label: 4, other: value() } }),
      () => Object.assign(item(), { next: null, other: value() }),
      () => Object.assign(item(), { items: [{}, item()] }),
      () => Object.assign(item(), { shadow: item() }),
      () => (this.of(items as never) as { push(...all: unknown[]): void }).push(item(), { label: 5 }),
      () =>
        (this.of(items as never) as { set(at: number, item: unknown): void }).set(position(), {
          label: 6,
          other: value(),
        }),
      () => (this.of(items as never) as { assign(all: unknown): void }).assign([item(), {}]),
      () => (this.of(items as never) as { clear(): void }).clear(),
      () =>
        (this.of(mixed as never) as { insert(at: number, item: unknown): void }).insert(position(), value()),
      () => (this.of(mixed as never) as { delete(at: number): void }).delete(position()),
      () => (this.of(mixed as never) as { set(at: number, item: unknown): void }).set(position(), value()),
      () => (this.of(table as never) as { set(key: unknown, value: unknown): void }).set(value(), value()),
      () => (this.of(table as never) as { delete(key: unknown): void }).delete(value()),
      () => (this.of(table as never) as { clear(): void }).clear(),
      () => (this.of(members as never) as { add(key: unknown): void }).add(value()),
      () => (this.of(members as never) as { delete(key: unknown): void }).delete(value()),
      () => this.keep(heap.weakref.ref(item(), (ref) => this.inDeath(ref))),
      () => this.keep(heap.weakref.ref(this.any())),
      () => {
        const ref = this.pick(heap.weakref.getWeakrefs(item() as never));
        const target = ref?.deref();
        if (target !== undefined) this.keep(target);
      },
      () => heap.gc.collect(this.pick([0, 1, 2])),
      () => heap.gc.setThreshold(this.pick([1, 5, 700])),
      () => this.pick([() => heap.gc.freeze(), () => heap.gc.unfreeze()])(),
    ];
  }

  end(): void {
    this.depth = 3; // no death does anything any more
    this.heap.gc.unfreeze();
    for (const handle of this.handles.splice(0)) release(handle);
    this.heap.gc.collect();
    for (const handle of this.handles.splice(0)) release(handle);
    this.heap.gc.collect();
    verify(this.heap);
  }
}

for (const checks of [runLevel()])
  it(`random programs leave a valid heap, whatever their finalizers do (checks ${checks})`, () => {
    const seeds = checks === "off" ? 150 : 20;
    for (let seed = 0; seed < Number(process.env.SEEDS ?? seeds); seed++) {
      const heap = Heap.create({ checks, maximumBytes: seed % 3 === 0 ? 512 << 10 : 4 << 20 });
      for (const type of [items, mixed, table, members]) release(heap.new(type as never, [] as never));
      release(heap.new(Token, {}));
      release(heap.from({ a: new Map(), b: new Set(), c: [] }));
      const before = liveObjects(heap);
      const program = new Program(heap, seed);
      try {
        for (let step = 0; step < 120; step++) {
          program.step();
          verify(heap);
        }
        program.end();
        expect(liveObjects(heap)).toBe(before);
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      } finally {
        whenDead = undefined;
      }
    }
  });

// -- found by hand ----------------------------------------------------------------------------

it("a death that was put off cannot be undone through a weak reference", () => {
  const heap = makeExactHeap();
  let chain = heap.new(Item, { label: 0 });
  const ref = heap.weakref.ref(chain);
  for (let label = 1; label < 80; label++) {
    const next = heap.new(Item, { label, next: chain });
    release(chain);
    chain = next;
  }
  const found: unknown[] = [];
  // By the finalizer of what is put off, everything deeper is waiting.
  let deferred: Borrowed | undefined;
  whenDead = (dead) => {
    const { label } = dead as Item;
    if (label === 79) deferred = (dead as Item).next as never;
    found.push(ref.alive ? "alive" : "dead");
  };
  release(chain);
  whenDead = undefined;
  expect(found.length).toBe(80);
  expect(deferred).toBeDefined();
  expect(ref.deref()).toBeUndefined();
  release(ref);
});

it("replacing a weak dictionary's value survives that the old one dies meanwhile", () => {
  const heap = makeExactHeap();
  const values = heap.weakref.valueDictionary<string, Item>();
  const [old, other, holder] = [heap.new(Item, {}), heap.new(Item, {}), heap.new(Item, {})];
  values.set("a", old as never);
  holder.next = holder;
  release(holder);
  whenDead = () => {
    whenDead = undefined;
    release(old);
  };
  heap.gc.setThreshold(1);
  heap.gc.collect(0);
  values.set("a", other as never);
  heap.gc.collect();
  expect(values.size).toBe(1);
  values[Symbol.dispose]();
  release(other);
});

it("a weak reference with an object as callback keeps both while it is made", () => {
  const heap = makeExactHeap();
  const raw = unsafe(heap);
  const [target, callback, cycle] = [heap.new(Item, {}), heap.new(Item, {}), heap.new(Item, {})];
  cycle.next = cycle;
  release(cycle);
  whenDead = () => {
    whenDead = undefined;
    release(target);
    release(callback);
  };
  heap.gc.setThreshold(0);
  heap.gc.setThreshold(1);
  const ref = raw.weakref(target, callback);
  heap.gc.collect();
  expect(ref.alive).toBe(false);
  release(ref);
});

it("shutting a heap down in a finalizer, or in a getter of a literal, ends it at once", () => {
  const inFinalizer = Heap.create({ maximumBytes: 4 << 20 });
  const held = inFinalizer.new(items, [{}, {}, {}]);
  whenDead = () => inFinalizer.shutdown();
  held.clear();
  whenDead = undefined;
  expect(() => held.length).toThrow("disposed");
  const inGetter = Heap.create({ maximumBytes: 4 << 20 });
  const init = {
    next: { label: 1 },
    get items() {
      inGetter.shutdown();
      return [];
    },
  };
  expect(() => inGetter.new(Item, init as never)).toThrow("disposed");
});

it("a chain of a million with finalizers and weak references dies without a deep stack", () => {
  const heap = makeExactHeap({ maximumBytes: 512 << 20 });
  heap.gc.disable();
  const length = size(1_000_000);
  let deaths = 0;
  let calls = 0;
  const call = () => {
    calls++;
  };
  const refs: Owned[] = [];
  let chain = heap.new(Item, {});
  for (let label = 1; label < length; label++) {
    const next = heap.new(Item, { label, next: chain });
    refs.push(heap.weakref.ref(next, call));
    release(chain);
    chain = next;
  }
  whenDead = () => {
    deaths++;
  };
  release(chain);
  whenDead = undefined;
  expect([deaths, calls]).toEqual([length, length - 1]);
  for (const ref of refs) release(ref);
});
