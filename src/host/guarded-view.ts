/**
 * Views of a shared heap: what an unshared heap's views can do, behind one comparison. A view remembers the epoch of the guard it was
 * made under; a handle is admitted anew under each guard, a borrowed view ends with its own (docs/design/0010).
 */
import { LockError } from "../memory/errors.js";
import { plainText } from "../memory/plain-text.js";
import { BORROWED, INSPECT, RELEASED, stale, type View, type ViewConstructor } from "./view.js";

/** What a view asks: both are 0 or less where nothing may be done, and change with each guard. */
export interface Epochs {
  /** Of the guard in force in this thread; 0: there is none. */
  readonly epoch: number;
  /** The same if it is exclusive, else -1. */
  readonly writeEpoch: number;
}

/** What the members of guarded views need to know of their heap. */
export interface Guarding {
  readonly lock: Epochs;
  /** Give up a handle where nothing may be written. */
  releaseLater(handle: View): void;
}

interface GuardedView extends View {
  /** Of the guard it was made or last admitted under. Undefined: made before the heap was shared. */
  "@epoch"?: number;
}

/** The view class of a type in a shared heap. */
export function makeGuardedViewClass(name: string, lock: Epochs): ViewConstructor {
  function HeapView(
    this: { -readonly [K in "@address" | "@serial" | "@owner"]: View[K] } & { "@epoch": number },
    address: number,
    serial: number,
  ) {
    this["@address"] = address;
    this["@serial"] = serial;
    this["@owner"] = BORROWED;
    this["@epoch"] = lock.epoch;
  }
  Object.defineProperty(HeapView, "name", { value: name });
  return HeapView as unknown as ViewConstructor;
}

/** May this view be read now? @throws LockError, and UseAfterReleaseError for a handle that was released */
export function admitRead(view: View, { epoch }: Epochs): void {
  const guarded = view as GuardedView;
  if (epoch !== 0 && guarded["@epoch"] === epoch) return;
  if (guarded["@serial"] === RELEASED) stale(view);
  if (epoch === 0) refuseAccess(view);
  if (guarded["@owner"] === BORROWED) refuseBorrow(guarded);
  try {
    guarded["@epoch"] = epoch;
  } catch {
    // The program has frozen the handle: it is admitted anew each time.
  }
}

/** May the object of this view be changed now? @throws as `admitRead` */
export function admitWrite(view: View, lock: Epochs): void {
  admitRead(view, lock);
  if (lock.writeEpoch < 0) requireWriting(lock);
}

/** @throws LockError unless there is a guard */
export function requireReading({ epoch }: Epochs): void {
  if (epoch === 0)
    throw new LockError(
      "NO_GUARD",
      "This heap is shared: it may be used under a guard only. Take one: using guard = heap.lockShared(), or heap.lock() to change something.",
    );
}

/** @throws LockError unless there is an exclusive guard */
export function requireWriting(lock: Epochs): void {
  requireReading(lock);
  if (lock.writeEpoch < 0)
    throw new LockError(
      "WRITE_UNDER_SHARED_GUARD",
      "The guard is shared: others may be reading, so nothing may be changed. Take an exclusive one: using guard = heap.lock().",
    );
}

function refuseAccess(view: View): never {
  view["@type"].context.requireAlive();
  throw new LockError(
    "NO_GUARD",
    `This reference to a ${plainText(view["@type"].name)} of a shared heap was used without a guard. ` +
      "Take one: using guard = heap.lockShared(), or heap.lock() to change something.",
  );
}

function refuseBorrow(view: GuardedView): never {
  const name = plainText(view["@type"].name);
  if (view["@epoch"] === undefined)
    throw new LockError(
      "MADE_BEFORE_SHARE",
      `This borrowed reference to a ${name} was made before heap.share(): read it again under a guard, or retain() it before.`,
    );
  throw new LockError(
    "GUARD_OVER",
    `This borrowed reference to a ${name} was made under a guard that is over: what it borrowed may be gone. ` +
      "Read it again under the new guard, or retain() it to keep it.",
  );
}

// -- members --------------------------------------------------------------------------------------

/** Methods of views that change their object. All others read. */
const WRITING = new Set<string | symbol>([
  "add",
  "assign",
  "clear",
  "delete",
  "insert",
  "pop",
  "push",
  "set",
  "take",
]);
/** Methods that return an iterator, which reads on. */
const ITERATING = new Set<string | symbol>(["keys", "values", "entries", Symbol.iterator]);
const RELEASING = new Set<string | symbol>(["@release", Symbol.dispose]);

type Method = (this: View, ...rest: unknown[]) => unknown;

/** Put the guard in front of every member that a type's views have of their own. */
export function guardMembers(prototype: object, guarding: Guarding): void {
  for (const name of Reflect.ownKeys(prototype)) {
    // What JSON.stringify asks for goes through other members, and is known by its identity (show.ts).
    if (name === "@type" || name === "constructor" || name === "toJSON") continue;
    const member = Object.getOwnPropertyDescriptor(prototype, name)!;
    if (member.get !== undefined || member.set !== undefined) {
      if (member.get !== undefined) member.get = guardGetter(member.get as Method, guarding.lock);
      if (member.set !== undefined) member.set = guardSetter(member.set as Method, guarding.lock);
    } else if (typeof member.value === "function")
      member.value = guardMethod(name, member.value as Method, guarding);
    Object.defineProperty(prototype, name, member);
  }
}

/**
 * The heap is shared from now on: views made before have the members of those made from now on.
 * @param before the prototype that they have
 */
export function redirectMembers(before: object, prototype: object): void {
  Object.defineProperties(before, Object.getOwnPropertyDescriptors(prototype));
}

function guardMethod(name: string | symbol, method: Method, guarding: Guarding): Method {
  const { lock } = guarding;
  if (RELEASING.has(name)) return guardRelease(method, guarding);
  if (name === INSPECT) return guardShown(method, lock);
  if (WRITING.has(name)) return guardWriting(method, lock);
  if (ITERATING.has(name)) return guardIteration(method, lock);
  return name === "forEach" ? guardVisits(method, lock) : guardReading(method, lock);
}

function guardGetter(get: Method, lock: Epochs): () => unknown {
  return function (this: View) {
    if ((this as GuardedView)["@epoch"] !== lock.epoch) admitRead(this, lock);
    return get.call(this);
  };
}

function guardSetter(set: Method, lock: Epochs): (value: unknown) => void {
  return function (this: View, value: unknown) {
    if ((this as GuardedView)["@epoch"] !== lock.writeEpoch) admitWrite(this, lock);
    set.call(this, value);
  };
}

function guardReading(method: Method, lock: Epochs): Method {
  return function (a, b, ...rest) {
    if ((this as GuardedView)["@epoch"] !== lock.epoch) admitRead(this, lock);
    return rest.length > 0 ? method.call(this, a, b, ...rest) : method.call(this, a, b);
  };
}

function guardWriting(method: Method, lock: Epochs): Method {
  return function (...values) {
    if ((this as GuardedView)["@epoch"] !== lock.writeEpoch) admitWrite(this, lock);
    return method.apply(this, values);
  };
}

/** Each step asks again: the guard may be over in between. */
function guardIteration(method: Method, lock: Epochs): Method {
  return function () {
    if ((this as GuardedView)["@epoch"] !== lock.epoch) admitRead(this, lock);
    return new GuardedIterator(this, method.call(this) as Iterator<unknown>, lock);
  };
}

class GuardedIterator implements IterableIterator<unknown> {
  private readonly view: View;
  private readonly inner: Iterator<unknown>;
  private readonly lock: Epochs;
  private readonly epoch: number;
  constructor(view: View, inner: Iterator<unknown>, lock: Epochs) {
    this.view = view;
    this.inner = inner;
    this.lock = lock;
    this.epoch = lock.epoch;
  }
  next(): IteratorResult<unknown> {
    if (this.epoch !== this.lock.epoch) refuseIterator(this.view, this.lock);
    return this.inner.next();
  }
  [Symbol.iterator]() {
    return this;
  }
}

function refuseIterator(view: View, lock: Epochs): never {
  if (lock.epoch === 0) refuseAccess(view);
  throw new LockError(
    "GUARD_OVER",
    `This iterator over a ${plainText(view["@type"].name)} was made under a guard that is over: others may have changed it. Begin again.`,
  );
}

function guardVisits(method: Method, lock: Epochs): Method {
  return function (visit, ...rest) {
    if ((this as GuardedView)["@epoch"] !== lock.epoch) admitRead(this, lock);
    if (typeof visit !== "function") return method.call(this, visit, ...rest);
    const { epoch } = lock;
    return method.call(this, (...values: unknown[]) => {
      visit(...values);
      if (epoch !== lock.epoch) refuseIterator(this, lock);
    });
  };
}

/** `next` of iterators that were made before the heap was shared. */
export function refuseEarlierIterator(): never {
  throw new LockError(
    "MADE_BEFORE_SHARE",
    "This iterator was made before heap.share(): begin again, under a guard.",
  );
}

/** Where nothing may be written a release waits (host/release-queue.ts). */
function guardRelease(release: Method, guarding: Guarding): Method {
  const { lock } = guarding;
  return function () {
    if (lock.writeEpoch >= 0) return release.call(this);
    return guarding.releaseLater(this);
  };
}

function guardShown(show: Method, lock: Epochs): Method {
  return function (...values) {
    const view = this as GuardedView;
    const isHandle = view["@owner"] !== BORROWED && view["@serial"] !== RELEASED;
    const isAdmitted = lock.epoch !== 0 && (isHandle || view["@epoch"] === lock.epoch);
    if (!isAdmitted) return `[${this["@type"].text}: ${lock.epoch === 0 ? "no guard" : "not alive"}]`;
    if (isHandle) view["@epoch"] = lock.epoch;
    return show.apply(this, values);
  };
}
