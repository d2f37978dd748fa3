/** Steps that make objects and change, read and remove what is in them. */
import { expect } from "vitest";
import { InvalidArgumentError } from "../../src/index.js";
import { isObj, type Value } from "./graph.js";
import { iterate } from "./iterate.js";
import { TYPES } from "./schema.js";
import { asDict, asList, asSet } from "./session.js";
import { keyFor, nth, Planner, type WeightedStep, ZERO } from "./specs.js";

export const CONTENT_STEPS: readonly WeightedStep[] = [
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
];
