/**
 * Which frames of a stack are this library's own. Not by file: a program that is bundled with the library is one file with
 * it. The build puts a mark before and after the code of each file of dist/ (scripts/build.mjs), which stay where they are
 * when a bundler puts files together and makes names and lines shorter: what stands between two marks is the library's.
 */
import { COMPILED_FILE } from "./compile.js";
import { type Frame, parseStack, withStackLimit } from "./stack.js";

/** A mark says where it stands by the stack of an error. */
type Mark = { readonly begin: () => Error } | { readonly end: () => Error };

/** In the global object, because it has to be there before the first module of the library, and marks import nothing. */
const MARKS = Symbol.for("ouroheap.code");

/** Between two marks of one file. */
interface Range {
  readonly begin: Frame;
  readonly end: Frame;
}

let ranges: readonly Range[] = [];
let marksRead = 0;

/**
 * @param own a frame of this library, captured with the others: stacks name files by URL or by path, and where source maps
 * are applied by their sources, as the host and the program like it
 */
export function libraryFrames(own: Frame | undefined): (frame: Frame) => boolean {
  if (own === undefined) return () => false;
  readMarks();
  if (isMarked(own)) return (frame) => isMarked(frame) || isCompiled(frame);
  // Not built, or with source maps applied: then the library's files are files of their own, and this is one of them.
  const folder = /^(.*[\\/])(?:host[\\/][\w-]+\.[jt]s|chunk-\w+\.js)$/.exec(own.file)?.[1];
  return (frame) => (folder !== undefined && frame.file.startsWith(folder)) || isCompiled(frame);
}

function isCompiled({ file }: Frame): boolean {
  return file === COMPILED_FILE;
}

function isMarked(frame: Frame): boolean {
  return ranges.some(
    ({ begin, end }) => frame.file === begin.file && isBefore(begin, frame) && isBefore(frame, end),
  );
}

function isBefore(one: Frame, other: Frame): boolean {
  return one.line === other.line ? one.column <= other.column : one.line < other.line;
}

/** Those that have come since the last time: files are loaded when they are needed. */
function readMarks(): void {
  const marks = ((globalThis as { [MARKS]?: Mark[] })[MARKS] ?? []) as readonly Mark[];
  if (marks.length === marksRead) return;
  marksRead = marks.length;
  const places = marks.flatMap((mark) => {
    const isEnd = "end" in mark;
    const stack = withStackLimit(1, () => (isEnd ? mark.end() : mark.begin()).stack);
    const frame = typeof stack === "string" ? parseStack(stack)[0] : undefined;
    return frame === undefined ? [] : [{ isEnd, frame }];
  });
  places.sort((one, other) => one.frame.line - other.frame.line || one.frame.column - other.frame.column);
  ranges = places.flatMap(({ isEnd, frame: begin }, index) => {
    const end = places.slice(index + 1).find(({ frame }) => frame.file === begin.file);
    return isEnd || end === undefined || !end.isEnd ? [] : [{ begin, end: end.frame }];
  });
}
