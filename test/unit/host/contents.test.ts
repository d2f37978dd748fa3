import { describe, expect, it } from "vitest";
import {
  defineOwn,
  entriesOf,
  fieldsOf,
  hasStringKeys,
  itemsOf,
  pathText,
} from "../../../src/host/contents.js";
import type { View } from "../../../src/host/view.js";
import { any, dict, f64, list, optional, set, str, struct, tuple } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";

const viewOf = (ref: unknown) => ref as View;

describe("what is inside an object", () => {
  it("is fields by name, in the order of the shape, whatever methods say", () => {
    const heap = makeHeap();
    class Person extends struct("Person", { name: str, age: f64, nick: optional(str) }) {
      get greeting() {
        return `I am ${this.name}`;
      }
    }
    using person = heap.new(Person, { age: 3, name: "Ada" });
    expect(fieldsOf(viewOf(person))).toEqual([
      ["name", "Ada"],
      ["age", 3],
      ["nick", null],
    ]);
  });

  it("is items or entries, in order", () => {
    const heap = makeHeap();
    using items = heap.new(list(any), [1, "two"]);
    using pair = heap.new(tuple(f64, str), [1, "two"]);
    using members = heap.new(set(str), ["b", "a"]);
    using table = heap.new(dict(str, f64), [
      ["b", 1],
      ["a", 2],
    ]);
    expect([items, pair, members].map((object) => [...itemsOf(viewOf(object))])).toEqual([
      [1, "two"],
      [1, "two"],
      ["b", "a"],
    ]);
    expect([...entriesOf(viewOf(table))]).toEqual([
      ["b", 1],
      ["a", 2],
    ]);
  });

  it("reads as a plain object where the keys are strings by type", () => {
    const heap = makeHeap();
    using byText = heap.new(dict(str, f64), []);
    using byAny = heap.new(dict(any, f64), [["text", 1]]);
    using byNumber = heap.new(dict(f64, f64), []);
    using byOptional = heap.new(dict(optional(str), f64), []);
    expect(
      [byText, byAny, byNumber, byOptional].map((object) => hasStringKeys(viewOf(object)["@type"])),
    ).toEqual([true, false, false, false]);
  });
});

describe("a path", () => {
  it("is written as JavaScript would", () => {
    expect(pathText([])).toBe("$");
    expect(pathText(["a", 3, "$b_2", "b c", "2x", "", 'q"', "ä", 0])).toBe(
      '$.a[3].$b_2["b c"]["2x"][""]["q\\""]["ä"][0]',
    );
  });
});

describe("defining an own property", () => {
  it("makes an ordinary one, whatever its name", () => {
    const target: Record<string, unknown> = {};
    defineOwn(target, "a", 1);
    defineOwn(target, "__proto__", { polluted: true });
    defineOwn(target, "a", 2);
    expect(Object.keys(target)).toEqual(["a", "__proto__"]);
    expect([Object.getPrototypeOf(target) === Object.prototype, "polluted" in target, target.a]).toEqual([
      true,
      false,
      2,
    ]);
    target.a = 3;
    expect([target.a, delete target.a]).toEqual([3, true]);
  });
});
