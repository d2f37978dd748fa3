import { describe, expect, it } from "vitest";
import { suppressed } from "../../../src/host/scope.js";
import {
  f64,
  type Handle,
  Heap,
  i32,
  list,
  optional,
  refcount,
  release,
  retain,
  type Scope,
  struct,
} from "../../../src/index.js";
import { makeExactHeap, makeHeap, size } from "../../support/heaps.js";
import { leaksNothing, liveObjects, messageOf, thrownBy } from "./support.js";

class Node extends struct("Node", {
  value: i32,
  get next() {
    return optional(Node);
  },
}) {}
const Point = struct("Point", { x: f64 });

interface Suppressed extends Error {
  error: unknown;
  suppressed: unknown;
}

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

describe("heap.scope with a body", () => {
  it("closes after the body, and returns what it returned", () => {
    const heap = makeHeap();
    let node: Handle<Node>;
    leaksNothing(heap, () => {
      expect(
        heap.scope((scope) => {
          node = scope.new(Node, { value: 20, next: { value: 22 } });
          return node.value + node.next!.value;
        }),
      ).toBe(42);
    });
    expect(heap.scope(() => undefined)).toBeUndefined();
    expect(heap.scope(() => null)).toBeNull();
    messageOf("USE_AFTER_RELEASE", () => node.value);
  });

  it("lets a returned handle leave: the same handle, with the one reference it had", () => {
    const heap = makeHeap();
    let made: Handle<Node>;
    const node = heap.scope((scope) => {
      scope.new(Node, { value: 1 });
      made = scope.new(Node, { value: 2 });
      scope.new(Node, { value: 3 });
      return made;
    });
    expect([node === made!, node.value, refcount(node)]).toEqual([true, 2, 1]);
    leaksNothing(heap, () => {});
    release(node);
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("lets the handles of a returned array leave, in it, each once", () => {
    const heap = makeHeap();
    const result = heap.scope((scope) => {
      const [a, b] = [scope.new(Node, { value: 1 }), scope.new(Node, { value: 2 })];
      scope.new(Node, { value: 3 });
      return [b, a, b] as const;
    });
    expect(result.map(({ value }) => value)).toEqual([2, 1, 2]);
    expect(result.map(refcount)).toEqual([1, 1, 1]);
    release(result[0]);
    release(result[1]);
    messageOf("DOUBLE_RELEASE", () => release(result[2]));
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("lets a handle leave several scopes with the one reference it had", () => {
    const heap = makeHeap();
    const node = heap.scope(() => heap.scope((inner) => heap.scope(() => inner.new(Node, { value: 1 }))));
    expect(refcount(node)).toBe(1);
    const other = heap.scope((outer) => heap.scope(() => outer.new(Node, { value: 2 })));
    expect(refcount(other)).toBe(1);
    release(node);
    release(other);
  });

  it("leaves a returned handle alone that it does not own", () => {
    const heap = makeHeap();
    using outside = heap.new(Node, {});
    expect(heap.scope(() => outside)).toBe(outside);
    const made = heap.scope(() => heap.new(Node, {}));
    expect([refcount(outside), refcount(made)]).toEqual([1, 1]);
    release(made);
    let moved: Scope;
    const owned = heap.scope((scope) => {
      const node = scope.new(Node, { value: 1 });
      moved = scope.move();
      return node;
    });
    expect([owned.value, refcount(owned)]).toEqual([1, 1]);
    moved![Symbol.dispose]();
    messageOf("USE_AFTER_RELEASE", () => owned.value);
  });

  it("closes before it hands on what the body threw", () => {
    const heap = makeHeap();
    const error = new Error("body");
    leaksNothing(heap, () => {
      expect(
        thrownBy(() =>
          heap.scope((scope) => {
            scope.new(Node, {});
            throw error;
          }),
        ),
      ).toBe(error);
    });
  });

  it("keeps both errors when the body and the closing throw", () => {
    const heap = makeHeap();
    const [body, closer] = [new Error("body"), new Error("closer")];
    leaksNothing(heap, () => {
      const error = thrownBy(() =>
        heap.scope((scope) => {
          scope.new(Node, {});
          scope.defer(() => {
            throw closer;
          });
          throw body;
        }),
      ) as Suppressed;
      expect([error.name, error.error, error.suppressed]).toEqual(["SuppressedError", closer, body]);
    });
  });

  it("releases the result too when closing throws: nobody receives it", () => {
    const heap = makeHeap();
    const closer = new Error("closer");
    const failing = (scope: Scope) => {
      const result = scope.new(Node, { next: {} });
      scope.defer(() => {
        throw closer;
      });
      return result;
    };
    leaksNothing(heap, () => {
      expect(thrownBy(() => heap.scope(failing))).toBe(closer);
      expect(thrownBy(() => heap.scope((scope) => [failing(scope), scope.new(Point, {})]))).toBe(closer);
    });
  });

  it("nests, and each scope owns its own", () => {
    const heap = makeHeap();
    heap.scope((outer) => {
      const node = outer.new(Node, { value: 1 });
      const before = liveObjects(heap);
      heap.scope((inner) => {
        node.next = inner.new(Node, { value: 2 });
        inner.new(Node, { value: 3 });
      });
      expect([node.next!.value, liveObjects(heap)]).toEqual([2, before + 1]);
    });
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("takes a body without a scope for what it is", () => {
    expect(makeHeap().scope(undefined as never)).toHaveProperty("move");
  });
});

describe("a scope over asynchronous code", () => {
  it("stays open across await, by `using`", async () => {
    const heap = makeHeap();
    async function body() {
      using scope = heap.scope();
      const node = scope.new(Node, { value: 7 });
      await Promise.resolve();
      return node.value;
    }
    expect(await body()).toBe(7);
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("closes when the body's promise settles, and lets a handle leave with it", async () => {
    const heap = makeHeap();
    let steps = "";
    const promise = heap.scope(async (scope) => {
      const node = scope.new(Node, { value: 1 });
      scope.defer(() => {
        steps += "closed ";
      });
      await Promise.resolve();
      steps += "body ";
      return scope.new(Node, { next: node });
    });
    expect(steps).toBe("");
    const result = await promise;
    expect([steps, result.next!.value, refcount(result), refcount(result.next!)]).toEqual([
      "body closed ",
      1,
      1,
      1,
    ]);
    release(result);
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("closes when the promise is rejected, and keeps both errors", async () => {
    const heap = makeHeap();
    const [body, closer] = [new Error("body"), new Error("closer")];
    const rejected = (promise: Promise<unknown>) =>
      promise.then(
        () => undefined,
        (error: unknown) => error,
      );
    const one = rejected(
      heap.scope(async (scope) => {
        scope.new(Node, {});
        await Promise.resolve();
        throw body;
      }),
    );
    expect(await one).toBe(body);
    const both = (await rejected(
      heap.scope(async (scope) => {
        scope.new(Node, {});
        scope.defer(() => {
          throw closer;
        });
        await Promise.resolve();
        throw body;
      }),
    )) as Suppressed;
    expect([both.error, both.suppressed]).toEqual([closer, body]);
    const closing = rejected(
      heap.scope(async (scope) => {
        scope.defer(() => {
          throw closer;
        });
        return scope.new(Node, {});
      }),
    );
    expect(await closing).toBe(closer);
    expect(heap.gc.getObjects()).toEqual([]);
  });

  it("waits for promises of other makes", async () => {
    const heap = makeHeap();
    let settle = () => {};
    const thenable = (value: number) => ({
      // biome-ignore lint/suspicious/noThenProperty: this is what a promise of another library looks like
      then: (resolve: (value: number) => void) => {
        settle = () => resolve(value);
      },
    });
    let node: Handle<Node>;
    const promise = heap.scope((scope) => {
      node = scope.new(Node, { value: 1 });
      return thenable(5);
    }) as unknown as Promise<number>;
    await Promise.resolve();
    expect(node!.value).toBe(1);
    settle();
    expect(await promise).toBe(5);
    messageOf("USE_AFTER_RELEASE", () => node.value);
  });

  it("does not take an object with a method called `then` for a promise, nor what cannot be asked", () => {
    const heap = makeHeap();
    class Step extends struct("Step", { value: i32 }) {
      // biome-ignore lint/suspicious/noThenProperty: a method of that name is the point
      then() {
        return "next";
      }
    }
    const step = heap.scope((scope) => scope.new(Step, { value: 1 }));
    expect([step.value, step.then()]).toEqual([1, "next"]);
    release(step);
    const trap = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable that throws is what is tested
      get then() {
        throw new RangeError("no");
      },
    };
    leaksNothing(heap, () => {
      const body = (scope: Scope) => {
        scope.new(list(Node), [{}]);
        return trap;
      };
      expect(heap.scope(body)).toBe(trap);
    });
  });
});
