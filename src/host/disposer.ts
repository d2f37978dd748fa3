/** How a value of some library is disposed: by the protocol of the language, or by the one method of its own that says so. */
import { InvalidArgumentError } from "../memory/errors.js";
import { show } from "./schema.js";

/** Ends a value. A promise that it returns is waited for by `heap.settled()`. */
export type Disposer<V> = (value: V) => unknown;

export interface ChosenDisposer {
  /** How it reads in code: "[Symbol.dispose]", "delete". */
  readonly name: string;
  readonly dispose: Disposer<unknown>;
}

/**
 * Names by which libraries end a value: embind and Emscripten's `delete`, wasm-bindgen's and sql.js's `free`, three.js's
 * and tfjs's `dispose`, PixiJS's and Pyodide's `destroy`, files' and databases' `close`, locks' and readers' `release`.
 */
const METHOD_NAMES = ["delete", "dispose", "free", "destroy", "close", "release"] as const;

/** A path is closed and a lock released in the course of its life; what is called one of these is over. */
const ENDINGS = ["delete", "dispose", "free", "destroy"] as const;

/**
 * What would end this value. The language's protocols come first, as `using` and `await using` take them; then the only
 * method of a known name that needs no argument (`Map.prototype.delete` does). Where the protocol is merely another name
 * of one such method and there is a second that can mean nothing but the end (CanvasKit's surfaces have `delete` and
 * `dispose`), the choice is ambiguous all the same.
 * @throws InvalidArgumentError where there is none, or several that differ
 */
export function chooseDisposer(value: unknown): ChosenDisposer {
  if ((typeof value !== "object" || value === null) && typeof value !== "function")
    throw new InvalidArgumentError(
      value === null || value === undefined
        ? `heap.own takes an object that can be disposed, got ${show(value)}: has the library that should have made it failed?`
        : `heap.own takes an object that can be disposed, got ${show(value)}. Say how with heap.adopt(value, dispose).`,
    );
  const members = value as Record<string | symbol, unknown>;
  const found = METHOD_NAMES.filter((name) => isDisposal(members[name], name));
  const distinct = new Set(found.map((name) => members[name]));
  for (const [symbol, name] of protocols()) {
    const isAlias = distinct.has(members[symbol]);
    const isAmbiguous =
      isAlias && ENDINGS.some((name) => found.includes(name) && members[name] !== members[symbol]);
    if (typeof members[symbol] === "function" && !isAmbiguous) return { name, dispose: call(symbol) };
  }
  if (distinct.size === 1) return { name: found[0], dispose: call(found[0]) };
  const list = found.map((name) => `.${name}()`).join(", ");
  throw new InvalidArgumentError(
    distinct.size === 0
      ? `How to dispose of ${show(value)} is unknown: it has none of [Symbol.dispose], [Symbol.asyncDispose], ${METHOD_NAMES.map((name) => `.${name}()`).join(", ")}. Say how with heap.adopt(value, dispose).`
      : `How to dispose of ${show(value)} is ambiguous: it has ${list}. Say which with heap.adopt(value, (value) => value.${found[0]}()).`,
  );
}

/** Looked up at each call: the host may lack the symbols, or get them from a polyfill later. */
function protocols(): (readonly [symbol, string])[] {
  const { dispose, asyncDispose } = Symbol as { dispose?: symbol; asyncDispose?: symbol };
  const known: (readonly [symbol | undefined, string])[] = [
    [dispose, "[Symbol.dispose]"],
    [asyncDispose, "[Symbol.asyncDispose]"],
  ];
  return known.filter((protocol): protocol is readonly [symbol, string] => protocol[0] !== undefined);
}

/** `delete(key)` takes out an item; the others may have an optional argument or callback. */
function isDisposal(method: unknown, name: string): boolean {
  return typeof method === "function" && (name !== "delete" || method.length === 0);
}

function call(name: string | symbol): Disposer<unknown> {
  return (value) => (value as Record<string | symbol, () => unknown>)[name]();
}
