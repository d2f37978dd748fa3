/**
 * Types of a shared heap: a thread that registers one writes down what a saved heap would say of it, and the others plan theirs from
 * that, with the classes that they were given.
 */
import { InvalidArgumentError, LayoutMismatchError } from "../memory/errors.js";
import { type Address, TYPE_FINALIZER, TYPE_FLAGS, TYPE_SCHEMA, TYPE_THREADS } from "../memory/layout.js";
import type { Context } from "./context.js";
import { describeTypes, type Origin, planTypes } from "./image-types.js";
import type { Plan } from "./plan.js";
import { type ObjectDescriptor, show } from "./schema.js";
import { finalizer } from "./struct.js";

const SHARED: Origin = {
  verb: "Heap.attach",
  was: "is",
  when: "in the shared heap",
  other: "the one of the shared heap",
};

/** Types as strings of the heap, each with a reference that the caller owns. @throws OutOfMemoryError; nothing is then left behind */
export function schemaStrings(
  { core }: Context,
  types: readonly { readonly descriptor: ObjectDescriptor; readonly hash: number }[],
): Address[] {
  const made: Address[] = [];
  try {
    for (const type of types) made.push(core.strings.create(JSON.stringify(describeTypes([type])[0])));
  } catch (error) {
    for (const text of made) core.counts.decref(text);
    throw error;
  }
  return made;
}

/** Tell other threads what the types from an id on are. @param texts of `schemaStrings`; the type table takes the references */
export function publishTypes({ core }: Context, first: number, texts: readonly Address[]): void {
  for (const [index, text] of texts.entries())
    core.memory.i32[core.types.descriptor(first + index) + TYPE_SCHEMA] = text;
}

/** Learn what types other threads have registered. @throws LayoutMismatchError for a class that differs */
export function syncTypes(context: Context): void {
  const { binder, core } = context;
  const first = binder.known;
  if (core.types.count === first) return;
  const plans = planSharedTypes(context, new Set([...binder.given, ...binder.boundStructs]));
  binder.adopt(plans.slice(first - core.pendingTypeId - 1));
  noteKnown(context, first);
}

/** Whether these are structs, of which no two have one name. @throws InvalidArgumentError */
export function checkClasses(types: unknown, verb: string): void {
  if (!Array.isArray(types))
    throw new InvalidArgumentError(`The types of ${verb} must be an array of structs, got ${show(types)}.`);
  planTypes([], types, { ...SHARED, verb });
}

/** Plans of all types of a shared heap, in the order of their ids. @throws LayoutMismatchError */
function planSharedTypes(context: Context, classes: Iterable<unknown>): Plan[] {
  const { types, strings, memory } = context.core;
  const entries: unknown[] = [];
  for (let id = context.core.pendingTypeId + 1; id < types.count; id++)
    entries.push(JSON.parse(strings.read(memory.i32[types.descriptor(id) + TYPE_SCHEMA])));
  const plans = planTypes(entries, [...classes], SHARED);
  for (const [index, plan] of plans.entries()) {
    const id = context.core.pendingTypeId + 1 + index;
    plan.isGc = types.isGc(id);
    checkFinalizer(plan.descriptor, (memory.i32[types.descriptor(id) + TYPE_FLAGS] & TYPE_FINALIZER) !== 0);
  }
  return plans;
}

/** Whether instances are watched when they die was decided by the thread that brought the type. */
function checkFinalizer(descriptor: ObjectDescriptor, isFinalized: boolean): void {
  if (descriptor["@kind"] !== "struct" || isFinalized || !(finalizer in descriptor.prototype)) return;
  throw new LayoutMismatchError(
    descriptor.typeName,
    undefined,
    "its class has a finalizer here and has none in the thread that brought it",
    SHARED.other,
  );
}

/** Note that this thread knows these types, and so can run their finalizers. */
export function noteKnown({ core, sharing, binder }: Context, first: number): void {
  const { i32 } = core.memory;
  for (const { id, descriptor } of binder.schemaTypes) {
    if (id < first || descriptor["@kind"] !== "struct" || !(finalizer in descriptor.prototype)) continue;
    Atomics.or(i32, core.types.descriptor(id) + TYPE_THREADS, 1 << sharing!.thread); // under shared guards too
  }
}
