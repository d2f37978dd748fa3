import { afterEach, describe, expect, it, vi } from "vitest";
import { verifyBlocks } from "../../../src/gc/verify-blocks.js";
import { InvalidArgumentError, OutOfMemoryError } from "../../../src/memory/errors.js";
import * as L from "../../../src/memory/layout.js";
import { bytesFor, type Memory, reserveAgain, reserveMemory } from "../../../src/memory/memory.js";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ARENA_BYTES = L.ARENA_PAGES * L.PAGE_BYTES;
const GRANULE_BYTES = 16;

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A machine that grants buffers of at most `limit` bytes and writes down every request. */
function machine(limit: number) {
  const requests: number[] = [];
  return {
    requests,
    allocate(bytes: number): ArrayBuffer {
      requests.push(bytes);
      if (bytes > limit) throw new RangeError("Array buffer allocation failed");
      return new ArrayBuffer(bytes);
    },
  };
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("reserving a size that was asked for", () => {
  it.each([
    ["the smallest size", L.RESERVATION_BYTES_MIN, L.RESERVATION_BYTES_MIN],
    [
      "a byte more than an arena's multiple",
      L.RESERVATION_BYTES_MIN + 1,
      L.RESERVATION_BYTES_MIN + ARENA_BYTES,
    ],
    ["a byte less than an arena's multiple", MIB - 1, MIB],
    ["whole arenas", 3 * MIB, 3 * MIB],
  ])("rounds %s up to whole arenas", (_, asked, reserved) => {
    const memory = reserveMemory(asked);
    expect(memory.maximumBytes).toBe(reserved);
    expect(memory.buffer.byteLength).toBe(reserved);
  });

  it("grants the largest size", () => {
    expect(reserveMemory(L.RESERVATION_BYTES_MAX).maximumBytes).toBe(8 * GIB);
  });

  it.each([
    L.RESERVATION_BYTES_MIN - 1,
    L.RESERVATION_BYTES_MAX + 1,
    0,
    -MIB,
    MIB + 0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "64 MiB" as unknown as number,
    null as unknown as number,
  ])("refuses %s before the machine is asked", (asked) => {
    const { allocate, requests } = machine(GIB);
    const error = thrownBy(() => reserveMemory(asked, allocate));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toContain(`got ${asked}.`);
    expect(requests).toEqual([]);
  });

  it("is not halved when the machine refuses", () => {
    const { allocate, requests } = machine(MIB);
    const error = thrownBy(() => reserveMemory(64 * MIB - 1, allocate));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requestedBytes: 64 * MIB - 1, maximumBytes: 64 * MIB - 1 });
    expect(requests).toEqual([64 * MIB]);
  });

  it("is refused as well when only the collector's side bytes are refused", () => {
    const allocate = (bytes: number) => {
      if (bytes < MIB) throw new RangeError();
      return new ArrayBuffer(bytes);
    };
    expect(thrownBy(() => reserveMemory(MIB, allocate))).toBeInstanceOf(OutOfMemoryError);
  });

  it("passes on any error that is not the machine's refusal", () => {
    const defect = new TypeError("not a matter of size");
    const allocate = () => {
      throw defect;
    };
    expect(thrownBy(() => reserveMemory(MIB, allocate))).toBe(defect);
    expect(thrownBy(() => reserveMemory(undefined, allocate))).toBe(defect);
  });
});

describe("reserving the default size", () => {
  it("is halved until the machine grants it, side bytes included", () => {
    const { allocate, requests } = machine(64 * MIB);
    vi.stubGlobal("process", { versions: { node: "20" }, platform: "linux" });
    const memory = reserveMemory(undefined, allocate);
    vi.unstubAllGlobals();
    expect(memory.maximumBytes).toBe(64 * MIB);
    const sizes = [8 * GIB, 4 * GIB, 2 * GIB, GIB, 512 * MIB, 256 * MIB, 128 * MIB, 64 * MIB];
    expect(requests).toEqual([...sizes, (64 * MIB) / GRANULE_BYTES]);
  });

  it("is refused below 16 MiB, naming the size that was wanted first", () => {
    const { allocate, requests } = machine(16 * MIB - 1);
    vi.stubGlobal("process", { versions: { node: "20" }, platform: "linux" });
    const error = thrownBy(() => reserveMemory(undefined, allocate));
    vi.unstubAllGlobals();
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requestedBytes: 8 * GIB, maximumBytes: 8 * GIB });
    expect(requests.at(-1)).toBe(16 * MIB);
  });

  it.each([
    ["Node on Windows", { versions: { node: "20" }, platform: "win32" }],
    ["a browser", undefined],
    ["a bundler's process object", { versions: {} }],
  ])("is 1 GiB in %s", (_, host) => {
    const { allocate, requests } = machine(GIB / 4);
    vi.stubGlobal("process", host);
    const memory = reserveMemory(undefined, allocate);
    vi.unstubAllGlobals();
    expect(requests[0]).toBe(GIB);
    expect(memory.maximumBytes).toBe(GIB / 4);
  });
});

describe("the reservation", () => {
  it("can be shared between threads", () => {
    const memory = reserveMemory(MIB);
    expect(memory.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(memory.side.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it("is an ArrayBuffer where there is no SharedArrayBuffer", () => {
    vi.stubGlobal("SharedArrayBuffer", undefined);
    const memory = reserveMemory(MIB);
    vi.unstubAllGlobals();
    expect(memory.buffer).toBeInstanceOf(ArrayBuffer);
    expect(memory.side.buffer).toBeInstanceOf(ArrayBuffer);
    verifyBlocks(memory);
  });

  it("is refused on a big-endian machine", () => {
    vi.stubGlobal("Uint32Array", { of: () => ({ buffer: Uint8Array.of(0, 0, 0, 1).buffer }) });
    const error = thrownBy(() => reserveMemory(MIB));
    vi.unstubAllGlobals();
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toContain("little-endian");
  });

  it("is one memory under every typed array", () => {
    const { i32, f64, f32, i64, buffer, maximumBytes } = reserveMemory(MIB);
    for (const array of [i32, f64, f32, i64]) {
      expect(array.buffer).toBe(buffer);
      expect(array.byteLength).toBe(maximumBytes);
    }
    const address = 100_000;
    f64[address >> 1] = 1;
    expect([i32[address], i32[address + 1]]).toEqual([0, 0x3ff00000]);
    expect(f32[address + 1]).toBe(1.875);
    expect(i64[address >> 1]).toBe(0x3ff0000000000000n);
  });

  it("has its side bytes eight at a time too", () => {
    const memory = reserveMemory(1 << 20);
    memory.sideWords[1] = 0x0807060504030201n;
    expect([...memory.side.subarray(7, 17)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
    expect(memory.sideWords.length * 8).toBe(memory.side.length);
  });

  it("has a side byte for every granule, all of them 0 and none of them inside", () => {
    const { side, buffer } = reserveMemory(MIB);
    expect(side.length * GRANULE_BYTES).toBe(buffer.byteLength);
    expect(side.buffer).not.toBe(buffer);
    expect(side.every((byte) => byte === L.SIDE_OUTSIDE)).toBe(true);
  });
});

describe("the control words of a fresh reservation", () => {
  it.each([
    ["256 KiB", 256 * KIB],
    ["16 MiB", 16 * MIB],
    ["1 GiB", GIB],
    ["8 GiB", 8 * GIB],
  ])("lay %s out in regions that do not meet", (_, bytes) => {
    const memory = reserveMemory(bytes);
    const { i32 } = memory;
    const pageCount = i32[L.CONTROL_PAGE_COUNT];
    const pageTable = i32[L.CONTROL_PAGE_TABLE];
    const typeTable = i32[L.CONTROL_TYPE_TABLE];
    const typeCapacity = i32[L.CONTROL_TYPE_CAPACITY];
    const firstPage = i32[L.CONTROL_FIRST_PAGE];
    expect(pageCount * L.PAGE_BYTES).toBe(bytes);
    expect(pageTable).toBeGreaterThanOrEqual(L.CONTROL_WORDS);
    expect(typeTable).toBeGreaterThanOrEqual(pageTable + pageCount * L.PAGE_DESCRIPTOR_WORDS);
    // Type ids run from 0, which no type has, to the capacity itself.
    expect(firstPage * L.PAGE_WORDS).toBeGreaterThanOrEqual(typeTable + (typeCapacity + 1) * L.TYPE_WORDS);
    expect(firstPage).toBeLessThan(pageCount);
    expect(typeCapacity).toBeGreaterThanOrEqual(512);
    expect(typeCapacity).toBeLessThanOrEqual(L.TYPE_ID_MAX);
    verifyBlocks(memory);
  });

  it("name the heap and its layout, and hold no page and no type but the built-in ones", () => {
    const { i32 } = reserveMemory(MIB);
    expect(i32[L.CONTROL_MAGIC]).toBe(L.MAGIC);
    expect(i32[L.CONTROL_VERSION]).toBe(L.LAYOUT_VERSION);
    expect(i32[L.CONTROL_TOP_PAGE]).toBe(i32[L.CONTROL_FIRST_PAGE]);
    expect(i32[L.CONTROL_PAGES_USED]).toBe(0);
    expect(i32[L.CONTROL_TYPE_COUNT]).toBe(L.TYPE_ID_FIRST_FREE);
  });

  it("and the tables take at most a quarter of the smallest reservation", () => {
    const { i32 } = reserveMemory(L.RESERVATION_BYTES_MIN);
    expect(i32[L.CONTROL_FIRST_PAGE]).toBeLessThanOrEqual(i32[L.CONTROL_PAGE_COUNT] / 4);
  });
});

describe("a reservation for pages that have their places", () => {
  const first = reserveMemory(MIB).i32[L.CONTROL_FIRST_PAGE];
  const place = (endPage: number) => ({ firstPage: first, endPage, pageCount: MIB / L.PAGE_BYTES });
  const tablesOf = ({ i32 }: Memory) => {
    const start = i32[L.CONTROL_PAGE_TABLE];
    const typeTable = i32[L.CONTROL_TYPE_TABLE];
    return { start, typeTable, end: typeTable + (i32[L.CONTROL_TYPE_CAPACITY] + 1) * L.TYPE_WORDS };
  };

  it("has its tables before the first page, as long as they end there", () => {
    for (const bytes of [undefined, MIB, MIB / 2]) {
      const memory = reserveAgain(place(first + 4), bytes);
      expect(memory.maximumBytes).toBe(bytes ?? MIB);
      expect(memory.i32[L.CONTROL_FIRST_PAGE]).toBe(first);
      expect(memory.i32[L.CONTROL_PAGE_COUNT]).toBe(memory.maximumBytes / L.PAGE_BYTES);
      expect(tablesOf(memory).end).toBeLessThanOrEqual(first * L.PAGE_WORDS);
      verifyBlocks(memory);
    }
  });

  it.each([16 * MIB, GIB, 8 * GIB])("of %i bytes has them behind the last", (bytes) => {
    const memory = reserveAgain(place(first + 4), bytes);
    const { start, typeTable, end } = tablesOf(memory);
    const pageCount = memory.i32[L.CONTROL_PAGE_COUNT];
    expect(memory.maximumBytes).toBe(bytes);
    expect(memory.i32[L.CONTROL_FIRST_PAGE]).toBe(first);
    expect(start).toBe(pageCount * L.PAGE_WORDS);
    expect(typeTable).toBeGreaterThanOrEqual(start + pageCount * L.PAGE_DESCRIPTOR_WORDS);
    expect(end).toBeLessThanOrEqual(memory.i32.length);
    expect(pageCount).toBeGreaterThan((bytes / L.PAGE_BYTES) * 0.98);
    verifyBlocks(memory);
  });

  it("is large enough for every page beside its tables, or refused", () => {
    for (let endPage = first; endPage < 700; endPage++) {
      const bytes = bytesFor(first, endPage);
      expect(reserveAgain(place(endPage), bytes).i32[L.CONTROL_PAGE_COUNT]).toBeGreaterThanOrEqual(endPage);
      expect(reserveAgain(place(endPage)).i32[L.CONTROL_PAGE_COUNT]).toBeGreaterThanOrEqual(endPage);
      if (bytes === L.RESERVATION_BYTES_MIN) continue;
      const error = thrownBy(() => reserveAgain(place(endPage), L.RESERVATION_BYTES_MIN));
      expect(error).toBeInstanceOf(OutOfMemoryError);
      expect(error).toMatchObject({ requestedBytes: bytes, maximumBytes: L.RESERVATION_BYTES_MIN });
    }
  });

  it("is refused where no reservation is large enough, and outside the limits", () => {
    expect(thrownBy(() => reserveAgain(place(8 * (GIB / L.PAGE_BYTES))))).toBeInstanceOf(OutOfMemoryError);
    for (const bytes of [0, MIB + 0.5, 9 * GIB])
      expect(thrownBy(() => reserveAgain(place(first + 4), bytes))).toBeInstanceOf(InvalidArgumentError);
  });

  it("is halved, but not below what is needed, when the machine refuses", () => {
    const wanted = { ...place(first + 40), pageCount: (64 * MIB) / L.PAGE_BYTES };
    const { allocate } = machine(2 * MIB);
    expect(reserveAgain(wanted, undefined, allocate).maximumBytes).toBe(2 * MIB);
    const small = machine(MIB / 2);
    expect(thrownBy(() => reserveAgain(wanted, undefined, small.allocate))).toBeInstanceOf(OutOfMemoryError);
    expect(small.requests.at(-1)).toBe(bytesFor(first, first + 40));
  });
});

describe("a window of bytes", () => {
  /** Words of a window: 1 GiB. */
  const WINDOW_WORDS = 2 ** 28;

  function byteAt(memory: Memory, address: number): number | undefined {
    return memory.window(address, 1)?.[memory.windowOffset(address)];
  }

  it("shows the bytes of the words, lowest byte first", () => {
    const memory = reserveMemory(MIB);
    memory.i32[5000] = 0x04030201;
    const start = memory.windowOffset(5000);
    expect([...(memory.window(5000, 1)?.subarray(start, start + 4) ?? [])]).toEqual([1, 2, 3, 4]);
  });

  it("is made once", () => {
    const memory = reserveMemory(MIB);
    expect(memory.window(5000, 1)).toBe(memory.window(9000, 2));
  });

  it("reaches every word of 8 GiB, beyond 4 GiB too", () => {
    const memory = reserveMemory(8 * GIB);
    const addresses = [WINDOW_WORDS - 1, WINDOW_WORDS, 2 ** 30 - 1, 2 ** 30, 2 ** 30 + 77, 2 ** 31 - 1];
    for (const [index, address] of addresses.entries()) memory.i32[address] = 100 + index;
    for (const [index, address] of addresses.entries()) expect(byteAt(memory, address)).toBe(100 + index);
  });

  it("is refused across its end, so that the caller goes word by word", () => {
    const memory = reserveMemory(8 * GIB);
    for (const end of [WINDOW_WORDS, 4 * WINDOW_WORDS, 7 * WINDOW_WORDS]) {
      expect(memory.window(end - 4, 4)?.byteLength).toBe(GIB);
      expect(memory.window(end - 4, 5)).toBeUndefined();
      expect(memory.window(end, 5)?.byteLength).toBe(GIB);
    }
  });

  it("ends with the reservation", () => {
    const memory = reserveMemory(GIB + ARENA_BYTES);
    const last = GIB / L.WORD_BYTES + 1000;
    memory.i32[last] = 42;
    expect(memory.window(last, 1)?.byteLength).toBe(ARENA_BYTES);
    expect(byteAt(memory, last)).toBe(42);
  });
});
