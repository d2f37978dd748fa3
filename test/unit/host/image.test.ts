/** What is the same in a heap that was saved and loaded: its objects, its roots, and what it has of JavaScript. */
import { describe, expect, it } from "vitest";
import * as lib from "../../../src/index.js";
import {
  any,
  bool,
  dict,
  f64,
  foreign,
  Heap,
  InvalidArgumentError,
  i32,
  is,
  isA,
  list,
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
import { verify } from "../../../src/inspect/index.js";
import { randomFrom } from "../../fuzz/damage.mjs";
import { build, declare, exercise } from "../../fuzz/worlds.mjs";
import { isStress, makeHeap, size } from "../../support/heaps.js";
import { load, Node, refusal, travel } from "./image-support.js";

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
