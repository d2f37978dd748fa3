/** What the compiler must accept, and what it must refuse. Checked by `npm run types` on TypeScript 6 and 7; never run. */
import {
  any,
  as,
  type BorrowEscapesScope,
  dict,
  f64,
  type Handle,
  type Heap,
  i32,
  isA,
  type List,
  list,
  oneOf,
  optional,
  type RequiredOf,
  release,
  retain,
  set,
  str,
  struct,
  tuple,
} from "../../src/index.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function assertType<_T extends true>(): void;

declare const heap: Heap;

// A recursive struct without methods, whose first use is a nested literal.
class Bare extends struct("Bare", {
  value: i32,
  get parent() {
    return optional(Bare);
  },
  get children() {
    return list(Bare);
  },
}) {}
heap.new(Bare, { value: 1, children: [{ value: 2 }, { value: 3 }] });

class TreeNode extends struct("TreeNode", {
  value: i32,
  get parent() {
    return optional(TreeNode);
  },
  get children() {
    return list(TreeNode);
  },
}) {
  sum(): number {
    let total = this.value;
    for (const child of this.children) total += child.sum();
    return total;
  }
}
const Point = struct("Point", { x: f64, y: f64, label: str });

declare const node: TreeNode;
declare const owned: Handle<TreeNode>;

// Reading is inferred through recursion.
export const deep: number = node.children.at(0)!.parent!.children.at(1)!.value;
assertType<Equal<typeof node.value, number>>();
assertType<Equal<typeof node.parent, TreeNode | null>>();
node.parent = node;
node.parent = null;
// @ts-expect-error a field has one type
node.value = "1";
// @ts-expect-error only the heap constructs
new TreeNode();

// A handle may be lent; a borrowed reference may not pass for owned.
declare function visit(node: TreeNode): void;
visit(owned);
release(owned);
// @ts-expect-error a borrowed reference owns nothing to release
release(node);
export const kept: Handle<TreeNode> = retain(node);
// @ts-expect-error a plain object is not a heap object
visit({ value: 1, parent: null, children: [], sum: () => 1 });

// Literals.
heap.new(Point, {});
heap.new(TreeNode, { parent: { value: 1, parent: node }, children: [node, { children: [{ value: 3 }] }] });
// @ts-expect-error wrong field type
heap.new(Point, { x: "1" });
// @ts-expect-error no such field
heap.new(Point, { z: 1 });
// @ts-expect-error nested literals are checked too
heap.new(TreeNode, { children: [{ value: "2" }] });

// Required keys: what has no zero value.
class Leaf extends struct("Leaf", { value: f64 }) {}
class Branch extends struct("Branch", {
  get left() {
    return oneOf(Leaf, Branch);
  },
  get right() {
    return optional(oneOf(Leaf, Branch));
  },
}) {
  total(): number {
    const of = (node: Leaf | Branch): number => (node instanceof Leaf ? node.value : node.total());
    return of(this.left) + (this.right === null ? 0 : of(this.right));
  }
}
declare const leaf: Handle<Leaf>;
const branch = heap.new(Branch, { left: leaf });
assertType<Equal<typeof branch.left, Leaf | Branch>>();
assertType<Equal<keyof RequiredOf<typeof Branch>, "left">>();
// @ts-expect-error neither Leaf nor Branch
branch.left = node;
// @ts-expect-error `left` has no zero value
heap.new(Branch, {});

// A borrowed reference cannot leave a scope.
const leaked = heap.scope(() => node);
assertType<Equal<typeof leaked, BorrowEscapesScope>>();
const answer = heap.scope(() => 42);
assertType<Equal<typeof answer, number>>();
export const escaped: Handle<TreeNode> = heap.scope((scope) => scope.new(TreeNode, { value: 1 }));
export const later: Promise<Handle<TreeNode>> = heap.scope(async (scope) =>
  scope.new(TreeNode, { value: 1 }),
);

// Containers.
const table = heap.new(dict(str, list(f64)), [["a", [1, 2]]]);
export const first: number | undefined = table.get("a")?.at(0);
export const taken: Handle<List<number>> | undefined = table.take("a"); // ownership moves out
// @ts-expect-error keys are strings
table.get(1);
const pair = heap.new(tuple(f64, str), [1, "one"]);
assertType<Equal<(typeof pair)[0], number>>();
assertType<Equal<(typeof pair)[1], string>>();
export const parts: string[] = pair.map(String);
const names = heap.new(set(str), ["a", "b"]);
assertType<Equal<ReturnType<typeof names.has>, boolean>>();
const nodes = heap.new(list(TreeNode), [{ value: 1 }, node]);
export const popped: Handle<TreeNode> | undefined = nodes.pop();
nodes.push({ value: 2 }, node);
// @ts-expect-error a literal of another type
nodes.push({ valu: 2 });
heap.new(TreeNode, { children: nodes });
const numbers = heap.new(list(f64), [1, 2]);
export const last: number | undefined = numbers.pop(); // a number is no reference: no handle

// Narrowing.
const mixed = heap.new(list(any), [1, "a", null, true, node]);
const item = mixed.at(0)!;
if (isA(TreeNode, item)) assertType<Equal<typeof item.value, number>>();
export const cast: TreeNode = as(TreeNode, item);
