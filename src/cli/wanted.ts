/** Names of functions as `ouro run --profile` takes them. */

/** A function as somebody asks for it: "render", "Page.render", "app.mjs:render", "src/app.mjs:Page.render". */
export interface Wanted {
  readonly text: string;
  readonly file: string | undefined;
  readonly name: string;
}

/** @returns undefined where no function is named */
export function readWanted(text: string): Wanted | undefined {
  const [, file, name] = /^(?:(.+):)?([^:\s]+)$/.exec(text) ?? [];
  return name === undefined ? undefined : { text, file, name };
}

/** Whether a file is the one that was asked for: the whole of its path, or the end of it. */
export function isFile(file: string, wanted: string): boolean {
  const plain = (path: string) => path.replaceAll("\\", "/").replace(/^(\.\/)+/, "");
  return plain(file) === plain(wanted) || plain(file).endsWith(`/${plain(wanted)}`);
}
