/** Where in the user's code a handle was made or released: a stack as text, because an Error object would keep things alive. */
import { libraryFrames } from "./library-code.js";
import { parseFrame, withStackLimit } from "./stack.js";

const FRAMES_MAX = 4;
/** How many of the library's own frames may stand above those of the program. */
const LIBRARY_FRAMES_MAX = 8;

const INSIDE_THE_HEAP = "inside the heap: a death, a disposal or a collection";

/**
 * Frames outside the library, innermost first, one a line. Takes microseconds, and longer for more frames: sample it.
 */
export function captureSite(framesMax = FRAMES_MAX): string {
  const lines = stackLines(LIBRARY_FRAMES_MAX + framesMax);
  if (lines.length === 0) return "";
  // Whoever calls this is the library's.
  const isLibrary = libraryFrames(parseFrame(lines[0]));
  const outside: string[] = [];
  for (const line of lines) {
    if (outside.length === framesMax) break;
    const frame = parseFrame(line);
    if (frame === undefined || isHostFrame(frame) || isLibrary(frame)) continue;
    outside.push(line.trim().replace(/^at /, ""));
  }
  // So deep inside a death or a collection that no line of the program is near.
  return outside.length === 0 ? INSIDE_THE_HEAP : outside.join("\n");
}

/** Whether a frame is of the host's own code. */
export function isHostFrame({ file }: { readonly file: string }): boolean {
  return file.startsWith("node:internal/");
}

/**
 * The stack as lines, without this file's where the host can leave them out. Stacks belong to the program: its `Error.prepareStackTrace` may return what it
 * likes, or throw, and a frozen `Error` takes no limit. A handle is made all the same.
 */
function stackLines(framesMax: number): string[] {
  try {
    // Within the limit: an engine may write the stack only when it is asked for.
    const stack = withStackLimit(framesMax, () => capture().stack);
    if (Array.isArray(stack)) return stack.map((site) => `at ${String(site)}`); // call sites
    return typeof stack === "string" ? stack.split("\n").slice(1) : [];
  } catch {
    return [];
  }
}

/** In V8 without the frames of this file. */
function capture(): { stack?: unknown } {
  const host = Error as { captureStackTrace?: (target: object, above: unknown) => void };
  const target: { stack?: unknown } = host.captureStackTrace === undefined ? new Error() : {};
  host.captureStackTrace?.(target, captureSite);
  return target;
}
