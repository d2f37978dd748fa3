/**
 * What happens when a thread ends at a bad moment, between two stores that belong together, and when it leaves. The threads are copies of
 * the library in this one (shared-heap.ts); test/threads ends real ones anywhere.
 */
import { describe, expect, it, vi } from "vitest";
import { any, type Heap, list, refcount, release } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import * as L from "../../../src/memory/layout.js";
import { codeOf, under } from "./shared-heap.js";
import { heaps, join, makeShared, Node, repairs } from "./thread-end-support.js";

describe("a thread that ends", () => {
  it("has all its handles in its table, however many it made under one guard", async () => {
    const shared = makeShared();
    const { heap, library, sharing } = await join(shared, "dies");
    under(heap.lock(), () => {
      for (let n = 0; n < 1000; n++) heap.new(library.list(library.any), []);
    });
    shared.sharing.reportEnd(sharing.thread);
    under(shared.heap.lock(), () => {
      verify(shared.heap);
      expect(shared.heap.gc.getObjects()).toEqual([]);
      expect(repairs).toEqual([]);
    });
  });

  it("has all its handles in its table in a heap without memory too: more are refused", async () => {
    const shared = makeShared();
    const { heap, library } = await join(shared, "full");
    const inspect = await import("../../../src/inspect/index.js");
    const objects = under(heap.lock(), () => {
      const all = heap.new(library.list(library.list(library.f64)), []);
      for (let index = 0; index < 4000; index++) all.push([index]);
      return all;
    });
    const codes = new Set<unknown>();
    const [lists, kept] = under(heap.lock(), () => {
      const lists: Disposable[] = [];
      for (let length = 1 << 18; length > 8; )
        try {
          lists.push(heap.new(library.list(library.f64), new Array(length).fill(1)));
        } catch {
          length >>= 1;
        }
      const kept: Disposable[] = [];
      for (let index = 0; index < 4000; index++)
        try {
          kept.push(library.retain(objects.at(index)!));
        } catch (error) {
          codes.add((error as { code: string }).code);
        }
      return [lists, kept];
    });
    expect([...codes]).toEqual(["OUT_OF_MEMORY"]);
    expect(kept.length).toBeLessThan(4000);
    // What makes no handle goes on.
    under(heap.lock(), () => {
      expect(heap.gc.collect()).toBe(0);
      expect(objects.at(1)!.set(0, 7)).toBeUndefined();
      inspect.verify(heap as never);
      library.release(objects.pop()!);
      for (const make of [() => heap.new(library.list(library.f64), []), () => heap.adopt({}, () => {})])
        expect(codeOf(make)).toBe("OUT_OF_MEMORY");
    });
    under(shared.heap.lock(), () => verify(shared.heap));
    for (const one of kept) library.release(one as never);
    // Another thread applies the releases.
    under(shared.heap.lock(), () => verify(shared.heap));
    under(heap.lock(), () => {
      for (const one of lists) one[Symbol.dispose]();
      library.release(library.retain(objects.at(0)!));
      library.release(objects);
    });
    under(shared.heap.lock(), () => verify(shared.heap));
  });

  it("between a count and its root under a shared guard has damaged the heap", async () => {
    const shared = makeShared();
    const { heap, sharing } = await join(shared, "dies");
    const address = shared.kept["@address" as never];
    heap.lockShared();
    sharing.incref(address);
    shared.sharing.reportEnd(sharing.thread);
    under(shared.heap.lock(), () => {
      verify(shared.heap);
      expect(repairs.map(({ threads }) => threads)).toEqual([['"dies"']]);
    });
  });

  it("between a parcel that it took under a shared guard and its root has damaged the heap", async () => {
    const shared = makeShared();
    const parcel = under(shared.heap.lock(), () => {
      const all = shared.heap.new(list(any), []);
      const sent = shared.heap.send(all);
      release(all);
      return sent;
    });
    const { heap, library, context, sharing } = await join(shared, "dies");
    heap.lockShared();
    vi.spyOn(context.handles, "own").mockImplementation(() => {
      throw new Error("ended");
    });
    expect(() => heap.receive(library.list(library.any), parcel)).toThrow("ended");
    shared.sharing.reportEnd(sharing.thread);
    under(shared.heap.lock(), () => {
      verify(shared.heap);
      // The list, and the line that sent it.
      expect(repairs).toMatchObject([{ threads: ['"dies"'], dropped: 2 }]);
    });
  });

  it("and has retained under a shared guard before, has not", async () => {
    const shared = makeShared();
    const parcel = under(shared.heap.lock(), () => shared.heap.send(shared.heap.new(list(any), [])));
    const { heap, library, sharing } = await join(shared, "dies");
    const all = under(heap.lock(), () => heap.receive(library.list(library.any), parcel));
    under(heap.lockShared(), () => library.retain(all));
    shared.sharing.reportEnd(sharing.thread);
    under(shared.heap.lock(), () => {
      verify(shared.heap);
      const [left] = shared.heap.gc.getObjects();
      expect(refcount(left)).toBe(1);
      expect(repairs).toEqual([]);
    });
  });

  it("takes the bytes of its values with it", async () => {
    const shared = makeShared();
    under(shared.heap.lock(), () => shared.heap.adopt({}, () => {}, { bytes: 7 }));
    for (const isHolding of [false, true]) {
      const { heap, sharing } = await join(shared, "dies");
      const guard = heap.lock();
      heap.adopt({}, () => {}, { bytes: 100 });
      expect(heap.adoptedBytes).toBe(107);
      if (!isHolding) guard[Symbol.dispose]();
      shared.sharing.reportEnd(sharing.thread);
      under(shared.heap.lock(), () => {
        expect(shared.heap.adoptedBytes).toBe(7);
        expect(shared.heap.adoptedCount).toBe(1);
      });
    }
    expect(repairs.length).toBe(1);
  });

  it("while the sum of these bytes was being changed leaves a right one", async () => {
    const shared = makeShared();
    under(shared.heap.lock(), () => shared.heap.adopt({}, () => {}, { bytes: 7 }));
    const { heap, sharing, context } = await join(shared, "dies");
    heap.lock();
    context.core.memory.f64[L.CONTROL_ADOPTED_BYTES >> 1] += 50;
    shared.sharing.reportEnd(sharing.thread);
    under(shared.heap.lock(), () => expect(shared.heap.adoptedBytes).toBe(7));
  });
});

describe("a thread that leaves", () => {
  it("has a record until it has left the lock, so that its end can be reported", async () => {
    const shared = makeShared();
    const { heap, sharing } = await join(shared, "leaves");
    const states: number[] = [];
    const settle = sharing.lock.beforeLeave;
    sharing.lock.beforeLeave = (mode) => {
      states.push(shared.sharing.threads.state(sharing.thread));
      settle(mode);
    };
    heap[Symbol.dispose]();
    expect(states).toEqual([L.THREAD_LEFT]);
    expect(shared.sharing.threads.state(sharing.thread)).toBe(L.THREAD_FREE);
    under(shared.heap.lock(), () => verify(shared.heap));
  });

  it("waits for the lock no more, which its number would be given to", async () => {
    const shared = makeShared();
    const { heap, sharing } = await join(shared, "leaves");
    const guard = shared.heap.lock();
    const waiting = heap.lockAsync().then(
      () => "entered",
      (error: Error) => error.name,
    );
    const { thread } = sharing;
    await vi.waitFor(() => expect(shared.i32[L.CONTROL_LOCK_WRITERS]).toBe(1 << thread));
    guard[Symbol.dispose]();
    heap[Symbol.dispose]();
    expect(shared.i32[L.CONTROL_LOCK_WRITERS] | shared.i32[L.CONTROL_LOCK_TURN]).toBe(0);
    expect(await waiting).toBe("HeapDisposedError");
    under(shared.heap.lock(), () => {
      expect(shared.i32[shared.sharing.threads.record(thread) + L.THREAD_ROOTS]).toBe(0);
      verify(shared.heap);
    });
  });

  it("and dies before it has left the lock does not keep it", async () => {
    const shared = makeShared();
    const { heap, sharing } = await join(shared, "leaves");
    sharing.lock.beforeLeave = () => {
      shared.sharing.reportEnd(sharing.thread);
      throw new Error("dies here");
    };
    const { leave } = sharing.lock;
    sharing.lock.leave = function () {
      this.beforeLeave("exclusive");
    };
    expect(() => heap[Symbol.dispose]()).toThrow("dies here");
    sharing.lock.leave = leave;
    under(shared.heap.lock({ timeout: 0 }), () => {
      verify(shared.heap);
      expect(repairs.length).toBe(1);
    });
  });
});

it("an instance of a pool that dies in another thread is the pool's no more", async () => {
  const shared = makeShared();
  const { heap } = shared;
  const seen: string[] = [];
  const [pool, parcel] = under(heap.lock(), () => {
    const made = heap.pool(Node, { capacity: 2 });
    const item = made.acquire({ name: "out" });
    const all = heap.new(list(any), [item]);
    const sent = heap.send(all);
    release(item);
    release(all);
    return [made, sent];
  });
  const other = await join(shared, "other");
  heaps.push(other.heap as unknown as Heap);
  under(other.heap.lock(), () =>
    other.library.release(other.heap.receive(other.library.list(other.library.any), parcel)),
  );
  under(heap.lock(), () => {
    expect([pool.capacity, pool.available]).toEqual([1, 1]);
    // One of these stands where the instance stood.
    const values = Array.from({ length: 20 }, (_, n) => heap.adopt({}, () => seen.push(`value ${n}`)));
    pool[Symbol.dispose]();
    verify(heap);
    for (const value of values) release(value);
    expect(seen.length).toBe(20);
  });
});
