/** A real heap beside the model: every operation is done to both, and then everything visible is compared. */
import { expect } from "vitest";
import {
  type Any,
  type Borrowed,
  DoubleReleaseError,
  type Generation,
  type Handle,
  Heap,
  HeapError,
  id,
  is,
  isA,
  type Owned,
  refcount,
  release,
  retain,
  typeName,
  UseAfterReleaseError,
} from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import { isStress, isVerify } from "../support/heaps.js";
import { type Effect, Graph, isObj, type Obj, PERMANENT, type Plan, Refused, type Value } from "./graph.js";
import {
  DictOfAny,
  ListOfAny,
  ListOfPair,
  MapOfAny,
  Mixed,
  Named,
  Pair,
  PairToAny,
  SetOfAny,
  Triple,
  TYPES,
  type Type,
  Wide,
} from "./schema.js";

/** A reference of which the compiler knows no type. */
export type Loose = Borrowed & { [name: string]: unknown };
export interface AnyList extends Borrowed, Iterable<unknown> {
  readonly length: number;
  at(index: number): unknown;
  set(index: number, item: unknown): void;
  push(...items: unknown[]): number;
  pop(): unknown;
  insert(index: number, item: unknown): void;
  delete(index: number): boolean;
  take(index: number): unknown;
  indexOf(item: unknown): number;
  clear(): void;
  assign(items: Iterable<unknown>): void;
  forEach(visit: (item: unknown, index: number) => void): void;
}
export interface AnyDict extends Borrowed, Iterable<[unknown, unknown]> {
  readonly size: number;
  has(key: unknown): boolean;
  get(key: unknown): unknown;
  set(key: unknown, value: unknown): this;
  delete(key: unknown): boolean;
  take(key: unknown): unknown;
  clear(): void;
  keys(): IterableIterator<unknown>;
  values(): IterableIterator<unknown>;
}
export interface AnySet extends Borrowed, Iterable<unknown> {
  readonly size: number;
  has(item: unknown): boolean;
  add(item: unknown): this;
  delete(item: unknown): boolean;
  clear(): void;
}
export const asList = (view: Borrowed) => view as unknown as AnyList;
export const asDict = (view: Borrowed) => view as unknown as AnyDict;
export const asSet = (view: Borrowed) => view as unknown as AnySet;
type AnyHandle = Handle<Borrowed>;

/** Dead objects and released handles that are looked at again after each step: the newest. */
const DEAD_PROBED = 24;
/** Steps between two full verifications, which cost more than the rest together. */
const VERIFY_EVERY = 8;
const MEMORY_BYTES = 4 << 20;

/** `expect(found).toBe(expected)`, at the price of a comparison where they are the same: there are millions. */
function same(found: unknown, expected: unknown, what: () => string): void {
  if (!Object.is(found, expected)) expect(found, what()).toBe(expected);
}

/** What a program may start with: types that much can be done to. */
const STARTERS = [
  Pair,
  ListOfAny,
  DictOfAny,
  Mixed,
  MapOfAny,
  SetOfAny,
  Wide,
  Triple,
  ListOfPair,
  PairToAny,
  Named,
];
export const STARTERS_MAX = STARTERS.length;

/** A borrowed reference to what a handle holds. */
export function borrow(heap: Heap, ref: Borrowed): Borrowed {
  const { binder } = Heap.contextOf(heap);
  return binder.view(id(ref) / 4) as unknown as Borrowed;
}

export interface SessionOptions {
  /** Whether allocations collect. */
  readonly isAutomatic: boolean;
  /** How many objects there are from the start, one of a type. */
  readonly startingObjects: number;
}

export class Session {
  readonly heap: Heap;
  readonly graph: Graph;
  readonly handles: AnyHandle[] = [];
  /** No use of them may succeed. */
  private readonly released: AnyHandle[] = [];
  private callbacks: Effect[] = [];
  private steps = 0;

  constructor({ isAutomatic, startingObjects }: SessionOptions) {
    // A stack is taken for each handle that is recorded: some are enough.
    const checks = isStress || isVerify ? {} : { checks: { handles: { every: 16 } } };
    this.heap = Heap.create({ maximumBytes: MEMORY_BYTES, ...checks });
    this.heap.onLeakedHandle = () => {};
    this.heap.onUnraisable = (error) => {
      throw error;
    };
    this.heap.gc.callbacks.push(() => {
      const effect = this.callbacks.shift();
      if (effect !== undefined) this.runReal(effect);
    });
    this.graph = new Graph({ isStress });
    // Small, so that a short program comes to collections of every generation.
    if (isAutomatic) this.setThresholds([3, 1, 1]);
    else this.setEnabled(false);
    for (const type of STARTERS.slice(0, startingObjects))
      this.make({ kind: "literal", type, parts: [], isLazy: false });
    this.check();
  }

  /** Let go of everything: nothing may be left. */
  finish(): void {
    this.setCallbacks([]);
    this.setEnabled(false);
    verify(this.heap);
    this.graph.savesAll = false;
    this.heap.gc.setDebug(0);
    this.both(
      () => this.graph.unfreeze(),
      () => this.heap.gc.unfreeze(),
    );
    while (this.handles.length > 0) this.release(this.handles.length - 1);
    this.both(
      () => {
        this.graph.garbage = [];
        this.graph.reap();
      },
      () => this.heap.gc.garbage.clear(),
    );
    this.check();
    this.collect(2);
    this.check();
    verify(this.heap);
  }

  close(): void {
    this.heap[Symbol.dispose]();
  }

  // -- doing things to both -------------------------------------------------------------------

  /** Do one thing to the model and to the heap. If the model refuses it, the heap must, and nothing has changed. */
  both(model: () => void, real: () => void): void {
    let isRefused = false;
    try {
      model();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      isRefused = true;
      this.graph.abandon();
    }
    try {
      real();
    } catch (error) {
      if (!isRefused || !(error instanceof HeapError)) throw error;
      return;
    }
    expect(isRefused, "whether the operation is refused").toBe(false);
  }

  setThresholds(thresholds: readonly [number, number, number]): void {
    this.graph.thresholds = [...thresholds];
    this.heap.gc.setThreshold(...thresholds);
  }

  setEnabled(isEnabled: boolean): void {
    this.graph.isEnabled = isEnabled;
    if (isEnabled) this.heap.gc.enable();
    else this.heap.gc.disable();
  }

  /** `heap.new`. */
  make(plan: Plan): void {
    if (plan.kind !== "literal") throw new Error("a literal is needed");
    this.both(
      () => this.graph.make(plan),
      () => this.handles.push(this.heap.new(plan.type.heapType, this.real(plan) as never) as AnyHandle),
    );
  }

  retain(object: Obj): void {
    this.both(
      () => this.graph.retain(object),
      () => this.handles.push(retain(object.view!)),
    );
  }

  release(index: number): void {
    this.both(
      () => this.graph.release(index),
      () => this.releaseReal(index),
    );
  }

  private releaseReal(index: number): void {
    const [handle] = this.handles.splice(index, 1);
    release(handle);
    this.released.push(handle);
  }

  /** What the model took out of a container and holds, the heap has handed over. */
  receive(expected: Value | undefined, taken: unknown): void {
    if (isObj(expected)) {
      expect(is(taken as Borrowed, expected.view!)).toBe(true);
      this.handles.push(taken as AnyHandle);
    } else expect(taken).toBe(expected);
  }

  collect(generation: Generation): void {
    let expected = 0;
    this.both(
      () => {
        expected = this.graph.collect(generation);
      },
      () => expect(this.heap.gc.collect(generation), "collected").toBe(expected),
    );
  }

  // -- plans as JavaScript --------------------------------------------------------------------

  /** What a program writes for a plan. */
  real(plan: Plan): unknown {
    switch (plan.kind) {
      case "value":
        return isObj(plan.value) ? plan.value.view : plan.value;
      case "bad":
        return Symbol("no slot takes this");
      case "missing":
        return undefined;
      case "entry":
        return [this.real(plan.key), this.real(plan.value)];
      case "effect":
        this.runReal(plan.effect);
        return this.real(plan.then);
      default:
        return this.realLiteral(plan.type, plan.parts, plan.isLazy);
    }
  }

  private realLiteral(type: Type, parts: readonly Plan[], isLazy: boolean): unknown {
    if (type.kind === "struct") return this.realFields(type, parts);
    const mustWait = isLazy || parts.some(({ kind }) => kind === "effect");
    return type.kind !== "tuple" && mustWait ? this.realItems(parts) : parts.map((part) => this.real(part));
  }

  /** Each part is made when the heap asks for it. */
  *realItems(parts: readonly Plan[]): Generator<unknown> {
    for (const part of parts) yield this.real(part);
  }

  private realFields(type: Type, parts: readonly Plan[]): object {
    const literal = {};
    for (const [index, part] of parts.entries()) {
      const { name } = type.slots[index];
      const shared = { enumerable: true, configurable: true };
      if (part.kind === "effect")
        Object.defineProperty(literal, name, { get: () => this.real(part), ...shared });
      else if (part.kind !== "missing")
        Object.defineProperty(literal, name, { value: this.real(part), ...shared });
    }
    return literal;
  }

  setCallbacks(effects: readonly Effect[]): void {
    this.callbacks = [...effects];
    this.graph.callbacks = [...effects];
  }

  private runReal(effect: Effect): void {
    if (effect.do === "collect") this.heap.gc.collect(effect.generation);
    else if (effect.do === "new")
      this.handles.push(this.heap.new(ListOfAny.heapType, [] as never) as AnyHandle);
    else if (this.handles.length > 0) {
      const index = effect.handle % this.handles.length;
      if (effect.do === "release") this.releaseReal(index);
      else this.empty(this.handles[index]);
    }
  }

  private empty(view: Borrowed): void {
    const type = TYPES.find(({ heapType }) => isA(heapType, view))!;
    if (type.kind === "tuple") return;
    if (type.kind !== "struct") asList(view).clear();
    else for (const { name, isOptional } of type.slots) if (isOptional) (view as Loose)[name] = null;
  }

  // -- comparing ------------------------------------------------------------------------------

  /** Everything that can be seen is as the model says. */
  check(): void {
    this.checkHandles();
    this.checkGenerations();
    this.checkObjects();
    this.checkDead();
    this.checkCollector();
    if (this.steps++ % VERIFY_EVERY === 0) verify(this.heap);
  }

  private checkHandles(): void {
    same(this.handles.length, this.graph.handles.length, () => "handles");
    for (const [index, object] of this.graph.handles.entries()) this.meet(object, this.handles[index]);
  }

  /** The model's object and a reference to it: the first meeting, or the same as before. */
  private meet(object: Obj, ref: Borrowed): void {
    if (object.view === undefined) {
      object.view = borrow(this.heap, ref);
      object.id = id(ref);
      const { kind, name } = object.type;
      same(typeName(ref), kind === "struct" ? name : kind, () => "type");
    } else same(is(object.view, ref), true, () => `is the same ${object.type.name} as before`);
  }

  /** The lists, object by object, in order. */
  private checkGenerations(): void {
    const { gc } = this.heap;
    for (const generation of [0, 1, 2] as const) {
      const expected = this.graph.generations[generation];
      const found = gc.getObjects(generation);
      same(found.length, expected.length, () => `objects in generation ${generation}`);
      for (const [index, object] of expected.entries()) this.meet(object, found[index]);
    }
    same(gc.getFreezeCount(), this.graph.generations[PERMANENT].length, () => "frozen objects");
    const garbage = [...gc.garbage];
    same(garbage.length, this.graph.garbage.length, () => "objects in gc.garbage");
    for (const [index, object] of this.graph.garbage.entries()) this.meet(object, garbage[index]);
  }

  /** Contents, counts and tracking of what lives. What is met for the first time is found in its parent. */
  private checkObjects(): void {
    const { graph, heap } = this;
    const counts = graph.refcounts();
    const met = graph.reach([...graph.live].filter((object) => object.view !== undefined));
    for (const object of met) {
      this.checkContents(object);
      same(refcount(object.view!), counts.get(object), () => `references to a ${object.type.name}`);
      same(heap.gc.isTracked(object.view as Any), object.isTracked, () => `a ${object.type.name} is tracked`);
    }
    same(met.size, graph.live.size, () => "objects that live and that the heap led to");
  }

  private checkContents(object: Obj): void {
    const view = object.view!;
    const { kind, slots } = object.type;
    if (kind === "struct")
      for (const [index, { name }] of slots.entries())
        this.checkValue(object.values[index], (view as Loose)[name]);
    else if (kind === "list" || kind === "tuple") this.checkItems(object, asList(view));
    else this.checkEntries(object, [...(view as unknown as Iterable<unknown>)], asDict(view));
  }

  private checkItems(object: Obj, items: AnyList): void {
    same(items.length, object.values.length, () => `length of a ${object.type.name}`);
    for (const [index, value] of object.values.entries()) this.checkValue(value, items.at(index));
  }

  private checkEntries(object: Obj, found: readonly unknown[], table: AnyDict): void {
    const what = () => `size of a ${object.type.name}`;
    same(table.size, object.entries.size, what);
    same(found.length, object.entries.size, what);
    for (const [index, [key, value]] of [...object.entries].entries()) {
      if (object.type.kind === "set") this.checkValue(key, found[index]);
      else {
        const [foundKey, foundValue] = found[index] as [unknown, unknown];
        this.checkValue(key, foundKey);
        this.checkValue(value, foundValue);
        this.checkValue(value, table.get(foundKey));
      }
      same(table.has(isObj(key) ? key.view : key), true, () => `a ${object.type.name} has its key`);
    }
  }

  checkValue(expected: Value, found: unknown): void {
    if (isObj(expected)) this.meet(expected, found as Borrowed);
    else same(found, expected, () => "a value");
  }

  /** No use of a reference to a dead object succeeds, whatever stands in its place now. */
  private checkDead(): void {
    for (const [index, { view }] of this.graph.dead.slice(-DEAD_PROBED).entries())
      if (view !== undefined) expectStale(view, "STALE_REFERENCE", index + this.steps);
    for (const [index, handle] of this.released.slice(-DEAD_PROBED).entries())
      expectStale(handle, "USE_AFTER_RELEASE", index + this.steps);
  }

  private checkCollector(): void {
    const { gc } = this.heap;
    for (const [index, count] of gc.getCount().entries())
      same(count, this.graph.counts[index], () => `gc.getCount()[${index}]`);
    for (const [index, { collections, collected, uncollectable }] of gc.getStats().entries()) {
      const expected = this.graph.stats[index];
      same(collections, expected.collections, () => `collections of generation ${index}`);
      same(collected, expected.collected, () => `collected in generation ${index}`);
      same(uncollectable, 0, () => `uncollectable in generation ${index}`);
    }
  }
}

/** The ways of using a reference that is not to be used: one of them, so that a program tries all in turn. */
const USES: readonly ((ref: Borrowed) => unknown)[] = [
  refcount,
  id,
  retain,
  (ref) => is(ref, ref),
  touch,
  (ref) => release(ref as unknown as Owned),
];

/** Using a reference throws, and says why. */
export function expectStale(
  ref: Borrowed,
  code: "STALE_REFERENCE" | "USE_AFTER_RELEASE",
  which: number,
): void {
  const use = USES[which % USES.length];
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // nobody reads these errors' stacks, and there are many
  let thrown: unknown;
  try {
    use(ref);
  } catch (error) {
    thrown = error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  if (thrown instanceof UseAfterReleaseError && thrown.code === code) return;
  if (thrown instanceof DoubleReleaseError && code === "USE_AFTER_RELEASE") return;
  throw new Error(`a dead reference to a ${typeName(ref)} could be used: ${String(thrown)}`);
}

/** Read something of an object by the means of its own kind. */
function touch(ref: Borrowed): void {
  switch (typeName(ref)) {
    case "list":
      return void asList(ref).length;
    case "dict":
      return void asDict(ref).size;
    case "set":
      return void asSet(ref).has(null);
    case "tuple":
      return void (ref as Loose)[0];
    default:
      for (const name in ref) if (!name.startsWith("@")) return void (ref as Loose)[name];
  }
}
