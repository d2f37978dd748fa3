import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesOf, Checksum } from "../../../src/memory/checksum.js";
import { xxh32 } from "../../fuzz/damage.mjs";

const sumOf = (words: Int32Array) => new Checksum().update(words).value >>> 0;

describe("Checksum", () => {
  it("is XXH32 with the seed 0", () => {
    expect(sumOf(new Int32Array(0))).toBe(0x02cc5d05);
    const abcd = new Int32Array(1);
    bytesOf(abcd).set(new TextEncoder().encode("abcd"));
    expect(sumOf(abcd)).toBe(0xa3643705);
  });

  it("agrees with the specification's algorithm, byte by byte, on words of any number", () => {
    fc.assert(
      fc.property(fc.int32Array({ maxLength: 50 }), (words) => {
        expect(sumOf(words)).toBe(xxh32(bytesOf(words)));
      }),
    );
  });

  it("is the same whatever pieces the words come in", () => {
    fc.assert(
      fc.property(fc.array(fc.int32Array({ maxLength: 9 }), { maxLength: 9 }), (pieces) => {
        const inPieces = new Checksum();
        for (const piece of pieces) inPieces.update(piece);
        expect(inPieces.value >>> 0).toBe(sumOf(Int32Array.from(pieces.flatMap((piece) => [...piece]))));
      }),
    );
  });

  it("takes in a part of an array", () => {
    const words = Int32Array.from({ length: 20 }, (_, index) => index * 77);
    expect(new Checksum().update(words, 3, 17).value >>> 0).toBe(sumOf(words.slice(3, 17)));
  });
});
