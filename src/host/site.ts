/** Where in the user's code a handle was made or released: a stack as text, because an Error object would keep things alive. */

const FRAMES_MAX = 4;
/** Frames looked at: the library's own, which are left out, take up some. */
const STACK_LIMIT = 14;

/** Everything this library is made of starts with this, in the sources and when bundled. */
const libraryUrl = import.meta.url.replace(/(\/host\/site\.[jt]s|\/[^/]*)$/, "/");

/** Up to four frames outside the library, innermost first, one a line. Takes microseconds: sample it. */
export function captureSite(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_LIMIT;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = limit;
  const frames = stack
    .split("\n")
    .slice(1)
    .map((line) => line.trim().replace(/^at /, ""));
  const outside = frames.filter((frame) => !frame.includes(libraryUrl) && !frame.includes("node:internal/"));
  return (outside.length > 0 ? outside : frames).slice(0, FRAMES_MAX).join("\n");
}
