/** The command `ouro` as a shell sees it: output, JSON, exit codes. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { any, dict, Heap, list, optional, str, struct } from "ouroheap";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(`${root}test/.docs-`);

function ouro(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}dist/ouro.js`, ...args], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, OUROHEAP_CHECKS: "" },
  });
  return { status, stdout, stderr };
}

class Node extends struct("Node", {
  name: str,
  get next() {
    return optional(Node);
  },
}) {}
const evil = '\u001b[31m<script>"quote"\nline';
const Evil = struct(`Evil ${evil}`, { [`field ${evil}`]: list(any) });

async function save(file: string, nodes: number): Promise<void> {
  const heap = Heap.create({ maximumBytes: 8 << 20, checks: "off" });
  const roots = {
    nodes: heap.new(
      list(Node),
      Array.from({ length: nodes }, (_, index) => ({ name: `node ${index}` })),
    ),
    [`root ${evil}`]: heap.new(Evil, { [`field ${evil}`]: [evil] } as never),
    table: heap.new(dict(str, any), [[evil, 1]]),
  };
  const [first] = roots.nodes;
  first.next = first;
  await heap.save(`${folder}/${file}`, { roots });
  heap.shutdown();
}

beforeAll(async () => {
  await save("small.heap", 10);
  await save("large.heap", 500);
  const damaged = readFileSync(`${folder}/small.heap`);
  damaged[damaged.length >> 1] ^= 64;
  writeFileSync(`${folder}/damaged.heap`, damaged);
  writeFileSync(`${folder}/text.heap`, "no heap at all");
  writeFileSync(
    `${folder}/clean.mjs`,
    'import { Heap } from "ouroheap"; Heap.create().shutdown(); console.log("clean");',
  );
  writeFileSync(
    `${folder}/leaking.mjs`,
    'import { Heap, list, str } from "ouroheap"; Heap.create().new(list(str), ["a"]); process.exitCode = Number(process.argv[2]);',
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("ouro", () => {
  it("explains itself", () => {
    const { status, stdout } = ouro("--help");
    expect(status).toBe(0);
    for (const command of ["run", "report", "roots", "refs", "backrefs", "diff", "heapsnapshot", "verify"])
      expect(stdout).toMatch(new RegExp(`ouro ${command}`));
  });

  it.each([
    [[], 2, /ouro: look into heaps/],
    [["repport", "x"], 2, /no command repport\. There are: report/],
    [["report"], 2, /ouro report FILE: 1 expected, got 0/],
    [["report", "--colour", "small.heap"], 2, /colour/],
    [["report", "--limit", "many", "small.heap"], 2, /--limit takes a whole number, got many/],
    [["refs", "small.heap", "0x10"], 2, /No object is at 0x10/],
    [["refs", "small.heap", "3"], 2, /An address is a number/],
    [["run"], 2, /which program/],
    [["run", "missing.mjs"], 2, /there is no missing\.mjs/],
    [["report", "missing.heap"], 3, /missing\.heap: .*no such file/i],
    [["verify", "text.heap"], 3, /text\.heap: /],
    [["verify", "damaged.heap"], 3, /damaged\.heap: /],
    [["heapsnapshot", "small.heap", "missing/out"], 3, /missing\/out cannot be written/],
  ] as [string[], number, RegExp][])("%j exits with %i and says why in a line", (args, status, message) => {
    const result = ouro(...args);
    expect([result.status, `${result.stdout}${result.stderr}`]).toEqual([
      status,
      expect.stringMatching(message),
    ]);
    expect(result.stderr).not.toMatch(/^ {4}at /m); // no stack
  });

  it("reports what is in a heap, in words and as JSON", () => {
    const { stdout } = ouro("report", "--limit", "2", "large.heap");
    for (const title of ["Types", "Generations", "What keeps most alive", "Cycles: 1", "Suspects"])
      expect(stdout).toContain(`\n${title}\n`);
    const report = JSON.parse(ouro("report", "--json", "large.heap").stdout);
    expect(report.types.find(({ type }: { type: string }) => type === "Node").count).toBe(500);
    expect([report.cycleCount, report.cycles[0].types]).toEqual([1, "1 Node"]);
    expect(report.retainers[0].object).toBe("list(Node)");
    expect(report.suspects[0]).toMatch(/^list\(Node\) at 0x\w+ keeps 9\d % of all bytes alive/);
  });

  it("names roots by size, draws who holds and what is held, and takes address and file in any order", () => {
    const roots = JSON.parse(ouro("roots", "--json", "small.heap").stdout);
    expect(roots.map(({ name }: { name: string }) => name)[0]).toBe("nodes");
    const [{ address }] = roots;
    const { stdout } = ouro(
      "refs",
      "small.heap",
      address,
      "--depth",
      "1",
      "--limit",
      "2",
      "--dot",
      "refs.dot",
    );
    expect(stdout).toMatch(
      /^list\(Node\) @0x\w+\n {2}\[0\] -> Node @0x\w+\n {2}\[1\] -> Node @0x\w+\n {2}-> 8 more\n$/,
    );
    expect(readFileSync(`${folder}/refs.dot`, "utf8")).toMatch(/^digraph/);
    expect(ouro("backrefs", address, "small.heap").stdout).toMatch(/<- root/);
    expect(ouro("refs", "small.heap", address, "--svg", "refs.svg").status).toBe(0);
    expect(readFileSync(`${folder}/refs.svg`, "utf8")).toContain("<svg");
  });

  it("says what there is more of, and exits with 1 only then", () => {
    expect(ouro("diff", "small.heap", "small.heap")).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/as many/),
    });
    const grown = ouro("diff", "--json", "small.heap", "large.heap");
    expect(grown.status).toBe(1);
    expect(JSON.parse(grown.stdout)).toContainEqual({
      type: "Node",
      countDelta: 490,
      bytesDelta: expect.any(Number),
    });
    expect(ouro("diff", "large.heap", "small.heap").status).toBe(0);
  });

  it("verifies, and writes what DevTools read", () => {
    expect(ouro("verify", "small.heap")).toMatchObject({
      status: 0,
      stdout: "small.heap: every invariant holds\n",
    });
    expect(ouro("heapsnapshot", "small.heap", "out.heapsnapshot").status).toBe(0);
    const { snapshot, strings } = JSON.parse(readFileSync(`${folder}/out.heapsnapshot`, "utf8"));
    expect(snapshot.node_count).toBeGreaterThan(20);
    expect(strings).toContain("Node");
  });

  it("shows as many roots as are asked for, however many there are", async () => {
    const heap = Heap.create({ maximumBytes: 64 << 20, checks: "off" });
    const many = Array.from({ length: 150_000 }, () => heap.new(Node, {}));
    await heap.save(`${folder}/many.heap`);
    expect(many).toHaveLength(150_000);
    const { status, stdout } = ouro("roots", "--limit", "3", "many.heap");
    expect([status, stdout.split("\n").length]).toEqual([0, 6]);
    expect(stdout).toContain("and 149,997 more");
  });

  it("lets nothing of a program act on the terminal", () => {
    for (const args of [
      ["report", "small.heap"],
      ["roots", "small.heap"],
      ["report", "--json", "small.heap"],
    ])
      expect(ouro(...args).stdout).not.toContain("\u001b");
  });
});

describe("ouro run", () => {
  it("exits with 0 after a program that left nothing", () => {
    const { status, stdout } = ouro("run", "clean.mjs");
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(
        /^clean\n\nThe heap when the program shut it down\n {2}Nothing was left behind\./,
      ),
    ]);
  });

  it("sees the heaps of every thread", () => {
    writeFileSync(
      `${folder}/threads.mjs`,
      'import { Worker } from "node:worker_threads"; import { Heap } from "ouroheap"; Heap.create().shutdown(); new Worker(new URL("leaking.mjs", import.meta.url), { argv: ["0"] });',
    );
    const { status, stdout } = ouro("run", "--json", "threads.mjs");
    const { heaps } = JSON.parse(stdout);
    expect([status, heaps.map(({ held }: { held: { count: number } }) => held.count > 0).sort()]).toEqual([
      1,
      [false, true],
    ]);
  });

  it("exits with 1 after one that did, or with the program's own code", () => {
    expect(ouro("run", "leaking.mjs", "0").status).toBe(1);
    expect(ouro("run", "leaking.mjs", "7").status).toBe(7);
    const { stdout } = ouro("run", "--json", "leaking.mjs", "0");
    const { heaps } = JSON.parse(stdout);
    expect(heaps[0].held.groups[0]).toMatchObject({
      type: "list(str)",
      count: 1,
      madeAt: expect.stringMatching(/leaking\.mjs:1/),
    });
    // The list, its text, and the name of its type, which comes with the first of it.
    expect(heaps[0].lines[0]).toMatchObject({ objects: 3, source: expect.stringMatching(/^import/) });
  });
});
