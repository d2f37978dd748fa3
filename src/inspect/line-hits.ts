/**
 * A call for every line that some functions execute, by the inspector that is part of every Node: at each place where a
 * statement begins stands a breakpoint whose condition is the call, and which never pauses because the condition is false.
 * The functions themselves are not changed, and no flag is needed.
 */
import { HeapError, InvalidArgumentError } from "../memory/errors.js";
import { nodeModule } from "./node.js";
import { mapOf, mapOfText, mapOfUrl, originalPlace, readText, resolve, toPath } from "./source-map.js";

type Inspector = typeof import("node:inspector");
type Session = InstanceType<Inspector["Session"]>;

/** A place in a script as the inspector counts: from 0. */
interface Place {
  readonly scriptId: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/** The parts of the protocol's answers that are used here. */
interface Answers {
  "Runtime.evaluate": { result: { objectId: string } };
  "Runtime.getProperties": {
    internalProperties?: { name: string; value: { value: unknown; objectId?: string } }[];
  };
  "Debugger.getPossibleBreakpoints": {
    locations: (Place & { type?: "call" | "return" | "debuggerStatement" })[];
  };
  "Debugger.getScriptSource": { scriptSource: string };
  "Debugger.setBreakpoint": { breakpointId: string };
}

interface Script {
  readonly url: string;
  readonly sourceMapURL?: string | undefined;
}

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
  private readonly session: Session;
  private readonly scripts = new Map<string, Script>();
  private readonly hook: Hook;

  /**
   * @param hit called with the index of a place each time it is reached, before the line runs
   * @throws HeapError "NO_INSPECTOR" where there is none, "ALREADY_PROFILING"; InvalidArgumentError for a function without
   * lines, such as a built-in one
   */
  constructor(functions: readonly Watchable[], hit: (place: number) => void) {
    const inspector = nodeModule("node:inspector");
    if (inspector === undefined)
      throw new HeapError(
        "NO_INSPECTOR",
        "A profile by lines needs the inspector of Node 20.16 or newer, which this host does not have.",
      );
    if (HOOK in globalThis)
      throw new HeapError("ALREADY_PROFILING", "A profile by lines is under way: wait until it has ended.");
    this.session = new inspector.Session();
    this.session.connect();
    this.hook = { hit };
    Object.defineProperty(globalThis, HOOK, { value: this.hook, configurable: true });
    try {
      // A `debugger` statement would stop this thread, which is the one that could let it go on.
      this.session.on("Debugger.paused", () => this.session.post("Debugger.resume"));
      this.session.on("Debugger.scriptParsed", ({ params }) => this.scripts.set(params.scriptId, params));
      this.post("Debugger.enable", {});
      for (const one of functions) this.watch(one);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Take the breakpoints away. */
  stop(): void {
    this.session.disconnect();
    Reflect.deleteProperty(globalThis, HOOK);
  }

  private watch(target: Watchable): void {
    const start = this.locate(target);
    const script = this.scripts.get(start.scriptId);
    const source = this.post("Debugger.getScriptSource", { scriptId: start.scriptId }).scriptSource;
    const end = endOf(start, target.toString());
    const toSource = this.mapper(script, source);
    const first = toSource(start);
    const last = toSource(end);
    const index = this.functions.length;
    this.functions.push({
      name: target.name === "" ? "(anonymous)" : target.name,
      file: first.file,
      firstLine: first.line,
      lastLine: last.file === first.file ? Math.max(first.line, last.line) : first.line,
      text: first.text.split(/\r\n|[\n\r]/),
    });
    const { locations } = this.post("Debugger.getPossibleBreakpoints", {
      start,
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
      this.post("Debugger.setBreakpoint", { location: place, condition });
    }
  }

  /** Where a function's text begins; of a bound one, that of what it is bound to. */
  private locate(target: Watchable): Place {
    this.hook.target = target;
    const expression = `globalThis["${HOOK}"].target`;
    let { objectId }: { objectId?: string } = this.post("Runtime.evaluate", { expression }).result;
    while (objectId !== undefined) {
      const answer: Answers["Runtime.getProperties"] = this.post("Runtime.getProperties", {
        objectId,
        ownProperties: true,
      });
      const property = (name: string) => answer.internalProperties?.find((one) => one.name === name)?.value;
      const place = property("[[FunctionLocation]]")?.value as Place | undefined;
      if (place !== undefined) return place;
      objectId = property("[[TargetFunction]]")?.objectId;
    }
    throw new InvalidArgumentError(
      `The lines of ${target.name || "this function"} cannot be had: it has no source.`,
    );
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
        const { sources = [], sourcesContent = [] } = (map?.payload ?? {}) as Partial<Payload>;
        text = readText(file) ?? sourcesContent[sources.indexOf(name)] ?? "";
        contents.set(name, text);
      }
      return text;
    };
    return ({ lineNumber, columnNumber }: Place) => {
      const place = map === null ? undefined : originalPlace(map, lineNumber + 1, columnNumber + 1);
      if (place === undefined) return { file: path, line: lineNumber + 1, text: source };
      const file = resolve(place.file, path);
      return { file, line: place.line, text: textOf(place.file, file) };
    };
  }

  /** The inspector answers in the same call. */
  private post<Method extends keyof Answers>(method: Method, params: object): Answers[Method];
  private post(method: "Debugger.enable", params: object): void;
  private post(method: string, params: object): unknown {
    let failure: Error | null = null;
    let answer: unknown;
    this.session.post(method, params, (error: Error | null, result?: object) => {
      failure = error;
      answer = result;
    });
    if (failure !== null)
      throw new HeapError("NO_INSPECTOR", `The inspector refused ${method}.`, { cause: failure });
    return answer;
  }
}

interface Payload {
  readonly sources: readonly string[];
  readonly sourcesContent: readonly (string | undefined)[];
}

/** [[FunctionLocation]] stands at the parameters, so that the whole text, counted from there, ends at or after the end. */
function endOf(start: Place, text: string): Place {
  const lines = text.split("\n");
  const last = lines[lines.length - 1].length;
  return {
    scriptId: start.scriptId,
    lineNumber: start.lineNumber + lines.length - 1,
    columnNumber: lines.length === 1 ? start.columnNumber + last : last,
  };
}
