/**
 * What happens when a thread ends at a bad moment, between two stores that belong together. The threads are copies of the library in this
 * one (shared-heap.ts); test/threads ends real ones anywhere.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  any,
  f64,
  Heap,
  type HeapRepair,
  list,
  refcount,
  release,
  retain,
  str,
  struct,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import * as L from "../../../src/memory/layout.js";

type Library = typeof import("../../../src/index.js");

const Node = struct("Node", { v: f64, name: str });
const heaps: Heap[] = [];
const repairs: HeapRepair[] = [];

function makeShared(checks: "verify" | "handles" = "verify") {
  const heap = Heap.create({ maximumBytes: 16 << 20, checks });
  const kept = heap.new(list(Node), [{ name: "kept" }]);
  const token = heap.share({ name: "first" });
  heap.onRepair = (repair) => repairs.push(repair);
  heap.onLeakedHandle = () => {};
  heaps.push(heap);
  const { sharing, core } = Heap.contextOf(heap);
  return { heap, token, kept, sharing: sharing!, i32: core.memory.i32 };
}
type Shared = ReturnType<typeof makeShared>;

/** Another thread, to be ended. */
async function join({ token }: Shared, name: string, bringsNode = false) {
  vi.resetModules();
  const library: Library = await import("../../../src/index.js");
  const OtherNode = library.struct("Node", { v: library.f64, name: library.str });
  const heap = library.Heap.attach(token, bringsNode ? [OtherNode] : [], { name });
  heap.onLeakedHandle = () => {};
  return {
    library,
    heap,
    OtherNode,
    context: library.Heap.contextOf(heap),
    sharing: library.Heap.contextOf(heap).sharing!,
  };
}

function under<R>(guard: Disposable, body: () => R): R {
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "no error";
}

afterEach(() => {
  repairs.length = 0;
  for (const heap of heaps.splice(0).reverse()) heap[Symbol.dispose]();
});

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

describe("a repair", () => {
  it("takes a thread for ended whose end is still being reported", async () => {
    const shared = makeShared();
    const victim = await join(shared, "dies");
    victim.heap.lock();
    const { threads, lock } = shared.sharing;
    const { end } = lock;
    // Between the words of the lock and the record somebody else enters.
    lock.end = (thread) => {
      const isDamaged = end.call(lock, thread);
      expect(threads.state(thread)).toBe(L.THREAD_ENDING);
      under(shared.heap.lock(), () => verify(shared.heap));
      return isDamaged;
    };
    shared.sharing.reportEnd(victim.sharing.thread);
    lock.end = end;
    under(shared.heap.lock(), () => verify(shared.heap));
    expect(repairs.map(({ threads: names }) => names)).toEqual([['"dies"']]);
    expect(threads.state(victim.sharing.thread)).toBe(L.THREAD_FREE);
  });

  it("leaves nothing to be applied of a thread whose end is still being reported", async () => {
    const shared = makeShared();
    const victim = await join(shared, "dies", true);
    const { library, heap } = victim;
    const posted = under(heap.lock(), () => {
      using value = heap.adopt({}, () => {});
      using holder = heap.new(library.list(library.any), [value]);
      return heap.send(holder);
    });
    const parcels = under(shared.heap.lock(), () =>
      [shared.kept, shared.kept].map((one) => shared.heap.send(one)),
    );
    const handles = under(heap.lockShared(), () =>
      parcels.map((parcel) => heap.receive(library.list(victim.OtherNode), parcel)),
    );
    under(shared.heap.lock(), () => release(shared.heap.receive(list(any), posted))); // which sends a mail
    for (const handle of handles) library.release(handle);
    const record = shared.sharing.threads.record(victim.sharing.thread);
    const word = (index: number) => shared.i32[record + index];
    expect([word(L.THREAD_MAIL_TAIL), word(L.THREAD_RING_TAIL) - word(L.THREAD_RING_HEAD)]).toEqual([1, 2]);
    victim.sharing.lock.onAcquire = () => {}; // it ends before it writes
    heap.lock();
    const { lock, threads } = shared.sharing;
    const { end } = lock;
    lock.end = (thread) => {
      const isDamaged = end.call(lock, thread);
      under(shared.heap.lock(), () => verify(shared.heap));
      return isDamaged;
    };
    shared.sharing.reportEnd(victim.sharing.thread);
    lock.end = end;
    under(shared.heap.lock(), () => {
      verify(shared.heap);
      expect(refcount(shared.kept)).toBe(1);
    });
    expect(threads.state(victim.sharing.thread)).toBe(L.THREAD_FREE);
  });

  it("takes an instance from its pool before another pool has one at the same place", async () => {
    const shared = makeShared();
    const [pool, parcel] = under(shared.heap.lock(), () => {
      const pool = shared.heap.pool(Node, { capacity: 1 });
      using out = pool.acquire({ name: "out" });
      return [pool, shared.heap.send(out)];
    });
    const third = await join(shared, "third", true);
    const dying = await join(shared, "dies", true);
    dying.heap.lock();
    dying.heap.receive(dying.OtherNode, parcel);
    third.sharing.reportEnd(dying.sharing.thread);
    const [other, acquired] = under(third.heap.lock(), () => {
      // Repaired: the same addresses are given again.
      const other = third.heap.pool(third.OtherNode, { capacity: 50 });
      return [other, Array.from({ length: 50 }, () => other.acquire({}))];
    });
    // They die in the thread that has had one of them.
    for (const handle of acquired) third.library.release(handle);
    under(shared.heap.lock(), () => {
      expect([pool.capacity, pool.available]).toEqual([0, 0]);
      verify(shared.heap);
    });
    under(third.heap.lock(), () => expect(other.capacity).toBe(0));
    third.heap[Symbol.dispose]();
    under(shared.heap.lock(), () => verify(shared.heap));
  });

  it("lets no pool make an instance where a thread that has yet to look cannot be told of it", async () => {
    const shared = makeShared();
    const other = await join(shared, "has yet to look");
    const makePool = () => shared.heap.pool(Node, { capacity: 1 })[Symbol.dispose]();
    under(shared.heap.lock(), () => {
      shared.sharing.mail.askToRecount(other.sharing.thread);
      const full = vi.spyOn(Heap.contextOf(shared.heap).core.allocator, "canAllocate").mockReturnValue(false);
      expect(codeOf(makePool)).toBe("OUT_OF_MEMORY");
      full.mockRestore();
      expect(codeOf(makePool)).toBe("no error");
      verify(shared.heap);
    });
    other.heap[Symbol.dispose]();
  });

  it.each([1, 2, 3, 4])(
    "ends what was begun of a release that waited in the ring of a living thread (killed before store %i to the record)",
    async (place) => {
      const shared = makeShared();
      const before = under(shared.heap.lock(), () => shared.heap.gc.getObjects().length);
      const [twice, again, once] = under(shared.heap.lock(), () => {
        const twice = shared.heap.new(list(any), []);
        return [twice, retain(twice), shared.heap.new(list(any), [])];
      });
      const victim = await join(shared, "dies");
      release(twice);
      release(once);
      const record = shared.sharing.threads.record(shared.sharing.thread);
      let stores = 0;
      const { store } = Atomics;
      const spy = vi.spyOn(Atomics, "store").mockImplementation(((
        words: Int32Array,
        index: number,
        value: number,
      ) => {
        const isOfRing = index === record + L.THREAD_TAKEN || index === record + L.THREAD_RING_HEAD;
        if (isOfRing && ++stores === place) {
          spy.mockRestore();
          shared.sharing.threads.end(victim.sharing.thread, shared.sharing.lock);
          throw new Error("ended");
        }
        return store(words, index, value);
      }) as typeof Atomics.store);
      expect(() => victim.heap.lock()).toThrow("ended");
      under(shared.heap.lock(), () => {
        verify(shared.heap);
        expect(shared.heap.gc.getObjects().length).toBe(before + 1);
        expect(refcount(again)).toBe(1);
        expect(repairs.length).toBe(1);
      });
    },
  );

  it("does not take the handles of a thread that only read for those from before share()", async () => {
    const shared = makeShared("handles");
    const [all, parcel] = under(shared.heap.lock(), () => {
      const all = shared.heap.new(list(any), []);
      return [all, shared.heap.send(all)];
    });
    const readers = [await join(shared, "reader"), await join(shared, "dies")];
    const [{ heap, library }, dies] = readers;
    under(heap.lockShared(), () => library.retain(heap.receive(library.list(library.any), parcel)));
    dies.heap.lockShared();
    dies.sharing.incref(shared.kept["@address" as never]);
    for (const { sharing } of readers) shared.sharing.threads.end(sharing.thread, shared.sharing.lock);
    under(shared.heap.lock(), () => {
      expect(repairs.length).toBe(1);
      expect(refcount(all)).toBe(1);
      verify(shared.heap);
    });
  });

  it("comes before a thread joins", async () => {
    const shared = makeShared();
    const victims = [await join(shared, "dies"), await join(shared, "dies too")];
    victims[1].heap.lock();
    for (const { sharing } of victims) shared.sharing.threads.end(sharing.thread, shared.sharing.lock);
    expect(shared.i32[L.CONTROL_DAMAGED]).toBe(1);
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const next = await join(shared, "next");
    expect(warn.mock.calls.join()).toContain(
      '"dies" and "dies too" ended, one of them while it was changing',
    );
    warn.mockRestore();
    expect(shared.i32[L.CONTROL_DAMAGED]).toBe(0);
    heaps.push(next.heap as unknown as Heap);
    under(shared.heap.lock(), () => verify(shared.heap));
  });

  it("finds values whose number the dead thread had taken away and not posted", async () => {
    const shared = makeShared();
    const disposed: string[] = [];
    under(shared.heap.lock(), () => {
      const { heap } = shared;
      const [posted, lost, kept] = ["posted", "lost", "kept"].map((name) =>
        heap.adopt({}, () => disposed.push(name)),
      );
      heap.send(posted);
      retain(kept);
      shared.i32[(lost["@address" as never] as number) + L.FOREIGN_NUMBER] = 0;
      shared.i32[L.CONTROL_FOREIGN]--;
      for (const value of [posted, lost, kept]) release(value);
    });
    expect(disposed).toEqual([]);
    const victim = await join(shared, "dies");
    victim.heap.lock();
    const all = victim.context.core;
    // The one that it ends whole comes by mail, before anything is looked for.
    const object = [...all.allocator.objects()].find(
      (one) => all.types.kindOf(one) === L.KIND_FOREIGN && shared.i32[one + L.FOREIGN_NUMBER] !== 0,
    )!;
    all.hooks.disposeForeign(object);
    shared.sharing.reportEnd(victim.sharing.thread);
    under(shared.heap.lock(), () => verify(shared.heap));
    expect(disposed.sort()).toEqual(["lost", "posted"]);
    expect(repairs.length).toBe(1);
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
