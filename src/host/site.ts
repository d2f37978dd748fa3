/** Where in the user's code a handle was made or released: a stack as text, because an Error object would keep things alive. */

const FRAMES_MAX = 4;
/** Frames looked at: the library's own, which are left out, take up some. */
const STACK_LIMIT = 14;

const INSIDE_THE_HEAP = "inside the heap: a death, a disposal or a collection";

/**
 * Everything this library is made of starts with this, in the sources and when bundled. Without the scheme, because a
 * stack names files by URL or by path: it depends on what loaded them.
 */
const libraryPath = import.meta.url.replace(/(\/host\/site\.[jt]s|\/[^/]*)$/, "/").replace(/^file:\/\//, "");

/** Up to four frames outside the library, innermost first, one a line. Takes microseconds: sample it. */
export function captureSite(): string {
  const frames = stackLines().map((line) => line.trim().replace(/^at /, ""));
  const outside = frames.filter((frame) => !isLibraryFrame(frame));
  // So deep inside a death or a collection that no line of the program is near.
  if (outside.length === 0 && frames.length > 0) return INSIDE_THE_HEAP;
  return outside.slice(0, FRAMES_MAX).join("\n");
}

/** Whether a stack frame, or the file of one, is this library's or the host's own. */
export function isLibraryFrame(frame: string): boolean {
  return frame.includes(libraryPath) || frame.includes("node:internal/");
}

/**
 * The stack as lines. Stacks belong to the program: its `Error.prepareStackTrace` may return what it likes, or throw, and
 * a frozen `Error` takes no limit. A handle is made all the same.
 */
function stackLines(): string[] {
  const limit = Error.stackTraceLimit;
  try {
    Reflect.set(Error, "stackTraceLimit", STACK_LIMIT);
    const { stack } = new Error() as { stack?: unknown };
    if (Array.isArray(stack)) return stack.map(String); // call sites
    return typeof stack === "string" ? stack.split("\n").slice(1) : [];
  } catch {
    return [];
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit);
  }
}
