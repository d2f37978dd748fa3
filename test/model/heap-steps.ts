/** Steps about handles, scopes, copies and the collector; and rings of objects, for it to find. */
import { expect } from "vitest";
import type { Effect, Obj, Plan } from "./graph.js";
import { copyPlainGraph, sameGraph, toPlain } from "./plain.js";
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
  Triple,
  TupleOfOne,
  TYPES,
  Wide,
} from "./schema.js";
import { asDict, asList, asSet, type Session } from "./session.js";
import { type Arguments, effectOf, nth, Planner, type WeightedStep } from "./specs.js";

export const HEAP_STEPS: readonly WeightedStep[] = [
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
