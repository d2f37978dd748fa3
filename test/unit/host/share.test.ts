/** What is shared, and under which rules. */
import { describe, expect, it, vi } from "vitest";
import {
  dict,
  f64,
  finalizer,
  Heap,
  list,
  optional,
  refcount,
  release,
  retain,
  ShareError,
  set,
  str,
  struct,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { Box, codeOf, makeShared, Node, open, under } from "./shared-heap.js";

describe("a shared heap", () => {
  it("is used under guards only, by the thread that shared it too", () => {
    const heap = Heap.create({ maximumBytes: 16 << 20 });
    heap.onLeakedHandle = () => {};
    open.push({ heap });
    const box = heap.new(Box, { nodes: [{ v: 1 }] });
    const borrowed = box.nodes;
    heap.new(Node, {}); // the type that heap.new remembers
    heap.share();
    for (const access of [
      () => box.nodes,
      () => heap.new(Node, {}),
      () => heap.gc.collect(),
      () => heap.gc.getObjects(),
      () => heap.toJS(box),
      () => heap.from([]),
      () => heap.bytesUsed,
      () => refcount(box),
      () => retain(box),
      () => heap.weakref.ref(box),
      () => verify(heap),
    ])
      expect(codeOf(access)).toBe("NO_GUARD");
    under(heap.lockShared(), () => {
      expect(box.nodes.at(0)!.v).toBe(1);
      expect(codeOf(() => borrowed.length)).toBe("MADE_BEFORE_SHARE");
    });
    under(heap.lock(), () => {
      box.nodes.push({ v: 2 });
      expect(box.nodes.length).toBe(2);
      verify(heap);
    });
  });

  it("has no lock before it is shared", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    open.push({ heap });
    expect(() => heap.lock()).toThrow(ShareError);
    expect(codeOf(() => heap.send(heap.new(Node, {})))).toBe("NOT_SHARED");
  });

  it("refuses every write under a shared guard", () => {
    const { heap } = makeShared();
    const box = under(heap.lock(), () => heap.new(Box, { nodes: [{ v: 1 }], byName: [], mixed: [] }));
    under(heap.lockShared(), () => {
      const { nodes } = box;
      for (const write of [
        () => {
          box.nodes = nodes;
        },
        () => nodes.push({ v: 2 }),
        () => nodes.pop(),
        () => nodes.clear(),
        () => nodes.delete(0),
        () => nodes.insert(0, {}),
        () => nodes.set(0, {}),
        () => nodes.assign([]),
        () => nodes.take(0),
        () => box.byName.set("a", {}),
        () => box.byName.delete("a"),
        () => box.byName.clear(),
        () => box.members.add(nodes.at(0)!),
        () => heap.new(Node, {}),
        () => heap.from({}),
        () => heap.adopt({}, () => {}),
        () => heap.gc.collect(),
        () => heap.gc.setPolicy("adaptive"),
        () => heap.weakref.ref(nodes.at(0)!),
        () => heap.send(box),
      ])
        expect(codeOf(write)).toBe("WRITE_UNDER_SHARED_GUARD");
    });
    under(heap.lock(), () => {
      expect(box.nodes.length).toBe(1);
      verify(heap);
      release(box);
    });
  });

  it("asks for a guard behind a weak proxy too, before a count is written", () => {
    const { heap } = makeShared();
    const node = under(heap.lock(), () => heap.new(Node, { v: 1 }));
    const proxy = under(heap.lock(), () => heap.weakref.proxy(node));
    const write = () => {
      proxy.v = 2;
    };
    for (const use of [() => proxy.v, () => "v" in proxy, write]) expect(codeOf(use)).toBe("NO_GUARD");
    const counting = vi.spyOn(Heap.contextOf(heap).core.counts, "incref");
    under(heap.lockShared(), () => {
      expect(proxy.v).toBe(1);
      expect(codeOf(write)).toBe("WRITE_UNDER_SHARED_GUARD");
    });
    expect(counting).not.toHaveBeenCalled();
    under(heap.lock(), () => {
      write();
      expect(node.v).toBe(2);
    });
  });

  it("ends borrowed references with their guard, and iterators too", () => {
    const { heap } = makeShared();
    const nodes = under(heap.lock(), () => heap.new(list(Node), [{ v: 1 }, { v: 2 }]));
    const guard = heap.lockShared();
    const first = nodes.at(0)!;
    const iterator = nodes[Symbol.iterator]();
    iterator.next();
    guard[Symbol.dispose]();
    expect(codeOf(() => first.v)).toBe("NO_GUARD");
    expect(codeOf(() => iterator.next())).toBe("NO_GUARD");
    under(heap.lock(), () => {
      expect(codeOf(() => first.v)).toBe("GUARD_OVER");
      expect(codeOf(() => nodes.push(first))).toBe("GUARD_OVER");
      expect(codeOf(() => retain(first))).toBe("GUARD_OVER");
      expect(codeOf(() => iterator.next())).toBe("GUARD_OVER");
      expect(codeOf(() => nodes.indexOf(first))).toBe("GUARD_OVER");
      expect(nodes.length).toBe(2);
    });
    const inner = heap.lockShared();
    expect(codeOf(() => nodes.forEach(() => inner[Symbol.dispose]()))).toBe("NO_GUARD");
  });

  it("prints what may not be read as such", () => {
    const { heap } = makeShared();
    const box = under(heap.lock(), () => heap.new(Node, { v: 1 }));
    const inspect = (view: unknown) =>
      (view as Record<symbol, (...values: unknown[]) => string>)[Symbol.for("nodejs.util.inspect.custom")](
        2,
        {},
        JSON.stringify,
      );
    expect(inspect(box)).toBe("[Node: no guard]");
    expect(under(heap.lockShared(), () => inspect(box))).toContain('"v":1');
  });

  it("is not written to by reading, whatever is looked up", () => {
    const { heap, token } = makeShared({ checks: "off" });
    const box = under(heap.lock(), () => {
      const made = heap.new(Box, {
        nodes: [{ v: 1, name: "a" }],
        byName: [["a", { v: 2 }]],
        mixed: [
          ["x", 1],
          [2, "y"],
        ],
      });
      made.members.add(made.nodes.at(0)!);
      made.mixed.set(made.nodes.at(0)!, true);
      made.friend = made.nodes.at(0)!;
      return made;
    });
    const optionals = under(heap.lock(), () => heap.new(dict(optional(str), f64), [["a", 1]]));
    const words = new Int32Array(token.memory);
    const used = under(heap.lockShared(), () => heap.bytesUsed) / 4;
    under(heap.lockShared(), () => {
      const before = words.slice(0, used);
      const node = box.nodes.at(0)!;
      expect(box.members.has(node)).toBe(true);
      expect(box.mixed.get(node)).toBe(true);
      expect(box.mixed.get("x")).toBe(1);
      expect(box.mixed.get(null)).toBe(undefined);
      expect(box.mixed.get(true)).toBe(undefined);
      expect(box.byName.get("a")!.v).toBe(2);
      expect(optionals.get("a")).toBe(1);
      expect(optionals.get("b")).toBe(undefined);
      expect(box.nodes.indexOf(node)).toBe(0);
      expect(box.friend!.name).toBe("a");
      expect([...box.byName.keys(), ...box.members.values()].length).toBe(2);
      expect(JSON.stringify(box)).toContain('"v":1');
      expect(heap.toJS(box.nodes)).toBeInstanceOf(Array);
      expect(refcount(node)).toBe(3);
      expect(words.slice(0, used)).toEqual(before);
    });
  });

  it("ends what was begun before it was shared: iterators, and pools without a guard", () => {
    const heap = Heap.create({ maximumBytes: 16 << 20 });
    open.push({ heap });
    heap.onLeakedHandle = () => {};
    const numbers = heap.new(list(f64), [1, 2]);
    const names = heap.new(dict(str, f64), [["a", 1]]);
    const members = heap.new(set(f64), [1]);
    const pool = heap.pool(Node, { capacity: 2 });
    const iterators = [numbers[Symbol.iterator](), names.entries(), names.keys(), members.values()];
    for (const iterator of iterators) iterator.next();
    heap.share();
    const guard = heap.lockShared();
    for (const iterator of iterators) expect(codeOf(() => iterator.next())).toBe("MADE_BEFORE_SHARE");
    expect([...numbers]).toEqual([1, 2]);
    guard[Symbol.dispose]();
    expect(codeOf(() => pool[Symbol.dispose]())).toBe("NO_GUARD");
    under(heap.lock(), () => {
      pool[Symbol.dispose]();
      verify(heap);
    });
  });

  it("takes no reference of an ended guard into a literal, also of a type that was in use before it was shared", () => {
    const heap = Heap.create({ maximumBytes: 16 << 20 });
    open.push({ heap });
    heap.onLeakedHandle = () => {};
    const nodes = heap.new(list(Node), [{ v: 1 }]);
    const pool = heap.pool(Node, { capacity: 2 });
    const makers: ((next: Node) => Disposable)[] = [
      (next) => heap.new(Node, { next }),
      (next) => heap.new(list(Node), [{ next }]),
      (next) => pool.acquire({ next }),
    ];
    const before = nodes.at(0)! as Node;
    for (const make of makers) make(before)[Symbol.dispose]();
    heap.share();
    const past = under(heap.lockShared(), () => nodes.at(0)! as Node);
    under(heap.lock(), () => {
      for (const make of makers) {
        expect(codeOf(() => make(before))).toBe("MADE_BEFORE_SHARE");
        expect(codeOf(() => make(past))).toBe("GUARD_OVER");
        make(nodes.at(0)! as Node)[Symbol.dispose]();
      }
      expect([refcount(nodes.at(0)!), pool.available]).toEqual([1, 2]);
      verify(heap);
    });
  });

  it("keeps its guard while an operation needs it that has called the program back", () => {
    const { heap } = makeShared();
    const codes: string[] = [];
    const guard = heap.lock();
    const end = () => codes.push(codeOf(() => guard[Symbol.dispose]()));
    class Loud extends struct("Loud", { v: f64 }) {
      [finalizer]() {
        end();
      }
    }
    const node = heap.new(Node, {
      get v() {
        end();
        return 1;
      },
    });
    release(heap.new(Loud, {}));
    heap.gc.callbacks.push(end);
    heap.gc.collect();
    heap.gc.callbacks.length = 0;
    expect(codes).toEqual(["LOCK_ORDER", "LOCK_ORDER", "LOCK_ORDER", "LOCK_ORDER"]);
    release(node);
    expect(heap.gc.getObjects()).toEqual([]);
    end();
    expect([codes.at(-1), Heap.contextOf(heap).sharing!.lock.mode]).toEqual(["no error", "none"]);
  });

  it("is verified under an exclusive guard only: other readers may be retaining", () => {
    const { heap } = makeShared();
    expect(codeOf(() => verify(heap))).toBe("NO_GUARD");
    under(heap.lockShared(), () => expect(codeOf(() => verify(heap))).toBe("WRITE_UNDER_SHARED_GUARD"));
    under(heap.lock(), () => verify(heap));
  });

  it("is not read by the report of a leaked handle, unless this thread writes", () => {
    const { heap } = makeShared();
    const told: unknown[] = [];
    heap.onLeakedHandle = ({ keepsAlive }) => told.push(keepsAlive?.objects);
    under(heap.lock(), () => heap.new(Node, { name: "leaked" }));
    const { handles } = Heap.contextOf(heap);
    handles.reportLive();
    under(heap.lockShared(), () => handles.reportLive());
    under(heap.lock(), () => handles.reportLive());
    expect(told).toEqual([undefined, undefined, 1]);
  });

  it("cannot be shared from inside an operation, and gives its token again", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    open.push({ heap });
    let code = "";
    heap.new(Node, {
      get v() {
        code = codeOf(() => heap.share());
        return 1;
      },
    });
    expect(code).toBe("HEAP_BUSY");
    expect(heap.share()).toEqual(heap.share());
  });
});
