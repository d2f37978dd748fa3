/** Worlds of objects whose deaths run user code, and what that code may do. */
import {
  any,
  type Borrowed,
  type Checks,
  dict,
  finalizer,
  Heap,
  i32,
  isA,
  list,
  OutOfMemoryError,
  type Owned,
  optional,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
  typeName,
  weak,
} from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import { liveObjects } from "../unit/host/support.js";
import { size } from "./heaps.js";

/** What a bomb does when it dies, in the world that is being tested. */
let explode: ((dead: Bomb | undefined) => void) | undefined;

/** Set what bombs do from now on. */
export function setExplosion(run: typeof explode): void {
  explode = run;
}
/** What a callback does that is none of a bomb's. */
export function explodeNow(): void {
  explode?.(undefined);
}

export class Bomb extends struct("Bomb", {
  label: i32,
  get next() {
    return optional(Bomb);
  },
  get others() {
    return optional(list(Bomb));
  },
}) {
  [finalizer]() {
    explode?.(this as unknown as Bomb);
  }
}
/** A bomb that no collection looks at. */
export class Leaf extends struct("Leaf", { label: i32, text: str }) {
  [finalizer]() {
    explode?.(undefined);
  }
}
export class Quiet extends struct("Quiet", {
  label: i32,
  get next() {
    return optional(Quiet);
  },
}) {}
export class Holder extends struct("Holder", {
  get bomb() {
    return optional(Bomb);
  },
  mixed: any,
  leaf: optional(Leaf),
  get bombs() {
    return list(Bomb);
  },
  get weakly() {
    return optional(weak(Bomb));
  },
}) {}
export const Big = struct("Big", Object.fromEntries(Array.from({ length: 24 }, (_, n) => [`f${n}`, any])));
export const bombs = list(Bomb);
export const numbers = list(i32);
export const mixedList = list(any);
export const byName = dict(str, Bomb);
export const byAny = dict(any, any);
export const members = set(any);
export const pair = tuple(Bomb, any);

export type Kind = "finalizer" | "callback";

export class World {
  readonly heap: Heap;
  readonly kind: Kind;
  private readonly handles = new Set<Owned>();
  readonly reported: unknown[] = [];
  readonly saved: Owned[] = [];
  readonly holder;
  readonly list;
  readonly mixed;
  readonly dict;
  readonly table;
  readonly set;
  readonly lone;
  readonly neighbours: Owned[] = [];
  readonly baseline: number;
  private serial = 0;

  constructor(kind: Kind, checks: Checks, maximumBytes: number) {
    this.kind = kind;
    this.heap = Heap.create({ checks, maximumBytes });
    this.heap.onUnraisable = (error) => this.reported.push(error);
    this.heap.gc.disable();
    for (const type of [Holder, bombs, mixedList, byName, byAny, members, pair, Quiet, Big, numbers])
      release(
        this.heap.new(
          type as never,
          (type === pair ? [{}, 0] : type === Holder || type === Quiet || type === Big ? {} : []) as never,
        ),
      );
    this.baseline = liveObjects(this.heap);
    const make = () => this.bomb();
    const [a, b, c] = [make(), make(), make()];
    this.holder = this.own(
      this.heap.new(Holder, { bomb: a, mixed: b, leaf: { label: 1, text: "leaf" }, bombs: [c, make()] }),
    );
    this.list = this.own(this.heap.new(bombs, Array.from({ length: 6 }, make)));
    this.mixed = this.own(this.heap.new(mixedList, [1, make(), "text", make(), null, make()]));
    this.dict = this.own(
      this.heap.new(
        byName,
        ["a", "b", "c", "d"].map((key) => [key, make()] as [string, Bomb]),
      ),
    );
    this.table = this.own(this.heap.new(byAny, []));
    for (let n = 0; n < 4; n++) this.table.set(make(), make());
    this.table.set(1, make());
    this.table.set("text", make());
    this.set = this.own(this.heap.new(members, []));
    for (let n = 0; n < 4; n++) this.set.add(make());
    this.lone = this.bomb();
    for (let n = 0; n < 3; n++) this.neighbours.push(this.bomb());
    // Everything but these belongs to a container now.
    const kept = new Set<Owned>([...this.neighbours, this.lone, this.holder, this.list, this.mixed]);
    for (const handle of [this.dict, this.table, this.set]) kept.add(handle);
    for (const handle of [...this.handles]) if (!kept.has(handle)) this.free(handle);
  }

  own<H extends Owned>(handle: H): H {
    this.handles.add(handle);
    return handle;
  }

  /** Release a handle, unless user code has. */
  free(handle: Owned): void {
    if (this.handles.delete(handle)) release(handle);
  }

  freeAll(): void {
    for (const handle of [...this.handles]) this.free(handle);
    for (const handle of this.saved.splice(0)) release(handle);
  }

  bomb() {
    const bomb = this.own(this.heap.new(Bomb, { label: ++this.serial }));
    this.arm(bomb);
    return bomb;
  }

  /** Where bombs have callbacks instead of finalizers' actions, give one to this. */
  arm(bomb: Borrowed): void {
    if (this.kind === "callback") this.own(this.heap.weakref.ref(bomb, (ref) => explode?.(ref as never)));
  }

  /** A cycle that nothing refers to, for the next automatic collection. */
  litter(): void {
    const first = this.heap.new(Bomb, { label: 1000 });
    this.arm(first);
    const second = this.heap.new(Bomb, { label: 1001, next: first });
    first.next = second;
    release(second);
    release(first);
    this.heap.gc.enable();
    this.heap.gc.setThreshold(1);
  }

  snapshot(): unknown {
    const show = (value: unknown) =>
      typeof value !== "object" || value === null
        ? value
        : isA(Bomb, value as never)
          ? `bomb ${(value as Bomb).label}`
          : typeName(value as Borrowed);
    const { bomb, mixed, leaf, weakly } = this.holder;
    return {
      holder: [show(bomb), show(mixed), leaf?.text, [...this.holder.bombs].map(show), show(weakly)],
      list: [...this.list].map(show),
      mixed: [...this.mixed].map(show),
      dict: [...this.dict].map(([key, value]) => [key, show(value)]),
      table: [...this.table].map((entry) => entry.map(show)),
      set: [...this.set].map(show),
    };
  }
}

// -- what user code does ----------------------------------------------------------------------

export interface Action {
  /** Leaves the containers alone, so that a verb's result is the usual one. */
  readonly isInert: boolean;
  run(world: World, dead: Bomb | undefined): void;
}

const few = size(200);

/** Large objects first, so that hardly a word is left. */
function exhaust({ heap, saved }: World): void {
  const makers = [16_000, 1000, 100, 10, 1].map((length) => () => heap.new(numbers, Array(length).fill(0)));
  for (const make of [...makers, () => heap.new(Quiet, {}), () => heap.new(Leaf, { text: "t" })])
    try {
      for (;;) saved.push(make());
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
}

export const actions: Record<string, Action> = {
  "does nothing": { isInert: true, run: () => {} },
  throws: {
    isInert: true,
    run: () => {
      throw new Error("boom");
    },
  },
  "allocates much": {
    isInert: true,
    run: ({ heap }) => {
      for (let n = 0; n < few; n++) release(heap.new(mixedList, [1, "text", n]));
      const held = Array.from({ length: few }, () => heap.new(Big, {}));
      for (const handle of held) release(handle);
    },
  },
  collects: {
    isInert: true,
    run: ({ heap }) => {
      heap.gc.collect(0);
      heap.gc.collect();
    },
  },
  verifies: { isInert: true, run: ({ heap }) => verify(heap) },
  "resurrects what dies": {
    isInert: true,
    run: ({ saved }, dead) => {
      if (dead !== undefined) saved.push(retain(dead as never));
    },
  },
  "looks at all objects and keeps them": {
    isInert: true,
    run: ({ heap, saved }) => {
      for (const object of heap.gc.getObjects()) {
        saved.push(retain(object) as Owned);
        for (const holder of heap.gc.getReferrers(object)) saved.push(retain(holder) as Owned);
        for (const ref of heap.weakref.getWeakrefs(object)) {
          const target = ref.deref();
          if (target !== undefined) saved.push(target);
        }
        if (saved.length > 200) return;
      }
    },
  },
  "freezes and thaws": {
    isInert: true,
    run: ({ heap }) => {
      heap.gc.freeze();
      heap.gc.unfreeze();
    },
  },
  "clears the containers": {
    isInert: false,
    run: ({ holder, list, mixed, dict, table, set }) => {
      for (const container of [list, mixed, dict, table, set, holder.bombs]) container.clear();
      holder.bomb = null;
      holder.mixed = null;
      holder.leaf = null;
      holder.weakly = null;
    },
  },
  "grows the containers": {
    isInert: false,
    run: (world) => {
      const { holder, list, mixed, dict, table, set } = world;
      for (let n = 0; n < 40; n++) {
        list.insert(0, { label: n });
        holder.bombs.push({ label: n });
        mixed.push(`text ${n}`);
        dict.set(`key ${n}`, { label: n } as never);
        table.set(n, `value ${n}`);
        set.add(n);
      }
      holder.bomb = { label: 5 } as never;
      holder.mixed = "a text";
      holder.weakly = holder.bomb;
    },
  },
  "replaces the contents": {
    isInert: false,
    run: (world) => {
      const { holder, list, mixed, dict, table, set } = world;
      list.assign([{ label: 1 }, { label: 2 }]);
      mixed.assign(["a", list]);
      holder.bombs = [{ label: 3 }] as never;
      for (const key of [...dict.keys()]) dict.delete(key);
      for (const key of [...set]) set.delete(key);
      table.clear();
      table.set(list, mixed);
      set.add(table);
    },
  },
  "frees neighbours": {
    isInert: false,
    run: (world) => {
      for (const handle of world.neighbours) world.free(handle);
      world.free(world.lone);
    },
  },
  "frees the containers": { isInert: false, run: (world) => world.freeAll() },
  "takes all memory": { isInert: false, run: exhaust },
  "disposes the heap": { isInert: false, run: ({ heap }) => heap[Symbol.dispose]() },
};
