/** Where in the user's code a handle was made or released: a stack as text, because an Error object would keep things alive. */

const FRAMES_MAX = 4;
/** How many of the library's own frames may stand above those of the program. */
const LIBRARY_FRAMES_MAX = 8;

const INSIDE_THE_HEAP = "inside the heap: a death, a disposal or a collection";

/**
 * Everything this library is made of starts with this, in the sources and when bundled. Without the scheme, because a
 * stack names files by URL or by path: it depends on what loaded them.
 */
const libraryPath = import.meta.url.replace(/(\/host\/site\.[jt]s|\/[^/]*)$/, "/").replace(/^file:\/\//, "");

/**
 * Frames outside the library, innermost first, one a line. Takes microseconds, and longer for more frames: sample it.
 */
export function captureSite(framesMax = FRAMES_MAX): string {
  const frames = stackLines(LIBRARY_FRAMES_MAX + framesMax).map((line) => line.trim().replace(/^at /, ""));
  const outside = frames.filter((frame) => !isLibraryFrame(frame));
  // So deep inside a death or a collection that no line of the program is near.
  if (outside.length === 0 && frames.length > 0) return INSIDE_THE_HEAP;
  return outside.slice(0, framesMax).join("\n");
}

/** Whether a stack frame, or the file of one, is this library's or the host's own. */
export function isLibraryFrame(frame: string): boolean {
  return frame.includes(libraryPath) || frame.includes("node:internal/");
}

/**
 * The stack as lines. Stacks belong to the program: its `Error.prepareStackTrace` may return what it likes, or throw, and
 * a frozen `Error` takes no limit. A handle is made all the same.
 */
function stackLines(framesMax: number): string[] {
  const limit = Error.stackTraceLimit;
  try {
    Reflect.set(Error, "stackTraceLimit", framesMax);
    const { stack } = capture();
    if (Array.isArray(stack)) return stack.map(String); // call sites
    return typeof stack === "string" ? stack.split("\n").slice(1) : [];
  } catch {
    return [];
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit);
  }
}

/** In V8 without the frames of this file. */
function capture(): { stack?: unknown } {
  const host = Error as { captureStackTrace?: (target: object, above: unknown) => void };
  const target: { stack?: unknown } = host.captureStackTrace === undefined ? new Error() : {};
  host.captureStackTrace?.(target, captureSite);
  return target;
}
