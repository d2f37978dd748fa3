import { describe, expect, it } from "vitest";
import { any, dict, f64, list, release, set, str, struct } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "./support.js";

const keysOf = (count: number) => Array.from({ length: count }, (_, index) => `key ${index}`);

describe("iterating a dict or a set that changes", () => {
  it("sees what is added and not what is deleted, as a Map's iterator does", () => {
    const heap = makeHeap();
    const script = (map: Pick<Map<string, unknown>, "set" | "delete" | "keys">) => {
      const seen: string[] = [];
      for (const key of map.keys()) {
        seen.push(key);
        if (key === "a") map.delete("b");
        if (key === "c") map.set("d", 4).set("e", 5);
        if (key === "d") map.delete("a");
        if (key === "e") map.set("c", 6);
      }
      return seen;
    };
    using entries = heap.new(dict(str, f64), [
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
    expect(script(entries as never)).toEqual(
      script(
        new Map([
          ["a", 1],
          ["b", 2],
          ["c", 3],
        ]),
      ),
    );
  });

  it("goes on while the table grows, as long as nothing was deleted", () => {
    const heap = makeHeap();
    using entries = heap.new(dict(str, f64), [["key 0", 0]]);
    const seen: string[] = [];
    for (const [key, value] of entries) {
      seen.push(key);
      if (value < 99) entries.set(`key ${value + 1}`, value + 1);
    }
    expect(seen).toEqual(keysOf(100));
    using members = heap.new(set(f64), [0]);
    const visited: number[] = [];
    members.forEach((member) => {
      visited.push(member);
      if (member < 99) members.add(member + 1);
    });
    expect(visited).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it("throws when the table is rebuilt without what was deleted: it cannot go on where it was", () => {
    const heap = makeHeap();
    using entries = heap.new(
      dict(str, f64),
      keysOf(5).map((key) => [key, 1] as const),
    );
    using members = heap.new(set(str), keysOf(5));
    const shrinkAndGrow = (remove: (key: string) => unknown, add: (key: string) => unknown) => {
      for (const key of keysOf(3)) remove(key);
      for (let index = 0; index < 20; index++) add(`more ${index}`);
    };
    const iterators = [
      entries.keys(),
      entries.values(),
      entries.entries(),
      entries[Symbol.iterator](),
      members.values(),
    ];
    for (const iterator of iterators) iterator.next();
    shrinkAndGrow(
      (key) => entries.delete(key),
      (key) => entries.set(key, 1),
    );
    shrinkAndGrow(
      (key) => members.delete(key),
      (key) => members.add(key),
    );
    for (const iterator of iterators)
      expect(messageOf("CONCURRENT_MODIFICATION", () => iterator.next())).toMatch(
        /^This (dict\(str, f64\)|set\(str\)) was cleared and filled again, or rebuilt without its deleted entries, while it was iterated\. /,
      );
    const [members0] = members;
    expect(members0).toBe("key 3");
  });

  it("ends when the table is cleared on the way, as a Map's does", () => {
    const heap = makeHeap();
    using entries = heap.new(
      dict(str, f64),
      keysOf(5).map((key) => [key, 1] as const),
    );
    const seen: string[] = [];
    for (const key of entries.keys()) {
      seen.push(key);
      entries.clear();
    }
    expect(seen).toEqual(["key 0"]);
    using members = heap.new(set(str), keysOf(5));
    members.forEach((member) => {
      seen.push(member);
      members.clear();
    });
    expect(seen).toEqual(["key 0", "key 0"]);
    const iterator = members.values();
    members.add("one").clear();
    expect(iterator.next()).toEqual({ done: true, value: undefined });
    members.add("too late");
    expect(iterator.next()).toEqual({ done: true, value: undefined });
  });

  it("throws when the table is cleared and filled again on the way", () => {
    const heap = makeHeap();
    using members = heap.new(set(str), keysOf(5));
    const seen: string[] = [];
    messageOf("CONCURRENT_MODIFICATION", () => {
      for (const member of members) {
        seen.push(member);
        members.clear();
        members.add("new");
      }
    });
    expect(seen).toEqual(["key 0"]);
  });

  it("ends for good once it has come to the end", () => {
    const heap = makeHeap();
    using members = heap.new(set(str), ["a"]);
    const iterator = members.values();
    expect([iterator.next(), iterator.next()]).toEqual([
      { done: false, value: "a" },
      { done: true, value: undefined },
    ]);
    members.add("b");
    expect(iterator.next()).toEqual({ done: true, value: undefined });
    expect(iterator[Symbol.iterator]()).toBe(iterator);
    const late = members.values();
    members.delete("a");
    expect([...late]).toEqual(["b"]);
  });

  it("starts empty and sees the first entry of all", () => {
    const heap = makeHeap();
    using entries = heap.new(dict(str, f64), []);
    const iterator = entries.keys();
    entries.set("a", 1);
    expect([...iterator]).toEqual(["a"]);
  });

  it("ends in an error when the table is freed on the way", () => {
    const heap = makeHeap();
    const Point = struct("Point", { x: f64 });
    using holder = heap.new(list(any), []);
    holder.push(
      heap.from(
        new Map([
          ["a", 1],
          ["b", 2],
        ]),
      ) as never,
    );
    const entries = heap.new(dict(str, Point), [["a", { x: 1 }]]);
    const iterator = entries.entries();
    release(entries);
    messageOf("USE_AFTER_RELEASE", () => iterator.next());
    messageOf("USE_AFTER_RELEASE", () => entries.keys());
    const lent = holder.at(0) as unknown as Map<string, number>;
    const borrowed = lent.keys();
    borrowed.next();
    const handle = holder.pop() as unknown as Disposable;
    handle[Symbol.dispose]();
  });
});
