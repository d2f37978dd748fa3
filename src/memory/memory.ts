/**
 * The reservation: one fixed buffer, committed by use, and the typed arrays over it. It never grows, so a view
 * is never refreshed or detached (growable buffers were measured 2x to 17x slower: docs/design/0001).
 */
import { InvalidArgumentError, OutOfMemoryError } from "./errors.js";
import {
  ARENA_PAGES,
  CONTROL_FIRST_PAGE,
  CONTROL_MAGIC,
  CONTROL_PAGE_COUNT,
  CONTROL_PAGE_TABLE,
  CONTROL_TOP_PAGE,
  CONTROL_TYPE_CAPACITY,
  CONTROL_TYPE_COUNT,
  CONTROL_TYPE_TABLE,
  CONTROL_VERSION,
  CONTROL_WORDS,
  GRANULE_SHIFT,
  LAYOUT_VERSION,
  MAGIC,
  PAGE_BYTES,
  PAGE_DESCRIPTOR_WORDS,
  PAGE_WORDS,
  RESERVATION_BYTES_MAX,
  RESERVATION_BYTES_MIN,
  TYPE_ID_FIRST_FREE,
  TYPE_ID_MAX,
  TYPE_WORDS,
  WORD_BYTES,
} from "./layout.js";

/** A window has to fit into one Uint8Array everywhere; strings are decoded through them. */
const WINDOW_BYTES = 2 ** 30;
const WINDOW_SHIFT = 28; // words
const WINDOW_MASK = 2 ** WINDOW_SHIFT - 1;
const GRANULE_BYTES = WORD_BYTES << GRANULE_SHIFT;

export class Memory {
  readonly buffer: SharedArrayBuffer | ArrayBuffer;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly f32: Float32Array;
  readonly i64: BigInt64Array;
  /**
   * A byte for every granule of 16 bytes, all 0 between collections: where the collector counts. Outside the
   * reservation, so that it costs the heap nothing, and of its full length from the start, so that it never moves.
   */
  readonly side: Uint8Array;
  readonly maximumBytes: number;
  private readonly windows: Uint8Array[] = [];

  constructor(buffer: SharedArrayBuffer | ArrayBuffer, side: SharedArrayBuffer | ArrayBuffer) {
    this.buffer = buffer;
    this.maximumBytes = buffer.byteLength;
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.side = new Uint8Array(side);
  }

  /**
   * The bytes of `wordCount` words from `address`, as a view, or undefined if they cross a window's end.
   * A Uint8Array over the whole reservation would throw above 4 GiB in Node 20.
   */
  window(address: number, wordCount: number): Uint8Array | undefined {
    const index = address >>> WINDOW_SHIFT;
    if ((address & WINDOW_MASK) + wordCount > 2 ** WINDOW_SHIFT) return undefined;
    this.windows[index] ??= this.makeWindow(index);
    return this.windows[index];
  }

  /** Byte offset of `address` inside its window. */
  windowOffset(address: number): number {
    return (address & WINDOW_MASK) * WORD_BYTES;
  }

  private makeWindow(index: number): Uint8Array {
    const offset = index * WINDOW_BYTES;
    return new Uint8Array(this.buffer, offset, Math.min(WINDOW_BYTES, this.maximumBytes - offset));
  }
}

/** Whether a buffer of many GiB costs address space only. Windows may commit eagerly; a browser caps its buffers. */
function defaultMaximumBytes(): number {
  const host = (globalThis as { process?: { versions?: { node?: string }; platform?: string } }).process;
  const isNode = host?.versions?.node !== undefined;
  return isNode && host?.platform !== "win32" ? RESERVATION_BYTES_MAX : 2 ** 30;
}

function allocateBuffer(bytes: number): SharedArrayBuffer | ArrayBuffer {
  return typeof SharedArrayBuffer === "function" ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

/**
 * Reserve address space for a heap and write its control words.
 *
 * A size that was asked for is reserved or refused. The default size is halved until the machine grants it.
 *
 * @param maximumBytes bytes; rounded up to whole arenas of 64 KiB
 * @throws InvalidArgumentError outside 256 KiB .. 8 GiB
 * @throws OutOfMemoryError when the machine refuses the reservation
 */
export function reserveMemory(maximumBytes?: number, allocate = allocateBuffer): Memory {
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1)
    throw new InvalidArgumentError(
      "Ouroheap needs a little-endian machine: numbers are tagged by their high word.",
    );
  if (maximumBytes !== undefined) {
    if (
      !Number.isSafeInteger(maximumBytes) ||
      maximumBytes < RESERVATION_BYTES_MIN ||
      maximumBytes > RESERVATION_BYTES_MAX
    )
      throw new InvalidArgumentError(
        `maximumBytes must be a whole number from ${RESERVATION_BYTES_MIN} (256 KiB) to ${RESERVATION_BYTES_MAX} (8 GiB), got ${String(maximumBytes)}.`,
      );
    return format(tryReserve(roundUp(maximumBytes), allocate) ?? refuse(maximumBytes));
  }
  const wanted = defaultMaximumBytes();
  for (let bytes = wanted; bytes >= 2 ** 24; bytes /= 2) {
    const memory = tryReserve(bytes, allocate);
    if (memory !== undefined) return format(memory);
  }
  return refuse(wanted);
}

function roundUp(bytes: number): number {
  const unit = ARENA_PAGES * PAGE_BYTES;
  return Math.ceil(bytes / unit) * unit;
}

function tryReserve(bytes: number, allocate: typeof allocateBuffer): Memory | undefined {
  try {
    return new Memory(allocate(bytes), allocate(bytes / GRANULE_BYTES));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function refuse(bytes: number): never {
  throw new OutOfMemoryError(
    bytes,
    bytes,
    `The machine refused to reserve ${bytes} bytes of address space. Pass a smaller maximumBytes to Heap.create, ` +
      "or raise the process's limit on virtual memory.",
  );
}

/** Lay out the fixed regions: control words, page table, type table, then pages. */
function format(memory: Memory): Memory {
  const { i32, maximumBytes } = memory;
  const pageCount = Math.floor(maximumBytes / PAGE_BYTES);
  const typeCapacity = Math.min(TYPE_ID_MAX, Math.max(512, Math.floor(pageCount / 2) * 2));
  const pageTable = CONTROL_WORDS;
  const typeTable = pageTable + pageCount * PAGE_DESCRIPTOR_WORDS;
  const firstPage = Math.ceil((typeTable + (typeCapacity + 1) * TYPE_WORDS) / PAGE_WORDS);
  i32[CONTROL_MAGIC] = MAGIC;
  i32[CONTROL_VERSION] = LAYOUT_VERSION;
  i32[CONTROL_PAGE_COUNT] = pageCount;
  i32[CONTROL_FIRST_PAGE] = firstPage;
  i32[CONTROL_TOP_PAGE] = firstPage;
  i32[CONTROL_PAGE_TABLE] = pageTable;
  i32[CONTROL_TYPE_TABLE] = typeTable;
  i32[CONTROL_TYPE_CAPACITY] = typeCapacity;
  i32[CONTROL_TYPE_COUNT] = TYPE_ID_FIRST_FREE;
  return memory;
}
