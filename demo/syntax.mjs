/**
 * The node types of the store: four struct classes, as a compiler would keep its trees. The numbers are those of the
 * TypeScript compiler's tree, 949,000 nodes.
 *
 * Children are a chain: each node knows its first child and its next sibling. A list of children would be a second
 * object for every node that may have any: 463,000 objects more, 86 bytes a node instead of 62, and a load a third
 * slower, for a walk that takes as long. In return the n-th child takes n steps. What a child is to its parent (its
 * callee, its second argument) is one byte, `field`.
 *
 * Four classes and no more: V8 remembers up to four classes at a place in the code, and with a fifth the same walk took
 * three times as long. So a function is a `Node`, and its `kind` says that it is one.
 *
 * Names are plain `str` fields, a string object each. Names as objects that all their users share came to 49 bytes a
 * node; but each had to be looked up first, and a load took a fifth longer.
 *
 * `weakrefs: false` saves a word a node: nobody refers to one weakly.
 */
import { i32, oneOf, optional, str, struct, u8 } from "ouroheap";

const anyNode = () => oneOf(Identifier, Literal, Call, Node);

/** What every node has. Links are getters, because they mention classes that are declared further down. */
const common = {
  get parent() {
    return optional(anyNode());
  },
  get next() {
    return optional(anyNode());
  },
  /** Offsets in the source text. */
  start: i32,
  end: i32,
  /** Numbers in the tables of tables.mjs; flags are bits. Four bytes make one word. */
  kind: u8,
  field: u8,
  flags: u8,
  detail: u8,
};

/** The common fields and some of its own. By descriptors: a spread would call the getters now. */
function shapeWith(own) {
  const descriptors = {
    ...Object.getOwnPropertyDescriptors(common),
    ...Object.getOwnPropertyDescriptors(own),
  };
  return Object.defineProperties({}, descriptors);
}
const options = { weakrefs: false };

/** A name, private ones (`#name`) included. */
export class Identifier extends struct("Identifier", shapeWith({ name: str }), options) {
  get first() {
    return null;
  }
}

/** A literal or a piece of a template, as it is written in the source. */
export class Literal extends struct("Literal", shapeWith({ text: str }), options) {
  get first() {
    return null;
  }
}

const inner = shapeWith({
  get first() {
    return optional(anyNode());
  },
});

/** `f(x)` or `new F(x)`. */
export class Call extends struct("Call", inner, options) {
  get callee() {
    return this.first;
  }
}

/** Everything else. */
export class Node extends struct("Node", inner, options) {}
