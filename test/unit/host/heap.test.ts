import { describe, expect, it } from "vitest";
import { any, dict, i32, list, optional, str, struct } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";

class TreeNode extends struct("TreeNode", {
  value: i32,
  get parent() {
    return optional(TreeNode);
  },
  get children() {
    return list(TreeNode);
  },
}) {}

describe("Heap", () => {
  it("collects a tree with parent links: three nodes and their lists", () => {
    const heap = makeHeap();
    {
      using root = heap.new(TreeNode, { value: 1, children: [{ value: 2 }, { value: 3 }] });
      for (const child of root.children) child.parent = root;
    }
    expect(heap.gc.collect()).toBe(6);
  });

  it("collects Python's two dicts in a cycle", () => {
    const heap = makeHeap();
    {
      using a = heap.new(dict(str, any), [["key", "value"]]);
      using b = heap.new(dict(str, any), [["key", "another_value"]]);
      a.set("ref_to_b", b);
      b.set("ref_to_a", a);
    }
    expect(heap.gc.collect()).toBe(2);
  });
});
