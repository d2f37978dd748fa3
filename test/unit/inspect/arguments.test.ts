import { describe, expect, it } from "vitest";
import { Heap, list, str } from "../../../src/index.js";
import {
  assertNoLeaks,
  findBackrefChain,
  findLeaks,
  growth,
  leakMatchers,
  profileLines,
  showBackrefs,
  showRefs,
  takeSnapshot,
  timeline,
  tracemalloc,
} from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "../host/support.js";

/** What a program without types may pass where an object of options belongs. */
const NO_OPTIONS = [null, 5, "text", [], () => {}];

describe("options of the wrong kind", () => {
  const verbs: [string, (options: never, heap: Heap) => unknown][] = [
    ["findLeaks", (options, heap) => findLeaks(heap, () => {}, options)],
    ["assertNoLeaks", (options, heap) => assertNoLeaks(heap, () => {}, options)],
    ["toLeakNothing", (options, heap) => leakMatchers.toLeakNothing(() => {}, heap, options)],
    ["showBackrefs", (options, heap) => showBackrefs(heap.new(list(str), []), options)],
    ["showRefs", (options, heap) => showRefs(heap.new(list(str), []), options)],
    ["timeline", (options, heap) => timeline(heap, options)],
    ["profileLines", (options, heap) => profileLines(heap, () => {}, options)],
  ];
  it.each(verbs)("are refused by %s, before anything is done", (_, call) => {
    const heap = makeHeap();
    for (const options of NO_OPTIONS)
      expect(messageOf("INVALID_ARGUMENT", () => call(options as never, heap))).toMatch(
        /^The options of \w+ must be an object, got /,
      );
  });
});

describe("parts of options of the wrong kind", () => {
  it("are refused with what they are", () => {
    const heap = makeHeap();
    const ref = heap.new(list(str), []);
    const refused = (call: () => unknown) => messageOf("INVALID_ARGUMENT", call);
    expect(refused(() => findLeaks(heap, () => {}, { caches: ref as never }))).toMatch(
      /`caches` must be an array/,
    );
    refused(() => findLeaks(heap, () => {}, { caches: [{}] as never }));
    refused(() => findLeaks({} as Heap, () => {}));
    refused(() => findLeaks(heap, null as never));
    for (const options of [{ depth: "3" }, { limit: -1 }, { depth: Number.NaN }])
      refused(() => showRefs(ref, options as never));
    refused(() => profileLines(heap, 7 as never));
    refused(() => profileLines(heap, () => {}, { functions: {} as never }));
    refused(() => profileLines(heap, () => {}, { functions: [7] as never }));
    refused(() => findBackrefChain(ref, {} as never));
    refused(() => growth(heap, "3" as never));
    expect(refused(() => takeSnapshot(heap).diff({} as never))).toMatch(
      /diff takes another snapshot, got an object/,
    );
    tracemalloc.start(heap);
    const traces = tracemalloc.snapshot(heap);
    tracemalloc.stop(heap);
    expect(refused(() => traces.compareTo({} as never, "line"))).toMatch(/compareTo takes another snapshot/);
    for (const patterns of [
      null,
      { include: "a" },
      { exclude: {} },
      { include: [null] },
      { include: [{ file: 5 }] },
      { exclude: [{ type: {} }] },
      { include: [{ line: "5" }] },
    ])
      refused(() => traces.filter(patterns as never));
  });
});

describe("a heap that was shut down", () => {
  it("is refused by findLeaks by name", () => {
    const heap = Heap.create({ maximumBytes: 1 << 20 });
    heap.shutdown();
    messageOf("HEAP_DISPOSED", () => findLeaks(heap, () => {}));
  });
});
