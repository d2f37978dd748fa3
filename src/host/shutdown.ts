/** The end of a heap, with the part of CPython's interpreter exit that a program can see (`Py_FinalizeEx`). */
import { DEBUG_SAVEALL, DEBUG_UNCOLLECTABLE } from "../gc/collect.js";
import type { Core } from "../gc/core.js";
import { dropRoots } from "../gc/roots.js";
import { LockError } from "../memory/errors.js";
import {
  CONTROL_DEBUG,
  CONTROL_FOREIGN,
  CONTROL_GARBAGE,
  CONTROL_THREADS,
  CONTROL_USER_CODE,
  CONTROL_WEAKREFS,
  THREAD_LEFT,
} from "../memory/layout.js";
import { plainText } from "../memory/plain-text.js";
import type { Context } from "./context.js";
import { lock } from "./guard.js";
import { typeName } from "./ownership.js";
import { forgetHeap } from "./share.js";
import type { Sharing } from "./sharing.js";
import { endThread } from "./thread-end.js";

/**
 * In this order: live handles are reported; the functions of `weakref.finalize` run, newest first, with collection off; a
 * full collection, if collection is on; every handle's reference is dropped, oldest object first; a full collection that no
 * callback sees; a word about `gc.garbage`; every value that the heap owns is disposed, newest first, so that finalizers
 * and callbacks have still found it whole; and then the heap is disposed.
 */
export function shutdown(context: Context): void {
  if (context.isDisposed || context.isEnding) return;
  if (context.sharing === undefined) endHeap(context);
  else leaveHeap(context, context.sharing);
}

/**
 * The end of a shared heap in this thread. The last thread that has it ends it; before, a thread gives up what is its own: its handles are
 * reported and released, its functions of `weakref.finalize` run, its values are disposed, newest first.
 * @throws LockError under a guard of this thread, LockTimeoutError
 */
function leaveHeap(context: Context, sharing: Sharing): void {
  if (sharing.lock.mode !== "none")
    throw new LockError("LOCK_ORDER", "This thread has a guard of the heap: end that first, then the heap.");
  lock(sharing.guards);
  try {
    if (sharing.isAlone) {
      endHeap(context);
      context.core.memory.i32[CONTROL_THREADS] = 0;
    } else leave(context, sharing);
  } finally {
    const hasLeft = sharing.threads.state(sharing.thread) === THREAD_LEFT;
    sharing.stop();
    forgetHeap(context.core.memory);
    sharing.lock.close();
    // Those too that a disposer has taken and not ended yet.
    sharing.lock.leaveAll();
    // Not before: until then the lock knows this thread by its number.
    if (hasLeft) sharing.threads.free(sharing.thread);
  }
}

function leave(context: Context, sharing: Sharing): void {
  context.isEnding = true;
  try {
    sharing.enterOwnBase();
    context.handles.reportLive();
    context.pools.closeAll();
    runAtExit(context);
    context.foreign.disposeAll();
    endThread(sharing, sharing.thread);
    sharing.threads.setLeft(sharing.thread);
  } finally {
    context.close();
  }
}

function endHeap(context: Context): void {
  context.isEnding = true;
  try {
    context.handles.reportLive();
    if (isObserved(context)) end(context);
  } finally {
    context.dispose();
  }
}

function end(context: Context): void {
  context.foreign.postpone();
  try {
    endObjects(context);
  } finally {
    context.foreign.disposeAll();
  }
}

function endObjects(context: Context): void {
  context.pools.closeAll();
  runAtExit(context);
  // Called by a finalizer or a callback: the death or collection that runs it holds references that are no handle's.
  if (!isInside(context.core)) {
    const { gc } = context.heap;
    if (gc.isEnabled()) gc.collect();
    gc.unfreeze();
    context.handles.roots?.clear();
    dropRoots(context.core);
    gc.callbacks.length = 0;
    gc.collect();
    tellGarbage(context);
    gc.garbage.clear();
  }
}

function isInside({ memory, trigger }: Core): boolean {
  return memory.i32[CONTROL_USER_CODE] > 0 || trigger.isCollecting;
}

/** Whether anybody could tell that the objects of this heap died. */
function isObserved({ core, heap, finalizers }: Context): boolean {
  return (
    core.types.hasFinalizers ||
    core.memory.i32[CONTROL_WEAKREFS] > 0 ||
    core.memory.i32[CONTROL_FOREIGN] > 0 ||
    finalizers.size > 0 ||
    heap.gc.callbacks.length > 0 ||
    core.lists.length(core.memory.i32[CONTROL_GARBAGE]) > 0
  );
}

function runAtExit(context: Context): void {
  const { gc } = context.heap;
  const wasEnabled = gc.isEnabled();
  gc.disable();
  context.finalizers.runAtExit((error) => context.unraisable(error, "a finalizer at shutdown"));
  if (wasEnabled) gc.enable();
}

/** CPython's words; nothing under SAVEALL, where everything lands there on purpose. */
function tellGarbage(context: Context): void {
  const { gc } = context.heap;
  const flags = context.core.memory.i32[CONTROL_DEBUG];
  const { length } = gc.garbage;
  if (length === 0 || (flags & DEBUG_SAVEALL) !== 0) return;
  const text = `gc: ${length} uncollectable objects at shutdown`;
  const list = [...gc.garbage].map((object) => `<${plainText(typeName(object))}>`).join(", ");
  gc.debugSink(
    (flags & DEBUG_UNCOLLECTABLE) === 0
      ? `${text}; use gc.setDebug(DEBUG.UNCOLLECTABLE) to list them\n`
      : `${text}\n      [${list}]\n`,
  );
}
