/** Values, callbacks and finalizers of one thread that another one ends. */
import { describe, expect, it, vi } from "vitest";
import { Mailbox } from "../../../src/host/mailbox.js";
import { any, finalizer, Heap, list, optional, release, str, struct } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { MAIL_FORGET, THREAD_MAIL } from "../../../src/memory/layout.js";
import { codeOf, makeShared, Node, open, otherThread, under } from "./shared-heap.js";

/** A value of one thread whose object has just died in another; the first has not heard of it yet. */
async function endedElsewhere() {
  const { heap, token } = makeShared();
  const seen: string[] = [];
  const { library } = await otherThread();
  const heap2 = library.Heap.attach(token, []);
  open.push({ heap: heap2 });
  const parcel = under(heap.lock(), () => {
    const value = heap.adopt({}, () => seen.push("disposed"));
    const holder = heap.new(list(any), [value]);
    const sent = heap.send(holder);
    release(value);
    release(holder);
    return sent;
  });
  under(heap2.lock(), () => library.release(heap2.receive(library.list(library.any), parcel)));
  return { heap, seen };
}

describe("a mailbox", () => {
  it("keeps what is in it when its sender ends while it grows", () => {
    const { heap } = makeShared();
    const { core, sharing } = Heap.contextOf(heap);
    const record = sharing!.threads.record(sharing!.thread);
    const mailbox = new Mailbox(core, record);
    const numbers: number[] = [];
    const free = vi.spyOn(core.allocator, "free").mockImplementation(() => {
      throw new Error("ended");
    });
    under(heap.lock(), () => {
      for (let number = 0; free.mock.calls.length === 0; number++)
        try {
          mailbox.post(MAIL_FORGET, number);
          numbers.push(number);
        } catch {
          // When the old block is given back nobody needs it any more.
          expect(free.mock.lastCall).not.toEqual([core.memory.i32[record + THREAD_MAIL]]);
        }
      free.mockRestore();
      expect([...mailbox.all()].map(({ first }) => first)).toEqual(numbers);
    });
  });
});

describe("what belongs to a thread", () => {
  it("is disposed, called and finalized there, when that thread next writes", async () => {
    const { heap, token } = makeShared();
    const seen: string[] = [];
    class Loud extends struct("Loud", {
      name: str,
      get other() {
        return optional(Node);
      },
    }) {
      [finalizer]() {
        seen.push(`finalized ${this.name}`);
      }
    }
    const { library } = await otherThread();
    const heap2 = library.Heap.attach(token, []);
    open.push({ heap: heap2 });
    const parcels = under(heap.lock(), () => {
      const value = heap.adopt({ is: "a texture" }, ({ is }) => seen.push(`disposed ${is}`), { bytes: 10 });
      const loud = heap.new(Loud, { name: "loud" });
      const watched = heap.new(Node, {});
      const ref = heap.weakref.ref(watched, () => seen.push("called"));
      const all = heap.new(list(any), [value, loud, watched]);
      const sent = heap.send(all);
      for (const handle of [value, loud, watched, all]) release(handle);
      return { sent, ref };
    });
    under(heap2.lock(), () => {
      const all = heap2.receive(library.list(library.any), parcels.sent);
      expect(codeOf(() => (all.at(0) as unknown as { value: unknown }).value)).toBe("WRONG_THREAD");
      library.release(all);
      expect(seen).toEqual([]);
    });
    under(heap.lock(), () => {
      expect(seen.sort()).toEqual(["called", "disposed a texture", "finalized loud"]);
      expect(heap.adoptedBytes).toBe(0);
      expect(heap.adoptedCount).toBe(0);
      release(parcels.ref);
      verify(heap);
    });
  });

  it("is told to a thread that takes no guard by its event loop", async () => {
    const { seen } = await endedElsewhere();
    await vi.waitFor(() => expect(seen).toEqual(["disposed"]));
  });

  it("is told to a thread that had a shared guard when it came, at the end of that", async () => {
    const { heap, seen } = await endedElsewhere();
    const reading = heap.lockShared(); // before the event loop has heard of the mail
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen).toEqual([]);
    reading[Symbol.dispose]();
    expect(seen).toEqual(["disposed"]);
  });

  it("is found by its thread where the heap had no memory to tell of it", async () => {
    const { heap, token } = makeShared({ maximumBytes: 2 << 20, checks: "off" });
    const { library } = await otherThread();
    const heap2 = library.Heap.attach(token, [], { checks: "off" });
    open.push({ heap: heap2 });
    const errors: string[] = [];
    heap2.onUnraisable = (error) => errors.push((error as { code: string }).code);
    const count = 200;
    let disposed = 0;
    let called = 0;
    const [parcel, ref, kept] = under(heap.lock(), () => {
      const all = heap.new(list(any), []);
      for (let index = 0; index < count; index++) {
        using value = heap.adopt({ index }, () => disposed++, { bytes: 10 });
        all.push(value);
      }
      const sent = heap.send(all);
      const watched = heap.new(Node, {});
      const ref = heap.weakref.ref(watched, () => called++);
      all.push(watched);
      release(watched);
      const kept = heap.new(Node, {});
      using unused = heap.weakref.ref(kept, () => called++);
      all.push(unused);
      release(all);
      return [sent, ref, kept] as const;
    });
    const filling = under(heap2.lock(), () => {
      const all = heap2.receive(library.list(library.any), parcel);
      const lists: Disposable[] = [];
      for (let length = 1 << 16; length > 8; )
        try {
          lists.push(heap2.new(library.list(library.f64), new Array(length).fill(1)));
        } catch {
          length >>= 1;
        }
      all.clear();
      library.release(all);
      return lists;
    });
    under(heap2.lock(), () => {
      for (const one of filling) one[Symbol.dispose]();
    });
    under(heap.lock(), () => {
      expect([disposed, heap.adoptedCount, heap.adoptedBytes]).toEqual([count, 0, 0]);
      for (const handle of [ref, kept]) release(handle);
      verify(heap);
    });
    const { functions } = Heap.contextOf(heap).callbacks as unknown as { functions: Map<number, unknown> };
    expect(functions.size).toBe(0);
    // A callback cannot be found again: the thread that ended its target says so.
    expect([called, errors]).toEqual([0, ["OUT_OF_MEMORY"]]);
  });

  it("goes with its thread: values are disposed when it leaves", async () => {
    const { heap, token } = makeShared();
    const seen: string[] = [];
    const { library } = await otherThread();
    const heap2 = library.Heap.attach(token, []);
    const parcel = under(heap2.lock(), () => {
      const value = heap2.adopt({}, () => seen.push("disposed"));
      const holder = heap2.new(library.list(library.any), [value]);
      const sent = heap2.send(holder);
      library.release(value);
      library.release(holder);
      return sent;
    });
    heap2[Symbol.dispose]();
    expect(seen).toEqual(["disposed"]);
    under(heap.lock(), () => {
      const holder = heap.receive(list(any), parcel);
      expect(codeOf(() => (holder.at(0) as unknown as { value: unknown }).value)).toBe("VALUE_DISPOSED");
      verify(heap);
      release(holder);
    });
  });
});
