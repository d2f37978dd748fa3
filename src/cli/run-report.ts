/** What `ouro run` says of a program when it is over. */
import { plainText } from "../inspect/escape.js";
import { type LeakReport, leakText } from "../inspect/leaks.js";
import type { FunctionProfile } from "../inspect/line-profiler.js";
import { profileText } from "../inspect/memory-profile.js";
import { toPath } from "../inspect/node.js";
import type { LineAllocations } from "../inspect/tracemalloc.js";
import { bytes, count, heading, shorten, table } from "./output.js";
import type { ProfiledName } from "./watch-functions.js";

export interface RunReport {
  readonly heaps: readonly HeapEnd[];
  /** Of the functions that `--profile` names, over all heaps of their thread together. */
  readonly profiles: readonly ProfiledName[];
}

/** One heap at its end, or at the program's. */
export interface HeapEnd {
  /** Whether the program shut it down. */
  readonly isShutDown: boolean;
  readonly held: LeakReport;
  /** The timeline's summary in one line. */
  readonly collections: string;
  readonly lines: readonly AllocatingLine[];
}

/** What a line of the program has allocated, with its text. */
export interface AllocatingLine extends LineAllocations {
  readonly source: string;
}

/** @param folder paths under it are shown from there */
export function runText({ heaps, profiles }: RunReport, limit: number, folder: string): string {
  const ends = heaps.map(({ isShutDown, held, collections, lines }, index) => {
    const which = heaps.length === 1 ? "The heap" : `Heap ${index + 1} of ${heaps.length}`;
    const when = isShutDown ? "when the program shut it down" : "when the program ended";
    return [
      heading(`${which} ${when}`),
      `  ${shorten(leakText(held), folder).replaceAll("\n", "\n  ")}\n`,
      heading("Collections"),
      `  ${collections}\n`,
      ...(lines.length === 0 || profiles.length > 0 ? [] : [linesText(lines, limit, folder)]),
    ].join("");
  });
  return [...ends, ...profiles.map(({ functions }) => profilesText(functions, folder))].join("");
}

function linesText(lines: readonly AllocatingLine[], limit: number, folder: string): string {
  const shown = lines.slice(0, limit);
  const more = lines.length - shown.length;
  return [
    heading("Line profile: what each line allocated, and what of it is alive (increment)"),
    table(
      ["line", "allocated", "increment", "occurrences", "line contents"],
      shown.map((one) => [
        shorten(one.line, folder),
        bytes(one.allocatedBytes),
        bytes(one.bytes),
        one.occurrences,
        plainText(one.source),
      ]),
    ),
    more > 0 ? `  and ${count(more)} lines more (--limit)\n` : "",
  ].join("");
}

/** As memory_profiler prints them. A function that was loaded and not called has a table without numbers. */
function profilesText(functions: readonly FunctionProfile[], folder: string): string {
  const path = `${toPath(`${folder}/`) ?? ""}`;
  return functions
    .map((one) => ({ ...one, file: one.file.startsWith(path) ? one.file.slice(path.length) : one.file }))
    .map((one) => `\n${profileText([one])}\n`)
    .join("");
}
