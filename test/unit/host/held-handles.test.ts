import { describe, expect, it } from "vitest";
import {
  any,
  finalizer,
  type Handle,
  Heap,
  i32,
  list,
  type Owned,
  optional,
  refcount,
  release,
  retain,
  struct,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { isStress, makeExactHeap, makeHeap } from "../../support/heaps.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
  listener: any,
}) {}

/** A value of JavaScript's that holds handles: a listener table, a closure's variables. */
interface Table {
  handles: Owned[];
}
const traverse = (table: Table) => table.handles;

/** A node whose listener holds the node: a cycle that no library on either side could see alone. */
function makeCycle(heap: Heap, log: string[], value = 1): Table {
  const node = heap.new(Node, { value });
  const table: Table = { handles: [node] };
  using listener = heap.adopt(table, () => void log.push(`listener of ${value}`), { traverse });
  node.listener = listener;
  return table;
}

describe("a cycle through JavaScript", () => {
  it("is found, its value disposed, and the handles that it held released", () => {
    const heap = makeHeap();
    const log: string[] = [];
    const table = makeCycle(heap, log);
    expect(log).toEqual([]);
    expect(heap.gc.collect()).toBe(2);
    expect([log, heap.gc.getObjects().length, heap.adoptedCount]).toEqual([["listener of 1"], 0, 0]);
    expect(() => release(table.handles[0])).toThrow(/released already/);
  });

  it("of a closure that the heap holds, and that holds the heap", () => {
    const heap = makeHeap();
    let calls = 0;
    (() => {
      const node = heap.new(Node, { value: 5 });
      const onClick = () => {
        calls += node.value;
      };
      using listener = heap.adopt(onClick, () => {}, { traverse: () => [node] });
      node.listener = listener;
      (node.listener as typeof listener).value();
    })();
    expect([calls, heap.adoptedCount]).toEqual([5, 1]);
    expect([heap.gc.collect(), heap.adoptedCount]).toEqual([2, 0]);
  });

  it("is left alone without traverse, as it was before", () => {
    const heap = makeExactHeap();
    const node = heap.new(Node, {});
    using listener = heap.adopt({ node }, () => {});
    node.listener = listener;
    expect([heap.gc.collect(), refcount(node)]).toEqual([0, 1]);
  });

  it("is left alone while anything outside holds any part of it", () => {
    const heap = makeExactHeap();
    const log: string[] = [];
    const table = makeCycle(heap, log);
    const node = table.handles[0] as Handle<Node>;
    for (const outside of [retain(node as Node), retain(node.listener as never)]) {
      expect([heap.gc.collect(), log]).toEqual([0, []]);
      expect(node.value).toBe(1);
      release(outside);
    }
    expect([heap.gc.collect(), log]).toEqual([2, ["listener of 1"]]);
  });

  it("may lead through several values, each holding the next", () => {
    const heap = makeHeap();
    const log: string[] = [];
    const tables: Table[] = Array.from({ length: 10 }, () => ({ handles: [] }));
    const values = tables.map((table, index) =>
      heap.adopt(table, () => void log.push(`value ${index}`), { traverse }),
    );
    for (const [index, table] of tables.entries()) table.handles.push(retain(values[(index + 1) % 10]));
    for (const value of values) release(value);
    expect(heap.adoptedCount).toBe(10);
    expect(heap.gc.collect()).toBe(10);
    expect([log.length, heap.adoptedCount]).toEqual([10, 0]);
  });

  it("is found by the young collections while it is young, and by a full one later", () => {
    for (const age of [0, 1, 2] as const) {
      const heap = makeExactHeap();
      const log: string[] = [];
      const table = makeCycle(heap, log);
      const outside = retain(table.handles[0] as Handle<Node>);
      for (let generation = 0; generation < age; generation++) heap.gc.collect(generation as 0 | 1);
      release(outside);
      if (age > 0) expect(heap.gc.collect((age - 1) as 0 | 1)).toBe(0);
      expect([age, heap.gc.collect(age), log.length]).toEqual([age, 2, 1]);
    }
  });

  it("is found in a scope's own collection too", () => {
    const heap = makeExactHeap();
    const log: string[] = [];
    const scope = heap.scope();
    const node = scope.new(Node, {});
    const table: Table = { handles: [retain(node)] };
    node.listener = scope.adopt(table, () => void log.push("disposed"), { traverse });
    scope[Symbol.dispose]();
    expect([heap.gc.pending().objects, scope.collect(), log]).toEqual([2, 2, ["disposed"]]);
    expect(heap.gc.pending().objects).toBe(0);
  });
});

describe("what a value names", () => {
  it("may be released by its disposer, or is released behind it", () => {
    for (const releases of [true, false]) {
      const heap = makeHeap();
      const told: unknown[] = [];
      heap.onUnraisable = (error) => told.push(error);
      const node = heap.new(Node, {});
      const value = heap.adopt(
        { handles: [retain(node)] },
        (table) => releases && release(table.handles[0]),
        {
          traverse,
        },
      );
      release(value);
      expect([refcount(node), told]).toEqual([1, []]);
    }
  });

  it("is released after an asynchronous disposer has settled", async () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    const counts: number[] = [];
    const dispose = async () => {
      await Promise.resolve();
      counts.push(refcount(node));
    };
    release(heap.adopt({ handles: [retain(node)] }, dispose, { traverse }));
    await heap.settled();
    expect([counts, refcount(node)]).toEqual([[2], 1]);
  });

  it("may be nothing yet: a closure is adopted before it has its handle", () => {
    const heap = makeHeap();
    const told: unknown[] = [];
    heap.onUnraisable = (error) => told.push(error);
    (() => {
      let self: Handle<Node> | undefined;
      const node = heap.new(Node, {});
      using listener = heap.adopt(
        () => self,
        () => {},
        { traverse: () => [self, null] },
      );
      heap.gc.collect();
      node.listener = listener;
      self = node;
    })();
    expect([heap.gc.collect(), told]).toEqual([2, []]);
  });

  it("may change between collections", () => {
    const heap = makeExactHeap();
    const log: string[] = [];
    const table = makeCycle(heap, log);
    const [node] = table.handles.splice(0); // now it is the program's own
    expect([heap.gc.collect(), log]).toEqual([0, []]);
    table.handles.push(node);
    expect([heap.gc.collect(), log]).toEqual([2, ["listener of 1"]]);
  });

  it("by two values at once lives as long as one of them does", () => {
    const heap = makeExactHeap();
    const log: string[] = [];
    const node = heap.new(Node, { value: 3 });
    const tables = [{ handles: [node] }, { handles: [node] }];
    const [first, second] = tables.map((table, index) =>
      heap.adopt(table, () => void log.push(`value ${index}`), { traverse }),
    );
    node.listener = first; // first is on a cycle with the node; second is held from outside
    release(first);
    expect([heap.gc.collect(), log, node.value]).toEqual([0, [], 3]);
    node.next = node;
    release(second);
    expect(log).toEqual(["value 1"]);
    heap.gc.collect();
    verify(heap);
    expect(log).toEqual(["value 1", "value 0"]);
  });

  it("that is wrong is told, and nothing is freed for it", () => {
    const heap = makeExactHeap();
    const told: string[] = [];
    heap.onUnraisable = (error, where) => void told.push(`${where}: ${(error as Error).message}`);
    const other = makeHeap();
    using stranger = other.new(Node, {});
    using items = heap.new(list(Node), [{}]);
    const wrong: [RegExp, () => Iterable<unknown>][] = [
      [
        /broken/,
        () => {
          throw new Error("broken");
        },
      ],
      [/not iterable/, () => 3 as never],
      [/handles of this heap, got an object/, () => [{}]],
      [/handles of this heap, got an instance of/, () => [stranger]],
      [/is borrowed/, () => [items.at(0)]],
    ];
    for (const [message, names] of wrong) {
      const node = heap.new(Node, {});
      using value = heap.adopt({}, () => {}, { traverse: names as never });
      node.listener = value;
      told.length = 0;
      expect(heap.gc.collect()).toBe(0);
      expect(told.join()).toMatch(message);
      node.listener = null;
      release(node);
    }
  });

  it("may be asked while traverse allocates, releases, adopts or collects", () => {
    const heap = makeHeap();
    const log: string[] = [];
    let asked = 0;
    let isOver = false;
    const table: Table = { handles: [] };
    const node = heap.new(Node, {});
    using value = heap.adopt(table, () => void log.push("disposed"), {
      traverse: () => {
        asked++;
        if (isOver) return table.handles;
        heap.gc.collect();
        release(heap.new(Node, { next: {} }));
        release(heap.adopt({}, () => {}));
        heap.new(Node, {}).next = node; // leaked on purpose: it holds the node
        return table.handles;
      },
    });
    node.listener = value;
    table.handles.push(retain(node));
    heap.gc.collect();
    verify(heap);
    if (!isStress) expect(asked).toBe(1);
    expect(log).toEqual([]);
    isOver = true;
    release(node);
  });
});

describe("garbage that holds handles to garbage", () => {
  it("may be brought back by a finalizer through such a handle, and lives on whole", () => {
    const heap = makeExactHeap();
    const log: string[] = [];
    const table: Table = { handles: [] };
    const kept: Handle<Node>[] = [];
    class Saver extends struct("Saver", { node: Node }) {
      [finalizer]() {
        kept.push(retain(table.handles[0] as Handle<Node>));
      }
    }
    (() => {
      const node = heap.new(Node, { value: 6 });
      table.handles.push(node);
      using listener = heap.adopt(table, () => void log.push("disposed"), { traverse });
      using saver = heap.new(Saver, { node });
      using both = heap.new(list(any), [listener, saver]);
      node.listener = both;
    })();
    expect([heap.gc.collect(), log, kept[0].value]).toEqual([0, [], 6]);
    verify(heap);
    for (const node of kept) release(node);
    expect([heap.gc.collect(), log]).toEqual([4, ["disposed"]]);
  });

  it("is brought back when a finalizer keeps it", () => {
    const heap = makeExactHeap();
    const log: string[] = [];
    const kept: Handle<Saver>[] = [];
    class Saver extends struct("Saver", { listener: any }) {
      [finalizer]() {
        kept.push(retain(this) as Handle<Saver>);
      }
    }
    (() => {
      const saver = heap.new(Saver, {});
      using value = heap.adopt({ handles: [saver] }, () => void log.push("disposed"), { traverse });
      saver.listener = value;
    })();
    expect([heap.gc.collect(), log, kept.length]).toEqual([0, [], 1]);
    expect((kept[0].listener as unknown as { value: Table }).value.handles).toHaveLength(1);
    verify(heap);
    for (const saver of kept) release(saver);
    expect([heap.gc.collect(), log]).toEqual([2, ["disposed"]]);
  });

  it("lets its disposer release it", () => {
    const heap = makeHeap();
    const told: unknown[] = [];
    heap.onUnraisable = (error) => told.push(error);
    (() => {
      const node = heap.new(Node, {});
      using value = heap.adopt({ handles: [node] }, (table) => release(table.handles[0]), { traverse });
      node.listener = value;
    })();
    expect([heap.gc.collect(), told, heap.gc.getObjects().length]).toEqual([2, [], 0]);
  });
});

describe("a full heap", () => {
  it("keeps such cycles where there is no memory to look at them, and frees nothing wrong", () => {
    const heap = makeExactHeap({ maximumBytes: 256 * 1024 });
    const log: string[] = [];
    for (let value = 0; value < 5; value++) makeCycle(heap, log, value);
    const filler = heap.new(list(any), []);
    try {
      for (;;) heap.scope((scope) => filler.push(scope.new(list(any), [1, 2, 3])));
    } catch {
      // full
    }
    heap.gc.collect();
    verify(heap);
    release(filler);
    heap.gc.collect();
    expect([log.length, heap.adoptedCount]).toEqual([5, 0]);
  });
});

describe("a collection", () => {
  it("gives back the room that it made to show what values hold, and keeps what they had of their own", () => {
    const heap = makeExactHeap();
    const kept = Array.from({ length: 9 }, (_, value) => heap.new(Node, { value }));
    for (const own of [0, 3]) {
      const table: Table = { handles: [...kept] };
      using listener = heap.adopt(table, () => {}, { traverse, holds: kept.slice(0, own) });
      const object = heap.weakref.address(listener);
      const { foreign, allocator } = Heap.contextOf(heap).core;
      const room = foreign.itemCount(object);
      heap.gc.collect(); // what the first one takes for later ones is there then
      let words = 0;
      const watcher = {
        taken: (_: number, count: number) => {
          words += count;
        },
        given: (_: number, count: number) => {
          words -= count;
        },
        nextGap: () => 0,
      };
      allocator.watch(watcher);
      heap.gc.collect();
      allocator.unwatch(watcher);
      expect(words).toBe(0);
      expect(foreign.itemCount(object)).toEqual(room);
      verify(heap);
      table.handles = [];
    }
    for (const one of kept) release(one);
  });
});
