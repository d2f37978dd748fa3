/** What the reader of an image asks of every object, by images that say otherwise and have their checksums right. */
import { afterEach, describe, expect, it } from "vitest";
import {
  type Borrowed,
  f64,
  Heap,
  ImageError,
  list,
  optional,
  release,
  str,
  struct,
} from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import * as imageLayout from "../../../src/memory/image-layout.js";
import * as heapLayout from "../../../src/memory/layout.js";
import { recompute } from "../../fuzz/damage.mjs";
import { makeHeap } from "../../support/heaps.js";

const L = { ...heapLayout, ...imageLayout };

class Plain extends struct("Plain", {
  get first() {
    return optional(Plain);
  },
  get second() {
    return optional(Plain);
  },
  name: str,
  value: f64,
}) {}
class Other extends struct("Other", {
  get next() {
    return optional(Other);
  },
}) {}
const Pair = struct("Pair", { plain: optional(Plain), other: optional(Other), all: list(Plain) });

const heaps: Heap[] = [];
afterEach(() => {
  for (const heap of heaps.splice(0)) {
    verify(heap);
    heap.onLeakedHandle = () => {};
    heap[Symbol.dispose]();
  }
});

async function load(bytes: Uint8Array, types: readonly (typeof Plain)[] = []) {
  const loaded = await Heap.load(bytes, { types });
  heaps.push(loaded.heap);
  verify(loaded.heap);
  return loaded;
}

/** A saved heap, its words, and where an object stands in it. */
function image() {
  const heap = makeHeap();
  const plain = heap.new(Plain, { first: { name: "first" }, second: { name: "second" }, name: "root" });
  plain.first!.second = plain;
  const pair = heap.new(Pair, { plain, other: { next: {} } });
  const bytes = heap.saveBytes({ roots: { pair } });
  const words = new Int32Array(bytes.slice().buffer);
  const runs = L.IMAGE_HEADER_WORDS + Math.ceil(words[L.IMAGE_HEADER_METADATA] / L.WORD_BYTES);
  const pages = runs + words[L.IMAGE_HEADER_RUNS] * L.IMAGE_RUN_WORDS;
  let before = 0;
  const at = (ref: Borrowed): number => {
    const address = heap.weakref.address(ref);
    before = pages;
    for (let run = runs; run < pages; run += L.IMAGE_RUN_WORDS) {
      const first = words[run + L.IMAGE_RUN_PAGE] * L.PAGE_WORDS;
      const length = words[run + L.IMAGE_RUN_LENGTH] * L.PAGE_WORDS;
      if (address >= first && address < first + length) return before + address - first;
      before += length;
    }
    throw new Error(`${address} is not in the image`);
  };
  const generations = pages + words[L.IMAGE_HEADER_PAGES] * L.PAGE_WORDS;
  return { heap, plain, pair, words, at, generations, address: (ref: Borrowed) => heap.weakref.address(ref) };
}

async function refusal(words: Int32Array): Promise<string> {
  const error = await Heap.load(recompute(new Uint8Array(words.buffer))).then(
    () => expect.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ImageError);
  expect((error as ImageError).code).toBe("IMAGE_INVALID");
  return (error as ImageError).message;
}

describe("an object of a plain type", () => {
  it("travels", async () => {
    const { words } = image();
    const { roots } = await load(recompute(new Uint8Array(words.buffer)), [Plain]);
    const { plain } = roots.pair as unknown as { plain: Plain };
    expect([plain.first!.second!.name, plain.second!.name, plain.second!.first]).toEqual([
      "root",
      "second",
      null,
    ]);
  });

  const REFERENCE = L.HEADER_WORDS;
  it.each([
    ["between blocks", (address: number) => address + 2],
    ["at an odd word", (address: number) => address + 1],
    ["in another block's granule", (address: number) => address - 2],
    ["at a free block", () => 0],
    ["below all pages", () => 100],
    ["above all pages", () => 0x7ffffffe],
    ["at a negative word", () => -16],
  ])("does not refer to what starts %s", async (where, change) => {
    const { plain, words, at, address } = image();
    const first = address(plain.first!);
    const [low, middle, high] = [plain, plain.first!, plain.second!].map(address).sort((a, b) => a - b);
    const free = high! + Math.min(middle! - low!, high! - middle!);
    words[at(plain) + REFERENCE] = where === "at a free block" ? free : change(first);
    expect(await refusal(words)).toMatch(/where no object starts/);
  });

  it("does not refer to an object of another type", async () => {
    const { pair, plain, words, at, address } = image();
    words[at(plain) + REFERENCE] = address(pair.other!);
    expect(await refusal(words)).toContain("of another type than it may hold");
  });

  it("is referred to by something", async () => {
    const { plain, words, at } = image();
    words[at(plain) + REFERENCE + 1] = 0;
    expect(await refusal(words)).toContain("nothing refers");
  });

  it("has no count, serial, flag or type that an image does not have", async () => {
    const cases: [number, number, RegExp][] = [
      [L.HEADER_REFCOUNT, 1, /a count or a serial/],
      [L.HEADER_SERIAL, 1, /a count or a serial/],
      [L.HEADER_TYPE, L.FLAG_TRACKED | 7, /flags/],
      [L.HEADER_TYPE, 60_000, /which there is not/],
      [L.HEADER_TYPE, L.TYPE_ID_STRING, /in a page of blocks of kind/],
    ];
    for (const [word, value, message] of cases) {
      const { plain, words, at } = image();
      words[at(plain) + word] = value;
      expect(await refusal(words)).toMatch(message);
    }
  });

  it("stands in one table, once", async () => {
    const twice = image();
    twice.words[twice.generations] = twice.words[twice.generations + 1];
    expect(await refusal(twice.words)).toContain("tracked twice");
    const none = image();
    none.words[none.generations] += 2;
    expect(await refusal(none.words)).toContain("a tracked object that is none");
    const leaf = image();
    const text = leaf.words[leaf.at(leaf.plain.first!) + REFERENCE + 2];
    leaf.words[leaf.generations] = text;
    expect(await refusal(leaf.words)).toContain("its type cannot be");
  });

  it("may be weakly referenced", async () => {
    const heap = makeHeap();
    const plain = heap.new(Plain, { first: {} });
    const watch = heap.weakref.ref(plain.first!);
    const { heap: other, roots } = await load(heap.saveBytes({ roots: { plain, watch } }), [Plain]);
    const there = roots.watch as unknown as typeof watch;
    expect(there.alive).toBe(true);
    (roots.plain as unknown as Plain).first = null;
    expect(there.alive).toBe(false);
    expect(other.weakref.getWeakrefCount(roots.plain!)).toBe(0);
  });
});

describe("a heap with more types than have codes of their own", () => {
  const make = () => {
    const types = Array.from({ length: 90 }, (_, index) =>
      struct(`Type ${index}`, { text: str, plain: optional(Plain) }),
    );
    const holders = types.map((Type, index) => struct(`Holder ${index}`, { it: optional(Type) }));
    const heap = makeHeap();
    const refs = holders.map((Holder, index) => heap.new(Holder, { it: { text: `text ${index}` } }));
    return { heap, refs };
  };

  it("travels", async () => {
    const { heap, refs } = make();
    const { roots } = await load(heap.saveBytes({ roots: Object.fromEntries(refs.entries()) }));
    const texts = refs.map((_, index) => (roots[index] as unknown as { it: { text: string } }).it.text);
    expect(texts).toEqual(refs.map((_, index) => `text ${index}`));
  });

  it("has no reference to an object of a type that shares the code of the right one", async () => {
    const { heap, refs } = make();
    const bytes = heap.saveBytes({ roots: Object.fromEntries(refs.entries()) });
    const words = new Int32Array(bytes.slice().buffer);
    const [right, wrong] = [refs[80], refs[81]].map((ref) => heap.weakref.address(ref!.it!));
    // It stands once as a reference, and once in the generation table, which comes last.
    const places = [...words.keys()].filter((at) => words[at] === right);
    expect(places.length).toBe(2);
    words[places[0]!] = wrong!;
    expect(await refusal(words)).toContain("of another type than it may hold");
  });
});

describe("tables of several chunks", () => {
  it("have every object in order, and go on from there", async () => {
    const count = L.CHUNK_CAPACITY * 2 + 100;
    const heap = makeHeap({ checks: "off" });
    heap.gc.disable();
    const all = heap.new(list(Plain), []);
    for (let index = 0; index < count; index++) all.push({ value: index });
    const { heap: other, roots } = await load(heap.saveBytes({ roots: { all } }), [Plain]);
    const values = (of: Heap) =>
      of.gc.getObjects().flatMap((one) => (one instanceof Plain ? [one.value] : []));
    expect(values(other)).toEqual(values(heap));
    const more = other.new(Plain, {});
    expect(other.gc.getObjects().length).toBe(count + 2);
    release(more);
    release(roots.all!);
    expect(other.gc.getObjects().length).toBe(0);
    expect(other.gc.collect()).toBe(0);
  });
});
