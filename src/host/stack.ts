/**
 * Stacks as text, and their frames. A stack is captured in the middle of an allocation, where none of the program's code
 * may run; what it means is found out later.
 */

/** One line of a stack. */
export interface Frame {
  /** The function, as the engine names it; "" for the top level of a module. */
  readonly name: string;
  /** Path or URL of the source file. */
  readonly file: string;
  /** From 1; 0 where the engine does not say. */
  readonly line: number;
  /** From 1; 0 where the engine does not say. */
  readonly column: number;
}

/**
 * The stack as the engine writes it, or "" where it cannot be had without running the program's code: that of an
 * `Error.prepareStackTrace` which cannot be put aside. Takes 10 to 50 microseconds.
 */
export function captureStack(framesMax: number): string {
  const prepare = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
  if (prepare !== undefined && prepare.writable !== true) return "";
  const limit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")?.value as unknown;
  Reflect.set(Error, "stackTraceLimit", framesMax);
  if (prepare !== undefined) Reflect.set(Error, "prepareStackTrace", undefined);
  try {
    const { stack } = new Error() as { stack?: unknown };
    return typeof stack === "string" ? stack : "";
  } catch {
    return ""; // at the very end of the engine's own stack
  } finally {
    if (prepare !== undefined) Reflect.set(Error, "prepareStackTrace", prepare.value);
    Reflect.set(Error, "stackTraceLimit", limit);
  }
}

/** Stacks are the program's: it may have frozen `Error`, and then takes no limit. */
export function withStackLimit<T>(framesMax: number, capture: () => T): T {
  const limit = Error.stackTraceLimit;
  Reflect.set(Error, "stackTraceLimit", framesMax);
  try {
    return capture();
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit);
  }
}

/** `file:line:column` at the end of a frame, in brackets or not. */
const POSITION = /^(.*?):(\d+):(\d+)$/;

/** The frames of a stack, innermost first: V8's `at name (file:1:2)`, others' `name@file:1:2`. */
export function parseStack(stack: string): Frame[] {
  return stack.split("\n").flatMap((line) => parseFrame(line) ?? []);
}

/** One line of a stack; undefined for what is no frame, such as the error's message. */
export function parseFrame(line: string): Frame | undefined {
  const v8 = /^\s*at (.*)$/.exec(line);
  if (v8 !== null) return parseV8(v8[1]);
  const at = line.indexOf("@");
  return at < 0 ? undefined : frameAt(line.slice(0, at), line.slice(at + 1));
}

function parseV8(text: string): Frame | undefined {
  // A function made from text stands in brackets within brackets: where it was made says more than its own line.
  const evaluated = /^(.*?) \(eval at \S+ \((.*?:\d+:\d+)\), .*\)$/.exec(text);
  if (evaluated !== null) return frameAt(evaluated[1], evaluated[2]);
  const open = text.indexOf(" (");
  if (open >= 0 && text.endsWith(")")) return frameAt(text.slice(0, open), text.slice(open + 2, -1));
  return frameAt("", text.replace(/^async /, ""));
}

function frameAt(name: string, place: string): Frame {
  const position = POSITION.exec(place);
  if (position === null) return { name, file: place, line: 0, column: 0 };
  return { name, file: position[1], line: Number(position[2]), column: Number(position[3]) };
}

/** A frame as V8 writes it. */
export function frameText({ name, file, line, column }: Frame): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return name === "" ? place : `${name} (${place})`;
}
