import { describe, expect, it, vi } from "vitest";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  CONTROL_PAGES_USED,
  HASH_MASK,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  PAGE_WORDS,
  STRING_LENGTH,
  TYPE_ID_STRING,
} from "../../../src/memory/layout.js";
import { hashText } from "../../../src/object/string.js";
import { below, makeQuietCore, pick, type Random, randomFrom, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";

/** Units that meet every edge: NUL, both sides of a byte, halves of pairs in any order, the last unit there is. */
const UNITS = [0, 1, 0x41, 0x7f, 0x80, 0xff, 0x100, 0x141, 0x2028, 0xd7ff, 0xd83d, 0xdc00, 0xe000, 0xffff];

function textOf(units: readonly number[], length: number, random: Random): string {
  return Array.from({ length }, () => String.fromCharCode(pick(random, units))).join("");
}

const narrowUnits = UNITS.filter((unit) => unit <= 0xff);
/** Every length up to two words and past the loop's, the cache's and a decode's limit, in both widths. */
const TEXTS = [...Array(20).keys(), 63, 64, 65, 4095, 4096, 4097, 8193].flatMap((length) => [
  textOf(narrowUnits, length, randomFrom(length)),
  textOf(UNITS, length, randomFrom(length + 1)),
]);

const NAMED_TEXTS: readonly [string, string][] = [
  ["ASCII", "plain"],
  ["Latin-1", "naïve ÿ"],
  ["the first unit that is not Latin-1", "\u0100"],
  ["NUL inside", "a\0b"],
  ["outside the basic plane", "a😀b𝄞"],
  ["a lone high surrogate", "\ud83d"],
  ["a lone low surrogate", "x\ude00"],
  ["surrogates the wrong way round", "\ude00\ud83d"],
  ["the byte order mark and a noncharacter", "\ufeff\uffff"],
];

describe("a text", () => {
  it.each(NAMED_TEXTS)("comes back as it was: %s", (_, text) => {
    const heap = makeQuietCore();
    const { strings } = heap.core;
    const string = heap.newString(text);
    expect(strings.read(string)).toBe(text);
    expect(strings.length(string)).toBe(text.length);
    expect(strings.hash(string)).toBe(hashText(text));
    expect(strings.equals(string, text)).toBe(true);
  });

  it("comes back at every length, read once or again", () => {
    const heap = makeQuietCore();
    const strings = TEXTS.map((text) => (text === "" ? 0 : heap.newString(text)));
    for (let round = 0; round < 2; round++)
      expect(strings.map((string) => heap.core.strings.read(string))).toEqual(TEXTS);
  });

  it("comes back where no native decoder reaches: without a window of the memory over it", () => {
    const heap = makeQuietCore();
    const window = vi.spyOn(heap.core.memory, "window").mockReturnValue(undefined);
    const strings = TEXTS.map((text) => (text === "" ? 0 : heap.newString(text)));
    expect(strings.map((string) => heap.core.strings.read(string))).toEqual(TEXTS);
    expect(window).toHaveBeenCalled();
  });

  it("takes a byte a unit as long as no unit needs more", () => {
    const heap = makeQuietCore();
    const sizeOf = (text: string) => {
      const string = heap.newString(text);
      return [heap.i32[string + STRING_LENGTH] & 1, heap.core.allocator.blockWords(string)];
    };
    expect(sizeOf("ÿ".repeat(100))).toEqual([0, 5 + 25]);
    expect(sizeOf(`${"ÿ".repeat(99)}Ā`)).toEqual([1, 5 + 50 + 1]); // and a word that its class has over
  });

  it("has one reference, the maker's, and dies when that is dropped", () => {
    const heap = makeQuietCore();
    const string = heap.newString("text");
    expect(heap.i32[string + HEADER_REFCOUNT]).toBe(1);
    expect(heap.i32[string + HEADER_TYPE]).toBe(TYPE_ID_STRING);
    heap.drop(string);
    expect(heap.i32[string + HEADER_TYPE]).toBe(0);
  });

  it("of any length gives its pages back", () => {
    const heap = makeQuietCore();
    const before = heap.i32[CONTROL_PAGES_USED];
    const string = heap.newString("Ā".repeat(10 * PAGE_WORDS));
    expect(heap.i32[CONTROL_PAGES_USED]).toBe(before + 6); // 2 bytes a unit, and the header
    heap.drop(string);
    expect(heap.i32[CONTROL_PAGES_USED]).toBe(before);
  });
});

describe("the empty text", () => {
  it("has no object: its address is 0, and it is like any other text", () => {
    const { strings } = makeQuietCore().core;
    expect(strings.create("")).toBe(0);
    expect(strings.read(0)).toBe("");
    expect(strings.length(0)).toBe(0);
    expect(strings.hash(0)).toBe(hashText(""));
    expect([strings.equals(0, ""), strings.equals(0, "\0")]).toEqual([true, false]);
  });
});

describe("the hash of a text", () => {
  /** FNV-1a and the final mix on integers without end. */
  function naiveHash(text: string): number {
    const word = 2n ** 32n;
    let hash = 0x811c9dc5n;
    for (const unit of Array.from({ length: text.length }, (_, index) => text.charCodeAt(index)))
      hash = ((hash ^ BigInt(unit)) * 0x01000193n) % word;
    hash = ((hash ^ (hash >> 15n)) * 0x2c1b3c6dn) % word;
    return Number(hash ^ (hash >> 12n)) % 2 ** 31;
  }

  it("is FNV-1a of its UTF-16 units, mixed, in 31 bits", () => {
    for (const text of [...TEXTS, ...NAMED_TEXTS.map(([, named]) => named)]) {
      expect(hashText(text)).toBe(naiveHash(text));
      expect(hashText(text) & ~HASH_MASK).toBe(0);
    }
  });

  it("spreads similar texts over a small table", () => {
    const mask = 1023;
    const hits = new Int32Array(mask + 1);
    for (let number = 0; number <= mask; number++) hits[hashText(`key${number}`) & mask]++;
    expect(hits.filter((count) => count === 0).length).toBeLessThan(0.42 * (mask + 1)); // chance: 0.37
    expect(Math.max(...hits)).toBeLessThan(9);
  });
});

describe("equality with a text", () => {
  it("is that of JavaScript: every unit and the length", () => {
    const random = randomFrom(1);
    const heap = makeQuietCore();
    for (let round = 0; round < Math.max(200, size(3000)); round++) {
      const units = random() < 0.5 ? narrowUnits : UNITS;
      const text = textOf(units, 1 + below(random, 12), random);
      const at = below(random, text.length);
      const changed = pick(random, UNITS);
      const others = [
        text,
        text.slice(0, -1),
        `${text}\0`,
        text.slice(0, at) + String.fromCharCode(changed) + text.slice(at + 1),
        // The same low bytes in the other width.
        text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 0x100) + text.slice(at + 1),
      ];
      const string = heap.newString(text);
      for (const other of others) expect(heap.core.strings.equals(string, other)).toBe(other === text);
      heap.drop(string);
    }
  });
});

describe("what was read lately", () => {
  /** Make strings of this text until one stands at an address again. */
  function makeAt(heap: TestCore, address: Address, text: string): void {
    for (let tries = 0; tries < 5000; tries++) if (heap.newString(text) === address) return;
    throw new Error(`no string came to ${address} again`);
  }

  it("is not taken for what stands at the same address later", () => {
    const heap = makeQuietCore();
    const string = heap.newString("before");
    expect(heap.core.strings.read(string)).toBe("before");
    heap.drop(string);
    makeAt(heap, string, "behind");
    expect(heap.core.strings.read(string)).toBe("behind");
  });

  it("is not taken for what shares its place among the texts kept", () => {
    const heap = makeQuietCore();
    // Blocks of 8 words, so that each place of the third page is one of the first.
    const texts = Array.from({ length: 2000 }, (_, number) => `text ${number}`.padEnd(12));
    const strings = texts.map((text) => heap.newString(text));
    const apart = strings.findIndex((string) => strings.includes(string + 2 * PAGE_WORDS));
    const other = strings.indexOf(strings[apart] + 2 * PAGE_WORDS);
    expect(other).toBeGreaterThan(apart);
    for (const index of [apart, other, apart, other])
      expect(heap.core.strings.read(strings[index])).toBe(texts[index]);
  });

  it("is not decoded again up to 64 units, and longer texts are not kept", () => {
    const heap = makeQuietCore();
    const { strings, memory } = heap.core;
    const [kept, long] = [heap.newString("k".repeat(64)), heap.newString("l".repeat(65))];
    const window = vi.spyOn(memory, "window");
    const decodes = (string: Address) => {
      window.mockClear();
      strings.read(string);
      return window.mock.calls.length;
    };
    expect([decodes(kept), decodes(kept), decodes(kept)]).toEqual([1, 0, 0]);
    expect([decodes(long), decodes(long)]).toEqual([1, 1]);
  });
});

describe("where memory is full", () => {
  it("no string is made, and those that were stay", () => {
    const heap = makeQuietCore(512 << 10);
    const texts: string[] = [];
    const strings: Address[] = [];
    const fill = () => {
      for (;;) {
        const text = `text number ${texts.length}`;
        strings.push(heap.newString(text));
        texts.push(text);
      }
    };
    expect(fill).toThrow(OutOfMemoryError);
    expect(() => heap.newString("x".repeat(200_000))).toThrow(OutOfMemoryError);
    expect(texts.length).toBeGreaterThan(500);
    heap.verify();
    expect(strings.map((string) => heap.core.strings.read(string))).toEqual(texts);
    heap.drop(...strings);
    expect(heap.core.strings.read(heap.newString("room again"))).toBe("room again");
  });
});
