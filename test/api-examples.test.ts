/** What the interface promises, as the programs of its users: complete, checked by the compiler as they stand, and run. */
import { describe, expect, it } from "vitest";
import {
  any,
  as,
  type CollectionInfo,
  DEBUG,
  dict,
  f64,
  finalizer,
  foreign,
  type Handle,
  type Heap,
  IdentityMap,
  i32,
  id,
  is,
  isA,
  type List,
  list,
  oneOf,
  optional,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
  typeName,
} from "../src/index.js";
import { verify } from "../src/inspect/index.js";
import { makeExactHeap, makeHeap } from "./support/heaps.js";
import { leaksNothing, liveObjects, messageOf } from "./unit/host/support.js";

const Point = struct("Point", { x: f64, y: f64, label: str }, { cyclic: false });

class TreeNode extends struct("TreeNode", {
  value: i32,
  get parent() {
    return optional(TreeNode);
  },
  get children() {
    return list(TreeNode);
  },
}) {
  sum(): number {
    let total = this.value;
    for (const child of this.children) total += child.sum();
    return total;
  }
}

describe("declare, create, free at once", () => {
  it("a record is freed at the closing brace, with no collection", () => {
    const heap = makeExactHeap();
    function distance(): number {
      using point = heap.new(Point, { x: 3, label: "start" }); // y is 0
      point.y = 4;
      return Math.hypot(point.x, point.y);
    }
    expect(leaksNothing(heap, distance)).toBe(5);
    expect(heap.gc.isTracked(heap.new(Point, {}))).toBe(false);
    expect(heap.gc.getStats().map(({ collections }) => collections)).toEqual([0, 0, 0]);
  });
});

describe("a class with methods, and fields that refer back to it", () => {
  it("is inferred through the recursion, and its methods work on what is read", () => {
    const heap = makeHeap();
    using root = heap.new(TreeNode, { value: 1, children: [{ value: 2, children: [{ value: 3 }] }, {}] });
    for (const child of root.children) child.parent = root;
    const deep: number = root.children.at(1)!.parent!.children.at(0)!.value;
    const total: number = root.children.at(0)!.parent!.sum();
    expect([deep, total]).toEqual([2, 6]);
    const first = root.children.at(0);
    expect(first).toBeInstanceOf(TreeNode);
    for (const child of root.children) child.parent = null;
  });

  it("is instantiated by heaps only", () => {
    // @ts-expect-error only the heap constructs
    expect(messageOf("INVALID_ARGUMENT", () => new TreeNode())).toMatch(/heap\.new\(TreeNode/);
  });

  it("takes literals and references side by side", () => {
    const heap = makeHeap();
    using node = heap.new(TreeNode, { value: 10 });
    using other = heap.new(TreeNode, {
      parent: { value: 1, parent: node },
      children: [node, { children: [{ value: 3 }] }],
    });
    expect([other.sum(), refcount(node), is(other.parent!.parent, node)]).toEqual([13, 3, true]);
  });
});

describe("a cycle", () => {
  it("is what counts alone cannot free, and the collector can", () => {
    const heap = makeExactHeap();
    {
      using root = heap.new(TreeNode, { value: 1, children: [{ value: 2 }, { value: 3 }] }); // no handle to leak
      for (const child of root.children) child.parent = root;
    }
    expect(liveObjects(heap)).toBe(6);
    expect(heap.gc.collect()).toBe(6); // three nodes and their lists
    expect(liveObjects(heap)).toBe(0);
  });

  it("of two dicts is Python's own example", () => {
    const heap = makeExactHeap();
    {
      using a = heap.new(dict(str, any), [["key", "value"]]);
      using b = heap.new(dict(str, any), [["key", "another_value"]]);
      a.set("ref_to_b", b);
      b.set("ref_to_a", a);
    } // both counts drop to 1, not 0
    expect(heap.gc.collect()).toBe(2);
  });
});

describe("scopes", () => {
  function makePair(heap: Heap): Handle<TreeNode> {
    return heap.scope((scope) => {
      const left = scope.new(TreeNode, { value: 1 });
      const right = scope.new(TreeNode, { value: 2 });
      return scope.new(TreeNode, { children: [left, right] });
    });
  }

  it("release what is made inside; a returned handle escapes", () => {
    const heap = makeHeap();
    leaksNothing(heap, () => {
      using pair = makePair(heap);
      expect(pair.sum()).toBe(3);
      expect([refcount(pair), refcount(pair.children.at(0)!)]).toEqual([1, 1]);
    });
  });

  it("are lexical, hence safe across await", async () => {
    const heap = makeHeap();
    const before = liveObjects(heap);
    let isOpen = true;
    async function later(): Promise<number> {
      using scope = heap.scope();
      scope.defer(() => {
        isOpen = false;
      });
      const root = scope.new(TreeNode, { value: 7 });
      await Promise.resolve();
      expect(isOpen).toBe(true);
      return root.sum();
    }
    expect(await later()).toBe(7);
    expect([isOpen, liveObjects(heap) - before]).toEqual([false, 0]);
  });

  it("take over handles, hand everything on, and give back plain values", () => {
    const heap = makeHeap();
    const answer: number = heap.scope(() => 42);
    const closed: string[] = [];
    leaksNothing(heap, () => {
      using outer = heap.scope((scope) => {
        scope.use(heap.new(Point, { label: "moved" }));
        scope.defer(() => closed.push("inner"));
        return scope.move();
      });
      outer.new(Point, { label: "later" });
      closed.push("open");
    });
    expect([answer, closed]).toEqual([42, ["open", "inner"]]);
  });
});

describe("ownership", () => {
  it("is said by a signature: a plain parameter borrows, a Handle result is a new reference", () => {
    const heap = makeHeap();
    const visit = (node: TreeNode): Handle<TreeNode> => retain(node);
    const owned: Handle<TreeNode> = heap.new(TreeNode, { value: 5 });
    const kept = visit(owned);
    expect([refcount(kept), is(owned, kept), id(owned) === id(kept)]).toEqual([2, true, true]);
    expect(owned === kept).toBe(false);
    release(owned);
    expect(messageOf("USE_AFTER_RELEASE", () => owned.value)).toMatch(/TreeNode/);
    expect(messageOf("DOUBLE_RELEASE", () => release(owned))).toMatch(/TreeNode/);
    expect(kept.value).toBe(5);
    release(kept);
  });

  it("leaves a container with what is taken out", () => {
    const heap = makeHeap();
    using table = heap.new(dict(str, list(f64)), [["a", [1, 2]]]);
    const first: number | undefined = table.get("a")?.at(0);
    using taken: Handle<List<number>> | undefined = table.take("a");
    expect([first, table.size, refcount(taken!), [...taken!]]).toEqual([1, 0, 1, [1, 2]]);
  });

  it("of keys by identity is an IdentityMap's", () => {
    const heap = makeHeap();
    using node = heap.new(TreeNode, { children: [{ value: 1 }] });
    using depths = new IdentityMap<TreeNode, number>(heap);
    depths.set(node, 0).set(node.children.at(0)!, 1);
    expect([depths.get(node.children.at(0)!), depths.has(node), depths.size]).toEqual([1, true, 2]);
    node.children.clear();
    expect([...depths].map(([{ value }, depth]) => [value, depth])).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });
});

describe("values of several types", () => {
  class Leaf extends struct("Leaf", { value: f64 }) {}
  class Branch extends struct("Branch", {
    get left() {
      return oneOf(Leaf, Branch);
    },
    get right() {
      return optional(oneOf(Leaf, Branch));
    },
  }) {
    total(): number {
      const of = (node: Leaf | Branch): number => (node instanceof Leaf ? node.value : node.total());
      return of(this.left) + (this.right === null ? 0 : of(this.right));
    }
  }

  it("are told apart with instanceof, recursive both ways", () => {
    const heap = makeHeap();
    using leaf = heap.new(Leaf, { value: 2.5 });
    using inner = heap.new(Branch, { left: leaf });
    using branch = heap.new(Branch, { left: inner, right: leaf });
    expect(branch.total()).toBe(5);
    using node = heap.new(TreeNode, {});
    expect(
      messageOf("TYPE_MISMATCH", () => {
        // @ts-expect-error neither Leaf nor Branch
        branch.left = node;
      }),
    ).toMatch(/Branch\.left must be Leaf or Branch, got a TreeNode/);
  });

  it("in an any slot are narrowed with isA, or cast with as", () => {
    const heap = makeHeap();
    using leaf = heap.new(Leaf, { value: 1 });
    using values = heap.new(list(any), [null, true, 1.5, "text", leaf]);
    const seen = [...values].map((value) => (isA(Leaf, value) ? typeName(value) : value));
    expect(seen).toEqual([null, true, 1.5, "text", "Leaf"]);
    expect(as(Leaf, values.at(4)!).value).toBe(1);
    expect(messageOf("TYPE_MISMATCH", () => as(Branch, values.at(4)!))).toMatch(
      /Expected a Branch, got a Leaf/,
    );
  });
});

describe("containers", () => {
  it("follow Array, Map and Set", () => {
    const heap = makeHeap();
    using pair = heap.new(tuple(f64, str), [1, "one"]);
    const [number, text]: readonly [number, string] = pair;
    expect([number, text, pair.length]).toEqual([1, "one", 2]);
    using names = heap.new(set(str), ["a", "b", "a"]);
    expect([names.has("a"), names.size, [...names]]).toEqual([true, 2, ["a", "b"]]);
    using items = heap.new(list(str), ["b", "c"]);
    items.insert(0, "a");
    items.push("d", "e");
    expect([items.pop(), items.take(0), items.delete(-1), items.indexOf("c")]).toEqual(["e", "a", true, 1]);
    items.assign(["x", ...items]);
    expect([[...items], items.length]).toEqual([["x", "b", "c"], 3]);
  });
});

describe("the gc module", () => {
  it("tells of each collection, and keeps what it finds if asked to", () => {
    const heap = makeExactHeap();
    const calls: [string, CollectionInfo][] = [];
    const texts: string[] = [];
    heap.gc.setThreshold(2000, 10, 10);
    heap.gc.callbacks.push((phase, info) => calls.push([phase, info]));
    heap.gc.debugSink = (text) => texts.push(text);
    heap.gc.setDebug(DEBUG.STATS | DEBUG.SAVEALL);
    {
      using node = heap.new(TreeNode, { value: 8 });
      node.parent = node;
    }
    expect([heap.gc.getThreshold(), heap.gc.getCount()]).toEqual([
      [2000, 10, 10],
      [2, 0, 0],
    ]);
    expect(heap.gc.collect()).toBe(2);
    const about = { generation: 2, uncollectable: 0 };
    expect(calls).toEqual([
      ["start", { ...about, collected: 0, duration: 0 }],
      ["stop", { ...about, collected: 2, duration: expect.any(Number) }],
    ]);
    expect(texts.join("")).toMatch(
      /^gc: collecting generation 2[\s\S]*gc: done, 2 unreachable, 0 uncollectable/,
    );
    expect(heap.gc.garbage.length).toBe(2);
    expect((heap.gc.garbage.at(1) as unknown as TreeNode).value).toBe(8);
    heap.gc.setDebug(0);
    heap.gc.garbage.clear();
    expect([heap.gc.collect(), heap.gc.getObjects()]).toEqual([2, []]);
    verify(heap);
  });

  it("starts by itself once allocations outnumber frees by the threshold", () => {
    const heap = makeExactHeap();
    const collected: number[] = [];
    heap.gc.callbacks.push((phase, info) => phase === "stop" && collected.push(info.collected));
    heap.gc.setThreshold(100);
    for (let index = 0; index < 101; index++) {
      using node = heap.new(TreeNode, {});
      node.parent = node;
    }
    expect(collected).toEqual([100, 100]);
  });
});

describe("a leak", () => {
  it("compiles, because types are structural, and the checks find it", () => {
    const heap = makeHeap({ checks: { handles: { every: 1 } } });
    heap.new(Point, { label: "leaked" });
    expect(liveObjects(heap)).toBe(2); // the point and its text, for as long as the heap lives
    verify(heap);
  });
});

describe("a cache that keeps nothing alive, a foreign resource, a finalizer", () => {
  it("end with the last texture, in this order", () => {
    const heap = makeHeap();
    const log: string[] = [];
    class Texture extends struct("Texture", {
      path: str,
      gpu: foreign<{ destroy(): void; width: number }>(),
    }) {
      [finalizer](): void {
        log.push(`freeing ${this.path}`);
      }
    }
    const device = { createTexture: () => ({ width: 64, destroy: () => log.push("destroyed") }) };
    const cache = heap.weakref.valueDictionary<string, Texture>();

    function loadTexture(path: string): Handle<Texture> {
      const cached = cache.get(path); // a new reference or undefined: nothing can free it in between
      if (cached) return cached;
      using gpu = heap.adopt(device.createTexture(), (texture) => texture.destroy(), { bytes: 4 << 20 });
      const texture = heap.new(Texture, { path, gpu });
      cache.set(path, texture);
      return texture;
    }

    const wood = loadTexture("wood.png");
    const again = loadTexture("wood.png");
    expect([is(wood, again), again.gpu.value.width, heap.adoptedBytes]).toEqual([true, 64, 4 << 20]);
    release(wood);
    expect(log).toEqual([]);
    release(again);
    expect([log, cache.size, heap.adoptedBytes]).toEqual([["freeing wood.png", "destroyed"], 0, 0]);
  });
});

describe("pools", () => {
  it("lend instances and take them back", () => {
    const heap = makeHeap();
    const Particle = struct("Particle", { x: f64, y: f64, ttl: f64 }, { cyclic: false, weakrefs: false });
    const particles = heap.pool(Particle, {
      capacity: 10,
      reset: (particle) => {
        particle.ttl = 60;
      },
    });
    {
      using spark = particles.acquire({ x: 1, y: 2 });
      expect([spark.x, spark.ttl, particles.available]).toEqual([1, 60, 9]);
    }
    expect([particles.available, particles.stats.highWater]).toEqual([10, 1]);
  });

  it("take back an instance that owns a value, which is disposed", () => {
    const heap = makeHeap();
    let disposed = 0;
    const Slot = struct("Slot", { value: optional(foreign<object>()) });
    const slots = heap.pool(Slot, { capacity: 1 });
    using value = heap.adopt({}, () => disposed++);
    for (let life = 0; life < 3; life++) release(slots.acquire({ value }));
    expect(disposed).toBe(0);
    heap.scope((scope) => release(slots.acquire({ value: scope.adopt({}, () => disposed++) })));
    expect([disposed, slots.available]).toEqual([1, 1]);
  });
});
