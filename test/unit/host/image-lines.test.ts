/** The lines that made the handles to the roots, as an image carries them. */
import { describe, expect, it } from "vitest";
import { Heap, ImageError, release, retain } from "../../../src/index.js";
import { leakText, roots, showBackrefs, takeSnapshot } from "../../../src/inspect/index.js";
import { heldNow } from "../../../src/inspect/leaks.js";
import { makeHeap } from "../../support/heaps.js";
import { described, description, load, Node, refusal } from "./image-support.js";
import { messageOf } from "./support.js";

describe("the lines that made the roots", () => {
  const every = { handles: { every: 1 } } as const;
  const isRecorded = { checks: every, maximumBytes: 8 << 20 };

  function withLine(bytes: Uint8Array, line: unknown): Uint8Array {
    return described(bytes, ({ roots: [[name, address], ...others] }) => ({
      roots: [[name, address, line], ...others],
    }));
  }

  it("travel with them: of the handle that was named, or of one that holds the object", async () => {
    const heap = makeHeap(isRecorded);
    function makeNode() {
      return heap.new(Node, { next: {} });
    }
    const node = makeNode();
    const second = retain(node);
    const bytes = heap.saveBytes({ roots: { second, borrowed: node.next!, node } });
    const { heap: other } = await load(bytes, { types: [Node], ...isRecorded });
    const lines = roots(other).map(({ madeAt }) => madeAt.split("\n")[0]);
    expect(lines).toEqual([
      expect.stringMatching(/image-lines\.test\.ts:\d+:\d+\)?$/),
      expect.anything(), // no handle has made it: what is known is who loads it
      expect.stringMatching(/^makeNode \(.*image-lines\.test\.ts/),
    ]);
    expect(lines[0]).not.toMatch(/makeNode/);
    expect(description(bytes).roots.map((root) => root.length)).toEqual([3, 2, 3]);
    expect(description(heap.saveBytes()).roots[0][2]).toMatch(/^makeNode/);
    expect(takeSnapshot(other).retainingPath(1)).toContain("image-support.ts"); // where it was loaded
    release(second);
  });

  it("come back in what is saved again, and in errors", async () => {
    const heap = makeHeap(isRecorded);
    const bytes = heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
    const loaded = await load(bytes, { types: [Node], ...isRecorded });
    expect(loaded.heap.saveBytes({ roots: loaded.roots })).toEqual(bytes);
    const { node } = loaded.roots;
    release(node);
    expect(() => release(node)).toThrow(/made at .*image-lines\.test\.ts/);
  });

  it("are neither saved nor kept where a heap keeps none, and an image without them loads", async () => {
    const heap = makeHeap({ checks: "off" });
    const bytes = heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
    expect(description(bytes).roots).toEqual([["node", expect.any(Number)]]);
    await load(bytes, { types: [Node], ...isRecorded });
    const recorded = makeHeap(isRecorded);
    const { heap: other } = await load(recorded.saveBytes({ roots: { node: recorded.new(Node, {}) } }), {
      checks: "off",
    });
    expect(roots(other)).toEqual([]);
  });

  it("are cut where a stack is longer than anybody reads", () => {
    const heap = makeHeap(isRecorded);
    const node = heap.new(Node, {});
    const [record] = Heap.contextOf(heap).handles.records;
    for (const [madeAt, saved] of [
      [`first\n${"x".repeat(5000)}`, "first"],
      ["y".repeat(5000), "y".repeat(4096)],
    ]) {
      Object.assign(record, { madeAt });
      expect(description(heap.saveBytes({ roots: { node } })).roots[0][2]).toBe(saved);
    }
  });

  it("are a stranger's: a wrong one is refused, and the rest is only text", async () => {
    const heap = makeHeap({ checks: "off" });
    const bytes = heap.saveBytes({ roots: { node: heap.new(Node, {}) } });
    for (const line of [null, 7, {}, ["a"], true, "x".repeat(4097)]) {
      const error = await refusal(Heap.load(withLine(bytes, line)));
      expect([error, error.code, error.message]).toEqual([
        expect.any(ImageError),
        "IMAGE_INVALID",
        expect.stringMatching(/the line that made the root "node" is /),
      ]);
    }
    const evil = "\u001b[2J<script>\"'\u202e\nsecond";
    const loaded = await load(withLine(bytes, evil), isRecorded);
    expect(roots(loaded.heap)[0].madeAt).toBe(evil);
    const drawing = showBackrefs(loaded.roots.node);
    const shown = [
      takeSnapshot(loaded.heap).retainingPath(1),
      drawing.text(),
      drawing.dot(),
      leakText(heldNow(loaded.heap)),
      messageOf("DOUBLE_RELEASE", () => [1, 2].forEach(() => void release(loaded.roots.node))),
    ];
    for (const text of shown) {
      expect(text).toContain("\\u{1b}[2J");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      expect(text).not.toMatch(/[\u001b\u202e]/);
    }
    expect(drawing.dot()).not.toContain("<script>");
  });
});
