/** The numbers of the layout against each other: what has to hold whatever their values are. */
import { describe, expect, it } from "vitest";
import * as L from "../../../src/memory/layout.js";

const constants = Object.entries(L) as [name: string, value: number][];

function named(pattern: RegExp): [name: string, value: number][] {
  return constants.filter(([name]) => pattern.test(name));
}

/** Constants of one structure: same prefix, minus those that only look like members. */
function members(prefix: string, ...others: string[]): [name: string, value: number][] {
  const found = named(new RegExp(`^${prefix}_`)).filter(([name]) => !others.includes(name));
  expect(found.length).toBeGreaterThan(1);
  return found;
}

function expectDistinct(entries: [name: string, value: number][]): void {
  const values = entries.map(([, value]) => value);
  expect(entries.filter(([, value], index) => values.indexOf(value) !== index)).toEqual([]);
}

function expectWithin(entries: [name: string, value: number][], first: number, end: number): void {
  expect(entries.filter(([, value]) => value < first || value >= end)).toEqual([]);
}

describe("control words", () => {
  /** Words of the controls that are more than one; CONTROL_YOUNG_CURSOR is a word of CONTROL_GENERATIONS. */
  const lengths: Record<string, number> = {
    CONTROL_COUNTS: 3,
    CONTROL_THRESHOLDS: 3,
    CONTROL_STATS: 3 * L.STATS_WORDS,
    CONTROL_GENERATIONS: L.GENERATION_COUNT * L.GENERATION_WORDS,
    CONTROL_FREE_RUNS: L.FREE_RUN_BINS,
    CONTROL_CURRENT: L.KIND_COUNT * L.SIZE_CLASS_COUNT_MAX,
    CONTROL_AVAILABLE: L.KIND_COUNT * L.SIZE_CLASS_COUNT_MAX,
  };
  const controls = members("CONTROL", "CONTROL_WORDS", "CONTROL_YOUNG_CURSOR").sort(([, a], [, b]) => a - b);

  it("do not overlap, and all lie before CONTROL_WORDS", () => {
    let end = 0;
    const overlapping: string[] = [];
    for (const [name, first] of controls) {
      if (first < end) overlapping.push(name);
      end = first + (lengths[name] ?? 1);
    }
    expect(overlapping).toEqual([]);
    expect(end).toBe(L.CONTROL_WORDS);
  });

  it("keep statistics where an f64 can be: three of them for each generation", () => {
    expect(L.CONTROL_STATS % 2).toBe(0);
    expect(L.STATS_WORDS).toBe(3 * 2);
  });

  it("have the young cursor in generation 0", () => {
    expect(L.CONTROL_YOUNG_CURSOR).toBe(L.CONTROL_GENERATIONS + L.GENERATION_CURSOR);
  });

  it("have a bin for every length of a run", () => {
    const pagesMax = L.RESERVATION_BYTES_MAX / L.PAGE_BYTES;
    expect(Math.floor(Math.log2(pagesMax))).toBeLessThan(L.FREE_RUN_BINS);
  });
});

describe("structures", () => {
  it.each([
    ["HEADER", L.HEADER_WORDS, ["HEADER_WORDS"]],
    ["GENERATION", L.GENERATION_WORDS, ["GENERATION_WORDS", "GENERATION_COUNT"]],
    ["CHUNK", L.CHUNK_ENTRIES + 1, ["CHUNK_WORDS", "CHUNK_MASK", "CHUNK_CAPACITY", "CHUNK_OPEN"]],
  ])("%s has a word of its own for each member", (prefix, words, others) => {
    expectDistinct(members(prefix, ...others));
    expectWithin(members(prefix, ...others), 0, words);
  });

  it("PAGE descriptor has a word of its own for each member", () => {
    const names = "STATE|FREE_LIST|USED|CAPACITY|BLOCK_WORDS|NEXT|PREVIOUS|RUN";
    const found = named(new RegExp(`^PAGE_(${names})$`));
    expect(found).toHaveLength(8);
    expectDistinct(found);
    expectWithin(found, 0, L.PAGE_DESCRIPTOR_WORDS);
  });

  it("TYPE record has a word of its own for each member", () => {
    const found = named(
      /^TYPE_(KIND|OBJECT_WORDS|FLAGS|TRAVERSE|DROP|EDGES|EDGE_COUNT|NAME|LAYOUT_HASH|WEAKREF_OFFSET|KEY_SLOT|ITEM_SLOT|BLOCK_KIND|SIZE_CLASS)$/,
    );
    expect(found).toHaveLength(14);
    expectDistinct(found);
    expectWithin(found, 0, L.TYPE_WORDS);
  });

  it.each([
    ["LIST", L.LIST_WORDS, ["LIST_WORDS"]],
    ["TABLE", L.TABLE_WORDS, ["TABLE_WORDS", "TABLE_INDEX_MIN"]],
  ])("%s has its members behind the header and inside the object", (prefix, words, others) => {
    expectDistinct(members(prefix, ...others));
    expectWithin(members(prefix, ...others), L.HEADER_WORDS, words);
  });

  it("a string's length is in its header, the rest behind it", () => {
    expect(L.STRING_LENGTH).toBe(L.HEADER_ENTRY);
    expect(L.STRING_HASH).toBe(L.HEADER_WORDS);
    expect(L.STRING_DATA).toBe(L.STRING_HASH + 1);
  });
});

describe("sizes", () => {
  it.each([
    ["PAGE_WORDS", L.PAGE_WORDS],
    ["PAGE_DESCRIPTOR_WORDS", L.PAGE_DESCRIPTOR_WORDS],
    ["CHUNK_WORDS", L.CHUNK_WORDS],
    ["TYPE_WORDS", L.TYPE_WORDS],
    ["SIZE_CLASS_COUNT_MAX", L.SIZE_CLASS_COUNT_MAX],
    ["TABLE_INDEX_MIN", L.TABLE_INDEX_MIN],
    ["RESERVATION_BYTES_MAX", L.RESERVATION_BYTES_MAX],
  ])("%s is a power of two", (_, value) => {
    expect(Number.isInteger(Math.log2(value))).toBe(true);
  });

  it("masks cover what their power of two leaves", () => {
    expect(L.CHUNK_MASK).toBe(L.CHUNK_WORDS - 1);
    expect(L.TYPE_EDGE_OFFSET_MASK).toBe(2 ** L.TYPE_EDGE_SLOT_SHIFT - 1);
    expect(L.TYPE_ID_MASK & (L.TYPE_ID_MASK + 1)).toBe(0);
    expect(L.SERIAL_MAX & (L.SERIAL_MAX + 1)).toBe(0);
  });

  it("every address of the largest reservation is a non-negative 32-bit integer", () => {
    expect(L.RESERVATION_BYTES_MAX / L.WORD_BYTES - 1).toBe(L.INT32_MAX);
  });

  it("the limits of a reservation are whole arenas", () => {
    const arenaBytes = L.ARENA_PAGES * L.PAGE_BYTES;
    expect(arenaBytes).toBe(64 * 1024);
    expect(L.RESERVATION_BYTES_MIN % arenaBytes).toBe(0);
    expect(L.RESERVATION_BYTES_MAX % arenaBytes).toBe(0);
  });

  it("a granule holds no more than a header, so that no two objects start in one", () => {
    expect(L.WORD_BYTES << L.GRANULE_SHIFT).toBe(16);
    expect(L.HEADER_WORDS).toBeGreaterThanOrEqual(1 << L.GRANULE_SHIFT);
  });

  it("a chunk divides a page, so that a mask leads from an entry to its chunk", () => {
    expect(L.PAGE_WORDS % L.CHUNK_WORDS).toBe(0);
    expect(L.CHUNK_CAPACITY).toBe(L.CHUNK_WORDS - L.CHUNK_ENTRIES);
    expect(L.CHUNK_OPEN).toBeGreaterThan(L.CHUNK_WORDS);
  });

  it("heap references alone cannot overflow a count that `unsafe` may still raise", () => {
    expect(L.REFCOUNT_MAX).toBeLessThanOrEqual(L.INT32_MAX);
    expect(L.REFCOUNT_MAX * 2).toBeGreaterThanOrEqual(L.RESERVATION_BYTES_MAX / L.WORD_BYTES);
  });
});

describe("codes", () => {
  it("of a page's state differ, fit into 8 bits, and leave every kind its place", () => {
    const fixed: [string, number][] = [
      ["PAGE_UNUSED", L.PAGE_UNUSED],
      ["PAGE_FREE_RUN", L.PAGE_FREE_RUN],
      ["PAGE_CONTINUATION", L.PAGE_CONTINUATION],
    ];
    for (let kind = 0; kind < L.KIND_COUNT; kind++) {
      fixed.push([`small ${kind}`, L.PAGE_SMALL + kind]);
      fixed.push([`large ${kind}`, L.PAGE_LARGE + kind]);
    }
    expectDistinct(fixed);
    expectWithin(fixed, 0, 256);
    // The allocator tells blocks of a page from large ones, and both from runs of no block, by one comparison.
    expect(Math.max(L.PAGE_UNUSED, L.PAGE_FREE_RUN, L.PAGE_CONTINUATION)).toBeLessThan(L.PAGE_SMALL);
    expect(L.PAGE_SMALL + L.KIND_COUNT).toBeLessThanOrEqual(L.PAGE_LARGE);
  });

  it("of block kinds count from 0", () => {
    const kinds = [L.KIND_CONTAINER, L.KIND_LEAF, L.KIND_STORAGE].sort();
    expect(kinds).toEqual([...new Array(L.KIND_COUNT).keys()]);
  });

  it("of object kinds, slots and traversals differ", () => {
    expectDistinct(named(/^KIND_(FREE|STRING|STRUCT|TUPLE|LIST|DICT|SET)$/));
    expectDistinct(members("SLOT"));
    expectWithin(members("SLOT"), 0, 2 ** (31 - L.TYPE_EDGE_SLOT_SHIFT));
    expectDistinct(named(/^TRAVERSE_/));
    // A count of references is never negative, so these can stand in its place.
    expectWithin(named(/^TRAVERSE_/), -128, 0);
  });

  it("of side bytes rise from outside to reachable within a byte", () => {
    const order = [L.SIDE_OUTSIDE, L.SIDE_MEMBER, L.SIDE_SATURATED, L.SIDE_TENTATIVE, L.SIDE_REACHABLE];
    expect([...Uint8Array.from(order)]).toEqual(order);
    expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
    expect(L.SIDE_OUTSIDE).toBe(0);
  });

  it("of flags are single bits beside the type id", () => {
    for (const [, flag] of members("FLAG")) {
      expect(flag & (flag - 1)).toBe(0);
      expect(flag & L.TYPE_ID_MASK).toBe(0);
    }
    expectDistinct(members("FLAG"));
    expect(L.TYPE_GC & L.TYPE_TRACKED_AT_BIRTH).toBe(0);
  });

  it("type ids fit their bits, and 0 is no type's", () => {
    expect(L.TYPE_ID_MAX & ~L.TYPE_ID_MASK).toBe(0);
    expect(L.TYPE_ID_STRING).toBeGreaterThan(0);
    expect(L.TYPE_ID_FIRST_FREE).toBeGreaterThan(L.TYPE_ID_STRING);
  });

  it("a deleted hash is no hash", () => {
    expect(L.HASH_DELETED & L.HASH_MASK).not.toBe(L.HASH_DELETED);
  });

  it("poison fits a word, and tells an object from storage", () => {
    expect(L.POISON_OBJECT).not.toBe(L.POISON_STORAGE);
    for (const poison of [L.POISON_OBJECT, L.POISON_STORAGE]) expect(poison | 0).toBe(poison);
  });
});

describe("serials", () => {
  it("are small integers in every engine", () => {
    expect(L.SERIAL_MAX).toBeLessThan(2 ** 30);
  });

  it("leave a retired block room for the two steps of one death", () => {
    expect(L.SERIAL_RETIRED - 1 + 2).toBeLessThanOrEqual(L.SERIAL_MAX);
  });
});

describe("tags of an `any` slot", () => {
  const f64 = new Float64Array(1);
  const words = new Int32Array(f64.buffer);

  function isTag(high: number): boolean {
    return high >= L.TAG_FIRST && high <= L.TAG_LAST;
  }

  function highWord(value: number): number {
    f64[0] = value;
    return words[1];
  }

  function numberOf(high: number, low: number): number {
    words[0] = low;
    words[1] = high;
    return f64[0];
  }

  it("differ and fill the range from the first to the last", () => {
    const tags = members("TAG", "TAG_FIRST", "TAG_LAST");
    expectDistinct(tags);
    expectWithin(tags, L.TAG_FIRST, L.TAG_LAST + 1);
    expect(L.TAG_LAST - L.TAG_FIRST + 1).toBe(tags.length);
  });

  it.each([
    0,
    -0,
    1,
    -1,
    Number.MIN_VALUE,
    -Number.MAX_VALUE,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** -1022,
    -(2 ** -1022),
  ])("are never the high word of %d", (value) => {
    expect(isTag(highWord(value))).toBe(false);
  });

  it("are high words of NaN only, whatever the low word, so that making NaN canonical is enough", () => {
    const lowWords = [
      0,
      1,
      -1,
      L.INT32_MAX,
      ...Array.from({ length: 50 }, () => (Math.random() * 2 ** 32) | 0),
    ];
    for (let high = L.TAG_FIRST; high <= L.TAG_LAST; high++)
      for (const low of lowWords) expect(Number.isNaN(numberOf(high, low))).toBe(true);
  });

  it("are not the high word of the canonical NaN", () => {
    expect(isTag(L.NAN_HIGH)).toBe(false);
    expect(Number.isNaN(numberOf(L.NAN_HIGH, 0))).toBe(true);
  });
});
