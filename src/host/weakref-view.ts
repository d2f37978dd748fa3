/** Weak references in JavaScript: heap objects like any other, that lead to a target as long as it lives. */
import type { BoundType } from "./bound-type.js";
import type { Borrowed, Handle } from "./types.js";
import { addressOf, hide, INSPECT, isLive, type View } from "./view.js";

/** A weak reference (Python's `weakref.ref`): it does not keep its target alive. */
export interface WeakReference<R extends Borrowed> extends Borrowed {
  /** A NEW strong reference, or undefined when the object is gone. Never a borrowed one. */
  deref(): Handle<R> | undefined;
  /** Whether the target lives. */
  readonly alive: boolean;
  /** Whether it has a callback that has not been dropped. */
  readonly hasCallback: boolean;
}

/** Behind every view of a weak reference, so that tools can tell one. */
export class WeakReferenceView {}

export function defineWeakref(type: BoundType): void {
  const { context } = type;
  const { weakrefs, counts } = context.core;
  const prototype = Object.create(WeakReferenceView.prototype) as object;
  hide(prototype, "@type", type);
  hide(prototype, "deref", function (this: View) {
    const target = weakrefs.target(addressOf(this));
    if (target === 0) return undefined;
    if (context.sharing === undefined) counts.incref(target);
    else context.sharing.incref(target);
    return context.binder.typeOf(target).handle(target);
  });
  Object.defineProperty(prototype, "alive", {
    get(this: View) {
      return weakrefs.target(addressOf(this)) !== 0;
    },
    configurable: true,
  });
  Object.defineProperty(prototype, "hasCallback", {
    get(this: View) {
      return weakrefs.hasCallback(addressOf(this));
    },
    configurable: true,
  });
  hide(prototype, INSPECT, function (this: View) {
    if (!isLive(this)) return "[weakref: not alive]";
    const target = weakrefs.target(this["@address"]);
    return target === 0 ? "weakref { dead }" : `weakref { to a ${context.binder.typeOf(target).text} }`;
  });
  hide(prototype, "toJSON", () => ({ weakref: true }));
  type.View.prototype = prototype;
  context.handles.defineRelease(type, prototype);
}
