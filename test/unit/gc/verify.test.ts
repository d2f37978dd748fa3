/** What the witness checks of objects, their counts and their contents; what it accepts, and what it is told of the handles. */
import { describe, expect, it } from "vitest";
import { type VerifyOptions, verifyMemory } from "../../../src/gc/verify.js";
import * as L from "../../../src/memory/layout.js";
import { makeBreakableCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { randomFrom } from "../../support/random.js";
import { randomGraph } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";
import { describeWitness, errorOf, makeSpecimen } from "./verify-support.js";

describeWitness({
  "I4 types": [
    ["too many types", /514 types/, ({ i32 }) => [L.CONTROL_TYPE_COUNT, i32[L.CONTROL_TYPE_CAPACITY] + 2]],
    ["a type of no kind", /has kind 0/, ({ typeOf, list }) => [typeOf(list) + L.TYPE_KIND, L.KIND_FREE]],
    ["a type of an unknown kind", /has kind 9/, ({ typeOf, list }) => [typeOf(list) + L.TYPE_KIND, 9]],
    [
      "an object of an unknown type",
      /type id 500 is not in use/,
      ({ list }) => [list + L.HEADER_TYPE, 500 | L.FLAG_TRACKED],
    ],
    [
      "an object among those of another kind",
      /page of the wrong kind/,
      ({ typeOf, list }) => [typeOf(list) + L.TYPE_BLOCK_KIND, L.KIND_LEAF],
    ],
    [
      "an object larger than its block",
      /a block of 8 words/,
      ({ typeOf, list }) => [typeOf(list) + L.TYPE_OBJECT_WORDS, 9],
    ],
  ],
  "I5 storage": [
    ["items in an object", /no storage block in use/, ({ list, node }) => [list + L.LIST_ITEMS, node]],
    ["a table in a free block", /no storage block/, ({ words, dead }) => [words + L.TABLE_STORAGE, dead]],
    ["edges nowhere", /no storage block/, ({ typeOf, node }) => [typeOf(node) + L.TYPE_EDGES, node]],
    ["the reserve", /no storage block/, ({ node }) => [L.CONTROL_RESERVE_CHUNK, node]],
    ["a chunk", /no storage block/, ({ record, node }) => [record(1) + L.GENERATION_FIRST, node]],
    ["a list larger than its storage", /needs 1000 words/, ({ list }) => [list + L.LIST_CAPACITY, 500]],
    [
      "a table larger than its storage",
      /needs \d+ words, its storage has/,
      ({ number }) => [number + L.TABLE_MASK, 127],
    ],
    [
      "more edges than their storage",
      /needs 90 words/,
      ({ typeOf, node }) => [typeOf(node) + L.TYPE_EDGE_COUNT, 90],
    ],
    [
      "the items of another list",
      /owned by \d+ and by/,
      ({ i32, list, roomy }) => [roomy + L.LIST_ITEMS, i32[list + L.LIST_ITEMS]],
    ],
    ["a block of nobody", /belongs to nobody/, () => [L.CONTROL_RESERVE_CHUNK, 0]],
  ],
  "I6 refcount": [
    ["a count of 0", /: count 0$/, ({ leaf }) => [leaf + L.HEADER_REFCOUNT, 0]],
    ["a count below 0", /: count -1$/, ({ leaf }) => [leaf + L.HEADER_REFCOUNT, -1]],
    [
      "a count below the references inside",
      /count 2, but 3 references lead here/,
      ({ list }) => [list + L.HEADER_REFCOUNT, 2],
    ],
    [
      "a reference of nobody",
      /count 5: 3 from inside, 1 handles/,
      ({ list }) => [list + L.HEADER_REFCOUNT, 5],
    ],
    ["a handle uncounted", /count 3: 3 from inside, 1 handles/, ({ list }) => [list + L.HEADER_REFCOUNT, 3]],
    [
      "the sum of the handles",
      /handles, but \d+ unexplained counts/,
      ({ i32 }) => [L.CONTROL_ROOT_COUNT, i32[L.CONTROL_ROOT_COUNT] + 1],
    ],
    ["a death put off", /deferred and not taken up/, ({ dead }) => [L.CONTROL_DEFERRED, dead]],
  ],
  "I7 references": [
    ["a field", /where no object lives/, ({ plain, dead }) => [plain + L.HEADER_WORDS, dead]],
    ["an `any` field", /where no object lives/, ({ heap, node }) => [heap.fieldWord(node, 1), node + 1]],
    ["a string field", /where no object lives/, ({ heap, node }) => [heap.fieldWord(node, 2), 1]],
    ["an item", /where no object lives/, ({ heap, list }) => [heap.core.lists.itemAddress(list, 1), 3]],
    ["a value", /where no object lives/, ({ entry, outer, dead }) => [entry(outer) + 2, dead]],
    ["a member of a set", /where no object lives/, ({ entry, members, dead }) => [entry(members), dead]],
    ["a callback", /where no object lives/, ({ called, dead }) => [called + L.WEAKREF_CALLBACK, dead]],
    ["a type's name", /where no object lives/, ({ typeOf, list }) => [typeOf(list) + L.TYPE_NAME, 5]],
    ["the list behind gc.garbage", /where no object lives/, ({ dead }) => [L.CONTROL_GARBAGE, dead]],
  ],
  "I10 strings": [
    ["longer than its block", /length 50/, ({ narrow }) => [narrow + L.STRING_LENGTH, 50 << 1]],
    [
      "the hash",
      /not that of the text/,
      ({ i32, narrow }) => [narrow + L.STRING_HASH, i32[narrow + L.STRING_HASH] ^ 1],
    ],
    [
      "a unit of a narrow text",
      /not that of/,
      ({ i32, narrow }) => [narrow + L.STRING_DATA, i32[narrow + L.STRING_DATA] ^ (1 << 24)],
    ],
    [
      "a unit of a wide text",
      /not that of/,
      ({ i32, wide }) => [wide + L.STRING_DATA + 2, i32[wide + L.STRING_DATA + 2] ^ (1 << 31)],
    ],
    ["a length within the block", /not that of/, ({ narrow }) => [narrow + L.STRING_LENGTH, 5 << 1]],
  ],
  "I11 hash tables": [
    ["an index without storage", /no storage, but not empty/, ({ empty }) => [empty + L.TABLE_MASK, 7]],
    ["a size without storage", /no storage, but not empty/, ({ empty }) => [empty + L.TABLE_SIZE, 1]],
    ["entries without storage", /no storage, but not empty/, ({ empty }) => [empty + L.TABLE_USED, 1]],
    ["an index of 7 words", /mask 6/, ({ numbers }) => [numbers + L.TABLE_MASK, 6]],
    ["an index of 4 words", /mask 3/, ({ number }) => [number + L.TABLE_MASK, 3]],
    [
      "fewer entries written than live",
      /3 entries, index of 8/,
      ({ numbers }) => [numbers + L.TABLE_USED, 3],
    ],
    [
      "more entries than the index bears",
      /6 entries, index of 8/,
      ({ numbers }) => [numbers + L.TABLE_USED, 6],
    ],
    ["the size", /counts 3 entries, has 4/, ({ numbers }) => [numbers + L.TABLE_SIZE, 3]],
    [
      "a one-word key deleted",
      /counts 4 entries, has 3/,
      ({ entry, numbers }) => [entry(numbers) + 1, L.HASH_DELETED],
    ],
    [
      "a two-word key deleted",
      /counts 1 entries, has 0/,
      ({ entry, double }) => [entry(double) + 1, L.TAG_EMPTY],
    ],
    [
      "an entry that is not indexed",
      /3 index words for 4 entries/,
      ({ indexWord, numbers }) => [indexWord(numbers, 2), -1],
    ],
    [
      "an entry indexed under another number",
      /entry 2 is not in the index/,
      ({ indexWord, numbers, i32 }) => [indexWord(numbers, 2), i32[indexWord(numbers, 2)] + 3],
    ],
    [
      "other bits of a hash in the index",
      /entry 2 is not found by its hash/,
      ({ indexWord, numbers, i32 }) => [indexWord(numbers, 2), i32[indexWord(numbers, 2)] ^ 0x40000000],
    ],
    [
      "a one-word key under another hash",
      /not found by its hash/,
      ({ i32, entry, number }) => [entry(number) + 1, i32[entry(number) + 1] ^ 1],
    ],
    [
      "a number in place of another",
      /not found by its hash/,
      ({ i32, entry, double }) => [entry(double) + 1, i32[entry(double) + 1] ^ (1 << 20)],
    ],
    [
      "a text of `any` in place of another",
      /not found by its hash/,
      ({ heap, mixed, narrow }) => [heap.find(mixed, "text"), narrow],
    ],
    [
      "the empty text of `any` in place of another",
      /not found by its hash/,
      ({ heap, mixed }) => [heap.find(mixed, "text"), 0],
    ],
    [
      "the hash beside a text",
      /the hash beside a key is not the key's/,
      ({ heap, words }) => [heap.find(words, "one") + 1, 5],
    ],
    [
      "the hash beside the empty text",
      /the hash beside a key is not the key's/,
      ({ heap, words }) => [heap.find(words, "") + 1, 5],
    ],
  ],
  "I12 lists": [
    ["a length below 0", /length -1/, ({ list }) => [list + L.LIST_LENGTH, -1]],
    ["a length above the capacity", /length 1, capacity 0/, ({ bare }) => [bare + L.LIST_LENGTH, 1]],
    ["storage without capacity", /storage \d+, capacity 0/, ({ roomy }) => [roomy + L.LIST_CAPACITY, 0]],
    ["capacity without storage", /storage 0, capacity/, ({ roomy }) => [roomy + L.LIST_ITEMS, 0]],
  ],
  "I14 foreign values": [
    ["a count that is not theirs", /counts 1 foreign values, found 0/, () => [L.CONTROL_FOREIGN, 1]],
  ],
});

describe("the witness", () => {
  it("accepts every heap that is valid, garbage and holes included", () => {
    for (let seed = 0; seed < size(40); seed++) {
      const random = randomFrom(seed);
      const heap = makeBreakableCore(1 << 20);
      const graph = randomGraph(heap, random, { count: 80 });
      heap.verify();
      heap.drop(...graph.filter(() => random() < 0.5).map(({ address }) => address));
      heap.verify();
      heap.core.generations.freeze();
      heap.verify();
      heap.core.generations.unfreeze();
      heap.collect();
      heap.verify();
    }
  });

  it("knows the objects frozen by the table that they stand in", () => {
    const { heap, i32, list } = makeSpecimen();
    heap.core.generations.freeze();
    heap.verify();
    i32[list + L.HEADER_TYPE] &= ~L.FLAG_FROZEN;
    expect(() => heap.verify()).toThrow(/I8 generations.*frozen: false/);
  });

  it("accepts a block whose serial is used up as retired, and counts it", () => {
    const { heap, i32, leaf } = makeSpecimen();
    i32[leaf + L.HEADER_SERIAL] = L.SERIAL_RETIRED - 1;
    heap.drop(leaf);
    expect(i32[L.CONTROL_RETIRED_BLOCKS]).toBe(1);
    heap.verify();
    i32[L.CONTROL_RETIRED_BLOCKS] = 0;
    expect(() => heap.verify()).toThrow(/I3 blocks of a page.*counts 0, found 1/);
  });

  it("allows a table of the unreachable inside a collection alone", () => {
    const heap = makeBreakableCore();
    const cycle = heap.newStruct(heap.struct("ref"));
    heap.setField(cycle, 0, ref(cycle));
    heap.drop(cycle);
    const seen: [string, boolean, string | undefined][] = [];
    heap.core.events.listeners.push({
      onUnreachable: () => {},
      onPhase: (phase) => {
        for (const isCollecting of [true, false])
          seen.push([
            phase,
            isCollecting,
            errorOf(() => verifyMemory(heap.core.memory, { isCollecting }))?.message.replace(/.*: /, ""),
          ]);
      },
    });
    expect(heap.collect()).toBe(1);
    expect(seen).toEqual([
      ["merge", true, undefined],
      ["merge", false, undefined],
      ["partition", true, undefined],
      ["partition", false, "unreachable objects outside a collection"],
      ["finalize", true, undefined],
      ["finalize", false, "unreachable objects outside a collection"],
      ["clear", true, undefined],
      ["clear", false, undefined],
    ]);
  });
});

describe("what the witness is told of the handles", () => {
  function moved(): TestCore {
    const { heap, i32, list, node } = makeSpecimen();
    i32[list + L.HEADER_REFCOUNT]++;
    i32[node + L.HEADER_REFCOUNT]--;
    return heap;
  }
  const messageOf = (heap: TestCore, options: VerifyOptions) =>
    errorOf(() => verifyMemory(heap.core.memory, options))?.message;

  it("decides whether it compares them one by one or their sum", () => {
    const heap = moved();
    expect(messageOf(heap, {})).toBeUndefined();
    expect(messageOf(heap, { roots: heap.roots })).toMatch(/count 5: 3 from inside, 1 handles/);
    heap.i32[L.CONTROL_ROOT_COUNT]--;
    expect(messageOf(heap, {})).toMatch(/handles, but/);
  });

  it("is a minimum inside an operation, which may hold more", () => {
    const { heap, i32, list } = makeSpecimen();
    const inside = { roots: heap.roots, isInside: true };
    i32[list + L.HEADER_REFCOUNT]++;
    expect(messageOf(heap, inside)).toBeUndefined();
    expect(messageOf(heap, { isInside: true })).toBeUndefined();
    i32[list + L.HEADER_REFCOUNT] -= 2;
    expect(messageOf(heap, inside)).toMatch(/count 3: 3 from inside, 1 handles/);
    expect(messageOf(heap, { isInside: true })).toMatch(/handles, but/);
  });

  it("is no sum once references are counted by hand", () => {
    const { heap, i32, list } = makeSpecimen();
    i32[list + L.HEADER_REFCOUNT]++;
    expect(messageOf(heap, {})).toMatch(/handles, but/);
    i32[L.CONTROL_RAW_USED] = 1;
    expect(messageOf(heap, {})).toBeUndefined();
    i32[list + L.HEADER_REFCOUNT] = 2;
    expect(messageOf(heap, {})).toMatch(/count 2, but 3 references lead here/);
  });
});
