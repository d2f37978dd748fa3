/** What `ouro run` says of a program when it is over. */
import { plainText } from "../inspect/escape.js";
import { type LeakReport, leakText } from "../inspect/leaks.js";
import { bytes, heading, table } from "./output.js";

export interface RunReport {
  readonly heaps: readonly HeapEnd[];
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

/** A line of the program that allocated what is still alive. */
export interface AllocatingLine {
  readonly line: string;
  readonly bytes: number;
  readonly objects: number;
  readonly source: string;
}

/** @param folder paths under it are shown from there */
export function runText({ heaps }: RunReport, limit: number, folder: string): string {
  const shorten = (text: string) => text.replaceAll(`${folder}/`, "");
  return heaps
    .map(({ isShutDown, held, collections, lines }, index) => {
      const which = heaps.length === 1 ? "The heap" : `Heap ${index + 1} of ${heaps.length}`;
      const when = isShutDown ? "when the program shut it down" : "when the program ended";
      return [
        heading(`${which} ${when}`),
        `  ${shorten(leakText(held)).replaceAll("\n", "\n  ")}\n`,
        heading("Collections"),
        `  ${collections}\n`,
        ...(lines.length === 0
          ? []
          : [
              heading("Lines that allocated what is alive"),
              table(
                ["line", "bytes", "objects", "source"],
                lines
                  .slice(0, limit)
                  .map((one) => [shorten(one.line), bytes(one.bytes), one.objects, plainText(one.source)]),
              ),
            ]),
      ].join("");
    })
    .join("");
}
