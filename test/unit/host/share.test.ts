/**
 * What is shared, and under which rules. The second thread here is a second copy of the library in this one: it has a heap of its own
 * over the same memory. Real threads are in test/threads.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  any,
  dict,
  f64,
  finalizer,
  Heap,
  InvalidArgumentError,
  list,
  optional,
  refcount,
  release,
  retain,
  ShareError,
  set,
  str,
  struct,
  tuple,
  weak,
} from "../../../src/index.js";
import { findLeaks, rootGroups, verify } from "../../../src/inspect/index.js";

type Library = typeof import("../../../src/index.js");

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  v: f64,
  name: str,
}) {}
const Pair = tuple(Node, f64);
class Box extends struct("Box", {
  nodes: list(Node),
  byName: dict(str, Node),
  members: set(Node),
  mixed: dict(any, any),
  get pair() {
    return optional(Pair);
  },
  get friend() {
    return weak(Node);
  },
}) {}

const open: { heap: { [Symbol.dispose](): void } }[] = [];

function makeShared(options: Parameters<typeof Heap.create>[0] = {}) {
  const heap = Heap.create({ maximumBytes: 16 << 20, checks: "verify", ...options });
  heap.onLeakedHandle = () => {};
  const token = heap.share({ name: "first" });
  open.push({ heap });
  return { heap, token };
}

/** Another thread: a library that knows nothing of this one. */
async function otherThread(): Promise<{ library: Library; verify: (heap: Heap) => void }> {
  vi.resetModules();
  const library = await import("../../../src/index.js");
  const inspect = await import("../../../src/inspect/index.js");
  return { library, verify: inspect.verify as (heap: Heap) => void };
}

/** The same structs in the other library. */
function structsOf({ struct, optional, f64, str }: Library) {
  class OtherNode extends struct("Node", {
    get next() {
      return optional(OtherNode);
    },
    v: f64,
    name: str,
  }) {
    get shout() {
      return this.name.toUpperCase();
    }
  }
  return { OtherNode };
}

function under<R>(guard: Disposable, body: () => R): R {
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "no error";
}

afterEach(() => {
  for (const { heap } of open.splice(0).reverse()) heap[Symbol.dispose]();
});

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

describe("a parcel", () => {
  it("carries one reference, which is received once", async () => {
    const { heap, token } = makeShared();
    const { library } = await otherThread();
    const { OtherNode } = structsOf(library);
    const heap2 = library.Heap.attach(token, [OtherNode]);
    open.push({ heap: heap2 });
    const node = under(heap.lock(), () => heap.new(Node, { v: 5 }));
    const parcel = under(heap.lock(), () => heap.send(node));
    under(heap.lock(), () => {
      expect(refcount(node)).toBe(2);
      release(node);
      verify(heap);
    });
    under(heap2.lock(), () => {
      expect(codeOf(() => heap2.receive(library.list(library.f64), parcel))).toBe("TYPE_MISMATCH");
      const received = heap2.receive(OtherNode, structuredClone(parcel));
      expect([received.v, library.refcount(received)]).toEqual([5, 1]);
      expect(codeOf(() => heap2.receive(OtherNode, parcel))).toBe("PARCEL_CLAIMED");
      library.release(received);
    });
    under(heap.lock(), () => {
      expect(codeOf(() => heap.receive(Node, parcel))).toBe("PARCEL_CLAIMED");
      verify(heap);
    });
  });

  it("that nobody receives is in the leak report, with the line that sent it", () => {
    const { heap } = makeShared({ checks: { handles: { every: 1 } } });
    under(heap.lock(), () => {
      const sendOne = () => {
        const node = heap.new(Node, { v: 1 });
        heap.send(node);
        release(node);
      };
      const [group] = findLeaks(heap, sendOne).groups;
      expect([group!.type, group!.count]).toEqual(["Node", 1]);
      expect(group!.heldBy[0]).toMatch(/parcel sent at sendOne .*share\.test\.ts/);
      expect(rootGroups(heap).find(({ kind }) => kind === "parcel")?.count).toBe(1);
    });
  });

  it("cannot be forged", () => {
    const { heap } = makeShared();
    under(heap.lock(), () => {
      const node = heap.new(Node, {});
      const sent = heap.send(node);
      const { parcel, heap: id } = sent;
      for (const forged of [-1, 0.5, NaN, 2 ** 53, parcel + 1, parcel + 2 ** 20, 1e300])
        expect(codeOf(() => heap.receive(Node, { parcel: forged, heap: id }))).toBe("PARCEL_CLAIMED");
      for (const wrong of [null, {}, { parcel: "1", heap: id }, { parcel }])
        expect(() => heap.receive(Node, wrong as never)).toThrow(InvalidArgumentError);
      expect(codeOf(() => heap.receive(Node, { parcel, heap: id + 1 }))).toBe("PARCEL_CLAIMED");
      release(heap.receive(Node, sent));
      const again = heap.send(node);
      expect(codeOf(() => heap.receive(Node, sent))).toBe("PARCEL_CLAIMED");
      release(heap.receive(Node, again));
      release(node);
      verify(heap);
    });
  });

  it("may be one of many", () => {
    const { heap } = makeShared({ checks: "off" });
    under(heap.lock(), () => {
      const node = heap.new(Node, {});
      const parcels = Array.from({ length: 1000 }, () => heap.send(node));
      expect(refcount(node)).toBe(1001);
      verify(heap);
      for (const parcel of parcels) release(heap.receive(Node, parcel));
      expect(refcount(node)).toBe(1);
      release(node);
      verify(heap); // also where no line was kept that the parcel would have to give up
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
    await vi.waitFor(() => expect(seen).toEqual(["disposed"]));
  });

  it("is told to a thread that had a shared guard when it came, at the end of that", async () => {
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
    const [parcel, ref] = under(heap.lock(), () => {
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
      release(all);
      return [sent, ref] as const;
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
      release(ref);
      verify(heap);
    });
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
