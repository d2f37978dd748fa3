import { describe, expect, it } from "vitest";
import * as errors from "../../../src/memory/errors.js";

const {
  ConcurrentModificationError,
  DeadReferenceError,
  DoubleReleaseError,
  AlreadyAdoptedError,
  HeapCorruptionError,
  PoolExhaustedError,
  PoolInUseError,
  HeapDisposedError,
  HeapError,
  InvalidArgumentError,
  OutOfMemoryError,
  TypeMismatchError,
  UseAfterReleaseError,
} = errors;

/** One of each, with its name and its code: what programs compare and logs show. */
const samples: [name: string, code: string, error: errors.HeapError][] = [
  ["ImageError", "IMAGE_NEWER", new errors.ImageError("IMAGE_NEWER", "text")],
  ["LayoutMismatchError", "LAYOUT_MISMATCH", new errors.LayoutMismatchError("Node", "value", "it differs")],
  ["HeapBusyError", "HEAP_BUSY", new errors.HeapBusyError("saved", "a collection")],
  ["TombstoneError", "TOMBSTONE", new errors.TombstoneError("Texture", "delete")],
  ["HeapError", "SOME_CODE", new HeapError("SOME_CODE", "text")],
  ["OutOfMemoryError", "OUT_OF_MEMORY", new OutOfMemoryError(64, 1024)],
  ["UseAfterReleaseError", "USE_AFTER_RELEASE", new UseAfterReleaseError("USE_AFTER_RELEASE", "text")],
  ["UseAfterReleaseError", "STALE_REFERENCE", new UseAfterReleaseError("STALE_REFERENCE", "text")],
  ["DoubleReleaseError", "DOUBLE_RELEASE", new DoubleReleaseError("text")],
  ["TypeMismatchError", "TYPE_MISMATCH", new TypeMismatchError("text")],
  ["TypeMismatchError", "FOREIGN_HEAP", new TypeMismatchError("text", "FOREIGN_HEAP")],
  ["InvalidArgumentError", "INVALID_ARGUMENT", new InvalidArgumentError("text")],
  ["ConcurrentModificationError", "CONCURRENT_MODIFICATION", new ConcurrentModificationError("text")],
  ["DeadReferenceError", "DEAD_REFERENCE", new DeadReferenceError("text")],
  ["HeapDisposedError", "HEAP_DISPOSED", new HeapDisposedError()],
  ["AlreadyAdoptedError", "ALREADY_ADOPTED", new AlreadyAdoptedError("an object", "f (a.js:1:1)")],
  ["PoolExhaustedError", "POOL_EXHAUSTED", new PoolExhaustedError("Particle", 10)],
  ["PoolInUseError", "POOL_IN_USE", new PoolInUseError("Particle", 2, ["f (a.js:1:1)"])],
  ["LockError", "NO_GUARD", new errors.LockError("NO_GUARD", "text")],
  ["LockTimeoutError", "LOCK_TIMEOUT", new errors.LockTimeoutError("text", ['"worker"'], "f (a.js:1:1)")],
  ["ShareError", "NOT_SHARED", new errors.ShareError("NOT_SHARED", "text")],
  ["ParcelClaimedError", "PARCEL_CLAIMED", new errors.ParcelClaimedError("text")],
  ["WrongThreadError", "WRONG_THREAD", new errors.WrongThreadError("text")],
  ["HeapCorruptionError", "HEAP_CORRUPTION", new HeapCorruptionError("I3 blocks", 4096, "serial 0")],
];

describe("the errors", () => {
  it.each(samples)("%s has the code %s, its own name and a stack that shows it", (name, code, error) => {
    expect(error.code).toBe(code);
    expect(error.name).toBe(name);
    expect(String(error)).toMatch(`${name}: `);
    expect(error.message).not.toBe("");
  });

  it.each(samples)("%s (%s) is an instance of its class, of HeapError and of Error", (name, _, error) => {
    expect(error).toBeInstanceOf(new Map(Object.entries(errors)).get(name));
    expect(error).toBeInstanceOf(HeapError);
    expect(error).toBeInstanceOf(Error);
  });

  it("are all named here", () => {
    expect(Object.keys(errors).sort()).toEqual([...new Set(samples.map(([name]) => name))].sort());
  });

  it("name a class that extends one of them after that class", () => {
    class QuotaError extends OutOfMemoryError {}
    expect(new QuotaError(1, 2).name).toBe("QuotaError");
  });
});

describe("OutOfMemoryError", () => {
  it("holds both sizes, and says them and a way out", () => {
    const error = new OutOfMemoryError(64, 1024);
    expect(error).toMatchObject({ requestedBytes: 64, maximumBytes: 1024 });
    expect(error.message).toContain("64 bytes");
    expect(error.message).toContain("1024 bytes");
    expect(error.message).toContain("maximumBytes");
  });

  it("takes another message and a cause", () => {
    const cause = new RangeError("refused");
    const error = new OutOfMemoryError(64, 1024, "The machine refused.", { cause });
    expect(error.message).toBe("The machine refused.");
    expect(error.cause).toBe(cause);
  });
});

describe.each([
  [
    "UseAfterReleaseError",
    (...sites: string[]) => new UseAfterReleaseError("USE_AFTER_RELEASE", "text", ...sites),
  ],
  ["DoubleReleaseError", (...sites: string[]) => new DoubleReleaseError("text", ...sites)],
])("%s", (_, make) => {
  it("holds the lines that made and released the handle", () => {
    expect(make("a.ts:1", "b.ts:2")).toMatchObject({ madeAt: "a.ts:1", releasedAt: "b.ts:2" });
  });

  it("has no such property when no line was recorded", () => {
    expect(Object.keys(make())).not.toContain("madeAt");
    expect(Object.keys(make())).not.toContain("releasedAt");
    expect("releasedAt" in make("a.ts:1")).toBe(false);
  });
});

describe("InvalidArgumentError", () => {
  it("keeps its cause", () => {
    const cause = new Error("below");
    expect(new InvalidArgumentError("text", { cause }).cause).toBe(cause);
    expect("cause" in new InvalidArgumentError("text")).toBe(false);
  });
});

describe("HeapCorruptionError", () => {
  it("names the invariant and the address, in fields and in words", () => {
    const error = new HeapCorruptionError("I3 blocks", 4096, "serial 0");
    expect(error).toMatchObject({ invariant: "I3 blocks", address: 4096 });
    expect(error.message).toBe("Invariant I3 blocks is broken at address 4096: serial 0");
  });
});

const HOSTILE = "\u001b[2J\u0000\r\u202e\ud800";

describe("the text of an error", () => {
  it("acts on no terminal, whatever names are in it; its own lines stay lines", () => {
    const { message, stack } = new HeapError("CODE", `a ${HOSTILE}\n  made at b`);
    expect(message).toBe("a \\u{1b}[2J\\u{0}\\u{d}\\u{202e}\\u{d800}\n  made at b");
    expect(stack).not.toContain("\u001b");
    const madeAt = `evil (${HOSTILE}:1:2)`;
    expect(new PoolInUseError(`A\n${HOSTILE}`, 1, [madeAt]).message).toMatch(/pool of A\\u\{a\}\\u\{1b\}/);
    expect(new PoolExhaustedError("A\nB", 1).message).toContain("pool of A\\u{a}B are out");
    expect(new AlreadyAdoptedError("a value", madeAt)).toMatchObject({
      adoptedAt: madeAt,
      message: expect.not.stringContaining("\u001b"),
    });
  });
});
