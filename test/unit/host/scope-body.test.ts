/** Scopes around a body, and over asynchronous code: when they close, and what leaves them. */
import { describe, expect, it } from "vitest";
import { type Handle, i32, list, refcount, release, type Scope, struct } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { Node, Point, type Suppressed } from "./scope-support.js";
import { leaksNothing, liveObjects, messageOf, thrownBy } from "./support.js";

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
