/** What the compiler must accept, and what it must refuse. Checked by `npm run types` on TypeScript 6 and 7; never run. */
import {
  any,
  as,
  type BorrowEscapesScope,
  dict,
  type Finalizer,
  type Foreign,
  f64,
  finalizer,
  foreign,
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
  type WeakReference,
  weak,
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

// Weak slots read as what they lead to, borrowed, or null; nothing is built in them.
class Tree extends struct("Tree", {
  value: i32,
  get parent() {
    return weak(Tree);
  },
  get either() {
    return weak(oneOf(Leaf, Branch));
  },
  get members() {
    return weak(set(str));
  },
  get children() {
    return list(Tree);
  },
}) {
  [finalizer](): void {
    const parent: Tree | null = this.parent;
    parent?.children.clear();
  }
}
declare const tree: Handle<Tree>;
assertType<Equal<typeof tree.parent, Tree | null>>();
assertType<Equal<typeof tree.either, Leaf | Branch | null>>();
export const parentValue: number | undefined = tree.parent?.parent?.value;
export const memberCount: number | undefined = tree.members?.size;
tree.parent = tree;
tree.parent = null;
tree.either = leaf;
heap.new(Tree, {});
heap.new(Tree, { parent: tree, children: [{ parent: null }] });
// @ts-expect-error a weak reference keeps nothing alive, so there is nothing that a literal could build
heap.new(Tree, { parent: { value: 1 } });
// @ts-expect-error of another type
tree.parent = node;
// @ts-expect-error borrowed
release(tree.parent);
const weakTrees = heap.new(list(weak(Tree)), [tree, null]);
assertType<Equal<ReturnType<typeof weakTrees.at>, Tree | null | undefined>>();
export const poppedTree: Handle<Tree> | null | undefined = weakTrees.pop();
const weakValues = heap.new(dict(str, weak(Tree)), [["a", tree]]);
assertType<Equal<ReturnType<typeof weakValues.get>, Tree | null | undefined>>();
export const takenTree: Handle<Tree> | null | undefined = weakValues.take("a");
const weakPair = heap.new(tuple(weak(Tree), f64), [null, 1]);
assertType<Equal<(typeof weakPair)[0], Tree | null>>();

// A finalizer is a method without arguments that nobody has to call.
tree[finalizer]();

// Weak references: what they lead to comes as a handle.
const ref = heap.weakref.ref(tree);
export const dereferenced: Handle<Tree> | undefined = ref.deref();
assertType<Equal<typeof ref.alive, boolean>>();
release(ref);
// @ts-expect-error readonly
ref.alive = false;
// @ts-expect-error a plain object is not a heap object
heap.weakref.ref({ value: 1 });
heap.weakref.ref(tree.parent!, (dead) => {
  const again: Handle<Tree> | undefined = dead.deref();
  const kept: Handle<WeakReference<Tree>> = retain(dead);
  // @ts-expect-error the callback borrows it
  release(dead);
  return [again, kept];
});
heap.weakref.ref(tree, null);
// @ts-expect-error not a function
heap.weakref.ref(tree, 5);
for (const one of heap.weakref.getWeakrefs(node)) export_(one.deref()?.value);
declare function export_(value: number | undefined): void;

// A proxy is lent like what it stands for, and disposed of.
{
  using proxy = heap.weakref.proxy(node);
  visit(proxy);
  proxy.value = proxy.sum();
  // @ts-expect-error a field has one type
  proxy.value = "1";
}

// Finalizers that are objects: the arguments are those of the function.
const end = heap.weakref.finalize(tree, (a: number, b: string) => a + b.length, 1, "b");
assertType<Equal<typeof end, Finalizer<number>>>();
export const ended: number | undefined = end();
export const detached: boolean = end.detach();
end.atexit = false;
// @ts-expect-error readonly
end.alive = true;
// @ts-expect-error the arguments are those of the function
heap.weakref.finalize(tree, (a: number) => a, "text");

// Weak containers.
const cache = heap.weakref.valueDictionary<string, Tree>();
cache.set("a", tree).set("b", tree.parent!);
export const cached: Handle<Tree> | undefined = cache.get("a");
for (const [key, value] of cache) {
  assertType<Equal<typeof key, string>>();
  assertType<Equal<typeof value, Tree>>();
}
// @ts-expect-error keys are strings
cache.get(1);
// @ts-expect-error values are heap objects
heap.weakref.valueDictionary<string, { x: number }>();
const notes = heap.weakref.keyDictionary<Tree, string>();
export const note: string | undefined = notes.set(tree, "note").get(tree.parent!);
// @ts-expect-error keys are trees
notes.get(leaf);
const trees = heap.weakref.set<Tree>();
for (const member of trees.add(tree)) assertType<Equal<typeof member, Tree>>();

// Values of the host: typed by what they stand for, and without a literal.
interface TextureLike {
  destroy(): void;
  readonly width: number;
}
declare const gpuTexture: TextureLike;
class Texture extends struct("Texture", { path: str, gpu: foreign<TextureLike>() }) {}
const gpu = heap.adopt(gpuTexture, (texture) => texture.destroy(), {
  bytes: 4 << 20,
  holds: [node],
  traverse: (texture) => (texture.width > 0 ? [owned, null] : []),
});
assertType<Equal<typeof gpu, Handle<Foreign<TextureLike>>>>();
assertType<Equal<typeof gpu.value, TextureLike>>();
gpu.bytes = 2 << 20;
const textured = heap.new(Texture, { path: "a", gpu });
assertType<Equal<typeof textured.gpu.value, TextureLike>>();
textured.gpu = gpu;
export const ownedValue: Handle<Foreign<{ close(): void }>> = heap.own({ close() {} });
heap.new(Texture, { path: "a", gpu: heap.adopt(gpuTexture, () => {}) });
// @ts-expect-error a foreign reference has no zero value
heap.new(Texture, { path: "a" });
// @ts-expect-error the value itself is no reference
textured.gpu = gpuTexture;
// @ts-expect-error a value of another type
textured.gpu = heap.own({ close() {} });
// @ts-expect-error a borrowed reference is not the value's own
heap.adopt(gpuTexture, () => {}, { traverse: () => [node] });
// @ts-expect-error primitives have no disposer of their own
heap.own(3);
export const disposals: Promise<void> = heap.settled();
async function inScope(): Promise<void> {
  await using scope = heap.scope();
  const texture = scope.adopt(gpuTexture, async (value) => value.destroy());
  scope.new(Texture, { path: "a", gpu: texture });
  assertType<Equal<ReturnType<typeof scope.collect>, number>>();
}
void inScope;

// Pools.
const particles = heap.pool(Point, {
  capacity: 10_000,
  whenEmpty: "grow",
  reset: (point) => {
    point.x = 1;
  },
});
const spark = particles.acquire({ y: 2 });
assertType<Equal<typeof spark.x, number>>();
release(spark);
// @ts-expect-error no such field
particles.acquire({ z: 1 });
// @ts-expect-error pools are of structs
heap.pool(list(f64), { capacity: 1 });
