/** The types of an image and those of the program that loads it. */
import { describe, expect, it } from "vitest";
import type * as lib from "../../../src/index.js";
import {
  any,
  f64,
  finalizer,
  Heap,
  i32,
  isA,
  LayoutMismatchError,
  list,
  optional,
  release,
  str,
  struct,
} from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { load, Node, refusal, travel } from "./image-support.js";

describe("types", () => {
  it("are matched by name: fields that differ are named", async () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    const bytes = heap.saveBytes({ roots: { node } });
    const shapes: [string | undefined, string, lib.AnyStruct][] = [
      ["value", "is i32 here and was f64", struct("Node", { value: i32, name: str, next: any, rest: any })],
      ["name", "where title stands here", struct("Node", { value: f64, title: str, next: any, rest: any })],
      ["rest", "is missing here", nodeWithout()],
      ["more", "was not there", nodeWith()],
      [undefined, "option weakrefs is false here", nodeWith({ weakrefs: false })],
    ];
    for (const [field, text, type] of shapes) {
      const error = await refusal(Heap.load(bytes, { types: [type] }));
      expect(error).toBeInstanceOf(LayoutMismatchError);
      expect(error.message).toContain(text);
      const wanted = field === "name" ? "title" : field;
      expect(error).toMatchObject({ code: "LAYOUT_MISMATCH", typeName: "Node", field: wanted });
    }
  });

  it("need not be given: a struct of the image then has its fields and no methods", async () => {
    const heap = makeHeap();
    const { it } = await travel(heap, heap.new(Node, { name: "bare", next: { value: 3 } }), {});
    expect([it.name, it.next!.value, it.shout]).toEqual(["bare", 3, undefined]);
    it.next!.name = "written";
    expect(it.next!.name).toBe("written");
  });

  it("come with what they lead to, and containers are found again by what they contain", async () => {
    const Inner = struct("Inner", { number: i32 });
    const Outer = struct("Outer", { inner: list(Inner) });
    const heap = makeHeap();
    const outer = heap.new(Outer, { inner: [{ number: 4 }] });
    const { heap: loaded, it } = await travel(heap, outer, { types: [Outer] });
    expect(isA(Inner, it.inner.at(0)!)).toBe(true);
    it.inner.push(loaded.new(Inner, { number: 5 }));
    expect(isA(list(Inner), it.inner)).toBe(true);
  });

  it("may have a finalizer on one side only", async () => {
    const log: string[] = [];
    class Seen extends struct("Seen", { name: str }) {
      [finalizer]() {
        log.push(this.name);
      }
    }
    const heap = makeHeap();
    const seen = heap.new(Seen, { name: "it" });
    const bytes = heap.saveBytes({ roots: { seen } });
    for (const types of [[Seen], []]) {
      const { roots } = await load(bytes, { types });
      release(roots.seen);
    }
    expect(log).toEqual(["it"]);
    release(seen);
  });

  it("are refused where they are no structs, or two of a name", async () => {
    const bytes = makeHeap().saveBytes();
    expect((await refusal(Heap.load(bytes, { types: [f64 as never] }))).message).toContain("takes structs");
    const twins = [struct("Twin", { a: i32 }), struct("Twin", { b: i32 })];
    expect((await refusal(Heap.load(bytes, { types: twins }))).message).toContain('called "Twin"');
    expect((await refusal(Heap.load(bytes, { types: 5 as never }))).message).toContain("an array");
  });
});

/** Another struct of the name, with a field more or an option. */
function nodeWith(options?: { weakrefs: boolean }) {
  const more = options === undefined ? { more: i32 } : {};
  class Other extends struct(
    "Node",
    {
      value: f64,
      name: str,
      get next(): unknown {
        return optional(Other);
      },
      rest: any,
      ...more,
    } as lib.Shape,
    options,
  ) {}
  return Other as unknown as lib.AnyStruct;
}

function nodeWithout() {
  class Other extends struct("Node", {
    value: f64,
    name: str,
    get next() {
      return optional(Other);
    },
  }) {}
  return Other as unknown as lib.AnyStruct;
}
