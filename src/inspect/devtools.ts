/**
 * Chrome's .heapsnapshot: the JSON that V8 writes (v8/src/profiler/heap-snapshot-generator.cc,
 * `HeapSnapshotJSONSerializer`) and that the Memory panel of DevTools opens. Nodes and edges are flat arrays of numbers
 * with the fields that `meta` names; edges stand in the order of their sources; names are indices into `strings`.
 */
import { HeapError } from "../memory/errors.js";
import {
  KIND_DICT,
  KIND_FOREIGN,
  KIND_LIST,
  KIND_SET,
  KIND_STRING,
  KIND_TUPLE,
  WORD_BYTES,
} from "../memory/layout.js";
import { edgeName, foreignName, kindOf, textOf, typeNameOf } from "./edge-name.js";
import { plainText } from "./escape.js";
import { Label, type ObjectGraph } from "./graph.js";

/** As V8 writes it today, trace fields included, though the arrays that they describe are empty here. */
const META = {
  node_fields: ["type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness"],
  node_types: [
    [
      "hidden",
      "array",
      "string",
      "object",
      "code",
      "closure",
      "regexp",
      "number",
      "native",
      "synthetic",
      "concatenated string",
      "sliced string",
      "symbol",
      "bigint",
      "object shape",
      "wasm object",
    ],
    "string",
    "number",
    "number",
    "number",
    "number",
    "number",
  ],
  edge_fields: ["type", "name_or_index", "to_node"],
  edge_types: [
    ["context", "element", "property", "internal", "hidden", "shortcut", "weak"],
    "string_or_number",
    "node",
  ],
  trace_function_info_fields: ["function_id", "name", "script_name", "script_id", "line", "column"],
  trace_node_fields: ["id", "function_info_index", "count", "size", "children"],
  sample_fields: ["timestamp_us", "last_assigned_id"],
  location_fields: ["object_index", "script_id", "line", "column"],
} as const;

const NODE_FIELDS = META.node_fields.length;
const NODE_TYPES: readonly string[] = META.node_types[0];
const EDGE_TYPES: readonly string[] = META.edge_types[0];
const STRING = NODE_TYPES.indexOf("string");
const OBJECT = NODE_TYPES.indexOf("object");
const NATIVE = NODE_TYPES.indexOf("native");
const SYNTHETIC = NODE_TYPES.indexOf("synthetic");
const ELEMENT = EDGE_TYPES.indexOf("element");
const PROPERTY = EDGE_TYPES.indexOf("property");
const INTERNAL = EDGE_TYPES.indexOf("internal");

/** Length at which a piece is handed out. */
const CHUNK_CHARACTERS = 1 << 16;
/** V8's longest string, less room to spare. */
const TEXT_LENGTH_MAX = 2 ** 29 - 2 ** 16;

/** @throws HeapError "SNAPSHOT_TOO_LARGE" */
export function devToolsText(graph: ObjectGraph, lengthMax = TEXT_LENGTH_MAX): string {
  const chunks: string[] = [];
  let length = 0;
  for (const chunk of devToolsChunks(graph)) {
    length += chunk.length;
    if (length > lengthMax)
      throw new HeapError(
        "SNAPSHOT_TOO_LARGE",
        `The .heapsnapshot of ${graph.nodeCount} objects is longer than a string can be; write the pieces of devToolsChunks() to a file.`,
      );
    chunks.push(chunk);
  }
  return chunks.join("");
}

/** The file in pieces. Strings come last, when all names are known. */
export function* devToolsChunks(graph: ObjectGraph): IterableIterator<string> {
  const strings = new StringTable();
  const counts = { node_count: graph.nodeCount, edge_count: graph.edgeTarget.length };
  yield `{"snapshot":${JSON.stringify({ meta: META, ...counts, trace_function_count: 0 })},\n"nodes":[`;
  yield* joined(graph.nodeCount, (node) => nodeFields(graph, node, strings));
  yield '],\n"edges":[';
  yield* edgeChunks(graph, strings);
  yield '],\n"trace_function_infos":[],\n"trace_tree":[],\n"samples":[],\n"locations":[],\n"strings":[';
  const texts = [...strings.texts()];
  yield* joined(texts.length, (index) => JSON.stringify(texts[index]));
  yield "]}\n";
}

function* joined(count: number, textOfOne: (index: number) => string): IterableIterator<string> {
  let chunk = "";
  for (let index = 0; index < count; index++) {
    chunk += index === 0 ? textOfOne(index) : `,\n${textOfOne(index)}`;
    if (chunk.length < CHUNK_CHARACTERS) continue;
    yield chunk;
    chunk = "";
  }
  yield chunk;
}

function nodeFields(graph: ObjectGraph, node: number, strings: StringTable): string {
  const edges = graph.firstEdge[node + 1] - graph.firstEdge[node];
  const name = strings.index(nodeName(graph, node));
  const size =
    graph.words[node] * WORD_BYTES + (kindOf(graph, node) === KIND_FOREIGN ? adopted(graph, node) : 0);
  return `${nodeType(graph, node)},${name},${nodeId(graph, node)},${size},${edges},0,0`;
}

function nodeType(graph: ObjectGraph, node: number): number {
  const kind = kindOf(graph, node);
  if (kind === 0) return SYNTHETIC;
  if (kind === KIND_STRING) return STRING;
  return kind === KIND_FOREIGN ? NATIVE : OBJECT;
}

/** DevTools groups by this; strings have their text. */
function nodeName(graph: ObjectGraph, node: number): string {
  const kind = kindOf(graph, node);
  if (node === 0) return "";
  if (node === graph.garbageNode) return "(garbage that waits for a collection)";
  if (kind === KIND_STRING) return textOf(graph, node).text;
  return plainText(kind === KIND_FOREIGN ? foreignName(graph, node) : typeNameOf(graph, node));
}

/** What a value holds outside the heap counts as its foreign object's: DevTools has one size. It stores sizes in 32 bits. */
function adopted(graph: ObjectGraph, node: number): number {
  return Math.min(Math.round(graph.foreign[graph.detail[node]].bytes), 2 ** 31);
}

/**
 * The same object has the same number in every file of a heap, so that DevTools can compare two: 29 bits of its place, and
 * the low bits of its serial, which tell it from what stood there before. Numbers have 32 bits.
 */
function nodeId(graph: ObjectGraph, node: number): number {
  if (graph.typeId[node] === 0) return node === 0 ? 1 : 3;
  return ((graph.address[node] >>> 2) * 8 + (graph.serial[node] & 7)) >>> 0;
}

function* edgeChunks(graph: ObjectGraph, strings: StringTable): IterableIterator<string> {
  const { nodeCount, firstEdge, edgeTarget } = graph;
  let chunk = "";
  let separator = "";
  for (let node = 0; node < nodeCount; node++) {
    const end = firstEdge[node + 1];
    const kind = kindOf(graph, node);
    for (let edge = firstEdge[node]; edge < end; edge++) {
      chunk += `${separator}${edgeFields(graph, edge, node, kind, strings)},${edgeTarget[edge] * NODE_FIELDS}`;
      separator = ",\n";
    }
    if (chunk.length < CHUNK_CHARACTERS) continue;
    yield chunk;
    chunk = "";
  }
  yield chunk;
}

/** Items are elements with a number; what has a name is a property; keys and members are the container's own affair. */
function edgeFields(
  graph: ObjectGraph,
  edge: number,
  source: number,
  kind: number,
  strings: StringTable,
): string {
  const label = graph.edgeLabel[edge];
  if (kind === KIND_LIST || kind === KIND_TUPLE) return `${ELEMENT},${label >>> Label.SHIFT}`;
  const isOwn = kind === KIND_SET || (kind === KIND_DICT && (label & Label.MASK) === Label.SLOT);
  return `${isOwn ? INTERNAL : PROPERTY},${strings.index(edgeName(graph, edge, source))}`;
}

/** Texts by the order in which they were first asked for. V8's first is "<dummy>", and so is ours. */
class StringTable {
  private readonly indices = new Map<string, number>([["<dummy>", 0]]);

  index(text: string): number {
    let index = this.indices.get(text);
    if (index === undefined) {
      index = this.indices.size;
      this.indices.set(text, index);
    }
    return index;
  }
  texts(): IterableIterator<string> {
    return this.indices.keys();
  }
}
