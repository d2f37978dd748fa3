/** Random graphs of objects, with a picture of each that never looks at the memory. */
import type { Address } from "../../src/memory/layout.js";
import type { TestCore } from "./core.js";
import { below, pick, type Random } from "./random.js";
import { ref, type SlotName } from "./slots.js";

/**
 * What a test knows of an object. The naive models work on these and never on the memory.
 *
 * parts: the fields or items, null for what is no object; for dicts keys and values by turns.
 */
export interface Known {
  readonly address: Address;
  readonly kind: "struct" | "tuple" | "list" | "dict" | "set";
  parts: (Known | null)[];
  readonly isGc: boolean;
  /** Whether all it can hold is 2 or 3 references, or nothing, in plain words: see `isBare`. */
  readonly isSmallRecord: boolean;
}

/** The references of an object in the order in which its death drops them. */
export function dropOrder({ kind, parts }: Known): Known[] {
  const order = kind === "list" || kind === "tuple" ? [...parts].reverse() : parts;
  return order.filter((part) => part !== null);
}

/** The references of an object in the order in which a traversal visits them (§1.4). */
export function visitOrder({ kind, parts }: Known): Known[] {
  if (kind !== "dict") return dropOrder({ kind, parts } as Known);
  const order: (Known | null)[] = [];
  for (let index = 0; index < parts.length; index += 2) order.push(parts[index + 1], parts[index]);
  return order.filter((part) => part !== null);
}

/** How to make an object of some shape, and how to let it refer to another. */
interface Shape {
  readonly kind: Known["kind"];
  readonly isLeaf?: boolean;
  readonly isSmallRecord?: boolean;
  make(heap: TestCore, random: Random, earlier: readonly Known[]): [Address, (Known | null)[]];
  connect(heap: TestCore, random: Random, from: Known, to: Known): void;
}

function structShape(names: readonly SlotName[], isSmallRecord = false): Shape {
  const places = [...names.keys()].filter((index) => names[index] === "ref" || names[index] === "any");
  return {
    kind: "struct",
    isSmallRecord,
    make: (heap, random) => {
      const values = names.map((name) => (name === "str" ? `text ${below(random, 5)}` : null));
      return [heap.newStruct(heap.struct(...names), ...values), places.map(() => null)];
    },
    connect: (heap, random, from, to) => {
      const part = below(random, places.length);
      heap.setField(from.address, places[part], ref(to.address));
      from.parts[part] = to;
    },
  };
}

function tupleShape(...names: SlotName[]): Shape {
  return {
    kind: "tuple",
    make: (heap, random, earlier) => {
      const parts = names.map((_, index) =>
        index === 0
          ? newestContainer(earlier)
          : earlier.length > 0 && random() < 0.8
            ? pick(random, earlier)
            : null,
      );
      const values = parts.map((part, index) =>
        part !== null ? ref(part.address) : names[index] === "any" ? below(random, 9) : null,
      );
      return [heap.newTuple(heap.tuple(...names), ...values), parts];
    },
    connect: () => {},
  };
}

function newestContainer(graph: readonly Known[]): Known | null {
  return graph.findLast(({ isGc }) => isGc) ?? null;
}

function listShape(item: SlotName, isLeaf = false): Shape {
  return {
    kind: "list",
    isLeaf,
    make: (heap) => [heap.newList(isLeaf ? heap.leaf.list(item) : heap.list(item)), []],
    connect: (heap, random, from, to) => {
      const { length } = from.parts;
      const choice = random();
      if (choice < 0.2 && length > 0) {
        const index = below(random, length);
        heap.setItem(from.address, index, ref(to.address));
        from.parts[index] = to;
      } else if (choice < 0.4) {
        const index = below(random, length + 1);
        heap.insert(from.address, index, ref(to.address));
        from.parts.splice(index, 0, to);
      } else if (choice < 0.5 && item === "any") {
        heap.append(from.address, random() < 0.5 ? "an item" : 1.5);
        from.parts.push(null);
      } else {
        heap.append(from.address, ref(to.address));
        from.parts.push(to);
      }
    },
  };
}

function dictShape(key: SlotName, value: SlotName): Shape {
  return {
    kind: "dict",
    make: (heap) => [heap.newDict(heap.dict(key, value)), []],
    connect: (heap, random, from, to) => {
      const isKey = key === "ref" || (key === "any" && random() < 0.5);
      const keyPart = isKey ? to : null;
      const number = below(random, 2 ** 31); // so many that none comes twice
      const plainKey = key === "f64" || (key === "any" && random() < 0.5) ? number : `key ${number}`;
      const holdsValue = value !== "f64" && random() < 0.8;
      const valuePart = holdsValue ? to : null;
      const plainValue = value === "any" ? "a value" : value === "ref" ? null : 2.5;
      const at = isKey ? evenIndexOf(from.parts, to) : -1;
      heap.setEntry(
        from.address,
        isKey ? ref(to.address) : plainKey,
        holdsValue ? ref(to.address) : plainValue,
      );
      if (at >= 0) from.parts[at + 1] = valuePart;
      else from.parts.push(keyPart, valuePart);
      if (isKey && random() < 0.1) {
        heap.deleteEntry(from.address, ref(to.address));
        from.parts.splice(evenIndexOf(from.parts, to), 2);
      }
    },
  };
}

function evenIndexOf(parts: readonly (Known | null)[], key: Known): number {
  return parts.findIndex((part, index) => index % 2 === 0 && part === key);
}

function setShape(member: SlotName): Shape {
  return {
    kind: "set",
    make: (heap) => [heap.newSet(heap.set(member)), []],
    connect: (heap, random, from, to) => {
      if (member === "any" && random() < 0.2) heap.addMember(from.address, below(random, 100));
      heap.addMember(from.address, ref(to.address));
      if (!from.parts.includes(to)) from.parts.push(to);
      if (random() < 0.1) {
        heap.deleteEntry(from.address, ref(to.address));
        from.parts.splice(from.parts.indexOf(to), 1);
      }
    },
  };
}

const leafShape: Shape = {
  kind: "struct",
  isLeaf: true,
  isSmallRecord: true,
  make: (heap) => [heap.newStruct(heap.leaf.struct("f64"), 1), []],
  connect: () => {},
};

const SHAPES: readonly Shape[] = [
  structShape(["ref"]),
  structShape(["ref", "ref"], true),
  structShape(["ref", "ref", "ref"], true),
  structShape(["ref", "ref", "ref", "ref", "ref"]),
  structShape(["ref", "str", "ref", "ref", "str"]),
  structShape(["any"]),
  structShape(["str", "any", "ref", "any"]),
  listShape("ref"),
  listShape("any"),
  listShape("ref", true), // like `gc.garbage`: never tracked, and yet it refers to what is
  dictShape("str", "ref"),
  dictShape("any", "any"),
  dictShape("f64", "ref"),
  dictShape("ref", "ref"),
  dictShape("ref", "f64"),
  setShape("any"),
  setShape("ref"),
  tupleShape("ref", "ref"),
  tupleShape("any", "ref", "any"),
  leafShape,
];

export interface GraphOptions {
  readonly count: number;
  /** How likely an object is to refer to the one made before it: at 1 the graph is as deep as it is large. */
  readonly chained?: number;
  /** Whether no object refers to itself or to a newer one. */
  readonly isAcyclic?: boolean;
  /** Called after each object was made, before any refers to another. */
  readonly onMade?: () => void;
}

/** Objects of every kind that refer to one another at random, each owned once by the test. */
export function randomGraph(heap: TestCore, random: Random, options: GraphOptions): Known[] {
  const { count, chained = 0, isAcyclic = false, onMade = () => {} } = options;
  const graph: Known[] = [];
  const shapes: Shape[] = [];
  for (let index = 0; index < count; index++) {
    const shape = pick(random, SHAPES);
    const [address, parts] = shape.make(heap, random, graph);
    const { kind, isLeaf = false, isSmallRecord = false } = shape;
    graph.push({ address, kind, parts, isGc: !isLeaf, isSmallRecord });
    shapes.push(shape);
    onMade();
  }
  const degree = below(random, 4);
  let previous: Known | undefined;
  for (const [index, from] of graph.entries()) {
    const targets = isAcyclic ? graph.slice(0, index) : graph;
    for (let edge = below(random, degree + 1); edge > 0 && targets.length > 0; edge--)
      shapes[index].connect(heap, random, from, pick(random, targets));
    const isLink = from.isGc && from.kind !== "tuple";
    if (isLink && previous !== undefined && random() < chained)
      for (let tries = 3; tries > 0 && !dropOrder(from).includes(previous); tries--)
        shapes[index].connect(heap, random, from, previous);
    if (from.isGc) previous = from;
  }
  return graph;
}
