import { describe, expect, it } from "vitest";
import { findFunctions } from "../../../src/cli/find-functions.js";
import { isFile, readWanted } from "../../../src/cli/wanted.js";

const source = `#!/usr/bin/env node
// function render() in a comment, "render() {" in a text
import { x } from "x";
export async function render(a = () => 1) { return a; }
class Page {
  render() { return /render() {/; }
  static render = () => 1;
  #render() {}
  outer() { const inner = () => render(); }
}
const Table = class { render() {} };
const views = { render: () => (x) => x, "other": 1, ["render"]: () => 2 };
views.render = function () {};
let later; later = async (y) => { await y; };
`;

/** The line of each function and its name, and the text at the place inside. */
function find(name: string, text = source) {
  const lines = text.split("\n");
  return findFunctions("1", text, name).map((place) => [
    place.start.lineNumber + 1,
    place.name,
    lines[place.inside.lineNumber][place.inside.columnNumber],
  ]);
}

describe("functions by name", () => {
  it("are declarations, methods, fields, and arrow functions by what they are assigned to; no text or comment", () => {
    expect(find("render")).toEqual([
      [4, "render", "{"],
      [6, "Page.render", "{"],
      [7, "Page.render", " "],
      [11, "Table.render", "{"],
      [12, "render", " "],
      [13, "render", "{"],
    ]);
    expect(find("later")).toEqual([[14, "later", "{"]]);
    expect(find("#render")).toEqual([[8, "Page.#render", "{"]]);
  });

  it("may be told apart by their class, and nested ones are in none", () => {
    expect(find("Page.render")).toHaveLength(2);
    expect(find("Table.render")).toEqual([[11, "Table.render", "{"]]);
    expect(find("inner")).toEqual([[9, "inner", " "]]);
    expect(find("Page.inner")).toEqual([]);
  });

  it("end where their text ends", () => {
    const [{ start, end }] = findFunctions("7", "x;\nfunction f() {\n  return 1;\n}\n", "f");
    expect([start, end]).toEqual([
      { scriptId: "7", lineNumber: 1, columnNumber: 0 },
      { scriptId: "7", lineNumber: 3, columnNumber: 1 },
    ]);
  });

  it("are found in scripts that are no modules, and nothing is guessed of what cannot be read", () => {
    expect(find("f", "with (a) { function f() { return 010; } } return 1;")).toEqual([[1, "f", "{"]]);
    expect(() => find("f", "function f( {")).toThrow(SyntaxError);
  });

  it("are asked for by name, with a file before it or not", () => {
    expect(readWanted("render")).toEqual({ text: "render", file: undefined, name: "render" });
    expect(readWanted("src/a.mjs:Page.render")).toMatchObject({ file: "src/a.mjs", name: "Page.render" });
    expect(readWanted("C:\\a.mjs:f")).toMatchObject({ file: "C:\\a.mjs", name: "f" });
    for (const text of ["", "a.mjs:", "two words"]) expect(readWanted(text)).toBe(undefined);
    expect(isFile("/app/src/a.mjs", "./src/a.mjs")).toBe(true);
    expect(isFile("C:\\app\\a.mjs", "app/a.mjs")).toBe(true);
    expect(isFile("/app/src/ba.mjs", "a.mjs")).toBe(false);
  });
});
