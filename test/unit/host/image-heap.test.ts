/** What an image keeps of the heap around its objects: the collector and the reservation. */
import { describe, expect, it } from "vitest";
import {
  Heap,
  HeapBusyError,
  type HeapOptions,
  list,
  OutOfMemoryError,
  release,
  str,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeHeap, size } from "../../support/heaps.js";
import { described, load, Node, refusal, travel } from "./image-support.js";

describe("the collector", () => {
  it("goes on where it was: thresholds, counts, generations, what is frozen", async () => {
    const heap = makeHeap({ checks: "off" });
    const old = heap.new(Node, { name: "old" });
    heap.gc.collect();
    heap.gc.freeze();
    const middle = heap.new(Node, { name: "middle", next: old });
    heap.gc.collect(0);
    const young = heap.new(Node, { name: "young", next: middle });
    heap.gc.setThreshold(50, 6, 7);
    heap.gc.disable();
    heap.gc.setPolicy("adaptive");
    heap.gc.setByteThreshold(1234);
    const { heap: loaded } = await travel(heap, young, { types: [Node], checks: "off" });
    const namesIn = (of: Heap) =>
      [0, 1, 2].map((one) => of.gc.getObjects(one as 0).map((node) => (node as Node).name));
    expect(namesIn(loaded)).toEqual([["young"], ["middle"], []]);
    expect(loaded.gc.getFreezeCount()).toBe(1);
    const state = ({ gc }: Heap) => [
      gc.getThreshold(),
      gc.getCount(),
      gc.getStats(),
      gc.isEnabled(),
      gc.getPolicy(),
      gc.getByteThreshold(),
    ];
    expect(state(loaded)).toEqual(state(heap));
    expect(state(loaded)[4]).toBe("adaptive");
  });

  it("has CPython's policy where the image, an older one, names none; any other is refused", async () => {
    const heap = makeHeap();
    heap.gc.setPolicy("adaptive");
    const bytes = heap.saveBytes();
    const withPolicy = (policy: unknown) => described(bytes, ({ gc }) => ({ gc: { ...gc, policy } }));
    const { heap: older } = await load(withPolicy(undefined));
    expect(older.gc.getPolicy()).toBe("python");
    for (const policy of ["eager", null, 1]) {
      const { code, message } = await refusal(load(withPolicy(policy)));
      expect([code, message]).toEqual(["IMAGE_INVALID", expect.stringContaining("the collector's numbers")]);
    }
  });

  it("and a death, a callback or a literal under way refuses to save", () => {
    const heap = makeHeap();
    const errors: unknown[] = [];
    const attempt = () => {
      try {
        heap.saveBytes();
      } catch (error) {
        errors.push(error);
      }
    };
    const node = heap.new(Node, {});
    const watch = heap.weakref.ref(node, attempt);
    release(node);
    heap.gc.callbacks.push((phase) => phase === "start" && attempt());
    heap.gc.collect();
    heap.gc.callbacks.length = 0;
    release(
      heap.new(Node, {
        get name() {
          attempt();
          return "a getter runs while the literal is read";
        },
      }),
    );
    expect(errors.slice(0, 2).map((error) => error instanceof HeapBusyError && error.code)).toEqual([
      "HEAP_BUSY",
      "HEAP_BUSY",
    ]);
    release(watch);
    heap.saveBytes();
  });
});

describe("maximumBytes", () => {
  const bytesOfHeap = (options: HeapOptions) => {
    const heap = makeHeap(options);
    const texts = heap.new(
      list(str),
      Array.from({ length: 2000 }, (_, index) => `${index} `.repeat(100)),
    );
    return heap.saveBytes({ roots: { texts } });
  };

  it("is that of the heap that was saved", async () => {
    const { heap } = await load(bytesOfHeap({ maximumBytes: 16 << 20 }));
    expect(heap.bytesReserved).toBe(16 << 20);
  });

  it("may be smaller, as long as everything fits", async () => {
    const bytes = bytesOfHeap({ maximumBytes: 64 << 20 });
    const { heap, roots } = await load(bytes, { maximumBytes: 8 << 20 });
    expect(heap.bytesReserved).toBe(8 << 20);
    expect((roots.texts as unknown as { length: number }).length).toBe(2000);
    const error = await refusal(Heap.load(bytes, { maximumBytes: 256 << 10 }));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.message).toContain("maximumBytes is 262144");
  });

  it("may be larger: then the heap can grow, be saved and loaded again", async () => {
    const bytes = bytesOfHeap({ maximumBytes: 2 << 20 });
    const { heap, roots } = await load(bytes, { maximumBytes: 64 << 20 });
    expect(heap.bytesReserved).toBe(64 << 20);
    const first = heap.saveBytes({ roots });
    const texts = roots.texts as unknown as { push(text: string): void; length: number };
    const count = size(20_000);
    for (let index = 0; index < count; index++) texts.push("text ".repeat((2 << 20) / count));
    expect(heap.bytesUsed).toBeGreaterThan(8 << 20);
    verify(heap);
    const again = await load(heap.saveBytes({ roots }));
    expect([again.heap.bytesReserved, (again.roots.texts as unknown as { length: number }).length]).toEqual([
      64 << 20,
      texts.length,
    ]);
    const { heap: small, roots: there } = await load(first, { maximumBytes: 2 << 20 });
    expect(small.bytesReserved).toBe(2 << 20);
    expect(heap.weakref.address(roots.texts!)).toBe(small.weakref.address(there.texts!));
  });

  it("is more than that of the heap that was saved where its tables need it, and no more than asked for", async () => {
    const heap = makeHeap({ maximumBytes: 512 << 10, checks: "off" });
    heap.gc.disable();
    const nodes = heap.new(list(Node), []);
    try {
      for (;;) nodes.push({});
    } catch (error) {
      expect(error).toBeInstanceOf(OutOfMemoryError);
    }
    const bytes = heap.saveBytes({ roots: { nodes } });
    const loaded = await load(bytes, { types: [Node] });
    expect((loaded.roots.nodes as unknown as { length: number }).length).toBe(nodes.length);
    expect(loaded.heap.bytesReserved).toBeGreaterThanOrEqual(512 << 10);
    expect(loaded.heap.bytesReserved).toBeLessThanOrEqual(576 << 10);
  });
});
