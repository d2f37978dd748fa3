/**
 * What programs do with references, as free functions, so that a struct may have fields of any name. The words are
 * CPython's: a borrowed reference owns nothing; a new one is the receiver's to release.
 */
import { InvalidArgumentError, TypeMismatchError } from "../memory/errors.js";
import { HEADER_REFCOUNT, WORD_BYTES } from "../memory/layout.js";
import { typeText } from "./fields.js";
import { describe, isObjectDescriptor, show } from "./schema.js";
import type { Any, Borrowed, Handle, ObjectType, Owned, ReadOf } from "./types.js";
import { addressOf, asView, type View } from "./view.js";

function requireView(value: unknown, verb: string): View {
  return asView(value) ?? refuse(`${verb} takes a reference to a heap object, got ${show(value)}.`);
}
function refuse(message: string): never {
  throw new InvalidArgumentError(message);
}

/** A new strong reference to the same object (CPython: `Py_NewRef`). @throws UseAfterReleaseError */
export function retain<R extends Borrowed>(ref: R): Handle<R> {
  const view = requireView(ref, "retain");
  const address = addressOf(view);
  const { context } = view["@type"];
  if (context.sharing === undefined) context.core.counts.incref(address);
  else context.sharing.incref(address);
  return view["@type"].handle(address) as unknown as Handle<R>;
}

/**
 * Give up a strong reference; if it was the last, the object is freed, and all that it alone held, before this returns; in a shared heap without
 * an exclusive guard, when somebody next writes.
 * @throws DoubleReleaseError for a handle released before, InvalidArgumentError for a borrowed reference
 */
export function release(handle: Owned): void {
  // One read of a property that every view has: two would cost as much again where thirty types meet.
  const method = (handle as Partial<View> | null | undefined)?.["@release"];
  if (method === undefined) refuse(`release takes a handle, got ${show(handle)}.`);
  else method.call(handle);
}

/** Whether two references lead to the same object. Two views of one object are not `===`. @throws UseAfterReleaseError */
export function is(a: Borrowed | null, b: Borrowed | null): boolean {
  if (a === null || b === null) return a === b;
  const [first, second] = [requireView(a, "is"), requireView(b, "is")];
  const isSameAddress = addressOf(first) === addressOf(second);
  return isSameAddress && first["@type"].context === second["@type"].context;
}

/** The object's identity while it lives: its address, in bytes. */
export function id(ref: Borrowed): number {
  return addressOf(requireView(ref, "id")) * WORD_BYTES;
}

/** How many strong references there are, the caller's own handle included. */
export function refcount(ref: Borrowed): number {
  const view = requireView(ref, "refcount");
  return view["@type"].context.core.memory.i32[addressOf(view) + HEADER_REFCOUNT];
}

/** The type's name: "TreeNode", "list", "dict", "set", "tuple". */
export function typeName(ref: Borrowed): string {
  return requireView(ref, "typeName")["@type"].name;
}

/** Whether a value is a reference to an instance of a type. */
export function isA<T extends ObjectType>(type: T, ref: Any): ref is ReadOf<T> & Borrowed {
  const descriptor = describe(type, "The type");
  if (!isObjectDescriptor(descriptor))
    return refuse("isA takes a struct or container type: plain values have none.");
  const view = asView(ref);
  if (view === undefined) return false;
  addressOf(view);
  return view["@type"].descriptor === descriptor;
}

/** The same reference, its type checked. Borrows. @throws TypeMismatchError */
export function as<T extends ObjectType>(type: T, ref: Any | Borrowed): ReadOf<T> & Borrowed {
  if (isA(type, ref)) return ref;
  const view = asView(ref);
  throw new TypeMismatchError(
    `Expected a ${typeText(type)}, got ${view === undefined ? show(ref) : `a ${view["@type"].text}`}.`,
  );
}
