/**
 * One container at a time, large, against the host's: lists against Array, dicts and sets against Map and Set, with
 * iterators that stay open while the container changes.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  any,
  bool,
  ConcurrentModificationError,
  dict,
  f32,
  f64,
  type Handle,
  type Heap,
  i32,
  i64,
  list,
  type ObjectType,
  optional,
  release,
  set,
  str,
  struct,
  tuple,
  u8,
  u32,
} from "../../src/index.js";
import { makeHeap } from "../support/heaps.js";
import { parameters, runs } from "./runs.js";
import { type AnyDict, type AnyList, type AnySet, asDict, asList, asSet, borrow } from "./session.js";

class Thing extends struct("Thing", { number: i32, other: any }) {}

/** How the n-th value of a kind is made. Objects are made once, and looked at through references that stay the same. */
class Values {
  private readonly heap: Heap;
  private readonly things: Thing[] = [];
  private readonly handles: Handle<Thing>[] = [];

  constructor(heap: Heap) {
    this.heap = heap;
  }

  thing(n: number): Thing {
    while (this.things.length <= n) {
      const handle = this.heap.new(Thing, { number: this.things.length });
      this.handles.push(handle);
      this.things.push(borrow(this.heap, handle) as Thing);
    }
    return this.things[n];
  }

  /** What is read back, as what was written: a reference by its object. */
  same(value: unknown): unknown {
    return value instanceof Thing ? this.things[value.number] : value;
  }

  end(): void {
    for (const handle of this.handles) release(handle);
  }
}

interface Kind {
  readonly name: string;
  readonly type: unknown;
  value(values: Values, n: number): unknown;
}

const KINDS: readonly Kind[] = [
  { name: "i32", type: i32, value: (_, n) => (n % 2 === 0 ? n : ~n << 8) },
  { name: "u32", type: u32, value: (_, n) => (n * 0x9e3779b1) >>> 0 },
  { name: "u8", type: u8, value: (_, n) => n & 0xff },
  { name: "f64", type: f64, value: (_, n) => (n === 0 ? Number.NaN : n % 3 === 0 ? -n / 7 : n * 2 ** 40) },
  { name: "f32", type: f32, value: (_, n) => (n === 0 ? Number.NaN : Math.fround(n / 3)) },
  { name: "bool", type: bool, value: (_, n) => n % 2 === 0 },
  { name: "str", type: str, value: (_, n) => (n === 0 ? "" : n % 5 === 0 ? `ü${n}日` : `key${n}`) },
  { name: "Thing", type: Thing, value: (values, n) => values.thing(n) },
  {
    name: "any",
    type: any,
    value: (values, n) => [n, `${n}`, n % 2 === 0, null, values.thing(n >> 2), n / 3, "", Number.NaN][n % 8],
  },
  { name: "optional(str)", type: optional(str), value: (_, n) => (n % 4 === 0 ? null : `${n % 32}`) },
];
const I64: Kind = { name: "i64", type: i64, value: (_, n) => BigInt(n) << 40n };

const step = fc.record({ do: fc.nat(19), n: fc.nat(0xffff), m: fc.nat(0xffff) });
const steps = fc.array(step, { maxLength: 160, size: "max" });

/** An iterator of the heap's container beside one of the host's. */
interface Open {
  readonly found: Iterator<unknown>;
  readonly expected: Iterator<unknown>;
  readonly movesBefore: number;
}

describe.each([...KINDS, I64])("a list of $name", (kind) => {
  it("is an Array", () => {
    fc.assert(
      fc.property(steps, (program) => {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        const values = new Values(heap);
        const handle = heap.new(list(kind.type), []) as Handle<never>;
        const found = asList(handle) as AnyList;
        const expected: unknown[] = [];
        let open: Open[] = [];
        for (const { do: what, n, m } of program) {
          const value = kind.value(values, n % 64);
          const { length } = expected;
          const index = length === 0 ? 0 : n % length;
          if (what < 5) {
            const more = Array.from({ length: m % 5 }, (_, i) => kind.value(values, (n + i) % 64));
            expect(found.push(value, ...more)).toBe(expected.push(value, ...more));
          } else if (what < 7) {
            found.insert(index, value);
            expected.splice(index, 0, value);
          } else if (what < 9 && length > 0) {
            found.set(m % 2 === 0 ? index : index - length, value);
            expected[index] = value;
          } else if (what < 11) {
            expect(found.delete(index)).toBe(length > 0);
            expected.splice(index, 1);
          } else if (what < 13) {
            const taken = m % 2 === 0 ? found.pop() : found.take(index);
            const wanted = m % 2 === 0 ? expected.pop() : expected.splice(index, 1)[0];
            expect(values.same(taken)).toBe(wanted);
            if (taken instanceof Thing) release(taken as never);
          } else if (what === 13 && m % 4 === 0) {
            found.clear();
            expected.length = 0;
          } else if (what === 14) {
            const items = Array.from({ length: m % 40 }, (_, i) => kind.value(values, (n + i) % 64));
            found.assign(m % 2 === 0 ? items : new Set(items));
            expected.splice(0, length, ...(m % 2 === 0 ? items : new Set(items)));
          } else if (what === 15)
            open.push({
              found: found[Symbol.iterator](),
              expected: expected[Symbol.iterator](),
              movesBefore: 0,
            });
          else if (what === 16) expect(found.indexOf(value)).toBe(expected.indexOf(value));
          else open = open.filter((pair) => advance(pair, values, () => false));
          expect(found.length).toBe(expected.length);
          expect(values.same(found.at(index))).toBe(expected.at(index));
        }
        expect([...found].map((item) => values.same(item))).toEqual(expected);
        release(handle);
        values.end();
      }),
      parameters(runs(12)),
    );
  });
});

/** One step of both. @returns whether the iterators go on */
function advance(pair: Open, values: Values, mayThrow: () => boolean): boolean {
  let found: IteratorResult<unknown>;
  try {
    found = pair.found.next();
  } catch (error) {
    expect(error).toBeInstanceOf(ConcurrentModificationError);
    expect(mayThrow(), "entries have moved since the iterator was made").toBe(true);
    return false;
  }
  const expected = pair.expected.next();
  expect(found.done === true).toBe(expected.done === true);
  if (expected.done === true) {
    expect(pair.found.next().done).toBe(true);
    return false;
  }
  const plain = Array.isArray(found.value)
    ? found.value.map((part) => values.same(part))
    : values.same(found.value);
  expect(plain).toEqual(expected.value);
  return true;
}

/** A table that is a dict beside a Map, or a set beside a Set. */
interface Pairing {
  readonly found: AnyDict | AnySet;
  readonly expected: Map<unknown, unknown> | Set<unknown>;
  /** Changes after which an iterator may refuse to go on: an insertion that squeezes holes out, and clearing. */
  moves: number;
  hasHoles: boolean;
}

function runTable(
  makeType: (key: unknown) => ObjectType,
  expected: Map<unknown, unknown> | Set<unknown>,
  kind: Kind,
  program: readonly { do: number; n: number; m: number }[],
): void {
  const heap = makeHeap({ maximumBytes: 1 << 20 });
  const values = new Values(heap);
  const handle = heap.new(makeType(kind.type), [] as never);
  const isMap = expected instanceof Map;
  const pairing: Pairing = { found: asDict(handle), expected, moves: 0, hasHoles: false };
  let open: Open[] = [];
  const insert = (key: unknown, n: number) => {
    if (!expected.has(key) && pairing.hasHoles) pairing.moves++;
    if (isMap) {
      expected.set(key, n);
      asDict(handle).set(key, n);
    } else {
      expected.add(key);
      asSet(handle).add(key);
    }
  };
  for (const { do: what, n, m } of program) {
    const key = kind.value(values, n % 96);
    if (what < 5) insert(key, m);
    else if (what < 7) for (let i = 0; i < m % 30; i++) insert(kind.value(values, (n + i) % 96), i);
    else if (what < 10) {
      expect(pairing.found.delete(key)).toBe(expected.has(key));
      if (expected.delete(key)) pairing.hasHoles = true;
    } else if (what < 12 && isMap) {
      expect(asDict(handle).take(key)).toBe(expected.get(key));
      if (expected.delete(key)) pairing.hasHoles = true;
    } else if (what === 12 && m % 4 === 0) {
      pairing.found.clear();
      expected.clear();
      pairing.moves++;
      pairing.hasHoles = false;
    } else if (what === 13) {
      const [found, wanted]: [Iterator<unknown>, Iterator<unknown>] =
        isMap && m % 3 === 0
          ? [asDict(handle).keys(), expected.keys()]
          : isMap && m % 3 === 1
            ? [asDict(handle).values(), expected.values()]
            : [(pairing.found as Iterable<unknown>)[Symbol.iterator](), expected[Symbol.iterator]()];
      open.push({ found, expected: wanted, movesBefore: pairing.moves });
    } else open = open.filter((pair) => advance(pair, values, () => pairing.moves > pair.movesBefore));
    expect(pairing.found.size).toBe(expected.size);
    expect(pairing.found.has(key)).toBe(expected.has(key));
    if (isMap) expect(asDict(handle).get(key)).toBe(expected.get(key));
  }
  const contents = isMap
    ? [...asDict(handle)].map(([key, value]) => [values.same(key), value])
    : [...asSet(handle)].map((item) => values.same(item));
  expect(contents).toEqual([...expected]);
  release(handle);
  values.end();
}

describe.each(KINDS)("a table with $name as keys", (kind) => {
  it("is a Map", () => {
    fc.assert(
      fc.property(steps, (program) => runTable((key) => dict(key, any), new Map(), kind, program)),
      parameters(runs(12)),
    );
  });

  it("is a Map, where its values are in one word", () => {
    fc.assert(
      fc.property(steps, (program) => runTable((key) => dict(key, u32), new Map(), kind, program)),
      parameters(runs(8), 1),
    );
  });

  it("is a Set", () => {
    fc.assert(
      fc.property(steps, (program) => runTable((key) => set(key), new Set(), kind, program)),
      parameters(runs(12), 2),
    );
  });
});

it("keys by identity are told apart even where they look the same", () => {
  const heap = makeHeap();
  const pair = tuple(f64, f64);
  using first = heap.new(pair, [1, 2]);
  using second = heap.new(pair, [1, 2]);
  using table = heap.new(dict(pair, str), []);
  table.set(first, "first").set(second, "second");
  expect([table.size, table.get(first), table.get(second)]).toEqual([2, "first", "second"]);
});
