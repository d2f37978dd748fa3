/** Joining a shared heap, and leaving it. */
import { describe, expect, it } from "vitest";
import { dict, f64, Heap, list, release, retain, set, str } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { Box, codeOf, makeShared, Node, open, otherThread, structsOf, under } from "./shared-heap.js";

describe("attaching", () => {
  it("matches structs by name and layout, gives methods to those it was given and fields to the others", async () => {
    const { heap, token } = makeShared();
    const box = under(heap.lock(), () => heap.new(Box, { nodes: [{ v: 7, name: "seven" }] }));
    const parcel = under(heap.lock(), () => heap.send(box));
    const other = await otherThread();
    const { OtherNode } = structsOf(other.library);
    const heap2 = other.library.Heap.attach(token, [OtherNode], { checks: "verify", name: "second" });
    open.push({ heap: heap2 });
    under(heap2.lock(), () => {
      const objects = heap2.gc.getObjects();
      const node = objects.find((object) => object instanceof OtherNode) as InstanceType<typeof OtherNode>;
      expect([node.v, node.shout]).toEqual([7, "SEVEN"]);
      const generic = objects.find((object) => other.library.typeName(object) === "Box") as unknown as Box;
      expect(generic.nodes.at(0)!.name).toBe("seven");
      generic.nodes.push({ v: 8, name: "eight" });
      other.verify(heap2 as unknown as Heap);
    });
    under(heap.lock(), () => {
      expect(box.nodes.at(1)!.name).toBe("eight");
      verify(heap);
      release(heap.receive(Box, parcel));
      release(box);
    });
  });

  it("names the field that differs", async () => {
    const { heap, token } = makeShared();
    under(heap.lock(), () => release(heap.new(Node, {})));
    const { library } = await otherThread();
    const Wrong = library.struct("Node", { next: library.f64, v: library.f64, name: library.str });
    expect(() => library.Heap.attach(token, [Wrong])).toThrow(
      /"Node" is not the one of the shared heap: the field next is f64 here and is optional\(Node\) in the shared heap/,
    );
    const { OtherNode } = structsOf(library);
    open.push({ heap: library.Heap.attach(token, [OtherNode]) });
    under(heap.lock(), () => verify(heap));
  });

  it("learns of types that were registered afterwards, in both directions", async () => {
    const heap = Heap.create({ maximumBytes: 16 << 20, checks: "verify" });
    open.push({ heap });
    const token = heap.share({ types: [Node] });
    const { library } = await otherThread();
    const { OtherNode } = structsOf(library);
    const heap2 = library.Heap.attach(token, [OtherNode]);
    open.push({ heap: heap2 });
    const parcel = under(heap2.lock(), () => {
      const made = heap2.new(library.dict(library.str, library.list(OtherNode)), [["k", [{ v: 3 }]]]);
      const sent = heap2.send(made);
      library.release(made);
      return sent;
    });
    under(heap.lock(), () => {
      const received = heap.receive(dict(str, list(Node)), parcel);
      expect(received.get("k")!.at(0)!.v).toBe(3);
      release(received);
      release(heap.new(set(f64), [1]));
      verify(heap);
    });
    under(heap2.lock(), () => library.release(heap2.new(library.set(library.f64), [1])));
  });

  it("refuses what is no shared heap, with the reason", async () => {
    const { token } = makeShared();
    expect(codeOf(() => Heap.attach(token, []))).toBe("ALREADY_ATTACHED");
    const { library } = await otherThread();
    const attach = (value: unknown) => codeOf(() => library.Heap.attach(value as never, []));
    expect(attach(null)).toBe("INVALID_ARGUMENT");
    expect(attach({ memory: new ArrayBuffer(8) })).toBe("INVALID_ARGUMENT");
    expect(attach({ memory: new SharedArrayBuffer(8) })).toBe("NO_HEAP");
    expect(attach({ memory: new SharedArrayBuffer(1 << 20) })).toBe("NO_HEAP");
    const unshared = Heap.create({ maximumBytes: 1 << 20 });
    open.push({ heap: unshared });
    const { memory } = (unshared as unknown as { context: { core: { memory: { buffer: object } } } }).context
      .core.memory as unknown as { memory: object };
    expect(memory).toBe(undefined);
    const { buffer } = (unshared as unknown as { context: { core: { memory: { buffer: object } } } }).context
      .core.memory;
    expect(attach({ memory: buffer })).toBe("NOT_SHARED");
    expect(codeOf(() => library.Heap.attach(token, [42 as never]))).toBe("INVALID_ARGUMENT");
    open.push({ heap: library.Heap.attach(token, []) });
  });

  it("finds the handles that were made before the heap was shared when another thread first writes", async () => {
    const heap = Heap.create({ maximumBytes: 16 << 20, checks: "off" });
    open.push({ heap });
    const kept = heap.new(list(Node), [{ v: 1 }]);
    const twice = retain(kept);
    const token = heap.share();
    const other = await otherThread();
    const heap2 = other.library.Heap.attach(token, [], { checks: "off" });
    open.push({ heap: heap2 });
    under(heap2.lock(), () => other.verify(heap2 as unknown as Heap));
    under(heap.lock(), () => {
      verify(heap);
      release(twice);
      verify(heap);
      expect(kept.at(0)!.v).toBe(1);
      release(kept);
      verify(heap);
    });
  });
});

describe("a thread that leaves", () => {
  it("releases its handles, and the last one ends the heap", async () => {
    const { heap, token } = makeShared();
    const other = await otherThread();
    const { OtherNode } = structsOf(other.library);
    const heap2 = other.library.Heap.attach(token, [OtherNode], { checks: "off" });
    const node = under(heap2.lock(), () => heap2.new(OtherNode, { v: 1 }));
    under(heap.lock(), () => expect(heap.gc.getObjects().length).toBe(1));
    heap2[Symbol.dispose]();
    under(heap.lock(), () => {
      expect(heap.gc.getObjects().length).toBe(0);
      verify(heap);
    });
    expect(codeOf(() => node.v)).toBe("HEAP_DISPOSED");
    expect(codeOf(() => heap2.lock())).toBe("HEAP_DISPOSED");
    other.library.release(node);
    under(heap.lock(), () => verify(heap));
    other.library.Heap.attach(token, [])[Symbol.dispose]();
    heap[Symbol.dispose]();
    expect(codeOf(() => other.library.Heap.attach(token, []))).toBe("NOT_SHARED");
  });

  it("releases handles from before share() too, when nobody else has written yet", async () => {
    const heap = Heap.create({ maximumBytes: 16 << 20, checks: "off" });
    open.push({ heap });
    heap.onLeakedHandle = () => {};
    heap.new(list(Node), [{ v: 1 }]);
    const token = heap.share();
    const other = await otherThread();
    const heap2 = other.library.Heap.attach(token, []);
    open.push({ heap: heap2 });
    heap[Symbol.dispose]();
    under(heap2.lock(), () => {
      other.verify(heap2 as unknown as Heap);
      expect(heap2.gc.getObjects()).toEqual([]);
    });
  });

  it("takes the lock with it that its disposers have taken and not given back", async () => {
    const { heap, token } = makeShared();
    const { library } = await otherThread();
    const later: unknown[] = [];
    for (let round = 0; round < 40; round++) {
      const heap2 = library.Heap.attach(token, []);
      under(heap2.lock(), () => {
        heap2.adopt({}, async () => {
          const guard = heap2.lock();
          await null;
          guard[Symbol.dispose]();
          later.push(codeOf(() => heap2.lock()));
        });
        heap2.adopt({}, async () => void (await heap2.lockSharedAsync())[Symbol.dispose]());
      });
      heap2.onLeakedHandle = () => {};
      heap2[Symbol.dispose]();
      under(heap.lock({ timeout: 0 }), () => {});
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(later).toEqual(Array.from({ length: 40 }, () => "HEAP_DISPOSED"));
    under(heap.lock(), () => verify(heap));
  });

  it("has to end its guards first", () => {
    const { heap } = makeShared();
    under(heap.lock(), () => expect(codeOf(() => heap[Symbol.dispose]())).toBe("LOCK_ORDER"));
  });
});
