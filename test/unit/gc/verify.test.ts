import { describe, expect, it } from "vitest";
import { type VerifyOptions, verifyMemory } from "../../../src/gc/verify.js";
import { HeapCorruptionError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { makeBreakableCore, type TestCore } from "../../support/core.js";
import { size } from "../../support/heaps.js";
import { randomFrom } from "../../support/random.js";
import { randomGraph } from "../../support/random-graphs.js";
import { ref } from "../../support/slots.js";

type Address = L.Address;

/** A small heap with something of everything, and where it stands. */
function makeSpecimen() {
  const heap = makeBreakableCore(1 << 20);
  heap.core.trigger.setEnabled(false);
  const { i32 } = heap;
  const list = heap.newList(heap.list("any"), 1, "an item", null);
  const node = heap.newStruct(heap.struct("ref", "any", "str"), ref(list), ref(list), "a field");
  const plain = heap.newStruct(heap.struct("ref", "ref"), ref(node));
  const roomy = heap.newList(heap.list("any"));
  heap.core.lists.reserve(roomy, 3);
  const bare = heap.newList(heap.list("f64"));
  const words = heap.newDict(heap.dict("str", "f64"), ["", 0], ["one", 1], ["two", 2], ["gone", 3]);
  heap.deleteEntry(words, "gone");
  const numbers = heap.newDict(heap.dict("i32", "f64"), [1, 1], [2, 2], [3, 3], [4, 4]);
  const number = heap.newDict(heap.dict("i32", "f64"), [7, 7]);
  const double = heap.newDict(heap.dict("f64", "f64"), [0.5, 0]);
  const mixed = heap.newSet(heap.set("any"), "", "text", 2.5, true, ref(list));
  const members = heap.newSet(heap.set("ref"), ref(node));
  const empty = heap.newSet(heap.set("any"));
  const inner = heap.newDict(heap.leaf.dict("i32", "f64"));
  const outer = heap.newDict(heap.dict("str", "ref"), ["inner", ref(inner)]);
  const tuple = heap.newTuple(heap.tuple("ref", "i32"), ref(node), 1);
  const target = heap.newStruct(heap.watched.struct("ref"));
  const hunted = heap.newStruct(heap.finalized.struct("ref"));
  const [weakref, called, orphan, other] = [
    heap.newWeakref(target),
    heap.newWeakref(target, { callback: roomy }),
    heap.newWeakref(heap.newSet(heap.set("any")), { hostCallback: 1 }),
    heap.newWeakref(hunted),
  ];
  heap.core.weakrefs.cut(orphan);
  const [narrow, wide] = [heap.newString("narrow"), heap.newString("wide Ā")];
  const leaf = heap.newStruct(heap.leaf.struct("f64", "f64", "f64"), 1);
  const dead = heap.newStruct(heap.leaf.struct("f64", "f64", "f64"), 2);
  heap.drop(dead);
  // Runs of whole pages, and behind two of them free runs of one and two pages.
  const largeString = (pages: number) => heap.newString("x".repeat((pages * L.PAGE_WORDS - 5) * 4));
  const [large, one, largeTwo, two] = [1, 1, 2, 2].map(largeString);
  largeString(1);
  heap.drop(one, two);
  heap.verify();

  const page = (address: Address, next = 0) =>
    i32[L.CONTROL_PAGE_TABLE] + ((address >>> L.PAGE_SHIFT) + next) * L.PAGE_DESCRIPTOR_WORDS;
  const typeOf = (object: Address) => heap.core.types.descriptorOf(object);
  const ofClass = (first: number, object: Address) =>
    first +
    ((i32[page(object) + L.PAGE_STATE] & 0xff) - L.PAGE_SMALL) * L.SIZE_CLASS_COUNT_MAX +
    (i32[page(object) + L.PAGE_STATE] >> 8);
  return {
    heap,
    i32,
    page,
    typeOf,
    /** The index and the first entry of a hash table's storage, and the index word of an entry. */
    index: (table: Address) => i32[table + L.TABLE_STORAGE],
    entry: (table: Address) => i32[table + L.TABLE_STORAGE] + i32[table + L.TABLE_MASK] + 1,
    indexWord: (table: Address, number: number) => {
      const mask = i32[table + L.TABLE_MASK];
      return i32.findIndex(
        (word, at) => at >= i32[table + L.TABLE_STORAGE] && word > 0 && (word & mask) === number,
      );
    },
    /** The next block that an object's class hands out; the list of its class. */
    current: i32[ofClass(L.CONTROL_CURRENT, leaf)],
    available: ofClass(L.CONTROL_AVAILABLE, leaf),
    record: (generation: number) => heap.core.generations.record(generation),
    chunk: heap.core.generations.firstChunk(0),
    ...{
      list,
      node,
      plain,
      roomy,
      bare,
      words,
      numbers,
      number,
      double,
      mixed,
      members,
      empty,
      inner,
      outer,
      tuple,
    },
    ...{ target, hunted, weakref, called, orphan, other },
    /** The word of an object that names its first weak reference. */
    weakrefHead: (object: Address) => object + i32[typeOf(object) + L.TYPE_WEAKREF_OFFSET],
    ...{ narrow, wide, leaf, dead, large, one, largeTwo, two },
  };
}
type Specimen = ReturnType<typeof makeSpecimen>;

/** A word that is broken, and what is written into it. */
type Corruption = readonly [word: Address, value: number];
/** What is broken, what the message has to tell, and how to break it. */
type Row = readonly [name: string, message: RegExp, break_: (specimen: Specimen) => Corruption];

function errorOf(action: () => void): HeapCorruptionError | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof HeapCorruptionError) return error;
    throw error;
  }
  return undefined;
}

/** Break one word of a valid heap: the witness names the invariant. Mend it: the heap is valid again. */
function expectWitness(invariant: string, [, message, break_]: Row, options?: VerifyOptions): void {
  const specimen = makeSpecimen();
  const { heap, i32 } = specimen;
  const verify = () => verifyMemory(heap.core.memory, options ?? { roots: heap.roots });
  const [word, value] = break_(specimen);
  const before = i32[word];
  expect(before).not.toBe(value);
  i32[word] = value;
  const error = errorOf(verify);
  expect(error?.invariant).toBe(invariant);
  expect(error?.message).toMatch(message);
  i32[word] = before;
  verify();
}

/** One row for each check in verify-blocks.ts and verify.ts, more where a check has two sides. */
const ROWS: Record<string, readonly Row[]> = {
  "I1 control words": [
    ["the magic number", /wrong magic number/, () => [L.CONTROL_MAGIC, 1]],
    ["the version", /layout version 9/, () => [L.CONTROL_VERSION, 9]],
    ["the number of pages", /64 pages are reserved/, () => [L.CONTROL_PAGE_COUNT, 65]],
    ["the top above the reservation", /top page 65 of 64/, () => [L.CONTROL_TOP_PAGE, 65]],
    ["the top below the first page", /top page 1 of 64/, () => [L.CONTROL_TOP_PAGE, 1]],
    ["count0", /count0 is -1/, () => [L.CONTROL_COUNTS, -1]],
    ["count2", /count2 is -5/, () => [L.CONTROL_COUNTS + 2, -5]],
  ],
  "I2 page runs": [
    ["a run of no pages", /a run of 0 pages/, ({ page, large }) => [page(large) + L.PAGE_RUN, 0]],
    ["a run past the top", /a run of 50 pages/, ({ page, large }) => [page(large) + L.PAGE_RUN, 50]],
    ["a boundary tag", /boundary tag 1, run 2/, ({ page, two }) => [page(two, 1) + L.PAGE_RUN, 1]],
    [
      "free runs that touch",
      /two free runs side by side/,
      ({ page, large }) => [page(large) + L.PAGE_STATE, L.PAGE_FREE_RUN],
    ],
    [
      "the second page of a run",
      /no continuation/,
      ({ page, largeTwo }) => [page(largeTwo, 1) + L.PAGE_STATE, L.PAGE_UNUSED],
    ],
    ["an unknown state", /has state 3/, ({ page, large }) => [page(large) + L.PAGE_STATE, 3]],
    [
      "a page of blocks that is a run of two",
      /state 5 and a run of 2/,
      ({ page, largeTwo }) => [page(largeTwo) + L.PAGE_STATE, L.PAGE_SMALL + L.KIND_LEAF],
    ],
    [
      "the pages in use",
      /pages in use, found/,
      ({ i32 }) => [L.CONTROL_PAGES_USED, i32[L.CONTROL_PAGES_USED] + 1],
    ],
    [
      "a bin with a run in use",
      /not free, or holds it twice/,
      ({ page, large }) => [L.CONTROL_FREE_RUNS + 5, page(large)],
    ],
    [
      "a run in two bins",
      /not free, or holds it twice/,
      ({ page, two }) => [L.CONTROL_FREE_RUNS + 5, page(two)],
    ],
    [
      "a run in the bin of another length",
      /a run of 2 pages in bin 0/,
      ({ page, two }) => [L.CONTROL_FREE_RUNS, page(two)],
    ],
    [
      "a bin's back link",
      /back link is wrong/,
      ({ page, two, large }) => [page(two) + L.PAGE_PREVIOUS, page(large)],
    ],
    ["a run in no bin", /a free run is in no bin/, () => [L.CONTROL_FREE_RUNS + 1, 0]],
  ],
  "I3 blocks of a page": [
    ["the retired blocks", /counts 1, found 0/, () => [L.CONTROL_RETIRED_BLOCKS, 1]],
    ["a large object without a type", /large object has no type/, ({ large }) => [large + L.HEADER_TYPE, 0]],
    ["the size of blocks", /blocks of 12 words/, ({ page, leaf }) => [page(leaf) + L.PAGE_BLOCK_WORDS, 12]],
    ["the blocks of a page", /capacity 7 of/, ({ page, leaf }) => [page(leaf) + L.PAGE_CAPACITY, 7]],
    ["a free list that leaves the grid", /free list of page/, ({ dead }) => [dead, dead + 1]],
    ["a free list that leaves the page", /free list of page/, ({ dead }) => [dead, dead + L.PAGE_WORDS]],
    ["a free list that runs in a circle", /free list of page/, ({ dead }) => [dead, dead]],
    [
      "the back link of an available page",
      /list of its class is wrong/,
      ({ page, dead, large }) => [page(dead) + L.PAGE_PREVIOUS, page(large)],
    ],
    [
      "a page with a free block in no list",
      /free blocks: false, has some: true/,
      ({ available }) => [available, 0],
    ],
    [
      "a page without a free block in the list",
      /free blocks: true, has some: false/,
      ({ page, dead }) => [page(dead) + L.PAGE_FREE_LIST, 0],
    ],
    ["the blocks in use", /blocks in use, found/, ({ page, leaf }) => [page(leaf) + L.PAGE_USED, 3]],
    ["what is handed out leaves the grid", /hands out leads here/, ({ current }) => [current, current + 1]],
    [
      "what is handed out is in the free list",
      /hands out leads here/,
      ({ current, dead }) => [current, dead],
    ],
    ["a serial of 0", /serial 0/, ({ leaf }) => [leaf + L.HEADER_SERIAL, 0]],
    ["a serial too high", /serial 1073741824/, ({ leaf }) => [leaf + L.HEADER_SERIAL, L.SERIAL_MAX + 1]],
    ["a free block with a type", /free block has a type/, ({ dead }) => [dead + L.HEADER_TYPE, 1]],
    ["a block in use without one", /block in use has no type/, ({ leaf }) => [leaf + L.HEADER_TYPE, 0]],
  ],
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
  "I8 generations": [
    [
      "the last chunk of an empty table",
      /the last chunk is another one/,
      ({ record, chunk }) => [record(L.PERMANENT) + L.GENERATION_LAST, chunk],
    ],
    ["the number of chunks", /counts 3 chunks/, ({ record }) => [record(0) + L.GENERATION_CHUNKS, 3]],
    ["a chunk's generation", /in generation 0, says another/, ({ chunk }) => [chunk + L.CHUNK_GENERATION, 1]],
    ["the last chunk closed", /last: true, open: false/, ({ chunk }) => [chunk + L.CHUNK_USED, 1]],
    [
      "an open chunk that is not the last",
      /last: false, open: true/,
      ({ record }) => [record(0) + L.GENERATION_LAST, 0],
    ],
    [
      "a cursor before the entries",
      /-1 entries/,
      ({ record, chunk }) => [record(0) + L.GENERATION_CURSOR, chunk + L.CHUNK_ENTRIES - 1],
    ],
    [
      "a cursor past the chunk",
      /1017 entries/,
      ({ record, chunk }) => [record(0) + L.GENERATION_CURSOR, chunk + L.CHUNK_WORDS + 1],
    ],
    [
      "an entry of what is dead",
      /where no object lives/,
      ({ i32, list, dead }) => [i32[list + L.HEADER_ENTRY], dead],
    ],
    [
      "a header that names another entry",
      /its header says another/,
      ({ i32, list }) => [list + L.HEADER_ENTRY, i32[list + L.HEADER_ENTRY] + 1],
    ],
    [
      "an object that stands twice",
      /its header says another/,
      ({ i32, list, node }) => [i32[node + L.HEADER_ENTRY], list],
    ],
    [
      "an untracked object in a table",
      /tracked: false, in a table: true/,
      ({ i32, list }) => [list + L.HEADER_TYPE, i32[list + L.HEADER_TYPE] & ~L.FLAG_TRACKED],
    ],
    [
      "a tracked object in none",
      /tracked: true, in a table: false/,
      ({ i32, list }) => [i32[list + L.HEADER_ENTRY], 0],
    ],
    [
      "a frozen object in generation 0",
      /frozen: true/,
      ({ i32, list }) => [list + L.HEADER_TYPE, i32[list + L.HEADER_TYPE] | L.FLAG_FROZEN],
    ],
  ],
  "I9 tracking": [
    [
      "tracked against its type",
      /tracked, though its type cannot be/,
      ({ typeOf, list }) => [typeOf(list) + L.TYPE_FLAGS, 0],
    ],
    [
      "untracked against its type",
      /untracked, though its type always is/,
      ({ typeOf, leaf }) => [typeOf(leaf) + L.TYPE_FLAGS, L.TYPE_GC],
    ],
    [
      "an untracked dict with a container",
      /untracked, but holds the container/,
      ({ typeOf, inner }) => [typeOf(inner) + L.TYPE_FLAGS, L.TYPE_GC],
    ],
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
  "I13 weak references": [
    [
      "a list that names what is dead",
      /its list names \d+, where no object lives/,
      ({ weakrefHead, target, dead }) => [weakrefHead(target), dead],
    ],
    [
      "the same behind the first",
      /its list names \d+, where no object lives/,
      ({ weakref, dead }) => [weakref + L.WEAKREF_NEXT, dead],
    ],
    [
      "a list that names an object of another type",
      /but no weak reference to it/,
      ({ weakrefHead, target, node }) => [weakrefHead(target), node],
    ],
    [
      "a list that names a weak reference to another",
      /but no weak reference to it/,
      ({ called, other }) => [called + L.WEAKREF_NEXT, other],
    ],
    [
      "a list that names a dead weak reference",
      /but no weak reference to it/,
      ({ called, orphan }) => [called + L.WEAKREF_NEXT, orphan],
    ],
    [
      "a list that runs in a circle",
      /its predecessor is another one/,
      ({ called, weakref }) => [called + L.WEAKREF_NEXT, weakref],
    ],
    [
      "the predecessor of the first",
      /its predecessor is another one/,
      ({ weakref, called }) => [weakref + L.WEAKREF_PREVIOUS, called],
    ],
    [
      "the predecessor of the second",
      /its predecessor is another one/,
      ({ called }) => [called + L.WEAKREF_PREVIOUS, 0],
    ],
    [
      "a target that is not observed",
      /weakly referenced, but not observed/,
      ({ i32, target }) => [target + L.HEADER_TYPE, i32[target + L.HEADER_TYPE] & ~L.FLAG_OBSERVED],
    ],
    [
      "a finalizer that nobody would call",
      /its death would go unobserved/,
      ({ typeOf, plain, i32 }) => [
        typeOf(plain) + L.TYPE_FLAGS,
        i32[typeOf(plain) + L.TYPE_FLAGS] | L.TYPE_FINALIZER,
      ],
    ],
    [
      "a weak reference that would not leave its list",
      /its death would go unobserved/,
      ({ i32, orphan }) => [orphan + L.HEADER_TYPE, i32[orphan + L.HEADER_TYPE] & ~L.FLAG_OBSERVED],
    ],
    [
      "a weak reference to what is dead",
      /leads to \d+, where no object lives/,
      ({ orphan, dead }) => [orphan + L.WEAKREF_TARGET, dead],
    ],
    [
      "a weak reference that its target does not know",
      /not in the list of its target/,
      ({ orphan, target }) => [orphan + L.WEAKREF_TARGET, target],
    ],
    [
      "a weak reference to what knows none",
      /not in the list of its target/,
      ({ orphan, node }) => [orphan + L.WEAKREF_TARGET, node],
    ],
    [
      "a list that has lost its second",
      /not in the list of its target/,
      ({ weakref }) => [weakref + L.WEAKREF_NEXT, 0],
    ],
    [
      "a list that has lost its first",
      /not in the list of its target/,
      ({ weakrefHead, target }) => [weakrefHead(target), 0],
    ],
    [
      "the number of live weak references",
      /counts 4 live weak references, found 3/,
      () => [L.CONTROL_WEAKREFS, 4],
    ],
  ],
};

for (const [invariant, rows] of Object.entries(ROWS))
  describe(`${invariant}: the witness notices`, () => {
    it.each(rows)("%s", (...row) => expectWitness(invariant, row));
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
