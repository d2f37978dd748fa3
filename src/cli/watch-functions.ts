/** The functions that `ouro run --profile` names, watched in a program from the moment their files are loaded. */
import type { Context } from "../host/context.js";
import { type FunctionProfile, LineProfiler } from "../inspect/line-profiler.js";
import { toPath } from "../inspect/node.js";
import { findFunctions } from "./find-functions.js";
import { isFile, readWanted, type Wanted } from "./wanted.js";

/** What has become of one name. */
export interface ProfiledName {
  /** As it was given. */
  readonly name: string;
  /** The functions of that name that were loaded. */
  readonly functions: readonly FunctionProfile[];
}

/** Files of this command and of the library, which have functions of many names. */
const OWN_FOLDER = new URL(".", import.meta.url).href;

export class FunctionWatch {
  private readonly profiler: LineProfiler;
  private readonly wanted: readonly Wanted[];
  /** By function watched: the name that it was wanted for. */
  private readonly reasons: Wanted[] = [];

  constructor(names: readonly string[]) {
    this.wanted = names.map(readWanted).filter((one) => one !== undefined);
    this.profiler = new LineProfiler([], []);
    this.profiler.hits.onScript((scriptId, url, source) => this.look(scriptId, url, source));
  }

  add(context: Context): void {
    this.profiler.add(context);
  }

  remove(context: Context): void {
    this.profiler.remove(context);
  }

  stop(): ProfiledName[] {
    const profiles = this.profiler.stop();
    return this.wanted.map((wanted) => ({
      name: wanted.text,
      functions: profiles.filter((_, index) => this.reasons[index] === wanted),
    }));
  }

  private look(scriptId: string, url: string, source: () => string): void {
    const path = toPath(url);
    if (path === undefined || url.startsWith(OWN_FOLDER)) return;
    const isForeign = /[\\/]node_modules[\\/]/.test(path);
    for (const wanted of this.wanted) {
      if (isForeign && wanted.file === undefined) continue;
      this.watch(wanted, scriptId, path, source());
    }
  }

  private watch(wanted: Wanted, scriptId: string, path: string, source: string): void {
    const { file, name } = wanted;
    if (!source.includes(name.slice(name.lastIndexOf(".") + 1))) return;
    try {
      for (const place of findFunctions(scriptId, source, name)) {
        this.profiler.hits.watchAt(place, (one) => file === undefined || isFile(one, file));
        while (this.reasons.length < this.profiler.hits.functions.length) this.reasons.push(wanted);
      }
    } catch (error) {
      // The program is not to feel it.
      console.error(`ouro: the functions of ${path} cannot be profiled: ${(error as Error).message}`);
    }
  }
}
