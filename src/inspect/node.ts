/** Node's built-in modules where there are any. An import would keep `ouroheap/inspect` from loading in browsers. */

/** The parts of them that are used, in types of our own: a program's types need not include Node's. */
interface Modules {
  "node:diagnostics_channel": {
    channel(name: string): { readonly hasSubscribers: boolean; publish(message: unknown): void };
  };
  "node:fs": { readFileSync(path: string, encoding: "utf8"): string };
  "node:inspector": { readonly Session: new () => InspectorSession };
  "node:module": {
    readonly SourceMap: new (payload: unknown) => SourceMap;
    findSourceMap(path: string): SourceMap | undefined;
  };
  "node:path": { resolve(...parts: string[]): string; dirname(path: string): string };
  "node:url": { fileURLToPath(url: string): string };
}

/** Node's `module.SourceMap`. Lines and columns from 0. */
export interface SourceMap {
  readonly payload: {
    readonly sources?: readonly string[];
    readonly sourcesContent?: readonly (string | null)[];
  };
  /** Empty where nothing is known. */
  findEntry(
    line: number,
    column: number,
  ): { readonly originalSource?: string; readonly originalLine?: number; readonly originalColumn?: number };
}

/** Node's `inspector.Session`. */
export interface InspectorSession {
  connect(): void;
  disconnect(): void;
  on(event: string, hear: (message: { params: never }) => void): void;
  post(method: string, params: object, answer: (error: Error | null, result?: object) => void): void;
}

interface Host {
  readonly process?: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly getBuiltinModule?: (name: string) => unknown;
  };
}

/** A built-in module; undefined in browsers, and in Node before 20.16. */
export function nodeModule<Name extends keyof Modules>(name: Name): Modules[Name] | undefined {
  return (globalThis as Host).process?.getBuiltinModule?.(name) as Modules[Name] | undefined;
}

/** An environment variable; undefined where there is no environment. */
export function environmentVariable(name: string): string | undefined {
  return (globalThis as Host).process?.env?.[name];
}

/** The path behind a `file:` URL or a path; undefined for anything else (`node:fs`, `https:`, `<anonymous>`). */
export function toPath(file: string): string | undefined {
  if (!file.startsWith("file:")) return /^(?:\/|[a-z]:[\\/])/i.test(file) ? file : undefined;
  try {
    return nodeModule("node:url")?.fileURLToPath(file);
  } catch {
    return undefined;
  }
}
