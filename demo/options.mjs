/** The command line. */
import { parseArgs } from "node:util";

export const HELP = `Usage: npm start -- [file] [--threads n] [--verify]

Loads the syntax tree of a source file into a heap, asks it a question, replaces it, leaks it, finds the leak and frees
everything; then does the same with plain JavaScript objects and compares.

  file       a .js, .mjs, .cjs or .json file; by default the TypeScript compiler, about 9 MB
  --threads  then share the tree with n other threads (1 to 16), which ask it while this one replaces parts of it, and
             compare that with structured clone
  --verify   check every invariant of the heap after every step (some seconds for a large file)
  --help     print this text
`;

const THREADS_MAX = 16;

/** The command line cannot be understood. */
export class UsageError extends Error {}

/** @returns {{ path: string | undefined, threads: number, isVerifying: boolean, isHelpWanted: boolean }} */
export function readOptions(args) {
  const { values, positionals } = parse(args);
  if (positionals.length > 1)
    throw new UsageError(`One file at a time, please; got ${positionals.length}: ${positionals.join(", ")}.`);
  return {
    path: positionals[0],
    threads: values.threads === undefined ? 0 : readThreads(values.threads),
    isVerifying: values.verify,
    isHelpWanted: values.help,
  };
}

function readThreads(text) {
  const threads = /^\d+$/.test(text) ? Number(text) : 0;
  if (threads >= 1 && threads <= THREADS_MAX) return threads;
  throw new UsageError(`--threads takes a whole number from 1 to ${THREADS_MAX}, got ${text}.`);
}

function parse(args) {
  const options = {
    threads: { type: "string" },
    verify: { type: "boolean", default: false },
    help: { type: "boolean", default: false, short: "h" },
  };
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
}
