/** What becomes of adopted values when their heap ends. */
import { describe, expect, it } from "vitest";
import { finalizer, foreign, Heap, release, retain, struct } from "../../../src/index.js";
import { size } from "../../support/heaps.js";
import { Node, type Texture } from "./foreign-stage.js";
import { heapError } from "./support.js";

describe("a heap that ends", () => {
  it("disposes of every value once, newest first, and finds them whole until then", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap.onLeakedHandle = () => {};
    const log: string[] = [];
    class Owner extends struct("Owner", { value: foreign<Texture>() }) {
      [finalizer]() {
        log.push(`finalizer finds ${this.value.value.id}`);
      }
    }
    const adopt = (id: number) => heap.adopt({ id } as Texture, ({ id }) => void log.push(`texture ${id}`));
    const [first, second, third] = [adopt(1), adopt(2), adopt(3)];
    const owner = heap.new(Owner, { value: second });
    release(second);
    heap[Symbol.dispose]();
    expect(log).toEqual(["finalizer finds 2", "texture 3", "texture 2", "texture 1"]);
    for (const use of [
      () => first.value,
      () => owner.value,
      () => release(third),
      () => heap.adopt({}, () => {}),
    ])
      heapError("HEAP_DISPOSED", use);
    heap[Symbol.dispose]();
    expect(log).toHaveLength(4);
  });

  it("disposes of very many, and in good time where each adopts another", () => {
    const heap = Heap.create({ maximumBytes: 64 << 20, checks: "off" });
    let disposed = 0;
    let rest = size(50_000);
    const adoptAnother = () => {
      disposed++;
      if (rest-- > 0) heap.adopt({ rest }, adoptAnother);
    };
    const count = size(200_000);
    for (let id = 0; id < count; id++) heap.adopt({ id }, id === 0 ? adoptAnother : () => disposed++);
    heap.shutdown();
    expect(disposed).toBe(count + size(50_000));
  });

  it("disposes of what disposers adopt meanwhile, newest first too", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap.onLeakedHandle = () => {};
    const log: string[] = [];
    const adopt = (name: string, also?: () => void) =>
      heap.adopt({ name }, () => {
        log.push(name);
        also?.();
      });
    adopt("a");
    adopt("b", () => adopt("b's own"));
    adopt("c");
    heap[Symbol.dispose]();
    expect(log).toEqual(["c", "b", "b's own", "a"]);
  });

  it("tells of no handle that a value owns, and asks the value for it in time", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20, checks: { handles: { every: 1 } } });
    const told: unknown[] = [];
    heap.onLeakedHandle = (leak) => told.push(leak);
    heap.onUnraisable = (error) => told.push(error);
    heap.scope((scope) => {
      const node = scope.new(Node, {});
      const self = retain(node);
      node.rest = scope.adopt({ self }, () => {}, { traverse: (value) => [value.self] });
    });
    heap.shutdown();
    expect(told).toEqual([]);
  });

  it("lets a disposer release handles of its own, and tells of none", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap.onLeakedHandle = () => {};
    const told: unknown[] = [];
    heap.onUnraisable = (error) => told.push(error);
    const node = heap.new(Node, {});
    heap.adopt({ node }, (value) => release(value.node));
    heap[Symbol.dispose]();
    expect(told).toEqual([]);
  });

  it("from within a disposer, finalizer or callback disposes of everything all the same", () => {
    for (const within of ["disposer", "callback"]) {
      const heap = Heap.create({ maximumBytes: 1 << 20 });
      heap.onLeakedHandle = () => {};
      const log: string[] = [];
      heap.adopt({}, () => log.push("other"));
      if (within === "disposer") release(heap.adopt({}, () => heap.shutdown()));
      else {
        const node = heap.new(Node, {});
        heap.weakref.ref(node, () => heap.shutdown());
        release(node);
      }
      expect([within, log]).toEqual([within, ["other"]]);
    }
  });
});
