/**
 * Mutation testing of the code that everything stands on: reference counts, generation tables, the collector.
 *
 * Each mutant is one small mistake: a statement left out, a number off by one, a comparison or a branch turned round. The
 * tests must notice it. Those that they cannot notice are listed in mutate-survivors.json, each with the reason; a
 * survivor that is not in the list fails the run.
 *
 *   npm run mutate                                  all mutants
 *   npm run mutate -- --file src/gc/collect.ts      of one file
 *   npm run mutate -- --in dieDeferred              of one function
 *   npm run mutate -- --tests test/model             by the tests of one folder, or one file
 *   npm run mutate -- --sample 60 --seed 7          some of them, chosen by a seed
 *   npm run mutate -- --known                       the known survivors too, which are passed over otherwise
 *   npm run mutate -- --quick                       with a share of the random programs only
 *   npm run mutate -- --list                        show them and run nothing
 *
 * The project is copied once for each core and mutated there; the tests run in processes that are killed, with all they
 * started, when a mutant never ends (that counts as noticed). Types are not checked.
 */
import { fork } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import ts from "typescript";

const FILES = ["src/object/refcount.ts", "src/object/generation.ts", "src/gc/collect.ts"];
/** The tests that matter, by folder. */
const TEST_FOLDERS = ["test/unit/object", "test/unit/gc", "test/model"];
const COPIED = ["src", "test", "package.json", "tsconfig.json", "vitest.config.ts"];
/** Share of the random programs that a mutant meets first; one that survives meets all of them. */
const FIRST_RUNS = "0.2";
/** A test file may take this many times as long as without a mutation, and so many milliseconds more. */
const SLOWER_TIMES = 5;
const SLOWER_MS = 4000;

const root = fileURLToPath(new URL("..", import.meta.url));
const survivorsPath = join(root, "scripts/mutate-survivors.json");

// -- mutants --------------------------------------------------------------------------------------

/**
 * @typedef {object} Mutant
 * @property {string} file
 * @property {number} line
 * @property {string} in the function around it
 * @property {string} statement the statement that it is in, on one line
 * @property {string} mutation what is changed
 * @property {number} start of the text that is replaced
 * @property {number} end
 * @property {string} text in its place
 */

const SWAPPED_OPERATORS = new Map([
  [ts.SyntaxKind.LessThanToken, "<="],
  [ts.SyntaxKind.LessThanEqualsToken, "<"],
  [ts.SyntaxKind.GreaterThanToken, ">="],
  [ts.SyntaxKind.GreaterThanEqualsToken, ">"],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "==="],
  [ts.SyntaxKind.PlusToken, "-"],
  [ts.SyntaxKind.MinusToken, "+"],
  [ts.SyntaxKind.PlusPlusToken, "--"],
  [ts.SyntaxKind.MinusMinusToken, "++"],
  [ts.SyntaxKind.PlusEqualsToken, "-="],
  [ts.SyntaxKind.MinusEqualsToken, "+="],
  [ts.SyntaxKind.AmpersandAmpersandToken, "||"],
  [ts.SyntaxKind.BarBarToken, "&&"],
]);

const EQUALITIES = new Set([
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
]);

/** `object + HEADER_TYPE`: an address of the layout, where a minus is no likely mistake (and some offsets are 0). */
function isField({ operatorToken, right }) {
  return (
    operatorToken.kind === ts.SyntaxKind.PlusToken &&
    ts.isIdentifier(right) &&
    /^[A-Z][A-Z_]+$/.test(right.text)
  );
}

/** Every mutant of a file, in the order of the text. @returns {Mutant[]} */
function findMutants(file) {
  const text = readFileSync(join(root, file), "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  /** @type {Mutant[]} */
  const mutants = [];

  function add(node, mutation, start, end, replacement) {
    mutants.push({
      file,
      line: source.getLineAndCharacterOfPosition(start).line + 1,
      in: functionAround(node),
      statement: oneLine(statementAround(node).getText(source)),
      mutation,
      start,
      end,
      text: replacement,
    });
  }

  /** Replace a part of an expression; the mutation is told by the expression before and after. */
  function swap(node, part, replacement) {
    const [start, end] = [part.getStart(source), part.getEnd()];
    const before = text.slice(node.getStart(source), node.getEnd());
    const after = text.slice(node.getStart(source), start) + replacement + text.slice(end, node.getEnd());
    add(node, `${oneLine(before)} -> ${oneLine(after)}`, start, end, replacement);
  }

  function negate(node, condition) {
    if (ts.isBinaryExpression(condition) && EQUALITIES.has(condition.operatorToken.kind)) return; // swapped anyway
    const [start, end] = [condition.getStart(source), condition.getEnd()];
    const negated = `!(${text.slice(start, end)})`;
    add(node, `negate ${oneLine(condition.getText(source))}`, start, end, negated);
  }

  function visit(node) {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isInterfaceDeclaration(node)) return;
    if (isDeletable(node))
      add(node, "delete", node.getStart(source), node.getEnd(), ts.isBlock(node.parent) ? "" : ";");
    if (ts.isIfStatement(node)) negate(node, node.expression);
    if (ts.isConditionalExpression(node)) negate(node, node.condition);
    if (ts.isBinaryExpression(node) && SWAPPED_OPERATORS.has(node.operatorToken.kind) && !isField(node))
      swap(node, node.operatorToken, SWAPPED_OPERATORS.get(node.operatorToken.kind));
    if (ts.isPostfixUnaryExpression(node) || ts.isPrefixUnaryExpression(node)) swapUnary(node);
    if (ts.isNumericLiteral(node) && !ts.isPropertyAssignment(node.parent)) {
      const value = Number(node.text);
      swap(node.parent, node, String(value + 1));
      if (value > 0) swap(node.parent, node, String(value - 1));
    }
    ts.forEachChild(node, visit);
  }

  function swapUnary(node) {
    const operator = SWAPPED_OPERATORS.get(node.operator);
    if (operator?.length !== 2) return; // a sign
    const operand = node.operand.getText(source);
    const replacement = ts.isPrefixUnaryExpression(node) ? operator + operand : operand + operator;
    add(node, `${node.getText(source)} -> ${replacement}`, node.getStart(source), node.getEnd(), replacement);
  }

  visit(source);
  return mutants;
}

/**
 * Statements worth leaving out. Declarations are not: whatever uses them fails. Nor is what an `if` without `else` does
 * when that is all it does: leaving the `if` out is the same.
 */
function isDeletable(node) {
  if (!ts.isStatement(node) || ts.isBlock(node) || ts.isEmptyStatement(node)) return false;
  if (ts.isVariableStatement(node) || ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node))
    return false;
  if (!isInFunction(node)) return false;
  const holder = ts.isBlock(node.parent) && node.parent.statements.length === 1 ? node.parent : node;
  const { parent } = holder;
  return !(ts.isIfStatement(parent) && parent.thenStatement === holder && parent.elseStatement === undefined);
}

function isInFunction(node) {
  for (let around = node.parent; around !== undefined; around = around.parent)
    if (ts.isFunctionLike(around)) return true;
  return false;
}

function statementAround(node) {
  let around = node;
  while (!ts.isStatement(around) && !ts.isClassElement(around)) around = around.parent;
  return around;
}

function functionAround(node) {
  for (let around = node; around !== undefined; around = around.parent) {
    if (ts.isConstructorDeclaration(around)) return "constructor";
    if (ts.isFunctionLike(around) && around.name !== undefined) return around.name.getText();
  }
  return "";
}

function oneLine(text) {
  const flat = text.replace(/\s+/g, " ");
  return flat.length > 110 ? `${flat.slice(0, 110)}…` : flat;
}

/** What tells a mutant from others, wherever its line has moved to. */
function keyOf({ file, in: where, statement, mutation }) {
  return [file, where, statement, mutation].join(" | ");
}

// -- one lane: a copy of the project and a process that tests mutants in it -----------------------------

/** The child's side: run test files when told to, and say which one failed. */
async function serveLane(directory) {
  const { createVitest } = await import("vitest/node");
  let vitest;
  let runs;

  /** Another share of random programs needs another vitest, because workers inherit its environment. */
  async function open(wantedRuns) {
    if (runs === wantedRuns) return;
    await vitest?.close();
    runs = wantedRuns;
    process.env.OUROHEAP_RUNS = runs;
    vitest = await createVitest(
      "test",
      { root: directory, watch: false, bail: 1, pool: "forks", fileParallelism: false, reporters: [{}] },
      { cacheDir: join(directory, ".cache") },
    );
  }

  process.on("message", async ({ changed, tests, runs: wantedRuns }) => {
    await open(wantedRuns);
    for (const path of changed) vitest.invalidateFile(path);
    for (const test of tests) {
      process.send({ started: test });
      const specifications = await vitest.globTestSpecifications([test]);
      const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
      const hasPassed = testModules.length > 0 && testModules.every((module) => module.ok());
      if (!hasPassed || unhandledErrors.length > 0) {
        process.send({ failed: test, why: errorsOf(testModules, unhandledErrors) });
        return;
      }
    }
    process.send({ failed: undefined });
  });
  process.send({ ready: true });
}

/** What the tests that failed say, in short. */
function errorsOf(testModules, unhandledErrors) {
  const ofTests = testModules.flatMap((module) => [
    ...module.errors(),
    ...[...module.children.allTests("failed")].flatMap((test) => test.result().errors),
  ]);
  return [...ofTests, ...unhandledErrors].map(({ message }) => message).join("\n");
}

class Lane {
  constructor(directory) {
    this.directory = directory;
    for (const name of COPIED) cpSync(join(root, name), join(directory, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"), "junction");
  }

  async open() {
    if (this.child !== undefined) return;
    // A group of its own, so that a worker in an endless loop ends with it.
    this.child = fork(fileURLToPath(import.meta.url), ["--lane", this.directory], {
      cwd: this.directory,
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      env: { ...process.env, OUROHEAP_CHECKS: "", NODE_ENV: "test" },
    });
    await new Promise((resolve) => this.child.once("message", resolve));
  }

  close() {
    if (this.child === undefined) return;
    this.child.removeAllListeners();
    try {
      process.kill(-this.child.pid, "SIGKILL");
    } catch {
      this.child.kill("SIGKILL"); // where there are no process groups
    }
    this.child = undefined;
  }

  /**
   * Run test files one after the other until one fails.
   * @returns {Promise<{ failed?: string, why?: string }>} the one that failed; "timeout" when one went beyond its limit,
   * "crash" when the process ended
   */
  async run(changed, tests, runs, limitOf) {
    await this.open();
    const { child } = this;
    const result = await new Promise((resolve) => {
      let timer;
      const watch = (limitMs) => {
        clearTimeout(timer);
        timer = setTimeout(() => resolve({ failed: "timeout" }), limitMs);
      };
      const finish = (message) => {
        clearTimeout(timer);
        resolve(message);
      };
      watch(60_000);
      child.removeAllListeners();
      child.on("message", (message) =>
        message.started === undefined ? finish(message) : watch(limitOf(message.started)),
      );
      child.once("exit", () => finish({ failed: "crash" }));
      child.send({ changed, tests, runs });
    });
    if (result.failed === "timeout" || result.failed === "crash") this.close();
    return result;
  }

  /** Test one mutant: the most lethal tests first, and all random programs only if it survives a share of them. */
  async test(mutant, tests, limitOf, isQuick) {
    const path = join(this.directory, mutant.file);
    const original = readFileSync(join(root, mutant.file), "utf8");
    writeFileSync(path, original.slice(0, mutant.start) + mutant.text + original.slice(mutant.end));
    try {
      const { failed } = await this.run([path], tests, FIRST_RUNS, limitOf);
      if (failed !== undefined || isQuick) return failed;
      return (await this.run([path], tests.filter(isRandom), "1", (test) => limitOf(test) * 5)).failed;
    } finally {
      writeFileSync(path, original);
    }
  }
}

function isRandom(test) {
  return test.startsWith("test/model/");
}

// -- the run ----------------------------------------------------------------------------------------

/** The test files whose path begins with a text. */
function testFiles(prefix) {
  return TEST_FOLDERS.filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
    .filter((path) => path.endsWith(".test.ts") && path.startsWith(prefix));
}

/** How long each test file takes without a mutation. @throws Error if one fails */
async function measure(lane, tests) {
  const tookMs = new Map();
  for (const test of tests) {
    const startMs = performance.now();
    const { failed, why } = await lane.run([], [test], FIRST_RUNS, () => 300_000);
    if (failed !== undefined) throw new Error(`${test} fails without any mutation: ${why ?? failed}`);
    tookMs.set(test, performance.now() - startMs);
  }
  return tookMs;
}

/** Test mutants on all lanes. @returns {Promise<Map<Mutant, string | undefined>>} which test noticed each */
async function runAll(lanes, mutants, tests, isQuick, onResult) {
  const tookMs = await measure(lanes[0], tests);
  const limitOf = (test) => tookMs.get(test) * SLOWER_TIMES + SLOWER_MS;
  const kills = new Map(tests.map((test) => [test, 0]));
  // A quick file that has noticed much comes first.
  const value = (test) => (kills.get(test) + 1) / tookMs.get(test);
  const results = new Map();
  const queue = [...mutants];
  const work = async (lane) => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const ordered = [...tests].sort((a, b) => value(b) - value(a));
      const failed = await lane.test(mutant, ordered, limitOf, isQuick);
      if (kills.has(failed)) kills.set(failed, kills.get(failed) + 1);
      results.set(mutant, failed);
      onResult(mutant, failed, results.size);
    }
  };
  await Promise.all(lanes.map(work));
  return results;
}

function chooseSample(mutants, count, seed) {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
  return mutants
    .map((mutant) => ({ mutant, order: random() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, count)
    .map(({ mutant }) => mutant);
}

function show(mutant) {
  return `${mutant.file}:${mutant.line} in ${mutant.in}\n    ${mutant.statement}\n    ${mutant.mutation}`;
}

/** Say what came of it. @returns whether every survivor is in the list */
function report(results, known) {
  for (const file of FILES) {
    const ofFile = [...results].filter(([mutant]) => mutant.file === file);
    if (ofFile.length === 0) continue;
    const count = (test) => ofFile.filter(([, failed]) => test(failed)).length;
    const survived = count((failed) => failed === undefined);
    const endless = count((failed) => failed === "timeout");
    console.log(
      `${file}: ${ofFile.length} mutants, ${ofFile.length - survived} killed (${endless} by the time limit), ${survived} survived`,
    );
  }
  for (const [mutant, failed] of results)
    if (failed !== undefined && known.has(keyOf(mutant)))
      console.log(`LISTED, but noticed by ${failed}: ${keyOf(mutant)}`);
  const unknown = [...results].filter(
    ([mutant, failed]) => failed === undefined && !known.has(keyOf(mutant)),
  );
  for (const [mutant] of unknown) console.log(`SURVIVED ${show(mutant)}`);
  return unknown.length === 0;
}

/** The list of survivors: reasons by what tells a mutant from others. @throws Error for an entry without a mutant */
function readKnown(mutants) {
  const entries = existsSync(survivorsPath) ? JSON.parse(readFileSync(survivorsPath, "utf8")) : [];
  const known = new Map(entries.map((entry) => [keyOf(entry), entry.reason]));
  const keys = new Set(mutants.map(keyOf));
  const lost = [...known.keys()].filter((key) => !keys.has(key));
  if (lost.length > 0) throw new Error(`listed survivors that no mutant is any more:\n${lost.join("\n")}`);
  return known;
}

function choose(mutants, known, options) {
  const chosen = mutants.filter(
    (mutant) =>
      (options.file === undefined || options.file === mutant.file) &&
      (options.in === undefined || options.in === mutant.in) &&
      (options.known || !known.has(keyOf(mutant))),
  );
  return options.sample === undefined
    ? chosen
    : chooseSample(chosen, Number(options.sample), Number(options.seed));
}

/** As many copies of the project as there are cores. They and all their processes are gone when this process ends. */
function makeLanes(count) {
  const temporary = mkdtempSync(join(tmpdir(), "ouroheap-mutate-"));
  const lanes = [];
  process.on("exit", () => {
    for (const lane of lanes) lane.close();
    rmSync(temporary, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
  for (let index = 0; index < count; index++) {
    const directory = join(temporary, `lane-${index}`);
    mkdirSync(directory);
    lanes.push(new Lane(directory));
  }
  return lanes;
}

async function main() {
  const { values: options } = parseArgs({
    options: {
      file: { type: "string" },
      in: { type: "string" },
      tests: { type: "string", default: "" },
      sample: { type: "string" },
      seed: { type: "string", default: "1" },
      known: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      lane: { type: "string" },
    },
  });
  if (options.lane !== undefined) {
    await serveLane(options.lane);
    return;
  }
  const all = FILES.flatMap(findMutants);
  const known = readKnown(all);
  const mutants = choose(all, known, options);
  if (options.list) {
    for (const mutant of mutants) console.log(show(mutant));
    console.log(`${mutants.length} mutants`);
    return;
  }
  if (mutants.length === 0) return;
  const lanes = makeLanes(Math.min(availableParallelism(), mutants.length));
  const results = await runAll(
    lanes,
    mutants,
    testFiles(options.tests),
    options.quick,
    (mutant, failed, done) => {
      if (failed === undefined) console.log(`[${done}/${mutants.length}] survived: ${show(mutant)}`);
      else if (done % 25 === 0) console.log(`[${done}/${mutants.length}]`);
    },
  );
  process.exit(report(results, known) ? 0 : 1);
}

await main();
