import { describe, expect, it } from "vitest";
import { any, f64, i32, list, optional, refcount, release, retain, str, struct } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeExactHeap, makeHeap } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf, verifyInside } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  label: str,
  extra: any,
  get next() {
    return optional(Node);
  },
  get children() {
    return list(Node);
  },
}) {
  get depth(): number {
    return this.next === null ? 0 : this.next.depth + 1;
  }
}

describe("a struct's view", () => {
  it("reads and writes its fields, for a handle and a borrow alike", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { value: 1, next: { value: 2 } });
    const next = node.next!;
    next.value = 20;
    next.label = "next";
    next.next = node;
    expect([node.next!.value, node.next!.label, next.next!.value]).toEqual([20, "next", 1]);
    next.next = null;
  });

  it("destructures and lists its fields", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { value: 1, label: "one", next: { value: 2 } });
    const { value, label, next } = node;
    expect([value, label, next!.value]).toEqual([1, "one", 2]);
    const names: string[] = [];
    for (const name in node) if (!name.startsWith("@")) names.push(name);
    expect(names).toEqual(["value", "label", "extra", "next", "children"]);
    expect("value" in node).toBe(true);
  });

  it("makes a new view each time, and all of them see one object", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: { value: 2 } });
    const [first, second] = [node.next!, node.next!];
    first.value = 3;
    expect(second.value).toBe(3);
  });

  it("runs the methods and getters of its class", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: { next: { next: {} } } });
    expect(node.depth).toBe(3);
    expect(node.next!.depth).toBe(2);
  });

  it("builds an object from a literal that is assigned", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { children: [{ value: 1 }] });
    const assign = (values: object) => Object.assign(node, values);
    const before = liveObjects(heap);
    assign({ next: { value: 5, next: { value: 6 } } });
    expect([node.next!.next!.value, liveObjects(heap) - before]).toEqual([6, 4]);
    assign({ children: [{ value: 2 }, { value: 3 }] });
    expect([...node.children].map(({ value }) => value)).toEqual([2, 3]);
    assign({ next: null });
    leaksNothing(heap, () => {
      messageOf("INVALID_ARGUMENT", () => assign({ next: { nonsense: 1 } }));
      messageOf("TYPE_MISMATCH", () => assign({ children: [{ value: 1 }, { value: "2" }] }));
    });
    expect(node.children.length).toBe(2);
  });

  it("is stale once its object is gone, and then neither reads nor writes", () => {
    const heap = makeHeap();
    using parent = heap.new(Node, { next: { value: 1, label: "gone" } });
    const gone = parent.next!;
    parent.next = null;
    const uses: (() => unknown)[] = [
      () => gone.value,
      () => gone.label,
      () => gone.next,
      () => gone.depth,
      () => {
        gone.value = 2;
      },
      () => {
        gone.label = "x";
      },
      () => {
        gone.extra = "x";
      },
      () => {
        gone.next = parent;
      },
    ];
    leaksNothing(heap, () => {
      for (const use of uses)
        expect(messageOf("STALE_REFERENCE", use)).toBe(
          "This borrowed reference to a Node is stale: the object was freed. A borrow is valid while something else keeps the object alive; retain() it to keep it yourself.",
        );
    });
    expect(refcount(parent)).toBe(1);
  });

  it("is stale even when another object stands in the same place", () => {
    const heap = makeExactHeap();
    const parents = Array.from({ length: 1000 }, (_, value) => heap.new(Node, { next: { value } }));
    const gone = parents.map((parent) => parent.next!);
    for (const parent of parents) parent.next = null;
    for (const parent of parents) Object.assign(parent, { next: { value: -1 } });
    for (const view of gone) messageOf("STALE_REFERENCE", () => view.value);
  });

  it("does not store into an object that the assigned literal's own code has freed", () => {
    const heap = makeHeap();
    for (const field of ["next", "children"]) {
      const node = heap.new(Node, { value: 1, children: [{ value: 7 }] });
      const literal = {
        get value() {
          release(node);
          verifyInside(heap);
          return 2;
        },
      };
      const values = { next: literal, children: [{ value: 1 }, literal] } as Record<string, unknown>;
      messageOf("USE_AFTER_RELEASE", () => Object.assign(node, { [field]: values[field] }));
      verify(heap);
      expect(heap.gc.getObjects()).toEqual([]);
    }
  });

  it("stores into an object that the assigned literal's own code has written already", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: { value: 1 } });
    Object.assign(node, {
      next: {
        get value() {
          node.next = null;
          Object.assign(node, { next: { value: 2 } });
          return 3;
        },
      },
    });
    expect(node.next!.value).toBe(3);
  });

  it("drops a chain of any length without running out of stack", () => {
    const heap = makeExactHeap();
    let head = heap.new(Node, {});
    for (let length = 1; length < 100_000; length++) {
      const next = heap.new(Node, { next: head });
      release(head);
      head = next;
    }
    const tail = retain(head.next!);
    leaksNothingLeft();
    release(head);
    release(tail);

    function leaksNothingLeft() {
      expect(heap.gc.collect()).toBe(0);
    }
  });
});

describe("fields of a struct", () => {
  it("may have the names of the library's verbs and of methods of Object", () => {
    const Odd = struct("Odd", {
      id: f64,
      type: str,
      release: f64,
      retain: f64,
      toString: str,
      hasOwnProperty: f64,
      size: f64,
    });
    const heap = makeHeap();
    using odd = heap.new(Odd, { id: 1, type: "t", release: 2, toString: "s", hasOwnProperty: 3 });
    expect([odd.id, odd.type, odd.release, odd.toString, odd.hasOwnProperty, odd.size]).toEqual([
      1,
      "t",
      2,
      "s",
      3,
      0,
    ]);
    release(retain(odd));
    expect(heap.toJS(odd)).toMatchObject({ id: 1, toString: "s" });
  });
});
