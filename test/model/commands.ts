/**
 * The steps of a random program. A step is a few numbers; what they mean is decided when it runs, by what there is then, so
 * that a program stays a program while fast-check takes steps out of it.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { ConcurrentModificationError, InvalidArgumentError } from "../../src/index.js";
import { type Effect, type Graph, isObj, type Obj, type Plan, type Value } from "./graph.js";
import { copyPlainGraph, type PlainGraph, plainGraph, sameGraph, toPlain } from "./plain.js";
import {
  DictOfAny,
  ListOfAny,
  MapOfAny,
  Mixed,
  Named,
  One,
  Pair,
  SetOfAny,
  type Slot,
  scalarFor,
  stored,
  Triple,
  TupleOfOne,
  TYPES,
  type Type,
  Wide,
} from "./schema.js";
import { asDict, asList, asSet, type Session } from "./session.js";

const HANDLES_MAX = 14;
const OBJECTS_MAX = 120;

// -- values -----------------------------------------------------------------------------------------

/** A value as numbers: what it becomes depends on the slot and on what there is. */
export interface Spec {
  readonly choice: number;
  readonly n: number;
  readonly parts: readonly Spec[];
}

const nat = fc.nat(0xffff);
const spec: fc.Arbitrary<Spec> = fc.letrec<{ spec: Spec }>((tie) => ({
  spec: fc.record({
    choice: fc.nat(99),
    n: nat,
    parts: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      fc.constant([]),
      fc.array(tie("spec"), { maxLength: 4 }),
    ),
  }),
})).spec;

/** Out of 100: a spec becomes a value that no slot takes, or runs code on the way. */
const BAD_BELOW = 2;
const EFFECT_BELOW = 8;
const SCALAR_BELOW = 35;
const OLD_BELOW = 75;

class Planner {
  private readonly graph: Graph;
  constructor(graph: Graph) {
    this.graph = graph;
  }

  /** A value for a slot: a scalar, an object that exists, or a literal. */
  value(slot: Slot, { choice, n, parts }: Spec): Plan {
    if (choice < BAD_BELOW) return { kind: "bad" };
    const old = choice < OLD_BELOW ? this.existing(slot, n) : undefined;
    if (choice >= SCALAR_BELOW && old !== undefined) return { kind: "value", value: old };
    const scalar = scalarFor(slot, n);
    const target = this.target(slot);
    if (target !== undefined && (scalar === undefined || choice >= OLD_BELOW)) {
      if (old !== undefined) return { kind: "value", value: old };
      return this.literal(target, n, parts);
    }
    const value = scalar ?? (slot.isOptional ? null : undefined);
    return value === undefined ? { kind: "bad" } : { kind: "value", value };
  }

  /** The type that a literal in this slot becomes, where there is only one. */
  private target(slot: Slot): Type | undefined {
    const targets = slot.targets();
    return targets.length === 1 ? targets[0] : undefined;
  }

  /** An object that a program has come to and may store here. */
  private existing(slot: Slot, n: number): Obj | undefined {
    if (slot.kind !== "any" && slot.kind !== "ref") return undefined;
    const targets = slot.targets();
    return nth(
      this.graph
        .reachable()
        // In the middle of a step some may have been made that the session has not met yet.
        .filter(({ type, view }) => view !== undefined && (slot.kind === "any" || targets.includes(type))),
      n,
    );
  }

  literal(type: Type, n: number, parts: readonly Spec[]): Plan {
    return { kind: "literal", type, parts: this.parts(type, parts), isLazy: n % 2 === 1 };
  }

  parts(type: Type, specs: readonly Spec[]): Plan[] {
    if (type.kind === "struct") return type.slots.map((slot, index) => this.field(slot, specs[index]));
    if (type.kind === "tuple")
      return type.slots.map((slot, index) =>
        this.value(slot, specs[index] ?? { choice: 99, n: 0, parts: [] }),
      );
    return specs.map((part) => this.withEffect(part, this.part(type, part)));
  }

  /** A list's or set's item, or a dict's entry. */
  part(type: Type, part: Spec): Plan {
    if (type.kind === "dict") return this.entry(type, part);
    // No literal is a member of a set: it could never be looked up.
    return type.kind === "set" ? this.key(type.slots[0], part) : this.value(type.slots[0], part);
  }

  private field(slot: Slot, given: Spec | undefined): Plan {
    if (given !== undefined) return this.withEffect(given, this.value(slot, given));
    const [target] = slot.targets();
    const isRequired = slot.kind === "ref" && !slot.isOptional && target.kind === "struct";
    return isRequired ? this.literal(target, 0, []) : { kind: "missing" };
  }

  private withEffect({ choice, n }: Spec, then: Plan): Plan {
    return choice < EFFECT_BELOW ? { kind: "effect", effect: effectOf(choice, n), then } : then;
  }

  entry(type: Type, part: Spec): Plan {
    const [key, value] = type.slots;
    const [first, second] = part.parts;
    return {
      kind: "entry",
      key: this.key(key, first ?? part),
      value: this.value(value, second ?? { ...part, n: part.n >> 3 }),
    };
  }

  /** A key is a value or an object that exists. */
  key(slot: Slot, part: Spec): Plan {
    const old = part.choice >= SCALAR_BELOW || slot.kind === "ref" ? this.existing(slot, part.n) : undefined;
    const value = old ?? scalarFor(slot, part.n);
    return value === undefined || part.choice < BAD_BELOW ? { kind: "bad" } : { kind: "value", value };
  }
}

function effectOf(choice: number, n: number): Effect {
  if (choice % 2 === 0) return { do: "collect", generation: (n % 3) as 0 | 1 | 2 };
  return choice % 4 === 1 ? { do: "release", handle: n } : { do: "empty", handle: n };
}

function nth<T>(values: readonly T[], n: number): T | undefined {
  return values[n % values.length];
}

// -- steps --------------------------------------------------------------------------------------------

interface Step {
  readonly name: string;
  /** What it works on must be there. */
  readonly needs?: Type["kind"] | "handle" | "object";
  /** Whether it makes objects or handles: not when there are many. */
  readonly grows?: boolean;
  run(session: Session, args: Arguments, target: Obj): void;
}

interface Arguments {
  readonly target: number;
  readonly n: number;
  readonly m: number;
  readonly specs: readonly Spec[];
  readonly plain: PlainGraph | undefined;
}

const ZERO: Spec = { choice: 99, n: 0, parts: [] };

const STEPS: readonly (readonly [weight: number, step: Step])[] = [
  [
    14,
    {
      name: "new",
      grows: true,
      run: (session, { n, m, specs }) => {
        session.make(new Planner(session.graph).literal(nth(TYPES, n)!, m, specs));
      },
    },
  ],
  [
    16,
    {
      name: "setField",
      needs: "struct",
      run: (session, { n, specs }, target) => {
        const index = n % target.type.slots.length;
        const slot = target.type.slots[index];
        const plan = new Planner(session.graph).value(slot, specs[0] ?? ZERO);
        session.both(
          () => session.graph.setField(target, index, plan),
          () => {
            (target.view as unknown as Record<string, unknown>)[slot.name] = session.real(plan);
          },
        );
      },
    },
  ],
  [
    2,
    {
      name: "clearField",
      needs: "struct",
      run: (session, { n }, target) => {
        const index = n % target.type.slots.length;
        const slot = target.type.slots[index];
        if (!slot.isOptional) return;
        session.both(
          () => session.graph.setField(target, index, { kind: "value", value: null }),
          () => {
            (target.view as unknown as Record<string, unknown>)[slot.name] = null;
          },
        );
      },
    },
  ],
  [
    8,
    {
      name: "push",
      needs: "list",
      grows: true,
      run: (session, { specs }, target) => {
        const planner = new Planner(session.graph);
        const plans = specs.map((part) => planner.value(target.type.slots[0], part));
        session.both(
          () => session.graph.push(target, plans),
          () => asList(target.view!).push(...plans.map((plan) => session.real(plan))),
        );
      },
    },
  ],
  [
    2,
    {
      name: "insert",
      needs: "list",
      grows: true,
      run: (session, { n, specs }, target) => {
        const index = n % (target.values.length + 1);
        const plan = new Planner(session.graph).value(target.type.slots[0], specs[0] ?? ZERO);
        session.both(
          () => session.graph.insert(target, index, plan),
          () => asList(target.view!).insert(index, session.real(plan)),
        );
      },
    },
  ],
  [
    2,
    {
      name: "setItem",
      needs: "list",
      run: (session, { n, specs }, target) => {
        const { length } = target.values;
        const plan = new Planner(session.graph).value(target.type.slots[0], specs[0] ?? ZERO);
        if (length === 0) {
          expect(() => asList(target.view!).set(0, null)).toThrow(InvalidArgumentError);
          return;
        }
        const index = n % 2 === 0 ? n % length : (n % length) - length;
        session.both(
          () => session.graph.setItem(target, index, plan),
          () => asList(target.view!).set(index, session.real(plan)),
        );
      },
    },
  ],
  [
    4,
    {
      name: "take",
      needs: "list",
      run: (session, { n, m }, target) => {
        const { length } = target.values;
        const list = asList(target.view!);
        if (length === 0) {
          expect([list.pop(), list.take(n), list.delete(n)]).toEqual([undefined, undefined, false]);
          return;
        }
        const isPop = m % 2 === 0;
        const index = isPop ? length - 1 : n % length;
        let taken: Value | undefined;
        session.both(
          () => {
            taken = session.graph.take(target, index);
          },
          () => session.receive(taken, isPop ? list.pop() : list.take(m % 4 === 1 ? index : index - length)),
        );
      },
    },
  ],
  [
    2,
    {
      name: "delete",
      needs: "list",
      run: (session, { n }, target) => {
        const { length } = target.values;
        if (length === 0) return;
        const index = n % length;
        session.both(
          () => session.graph.delete(target, index),
          () => expect(asList(target.view!).delete(n % 2 === 0 ? index : index - length)).toBe(true),
        );
      },
    },
  ],
  [
    2,
    {
      name: "assign",
      needs: "list",
      grows: true,
      run: (session, { n, specs }, target) => {
        const plans = new Planner(session.graph).parts(target.type, specs);
        session.both(
          () => session.graph.assign(target, plans),
          () => {
            const isLazy = n % 2 === 1 || plans.some(({ kind }) => kind === "effect");
            asList(target.view!).assign(isLazy ? session.realItems(plans) : [...session.realItems(plans)]);
          },
        );
      },
    },
  ],
  [
    10,
    {
      name: "setEntry",
      needs: "dict",
      grows: true,
      run: (session, { specs }, target) => {
        const plan = new Planner(session.graph).entry(target.type, specs[0] ?? ZERO);
        session.both(
          () => session.graph.setEntry(target, plan),
          () => {
            const [key, value] = session.real(plan) as [unknown, unknown];
            asDict(target.view!).set(key, value);
          },
        );
      },
    },
  ],
  [
    4,
    {
      name: "removeEntry",
      needs: "dict",
      run: (session, { n, m, specs }, target) => {
        const key = keyFor(session, target, n, specs[0]);
        if (key === undefined) return;
        const dict = asDict(target.view!);
        const realKey = isObj(key) ? key.view : key;
        if (m % 2 === 0) {
          let isThere = false;
          session.both(
            () => {
              isThere = session.graph.deleteEntry(target, key);
            },
            () => expect(dict.delete(realKey)).toBe(isThere),
          );
          return;
        }
        let taken: Value | undefined;
        session.both(
          () => {
            taken = session.graph.takeEntry(target, key);
          },
          () => session.receive(taken, dict.take(realKey)),
        );
      },
    },
  ],
  [
    6,
    {
      name: "add",
      needs: "set",
      grows: true,
      run: (session, { specs }, target) => {
        const planner = new Planner(session.graph);
        for (const part of specs) {
          const plan = planner.key(target.type.slots[0], part);
          session.both(
            () => session.graph.add(target, plan),
            () => asSet(target.view!).add(session.real(plan)),
          );
        }
      },
    },
  ],
  [
    3,
    {
      name: "removeMember",
      needs: "set",
      run: (session, { n, specs }, target) => {
        const member = keyFor(session, target, n, specs[0]);
        if (member === undefined) return;
        let isThere = false;
        session.both(
          () => {
            isThere = session.graph.deleteEntry(target, member);
          },
          () => expect(asSet(target.view!).delete(isObj(member) ? member.view : member)).toBe(isThere),
        );
      },
    },
  ],
  [
    2,
    {
      name: "clear",
      needs: "object",
      run: (session, _, target) => {
        if (target.type.kind === "struct" || target.type.kind === "tuple") return;
        session.both(
          () => session.graph.clear(target),
          () => asList(target.view!).clear(),
        );
      },
    },
  ],
  [
    4,
    {
      name: "iterate",
      needs: "object",
      run: (session, { n, specs }, target) => iterate(session, n, specs, target),
    },
  ],
  [
    4,
    {
      name: "retain",
      needs: "object",
      grows: true,
      run: (session, _, target) => session.retain(target),
    },
  ],
  [
    7,
    {
      name: "release",
      needs: "handle",
      run: (session, { n }) => session.release(n % session.handles.length),
    },
  ],
  [12, { name: "ring", grows: true, run: (session, args) => makeRing(session, args) }],
  [2, { name: "scope", grows: true, run: (session, args) => runScope(session, args) }],
  [
    1,
    {
      name: "callbacks",
      run: (session, { specs }) => {
        const effects = specs.map(({ n }): Effect => (n % 4 === 3 ? { do: "new" } : effectOf(n % 4, n >> 2)));
        session.setCallbacks(effects);
      },
    },
  ],
  [
    3,
    {
      name: "from",
      grows: true,
      run: (session, { plain }) => {
        if (plain !== undefined) copyPlainGraph(session, plain);
      },
    },
  ],
  [
    2,
    {
      name: "toJS",
      needs: "object",
      run: (session, _, target) => sameGraph(session.heap.toJS(target.view!), toPlain(target)),
    },
  ],
  [6, { name: "collect", run: (session, { n }) => session.collect((n % 3) as 0 | 1 | 2) }],
  [3, { name: "collectAll", run: (session) => collectAll(session) }],
  [
    1,
    {
      name: "freeze",
      run: (session) => {
        session.both(
          () => session.graph.freeze(),
          () => session.heap.gc.freeze(),
        );
      },
    },
  ],
  [
    1,
    {
      name: "unfreeze",
      run: (session) => {
        session.both(
          () => session.graph.unfreeze(),
          () => session.heap.gc.unfreeze(),
        );
      },
    },
  ],
  [1, { name: "enable", run: (session, { n }) => session.setEnabled(n % 3 !== 0) }],
  [
    1,
    {
      name: "setThreshold",
      run: (session, { n, m }) => session.setThresholds([(n % 7) - 1, m % 3, (m >> 4) % 3]),
    },
  ],
  [
    1,
    {
      name: "saveAll",
      run: (session, { n }) => {
        session.graph.savesAll = n % 2 === 0;
        session.heap.gc.setDebug(n % 2 === 0 ? 32 : 0);
      },
    },
  ],
  [
    1,
    {
      name: "clearGarbage",
      run: (session) => {
        session.both(
          () => {
            session.graph.garbage = [];
            session.graph.reap();
          },
          () => session.heap.gc.garbage.clear(),
        );
      },
    },
  ],
];

/** Types that can hold one another, whatever they are; and types that can hold their own kind. */
const HOLDERS = [ListOfAny, Mixed, DictOfAny, MapOfAny, SetOfAny];
const KINDS = [...HOLDERS, One, Pair, Triple, Named, Wide, ListOfAny];

/** Make a few objects that refer to each other in a ring, and to some that were there; let go of all but perhaps one. */
function makeRing(session: Session, { target, n, m, specs }: Arguments): void {
  const { graph } = session;
  const first = graph.handles.length;
  const length = 1 + (target % 4);
  for (let index = 0; index < length; index++) {
    const type = n % 2 === 0 ? nth(KINDS, n >> 1)! : nth(HOLDERS, (n >> 1) + index * (m % 5))!;
    session.make(new Planner(graph).literal(type, m, specs[index]?.parts ?? []));
    session.check();
  }
  const made = graph.handles.slice(first);
  for (const [index, object] of made.entries()) link(session, object, made[(index + 1) % made.length]);
  if (m % 4 === 0 && made.length > 0) {
    // A tuple cannot be changed: it comes last, and is on the ring because its item leads to it.
    const parts = [{ kind: "value", value: made[0] }] as const;
    session.make({ kind: "literal", type: TupleOfOne, parts, isLazy: false });
    session.check();
    link(session, made[made.length - 1], graph.handles[graph.handles.length - 1]);
  }
  const kept = m % 3 === 0 ? 1 : 0;
  while (graph.handles.length > first + kept)
    session.release(graph.handles.length - 1 - (n % (graph.handles.length - first)));
}

/** Make one object refer to another, if it has a slot for it. */
function link(session: Session, from: Obj, to: Obj): void {
  const { graph } = session;
  const { kind, slots } = from.type;
  if (!from.isAlive || !to.isAlive) return;
  const plan: Plan = { kind: "value", value: to };
  const takes = (slot: Slot) => slot.kind === "any" || slot.targets().includes(to.type);
  const index = slots.findLastIndex(takes);
  if (index < 0) return;
  if (kind === "struct")
    session.both(
      () => graph.setField(from, index, plan),
      () => {
        (from.view as unknown as Record<string, unknown>)[slots[index].name] = to.view;
      },
    );
  else if (kind === "list")
    session.both(
      () => graph.push(from, [plan]),
      () => asList(from.view!).push(to.view),
    );
  else if (kind === "set")
    session.both(
      () => graph.add(from, plan),
      () => asSet(from.view!).add(to.view),
    );
  else if (kind === "dict") {
    const key: Plan = { kind: "value", value: from.type === MapOfAny ? to : "ring" };
    session.both(
      () => graph.setEntry(from, { kind: "entry", key, value: plan }),
      () => asDict(from.view!).set(from.type === MapOfAny ? to.view : "ring", to.view),
    );
  }
}

/** Make several things in a scope, of which at most one leaves it. */
function runScope(session: Session, { n, m, specs }: Arguments): void {
  const { graph, heap } = session;
  const plans = specs.map((part) => {
    const planner = new Planner(graph);
    return planner.literal(nth(TYPES, part.n)!, m, part.parts);
  }) as (Plan & { kind: "literal" })[];
  const escaping = n % (plans.length + 1);
  session.both(
    () => {
      // Held by the scope, and by no handle that anything else could release.
      const made = plans.map((plan) => graph.own(plan, undefined) as Obj);
      if (escaping < made.length) graph.retain(made[escaping]);
      for (const object of made) graph.disown(object);
      graph.reap();
    },
    () => {
      const escaped = heap.scope((scope) => {
        const made = plans.map((plan) => scope.new(plan.type.heapType, session.real(plan) as never));
        return made[escaping] ?? null;
      });
      if (escaped !== null) session.handles.push(escaped as never);
    },
  );
}

/** A key to look up: one that is there, or one that could be. */
function keyFor(session: Session, table: Obj, n: number, part: Spec | undefined): Value | undefined {
  if (table.entries.size > 0 && n % 4 !== 0) return nth([...table.entries.keys()], n);
  const plan = new Planner(session.graph).key(table.type.slots[0], part ?? ZERO);
  if (plan.kind !== "value") return undefined;
  return isObj(plan.value) ? plan.value : stored(table.type.slots[0], plan.value);
}

/**
 * After a full collection nothing is left but what a handle reaches. (Frozen objects, `gc.garbage` and structs that were
 * promised to be on no cycle are roots as well, as long as they live.)
 */
function collectAll(session: Session): void {
  const { graph } = session;
  session.setCallbacks([]); // which might leave new garbage behind
  session.collect(2);
  const isRoot = (object: Obj) => object.type.name === "Pin" || graph.generations[3].includes(object);
  const roots = [...graph.handles, ...graph.garbage, ...[...graph.live].filter(isRoot)];
  const reached = graph.reach(roots);
  const left = [...graph.live].filter((object) => !reached.has(object)).map(({ type }) => type.name);
  expect(left, "what a full collection leaves, though nothing reaches it").toEqual([]);
}

// -- iterating while the container changes -----------------------------------------------------------

/**
 * Iterate a container and change it meanwhile. The model's container is an Array or a Map of the host, so its own
 * iterator says what must come next; a dict or set may instead refuse to go on if its entries have moved.
 */
function iterate(session: Session, n: number, specs: readonly Spec[], target: Obj): void {
  const { kind } = target.type;
  if (kind === "struct" || kind === "tuple") return;
  if (kind === "list") iterateList(session, n, specs, target);
  else iterateTable(session, n, specs, target);
}

function iterateList(session: Session, n: number, specs: readonly Spec[], target: Obj): void {
  const list = asList(target.view!);
  const items = list[Symbol.iterator]();
  // By index: the model's array is replaced by `clear`, and Array's iterator is the index and the length read anew.
  for (let index = 0, step = 0; ; index++, step++) {
    const next = items.next();
    if (index >= target.values.length) {
      expect(next).toEqual({ done: true, value: undefined });
      break;
    }
    expect(next.done).toBe(false);
    session.checkValue(target.values[index], next.value);
    const part = specs[step];
    if (part === undefined) continue;
    if (part.choice % 3 === 0) session.both(...changeList(session, part, target));
    else if (part.choice % 3 === 1 && target.values.length > 0) {
      session.both(
        () => session.graph.delete(target, n % target.values.length),
        () => list.delete(n % list.length),
      );
    } else if (part.choice < 10) {
      session.both(
        () => session.graph.clear(target),
        () => list.clear(),
      );
    }
    if (!target.isAlive) return;
  }
  expect(items.next().done, "an iterator that has ended stays ended").toBe(true);
}

function changeList(session: Session, part: Spec, target: Obj): [() => void, () => void] {
  const plan = new Planner(session.graph).value(target.type.slots[0], part);
  return [
    () => session.graph.push(target, [plan]),
    () => {
      asList(target.view!).push(session.real(plan));
    },
  ];
}

function iterateTable(session: Session, n: number, specs: readonly Spec[], target: Obj): void {
  const table = asDict(target.view!);
  const expected = target.entries.keys();
  const found =
    target.type.kind === "set" || n % 2 === 0
      ? (table as unknown as Iterable<unknown>)[Symbol.iterator]()
      : table.keys();
  const keyOf = (value: unknown) =>
    target.type.kind === "dict" && n % 2 === 0 ? (value as [unknown, unknown])[0] : value;
  const movesBefore = target.moves;
  for (let step = 0; ; step++) {
    let next: IteratorResult<unknown>;
    try {
      next = found.next();
    } catch (error) {
      expect(error).toBeInstanceOf(ConcurrentModificationError);
      expect(target.moves, "moves of entries that excuse an iterator").toBeGreaterThan(movesBefore);
      return;
    }
    const wanted = expected.next();
    expect(next.done === true).toBe(wanted.done === true);
    if (wanted.done === true) break;
    session.checkValue(wanted.value, keyOf(next.value));
    const part = specs[step];
    if (part !== undefined) changeTable(session, n, part, target);
    if (!target.isAlive) return;
  }
  expect(found.next().done, "an iterator that has ended stays ended").toBe(true);
}

function changeTable(session: Session, n: number, part: Spec, target: Obj): void {
  const planner = new Planner(session.graph);
  const table = asDict(target.view!);
  if (part.choice % 2 === 0) {
    const plan = planner.part(target.type, part);
    session.both(
      () => (plan.kind === "entry" ? session.graph.setEntry(target, plan) : session.graph.add(target, plan)),
      () => {
        const real = session.real(plan);
        if (plan.kind === "entry") table.set(...(real as [unknown, unknown]));
        else asSet(table).add(real);
      },
    );
    return;
  }
  const key = keyFor(session, target, n, part);
  if (key === undefined) return;
  session.both(
    () => session.graph.deleteEntry(target, key),
    () => table.delete(isObj(key) ? key.view : key),
  );
}

// -- commands of fast-check -------------------------------------------------------------------------

class StepCommand implements fc.Command<Graph, Session> {
  private readonly step: Step;
  private readonly args: Arguments;
  constructor(step: Step, args: Arguments) {
    this.step = step;
    this.args = args;
  }

  private target(graph: Graph): Obj | undefined {
    const { needs } = this.step;
    const objects = graph.reachable().filter(({ type }) => needs === "object" || type.kind === needs);
    return nth(objects, this.args.target);
  }

  check(graph: Readonly<Graph>): boolean {
    const { needs, grows } = this.step;
    const isFull = graph.handles.length >= HANDLES_MAX || graph.live.size >= OBJECTS_MAX;
    if (grows === true && isFull) return false;
    if (needs === undefined) return true;
    return needs === "handle" ? graph.handles.length > 0 : this.target(graph as Graph) !== undefined;
  }

  run(graph: Graph, session: Session): void {
    this.step.run(session, this.args, this.target(graph)!);
    session.check();
  }

  toString(): string {
    const { plain, ...args } = this.args;
    return `${this.step.name}(${JSON.stringify(plain === undefined ? args : this.args)})`;
  }
}

function commandFor(step: Step): fc.Arbitrary<StepCommand> {
  return fc
    .record({
      target: nat,
      n: nat,
      m: nat,
      specs: fc.array(spec, { maxLength: 5 }),
      plain: step.name === "from" ? plainGraph : fc.constant(undefined),
    })
    .map((args) => new StepCommand(step, args));
}

/** Programs of up to so many steps. */
export function programs(maxCommands: number, replayPath?: string) {
  // A weight is given by repetition: `fc.commands` takes each of its arbitraries as often as any other.
  const commands = STEPS.flatMap(([weight, step]) =>
    new Array<fc.Arbitrary<StepCommand>>(weight).fill(commandFor(step)),
  );
  return fc.commands(commands, { maxCommands, size: "max", ...(replayPath !== undefined && { replayPath }) });
}
