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
  THREAD_ATTACHED,
  THREAD_FREE,
  THREAD_IS_BASED,
  THREAD_SHIFT,
  THREAD_STATE,
  THREAD_WORDS,
  THREADS_MAX,
} from "../memory/layout.js";
import { Memory, reserveSide } from "../memory/memory.js";
import type { Context } from "./context.js";
import { show } from "./schema.js";
import { Sharing } from "./sharing.js";
import { noteKnown, publishTypes, schemaStrings } from "./shared-types.js";

/** What another thread needs to attach: `worker.postMessage(heap.share())`. */
export interface HeapToken {
  readonly memory: SharedArrayBuffer;
  readonly layoutVersion: number;
}

/** The heaps that are attached in this thread: a second view of one would not know of the first one's handles. */
const here = new Set<number>();

// -- share ----------------------------------------------------------------------------------------

/** Share a heap that nobody else has, or give its token once more. O(types). */
export function share(context: Context): HeapToken {
  context.requireAlive();
  if (context.sharing === undefined) begin(context);
  const { buffer } = context.core.memory;
  return { memory: buffer as SharedArrayBuffer, layoutVersion: LAYOUT_VERSION };
}

function begin(context: Context): void {
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
    sharing = new Sharing(context, 0);
    sharing.open();
    const { schemaTypes } = context.binder;
    const texts = schemaStrings(context, schemaTypes);
    publishTypes(context, core.pendingTypeId + 1, texts);
  } catch (error) {
    sharing?.close();
    i32[CONTROL_THREADS] = 0;
    core.allocator.free(table);
    throw error;
  }
  i32[table + THREAD_STATE] = THREAD_ATTACHED;
  i32[CONTROL_HEAP_ID] = newId();
  here.add(i32[CONTROL_HEAP_ID]);
  enterKnownRoots(context, sharing);
  context.sharing = sharing;
  noteKnown(context, 0);
  context.binder.guardAll();
}

/** Under `verify` and `stress` every handle is known; otherwise they are found when another thread first writes. */
function enterKnownRoots({ handles }: Context, sharing: Sharing): void {
  if (handles.roots === undefined) return;
  for (const [object, count] of handles.roots) sharing.roots.add(object, count);
  sharing.roots.makeRoom();
  sharing.isBased = true;
}

function newId(): number {
  return (1 + Math.floor(Math.random() * 0x7ffffffe)) | 0;
}

// -- attach ---------------------------------------------------------------------------------------

/** The memory behind a token, with a place in its thread table. @throws ShareError, InvalidArgumentError */
export function enterMemory(token: unknown): { memory: Memory; thread: number } {
  const buffer = bufferOf(token);
  const i32 = new Int32Array(buffer);
  const isHeap =
    buffer.byteLength >= RESERVATION_BYTES_MIN &&
    i32[CONTROL_MAGIC] === MAGIC &&
    i32[CONTROL_PAGE_COUNT] > 0 &&
    i32[CONTROL_PAGE_COUNT] <= buffer.byteLength / PAGE_BYTES;
  if (!isHeap) throw new ShareError("NO_HEAP", "There is no heap in this memory: its control words are not Ouroheap's.");
  const version = i32[CONTROL_VERSION];
  if (version !== LAYOUT_VERSION)
    throw new ShareError(
      "NO_HEAP",
      `This heap has layout ${version}, and this version of Ouroheap reads layout ${LAYOUT_VERSION}: use the same version in all threads.`,
    );
  const table = i32[CONTROL_THREADS];
  if (table <= 0 || table + THREADS_MAX * THREAD_WORDS > buffer.byteLength >> 2)
    throw new ShareError("NOT_SHARED", "This heap is not shared: only heap.share() gives a token.");
  if (here.has(i32[CONTROL_HEAP_ID]))
    throw new ShareError(
      "ALREADY_ATTACHED",
      "This thread has this heap already: use the Heap that Heap.attach, or Heap.create, has returned.",
    );
  const thread = takePlace(i32, table);
  here.add(i32[CONTROL_HEAP_ID]);
  return { memory: new Memory(buffer, reserveSide(buffer.byteLength)), thread };
}

function bufferOf(token: unknown): SharedArrayBuffer {
  if (typeof SharedArrayBuffer !== "function")
    throw new ShareError("NOT_SHAREABLE", "Heap.attach needs a SharedArrayBuffer, which this thread does not have.");
  const memory = (token as Partial<HeapToken> | null | undefined)?.memory;
  if (!(memory instanceof SharedArrayBuffer))
    throw new InvalidArgumentError(`Heap.attach takes what heap.share() returned, got ${show(token)}.`);
  return memory;
}

function takePlace(i32: Int32Array, table: number): number {
  for (let thread = 0; thread < THREADS_MAX; thread++) {
    const record = table + (thread << THREAD_SHIFT);
    if (Atomics.compareExchange(i32, record + THREAD_STATE, THREAD_FREE, THREAD_ATTACHED) !== THREAD_FREE) continue;
    i32[record + THREAD_IS_BASED] = 1;
    return thread;
  }
  throw new ShareError(
    "TOO_MANY_THREADS",
    `${THREADS_MAX} threads have this heap, which is as many as there can be. End one, or tell the heap of one that has ended: heap.watch(worker).`,
  );
}

/** Give back what `enterMemory` took: the heap could not be made. */
export function leaveMemory({ i32 }: Memory, thread: number): void {
  Atomics.store(i32, i32[CONTROL_THREADS] + (thread << THREAD_SHIFT) + THREAD_STATE, THREAD_FREE);
  here.delete(i32[CONTROL_HEAP_ID]);
}
