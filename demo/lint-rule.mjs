/** A rule of a linter, with a bug. */
import { retain } from "ouroheap";
import { findNamed } from "./query.mjs";

/**
 * Remember the first place where a name is used. The node is kept by a handle, which is right; that nobody releases the
 * handle when the tree is replaced is the bug.
 */
export function rememberFirstUse(root, nameOf, name) {
  const node = findNamed(root, nameOf, name) ?? root.first;
  return retain(node);
}
