/** Replacing parts of a tree, as an editor has them replaced: each by what the parser has made of the same text. */
import { is, release, retain } from "ouroheap";
import { read } from "./estree.mjs";
import { heapStore } from "./heap-store.mjs";
import { load } from "./load.mjs";

/** Enough to choose from; fewer in a small tree, whose parts would be single words. */
const PLACES_WANTED = 64;
/** In characters of the source: most functions are smaller. */
const SIZE_MAX = 20_000;

/**
 * Parts of which none contains another: the larger ones are taken apart until there are many.
 *
 * @param root a node of the heap
 * @param tree the parser's node that it was made from
 * @param nodeCount of the whole tree
 * @returns {{ node: object, source: object }[]} the nodes are handles
 */
export function findPlaces(root, tree, nodeCount) {
  const wanted = Math.min(PLACES_WANTED, Math.sqrt(nodeCount));
  let places = childrenOf({ node: root, source: tree });
  while (places.length < wanted) {
    const parts = places.flatMap((place) => (sizeOf(place) > 1 ? childrenOf(place) : []));
    if (parts.length === 0) break;
    places = parts;
  }
  const small = places.filter((place) => sizeOf(place) <= SIZE_MAX);
  const chosen = small.length > 0 ? small : places;
  return chosen.map(({ node, source }) => ({ node: retain(node), source }));
}

const sizeOf = ({ source }) => source.end - source.start;

/** The children of both in one order: the loader keeps the parser's. */
function childrenOf({ node, source }) {
  const children = [];
  let child = node.first;
  for (const part of read(source).children) {
    children.push({ node: child, source: part });
    child = child.next;
  }
  return children;
}

/** Put a new part in the place of the old one, which is garbage then. @returns how many nodes it has */
export function replace(heap, place) {
  const { root: fresh, nodeCount } = load(place.source, heapStore(heap));
  const old = place.node;
  const { parent } = old;
  fresh.field = old.field;
  fresh.parent = parent;
  fresh.next = old.next;
  if (is(parent.first, old)) parent.first = fresh;
  else before(old, parent).next = fresh;
  old.parent = null;
  old.next = null;
  release(old);
  place.node = fresh;
  return nodeCount;
}

function before(node, parent) {
  let sibling = parent.first;
  while (!is(sibling.next, node)) sibling = sibling.next;
  return sibling;
}
