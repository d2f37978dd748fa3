/**
 * The model: a heap as plain objects with explicit edges.
 *
 * Nothing here counts. A reference count is the number of edges, handles and temporaries that lead to an object, summed
 * up anew each time; what is garbage is what a mark phase does not reach. Of CPython's collector the model has only what a program
 * can see: what is tracked, in which order the generations list it, when a collection starts and what it returns.
 */
import type { Borrowed } from "../../src/index.js";
import { ListOfAny, type ScalarValue, type Slot, stored, type Type, zeroFor } from "./schema.js";

export type Value = ScalarValue | Obj;

export class Obj {
  readonly type: Type;
  /** struct and tuple: by slot; list: the items. */
  values: Value[] = [];
  /** dict: keys and values; set: members, each with null. */
  entries = new Map<Value, Value>();
  isAlive = true;
  isTracked = false;
  /** dict and set: how often entries may have moved: an open iteration may refuse to go on then, and only then. */
  moves = 0;
  hasHoles = false;
  /** A borrowed reference to the real object, and its identity. */
  view: Borrowed | undefined;
  id = 0;

  constructor(type: Type) {
    this.type = type;
  }

  /** What it refers to, one entry a reference, in CPython's visit order. */
  get referents(): Obj[] {
    const { kind } = this.type;
    if (kind === "struct") return this.values.filter(isObj);
    if (kind === "list" || kind === "tuple") return this.values.filter(isObj).reverse();
    return [...this.entries].flatMap(([key, value]) => [value, key].filter(isObj));
  }
}

export function isObj(value: unknown): value is Obj {
  return value instanceof Obj;
}

/** What a program was refused: both sides must refuse the same. */
export class Refused extends Error {}

/** A value, or how to build one. */
export type Plan =
  | { readonly kind: "value"; readonly value: Value }
  | {
      readonly kind: "literal";
      readonly type: Type;
      readonly parts: readonly Plan[];
      readonly isLazy: boolean;
    }
  /** dict: one entry of a literal. */
  | { readonly kind: "entry"; readonly key: Plan; readonly value: Plan }
  /** A value that no slot takes. */
  | { readonly kind: "bad" }
  /** A field that the literal leaves out. */
  | { readonly kind: "missing" }
  /** Code that a literal runs before it comes to a value: a getter's, an iterator's. */
  | { readonly kind: "effect"; readonly effect: Effect; readonly then: Plan };
/** What user code does in the middle of something else. A handle is meant by its number among those that there are. */
export type Effect =
  | { readonly do: "collect"; readonly generation: 0 | 1 | 2 }
  | { readonly do: "release"; readonly handle: number }
  | { readonly do: "empty"; readonly handle: number }
  | { readonly do: "new" };

export const FULL = 2;
export const PERMANENT = 3;
/** How often `checks: "stress"` collects everything. */
const STRESS_FULL_EVERY = 1000;

export interface GraphOptions {
  /** The real heap runs under `stress`: every allocation of a collectable object collects. */
  readonly isStress: boolean;
}

export class Graph {
  private readonly isStress: boolean;
  private stressAllocations = 0;
  readonly live = new Set<Obj>();
  /** Objects that JavaScript holds, one entry a handle. */
  readonly handles: Obj[] = [];
  /** References that an operation under way holds. */
  readonly held: Obj[] = [];
  /** `gc.garbage`. */
  garbage: Obj[] = [];
  /** Tracked objects in list order: generations 0, 1, 2 and the permanent one. */
  readonly generations: Obj[][] = [[], [], [], []];
  counts = [0, 0, 0];
  thresholds = [700, 10, 10];
  isEnabled = true;
  savesAll = false;
  private isCollecting = false;
  private longLivedTotal = 0;
  private longLivedPending = 0;
  readonly stats = [0, 1, 2].map(() => ({ collections: 0, collected: 0, uncollectable: 0 }));
  /** What `gc.callbacks` do, one call after the other. */
  callbacks: Effect[] = [];
  /** Objects that died, newest last. */
  readonly dead: Obj[] = [];

  constructor(options: GraphOptions) {
    this.isStress = options.isStress;
  }

  // -- counts and death -----------------------------------------------------------------------

  /** References to each object. */
  refcounts(): Map<Obj, number> {
    const counts = new Map<Obj, number>();
    const count = (object: Obj) => counts.set(object, (counts.get(object) ?? 0) + 1);
    for (const object of [...this.handles, ...this.held, ...this.garbage]) count(object);
    for (const object of this.live) object.referents.forEach(count);
    return counts;
  }

  /** Everything that nothing refers to dies, until nothing changes. */
  reap(): void {
    for (;;) {
      const counts = this.refcounts();
      const dying = [...this.live].filter((object) => !counts.has(object));
      if (dying.length === 0) return;
      for (const object of dying) this.die(object);
      const freed = dying.filter((object) => object.type.isGc).length;
      this.counts[0] = Math.max(0, this.counts[0] - freed);
    }
  }

  private die(object: Obj): void {
    this.live.delete(object);
    this.dead.push(object);
    object.isAlive = false;
    object.values = [];
    object.entries = new Map();
    this.untrack(object);
  }

  /** What can be reached from some objects, they included. */
  reach(roots: Iterable<Obj>, isInside: (object: Obj) => boolean = () => true): Set<Obj> {
    const reached = new Set([...roots].filter(isInside));
    for (const object of reached)
      for (const referent of object.referents) if (isInside(referent)) reached.add(referent);
    return reached;
  }

  /** What a program can come to, in the order in which a walk from its handles meets it. */
  reachable(): Obj[] {
    return [...this.reach(this.handles)];
  }

  // -- tracking -------------------------------------------------------------------------------

  private track(object: Obj): void {
    object.isTracked = true;
    this.generations[0].push(object);
  }

  private untrack(object: Obj): void {
    object.isTracked = false;
    for (const generation of this.generations) {
      const index = generation.indexOf(object);
      if (index >= 0) generation.splice(index, 1);
    }
  }

  /** Whether holding this is a reason to be tracked (§2.4). */
  private isContainer(value: Value): boolean {
    return isObj(value) && value.type.isGc && (value.type.kind !== "tuple" || value.isTracked);
  }

  /** §2.5: a dict is tracked from its first container on. */
  private beforeStore(dict: Obj, value: Value): void {
    if (!dict.isTracked && dict.type.isGc && this.isContainer(value)) this.track(dict);
  }

  // -- allocating -----------------------------------------------------------------------------

  /** A new object, held by the operation under way. */
  private allocate(type: Type): Obj {
    if (type.isGc) this.countAllocation();
    const object = new Obj(type);
    this.live.add(object);
    this.held.push(object);
    if (type.isGc && type.kind !== "dict") this.track(object);
    return object;
  }

  /** §3.3: the allocation that passes the threshold collects first, and is then not counted. */
  private countAllocation(): void {
    const [threshold] = this.thresholds;
    const isOn = this.isEnabled && !this.isCollecting && threshold !== 0;
    this.counts[0]++;
    if (!isOn) return;
    if (this.isStress) {
      const isFull = ++this.stressAllocations % STRESS_FULL_EVERY === 0;
      this.collect(isFull ? FULL : Math.max(0, this.pick()));
    } else if (this.counts[0] > threshold) {
      const generation = this.pick();
      if (generation >= 0) this.collect(generation);
    }
  }

  /** §3.4. */
  private pick(): number {
    const isDue = (generation: number) => this.counts[generation] > this.thresholds[generation];
    if (isDue(2) && this.longLivedPending >= Math.floor(this.longLivedTotal / 4)) return 2;
    if (isDue(1)) return 1;
    return isDue(0) ? 0 : -1;
  }

  // -- collecting -----------------------------------------------------------------------------

  /** §4. Returns how many tracked objects were unreachable. */
  collect(generation: number): number {
    if (this.isCollecting) return 0;
    this.isCollecting = true;
    this.callBack();
    this.counts = this.counts.map((count, index) => {
      if (index <= generation) return 0;
      return index === generation + 1 ? count + 1 : count;
    });
    const candidates = [...this.generations[generation]];
    for (let younger = 0; younger < generation; younger++) candidates.push(...this.generations[younger]);
    for (let index = 0; index <= generation; index++) this.generations[index] = [];

    const { survivors, unreachable } = this.split(candidates);
    const old = this.promote(generation, survivors);
    const collected = unreachable.length;
    if (this.savesAll) {
      this.garbage.push(...unreachable);
      this.generations[old].push(...unreachable);
    } else for (const object of unreachable) this.die(object);
    this.reap();
    this.stats[generation].collections++;
    this.stats[generation].collected += collected;
    this.callBack();
    this.isCollecting = false;
    return collected;
  }

  /**
   * Which candidates something outside reaches, by a mark phase; and in which order they are listed afterwards: those
   * that only an object behind them reaches go to the end as they are found.
   */
  private split(candidates: Obj[]): { survivors: Obj[]; unreachable: Obj[] } {
    const members = new Set(candidates);
    const isMember = (object: Obj) => members.has(object);
    const outside = [...this.live].filter((object) => !members.has(object));
    const roots = new Set([
      ...this.handles,
      ...this.held,
      ...this.garbage,
      ...outside.flatMap((object) => object.referents),
    ]);
    const reached = this.reach(roots, isMember);

    const survivors: Obj[] = [];
    const passed = new Set<Obj>();
    const found = new Set<Obj>();
    const queue = [...candidates];
    for (const object of queue) {
      if (!roots.has(object) && !found.has(object)) {
        passed.add(object);
        continue;
      }
      survivors.push(object);
      for (const referent of object.referents.filter(isMember)) {
        if (passed.delete(referent)) queue.push(referent);
        found.add(referent);
      }
    }
    if (survivors.length !== reached.size || survivors.some((object) => !reached.has(object)))
      throw new Error("the model contradicts itself: order and mark phase disagree on what is reachable");
    return { survivors, unreachable: candidates.filter((object) => !reached.has(object)) };
  }

  private promote(generation: number, survivors: Obj[]): number {
    const old = Math.min(generation + 1, 2);
    this.generations[old].push(...survivors);
    this.untrackAll(survivors, "tuple");
    if (generation === 1) this.longLivedPending += survivors.filter((object) => object.isTracked).length;
    if (generation === 2) {
      this.untrackAll(survivors, "dict");
      this.longLivedTotal = this.generations[2].length;
      this.longLivedPending = 0;
    }
    return old;
  }

  /** §2.5, §2.6: one by one in list order, so that an inner tuple that comes later still counts for an outer one. */
  private untrackAll(objects: Obj[], kind: "tuple" | "dict"): void {
    for (const object of objects)
      if (object.type.kind === kind && !object.referents.some((referent) => this.isContainer(referent)))
        this.untrack(object);
  }

  freeze(): void {
    for (const generation of [0, 1, 2])
      this.generations[PERMANENT].push(...this.generations[generation].splice(0));
    this.counts = [0, 0, 0];
  }

  unfreeze(): void {
    this.generations[2].push(...this.generations[PERMANENT].splice(0));
  }

  // -- handles --------------------------------------------------------------------------------

  retain(object: Obj): void {
    this.handles.push(object);
  }

  release(index: number): void {
    this.handles.splice(index, 1);
    this.reap();
  }

  private callBack(): void {
    const effect = this.callbacks.shift();
    if (effect !== undefined) this.run(effect);
  }

  run(effect: Effect): void {
    if (effect.do === "collect") this.collect(effect.generation);
    else if (effect.do === "new") this.make({ kind: "literal", type: ListOfAny, parts: [], isLazy: false });
    else if (this.handles.length > 0) {
      const index = effect.handle % this.handles.length;
      if (effect.do === "release") this.release(index);
      else this.empty(this.handles[index]);
    }
  }

  /** Clear a container, or a struct's fields that may be null. */
  private empty(object: Obj): void {
    const { kind, slots } = object.type;
    if (kind === "tuple") return;
    if (kind !== "struct") {
      this.clear(object);
      return;
    }
    for (const [index, slot] of slots.entries()) if (slot.isOptional) object.values[index] = null;
    this.reap();
  }

  // -- building -------------------------------------------------------------------------------

  /** Build what a plan says and turn the operation's reference into a handle. */
  make(plan: Plan): Obj {
    const object = this.own(plan, undefined);
    if (!isObj(object)) throw new Error("not an object");
    this.disown(object);
    this.retain(object);
    return object;
  }

  /** The value of a plan for a slot. If it is an object, it is held until `disown`. */
  own(plan: Plan, slot: Slot | undefined): Value {
    switch (plan.kind) {
      case "value":
        if (!isObj(plan.value)) return slot === undefined ? plan.value : stored(slot, plan.value);
        if (!plan.value.isAlive) throw new Refused("stale");
        this.held.push(plan.value);
        return plan.value;
      case "literal":
        return this.build(plan.type, plan.parts);
      case "effect":
        this.run(plan.effect);
        return this.own(plan.then, slot);
      case "missing":
        return this.ownZero(slot!);
      default:
        throw new Refused(plan.kind);
    }
  }

  private ownZero(slot: Slot): Value {
    const zero = zeroFor(slot);
    if (zero !== undefined) return zero;
    const [target] = slot.targets();
    if (target.kind === "struct" || target.kind === "tuple") throw new Refused("required");
    return this.allocate(target);
  }

  /** The operation gives up one reference that it holds: to a slot, a handle, or nobody. */
  disown(value: Value): void {
    if (!isObj(value)) return;
    this.held.splice(this.held.lastIndexOf(value), 1);
  }

  /** Children before their parent, in slot order; a container before its items. */
  private build(type: Type, parts: readonly Plan[]): Obj {
    if (type.kind === "struct" || type.kind === "tuple") {
      const values = type.slots.map((slot, index) => this.own(parts[index] ?? { kind: "missing" }, slot));
      const object = this.allocate(type);
      object.values = values;
      for (const value of values) this.disown(value);
      return object;
    }
    const container = this.allocate(type);
    for (const part of parts) {
      if (type.kind === "list") this.push(container, [part]);
      else if (type.kind === "set") this.add(container, part);
      else this.setEntry(container, part);
    }
    return container;
  }

  /** The operation ends in an error: it lets go of everything. */
  abandon(): void {
    this.held.length = 0;
    this.reap();
  }

  // -- writing --------------------------------------------------------------------------------

  setField(object: Obj, index: number, plan: Plan): void {
    const value = this.own(plan, object.type.slots[index]);
    this.requireAlive(object);
    object.values[index] = value;
    this.disown(value);
    this.reap();
  }

  private requireAlive(object: Obj): void {
    if (!object.isAlive) throw new Refused("stale");
  }

  /** Append all or none. */
  push(list: Obj, plans: readonly Plan[]): void {
    const values = plans.map((plan) => this.own(plan, list.type.slots[0]));
    this.requireAlive(list);
    list.values.push(...values);
    for (const value of values) this.disown(value);
  }

  insert(list: Obj, index: number, plan: Plan): void {
    const value = this.own(plan, list.type.slots[0]);
    this.requireAlive(list);
    list.values.splice(Math.min(index, list.values.length), 0, value);
    this.disown(value);
  }

  setItem(list: Obj, index: number, plan: Plan): void {
    const value = this.own(plan, list.type.slots[0]);
    this.requireAlive(list);
    const { length } = list.values;
    const position = index < 0 ? index + length : index;
    // Building the item may have made the list shorter.
    if (position < 0 || position >= length) throw new Refused("index");
    list.values[position] = value;
    this.disown(value);
    this.reap();
  }

  assign(list: Obj, plans: readonly Plan[]): void {
    const values = plans.map((plan) => this.own(plan, list.type.slots[0]));
    this.requireAlive(list);
    list.values = values;
    for (const value of values) this.disown(value);
    this.reap();
  }

  /** Take an item out, for the caller to hold as a handle if it is an object. */
  take(list: Obj, index: number): Value {
    const [value] = list.values.splice(index, 1);
    if (isObj(value)) this.retain(value);
    return value;
  }

  delete(list: Obj, index: number): void {
    list.values.splice(index, 1);
    this.reap();
  }

  clear(container: Obj): void {
    container.values = [];
    if (container.type.kind === "dict" || container.type.kind === "set") container.moves++;
    container.entries.clear();
    container.hasHoles = false;
    this.reap();
  }

  /** A dict takes the value first, then looks the key up. */
  setEntry(dict: Obj, plan: Plan): void {
    if (plan.kind === "effect") {
      this.run(plan.effect);
      this.setEntry(dict, plan.then);
      return;
    }
    if (plan.kind !== "entry") throw new Refused(plan.kind);
    const value = this.own(plan.value, dict.type.slots[1]);
    this.requireAlive(dict);
    const key = this.own(plan.key, dict.type.slots[0]);
    this.beforeStore(dict, value);
    this.insertKey(dict, key, value);
    this.disown(key);
    this.disown(value);
    this.reap();
  }

  add(set: Obj, plan: Plan): void {
    const member = this.own(plan, set.type.slots[0]);
    this.requireAlive(set);
    if (!set.entries.has(member)) this.insertKey(set, member, null);
    this.disown(member);
  }

  private insertKey(table: Obj, key: Value, value: Value): void {
    if (!table.entries.has(key)) {
      this.beforeStore(table, key);
      if (table.hasHoles) table.moves++;
    }
    table.entries.set(key, value);
  }

  deleteEntry(table: Obj, key: Value): boolean {
    const wasThere = table.entries.delete(key);
    if (wasThere) table.hasHoles = true;
    this.reap();
    return wasThere;
  }

  /** Take an entry out; its value is the caller's, as a handle if it is an object. */
  takeEntry(dict: Obj, key: Value): Value | undefined {
    const value = dict.entries.get(key);
    if (isObj(value)) this.retain(value);
    this.deleteEntry(dict, key);
    return value;
  }

  // -- plain graphs -----------------------------------------------------------------------------

  /** An empty container that `heap.from` makes; it holds it until all is copied. */
  shell(type: Type): Obj {
    return this.allocate(type);
  }

  // -- what else must be true -------------------------------------------------------------------

  /**
   * What is alive, said without counts: what a handle reaches, and what hangs on a cycle. Nothing else may be left of
   * what was alive before.
   */
  aliveByReachability(): Set<Obj> {
    const roots = [...this.handles, ...this.held, ...this.garbage];
    const isOnCycle = (object: Obj) => this.reach(object.referents).has(object);
    return this.reach([...roots, ...[...this.live].filter(isOnCycle)]);
  }
}
