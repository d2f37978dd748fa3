/** A heap with something of everything, and what a program does with one: shared by the unit test and by image.mjs. */

/** @param lib the library's exports */
export function declare(lib) {
  const {
    any,
    bool,
    dict,
    f64,
    foreign,
    i32,
    i64,
    list,
    oneOf,
    optional,
    set,
    str,
    struct,
    tuple,
    u8,
    weak,
  } = lib;
  class Leaf extends struct("Leaf", { id: i32, text: str, small: u8, big: i64 }) {}
  class Node extends struct("Node", {
    value: f64,
    name: str,
    get next() {
      return optional(Node);
    },
    get kids() {
      return list(Node);
    },
    get parent() {
      return weak(Node);
    },
    rest: any,
    maybe: optional(f64),
    flag: bool,
    tags: set(str),
    get either() {
      return optional(oneOf(Node, Leaf));
    },
    pair: optional(tuple(i32, any)),
    table: dict(any, any),
    get byObject() {
      return dict(optional(Node), i32);
    },
    numbers: dict(f64, str),
    foreign: optional(foreign()),
  }) {}
  return { Leaf, Node };
}

/** Build a random graph. @returns the heap and its roots by name */
export function build(lib, verbs, random, nodes) {
  const { Heap, release } = lib;
  const { Leaf, Node } = verbs;
  const heap = Heap.create({ maximumBytes: 16 << 20 });
  heap.onLeakedHandle = () => {};
  const made = [];
  const any = () => made[random(made.length)];
  for (let index = 0; index < nodes; index++)
    made.push(
      heap.new(Node, { value: index + 0.5, name: `node ${index}${random(3) === 0 ? " \u4e2d\u6587" : ""}` }),
    );
  for (const node of made) {
    node.next = any();
    node.parent = any();
    for (let count = random(5); count > 0; count--) node.kids.push(any());
    node.rest = [null, true, 1.5, "text", any(), node.kids][random(6)];
    node.maybe = random(2) === 0 ? null : random(100) / 7;
    for (let count = random(12); count > 0; count--) node.tags.add(`tag ${random(40)}`);
    for (let count = random(10); count > 0; count--)
      node.table.set(
        [`key ${random(20)}`, random(9), any(), true][random(4)],
        [any(), random(9) / 2, "value"][random(3)],
      );
    for (const key of [...node.table.keys()]) if (random(4) === 0) node.table.delete(key);
    for (let count = random(6); count > 0; count--) node.byObject.set(any(), count);
    for (let count = random(6); count > 0; count--) node.numbers.set(random(50) / 3, `number ${count}`);
    if (random(3) === 0) node.pair = [random(9), any()];
    if (random(3) === 0) {
      const leaf = heap.new(Leaf, {
        id: random(99),
        text: "a longer text, in a block of its own class",
        big: 1n << 40n,
      });
      node.either = leaf;
      release(leaf);
    } else if (random(2) === 0) node.either = any();
    if (random(6) === 0) {
      const value = heap.adopt({ id: random(9) }, () => {}, random(2) === 0 ? {} : { holds: [any()] });
      node.foreign = value;
      release(value);
    }
  }
  const watch = heap.weakref.ref(any(), () => {});
  heap.gc.collect(random(3));
  made[1].rest = heap.from({ deep: [1, { more: "text" }, [2, [3]]] });
  const roots = { first: made[0], "a second": made[1], watch, __proto: any() };
  if (random(2) === 0) heap.gc.freeze();
  return { heap, roots };
}

/** Use a heap that was loaded as a program would, to its end. What breaks here was loaded wrong. */
export function exercise(lib, { heap, roots }, verify) {
  verify(heap);
  heap.onLeakedHandle = () => {};
  for (const root of Object.values(roots))
    try {
      heap.toJS(root);
    } catch (error) {
      if (error.code !== "TOMBSTONE") throw error;
    }
  const extra = heap.from({ list: [1, 2, { three: "3" }] });
  heap.gc.unfreeze();
  heap.gc.collect();
  verify(heap);
  lib.release(extra);
  for (const root of Object.values(roots)) lib.release(root);
  heap.gc.collect();
  verify(heap);
  heap[Symbol.dispose]();
}
