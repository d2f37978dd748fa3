/** The commands that look at files: each returns its exit code. */
import { writeFile } from "node:fs/promises";
import { id, typeName } from "../host/ownership.js";
import { type Drawing, showBackrefs, showRefs } from "../inspect/drawing.js";
import { plainText } from "../inspect/escape.js";
import { takeSnapshot } from "../inspect/snapshot.js";
import { verify } from "../inspect/verify.js";
import { HeapCorruptionError, HeapError } from "../memory/errors.js";
import { REPORT_STEPS, reportHeap, reportText } from "./heap-report.js";
import { FileError, type OpenHeap, objectAt, openHeap } from "./open.js";
import { type Options, UsageError } from "./options.js";
import { count, here, type Output, shorten, table } from "./output.js";
import { type Progress, startProgress } from "./progress.js";

export type Command = (options: Options, output: Output) => Promise<number>;

/** Something was found that a person should look at. */
export const FOUND = 1;

export const report: Command = async (options, output) => {
  const [file] = operands(options, "report FILE");
  return withHeap(file, REPORT_STEPS, async (open, progress) => {
    const found = reportHeap(open, options.limit, progress);
    progress.stop();
    output.write(options.json ? json(found) : reportText(found, here()));
    return 0;
  });
};

export const roots: Command = async (options, output) => {
  const [file] = operands(options, "roots FILE");
  return withHeap(file, 2, async ({ roots, lines, heap }, progress) => {
    progress.step("retained sizes");
    const snapshot = takeSnapshot(heap);
    const found = Object.entries(roots).map(([name, ref]) => ({
      name: plainText(name),
      type: plainText(typeName(ref)),
      address: addressText(ref),
      retainedBytes: snapshot.retainedSize(snapshot.nodeOf(ref)!),
      ...(lines.has(name) && { madeAt: lines.get(name)!.split("\n").map(plainText) }),
    }));
    found.sort((one, other) => other.retainedBytes - one.retainedBytes);
    progress.stop();
    const shown = found.slice(0, options.limit);
    const more = found.length - shown.length;
    const line = ({ madeAt }: (typeof found)[number]) =>
      madeAt === undefined ? "(not recorded)" : shorten(madeAt[0], here());
    output.write(
      options.json
        ? json(found)
        : table(
            ["root", "type", "address", "bytes kept", "made at"],
            shown.map((one) => [one.name, one.type, one.address, one.retainedBytes, line(one)]),
          ) + (more > 0 ? `  and ${count(more)} more (--limit)\n` : ""),
    );
    return 0;
  });
};

export const refs: Command = (options, output) => draw(options, output, showRefs);
export const backrefs: Command = (options, output) => draw(options, output, showBackrefs);

async function draw(options: Options, output: Output, show: typeof showRefs): Promise<number> {
  const given = operands(options, `${options.command} FILE ADDRESS`);
  // In whichever order: an address is a number, and hardly any file is called one.
  const [address, file] = [...given].sort((one, other) => Number(isNumber(other)) - Number(isNumber(one)));
  return withHeap(file, 2, async (open, progress) => {
    progress.step("copying the graph");
    const drawing = show(objectAt(open, address), { depth: options.depth, limit: options.limit });
    progress.stop();
    if (options.svg !== undefined) await writeOut(options.svg, await svgOf(drawing));
    if (options.dot !== undefined) await writeOut(options.dot, drawing.dot());
    if (options.json) output.write(json({ address, text: drawing.text(), dot: drawing.dot() }));
    else output.write(`${shorten(drawing.text(), here())}\n`);
    return 0;
  });
}

/** @throws UsageError where the package that draws is not installed */
async function svgOf(drawing: Drawing): Promise<string> {
  try {
    return await drawing.svg();
  } catch (error) {
    if (error instanceof HeapError && error.code === "MISSING_PACKAGE") throw new UsageError(error.message);
    throw error;
  }
}

function isNumber(text: string): boolean {
  return /^(0x[0-9a-f]+|\d+)$/i.test(text);
}

/** What there is more of in the second heap than in the first. */
export const diff: Command = async (options, output) => {
  const [first, second] = operands(options, "diff FILE FILE");
  return withHeap(first, 2, async (before, progress) => {
    progress.step("copying the graph");
    const earlier = takeSnapshot(before.heap);
    return withHeap(second, 2, async (after, progress) => {
      progress.step("copying the graph");
      const changes = [...takeSnapshot(after.heap).diff(earlier)].map(([type, delta]) => ({
        type: plainText(type),
        ...delta,
      }));
      progress.stop();
      output.write(
        options.json
          ? json(changes)
          : changes.length === 0
            ? "Both heaps have as many objects and bytes of each type.\n"
            : table(
                ["type", "objects", "bytes"],
                changes.map((one) => [one.type, signed(one.countDelta), signed(one.bytesDelta)]),
              ),
      );
      // Bytes alone may be slack that a list or table has grown by.
      return changes.some(({ countDelta }) => countDelta > 0) ? FOUND : 0;
    });
  });
};

function signed(value: number): string {
  return value > 0 ? `+${count(value)}` : count(value);
}

export const heapsnapshot: Command = async (options, output) => {
  const [file, target] = operands(options, "heapsnapshot FILE OUT");
  return withHeap(file, 3, async ({ heap }, progress) => {
    progress.step("copying the graph");
    const snapshot = takeSnapshot(heap);
    progress.step("writing");
    await writeOut(target, snapshot.devToolsChunks());
    progress.stop();
    const written = { file: target, nodes: snapshot.nodeCount, edges: snapshot.edgeCount };
    output.write(
      options.json
        ? json(written)
        : `${target}: ${count(written.nodes)} nodes. Open it in Chrome's DevTools: Memory, Load profile.\n`,
    );
    return 0;
  });
};

export const verifyFile: Command = async (options, output) => {
  const [file] = operands(options, "verify FILE");
  return withHeap(file, 2, async ({ heap }, progress) => {
    progress.step("checking every invariant");
    let broken: HeapCorruptionError | undefined;
    try {
      verify(heap);
    } catch (error) {
      if (!(error instanceof HeapCorruptionError)) throw error;
      broken = error;
    }
    progress.stop();
    if (options.json)
      output.write(json({ file, isSound: broken === undefined, ...(broken && { error: broken.message }) }));
    else
      output.write(
        `${plainText(file)}: ${broken === undefined ? "every invariant holds" : broken.message}\n`,
      );
    return broken === undefined ? 0 : FOUND;
  });
};

/** @throws FileError where the file cannot be written */
async function writeOut(file: string, content: string | Iterable<string>): Promise<void> {
  try {
    await writeFile(file, content);
  } catch (error) {
    throw new FileError(`${file} cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

/** @param steps of the progress, the loading included */
async function withHeap(
  file: string,
  steps: number,
  body: (open: OpenHeap, progress: Progress) => Promise<number>,
): Promise<number> {
  const progress = startProgress(steps);
  try {
    progress.step(`loading ${file}`);
    const open = await openHeap(file);
    try {
      return await body(open, progress);
    } finally {
      for (const handle of Object.values(open.roots)) handle[Symbol.dispose]();
      open.heap[Symbol.dispose]();
    }
  } finally {
    progress.stop();
  }
}

/** @param usage the command and what it takes, one word each */
function operands({ operands }: Options, usage: string): readonly string[] {
  const wanted = usage.split(" ").length - 1;
  if (operands.length === wanted) return operands;
  throw new UsageError(`ouro ${usage}: ${wanted} expected, got ${operands.length}.`);
}

function addressText(ref: Parameters<typeof id>[0]): string {
  return `0x${id(ref).toString(16)}`;
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
