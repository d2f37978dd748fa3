import { afterEach, describe, expect, it } from "vitest";
import { captureSite } from "../../../src/host/site.js";
import { f64, release, struct } from "../../../src/index.js";
import { makeHeap } from "../../support/heaps.js";
import { thrownBy } from "./support.js";

const Point = struct("Point", { x: f64 });
const ErrorHost = Error as unknown as { prepareStackTrace?: unknown; stackTraceLimit: number };
const { prepareStackTrace, stackTraceLimit } = ErrorHost;

afterEach(() => {
  ErrorHost.prepareStackTrace = prepareStackTrace;
  ErrorHost.stackTraceLimit = stackTraceLimit;
});

describe("the site of a handle", () => {
  it("is up to four frames of the program, innermost first, none of the library's", () => {
    const heap = makeHeap({ checks: { handles: { every: 1 } } });
    function deepest() {
      const point = heap.new(Point, {});
      release(point);
      return (thrownBy(() => release(point)) as { madeAt: string }).madeAt;
    }
    const outer = () => (() => (() => deepest())())();
    const frames = outer().split("\n");
    expect(frames).toHaveLength(4);
    expect(frames[0]).toMatch(/^deepest \(.*site\.test\.ts:\d+:\d+\)$/);
    for (const frame of frames) expect(frame).not.toMatch(/\/src\//);
  });

  it("does not depend on how long the program's stacks are, and leaves that alone", () => {
    ErrorHost.stackTraceLimit = 1;
    expect(captureSite()).toContain("site.test.ts");
    expect(ErrorHost.stackTraceLimit).toBe(1);
  });

  it("is captured where the limit cannot be changed", () => {
    Object.defineProperty(Error, "stackTraceLimit", { writable: false });
    try {
      expect(captureSite()).toContain("site.test.ts");
    } finally {
      Object.defineProperty(Error, "stackTraceLimit", { writable: true });
    }
  });

  it("is captured whatever the program makes of its stacks", () => {
    const heap = makeHeap({ checks: { handles: { every: 1 } } });
    const makers: [unknown, RegExp][] = [
      [(_: Error, sites: unknown[]) => sites, /site\.test\.ts/],
      [(error: Error, sites: unknown[]) => `${error}\n    at ${sites.join("\n    at ")}`, /site\.test\.ts/],
      [() => undefined, /^$/],
      [() => 5, /^$/],
      [
        () => {
          throw new Error("no stacks today");
        },
        /^$/,
      ],
    ];
    for (const [prepare, expected] of makers) {
      ErrorHost.prepareStackTrace = prepare;
      const point = heap.new(Point, { x: 1 });
      release(point);
      ErrorHost.prepareStackTrace = prepareStackTrace;
      const { madeAt } = thrownBy(() => point.x) as { madeAt: string };
      expect(madeAt).toMatch(expected);
    }
    expect(ErrorHost.stackTraceLimit).toBe(stackTraceLimit);
  });
});
