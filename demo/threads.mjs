/** The last act, if it is asked for: other threads ask the tree while this one replaces parts of it. */
import v8 from "node:v8";
import { release } from "ouroheap";
import { heapStore } from "./heap-store.mjs";
import { parseInput } from "./input.mjs";
import { load } from "./load.mjs";
import { load as loadPlain } from "./load.mjs?plain";
import { clockMs, timed } from "./measure.mjs";
import { plainStore } from "./plain-store.mjs";
import { count, heading, megabytes, milliseconds, row, table, text } from "./print.mjs";
import { startRepeatedProgress } from "./progress.mjs";
import { countNames, questionFor } from "./query.mjs";
import { Reader } from "./readers.mjs";
import { findPlaces, replace } from "./replace.mjs";

const WARM_UP_MS = 300;
const PHASE_MS = 1500;
/** What is replaced under one guard. */
const TURN_MS = 5;

/**
 * @param {import("./story.mjs").Stage} stage its heap is empty, and empty again afterwards; it is shared
 * @param {number} threads
 */
export async function tellOfThreads(stage, threads) {
  const { heap, input } = stage;
  heading(
    `6. ${threads === 1 ? "Another thread asks" : `${threads} other threads ask`} while this one replaces`,
  );
  const parsed = parseInput(input);
  const progress = startRepeatedProgress();
  const tree = load(parsed, heapStore(heap), (done, nodeCount) => progress.update(done, nodeCount));
  progress.stop();
  const expected = countNames(tree.root, questionFor(input).nameOf);
  const readers = await Promise.all(Array.from({ length: threads }, () => Reader.start()));
  try {
    const sharedMs = await share(heap, tree, parsed, readers);
    await askAndReplace({ ...stage, tree, parsed, expected, readers });
    const cloned = await clone(parsed, readers[0]);
    printTable(sharedMs, cloned);
    for (const reader of readers) await reader.ask("leave");
  } finally {
    for (const reader of readers) await reader.stop();
  }
  end(heap, tree);
}

// -- sharing ------------------------------------------------------------------------------------

/** Every reader gets the tree. @returns {Promise<number>} milliseconds to the first read of the first of them, sharing included */
async function share(heap, { root, nodeCount }, parsed, readers) {
  const startMs = clockMs();
  const token = heap.share();
  let firstMs = 0;
  for (const [index, reader] of readers.entries()) {
    reader.reportEndTo(heap);
    const parcel = underGuard(heap, () => heap.send(root));
    const { end, atMs } = await reader.ask("attach", { token, parcel, name: `reader ${index + 1}` });
    if (end !== parsed.end) throw new Error(`A thread read ${end} instead of ${parsed.end}.`);
    if (index === 0) firstMs = atMs - startMs;
  }
  row("shared and read in", milliseconds(firstMs), `${count(nodeCount)} nodes, none of them copied`);
  return firstMs;
}

// -- asking and replacing -----------------------------------------------------------------------

async function askAndReplace(stage) {
  const { heap, input, tree, parsed, expected, readers, check } = stage;
  const ask = (who, ms) =>
    Promise.all(who.map((reader) => reader.ask("ask", { isJson: input.isJson, expected, ms })));
  await ask(readers, WARM_UP_MS);
  const tell = (label, answers, remark) => {
    const speed = answers.reduce((sum, { answers, ms }) => sum + (answers * tree.nodeCount) / ms, 0);
    row(label, count(speed), `nodes a millisecond${remark}`);
  };
  tell("1 thread asks", await ask(readers.slice(0, 1), PHASE_MS), "");
  if (readers.length > 1) tell(`${readers.length} threads ask`, await ask(readers, PHASE_MS), " together");

  const places = underGuard(heap, () => findPlaces(tree.root, parsed, tree.nodeCount));
  const asked = ask(readers, PHASE_MS);
  const replaced = await replaceAgainAndAgain(heap, places, asked);
  const answers = await asked;
  tell("the same while I replace", answers, "; every answer was right");
  row("replaced meanwhile", count(replaced.parts), `subtrees, ${count(replaced.nodeCount)} nodes`);
  row("longest exclusive guard", milliseconds(replaced.longestMs), "new nodes, links and collections");
  underGuard(heap, () => {
    for (const { node } of places) release(node);
    const collected = timed(() => heap.gc.collect());
    row(
      "gc.collect()",
      milliseconds(collected.ms),
      `${count(collected.result)} nodes of replaced subtrees freed`,
    );
    check();
  });
}

/** Until the readers are done. The event loop has to turn in between, or nobody would hear of it. */
async function replaceAgainAndAgain(heap, places, asked) {
  const replaced = { parts: 0, nodeCount: 0, longestMs: 0 };
  let isOver = false;
  const over = asked.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    underGuard(heap, () => takeTurn(heap, places, replaced));
    await new Promise(setImmediate);
  }
  await over;
  return replaced;
}

function takeTurn(heap, places, replaced) {
  const startMs = clockMs();
  let ms = 0;
  do {
    replaced.nodeCount += replace(heap, places[replaced.parts % places.length]);
    replaced.parts++;
    ms = clockMs() - startMs;
  } while (ms < TURN_MS);
  replaced.longestMs = Math.max(replaced.longestMs, ms);
}

function underGuard(heap, body) {
  const guard = heap.lock();
  try {
    return body();
  } finally {
    guard[Symbol.dispose]();
  }
}

// -- the alternative ----------------------------------------------------------------------------

/** Send the tree as plain objects. @returns {Promise<{ ms: number, bytes: number }>} */
async function clone(parsed, reader) {
  text();
  const plain = loadPlain(parsed, plainStore()).root;
  const sent = await send(plain, reader);
  if (sent.refusal === undefined) return sent;
  text(
    `Structured clone refuses the same tree as plain objects (${sent.refusal}): it recurses,`,
    "and a chain of siblings is as deep as it is long. What is sent instead is the parser's tree, which has arrays.",
  );
  const instead = await send(parsed, reader);
  if (instead.refusal !== undefined) text(`It refuses that one too (${instead.refusal}).`);
  text();
  return instead;
}

async function send(tree, reader) {
  const startMs = clockMs();
  try {
    const answer = await reader.ask("clone", { tree });
    if (answer.refusal !== undefined) return answer;
    if (answer.end !== tree.end) throw new Error(`A thread read ${answer.end} instead of ${tree.end}.`);
    return { ms: answer.atMs - startMs, bytes: v8.serialize(tree).length };
  } catch (error) {
    if (!(error instanceof RangeError) && error.name !== "DataCloneError") throw error;
    return { refusal: error.message };
  }
}

function printTable(sharedMs, cloned) {
  const isSent = cloned.refusal === undefined;
  table([
    ["", "shared heap", "structured clone"],
    [
      "time until a thread has read the root",
      milliseconds(sharedMs),
      isSent ? milliseconds(cloned.ms) : "never",
    ],
    ["bytes copied for each thread", "none", isSent ? megabytes(cloned.bytes) : "n/a"],
    ["a change is seen by the others", "at once", "when it is sent"],
  ]);
}

// -- the end ------------------------------------------------------------------------------------

/** The threads have left: what they held is released. */
function end(heap, { root }) {
  underGuard(heap, () => {
    release(root);
    heap.gc.collect();
  });
}
