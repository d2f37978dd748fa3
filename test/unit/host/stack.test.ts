import { afterEach, describe, expect, it } from "vitest";
import { captureStack, frameText, parseFrame, parseStack } from "../../../src/host/stack.js";

const ErrorHost = Error as unknown as { prepareStackTrace?: unknown; stackTraceLimit: number };
const { prepareStackTrace, stackTraceLimit } = ErrorHost;

afterEach(() => {
  Object.defineProperty(Error, "prepareStackTrace", {
    value: prepareStackTrace,
    writable: true,
    configurable: true,
  });
  ErrorHost.stackTraceLimit = stackTraceLimit;
});

describe("a captured stack", () => {
  it("has as many frames as asked, whatever the program's limit, which stays", () => {
    ErrorHost.stackTraceLimit = 1;
    const deep = (depth: number): string => (depth === 0 ? captureStack(5) : deep(depth - 1));
    const frames = parseStack(deep(9));
    expect(frames).toHaveLength(5);
    expect(frames[1].name).toBe("deep");
    expect(frames[1].file).toMatch(/stack\.test\.ts$/);
    expect(ErrorHost.stackTraceLimit).toBe(1);
  });

  it("runs nothing of the program's, and leaves its function in place", () => {
    let calls = 0;
    const prepare = () => {
      calls++;
      return "mine";
    };
    ErrorHost.prepareStackTrace = prepare;
    expect(captureStack(3)).toContain("stack.test.ts");
    expect([calls, ErrorHost.prepareStackTrace]).toEqual([0, prepare]);
  });

  it("is empty where the program's function cannot be put aside", () => {
    let calls = 0;
    const get = () => {
      calls++;
      return () => "mine";
    };
    Object.defineProperty(Error, "prepareStackTrace", { get, configurable: true });
    expect([captureStack(3), calls]).toEqual(["", 0]);
  });
});

describe("a frame", () => {
  it.each([
    ["    at make (/app/a.js:3:14)", "make", "/app/a.js", 3, 14],
    ["    at file:///app/a%20b.mjs:3:14", "", "file:///app/a%20b.mjs", 3, 14],
    ["    at async load (C:\\app\\a.js:3:14)", "async load", "C:\\app\\a.js", 3, 14],
    ["    at async file:///app/a.mjs:10:3", "", "file:///app/a.mjs", 10, 3],
    ["    at new Cache [as x] (/app (1)/a.js:3:14)", "new Cache [as x]", "/app (1)/a.js", 3, 14],
    ["    at Array.forEach (<anonymous>)", "Array.forEach", "<anonymous>", 0, 0],
    [
      "    at create (eval at compile (file:///lib/compile.js:8:10), <anonymous>:3:5)",
      "create",
      "file:///lib/compile.js",
      8,
      10,
    ],
    ["make@https://x.org/a.js:3:14", "make", "https://x.org/a.js", 3, 14],
    ["@https://x.org/a.js:3:14", "", "https://x.org/a.js", 3, 14],
  ])("%s", (text, name, file, line, column) => {
    expect(parseFrame(text)).toEqual({ name, file, line, column });
  });

  it("is not what else stands in a stack", () => {
    expect(parseFrame("Error: at home")).toBeUndefined();
    expect(parseStack("Error\n    at f (a.js:1:2)\n\n")).toEqual([
      { name: "f", file: "a.js", line: 1, column: 2 },
    ]);
  });

  it("is written as V8 writes it", () => {
    for (const text of ["make (/app/a.js:3:14)", "/app/a.js:3:14", "Array.forEach (<anonymous>)"])
      expect(frameText(parseFrame(`    at ${text}`)!)).toBe(text);
  });
});
