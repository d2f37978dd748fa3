/** Python's `weakref.finalize`: a function that is called once, when an object dies or the heap is shut down. */
import type { Context } from "./context.js";
import { release, retain } from "./ownership.js";
import type { Borrowed, Handle } from "./types.js";
import type { WeakrefModule } from "./weakref-module.js";
import type { WeakReference } from "./weakref-view.js";

/** What `heap.weakref.finalize` returns. */
export interface Finalizer<Result = unknown> {
  /** Run now, unless it has run or was detached. @returns what the function returned, or undefined */
  (): Result | undefined;
  /** Disarm it. @returns whether it will not run any more because of that: false if it has run, or its object is dead */
  detach(): boolean;
  /** Whether it may still run. */
  readonly alive: boolean;
  /** Whether it runs when the heap is shut down. Default true. */
  atexit: boolean;
}

/** The finalizers of a heap that are alive, in the order in which they were made. */
export class FinalizerRegistry {
  private readonly live = new Map<object, { atexit: boolean; fire(): unknown }>();
  private isOver = false;
  /** Whether any was made since `runAtExit` last looked. */
  private isDirty = true;

  add(key: object, entry: { atexit: boolean; fire(): unknown }): void {
    if (this.isOver) return;
    this.live.set(key, entry);
    this.isDirty = true;
  }
  has(key: object): boolean {
    return this.live.has(key);
  }
  get(key: object): { atexit: boolean; fire(): unknown } | undefined {
    return this.live.get(key);
  }
  delete(key: object): boolean {
    return this.live.delete(key);
  }
  get size(): number {
    return this.live.size;
  }

  /** The heap ends: the newest one first, and those made meanwhile too. Afterwards none is alive. */
  runAtExit(onError: (error: unknown) => void): void {
    let pending: { fire(): unknown }[] = [];
    for (;;) {
      if (this.isDirty) {
        pending = [...this.live.values()].filter(({ atexit }) => atexit);
        this.isDirty = false;
      }
      const last = pending.pop();
      if (last === undefined) break;
      try {
        last.fire();
      } catch (error) {
        onError(error);
      }
    }
    this.isOver = true;
    this.live.clear();
  }
}

export function createFinalizer<A extends readonly unknown[], Result>(
  context: Context,
  module: WeakrefModule,
  target: Borrowed,
  run: (...args: A) => Result,
  args: A,
): Finalizer<Result> {
  const registry = context.finalizers;
  const key = {};
  let ref: Handle<WeakReference<Borrowed>> | undefined;
  const end = () => {
    const wasAlive = registry.delete(key);
    if (wasAlive && ref !== undefined) release(ref);
    return wasAlive;
  };
  // As in Python, what is dead already, and waits for its turn among the callbacks, cannot be detached any more.
  const detach = () => registry.has(key) && ref?.alive === true && end();
  const fire = () => (end() ? run(...args) : undefined);
  // Held until it is registered: making the weak reference may collect.
  const held = retain(target);
  try {
    ref = module.ref(target, () => void fire());
    registry.add(key, { atexit: true, fire });
  } finally {
    release(held);
  }
  return Object.defineProperties(fire as Finalizer<Result>, {
    detach: { value: detach },
    alive: { get: () => registry.has(key) },
    atexit: {
      get: () => registry.get(key)?.atexit ?? false,
      set: (value: boolean) => {
        const entry = registry.get(key);
        if (entry !== undefined) entry.atexit = value;
      },
    },
  });
}
