/**
 * The steps of a random program. A step is a few numbers; what they mean is decided when it runs, by what there is then, so
 * that a program stays a program while fast-check takes steps out of it.
 */
import fc from "fast-check";
import { type Effect, type Graph, isObj, type Obj, type Plan, type Value } from "./graph.js";
import type { PlainGraph } from "./plain.js";
import { type Slot, scalarFor, stored, type Type } from "./schema.js";
import type { Session } from "./session.js";

/** A value as numbers: what it becomes depends on the slot and on what there is. */
export interface Spec {
  readonly choice: number;
  readonly n: number;
  readonly parts: readonly Spec[];
}

export const nat = fc.nat(0xffff);
export const spec: fc.Arbitrary<Spec> = fc.letrec<{ spec: Spec }>((tie) => ({
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

export interface Step {
  readonly name: string;
  /** What it works on must be there. */
  readonly needs?: Type["kind"] | "handle" | "object";
  /** Whether it makes objects or handles: not when there are many. */
  readonly grows?: boolean;
  run(session: Session, args: Arguments, target: Obj): void;
}

export interface Arguments {
  readonly target: number;
  readonly n: number;
  readonly m: number;
  readonly specs: readonly Spec[];
  readonly plain: PlainGraph | undefined;
}

export type WeightedStep = readonly [weight: number, step: Step];

export const ZERO: Spec = { choice: 99, n: 0, parts: [] };

/** Out of 100: a spec becomes a value that no slot takes, or runs code on the way. */
const BAD_BELOW = 2;
const EFFECT_BELOW = 8;
const SCALAR_BELOW = 35;
const OLD_BELOW = 75;

export class Planner {
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

export function effectOf(choice: number, n: number): Effect {
  if (choice % 2 === 0) return { do: "collect", generation: (n % 3) as 0 | 1 | 2 };
  return choice % 4 === 1 ? { do: "release", handle: n } : { do: "empty", handle: n };
}

export function nth<T>(values: readonly T[], n: number): T | undefined {
  return values[n % values.length];
}

/** A key to look up: one that is there, or one that could be. */
export function keyFor(session: Session, table: Obj, n: number, part: Spec | undefined): Value | undefined {
  if (table.entries.size > 0 && n % 4 !== 0) return nth([...table.entries.keys()], n);
  const plan = new Planner(session.graph).key(table.type.slots[0], part ?? ZERO);
  if (plan.kind !== "value") return undefined;
  return isObj(plan.value) ? plan.value : stored(table.type.slots[0], plan.value);
}
