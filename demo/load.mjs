/**
 * From the parser's tree to the store's, without recursion: what is open at any time is one path from the root.
 *
 * A node is made before its children, so that they can be given their parent, and the last child first, so that each
 * can be given its next sibling. That leaves one link to be set later: from a parent to its first child.
 */
import { read } from "./estree.mjs";

/**
 * Where nodes are made: in a heap (heap-store.mjs) or as plain objects (plain-store.mjs).
 *
 * @typedef {object} NodeStore
 * @property {(reading: import("./estree.mjs").Reading, field: number, parent: object | null, next: object | null) => object} make
 *   a node, owned by the caller
 * @property {(parent: object, child: object) => void} setFirst
 * @property {(node: object) => void} drop give up what `make` returned: the tree itself holds the node now
 */

/** Nodes between two calls of `onProgress`. */
const PROGRESS_NODES = 8192;

/** A node some of whose children are still to be made. */
class OpenNode {
  constructor(outer, node, reading) {
    this.outer = outer;
    this.node = node;
    this.reading = reading;
    this.remaining = reading.children.length;
    /** The child made last: the next sibling of the one to be made now. */
    this.following = null;
  }
}

/**
 * @param {object} tree an ESTree node
 * @param {NodeStore} store
 * @param {(done: number, nodeCount: number) => void} onProgress how far it has come, 0 to 1, and the nodes so far
 * @returns {{ root: object, nodeCount: number }} the root is the caller's to drop
 */
export function load(tree, store, onProgress = () => {}) {
  const reading = read(tree);
  const root = store.make(reading, 0, null, null);
  let open = new OpenNode(null, root, reading);
  let nodeCount = 1;
  while (open !== null) {
    if (open.remaining === 0) {
      open = close(open, store);
      continue;
    }
    open = makeLastChild(open, store);
    if (++nodeCount % PROGRESS_NODES === 0) onProgress(1 - open.reading.start / tree.end, nodeCount);
  }
  return { root, nodeCount };
}

/** Make the last of the children that are still to be made. @returns the node to go on with */
function makeLastChild(open, store) {
  const index = --open.remaining;
  const reading = read(open.reading.children[index]);
  const node = store.make(reading, open.reading.fields[index], open.node, open.following);
  if (reading.children.length > 0) return new OpenNode(open, node, reading);
  follow(open, node, store);
  return open;
}

/** All children are made. @returns the node to go on with, or null after the root */
function close({ outer, node, following }, store) {
  if (following !== null) {
    store.setFirst(node, following);
    store.drop(following);
  }
  if (outer !== null) follow(outer, node, store);
  return outer;
}

/** A child is complete: it will be the next sibling of the one before it. */
function follow(open, node, store) {
  if (open.following !== null) store.drop(open.following);
  open.following = node;
}
