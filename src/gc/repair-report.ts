/** What a repair has found and done: for whoever has to tell the program. */
import type { Address } from "../memory/layout.js";

/** A slot that led nowhere, and holds null now. */
export interface NulledReference {
  readonly object: Address;
  /** Where the slot is: in the object, or in its storage. */
  readonly word: Address;
  /** What stood there: for an `any` slot its low word. */
  readonly was: number;
}

/** A list or hash table whose storage did not agree with its header. */
export interface RepairedContainer {
  readonly object: Address;
  /** "emptied": it had no storage. "shortened": a list was longer than its block. "rebuilt": the index was made anew. */
  readonly change: "emptied" | "shortened" | "rebuilt";
  /** Items or entries that it had, by its header, and has no more. */
  readonly lost: number;
}

export interface RepairReport {
  /** Objects, strings included, that the roots reach. */
  readonly objectsKept: number;
  /** Those that they do not: what the dead thread held, and what was about to die. */
  readonly objectsDropped: number;
  readonly nulled: readonly NulledReference[];
  readonly containers: readonly RepairedContainer[];
  /** Weak references whose target is gone. Their callbacks have not been called. */
  readonly cutWeakrefs: readonly Address[];
  /** Roots and addresses to be kept where there is neither an object nor, for the latter, a storage block. */
  readonly missing: readonly Address[];
  /** Objects that stood in no generation's table, and are in generation 0 now. */
  readonly tracked: number;
  /** Objects for which there was no memory for a table: they live, and are never collected. */
  readonly untracked: number;
}

/** The same while it is written. */
export class RepairLog implements RepairReport {
  objectsKept = 0;
  objectsDropped = 0;
  readonly nulled: NulledReference[] = [];
  readonly containers: RepairedContainer[] = [];
  readonly cutWeakrefs: Address[] = [];
  readonly missing: Address[] = [];
  tracked = 0;
  untracked = 0;
}
