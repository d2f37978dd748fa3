import { describe, expect, it } from "vitest";
import {
  any,
  dict,
  f64,
  Heap,
  HeapCorruptionError,
  id,
  list,
  optional,
  release,
  set,
  str,
  struct,
  tuple,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import * as L from "../../../src/memory/layout.js";
import { size } from "../../support/heaps.js";
import { messageOf, thrownBy } from "../host/support.js";

class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
}) {}

/** A heap with something of everything, some of it garbage. Not verified at the end of the test: it is broken there. */
function makePopulated(checks: "off" | "verify" = "off") {
  const heap = Heap.create({ maximumBytes: 4 << 20, checks });
  const node = heap.new(Node, { name: "a node", next: { name: "behind it" } });
  const items = heap.new(list(any), [1, "two", node]);
  const table = heap.new(dict(str, any), [
    ["one", 1],
    ["node", node],
  ]);
  const members = heap.new(set(any), [node, 2]);
  const pair = heap.new(tuple(str, any), ["left", items]);
  {
    using cycle = heap.new(Node, {});
    cycle.next = cycle;
  }
  for (let index = 0; index < size(2000); index++) release(heap.new(list(f64), [index]));
  const { i32 } = Heap.contextOf(heap).core.memory;
  const at = (ref: Parameters<typeof id>[0]) => id(ref) / 4;
  return { heap, i32, at, node, items, table, members, pair };
}
type Populated = ReturnType<typeof makePopulated>;

describe("verify", () => {
  it("is content with a heap in any state that a program can bring about", () => {
    for (const checks of ["off", "verify"] as const) {
      const { heap, node, items, table } = makePopulated(checks);
      verify(heap);
      heap.gc.collect(0);
      verify(heap);
      heap.gc.freeze();
      verify(heap);
      table.delete("one");
      items.clear();
      heap.gc.unfreeze();
      heap.gc.collect();
      verify(heap);
      release(node);
      verify(heap);
      heap[Symbol.dispose]();
    }
  });

  it("changes nothing", () => {
    const { heap, i32 } = makePopulated();
    const before = i32.slice();
    verify(heap);
    expect(Buffer.compare(Buffer.from(i32.slice().buffer), Buffer.from(before.buffer))).toBe(0);
  });

  const damages: [invariant: string, damage: (heap: Populated) => number | undefined][] = [
    [
      "I1 control words",
      ({ i32 }) => {
        i32[L.CONTROL_MAGIC] = 0;
        return L.CONTROL_MAGIC;
      },
    ],
    [
      "I2 page runs",
      ({ i32 }) => {
        i32[L.CONTROL_PAGES_USED]++;
        return L.CONTROL_PAGES_USED;
      },
    ],
    [
      "I3 blocks of a page",
      ({ i32, at, node }) => {
        const address = at(node);
        i32[address + L.HEADER_SERIAL] = 0;
        return address;
      },
    ],
    [
      "I4 types",
      ({ i32, at, node }) => {
        i32[at(node) + L.HEADER_TYPE] |= 0x7000;
        return at(node);
      },
    ],
    [
      "I5 storage",
      ({ i32, at, items }) => {
        i32[at(items) + L.LIST_ITEMS] += 2;
        return at(items);
      },
    ],
    [
      "I6 refcount",
      ({ i32, at, node }) => {
        i32[at(node) + L.HEADER_REFCOUNT]++;
        return undefined; // nobody knows which of the counts is wrong
      },
    ],
    [
      "I6 refcount",
      ({ i32, at, node }) => {
        i32[at(node.next!) + L.HEADER_REFCOUNT] = 0;
        return at(node.next!);
      },
    ],
    [
      "I7 references",
      ({ i32, at, node }) => {
        const address = at(node);
        i32[address + L.HEADER_WORDS] = address + 2;
        return address;
      },
    ],
    [
      "I8 generations",
      ({ i32, at, node }) => {
        i32[i32[at(node) + L.HEADER_ENTRY]] = 0;
        return at(node);
      },
    ],
    [
      "I9 tracking",
      ({ heap, at, table }) => {
        Heap.contextOf(heap).core.generations.untrack(at(table));
        return at(table);
      },
    ],
    [
      "I10 strings",
      ({ i32, at, node }) => {
        const text = i32[at(node) + L.HEADER_WORDS + 1];
        i32[text + L.STRING_DATA] ^= 1;
        return text;
      },
    ],
    [
      "I11 hash tables",
      ({ i32, at, table }) => {
        i32[at(table) + L.TABLE_SIZE]--;
        return at(table);
      },
    ],
    [
      "I12 lists",
      ({ i32, at, items }) => {
        i32[at(items) + L.LIST_LENGTH] = 1000;
        return at(items);
      },
    ],
  ];
  it.each(damages)("names %s, and the address", (invariant, damage) => {
    const populated = makePopulated();
    const address = damage(populated);
    const error = thrownBy(() => verify(populated.heap)) as HeapCorruptionError;
    expect(error).toBeInstanceOf(HeapCorruptionError);
    expect([error.code, error.invariant]).toEqual(["HEAP_CORRUPTION", invariant]);
    if (address !== undefined) expect(error.address).toBe(address);
    expect(error.message).toContain(`Invariant ${invariant} is broken at address ${error.address}: `);
  });

  it("knows each invariant of a heap without weak references and adopted values", () => {
    const numbers = damages.map(([invariant]) => Number(/\d+/.exec(invariant)![0]));
    expect(new Set(numbers)).toEqual(new Set(Array.from({ length: 12 }, (_, index) => index + 1)));
  });

  it("knows whose count is wrong where each handle is known, though the sum is right", () => {
    const damage = ({ i32, at, node, items }: Populated) => {
      i32[at(node) + L.HEADER_REFCOUNT]++;
      i32[at(items) + L.HEADER_REFCOUNT]--;
      return at(node);
    };
    const off = makePopulated("off");
    damage(off);
    verify(off.heap);
    const known = makePopulated("verify");
    const address = damage(known);
    expect(thrownBy(() => verify(known.heap))).toMatchObject({ invariant: "I6 refcount", address });
  });

  it("is content with what a program sees from inside an operation", () => {
    for (const checks of ["off", "verify"] as const) {
      using heap = Heap.create({ maximumBytes: 4 << 20, checks });
      let looks = 0;
      const look = () => {
        verify(heap);
        looks++;
      };
      class Pair extends struct("Pair", {
        get first() {
          return optional(Node);
        },
        get second() {
          return optional(Node);
        },
      }) {}
      const literal = {
        first: { name: "made first" },
        get second() {
          look();
          return null;
        },
      };
      const items = function* () {
        yield { name: "an item" };
        look();
      };
      using pair = heap.new(Pair, literal);
      using pairs = heap.new(list(Pair), [literal]);
      pairs.push(literal, literal);
      pairs.assign([literal]);
      using nodes = heap.new(list(Node), items());
      nodes.assign(items());
      using table = heap.new(dict(str, Pair), [["key", literal]]);
      table.set("other", literal);
      const watched = new Proxy(["text"], {
        getOwnPropertyDescriptor: (target, key) => {
          look();
          return Reflect.getOwnPropertyDescriptor(target, key);
        },
      });
      release(heap.from({ watched }));
      expect(pair.first!.name).toBe("made first");
      expect(looks).toBeGreaterThan(9);
      const errors: unknown[] = [];
      heap.onUnraisable = (error) => errors.push(error);
      heap.gc.callbacks.push(look);
      heap.gc.debugSink = look;
      heap.gc.setDebug(1);
      heap.gc.setThreshold(1);
      const before = looks;
      release(heap.new(list(Pair), [{ first: {} }, { first: {}, second: {} }]));
      expect(looks).toBeGreaterThan(before + 3);
      expect(errors).toEqual([]);
    }
  });

  it("is exact again once an operation has thrown", () => {
    const { heap, i32, at, node } = makePopulated();
    const literal = {
      get name(): string {
        throw new Error("no name");
      },
    };
    heap.onUnraisable = () => {};
    heap.gc.callbacks.push(() => {
      throw new Error("no callback");
    });
    for (const operation of [
      () => heap.new(Node, literal),
      () => heap.new(list(Node), [literal]),
      () => (node.next!.next = literal as never),
      () => heap.from({ nothing: undefined }),
    ])
      expect(operation).toThrow();
    heap.gc.collect();
    verify(heap);
    i32[at(node) + L.HEADER_REFCOUNT]++;
    expect(thrownBy(() => verify(heap))).toMatchObject({ invariant: "I6 refcount" });
  });

  it("refuses what is no heap", () => {
    for (const [value, shown] of [
      [{}, "an object"],
      [null, "null"],
      [undefined, "undefined"],
    ] as [never, string][])
      expect(messageOf("INVALID_ARGUMENT", () => verify(value))).toBe(`Expected a heap, got ${shown}.`);
  });

  it("refuses a heap that is disposed", () => {
    const { heap } = makePopulated();
    heap[Symbol.dispose]();
    messageOf("HEAP_DISPOSED", () => verify(heap));
  });
});
