/** What was asked for on the command line. */
import { parseArgs } from "node:util";
import { parseTrace } from "../inspect/tracemalloc.js";

/** Something is wrong with the command line: exit code 2. */
export class UsageError extends Error {}

export interface Options {
  readonly command: string;
  readonly operands: readonly string[];
  readonly json: boolean;
  readonly help: boolean;
  readonly limit: number;
  readonly depth: number;
  readonly svg: string | undefined;
  readonly dot: string | undefined;
  readonly version: boolean;
  readonly trace: string | undefined;
  readonly profile: readonly string[];
}

const OPTIONS = {
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
  limit: { type: "string" },
  depth: { type: "string" },
  svg: { type: "string" },
  dot: { type: "string" },
  trace: { type: "string" },
  profile: { type: "string", multiple: true },
} as const;

/** @throws UsageError */
export function readOptions(argv: readonly string[]): Options {
  const split = operandOfRun(argv);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv.slice(0, split));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const { values, positionals } = parsed;
  const [command = "", ...operands] = positionals;
  return {
    command,
    operands: [...operands, ...argv.slice(split)],
    json: values.json === true,
    help: values.help === true,
    limit: readNumber("limit", values.limit, 10),
    depth: readNumber("depth", values.depth, 3),
    svg: values.svg,
    dot: values.dot,
    version: values.version === true,
    trace: checkTrace("--trace", values.trace),
    profile: values.profile ?? [],
  };
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
}

/** `ouro run [options] script args`: what follows the script is the script's. Any other command may have a file called `run`. */
function operandOfRun(argv: readonly string[]): number {
  const command = nextOperand(argv, 0);
  return argv[command] === "run" ? nextOperand(argv, command + 1) : argv.length;
}

/** Index of the first operand from here on, or the length. */
function nextOperand(argv: readonly string[], from: number): number {
  for (let index = from; index < argv.length; index++) {
    const word = argv[index];
    if (!word.startsWith("-") || word === "-") return index;
    const option = (OPTIONS as Record<string, { readonly type: string } | undefined>)[word.slice(2)];
    if (option?.type === "string") index++; // its value
  }
  return argv.length;
}

/** Before a program is started, which would end with a stack for what is refused. @throws UsageError */
export function checkTrace(name: string, text: string | undefined): string | undefined {
  try {
    parseTrace(name, text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  return text;
}

function readNumber(name: string, text: string | undefined, usual: number): number {
  if (text === undefined) return usual;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`--${name} takes a whole number, got ${text}.`);
}
