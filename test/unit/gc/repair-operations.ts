/** Operations in which a thread may end: what there is before, and what it does. */
import {
  type Address,
  CHUNK_MASK,
  CONTROL_FOREIGN,
  CONTROL_YOUNG_CURSOR,
  FLAG_OBSERVED,
  FLAG_POOLED,
  FOREIGN_NUMBER,
  HEADER_REFCOUNT,
  HEADER_SERIAL,
  HEADER_TYPE,
  HEADER_WORDS,
  KIND_DICT,
  KIND_LIST,
  KIND_STRUCT,
  LIST_CAPACITY,
  SLOT_ANY,
  TYPE_ID_MASK,
  TYPE_ITEM_SLOT,
  TYPE_OBJECT_WORDS,
} from "../../../src/memory/layout.js";
import { fillMemory, type TestCore } from "../../support/core.js";
import type { Killing } from "../../support/kills.js";
import { below, pick, type Random } from "../../support/random.js";
import { ref, type SlotName } from "../../support/slots.js";

export type Prepare = (heap: TestCore) => Killing;

/** Objects of every kind that refer to one another, held by the living, and touched by no operation below. */
export function furnish(heap: TestCore): void {
  const node = heap.struct("ref", "ref", "str");
  const [a, b] = [heap.newStruct(node), heap.newStruct(node, null, null, "a text that stays")];
  heap.setField(a, 0, ref(b));
  heap.setField(b, 0, ref(a));
  const list = heap.newList(heap.list("any"), 1, "two", ref(a), null, true);
  const dict = heap.newDict(heap.dict("str", "ref"), ["one", ref(list)], ["other", ref(b)]);
  heap.newTuple(heap.tuple("ref", "any"), ref(dict), 1.5);
  heap.newSet(heap.set("any"), 1, "two", ref(a));
  const target = heap.newStruct(heap.watched.struct("ref"), ref(a));
  for (const options of [{}, { isProxy: true }, { hostCallback: 7 }, { hostCallback: 8 }])
    heap.newWeakref(target, options);
  heap.drop(b, list);
}

/** A struct that refers to one that refers to another, and so on. Only the first is held. */
function chain(heap: TestCore, length: number, type: number, last: Address = 0): Address {
  let first = last;
  for (let index = 0; index < length; index++) {
    const next = heap.newStruct(type, first === 0 ? null : ref(first));
    if (first !== 0) heap.drop(first);
    first = next;
  }
  return first;
}

/** Objects in a ring, which nobody holds. */
function ring(heap: TestCore, length: number, type: number): void {
  const last = heap.newStruct(type);
  const first = chain(heap, length - 1, type, heap.hold(last));
  heap.setField(last, 0, ref(first));
  heap.drop(first, last);
}

/** Let the next tracked object need a chunk. @returns what is held of those made */
function fillChunk(heap: TestCore): Address {
  const node = heap.struct("ref");
  let first = heap.newStruct(node);
  while ((heap.i32[CONTROL_YOUNG_CURSOR] & CHUNK_MASK) !== 0) first = chain(heap, 1, node, first);
  return first;
}

const textKeys = (count: number) => Array.from({ length: count }, (_, index) => `key ${index}`);

export const making: Record<string, Prepare> = {
  "making a struct": (heap) => {
    const node = heap.struct("ref", "ref", "str");
    const held = heap.newStruct(node);
    return { steps: [(t) => t.setField(held, 0, ref(t.newStruct(node, ref(held), null, "text")))] };
  },
  "making a struct that takes a fresh page": (heap) => {
    const held = heap.newStruct(heap.struct("ref"));
    const wide = heap.struct(...Array.from({ length: 20 }, (): SlotName => "ref"));
    return { steps: [(t) => t.setField(held, 0, ref(t.newStruct(wide, ref(held))))] };
  },
  "making a struct that takes a fresh chunk": (heap) => {
    const first = fillChunk(heap);
    const held = heap.newList(heap.list("ref"));
    const node = heap.struct("ref");
    while ((heap.i32[CONTROL_YOUNG_CURSOR] & CHUNK_MASK) !== 0) heap.newStruct(node);
    return { steps: [(t) => t.append(held, ref(t.newStruct(node, ref(first))))] };
  },
  "making a large object": (heap) => {
    const held = heap.newStruct(heap.struct("ref"));
    const large = heap.struct(...Array.from({ length: 3000 }, (): SlotName => "ref"));
    return { steps: [(t) => t.setField(held, 0, ref(t.newStruct(large, ref(held))))] };
  },
  "making a literal with children": (heap) => {
    const held = heap.newList(heap.list("any"));
    const [node, list, dict] = [heap.struct("ref", "ref", "str"), heap.list("ref"), heap.dict("str", "any")];
    return {
      steps: [
        (t) => {
          const inner = t.newStruct(node, null, null, "inner");
          const items = t.newList(list, ref(inner), ref(inner));
          const table = t.newDict(dict, ["a", 1], ["b", ref(items)]);
          t.append(held, ref(t.newStruct(node, ref(items), ref(table), "outer")));
          t.drop(inner, items, table);
        },
      ],
    };
  },
  "making a struct in a full heap": (heap) => {
    const held = heap.newStruct(heap.struct("ref"));
    const wide = heap.struct(...Array.from({ length: 50 }, (): SlotName => "ref"));
    const hoards = fillMemory(heap);
    // A page of storage that is empty but kept by its class: what is given up before memory runs out.
    heap.drop(...hoards);
    return { steps: [(t) => t.setField(held, 0, ref(t.newStruct(wide, ref(held))))] };
  },
  "registering types": (heap) => {
    const held = heap.newStruct(heap.struct("ref"));
    return {
      steps: [
        (t) => {
          t.struct("ref", "any", "str");
          t.setField(held, 0, ref(t.newTuple(t.tuple("ref", "any", "f64"), ref(held), 1, 2)));
        },
      ],
    };
  },
};

export const dying: Record<string, Prepare> = {
  "storing a reference over the last one to another object": (heap) => {
    const node = heap.struct("ref", "str");
    const first = chain(heap, 3, node);
    const held = heap.newStruct(node, ref(first), "a text");
    heap.drop(first);
    const other = heap.newStruct(node);
    return { steps: [(t) => t.setField(held, 0, ref(other))] };
  },
  "storing over an any": (heap) => {
    const holder = heap.struct("any", "any");
    const other = heap.newStruct(holder, "a text", 1.25);
    const held = heap.newStruct(holder, ref(other), "its text");
    return {
      steps: [
        (t) => t.setField(held, 0, 0.1),
        (t) => t.setField(held, 0, "some text"),
        (t) => t.setField(held, 1, ref(other)),
        (t) => t.setField(held, 1, true),
        (t) => t.setField(held, 0, null),
      ],
    };
  },
  "the death of a long chain": (heap) => {
    const node = heap.struct("ref", "str");
    const kept = heap.newStruct(node, null, "held by the chain too");
    const first = chain(heap, 120, node, heap.hold(kept));
    return { mine: [first], steps: [(t) => t.drop(first)] };
  },
  "the death of containers": (heap) => {
    const kept = heap.newStruct(heap.struct("ref"));
    const list = heap.newList(heap.list("any"), "a", ref(kept), 1);
    const dict = heap.newDict(heap.dict("any", "any"), ["key", ref(list)], [ref(kept), "value"], [1, 2]);
    heap.drop(list);
    return { mine: [dict], steps: [(t) => t.drop(dict)] };
  },
  "the death of a large list": (heap) => {
    const list = heap.newList(heap.list("f64"));
    heap.core.lists.reserve(list, 5000);
    const [below, above] = [heap.newList(heap.list("f64")), heap.newList(heap.list("f64"))];
    for (const other of [below, above]) heap.core.lists.reserve(other, 3000);
    return { mine: [below, list, above], steps: [(t) => t.drop(below, above, list)] };
  },
  "a death that a finalizer sees": (heap) => {
    const finalized = heap.finalized.struct("ref");
    const kept = heap.newList(heap.list("ref"));
    const inner = heap.newStruct(finalized);
    const object = heap.newStruct(finalized, ref(inner));
    heap.drop(inner);
    return {
      mine: [object],
      steps: [
        (t) => {
          t.core.hooks.runFinalizer = (dead) => {
            if (dead === object) t.append(kept, ref(dead));
          };
          t.drop(object);
        },
      ],
    };
  },
  "a death that weak references see": (heap) => {
    const watched = heap.watched.struct("ref");
    const target = heap.newStruct(watched);
    const callback = heap.newStruct(watched);
    heap.newWeakref(target);
    heap.newWeakref(target, { isProxy: true });
    for (let index = 0; index < 3; index++) heap.newWeakref(target, { callback, hostCallback: index });
    return { mine: [target], steps: [(t) => t.drop(target)] };
  },
  "the death of foreign objects": (heap) => {
    const kept = heap.newStruct(heap.struct("ref"));
    const objects = [1, 2].map((number) => newForeign(heap, number, kept));
    newForeign(heap, 3, kept); // stays
    return {
      mine: objects,
      steps: [
        (t) => {
          t.core.hooks.disposeForeign = (object) => {
            t.i32[object + FOREIGN_NUMBER] = 0;
            t.i32[CONTROL_FOREIGN]--;
          };
          t.drop(...objects);
        },
      ],
    };
  },
  "the death of weak references": (heap) => {
    const target = heap.newStruct(heap.watched.struct("ref"));
    const makeRef = (hostCallback: number) => heap.newWeakref(target, { hostCallback });
    const [first, middle, last] = [makeRef(1), makeRef(2), makeRef(3)];
    makeRef(4);
    return { mine: [first, middle, last], steps: [(t) => t.drop(middle, last, first)] };
  },
};

/** What the host does when it adopts a value. */
function newForeign(heap: TestCore, number: number, held: Address): Address {
  heap.core.counts.incref(held);
  const object = heap.owned(heap.core.foreign.create([held], true));
  heap.i32[object + FOREIGN_NUMBER] = number;
  heap.i32[CONTROL_FOREIGN]++;
  return object;
}

export const containers: Record<string, Prepare> = {
  "appending to a list that moves": (heap) => {
    const list = heap.newList(heap.list("ref"));
    const items = chainOf(heap, 4);
    for (const item of items) heap.append(list, ref(item));
    return { steps: [(t) => t.append(list, ref(items[0]))] };
  },
  "appending to a list of any that moves to pages of its own": (heap) => {
    const list = heap.newList(heap.list("any"));
    heap.core.lists.reserve(list, 1000);
    for (let index = 0; heap.core.lists.length(list) < heap.i32[list + LIST_CAPACITY]; index++)
      heap.append(list, index % 3 === 0 ? "a text" : index);
    return { steps: [(t) => t.append(list, ref(list))] };
  },
  "inserting into and removing from a list": (heap) => {
    const list = heap.newList(heap.list("any"), "first", 2, "third", 4, "fifth");
    return {
      steps: [
        (t) => t.insert(list, 1, ref(list)),
        (t) => t.insert(list, 0, 0.5),
        (t) => t.removeItem(list, 3),
        (t) => t.removeItem(list, 0),
      ],
    };
  },
  "clearing, shrinking and replacing a list": (heap) => {
    const [node, ...items] = chainOf(heap, 6);
    const stranger = heap.newStruct(heap.struct("ref", "f64"));
    const texts = heap.newList(heap.list("str"), "a", "b", "c", "d", "e");
    const list = heap.newList(heap.list("ref"), ...items.map(ref));
    heap.drop(...items);
    const replace = (t: TestCore, count: number) => {
      const storage = t.core.lists.allocateItems(list, count);
      // The block held what is no item of this list.
      t.i32.fill(stranger, storage, storage + t.core.allocator.blockWords(storage));
      for (let index = 0; index < count; index++) {
        t.i32[storage + index] = node;
        t.core.counts.incref(node);
      }
      t.core.lists.replaceItems(list, storage, count);
    };
    return {
      steps: [
        (t) => replace(t, 2),
        (t) => replace(t, 9),
        (t) => t.core.lists.clear(list),
        (t) => t.core.lists.reserve(list, 40),
        (t) => t.core.lists.shrink(list, 4),
        (t) => t.core.lists.shrink(list, 0),
        (t) => t.core.lists.clear(texts),
      ],
    };
  },
  "a dict of texts that grows": (heap) => {
    const dict = heap.newDict(heap.dict("str", "ref"));
    for (const key of textKeys(5)) heap.setEntry(dict, key, ref(dict));
    return { steps: [(t) => t.setEntry(dict, "one more", ref(dict))] };
  },
  "the first entry of a dict, which is tracked by that": (heap) => {
    const dict = heap.newDict(heap.dict("any", "any"));
    return { steps: [(t) => t.setEntry(dict, "key", ref(dict))] };
  },
  "a dict of any that grows, shrinks and is cleared": (heap) => {
    const dict = heap.newDict(heap.dict("any", "any"), [ref(chainOf(heap, 1)[0]), "its value"]);
    for (const key of [0, 1.5, true, null, ...textKeys(6)]) heap.setEntry(dict, key, key);
    return {
      steps: [
        ...["a", 0.25, ref(dict)].map((key) => (t: TestCore) => t.setEntry(dict, key, ref(dict))),
        ...[0, "key 1", ref(dict)].map((key) => (t: TestCore) => t.deleteEntry(dict, key)),
        (t) => t.setEntry(dict, "key 2", 7),
        (t) => t.core.tables.reserve(dict, 40),
        (t) => t.core.tables.clear(dict),
      ],
    };
  },
  "a dict in storage that held another of the same keys": (heap) => {
    const old = heap.newDict(heap.dict("str", "ref"));
    const other = heap.newStruct(heap.struct("ref", "f64"));
    for (const key of textKeys(5)) heap.setEntry(old, key, ref(other));
    const dict = heap.newDict(heap.dict("str", "any"));
    heap.drop(old);
    return {
      steps: textKeys(5).map((key) => (t) => t.setEntry(dict, key, "the value")),
    };
  },
  "a dict with holes that is made anew": (heap) => {
    const dict = heap.newDict(heap.dict("f64", "f64"));
    for (let key = 0; key < 10; key++) heap.setEntry(dict, key, key * 2);
    for (let key = 0; key < 9; key++) heap.deleteEntry(dict, key);
    return { steps: [(t) => t.setEntry(dict, 100, 1)] };
  },
  "a set of objects": (heap) => {
    const members = chainOf(heap, 6);
    const set = heap.newSet(heap.set("ref"), ...members.slice(0, 5).map(ref));
    return {
      steps: [
        (t) => t.addMember(set, ref(members[5])),
        (t) => t.deleteEntry(set, ref(members[2])),
        (t) => t.addMember(set, ref(set)),
      ],
    };
  },
  "making weak references": (heap) => {
    const target = heap.newStruct(heap.watched.struct("ref"));
    heap.newWeakref(target, { hostCallback: 1 });
    const kept = heap.newList(heap.list("ref"));
    return {
      steps: [{}, { isProxy: true }, { hostCallback: 2, callback: target }, {}].map((options) => (t) => {
        const made = t.newWeakref(target, options);
        t.append(kept, ref(made));
        t.drop(made);
      }),
    };
  },
  "lending from a pool, and the return": (heap) => {
    const type = heap.watched.struct("ref", "str");
    const { core } = heap;
    const instance = heap.owned(core.objects.createPooled(type));
    return {
      steps: [
        (t) => {
          t.core.generations.openYoung();
          t.core.generations.track(instance);
        },
        (t) => t.setField(instance, 0, ref(instance)),
        (t) => t.setField(instance, 1, "its text"),
        (t) => t.setField(instance, 0, null),
        (t) => {
          t.core.hooks.returnToPool = (object) => takeBack(t, object);
          t.core.counts.decref(instance);
        },
      ],
    };
  },
};

/** Structs that nobody touches. */
function chainOf(heap: TestCore, count: number): Address[] {
  const node = heap.struct("ref");
  return Array.from({ length: count }, () => heap.newStruct(node));
}

/** What a pool does (host/pool.ts). */
function takeBack({ core, i32 }: TestCore, instance: Address): boolean {
  core.clearing.clear(instance);
  const type = core.types.descriptorOf(instance);
  i32.fill(0, instance + HEADER_WORDS, instance + i32[type + TYPE_OBJECT_WORDS]);
  i32[instance + HEADER_TYPE] = (i32[instance + HEADER_TYPE] & TYPE_ID_MASK) | FLAG_POOLED | FLAG_OBSERVED;
  i32[instance + HEADER_SERIAL]++;
  i32[instance + HEADER_REFCOUNT] = 1;
  return true;
}

/** Garbage and what lives, in three generations. */
function populate(heap: TestCore): void {
  const [node, tuple] = [heap.struct("ref", "str"), heap.tuple("ref", "any")];
  const dict = heap.dict("str", "any");
  for (let generation = 2; generation >= 0; generation--) {
    const held = heap.newList(heap.list("ref"));
    for (let index = 0; index < 6; index++) {
      const object = heap.newStruct(node, ref(held), `text ${index}`);
      heap.append(held, ref(object));
      heap.drop(object);
    }
    heap.newTuple(tuple, null, `a text of generation ${generation}`);
    heap.newTuple(tuple, ref(held), "a text");
    heap.newDict(dict, ["key", "no container any more"]);
    ring(heap, 4, node);
    const own = heap.newList(heap.list("any"), "in a list");
    const table = heap.newDict(dict, ["its owner", ref(own)]);
    heap.append(own, ref(table));
    heap.drop(own, table);
    if (generation > 0) heap.collect(generation - 1);
  }
}

const collections = [0, 1, 2].map((generation): [string, Prepare] => [
  `a collection of generation ${generation}`,
  (heap) => {
    populate(heap);
    return { collects: true, steps: [(t) => t.collect(generation)] };
  },
]);

const watchedCollections = [0, 2].map((generation): [string, Prepare] => [
  `a collection of generation ${generation} with finalizers, weak references and resurrection`,
  (heap) => {
    populate(heap);
    const finalized = heap.finalized.struct("ref", "ref");
    const kept = heap.newList(heap.list("ref"));
    ring(heap, 3, finalized);
    const [brought, watched] = [heap.newStruct(finalized), heap.newStruct(heap.watched.struct("ref"))];
    heap.setField(brought, 0, ref(brought));
    heap.setField(watched, 0, ref(watched));
    heap.newWeakref(watched);
    heap.newWeakref(watched, { hostCallback: 1, callback: kept });
    heap.newWeakref(brought, { hostCallback: 2 });
    heap.drop(brought, watched);
    return {
      collects: true,
      steps: [
        (t) => {
          t.core.hooks.runFinalizer = (object) => {
            if (object === brought) t.append(kept, ref(object));
          };
          t.collect(generation);
        },
      ],
    };
  },
]);

export const collecting: Record<string, Prepare> = {
  ...Object.fromEntries(collections),
  ...Object.fromEntries(watchedCollections),
  "a collection of what is not settled": (heap) => {
    populate(heap);
    heap.collect(2);
    ring(heap, 3, heap.struct("ref", "str"));
    return { collects: true, steps: [(t) => t.collect(2)] };
  },
  "a collection of many chunks, most of them empty": (heap) => {
    const chains = [fillChunk(heap), fillChunk(heap)];
    heap.collect(0);
    heap.drop(chains[0]);
    return { collects: true, steps: [(t) => t.collect(2)] };
  },
  "freezing and thawing": (heap) => {
    populate(heap);
    return {
      collects: true,
      steps: [
        (t) => t.core.generations.freeze(),
        (t) => void t.newStruct(t.struct("ref")),
        (t) => t.core.generations.unfreeze(),
      ],
    };
  },
};

/** Some steps of a program that does everything, with a heap made at random; half of it is held by the living. */
export function randomProgram(heap: TestCore, random: Random): Killing {
  const node = heap.finalized.struct("ref", "any", "str");
  const makers = [
    () => heap.newStruct(node, null, 1, "its text"),
    () => heap.newStruct(heap.watched.struct("ref", "ref")),
    () => heap.newList(heap.list("any")),
    () => heap.newDict(heap.dict("any", "any")),
    () => heap.newSet(heap.set("any")),
    () => heap.newList(heap.list("ref")),
  ];
  const objects = Array.from({ length: 24 }, () => pick(random, makers)());
  for (let index = 0; index < 60; index++)
    connect(heap, random, pick(random, objects), pick(random, objects));
  for (const object of objects) if (random() < 0.3) heap.drop(object);
  const alive = objects.filter((object) => heap.roots.has(object));
  const mine = alive.filter(() => random() < 0.5);
  const held = new Set(alive);
  const steps = Array.from({ length: 8 }, () => (t: TestCore) => {
    const object = pick(random, [...held]);
    const choice = random();
    if (choice < 0.1) t.collect(below(random, 3));
    else if (choice < 0.3 && mine.includes(object)) {
      held.delete(object);
      if (held.size > 1) t.drop(object);
      else held.add(object);
    } else if (choice < 0.4 && t.core.weakrefs.isReferenceable(object))
      t.newWeakref(object, random() < 0.5 ? {} : { hostCallback: below(random, 9) + 1 });
    else if (choice < 0.5) t.newStruct(node, ref(object), "a value", "a text");
    else connect(t, random, object, pick(random, [...held]));
  });
  return { mine, steps, collects: true };
}

/** Let an object hold one reference or value more, or one less. */
function connect(heap: TestCore, random: Random, from: Address, to: Address): void {
  const { types, lists } = heap.core;
  const type = types.descriptorOf(from);
  const kind = types.kindOf(from);
  const isAny = heap.i32[type + TYPE_ITEM_SLOT] === SLOT_ANY;
  const plain = pick(random, [1.5, "a text", true, null, below(random, 1000)]);
  const value = isAny && random() < 0.5 ? plain : ref(to);
  if (kind === KIND_STRUCT) heap.setField(from, 0, random() < 0.2 ? null : ref(to));
  else if (kind === KIND_LIST) {
    const length = lists.length(from);
    if (length > 0 && random() < 0.3) heap.removeItem(from, below(random, length));
    else heap.insert(from, below(random, length + 1), value);
  } else {
    const key =
      random() < 0.3 ? ref(to) : pick(random, [`key ${below(random, 12)}`, below(random, 12), true]);
    if (random() < 0.25) heap.deleteEntry(from, key);
    else if (kind === KIND_DICT) heap.setEntry(from, key, value);
    else heap.addMember(from, key);
  }
}
