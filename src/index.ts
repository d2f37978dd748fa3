/**
 * Ouroheap: Python's garbage collection for TypeScript.
 *
 * A heap outside V8 where reference counts free at once and a generational collector takes the cycles.
 *
 * @packageDocumentation
 */

export type { Disposer } from "./host/disposer.js";
export type { Finalizer } from "./host/finalize.js";
export type { AdoptOptions } from "./host/foreign.js";
export type {
  CollectionInfo,
  CollectionPhase,
  CollectionPolicy,
  GarbageCollector,
  Generation,
  GenerationStats,
  PendingGarbage,
} from "./host/gc-module.js";
export { DEBUG } from "./host/gc-module.js";
export type { LockOptions } from "./host/guard.js";
export { Guard } from "./host/guard.js";
export type { LeakedHandle } from "./host/handle.js";
export { Heap } from "./host/heap.js";
export { IdentityMap } from "./host/identity-map.js";
export type { ByteSink, ByteSource } from "./host/image-io.js";
export type { LoadedHeap, LoadOptions } from "./host/image-load.js";
export type { SaveOptions } from "./host/image-save.js";
export type { Checks, HeapOptions } from "./host/options.js";
export { as, id, is, isA, refcount, release, retain, typeName } from "./host/ownership.js";
export type { Parcel } from "./host/parcel.js";
export type { Pool, PoolOptions, PoolStats } from "./host/pool.js";
export type { HeapRepair } from "./host/repair-heap.js";
export {
  any,
  bool,
  dict,
  f32,
  f64,
  foreign,
  i32,
  i64,
  list,
  oneOf,
  optional,
  set,
  str,
  tuple,
  u8,
  u32,
  weak,
} from "./host/schema.js";
export type { Scope } from "./host/scope.js";
export type { AttachOptions, HeapToken, ShareOptions } from "./host/share.js";
export { finalizer, struct } from "./host/struct.js";
export type * from "./host/types.js";
export type { WatchableWorker } from "./host/watch.js";
export type { WeakKeyDictionary, WeakObjectSet, WeakValueDictionary } from "./host/weak-containers.js";
export type { WeakrefCallback, WeakrefModule } from "./host/weakref-module.js";
export type { WeakReference } from "./host/weakref-view.js";
export type { ImageErrorCode } from "./memory/errors.js";
export {
  AlreadyAdoptedError,
  ConcurrentModificationError,
  DeadReferenceError,
  DoubleReleaseError,
  HeapBusyError,
  HeapCorruptionError,
  HeapDisposedError,
  HeapError,
  ImageError,
  InvalidArgumentError,
  LayoutMismatchError,
  LockError,
  LockTimeoutError,
  OutOfMemoryError,
  ParcelClaimedError,
  PoolExhaustedError,
  PoolInUseError,
  ShareError,
  TombstoneError,
  TypeMismatchError,
  UseAfterReleaseError,
  WrongThreadError,
} from "./memory/errors.js";
export type { GuardMode } from "./memory/lock.js";
