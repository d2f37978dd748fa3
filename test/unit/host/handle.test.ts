/** Handles: the reference that each owns, its release, and the lines that made and released it. */
import { expect, it } from "vitest";
import {
  any,
  DoubleReleaseError,
  dict,
  type Handle,
  list,
  refcount,
  release,
  retain,
  str,
  UseAfterReleaseError,
} from "../../../src/index.js";
import { roots, verify } from "../../../src/inspect/index.js";
import { here, Node, Point, recordAll } from "./handle-support.js";
import { describeBothMakers, heapError, liveObjects, thrownBy } from "./support.js";

describeBothMakers("a handle", ({ makeHeap, makeExactHeap }) => {
  it("owns one reference: giving it up frees what nothing else holds, at once", () => {
    const heap = makeExactHeap();
    const node = heap.new(Node, { next: { next: {} } });
    const before = liveObjects(heap);
    const kept = retain(node.next!);
    release(node);
    expect(liveObjects(heap)).toBe(before - 1);
    release(kept);
    expect(liveObjects(heap)).toBe(before - 3);
    expect(heap.gc.getStats()[2].collections).toBe(0);
  });

  it("is released by `using` at the end of its block", () => {
    const heap = makeHeap();
    const outer = heap.new(Node, {});
    {
      using inner = retain(outer);
      expect(refcount(inner)).toBe(2);
    }
    expect(refcount(outer)).toBe(1);
  });

  it("cannot be used once it is released, though others to the object can", () => {
    const heap = makeHeap();
    const first = heap.new(Node, { value: 1, next: {} });
    const second = retain(first);
    release(first);
    const uses = [
      () => first.value,
      () => first.next,
      () => {
        first.value = 2;
      },
      () => retain(first),
      () => refcount(first),
      () => heap.toJS(first),
    ];
    for (const use of uses) {
      const error = heapError("USE_AFTER_RELEASE", use);
      expect(error).toBeInstanceOf(UseAfterReleaseError);
      expect(error.message).toContain("This handle to a Node was released and cannot be used any more.");
    }
    expect([second.value, refcount(second)]).toEqual([1, 1]);
  });

  it("cannot be released twice, and the second time changes nothing", () => {
    const heap = makeHeap();
    const first = heap.new(Node, {});
    const second = retain(first);
    release(first);
    for (const again of [() => release(first), () => first[Symbol.dispose]()]) {
      const error = heapError("DOUBLE_RELEASE", again);
      expect(error).toBeInstanceOf(DoubleReleaseError);
      expect(error.message).toContain("This handle to a Node was released already.");
    }
    expect(refcount(second)).toBe(1);
    release(second);
    heapError("DOUBLE_RELEASE", () => release(second));
  });

  it("is not what a field or an item reads as: a borrow cannot be released", () => {
    const heap = makeHeap();
    using node = heap.new(Node, { next: { value: 1 } });
    using nodes = heap.new(list(Node), [node]);
    for (const borrow of [node.next, nodes.at(0)] as unknown as Handle<Node>[])
      for (const attempt of [() => release(borrow), () => borrow[Symbol.dispose]()])
        expect(heapError("INVALID_ARGUMENT", attempt).message).toBe(
          "This reference to a Node is borrowed: it owns nothing that could be released.",
        );
    expect([refcount(node), refcount(node.next!)]).toEqual([2, 1]);
    const stale = node.next as unknown as Handle<Node>;
    node.next = null;
    heapError("STALE_REFERENCE", () => release(stale));
  });

  it("names the lines that made and released it, where all are recorded", () => {
    const heap = makeHeap(recordAll);
    const made = here();
    const node = heap.new(Node, {}); // made + 1
    const released = here();
    release(node); // released + 1
    const lineAfter = (line: string) => line.replace(/\d+$/, (number) => String(Number(number) + 1));
    for (const misuse of [() => node.value, () => release(node)]) {
      const error = thrownBy(misuse) as UseAfterReleaseError;
      expect(error.madeAt!.split("\n")[0]).toContain(lineAfter(made));
      expect(error.releasedAt!.split("\n")[0]).toContain(lineAfter(released));
      expect(error.message).toContain(`\n  made at ${error.madeAt!.split("\n")[0]}\n  released at `);
      expect(error.message).toContain(lineAfter(released));
    }
  });

  it("names the line of whatever made it: new, retain, pop, take, from, a scope", () => {
    const heap = makeHeap(recordAll);
    const nodes = heap.new(list(Node), [{}, {}]);
    const makers: (() => Disposable)[] = [
      () => heap.new(Node, {}),
      () => retain(nodes),
      () => nodes.pop()!,
      () => nodes.take(0)!,
      () => heap.from({}) as unknown as Disposable,
      () => heap.scope((scope) => scope.new(Point, {})),
    ];
    for (const make of makers) {
      const handle = make();
      handle[Symbol.dispose]();
      const { madeAt } = thrownBy(() => handle[Symbol.dispose]()) as DoubleReleaseError;
      expect(madeAt!.split("\n")[0]).toMatch(/handle\.test\.ts:\d+:\d+/);
      expect(madeAt!.split("\n").length).toBeLessThanOrEqual(4);
    }
    release(nodes);
  });

  it("names no line where none is recorded, and says how to record them", () => {
    const heap = makeHeap({ checks: "off" });
    const node = heap.new(Node, {});
    release(node);
    for (const misuse of [() => node.value, () => release(node)]) {
      const error = thrownBy(misuse) as UseAfterReleaseError;
      expect("madeAt" in error || "releasedAt" in error).toBe(false);
      expect(error.message).toContain("{ checks: { handles: { every: 1 } } }");
    }
    expect(roots(heap)).toEqual([]);
  });

  it("keeps no line and no record of a borrow that is stale", () => {
    const heap = makeHeap(recordAll);
    using node = heap.new(Node, { next: {} });
    const borrow = node.next!;
    node.next = null;
    const error = thrownBy(() => borrow.value) as UseAfterReleaseError;
    expect("madeAt" in error || "releasedAt" in error).toBe(false);
  });
});

describeBothMakers("a handle of which something is kept", ({ makeHeap }) => {
  const ErrorHost = Error as unknown as { prepareStackTrace?: unknown };
  /** Run a body while the program's own code looks at the first stack that is captured, and throw what that throws. */
  function whileStacksAreLookedAt(look: () => void, body: () => void): void {
    const { prepareStackTrace } = ErrorHost;
    const failures: unknown[] = [];
    ErrorHost.prepareStackTrace = () => {
      ErrorHost.prepareStackTrace = prepareStackTrace;
      try {
        look();
      } catch (error) {
        failures.push(error); // whoever captures a stack swallows it
      }
      return "";
    };
    try {
      body();
    } finally {
      ErrorHost.prepareStackTrace = prepareStackTrace;
    }
    for (const failure of failures) throw failure;
  }

  it("is released before the program's code can see its stack: once, whatever that does", () => {
    for (const options of [recordAll, { checks: "stress" }] as const) {
      const heap = makeHeap(options);
      const node = heap.new(Node, {});
      const other = retain(node);
      const codes: string[] = [];
      const look = () => {
        verify(heap);
        codes.push(heapError("DOUBLE_RELEASE", () => release(node)).code);
        codes.push(heapError("USE_AFTER_RELEASE", () => node.value).code);
      };
      whileStacksAreLookedAt(look, () => release(node));
      expect([codes.length, refcount(other)]).toEqual([2, 1]);
      release(other);
    }
  });

  it("finds the heap whole when its line is captured: new, retain, pop, take, from", () => {
    for (const options of [recordAll, { checks: "stress" }] as const) {
      const heap = makeHeap(options);
      const nodes = heap.new(list(Node), [{}, {}, {}]);
      const table = heap.new(dict(str, any), [["a", nodes]]);
      const makers: (() => Disposable)[] = [
        () => heap.new(Node, {}),
        () => retain(nodes),
        () => nodes.pop()!,
        () => nodes.take(0)!,
        () => table.take("a") as unknown as Disposable,
        () => heap.from({ a: [{}] }) as unknown as Disposable,
      ];
      let looks = 0;
      const look = () => {
        looks++;
        verify(heap);
        nodes.push({});
        nodes.clear();
        table.clear();
        verify(heap);
      };
      for (const make of makers) {
        if (nodes.length < 2) nodes.assign([{}, {}]);
        table.set("a", nodes);
        let made: Disposable | undefined;
        whileStacksAreLookedAt(look, () => {
          made = make();
        });
        made![Symbol.dispose]();
      }
      expect(looks).toBe(makers.length);
      release(table);
      release(nodes);
    }
  });
});

describeBothMakers("a handle that is frozen", ({ makeHeap }) => {
  it.each(["off", "handles", "stress"] as const)(
    "cannot be released, which says why and changes nothing: checks %s",
    (checks) => {
      const heap = makeHeap({ checks });
      const node = heap.new(Node, { value: 1 });
      const frozen = Object.freeze(retain(node));
      for (const attempt of [() => release(frozen), () => frozen[Symbol.dispose]()]) {
        const before = roots(heap).length;
        const error = heapError("INVALID_ARGUMENT", attempt);
        expect(error.message).toBe(
          "This handle to a Node was frozen and cannot be marked as released: it keeps its object alive.",
        );
        expect([frozen.value, refcount(node), roots(heap).length]).toEqual([1, 2, before]);
        verify(heap);
      }
      release(node);
      expect(refcount(frozen)).toBe(1);
    },
  );
});
