/**
 * The same index with trees deleted by hand, and the mistakes that are made: eviction drops a tree (definitions found elsewhere may
 * still read it), an edit forgets the old one, a throw skips `delete`, a query is made for each search and forgotten.
 * `node tree-sitter/leaking.mjs [iterations]`
 */
import { setTimeout } from "node:timers/promises";
import { Edit, Parser, Query } from "web-tree-sitter";
import { load } from "./judge.mjs";

const iterations = Number(process.argv[2] ?? 10_000);
const CACHE_SIZE = 32;

function visit(parser, language, files, iteration) {
  const text = `import "./file${iteration % 48}.js";\nfunction work(input) { return input.map((item) => item * ${iteration}); }\n`;
  const path = `file${iteration % 48}.js`;
  const file = { tree: parser.parse(text), definitions: [] };
  files.delete(path); // definitions may still use the old file's tree: nobody dares to delete it
  files.set(path, file);
  if (files.size > CACHE_SIZE) files.delete(files.keys().next().value);
  if (iteration % 3 === 0) edit(parser, file, text);
  const cursor = file.tree.walk();
  while (cursor.gotoFirstChild());
  const pattern = iteration % 7 === 0 ? "(no_such_node) @found" : "(call_expression) @found";
  const query = new Query(language, pattern); // throws for a bad pattern: the cursor is left behind
  file.definitions = query.captures(file.tree.rootNode);
  cursor.delete();
}

function edit(parser, file, text) {
  const line = "let edited;\n";
  const start = { row: 0, column: 0 };
  const newEndPosition = { row: 1, column: 0 };
  file.tree.edit(
    new Edit({
      startIndex: 0,
      oldEndIndex: 0,
      newEndIndex: line.length,
      startPosition: start,
      oldEndPosition: start,
      newEndPosition,
    }),
  );
  file.tree = parser.parse(line + text, file.tree); // and the old one?
}

function run(language) {
  const parser = new Parser();
  parser.setLanguage(language);
  const files = new Map();
  for (let iteration = 0; iteration < iterations; iteration++) {
    try {
      visit(parser, language, files, iteration);
    } catch (error) {
      if (error.name !== "QueryError") throw error;
    }
  }
  for (const { tree } of files.values()) tree.delete();
  parser.delete();
}

const { language, countBlocks } = await load();
const before = countBlocks();
run(language);
const after = countBlocks();
// The library asks V8 to finalize what it collects. V8 does so when it likes, and not while a program runs.
await setTimeout(1000);
console.log(JSON.stringify({ iterations, before, after, aSecondLater: countBlocks() }));
