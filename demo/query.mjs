/** Asking a tree: walks over nodes, be they typed views of a heap or plain objects. */
import {
  CALL,
  COMPUTED,
  fields,
  IDENTIFIER,
  LITERAL,
  MEMBER,
  PRIVATE_IDENTIFIER,
  PROPERTY,
} from "./tables.mjs";

const PROPERTY_OF_MEMBER = fields.idOf("property");
const KEY_OF_PROPERTY = fields.idOf("key");

/**
 * The node after this one, parents before children: its first child, or else the next sibling of the nearest ancestor
 * that has one. Null after the last.
 */
export function nodeAfter(node) {
  const first = node.first;
  if (first !== null) return first;
  for (let ancestor = node; ancestor !== null; ancestor = ancestor.parent) {
    const next = ancestor.next;
    if (next !== null) return next;
  }
  return null;
}

/** How often each name turns up. @returns {Map<string, number>} */
export function countNames(root, nameOf) {
  const counts = new Map();
  for (let node = root; node !== null; node = nodeAfter(node)) {
    const name = nameOf(node);
    if (name !== null) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** The first node of that name, or null. A view of it is borrowed: the tree keeps it alive. */
export function findNamed(root, nameOf, name) {
  for (let node = root; node !== null; node = nodeAfter(node)) if (nameOf(node) === name) return node;
  return null;
}

/** The name that a call calls: `f` of `f()`, `m` of `a.b.m()`; null for other nodes and other callees. */
export function calledName(node) {
  if (node.kind !== CALL) return null;
  const callee = node.callee;
  if (callee.kind === MEMBER)
    return (callee.flags & COMPUTED) === 0 ? nameText(childIn(callee, PROPERTY_OF_MEMBER)) : null;
  return nameText(callee);
}

/** The key of a property of an object, as it is written; null for other nodes and computed keys. */
export function keyName(node) {
  if (node.kind !== PROPERTY || (node.flags & COMPUTED) !== 0) return null;
  const key = childIn(node, KEY_OF_PROPERTY);
  return key.kind === LITERAL ? key.text : nameText(key);
}

function nameText(node) {
  return node.kind === IDENTIFIER || node.kind === PRIVATE_IDENTIFIER ? node.name : null;
}

/** The first child that is this to its parent. */
function childIn(node, field) {
  let child = node.first;
  while (child !== null && child.field !== field) child = child.next;
  return child;
}

/**
 * What to ask: of code which functions are called most, of data which keys are commonest.
 *
 * @returns {{ title: string, nameOf: (node: object) => string | null }}
 */
export function questionFor({ isJson }) {
  return isJson
    ? { title: "The ten commonest keys, and how often", nameOf: keyName }
    : { title: "The ten most called functions, and how often", nameOf: calledName };
}

/** The names of the highest counts, highest first. @returns {[name: string, count: number][]} */
export function topTen(counts) {
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, 10);
}
