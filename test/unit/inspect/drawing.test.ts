import { describe, expect, it } from "vitest";
import { dict, list, optional, str, struct } from "../../../src/index.js";
import { showBackrefs, showRefs } from "../../../src/inspect/index.js";
import { makeHeap } from "../../support/heaps.js";
import { messageOf } from "../host/support.js";

class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
}) {}

const HOSTILE = '\u001b[2J<script>alert("x")</script>\n"\\';

/** Addresses differ from heap to heap. */
const plain = (text: string) => text.replace(/ @0x[0-9a-f]+/g, "").replace(/\(handle.*?\)$/gm, "(handle)");

describe("Text pictures", () => {
  it("show what refers to an object, up to the handles", () => {
    const heap = makeHeap();
    using nodes = heap.new(list(Node), [{ name: "a" }]);
    nodes.at(0)!.next = nodes.at(0)!;
    expect(plain(showBackrefs(nodes.at(0)!).text())).toBe(
      ["Node", "  <- list(Node)[0]", "    <- root (handle)", "  <- Node.next (see above)"].join("\n"),
    );
  });

  it("show what an object refers to, a few of many, as deep as is asked for", () => {
    const heap = makeHeap();
    using nodes = heap.new(
      list(Node),
      Array.from({ length: 5 }, (_, i) => ({ name: `n${i}` })),
    );
    expect(plain(String(showRefs(nodes, { limit: 2, depth: 1 })))).toBe(
      ["list(Node)", "  [0] -> Node", "  [1] -> Node", "  -> 3 more"].join("\n"),
    );
    expect(plain(showRefs([nodes.at(0)!, nodes.at(1)!]).text())).toBe(
      ["Node", '  .name -> "n0"', "Node", '  .name -> "n1"'].join("\n"),
    );
    expect(plain(showRefs(nodes, { depth: 0 }).text())).toBe("list(Node)");
  });

  it("tell objects of one type apart by their addresses", () => {
    const heap = makeHeap();
    using nodes = heap.new(list(Node), [{ name: "a" }, { name: "b" }]);
    const places = [
      ...showRefs(nodes, { depth: 1 })
        .text()
        .matchAll(/-> Node @0x([0-9a-f]+)/g),
    ].map(([, at]) => at);
    expect(new Set(places).size).toBe(2);
  });

  it("end where there is nothing more to show, however deep one asks", () => {
    const heap = makeHeap();
    using node = heap.new(Node, {});
    expect(showBackrefs(node, { depth: Number.POSITIVE_INFINITY }).text()).toMatch(/<- root/);
  });

  it("refuse what is no heap object", () => {
    for (const value of [null, {}, [], [5]]) messageOf("INVALID_ARGUMENT", () => showRefs(value as never));
    const heap = makeHeap();
    using node = heap.new(Node, {});
    messageOf("INVALID_ARGUMENT", () => showRefs(node, { depth: -1 }));
  });
});

describe("Values of the program", () => {
  const Hostile = struct(HOSTILE, { [HOSTILE]: str });

  it("cannot act on a terminal or as markup: types, fields, keys and texts", () => {
    const heap = makeHeap();
    using hostile = heap.new(dict(str, Hostile), [[HOSTILE, { [HOSTILE]: HOSTILE }]] as never);
    const drawing = showRefs(hostile);
    const text = drawing.text();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(text.split("\n").map((line) => line.trimStart().split(" ")[0])).toEqual([
      expect.stringMatching(/^dict\(str,/),
      ".key",
      '["\\u001b[2J<script>alert(\\"x\\")</script>\\n\\"\\\\"]',
      '["\\u001b[2J<script>alert(\\"x\\")</script>\\n\\"\\\\"]',
    ]);
    const dot = drawing.dot();
    expect([dot.includes("<"), dot.includes("\u001b")]).toEqual([false, false]);
    expect(dot.match(/label=/g)!.length).toBe(dot.match(/label="(?:[^"\\\n]|\\\\)*"[,\]]/g)!.length);
  });
});

describe("DOT pictures", () => {
  it("have a box for each object, an arrow for each reference, and the handles", () => {
    const heap = makeHeap();
    using nodes = heap.new(list(Node), [{ name: "a" }]);
    nodes.at(0)!.next = nodes.at(0)!;
    const dot = showBackrefs(nodes.at(0)!).dot();
    const lines = dot.split("\n").map((line) => line.trim());
    expect(lines[0]).toBe("digraph heap {");
    expect(
      lines.filter((line) => /^n\d+ \[label="(Node|list\(Node\)) @0x[0-9a-f]+"/.test(line)),
    ).toHaveLength(2);
    expect(
      lines
        .filter((line) => line.includes("->"))
        .map((line) => line.replace(/\d+/g, "#").replace("[#]", "[0]"))
        .sort(),
    ).toEqual(['n# -> n# [label="[0]"];', 'n# -> n# [label="next"];', "root# -> n#;"].sort());
    expect(showRefs(nodes, { limit: 0 }).dot()).toContain('[label="1 more", shape=plaintext]');
  });

  it("become SVG by Graphviz, and say what to install where that is missing", async () => {
    const heap = makeHeap();
    using node = heap.new(Node, { name: HOSTILE });
    const drawing = showRefs(node);
    expect(await drawing.svg({ dot: (source) => `<svg>${source.length}</svg>` })).toBe(
      `<svg>${drawing.dot().length}</svg>`,
    );
    const svg = await drawing.svg();
    expect(svg).toMatch(/<svg[\s\S]*Node[\s\S]*<\/svg>/);
    expect(svg).not.toContain("<script");
  });
});
