/** Scopes: what they own, hand over and defer, and what they do when they close. */
import { describe, expect, it } from "vitest";
import { suppressed } from "../../../src/host/scope.js";
import { type Handle, Heap, refcount, release, retain } from "../../../src/index.js";
import { makeExactHeap, makeHeap, size } from "../../support/heaps.js";
import { Node, Point, type Suppressed } from "./scope-support.js";
import { leaksNothing, liveObjects, messageOf, thrownBy } from "./support.js";

describe("a scope", () => {
  it("releases what was made in it when it closes", () => {
    const heap = makeHeap();
    const before = liveObjects(heap);
    let inside: Handle<Node>;
    {
      using scope = heap.scope();
      inside = scope.new(Node, { value: 1, next: {} });
      scope.new(Point, { x: 2 });
      expect([inside.value, liveObjects(heap)]).toEqual([1, before + 3]);
    }
    expect(liveObjects(heap)).toBe(before);
    messageOf("USE_AFTER_RELEASE", () => inside.value);
  });

  it("does everything last first", () => {
    const heap = makeHeap();
    const steps: string[] = [];
    const scope = heap.scope();
    const first = scope.new(Node, { value: 1 });
    scope.defer(() => steps.push(`defer, count ${refcount(first)}`));
    const second = scope.use(retain(first));
    scope.defer(() => steps.push(`later, count ${refcount(second)}`));
    scope[Symbol.dispose]();
    expect(steps).toEqual(["later, count 2", "defer, count 1"]);
  });

  it("keeps its error where the collection that it was asked for fails too", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap.onLeakedHandle = () => {};
    const scope = heap.scope();
    scope.collect();
    scope.defer(() => heap.shutdown());
    scope.defer(() => {
      throw new RangeError("first");
    });
    const error = thrownBy(() => scope[Symbol.dispose]()) as Suppressed;
    expect([(error.error as { code?: string }).code, error.suppressed]).toEqual([
      "HEAP_DISPOSED",
      expect.any(RangeError),
    ]);
  });

  it("collects later what it could not inside a collection", () => {
    const heap = makeExactHeap();
    const scope = heap.scope();
    const node = scope.new(Node, {});
    node.next = node;
    scope[Symbol.dispose]();
    const found: number[] = [];
    heap.gc.callbacks.push((phase) => phase === "start" && found.push(scope.collect()));
    heap.gc.freeze(); // so that the collection itself does not find the node
    heap.gc.collect();
    heap.gc.unfreeze();
    heap.gc.callbacks.length = 0;
    expect([found, scope.collect()]).toEqual([[0], 1]);
  });

  it("lets a body return what cannot be read: a revoked Proxy is nobody's promise", () => {
    const heap = makeHeap();
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(heap.scope(() => proxy) === proxy).toBe(true);
    using owner = heap.adopt(proxy, () => {});
    expect(owner.value === proxy).toBe(true);
  });

  it("takes over a handle, and gives it back to be lent", () => {
    const heap = makeHeap();
    const node = heap.new(Node, {});
    const scope = heap.scope();
    expect(scope.use(node)).toBe(node);
    scope[Symbol.dispose]();
    messageOf("USE_AFTER_RELEASE", () => node.value);
  });

  it("takes over nothing but handles that are still held", () => {
    const heap = makeHeap();
    using scope = heap.scope();
    using node = heap.new(Node, { next: {} });
    const released = heap.new(Node, {});
    release(released);
    for (const value of [node.next, released, null, undefined, 5, {}, { [Symbol.dispose]() {} }] as never[])
      expect(messageOf("INVALID_ARGUMENT", () => scope.use(value))).toMatch(
        /^scope\.use takes a handle that has not been released, got /,
      );
  });

  it("closes once; closing again does nothing", () => {
    const heap = makeHeap();
    let count = 0;
    const scope = heap.scope();
    scope.defer(() => count++);
    scope[Symbol.dispose]();
    scope[Symbol.dispose]();
    expect(count).toBe(1);
  });

  it("that is closed takes nothing more, and makes nothing", () => {
    const heap = makeHeap();
    const scope = heap.scope();
    scope[Symbol.dispose]();
    using node = heap.new(Node, {});
    leaksNothing(heap, () => {
      for (const use of [
        () => scope.new(Node, {}),
        () => scope.use(node),
        () => scope.defer(() => {}),
        () => scope.move(),
      ])
        expect(messageOf("INVALID_ARGUMENT", use)).toBe("This scope is closed: it can own nothing more.");
    });
  });

  it("that a literal's getter closes owns nothing more: what was made for it is released", () => {
    const heap = makeHeap();
    leaksNothing(heap, () => {
      const scope = heap.scope();
      const literal = {
        get value() {
          scope[Symbol.dispose]();
          return 1;
        },
        next: {},
      };
      expect(messageOf("INVALID_ARGUMENT", () => scope.new(Node, literal))).toBe(
        "This scope is closed: it can own nothing more.",
      );
    });
  });

  it("defers functions and nothing else", () => {
    using scope = makeHeap().scope();
    for (const [value, shown] of [
      [5, "5"],
      [null, "null"],
      [{}, "an object"],
    ] as const)
      expect(messageOf("INVALID_ARGUMENT", () => scope.defer(value as never))).toBe(
        `scope.defer takes a function, got ${shown}.`,
      );
  });

  it("is closed already while it closes", () => {
    const scope = makeHeap().scope();
    const messages: string[] = [];
    scope.defer(() => messages.push(messageOf("INVALID_ARGUMENT", () => scope.defer(() => {}))));
    scope.defer(() => scope[Symbol.dispose]());
    scope[Symbol.dispose]();
    expect(messages).toHaveLength(1);
  });

  it("hands over any number of handles", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    const scope = heap.scope();
    // More than a call can have arguments.
    const count = size(200_000);
    for (let index = 0; index < count; index++) scope.use(retain(node));
    const moved = scope.move();
    scope[Symbol.dispose]();
    expect(refcount(node)).toBe(count + 1);
    moved[Symbol.dispose]();
    expect(refcount(node)).toBe(1);
  });

  it("hands everything to a new scope, and closes empty", () => {
    const heap = makeHeap();
    const scope = heap.scope();
    const node = scope.new(Node, { value: 1 });
    const steps: string[] = [];
    scope.defer(() => steps.push("deferred"));
    const moved = scope.move();
    scope[Symbol.dispose]();
    expect([node.value, steps]).toEqual([1, []]);
    messageOf("INVALID_ARGUMENT", () => scope.new(Node, {}));
    moved.new(Point, {});
    moved[Symbol.dispose]();
    expect(steps).toEqual(["deferred"]);
    messageOf("USE_AFTER_RELEASE", () => node.value);
  });

  it("does all it has to when some of it throws, and throws what was thrown", () => {
    const heap = makeHeap();
    const [first, second, third] = [new Error("first"), new Error("second"), new Error("third")];
    const bang = (error: Error) => () => {
      throw error;
    };
    const before = liveObjects(heap);
    const one = heap.scope();
    one.new(Node, {});
    one.defer(bang(first));
    one.new(Node, {});
    expect(thrownBy(() => one[Symbol.dispose]())).toBe(first);
    expect(liveObjects(heap)).toBe(before);
    const three = heap.scope();
    for (const error of [third, second, first]) {
      three.new(Node, {});
      three.defer(bang(error));
    }
    const outer = thrownBy(() => three[Symbol.dispose]()) as Suppressed;
    expect([outer.name, outer.error]).toEqual(["SuppressedError", third]);
    const inner = outer.suppressed as Suppressed;
    expect([inner.name, inner.error, inner.suppressed]).toEqual(["SuppressedError", second, first]);
    expect(liveObjects(heap)).toBe(before);
  });

  it("reports a handle that was released behind its back, and releases the others", () => {
    const heap = makeHeap();
    const before = liveObjects(heap);
    const scope = heap.scope();
    scope.new(Node, {});
    release(scope.new(Node, {}));
    scope.new(Node, {});
    messageOf("DOUBLE_RELEASE", () => scope[Symbol.dispose]());
    expect(liveObjects(heap)).toBe(before);
  });
});

describe("the standard's shape of an error that hides another", () => {
  it("is used whether or not the host knows the class", () => {
    const host = globalThis as { SuppressedError?: unknown };
    const had = Object.getOwnPropertyDescriptor(host, "SuppressedError");
    class Standard extends Error {
      constructor(error: unknown, suppressed: unknown, message: string) {
        super(message);
        Object.assign(this, { name: "SuppressedError", error, suppressed });
      }
    }
    try {
      for (const known of [undefined, Standard]) {
        host.SuppressedError = known;
        const error = suppressed("later", "earlier") as Suppressed;
        expect([error.name, error.error, error.suppressed, error.message]).toEqual([
          "SuppressedError",
          "later",
          "earlier",
          "An error was suppressed during disposal.",
        ]);
        expect(error).toBeInstanceOf(known ?? Error);
      }
    } finally {
      if (had === undefined) delete host.SuppressedError;
      else Object.defineProperty(host, "SuppressedError", had);
    }
  });
});
