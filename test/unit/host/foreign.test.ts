/** Values that the heap owns: how long they live, who holds them, and their bytes. */
import { describe, expect, it } from "vitest";
import {
  any,
  dict,
  finalizer,
  foreign,
  type Heap,
  isA,
  list,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  typeName,
  weak,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { makeStage, Node, type Texture } from "./foreign-stage.js";
import { heapError, leaksNothing, messageOf } from "./support.js";

describe("an adopted value", () => {
  it("is disposed once, when the last reference goes, before the statement that dropped it is over", () => {
    const { heap, log, adopt } = makeStage();
    const first = adopt(1);
    const second = retain(first);
    expect([first.value.id, refcount(first), heap.adoptedCount]).toEqual([1, 2, 1]);
    release(first);
    expect(log).toEqual([]);
    release(second);
    expect([log, heap.adoptedCount]).toEqual([["texture 1"], 0]);
  });

  it("may be a field, an item, a dict's value, a member, and dies with the last that holds it", () => {
    const { heap, log, adopt } = makeStage();
    const texture = adopt(1);
    const holders = [
      heap.new(Node, { gpu: texture }),
      heap.new(Node, { rest: texture }),
      heap.new(list(foreign<Texture>()), [texture]),
      heap.new(dict(str, foreign<Texture>()), [["key", texture]]),
      heap.new(set(any), [texture]),
    ];
    release(texture);
    for (const holder of holders) {
      expect(log).toEqual([]);
      verify(heap);
      release(holder);
    }
    expect(log).toEqual(["texture 1"]);
  });

  it("dies in CPython's order: its owner's finalizer first, then fields in shape order, depth first", () => {
    const { heap, log, adopt } = makeStage();
    class Owner extends struct("Owner", { first: foreign<Texture>(), inner: any, last: foreign<Texture>() }) {
      [finalizer]() {
        log.push(`finalizer finds ${this.first.value.id}`);
      }
    }
    const textures = [1, 2, 3, 4].map((id) => adopt(id));
    const [first, second, third, last] = textures;
    const inner = heap.new(list(any), [second, third]);
    const owner = heap.new(Owner, { first, inner, last });
    for (const handle of [...textures, inner, owner]) release(handle);
    // A list drops its items last to first.
    expect(log).toEqual(["finalizer finds 1", "texture 1", "texture 3", "texture 2", "texture 4"]);
  });

  it("may be weakly referenced: the reference is dead, and its callback called, before the disposer runs", () => {
    const { heap, log, adopt } = makeStage();
    const texture = adopt(1);
    class Watcher extends struct("Watcher", { seen: weak(foreign<Texture>()) }) {}
    using watcher = heap.new(Watcher, { seen: texture });
    using ref = heap.weakref.ref(texture, () => log.push(`callback, seen ${watcher.seen === null}`));
    using cache = heap.weakref.valueDictionary<string, typeof texture>();
    cache.set("a", texture);
    expect([watcher.seen?.value.id, ref.alive, cache.size]).toEqual([1, true, 1]);
    release(texture);
    expect(log).toEqual(["callback, seen true", "texture 1"]);
    expect([ref.alive, cache.size]).toEqual([false, 0]);
  });

  it("may be a primitive, as often as one likes: a file descriptor, a number of the host", () => {
    const { heap } = makeStage();
    const closed: unknown[] = [];
    const handles = [3, 3, "a", undefined, null].map((value) => heap.adopt(value, (one) => closed.push(one)));
    for (const handle of handles) release(handle);
    expect(closed).toEqual([3, 3, "a", undefined, null]);
  });

  it("has one owner, in whatever heap, until it is disposed; the error names the first place", () => {
    const { heap, adopt } = makeStage({ checks: { handles: { every: 1 } } });
    const other = makeHeap();
    const texture = adopt(1);
    const { value } = texture;
    for (const owner of [heap, other]) {
      const message = leaksNothing(owner, () =>
        messageOf("ALREADY_ADOPTED", () => owner.adopt(value, () => {})),
      );
      expect(message).toMatch(
        /^This value \(an object\) has an owner already.*\n {2}adopted at .*foreign-stage\.ts/,
      );
    }
    const close = () => {};
    using _closer = heap.adopt(close, () => {});
    messageOf("ALREADY_ADOPTED", () => heap.adopt(close, () => {}));
    release(texture);
    using again = other.adopt(value, () => {});
    expect(again.value).toBe(value);
  });

  it("shows itself, its type, and how it is disposed", () => {
    const { heap, adopt } = makeStage();
    using texture = adopt(7);
    using owned = heap.own({ close() {} });
    expect([typeName(texture), texture.disposer, owned.disposer]).toEqual(["foreign", "a function", "close"]);
    expect([isA(foreign(), texture), isA(list(any), texture)]).toEqual([true, false]);
    using node = heap.new(Node, { gpu: texture });
    expect(JSON.stringify(node)).toBe('{"name":"","gpu":{"foreign":true},"next":null,"rest":null}');
    expect((heap.toJS(node) as { gpu: unknown }).gpu).toBe(texture.value);
  });

  it("is refused where it cannot be taken, and is then still the caller's", () => {
    const { heap, log, adopt } = makeStage();
    using texture = adopt(1);
    using node = heap.new(Node, {});
    const released = (() => {
      using gone = heap.new(Node, {});
      return gone as Node;
    })();
    const refusals: [RegExp, () => unknown][] = [
      [/already/, () => heap.adopt(node, () => {})],
      [/a function that disposes/, () => heap.adopt({}, undefined as never)],
      [/must be an object/, () => heap.adopt({}, () => {}, 1 as never)],
      [/at least 0, got -1/, () => heap.adopt({}, () => {}, { bytes: -1 })],
      [/at least 0, got NaN/, () => heap.adopt({}, () => {}, { bytes: Number.NaN })],
      [/an array of heap objects/, () => heap.adopt({}, () => {}, { holds: node as never })],
      [/objects of this heap, got an object/, () => heap.adopt({}, () => {}, { holds: [{}] as never })],
      [/`traverse` must be a function/, () => heap.adopt({}, () => {}, { traverse: [] as never })],
      [/heap\.new cannot/, () => heap.new(foreign() as never, {} as never)],
      [/bytes must be/i, () => (texture.bytes = -1)],
    ];
    for (const [message, attempt] of refusals)
      expect(leaksNothing(heap, () => messageOf("INVALID_ARGUMENT", attempt))).toMatch(message);
    heapError("USE_AFTER_RELEASE", () => heap.adopt({}, () => {}, { holds: [released] }));
    heapError("TYPE_MISMATCH", () => heap.new(Node, { gpu: node as never }));
    expect([log, heap.adoptedCount]).toEqual([[], 1]);
  });

  it("is given what it holds by an array that runs user code, and takes none of it for granted", () => {
    const { heap } = makeStage();
    const first = heap.new(Node, {});
    using second = heap.new(Node, {});
    const tricky: unknown[] = [first];
    Object.defineProperty(tricky, 1, {
      enumerable: true,
      get() {
        release(first);
        return second;
      },
    });
    heapError("USE_AFTER_RELEASE", () => heap.adopt({}, () => {}, { holds: tricky as never }));
    class Lying extends Array<unknown> {
      override map(): never {
        return [123456] as never;
      }
    }
    release(heap.adopt({}, () => {}, { holds: Lying.from([second]) as never }));
    verify(heap);
    expect([refcount(second), heap.adoptedCount]).toEqual([1, 0]);
  });

  it("holds what it is told to hold, and drops it when it has been disposed", () => {
    const { heap, log } = makeStage();
    class Part extends struct("Part", { name: str }) {
      [finalizer]() {
        log.push(`part ${this.name}`);
      }
    }
    const parts = ["a", "b"].map((name) => heap.new(Part, { name }));
    const holder = heap.adopt({}, () => log.push("disposed"), { holds: parts });
    for (const part of parts) release(part);
    expect([log, heap.gc.getReferents(holder).length, heap.gc.isTracked(holder)]).toEqual([[], 2, true]);
    release(holder);
    expect(log).toEqual(["disposed", "part b", "part a"]);
  });
});

describe("adopted bytes", () => {
  it("are counted while the value lives, and follow its size", () => {
    const { heap, adopt } = makeStage();
    const [first, second] = [adopt(1, 1000), adopt(2, 500)];
    expect([heap.adoptedBytes, first.bytes]).toEqual([1500, 1000]);
    second.bytes = 2000;
    expect(heap.adoptedBytes).toBe(3000);
    release(first);
    expect(heap.adoptedBytes).toBe(2000);
    release(second);
    expect(heap.adoptedBytes).toBe(0);
  });

  /** Cycles that hold a value each, which nothing but a collection frees. @returns the adoptions after which one ran */
  function collectionsWhile(heap: Heap, count: number, bytes: number): number[] {
    const starts: number[] = [];
    let adopted = 0;
    heap.gc.callbacks.push((phase, { generation }) => {
      if (phase === "start" && generation === 2) starts.push(adopted);
    });
    for (; adopted < count; adopted++)
      heap.scope((scope) => {
        const node = scope.new(Node, {});
        node.next = node;
        node.gpu = scope.adopt({ id: adopted }, () => {}, { bytes });
      });
    heap.gc.callbacks.length = 0;
    return starts;
  }

  it("start a full collection when they pass the threshold", () => {
    const heap = makeExactHeap();
    heap.gc.setByteThreshold(1000);
    // Four of 300 bytes are more than 1000; the one that starts it is still held.
    expect(collectionsWhile(heap, 12, 300)).toEqual([3, 7, 11]);
    expect(heap.gc.getByteThreshold()).toBe(1000);
  });

  it("start none at 0, where the collector is off, or while no more than the threshold is adopted", () => {
    for (const [threshold, isEnabled, bytes] of [
      [0, true, 1e9],
      [1000, false, 1e9],
      [1000, true, 0],
    ] as const) {
      const heap = makeExactHeap();
      heap.gc.setByteThreshold(threshold);
      if (!isEnabled) heap.gc.disable();
      expect(collectionsWhile(heap, 12, bytes)).toEqual([]);
    }
    expect(makeExactHeap().gc.getByteThreshold()).toBe(64 * 2 ** 20);
  });

  it("that live on make the next such collection wait for a quarter as many", () => {
    const heap = makeExactHeap();
    heap.gc.setByteThreshold(1000);
    using large = heap.adopt({}, () => {}, { bytes: 100_000 });
    const starts = collectionsWhile(heap, 100, 300);
    expect(starts[0]).toBe(83); // 84 x 300 > 100,000 / 4
    expect(large.bytes).toBe(100_000);
  });

  it("may grow in place, and that counts too", () => {
    const heap = makeExactHeap();
    heap.gc.setByteThreshold(1000);
    let collections = 0;
    heap.gc.callbacks.push((phase) => phase === "start" && collections++);
    using buffer = heap.adopt({}, () => {}, { bytes: 10 });
    buffer.bytes = 900;
    expect(collections).toBe(0);
    buffer.bytes = 1100;
    expect(collections).toBe(1);
  });
});

describe("adopting without memory", () => {
  it("changes nothing: the value is still the caller's", () => {
    const heap = makeExactHeap({ maximumBytes: 256 * 1024 });
    using kept = heap.new(Node, {});
    const holds = Array.from({ length: 8 }, () => kept);
    let adopted = 0;
    let disposed = 0;
    const handles: ReturnType<typeof heap.adopt>[] = [];
    heapError("OUT_OF_MEMORY", () => {
      for (; ; adopted++) handles.push(heap.adopt({ adopted }, () => disposed++, { holds }));
    });
    verify(heap);
    expect([refcount(kept), heap.adoptedCount, disposed]).toEqual([1 + 8 * adopted, adopted, 0]);
    for (const handle of handles) release(handle);
    expect([refcount(kept), heap.adoptedCount, disposed]).toEqual([1, 0, adopted]);
  });
});
