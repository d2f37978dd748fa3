/** Loading a saved heap. Nothing that it says is believed before it was checked (docs/design/0006). */
import { ImageContents } from "../gc/image-contents.js";
import { checkUntracked, chunkCountOf, restoreObjects } from "../gc/image-generations.js";
import { checkRuns, endPageOf, ImagePages } from "../gc/image-pages.js";
import { columnsOf, type ImageColumns, type ImageType } from "../gc/image-types.js";
import { bytesOf, Checksum } from "../memory/checksum.js";
import { ImageError, InvalidArgumentError } from "../memory/errors.js";
import {
  IMAGE_GENERATIONS,
  IMAGE_HEADER_CHECKSUM,
  IMAGE_HEADER_FIRST_PAGE,
  IMAGE_HEADER_FRONT,
  IMAGE_HEADER_GENERATIONS,
  IMAGE_HEADER_LAYOUT,
  IMAGE_HEADER_MAGIC,
  IMAGE_HEADER_METADATA,
  IMAGE_HEADER_PAGES,
  IMAGE_HEADER_RESERVED,
  IMAGE_HEADER_RUNS,
  IMAGE_HEADER_TOP_PAGE,
  IMAGE_HEADER_VERSION,
  IMAGE_HEADER_WORDS,
  IMAGE_MAGIC_FIRST,
  IMAGE_MAGIC_SECOND,
  IMAGE_RUN_LENGTH,
  IMAGE_RUN_PAGE,
  IMAGE_RUN_WORDS,
  IMAGE_VERSION,
} from "../memory/image-layout.js";
import {
  CONTROL_BYTE_THRESHOLD,
  CONTROL_COUNTS,
  CONTROL_LONG_LIVED_PENDING,
  CONTROL_LONG_LIVED_TOTAL,
  CONTROL_STATS,
  HEADER_WORDS,
  LAYOUT_VERSION,
  PAGE_BYTES,
  PAGE_WORDS,
  RESERVATION_BYTES_MAX,
  WORD_BYTES,
} from "../memory/layout.js";
import { bytesFor, type Memory, reserveAgain } from "../memory/memory.js";
import type { Context } from "./context.js";
import type { Heap } from "./heap.js";
import { type ImageSource, openSource } from "./image-io.js";
import { imageTypes } from "./image-layouts.js";
import { isSavedLine } from "./image-lines.js";
import type { Metadata } from "./image-save.js";
import { invalid, planTypes } from "./image-types.js";
import type { HeapOptions } from "./options.js";
import type { Plan } from "./plan.js";
import { show } from "./schema.js";
import type { AnyStruct, Borrowed, Handle } from "./types.js";

/**
 * How to load a heap: as `HeapOptions`, and with which classes. `maximumBytes` may be larger or smaller than it was when the heap
 * was saved; left out it is the same, or a little more where the tables need it.
 */
export interface LoadOptions extends HeapOptions {
  /**
   * The program's structs, for those of the same names in the saved heap; what they lead to need not be named. A struct of
   * the saved heap that is not among them has its fields, and no methods.
   */
  readonly types?: readonly AnyStruct[];
}

/** A heap that was loaded. */
export interface LoadedHeap {
  readonly heap: Heap;
  /** Handles to the objects that were saved by name, in that order: the caller owns each. */
  readonly roots: Readonly<Record<string, Handle<Borrowed>>>;
}

/** What is read at a time: enough for a disk to be read ahead of, little enough to be in a shared cache when it is checked. */
const READ_WORDS = 1 << 20;
/** What is checked at a time: its checksum brings it into the processor's own cache, where its headers are checked. */
const PIECE_WORDS = 1 << 17;
/** What is believed of a length before as much has been read. */
const TRUSTED_WORDS = 1 << 20;

/** @param makeHeap a heap whose memory, but for the control words, holds the image */
export async function loadImage(
  from: unknown,
  options: LoadOptions,
  makeHeap: (memory: Memory) => Context,
): Promise<LoadedHeap> {
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError(`The options of Heap.load must be an object, got ${show(options)}.`);
  const { types = [], maximumBytes } = options;
  if (!Array.isArray(types))
    throw new InvalidArgumentError(`The types of Heap.load must be an array of structs, got ${show(types)}.`);
  const source = await openSource(from);
  try {
    const image = await readImage(new ImageReader(source), types, maximumBytes);
    return restore(image, makeHeap);
  } finally {
    await source.close();
  }
}

interface Image {
  readonly memory: Memory;
  readonly metadata: Metadata;
  readonly plans: readonly Plan[];
  readonly types: readonly (ImageType | undefined)[];
  readonly columns: ImageColumns;
  readonly pages: ImagePages;
  readonly generations: Int32Array;
  readonly generationSizes: readonly number[];
}

// -- reading --------------------------------------------------------------------------------------

class ImageReader {
  readonly size: number | undefined;
  private readonly source: ImageSource;
  private done = 0;

  constructor(source: ImageSource) {
    this.source = source;
    this.size = source.size;
  }

  /** Fill an array, or what there is of it. @returns how many bytes there were */
  async fill(target: Uint8Array): Promise<number> {
    const result = this.source.read(target);
    const count = typeof result === "number" ? result : await result;
    this.done += count;
    return count;
  }

  /** @throws ImageError where the image ends before */
  async bytes(target: Uint8Array, what: string): Promise<void> {
    const count = await this.fill(target);
    if (count < target.length)
      throw new ImageError(
        "IMAGE_TRUNCATED",
        `The saved heap ends after ${this.done} bytes, in the middle of ${what}: the rest is missing.`,
      );
  }

  /** So many words. Memory for a length that nothing has proved is taken bit by bit. */
  async words(count: number, what: string): Promise<Int32Array> {
    if (this.size !== undefined || count <= TRUSTED_WORDS) {
      const words = new Int32Array(count);
      await this.bytes(bytesOf(words), what);
      return words;
    }
    const pieces: Int32Array[] = [];
    for (let left = count; left > 0; left -= TRUSTED_WORDS) {
      const piece = new Int32Array(Math.min(left, TRUSTED_WORDS));
      await this.bytes(bytesOf(piece), what);
      pieces.push(piece);
    }
    const words = new Int32Array(count);
    for (const [index, piece] of pieces.entries()) words.set(piece, index * TRUSTED_WORDS);
    return words;
  }

  async end(): Promise<void> {
    if ((await this.fill(new Uint8Array(1))) > 0)
      throw new ImageError(
        "IMAGE_CORRUPT",
        `Something follows the ${this.done - 1} bytes of the saved heap.`,
      );
  }
}

async function readImage(
  reader: ImageReader,
  types: readonly unknown[],
  maximumBytes?: number,
): Promise<Image> {
  const header = await readHeader(reader);
  const metadataBytes = header[IMAGE_HEADER_METADATA];
  const metadataWords = await reader.words(Math.ceil(metadataBytes / WORD_BYTES), "its description");
  const runs = await reader.words(header[IMAGE_HEADER_RUNS] * IMAGE_RUN_WORDS, "its list of pages");
  checkSum(new Checksum().update(metadataWords).update(runs), header[IMAGE_HEADER_FRONT], "description");
  const metadata = parseMetadata(bytesOf(metadataWords).subarray(0, metadataBytes));
  const place = {
    firstPage: header[IMAGE_HEADER_FIRST_PAGE],
    topPage: header[IMAGE_HEADER_TOP_PAGE],
    pages: header[IMAGE_HEADER_PAGES],
    pageCount: header[IMAGE_HEADER_RESERVED],
  };
  const wrong = checkRuns(runs, place);
  if (wrong !== undefined) invalid(wrong);
  const plans = planTypes(metadata.types, types);
  const ourTypes = imageTypes(plans);
  const columns = columnsOf(ourTypes);
  const generationSizes = generationSizesOf(header);
  const chunkCount = chunkCountOf(generationSizes);

  const memory = reserveAgain({ ...place, endPage: endPageOf(place, chunkCount) }, maximumBytes);
  const pages = new ImagePages(memory, runs, place.topPage, chunkCount);
  const checksum = new Checksum().update(header);
  const refusal = await readPages(reader, memory, runs, checksum, (end) => pages.arrive(end, columns));
  const generations = await reader.words(sum(generationSizes), "its generations");
  checksum.update(generations);
  const [trailer] = await reader.words(1, "its checksum");
  checkSum(checksum, trailer, "contents");
  await reader.end();
  if (refusal !== undefined) throw refusal;
  return { memory, metadata, plans, types: ourTypes, columns, pages, generations, generationSizes };
}

function generationSizesOf(header: Int32Array): number[] {
  return [...header.subarray(IMAGE_HEADER_GENERATIONS, IMAGE_HEADER_GENERATIONS + IMAGE_GENERATIONS)];
}

async function readHeader(reader: ImageReader): Promise<Int32Array> {
  const header = new Int32Array(IMAGE_HEADER_WORDS);
  const count = await reader.fill(bytesOf(header));
  const magic = bytesOf(Int32Array.of(IMAGE_MAGIC_FIRST, IMAGE_MAGIC_SECOND));
  const isOurs = bytesOf(header)
    .subarray(IMAGE_HEADER_MAGIC, Math.min(count, magic.length))
    .every((byte, index) => byte === magic[index]);
  if (count === 0 || !isOurs)
    throw new ImageError(
      "IMAGE_FOREIGN",
      count === 0
        ? "There is nothing to load: the file or stream is empty."
        : "This is no saved heap: it does not begin with the bytes OUROHEAP.",
    );
  if (count < header.length * WORD_BYTES)
    throw new ImageError(
      "IMAGE_TRUNCATED",
      `The saved heap ends after ${count} bytes, in the middle of its header.`,
    );
  checkSum(new Checksum().update(header, 0, IMAGE_HEADER_CHECKSUM), header[IMAGE_HEADER_CHECKSUM], "header");
  checkVersions(header[IMAGE_HEADER_VERSION], header[IMAGE_HEADER_LAYOUT]);
  checkHeader(header, reader.size);
  return header;
}

/** The header's length and the place of its checksum are the same in all versions to come. */
function checkVersions(version: number, layout: number): void {
  if (version > IMAGE_VERSION || layout > LAYOUT_VERSION)
    throw new ImageError(
      "IMAGE_NEWER",
      `This heap was saved by a newer version of Ouroheap (format ${version}, layout ${layout}); this one reads format ` +
        `${IMAGE_VERSION} and layout ${LAYOUT_VERSION}. Update Ouroheap here.`,
    );
  if (version !== IMAGE_VERSION || layout !== LAYOUT_VERSION)
    invalid(`there is no format ${version} with layout ${layout}`);
}

function checkHeader(header: Int32Array, size: number | undefined): void {
  const names = ["METADATA", "RUNS", "PAGES", "FIRST_PAGE", "TOP_PAGE", "RESERVED"];
  const pagesMax = RESERVATION_BYTES_MAX / PAGE_BYTES;
  for (let index = IMAGE_HEADER_METADATA; index < IMAGE_HEADER_FRONT; index++)
    if (header[index] < 0)
      invalid(`its header says ${header[index]} (${names[index - IMAGE_HEADER_METADATA] ?? "generation"})`);
  const [firstPage, topPage] = [header[IMAGE_HEADER_FIRST_PAGE], header[IMAGE_HEADER_TOP_PAGE]];
  if (topPage > pagesMax || firstPage > topPage || header[IMAGE_HEADER_RESERVED] > pagesMax)
    invalid(`pages ${firstPage} to ${topPage} of ${header[IMAGE_HEADER_RESERVED]}`);
  if (
    firstPage < 1 ||
    header[IMAGE_HEADER_RESERVED] < topPage ||
    bytesFor(firstPage, topPage) > RESERVATION_BYTES_MAX
  )
    invalid(`pages ${firstPage} to ${topPage} leave no room for a heap's tables`);
  const tracked = sum(generationSizesOf(header));
  if (tracked > (header[IMAGE_HEADER_PAGES] * PAGE_WORDS) / HEADER_WORDS)
    invalid(`its header says ${tracked} objects are tracked, in ${header[IMAGE_HEADER_PAGES]} pages`);
  const words =
    IMAGE_HEADER_WORDS +
    Math.ceil(header[IMAGE_HEADER_METADATA] / WORD_BYTES) +
    header[IMAGE_HEADER_RUNS] * IMAGE_RUN_WORDS +
    header[IMAGE_HEADER_PAGES] * PAGE_WORDS +
    tracked +
    1;
  if (size !== undefined && size < words * WORD_BYTES)
    throw new ImageError(
      "IMAGE_TRUNCATED",
      `The saved heap has ${size} of its ${words * WORD_BYTES} bytes: the rest is missing.`,
    );
  if (size !== undefined && size > words * WORD_BYTES)
    throw new ImageError(
      "IMAGE_CORRUPT",
      `Something follows the ${words * WORD_BYTES} bytes of the saved heap.`,
    );
}

function checkSum(checksum: Checksum, saved: number, what: string): void {
  if (checksum.value !== saved)
    throw new ImageError(
      "IMAGE_CORRUPT",
      `The saved heap was damaged: the checksum of its ${what} is ${hex(checksum.value)} and should be ${hex(saved)}.`,
    );
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/**
 * Straight to where the pages belong; neighbours in one go. What makes no sense is told when the checksum has been: it may
 * be damage.
 * @param arrived called with one past the last page that has been read
 * @returns what it threw first
 */
async function readPages(
  reader: ImageReader,
  memory: Memory,
  runs: Int32Array,
  checksum: Checksum,
  arrived: (endPage: number) => void,
): Promise<unknown> {
  let refusal: unknown;
  for (let run = 0; run < runs.length; ) {
    const first = runs[run + IMAGE_RUN_PAGE];
    let end = first;
    while (run < runs.length && runs[run + IMAGE_RUN_PAGE] === end) {
      end += runs[run + IMAGE_RUN_LENGTH];
      run += IMAGE_RUN_WORDS;
    }
    const endWord = end * PAGE_WORDS;
    for (let word = first * PAGE_WORDS; word < endWord; word += READ_WORDS) {
      const readEnd = Math.min(endWord, word + READ_WORDS);
      for (const bytes of memory.bytes(word, readEnd - word)) await reader.bytes(bytes, "its pages");
      for (let piece = word; piece < readEnd; piece += PIECE_WORDS) {
        const pieceEnd = Math.min(readEnd, piece + PIECE_WORDS);
        checksum.update(memory.i32, piece, pieceEnd);
        try {
          if (refusal === undefined) arrived(pieceEnd / PAGE_WORDS);
        } catch (error) {
          refusal = error;
        }
      }
    }
  }
  return refusal;
}

function parseMetadata(bytes: Uint8Array): Metadata {
  let metadata: Metadata;
  try {
    metadata = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Metadata;
  } catch (cause) {
    throw new ImageError("IMAGE_INVALID", "The saved heap's description is no JSON.", { cause });
  }
  if (typeof metadata !== "object" || metadata === null) return invalid(`it is ${show(metadata)}`);
  const { roots, foreign, gc } = metadata as Partial<Metadata>;
  const isRoot = (root: unknown) =>
    Array.isArray(root) && typeof root[0] === "string" && Number.isInteger(root[1]) && root[1] > 0;
  if (!Array.isArray(roots) || !roots.every(isRoot)) invalid("its roots are no names and addresses");
  for (const [name, , madeAt] of roots as Metadata["roots"])
    if (!isSavedLine(madeAt)) invalid(`the line that made the root ${show(name)} is ${show(madeAt)}`);
  const isTombstone = (stone: { value?: unknown; disposer?: unknown } | null) =>
    stone === null || (typeof stone?.value === "string" && typeof stone.disposer === "string");
  if (!Array.isArray(foreign) || !foreign.every(isTombstone)) invalid("its foreign values have no names");
  checkGc(gc);
  return metadata;
}

function checkGc(gc: Partial<Metadata["gc"]> | undefined): void {
  const isInt = (value: unknown) => value === ((value as number) | 0);
  const isCount = (value: unknown) => isInt(value) && (value as number) >= 0;
  const isTotal = (value: unknown) => Number.isFinite(value) && (value as number) >= 0;
  const all = (values: unknown, length: number, holds: (value: unknown) => boolean) =>
    Array.isArray(values) && values.length === length && values.every(holds);
  const isWhole =
    typeof gc === "object" &&
    gc !== null &&
    typeof gc.enabled === "boolean" &&
    (gc.policy === undefined || gc.policy === "python" || gc.policy === "adaptive") &&
    all(gc.thresholds, 3, isInt) &&
    all(gc.counts, 3, isCount) &&
    all(gc.longLived, 2, isCount) &&
    all(gc.stats, 9, isTotal) &&
    isTotal(gc.byteThreshold);
  if (!isWhole) invalid("the collector's numbers");
}

// -- putting together -----------------------------------------------------------------------------

function restore(image: Image, makeHeap: (memory: Memory) => Context): LoadedHeap {
  const { memory, metadata, plans, pages, types, columns } = image;
  const contents = new ImageContents(memory, pages, types, columns);
  const untracked = restoreObjects(memory, pages, contents, image.generations, image.generationSizes);
  for (const [, object] of metadata.roots) contents.countRoot(object);
  contents.finish();
  pages.checkStorage();
  pages.finish();
  if (contents.foreign.length !== metadata.foreign.length)
    invalid(`${metadata.foreign.length} foreign values are named, and there are ${contents.foreign.length}`);

  const context = makeHeap(memory);
  context.binder.restore(plans);
  if (untracked > 0) checkUntracked(context.core, pages, types);
  for (const [index, object] of contents.foreign.entries()) {
    const tombstone = metadata.foreign[index];
    if (tombstone !== null) context.foreign.bury(object, tombstone);
  }
  restoreGc(context, metadata.gc);
  return { heap: context.heap, roots: handlesTo(context, metadata.roots) };
}

function restoreGc(context: Context, gc: Metadata["gc"]): void {
  const { trigger, memory } = context.core;
  for (const [generation, threshold] of gc.thresholds.entries()) trigger.setThreshold(generation, threshold);
  trigger.setAdaptive(gc.policy === "adaptive");
  trigger.setEnabled(gc.enabled);
  memory.i32.set(gc.counts, CONTROL_COUNTS);
  [memory.i32[CONTROL_LONG_LIVED_TOTAL], memory.i32[CONTROL_LONG_LIVED_PENDING]] = gc.longLived;
  memory.f64.set(gc.stats, CONTROL_STATS >> 1);
  memory.f64[CONTROL_BYTE_THRESHOLD >> 1] = gc.byteThreshold;
}

/** Without a prototype: a root may have any name. */
function handlesTo(context: Context, roots: Metadata["roots"]): LoadedHeap["roots"] {
  const handles = Object.create(null) as Record<string, Handle<Borrowed>>;
  for (const [name, object, madeAt] of roots) {
    const type = context.binder.typeOf(object);
    const handle = madeAt === undefined ? type.handle(object) : context.handles.restore(type, object, madeAt);
    handles[name] = handle as unknown as Handle<Borrowed>;
  }
  return handles;
}
