/** Disposers of adopted values, asynchronous ones too: what they may do, and who waits for them. */
import { describe, expect, it } from "vitest";
import { any, finalizer, Heap, list, release, retain, str, struct } from "../../../src/index.js";
import { verify } from "../../../src/inspect/index.js";
import { makeHeap, size } from "../../support/heaps.js";
import { makeStage, Node } from "./foreign-stage.js";

describe("a disposer", () => {
  it("never throws out of a release: its error is told, and everything else goes on", () => {
    const { heap, log, adopt } = makeStage();
    const told: unknown[] = [];
    heap.onUnraisable = (error, where) => told.push([(error as Error).message, where]);
    heap.scope((scope) => {
      scope.use(adopt(1));
      scope.adopt({}, () => {
        throw new Error("broken");
      });
      scope.use(adopt(2));
    });
    expect([log, told]).toEqual([["texture 2", "texture 1"], [["broken", "a disposer"]]]);
  });

  it("may adopt, release, collect and use the heap", () => {
    const { heap, log, adopt } = makeStage();
    using kept = heap.new(list(any), []);
    const value = heap.adopt({}, () => {
      kept.push(adopt(1));
      heap.gc.collect();
      release(adopt(2));
      verify(heap);
    });
    release(value);
    verify(heap);
    expect(log).toEqual(["texture 2"]);
    heap.gc.collect();
    release(retain(kept));
    expect(heap.adoptedCount).toBe(1);
  });

  it("may release its own owner's other owners, and find nothing that dies twice", () => {
    const { heap, log } = makeStage();
    const node = heap.new(Node, {});
    const value = heap.adopt({}, () => {
      log.push("disposed");
      node.rest = null;
      release(node);
    });
    node.rest = value;
    release(value);
    node.rest = null;
    verify(heap);
    expect([log, heap.gc.getObjects().length]).toEqual([["disposed"], 0]);
  });

  it("may verify the heap in the middle of a collection, and so may a finalizer beside it", () => {
    const { heap } = makeStage();
    let verified = 0;
    class Checker extends struct("Checker", { other: any }) {
      [finalizer]() {
        verify(heap);
        verified++;
      }
    }
    heap.scope((scope) => {
      const [first, second] = [scope.new(Checker, {}), scope.new(Checker, { other: null })];
      const value = scope.adopt({}, () => {
        verify(heap);
        verified++;
      });
      second.other = scope.new(list(any), [first, value]);
      first.other = second;
    });
    const told: unknown[] = [];
    heap.onUnraisable = (error) => told.push(error);
    heap.gc.collect();
    expect([verified, told]).toEqual([3, []]);
  });

  it("finds the value gone from the heap", () => {
    const { heap } = makeStage();
    const seen: number[] = [];
    const value = {};
    release(
      heap.adopt(value, () => {
        seen.push(heap.adoptedCount);
        release(heap.adopt(value, () => seen.push(-1)));
      }),
    );
    expect(seen).toEqual([0, -1]);
  });

  it("may return what cannot be asked whether it is a promise: nothing comes out of the death", async () => {
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const strange = Promise.resolve();
    Object.defineProperty(strange, "constructor", {
      get() {
        throw new Error("constructor");
      },
    });
    const throwing = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable that throws is what is tested
      get then() {
        throw new Error("then");
      },
    };
    for (const result of [throwing, revoked.proxy, strange])
      for (const way of ["release", "collect"]) {
        const { heap, log, adopt } = makeStage();
        const last = heap.adopt({}, () => result);
        const items = heap.new(
          list(any),
          [adopt(1), last, adopt(2)].map((value) => value as never),
        );
        items.push(items);
        for (const item of [...items].slice(0, 3)) release(retain(item as never));
        release(last);
        if (way === "release") items.clear();
        release(items);
        heap.gc.collect();
        verify(heap);
        expect([way, heap.adoptedCount, log.length]).toEqual([way, 2, 0]); // the handles of `adopt` still live
        await heap.settled();
      }
  });

  it("may return a heap object, which is no promise, whatever its fields are called", () => {
    const heap = makeHeap();
    // biome-ignore lint/suspicious/noThenProperty: a field of that name is the point
    const Step = struct("Step", { then: str });
    const step = heap.new(Step, {});
    release(
      heap.adopt({}, () => {
        release(step);
        return step;
      }),
    );
    verify(heap);
    expect(heap.adoptedCount).toBe(0);
  });

  it("may leave a frozen handle, which cannot be released: that is told, and nothing else stops", async () => {
    for (const dispose of [() => {}, async () => {}]) {
      const heap = makeHeap();
      const told: string[] = [];
      heap.onUnraisable = (_, where) => void told.push(where);
      using node = heap.new(Node, {});
      const frozen = Object.freeze(retain(node));
      release(heap.adopt({}, dispose, { traverse: () => [frozen] }));
      await heap.settled();
      expect(told).toEqual(["the release of a handle that an adopted value held"]);
    }
  });

  it("runs as often as there are values, however many die in one statement", () => {
    const { heap } = makeStage();
    const count = size(20_000);
    let disposed = 0;
    const root = heap.new(list(any), []);
    for (let index = 0; index < count; index++)
      heap.scope((scope) => root.push(scope.adopt({ index }, () => disposed++)));
    release(root);
    expect([disposed, heap.adoptedCount]).toEqual([count, 0]);
  });
});

describe("an asynchronous disposer", () => {
  it("is waited for by settled, those that begin meanwhile included", async () => {
    const { heap, log } = makeStage();
    const slow = (name: string, after?: () => void) =>
      heap.adopt({ name }, async () => {
        await Promise.resolve();
        await new Promise(setImmediate);
        log.push(name);
        after?.();
      });
    release(slow("first", () => release(slow("second"))));
    log.push("released");
    await heap.settled();
    expect(log).toEqual(["released", "first", "second"]);
    await heap.settled();
  });

  it("tells of a rejection, and settles", async () => {
    const { heap } = makeStage();
    const told: unknown[] = [];
    heap.onUnraisable = (error, where) => told.push([(error as Error).message, where]);
    release(heap.adopt({}, () => Promise.reject(new Error("no"))));
    await heap.settled();
    expect(told).toEqual([["no", "an asynchronous disposer"]]);
  });

  it("is waited for by the scope that caused it, and by no other", async () => {
    const { heap, log } = makeStage();
    let finish = () => {};
    const blocked = new Promise<void>((resolve) => {
      finish = resolve;
    });
    release(heap.adopt({}, () => blocked)); // of another's making: a scope that waited for it would never end
    await (async () => {
      await using scope = heap.scope();
      scope.adopt({}, async () => {
        await new Promise(setImmediate);
        log.push("disposed");
      });
    })();
    expect(log).toEqual(["disposed"]);
    await heap.scope(async (scope) => {
      scope.adopt({}, async () => {
        await new Promise(setImmediate);
        log.push("disposed of a body");
      });
    });
    const failing = heap.scope(async (scope) => {
      scope.adopt({}, async () => {
        await new Promise(setImmediate);
        log.push("disposed of a failing body");
      });
      throw new Error("body");
    });
    await expect(failing).rejects.toThrow("body");
    expect(log).toEqual(["disposed", "disposed of a body", "disposed of a failing body"]);
    const chained: string[] = [];
    await (async () => {
      await using scope = heap.scope();
      const inner = heap.adopt({}, async () => {
        await new Promise(setImmediate);
        chained.push("inner");
      });
      scope.adopt({}, async () => void chained.push("outer"), { traverse: () => [inner] });
    })();
    expect(chained).toEqual(["outer", "inner"]); // what a value held goes when it is over, and that is awaited too
    finish();
    await heap.settled();
  });

  it("keeps its handles from being told as leaks while it is under way", async () => {
    const heap = Heap.create({ maximumBytes: 1 << 20, checks: { handles: { every: 1 } } });
    const told: unknown[] = [];
    heap.onLeakedHandle = (leak) => told.push(leak);
    const node = heap.new(Node, {});
    release(heap.adopt({}, () => new Promise(setImmediate), { traverse: () => [node] }));
    heap.shutdown();
    await heap.settled();
    expect(told).toEqual([]);
  });
});
