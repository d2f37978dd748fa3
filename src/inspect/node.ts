/** Node's built-in modules where there are any. An import would keep `ouroheap/inspect` from loading in browsers. */

interface Modules {
  "node:diagnostics_channel": typeof import("node:diagnostics_channel");
  "node:fs": typeof import("node:fs");
  "node:inspector": typeof import("node:inspector");
  "node:module": typeof import("node:module");
  "node:path": typeof import("node:path");
  "node:url": typeof import("node:url");
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
