import { describe, expect, it, vi } from "vitest";
import { OutOfMemoryError } from "../../../src/memory/errors.js";
import {
  type Address,
  CONTROL_PAGES_USED,
  HASH_MASK,
  HEADER_REFCOUNT,
  HEADER_TYPE,
  PAGE_WORDS,
  STRING_DATA,
  STRING_LENGTH,
  TYPE_ID_STRING,
} from "../../../src/memory/layout.js";
import { hashText, hashUnits } from "../../../src/object/string.js";
import { makeQuietCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { below, pick, type Random, randomFrom } from "../../support/random.js";

/** Units that meet every edge: NUL, both sides of a byte, halves of pairs in any order, the last unit there is. */
const UNITS = [0, 1, 0x41, 0x7f, 0x80, 0xff, 0x100, 0x141, 0x2028, 0xd7ff, 0xd83d, 0xdc00, 0xe000, 0xffff];

function textOf(units: readonly number[], length: number, random: Random): string {
  return Array.from({ length }, () => String.fromCharCode(pick(random, units))).join("");
}

const narrowUnits = UNITS.filter((unit) => unit <= 0xff);
/** Every length up to two words and past the loop's, the cache's, the packed words' and a decode's limit, in both widths. */
const TEXTS = [...Array(20).keys(), 63, 64, 65, 255, 256, 257, 258, 259, 4095, 4096, 4097, 8193].flatMap(
  (length) => [
    textOf(narrowUnits, length, randomFrom(length)),
    textOf(UNITS, length, randomFrom(length + 1)),
  ],
);

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
  /** MurmurHash3 on integers without end, byte by byte; a string's length word stands for the length. */
  function naiveHash(text: string): number {
    const word = 2n ** 32n;
    const rotate = (bits: bigint, by: bigint) => ((bits << by) | (bits >> (32n - by))) % word;
    const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
    const isWide = units.some((unit) => unit > 255);
    const bytes = units.flatMap((unit) => (isWide ? [unit & 255, unit >> 8] : [unit]));
    let hash = 0n;
    for (let at = 0; at < bytes.length; at += 4) {
      const block = [3, 2, 1, 0].reduce((sum, index) => sum * 256n + BigInt(bytes[at + index] ?? 0), 0n);
      hash ^= (rotate((block * 0xcc9e2d51n) % word, 15n) * 0x1b873593n) % word;
      hash = (rotate(hash, 13n) * 5n + 0xe6546b64n) % word;
    }
    hash ^= BigInt(units.length * 2 + (isWide ? 1 : 0));
    hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) % word;
    hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) % word;
    return Number(hash ^ (hash >> 16n)) % 2 ** 31;
  }

  it("is MurmurHash3 of the words that its units are packed into, in 31 bits", () => {
    const { core, i32 } = makeQuietCore();
    for (const text of [...TEXTS, ...NAMED_TEXTS.map(([, named]) => named)]) {
      const hash = naiveHash(text);
      expect(hashText(text)).toBe(hash);
      expect(hashText(text) & ~HASH_MASK).toBe(0);
      const string = core.strings.create(text);
      if (string === 0) continue;
      expect(hashUnits(i32, string + STRING_DATA, i32[string + STRING_LENGTH])).toBe(hash);
      core.counts.decref(string);
    }
  });

  it.each<[string, (number: number) => string]>([
    ["at the end", (number) => `key${number}`],
    ["at the start", (number) => `${number} is the key`],
    ["in the last byte of each word", (number) => `abc${digit(number)}abc${digit(number / 32)}abc`],
    ["in the high bytes of wide units", (number) => `\ud83d${String.fromCharCode(number << 6)}`],
    ["in the length", (number) => "\0".repeat(number)],
  ])("spreads texts that differ %s over a small table", (_, make) => {
    const mask = 1023;
    for (const shift of [0, 21]) {
      const hits = new Int32Array(mask + 1);
      for (let number = 0; number <= mask; number++) hits[(hashText(make(number)) >>> shift) & mask]++;
      expect(hits.filter((count) => count === 0).length).toBeLessThan(0.42 * (mask + 1)); // chance: 0.37
      expect(Math.max(...hits)).toBeLessThan(9);
    }
  });

  function digit(number: number): string {
    return String.fromCharCode(64 + (number & 31));
  }
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
      for (const other of others) {
        expect(heap.core.strings.equals(string, other)).toBe(other === text);
        hashText(other);
        expect(heap.core.strings.equalsHashed(string, other)).toBe(other === text);
      }
      heap.drop(string);
    }
  });
});

describe("a text that was just hashed", () => {
  it("is compared and copied as it is, whatever was hashed before", () => {
    const heap = makeQuietCore();
    const { strings } = heap.core;
    for (const text of TEXTS) {
      const string = strings.create(text);
      for (const other of TEXTS) {
        const hash = hashText(other);
        expect(strings.equalsHashed(string, other)).toBe(other === text);
        if (other.length > 300) continue;
        const copy = strings.createHashed(other, hash);
        expect([strings.read(copy), strings.hash(copy)]).toEqual([other, hash]);
        if (copy !== 0) heap.core.counts.decref(copy);
      }
      hashText(text);
      const copy = strings.createHashed(text, strings.hash(string));
      expect(strings.equals(copy, text)).toBe(true);
      for (const made of [string, copy]) if (made !== 0) heap.core.counts.decref(made);
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
