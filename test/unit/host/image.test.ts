import {
  createWriteStream,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import * as lib from "../../../src/index.js";
import {
  any,
  type Borrowed,
  bool,
  dict,
  f64,
  finalizer,
  foreign,
  Heap,
  HeapBusyError,
  type HeapOptions,
  ImageError,
  InvalidArgumentError,
  i32,
  is,
  isA,
  LayoutMismatchError,
  type LoadedHeap,
  type LoadOptions,
  list,
  OutOfMemoryError,
  optional,
  refcount,
  release,
  retain,
  set,
  str,
  struct,
  TombstoneError,
  tuple,
  weak,
} from "../../../src/index.js";
import { leakText, roots, showBackrefs, takeSnapshot, verify } from "../../../src/inspect/index.js";
import { heldNow } from "../../../src/inspect/leaks.js";
import { randomFrom, recompute } from "../../fuzz/damage.mjs";
import { build, declare, exercise } from "../../fuzz/worlds.mjs";
import { isStress, makeHeap, size } from "../../support/heaps.js";
import { messageOf } from "./support.js";

class Node extends struct("Node", {
  value: f64,
  name: str,
  get next() {
    return optional(Node);
  },
  rest: any,
}) {
  shout(): string {
    return this.name.toUpperCase();
  }
}

const loadedHeaps: Heap[] = [];
afterEach(() => {
  for (const heap of loadedHeaps.splice(0)) {
    verify(heap);
    heap.onLeakedHandle = () => {};
    heap[Symbol.dispose]();
  }
});

/** Load, verify now, and verify again when the test is over. */
async function load(source: Parameters<typeof Heap.load>[0], options: LoadOptions = {}): Promise<LoadedHeap> {
  const loaded = await Heap.load(source, options);
  loadedHeaps.push(loaded.heap);
  verify(loaded.heap);
  return loaded;
}

/** What one root leads to, as a class of the program. */
async function travel<R extends Borrowed>(heap: Heap, ref: R, options: LoadOptions = { types: [Node] }) {
  const { heap: other, roots } = await load(heap.saveBytes({ roots: { it: ref } }), options);
  return { heap: other, it: roots.it as unknown as R };
}

async function refusal(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    () => expect.fail("nothing was thrown"),
    (error: Error) => error,
  );
}

const scratch = mkdtempSync(join(tmpdir(), "ouroheap-image-"));
afterEach(() => {
  for (const file of readdirSync(scratch)) rmSync(join(scratch, file));
});

describe("a heap that was saved and loaded", () => {
  it("has the objects, the values and the cycles that the roots reach", async () => {
    const heap = makeHeap();
    const node = heap.new(Node, {
      value: 1.5,
      name: "one",
      next: { value: 2.5, name: "zwei 二" },
      rest: true,
    });
    node.next!.next = node;
    const { it } = await travel(heap, node);
    expect([it.value, it.name, it.rest]).toEqual([1.5, "one", true]);
    expect(it.next!.name).toBe("zwei 二");
    expect(is(it.next!.next, it)).toBe(true);
    expect(it.shout()).toBe("ONE");
  });

  it("has all kinds of containers, found by key, by number and by object", async () => {
    const heap = makeHeap();
    const Box = struct("Box", {
      texts: dict(str, i32),
      numbers: dict(f64, str),
      objects: dict(optional(Node), i32),
      mixed: dict(any, any),
      members: set(str),
      pair: tuple(i32, any),
      flags: list(bool),
    });
    const node = heap.new(Node, { name: "key" });
    const box = heap.new(Box, { pair: [7, node], flags: [true, false], members: ["a", "b", "c"] });
    for (let index = 0; index < 40; index++) {
      box.texts.set(`text ${index}`, index);
      box.numbers.set(index / 3, `number ${index}`);
    }
    for (let index = 0; index < 40; index += 2) box.texts.delete(`text ${index}`);
    box.members.delete("b");
    box.objects.set(node, 5);
    box.mixed.set(node, "by object").set("text", 1).set(Number.NaN, 2).set(true, node);
    const { it } = await travel(heap, box, { types: [Box, Node] });
    const key = it.pair[1] as Node;
    expect([it.pair[0], key.name, [...it.flags], [...it.members]]).toEqual([
      7,
      "key",
      [true, false],
      ["a", "c"],
    ]);
    expect([it.texts.size, it.texts.get("text 7"), it.texts.get("text 8")]).toEqual([20, 7, undefined]);
    expect(it.numbers.get(8 / 3)).toBe("number 8");
    expect([it.objects.get(key), it.mixed.get(key), it.mixed.get(Number.NaN)]).toEqual([5, "by object", 2]);
    it.texts.set("new", 99);
    for (let index = 0; index < 100; index++) it.mixed.set(index, index);
    expect([it.texts.get("new"), it.mixed.get(key), it.mixed.get(57)]).toEqual([99, "by object", 57]);
  });

  it("leaves behind what the roots do not reach, and the counts that other handles have", async () => {
    const heap = makeHeap();
    const shared = heap.new(Node, { name: "shared" });
    const kept = heap.new(Node, { name: "kept", next: shared });
    const other = heap.new(Node, { name: "secret of another", next: shared });
    const again = retain(shared);
    const bytes = heap.saveBytes({ roots: { kept } });
    const { heap: loaded, roots } = await load(bytes, { types: [Node] });
    expect(loaded.gc.getObjects().length).toBe(2);
    expect(refcount((roots.kept as unknown as Node).next!)).toBe(1);
    expect(new TextDecoder("latin1").decode(bytes)).not.toContain("secret");
    expect([refcount(shared), other.name, again.name]).toEqual([4, "secret of another", "shared"]);
  });

  it("has nothing in its file of what was deleted", async () => {
    const heap = makeHeap();
    const texts = heap.new(list(str), []);
    for (let index = 0; index < 500; index++) texts.push(`password number ${index}`);
    while (texts.length > 1) texts.pop();
    const found = new TextDecoder("latin1").decode(heap.saveBytes({ roots: { texts } })).match(/password/g);
    expect(found?.length).toBe(1);
  });

  it.each([
    ["at its end, where alignment leaves a word over", 6, 5],
    ["behind it, where the block is longer than it", 32, 30],
  ])("has nothing in its file of an object that is dead: not in another %s", async (_, more, less) => {
    const fields = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, i32]));
    const Wide = struct("Wide", fields(more), { weakrefs: false });
    const Narrow = struct("Narrow", fields(less), { weakrefs: false });
    const heap = makeHeap({ checks: "off" });
    const secret = 0x5ec4e701;
    const wide = Array.from({ length: 1000 }, () => heap.new(Wide, { [`f${more - 1}`]: secret } as never));
    const places = new Set(wide.map((one) => heap.weakref.address(one)));
    for (const one of wide) release(one);
    const narrow = Array.from({ length: 1000 }, () => heap.new(Narrow, {}));
    expect(narrow.some((one) => places.has(heap.weakref.address(one)))).toBe(true);
    const bytes = heap.saveBytes({ roots: Object.fromEntries(narrow.entries()) });
    expect(new Int32Array(bytes.buffer).includes(secret)).toBe(false);
  });

  it("dies like any other", async () => {
    const heap = makeHeap();
    const node = heap.new(Node, { next: { next: {} } });
    node.rest = node;
    const { heap: loaded, it } = await travel(heap, node);
    release(it as never);
    expect(loaded.gc.getObjects().length).toBe(3);
    expect(loaded.gc.collect()).toBe(3);
    expect(loaded.gc.getObjects().length).toBe(0);
  });

  it("was not changed by it, and goes on", async () => {
    const heap = makeHeap();
    const node = heap.new(Node, { name: "here", next: { name: "there" } });
    const used = heap.bytesUsed;
    heap.saveBytes({ roots: { node } });
    verify(heap);
    expect([heap.bytesUsed, node.next!.name, refcount(node)]).toEqual([used, "there", 1]);
    node.next = null;
    verify(heap);
  });

  it("saves to the same bytes", async () => {
    for (let seed = 1; seed <= size(5); seed++) {
      const types = declare(lib);
      const { heap, roots } = build(lib, types, randomFrom(seed), 30);
      const bytes = heap.saveBytes({ roots });
      const first = await load(bytes, { types: [types.Node] });
      expect(Buffer.compare(bytes, first.heap.saveBytes({ roots: first.roots }))).toBe(0);
      // Without the classes too, and whatever was done and undone in between.
      const second = await load(bytes);
      const extra = second.heap.from([{ a: 1 }, { b: "text" }]);
      release(extra);
      const { roots: handles } = second;
      expect(Buffer.compare(bytes, second.heap.saveBytes({ roots: handles })) === 0 || isStress).toBe(true);
      heap.onLeakedHandle = () => {};
      heap[Symbol.dispose]();
    }
  });

  it("survives use to its end, whatever is in it", async () => {
    for (let seed = 1; seed <= size(10); seed++) {
      const types = declare(lib);
      const { heap, roots } = build(lib, types, randomFrom(seed + 100), 20);
      exercise(lib, await Heap.load(heap.saveBytes({ roots }), { types: [types.Node] }), verify);
      heap.onLeakedHandle = () => {};
      heap[Symbol.dispose]();
    }
  });

  it("may be large: a list of many objects, shared and in a cycle", async () => {
    const count = size(200_000);
    const heap = makeHeap({ checks: "off" });
    let head = heap.new(Node, { value: 0 });
    const last = retain(head);
    for (let index = 1; index < count; index++) {
      const next = heap.new(Node, { value: index, name: `name ${index % 1000}`, next: head });
      release(head);
      head = next;
    }
    last.next = head;
    release(last);
    const { it } = await travel(heap, head, { types: [Node], checks: "off" });
    let [here, there]: (Node | null)[] = [head, it];
    for (let index = 0; index < count; index++, here = here!.next, there = there!.next)
      if (here!.value !== there!.value || here!.name !== there!.name) expect.fail(`node ${index} is another`);
    expect(is(there, it)).toBe(true);
  });

  it("has large objects: texts, lists and tables of several pages", async () => {
    const heap = makeHeap();
    const text = "0123456789".repeat(10_000);
    const holder = heap.new(Node, { name: text });
    holder.rest = heap.new(
      list(f64),
      Array.from({ length: 20_000 }, (_, index) => index / 2),
    );
    holder.next = heap.new(Node, { name: `${text}…` });
    holder.next.rest = heap.new(
      dict(f64, f64),
      Array.from({ length: 5000 }, (_, index) => [index, -index] as const),
    );
    const { it } = await travel(heap, holder);
    expect(it.name === text && it.next!.name === `${text}…`).toBe(true);
    expect(it.rest && [...(it.rest as Iterable<number>)][19_999]).toBe(9999.5);
    expect((it.next!.rest as unknown as Map<number, number>).get(4321)).toBe(-4321);
  });

  it("may be empty", async () => {
    const { heap, roots } = await load(makeHeap().saveBytes({ roots: {} }));
    expect([heap.gc.getObjects().length, Object.keys(roots)]).toEqual([0, []]);
    release(heap.new(Node, {}));
  });
});

describe("the roots", () => {
  it("come back by name, in order, one handle a name", async () => {
    const heap = makeHeap();
    const node = heap.new(Node, { name: "twice" });
    const roots = Object.fromEntries(["b", "a", "__proto__"].map((name) => [name, node]));
    const loaded = await load(heap.saveBytes({ roots }), { types: [Node] });
    expect(Object.keys(loaded.roots)).toEqual(["b", "a", "__proto__"]);
    expect(refcount(loaded.roots.a)).toBe(3);
    expect(is(loaded.roots.a, loaded.roots.b)).toBe(true);
  });

  it("are, if none are named, whatever is held from outside", async () => {
    const heap = makeHeap();
    const first = heap.new(Node, { name: "first" });
    const second = heap.new(Node, { name: "second", next: first });
    release(first);
    const pool = heap.pool(Node, { capacity: 5 });
    const third = heap.new(Node, { name: "third" });
    const loaded = await load(heap.saveBytes(), { types: [Node] });
    const names = Object.entries(loaded.roots).map(([name, root]) => [name, (root as unknown as Node).name]);
    expect(names).toEqual([
      ["#1", "second"],
      ["#2", "third"],
    ]);
    release(second);
    release(third);
    pool[Symbol.dispose]();
  });

  it("are refused if they are of another heap, or nothing", () => {
    const heap = makeHeap();
    const other = makeHeap().new(Node, {});
    expect(() => heap.saveBytes({ roots: { other } })).toThrow(InvalidArgumentError);
    expect(() => heap.saveBytes({ roots: { none: null as never } })).toThrow("got null");
    expect(() => heap.saveBytes({ roots: 5 as never })).toThrow("by name");
  });

  it("may be instances of a pool, which are then objects like any other", async () => {
    const heap = makeHeap();
    const pool = heap.pool(Node, { capacity: 3 });
    const node = pool.acquire({ name: "lent" });
    const { heap: loaded, it } = await travel(heap, node);
    expect(it.name).toBe("lent");
    release(it as never);
    expect(loaded.gc.getObjects().length).toBe(0);
    release(node);
  });
});

describe("types", () => {
  it("are matched by name: fields that differ are named", async () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    const bytes = heap.saveBytes({ roots: { node } });
    const shapes: [string | undefined, string, lib.AnyStruct][] = [
      ["value", "is i32 here and was f64", struct("Node", { value: i32, name: str, next: any, rest: any })],
      ["name", "where title stands here", struct("Node", { value: f64, title: str, next: any, rest: any })],
      ["rest", "is missing here", nodeWithout()],
      ["more", "was not there", nodeWith()],
      [undefined, "option weakrefs is false here", nodeWith({ weakrefs: false })],
    ];
    for (const [field, text, type] of shapes) {
      const error = await refusal(Heap.load(bytes, { types: [type] }));
      expect(error).toBeInstanceOf(LayoutMismatchError);
      expect(error.message).toContain(text);
      const wanted = field === "name" ? "title" : field;
      expect(error).toMatchObject({ code: "LAYOUT_MISMATCH", typeName: "Node", field: wanted });
    }
  });

  it("need not be given: a struct of the image then has its fields and no methods", async () => {
    const heap = makeHeap();
    const { it } = await travel(heap, heap.new(Node, { name: "bare", next: { value: 3 } }), {});
    expect([it.name, it.next!.value, it.shout]).toEqual(["bare", 3, undefined]);
    it.next!.name = "written";
    expect(it.next!.name).toBe("written");
  });

  it("come with what they lead to, and containers are found again by what they contain", async () => {
    const Inner = struct("Inner", { number: i32 });
    const Outer = struct("Outer", { inner: list(Inner) });
    const heap = makeHeap();
    const outer = heap.new(Outer, { inner: [{ number: 4 }] });
    const { heap: loaded, it } = await travel(heap, outer, { types: [Outer] });
    expect(isA(Inner, it.inner.at(0)!)).toBe(true);
    it.inner.push(loaded.new(Inner, { number: 5 }));
    expect(isA(list(Inner), it.inner)).toBe(true);
  });

  it("may have a finalizer on one side only", async () => {
    const log: string[] = [];
    class Seen extends struct("Seen", { name: str }) {
      [finalizer]() {
        log.push(this.name);
      }
    }
    const heap = makeHeap();
    const seen = heap.new(Seen, { name: "it" });
    const bytes = heap.saveBytes({ roots: { seen } });
    for (const types of [[Seen], []]) {
      const { roots } = await load(bytes, { types });
      release(roots.seen);
    }
    expect(log).toEqual(["it"]);
    release(seen);
  });

  it("are refused where they are no structs, or two of a name", async () => {
    const bytes = makeHeap().saveBytes();
    expect((await refusal(Heap.load(bytes, { types: [f64 as never] }))).message).toContain("takes structs");
    const twins = [struct("Twin", { a: i32 }), struct("Twin", { b: i32 })];
    expect((await refusal(Heap.load(bytes, { types: twins }))).message).toContain('called "Twin"');
    expect((await refusal(Heap.load(bytes, { types: 5 as never }))).message).toContain("an array");
  });
});

/** Another struct of the name, with a field more or an option. */
function nodeWith(options?: { weakrefs: boolean }) {
  const more = options === undefined ? { more: i32 } : {};
  class Other extends struct(
    "Node",
    {
      value: f64,
      name: str,
      get next(): unknown {
        return optional(Other);
      },
      rest: any,
      ...more,
    } as lib.Shape,
    options,
  ) {}
  return Other as unknown as lib.AnyStruct;
}

function nodeWithout() {
  class Other extends struct("Node", {
    value: f64,
    name: str,
    get next() {
      return optional(Other);
    },
  }) {}
  return Other as unknown as lib.AnyStruct;
}

describe("what belongs to JavaScript", () => {
  const Holder = struct("Holder", { value: optional(foreign<object>()) });

  it("stays behind: an adopted value is a tombstone that says what it was", async () => {
    class Texture {
      delete() {}
    }
    const heap = makeHeap();
    const holder = heap.new(Holder, { value: heap.own(new Texture()) });
    const { heap: loaded, it } = await travel(heap, holder, { types: [Holder] });
    const error = await refusal(Promise.resolve().then(() => it.value!.value));
    expect(error).toBeInstanceOf(TombstoneError);
    expect(error).toMatchObject({ code: "TOMBSTONE", valueName: "Texture", disposer: "delete" });
    expect([loaded.adoptedCount, isA(foreign(), it.value)]).toEqual([0, true]);
    // A second journey changes nothing.
    const { it: again } = await travel(loaded, it, { types: [Holder] });
    expect(() => again.value!.value).toThrow("Texture");
    it.value = loaded.adopt({}, () => {});
    expect(loaded.adoptedCount).toBe(1);
  });

  it("leaves no tombstone where the next value stands", async () => {
    const heap = makeHeap();
    const holder = heap.new(Holder, { value: heap.adopt({}, () => {}) });
    const { heap: loaded, it } = await travel(heap, holder, { types: [Holder] });
    it.value = null;
    using value = loaded.adopt({ here: true }, () => {});
    expect(value.value).toEqual({ here: true });
  });

  it("has no callbacks on the other side: a weak reference keeps its target and forgets its function", async () => {
    let calls = 0;
    const heap = makeHeap();
    const node = heap.new(Node, {});
    const gone = heap.new(Node, {});
    const watch = heap.weakref.ref(node, () => calls++);
    const dead = heap.weakref.ref(gone);
    const alone = heap.weakref.ref(node, () => calls++);
    const { heap: loaded, roots } = await load(heap.saveBytes({ roots: { node, watch, dead } }), {
      types: [Node],
    });
    const there = roots.watch as unknown as typeof watch;
    expect([there.alive, there.hasCallback]).toEqual([true, false]);
    expect((roots.dead as unknown as typeof watch).alive).toBe(false); // its target was not reached
    expect(loaded.weakref.getWeakrefCount(roots.node)).toBe(1);
    release(roots.node);
    expect([there.alive, calls]).toEqual([false, 0]);
    for (const handle of [node, gone, watch, dead, alone]) release(handle);
  });

  it("reads a weak field as before", async () => {
    class Child extends struct("Child", {
      get parent() {
        return weak(Child);
      },
      get kids() {
        return list(Child);
      },
    }) {}
    const heap = makeHeap();
    const parent = heap.new(Child, { kids: [{}, {}] });
    for (const kid of parent.kids) kid.parent = parent;
    const { it } = await travel(heap, parent, { types: [Child] });
    expect(is(it.kids.at(1)!.parent, it)).toBe(true);
    const kid = retain(it.kids.at(0)!);
    release(it as never);
    expect(kid.parent).toBe(null);
  });
});

interface Description {
  readonly roots: [string, number, unknown?][];
  readonly gc: Record<string, unknown>;
}

/** The description of an image. */
function description(bytes: Uint8Array): Description {
  const length = new Int32Array(bytes.slice(16, 20).buffer)[0];
  return JSON.parse(new TextDecoder().decode(bytes.subarray(64, 64 + length)));
}

/** The same image with a part of its description changed, all checksums right. */
function described(bytes: Uint8Array, change: (old: Description) => Partial<Description>): Uint8Array {
  const old = description(bytes);
  const text = new TextEncoder().encode(JSON.stringify({ ...old, ...change(old) }));
  const words = Math.ceil(text.length / 4);
  const front = 64 + Math.ceil(new Int32Array(bytes.slice(16, 20).buffer)[0] / 4) * 4;
  const result = new Uint8Array(64 + words * 4 + bytes.length - front).fill(0x20);
  result.set(bytes.subarray(0, 64));
  result.set(text, 64);
  result.set(bytes.subarray(front), 64 + words * 4);
  new Int32Array(result.buffer)[4] = text.length;
  return recompute(result);
}

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

describe("where it goes and comes from", () => {
  const heapOf = (name: string) => {
    const heap = makeHeap();
    return { heap, node: heap.new(Node, { name }) };
  };
  const nameOf = ({ roots }: LoadedHeap) => (roots.node as unknown as Node).name;

  it("is a file, by path or URL, which appears when it is whole", async () => {
    const { heap, node } = heapOf("file");
    const path = join(scratch, "heap.ouro");
    await heap.save(path, { roots: { node } });
    expect(nameOf(await load(path))).toBe("file");
    await heap.save(pathToFileURL(join(scratch, "url.ouro")), { roots: { node } });
    expect(nameOf(await load(pathToFileURL(join(scratch, "url.ouro"))))).toBe("file");
    expect(readdirSync(scratch).sort()).toEqual(["heap.ouro", "url.ouro"]);
    expect(Buffer.compare(readFileSync(path), heap.saveBytes({ roots: { node } }))).toBe(0);
  });

  it("leaves the old file alone when saving fails", async () => {
    const { heap } = heapOf("file");
    const path = join(scratch, "heap.ouro");
    writeFileSync(path, "old");
    await refusal(heap.save(path, { roots: { other: {} as never } }));
    expect([readFileSync(path, "utf8"), existsSync(`${path}.unfinished`)]).toEqual(["old", false]);
    expect((await refusal(heap.save(join(scratch, "no", "such", "folder")))).code).toBe("ENOENT");
  });

  it("is a stream of Node's", async () => {
    const { heap, node } = heapOf("node stream");
    const stream = new PassThrough({ highWaterMark: 100 });
    const saved = heap.save(stream, { roots: { node } });
    expect(nameOf(await load(stream))).toBe("node stream");
    await saved;
  });

  it("is a stream of the web's, as it was at the call", async () => {
    const { heap, node } = heapOf("web stream");
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const saved = heap.save(writable, { roots: { node } });
    node.name = "changed";
    expect(nameOf(await load(readable))).toBe("web stream");
    await saved;
  });

  it("is a Blob, bytes, or pieces of any size", async () => {
    const { heap, node } = heapOf("bytes");
    const bytes = heap.saveBytes({ roots: { node } });
    expect(nameOf(await load(new Blob([bytes as Uint8Array<ArrayBuffer>])))).toBe("bytes");
    expect(nameOf(await load(bytes.buffer as ArrayBuffer))).toBe("bytes");
    const pieces = Array.from({ length: Math.ceil(bytes.length / 4999) }, (_, index) =>
      bytes.subarray(index * 4999, (index + 1) * 4999),
    );
    expect(nameOf(await load(Readable.from(pieces)))).toBe("bytes");
  });

  it("is nothing else", async () => {
    const { heap } = heapOf("x");
    expect((await refusal(heap.save(5 as never))).message).toContain("takes a path");
    expect((await refusal(Heap.load(5 as never))).message).toContain("takes a path");
    expect((await refusal(Heap.load(Readable.from(["text"])))).message).toContain("A stream of bytes");
    expect((await refusal(Heap.load(join(scratch, "none")))).code).toBe("ENOENT");
  });
});

describe("a target that fails or is special", () => {
  const heapWithText = () => {
    const heap = makeHeap();
    return { heap, roots: { text: heap.new(list(str), ["a"]) } };
  };

  it.each([
    [
      "fails at its end",
      () => new Writable({ write: (_, __, done) => done(), final: (done) => done(new Error("flush")) }),
      /flush/,
    ],
    [
      "fails while it takes a piece",
      () => new Writable({ write: (_, __, done) => done(new Error("full")) }),
      /full/,
    ],
    [
      "is destroyed and calls nobody back",
      () => {
        const stream = new Writable({ write: () => void setImmediate(() => stream.destroy()) });
        return stream;
      },
      /closed before it took the whole heap/,
    ],
    ["cannot be opened", () => createWriteStream(join(tmpdir(), "missing-folder", "file")), /ENOENT/],
  ] as [string, () => Writable, RegExp][])(
    "a stream that %s rejects the save, and nothing else happens",
    async (_, make, message) => {
      const { heap, roots } = heapWithText();
      await expect(heap.save(make() as never, { roots })).rejects.toThrow(message);
      await new Promise(setImmediate);
    },
  );

  it("a file that exists keeps its permissions, and a link still leads to it", async () => {
    const { heap, roots } = heapWithText();
    const folder = mkdtempSync(join(tmpdir(), "ouroheap-"));
    try {
      const [file, link] = [join(folder, "a.heap"), join(folder, "b.heap")];
      writeFileSync(file, "old", { mode: 0o600 });
      symlinkSync(file, link);
      await heap.save(link, { roots });
      expect([statSync(file).mode & 0o777, lstatSync(link).isSymbolicLink()]).toEqual([0o600, true]);
      const loaded = await Heap.load(file);
      expect([...(loaded.roots.text as never as Iterable<string>)]).toEqual(["a"]);
      expect(readdirSync(folder).sort()).toEqual(["a.heap", "b.heap"]);
      for (const handle of Object.values(loaded.roots)) handle[Symbol.dispose]();
      loaded.heap.shutdown();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("what is no saved heap", () => {
  const bytes = () => {
    const heap = makeHeap();
    return heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
  };
  const codeOf = async (source: Uint8Array) => {
    const errors = [await refusal(Heap.load(source)), await refusal(Heap.load(Readable.from([source])))];
    for (const error of errors) expect(error).toBeInstanceOf(ImageError);
    return errors.map(({ code }) => code);
  };

  it("is foreign: named so", async () => {
    expect(await codeOf(new Uint8Array(0))).toEqual(["IMAGE_FOREIGN", "IMAGE_FOREIGN"]);
    expect(
      await codeOf(new TextEncoder().encode("PK\u0003\u0004 something else entirely".repeat(10))),
    ).toEqual(["IMAGE_FOREIGN", "IMAGE_FOREIGN"]);
  });

  it("is cut off", async () => {
    const whole = bytes();
    for (const length of [3, 20, 64, 100, 2000, whole.length - 1])
      expect(await codeOf(whole.subarray(0, length))).toEqual(["IMAGE_TRUNCATED", "IMAGE_TRUNCATED"]);
  });

  it("is too long", async () => {
    expect(await codeOf(Uint8Array.from([...bytes(), 0]))).toEqual(["IMAGE_CORRUPT", "IMAGE_CORRUPT"]);
  });

  it("has a bit flipped, wherever", async () => {
    const whole = bytes();
    for (const at of [8, 12, 40, 60, 70, 900, 10_000, whole.length - 10, whole.length - 1]) {
      const damaged = whole.slice();
      damaged[at] ^= 4;
      expect(await codeOf(damaged)).toEqual(["IMAGE_CORRUPT", "IMAGE_CORRUPT"]);
    }
  });
});

describe("the lines that made the roots", () => {
  const every = { handles: { every: 1 } } as const;
  const isRecorded = { checks: every, maximumBytes: 8 << 20 };

  function withLine(bytes: Uint8Array, line: unknown): Uint8Array {
    return described(bytes, ({ roots: [[name, address], ...others] }) => ({
      roots: [[name, address, line], ...others],
    }));
  }

  it("travel with them: of the handle that was named, or of one that holds the object", async () => {
    const heap = makeHeap(isRecorded);
    function makeNode() {
      return heap.new(Node, { next: {} });
    }
    const node = makeNode();
    const second = retain(node);
    const bytes = heap.saveBytes({ roots: { second, borrowed: node.next!, node } });
    const { heap: other } = await load(bytes, { types: [Node], ...isRecorded });
    const lines = roots(other).map(({ madeAt }) => madeAt.split("\n")[0]);
    expect(lines).toEqual([
      expect.stringMatching(/image\.test\.ts:\d+:\d+\)?$/),
      expect.anything(), // no handle has made it: what is known is who loads it
      expect.stringMatching(/^makeNode \(.*image\.test\.ts/),
    ]);
    expect(lines[0]).not.toMatch(/makeNode/);
    expect(description(bytes).roots.map((root) => root.length)).toEqual([3, 2, 3]);
    expect(description(heap.saveBytes()).roots[0][2]).toMatch(/^makeNode/);
    expect(takeSnapshot(other).retainingPath(1)).toContain("image.test.ts");
    release(second);
  });

  it("come back in what is saved again, and in errors", async () => {
    const heap = makeHeap(isRecorded);
    const bytes = heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
    const loaded = await load(bytes, { types: [Node], ...isRecorded });
    expect(loaded.heap.saveBytes({ roots: loaded.roots })).toEqual(bytes);
    const { node } = loaded.roots;
    release(node);
    expect(() => release(node)).toThrow(/made at .*image\.test\.ts/);
  });

  it("are neither saved nor kept where a heap keeps none, and an image without them loads", async () => {
    const heap = makeHeap({ checks: "off" });
    const bytes = heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
    expect(description(bytes).roots).toEqual([["node", expect.any(Number)]]);
    await load(bytes, { types: [Node], ...isRecorded });
    const recorded = makeHeap(isRecorded);
    const { heap: other } = await load(recorded.saveBytes({ roots: { node: recorded.new(Node, {}) } }), {
      checks: "off",
    });
    expect(roots(other)).toEqual([]);
  });

  it("are cut where a stack is longer than anybody reads", () => {
    const heap = makeHeap(isRecorded);
    const node = heap.new(Node, {});
    const [record] = Heap.contextOf(heap).handles.records;
    for (const [madeAt, saved] of [
      [`first\n${"x".repeat(5000)}`, "first"],
      ["y".repeat(5000), "y".repeat(4096)],
    ]) {
      Object.assign(record, { madeAt });
      expect(description(heap.saveBytes({ roots: { node } })).roots[0][2]).toBe(saved);
    }
  });

  it("are a stranger's: a wrong one is refused, and the rest is only text", async () => {
    const heap = makeHeap({ checks: "off" });
    const bytes = heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
    for (const line of [null, 7, {}, ["a"], true, "x".repeat(4097)]) {
      const error = await refusal(Heap.load(withLine(bytes, line)));
      expect([error, error.code, error.message]).toEqual([
        expect.any(ImageError),
        "IMAGE_INVALID",
        expect.stringMatching(/the line that made the root "node" is /),
      ]);
    }
    const evil = "\u001b[2J<script>\"'\u202e\nsecond";
    const loaded = await load(withLine(bytes, evil), isRecorded);
    expect(roots(loaded.heap)[0].madeAt).toBe(evil);
    const drawing = showBackrefs(loaded.roots.node);
    const shown = [
      takeSnapshot(loaded.heap).retainingPath(1),
      drawing.text(),
      drawing.dot(),
      leakText(heldNow(loaded.heap)),
      messageOf("DOUBLE_RELEASE", () => [1, 2].forEach(() => void release(loaded.roots.node))),
    ];
    for (const text of shown) {
      expect(text).toContain("\\u{1b}[2J");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      expect(text).not.toMatch(/[\u001b\u202e]/);
    }
    expect(drawing.dot()).not.toContain("<script>");
  });
});
