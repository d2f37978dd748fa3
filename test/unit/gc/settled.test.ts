import { describe, expect, it } from "vitest";
import { finalizer, Heap, list, optional, release, retain, struct, weak } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import {
  CONTROL_RAW_WRITES,
  CONTROL_SETTLED,
  CONTROL_SETTLED_END,
  CONTROL_SETTLINGS,
  HEADER_ENTRY,
} from "../../../src/memory/layout.js";
import { unsafe } from "../../../src/unsafe.js";

class Node extends struct("Node", {
  get left() {
    return optional(Node);
  },
  get right() {
    return optional(Node);
  },
  get seen() {
    return weak(Node);
  },
}) {}

/** Collections start only where a test says so, whatever the checks. */
function makeHeap() {
  const heap = Heap.create({ checks: "off" });
  heap.gc.disable();
  const { core } = Heap.contextOf(heap);
  const { i32 } = core.memory;
  const raw = unsafe(heap);
  return {
    heap,
    i32,
    /** Entries of generation 2 that a full collection would look at. */
    unsettled: () =>
      i32[CONTROL_SETTLED] === 0
        ? core.generations.entryCount(2)
        : core.generations.entriesFrom(i32[CONTROL_SETTLED], i32[CONTROL_SETTLED_END]),
    entryOf: (view: Parameters<typeof raw.addressOf>[0]) => i32[raw.addressOf(view) + HEADER_ENTRY],
    order: () => [...core.generations.objects(2)],
    addressOf: raw.addressOf,
  };
}

/** Full collections until one starts inside this allocation and no other. */
function collectInNextAllocation(heap: Heap): void {
  heap.gc.setThreshold(1, 0, 0);
  heap.gc.enable();
}

describe("what a full collection has settled", () => {
  it("is everything that it leaves", () => {
    const { heap, unsettled } = makeHeap();
    const nodes = heap.new(list(Node), [{}, { left: {} }, {}]);
    expect(unsettled()).toBe(0);
    heap.gc.collect(0);
    heap.gc.collect(1);
    expect(unsettled()).toBe(5);
    heap.gc.collect();
    expect(unsettled()).toBe(0);
    nodes.push({});
    heap.gc.collect(1);
    expect(unsettled()).toBe(1);
    verify(heap);
  });

  it("ends where a reference to it is dropped and others are left", () => {
    const { heap, i32, entryOf } = makeHeap();
    const nodes = heap.new(list(Node), [{}, {}, {}, {}]);
    const held = retain(nodes.at(2)!);
    heap.gc.collect();
    release(held);
    expect(i32[CONTROL_SETTLED_END]).toBe(entryOf(nodes.at(2)!));
    release(retain(nodes.at(3)!));
    expect(i32[CONTROL_SETTLED_END]).toBe(entryOf(nodes.at(2)!));
    release(retain(nodes.at(1)!));
    expect(i32[CONTROL_SETTLED_END]).toBe(entryOf(nodes.at(1)!));
    verify(heap);
    expect(heap.gc.collect()).toBe(0);
  });

  it("is not touched by objects that are made, read and die beside it", () => {
    const { heap, unsettled } = makeHeap();
    const nodes = heap.new(list(Node), [{}, {}, {}, {}]);
    heap.gc.collect();
    for (let round = 0; round < 10; round++) {
      release(heap.new(Node, { left: {} }));
      nodes.at(1)!.left = null;
      for (const node of nodes) node.left = heap.new(Node, {});
    }
    for (const node of nodes) node.left = null;
    expect(unsettled()).toBe(0);
  });

  it("becomes garbage all the same: a cycle is found after its last reference from outside", () => {
    const { heap } = makeHeap();
    const filler = heap.new(
      list(Node),
      Array.from({ length: 50 }, () => ({})),
    );
    const first = heap.new(Node, { left: {} });
    first.left!.right = first;
    const garbage = heap.new(Node, {});
    garbage.left = garbage;
    for (let round = 0; round < 3; round++) expect(heap.gc.collect()).toBe(0);
    release(garbage);
    expect(heap.gc.collect()).toBe(1);
    release(first);
    expect(heap.gc.collect()).toBe(2);
    expect(heap.gc.collect()).toBe(0);
    release(filler);
    verify(heap);
  });

  it("becomes garbage after references of the heap, too: the last one from a list, a field, a dead object", () => {
    const { heap } = makeHeap();
    const nodes = heap.new(list(Node), [{}, {}, {}]);
    for (const node of nodes) node.left = node;
    const owner = heap.new(Node, { left: nodes.at(2)! });
    heap.gc.collect();
    nodes.delete(0);
    expect(heap.gc.collect()).toBe(1);
    nodes.delete(1);
    expect(heap.gc.collect()).toBe(0);
    release(owner);
    expect(heap.gc.collect()).toBe(1);
    nodes.clear();
    expect(heap.gc.collect()).toBe(1);
  });
});

describe("what a running operation holds", () => {
  it("was no reason to stay once it is stored: literals", () => {
    const { heap, i32, addressOf, order } = makeHeap();
    const settlings = i32[CONTROL_SETTLINGS];
    heap.gc.collect();
    collectInNextAllocation(heap);
    // The collection that the parent's allocation starts finds the child held by nobody but the maker.
    const parent = heap.new(Node, { left: { right: {} } });
    heap.gc.disable();
    heap.gc.collect(1);
    expect(i32[CONTROL_SETTLINGS]).toBeGreaterThan(settlings);
    verify(heap);
    heap.gc.collect();
    verify(heap);
    // As in CPython: what only a later object refers to goes behind it.
    expect(order()).toEqual([parent, parent.left!, parent.left!.right!].map(addressOf));
  });

  it("settles nothing while it goes on, where it does not say what it stores: lists, callbacks", () => {
    const { heap, i32, unsettled } = makeHeap();
    const kept = heap.new(Node, {});
    heap.gc.collect();
    const settlings = i32[CONTROL_SETTLINGS];
    let fresh = 0;
    const nodes = heap.new(list(Node), []);
    nodes.push(
      {
        get left() {
          heap.gc.collect();
          fresh = unsettled();
          return kept;
        },
      },
      {},
    );
    expect(fresh).toBeGreaterThan(0);
    expect(i32[CONTROL_SETTLINGS]).toBe(settlings);
    heap.gc.collect();
    expect(i32[CONTROL_SETTLINGS]).toBe(settlings + 1);
    verify(heap);
  });
});

describe("nothing is settled", () => {
  it("after a freeze and its end", () => {
    const { heap, unsettled, i32 } = makeHeap();
    const nodes = heap.new(list(Node), [{}, {}]);
    heap.gc.freeze();
    const child = heap.new(Node, {});
    nodes.at(0)!.left = child;
    release(child);
    heap.gc.collect();
    expect(unsettled()).toBe(0);
    heap.gc.unfreeze();
    expect(i32[CONTROL_SETTLED]).toBe(0);
    verify(heap);
  });

  it("once a program has the words of the heap", () => {
    const { heap, i32 } = makeHeap();
    const parent = heap.new(Node, {});
    const child = heap.new(Node, {});
    child.left = child;
    heap.gc.collect();
    const raw = unsafe(heap);
    expect(i32[CONTROL_RAW_WRITES]).toBe(0);
    const { left } = { left: raw.type(Node).offsetOf("left") };
    const address = raw.addressOf(child);
    raw.incref(address);
    raw.storeOwned(raw.addressOf(parent), left, address); // its reference is the parent's now
    release(child);
    heap.gc.collect();
    raw.i32[raw.addressOf(parent) + left] = 0; // and now nobody's
    raw.i32[address] = 1;
    expect(i32[CONTROL_RAW_WRITES]).toBe(1);
    expect(heap.gc.collect()).toBe(1);
  });

  it("while a foreign value names handles", () => {
    const { heap, i32 } = makeHeap();
    const held: Node[] = [];
    const value = heap.adopt({}, () => held.forEach(release as never), { traverse: () => held as never });
    const node = heap.new(Node, {});
    held.push(node);
    heap.gc.collect();
    expect(i32[CONTROL_SETTLED]).toBe(0);
    release(value);
    heap.gc.collect();
    expect(i32[CONTROL_SETTLED]).not.toBe(0);
  });

  it("after a finalizer has brought something back", () => {
    const { heap, i32 } = makeHeap();
    const kept: Phoenix[] = [];
    class Phoenix extends struct("Phoenix", {
      get child() {
        return optional(Node);
      },
    }) {
      [finalizer]() {
        kept.push(retain(this));
      }
    }
    const phoenix = heap.new(Phoenix, { child: {} });
    heap.gc.collect();
    expect(i32[CONTROL_SETTLED]).not.toBe(0);
    release(phoenix); // comes back behind the child that stayed on its account
    expect(i32[CONTROL_SETTLED]).toBe(0);
    heap.gc.collect();
    verify(heap);
    release(kept[0] as never);
  });
});

describe("a weak reference that was called and lives on", () => {
  it("stands behind its callback, which goes behind it with the next full collection", () => {
    const { heap, order, addressOf } = makeHeap();
    const raw = unsafe(heap);
    raw.onObjectCallback(() => {});
    const callback = heap.new(Node, {});
    const target = heap.new(Node, {});
    target.left = target;
    const ref = raw.weakref(target as never, callback as never);
    heap.gc.collect();
    const callbackAddress = addressOf(callback as never);
    release(callback);
    heap.gc.collect();
    release(target);
    expect(heap.gc.collect()).toBe(1);
    verify(heap);
    heap.gc.collect();
    expect(order().indexOf(callbackAddress as never)).toBeGreaterThan(
      order().indexOf(addressOf(ref as never) as never),
    );
    verify(heap);
  });
});
