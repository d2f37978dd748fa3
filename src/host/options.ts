/** What a heap can be asked to be. */
import { InvalidArgumentError } from "../memory/errors.js";
import { show } from "./schema.js";

/**
 * How much a heap checks. A stale or released reference always throws; beyond that:
 *
 * - `off`: errors do not say where, leaked handles are not reported (default when NODE_ENV is "production")
 * - `handles`: a sample of the handles keeps the lines where they were made and released, and is reported when leaked
 *   (default elsewhere). The first 100 handles of each type, 100 more when a new line shows up, and one in 1,000
 *   otherwise, new handles and retained ones counted apart; `{ handles: { every: n } }` keeps every n-th
 * - `verify`: also every invariant of the heap, at each phase of each collection. O(heap) each time
 * - `stress`: also generation 0 collected before every allocation of a collectable object, and everything before each
 *   1,000th; freed memory is poisoned
 */
export type Checks =
  | "off"
  | "handles"
  | "verify"
  | "stress"
  | { readonly handles: { readonly every: number } };

/** How to make a heap. Every option has a default. */
export interface HeapOptions {
  /**
   * Bytes of address space to reserve; memory is committed only as it is used, so a large value costs nothing (measured
   * on Linux). From 256 KiB to 8 GiB, rounded up to whole arenas of 64 KiB. Default: 8 GiB in Node, halved until the
   * machine grants it; 1 GiB in browsers and on Windows.
   */
  readonly maximumBytes?: number;
  /** How closely the heap watches itself and its handles. Default: OUROHEAP_CHECKS, else as `Checks` says. */
  readonly checks?: Checks;
  /**
   * What happens to a handle that JavaScript drops without release: "report" (the default; with `checks` off nothing), or
   * "release" as well, at the next `heap.new` or `gc.collect()` after JavaScript's collector has noticed. That costs a
   * microsecond a handle, and when counts fall then depends on V8.
   */
  readonly leakedHandles?: "report" | "release";
}

export function readChecks(checks: unknown): { level: string; every?: number } {
  if (typeof checks === "string" && ["off", "handles", "verify", "stress"].includes(checks))
    return { level: checks };
  const every = (checks as { handles?: { every?: unknown } } | null)?.handles?.every;
  if (typeof checks !== "object" || every === undefined)
    throw new InvalidArgumentError(
      `checks must be "off", "handles", "verify", "stress" or { handles: { every: n } }, got ${show(checks)}.`,
    );
  if (!(typeof every === "number" && Number.isInteger(every) && every >= 1))
    throw new InvalidArgumentError(
      `checks.handles.every must be a whole number of at least 1, got ${show(every)}.`,
    );
  return { level: "handles", every };
}

export function readLeakedHandles(leakedHandles: unknown = "report"): string {
  if (leakedHandles === "report" || leakedHandles === "release") return leakedHandles;
  throw new InvalidArgumentError(`leakedHandles must be "report" or "release", got ${show(leakedHandles)}.`);
}

export function defaultChecks(): Checks {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  const wanted = process?.env?.OUROHEAP_CHECKS;
  if (wanted !== undefined && wanted !== "") return wanted as Checks;
  return process?.env?.NODE_ENV === "production" ? "off" : "handles";
}
