/** Plain JavaScript graphs: made at random, copied into the heap and back, compared. */
import fc from "fast-check";
import { expect } from "vitest";
import type { Handle } from "../../src/index.js";
import { isObj, type Obj, Refused, type Value } from "./graph.js";
import { DictOfAny, ListOfAny, MapOfAny, SetOfAny, type Type } from "./schema.js";
import type { Session } from "./session.js";

/** Objects, arrays, Maps and Sets as numbers: `edges` name nodes, or values where they are past the nodes. */
export interface PlainGraph {
  readonly nodes: readonly { readonly kind: number; readonly edges: readonly number[] }[];
  /** Whether one value of it cannot be copied. */
  readonly isBad: boolean;
}

const EDGES = 24;
const VALUES = [null, 0, -0, "", "a", "b", "some longer text", true, false, 1.5, Number.NaN, "日本"];
const KEYS = ["a", "b", "", "name", "__proto__", "constructor", "1", "10", "key"];

export const plainGraph: fc.Arbitrary<PlainGraph> = fc.record({
  nodes: fc.array(fc.record({ kind: fc.nat(3), edges: fc.array(fc.nat(EDGES), { maxLength: 5 }) }), {
    minLength: 1,
    maxLength: 8,
  }),
  isBad: fc.nat(9).map((n) => n === 0),
});

type Plain = Record<string, unknown> | unknown[] | Map<unknown, unknown> | Set<unknown>;

/** The graph in plain objects. Some values are heap objects that exist already. */
export function makePlain({ nodes, isBad }: PlainGraph, existing: readonly Obj[]): Plain {
  const made = nodes.map(({ kind }): Plain => [{}, [], new Map(), new Set()][kind] as Plain);
  const valueIn = (edge: number, index: number): unknown => {
    if (edge < made.length) return made[edge];
    const old = existing[(edge + index) % existing.length];
    return edge % 4 === 0 && old !== undefined ? old : VALUES[edge % VALUES.length];
  };
  for (const [index, { edges }] of nodes.entries()) {
    const node = made[index];
    for (const [position, edge] of edges.entries()) {
      const value = valueIn(edge, position);
      const key = KEYS[(edge + position) % KEYS.length];
      if (Array.isArray(node)) node.push(value);
      else if (node instanceof Set) node.add(value);
      else if (node instanceof Map) node.set(position % 2 === 0 ? key : value, value);
      else Object.defineProperty(node, key, { value, enumerable: true, configurable: true, writable: true });
    }
  }
  const last = made[made.length - 1];
  if (isBad && Array.isArray(last)) last.push(() => {});
  if (isBad && last instanceof Map) last.set("bad", undefined);
  return made[0];
}

/** The same graph with the model's objects replaced by references to the heap's. */
function withViews(root: Plain): Plain {
  const copies = new Map<unknown, unknown>();
  const copyOf = (value: unknown): unknown => {
    if (isObj(value)) return value.view;
    if (typeof value !== "object" || value === null) return value;
    const known = copies.get(value);
    if (known !== undefined) return known;
    const copy: Plain = Array.isArray(value)
      ? []
      : value instanceof Map
        ? new Map()
        : value instanceof Set
          ? new Set()
          : {};
    copies.set(value, copy);
    if (Array.isArray(copy)) for (const item of value as unknown[]) copy.push(copyOf(item));
    else if (copy instanceof Map)
      for (const [key, item] of value as Map<unknown, unknown>) copy.set(copyOf(key), copyOf(item));
    else if (copy instanceof Set) for (const item of value as Set<unknown>) copy.add(copyOf(item));
    else
      for (const [key, item] of Object.entries(value))
        Object.defineProperty(copy, key, {
          value: copyOf(item),
          enumerable: true,
          configurable: true,
          writable: true,
        });
    return copy;
  };
  return copyOf(root) as Plain;
}

/** `heap.from`: containers are made as they are met, and filled in that order. */
function importInto(session: Session, root: Plain): Obj {
  const { graph } = session;
  const shells = new Map<Plain, Obj>();
  const valueIn = (value: unknown): Value => {
    if (typeof value === "function" || value === undefined) throw new Refused("no such value");
    if (typeof value !== "object" || value === null || isObj(value)) return value as Value;
    return shellOf(value as Plain);
  };
  const shellOf = (source: Plain): Obj => {
    const known = shells.get(source);
    if (known !== undefined) return known;
    const shell = graph.shell(typeFor(source));
    shells.set(source, shell);
    return shell;
  };
  const plan = (value: unknown) => ({ kind: "value" as const, value: valueIn(value) });
  const first = shellOf(root);
  try {
    // The map grows while it is walked.
    for (const [source, shell] of shells) {
      if (Array.isArray(source)) for (const item of source) graph.push(shell, [plan(item)]);
      else if (source instanceof Set) for (const item of source) graph.add(shell, plan(item));
      else
        for (const [key, value] of source instanceof Map ? source : Object.entries(source))
          graph.setEntry(shell, { kind: "entry", key: plan(key), value: plan(value) });
    }
  } catch (error) {
    for (const shell of shells.values()) {
      shell.values = [];
      shell.entries.clear();
    }
    throw error;
  }
  for (const shell of shells.values()) graph.disown(shell);
  graph.retain(first);
  return first;
}

function typeFor(source: Plain): Type {
  if (Array.isArray(source)) return ListOfAny;
  if (source instanceof Map) return MapOfAny;
  return source instanceof Set ? SetOfAny : DictOfAny;
}

/** Copy a graph into the heap, and back again. */
export function copyPlainGraph(session: Session, description: PlainGraph): void {
  const plain = makePlain(description, session.graph.reachable());
  let root: Obj | undefined;
  session.both(
    () => {
      root = importInto(session, plain);
    },
    () => {
      const handle = session.heap.from(withViews(plain)) as Handle<never>;
      session.handles.push(handle);
      sameGraph(session.heap.toJS(handle), toPlain(root!));
    },
  );
}

/** What `heap.toJS` gives for an object. */
export function toPlain(root: Obj): unknown {
  const copies = new Map<Obj, Plain>();
  const copyOf = (value: Value): unknown => (isObj(value) ? (copies.get(value) ?? copy(value)) : value);
  const copy = (object: Obj): Plain => {
    const { kind, slots } = object.type;
    const isMap = kind === "dict" && slots[0].kind !== "str";
    const plain: Plain = isMap
      ? new Map()
      : kind === "set"
        ? new Set()
        : kind === "list" || kind === "tuple"
          ? []
          : {};
    copies.set(object, plain);
    const define = (name: string, value: unknown) =>
      Object.defineProperty(plain, name, { value, enumerable: true, configurable: true, writable: true });
    if (Array.isArray(plain)) for (const value of object.values) plain.push(copyOf(value));
    else if (plain instanceof Map)
      for (const [key, value] of object.entries) plain.set(copyOf(key), copyOf(value));
    else if (plain instanceof Set) for (const member of object.entries.keys()) plain.add(copyOf(member));
    else if (kind === "dict") for (const [key, value] of object.entries) define(key as string, copyOf(value));
    else for (const [index, { name }] of slots.entries()) define(name, copyOf(object.values[index]));
    return plain;
  };
  return copyOf(root);
}

/** Whether two graphs are the same, shared and cyclic parts included: there is a one-to-one walk of one over the other. */
export function sameGraph(found: unknown, expected: unknown): void {
  const partners = new Map<unknown, unknown>();
  const matched = new Set<unknown>();
  const compare = (a: unknown, b: unknown, path: string): void => {
    if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
      if (!Object.is(a, b)) expect(a, path).toBe(b);
      return;
    }
    if (partners.has(a) || matched.has(b)) {
      expect(partners.get(a) === b, `${path} is shared in both graphs or in neither`).toBe(true);
      return;
    }
    partners.set(a, b);
    matched.add(b);
    expect(Object.getPrototypeOf(a), `${path} is of the same kind`).toBe(Object.getPrototypeOf(b));
    const [first, second] = [partsOf(a), partsOf(b)];
    expect(first.length, `${path}: number of parts`).toBe(second.length);
    for (const [index, part] of first.entries()) compare(part, second[index], `${path}[${index}]`);
  };
  compare(found, expected, "$");
}

function partsOf(value: object): unknown[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Set) return [...value];
  return (value instanceof Map ? [...value] : Object.entries(value)).flat();
}
