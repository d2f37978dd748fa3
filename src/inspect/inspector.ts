/** The inspector of this process, asked in the same call: it is part of every Node and needs no flag. */
import { HeapError } from "../memory/errors.js";
import { type InspectorSession, nodeModule, toPath } from "./node.js";

/** A place in a script as the inspector counts: from 0. */
export interface ScriptPlace {
  readonly scriptId: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/** The parts of the protocol's answers that are used here. */
interface Answers {
  "Debugger.enable": object;
  "Debugger.getPossibleBreakpoints": {
    locations: (ScriptPlace & { type?: "call" | "return" | "debuggerStatement" })[];
  };
  "Debugger.getScriptSource": { scriptSource: string };
  "Debugger.resume": object;
  "Debugger.setBreakpoint": { breakpointId: string };
  "Runtime.evaluate": { result: RemoteValue };
  "Runtime.getProperties": { internalProperties?: { name: string; value?: RemoteValue }[] };
}

export interface RemoteValue {
  readonly value?: unknown;
  readonly objectId?: string;
  /** Of a function: its text. */
  readonly description?: string;
}

/** A script that was loaded. */
export interface Script {
  /** Its file, as a path or URL. */
  readonly url: string;
  readonly sourceMapURL?: string | undefined;
}

export class Inspector {
  /** All scripts, by number. */
  readonly scripts = new Map<string, Script>();
  /** Called for each that is loaded from now on, before it runs. */
  onScript: ((scriptId: string, script: Script) => void) | undefined;
  private readonly session: InspectorSession;

  /** @throws HeapError "NO_INSPECTOR" */
  constructor() {
    const inspector = nodeModule("node:inspector");
    if (inspector === undefined)
      throw new HeapError(
        "NO_INSPECTOR",
        "This needs the inspector of Node 20.16 or newer, which this host does not have.",
      );
    this.session = new inspector.Session();
    this.session.connect();
    // A `debugger` statement would stop this thread, which is the one that could let it go on.
    this.session.on("Debugger.paused", () => this.post("Debugger.resume", {}));
    this.session.on("Debugger.scriptParsed", ({ params }: { params: Script & { scriptId: string } }) => {
      this.scripts.set(params.scriptId, params);
      this.onScript?.(params.scriptId, params);
    });
    this.post("Debugger.enable", {});
  }

  /** The text of a script as it runs. */
  sourceOf(scriptId: string): string {
    return this.post("Debugger.getScriptSource", { scriptId }).scriptSource;
  }

  post<Method extends keyof Answers>(method: Method, params: object): Answers[Method] {
    let failure: unknown = null;
    let answer: unknown;
    this.session.post(method, params, (error: Error | null, result?: object) => {
      failure = error;
      answer = result;
    });
    if (failure !== null)
      throw new HeapError("NO_INSPECTOR", `The inspector refused ${method}.`, { cause: failure });
    return answer as Answers[Method];
  }

  /** Take away whatever was set. */
  close(): void {
    this.session.disconnect();
  }
}

/** Source maps that loaded scripts name, by path: those of what a loader has made are nowhere else. */
const urls = new Map<string, string | undefined>();

/** The `sourceMappingURL` of a script that was loaded from this path; undefined where there is none. Some 20 ms for the first. */
export function loadedSourceMapUrl(path: string): string | undefined {
  if (!urls.has(path)) {
    urls.set(path, undefined);
    try {
      const inspector = new Inspector();
      inspector.close();
      for (const { url, sourceMapURL } of inspector.scripts.values())
        urls.set(toPath(url) ?? url, sourceMapURL || undefined);
    } catch {
      // No inspector, no map.
    }
  }
  return urls.get(path);
}
