/** The lines that made the handles to a heap's roots, as an image carries them: optional, for people, and bounded. */
import type { Address } from "../memory/layout.js";
import type { Context } from "./context.js";
import { asView, sitesOf } from "./view.js";

/** Characters of the frames of one root. A stack of the usual four frames has some 400. */
const CHARACTERS_MAX = 4096;

/** What is known of where handles to an object were made: by the handle at hand, else by the oldest recorded one. */
export class SavedLines {
  private readonly byAddress = new Map<Address, string>();

  constructor({ handles }: Context) {
    for (const { address, madeAt } of handles.records)
      if (!this.byAddress.has(address)) this.byAddress.set(address, madeAt);
  }

  /** Whole frames, as many as may be saved; undefined where none was recorded. */
  of(object: Address, ref?: unknown): string | undefined {
    const view = asView(ref);
    const own = view === undefined ? undefined : sitesOf(view).madeAt;
    const madeAt = own ?? this.byAddress.get(object);
    return madeAt === undefined || madeAt === "" ? undefined : cut(madeAt);
  }
}

function cut(madeAt: string): string {
  if (madeAt.length <= CHARACTERS_MAX) return madeAt;
  const end = madeAt.lastIndexOf("\n", CHARACTERS_MAX);
  return madeAt.slice(0, end > 0 ? end : CHARACTERS_MAX);
}

/** Whether this is what a root of an image may have as its line. What it says is a stranger's: reporters escape it. */
export function isSavedLine(line: unknown): line is string | undefined {
  return line === undefined || (typeof line === "string" && line.length <= CHARACTERS_MAX);
}
