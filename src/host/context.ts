/** What everything on JavaScript's side of one heap shares. */
import type { Core } from "../gc/core.js";
import { HeapBusyError, HeapDisposedError } from "../memory/errors.js";
import { type Address, CONTROL_DEFERRED, CONTROL_USER_CODE } from "../memory/layout.js";
import type { Binder } from "./bind.js";
import { Callbacks } from "./callbacks.js";
import { FinalizerRegistry } from "./finalize.js";
import { ForeignTable } from "./foreign.js";
import type { HandleTracker } from "./handle.js";
import type { Heap } from "./heap.js";
import { PoolTable } from "./pool.js";
import type { Sharing } from "./sharing.js";
import type { View } from "./view.js";

export class Context {
  readonly core: Core;
  readonly heap: Heap;
  declare binder: Binder;
  declare handles: HandleTracker;
  readonly callbacks: Callbacks;
  readonly finalizers = new FinalizerRegistry();
  readonly foreign: ForeignTable;
  readonly pools: PoolTable;
  /** High word of the `any` value that a codec's `own` returned last (codec.ts). */
  ownedHigh = 0;
  isDisposed = false;
  /** What a shared heap has beside. */
  sharing: Sharing | undefined = undefined;
  /** The heap is being shut down: doing so again has no effect. */
  isEnding = false;
  /**
   * Operations under way that may run the program's code (getters, iterators, callbacks) while they hold references that
   * no handle explains yet. What looks at the heap from there has to know (inspect/verify.ts).
   */
  inside = 0;
  /** The same of the makers of structs and tuples, which are most of them (literal.ts). */
  making = 0;
  readonly level: string;
  /** Whether functions are made from text, one a type (compile.ts). */
  readonly compiles: boolean;

  /** @param level of the heap's checks */
  constructor(core: Core, heap: Heap, compiles: boolean, level: string) {
    this.level = level;
    this.core = core;
    this.heap = heap;
    this.compiles = compiles;
    core.hooks.isHolding = () => this.inside > 0;
    this.callbacks = new Callbacks(this);
    this.foreign = new ForeignTable(this);
    this.pools = new PoolTable(this);
  }

  get isInside(): boolean {
    return this.inside > 0 || this.making > 0;
  }

  /** Whether anything is under way that has called the program back and goes on afterwards. */
  get isBusy(): boolean {
    const { trigger, memory } = this.core;
    return this.isInside || trigger.isCollecting || memory.i32[CONTROL_USER_CODE] > 0;
  }

  /** @throws HeapDisposedError */
  requireAlive(): void {
    if (this.isDisposed) throw new HeapDisposedError();
  }

  /** Before anything is changed. @throws HeapDisposedError, and LockError without an exclusive guard of a shared heap */
  requireOpen(): void {
    this.requireAlive();
    this.sharing?.requireWriting();
  }

  /** The same, before a handle is made. @throws OutOfMemoryError too, where the roots of a shared heap's thread have no room */
  requireOpenForHandle(): void {
    this.requireOpen();
    this.sharing?.requireRoom();
  }

  /** Before anything that needs the heap whole. @param verb "saved", for the message @throws HeapBusyError */
  requireIdle(verb: string): void {
    const { trigger, memory } = this.core;
    if (trigger.isCollecting) throw new HeapBusyError(verb, "a collection");
    if (memory.i32[CONTROL_USER_CODE] > 0 || memory.i32[CONTROL_DEFERRED] !== 0)
      throw new HeapBusyError(verb, "a death, a finalizer or a callback");
    if (this.isInside) throw new HeapBusyError(verb, "an operation that has called the program back");
  }

  /** Before anything is read. @throws HeapDisposedError, and LockError without a guard of a shared heap */
  requireReadable(): void {
    this.requireAlive();
    this.sharing?.requireReading();
  }

  /**
   * Call the program back from the middle of whatever allocated or collected. What it throws stops nothing.
   */
  callBack(where: string, body: () => void): void {
    this.inside++;
    try {
      body();
    } catch (error) {
      this.unraisable(error, where);
    } finally {
      this.inside--;
    }
  }

  /** Report an error that nobody can catch. A reporter that throws itself does not stop the work either. */
  unraisable(error: unknown, where: string): void {
    try {
      this.heap.onUnraisable(error, where);
    } catch (second) {
      console.error(`Ouroheap: heap.onUnraisable threw for an error in ${where}:`, second);
    }
  }

  /** A borrowed view of the list behind `gc.garbage`. */
  get garbage(): View {
    return this.binder.garbage;
  }

  /** End the heap: every serial is set to 0, which no view has, so every view is stale. O(memory in use). */
  dispose(): void {
    if (this.isDisposed) return;
    this.close();
    this.core.allocator.endAllObjects();
  }

  /** This thread has the heap no more. */
  close(): void {
    this.isDisposed = true;
    this.binder.makers.length = 0;
  }

  /**
   * How many references handles hold to each object, where that is known: for the verifier. Of a shared heap the tables in its
   * memory say it, but for handles that were made before it was shared and not looked for since.
   */
  knownRoots(): ReadonlyMap<Address, number> | undefined {
    return this.sharing === undefined ? this.handles.roots : this.sharing.knownRoots();
  }
}
