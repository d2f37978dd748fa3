/** Names of nodes and edges, made from types and labels when somebody asks. */
import {
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  KIND_STRING,
  KIND_TUPLE,
  KIND_WEAKREF,
} from "../memory/layout.js";
import { plainText, quoted } from "./escape.js";
import { edgeSource, keptTextWords, Label, type ObjectGraph, type RootHold } from "./graph.js";

/** How the "line" of a handle begins that stands for a root of a saved heap. */
export const SAVED_AS = "saved as ";

/** Characters of a string that a name shows. */
const SHOWN_CHARACTERS = 40;

/** The KIND_* of a node's type; 0 for the root and the garbage. */
export function kindOf(graph: ObjectGraph, node: number): number {
  return graph.types[graph.typeId[node]].kind;
}

/** Name of a node's type, as it would be written: "TreeNode", "list(f64)", "str", "foreign". */
export function typeNameOf(graph: ObjectGraph, node: number): string {
  if (node === 0) return "root";
  return node === graph.garbageNode ? "garbage" : graph.types[graph.typeId[node]].text;
}

/** A node in words: its type, a string's text, the class of a foreign value. Safe to print. */
export function nodeText(graph: ObjectGraph, node: number): string {
  const kind = kindOf(graph, node);
  if (kind === KIND_STRING) {
    const { text, isWhole } = textOf(graph, node);
    const shown = quoted(text, SHOWN_CHARACTERS);
    return isWhole || shown.endsWith("…") ? shown : `${shown}…`;
  }
  if (kind === KIND_FOREIGN) return plainText(foreignName(graph, node));
  return plainText(typeNameOf(graph, node));
}

/** "foreign(Texture)"; "foreign" once the value is disposed. Not escaped. */
export function foreignName(graph: ObjectGraph, node: number): string {
  const place = graph.detail[node];
  return place === 0 ? "foreign" : `foreign(${graph.foreign[place].className})`;
}

/** The text of a string's node, as far as the graph has kept it, and whether that is all. */
export function textOf(graph: ObjectGraph, node: number): { text: string; isWhole: boolean } {
  const { texts } = graph;
  const start = graph.detail[node];
  const length = texts[start] >>> 1;
  const isWide = (texts[start] & 1) !== 0;
  const words = keptTextWords(texts[start]);
  const kept = Math.min(length, isWide ? words * 2 : words * 4);
  const units: number[] = [];
  for (let i = 0; i < kept; i++) {
    const word = texts[start + 1 + (isWide ? i >> 1 : i >> 2)];
    units.push(isWide ? (word >>> ((i & 1) << 4)) & 0xffff : (word >>> ((i & 3) << 3)) & 0xff);
  }
  return { text: String.fromCharCode(...units), isWhole: kept === length };
}

/** An edge as it would be written behind its source: "next", "[3]", '["key"]', "holds[0]". Safe to print. */
export function edgeName(graph: ObjectGraph, edge: number, source = edgeSource(graph, edge)): string {
  if (source === 0) return holdText(holdOf(graph, edge));
  if (source === graph.garbageNode) return "waits for a collection";
  const label = graph.edgeLabel[edge];
  const payload = label >>> Label.SHIFT;
  const meaning = label & Label.MASK;
  const type = graph.types[graph.typeId[source]];
  switch (type.kind) {
    case KIND_LIST:
    case KIND_TUPLE:
      return `[${payload}]`;
    case KIND_DICT:
      if (meaning === Label.SLOT) return "key";
      return meaning === Label.KEY_NODE
        ? `[${keyText(graph, payload)}]`
        : `[${plainKeyText(graph.plainKeys[payload])}]`;
    case KIND_SET:
      return "member";
    case KIND_WEAKREF:
      return "callback";
    case KIND_FOREIGN:
      return meaning === Label.HANDLE ? `handle[${payload}]` : `holds[${payload}]`;
    default:
      return fieldText(type.fieldNames[payload]);
  }
}

/** Why the root holds what one of its edges leads to. */
export function holdOf(graph: ObjectGraph, edge: number): RootHold {
  const label = graph.edgeLabel[edge];
  const payload = label >>> Label.SHIFT;
  return (label & Label.MASK) === Label.HOLD ? graph.holds[payload] : { kind: "handle", count: payload };
}

/** A hold in words, with the first of its lines. */
export function holdText({ kind, count, madeAt, isDropped }: RootHold): string {
  if (kind === "garbage") return "garbage";
  if (kind === "parcel")
    return plainText(madeAt === undefined ? kind : `parcel sent at ${madeAt.split("\n", 1)[0]}`);
  if (kind !== "handle") return kind;
  const handles = count === 1 ? "handle" : `${count} handles`;
  if (madeAt === undefined) return `${handles}, line not recorded`;
  if (madeAt.startsWith(SAVED_AS)) return plainText(madeAt);
  return plainText(`${handles} ${isDropped ? "dropped, " : ""}made at ${madeAt.split("\n", 1)[0]}`);
}

function fieldText(name: string | undefined): string {
  if (name === undefined) return "?";
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : `[${quoted(name)}]`;
}

function keyText(graph: ObjectGraph, node: number): string {
  return kindOf(graph, node) === KIND_STRING ? nodeText(graph, node) : `a ${nodeText(graph, node)}`;
}

function plainKeyText(key: unknown): string {
  if (typeof key === "bigint") return `${key}n`;
  return key === "" ? '""' : Object.is(key, -0) ? "-0" : String(key);
}
