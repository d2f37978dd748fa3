/** The command line. */
import { parseArgs } from "node:util";

export const HELP = `Usage: npm start -- [file] [--verify]

Loads the syntax tree of a source file into a heap, asks it a question, replaces it, leaks it, finds the leak and frees
everything; then does the same with plain JavaScript objects and compares.

  file       a .js, .mjs, .cjs or .json file; by default the TypeScript compiler, about 9 MB
  --verify   check every invariant of the heap after every step (some seconds for a large file)
  --help     print this text
`;

/** The command line cannot be understood. */
export class UsageError extends Error {}

/** @returns {{ path: string | undefined, isVerifying: boolean, isHelpWanted: boolean }} */
export function readOptions(args) {
  const { values, positionals } = parse(args);
  if (positionals.length > 1)
    throw new UsageError(`One file at a time, please; got ${positionals.length}: ${positionals.join(", ")}.`);
  return { path: positionals[0], isVerifying: values.verify, isHelpWanted: values.help };
}

function parse(args) {
  const options = {
    verify: { type: "boolean", default: false },
    help: { type: "boolean", default: false, short: "h" },
  };
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
}
