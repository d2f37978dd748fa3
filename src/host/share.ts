/** Sharing a heap with other threads, and joining a shared one (docs/design/0010). */
import { InvalidArgumentError, ShareError } from "../memory/errors.js";
import {
  CONTROL_HEAP_ID,
  CONTROL_MAGIC,
  CONTROL_PAGE_COUNT,
  CONTROL_THREADS,
  CONTROL_VERSION,
  KIND_STORAGE,
  LAYOUT_VERSION,
  MAGIC,
  PAGE_BYTES,
  RESERVATION_BYTES_MIN,
  THREAD_IS_BASED,
  THREAD_WORDS,
  THREADS_MAX,
  WORD_BYTES,
} from "../memory/layout.js";
import { HeapLock } from "../memory/lock.js";
import { Memory, reserveSide, wordsOf } from "../memory/memory.js";
import { ThreadTable } from "../memory/threads.js";
import type { Context } from "./context.js";
import { type LockOptions, lock } from "./guard.js";
import type { HeapOptions } from "./options.js";
import { show } from "./schema.js";
import { checkClasses, noteKnown, publishTypes, schemaStrings, syncTypes } from "./shared-types.js";
import { Sharing } from "./sharing.js";
import type { AnyStruct } from "./types.js";
import { hostThreadId } from "./watch.js";

/** What another thread needs to attach: `worker.postMessage(heap.share())`. */
export interface HeapToken {
  readonly memory: SharedArrayBuffer;
  readonly layoutVersion: number;
}

/** How a thread shares its heap. Read by the first `share()` only: a second one gives the token again. */
export interface ShareOptions {
  /** What messages call this thread; up to 24 characters of Latin-1. Default "main". */
  readonly name?: string;
  /** Structs for those of the same names that other threads bring; those that the heap has need not be named. */
  readonly types?: readonly AnyStruct[];
}

/** The heaps that are attached in this thread: a second view of one would not know of the first one's handles. */
const here = new Set<number>();

// -- share ----------------------------------------------------------------------------------------

/** Share a heap that nobody else has, or give its token once more. O(types + handles). */
export function share(context: Context, options: ShareOptions): HeapToken {
  context.requireAlive();
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError(`The options of heap.share must be an object, got ${show(options)}.`);
  const { name = "main", types = [] } = options;
  if (context.sharing === undefined) {
    checkClasses(types, "heap.share");
    context.binder.given = types;
    begin(context, String(name));
  }
  const { buffer } = context.core.memory;
  return { memory: buffer as SharedArrayBuffer, layoutVersion: LAYOUT_VERSION };
}

function begin(context: Context, name: string): void {
  const { core } = context;
  const { i32, buffer } = core.memory;
  if (typeof SharedArrayBuffer !== "function" || !(buffer instanceof SharedArrayBuffer))
    throw new ShareError(
      "NOT_SHAREABLE",
      "This heap cannot be shared: here is no SharedArrayBuffer. A page has it when it is cross-origin isolated: serve it with " +
        "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.",
    );
  context.requireIdle("shared");
  const words = THREADS_MAX * THREAD_WORDS;
  const table = core.allocator.allocate(KIND_STORAGE, words);
  i32.fill(0, table, table + words);
  i32[CONTROL_THREADS] = table;
  let sharing: Sharing | undefined;
  try {
    sharing = new Sharing(context, 0, context.level);
    sharing.open();
    publishTypes(context, core.pendingTypeId + 1, schemaStrings(context, context.binder.schemaTypes));
  } catch (error) {
    sharing?.close();
    i32[CONTROL_THREADS] = 0;
    core.allocator.free(table);
    throw error;
  }
  sharing.threads.setAttached(sharing.threads.join(name, hostThreadId()));
  i32[CONTROL_HEAP_ID] = newId();
  here.add(i32[CONTROL_HEAP_ID]);
  enterKnownRoots(context, sharing);
  sharing.countAdopted(context.foreign.bytes);
  context.sharing = sharing;
  noteKnown(context, 0);
  context.binder.guardAll();
  sharing.start();
}

/** Under `verify` and `stress` every handle is known; otherwise they are found when another thread first writes. */
function enterKnownRoots({ handles }: Context, sharing: Sharing): void {
  if (handles.roots === undefined) return;
  for (const [object, count] of handles.roots) sharing.roots.add(object, count, true);
  sharing.isBased = true;
}

function newId(): number {
  return (1 + Math.floor(Math.random() * 0x7ffffffe)) | 0;
}

/** @throws ShareError */
export function requireSharing({ sharing }: Context): Sharing {
  if (sharing !== undefined) return sharing;
  throw new ShareError(
    "NOT_SHARED",
    "This heap is not shared, so it has no lock: it is this thread's alone. heap.share() shares it.",
  );
}

// -- attach ---------------------------------------------------------------------------------------

/** How to attach: what a heap can be asked to be in this thread, and how long to wait. */
export interface AttachOptions extends Omit<HeapOptions, "maximumBytes">, LockOptions {
  /** What messages call this thread; up to 24 characters of Latin-1. Default: its number. */
  readonly name?: string;
}

/** @param makeHeap the heap over the memory, from a place in its thread table */
export function attach(
  token: unknown,
  types: unknown,
  options: AttachOptions,
  makeHeap: (options: HeapOptions, memory: Memory, thread: number) => Context,
): Context {
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError(`The options of Heap.attach must be an object, got ${show(options)}.`);
  const { name = "", ...heapOptions } = options;
  checkClasses(types, "Heap.attach");
  const memory = openMemory(token);
  const threads = new ThreadTable(memory, memory.i32[CONTROL_THREADS]);
  const thread = threads.join(String(name), hostThreadId());
  memory.i32[threads.record(thread) + THREAD_IS_BASED] = 1;
  let context: Context | undefined;
  try {
    context = makeHeap(heapOptions, memory, thread);
    return join(context, options);
  } catch (error) {
    if (context === undefined || !context.isDisposed) new HeapLock(memory.i32, thread).end(thread);
    threads.free(thread);
    throw error;
  }
}

/** Take what this thread needs of the memory, and learn the types. */
function join(context: Context, options: LockOptions): Context {
  const sharing = requireSharing(context);
  const guard = lock(sharing.guards, { timeout: options.timeout, signal: options.signal });
  try {
    if (context.core.memory.i32[CONTROL_THREADS] === 0)
      throw new ShareError("NOT_SHARED", "This heap has ended: the last thread that had it has left it.");
    sharing.repairIfDamaged();
    sharing.threads.setAttached(sharing.thread);
    try {
      sharing.open();
      syncTypes(context);
    } catch (error) {
      sharing.close();
      sharing.threads.setLeft(sharing.thread); // it gets no mail any more
      throw error;
    }
  } finally {
    guard[Symbol.dispose]();
  }
  here.add(context.core.memory.i32[CONTROL_HEAP_ID]);
  sharing.start();
  return context;
}

/** The memory behind a token. @throws ShareError, InvalidArgumentError */
function openMemory(token: unknown): Memory {
  const buffer = bufferOf(token);
  const i32 = wordsOf(buffer);
  const isHeap =
    buffer.byteLength >= RESERVATION_BYTES_MIN &&
    i32[CONTROL_MAGIC] === MAGIC &&
    i32[CONTROL_PAGE_COUNT] > 0 &&
    i32[CONTROL_PAGE_COUNT] <= buffer.byteLength / PAGE_BYTES;
  if (!isHeap)
    throw new ShareError("NO_HEAP", "There is no heap in this memory: its control words are not Ouroheap's.");
  const version = i32[CONTROL_VERSION];
  if (version !== LAYOUT_VERSION)
    throw new ShareError(
      "NO_HEAP",
      `This heap has layout ${version}, and this version of Ouroheap reads layout ${LAYOUT_VERSION}: use the same version in all threads.`,
    );
  const table = i32[CONTROL_THREADS];
  if (table <= 0 || table + THREADS_MAX * THREAD_WORDS > buffer.byteLength / WORD_BYTES)
    throw new ShareError(
      "NOT_SHARED",
      "This heap is not shared, or it has ended: heap.share() shares one, and the last thread that leaves it ends it.",
    );
  if (here.has(i32[CONTROL_HEAP_ID]))
    throw new ShareError(
      "ALREADY_ATTACHED",
      "This thread has this heap already: use the Heap that Heap.attach, or Heap.create, has returned.",
    );
  return new Memory(buffer, reserveSide(buffer.byteLength));
}

/** This thread has the heap no more. */
export function forgetHeap({ i32 }: Memory): void {
  here.delete(i32[CONTROL_HEAP_ID]);
}

function bufferOf(token: unknown): SharedArrayBuffer {
  if (typeof SharedArrayBuffer !== "function")
    throw new ShareError(
      "NOT_SHAREABLE",
      "Heap.attach needs a SharedArrayBuffer, which this thread does not have.",
    );
  const memory = (token as Partial<HeapToken> | null | undefined)?.memory;
  if (!(memory instanceof SharedArrayBuffer))
    throw new InvalidArgumentError(`Heap.attach takes what heap.share() returned, got ${show(token)}.`);
  return memory;
}
