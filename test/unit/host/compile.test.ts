import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { canCompile, compile } from "../../../src/host/compile.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

describe("compile", () => {
  const text = "return function twice(x) { return this === undefined ? factor * x : NaN; };";

  it("makes a function from text, strict, over the names it is given", () => {
    const twice = compile<(x: number) => number>({ factor: 2 }, text, () => () => -1, true);
    expect([twice.name, twice(21)]).toEqual(["twice", 42]);
    expect(() => compile({}, text, () => null, true)).not.toThrow();
    expect(() => compile<(x: number) => number>({}, text, () => () => -1, true)(1)).toThrow(ReferenceError);
  });

  it("makes a function of its own each time, so that none shares what the engine learns of another", () => {
    const make = () => compile({ factor: 2 }, text, () => null, true);
    expect(make()).not.toBe(make());
  });

  it("takes the other way where text is not allowed, and does not look at it", () => {
    const fallback = () => 7;
    expect(compile({}, "this is no text of a function", () => fallback, false)).toBe(fallback);
  });
});

describe("whether functions may be made from text", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it("is found out by making one", async () => {
    expect(canCompile).toBe(true);
    vi.resetModules();
    vi.stubGlobal("Function", () => {
      throw new EvalError("Code generation from strings disallowed for this context");
    });
    expect((await import("../../../src/host/compile.js")).canCompile).toBe(false);
  });

  it("is found out for the whole library, which then prints the same without", async () => {
    const example = `${root}examples/two-dicts.mjs`;
    const run = (...flags: string[]) => promisify(execFile)(process.execPath, [...flags, example]);
    const { stdout, stderr } = await run("--disallow-code-generation-from-strings");
    expect([stdout, stderr]).toEqual([(await run()).stdout, ""]);
  });
});
