/**
 * From what runs to what was written: source maps by Node's own `module.SourceMap`, which reads every form of them and is
 * part of every Node, so no dependency is needed. Where there is no Node (browsers), or one before 20.16 (which has no way
 * to load a built-in module without an import that browsers would refuse), positions stay as they are.
 */

import type { Frame } from "../host/stack.js";
import { loadedSourceMapUrl } from "./inspector.js";
import { nodeModule, type SourceMap, toPath } from "./node.js";

/** The last comment counts, as the standard says; in CSS-like comments too. */
const COMMENT = /\/[/*][#@]\s*sourceMappingURL=([^\s'"*]+)/g;
const DATA = /^data:application\/json[^,]*?(;base64)?,(.*)$/s;

/** Maps by the file or URL that runs; null: it has none. */
const maps = new Map<string, SourceMap | null>();

/** The frame where its source says it is, if a map can be found. Reads each file once. */
export function mapFrame(frame: Frame): Frame {
  const map = frame.line === 0 ? null : mapOf(frame.file);
  const place = map === null ? undefined : originalPlace(map, frame.line, frame.column);
  return place === undefined ? frame : { name: frame.name, ...place, file: resolve(place.file, frame.file) };
}

/** Where a position of the generated text stands in its source, or undefined. Lines and columns from 1. */
export function originalPlace(
  map: SourceMap,
  line: number,
  column: number,
): { file: string; line: number; column: number } | undefined {
  const { originalSource: file, originalLine, originalColumn } = map.findEntry(line - 1, column - 1);
  if (file === undefined || originalLine === undefined || originalColumn === undefined) return undefined;
  return { file, line: originalLine + 1, column: originalColumn + 1 };
}

/** The map of a file that runs, or null. */
export function mapOf(file: string): SourceMap | null {
  let map = maps.get(file);
  if (map === undefined) {
    map = findMap(file);
    maps.set(file, map);
  }
  return map;
}

function findMap(file: string): SourceMap | null {
  const path = toPath(file);
  if (path === undefined) return null;
  // With --enable-source-maps Node has read it already, of what was never on a disk too.
  const known =
    nodeModule("node:module")?.findSourceMap(path) ?? nodeModule("node:module")?.findSourceMap(file);
  if (known !== undefined) return known;
  // What runs may have been made by a loader from what is on the disk: then only the script itself names the right map.
  const url = loadedSourceMapUrl(path);
  if (url !== undefined) return mapOfUrl(url, path);
  const text = readText(path);
  return text === undefined ? null : mapOfText(text, path);
}

/** The map that a script's text names in its last comment, or null. @param path of the script, for relative names */
export function mapOfText(text: string, path: string): SourceMap | null {
  const url = [...text.matchAll(COMMENT)].at(-1)?.[1];
  return url === undefined ? null : mapOfUrl(url, path);
}

/** The map at a `sourceMappingURL`, or null where it cannot be read. */
export function mapOfUrl(url: string, path: string): SourceMap | null {
  const module = nodeModule("node:module");
  const data = DATA.exec(url);
  const text =
    data === null ? readText(resolve(decodePercent(url), path)) : decodeData(data[2], data[1] !== undefined);
  if (module === undefined || text === undefined) return null;
  try {
    return new module.SourceMap(JSON.parse(text));
  } catch {
    return null; // no source map at all: the position that runs is still true
  }
}

function decodeData(data: string, isBase64: boolean): string {
  if (!isBase64) return decodePercent(data);
  return new TextDecoder().decode(Uint8Array.from(atob(data), (char) => char.charCodeAt(0)));
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A source's name, which is relative to the file that runs, as a path. */
export function resolve(name: string, from: string): string {
  if (/^[a-z][a-z0-9+.-]+:/i.test(name)) return toPath(name) ?? name;
  const path = nodeModule("node:path");
  return path === undefined ? name : path.resolve(path.dirname(toPath(from) ?? from), name);
}

/** The text of a file, or undefined. */
export function readText(file: string): string | undefined {
  try {
    return nodeModule("node:fs")?.readFileSync(toPath(file) ?? file, "utf8");
  } catch {
    return undefined;
  }
}
