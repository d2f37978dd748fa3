/** The main job, run as a user runs it: what it prints, what it refuses, and how it ends. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "acorn";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const fixture = (name: string) => join("test", "fixtures", name);

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["demo/main.mjs", ...args], {
    cwd: root,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

/** Nodes of a parser's tree, the simple way. */
function countNodes(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const isNode = !Array.isArray(value) && typeof (value as { type?: unknown }).type === "string";
  return Object.values(value).reduce((sum: number, part) => sum + countNodes(part), isNode ? 1 : 0);
}

const MS = "[\\d,.]+ ms";

describe("the story of a module", () => {
  const { status, stdout, stderr } = run(fixture("small.mjs"), "--verify");
  const acts = stdout.split(/\n\n(?=\d\. )/);
  const nodes = /([\d,]+) nodes;/.exec(stdout)?.[1];

  test("ends well", () => {
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(acts).toHaveLength(6);
    expect(stdout).toContain("The heap is empty, and passes its own verification.");
    expect(stdout).toMatch(new RegExp(`This run took ${MS}, and [\\d.]+ MB of memory at most.`));
  });

  test("counts the whole tree", () => {
    const source = readFileSync(join(root, fixture("small.mjs")), "utf8");
    expect(nodes).toBe(`${countNodes(parse(source, { ecmaVersion: "latest", sourceType: "module" }))}`);
  });

  test("names the most called functions", () => {
    expect(acts[1]).toMatch(/The ten most called functions, and how often:\n {4}log +6 /);
    expect(acts[1]).toMatch(/\n {4}slice +1/);
    expect(acts[1]).toMatch(new RegExp(`every node visited in +${MS}`));
  });

  test("frees nothing of a replaced tree by counts, and all of it by one collection", () => {
    expect(acts[2]).toMatch(
      new RegExp(`release\\(handle\\) +${MS} +0 of ${nodes} nodes freed by counts alone`),
    );
    expect(acts[2]).toMatch(new RegExp(`gc\\.collect\\(\\) +${MS} +${nodes} of ${nodes} nodes freed`));
  });

  test("keeps a whole tree by one node, and names the line that keeps it", () => {
    expect(acts[3]).toMatch(
      /The node: CallExpression `log\("ready"\)` at 14:5, in test\/fixtures\/small\.mjs/,
    );
    expect(acts[3]).toMatch(new RegExp(`gc\\.collect\\(\\) +${MS} +0 of ${nodes} nodes freed`));
    expect(acts[3]).toMatch(/\n {4}Call, made at rememberFirstUse \(demo\/lint-rule\.mjs:\d+:\d+\)/);
    expect(acts[3]).toContain("Identifier `log` at 14:5, by its .parent");
    expect(acts[3]).toContain('Literal `"ready"` at 14:9, by its .parent');
    expect(acts[3]).toContain('ExpressionStatement `log("ready");` at 14:5, by its .first');
  });

  test("frees it when that handle is released", () => {
    expect(acts[4]).toMatch(new RegExp(`gc\\.collect\\(\\) +${MS} +${nodes} of ${nodes} nodes freed`));
    expect(acts[4]).toMatch(/objects left in the heap +0$/);
  });

  test("compares with plain objects", () => {
    const rows = acts[5].split("\n").slice(1, 8);
    expect(rows[0]).toMatch(/^ +in the heap +plain objects$/);
    expect(rows[1]).toMatch(/bytes a node, names and texts included +[\d,.]+ +n\/a$/);
    for (const label of ["load, with all collections on the way", "visit every node", "free the tree"])
      expect(acts[5]).toMatch(new RegExp(`\\n {2}${label} +${MS} +${MS}\\n`));
    expect(rows[3]).toMatch(new RegExp(`load, automatic collections off +${MS} *$`));
    expect(new Set(rows.filter((row) => row.endsWith("ms")).map((row) => row.length)).size).toBe(2);
  });

  test("prints no control characters where there is no terminal", () => {
    const controls = [...stdout].filter((character) => /\p{Cc}/u.test(character));
    expect(new Set(controls)).toEqual(new Set(["\n"]));
  });
});

test("JSON: the commonest keys", () => {
  const { status, stdout, stderr } = run(fixture("small.json"), "--verify");
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).toMatch(/The ten commonest keys, and how often:\n {4}"name" +6 /);
  expect(stdout).toContain('The node: Property `"name": "fixture"` at 2:3');
  expect(stdout).toContain('Literal `"name"` at 2:3, by its .parent');
  expect(stdout).toMatch(/objects left in the heap +0\n/);
});

describe("with threads", () => {
  const SPEED = "[\\d,]+ +nodes a millisecond";
  const sixth = (stdout: string) => stdout.split(/\n\n(?=\d\. )/)[6];

  test("two ask while the tree is replaced, every answer is right, and nothing is left", () => {
    const { status, stdout, stderr } = run(fixture("small.mjs"), "--threads", "2", "--verify");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("The heap is empty, and passes its own verification.");
    const act = sixth(stdout);
    expect(act).toMatch(/^6\. 2 other threads ask while this one replaces\n/);
    expect(act).toMatch(new RegExp(`shared and read in +${MS} +[\\d,]+ nodes, none of them copied`));
    expect(act).toMatch(new RegExp(`\n {2}1 thread asks +${SPEED}\n {2}2 threads ask +${SPEED} together\n`));
    expect(act).toMatch(new RegExp(`the same while I replace +${SPEED}; every answer was right\n`));
    const [parts, nodes] = /replaced meanwhile +([\d,]+) +subtrees, ([\d,]+) nodes\n/
      .exec(act)!
      .slice(1)
      .map((number) => Number(number.replaceAll(",", "")));
    expect(parts).toBeGreaterThan(10);
    expect(nodes).toBeGreaterThan(parts);
    expect(act).toMatch(new RegExp(`longest exclusive guard +${MS}`));
    expect(act).toMatch(
      new RegExp(
        `\n +shared heap +structured clone\n {2}time until a thread has read the root +${MS} +${MS}\n`,
      ),
    );
  });

  test("a tree too deep to be cloned is shared all the same", () => {
    const path = join(folder, "wide.js");
    writeFileSync(path, "f(1);\n".repeat(20_000));
    const { status, stdout, stderr } = run(path, "--threads", "1");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const act = sixth(stdout);
    expect(act).toMatch(/^6\. Another thread asks while this one replaces\n/);
    expect(act).not.toContain("threads ask");
    expect(act).toContain(
      "Structured clone refuses the same tree as plain objects (Maximum call stack size exceeded)",
    );
    expect(act).toMatch(new RegExp(`time until a thread has read the root +${MS} +${MS}\n`));
    expect(act).toMatch(/bytes copied for each thread +none +4\.9 MB\n/);
  });
});

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "demo-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a load that takes its time says how far it is, in lines where there is no terminal", () => {
  const path = join(folder, "long.js");
  writeFileSync(path, "f(1);\n".repeat(5_000));
  const { status, stdout, stderr } = run(path);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const lines = stdout.split("\n").filter((line) => line.includes("loading"));
  expect(lines).toEqual(["  loading  40 %   8,192 nodes", "  loading  80 %   16,384 nodes"]);
  expect(stdout).toContain("20,001 of 20,001 nodes freed");
});

describe("what is refused", () => {
  beforeAll(() => {
    const files = {
      "broken.js": "const a = 1;\nlet b = ;\n",
      "module.js": 'import "node:fs";\nexport const a = ;\n',
      "broken.mjs": "return 1;\n",
      "broken.json": '{\n  "a": 1,,\n}\n',
      "two.json": '{ "a": 1 }\n  { "b": 2 }\n',
      "deep.json": `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
      "empty.js": "",
      "notes.txt": "words",
      none: "words",
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  });

  /** One line for people, and nothing else. */
  function expectRefusal(name: string, message: string) {
    const path = join(folder, name);
    const { status, stdout, stderr } = run(path);
    expect(stderr).toBe(`${path}${message}\n`);
    expect(stdout).not.toContain("2. ");
    expect(status).toBe(1);
  }

  test.each([
    ["missing.js", ": there is no such file."],
    ["broken.js", ":2:9: Unexpected token"],
    ["module.js", ":2:18: Unexpected token"],
    ["broken.mjs", ":1:1: 'return' outside of function"],
    ["broken.json", ":2:10: Unexpected token"],
    ["two.json", ":2:3: Unexpected text after the value"],
    ["empty.js", " is a single node: there is no tree to show."],
    ["notes.txt", ": .txt is not known here. Known are .js, .mjs, .cjs, .json."],
    ["none", ": a file without an extension is not known here. Known are .js, .mjs, .cjs, .json."],
    [".", " is a directory: name a file in it."],
  ])("%s", (name, message) => {
    if (name === ".") expectRefusalOfFolder(message);
    else expectRefusal(name, message);
  });

  function expectRefusalOfFolder(message: string) {
    const { status, stderr } = run(folder);
    expect(stderr).toBe(`${folder}${message}\n`);
    expect(status).toBe(1);
  }

  test("a source nested too deep for the parser", () => {
    const { status, stderr } = run(join(folder, "deep.json"));
    expect(stderr).toMatch(/deep\.json:1:\d+: Not enough stack space to parse input\n$/);
    expect(status).toBe(1);
  });

  test.each([
    [["a.js", "b.js"], "One file at a time, please; got 2: a.js, b.js."],
    [["--loud"], "Unknown option '--loud'"],
    [["--threads"], "Option '--threads <value>' argument missing"],
    [["--threads", "0"], "--threads takes a whole number from 1 to 16, got 0."],
    [["--threads", "17"], "--threads takes a whole number from 1 to 16, got 17."],
    [["--threads", "two"], "--threads takes a whole number from 1 to 16, got two."],
  ])("%s", (args, message) => {
    const { status, stdout, stderr } = run(...args);
    expect(stderr).toContain(message);
    expect(stderr).toContain("Usage: npm start -- [file] [--threads n] [--verify]");
    expect(stderr).not.toMatch(/\n +at /);
    expect(stdout).toBe("");
    expect(status).toBe(2);
  });
});

test("--help", () => {
  const { status, stdout, stderr } = run("--help");
  expect(stdout).toMatch(/^Usage: npm start -- \[file\] \[--threads n\] \[--verify\]\n/);
  expect(stdout).toContain("--verify");
  expect(stderr).toBe("");
  expect(status).toBe(0);
});
