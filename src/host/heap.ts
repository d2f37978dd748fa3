/** The heap as JavaScript sees it. */
import { Core } from "../gc/core.js";
import { verifyMemory } from "../gc/verify.js";
import { InvalidArgumentError } from "../memory/errors.js";
import { type Memory, reserveMemory } from "../memory/memory.js";
import { plainLines, plainText } from "../memory/plain-text.js";
import { Binder } from "./bind.js";
import type { Maker } from "./bound-type.js";
import { canCompile } from "./compile.js";
import { Context } from "./context.js";
import { fromJS, toJS } from "./convert.js";
import { chooseDisposer, type Disposer } from "./disposer.js";
import { typeText } from "./fields.js";
import type { AdoptOptions } from "./foreign.js";
import { GarbageCollector } from "./gc-module.js";
import {
  type Guard,
  type Guards,
  type LockOptions,
  lock,
  lockAsync,
  lockShared,
  lockSharedAsync,
} from "./guard.js";
import { HandleTracker, type LeakedHandle } from "./handle.js";
import { type ByteSink, type ByteSource, copyPieces, writePieces } from "./image-io.js";
import { type LoadedHeap, type LoadOptions, loadImage } from "./image-load.js";
import { imagePieces, type SaveOptions } from "./image-save.js";
import { defaultChecks, type HeapOptions, readChecks, readLeakedHandles } from "./options.js";
import { type Parcel, receive, send } from "./parcel.js";
import { checkPoolOptions, Pool, type PoolOptions } from "./pool.js";
import type { HeapRepair } from "./repair-heap.js";
import { describe, foreignDescriptor, isObjectDescriptor, show } from "./schema.js";
import { runInScope, Scope } from "./scope.js";
import {
  type AttachOptions,
  attach,
  type HeapToken,
  requireSharing,
  type ShareOptions,
  share,
} from "./share.js";
import { Sharing } from "./sharing.js";
import { shutdown } from "./shutdown.js";
import type {
  AnyStruct,
  Borrowed,
  Escaped,
  Foreign,
  Handle,
  InitOf,
  ObjectType,
  ReadOf,
  RequiredOf,
} from "./types.js";
import { addressOf, asView } from "./view.js";
import { type WatchableWorker, watch } from "./watch.js";
import { WeakrefModule } from "./weakref-module.js";

/** A memory outside V8 with Python's garbage collection: make objects with `new`, and let their counts free them. */
export class Heap implements Disposable {
  /** Python's `gc` module over this heap. */
  readonly gc: GarbageCollector;
  /** Python's `weakref` module over this heap. */
  readonly weakref: WeakrefModule;
  /** Called with what a callback threw where nobody could catch it; such errors never stop a collection. Default: console.error. */
  onUnraisable: (error: unknown, where: string) => void = (error, where) => {
    console.error(`Ouroheap: error ignored in ${where}:`, error);
  };
  /**
   * Called, unless checks are off, when a recorded handle was dropped without release, or lives when the heap is shut
   * down. Default: console.warn.
   */
  onLeakedHandle: (leak: LeakedHandle) => void = ({ when, count, typeName, madeAt }) => {
    const name = plainText(typeName);
    const handles = count === 1 ? `a handle to a ${name} was` : `${count} handles to a ${name} were`;
    const what = when === "dropped" ? "dropped without release" : "not released before the heap ended";
    console.warn(`Ouroheap: ${handles} ${what}; made at\n  ${plainLines(madeAt).replaceAll("\n", "\n  ")}`);
  };
  /** Called under the lock after a thread has ended in the middle of a write and the heap was repaired. Default: console.warn. */
  onRepair: (repair: HeapRepair) => void = ({ threads, kept, dropped, nulled, containers }) => {
    const lost = containers.reduce((sum, one) => sum + one.lost, 0);
    const oneOf = threads.length > 1 ? ", one of them" : "";
    console.warn(
      `Ouroheap: ${threads.map(plainText).join(" and ") || "a thread"} ended${oneOf} while it was changing the heap, which has been repaired: ${kept} objects ` +
        `kept, ${dropped} dropped, ${nulled.length} references set to null, ${lost} items of containers lost.`,
    );
  };
  private readonly context: Context;
  /** What `new` was last asked for, and its maker. */
  private lastType: unknown = {};
  private lastMake!: Maker;

  /** @param place where another thread has shared the memory: this thread's place among them, and its structs */
  private constructor(
    options: HeapOptions,
    memory?: Memory,
    place?: { readonly thread: number; readonly types: readonly AnyStruct[] },
  ) {
    if (typeof options !== "object" || options === null)
      throw new InvalidArgumentError(`Heap.create takes an object of options, got ${show(options)}.`);
    const checks = options.checks === undefined ? defaultChecks() : options.checks;
    const { level, every } = readChecks(checks);
    const core = new Core(memory ?? reserveMemory(options.maximumBytes), {
      isStress: level === "stress",
      isAttached: place !== undefined,
    });
    const verifies = level === "verify" || level === "stress";
    this.context = new Context(core, this, canCompile, level);
    if (place !== undefined) this.context.sharing = new Sharing(this.context, place.thread, level);
    this.context.handles = new HandleTracker(this.context, {
      isRecording: level !== "off",
      every,
      countsRoots: verifies,
      releasesLeaked: readLeakedHandles(options.leakedHandles) === "release",
    });
    new Binder(this.context).given = place?.types ?? [];
    this.gc = new GarbageCollector(this.context);
    this.weakref = new WeakrefModule(this.context);
    if (verifies) this.verifyAtPhases();
    for (const call of Heap.onCreate) call(this);
  }

  /** A new heap. @throws OutOfMemoryError when the machine refuses the reservation, InvalidArgumentError for a bad option */
  static create(options: HeapOptions = {}): Heap {
    return new Heap(options);
  }

  /**
   * A heap that `save` has written: from a path or file URL, bytes, a Blob, or a readable stream. Types are matched by name
   * and layout; objects have their old addresses, and the collector goes on where it was. Foreign values and JavaScript's
   * callbacks stayed behind: the values load as tombstones, which say what they were. Every reference and every table is checked, whatever the checksum says. O(bytes).
   * @throws ImageError for what is no saved heap, or a damaged one; LayoutMismatchError for a struct whose fields are others
   * here; OutOfMemoryError where it does not fit into `maximumBytes`; InvalidArgumentError
   */
  static load(
    source: string | URL | Uint8Array | ArrayBuffer | ByteSource,
    options: LoadOptions = {},
  ): Promise<LoadedHeap> {
    return loadImage(source, options, (memory) => new Heap(options, memory).context);
  }

  /**
   * Join a heap that another thread has shared. Structs are matched by name and layout; one that is not among `types` has its fields,
   * and no methods. This thread may then use the heap under guards. Blocks while another thread writes. O(types)
   * @param token what `share()` returned there, as `postMessage` has brought it
   * @throws LayoutMismatchError for a struct whose fields are others here; ShareError for a memory that is no shared heap, a heap that this thread
   * has already, and where there are too many threads; LockTimeoutError, InvalidArgumentError
   */
  static attach(token: HeapToken, types: readonly AnyStruct[], options: AttachOptions = {}): Heap {
    return attach(
      token,
      types,
      options,
      (heapOptions, memory, thread) => new Heap(heapOptions, memory, { thread, types }).context,
    ).heap;
  }

  /**
   * Save what some objects reach: to a path or file URL, where the file appears when it is whole, or to a writable stream. The
   * heap is saved as it is at the call, and is not changed. O(what is saved), with a quarter of the heap's bytes to work in;
   * for a stream also a copy of what is saved.
   * @throws HeapBusyError inside a collection, a finalizer or a callback; InvalidArgumentError; what the file or stream throws
   */
  async save(target: string | URL | ByteSink, options: SaveOptions = {}): Promise<void> {
    this.context.requireReadable();
    await writePieces(target, imagePieces(this.context, options));
  }

  /** What `save` would write, in memory. @throws as `save` */
  saveBytes(options: SaveOptions = {}): Uint8Array {
    this.context.requireReadable();
    const pieces = copyPieces(imagePieces(this.context, options));
    const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let end = 0;
    for (const piece of pieces) {
      bytes.set(piece, end);
      end += piece.length;
    }
    return bytes;
  }

  /**
   * Make an object from a literal; literals nest. The caller owns the result.
   * @throws TypeMismatchError and InvalidArgumentError for a literal that does not fit, OutOfMemoryError; nothing
   * half-built stays behind. For a type that is new to the heap also HeapError "TOO_MANY_TYPES"
   */
  new<T extends ObjectType>(type: T, init: InitOf<T> & RequiredOf<T>): Handle<ReadOf<T> & Borrowed> {
    const { makers } = this.context.binder;
    let make = this.lastMake;
    // A heap that has ended has no makers. Where many types meet, asking each for its number is a fifth of this call.
    if (type !== this.lastType || makers.length === 0) {
      make = makers[(type as { "@ordinal"?: number } | null)?.["@ordinal"] as number] ?? this.bind(type);
      this.lastType = type;
      this.lastMake = make;
    }
    return make(type, init) as unknown as Handle<ReadOf<T> & Borrowed>;
  }

  private bind(type: unknown) {
    this.context.requireOpenForHandle();
    const descriptor = describe(type, "The type given to heap.new");
    if (!isObjectDescriptor(descriptor))
      throw new InvalidArgumentError(
        `heap.new makes structs and containers; a value of type ${typeText(descriptor)} is stored in one.`,
      );
    if (descriptor === foreignDescriptor)
      throw new InvalidArgumentError("heap.adopt and heap.own make foreign references; heap.new cannot.");
    return this.context.binder.maker(descriptor);
  }

  /**
   * Copy a plain JavaScript graph (objects, arrays, Maps and Sets; shared and cyclic parts kept, heap objects referred
   * to) into dicts, lists and sets of `any`. @throws InvalidArgumentError naming the path of what cannot be copied
   */
  from(value: object): Handle<Borrowed> {
    this.context.requireOpenForHandle();
    this.context.handles.releaseLeaked();
    return fromJS(this.context, value) as unknown as Handle<Borrowed>;
  }

  /** The reverse: a plain JavaScript graph of the same shape. */
  toJS(ref: Borrowed): unknown {
    const view = asView(ref);
    if (view === undefined)
      throw new InvalidArgumentError(`heap.toJS copies a heap object, got ${show(ref)}.`);
    addressOf(view);
    return toJS(view);
  }

  /**
   * Take charge of a value of the host (a WASM object, a texture, a file): `dispose` is called with it once, when the last
   * reference to the result is gone or a collection finds it unreachable, before the statement that dropped it is over.
   * What `dispose` throws goes to `onUnraisable`; a promise that it returns is waited for by `settled()`. The caller owns
   * the result. If this throws, the value is still the caller's.
   * @throws InvalidArgumentError, OutOfMemoryError, and AlreadyAdoptedError for an object or function that has an owner
   */
  adopt<V>(value: V, dispose: Disposer<V>, options: AdoptOptions<V> = {}): Handle<Foreign<V>> {
    this.context.requireOpenForHandle();
    return this.context.foreign.adopt(value, dispose, options, "a function") as unknown as Handle<Foreign<V>>;
  }

  /**
   * `adopt` with the value's own way to be disposed: `[Symbol.dispose]`, else `[Symbol.asyncDispose]`, else its one method
   * among `delete`, `dispose`, `free`, `destroy`, `close` and `release`. The result's `disposer` says which.
   * @throws InvalidArgumentError where there is none or the choice is ambiguous, and as `adopt`
   */
  own<V extends object>(value: V, options: AdoptOptions<V> = {}): Handle<Foreign<V>> {
    this.context.requireOpenForHandle();
    const { dispose, name } = chooseDisposer(value);
    return this.context.foreign.adopt(value, dispose, options, name) as unknown as Handle<Foreign<V>>;
  }

  /**
   * A pool of instances of a struct, made in advance: the last release of one returns it instead of freeing it. Worth it
   * for structs whose making is dear (docs/ownership.md has the measurement). An instance of a shared heap that dies in another thread is
   * freed. O(capacity).
   * @throws InvalidArgumentError for a bad option, OutOfMemoryError
   */
  pool<T extends AnyStruct>(type: T, options: PoolOptions<ReadOf<T>>): Pool<T> {
    this.context.requireOpen();
    if (this.context.isEnding)
      throw new InvalidArgumentError("This heap is ending: it makes no pools any more.");
    const descriptor = describe(type, "The type given to heap.pool");
    if (descriptor["@kind"] !== "struct")
      throw new InvalidArgumentError(`heap.pool takes a struct, got ${typeText(descriptor)}.`);
    checkPoolOptions(options);
    return new Pool<T>(this.context, this.context.binder.bind(descriptor), options);
  }

  /** Resolves when no asynchronous disposal is under way, those included that begin meanwhile. */
  settled(): Promise<void> {
    return this.context.foreign.settled();
  }

  /** Bytes that the adopted values hold outside the heap, as they were told. O(1). */
  get adoptedBytes(): number {
    this.context.requireReadable();
    return this.context.foreign.bytes;
  }
  /** How many adopted values have not been disposed. O(1). */
  get adoptedCount(): number {
    this.context.requireReadable();
    return this.context.foreign.size;
  }

  /** An open scope: `using scope = heap.scope()`. Lexical, hence safe across `await`. */
  scope(): Scope;
  /** An async body: the scope closes when the promise settles, and the asynchronous disposals that this causes are awaited. */
  scope<R>(body: (scope: Scope) => Promise<R>): Promise<Escaped<R>>;
  /** Run `body`, then release all it made but a returned handle, or an array of them. */
  scope<R>(body: (scope: Scope) => R): Escaped<R>;
  scope(body?: (scope: Scope) => unknown): unknown {
    this.context.requireOpen();
    if (body !== undefined && typeof body !== "function")
      throw new InvalidArgumentError(`heap.scope takes a function or nothing, got ${show(body)}.`);
    const scope = new Scope(this, this.context);
    return body === undefined ? scope : runInScope(scope, body);
  }

  /** Bytes taken from the reservation: pages in use and the heap's own tables, slack included. */
  get bytesUsed(): number {
    this.context.requireReadable();
    return this.context.core.allocator.bytesUsed;
  }
  /** Bytes of address space reserved: the most that `bytesUsed` can come to. */
  get bytesReserved(): number {
    this.context.requireAlive();
    return this.context.core.memory.maximumBytes;
  }

  // -- threads ----------------------------------------------------------------------------------

  /**
   * Share this heap: the token is for `postMessage`, and for `Heap.attach` in the other thread. From now on everything needs a guard, in
   * this thread too, also if no other has attached; borrowed references and iterators made before are not valid any more. O(types + handles); a second
   * time gives the token again.
   * @throws ShareError where there is no SharedArrayBuffer; HeapBusyError inside a collection or callback; OutOfMemoryError
   */
  share(options: ShareOptions = {}): HeapToken {
    const token = share(this.context, options);
    this.lastType = {}; // whose maker asks for no guard
    return token;
  }

  /**
   * Exclusive access: `using guard = heap.lock()`. Blocks until the lock is to be had. Takes in what other threads have left to be done:
   * finalizers and callbacks may run.
   * @throws LockError within a shared guard, when the signal is aborted, and in a browser's main thread if it would have to wait
   * @throws LockTimeoutError, and ShareError if the heap is not shared
   */
  lock(options?: LockOptions): Guard {
    return lock(this.guards, options);
  }

  /**
   * Read access, together with other readers; no count is written. Blocks until it is to be had; within an exclusive guard it is had at once.
   * @throws LockError when the signal is aborted, and in a browser's main thread if it would have to wait; LockTimeoutError, ShareError
   */
  lockShared(options?: LockOptions): Guard {
    return lockShared(this.guards, options);
  }

  /**
   * The same as `lock` without blocking, for a browser's main thread. Rejects with what `lock` throws, CANNOT_BLOCK excepted, and with
   * HeapDisposedError if the heap is disposed of meanwhile.
   */
  async lockAsync(options?: LockOptions): Promise<Guard> {
    return lockAsync(this.guards, options);
  }

  /** The same as `lockShared` without blocking. Rejects with what `lockShared` throws, and as `lockAsync`. */
  async lockSharedAsync(options?: LockOptions): Promise<Guard> {
    return lockSharedAsync(this.guards, options);
  }

  /**
   * Have the end of a worker reported to the heap: its handles are then released, and what it was writing is repaired. Without that a worker
   * that ends under a guard blocks all others until they time out. In Node, Deno and Bun the worker's exit event tells, which a thread that
   * blocks does not hear; in browsers a Web Lock does, which a worker has from the first turn of its event loop on that follows `Heap.attach`.
   * @throws InvalidArgumentError for what is no running worker, ShareError
   */
  watch(worker: WatchableWorker): void {
    this.context.requireAlive();
    watch(requireSharing(this.context), worker, this.context.core.memory.i32);
  }

  private get guards(): Guards {
    this.context.requireAlive();
    return requireSharing(this.context).guards;
  }

  /**
   * A parcel that carries one reference to another thread: `worker.postMessage(heap.send(handle))`. It has a reference of its own; the handle stays
   * the caller's. Needs an exclusive guard.
   * @throws LockError, ShareError, InvalidArgumentError, OutOfMemoryError; HeapError TOO_MANY_PARCELS
   */
  send(handle: Borrowed): Parcel {
    return send(this.context, handle);
  }

  /**
   * Take the reference out of a parcel, once; the caller owns the handle. Needs a guard of either kind.
   * @throws ParcelClaimedError for a parcel that was received before or never sent; TypeMismatchError, and the parcel can still be received
   */
  receive<T extends ObjectType>(type: T, parcel: Parcel): Handle<ReadOf<T> & Borrowed> {
    this.context.requireReadable();
    const descriptor = describe(type, "The type given to heap.receive");
    if (!isObjectDescriptor(descriptor))
      throw new InvalidArgumentError(`A parcel carries an object; ${typeText(descriptor)} is none.`);
    return receive(this.context, descriptor, parcel) as unknown as Handle<ReadOf<T> & Borrowed>;
  }

  /**
   * End the heap as CPython ends an interpreter: `weakref.finalize` functions run, newest first; everything alive dies,
   * finalizers and callbacks included; every adopted value is disposed, newest first; then later use of anything of the
   * heap is an error. Handles still alive are reported. A heap in which nothing observes a death ends at once. Its memory goes back when JavaScript drops the heap and its views. A second time does
   * nothing. A shared heap that other threads still have is only left: this thread's handles are released, its `finalize` functions run, its
   * values are disposed; the last thread ends it.
   * @throws LockError LOCK_ORDER under a guard of this thread, LockTimeoutError
   */
  shutdown(): void {
    shutdown(this.context);
  }

  /** The same as `shutdown`. */
  [Symbol.dispose](): void {
    shutdown(this.context);
  }

  /** @internal Called with each new heap: `ouroheap/inspect` adds to it, which nothing here imports. */
  static readonly onCreate: ((heap: Heap) => void)[] = [];

  /** @internal For `ouroheap/inspect` and `ouroheap/unsafe`. */
  static contextOf(heap: Heap): Context {
    if (!(heap instanceof Heap)) throw new InvalidArgumentError(`Expected a heap, got ${show(heap)}.`);
    return heap.context;
  }

  private verifyAtPhases(): void {
    const { memory, events } = this.context.core;
    events.listeners.push({
      onPhase: (phase) => {
        // The literal under construction, or the callback, that disposed the heap goes on; there is nothing to check.
        if (this.context.isDisposed) return;
        const roots = this.context.knownRoots();
        verifyMemory(memory, {
          ...(roots && { roots }),
          isCollecting: phase === "partition" || phase === "finalize",
          isInside: true,
        });
      },
    });
  }
}
