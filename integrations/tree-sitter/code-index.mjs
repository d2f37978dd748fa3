/**
 * The index of an editor: syntax trees of JavaScript files, kept in a cache, parsed again after an edit, searched by queries.
 * Nothing here deletes a tree, a cursor, a query or a parser: a heap object owns each, and several may own the same tree.
 */
import { dict, foreign, i32, list, optional, release, retain, str, struct } from "ouroheap";
import { Edit, Parser, Query } from "web-tree-sitter";

const Definition = struct("Definition", {
  name: str,
  at: i32,
  tree: foreign(), // positions count in this tree, which may be older than the file's
  get file() {
    return File;
  },
});

const File = struct("File", {
  path: str,
  project: i32,
  text: str,
  tree: optional(foreign()), // its text callback holds this file: a cycle through JavaScript
  get imports() {
    return list(File); // which import this one too: a cycle in the heap
  },
  definitions: list(Definition),
});

const Index = struct("Index", {
  parser: foreign(),
  definitions: foreign(),
  files: dict(str, File), // the least recently opened file leaves first
  history: list(foreign()), // snapshots for "undo"
});

const CACHE_SIZE = 32;
const HISTORY_SIZE = 16;
const NAMES = 48;

/** Open, link, edit, search. @returns what happened, to compare runs */
export function runIndex({ heap, language, iterations, interrupt = () => {} }) {
  // An estimate of the trees' bytes in WASM memory, which V8 does not see: a collection every 2 MB takes what was evicted.
  heap.gc.setByteThreshold(2 << 20);
  const host = { heap, language, interrupt, index: openIndex(heap, language) };
  const tally = { indexed: 0, rejected: 0, sum: 0 };
  try {
    for (let iteration = 0; iteration < iterations; iteration++) {
      try {
        tally.sum += visit(host, iteration);
        tally.indexed++;
      } catch (error) {
        if (!isExpected(error)) throw error;
        tally.rejected++;
      }
    }
  } finally {
    release(host.index);
    heap.gc.collect();
  }
  return tally;
}

function openIndex(heap, language) {
  return heap.scope((scope) => {
    const parser = scope.own(new Parser());
    parser.value.setLanguage(language);
    const definitions = scope.own(
      new Query(language, "[(function_declaration name: (_) @name) (method_definition name: (_) @name)]"),
    );
    return scope.new(Index, { parser, definitions });
  });
}

function visit(host, iteration) {
  const { heap, index, interrupt } = host;
  return heap.scope((scope) => {
    const file = scope.new(File, {
      path: `file${iteration % NAMES}.js`,
      project: Math.floor(iteration / 4),
      text: sourceOf(iteration),
    });
    parse(host, scope, file, { isCancelled: iteration % 11 === 0 });
    interrupt("parsed", iteration);
    findDefinitions(host, scope, file);
    interrupt("defined", iteration);
    link(index, file);
    keep(index, file);
    interrupt("kept", iteration);
    if (iteration % 3 === 0) edit(host, scope, file, iteration);
    return depthOf(scope, file.tree) + search(host, scope, file, iteration);
  });
}

/** tree-sitter reads the text from the file when it needs some, while parsing and later for `node.text`. */
function parse({ index, interrupt }, scope, file, { oldTree = null, isCancelled = false } = {}) {
  let self; // what the callback holds, once the tree has an owner: a throw before that loses nothing
  const textAt = (index) => (self ?? file).text.slice(index);
  const parser = index.parser.value;
  const parsed = parser.parse(textAt, oldTree, { progressCallback: () => isCancelled });
  if (parsed === null) {
    parser.reset();
    throw new Interrupted("cancelled");
  }
  const tree = scope.own(parsed, { traverse: () => (self ? [self] : []), bytes: 20 * file.text.length });
  self = retain(file);
  interrupt("owned");
  file.tree = tree;
}

/** They own the tree too: what an older one says stays readable while a newer one is in the file. */
function findDefinitions({ index }, scope, file) {
  const { tree } = file;
  file.definitions.clear();
  for (const { node } of index.definitions.value.captures(tree.value.rootNode)) {
    file.definitions.push(scope.new(Definition, { name: node.text, at: node.startIndex, tree, file }));
  }
}

/** The files of a project import each other. */
function link({ files }, file) {
  for (const other of files.values()) {
    if (other.project !== file.project) continue;
    file.imports.push(other);
    other.imports.push(file);
  }
}

function keep({ files }, file) {
  files.delete(file.path);
  files.set(file.path, file);
  if (files.size <= CACHE_SIZE) return;
  const [oldest] = files.keys();
  files.delete(oldest);
}

/** A line is put in front. The tree before the edit goes into the history, beside the definitions that still refer to it. */
function edit(host, scope, file, iteration) {
  const { history } = host.index;
  const { tree } = file;
  history.push(scope.own(tree.value.copy()));
  if (history.length > HISTORY_SIZE) history.delete(0);
  const line = `let edited${iteration};\n`;
  const start = { row: 0, column: 0 };
  tree.value.edit(
    new Edit({
      startIndex: 0,
      oldEndIndex: 0,
      newEndIndex: line.length,
      startPosition: start,
      oldEndPosition: start,
      newEndPosition: { row: 1, column: 0 },
    }),
  );
  file.text = line + file.text;
  host.interrupt("edited", iteration);
  const oldTree = scope.use(retain(tree));
  parse(host, scope, file, { oldTree: oldTree.value });
  if (iteration % 2 === 0) findDefinitions(host, scope, file);
}

/** A cursor walks in the memory of its tree, and must not outlive it. */
function depthOf(scope, tree) {
  const cursor = scope.own(tree.value.walk(), { holds: [tree] });
  let depth = 0;
  while (cursor.value.gotoFirstChild()) depth++;
  return depth;
}

/** What the user typed: every seventh query is none. */
function search({ language, interrupt }, scope, file, iteration) {
  const pattern = iteration % 7 === 0 ? "(no_such_node) @found" : "(call_expression) @found";
  const query = scope.own(new Query(language, pattern));
  interrupt("searched", iteration);
  return query.value.captures(file.tree.value.rootNode).length;
}

function sourceOf(iteration) {
  const functions = Array.from(
    { length: 2 + (iteration % 4) },
    (_, i) => `function work${i}(input) { return helper(input.map((item) => item * ${iteration + i})); }`,
  );
  return `import { helper } from "./file${(iteration * 7) % NAMES}.js";\n${functions.join("\n")}\nclass Runner { run() { work0(); } }\n`;
}

/** What `interrupt` and a cancelled parse throw; a bad query throws tree-sitter's own. Everything else is a bug of this program. */
export class Interrupted extends Error {}
function isExpected(error) {
  return error instanceof Interrupted || error.name === "QueryError";
}
