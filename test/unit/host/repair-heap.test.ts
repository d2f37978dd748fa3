/** The repair after a thread has ended: what it knows of other threads, and what it leaves to them. */
import { describe, expect, it, vi } from "vitest";
import { any, Heap, list, refcount, release, retain } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import * as L from "../../../src/memory/layout.js";
import { codeOf, under } from "./shared-heap.js";
import { heaps, join, makeShared, Node, repairs } from "./thread-end-support.js";

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
