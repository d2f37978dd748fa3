/** What was asked for on the command line. */
import { parseArgs } from "node:util";

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
  readonly trace: string | undefined;
}

const OPTIONS = {
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  limit: { type: "string" },
  depth: { type: "string" },
  svg: { type: "string" },
  dot: { type: "string" },
  trace: { type: "string" },
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
    trace: values.trace,
  };
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
}

/** `ouro run [options] script args`: what follows the script is the script's. */
function operandOfRun(argv: readonly string[]): number {
  const run = argv.indexOf("run");
  if (run < 0) return argv.length;
  for (let index = run + 1; index < argv.length; index++) {
    if (!argv[index].startsWith("-")) return index;
    if (argv[index] === "--trace" || argv[index] === "--limit") index++;
  }
  return argv.length;
}

function readNumber(name: string, text: string | undefined, usual: number): number {
  if (text === undefined) return usual;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`--${name} takes a whole number, got ${text}.`);
}
