import { describe, expect, it } from "vitest";
import {
  HEADER_WORDS,
  SLOT_ANY,
  SLOT_BOOL,
  SLOT_F32,
  SLOT_F64,
  SLOT_I32,
  SLOT_I64,
  SLOT_REF,
  SLOT_STR,
  SLOT_U8,
  SLOT_U32,
  TRAVERSE_EDGES,
} from "../../../src/memory/layout.js";
import { entryWords, holdsReference, slotWords } from "../../../src/object/slot.js";
import { layoutFields } from "../../../src/object/struct.js";
import { size } from "../../support/heaps.js";
import { below, pick, randomFrom, shuffle } from "../../support/random.js";

const SLOTS = [
  ...[SLOT_REF, SLOT_STR, SLOT_ANY, SLOT_F64, SLOT_I64],
  ...[SLOT_F32, SLOT_I32, SLOT_U32, SLOT_U8, SLOT_BOOL],
];

function layout(slots: readonly number[], hasWeakrefs = false, visitOrder = [...slots.keys()]) {
  return layoutFields(slots, visitOrder, hasWeakrefs);
}
/** Word offsets in the order of the slots. */
function offsets(slots: readonly number[], hasWeakrefs = false): number[] {
  return layout(slots, hasWeakrefs).places.map(({ offset }) => offset);
}
/** An entry of the edge table: where, and what. */
function edge(offset: number, slot: number): number {
  return offset + slot * 2 ** 24;
}

describe("the layout of fields", () => {
  it("puts references first, then strings, then what is wide, then words, then bytes", () => {
    const slots = [SLOT_U8, SLOT_I32, SLOT_F64, SLOT_STR, SLOT_REF, SLOT_STR, SLOT_REF, SLOT_F32];
    expect(offsets(slots)).toEqual([12, 10, 8, 6, 4, 7, 5, 11]);
  });

  it("gives three references, the weak reference word and a double 40 bytes", () => {
    const fields = layout([SLOT_REF, SLOT_REF, SLOT_REF, SLOT_F64], true);
    expect(fields).toMatchObject({ objectWords: 10, weakrefOffset: 7, traverse: 3, drop: 3 });
    expect(fields.places[3]).toEqual({ offset: 8, shift: 0 });
  });

  it("fills the word that alignment leaves over with the next narrow field", () => {
    expect(offsets([SLOT_REF, SLOT_F64, SLOT_I32])).toEqual([4, 6, 5]);
    expect(offsets([SLOT_REF, SLOT_F64, SLOT_U8])).toEqual([4, 6, 5]);
    expect(offsets([SLOT_REF, SLOT_F64, SLOT_I64, SLOT_I32, SLOT_I32])).toEqual([4, 6, 8, 5, 10]);
  });

  it("packs bytes four to a word, in the order of the fields", () => {
    const { places } = layout([SLOT_U8, SLOT_BOOL, SLOT_U8, SLOT_U8, SLOT_BOOL]);
    expect(places).toEqual([
      { offset: 4, shift: 0 },
      { offset: 4, shift: 8 },
      { offset: 4, shift: 16 },
      { offset: 4, shift: 24 },
      { offset: 5, shift: 0 },
    ]);
  });

  it("has no weak reference word unless asked, and rounds up to whole pairs of words", () => {
    expect(layout([])).toEqual({
      places: [],
      objectWords: HEADER_WORDS,
      unused: [],
      weakrefOffset: 0,
      traverse: 0,
      drop: 0,
      edges: [],
    });
    expect(layout([], true)).toMatchObject({ objectWords: HEADER_WORDS + 2, weakrefOffset: HEADER_WORDS });
    expect(layout([SLOT_I32]).objectWords).toBe(HEADER_WORDS + 2);
  });

  it("wastes no more than one word, overlaps nothing and aligns what is wide, whatever the fields", () => {
    for (let seed = 0; seed < Math.max(100, size(500)); seed++) {
      const random = randomFrom(seed);
      const slots = Array.from({ length: below(random, 20) }, () => pick(random, SLOTS));
      const hasWeakrefs = random() < 0.5;
      const fields = layout(slots, hasWeakrefs, shuffle(random, [...slots.keys()]));
      const taken = new Set<number>();
      const take = (word: number, shift: number, bytes: number) => {
        for (let byte = 0; byte < bytes; byte++) taken.add(word * 4 + shift / 8 + byte);
      };
      let bytes = 0;
      for (const [index, slot] of slots.entries()) {
        const { offset, shift } = fields.places[index];
        const width = slot === SLOT_U8 || slot === SLOT_BOOL ? 1 : slotWords(slot) * 4;
        take(offset, shift, width);
        bytes += width;
        if (width === 8) expect(offset % 2).toBe(0);
        if (width !== 1) expect(shift).toBe(0);
      }
      if (hasWeakrefs) take(fields.weakrefOffset, 0, 4);
      if (hasWeakrefs) bytes += 4;
      expect(taken.size).toBe(bytes);
      const byteCount = slots.filter((slot) => slot === SLOT_U8 || slot === SLOT_BOOL).length;
      const words = (bytes - byteCount) / 4 + Math.ceil(byteCount / 4);
      expect(Math.min(...taken)).toBeGreaterThanOrEqual(HEADER_WORDS * 4);
      expect(Math.max(...taken)).toBeLessThan(fields.objectWords * 4);
      expect(fields.objectWords).toBe(HEADER_WORDS + words + ((HEADER_WORDS + words) % 2));
      const untouched = Array.from({ length: fields.objectWords }, (_, word) => word).filter(
        (word) => word >= HEADER_WORDS && ![0, 1, 2, 3].some((byte) => taken.has(word * 4 + byte)),
      );
      expect(fields.unused).toEqual(untouched);
    }
  });
});

describe("what a traversal and a death meet", () => {
  it("are the first words, references and then strings, in visit order, where no slot is `any`", () => {
    const slots = [SLOT_STR, SLOT_REF, SLOT_F64, SLOT_REF, SLOT_STR, SLOT_REF];
    const reversed = layout(slots, false, [5, 4, 3, 2, 1, 0]);
    expect(reversed).toMatchObject({ traverse: 3, drop: 5, edges: [] });
    expect([5, 3, 1, 4, 0].map((index) => reversed.places[index].offset)).toEqual([4, 5, 6, 7, 8]);
  });

  it("are a table in visit order, strings included, where a slot is `any`", () => {
    const slots = [SLOT_STR, SLOT_ANY, SLOT_I32, SLOT_REF, SLOT_ANY, SLOT_U8, SLOT_REF];
    const forward = layout(slots);
    expect(forward).toMatchObject({ traverse: TRAVERSE_EDGES, drop: TRAVERSE_EDGES });
    const at = (index: number) => edge(forward.places[index].offset, slots[index]);
    expect(forward.edges).toEqual([at(0), at(1), at(3), at(4), at(6)]);
    expect(layout(slots, false, [6, 5, 4, 3, 2, 1, 0]).edges.map((word) => word >>> 24)).toEqual([
      SLOT_REF,
      SLOT_ANY,
      SLOT_REF,
      SLOT_ANY,
      SLOT_STR,
    ]);
  });

  it("are nothing where all is plain, whatever the visit order", () => {
    expect(layout([SLOT_F64, SLOT_U8, SLOT_I64])).toMatchObject({ traverse: 0, drop: 0, edges: [] });
    expect(layout([SLOT_STR, SLOT_STR])).toMatchObject({ traverse: 0, drop: 2, edges: [] });
  });
});

describe("a slot", () => {
  it("takes one word or two, none where there is none, and holds a reference or does not", () => {
    const told = [0, ...SLOTS].map((slot) => [slotWords(slot), holdsReference(slot)]);
    expect(told).toEqual([
      [0, false],
      [1, true],
      [1, true],
      [2, true],
      [2, false],
      [2, false],
      ...Array(5).fill([1, false]),
    ]);
  });

  it("makes a hash table's entry two words longer where there is a value", () => {
    expect([0, ...SLOTS].map(entryWords)).toEqual([2, ...SLOTS.map(() => 4)]);
  });
});
