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
/** Written as a number: where it is asked for each string that is read, a power is a call. */
const WINDOW_WORDS = 0x1000_0000;
const WINDOW_MASK = WINDOW_WORDS - 1;
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
  /** The same, eight granules a word: a shared array is filled element by element. */
  readonly sideWords: BigInt64Array;
  private readonly windows: Uint8Array[] = [];

  constructor(buffer: SharedArrayBuffer | ArrayBuffer, side: SharedArrayBuffer | ArrayBuffer) {
    this.buffer = buffer;
    this.maximumBytes = buffer.byteLength;
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.side = new Uint8Array(side);
    this.sideWords = new BigInt64Array(side);
  }

  /**
   * The bytes of `wordCount` words from `address`, as a view, or undefined if they cross a window's end.
   * A Uint8Array over the whole reservation would throw above 4 GiB in Node 20.
   */
  window(address: number, wordCount: number): Uint8Array | undefined {
    const index = address >>> WINDOW_SHIFT;
    if ((address & WINDOW_MASK) + wordCount > WINDOW_WORDS) return undefined;
    this.windows[index] ??= this.makeWindow(index);
    return this.windows[index];
  }

  /** The bytes of `wordCount` words from `address`, in order, as few views as windows allow. Not copied. */
  *bytes(address: number, wordCount: number): IterableIterator<Uint8Array> {
    const end = address + wordCount;
    for (let from = address; from < end; ) {
      const to = Math.min(end, (Math.floor(from / WINDOW_WORDS) + 1) * WINDOW_WORDS);
      const start = this.windowOffset(from);
      yield this.window(from, to - from)!.subarray(start, start + (to - from) * WORD_BYTES);
      from = to;
    }
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
export function reserveMemory(maximumBytes?: number, allocate = allocateBuffer, firstPage?: number): Memory {
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
    return format(tryReserve(roundUp(maximumBytes), allocate) ?? refuse(maximumBytes), firstPage);
  }
  const wanted = defaultMaximumBytes();
  for (let bytes = wanted; bytes >= 2 ** 24; bytes /= 2) {
    const memory = tryReserve(bytes, allocate);
    if (memory !== undefined) return format(memory);
  }
  return refuse(wanted);
}

/**
 * Reserve a memory in which the pages of a saved heap have their old places. Where the tables of a larger reservation
 * would reach into the first page, they stand behind the last one.
 *
 * Without a size it is the one that the heap had, or what the machine grants of it.
 *
 * @param place first page, one past the last page that is needed, and pages of the reservation that was saved
 * @throws InvalidArgumentError outside 256 KiB .. 8 GiB
 * @throws OutOfMemoryError where the pages do not fit, or the machine refuses the reservation
 */
export function reserveAgain(
  place: { readonly firstPage: number; readonly endPage: number; readonly pageCount: number },
  maximumBytes?: number,
  allocate = allocateBuffer,
): Memory {
  const { firstPage, endPage } = place;
  const bytesMin = bytesFor(firstPage, endPage);
  const isSize = maximumBytes !== undefined && maximumBytes >= RESERVATION_BYTES_MIN;
  if (
    bytesMin > RESERVATION_BYTES_MAX ||
    (isSize && maximumBytes <= RESERVATION_BYTES_MAX && pagesIn(roundUp(maximumBytes), firstPage) < endPage)
  )
    throw new OutOfMemoryError(
      bytesMin,
      maximumBytes ?? RESERVATION_BYTES_MAX,
      `The saved heap needs ${bytesMin} bytes of address space and maximumBytes is ${maximumBytes ?? RESERVATION_BYTES_MAX}.`,
    );
  if (maximumBytes !== undefined) return reserveMemory(maximumBytes, allocate, firstPage);
  for (let bytes = roundUp(place.pageCount * PAGE_BYTES); ; bytes = roundUp(bytes / 2)) {
    if (bytes < bytesMin || pagesIn(bytes, firstPage) < endPage) bytes = bytesMin;
    const memory = tryReserve(bytes, allocate);
    if (memory !== undefined) return format(memory, firstPage);
    if (bytes <= bytesMin) return refuse(bytes);
  }
}

/** The smallest reservation that has these pages beside its tables; more than there may be if none has. */
export function bytesFor(firstPage: number, endPage: number): number {
  let bytes = Math.max(RESERVATION_BYTES_MIN, roundUp(endPage * PAGE_BYTES));
  while (bytes <= RESERVATION_BYTES_MAX && pagesIn(bytes, firstPage) < endPage)
    bytes += ARENA_PAGES * PAGE_BYTES;
  return bytes;
}

/** One past the last page that can hold blocks. */
function pagesIn(bytes: number, firstPage: number): number {
  return placeTables(Math.floor(bytes / PAGE_BYTES), firstPage).endPage;
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

/** The words of a buffer of which it is not known yet whether it is a heap. */
export function wordsOf(buffer: SharedArrayBuffer): Int32Array {
  return new Int32Array(buffer, 0, Math.floor(buffer.byteLength / WORD_BYTES));
}

/** The side bytes of a reservation that is there already. Each thread has its own: they are a collection's. */
export function reserveSide(bytes: number, allocate = allocateBuffer): SharedArrayBuffer | ArrayBuffer {
  try {
    return allocate(bytes / GRANULE_BYTES);
  } catch (error) {
    if (error instanceof RangeError) return refuse(bytes / GRANULE_BYTES);
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

/**
 * Where the fixed regions of a reservation lie: control words, page table, type table, then pages. If the first page is
 * given and the tables do not end before it, they lie at the end of the reservation.
 */
function placeTables(pageCount: number, firstPage?: number) {
  const typeCapacity = Math.min(TYPE_ID_MAX, Math.max(512, Math.floor(pageCount / 2) * 2));
  const pageTableWords = pageCount * PAGE_DESCRIPTOR_WORDS;
  const words = pageTableWords + (typeCapacity + 1) * TYPE_WORDS;
  const nextPage = Math.ceil((CONTROL_WORDS + words) / PAGE_WORDS);
  const isBehind = firstPage !== undefined && firstPage < nextPage;
  const endPage = isBehind ? pageCount - Math.ceil(words / PAGE_WORDS) : pageCount;
  const pageTable = isBehind ? endPage * PAGE_WORDS : CONTROL_WORDS;
  const typeTable = pageTable + pageTableWords;
  return { typeCapacity, pageTable, typeTable, firstPage: firstPage ?? nextPage, endPage };
}

/** Lay out the fixed regions. @param firstPage where the pages begin, if not right behind the tables */
function format(memory: Memory, firstPage?: number): Memory {
  const { i32, maximumBytes } = memory;
  const tables = placeTables(Math.floor(maximumBytes / PAGE_BYTES), firstPage);
  i32[CONTROL_MAGIC] = MAGIC;
  i32[CONTROL_VERSION] = LAYOUT_VERSION;
  i32[CONTROL_PAGE_COUNT] = tables.endPage;
  i32[CONTROL_FIRST_PAGE] = tables.firstPage;
  i32[CONTROL_TOP_PAGE] = tables.firstPage;
  i32[CONTROL_PAGE_TABLE] = tables.pageTable;
  i32[CONTROL_TYPE_TABLE] = tables.typeTable;
  i32[CONTROL_TYPE_CAPACITY] = tables.typeCapacity;
  i32[CONTROL_TYPE_COUNT] = TYPE_ID_FIRST_FREE;
  return memory;
}
