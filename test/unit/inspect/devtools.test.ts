import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeHeapSnapshot } from "node:v8";
import { describe, expect, it } from "vitest";
import { any, dict, list, optional, set, str, struct, tuple } from "../../../src/index.js";
import { devToolsText } from "../../../src/inspect/devtools.js";
import { takeSnapshot } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "../host/support.js";

interface File {
  snapshot: {
    meta: {
      node_fields: string[];
      node_types: (string | string[])[];
      edge_fields: string[];
      edge_types: (string | string[])[];
      [other: string]: unknown;
    };
    node_count: number;
    edge_count: number;
  };
  nodes: number[];
  edges: number[];
  strings: string[];
  [other: string]: unknown;
}

interface ParsedNode {
  type: string;
  name: string;
  id: number;
  selfSize: number;
  edges: { type: string; name: string | number; to: ParsedNode }[];
}

/** Reads the file as DevTools does: fields by the names in `meta`, edges by running through all nodes in order. */
function parse({ snapshot, nodes, edges, strings }: File): ParsedNode[] {
  const { meta } = snapshot;
  const fields = meta.node_fields.length;
  const edgeFields = meta.edge_fields.length;
  const field = (name: string) => meta.node_fields.indexOf(name);
  const edgeField = (name: string) => meta.edge_fields.indexOf(name);
  const parsed = Array.from({ length: nodes.length / fields }, (_, index): ParsedNode => {
    const at = index * fields;
    return {
      type: (meta.node_types[0] as string[])[nodes[at + field("type")]],
      name: strings[nodes[at + field("name")]],
      id: nodes[at + field("id")],
      selfSize: nodes[at + field("self_size")],
      edges: [],
    };
  });
  let at = 0;
  for (const [index, node] of parsed.entries())
    for (let left = nodes[index * fields + field("edge_count")]; left > 0; left--, at += edgeFields) {
      const type = (meta.edge_types[0] as string[])[edges[at + edgeField("type")]];
      const value = edges[at + edgeField("name_or_index")];
      const isNumbered = type === "element" || type === "hidden";
      const target = edges[at + edgeField("to_node")];
      expect(target % fields).toBe(0);
      node.edges.push({ type, name: isNumbered ? value : strings[value], to: parsed[target / fields] });
    }
  expect([parsed.length, at / edgeFields, edges.length]).toEqual([
    snapshot.node_count,
    snapshot.edge_count,
    at,
  ]);
  return parsed;
}

class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
  rest: any,
}) {}

describe("A .heapsnapshot file", () => {
  it("has the parts and the meta that V8 writes", () => {
    const path = writeHeapSnapshot(join(tmpdir(), `ouroheap-${process.pid}.heapsnapshot`));
    const theirs = JSON.parse(readFileSync(path, "utf8")) as File;
    rmSync(path);
    const heap = makeHeap();
    using _node = heap.new(Node, {});
    const ours = JSON.parse(takeSnapshot(heap).toDevTools()) as File;
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    // Versions of V8 leave the allocation trace's field out, and the last of the types of nodes, which we never use.
    const { node_fields, node_types, ...rest } = theirs.snapshot.meta;
    const [types, ...kinds] = ours.snapshot.meta.node_types;
    const withoutTrace = (fields: string[]) => fields.filter((field) => field !== "trace_node_id");
    expect(withoutTrace(ours.snapshot.meta.node_fields)).toEqual(withoutTrace(node_fields));
    const known = Math.min(types.length, (node_types[0] as string[]).length);
    expect(known).toBeGreaterThan(12);
    expect((node_types[0] as string[]).slice(0, known)).toEqual(types.slice(0, known));
    expect(kinds).toEqual(["string", ...Array(ours.snapshot.meta.node_fields.length - 2).fill("number")]);
    for (const key of ["edge_fields", "edge_types", "location_fields", "sample_fields"])
      expect(ours.snapshot.meta[key]).toEqual(rest[key]);
    // What both parsers of this test agree on: V8's own file reads the same way.
    const parsed = parse(theirs);
    expect(parsed[0].type).toBe("synthetic");
    expect([theirs.strings[0], ours.strings[0]]).toEqual(["<dummy>", "<dummy>"]);
  });

  it("leads from the root to everything, with our types, edges and sizes", () => {
    const heap = makeHeap({ checks: { handles: { every: 1 } } });
    using value = heap.adopt(new (class Texture {})(), () => {}, { bytes: 1000 });
    using node = heap.new(Node, { name: "first", next: { name: "second", rest: null }, rest: value });
    using table = heap.new(dict(str, Node), [["k", node]]);
    using pair = heap.new(tuple(str, list(Node)), ["p", [node]]);
    using members = heap.new(set(str), ["m"]);
    const snapshot = takeSnapshot(heap);
    const nodes = parse(JSON.parse(snapshot.toDevTools()));
    const of = (ref: Parameters<typeof snapshot.nodeOf>[0]) => nodes[snapshot.nodeOf(ref)!];
    const edges = ({ edges }: ParsedNode) =>
      edges.map(({ type, name, to }) => `${type} ${name} ${to.type} ${to.name}`);
    expect([nodes[0].type, nodes[0].name, nodes[0].selfSize]).toEqual(["synthetic", "", 0]);
    expect(nodes[0].edges).toHaveLength(5);
    for (const { type, name } of nodes[0].edges)
      expect(`${type} ${name}`).toMatch(/^property handle made at .*devtools\.test/);
    expect([of(node).type, of(node).name]).toEqual(["object", "Node"]);
    expect(edges(of(node)).sort()).toEqual([
      "property name string first",
      "property next object Node",
      "property rest native foreign(Texture)",
    ]);
    expect(edges(of(table))).toEqual(["internal key string k", 'property ["k"] object Node']);
    expect(edges(of(pair)).sort()).toEqual(["element 0 string p", "element 1 object list(Node)"]);
    expect(edges(of(members))).toEqual(["internal member string m"]);
    expect(of(value).selfSize).toBe(snapshot.selfSize(snapshot.nodeOf(value)!) + 1000);
    expect(of(node).selfSize).toBe(snapshot.selfSize(snapshot.nodeOf(node)!));
    const reached = new Set([nodes[0]]);
    for (const one of reached) for (const { to } of one.edges) reached.add(to);
    expect(reached.size).toBe(nodes.length);
  });

  it("gives each object a number of its own, the same in every file of a heap", () => {
    const heap = makeHeap();
    using nodes = heap.new(list(Node), [{ name: "a" }, { name: "b" }]);
    const first = takeSnapshot(heap);
    nodes.push({ name: "c" });
    nodes.delete(0);
    const second = takeSnapshot(heap);
    const ids = (snapshot: typeof first) => parse(JSON.parse(snapshot.toDevTools())).map(({ id }) => id);
    expect(new Set(ids(second)).size).toBe(second.nodeCount);
    const kept = nodes.at(0)!;
    expect(ids(second)[second.nodeOf(kept)!]).toBe(ids(first)[first.nodeOf(kept)!]);
    const gone = [...Array(first.nodeCount).keys()].filter(
      (node) => node > 0 && first.object(node) === undefined,
    );
    expect(ids(second)).not.toContain(ids(first)[gone.find((node) => first.typeName(node) === "Node")!]);
    expect(Math.max(...ids(second))).toBeLessThan(2 ** 32);
  });

  it("shows garbage under a node of its own", () => {
    const heap = makeHeap({ checks: "off" });
    heap.gc.disable();
    {
      using lost = heap.new(Node, {});
      lost.next = lost;
    }
    const nodes = parse(JSON.parse(takeSnapshot(heap).toDevTools()));
    expect(nodes[0].edges.map(({ to }) => `${to.type} ${to.name}`)).toEqual([
      "synthetic (garbage that waits for a collection)",
    ]);
    expect(nodes.at(-1)!.edges.map(({ to }) => to.name)).toEqual(["Node"]);
    heap.gc.collect();
  });

  it("comes whole or in pieces, and whatever is in types, fields and texts is only text in it", () => {
    const heap = makeHeap();
    const hostile = '\u001b[2J</script><script>alert("x")\n\\\ud800';
    const Hostile = struct(hostile, { [hostile]: str });
    using _objects = heap.new(
      list(Hostile),
      Array.from({ length: 2000 }, () => ({ [hostile]: hostile })) as never,
    );
    const snapshot = takeSnapshot(heap);
    const chunks = [...snapshot.devToolsChunks()];
    expect(chunks.length).toBeGreaterThan(1);
    expect(chunks.join("")).toBe(snapshot.toDevTools());
    const { strings } = JSON.parse(chunks.join("")) as File;
    // A string's own text is data; names that we make are escaped.
    expect(strings).toContain(hostile);
    expect(strings.filter((text) => text.includes("\u001b"))).toEqual([hostile]);
  });
});

it("a file that no string can hold is refused by name; in pieces it is written all the same", () => {
  const heap = makeHeap();
  using names = heap.new(list(str), ["a", "b"]);
  const { graph } = takeSnapshot(heap);
  const { length } = devToolsText(graph);
  expect(devToolsText(graph, length)).toHaveLength(length);
  expect(messageOf("SNAPSHOT_TOO_LARGE", () => devToolsText(graph, length - 1))).toMatch(
    /of \d+ objects is longer than a string can be; write the pieces of devToolsChunks/,
  );
  expect([...takeSnapshot(heap).devToolsChunks()].join("")).toHaveLength(length);
  expect(names.length).toBe(2);
});
