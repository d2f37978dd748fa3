import { expect, it } from "vitest";
import { any, f64, refcount, release, set, str, struct } from "../../../src/index.js";
import { describeBothMakers, leaksNothing, liveObjects, messageOf, thrownBy } from "./support.js";

const Point = struct("Point", { x: f64 });

describeBothMakers("a set", ({ makeHeap }) => {
  it("does what a Set does", () => {
    const heap = makeHeap();
    const script = (
      members: Pick<Set<unknown>, "add" | "has" | "delete" | "size" | "clear" | typeof Symbol.iterator>,
    ) => {
      const steps: unknown[] = [];
      members.add("a").add(1).add("1").add(null).add("a").add(true);
      steps.push([...members], members.size, members.has(1), members.has("true"), members.has(null));
      steps.push(members.delete(1), members.delete(1), [...members]);
      members.add(1);
      steps.push([...members]);
      members.clear();
      steps.push([...members], members.size, members.has("a"));
      members.add("after");
      steps.push([...members]);
      return steps;
    };
    using members = heap.new(set(any), []);
    expect(script(members as never)).toEqual(script(new Set()));
  });

  it("iterates its members in insertion order", () => {
    using members = makeHeap().new(set(str), ["b", "a", "b", "c"]);
    expect([...members]).toEqual(["b", "a", "c"]);
    expect([...members.values()]).toEqual(["b", "a", "c"]);
    const visited: string[] = [];
    members.forEach((member) => visited.push(member));
    expect(visited).toEqual(["b", "a", "c"]);
    const [first, ...rest] = members;
    expect([first, rest]).toEqual(["b", ["a", "c"]]);
  });

  it("holds a reference to each member once, and gives it up", () => {
    const heap = makeHeap();
    using point = heap.new(Point, { x: 1 });
    const before = liveObjects(heap);
    using members = heap.new(set(any), [point, point, "a text"]);
    expect([members.size, refcount(point)]).toEqual([2, 2]);
    members.add(point).add("a text");
    expect([members.size, refcount(point)]).toEqual([2, 2]);
    members.delete(point);
    expect(refcount(point)).toBe(1);
    members.add(point);
    members.clear();
    expect([refcount(point), liveObjects(heap)]).toEqual([1, before + 1]);
  });

  it("may hold itself", () => {
    const heap = makeHeap();
    const members = heap.new(set(any), []);
    members.add(members);
    release(members);
    expect(heap.gc.collect()).toBe(1);
  });

  it("gives up what it holds when an iterable that it is made from throws", () => {
    const heap = makeHeap();
    using point = heap.new(Point, {});
    function* failing() {
      yield point;
      yield "text";
      throw new RangeError("enough");
    }
    leaksNothing(heap, () =>
      expect(thrownBy(() => heap.new(set(any), failing()))).toBeInstanceOf(RangeError),
    );
    expect(refcount(point)).toBe(1);
    messageOf("TYPE_MISMATCH", () => heap.new(set(any), 5 as never));
  });
});
