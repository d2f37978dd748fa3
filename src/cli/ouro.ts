#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { plainText } from "../inspect/escape.js";
/** The command `ouro`. */
import { backrefs, type Command, diff, heapsnapshot, refs, report, roots, verifyFile } from "./commands.js";
import { HELP } from "./help.js";
import { FileError } from "./open.js";
import { readOptions, UsageError } from "./options.js";
import type { Output } from "./output.js";
import { run } from "./run.js";

const COMMANDS: Readonly<Record<string, Command>> = {
  report,
  roots,
  refs,
  backrefs,
  diff,
  heapsnapshot,
  verify: verifyFile,
  run,
};
const USAGE = 2;
const UNREADABLE = 3;

const output: Output = {
  write: (text) => void process.stdout.write(text),
  note: (text) => void process.stderr.write(text),
};

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  if (options.version) {
    output.write(`${version()}\n`);
    return 0;
  }
  if (options.command === "" || options.help) {
    output.write(HELP);
    return options.help ? 0 : USAGE;
  }
  if (!Object.hasOwn(COMMANDS, options.command))
    throw new UsageError(
      `There is no command ${options.command}. There are: ${Object.keys(COMMANDS).join(", ")}.`,
    );
  return COMMANDS[options.command](options, output);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}

/** Whoever reads the output may stop early (`ouro report app.heap | head`): the rest is written to nobody. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    output.note(`${plainText(error.message)}\n"ouro --help" says how.\n`);
    process.exitCode = USAGE;
  } else if (error instanceof FileError) {
    output.note(`${plainText(error.message)}\n`);
    process.exitCode = UNREADABLE;
  } else throw error;
}
