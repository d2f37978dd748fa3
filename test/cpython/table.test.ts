/** docs/cpython-tests.md says of each of CPython's test cases whether it passes here; this holds it to the files. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const folder = new URL("./", import.meta.url);
const table = readFileSync(new URL("../../docs/cpython-tests.md", import.meta.url), "utf8");
const rows = [...table.matchAll(/^\| (\S+) \| (.+) \|$/gm)]
  .map(([, name, here]) => ({ name, here }))
  .filter(({ name }) => name !== "test" && name !== "---");

/** "Class.test_name: file", for each test in the files. */
function testsIn(file: string): string[] {
  const source = readFileSync(new URL(file, folder), "utf8");
  const found: string[] = [];
  let group = "";
  for (const [, opened, named, listed] of source.matchAll(
    /^describe\("(\w+)"|^ +it\("(\w+)"|^ +\["(test_\w+)", /gm,
  )) {
    if (opened !== undefined) group = opened;
    else found.push(`${group}.${named ?? listed}: ${file}`);
  }
  return found;
}

it("the table calls passing what is tested, and nothing else", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".test.ts") && file !== "table.test.ts");
  const passing = rows.flatMap(({ name, here }) => {
    const file = /^passes: (\S+)$/.exec(here)?.[1];
    return file === undefined ? [] : [`${name}: ${file}`];
  });
  expect(passing.sort()).toEqual(files.flatMap(testsIn).sort());
});

it("each row is there once, and passes, differs, waits or has no meaning", () => {
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  for (const { name, here } of rows)
    expect(here, name).toMatch(/^(passes: \S+\.test\.ts$|differs: |no meaning[ :]|not ported yet$)/);
});

it("the numbers above the table are the table's", () => {
  const count = (kind: string) => rows.filter(({ here }) => here.startsWith(kind)).length;
  expect(table).toContain(
    `${count("passes")} pass, ${count("differs")} differ, ${count("no meaning")} have no meaning`,
  );
});
