/** Pictures of what holds an object and what it holds: text for a terminal, DOT, and SVG by Graphviz. */
import { show } from "../host/schema.js";
import type { Borrowed } from "../host/types.js";
import { asView } from "../host/view.js";
import { HeapError, InvalidArgumentError } from "../memory/errors.js";
import { WORD_BYTES } from "../memory/layout.js";
import { requireOptions } from "./arguments.js";
import { edgeName, holdOf, holdText, nodeText } from "./edge-name.js";
import { markupText } from "./escape.js";
import { edgeSource } from "./graph.js";
import { type HeapSnapshot, takeSnapshot } from "./snapshot.js";

/** How much a picture shows. */
export interface DrawingOptions {
  /** How many references away from the objects asked for. Default 3. */
  readonly depth?: number;
  /** At most so many references of each object. Default 10. */
  readonly limit?: number;
}

/** Whatever turns DOT into SVG: an instance of `Graphviz` of @hpcc-js/wasm-graphviz. */
export interface Graphviz {
  dot(source: string): string;
}

/** A reference in a picture. `outer` is the end that is farther from the objects asked for. */
interface Line {
  readonly inner: number;
  readonly outer: number;
  readonly edge: number;
}

const GRAPHVIZ_PACKAGE = "@hpcc-js/wasm-graphviz";

/** What refers to an object, or to any of several, and what refers to that, and so on, up to JavaScript's handles. O(heap). */
export function showBackrefs(refs: Borrowed | readonly Borrowed[], options: DrawingOptions = {}): Drawing {
  return new Drawing(refs, options, "back");
}

/** What an object, or any of several, refers to, and what that refers to, and so on. O(heap). */
export function showRefs(refs: Borrowed | readonly Borrowed[], options: DrawingOptions = {}): Drawing {
  return new Drawing(refs, options, "forth");
}

/** A part of the object graph, as text, DOT or SVG. It is a copy and owns nothing. */
export class Drawing {
  private readonly snapshot: HeapSnapshot;
  private readonly direction: "back" | "forth";
  private readonly starts: readonly number[];
  /** By node, those that were looked at: the references shown, and how many more there are. */
  private readonly lines = new Map<number, { readonly shown: readonly Line[]; readonly more: number }>();

  /** @internal */
  constructor(refs: Borrowed | readonly Borrowed[], options: DrawingOptions, direction: "back" | "forth") {
    const all = Array.isArray(refs) ? (refs as readonly Borrowed[]) : [refs as Borrowed];
    const view = asView(all[0]);
    if (view === undefined)
      throw new InvalidArgumentError(`Expected references to heap objects, got ${show(all[0] ?? refs)}.`);
    requireOptions(options, direction === "back" ? "showBackrefs" : "showRefs");
    const { depth = 3, limit = 10 } = options;
    if (!(isAmount(depth) && isAmount(limit)))
      throw new InvalidArgumentError(
        `depth and limit are numbers of at least 0, got ${show(depth)} and ${show(limit)}.`,
      );
    this.direction = direction;
    this.snapshot = takeSnapshot(view["@type"].context.heap);
    this.starts = all.map((ref) => this.snapshot.nodeOf(ref)!);
    this.collect(depth, limit);
  }

  private collect(depth: number, limit: number): void {
    let level: Iterable<number> = this.starts;
    for (let distance = 0; distance < depth; distance++) {
      const next = new Set<number>();
      for (const node of level) {
        if (this.lines.has(node) || node === 0) continue;
        const found = this.linesOf(node, limit);
        this.lines.set(node, found);
        for (const { outer } of found.shown) next.add(outer);
      }
      if (next.size === 0) break;
      level = next;
    }
  }

  private linesOf(node: number, limit: number) {
    const { graph } = this.snapshot;
    const { firstEdge, edgeTarget } = graph;
    const shown: Line[] = [];
    if (this.direction === "forth") {
      const end = Math.min(firstEdge[node + 1], firstEdge[node] + limit);
      for (let edge = firstEdge[node]; edge < end; edge++)
        shown.push({ inner: node, outer: edgeTarget[edge], edge });
      return { shown, more: firstEdge[node + 1] - firstEdge[node] - shown.length };
    }
    const { first, edge } = this.snapshot.incomingEdges();
    const end = Math.min(first[node + 1], first[node] + limit);
    for (let index = first[node]; index < end; index++)
      shown.push({ inner: node, outer: edgeSource(graph, edge[index]), edge: edge[index] });
    return { shown, more: first[node + 1] - first[node] - shown.length };
  }

  /** The same as `text()`. */
  toString(): string {
    return this.text();
  }

  /**
   * A tree for a terminal, an object a line, with addresses that tell objects apart. What was shown before is not opened
   * again. Values of the program are escaped.
   */
  text(): string {
    const output: string[] = [];
    const opened = new Set<number>();
    /** To be written, the next one last. */
    const stack: { node: number; indent: string; text: string }[] = [];
    for (const node of [...this.starts].reverse()) stack.push({ node, indent: "", text: this.label(node) });
    for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
      const { node, indent, text } = item;
      const lines = node === -1 ? undefined : this.lines.get(node);
      const isAgain = opened.has(node);
      output.push(`${indent}${text}${isAgain && (lines?.shown.length ?? 0) > 0 ? " (see above)" : ""}`);
      if (lines === undefined || isAgain) continue;
      opened.add(node);
      const inner = `${indent}  `;
      if (lines.more > 0) stack.push({ node: -1, indent: inner, text: `${this.arrow} ${lines.more} more` });
      for (const { outer, edge } of [...lines.shown].reverse())
        stack.push({ node: outer, indent: inner, text: this.lineText(outer, edge) });
    }
    return output.join("\n");
  }

  private get arrow(): string {
    return this.direction === "back" ? "<-" : "->";
  }

  private lineText(outer: number, edge: number): string {
    const { graph } = this.snapshot;
    if (outer === 0) return `<- root (${holdText(holdOf(graph, edge))})`;
    const name = edgeName(graph, edge);
    const separator = name.startsWith("[") ? "" : ".";
    if (this.direction === "back")
      return `<- ${nodeText(graph, outer)}${separator}${name}${this.place(outer)}`;
    return `${separator}${name} -> ${this.label(outer)}`;
  }

  private label(node: number): string {
    return `${nodeText(this.snapshot.graph, node)}${this.place(node)}`;
  }

  /** Where an object is, so that two of one type can be told apart. */
  private place(node: number): string {
    const address = this.snapshot.address(node);
    return address === 0 ? "" : ` @0x${(address * WORD_BYTES).toString(16)}`; // as `id` has it
  }

  /** A directed graph in Graphviz's language. Values of the program are escaped. */
  dot(): string {
    const nodes = new Set(this.starts);
    const edges: string[] = [];
    for (const [node, { shown, more }] of this.lines) {
      for (const { outer, edge } of shown) {
        if (outer === 0) edges.push(this.rootDot(node, edge));
        else {
          nodes.add(outer);
          const [from, to] = this.direction === "back" ? [outer, node] : [node, outer];
          edges.push(`  n${from} -> n${to} [label=${dotText(edgeName(this.snapshot.graph, edge))}];`);
        }
      }
      if (more > 0)
        edges.push(`  more${node} [label=${dotText(`${more} more`)}, shape=plaintext];`, this.moreDot(node));
    }
    const boxes = Array.from(nodes, (node) => {
      const isStart = this.starts.includes(node) ? ", style=filled, fillcolor=lightyellow" : "";
      return `  n${node} [label=${dotText(this.label(node))}${isStart}];`;
    });
    return ["digraph heap {", "  node [shape=box, fontname=monospace];", ...boxes, ...edges, "}", ""].join(
      "\n",
    );
  }

  private rootDot(node: number, edge: number): string {
    const label = dotText(`root: ${holdText(holdOf(this.snapshot.graph, edge))}`);
    return `  root${edge} [label=${label}, shape=ellipse];\n  root${edge} -> n${node};`;
  }

  private moreDot(node: number): string {
    const [from, to] = this.direction === "back" ? [`more${node}`, `n${node}`] : [`n${node}`, `more${node}`];
    return `  ${from} -> ${to} [style=dotted];`;
  }

  /**
   * The picture as SVG, by Graphviz compiled to WebAssembly.
   * @param graphviz an instance to use; without it the optional package @hpcc-js/wasm-graphviz is loaded
   * @throws HeapError "MISSING_PACKAGE" where that is not installed
   */
  async svg(graphviz?: Graphviz): Promise<string> {
    return (graphviz ?? (await loadGraphviz())).dot(this.dot());
  }
}

function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

/** In a variable, so that a bundler does not take an optional package for a required one. */
async function loadGraphviz(name: string = GRAPHVIZ_PACKAGE): Promise<Graphviz> {
  let module: { Graphviz: { load(): Promise<Graphviz> } };
  try {
    module = (await import(name)) as typeof module;
  } catch (cause) {
    throw new HeapError(
      "MISSING_PACKAGE",
      `SVG is made by Graphviz, which is not installed: npm install ${name}. Or take text() or dot(), which need nothing.`,
      { cause },
    );
  }
  return module.Graphviz.load();
}

/** A quoted label. Graphviz reads backslashes and entities in it. */
function dotText(text: string): string {
  return `"${markupText(text).replaceAll("\\", "\\\\")}"`;
}
