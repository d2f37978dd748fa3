/** Releases where nothing may be written, and the writer's turn that follows. */
import { describe, expect, it, vi } from "vitest";
import { finalizer, Heap, refcount, release, retain, str, struct } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { codeOf, makeShared, Node, open, otherThread, under } from "./shared-heap.js";

describe("a shared heap", () => {
  it("drops what is released under a shared guard, or under none, when somebody writes", () => {
    const { heap } = makeShared();
    const died: string[] = [];
    class Loud extends struct("Loud", { name: str }) {
      [finalizer]() {
        died.push(this.name);
      }
    }
    const [a, b, c] = under(heap.lock(), () => ["a", "b", "c"].map((name) => heap.new(Loud, { name })));
    release(a);
    expect(codeOf(() => release(a))).toBe("DOUBLE_RELEASE");
    under(heap.lockShared(), () => {
      const second = retain(b);
      expect(refcount(b)).toBe(2);
      release(second);
      release(b);
      expect(died).toEqual([]);
      expect(codeOf(() => a.name)).toBe("USE_AFTER_RELEASE");
    });
    under(heap.lock(), () => {
      expect(died).toEqual(["a", "b"]);
      release(c);
      verify(heap);
    });
    expect(died).toEqual(["a", "b", "c"]);
  });

  it("takes a writer's turn by itself once 10,000 releases wait", () => {
    const { heap } = makeShared({ checks: "off" });
    const nodes = under(heap.lock(), () => Array.from({ length: 10_002 }, () => heap.new(Node, {})));
    const before = under(heap.lockShared(), () => heap.gc.getObjects().length);
    for (const node of nodes) release(node);
    under(heap.lockShared(), () => expect(heap.gc.getObjects().length).toBe(before));
    under(heap.lockShared(), () => expect(heap.gc.getObjects().length).toBe(before - 10_002));
  });

  it("waits for one writer's turn at a time, however many guards end meanwhile", async () => {
    const { heap, token } = makeShared({ checks: "off" });
    const { library } = await otherThread();
    const heap2 = library.Heap.attach(token, []);
    open.push({ heap: heap2 });
    const nodes = under(heap.lock(), () => Array.from({ length: 10_002 }, () => heap.new(Node, {})));
    const reading = heap2.lockShared();
    for (const node of nodes) release(node);
    const { lock } = Heap.contextOf(heap).sharing!;
    const passing = vi.spyOn(lock, "passThrough");
    for (let guard = 0; guard < 20; guard++) under(heap.lockShared(), () => {});
    expect(passing).toHaveBeenCalledTimes(1);
    reading[Symbol.dispose]();
    await passing.mock.results[0].value;
    under(heap.lockShared(), () => expect(heap.gc.getObjects()).toEqual([]));
  });
});
