/**
 * The main job: the life of a syntax-tree store, as a compiler or a linter has one. `npm start -- --help` says more.
 *
 *     options  input                          what is asked for, what is read
 *     tables  syntax  estree  load            the store: names, node types, from the parser's tree to ours
 *     heap-store  plain-store                 where nodes are made
 *     query  lint-rule                        what is done with them
 *     story  compare  threads                 what is told
 *     readers  reader  replace                what threads do
 *     print  progress  measure
 */
import { Heap, OutOfMemoryError } from "ouroheap";
import { verify } from "ouroheap/inspect";
import { compare } from "./compare.mjs";
import { InputError, readInput } from "./input.mjs";
import { HELP, readOptions, UsageError } from "./options.mjs";
import { count, heading, megabytes, milliseconds, text } from "./print.mjs";
import { tellStory } from "./story.mjs";
import { tellOfThreads } from "./threads.mjs";

async function main() {
  const { path, threads, isVerifying, isHelpWanted } = readOptions(process.argv.slice(2));
  if (isHelpWanted) process.stdout.write(HELP);
  else await run(readInput(path), threads, isVerifying);
}

async function run(input, threads, isVerifying) {
  introduce(input);
  // The default outside production. Act 3 needs it anywhere: it keeps the lines where handles are made.
  const heap = Heap.create({ checks: "handles" });
  try {
    const check = isVerifying ? () => verify(heap) : () => {};
    tellStory({ heap, input, check });
    compare(heap, input);
    if (threads > 0) await tellOfThreads({ heap, input, check }, threads);
    requireEmpty(heap, threads > 0);
  } finally {
    heap[Symbol.dispose]();
  }
  conclude();
}

function introduce({ name, text: source }) {
  console.log(`The life of a syntax tree: ${name}, ${count(source.length)} characters`);
  text();
  text(
    "Every node is an object in a heap outside V8. It refers to its parent, its first child and its next",
    "sibling, and every reference is counted. An object whose count comes to zero is freed at once; those",
    "left with references among themselves only are freed by a collector like Python's.",
  );
}

/** Nothing may be left behind. @throws Error, HeapCorruptionError */
function requireEmpty(heap, isShared) {
  const guard = isShared ? heap.lock() : undefined;
  const left = heap.gc.getObjects().length;
  if (left !== 0) throw new Error(`${count(left)} objects were left in the heap.`);
  verify(heap);
  guard?.[Symbol.dispose]();
}

function conclude() {
  const memory = megabytes(process.resourceUsage().maxRSS * 1024);
  heading("The heap is empty, and passes its own verification.");
  text(`This run took ${milliseconds(performance.now())}, and ${memory} of memory at most.`);
}

/** What the user can put right is said in a line; anything else is a bug, and keeps its stack. */
function report(error) {
  const isForUser = [InputError, UsageError, OutOfMemoryError].some((type) => error instanceof type);
  console.error(isForUser ? error.message : error);
  if (error instanceof UsageError) console.error(`\n${HELP}`);
  return error instanceof UsageError ? 2 : 1;
}

/** Whoever reads the output may stop early (`npm start | head`). */
process.stdout.on("error", (error) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await main();
} catch (error) {
  process.exitCode = report(error);
}
