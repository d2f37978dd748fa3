/**
 * Reference counting alone: whatever is neither held nor on a cycle, nor hangs on one, dies at once. The model says so
 * without a count: by a mark phase, and a search for cycles in what it leaves over.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { any, type Borrowed, type Handle, list, optional, release, retain, struct } from "../../src/index.js";
import { makeHeap } from "../support/heaps.js";
import { parameters, runs } from "./runs.js";
import { borrow } from "./session.js";

class Cell extends struct("Cell", {
  get left() {
    return optional(Cell);
  },
  get right() {
    return optional(Cell);
  },
  others: list(any),
}) {}

/** A cell of the model. Its real list is not told apart: both live and die together. */
interface Node {
  left: Node | null;
  right: Node | null;
  readonly others: Node[];
  readonly view: Cell;
}

function edgesOf({ left, right, others }: Node): Node[] {
  return [left, right, ...others].filter((node) => node !== null);
}

function reach(roots: Iterable<Node>): Set<Node> {
  const reached = new Set(roots);
  for (const node of reached) for (const next of edgesOf(node)) reached.add(next);
  return reached;
}

/** What of `before` is alive now. */
function alive(before: ReadonlySet<Node>, held: Iterable<Node>): Set<Node> {
  const reached = reach(held);
  const rest = [...before].filter((node) => !reached.has(node));
  const isOnCycle = (node: Node) => reach(edgesOf(node)).has(node);
  for (const node of reach(rest.filter(isOnCycle))) reached.add(node);
  return reached;
}

function isAlive(node: Node): boolean {
  try {
    return node.view.others.length >= 0;
  } catch {
    return false;
  }
}

const operation = fc.record({
  do: fc.constantFrom(
    "new",
    "new",
    "left",
    "right",
    "push",
    "cut",
    "pop",
    "clear",
    "release",
    "release",
    "retain",
  ),
  at: fc.nat(0xffff),
  to: fc.nat(0xffff),
});

it("what is neither held nor behind a cycle dies when its last reference goes", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 150, size: "max" }), (operations) => {
      const heap = makeHeap({ maximumBytes: 1 << 20 });
      heap.gc.disable();
      const handles: { node: Node; handle: Handle<Cell> }[] = [];
      const known = new Set<Node>();
      let living = new Set<Node>();

      const make = () => {
        const handle = heap.new(Cell, {});
        const node: Node = { left: null, right: null, others: [], view: borrow(heap, handle) as Cell };
        handles.push({ node, handle });
        known.add(node);
        living.add(node);
      };
      const run = (name: string, from: Node, to: Node) => {
        if (name === "left" || name === "right") {
          from[name] = to;
          from.view[name] = to.view;
        } else if (name === "push") {
          from.others.push(to);
          from.view.others.push(to.view as Borrowed);
        } else if (name === "cut") {
          from.left = null;
          from.view.left = null;
        } else if (name === "clear") {
          from.others.length = 0;
          from.view.others.clear();
        } else if (name === "pop" && from.others.length > 0) {
          // The reference moves out of the list and into a handle.
          const node = from.others.pop()!;
          handles.push({ node, handle: from.view.others.pop() as Handle<Cell> });
        } else if (name === "retain") handles.push({ node: from, handle: retain(from.view) });
      };

      for (const { do: name, at, to } of operations) {
        const reachable = [...reach(handles.map(({ node }) => node))];
        if (name === "new" || reachable.length === 0) make();
        else if (name === "release") release(handles.splice(at % handles.length, 1)[0].handle);
        else run(name, reachable[at % reachable.length], reachable[to % reachable.length]);
        living = alive(
          living,
          handles.map(({ node }) => node),
        );
        for (const node of known) expect(isAlive(node)).toBe(living.has(node));
      }

      const held = reach(handles.map(({ node }) => node));
      const garbage = [...living].filter((node) => !held.has(node));
      expect(heap.gc.collect()).toBe(garbage.length * 2); // a cell and its list
      for (const node of known) expect(isAlive(node)).toBe(held.has(node));
      for (const { handle } of handles) release(handle);
    }),
    parameters(runs(100)),
  );
});
