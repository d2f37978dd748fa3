/** Every error the library throws: what happened, with which value, and what to do. The lowest layer, because every layer throws. */

import { plainLines, plainText } from "./plain-text.js";

/** Base of every error of this library. */
export class HeapError extends Error {
  /** Stable and machine-readable, for example "USE_AFTER_RELEASE". */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    // Names in it are the program's, or a file's: here none is forgotten.
    super(plainLines(message), options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The reservation is full, or the machine refused to reserve one. Nothing half-built stays behind. */
export class OutOfMemoryError extends HeapError {
  /** Bytes of the block that could not be had. */
  readonly requestedBytes: number;
  /** Bytes of the whole reservation. */
  readonly maximumBytes: number;
  constructor(requestedBytes: number, maximumBytes: number, message?: string, options?: ErrorOptions) {
    super(
      "OUT_OF_MEMORY",
      message ??
        `The heap cannot take ${requestedBytes} bytes more: its ${maximumBytes} bytes are in use or too scattered. ` +
          "Release handles, call heap.gc.collect(), or create the heap with a larger maximumBytes.",
      options,
    );
    this.requestedBytes = requestedBytes;
    this.maximumBytes = maximumBytes;
  }
}

/**
 * A handle was used after it was released, a borrowed reference after its object died, or the value behind a foreign
 * reference after it was disposed.
 */
export class UseAfterReleaseError extends HeapError {
  /** Where the handle was made, when it was recorded (see `checks`). */
  declare readonly madeAt?: string;
  /** Where the handle was released, when it was recorded (see `checks`). */
  declare readonly releasedAt?: string;
  constructor(
    code: "USE_AFTER_RELEASE" | "STALE_REFERENCE" | "VALUE_DISPOSED",
    message: string,
    madeAt?: string,
    releasedAt?: string,
  ) {
    super(code, message);
    if (madeAt !== undefined) this.madeAt = madeAt;
    if (releasedAt !== undefined) this.releasedAt = releasedAt;
  }
}

/** A handle was released twice. The second call changes nothing. */
export class DoubleReleaseError extends HeapError {
  /** Where the handle was made, when it was recorded (see `checks`). */
  declare readonly madeAt?: string;
  /** Where it was released the first time, when it was recorded (see `checks`). */
  declare readonly releasedAt?: string;
  constructor(message: string, madeAt?: string, releasedAt?: string) {
    super("DOUBLE_RELEASE", message);
    if (madeAt !== undefined) this.madeAt = madeAt;
    if (releasedAt !== undefined) this.releasedAt = releasedAt;
  }
}

/** A value of the wrong type for a field, item or key, or an object of another heap. */
export class TypeMismatchError extends HeapError {
  constructor(message: string, code: "TYPE_MISMATCH" | "FOREIGN_HEAP" = "TYPE_MISMATCH") {
    super(code, message);
  }
}

/** A value out of range or of the wrong kind: Python's ValueError and TypeError. */
export class InvalidArgumentError extends HeapError {
  constructor(message: string, options?: ErrorOptions) {
    super("INVALID_ARGUMENT", message, options);
  }
}

/** A value of the host was adopted a second time: two owners would dispose of it twice. */
export class AlreadyAdoptedError extends HeapError {
  /** Where it was adopted the first time, when that was recorded (see `checks`). */
  declare readonly adoptedAt?: string;
  constructor(value: string, adoptedAt?: string) {
    const where =
      adoptedAt === undefined
        ? " Its line was not recorded: create the heap with { checks: { handles: { every: 1 } } } to record all."
        : `\n  adopted at ${adoptedAt.split("\n", 1)[0]}`;
    super(
      "ALREADY_ADOPTED",
      `This value (${value}) has an owner already: keep its foreign reference with retain() instead of adopting it again.${where}`,
    );
    if (adoptedAt !== undefined) this.adoptedAt = adoptedAt;
  }
}

/** A weak proxy whose target is gone: Python's ReferenceError. */
export class DeadReferenceError extends HeapError {
  constructor(message: string) {
    super("DEAD_REFERENCE", message);
  }
}

/** All instances of a pool are out, and it does not grow. */
export class PoolExhaustedError extends HeapError {
  /** Instances of the pool. */
  readonly capacity: number;
  constructor(typeName: string, capacity: number) {
    super(
      "POOL_EXHAUSTED",
      `All ${capacity} instances of this pool of ${plainText(typeName)} are out. Release some, or make it with a larger capacity or { whenEmpty: "grow" }.`,
    );
    this.capacity = capacity;
  }
}

/** A pool was disposed while instances were out. It goes on as before. */
export class PoolInUseError extends HeapError {
  /** How many instances are out. */
  readonly out: number;
  /** Where handles to them were made, as far as it was recorded (see `checks`). */
  readonly madeAt: readonly string[];
  constructor(typeName: string, out: number, madeAt: readonly string[]) {
    const lines = madeAt.map((line) => `\n  made at ${line}`).join("");
    const rest = out - madeAt.length;
    const unknown = rest > 0 ? `\n  and ${rest} whose lines were not recorded, or that the heap holds` : "";
    super(
      "POOL_IN_USE",
      `${out} of the instances of this pool of ${plainText(typeName)} are out: release them first.${lines}${unknown}`,
    );
    this.out = out;
    this.madeAt = madeAt;
  }
}

/** A container changed in a way that an open iteration cannot follow. */
export class ConcurrentModificationError extends HeapError {
  constructor(message: string) {
    super("CONCURRENT_MODIFICATION", message);
  }
}

/** The heap was disposed. */
export class HeapDisposedError extends HeapError {
  constructor() {
    super("HEAP_DISPOSED", "This heap was disposed: nothing in it can be used any more.");
  }
}

/** An invariant of the heap is broken: a defect of this library, or of code that uses `ouroheap/unsafe`. */
export class HeapCorruptionError extends HeapError {
  /** Where it shows: a word index into the heap's memory. */
  readonly address: number;
  /** The broken invariant's number and text, as in ARCHITECTURE.md: "I6 refcount". */
  readonly invariant: string;
  constructor(invariant: string, address: number, detail: string) {
    super("HEAP_CORRUPTION", `Invariant ${invariant} is broken at address ${address}: ${detail}`);
    this.address = address;
    this.invariant = invariant;
  }
}

/** What is wrong with a file or stream that should be a saved heap. */
export type ImageErrorCode =
  | "IMAGE_FOREIGN"
  | "IMAGE_NEWER"
  | "IMAGE_TRUNCATED"
  | "IMAGE_CORRUPT"
  | "IMAGE_INVALID";

/**
 * What should be a saved heap is none (`IMAGE_FOREIGN`), was written by a newer version (`IMAGE_NEWER`), ends too early
 * (`IMAGE_TRUNCATED`), was changed since it was saved (`IMAGE_CORRUPT`), or is whole and makes no sense (`IMAGE_INVALID`).
 * Nothing was loaded.
 */
export class ImageError extends HeapError {
  constructor(code: ImageErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** A struct has other fields here than in the saved heap. */
export class LayoutMismatchError extends HeapError {
  /** Name of the struct. */
  readonly typeName: string;
  /** The first field that differs; undefined where an option of the struct does. */
  readonly field: string | undefined;
  constructor(typeName: string, field: string | undefined, detail: string, other = "the one that was saved") {
    super("LAYOUT_MISMATCH", `The struct "${typeName}" is not ${other}: ${detail}.`);
    this.typeName = typeName;
    this.field = field;
  }
}

/** The heap was asked for something that has to wait until a collection, a death or a callback is over. */
export class HeapBusyError extends HeapError {
  constructor(verb: string, what: string) {
    super("HEAP_BUSY", `The heap cannot be ${verb} now: ${what} is under way. Do it when that is over.`);
  }
}

/** The value behind a foreign reference did not travel with the saved heap: what is left is its name. */
export class TombstoneError extends HeapError {
  /** What kind of value it was: the name of its constructor, or its type. */
  readonly valueName: string;
  /** How it was to be disposed of. */
  readonly disposer: string;
  constructor(valueName: string, disposer: string) {
    super(
      "TOMBSTONE",
      `The value behind this foreign reference (${valueName}, disposed by ${disposer}) stayed with the heap that was saved: ` +
        "values of JavaScript do not travel. Adopt a new one and put it in its place.",
    );
    this.valueName = valueName;
    this.disposer = disposer;
  }
}

/** A rule of the lock of a shared heap was broken: an access without a guard that allows it, or a guard that cannot be had. */
export class LockError extends HeapError {
  constructor(
    code:
      | "NO_GUARD"
      | "WRITE_UNDER_SHARED_GUARD"
      | "GUARD_OVER"
      | "MADE_BEFORE_SHARE"
      | "LOCK_UPGRADE"
      | "LOCK_ORDER"
      | "LOCK_ABORTED"
      | "CANNOT_BLOCK"
      | "ROOTS_FULL",
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** A lock was not to be had in time. */
export class LockTimeoutError extends HeapError {
  /** Who held it when time was up: names of threads. */
  readonly owners: readonly string[];
  /** The line where the owner took it, if it was recorded. */
  declare readonly heldAt?: string;
  constructor(message: string, owners: readonly string[], heldAt?: string) {
    super("LOCK_TIMEOUT", message);
    this.owners = owners;
    if (heldAt !== undefined) this.heldAt = heldAt;
  }
}

/** A heap cannot be shared or attached here. */
export class ShareError extends HeapError {
  constructor(
    code: "NOT_SHAREABLE" | "ALREADY_ATTACHED" | "NO_HEAP" | "TOO_MANY_THREADS" | "NOT_SHARED",
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** A parcel that was claimed before, or that no thread of this heap has sent. */
export class ParcelClaimedError extends HeapError {
  constructor(message: string) {
    super("PARCEL_CLAIMED", message);
  }
}

/** A value or function that belongs to another thread was asked for. */
export class WrongThreadError extends HeapError {
  constructor(message: string) {
    super("WRONG_THREAD", message);
  }
}
