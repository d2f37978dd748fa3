/** What documents promise, read from their text: code with what it prints, links, and the tests and benchmarks they cite. */
import ts from "typescript";

/** Blocks of code that follow each other, and the `text` block behind them: each of them prints that. */
export interface Example {
  readonly heading: string;
  readonly language: Language;
  readonly code: string;
  readonly output: string;
}
export type Language = "ts run" | "python";

/** @throws Error for a block that says nothing of what it prints: it would never be run */
export function examplesOf(markdown: string): Example[] {
  const blocks = [...markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap(({ index, 1: language, 2: code }, position) => {
    if (!isLanguage(language)) return [];
    const after = blocks.slice(position + 1).find(({ 1: other }) => !isLanguage(other));
    const between = after && markdown.slice(index, after.index).replace(/^```[\s\S]*?^```$/gm, "");
    const heading = headingAt(markdown, index);
    if (after?.[1] !== "text" || between?.trim() !== "")
      throw new Error(`A \`${language}\` block in "${heading}" has no \`text\` block behind it.`);
    return [{ heading, language, code, output: after[2] }];
  });
}

function isLanguage(text: string): text is Language {
  return text === "ts run" || text === "python";
}

function headingAt(markdown: string, index: number): string {
  const headings = markdown.slice(0, index).match(/^#{2,} .*$/gm) ?? [];
  return headings.at(-1)?.replace(/^#+ /, "") ?? "";
}

/** Where each link leads that does not leave the repository: a path, a heading of this document, or both. */
export function linksOf(markdown: string): string[] {
  const targets = [...prose(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** The names by which a document's headings can be linked to. */
export function anchorsOf(markdown: string): string[] {
  const headings = [...prose(markdown).matchAll(/^#+ (.*)$/gm)];
  return headings.map(([, text]) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** A test by its file and its full name, "group > test", or a row of the benchmarks. */
export type Citation = { readonly file: string; readonly test: string } | { readonly bench: string };

/**
 * A test is cited as a link to its file and then its name, `[gc.test.ts](../test/gc.test.ts) "group > test"`; several of a file
 * with commas between. A row of the benchmarks is cited as `--only id`, or as its id behind the word bench.
 */
export function citationsOf(markdown: string): Citation[] {
  const text = prose(markdown);
  const tests = [...text.matchAll(/\]\(\.\.\/(test\/[^)]+\.test\.ts)\)((?:,?\s+"[^"]+")*)/g)];
  const benches = [...text.matchAll(/--only ([\w,]+)|\bbench((?:,?\s+`\w+`)+)/g)];
  return [
    ...tests.flatMap(([, file, names]) => {
      const quoted = [...names.matchAll(/"([^"]+)"/g)].map(([, name]) => name.replace(/\s+/g, " "));
      return (quoted.length > 0 ? quoted : ["(no test is named)"]).map((test) => ({ file, test }));
    }),
    ...benches.flatMap(([, only, named]) =>
      (only?.split(",") ?? [...named.matchAll(/\w+/g)].map(([id]) => id)).map((bench) => ({ bench })),
    ),
  ];
}

/** A document without its blocks of code. */
function prose(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, "");
}

/** The full names of the tests in a file, as they are written: "group > test", with `%s` and `$name` left in. */
export function testNamesOf(source: string): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node, groups: readonly string[]): void => {
    const name = ts.isCallExpression(node) ? titleOf(node) : undefined;
    if (name !== undefined) names.push([...groups, name].join(" > "));
    ts.forEachChild(node, (child) => visit(child, name === undefined ? groups : [...groups, name]));
  };
  visit(ts.createSourceFile("a.test.ts", source, ts.ScriptTarget.Latest), []);
  return names;
}

/** The title that a call of it, test, describe or a describe of our own gives, in any form: it.each(rows)("title", ...). */
function titleOf({ expression, arguments: [title] }: ts.CallExpression): string | undefined {
  let called: ts.Expression = expression;
  while (ts.isCallExpression(called) || ts.isPropertyAccessExpression(called)) called = called.expression;
  if (!ts.isIdentifier(called) || !/^(it|test|describe\w*)$/.test(called.text)) return undefined;
  return title !== undefined && ts.isStringLiteralLike(title) ? title.text : undefined;
}
