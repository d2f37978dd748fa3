/**
 * A call for every line that some functions execute, by the inspector that is part of every Node: at each place where a
 * statement begins stands a breakpoint whose condition is the call, and which never pauses because the condition is false.
 * The functions themselves are not changed, and no flag is needed.
 */
import { HeapError, InvalidArgumentError } from "../memory/errors.js";
import { Inspector, type RemoteValue, type Script, type ScriptPlace } from "./inspector.js";
import { toPath } from "./node.js";
import { mapOf, mapOfText, mapOfUrl, originalPlace, readText, resolve } from "./source-map.js";

/** A function whose lines are watched. */
export interface WatchedFunction {
  readonly name: string;
  /** Path or URL of its source, source maps applied. */
  readonly file: string;
  /** Its first and last line in that file, from 1. */
  readonly firstLine: number;
  readonly lastLine: number;
  /** All lines of the file. */
  readonly text: readonly string[];
}

/** Where a watched function can stop. */
export interface HitPlace {
  /** Index of the function. */
  readonly of: number;
  /** Line of the source, from 1. */
  readonly line: number;
  /** The function ends here: what the line returns has been computed. */
  readonly isReturn: boolean;
}

/** A function in the text of a script. */
export interface FunctionPlace {
  readonly name: string;
  readonly start: ScriptPlace;
  /** Any place that is in this function and in none that is nested in it. */
  readonly inside: ScriptPlace;
  readonly end: ScriptPlace;
}

type Watchable = (...args: never[]) => unknown;

/** What breakpoints find by a name that no program has; as long as it is there, somebody watches. */
const HOOK = "@ouroheap.lines";
interface Hook {
  readonly hit: (place: number) => void;
  /** The function that is looked up. */
  target?: Watchable;
}

export class LineHits {
  readonly functions: WatchedFunction[] = [];
  readonly places: HitPlace[] = [];
  private readonly inspector: Inspector;
  private readonly hook: Hook;

  /**
   * @param hit called with the index of a place each time it is reached, before the line runs
   * @throws HeapError "NO_INSPECTOR" where there is none, "ALREADY_PROFILING"; InvalidArgumentError for a function without
   * lines, such as a built-in one
   */
  constructor(functions: readonly Watchable[], hit: (place: number) => void) {
    if (HOOK in globalThis)
      throw new HeapError(
        "ALREADY_PROFILING",
        "A profile by lines is under way in this process, and there can be one at a time: wait until it has ended.",
      );
    this.inspector = new Inspector();
    this.hook = { hit };
    Object.defineProperty(globalThis, HOOK, { value: this.hook, configurable: true });
    try {
      for (const one of functions) this.watch(one);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Take the breakpoints away. */
  stop(): void {
    this.inspector.close();
    Reflect.deleteProperty(globalThis, HOOK);
  }

  /** Look at each script that is loaded from now on, before it runs: whoever does may watch functions of it. */
  onScript(see: (scriptId: string, url: string, source: () => string) => void): void {
    this.inspector.onScript = (scriptId, { url }) =>
      see(scriptId, url, () => this.inspector.sourceOf(scriptId));
  }

  private watch(target: Watchable): void {
    const { start, code } = this.locate(target);
    const name = target.name === "" ? "(anonymous)" : target.name;
    this.watchAt({ name, start, inside: start, end: endOf(start, code) });
  }

  /**
   * Watch a function of a script.
   * @param isWanted asked of the script's file and of its source's, where either will do
   */
  watchAt(
    { name, start, inside, end }: FunctionPlace,
    isWanted: (file: string) => boolean = () => true,
  ): void {
    const script = this.inspector.scripts.get(start.scriptId);
    const toSource = this.mapper(script, this.inspector.sourceOf(start.scriptId));
    const first = toSource(start);
    const last = toSource(end);
    if (!isWanted(toPath(script?.url ?? "") ?? "") && !isWanted(first.file)) return;
    const index = this.functions.length;
    this.functions.push({
      name,
      file: first.file,
      firstLine: first.line,
      lastLine: last.file === first.file ? Math.max(first.line, last.line) : first.line,
      text: first.text.split(/\r\n|[\n\r]/),
    });
    const { locations } = this.inspector.post("Debugger.getPossibleBreakpoints", {
      start: inside,
      end,
      restrictToFunction: true,
    });
    const mapped = locations
      .map((location) => ({ ...toSource(location), location }))
      .filter(({ file }) => file === first.file);
    const statements = new Set(mapped.flatMap(({ line, location }) => (location.type ? [] : [line])));
    for (const { line, location } of mapped) {
      const { type, ...place } = location;
      // A call is a place of its own; it says something new only on a line where no statement has one.
      if (type === "debuggerStatement" || (type === "call" && statements.has(line))) continue;
      this.places.push({ of: index, line, isReturn: type === "return" });
      const condition = `globalThis["${HOOK}"].hit(${this.places.length - 1})`;
      this.inspector.post("Debugger.setBreakpoint", { location: place, condition });
    }
  }

  /** Where a function's text begins, and the text; of a bound one, those of what it is bound to. */
  private locate(target: Watchable): { start: ScriptPlace; code: string } {
    this.hook.target = target;
    const expression = `globalThis["${HOOK}"].target`;
    let found: RemoteValue | undefined = this.inspector.post("Runtime.evaluate", { expression }).result;
    while (found !== undefined) {
      const start = this.internal(found, "[[FunctionLocation]]")?.value as ScriptPlace | undefined;
      if (start !== undefined) return { start, code: found.description ?? "" };
      found = this.internal(found, "[[TargetFunction]]");
    }
    throw new InvalidArgumentError(
      `The lines of ${target.name || "this function"} cannot be had: it has no source.`,
    );
  }

  private internal({ objectId }: RemoteValue, name: string): RemoteValue | undefined {
    const { internalProperties = [] } = this.inspector.post("Runtime.getProperties", {
      objectId,
      ownProperties: true,
    });
    return internalProperties.find((one) => one.name === name)?.value;
  }

  /** From a place in a script to the line of its source. */
  private mapper(script: Script | undefined, source: string) {
    const url = script?.url ?? "";
    const path = toPath(url) ?? url;
    const named = script?.sourceMapURL;
    const map = (named ? mapOfUrl(named, path) : mapOfText(source, path)) ?? mapOf(url);
    const contents = new Map<string, string>();
    const textOf = (name: string, file: string) => {
      let text = contents.get(name);
      if (text === undefined) {
        const { sources = [], sourcesContent = [] } = map?.payload ?? {};
        text = readText(file) ?? sourcesContent[sources.indexOf(name)] ?? "";
        contents.set(name, text);
      }
      return text;
    };
    return ({ lineNumber, columnNumber }: ScriptPlace) => {
      const place = map === null ? undefined : originalPlace(map, lineNumber + 1, columnNumber + 1);
      if (place === undefined) return { file: path, line: lineNumber + 1, text: source };
      const file = resolve(place.file, path);
      return { file, line: place.line, text: textOf(place.file, file) };
    };
  }
}

/** [[FunctionLocation]] stands at the parameters, so that the whole text, counted from there, ends at or after the end. */
function endOf(start: ScriptPlace, text: string): ScriptPlace {
  const lines = text.split("\n");
  const last = lines[lines.length - 1].length;
  return {
    scriptId: start.scriptId,
    lineNumber: start.lineNumber + lines.length - 1,
    columnNumber: lines.length === 1 ? start.columnNumber + last : last,
  };
}
