/** Saving a heap: what is asked for, and the pieces of the image in their order (docs/design/0006). */
import { ImageWriter } from "../gc/image-write.js";
import { heldFromOutside } from "../gc/roots.js";
import { bytesOf, Checksum } from "../memory/checksum.js";
import { InvalidArgumentError } from "../memory/errors.js";
import {
  IMAGE_HEADER_CHECKSUM,
  IMAGE_HEADER_FIRST_PAGE,
  IMAGE_HEADER_FRONT,
  IMAGE_HEADER_GENERATIONS,
  IMAGE_HEADER_LAYOUT,
  IMAGE_HEADER_METADATA,
  IMAGE_HEADER_PAGES,
  IMAGE_HEADER_RESERVED,
  IMAGE_HEADER_RUNS,
  IMAGE_HEADER_TOP_PAGE,
  IMAGE_HEADER_VERSION,
  IMAGE_HEADER_WORDS,
  IMAGE_MAGIC_FIRST,
  IMAGE_MAGIC_SECOND,
  IMAGE_RUN_WORDS,
  IMAGE_VERSION,
} from "../memory/image-layout.js";
import {
  type Address,
  CONTROL_BYTE_THRESHOLD,
  CONTROL_COUNTS,
  CONTROL_FIRST_PAGE,
  CONTROL_LONG_LIVED_PENDING,
  CONTROL_LONG_LIVED_TOTAL,
  CONTROL_STATS,
  CONTROL_THRESHOLDS,
  FOREIGN_NUMBER,
  KIND_LIST,
  LAYOUT_VERSION,
  LIST_WORDS,
  PAGE_BYTES,
  STATS_WORDS,
  TYPE_KIND,
  WORD_BYTES,
} from "../memory/layout.js";
import type { Context } from "./context.js";
import type { CollectionPolicy } from "./gc-module.js";
import { SavedLines } from "./image-lines.js";
import { describeTypes, type TypeEntry } from "./image-types.js";
import { show } from "./schema.js";
import type { Borrowed } from "./types.js";

/** What is saved of a heap. */
export interface SaveOptions {
  /**
   * The objects to be saved, with all that they reach, by the names under which `Heap.load` will give handles to them. Left
   * out: everything that is held from outside the heap, by the names "#1", "#2" and so on, in address order.
   */
  readonly roots?: Readonly<Record<string, Borrowed>>;
}

type SavedRoot = readonly [name: string, object: Address, madeAt?: string];

/** What an image says in JSON. */
export interface Metadata {
  readonly types: readonly TypeEntry[];
  /** With the frames of the line that made the handle, where that was recorded: readers of before pass over them. */
  readonly roots: readonly SavedRoot[];
  /** In address order: constructor and disposer of each value that stayed behind; null for one disposed before. */
  readonly foreign: readonly ({ readonly value: string; readonly disposer: string } | null)[];
  readonly gc: {
    readonly enabled: boolean;
    /** Images of before have none: "python". */
    readonly policy?: CollectionPolicy;
    readonly thresholds: readonly number[];
    readonly byteThreshold: number;
    readonly counts: readonly number[];
    readonly longLived: readonly number[];
    readonly stats: readonly number[];
  };
}

/**
 * The pieces of an image; each is valid until the next is asked for, and the heap may not change meanwhile.
 * @throws HeapBusyError, InvalidArgumentError
 */
export function* imagePieces(context: Context, options: SaveOptions): IterableIterator<Uint8Array> {
  context.requireIdle("saved");
  const roots = rootsOf(context, options);
  const writer = new ImageWriter(
    context.core,
    roots.map(([, object]) => object),
    unusedWords(context),
  );
  const metadata = toWords(JSON.stringify(describe(context, writer, roots)));
  const front = new Checksum().update(metadata.words).update(writer.runs).value;
  const header = makeHeader(context, writer, metadata.bytes, front);
  const checksum = new Checksum().update(header);
  yield bytesOf(header);
  yield bytesOf(metadata.words);
  yield bytesOf(writer.runs);
  for (const part of [writer.body(), [writer.generations()]])
    for (const words of part) {
      checksum.update(words);
      yield bytesOf(words);
    }
  yield bytesOf(Int32Array.of(checksum.value));
}

const LIST_UNUSED = [LIST_WORDS - 1];

/** By type id: the words of an instance that no field has. */
function unusedWords({ binder, core }: Context): (typeId: number) => readonly number[] {
  const byId = new Map(binder.schemaTypes.map(({ id, layout }) => [id, layout?.unused]));
  return (typeId) =>
    byId.get(typeId) ??
    (core.memory.i32[core.types.descriptor(typeId) + TYPE_KIND] === KIND_LIST ? LIST_UNUSED : []);
}

function rootsOf(context: Context, options: SaveOptions): SavedRoot[] {
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError(`The options of heap.save must be an object, got ${show(options)}.`);
  const { roots } = options;
  const lines = new SavedLines(context);
  const root = (name: string, object: Address, ref?: unknown): SavedRoot => {
    const madeAt = lines.of(object, ref);
    return madeAt === undefined ? [name, object] : [name, object, madeAt];
  };
  if (roots === undefined)
    return heldFromOutside(context.core, context.pools.atHand()).map((object, index) =>
      root(`#${index + 1}`, object),
    );
  if (typeof roots !== "object" || roots === null)
    throw new InvalidArgumentError(`\`roots\` must be an object of references by name, got ${show(roots)}.`);
  return Object.entries(roots).map(([name, ref]) => root(name, context.heap.weakref.address(ref), ref));
}

function describe(context: Context, writer: ImageWriter, roots: Metadata["roots"]): Metadata {
  const { core, binder, foreign } = context;
  const { i32, f64 } = core.memory;
  const stats = Array.from(
    { length: (3 * STATS_WORDS) >> 1 },
    (_, index) => f64[(CONTROL_STATS >> 1) + index],
  );
  return {
    types: describeTypes(binder.schemaTypes),
    roots,
    foreign: writer.foreign.map((object) => foreign.nameOf(object, i32[object + FOREIGN_NUMBER])),
    gc: {
      enabled: core.trigger.isEnabled,
      policy: core.trigger.isAdaptive ? "adaptive" : "python",
      thresholds: [...i32.subarray(CONTROL_THRESHOLDS, CONTROL_THRESHOLDS + 3)],
      byteThreshold: f64[CONTROL_BYTE_THRESHOLD >> 1],
      counts: [...i32.subarray(CONTROL_COUNTS, CONTROL_COUNTS + 3)],
      longLived: [i32[CONTROL_LONG_LIVED_TOTAL], i32[CONTROL_LONG_LIVED_PENDING]],
      stats,
    },
  };
}

/** A text as words, filled up with spaces, which JSON passes over. */
function toWords(text: string): { words: Int32Array; bytes: number } {
  const bytes = new TextEncoder().encode(text);
  const words = new Int32Array(Math.ceil(bytes.length / WORD_BYTES));
  bytesOf(words).fill(0x20).set(bytes);
  return { words, bytes: bytes.length };
}

function makeHeader(context: Context, writer: ImageWriter, metadataBytes: number, front: number): Int32Array {
  const { i32, maximumBytes } = context.core.memory;
  const header = new Int32Array(IMAGE_HEADER_WORDS);
  header.set([IMAGE_MAGIC_FIRST, IMAGE_MAGIC_SECOND]);
  header[IMAGE_HEADER_VERSION] = IMAGE_VERSION;
  header[IMAGE_HEADER_LAYOUT] = LAYOUT_VERSION;
  header[IMAGE_HEADER_METADATA] = metadataBytes;
  header[IMAGE_HEADER_RUNS] = writer.runs.length / IMAGE_RUN_WORDS;
  header[IMAGE_HEADER_PAGES] = writer.pageCount;
  header[IMAGE_HEADER_FIRST_PAGE] = i32[CONTROL_FIRST_PAGE];
  header[IMAGE_HEADER_TOP_PAGE] = writer.topPage;
  header[IMAGE_HEADER_RESERVED] = Math.floor(maximumBytes / PAGE_BYTES);
  header.set(writer.generationSizes, IMAGE_HEADER_GENERATIONS);
  header[IMAGE_HEADER_FRONT] = front;
  header[IMAGE_HEADER_CHECKSUM] = new Checksum().update(header, 0, IMAGE_HEADER_CHECKSUM).value;
  return header;
}
