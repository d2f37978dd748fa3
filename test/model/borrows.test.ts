/**
 * Borrowed references: got by every way there is, they all work as long as their object lives, and none works
 * afterwards, whatever has taken the object's place meanwhile.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  any,
  type Borrowed,
  dict,
  type Handle,
  type Heap,
  i32,
  id,
  list,
  optional,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
} from "../../src/index.js";
import { makeHeap } from "../support/heaps.js";
import { parameters, runs } from "./runs.js";
import { asDict, asList, expectStale, type Loose } from "./session.js";

class Thing extends struct("Thing", { number: i32, note: str, next: any }) {}
/** Never tracked: the collector cannot have a hand in what happens to it. */
class Plain extends struct("Plain", { number: i32 }) {}

class Slots extends struct("Slots", {
  a: any,
  get items() {
    return optional(list(any));
  },
  b: any,
}) {}

/** A container with numbered places. */
interface Holder {
  make(heap: Heap): Handle<Borrowed>;
  /** Fill the next place. */
  put(holder: Borrowed, place: number, item: Borrowed): void;
  /** References to what stands in a place, got in several ways. */
  borrow(holder: Borrowed, place: number): unknown[];
  /** Empty a place, in one of several ways. */
  drop(holder: Borrowed, place: number): void;
}

const HOLDERS: readonly Holder[] = [
  {
    make: (heap) => heap.new(list(any), []),
    put: (holder, _, item) => asList(holder).push(item),
    borrow: (holder, place) => {
      const items = asList(holder);
      const visited: unknown[] = [];
      items.forEach((item) => {
        visited.push(item);
      });
      return [items.at(place), items.at(place - items.length), [...items][place], visited[place]];
    },
    drop: (holder, place) => {
      const items = asList(holder);
      if (place % 3 === 0) {
        items.set(place, null);
        return;
      }
      if (place % 3 === 1) release(items.take(place) as Handle<Borrowed>);
      else items.delete(place);
      items.insert(place, null);
    },
  },
  {
    make: (heap) => heap.new(dict(i32, any), []),
    put: (holder, place, item) => asDict(holder).set(place, item),
    borrow: (holder, place) => {
      const table = asDict(holder);
      const entries = new Map<unknown, unknown>(table);
      return [table.get(place), entries.get(place), [...table.values()][[...table.keys()].indexOf(place)]];
    },
    drop: (holder, place) => {
      if (place % 2 === 0) asDict(holder).delete(place);
      else release(asDict(holder).take(place) as Handle<Borrowed>);
    },
  },
  {
    make: (heap) => heap.new(Slots, { items: [] }),
    put: (holder, place, item) => {
      const slots = holder as Loose;
      if (place < 2) slots["ab"[place]] = item;
      else asList(slots.items as Borrowed).push(item);
    },
    borrow: (holder, place) => {
      const slots = holder as Loose;
      return [place < 2 ? slots["ab"[place]] : asList(slots.items as Borrowed).at(place - 2)];
    },
    drop: (holder, place) => {
      const slots = holder as Loose;
      if (place < 2) slots["ab"[place]] = place;
      else asList(slots.items as Borrowed).set(place - 2, true);
    },
  },
];

/** A thing in a place, and every reference to it that was ever borrowed. */
interface Item {
  readonly number: number;
  readonly views: Borrowed[];
  isInPlace: boolean;
  readonly handles: Handle<Borrowed>[];
}

const step = fc.record({
  do: fc.constantFrom(
    "add",
    "add",
    "add",
    "borrow",
    "borrow",
    "retain",
    "release",
    "collect",
    "drop",
    "drop",
  ),
  at: fc.nat(0xffff),
});

it("a borrow works exactly as long as its object lives", () => {
  fc.assert(
    fc.property(
      fc.nat(HOLDERS.length - 1),
      fc.array(step, { maxLength: 60, size: "max" }),
      (which, steps) => {
        const heap = makeHeap({ maximumBytes: 1 << 20 });
        const { make, put, borrow, drop } = HOLDERS[which];
        const holder = make(heap);
        const items: Item[] = [];

        const add = (number: number) => {
          const item =
            number % 2 === 0 ? heap.new(Thing, { number, note: `${number}` }) : heap.new(Plain, { number });
          put(holder, items.length, item);
          release(item);
          const views = borrow(holder, items.length) as Borrowed[];
          items.push({ number, views, isInPlace: true, handles: [] });
        };
        const run = (name: string, place: number) => {
          const item = items[place];
          if (name === "borrow") item.views.push(...(borrow(holder, place) as Borrowed[]));
          else if (name === "retain") item.handles.push(retain(item.views[0]));
          else if (name === "collect") heap.gc.collect();
          else if (name === "drop") {
            drop(holder, place);
            item.isInPlace = false;
          }
        };
        const check = (salt: number) => {
          for (const { number, views, isInPlace, handles } of items)
            for (const [index, view] of views.entries()) {
              if (isInPlace || handles.length > 0) {
                expect((view as Loose).number).toBe(number);
                expect(id(view)).toBe(id(views[0]));
              } else expectStale(view, "STALE_REFERENCE", index + salt);
            }
        };

        for (const [salt, { do: name, at }] of steps.entries()) {
          const inPlace = [...items.keys()].filter((place) => items[place].isInPlace);
          const handles = items.flatMap((item) => item.handles.map(() => item));
          if (name === "release" && handles.length > 0) release(handles[at % handles.length].handles.pop()!);
          else if (name === "add" || inPlace.length === 0) add(salt);
          else run(name, inPlace[at % inPlace.length]);
          check(salt);
        }
        release(holder);
        for (const item of items) item.isInPlace = false;
        check(0);
        for (const { handles } of items) for (const handle of handles.splice(0)) release(handle);
        check(1);
      },
    ),
    parameters(runs(60)),
  );
});

it("a released handle stays released when its object lives on, and when another takes its place", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3), { maxLength: 40, size: "max" }), (choices) => {
      const heap = makeHeap({ maximumBytes: 1 << 20 });
      const pair = tuple(any, any);
      const released: Borrowed[] = [];
      const members = heap.new(set(any), []);
      for (const choice of choices) {
        const first = heap.new(pair, [choice, null]);
        const second = choice < 2 ? retain(first) : undefined;
        if (choice === 3) members.add(first);
        release(first);
        if (second !== undefined) {
          expect(second[0]).toBe(choice);
          release(second);
          released.push(second);
        }
        released.push(first);
        for (const [index, handle] of released.entries())
          expectStale(handle, "USE_AFTER_RELEASE", index + choice);
      }
      release(members);
    }),
    parameters(runs(40)),
  );
});
