import { describe, expect, it } from "vitest";
import { chooseDisposer } from "../../../src/host/disposer.js";
import { messageOf } from "./support.js";

/** A value whose methods note their names. */
function valueWith(...names: (string | symbol)[]): { value: object; called: (string | symbol)[] } {
  const called: (string | symbol)[] = [];
  const methods = names.map((name) => [name, () => called.push(name)]);
  return { value: Object.fromEntries(methods), called };
}

describe("the disposer of a value", () => {
  it.each(["delete", "dispose", "free", "destroy", "close", "release"])("may be its method %s", (name) => {
    const { value, called } = valueWith(name, "open", "reset");
    const chosen = chooseDisposer(value);
    chosen.dispose(value);
    expect([chosen.name, called]).toEqual([name, [name]]);
  });

  it("is the language's where there is one, the synchronous one first", () => {
    const both = valueWith("close", "destroy", Symbol.asyncDispose, Symbol.dispose);
    const awaited = valueWith("close", Symbol.asyncDispose);
    for (const { value } of [both, awaited]) chooseDisposer(value).dispose(value);
    expect([both.called, awaited.called]).toEqual([[Symbol.dispose], [Symbol.asyncDispose]]);
    expect(chooseDisposer(both.value).name).toBe("[Symbol.dispose]");
    expect(chooseDisposer(awaited.value).name).toBe("[Symbol.asyncDispose]");
  });

  it("may have several names, if they are one method", () => {
    class Aliased {
      count = 0;
      delete(): void {
        this.count++;
      }
    }
    Object.assign(Aliased.prototype, { free: Aliased.prototype.delete });
    const value = new Aliased();
    const chosen = chooseDisposer(value);
    chosen.dispose(value);
    expect([chosen.name, value.count]).toEqual(["delete", 1]);
  });

  it("is ambiguous where the language's is only another name of one of several", () => {
    class Surface {
      delete(): void {}
      dispose(): void {}
    }
    Object.assign(Surface.prototype, { [Symbol.dispose]: Surface.prototype.delete });
    const message = messageOf("INVALID_ARGUMENT", () => chooseDisposer(new Surface()));
    expect(message).toMatch(/is ambiguous: it has \.delete\(\), \.dispose\(\)/);
    class Path {
      delete(): void {}
      close(): void {}
    }
    Object.assign(Path.prototype, { [Symbol.dispose]: Path.prototype.delete });
    expect(chooseDisposer(new Path()).name).toBe("[Symbol.dispose]"); // a path is closed to be filled
  });

  it("is not the `delete` that takes an item out", () => {
    const message = messageOf("INVALID_ARGUMENT", () => chooseDisposer(new Map()));
    expect(message).toMatch(/^How to dispose of an instance of Map is unknown: it has none of .*heap\.adopt/);
  });

  it("is refused where it is ambiguous, with what was found", () => {
    expect(messageOf("INVALID_ARGUMENT", () => chooseDisposer(valueWith("close", "free").value))).toBe(
      "How to dispose of an object is ambiguous: it has .free(), .close(). Say which with heap.adopt(value, (value) => value.free()).",
    );
  });

  it.each([[null], [undefined], [3], ["text"], [true]])("is refused for %s, which is no object", (value) => {
    expect(messageOf("INVALID_ARGUMENT", () => chooseDisposer(value))).toMatch(/heap\.own takes an object/);
  });

  it("is looked up when it is called, and called on its value", () => {
    const value = { closed: 0, close: () => {} };
    const { dispose } = chooseDisposer(value);
    value.close = function (this: typeof value) {
      this.closed++;
    };
    dispose(value);
    expect(value.closed).toBe(1);
  });
});
