/**
 * A thread that ends before each of its stores, or before one in eleven, while it does what touches other threads: their releases, mail,
 * parcels, values, pools and weak references. Nothing of the living is lost, nothing is left over. One call of `fill`, `set` or `copyWithin` is
 * one store here. The threads are heaps over one memory in this thread; test/threads ends real ones.
 */
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { forgetHeap } from "../../../src/host/share.js";
import {
  any,
  dict,
  f64,
  finalizer,
  type Handle,
  Heap,
  type HeapToken,
  list,
  optional,
  type Parcel,
  release,
  retain,
  str,
  struct,
  type WeakReference,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { THREAD_BELL } from "../../../src/memory/layout.js";
import { forEachParcel } from "../../../src/object/parcels.js";
import { Life, useMortalAtomics } from "../../support/mortal-memory.js";
import { under } from "./shared-heap.js";

/** Every store is too many for each run: one in so many. OUROHEAP_KILLS=all ends before every one. */
const STEP = process.env.OUROHEAP_KILLS === "all" ? 1 : 11;
/** Where a repair ends. */
const PLACES = 20;

/** The thread that opens a memory now, where it is one that will end. */
const opening = vi.hoisted(() => ({ life: undefined as unknown }));
vi.mock("../../../src/memory/memory.js", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../../src/memory/memory.js")>();
  const { mortalWords } = await import("../../support/mortal-memory.js");
  class Memory extends original.Memory {
    constructor(buffer: SharedArrayBuffer, side: SharedArrayBuffer) {
      super(buffer, side);
      if (opening.life === undefined) return;
      for (const [name, value] of Object.entries(mortalWords(this, opening.life as Life)))
        Object.defineProperty(this, name, { value });
    }
  }
  return { ...original, Memory };
});

/** Nodes that are sent: those of the living thread have this and more, that of the one that ends the other number. */
const SENT = 200;
const MINE = 300;
/** More than a mailbox has room for at first. */
const VALUES = 90;

class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  v: f64,
  name: str,
}) {}
/** The thread that ends does not have this class: finalizers run in the living one. */
class Loud extends struct("Loud", { other: any }) {
  static finalized = 0;
  [finalizer]() {
    Loud.finalized++;
  }
}
const LOUD = 3;
class Item extends struct("Item", { text: str, other: any }) {}
class Root extends struct("Root", { nodes: list(Node), byName: dict(str, Node), mixed: dict(any, any) }) {}

/** The thread that lives: what it has of the heap, and what came of its values. */
class Living {
  readonly heap = Heap.create({ maximumBytes: 2 << 20, checks: "off" });
  readonly root: Handle<Root>;
  readonly token: HeapToken;
  /** How often each value was disposed. */
  readonly disposals: number[] = [];
  /** How often the callback of each watched node was called. */
  readonly calls: number[] = [];
  /** Of the root, and of a node for each of the others. */
  readonly parcels: Parcel[];
  readonly held: Handle<Node>[];
  readonly watched: Handle<WeakReference<Node>>[];
  readonly pool;
  readonly others: Heap[] = [];
  unraisable: string[] = [];

  constructor() {
    const { heap } = this;
    heap.onRepair = () => {};
    heap.onUnraisable = (error) => this.unraisable.push(String(error));
    this.root = heap.new(Root, { nodes: Array.from({ length: 6 }, (_, v) => ({ v, name: `node ${v}` })) });
    const garbage = heap.new(list(any), [this.root.nodes.at(0)!]);
    garbage.push(garbage);
    release(garbage);
    this.token = heap.share({ types: [Node, Loud, Item, Root] });
    const { root } = this;
    const guard = heap.lock();
    for (let n = 0; n < VALUES; n++) adopt(heap, root, `living value ${n}`, this.disposals);
    this.pool = heap.pool(Item, { capacity: 3 });
    for (let n = 0; n < 3; n++) {
      using item = this.pool.acquire({ text: `item ${n}` });
      root.mixed.set(`item ${n}`, item);
    }
    for (let n = 0; n < LOUD; n++) {
      using loud = heap.new(Loud, {});
      root.mixed.set(`loud ${n}`, loud);
    }
    this.held = [...root.nodes].map((node) => retain(node));
    this.watched = this.held.map((node) => {
      const number = this.calls.push(0) - 1;
      return heap.weakref.ref(node, () => void this.calls[number]++);
    });
    this.parcels = [heap.send(root), ...[1, 2, 3, 4].map((n) => this.sendNew(SENT + n))];
    guard[Symbol.dispose]();
    // These wait until somebody writes: they hold what only the root holds then.
    for (const node of this.held.splice(3)) release(node);
  }

  private sendNew(v: number): Parcel {
    using node = this.heap.new(Node, { v, name: "sent" });
    return this.heap.send(node);
  }

  get sharing() {
    return Heap.contextOf(this.heap).sharing!;
  }

  /** Another thread of this heap. @param life when it ends */
  attach(name: string, life?: Life): Heap {
    forgetHeap(Heap.contextOf(this.heap).core.memory); // which would say that this thread has it
    opening.life = life;
    try {
      const heap = Heap.attach(this.token, [Node, Item, Root], { name, checks: "off" });
      heap.onRepair = () => {};
      heap.onUnraisable = (error) => this.unraisable.push(String(error));
      this.others.push(heap);
      return heap;
    } finally {
      opening.life = undefined;
    }
  }

  /** The values that the root holds, by number. */
  valuesHeld(): number[] {
    const { mixed } = this.root;
    const held: number[] = [];
    for (let n = 0; n < VALUES; n++) {
      const object = mixed.get(`living value ${n}`) as { value: { key: string } } | null | undefined;
      if (object && object.value.key === `living value ${n}`) held.push(n);
    }
    return held;
  }

  /** All threads have ended but this one, and one more. Nobody deals with it yet. */
  endOthers(but?: number): void {
    const { threads, thread: own, lock } = this.sharing;
    for (let thread = 0; thread < threads.numbersEnd; thread++)
      if (thread !== own && thread !== but) threads.end(thread, lock);
  }

  /** Take every parcel that is under way. @returns their numbers, by what `v` their nodes have; the root's by 0 */
  takeParcels(): Map<number, number> {
    const { heap } = this;
    const found = new Map<number, number>();
    const numbers: number[] = [];
    forEachParcel(Heap.contextOf(heap).core.memory.i32, (_object, _site, parcel) => numbers.push(parcel));
    for (const parcel of numbers) {
      const message = { ...this.parcels[0], parcel };
      try {
        using node = heap.receive(Node, message);
        found.set(node.v, parcel);
      } catch (error) {
        if ((error as { code?: string }).code !== "TYPE_MISMATCH") throw error;
        release(heap.receive(Root, message));
        found.set(0, parcel);
      }
    }
    return found;
  }

  /** Their event loops do not turn any more. What waits for their mail would keep the memory, and is woken. */
  [Symbol.dispose](): void {
    const { i32 } = Heap.contextOf(this.heap).core.memory;
    for (const heap of this.others) {
      const { sharing } = Heap.contextOf(heap);
      sharing!.isOver = true;
      Atomics.notify(i32, this.sharing.threads.record(sharing!.thread) + THREAD_BELL);
    }
  }

  giveUp(): void {
    const { root } = this;
    for (const container of [root.nodes, root.byName, root.mixed]) container.clear();
    for (const handle of [...this.held.splice(0), ...this.watched.splice(0), root]) release(handle);
    this.heap.gc.collect();
  }
}

function adopt(heap: Heap, root: Handle<Root>, key: string, disposals: number[]): void {
  const number = disposals.push(0) - 1;
  using value = heap.adopt({ key }, () => void disposals[number]++, { bytes: 100 });
  root.mixed.set(key, value);
}

/** A thread that was there and has ended, which nobody has dealt with yet. */
function leaveBehind(living: Living, hasWritten: boolean): void {
  const heap = living.attach("gone");
  under(hasWritten ? heap.lock() : heap.lockShared(), () => {
    const node = heap.receive(Node, living.parcels[4]);
    if (!hasWritten) return;
    heap.weakref.ref(node, () => {});
    heap.new(list(any), [node]);
    heap.adopt({}, () => {}, { bytes: 100 });
  });
  const { sharing } = Heap.contextOf(heap);
  living.sharing.threads.end(sharing!.thread, living.sharing.lock);
}

/** What the thread that ends does, from joining to leaving. */
function program(living: Living, life: Life, mine: number[], received: Set<Parcel>): void {
  const { parcels } = living;
  const take = (number: number) => {
    received.add(parcels[number]);
    return parcels[number];
  };
  const heap = living.attach("mortal", life);
  const [root, kept] = under(heap.lock(), () => {
    const root = heap.receive(Root, take(0));
    const { nodes, mixed, byName } = root;
    release(heap.receive(Node, take(1)));
    const kept = [heap.receive(Node, take(2))];
    for (const key of ["living value 0", "item 0", "loud 0", "living value 1"]) mixed.delete(key);
    nodes.delete(5);
    nodes.delete(3);
    for (let n = 0; n < 20; n++) byName.set(`name ${n}`, nodes.at(n % 3)!);
    for (let n = 0; n < 3; n++) adopt(heap, root, `mine ${n}`, mine);
    mixed.delete("mine 0");
    kept.push(heap.new(Node, { v: MINE, next: nodes.at(0)! }));
    kept[1].next = kept[1];
    // More than the table of parcels has room for at first.
    for (let n = 0; n < 32; n++) heap.send(kept[1]);
    release(heap.weakref.ref(kept[1], () => {}));
    const pool = heap.pool(Item, { capacity: 1, whenEmpty: "grow" });
    using item = pool.acquire({ text: "mine", other: kept[1] });
    mixed.set("my item", item);
    kept.push(retain(nodes.at(0)!));
    heap.gc.collect(0);
    return [root, kept];
  });
  release(kept.pop()!);
  under(heap.lockShared(), () => {
    kept.push(retain(root.nodes.at(1)!), heap.receive(Node, take(3)));
    release(kept.shift()!);
  });
  under(heap.lock(), () => {
    release(kept.shift()!);
    root.mixed.delete("living value 2");
    heap.gc.collect();
    root.mixed.clear();
  });
  heap[Symbol.dispose]();
}

interface Play {
  /** How many stores the thread makes before it ends. */
  readonly end?: number;
  /** Whether it is the first to write: then the handles made before `share()` are in no table yet. */
  readonly isFirst?: boolean;
  /** How many stores another thread makes, which repairs the heap, before it ends too. */
  readonly repairEnd?: number;
}

/** @returns how many stores each of the two made */
function play({ end, isFirst = false, repairEnd }: Play): { stores: number; repairStores: number } {
  using living = new Living();
  Loud.finalized = 0;
  leaveBehind(living, !isFirst);
  const repairing = new Life();
  const repairer = repairEnd === undefined ? undefined : living.attach("repairer", repairing);
  const life = new Life(end);
  const disposals: number[] = [];
  const received = new Set([living.parcels[4]]);
  untilItEnds(life, () => program(living, life, disposals, received));
  living.unraisable = [];
  const begin = repairing.stores;
  if (repairer !== undefined) {
    living.endOthers(Heap.contextOf(repairer).sharing!.thread);
    repairing.end = begin + repairEnd!;
    untilItEnds(repairing, () => under(repairer.lock(), () => {}));
  }
  living.endOthers();
  const { heap } = living;
  under(heap.lock(), () => {
    expectAllThere(living, received);
    living.giveUp();
    expectNothingLeft(living);
    for (const count of disposals) expect(count).toBeLessThanOrEqual(1);
    // A repair calls none.
    expect(Loud.finalized).toBeLessThanOrEqual(LOUD);
    if (!life.isOver) expect(Loud.finalized).toBe(LOUD);
  });
  expect(living.unraisable).toEqual([]);
  heap[Symbol.dispose]();
  return { stores: life.stores, repairStores: repairing.stores - begin };
}

function untilItEnds(life: Life, body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!life.isOver) throw error;
  }
}

/** @param received the parcels that others have begun to take */
function expectAllThere(living: Living, received: ReadonlySet<Parcel>): void {
  const { heap, root, held, parcels, disposals } = living;
  verify(heap);
  const texts = ["0 node 0", "1 node 1", "2 node 2"];
  expect(held.map(({ v, name }) => `${v} ${name}`)).toEqual(texts);
  expect([0, 1, 2].map((n) => root.nodes.at(n)!).map(({ v, name }) => `${v} ${name}`)).toEqual(texts);
  for (const number of living.valuesHeld()) expect(disposals[number]).toBe(0);
  const found = living.takeParcels();
  for (const [n, parcel] of parcels.entries()) {
    const number = found.get(n === 0 ? 0 : SENT + n);
    if (number !== undefined || !received.has(parcel)) expect(number).toBe(parcel.parcel);
  }
}

function expectNothingLeft({ heap, disposals, pool, calls }: Living): void {
  verify(heap);
  for (const count of calls) expect(count).toBeLessThanOrEqual(1);
  expect(heap.gc.getObjects().length).toBe(0);
  expect([heap.adoptedCount, heap.adoptedBytes]).toEqual([0, 0]);
  expect(disposals).toEqual(new Array(VALUES).fill(1));
  expect(pool.available).toBe(pool.capacity);
  pool[Symbol.dispose]();
  const { callbacks, core } = Heap.contextOf(heap);
  expect((callbacks as unknown as { functions: Map<number, unknown> }).functions.size).toBe(0);
  // What describes the types; the empty text; and of a parcel taken under a shared guard its line, until the next parcel is sent.
  const texts = [...core.allocator.objects()].map((object) => core.strings.read(object));
  const ofTypes = /^(\{".*|str|list|dict|weakref|foreign|Root|Node|Item|Loud)$/;
  const others = texts.filter((text) => !ofTypes.test(text));
  expect([["", " "], [""]]).toContainEqual(others.sort());
}

/** Each failure with the place where it ended. */
async function playAll(plays: Iterable<Play>): Promise<string[]> {
  const failed: string[] = [];
  for (const one of plays) {
    try {
      play(one);
    } catch (error) {
      const line = /kills\.test\.ts:\d+/.exec((error as Error).stack ?? "")?.[0];
      failed.push(`${JSON.stringify(one)}: ${(error as Error).message} at ${line}`);
    }
    // What waits for mail wakes, and lets its memory go: thousands of them would fill the machine.
    await setImmediate();
  }
  return failed;
}

describe("a thread that ends before a store", { timeout: 600_000 }, () => {
  let restore: () => void;
  beforeAll(() => {
    restore = useMortalAtomics();
  });
  afterAll(() => restore());

  it.each([
    ["after another one", false],
    ["as the first to write", true],
  ])(
    "leaves a heap in which nothing of the living is lost, and nothing stays that they do not hold, %s",
    async (_, isFirst) => {
      const { stores } = play({ isFirst });
      expect(stores).toBeGreaterThan(3000);
      const ends = Array.from({ length: Math.ceil(stores / STEP) }, (_, index) => index * STEP);
      expect(await playAll(ends.map((end) => ({ end, isFirst })))).toEqual([]);
    },
  );

  it.each([
    ["after another one", false],
    ["as the first to write", true],
  ])("and one that ends while it repairs the heap leave no worse one, %s", async (_, isFirst) => {
    const { stores } = play({ isFirst });
    const plays: Play[] = [];
    // The first is while it joins.
    for (let end = 20; end < stores; end += STEP * 61) {
      const { repairStores } = play({ end, isFirst, repairEnd: Number.POSITIVE_INFINITY });
      for (let n = 0; n < PLACES; n++)
        plays.push({ end, isFirst, repairEnd: Math.floor((n / PLACES) * repairStores) });
    }
    expect(plays.length).toBeGreaterThan(3 * PLACES);
    expect(await playAll(plays)).toEqual([]);
  });
});
