/** The command `ouro` as a shell sees it: output, JSON, exit codes. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { any, dict, Heap, list, optional, str, struct } from "ouroheap";
import type { FunctionProfile } from "ouroheap/inspect";
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
  writeFileSync(`${folder}/run`, readFileSync(`${folder}/small.heap`));
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
    [["run", "--trace", "abc", "clean.mjs"], 2, /--trace must be a number of frames such as 25.*got "abc"/],
    [
      ["run", "--trace", "0/5", "clean.mjs"],
      2,
      /frames of --trace must be a whole number from 1 to 1000, got 0/,
    ],
    [["run", "--trace", "5/0", "clean.mjs"], 2, /second number of --trace/],
    [["run", "--profile", "", "clean.mjs"], 2, /--profile takes a FUNCTION/],
    [["diff", "run", "missing.heap"], 3, /missing\.heap/],
    [["diff", "--limit", "3", "run", "small.heap", "--json"], 0, /\[\]/],
    [["--limit", "3", "report", "run", "--depth", "1"], 0, /objects with/],
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

  it("says its version, and refuses a bad OUROHEAP_TRACE before a program starts", () => {
    const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
    expect(ouro("--version")).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [`${root}dist/ouro.js`, "run", "clean.mjs"],
      {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, OUROHEAP_TRACE: "many" },
      },
    );
    expect([status, stdout, stderr]).toEqual([
      2,
      "",
      expect.stringMatching(/^OUROHEAP_TRACE must be .*"many"\.\n/),
    ]);
  });

  it("says what is in no generation, and shows as many rows as are asked for, none and all included", async () => {
    const report = JSON.parse(ouro("report", "--json", "--limit", "0", "large.heap").stdout);
    const tracked = report.generations.reduce(
      (sum: number, one: { objects: number }) => sum + one.objects,
      0,
    );
    expect([report.frozen, report.untracked + tracked]).toEqual([0, report.objects]);
    expect(report.untracked).toBeGreaterThanOrEqual(500); // each node's name, and what can be on no cycle
    expect([report.retainers, report.cycles, report.types, report.cycleCount]).toEqual([[], [], [], 1]);
    expect(ouro("report", "large.heap").stdout).toMatch(
      /\n {2}none: strings, and what can be on no cycle +\d+\n\nWhat keeps/,
    );
    const all = JSON.parse(ouro("report", "--json", "--limit", "200000", "large.heap").stdout);
    expect(all.retainers).toHaveLength(all.objects);
    const heap = Heap.create({ maximumBytes: 8 << 20 });
    const node = heap.new(Node, {});
    heap.gc.freeze();
    await heap.save(`${folder}/frozen.heap`, { roots: { node } });
    expect(JSON.parse(ouro("report", "--json", "frozen.heap").stdout).frozen).toBe(1);
    expect(ouro("report", "frozen.heap").stdout).toMatch(/\n {2}frozen +1\n/);
  });

  it("names the line that made each root, whatever it says", async () => {
    const heap = Heap.create({ maximumBytes: 8 << 20, checks: { handles: { every: 1 } } });
    const node = heap.new(Node, { next: {} });
    await heap.save(`${folder}/lines.heap`, { roots: { node } });
    const [{ madeAt }] = JSON.parse(ouro("roots", "--json", "lines.heap").stdout);
    expect(madeAt[0]).toMatch(/ouro\.test\.ts:\d+:\d+\)?$/);
    expect(ouro("roots", "lines.heap").stdout).toMatch(/made at\n {2}node .*ouro\.test\.ts:\d+/);
    expect(ouro("report", "lines.heap").stdout).toMatch(
      /root \(saved as "node", made at .*ouro\.test\.ts:\d+.*\) <- Node\.next/,
    );
    expect(ouro("roots", "small.heap").stdout).toContain("(not recorded)");
    Object.assign((node as unknown as { "@owner": object })["@owner"], { madeAt: evil });
    await heap.save(`${folder}/evil.heap`, { roots: { node } });
    for (const command of ["roots", "report"])
      for (const args of [
        [command, "evil.heap"],
        [command, "--json", "evil.heap"],
      ]) {
        const { status, stdout } = ouro(...args);
        expect([status, stdout.includes("\u001b"), stdout.includes("u{1b}")]).toEqual([0, false, true]);
      }
  });

  it("says in a line that drawing needs a package", () => {
    const alone = mkdtempSync(join(tmpdir(), "ouroheap-alone-"));
    try {
      cpSync(`${root}dist`, `${alone}/dist`, { recursive: true });
      writeFileSync(`${alone}/package.json`, '{ "type": "module" }');
      const [{ address }] = JSON.parse(ouro("roots", "--json", "small.heap").stdout);
      const args = [
        `${alone}/dist/ouro.js`,
        "refs",
        `${folder}/small.heap`,
        address,
        "--svg",
        `${alone}/out.svg`,
      ];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
      expect([status, stdout, stderr]).toEqual([
        2,
        "",
        expect.stringMatching(
          /^SVG is made by Graphviz.*npm install @hpcc-js\/wasm-graphviz.*\n"ouro --help" says how\.\n$/,
        ),
      ]);
    } finally {
      rmSync(alone, { recursive: true });
    }
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

  it("has a line profile: how often each line allocated, how much, and what of it is alive", () => {
    writeFileSync(
      `${folder}/lines.mjs`,
      [
        'import { Heap, f64, release, struct } from "ouroheap";',
        'const Point = struct("Point", { x: f64 });',
        "const heap = Heap.create();",
        "release(heap.new(Point, {})); // the type's own tables",
        "for (let i = 0; i < 10; i++)",
        "  release(heap.new(Point, {}));",
        "const kept = [1, 2, 3].map((x) => heap.new(Point, { x }));",
      ].join("\n"),
    );
    const { heaps, profiles } = JSON.parse(ouro("run", "--json", "lines.mjs").stdout);
    const lines = heaps[0].lines.filter(({ line }: { line: string }) => !line.endsWith(":4"));
    expect([lines, profiles]).toEqual([
      [
        {
          line: expect.stringMatching(/lines\.mjs:7$/),
          occurrences: 3,
          allocatedBytes: 96,
          bytes: 96,
          objects: 3,
          source: "const kept = [1, 2, 3].map((x) => heap.new(Point, { x }));",
        },
        expect.objectContaining({ occurrences: 10, allocatedBytes: 320, bytes: 0, objects: 0 }),
      ],
      [],
    ]);
    const { stdout } = ouro("run", "--limit", "1", "lines.mjs");
    expect(stdout).toMatch(
      /\nLine profile: .*\n {2}line +allocated +increment +occurrences +line contents\n.*\n {2}and 2 lines more/,
    );
    expect(JSON.parse(ouro("run", "--json", "--trace", "0", "lines.mjs").stdout).heaps[0].lines).toEqual([]);
  });

  it("profiles the functions that are named line by line, over all heaps, as memory_profiler does", () => {
    writeFileSync(
      `${folder}/maker.mjs`,
      [
        'import { Heap, f64, release, struct } from "ouroheap";',
        'const Point = struct("Point", { x: f64 });',
        "const [one, two] = [Heap.create(), Heap.create()];",
        "for (const heap of [one, two]) release(heap.new(Point, {}));",
        "export class Maker {",
        "  async make(count) {",
        "    const points = [];",
        "    for (let i = 0; i < count; i++)",
        "      points.push(one.new(Point, {}), two.new(Point, {}));",
        "    await null;",
        "    return points;",
        "  }",
        "}",
        "export const drop = (points) => {",
        "  for (let i = 0; i < points.length; i++)",
        "    release(points[i]);",
        "  two.shutdown();",
        "};",
        "export function unused() {}",
      ].join("\n"),
    );
    writeFileSync(
      `${folder}/profiled.mjs`,
      'import { drop, Maker } from "./maker.mjs"; function make() {} make(); drop(await new Maker().make(4)); console.log("done");',
    );
    const names = ["Maker.make", "maker.mjs:drop", "unused", "nowhere", "profiled.mjs:make"];
    const args = ["run", ...names.flatMap((name) => ["--profile", name]), "profiled.mjs"];
    const { stdout, stderr, status } = ouro(...args);
    expect([status, stderr]).toEqual([0, "ouro: no file of the program has a function nowhere.\n"]);
    expect(stdout).not.toContain("Line profile");
    const profiles: { name: string; functions: FunctionProfile[] }[] = JSON.parse(
      ouro("run", "--json", ...args.slice(1)).stdout.replace(/^done\n/, ""),
    ).profiles;
    expect(profiles.map(({ name, functions }) => [name, functions.length])).toEqual(
      names.map((name) => [name, name === "nowhere" ? 0 : 1]),
    );
    const numbers = (index: number) =>
      profiles[index].functions[0].lines
        .filter(({ occurrences }) => occurrences > 0)
        .map(({ line, occurrences, bytesIncrement }) => [line, occurrences, bytesIncrement]);
    expect(numbers(0)).toEqual([
      [7, 1, 0],
      [8, 5, 0],
      [9, 4, 256],
      [10, 1, 0],
      [11, 1, 0],
    ]);
    expect(numbers(1).slice(0, 2)).toEqual([
      [15, 9, 0],
      [16, 8, -256],
    ]);
    expect(numbers(1)[2][2]).toBeLessThan(0); // a heap that is shut down is gone
    expect(numbers(2)).toEqual([]);
    expect(stdout).toMatch(
      /\nFilename: maker\.mjs\nFunction: Maker\.make\n\nLine # +Mem usage +Increment Occurrences +Line Contents\n=+\n/,
    );
    expect(stdout).toMatch(/\n +9 .* 4 +points\.push\(one\.new/);
  });
});
