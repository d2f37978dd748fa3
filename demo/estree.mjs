/** Reading the parser's tree (ESTree): one pass over a node's properties says all that the store wants to know of it. */
import { details, fields, flagBits, kinds } from "./tables.mjs";

/** Most nodes are leaves: they share this. */
const NONE = Object.freeze([]);

/**
 * @typedef {object} Reading
 * @property {number} kind
 * @property {number} flags
 * @property {number} detail
 * @property {number} start
 * @property {number} end
 * @property {string} text of a name or a literal; else ""
 * @property {object[]} children ESTree nodes, in the parser's order
 * @property {number[]} fields what each child is to this node
 */

/** @returns {Reading} */
export function read(node) {
  const reading = {
    kind: kinds.idOf(node.type),
    flags: 0,
    detail: 0,
    start: node.start,
    end: node.end,
    text: textOf(node),
    children: NONE,
    fields: NONE,
  };
  for (const key in node) {
    const value = node[key];
    if (typeof value === "object") readChildren(reading, key, value);
    else if (value === true) reading.flags |= flagBits.get(key) ?? 0;
    else if (isDetail(key)) reading.detail = details.idOf(value);
  }
  return reading;
}

/** Whether a property holds a word that has a number in the table of details. */
function isDetail(key) {
  return key === "operator" || key === "kind" || key === "sourceType";
}

function readChildren(reading, key, value) {
  if (Array.isArray(value)) for (const item of value) readChild(reading, key, item);
  else readChild(reading, key, value);
}

/** Not every object is a node: holes of an array are null, and a literal's value may be a regular expression. */
function readChild(reading, key, value) {
  if (typeof value?.type !== "string") return;
  if (reading.children === NONE) {
    reading.children = [];
    reading.fields = [];
  }
  reading.children.push(value);
  reading.fields.push(fields.idOf(key));
}

function textOf(node) {
  switch (node.type) {
    case "Identifier":
    case "PrivateIdentifier":
      return node.name;
    case "Literal":
      return node.raw;
    case "TemplateElement":
      return node.value.raw;
    default:
      return "";
  }
}
