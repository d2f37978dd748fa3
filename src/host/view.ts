/**
 * Views: what a reference looks like in JavaScript. A view is an address and a serial behind the accessors of its type;
 * every use compares the serial with the object's, so a view that outlived its object is an error and never a read of
 * somebody else's data.
 *
 * Borrowed references and handles are views of one class, told apart by a value and not by a shape: a loop that starts
 * at a handle and goes on over borrows then sees one shape only, which a walk feels by a quarter (docs/design/0003). The
 * internal slots have plain string names that no field may have: symbols and private fields were measured 8x to 28x
 * slower once a program uses thirty types.
 */
import { UseAfterReleaseError } from "../memory/errors.js";
import { type Address, HEADER_SERIAL } from "../memory/layout.js";
import { plainText } from "../memory/plain-text.js";
import type { BoundType } from "./bound-type.js";
import type { HandleRecord } from "./handle.js";

export interface View {
  readonly "@address": Address;
  /** A released handle has RELEASED here, so that every later use takes the same path as a stale borrow. */
  "@serial": number;
  /** BORROWED, OWNED, or the record of a handle whose line was kept. */
  "@owner": symbol | HandleRecord;
  /** On the prototype: the type as this heap knows it. */
  readonly "@type": BoundType;
  /** On the prototype: give up the reference, if this is a handle. */
  readonly "@release": () => void;
}
export type ViewConstructor = new (address: Address, serial: number) => View;

/** Serial of a released handle: no object ever has it. */
export const RELEASED = -1;

/** `structuredClone` and `postMessage` refuse symbols, with their text, and so never copy an address. */
const REFUSAL = "a heap reference, which lives in its heap: copy it with heap.toJS(ref);";
/** The owner of a reference that owns nothing. */
export const BORROWED = Symbol(REFUSAL);
/** The owner of a handle of which nothing was recorded. */
export const OWNED = Symbol(REFUSAL);

export const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** What a bound type has and nothing else: plain data may well have a key called `@type` (JSON-LD does). */
export const BOUND = Symbol("bound type");

/** The view behind a value that should be a heap reference, or undefined. */
export function asView(value: unknown): View | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Partial<View>)["@type"]?.[BOUND] === true ? (value as View) : undefined;
}

/**
 * Whether any value is a heap reference, also one that may not be read: a revoked Proxy, or one of another library whose
 * object is gone.
 */
export function isHeapObject(value: unknown): boolean {
  try {
    return asView(value) !== undefined;
  } catch {
    return false;
  }
}

/** Whether the object that a view was made for still lives. */
export function isLive(view: View): boolean {
  return view["@type"].context.core.memory.i32[view["@address"] + HEADER_SERIAL] === view["@serial"];
}

/** The address behind a view. @throws UseAfterReleaseError, and LockError in a shared heap */
export function addressOf(view: View): Address {
  const { sharing } = view["@type"].context;
  if (sharing !== undefined) sharing.admit(view);
  if (!isLive(view)) stale(view);
  return view["@address"];
}

/** Why a view cannot be used: its handle was released, or the object it borrowed is gone. */
export function stale(view: View): never {
  const { context } = view["@type"];
  const name = plainText(view["@type"].name);
  context.requireAlive();
  if (view["@serial"] !== RELEASED)
    throw new UseAfterReleaseError(
      "STALE_REFERENCE",
      `This borrowed reference to a ${name} is stale: the object was freed. ` +
        "A borrow is valid while something else keeps the object alive; retain() it to keep it yourself.",
    );
  const { madeAt, releasedAt } = sitesOf(view);
  throw new UseAfterReleaseError(
    "USE_AFTER_RELEASE",
    `This handle to a ${name} was released and cannot be used any more.${sites(madeAt, releasedAt)}`,
    madeAt,
    releasedAt,
  );
}

/** Where a handle was made and released, as far as it was recorded. */
export function sitesOf(view: View): { madeAt: string | undefined; releasedAt: string | undefined } {
  const owner = view["@owner"];
  return typeof owner === "symbol"
    ? { madeAt: undefined, releasedAt: undefined }
    : { releasedAt: undefined, ...owner };
}

/** The lines of a message that say where a handle came from. */
export function sites(madeAt: string | undefined, releasedAt: string | undefined): string {
  if (madeAt === undefined)
    return " Its line was not recorded: create the heap with { checks: { handles: { every: 1 } } } to record all.";
  const firstLine = (site: string) => site.split("\n", 1)[0];
  const released = releasedAt === undefined ? "" : `\n  released at ${firstLine(releasedAt)}`;
  return `\n  made at ${firstLine(madeAt)}${released}`;
}

/** The view class of a type in one heap. All share this text, which is what lets the engine drop short-lived views. */
export function makeViewClass(name: string): ViewConstructor {
  function HeapView(
    this: { -readonly [K in "@address" | "@serial" | "@owner"]: View[K] },
    address: Address,
    serial: number,
  ) {
    this["@address"] = address;
    this["@serial"] = serial;
    this["@owner"] = BORROWED;
  }
  Object.defineProperty(HeapView, "name", { value: name });
  return HeapView as unknown as ViewConstructor;
}

/** Define a method, hidden from key listings. */
export function hide(target: object, name: string | symbol, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
}
