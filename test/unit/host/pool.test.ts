import { describe, expect, it } from "vitest";
import {
  any,
  bool,
  f64,
  finalizer,
  type Handle,
  Heap,
  i32,
  i64,
  list,
  optional,
  type PoolInUseError,
  refcount,
  release,
  retain,
  str,
  struct,
  u8,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeExactHeap, size } from "../../support/heaps.js";
import { describeBothMakers, heapError, liveObjects, messageOf } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
  items: list(any),
  name: str,
}) {}
const Leaf = struct(
  "Leaf",
  { flag: bool, small: u8, x: f64, big: i64, any },
  { cyclic: false, weakrefs: false },
);

describeBothMakers("a pool", ({ makeHeap }) => {
  it("makes its instances in advance and lends them with the fields of a literal", () => {
    const heap = makeHeap();
    const pool = heap.pool(Leaf, { capacity: 3 });
    expect([pool.capacity, pool.available]).toEqual([3, 3]);
    const before = liveObjects(heap);
    const leaf = pool.acquire({ flag: true, small: 200, x: 1.5, big: 7n, any: "text" });
    expect({ ...(heap.toJS(leaf) as object) }).toEqual({
      flag: true,
      small: 200,
      x: 1.5,
      big: 7n,
      any: "text",
    });
    expect([pool.available, liveObjects(heap) - before]).toEqual([2, 1]); // the text
    release(leaf);
    expect([pool.available, liveObjects(heap) - before]).toEqual([3, 0]);
  });

  it("offers zeroed instances: nothing of the last life shows in the next", () => {
    const heap = makeHeap();
    const pool = heap.pool(Leaf, { capacity: 1 });
    release(pool.acquire({ flag: true, small: 200, x: 1.5, big: 7n, any: "text" }));
    using again = pool.acquire({});
    expect(heap.toJS(again)).toEqual({ flag: false, small: 0, x: 0, big: 0n, any: null });
  });

  it("gives an empty container to a field that must have one, and takes it back", () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 1 });
    for (let life = 0; life < 3; life++) {
      using node = pool.acquire({});
      node.items.push(life);
      expect(heap.toJS(node.items)).toEqual([life]);
    }
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("runs reset on each instance that is new or comes back; a literal overrides what it has set", () => {
    const heap = makeHeap();
    const seen: number[] = [];
    const reset = (node: Node) => {
      seen.push(node.value);
      node.value = 7;
      node.name = "fresh";
    };
    const pool = heap.pool(Node, { capacity: 1, reset });
    const first = pool.acquire({ value: 1 });
    expect([first.value, first.name]).toEqual([1, "fresh"]);
    release(first);
    using second = pool.acquire({});
    expect([second.value, second.name, seen]).toEqual([7, "fresh", [0, 0]]);
  });

  it("takes an instance back by a full death: finalizer, weak references, fields, serial", () => {
    const heap = makeHeap();
    const log: string[] = [];
    class Watched extends struct("Watched", { name: str, part: any }) {
      [finalizer]() {
        log.push(`finalizer of ${this.name}`);
      }
    }
    const pool = heap.pool(Watched, { capacity: 1, reset: () => log.push("reset") });
    log.length = 0;
    const part = heap.new(Node, {});
    const watched = pool.acquire({ name: "a", part });
    const borrowed = heap.gc.getReferrers(part)[0] as Watched;
    const ref = heap.weakref.ref(watched, () => log.push(`callback, part held ${refcount(part) === 2}`));
    release(watched);
    expect(log).toEqual(["finalizer of a", "callback, part held true", "reset"]);
    expect([ref.alive, refcount(part)]).toEqual([false, 1]);
    heapError("STALE_REFERENCE", () => borrowed.name);
    heapError("USE_AFTER_RELEASE", () => watched.name);
    release(pool.acquire({ name: "b" }));
    expect(log.slice(3)).toEqual(["finalizer of b", "reset"]); // once a life
  });

  it("tells stale views of one life from the next, however often a slot is lent", () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 1 });
    const stale: Node[] = [];
    for (let life = 0; life < size(200); life++) {
      using node = pool.acquire({ value: life, items: [] });
      node.items.push(node);
      stale.push(node.items.at(0) as unknown as Node);
      node.items.clear();
      for (const view of stale.slice(0, -1)) heapError("STALE_REFERENCE", () => view.value);
    }
  });

  it("takes back what dies in a container, in a cycle, or in a pool's other instance", () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 3 });
    const holder = heap.new(list(Node), []);
    heap.scope((scope) => holder.push(scope.use(pool.acquire({ next: scope.use(pool.acquire({})) }))));
    expect(pool.available).toBe(1);
    release(holder);
    expect(pool.available).toBe(3);
    heap.scope((scope) => {
      const node = scope.use(pool.acquire({}));
      node.next = scope.use(pool.acquire({ next: node }));
    });
    expect(pool.available).toBe(1);
    expect([heap.gc.collect(), pool.available]).toEqual([4, 3]);
    verify(heap);
  });

  it("leaves an instance out that a finalizer or a reset keeps, until that is released", () => {
    const heap = makeHeap();
    const kept: Handle<Keeper>[] = [];
    class Keeper extends struct("Keeper", { value: i32 }) {
      [finalizer]() {
        if (this.value === 1) kept.push(retain(this) as Handle<Keeper>);
      }
    }
    let keepsInReset = false;
    const reset = (instance: Keeper) => {
      if (keepsInReset) kept.push(retain(instance) as Handle<Keeper>);
    };
    const pool = heap.pool(Keeper, { capacity: 1, reset });
    release(pool.acquire({ value: 1 }));
    expect([pool.available, kept[0].value]).toEqual([0, 1]);
    keepsInReset = true;
    release(kept[0]);
    expect([pool.available, kept.length]).toEqual([0, 2]);
    verify(heap);
    keepsInReset = false;
    release(kept[1]);
    expect(pool.available).toBe(1);
  });

  it("lends nothing that does not exist: a reset that keeps every instance leaves the pool empty", () => {
    const heap = makeHeap();
    const kept: Handle<Node>[] = [];
    const reset = (node: Node) => void kept.push(retain(node) as Handle<Node>);
    const pool = heap.pool(Node, { capacity: 2, whenEmpty: "grow", reset });
    expect([pool.capacity, pool.available, pool.stats.highWater]).toEqual([2, 0, 2]);
    heapError("POOL_EXHAUSTED", () => pool.acquire({}));
    verify(heap);
    for (const node of kept) expect(heap.gc.isTracked(node)).toBe(true); // acquired, and so it may be on a cycle
    kept[0].next = kept[0];
    for (const node of kept.splice(1)) release(node);
    verify(heap);
  });

  it("ends what a reset has kept of an instance: borrowed views and weak references", () => {
    const heap = makeHeap();
    const borrowed: Node[] = [];
    const refs: { alive: boolean; [Symbol.dispose](): void }[] = [];
    const pool = heap.pool(Node, {
      capacity: 1,
      reset: (node) => {
        borrowed.push(node);
        refs.push(heap.weakref.ref(node));
      },
    });
    heapError("STALE_REFERENCE", () => retain(borrowed[0]));
    expect(refs[0].alive).toBe(false);
    using node = pool.acquire({});
    expect([refs[0].alive, node.name]).toEqual([false, ""]);
    for (const ref of refs) ref[Symbol.dispose]();
  });

  it("passes over an instance at hand that somebody has found and kept", () => {
    const heap = makeHeap();
    using part = heap.new(Leaf, {});
    const Slot = struct("Slot", { part: optional(Leaf), rest: any });
    const pool = heap.pool(Slot, {
      capacity: 2,
      reset: (slot) => {
        slot.part = part;
      },
    });
    const [found] = heap.gc.getReferrers(part);
    const kept = retain(found);
    const handles = [pool.acquire({})];
    heapError("POOL_EXHAUSTED", () => pool.acquire({}));
    expect(pool.available).toBe(0);
    verify(heap);
    for (const handle of [...handles, kept]) release(handle);
    expect(pool.available).toBe(2);
  });

  it("is not made any more while the heap ends, and ends with a reset that ends the heap", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap.onLeakedHandle = () => {};
    const told: unknown[] = [];
    heap.onUnraisable = (error) => told.push((error as { code?: string }).code);
    heap.adopt({}, () => heap.pool(Node, { capacity: 1 }));
    let resets = 0;
    heapError("HEAP_DISPOSED", () =>
      heap.pool(Node, {
        capacity: 5,
        reset: () => {
          resets++;
          heap.shutdown();
        },
      }),
    );
    expect([resets, told]).toEqual([1, ["INVALID_ARGUMENT"]]);
  });

  it("counts as a hit what was acquired, and no literal that was refused", () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 1 });
    heapError("INVALID_ARGUMENT", () => pool.acquire({ nope: 1 } as never));
    release(pool.acquire({}));
    expect(pool.stats).toEqual({ hits: 1, misses: 0, highWater: 1 });
  });

  it("refuses what does not fit and lends nothing for it", () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 1 });
    using other = heap.new(Leaf, {});
    const refusals = {
      TYPE_MISMATCH: [{ value: "1" }, { next: other }, { items: [{}] }, 3, null, other],
      INVALID_ARGUMENT: [{ colour: 1 }, { value: 1, colour: undefined, size: 2 }],
    };
    const before = liveObjects(heap);
    for (const [code, literals] of Object.entries(refusals))
      for (const literal of literals) {
        heapError(code, () => pool.acquire(literal as never));
        expect([pool.available, liveObjects(heap)]).toEqual([1, before]);
      }
    verify(heap);
    const Strict = struct("Strict", { node: Node });
    const strict = heap.pool(Strict, { capacity: 1 });
    heapError("TYPE_MISMATCH", () => strict.acquire({} as never));
    expect(strict.available).toBe(1);
  });

  it("survives a getter of the literal that takes its last instance, or closes it", () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 1 });
    const taken: Handle<Node>[] = [];
    const greedy = {
      get value() {
        taken.push(pool.acquire({}) as Handle<Node>);
        return 1;
      },
    };
    heapError("POOL_EXHAUSTED", () => pool.acquire(greedy));
    verify(heap);
    release(taken[0]);
    const closing = {
      get value() {
        pool[Symbol.dispose]();
        return 1;
      },
    };
    messageOf("INVALID_ARGUMENT", () => pool.acquire(closing));
    verify(heap);
  });
});

describe("a pool that runs empty", () => {
  it("refuses, unless it was told to grow; its statistics say which", () => {
    const heap = makeExactHeap();
    const fixed = heap.pool(Leaf, { capacity: 2 });
    const grown = heap.pool(Leaf, { capacity: 2, whenEmpty: "grow" });
    const handles = [1, 2].map(() => fixed.acquire({}));
    expect(messageOf("POOL_EXHAUSTED", () => fixed.acquire({}))).toMatch(
      /^All 2 instances of this pool of Leaf are out/,
    );
    for (let count = 0; count < 5; count++) handles.push(grown.acquire({}));
    expect([fixed.stats, grown.stats]).toEqual([
      { hits: 2, misses: 1, highWater: 2 },
      { hits: 3, misses: 2, highWater: 5 },
    ]);
    expect([fixed.capacity, grown.capacity, grown.available]).toEqual([2, 8, 3]);
    for (const handle of handles) release(handle);
    verify(heap);
  });

  it("takes what it can get of a full heap, and says when that is nothing", () => {
    const heap = makeExactHeap({ maximumBytes: 256 * 1024 });
    heapError("OUT_OF_MEMORY", () => heap.pool(Node, { capacity: 100_000 }));
    verify(heap);
    const pool = heap.pool(Node, { capacity: 64, whenEmpty: "grow" });
    const handles: Handle<Node>[] = [];
    heapError("OUT_OF_MEMORY", () => {
      for (;;) handles.push(pool.acquire({ items: [] }) as Handle<Node>);
    });
    verify(heap);
    expect(handles.length).toBeGreaterThan(64);
    for (const handle of handles) release(handle);
    expect(pool.available).toBe(pool.capacity);
    verify(heap);
  });
});

describe("the collector and a pool", () => {
  it("are strangers: acquiring and returning move no count, and what is in the pool is not tracked", () => {
    const heap = makeExactHeap();
    const Point = struct("Point", { x: any });
    const pool = heap.pool(Point, { capacity: 2000 });
    expect([heap.gc.getCount(), heap.gc.getObjects()]).toEqual([[0, 0, 0], []]);
    const handles = Array.from({ length: 2000 }, () => pool.acquire({}));
    expect([heap.gc.getCount(), heap.gc.getObjects().length]).toEqual([[0, 0, 0], 2000]);
    for (const handle of handles) release(handle);
    expect([heap.gc.getCount(), heap.gc.getObjects()]).toEqual([[0, 0, 0], []]);
  });
});

describe("disposing of a pool", () => {
  it("frees its instances, without a finalizer for those that nobody used since their last death", () => {
    const heap = makeExactHeap();
    let finalized = 0;
    class Counted extends struct("Counted", { x: i32 }) {
      [finalizer]() {
        finalized++;
      }
    }
    const before = liveObjects(heap);
    const pool = heap.pool(Counted, { capacity: 10 });
    release(pool.acquire({}));
    pool[Symbol.dispose]();
    pool[Symbol.dispose]();
    expect([finalized, liveObjects(heap) - before]).toEqual([1, 0]);
    expect(messageOf("INVALID_ARGUMENT", () => pool.acquire({}))).toMatch(/closed/);
  });

  it("with instances out is an error that lists them, and the pool goes on", () => {
    const heap = makeExactHeap({ checks: { handles: { every: 1 } } });
    const pool = heap.pool(Leaf, { capacity: 3 });
    const handles = [pool.acquire({}), pool.acquire({})];
    const error = heapError("POOL_IN_USE", () => pool[Symbol.dispose]()) as PoolInUseError;
    expect([error.out, error.madeAt.length]).toEqual([2, 2]);
    expect(error.message).toMatch(/^2 of the instances.*\n {2}made at .*pool\.test\.ts:\d+:\d+/);
    handles.push(pool.acquire({}));
    for (const handle of handles) release(handle);
    pool[Symbol.dispose]();
    verify(heap);
  });

  it("is part of the heap's end: what is out dies like any other object", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20, checks: "verify" });
    heap.onLeakedHandle = () => {};
    const log: number[] = [];
    class Counted extends struct("Counted", { x: i32 }) {
      [finalizer]() {
        log.push(this.x);
      }
    }
    const pool = heap.pool(Counted, { capacity: 3 });
    pool.acquire({ x: 1 });
    pool.acquire({ x: 2 });
    heap[Symbol.dispose]();
    expect(log.sort()).toEqual([1, 2]); // objects that are never tracked die in address order
    heapError("HEAP_DISPOSED", () => pool.acquire({}));
    pool[Symbol.dispose]();
  });

  it.each([
    [undefined, /takes an object/],
    [{}, /capacity must be/],
    [{ capacity: 0 }, /capacity must be/],
    [{ capacity: 1.5 }, /capacity must be/],
    [{ capacity: 1, reset: 1 }, /reset must be/],
    [{ capacity: 1, whenEmpty: "shrink" }, /whenEmpty must be/],
  ])("bad options are refused: %o", (options, message) => {
    const heap = makeExactHeap();
    expect(messageOf("INVALID_ARGUMENT", () => heap.pool(Leaf, options as never))).toMatch(message);
    messageOf("INVALID_ARGUMENT", () => heap.pool(list(any) as never, { capacity: 1 }));
  });
});
