/** What the threads of the stress do to one shared heap: small random operations, and a ledger outside the heap that says what came of them. */
import {
  any,
  dict,
  f64,
  finalizer,
  type Handle,
  type Heap,
  list,
  optional,
  type Parcel,
  type Pool,
  release,
  retain,
  set,
  str,
  struct,
  type WeakReference,
  weak,
} from "../../src/index.js";

// -- the ledger -----------------------------------------------------------------------------------

/** Words of the ledger. */
export const NEXT_VALUE = 0;
export const FAILURES = 1;
export const REPAIRS = 2;
export const WRITES = 3;
export const READS = 4;
export const COLLECTIONS = 5;
export const FINALIZED = 6;
export const CALLBACKS = 7;
export const DISPOSED = 8;
export const PARCELS_SENT = 9;
export const PARCELS_RECEIVED = 10;
/** A word for each adopted value: the serial of the thread that adopts it + 1, and how often it was disposed. */
export const VALUES = 16;
export const VALUES_MAX = 1 << 22;
export const LEDGER_WORDS = VALUES + VALUES_MAX;
const SERIAL_SHIFT = 8;

/** -1: it ended before it could say so. */
export const ownerOf = (word: number): number => (word >>> SERIAL_SHIFT) - 1;
export const disposalsOf = (word: number): number => word & ((1 << SERIAL_SHIFT) - 1);

// -- types ----------------------------------------------------------------------------------------

export class Node extends struct("Node", {
  get next() {
    return optional(Node);
  },
  get friend() {
    return weak(Node);
  },
  v: f64,
  name: str,
  get kids() {
    return list(Node);
  },
}) {}
export class Mortal extends struct("Mortal", { other: any, name: str }) {
  /** Of this thread: what its finalizers count. */
  static ledger: Int32Array | undefined;
  [finalizer](): void {
    if (Mortal.ledger !== undefined) Atomics.add(Mortal.ledger, FINALIZED, 1);
  }
}
export class Item extends struct("Item", { text: str, node: any }) {}
export class Root extends struct("Root", {
  nodes: list(Node),
  byName: dict(str, Node),
  members: set(Node),
  tags: set(str),
  mixed: dict(any, any),
}) {}
export const TYPES = [Node, Mortal, Item, Root];

/** What a thread adopts. */
export interface Value {
  readonly id: number;
  isDisposed: boolean;
}

export interface WorkerTask {
  readonly token: { readonly memory: SharedArrayBuffer; readonly layoutVersion: number };
  readonly ledger: SharedArrayBuffer;
  /** Counted over all workers, from 1; 0 is the parent. */
  readonly serial: number;
  readonly name: string;
  /** Carries the Root. */
  readonly parcel: Parcel;
  readonly checks: "off" | "handles";
  /** Of a hundred guards. */
  readonly writeShare: number;
}

const NODES_MAX = 400;
const HELD_MAX = 700;

/** One thread's part in it. */
export class Mischief {
  readonly heap: Heap;
  readonly root: Handle<Root>;
  readonly ledger: Int32Array;
  readonly held: Handle<Node>[] = [];
  private readonly refs: Handle<WeakReference<Node>>[] = [];
  private readonly pool: Pool<typeof Item>;
  private readonly serial: number;
  private state: number;

  /** Under an exclusive guard. */
  constructor(heap: Heap, root: Handle<Root>, ledger: Int32Array, serial: number) {
    this.heap = heap;
    this.root = root;
    this.ledger = ledger;
    this.serial = serial;
    this.state = serial * 7919 + 1;
    Mortal.ledger = ledger;
    this.pool = heap.pool(Item, { capacity: 4, whenEmpty: "grow" });
  }

  random(below: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) | 0;
    return Math.floor(((this.state >>> 0) / 2 ** 32) * below);
  }

  fail(text: string): void {
    Atomics.add(this.ledger, FAILURES, 1);
    console.error(`thread ${this.serial}: ${text}`);
  }

  // -- under an exclusive guard ---------------------------------------------------------------

  write(steps: number): void {
    for (let step = 0; step < steps; step++) this.writeOnce();
    Atomics.add(this.ledger, WRITES, steps);
  }

  private writeOnce(): void {
    const { heap, root } = this;
    const { nodes, mixed } = root;
    const node = nodes.length === 0 ? undefined : nodes.at(this.random(nodes.length));
    switch (this.random(20)) {
      case 0:
      case 1:
      case 2:
        nodes.push({ v: this.random(100), name: `n${this.random(1000)}` });
        if (nodes.length > NODES_MAX) nodes.delete(this.random(nodes.length));
        break;
      case 3:
        if (node) root.byName.set(`k${this.random(500)}`, node);
        break;
      case 4:
        root.byName.delete(`k${this.random(500)}`);
        break;
      case 5:
        if (node) node.next = nodes.at(this.random(nodes.length)) ?? null;
        break;
      case 6:
        if (node) {
          node.kids.push({ name: "kid", next: node });
          if (node.kids.length > 5) node.kids.clear();
          node.friend = this.random(2) === 0 ? node.next : null;
        }
        break;
      case 7:
        root.tags.add(`t${this.random(300)}`);
        root.tags.delete(`t${this.random(300)}`);
        break;
      case 8:
        if (node) root.members.add(node);
        if (root.members.size > 100) root.members.clear();
        break;
      case 9:
        mixed.set(this.random(2) ? this.random(200) : `m${this.random(200)}`, this.random(100));
        break;
      case 10:
      case 11:
        this.adopt();
        break;
      case 12:
        this.makeMortals();
        break;
      case 13: {
        const item = this.pool.acquire({ text: `i${this.random(10)}` });
        if (node) item.node = node;
        if (this.random(2)) mixed.set(`m${this.random(200)}`, item);
        release(item);
        break;
      }
      case 14:
        if (node) this.watchWeakly(node);
        break;
      case 15:
        if (node && this.held.length < HELD_MAX) this.held.push(retain(node));
        break;
      case 16:
        this.releaseOne();
        break;
      case 17:
        if (this.random(40) === 0) {
          heap.gc.collect(this.random(3) as 0 | 1 | 2);
          Atomics.add(this.ledger, COLLECTIONS, 1);
        }
        break;
      case 18: {
        const ring = heap.new(Node, { name: "ring", kids: [{ v: 1 }, { v: 2 }] });
        ring.next = ring;
        release(ring);
        break;
      }
      case 19:
        if (nodes.length > 20 && this.random(20) === 0) for (let n = 0; n < 20; n++) nodes.delete(0);
        if (this.random(30) === 0) mixed.clear();
    }
  }

  private adopt(): void {
    const { heap, ledger, serial } = this;
    const id = Atomics.add(ledger, NEXT_VALUE, 1);
    if (id >= VALUES_MAX) return;
    Atomics.add(ledger, VALUES + id, (serial + 1) << SERIAL_SHIFT);
    const value: Value = { id, isDisposed: false };
    const handle = heap.adopt(
      value,
      (own: Value) => {
        if (own.isDisposed || own !== value) this.fail(`value ${id} was disposed twice`);
        own.isDisposed = true;
        Atomics.add(ledger, VALUES + id, 1);
        Atomics.add(ledger, DISPOSED, 1);
      },
      { bytes: 1000 },
    );
    if (this.random(3) > 0) this.root.mixed.set(`m${this.random(200)}`, handle);
    release(handle);
  }

  private makeMortals(): void {
    const { heap, root } = this;
    const one = heap.new(Mortal, { name: "one" });
    const two = heap.new(Mortal, { name: "two", other: one });
    if (this.random(2)) one.other = two;
    if (this.random(2)) root.mixed.set(`m${this.random(200)}`, two);
    release(one);
    release(two);
  }

  private watchWeakly(node: Node): void {
    const { ledger, refs } = this;
    refs.push(this.heap.weakref.ref(node, () => void Atomics.add(ledger, CALLBACKS, 1)));
    if (refs.length > 30) release(refs.splice(this.random(refs.length), 1)[0]);
    const target = refs[this.random(refs.length)]?.deref();
    if (target !== undefined) release(target);
  }

  /** Under any guard, or none. */
  releaseOne(): void {
    if (this.held.length > 0) release(this.held.splice(this.random(this.held.length), 1)[0]);
  }

  // -- under a shared guard -------------------------------------------------------------------

  /** Read all twice: nobody may have changed anything in between. */
  read(): void {
    const first = this.sum();
    if (this.random(3) === 0 && this.held.length < HELD_MAX)
      for (const node of this.root.nodes) if (this.random(50) === 0) this.held.push(retain(node));
    if (this.sum() !== first) this.fail("what is read under a shared guard has changed");
    this.releaseOne();
    Atomics.add(this.ledger, READS, 1);
  }

  private sum(): string {
    let sum = 0;
    const { root } = this;
    for (const node of root.nodes) sum += node.v + node.name.length + (node.next?.v ?? 0) + node.kids.length;
    for (const [key, node] of root.byName) sum += key.length + node.v;
    for (const tag of root.tags) sum += tag.length;
    for (const [, value] of root.mixed)
      if (typeof value === "number") sum += value;
      else if (typeof value === "object" && value !== null) sum += this.look(value);
    return `${sum} ${root.members.size} ${root.mixed.size}`;
  }

  /** What a foreign object shows to its own thread is alive. */
  private look(object: object): number {
    let value: Value;
    try {
      ({ value } = object as { value: Value });
    } catch (error) {
      // Another thread's, or one's that has ended.
      const { code } = error as { code?: string };
      if (code !== "WRONG_THREAD" && code !== "VALUE_DISPOSED") throw error;
      return code.length;
    }
    if (value?.isDisposed) this.fail(`value ${value.id} is disposed, and its object lives`);
    return 2;
  }

  // -- the end --------------------------------------------------------------------------------

  /** Under an exclusive guard: give up all that this thread has. */
  giveUp(): void {
    for (const handle of this.held.splice(0)) release(handle);
    for (const ref of this.refs.splice(0)) release(ref);
    release(this.root);
  }
}
